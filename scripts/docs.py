"""Write the pages of `docs/` that are made from code: settings, reason codes and the doctor's checks.

python -m scripts.docs            write them
python -m scripts.docs --check    fail if one is not up to date
"""

from __future__ import annotations

import argparse
import sys
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal, get_args, get_origin, get_type_hints

from pydantic_core import PydanticUndefined

from include.alerts.kinds import Kind
from include.doctor import ABOUT_AIRFLOW, CHECKS
from include.domain.plan import Reason
from include.metrics.definitions import METRICS, SENT
from include.profiles import ProfileName
from include.settings import AssetSettings, Settings, variable
from include.settings import types as kinds
from include.settings.notifier import Notifiers
from scripts import docs_monitoring as monitoring
from scripts.astro_settings import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

DOCS: Final = ROOT / "docs"
_NOTE: Final = "<!-- Made by `python -m scripts.docs`. Do not edit. -->"
_KINDS: Final[tuple[tuple[object, str], ...]] = (
    (bool, "true or false"),
    (int, "whole number"),
    (str, "text"),
    (kinds.Address, "address"),
    (kinds.Duration, "duration"),
    (kinds.Expiry, "duration"),
    (kinds.NonNegative, "number, not negative"),
    (kinds.Poll, "duration"),
    (kinds.Positive, "number above zero"),
    (kinds.Ratio, "number, 0 to 1"),
    (kinds.Token, "text, secret"),
    (kinds.Url, "URL, secret"),
    (kinds.Urls, "list of URLs, secret"),
    (kinds.VaultId, "vault id"),
    (kinds.VaultIds, "list of vault ids"),
    (kinds.WebUrl, "URL"),
    (Notifiers, "list of tables"),
)
# The first setting of each section.
_SECTIONS: Final = {
    "rebalancing_enabled": "What is kept in balance, and how",
    "token_addresses": "Assets",
    "equity_minimum": "Limits, rests and the gate",
    "wallet": "Places on the chains",
    "issuer": "Tokens, and how USDC crosses at what cost",
    "mint_poll": "Waiting",
    "alert_interval": "Alerts and metrics",
    "alpaca_conn_id": "Airflow Connections",
}
_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))

_INTRODUCTION: Final = """\
# Settings

Ballast reads its settings when Airflow parses the DAG. If one is wrong, the DAG shows an import error that
names every wrong setting at once, and nothing runs.

Each setting is read from, in this order:

1. the environment variable `BALLAST_<NAME>`; one that is empty counts as unset. Tables are given as JSON:
   `BALLAST_TOKEN_ADDRESSES={"AAPL": "0x..."}`. A variable replaces the file's value as a whole.
2. the TOML file named by `BALLAST_SETTINGS_FILE`, or else `settings.toml` in the project's root where there
   is one. `settings.example.toml` is one to start from.
3. the default.

A [book](books.md) with a name has its own settings and takes none of these: those of the book `fund` are in
`books/fund.toml`, or in the folder named by `BALLAST_BOOKS`, and `BALLAST__FUND__<NAME>` wins over its file.

A name that is no setting is an error, in the file and as a `BALLAST_` variable. Durations are seconds
(`60`) or a number with `s`, `m`, `h` or `d` (`30m`). Addresses are `0x` and 40 hex digits; one in mixed
case must have the right EIP-55 checksum. Numbers are read exactly as written.

Credentials and venue hosts are no settings: they are in the Airflow Connections named at the end. Contract
addresses, chain ids and public hosts come with the `profile`.

With `rebalancing_enabled` true these are required: `wallet`, at least one token address, `redemption_wallet`,
`ethereum_rpc_url` and `base_rpc_url`; and `broker` must be `alpaca`.
"""
_ASSET_INTRODUCTION: Final = """\
## One asset: `assets.<SYMBOL>`

In the file a table `[assets.AAPL]`, in the environment a key of the JSON in `BALLAST_ASSETS`. What is left
out comes from the settings above. USDC is always watched and has no token address, because the profile knows
its contract; set `assets.USDC.enabled` to false to move none. No address may be given for two things.

Vault ids are `0x` and 64 hex digits. Vaults are counted together, and need `orderbook`.
"""
_REASONS_INTRODUCTION: Final = """\
# Reason codes

Every check records one of these for every asset. They are looked at in this order, and the first that
applies is the answer; only `planned` moves anything. [Limits](limits.md) says where each one is set and held.
"""


_DOCTOR_INTRODUCTION: Final = """\
# The doctor

It looks at everything that would make an operation fail, and changes nothing: no transaction is sent, nothing
is posted, and the ledger is opened for reading only. One thing may come to be by looking: Alpaca makes the
account's deposit address when it is first asked for it.

| | |
| --- | --- |
| `make doctor` | In the Airflow of this shell: `AIRFLOW_HOME`, and what else its processes have set. |
| `make doctor ARGS=--local` | In the Airflow that `make up` has started; there, everything is ok. |
| `make doctor ARGS="--book fund"` | Of the [book](books.md) `fund`. Its DAG is `rebalancing_fund_doctor`. |
| DAG `rebalancing_doctor` | From within Airflow, triggered by hand. A task cannot see the pools. |

Each thing it looks at is a line, with the advice below when something is amiss:

- `ok`
- `warning`: it works, but not as well as it should, or nothing is begun at the moment.
- `FAILURE`: an operation would fail, or would not be begun, or an asset waits for a person. The command then
  ends with 1, and the task fails; its XCom `findings` has every line in either case.

The checks run at the same time, and one that breaks takes no other with it. Those that need a setting or a
Connection that is missing are named together at the end. No line shows a key, a password or the URL of a
node.

## Checks

Those that end with *Both chains* are made for Ethereum and for Base.
"""


def settings_page() -> str:
    """Return `settings.md`: every setting with its variable, kind, default and meaning."""
    parts = [_NOTE, _INTRODUCTION]
    rows: list[tuple[str, ...]] = []
    heading = ("Setting", "Environment variable", "Kind", "Default", "Meaning")
    for name, kind, field in _fields(Settings):
        if name in _SECTIONS:
            if rows:
                parts.append(_table(heading, rows))
                rows = []
            parts.append(f"## {_SECTIONS[name]}\n")
        rows.append((f"`{name}`", f"`{variable(name)}`", kind, _default(field), str(field.description)))
    parts.append(_table(heading, rows))
    parts.append(_ASSET_INTRODUCTION)
    parts.append(
        _table(
            ("Setting", "Kind", "Default", "Meaning"),
            [
                (f"`{name}`", kind, _default(field), str(field.description))
                for name, kind, field in _fields(AssetSettings)
            ],
        )
    )
    return "\n".join(parts)


def reasons_page() -> str:
    """Return `reason-codes.md`: why an asset is moved or is not."""
    rows = [(f"`{reason.value}`", reason.description) for reason in Reason]
    return "\n".join((_NOTE, _REASONS_INTRODUCTION, _table(("Code", "Meaning"), rows)))


def doctor_page() -> str:
    """Return `doctor.md`: what the doctor looks at, and what to do when something is amiss."""
    abouts = [(about, False) for about in ABOUT_AIRFLOW] + [(one.about, one.each_chain) for one in CHECKS]
    rows = [
        (about.name, _sentence(about.reads) + (" *Both chains.*" if both else ""), about.advice)
        for about, both in abouts
    ]
    return "\n".join((_NOTE, _DOCTOR_INTRODUCTION, _table(("Check", "Looks at", "What to do"), rows)))


def alerts_page() -> str:
    """Return `alerts.md`: what is told, when, and to whom."""
    rows = [
        (f"`{kind.value}`", kind.severity, kind.when, f"[{kind.headline}](runbook.md#{kind.anchor})")
        for kind in Kind
    ]
    table = _table(("Kind", "Severity", "Told when", "What to do"), rows)
    return "\n".join((_NOTE, monitoring.ALERTS, table, monitoring.ALERTS_END))


def metrics_page() -> str:
    """Return `metrics.md`: what machines can read, and what tasks send."""
    kept = [
        (f"`{one.exposed}`", one.type, ", ".join(f"`{label}`" for label in one.labels), one.help)
        for one in METRICS
    ]
    sent = [(f"`{one.name}`", one.type, ", ".join(f"`{tag}`" for tag in one.tags), one.help) for one in SENT]
    parts = (
        _NOTE,
        monitoring.METRICS,
        _table(("Metric", "Type", "Labels", "Is"), kept),
        monitoring.SENT,
        _table(("Metric", "Type", "Tags", "Is"), sent),
    )
    return "\n".join(parts)


PAGES: Final[dict[str, Callable[[], str]]] = {
    "settings.md": settings_page,
    "reason-codes.md": reasons_page,
    "doctor.md": doctor_page,
    "alerts.md": alerts_page,
    "metrics.md": metrics_page,
}


def outdated(folder: Path) -> list[str]:
    """Return the names of the pages that are missing or differ from what the code says."""
    return [name for name, page in PAGES.items() if _read(folder / name) != page()]


def write(folder: Path) -> list[str]:
    """Write every page that is not up to date, and return their names."""
    names = outdated(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(PAGES[name](), encoding="utf-8")
    return names


def _read(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.is_file() else None


def _fields(model: type[BaseModel]) -> list[tuple[str, str, FieldInfo]]:
    hints = get_type_hints(model, include_extras=True)
    return [(name, _kind(hints[name]), field) for name, field in model.model_fields.items()]


def _kind(hint: Any) -> str:
    """Say in words what a setting of this type may be."""
    for known, words in _KINDS:
        if hint == known:
            return words
    if hint == ProfileName or get_origin(hint) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(hint))
    parts = [part for part in get_args(hint) if part is not type(None)]
    if get_origin(parts[0]) is dict:
        return "symbol to address" if get_args(parts[0])[1] == kinds.Address else "symbol to table"
    return _kind(parts[0])


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] if text[0].isalpha() else text


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is None or value is PydanticUndefined or value == ():
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, timedelta):
        seconds = int(value.total_seconds())
        if not seconds:
            return "`0s`"
        size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
        return f"`{seconds // size}{unit}`"
    if isinstance(value, Decimal):
        return f"`{value:f}`"
    return f"`{value}`"


def _table(heading: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [heading, tuple("---" for _ in heading), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.docs", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if a page is not up to date"
    )
    if parser.parse_args(arguments).check:
        names = outdated(DOCS)
        for name in names:
            print(f"docs/{name} is not up to date: run `make docs`", file=sys.stderr)
        return 1 if names else 0
    for name in write(DOCS):
        print(f"wrote docs/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
