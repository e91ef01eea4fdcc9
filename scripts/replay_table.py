"""The report of a replay as a table for people."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from rich.table import Table

from include.domain.amounts import plain

if TYPE_CHECKING:
    from include.replay.models import Column, Compared, Report

COLUMNS = (
    "",
    "",
    "operations",
    "moved",
    "fees $",
    "out of own band",
    "out of the set band",
    "largest excess",
)


def replay_table(report: Report) -> Table:
    """Make two rows of each asset: what was, and below it what would have been."""
    replay = report.replay
    skipped = ", ".join(f"{count} skipped: {why.replace('_', ' ')}" for why, count in replay.skipped.items())
    title = f"{replay.name}: {replay.overrides}\n{replay.done} runs on {report.looks} looks; {skipped}"
    table = Table(title=title, title_justify="left")
    for number, name in enumerate(COLUMNS):
        table.add_column(name, justify="left" if number < 3 else "right", no_wrap=True)
    for one in (*report.assets, *report.together):
        table.add_row(one.of, "was", *_cells(one.was))
        table.add_row(_short(one), "would be", *_cells(one.would), end_section=True)
    return table


def _cells(column: Column) -> tuple[str, ...]:
    kinds = "\n".join(f"{count} {kind}" for kind, count in column.operations.items()) or "none"
    fees = column.fees
    dollars = "not known" if fees.dollars is None else f"{Decimal(fees.dollars):.2f}"
    return (
        kinds,
        "" if column.moved is None else plain(round(Decimal(column.moved), 2)),
        dollars + (" or more" if fees.partial and fees.dollars is not None else ""),
        _share(column.outside_own_seconds, column.known_seconds),
        _share(column.outside_base_seconds, column.known_seconds),
        "" if column.largest_excess is None else plain(round(Decimal(column.largest_excess), 2)),
    )


def _share(seconds: int, of: int) -> str:
    return f"{seconds / 3600:.1f} h ({100 * seconds / of:.0f} %)" if of else "not known"


def _short(one: Compared) -> str:
    return f"short {one.short_seconds / 3600:.1f} h" if one.short_seconds else ""
