from __future__ import annotations

import pytest

from include.doctor.report import Finding, Level, exit_code, failures, summary

OK = Finding("gas (base)", Level.OK, "the wallet holds 1 ETH")
WARNING = Finding("switch", Level.WARNING, "it is drain", "Set it to run.")
FAILURE = Finding("ledger", Level.FAILURE, "no tables", "Migrate it.")


@pytest.mark.parametrize(
    ("findings", "code"), [([], 0), ([OK], 0), ([OK, WARNING], 0), ([OK, FAILURE, WARNING], 1)]
)
def test_exit_code__is_1_for_a_failure_only(findings: list[Finding], code: int) -> None:
    assert exit_code(findings) == code
    assert failures(findings) == [finding for finding in findings if finding is FAILURE]


def test_lines__are_aligned_and_have_the_advice_below() -> None:
    assert [line for finding in (OK, WARNING, FAILURE) for line in finding.lines()] == [
        "ok      gas (base): the wallet holds 1 ETH",
        "warning switch: it is drain",
        "        -> Set it to run.",
        "FAILURE ledger: no tables",
        "        -> Migrate it.",
    ]


def test_summary__counts_each_level() -> None:
    assert summary([OK, OK, FAILURE]) == "2 ok, 0 warnings, 1 failure"
    assert summary([WARNING]) == "0 ok, 1 warning, 0 failures"


def test_to_dict__holds_everything() -> None:
    assert FAILURE.to_dict() == {
        "check": "ledger",
        "level": "failure",
        "found": "no tables",
        "advice": "Migrate it.",
    }
