from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from config.airflow_local_settings import PRELOADED, is_scheduler

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("arguments", "loads"),
    [(["scheduler"], True), (["triggerer"], False), (["api-server", "scheduler"], False), ([], False)],
)
def test_local_settings__only_the_scheduler__loads_the_libraries(
    tmp_path: Path, arguments: list[str], loads: bool
) -> None:
    # Stand-ins under the libraries' names, found first, since the real ones take seconds; `web3` is missing.
    (tmp_path / "web3.py").write_text("raise ImportError")
    wanted = [name for name in PRELOADED if name != "web3"]
    for name in wanted:
        module = tmp_path.joinpath(*name.split("."))
        module.mkdir(parents=True)
        for folder in (module, *module.relative_to(tmp_path).parents):
            (tmp_path / folder / "__init__.py").touch()
    code = f"import sys, airflow_local_settings; print(*(name for name in {wanted} if name in sys.modules))"

    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT / "config")))},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == (wanted if loads else [])


def test_is_scheduler__how_airflow_starts_it__is_recognised() -> None:
    assert is_scheduler(["/venv/bin/airflow", "scheduler", "--pid", "x"])
    assert not is_scheduler(["/venv/bin/airflow", "standalone"])


def test_preloaded__every_name__is_of_a_library_that_is_installed() -> None:
    for name in PRELOADED:
        assert find_spec(name.partition(".")[0]) is not None
        assert not name.startswith(("include", "ballast"))
