"""End what `make up` and `make up-distributed` started, and wait until it is gone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import psutil

from scripts import up, up_distributed
from scripts.processes import stop_recorded

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE_SECONDS: Final = 60


def end(home: Path, record: Path) -> str:
    """End one of them, and return in words what was done; empty where nothing was running.

    :raises psutil.TimeoutExpired: when it did not end by itself, and was killed.
    """
    found = up.recorded(record)
    if found is None:
        # It may have been killed, and have left its processes behind.
        left = _stop_left(home)
        record.unlink(missing_ok=True)
        return f"stopped {', '.join(left)}" if left else ""
    process = psutil.Process(int(found["pid"]))
    sys.stdout.write("down: stopping Airflow and the local world\n")
    sys.stdout.flush()
    process.terminate()
    try:
        process.wait(PATIENCE_SECONDS)
    except psutil.TimeoutExpired:
        process.kill()
        _stop_left(home)
        raise
    return "done"


def _stop_left(home: Path) -> list[str]:
    return [name for part in ("airflow", "servers") for name in stop_recorded(home / part)]


def main() -> int:
    """Run the command."""
    done, code = [], 0
    for home, record in ((up.HOME, up.RECORD), (up_distributed.HOME, up_distributed.RECORD)):
        try:
            done.append(end(home, record))
        except psutil.TimeoutExpired:
            sys.stderr.write("down: it did not end by itself and was killed\n")
            code = 1
    if not code:
        sys.stdout.write(f"down: {'; '.join(filter(None, done)) or 'nothing is running'}\n")
    return code


if __name__ == "__main__":
    raise SystemExit(main())
