"""Bring the ledger's tables up to date: `python -m include.ledger migrate <database URL>`."""

from __future__ import annotations

import argparse
import sys

from include.ledger.database import migrate, open_engine


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m include.ledger", description=__doc__)
    parser.add_argument("command", choices=["migrate"])
    parser.add_argument("url", help="an SQLAlchemy URL, sqlite:///… or postgresql://…")
    options = parser.parse_args(arguments)
    migrate(open_engine(options.url))
    sys.stdout.write("the ledger's tables are up to date\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
