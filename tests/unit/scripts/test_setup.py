"""The set-up script, as far as it goes without installing anything."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
BASH = shutil.which("bash") or "/bin/bash"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with the script and what it reads, and an empty folder of programs beside it."""
    for name in ("package.json", "package-lock.json", *(file.name for file in ROOT.glob("requirements*"))):
        shutil.copy(ROOT / name, tmp_path)
    for folder in ("scripts", "providers"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
        )
    (tmp_path / "bin").mkdir()
    for tool in ("dirname", "cksum", "cat", "sleep", "mkdir", "tail", "grep"):
        (tmp_path / "bin" / tool).symlink_to(str(shutil.which(tool)))
    return tmp_path


def program(project: Path, name: str, script: str) -> None:
    file = project / "bin" / name
    file.write_text(f"#!{BASH}\n{script}\n", encoding="utf-8")
    file.chmod(0o755)


def setup(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(project / "bin"), "HOME": str(project)}
    return subprocess.run(
        [BASH, str(project / "scripts" / "setup.sh"), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_setup__no_node__is_named_with_what_to_do(project: Path) -> None:
    done = setup(project)
    assert done.returncode == 1
    assert "node is missing" in done.stderr
    assert "apt-get install nodejs npm" in done.stderr


def test_setup__old_node__is_named(project: Path) -> None:
    program(project, "node", 'case "$1" in --version) echo v18.1.0;; *) exit 1;; esac')
    program(project, "npm", "exit 0")
    done = setup(project)
    assert done.returncode == 1
    assert "Node.js v18.1.0 is too old" in done.stderr


def test_setup__no_fitting_python__is_named_with_what_to_do(project: Path) -> None:
    for name in ("node", "npm"):
        program(project, name, "exit 0")
    # A shim is on the path and fails, or runs a Python that is too old.
    program(project, "python3", "exit 1")
    program(project, "python3.12", "echo 'pyenv: python3.12: command not found' >&2; exit 127")
    done = setup(project)
    assert done.returncode == 1
    assert "no Python 3.11, 3.12 or 3.13" in done.stderr
    assert "apt-get install python3 python3-venv" in done.stderr


def test_find_python__first_ones_fail__takes_the_one_that_runs(project: Path) -> None:
    program(project, "python3", "exit 1")
    program(project, "python3.11", "exit 0")
    assert setup(project, "--find-python").stdout == "python3.11"


def test_setup__second_time__does_nothing(project: Path) -> None:
    calls = project / "calls"
    program(project, "node", "exit 0")
    program(
        project,
        "npm",
        f'echo "npm $*" >>{calls}; mkdir -p node_modules/.bin; cp bin/node node_modules/.bin/anvil',
    )
    program(
        project,
        "python3",
        # A virtual environment of stand-ins, which write down how they are called.
        f"""
        echo "python $*" >>{calls}
        if [ "$2" = venv ]; then
            mkdir -p .venv/bin
            for name in python uv pip; do cp bin/$name.stand-in .venv/bin/$name; done
        fi
        if [ "$1" = --version ]; then echo Python 3.12.0; fi
        """,
    )
    for name in ("python", "uv", "pip"):
        program(project, f"{name}.stand-in", f'echo "{name} $*" >>{calls}; echo "pip from {project}/.venv"')
    (project / "bin" / "cp").symlink_to(str(shutil.which("cp")))

    first = setup(project)
    assert first.returncode == 0, first.stderr
    installed = calls.read_text()
    assert "python -m venv --clear .venv" in installed
    assert "--require-hashes -r requirements-uv.txt" in installed
    assert "--require-hashes -r requirements.lock" in installed
    assert "--no-deps --require-hashes -r requirements-specs.txt" in installed
    assert re.search(r"--offline --no-deps --no-build-isolation .*\./providers/ballast", installed)
    assert "npm install --no-save --ignore-scripts" in installed
    assert "- installing" in first.stdout

    calls.unlink()
    second = setup(project)
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert not calls.exists()

    # A change of what is to be installed is noticed, and only its half is done again.
    (project / "package-lock.json").write_text("{}", encoding="utf-8")
    third = setup(project)
    assert third.returncode == 0
    assert calls.read_text().startswith("npm install")
    assert "uv pip" not in calls.read_text()


def test_setup__a_step_fails__shows_the_end_of_its_output(project: Path) -> None:
    program(project, "node", "exit 0")
    program(project, "npm", "exit 0")
    program(
        project, "python3", 'if [ "$2" = venv ]; then echo "no space left"; exit 1; fi; echo Python 3.12.0'
    )
    done = setup(project)
    assert done.returncode == 1
    assert "no space left" in done.stderr
    assert "this failed: making .venv with Python 3.12.0" in done.stderr


class TestLocks:
    @pytest.mark.parametrize("name", ["requirements.lock", "requirements-uv.txt", "requirements-specs.txt"])
    def test_lock__every_package__has_an_exact_version_and_a_hash(self, name: str) -> None:
        text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
        lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        assert lines
        for line in lines:
            assert re.match(r"[a-zA-Z0-9._-]+(\[[a-z0-9,_-]+\])?==\S+ ", line), line
            assert "--hash=sha256:" in line

    def test_locks__no_package_index__is_named(self) -> None:
        for name in (
            "requirements.lock",
            "requirements-uv.txt",
            "requirements-specs.txt",
            "package-lock.json",
        ):
            text = (ROOT / name).read_text(encoding="utf-8")
            assert "--index-url" not in text
            assert '"resolved"' not in text


def test_makefile__every_target__is_explained_by_help() -> None:
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed")
    shown = subprocess.run([make, "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert phony is not None
    assert re.findall(r"^  make ([\w-]+) +\w", shown, re.MULTILINE) == phony[1].split()
