"""The committed artifacts are what the sources compile to. Node is needed: its absence is a failure."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
SANDBOX = REPOSITORY / "include" / "sandbox"


def check(script: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["node", script, "--check"], capture_output=True, text=True, check=False)


def test_artifacts__compiled_again__are_what_is_committed() -> None:
    checked = check(SANDBOX / "build.mjs")

    assert checked.returncode == 0, checked.stderr
    assert "artifacts are up to date" in checked.stdout


def test_check__changed_missing_and_orphaned_artifacts__names_each_and_fails(tmp_path: Path) -> None:
    for folder, suffix in (("contracts", "sol"), ("artifacts", "json")):
        (tmp_path / folder).mkdir()
        for name in ("StockToken", "Multicall3"):
            shutil.copy(SANDBOX / folder / f"{name}.{suffix}", tmp_path / folder)
    shutil.copy(SANDBOX / "build.mjs", tmp_path)
    (tmp_path / "node_modules").symlink_to(REPOSITORY / "node_modules")
    changed = tmp_path / "artifacts" / "StockToken.json"
    changed.write_text(json.dumps(json.loads(changed.read_text()) | {"bytecode": "0x00"}))
    (tmp_path / "artifacts" / "Multicall3.json").unlink()
    (tmp_path / "artifacts" / "Gone.json").write_text("{}")

    checked = check(tmp_path / "build.mjs")

    assert checked.returncode == 1
    assert "StockToken.json: differs in bytecode" in checked.stderr
    assert "Multicall3.json: missing" in checked.stderr
    assert "Gone.json: has no source" in checked.stderr
