from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.settings.names import Names, is_name, misnamed_dag

RESERVED = ("check", "operations", "doctor", "alerts", "switch", "hold", "in", "out", "alert", "default")
ASSETS = ("AAPL", "BRK.B", "USDC")
names_of_books = st.from_regex(r"[a-z][a-z0-9]{0,23}", fullmatch=True).filter(is_name)


def dags(names: Names) -> list[str]:
    return [names.dag, names.operations_dag, names.doctor_dag, names.alerts_dag]


def pools(names: Names) -> list[str]:
    return [names.check_pool, names.operations_pool]


def variables(names: Names) -> list[str]:
    return [names.switch, names.hold, names.alert_ledger, *map(names.in_progress, ASSETS)]


def test_names__of_the_nameless_book__are_what_they_always_were() -> None:
    names = Names()

    assert names.label == "default"
    assert dags(names) == [
        "rebalancing",
        "rebalancing_operations",
        "rebalancing_doctor",
        "rebalancing_alerts",
    ]
    assert pools(names) == ["rebalancing_check", "rebalancing_operations"]
    assert names.switch == "rebalancing_switch"
    assert names.hold == "rebalancing_hold"
    assert names.in_progress("AAPL") == "rebalancing_in_progress_AAPL"
    assert names.alert_ledger == "rebalancing_alert_ledger"
    assert names.out_of_band == "rebalancing_out_of_band"


def test_names__of_a_book__have_its_name_after_the_stem() -> None:
    names = Names("fund")

    assert names.label == "fund"
    assert dags(names)[0] == "rebalancing_fund"
    assert dags(names)[1] == names.operations_pool == "rebalancing_fund_operations"
    assert names.in_progress("AAPL") == "rebalancing_fund_in_progress_AAPL"
    assert names.in_progress("AAPL").startswith(names.in_progress_prefix)


@given(st.lists(st.one_of(st.just(""), names_of_books), min_size=2, max_size=4, unique=True))
def test_names__of_several_books__are_never_the_same_nor_those_of_another(found: list[str]) -> None:
    for one, other in itertools.permutations(map(Names, found), 2):
        assert not set(dags(one)) & set(dags(other))
        assert not set(pools(one)) & set(pools(other))
        assert not set(variables(one)) & set(variables(other))
        assert not any(one.belongs(dag) for dag in dags(other))
        # Variables of one prefix are listed and deleted together.
        assert not any(name.startswith(one.in_progress_prefix) for name in variables(other))
        assert one.out_of_band != other.out_of_band


def test_belongs__knows_the_dags_of_the_book_and_no_others() -> None:
    assert all(Names("fund").belongs(dag) for dag in dags(Names("fund")))
    for other in ("rebalancing", "rebalancing_funds", "rebalancing_fund_check", "fund", ""):
        assert not Names("fund").belongs(other)


@pytest.mark.parametrize(
    "text",
    [
        *RESERVED,
        "Fund",
        "fund_a",
        "1fund",
        "fund-a",
        "fünd",
        "a" * 25,
        "fund\n",
        " fund",
        "../fund",
        "fund a",
    ],
)
def test_name__that_no_book_may_have__is_refused_with_what_one_may_be(text: str) -> None:
    assert not is_name(text)
    with pytest.raises(ValueError, match="small letters and digits"):
        Names(text)


@pytest.mark.parametrize("text", ["a", "fund", "fund2", "a" * 24, "checks"])
def test_name__of_small_letters_and_digits__is_one(text: str) -> None:
    assert is_name(text)
    assert Names(text).book == text


@given(st.text(), names_of_books)
def test_misnamed_dag__is_a_valid_id_that_belongs_to_no_book(text: str, book: str) -> None:
    found = misnamed_dag(text)

    assert found.replace(".", "").replace("-", "").replace("_", "").isascii()
    assert not Names(book).belongs(found)
    assert not Names().belongs(found)
