"""The page of costs says what the code says."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

from include import costs
from include.domain import budget
from include.domain.decision import Reason
from include.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "costs.md").read_text(encoding="utf-8")
USES = {
    "burn": costs.BURN,
    "receive": costs.RECEIVE,
    "transfer": costs.TRANSFER,
    "vault deposit": costs.VAULT_DEPOSIT,
    "vault withdrawal": costs.VAULT_WITHDRAW,
    "wrap": costs.WRAP,
    "unwrap": costs.UNWRAP,
}


def test_page__table_of_gas__has_the_constants() -> None:
    rows = re.findall(r"^\| ([a-z ]+) \| [^|]+ \| ([\d,]+) \| (\d+) \|$", PAGE, re.MULTILINE)
    found = {name: costs.Use(int(gas.replace(",", "")), int(size)) for name, gas, size in rows}
    assert found == USES


def test_page__numbers_in_its_sentences__are_the_constants() -> None:
    assert timedelta(hours=1) == costs.PRICE_MAX_AGE
    assert "more than an hour old" in PAGE
    assert f"an allowance of {costs.CONVERSION_BPS} hundredths of a percent" in PAGE
    assert f"Without a budget, {budget.SPEED_BPS} hundredths of a percent stand in" in PAGE
    assert str(budget.FAR) == "0.1"
    assert "each\n> tenth of the asset's total beyond its band" in PAGE


def test_page__names_in_it__exist() -> None:
    codes = {Reason.OVER_COST_BUDGET.value, Reason.UNPRICED.value}
    legs = {"bridge", "withdraw", "convert"}
    words = {"auto", "fast", "standard", "usd", "dollars"}
    named = set(re.findall(r"`([a-z_]+)`", PAGE))
    assert named - codes - legs - words <= set(Settings.model_fields)
    assert codes <= named
