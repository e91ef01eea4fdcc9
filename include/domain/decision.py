"""What a plan says about one asset, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from include.domain.amounts import floor_to, not_negative, parse, plain
from include.domain.cost import Estimate
from include.domain.imbalance import Imbalance, imbalance_from_dict
from include.domain.operation import OperationKind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal


class Reason(StrEnum):
    """Why an asset is moved or is not, in the order in which they are looked at.

    First what forbids a judgement, then the judgement, then what forbids the move. `planned` alone moves
    money. An amount above the asset's maximum, or above what is left of the day, is no reason not to move:
    it is cut, and the rest stays for a later check. Only what a person asked for is never cut, but refused.
    The docs table and the metric labels are made from this list.
    """

    description: str

    def __new__(cls, value: str, description: str = "") -> Reason:
        """Make a member whose value is its code."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.description = description
        return member

    CLAIMED = "claimed", "An open operation already moves this asset."
    STALE = "stale", "The snapshot is older than allowed, or a clock is wrong."
    UNREAD = "unread", "A venue could not be read, and unread is not zero."
    SETTLING = "settling", "The snapshot is not yet newer than the end of the asset's last operation."
    IN_FLIGHT = "in_flight", "Some of the asset has left one venue and has not reached the other."
    NO_INVENTORY = "no_inventory", "Neither venue holds any of the asset."
    BALANCED = "balanced", "The ratio is inside its band or on its edge."
    ASKED_BEFORE = "asked_before", "What this run was asked for by hand, it has begun already."
    NOTHING_AVAILABLE = (
        "nothing_available",
        "The venue that has too much has nothing free to move: it is held there, or kept as a reserve.",
    )
    BELOW_MINIMUM = (
        "below_minimum",
        "The amount that could be moved is smaller than the asset's minimum size.",
    )
    OVER_AVAILABLE = (
        "over_available",
        "More was asked for by hand than the venue it would leave has free.",
    )
    OVER_MAXIMUM = "over_maximum", "More was asked for by hand than the asset's maximum or cap allows."
    ASSET_DISABLED = "asset_disabled", "The settings switch this asset off."
    HELD = (
        "held",
        "People hold the asset back by the Variable `rebalancing_hold`, or its value is unreadable.",
    )
    NOT_SELECTED = "not_selected", "This run was asked for other assets only."
    COOLING_DOWN = "cooling_down", "The asset rests after its last operation, longer after refusals in a row."
    REBALANCING_DISABLED = "rebalancing_disabled", "Rebalancing is disabled: observe only."
    SWITCH_NOT_AT_RUN = "switch_not_at_run", "The switch is not at run, so nothing new is started."
    FROZEN = "frozen", "The gate says that the asset is frozen."
    GATE_SILENT = "gate_silent", "The gate was asked whether the asset is frozen and gave no usable answer."
    UNPRICED = (
        "unpriced",
        "There is a cost budget, and a source of prices did not answer, so the cost is not known.",
    )
    OVER_COST_BUDGET = (
        "over_cost_budget",
        "The move would cost more than its budget, which grows while it waits.",
    )
    OVER_LIMIT = (
        "over_limit",
        "As many operations are open as may be, or assets further from target came first.",
    )
    OVER_DAILY_LIMIT = (
        "over_daily_limit",
        "What is left of a daily maximum is too little to move; a live check then turns the switch to drain.",
    )
    DRY_RUN = "dry_run", "A dry run moves nothing; otherwise the asset would have been moved."
    PLANNED = "planned", "The asset is out of its band, or was asked for by hand, and is to be moved."


@dataclass(frozen=True, slots=True)
class PlannedOperation:
    """An operation to be claimed.

    :param amount: what leaves the source, in whole shares, tokens or dollars; floored to `kind.decimals`.
    :raises ValueError: if the amount is not above zero or is too fine, or the kind cannot move the asset.
    """

    kind: OperationKind
    asset: str
    amount: Decimal

    def __post_init__(self) -> None:
        self.kind.require(self.asset)
        if not_negative(self.amount) == 0:
            raise ValueError("an operation must move something")
        if floor_to(self.amount, self.kind.decimals) != self.amount:
            raise ValueError(f"{plain(self.amount)} is finer than {self.kind.decimals} decimals")

    def to_dict(self) -> dict[str, str]:
        """Return the JSON form; the amount is text."""
        return {"kind": self.kind.value, "asset": self.asset, "amount": plain(self.amount)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PlannedOperation:
        """Read back what `to_dict` wrote."""
        return cls(OperationKind(data["kind"]), data["asset"], parse(data["amount"]))


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asked for, in place of what an imbalance asks for.

    :param operation: exactly this is moved, or nothing.
    :param by: who asked.
    :param reason: why, in their own words.
    :param begun_as: the operation that this was begun as already, where it was: it is moved once, however
        often it is looked at.
    """

    operation: PlannedOperation
    by: str
    reason: str
    begun_as: str | None = None

    @property
    def words(self) -> str:
        """Say it, for a person."""
        kind, amount = self.operation.kind.value, plain(self.operation.amount)
        return f"{self.by} asked for {kind} {amount}: {self.reason}."

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "operation": self.operation.to_dict(),
            "by": self.by,
            "reason": self.reason,
            "begun_as": self.begun_as,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Asked:
        """Read back what `to_dict` wrote."""
        return cls(**{**data, "operation": PlannedOperation.from_dict(data["operation"])})


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done about one asset.

    :param detail: a sentence with the numbers, for a person.
    :param imbalance: what was found, where the asset could be judged; the excess is not floored.
    :param operation: what is to be moved. Set exactly if the reason is `planned`.
    :param proposed: what would be moved if `reason` did not forbid it: what a disabled Ballast shows.
    :param estimate: what the operation would cost, where prices were asked for.
    :param asked: what a person asked for, where that was judged and not the imbalance. Nothing else is moved.
    :raises ValueError: if these contradict each other.
    """

    asset: str
    reason: Reason
    detail: str
    imbalance: Imbalance | None = None
    operation: PlannedOperation | None = None
    proposed: PlannedOperation | None = None
    estimate: Estimate | None = None
    asked: Asked | None = None

    def __post_init__(self) -> None:
        if (self.reason is Reason.PLANNED) != (self.operation is not None):
            raise ValueError(f"{self.asset}: an operation is planned exactly if the reason is planned")
        if self.operation is not None and self.proposed is not None:
            raise ValueError(f"{self.asset}: what is planned is not also proposed")
        for operation in (self.operation, self.proposed):
            if operation is not None and operation.asset != self.asset:
                raise ValueError(f"{self.asset}: the operation moves {operation.asset}")
            if operation is not None and self.asked is not None and operation != self.asked.operation:
                raise ValueError(f"{self.asset}: this is not the operation that was asked for")

    def refused(self, reason: Reason, detail: str) -> Decision:
        """Return this decision as not to be carried out, its operation kept as proposed.

        For the claim, which looks again when it commits and may find the asset taken or the switch turned.
        """
        proposed = self.operation or self.proposed
        return replace(self, reason=reason, detail=detail, operation=None, proposed=proposed)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, whole: `from_dict` gives back an equal decision."""
        return {
            "asset": self.asset,
            "reason": self.reason.value,
            "detail": self.detail,
            "imbalance": self.imbalance and self.imbalance.to_dict(),
            "operation": self.operation and self.operation.to_dict(),
            "proposed": self.proposed and self.proposed.to_dict(),
            "estimate": self.estimate and self.estimate.to_dict(),
            "asked": self.asked and self.asked.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Decision:
        """Read back what `to_dict` wrote."""
        imbalance, operation, proposed = data["imbalance"], data["operation"], data["proposed"]
        # Rows from before costs were estimated, or anything was asked for by hand, have neither.
        estimate, asked = data.get("estimate"), data.get("asked")
        return cls(
            asset=data["asset"],
            reason=Reason(data["reason"]),
            detail=data["detail"],
            imbalance=imbalance and imbalance_from_dict(imbalance),
            operation=operation and PlannedOperation.from_dict(operation),
            proposed=proposed and PlannedOperation.from_dict(proposed),
            estimate=estimate and Estimate.from_dict(estimate),
            asked=asked and Asked.from_dict(asked),
        )
