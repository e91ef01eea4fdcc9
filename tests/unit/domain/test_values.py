"""What holds for every value of the domain."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from decimal import Decimal
from typing import Any

import pytest

from include.domain.decision import Decision, PlannedOperation, Reason
from include.domain.imbalance import TooMuchOffchain, TooMuchOnchain
from include.domain.limits import DailyLimits, Hold, Left, Shut
from include.domain.operation import OperationKind
from tests.unit.domain.build import (
    DOWN,
    asset_policy,
    balance,
    inventory,
    operation,
    policy,
    settled,
    snapshot,
    threshold,
)

VALUES = [
    balance("1"),
    DOWN,
    inventory("1", "1"),
    snapshot(inventory("1", "1")),
    threshold(),
    TooMuchOnchain(Decimal(1)),
    TooMuchOffchain(Decimal(1)),
    operation(),
    settled(),
    PlannedOperation(OperationKind.MINT, "AAPL", Decimal(1)),
    Decision("AAPL", Reason.BALANCED, "In."),
    asset_policy(),
    policy(),
    DailyLimits({"AAPL": Decimal(1)}),
    Left(Decimal(1), "One."),
    Hold(frozenset({"AAPL"})),
    Shut(Reason.FROZEN, "frozen"),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_value__once_made__cannot_be_changed(value: Any) -> None:
    field = dataclasses.fields(value)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, field, None)
    assert not hasattr(value, "__dict__")


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_value__copied_or_pickled__is_equal(value: Any) -> None:
    assert pickle.loads(pickle.dumps(value)) == value
    assert copy.deepcopy(value) == value
