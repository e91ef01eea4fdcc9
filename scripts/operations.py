"""What a person can do with the open operations, on the command line. `--help` lists it.

    python -m scripts.operations list                in the Airflow of this environment
    python -m scripts.operations --local list        in what `make up` started

Settings, Connections and the ledger are taken from where Airflow's own processes take them: set AIRFLOW_HOME,
and what else they have in their environment, as they have it.
"""

from __future__ import annotations

import os
import sys

from scripts.astro_settings import ROOT
from scripts.doctor import NotRunning, local_environment

LOCAL = "--local"


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == [LOCAL]:
        try:
            os.environ.update(local_environment())
        except NotRunning as error:
            print(f"operations: {error}", file=sys.stderr)
            return 1
        given = given[1:]
    sys.path[:0] = [str(ROOT), str(ROOT / "plugins")]
    from ballast import operations  # noqa: PLC0415 - Airflow reads its environment when it is imported

    return operations.main(given)


if __name__ == "__main__":
    sys.exit(main())
