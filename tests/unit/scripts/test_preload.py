from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from config.airflow_local_settings import OWN, PRELOADED, READING, forks_readers, forks_tasks

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("arguments", "loads"),
    [
        (["scheduler"], PRELOADED),
        (["celery", "worker", "--concurrency", "4"], PRELOADED),
        (["dag-processor"], READING),
        (["celery", "flower"], ()),
        (["triggerer"], ()),
        (["api-server", "scheduler"], ()),
        ([], ()),
    ],
)
def test_local_settings__only_what_others_are_forked_from__loads_the_libraries(
    tmp_path: Path, arguments: list[str], loads: tuple[str, ...]
) -> None:
    # Stand-ins under the libraries' names, found first, since the real ones take seconds; `web3` is missing.
    (tmp_path / "web3.py").write_text("raise ImportError")
    wanted = [name for name in dict.fromkeys((*PRELOADED, *READING)) if name != "web3"]
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

    assert done.stdout.split() == [name for name in wanted if name in loads]


def test_forks_tasks__how_airflow_starts_it__is_recognised() -> None:
    assert forks_tasks(["/venv/bin/airflow", "scheduler", "--pid", "x"])
    assert forks_tasks(["/venv/bin/airflow", "celery", "worker"])
    assert not forks_tasks(["/venv/bin/airflow", "standalone"])
    assert forks_readers(["/venv/bin/airflow", "dag-processor"])
    assert not forks_readers(["/venv/bin/airflow", "scheduler"])


def test_preloaded__every_name__is_of_a_library_that_is_installed() -> None:
    for name in (*PRELOADED, *READING):
        assert find_spec(name.partition(".")[0]) is not None
        assert not name.startswith(("include", "ballast"))


OURS = """
import os, sys, airflow_local_settings as local
print("include.one" in sys.modules)
if sys.argv[2] != "unchanged":
    open(sys.argv[2], "a").write("VALUE = 2")
source, sink = os.pipe()
if os.fork() == 0:
    known = "include.one" in sys.modules
    from include.one import VALUE
    os.write(sink, f"{known} {VALUE}".encode())
    os._exit(0)
os.close(sink)
print(os.read(source, 100).decode())
"""


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """Return a module that is preloaded, in a copy of the local settings that knows no other."""
    settings = (ROOT / "config" / "airflow_local_settings.py").read_text()
    before, after = settings.index("PRELOADED: Final"), settings.index('"""What tasks import of ours')
    names = 'PRELOADED: Final = ()\nOWN: Final = ("include.one", "ballast")\n'
    (tmp_path / "airflow_local_settings.py").write_text(settings[:before] + names + settings[after:])
    for package in ("include", "ballast"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    module = tmp_path / "include" / "one.py"
    module.write_text("VALUE = 1\n")
    return module


def run(folder: Path, changed: Path | str) -> list[str]:
    """Return whether the module was preloaded, and what a forked process knows and finds."""
    done = subprocess.run(
        [sys.executable, "-c", OURS, "scheduler", str(changed)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_own__unchanged__is_inherited_by_a_forked_process(tmp_path: Path, ours: Path) -> None:
    assert run(tmp_path, "unchanged") == ["True", "True 1"]


def test_own__a_file_has_changed_since__is_read_anew_by_a_forked_process(tmp_path: Path, ours: Path) -> None:
    assert run(tmp_path, ours) == ["True", "False 2"]


def test_own__one_cannot_be_imported__is_left_to_the_task_whole(tmp_path: Path, ours: Path) -> None:
    (tmp_path / "ballast" / "__init__.py").write_text("this is half writ")

    assert run(tmp_path, "unchanged") == ["False", "False 1"]


def test_own__every_name__is_a_module_of_ours() -> None:
    for name in OWN:
        assert name.startswith(("include.", "ballast."))
        assert find_spec(name) is not None
