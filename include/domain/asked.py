"""What a person fills in to ask for one operation, read strictly: what is not clear is asked again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from include.domain.amounts import floor_to, parse, plain
from include.domain.decision import Asked, PlannedOperation
from include.domain.operation import OperationKind

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from decimal import Decimal

FIELDS: Final = ("kind", "asset", "amount")
"""Whoever fills in one of these asks for an operation, and has to fill in all."""
_AMOUNT: Final = re.compile(r"[0-9]{1,40}(\.[0-9]{1,40})?")


class WrongField(ValueError):
    """A field of the form is wrong.

    :param field: its name.
    :param problem: what is wrong with it.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


def read_asked(form: Mapping[str, Any], *, by: str, symbols: Collection[str]) -> Asked | None:
    """Return what a form asks for, or None where it asks for no operation.

    :param form: `kind`, `asset`, `amount` (decimal text, in shares or USDC) and `reason`; what is empty or
        missing is not filled in. `assets`, which chooses what a check may move, has no meaning beside them.
    :param by: who asks.
    :param symbols: the assets that there are.
    :raises WrongField: naming the field that is missing or wrong.
    """
    given = {name: _text(form, name) for name in (*FIELDS, "reason")}
    if not any(given[name] for name in FIELDS):
        return None
    for name in (*FIELDS, "reason"):
        if not given[name]:
            raise WrongField(name, "is needed to ask for an operation")
    if form.get("assets"):
        raise WrongField("assets", "is left empty where one operation is asked for")
    kind, asset = _kind(given["kind"]), given["asset"]
    if asset not in symbols:
        raise WrongField("asset", f"{asset} is not among the assets of the settings")
    if not kind.accepts(asset):
        raise WrongField("kind", f"{kind.value} cannot move {asset}")
    operation = PlannedOperation(kind, asset, _amount(given["amount"], kind))
    return Asked(operation, by, given["reason"])


def _text(form: Mapping[str, Any], name: str) -> str:
    value = form.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise WrongField(name, "is text")  # an amount as a JSON number would have passed through a float
    return " ".join(value.split())


def _kind(text: str) -> OperationKind:
    try:
        return OperationKind(text)
    except ValueError:
        known = ", ".join(kind.value for kind in OperationKind)
        raise WrongField("kind", f"{text} is none of {known}") from None


def _amount(text: str, kind: OperationKind) -> Decimal:
    if not _AMOUNT.fullmatch(text):
        raise WrongField("amount", f"{text} is not an amount such as 12.5")
    amount = parse(text)
    if amount == 0:
        raise WrongField("amount", "is above 0")
    if floor_to(amount, kind.decimals) != amount:
        raise WrongField("amount", f"{plain(amount)} is finer than {kind.decimals} decimals")
    return amount
