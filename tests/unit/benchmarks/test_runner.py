"""What a figure says of itself, and when the run of all subjects fails."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks.__main__ import is_good, subjects, table
from benchmarks.figure import Figure


def subject(*figures: Figure, failure: str | None = None) -> dict[str, Any]:
    found = [json.loads(json.dumps(one.to_dict())) for one in figures]
    return {"subject": "one", "seconds": 1.5, "failure": failure, "figures": found}


@pytest.mark.parametrize(
    ("goal", "met"),
    [("<= 5", True), ("== 5", True), (">= 5", True), ("< 5", False), ("> 5", False), ("", None)],
)
def test_figure__goal__is_met_or_not(goal: str, met: bool | None) -> None:
    assert Figure("requests", 5, "requests", goal=goal).met is met


@pytest.mark.parametrize("goal", ["5", "~ 5", "<= five"])
def test_figure__goal_that_is_none__refused(goal: str) -> None:
    with pytest.raises(ValueError, match=r"goal|could not convert"):
        Figure("requests", 5, "requests", goal=goal)


def test_figure__guard_without_a_goal__refused() -> None:
    with pytest.raises(ValueError, match="a guard needs a goal"):
        Figure("requests", 5, "requests", guard=True)


def test_figure__of_runs__is_the_median_with_its_spread() -> None:
    figure = Figure.of("time", [3.0, 1.0, 9.0], "s", goal="<= 4")
    assert (figure.value, figure.spread, figure.runs, figure.met) == (3.0, (1.0, 9.0), 3, True)


@pytest.mark.parametrize(
    "figure", [Figure("a", 1, "s"), Figure.of("b", [1, 2, 3], "s", goal="<= 2", guard=True)]
)
def test_figure__written_and_read__is_the_same(figure: Figure) -> None:
    assert Figure.from_dict(json.loads(json.dumps(figure.to_dict()))) == figure


def test_is_good__only_a_guard_or_a_failure_breaks_it() -> None:
    missed = Figure("time", 5, "s", goal="<= 1")
    assert is_good([subject(missed, Figure("requests", 5, "requests", goal="== 5", guard=True))])
    assert not is_good([subject(Figure("requests", 6, "requests", goal="== 5", guard=True))])
    assert not is_good([subject(missed), subject(failure="it failed: 1")])


def test_table__says_what_is_met_missed_and_broken() -> None:
    text = table(
        [
            subject(
                Figure("fine", 5, "requests", goal="== 5", guard=True, compared_with="405 the usual way"),
                Figure("slow", 2.5, "times", goal="<= 1", spread=(2.0, 3.0)),
                Figure("wrong", 6, "requests", goal="== 5", guard=True),
            ),
            subject(failure="it failed: 1"),
        ]
    )
    lines = {line.split()[0]: line for line in text.splitlines()}
    assert lines["fine"].endswith("== 5  met     405 the usual way")
    assert "2.5 times" in lines["slow"]
    assert "2 .. 3" in lines["slow"]
    assert "missed" in lines["slow"]
    assert "BROKEN" in lines["wrong"]
    assert "FAILED" in lines["it"]


def test_subjects__are_the_modules_with_a_name_and_a_run() -> None:
    found = subjects()
    assert found["check"] == "benchmarks.check"
    assert found["planning"] == "benchmarks.planning"
    assert "benchmarks.ground" not in found.values()
