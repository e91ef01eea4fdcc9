"""What a person can do with the open operations, on the command line.

    python -m scripts.operations list
    python -m scripts.operations show OPERATION
    python -m scripts.operations resume OPERATION --reason TEXT
    python -m scripts.operations cancel OPERATION --reason TEXT
    python -m scripts.operations adopt OPERATION REFERENCE --reason TEXT [--effect EFFECT]
    python -m scripts.operations reconcile OPERATION not_done --reason TEXT [--effect EFFECT]
    python -m scripts.operations reconcile OPERATION closed --delivered AMOUNT --reason TEXT

`--book NAME` before the verb says whose, where the book has a name.

Settings and Connections are those of this machine's Airflow, from its database and from AIRFLOW_CONN_<ID>.
`--json` prints what programs read. The exit code is 1 where it was refused.
"""

# ruff: noqa: PLC0415 - Airflow is imported after it is told where to look; this is a command

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from include.exits.situation import Situation


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    summary, _, usage = (__doc__ or "").partition("\n\n")
    found = argparse.ArgumentParser(
        prog="python -m scripts.operations",
        description=summary,
        epilog=usage,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("--book", default="", metavar="NAME", help="by default the book without a name")
    found.add_argument("--json", action="store_true", help="print JSON")
    verbs = found.add_subparsers(dest="verb", required=True)
    verbs.add_parser("list", help="show every open operation")
    verbs.add_parser("show", help="show one operation, open or not").add_argument("operation")
    for name, text in (
        ("resume", "forget what it waits for, so that the next push looks at once"),
        ("cancel", "close it, where nothing has moved"),
        ("reconcile", "state what happened"),
        ("adopt", "give the reference under which an effect happened"),
    ):
        verb = verbs.add_parser(name, help=text)
        verb.add_argument("operation")
        if name == "reconcile":
            verb.add_argument("outcome", choices=["not_done", "closed"])
            verb.add_argument("--delivered", default="", help="what arrived, in whole shares or USDC")
        if name == "adopt":
            verb.add_argument("reference", help="the id at Alpaca, or the hash of a transaction")
        if name in ("reconcile", "adopt"):
            verb.add_argument("--effect", default="", help="id or name, where several are not resolved")
        verb.add_argument("--reason", required=True, help="why; it is recorded")
        verb.add_argument("--actor", default=None, help="who you are, by default your login")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    options = parser().parse_args(arguments)
    # As Airflow's own commands do: without it, what is stored in Airflow's database is not looked at.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    with redirect_stdout(sys.stderr):  # where Airflow logs, so that the answer stands alone
        from ballast.hooks import ConnectionIncomplete
        from include.exits.refusal import Refusal
        from include.settings import SettingsError

        try:
            found = run(options)
        except (Refusal, ConnectionIncomplete, SettingsError) as refusal:
            print(f"refused: {refusal}", file=sys.stderr)
            return 1
    if options.json:
        print(json.dumps([situation.to_dict() for situation in found], indent=2))
    else:
        print("\n\n".join("\n".join(situation.lines()) for situation in found) or "no operation is open")
    return 0


def run(options: argparse.Namespace) -> list[Situation]:
    """Do what the options say, and return where each operation concerned stands.

    :raises Refusal: when it is not done.
    """
    from ballast.hooks import open_ledger
    from ballast.interventions import listed, perform
    from include.exits.request import Request
    from include.exits.situation import describe
    from include.ledger.ledger import utc_now
    from include.ledger.records import Verb
    from include.settings import load_settings

    settings = load_settings(book=options.book)
    with open_ledger(settings) as ledger:
        if options.verb == "list":
            return listed(ledger)
        if options.verb == "show":
            return [describe(ledger, options.operation, utc_now())]
        given = {
            name: getattr(options, name, "")
            for name in ("reason", "effect", "reference", "outcome", "delivered")
        }
        request = Request(Verb(options.verb), options.operation, **given)
        return [perform(settings, ledger, options.actor or getpass.getuser(), request)]


if __name__ == "__main__":
    sys.exit(main())
