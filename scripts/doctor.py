"""Check, read only, everything that the first real operation needs.

    python -m scripts.doctor            in the Airflow of this environment
    python -m scripts.doctor --local    in what `make up` started
    python -m scripts.doctor --book NAME    of the book of that name

It takes settings, Connections, Variables and pools from where Airflow's own processes take them: set
AIRFLOW_HOME, and what else they have in their environment, as they have it. It ends with 1 when there is a
failure.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING

from scripts.astro_settings import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.doctor.report import Finding

SERVER_CONTEXT = "_AIRFLOW_PROCESS_CONTEXT"
"""By `server` in it Airflow knows a process that may read Connections and Variables from its database."""
LOG_LEVEL = "AIRFLOW__LOGGING__LOGGING_LEVEL"


class NotRunning(RuntimeError):
    """There is no local world to look at."""


def local_environment() -> dict[str, str]:
    """Return the environment of the Airflow that `make up` started.

    :raises NotRunning: when it did not, or is not ready.
    """
    import httpx  # noqa: PLC0415 - only the local world needs it, and what starts it

    from scripts import up  # noqa: PLC0415 - as httpx
    from scripts.local_airflow import environment  # noqa: PLC0415 - as httpx

    record = up.running() or {}
    if "control" not in record:
        raise NotRunning("nothing is running here: start it with `make up`")
    world = (
        httpx.get(f"{record['control']}/environment", timeout=30, trust_env=False).raise_for_status().json()
    )
    port = httpx.URL(str(record["ui"])).port or up.UI_PORT
    ledger = {"conn_type": "sqlite", "host": str(up.HOME / "ledger.db")}
    return {
        **environment(up.HOME / "airflow", port),
        **world,
        "AIRFLOW_CONN_REBALANCING_LEDGER": json.dumps(ledger),
    }


def examine(book: str) -> list[Finding]:
    """Look at everything of a book, in the Airflow of this process's environment."""
    sys.path[:0] = [str(ROOT), str(ROOT / "plugins")]
    os.environ[SERVER_CONTEXT] = "server"
    os.environ.setdefault(LOG_LEVEL, "ERROR")
    from ballast import doctor  # noqa: PLC0415 - Airflow reads its environment when it is imported

    return doctor.examine_with_database(book)


def show(findings: Iterable[Finding]) -> int:
    """Write every finding and how many there are, and return the exit code."""
    from include.doctor.report import exit_code, summary  # noqa: PLC0415 - after the environment is set

    found = list(findings)
    for finding in found:
        for line in finding.lines():
            print(line)
    print(f"\ndoctor: {summary(found)}")
    return exit_code(found)


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.doctor", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--local", action="store_true", help="look at what `make up` started")
    parser.add_argument("--book", default="", metavar="NAME", help="by default the book without a name")
    options = parser.parse_args(arguments)
    if options.local:
        try:
            os.environ.update(local_environment())
        except NotRunning as error:
            print(f"doctor: {error}", file=sys.stderr)
            return 1
    return show(examine(options.book))


if __name__ == "__main__":
    sys.exit(main())
