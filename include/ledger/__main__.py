"""Look after a ledger, by the URL of its database.

`python -m include.ledger migrate URL` brings its tables up to date, and `release` in its place lets another
wallet have it, once nothing is open.
"""

from __future__ import annotations

import argparse
import sys

from include.ledger.database import migrate, open_engine, require_current
from include.ledger.owner import NotTheOwner, release


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m include.ledger", description=__doc__)
    parser.add_argument("command", choices=["migrate", "release"])
    parser.add_argument("url", help="an SQLAlchemy URL, sqlite:///… or postgresql://…")
    options = parser.parse_args(arguments)
    engine = open_engine(options.url)
    if options.command == "migrate":
        migrate(engine)
        sys.stdout.write("the ledger's tables are up to date\n")
        return 0
    require_current(engine)
    try:
        release(engine)
    except NotTheOwner as refused:
        sys.stderr.write(f"refused: {refused}\n")
        return 1
    sys.stdout.write("the ledger is nobody's: the next wallet that moves money with it has it\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
