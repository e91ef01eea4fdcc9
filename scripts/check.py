"""Run every check that is not a test: lint, format, types, import rules, and what is generated.

    python -m scripts.check

All of them run, so that one look shows all that is wrong; the output of those that fail is shown.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from scripts.astro_settings import ROOT

_BIN: Final = Path(sys.executable).parent
_TYPED: Final = ("include", "plugins", "dags", "scripts", "providers", "config", "tests")


def checks() -> dict[str, list[str]]:
    """Return each check's name and command."""
    typed = [folder for folder in _TYPED if any((ROOT / folder).rglob("*.py"))]
    return {
        "lint": [str(_BIN / "ruff"), "check", "."],
        "format": [str(_BIN / "ruff"), "format", "--check", "."],
        "types": [str(_BIN / "mypy"), *typed],
        "import rules": [str(_BIN / "lint-imports")],
        "generated docs": [sys.executable, "-m", "scripts.docs", "--check"],
        "contract artifacts": ["node", "include/sandbox/build.mjs", "--check"],
    }


def main() -> int:
    """Run the command."""
    failed = []
    for name, command in checks().items():
        began = time.monotonic()
        print(f"{name} ... ", end="", flush=True)
        done = subprocess.run(  # noqa: S603 - the commands above
            command,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'plugins'}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        print(f"{'failed' if done.returncode else 'ok'} ({time.monotonic() - began:.0f} s)")
        if done.returncode:
            failed.append(name)
            print(done.stdout)
    print(f"check: {', '.join(failed)} failed" if failed else "check: all is well")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
