"""A sample of the chaos tests; `make chaos` plays all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from include.domain.operation import OperationKind
from tests.chaos.ground import Ground, ground, world
from tests.chaos.matrix import baseline, case, matrix
from tests.chaos.mutants import MUTANTS
from tests.chaos.schedules import play

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from include.sandbox.world import World

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

SAMPLES = 6
SCHEDULES = 2


@pytest.fixture(scope="module")
def started() -> Iterator[World]:
    with world() as running:
        yield running


@pytest.fixture(params=list(OperationKind))
def place(request: pytest.FixtureRequest, started: World, tmp_path: Path) -> Iterator[Ground]:
    with ground(started, tmp_path, request.param) as prepared:
        yield prepared


def test_boundaries__before_each_request_that_moves_money__are_known(place: Ground) -> None:
    trace, counts = baseline(place)
    sent = [label for label in trace if "before POST" in label or "before eth_sendRawTransaction" in label]
    assert len(sent) >= len(place.kind.legs)
    assert sum(counts.values()) >= len(sent)
    assert [label for label in trace if label == "claim: after commit"]


def test_matrix__a_sample_of_the_boundaries__survives(place: Ground) -> None:
    trace, _ = baseline(place)
    result = matrix(place, every=-(-len(trace) // SAMPLES))
    assert result.failures == []
    assert result.survived == result.cases
    assert result.cases + result.unreached >= SAMPLES


def test_schedules__two_at_once__survive(place: Ground) -> None:
    trace, counts = baseline(place)
    assert [play(place, seed, trace, counts) for seed in range(SCHEDULES)] == [[]] * SCHEDULES


def test_matrix__a_mint_without_its_key__is_noticed(started: World, tmp_path: Path) -> None:
    mutant = "no-idempotency-key"
    with ground(started, tmp_path, MUTANTS[mutant].kind) as place:
        trace, counts = baseline(place, mutant)
        # By its label: what comes before takes an entry more or less, by how quick the chain is.
        posted = next(label for label in trace if "after POST" in label)
        played = case(place, posted, counts, mutant)
    assert played is not None
    wrong, _ = played
    assert any(entry.startswith("doubled: mint") for entry in wrong)
