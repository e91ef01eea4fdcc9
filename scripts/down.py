"""End what `make up` started, and wait until it is gone."""

from __future__ import annotations

import sys
from typing import Final

import psutil

from scripts.local_airflow import stop_recorded
from scripts.up import HOME, RECORD, running

PATIENCE_SECONDS: Final = 60


def main() -> int:
    """Run the command."""
    found = running()
    if found is None:
        # It may have been killed, and have left Airflow behind.
        left = stop_recorded(HOME / "airflow")
        RECORD.unlink(missing_ok=True)
        sys.stdout.write(f"down: stopped {', '.join(left)}\n" if left else "down: nothing is running\n")
        return 0
    process = psutil.Process(int(found["pid"]))
    sys.stdout.write("down: stopping Airflow and the local world\n")
    sys.stdout.flush()
    process.terminate()
    try:
        process.wait(PATIENCE_SECONDS)
    except psutil.TimeoutExpired:
        process.kill()
        stop_recorded(HOME / "airflow")
        sys.stderr.write("down: it did not end by itself and was killed\n")
        return 1
    sys.stdout.write("down: done\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
