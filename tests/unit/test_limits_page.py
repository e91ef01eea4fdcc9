"""The page of limits knows every limit there is, and names only what exists."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from include.domain.plan import Reason
from include.settings import AssetSettings, Settings
from scripts.astro_settings import ROOT
from scripts.docs import _default
from tests.unit.test_docs import written_tests

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE: Final = ROOT / "docs" / "limits.md"
_CODE: Final = re.compile(r"`([^`]+)`")
_LIMIT: Final = re.compile(
    r"(^|_)(deviation|minimum|maximum|cap|reserve|cooldown|gate|min_gas|budget|patience|enabled|max)(_|$)"
)
_NO_LIMIT_SETTINGS: Final = {"worker_patience"}
_VARIABLES: Final = {"rebalancing_switch", "rebalancing_hold"}
# What forbids nothing, or is no limit but a state of the world.
_NO_LIMITS: Final = {"unread", "in_flight", "no_inventory", "not_selected", "dry_run", "planned"}


class Row(NamedTuple):
    what: str
    settings: str
    default: str
    unit: str
    reasons: str
    enforced: str
    tests: str


def rows(text: str) -> list[Row]:
    table = text.partition("## The table")[2].partition("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("| ")][2:]
    return [Row(*(cell.strip() for cell in line.strip("|").split("|"))) for line in lines]


def is_limit(name: str) -> bool:
    return _LIMIT.search(name) is not None


def missing_settings(found: Iterable[Row]) -> set[str]:
    """Return the settings that limit something and that no row has."""
    named = {name for row in found for name in _CODE.findall(row.settings)}
    own = {f"assets.*.{name}" for name in AssetSettings.model_fields if is_limit(name)}
    return ({name for name in Settings.model_fields if is_limit(name)} | own) - named - _NO_LIMIT_SETTINGS


def unknown_settings(found: Iterable[Row]) -> set[str]:
    """Return what rows name as a setting or Variable that there is not."""
    named = {name for row in found for name in _CODE.findall(row.settings)}
    own = {f"assets.*.{name}" for name in AssetSettings.model_fields}
    return named - set(Settings.model_fields) - own - _VARIABLES


def unknown_reasons(found: Iterable[Row]) -> set[str]:
    return {code for row in found for code in _CODE.findall(row.reasons)} - {
        reason.value for reason in Reason
    }


def missing_reasons(found: Iterable[Row]) -> set[str]:
    named = {code for row in found for code in _CODE.findall(row.reasons)}
    return {reason.value for reason in Reason} - named - _NO_LIMITS


def without_ground(found: Iterable[Row]) -> list[str]:
    """Return the rows that name no file that enforces them, or no test that exists."""
    return [
        row.what
        for row in found
        if not _CODE.findall(row.enforced)
        or not all((ROOT / path).is_file() for path in _CODE.findall(row.enforced))
        or not _CODE.findall(row.tests)
        or set(_CODE.findall(row.tests)) - written_tests()
    ]


def wrong_defaults(found: Iterable[Row]) -> list[str]:
    """Return the settings whose default is not what their row says."""
    wrong = []
    for row in found:
        for name in _CODE.findall(row.settings):
            field = Settings.model_fields.get(name)
            if field is None or field.default_factory is not None:
                continue
            if (_default(field) or "none") not in row.default:
                wrong.append(name)
    return wrong


@pytest.fixture(scope="module")
def found() -> list[Row]:
    return rows(PAGE.read_text(encoding="utf-8"))


def test_settings__that_limit_something__are_all_on_the_page(found: list[Row]) -> None:
    assert missing_settings(found) == set()


def test_settings__on_the_page__exist_and_have_the_default_it_says(found: list[Row]) -> None:
    assert unknown_settings(found) == set()
    assert wrong_defaults(found) == []


def test_reasons__on_the_page__exist_and_are_all_there(found: list[Row]) -> None:
    assert unknown_reasons(found) == set()
    assert missing_reasons(found) == set()


def test_rows__of_the_page__say_where_they_are_enforced_and_what_test_holds_them(found: list[Row]) -> None:
    assert without_ground(found) == []


_HELD: Final = "`test_detect__one_wei_past_a_bound__is_not_balanced`"
WRONG: Final = f"""
## The table

| What | Settings | Default | Unit | Reason code | Enforced in | Held by |
| --- | --- | --- | --- | --- | --- | --- |
| One | `equity_cap`, `equity_cup` | `7` | shares | `too_much` | `include/nothing.py` | {_HELD} |
| Two | `usdc_cap` | none | USDC | `held` | `include/gate.py` | `test_nothing__of__the_kind` |
| Three | `max_open_operations` | none | | `over_limit` | `include/gate.py` | {_HELD} |

## Another heading
"""


def test_the_checks__on_a_page_with_one_of_each_mistake__find_just_those() -> None:
    wrong = rows(WRONG)
    assert [row.what for row in wrong] == ["One", "Two", "Three"]
    assert unknown_settings(wrong) == {"equity_cup"}
    assert {"usdc_maximum", "assets.*.daily_maximum", "refusal_cooldown", "gate_url"} <= missing_settings(
        wrong
    )
    assert missing_settings(wrong).isdisjoint({"usdc_cap", "max_open_operations", "wallet", "mint_poll"})
    assert wrong_defaults(wrong) == ["equity_cap"]
    assert unknown_reasons(wrong) == {"too_much"}
    assert {"frozen", "over_daily_limit"} <= missing_reasons(wrong)
    assert without_ground(wrong) == ["One", "Two"]
