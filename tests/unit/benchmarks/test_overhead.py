"""What counts as unavoidable in an operation, and what as ours."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.outside import Step
from benchmarks.overhead import AIRFLOWS, OURS, Found, Measured, figures
from include.domain.operation import OperationKind

TRIGGERED = 1_000.0


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(TRIGGERED + seconds, UTC)


def measured(
    kind: OperationKind = OperationKind.USDC_ALPACA_TO_BASE, claimed: float = 2, closed: float = 102
) -> Measured:
    """Return an operation with two effects: 60 s of its 100 s are the venues'."""
    operation: Any = SimpleNamespace(
        kind=kind, quantity=1, asset="USDC", opened_at=moment(claimed), closed_at=moment(closed)
    )
    return Measured(
        operation,
        TRIGGERED,
        [
            Step(
                "withdrawal_request", TRIGGERED + 3, {"completed": TRIGGERED + 33, "trusted": TRIGGERED + 43}
            ),
            Step("burn", TRIGGERED + 70, {"trusted": TRIGGERED + 90, "attested": TRIGGERED + 80}),
        ],
    )


def test_step__several_things_end_it__waits_for_the_last() -> None:
    assert measured().steps[0].wait == 40


def test_measured__overhead__is_the_total_without_the_waits() -> None:
    one = measured()

    assert (one.waits, one.overhead, one.share, one.from_trigger) == (60, 40, 0.4, 42)


def test_measured__timeline__names_each_gap_that_is_ours() -> None:
    gaps = [line.split()[1] for line in measured().timeline() if " +" in line]

    assert gaps == ["+2.00", "+1.00", "+27.00", "+12.00"]
    assert sum(map(float, gaps)) == measured().from_trigger


@pytest.mark.parametrize("judged", [True, False])
def test_figures__of_both_worlds__show_ours_beside_airflows(judged: bool) -> None:
    ours = Found([measured(kind) for kind in OperationKind], [1.0, 3.0])
    theirs = Found([measured(kind, closed=202) for kind in OperationKind], [8.0])

    found = {figure.name: figure for figure in figures({OURS: ours, AIRFLOWS: theirs}, judged=judged)}

    share = found["usdc_alpaca_to_base: overhead as a part of the whole"]
    assert (share.value, share.met) == (0.4, False if judged else None)
    assert share.compared_with == f"{AIRFLOWS}: 0.7"
    mint = found["mint: overhead from the claim on"]
    assert (mint.value, mint.goal) == (40, "<= 5" if judged else "")
    assert found["a worker held, each operation"].value == 1.0
    [least] = [one for name, one in found.items() if name.startswith("a worker held by a task")]
    assert (least.value, least.compared_with) == (1.0, f"{AIRFLOWS}: 8")
