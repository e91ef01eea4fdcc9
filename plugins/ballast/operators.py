"""One operator for each leg: the loop around `include.legs.leg.advance`, and the deferral while it waits."""

# ruff: noqa: PLC0415 - what is heavy is imported where it is used: every task's process reads this file

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from ballast import progress, sent
from ballast.hooks import open_book, open_ledger
from ballast.switch import read_switch
from ballast.triggers import ConditionTrigger, SwitchTrigger
from include.domain.operation import LEGS, Leg, OperationStatus
from include.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context
    from airflow.sdk.types import TaskInstanceKey

    from include.book import Book
    from include.ledger.ledger import Ledger
    from include.legs.leg import Closed, Outcome, Wait
    from include.settings import Settings

HALT_POLL: Final = timedelta(seconds=5)
LOST_POLL: Final = timedelta(seconds=3)
LONGEST_SLEEP: Final = timedelta(minutes=10)
"""So often a leg looks for itself, whatever its trigger sees."""
SHORT_WAIT: Final = timedelta(seconds=30)
"""What is polled less often than this is not near: no worker waits for it."""
SHORTEST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 1.0
"""Seconds between two looks while a worker waits."""
WAKE_EARLY: Final = timedelta(seconds=4)
"""So long before that moment a deferred leg is woken, which takes most of it."""


class TransactionLink(BaseOperatorLink):
    """A button that opens the leg's transaction in the chain's explorer."""

    name = "Transaction"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the page's address, or nothing. Airflow asks in the worker, when the task ends."""
        return getattr(operator, "transaction_url", "")


class LegOperator(BaseOperator):
    """Pushes one leg of one operation until its money has arrived, and any earlier one that is not done.

    Which legs an operation has was fixed when it was claimed, perhaps under other settings than those that
    this task was made from. So a leg without a task is pushed by the next task, the last task pushes all that
    is left, and a task whose leg the operation does not have returns at once.

    Entering, trying again and waking up are the same: ask the ledger and the world, do the next thing. While
    the leg waits for something far, the task is deferred and holds no worker. There is nothing to undo when a
    task is killed, so there is no `on_kill`: what was sent is in the ledger, and whoever comes next goes on.

    :param book: whose operation it is; empty for the book without a name.
    :param operation: the JSON form of an `include.claim.Assignment`.
    :param last: whether no task comes after this one.
    """

    leg: ClassVar[Leg]
    template_fields: Sequence[str] = ("operation",)
    operator_extra_links = (TransactionLink(),)
    ui_color = "#e8f0fb"

    def __init__(self, *, book: str, operation: Mapping[str, str], last: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.book = book
        self.operation = operation
        self.last = last
        self.transaction_url = ""

    def execute(self, context: Context) -> dict[str, Any]:
        """Push the leg."""
        return self._push(context)

    def resume(self, context: Context, event: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Push the leg again. What the trigger says is not looked at."""
        return self._push(context)

    def resume_execution(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context
    ) -> dict[str, Any]:
        """Push the leg again, also when its trigger failed: that is as good a reason to look as any."""
        if next_method != "resume":
            self.log.error("the trigger of this leg failed, so the leg looks for itself: %s", next_kwargs)
        return self._push(context)

    def _push(self, context: Context) -> dict[str, Any]:
        settings = load_settings(book=self.book)
        with open_ledger(settings) as ledger:
            due = self._due(ledger)
            if not due:  # without opening a venue, which costs more than everything else here
                progress.show(settings.names, ledger, [self.operation["asset"]])
                return self._result(ledger, settings)
        with open_book(settings) as book:
            owner = self._owner(context)
            for leg in due:
                self._until_done(book, leg, owner)
            return self._result(book.ledger, settings)

    def _due(self, ledger: Ledger) -> list[Leg]:
        """Return the legs of the operation that this task has to push, in order."""
        order = LEGS[ledger.operation(self.operation["operation_id"]).kind]
        end = len(order) if self.last else order.index(self.leg) + 1
        states = ledger.legs(self.operation["operation_id"])
        return [state.name for state in states if not state.is_done and state.name in order[:end]]

    def _until_done(self, book: Book, leg: Leg, owner: str) -> None:
        """Advance until a leg is done; leaves by an exception where it is deferred, skipped or failed."""
        from include.check import Switch
        from include.legs.leg import Done, Wait

        names = book.settings.names
        patience = _Patience(book, leg, self.operation["operation_id"])
        while True:
            if read_switch(names) is Switch.HALT:
                self._defer_until_resumed(book)
            outcome = self._step(book, leg, owner)
            progress.show(names, book.ledger, [self.operation["asset"]])
            if isinstance(outcome, Done):
                sent.leg_done(names, book.ledger, self.operation["operation_id"], leg)
                return
            if not isinstance(outcome, Wait):
                sent.closed(names, self._kind, outcome.status.value)
                raise self._closed(outcome)
            if self._is_news(outcome):
                patience.renew(outcome)
            if not patience.spend_on(outcome):
                sent.deferred(names, self._kind, leg.value)
                self._defer(book, outcome, patience.likely_end)

    def _step(self, book: Book, leg: Leg, owner: str) -> Outcome:
        """Advance once."""
        from include.ledger.lease import LeaseLost
        from include.legs.conditions import Until
        from include.legs.leg import Wait, advance
        from include.legs.registry import STEPS

        try:
            return advance(book, self.operation["operation_id"], STEPS[leg], owner)
        except LeaseLost as lost:
            self.log.warning("%s", lost)
            until = Until.at(book.venues.now() + LOST_POLL)
            return Wait(until, LOST_POLL, "somebody else to finish a step", LONGEST_SLEEP)

    def _is_news(self, wait: Wait) -> bool:
        """Tell whether this is another wait than the last one, and log it once if so."""
        told = (wait.reason, wait.attention)
        if told == getattr(self, "_told", None):
            return False
        self._told = told
        self.log.info("%s waits for %s", self.operation["label"], wait.reason)
        if wait.attention:
            self.log.error("%s: a person is needed: %s", self.operation["label"], wait.attention)
        return True

    def _defer(self, book: Book, wait: Wait, likely_end: datetime | None) -> None:
        now = book.venues.now()
        wake_at = min(now + LONGEST_SLEEP, wait.wake_at or datetime.max.replace(tzinfo=UTC))
        if likely_end is not None and likely_end > now + WAKE_EARLY:
            wake_at = min(wake_at, likely_end - WAKE_EARLY)
        self.defer(
            trigger=ConditionTrigger(
                book=self.book,
                condition=wait.condition.to_dict(),
                every=wait.every.total_seconds(),
                wake_at=wake_at.isoformat(),
                operation_id=self.operation["operation_id"],
            ),
            method_name="resume",
        )

    def _defer_until_resumed(self, book: Book) -> None:
        self.log.info(
            "%s waits for the switch %s to leave halt", self.operation["label"], book.settings.names.switch
        )
        self.defer(
            trigger=SwitchTrigger(
                book=self.book,
                every=HALT_POLL.total_seconds(),
                wake_at=(book.venues.now() + LONGEST_SLEEP).isoformat(),
                operation_id=self.operation["operation_id"],
            ),
            method_name="resume",
        )

    def _result(self, ledger: Ledger, settings: Settings) -> dict[str, Any]:
        """Return what became of this task's own leg."""
        from include.domain.amounts import from_base_units, plain
        from include.overview.links import explorer

        operation, label = ledger.operation(self.operation["operation_id"]), self.operation["label"]
        found = {"operation": operation.id, "asset": operation.asset}
        state = next((state for state in ledger.legs(operation.id) if state.name is self.leg), None)
        if state is None:
            self.log.info("%s: this operation has no leg %s", label, self.leg)
            return {**found, "nothing_to_do": f"this operation has no leg {self.leg}"}
        amount = plain(from_base_units(state.amount_out or 0, operation.decimals))
        proof = str(state.notes.get("proof", ""))
        if proof.startswith("0x"):
            chain = explorer(settings.chains, self.leg, operation.kind)
            self.transaction_url = chain.transaction_url(proof)
        self.log.info("%s: %s is done, %s arrived: %s", label, self.leg, amount, proof)
        return {**found, "amount": amount, "proof": proof}

    def _closed(self, closed: Closed) -> AirflowFailException | AirflowSkipException:
        """Return how a task ends that has nothing left to push: failed if the operation was cancelled."""
        message = f"{self.operation['label']}: the operation is {closed.status}: {closed.outcome}"
        if closed.status is OperationStatus.CANCELLED:
            return AirflowFailException(message)
        self.log.warning("nothing is left to do: %s", message)
        return AirflowSkipException(message)

    @property
    def _kind(self) -> str:
        """The kind of the operation, which is what the task's group is called."""
        return self.task_id.partition(".")[0]

    @staticmethod
    def _owner(context: Context) -> str:
        ti = context["ti"]
        return f"{ti.dag_id}/{ti.run_id}/{ti.task_id}/{ti.map_index}/try{ti.try_number}"


class _Patience:
    """How much longer this worker waits before its task is deferred, as a deferral costs seconds itself.

    A wait that will outlast the patience is deferred at once, and its leg woken shortly before it ends.

    :ivar likely_end: when the wait should end, where that can be foretold.
    """

    def __init__(self, book: Book, leg: Leg, operation_id: str) -> None:
        self._book, self._leg, self._operation_id = book, leg, operation_id
        self._venues = book.venues
        self._patience = book.settings.worker_patience
        self._end = 0.0
        self.likely_end: datetime | None = None

    def renew(self, wait: Wait) -> None:
        """Begin again, for another wait."""
        from include.legs.forecast import expected_end

        self.likely_end = expected_end(self._book, self._leg, self._operation_id, wait.condition)
        self._end = time.monotonic() + self._patience.total_seconds()

    def spend_on(self, wait: Wait) -> bool:
        """Wait here, and tell whether it is worth advancing again; if not, it is time to defer."""
        pause = self._pause(wait)
        while pause is not None and time.monotonic() + pause <= self._end:
            time.sleep(pause)
            if self._holds(wait):
                return True
            pause = self._pause(wait)
        return False

    def _pause(self, wait: Wait) -> float | None:
        """Return the seconds until the next look, or None if no worker should wait for this."""
        from include.legs.conditions import Until

        if isinstance(wait.condition, Until):
            return max(self._seconds_to(datetime.fromisoformat(wait.condition.moment)), SHORTEST_PAUSE)
        every, patience = wait.every.total_seconds(), self._patience.total_seconds()
        left = None if self.likely_end is None else self._seconds_to(self.likely_end)
        if left is not None and abs(left) <= patience:
            return min(max(left, min(every / 8, SHORTEST_PAUSE)), LONGEST_PAUSE)
        if wait.every >= SHORT_WAIT or (left is not None and left > patience):
            return None
        return min(max(every / 4, SHORTEST_PAUSE), LONGEST_PAUSE)

    def _seconds_to(self, moment: datetime) -> float:
        return (moment - self._venues.now()).total_seconds()

    def _holds(self, wait: Wait) -> bool:
        from include.venues.errors import VenueError

        try:
            return wait.condition.holds(self._venues)
        except VenueError:
            return False  # the leg, or the trigger, will say so


class AlpacaMintOperator(LegOperator):
    """Shares at Alpaca become tokens in the wallet."""

    leg = Leg.MINT


class AlpacaRedeemOperator(LegOperator):
    """Tokens in the wallet become shares at Alpaca."""

    leg = Leg.REDEEM


class AlpacaWithdrawOperator(LegOperator):
    """USDC leaves Alpaca for the wallet on Ethereum."""

    leg = Leg.WITHDRAW


class CctpBridgeOperator(LegOperator):
    """USDC is burnt on one chain and minted on the other."""

    leg = Leg.BRIDGE


class AlpacaDepositOperator(LegOperator):
    """USDC leaves the wallet on Ethereum for Alpaca."""

    leg = Leg.DEPOSIT


class VaultWithdrawOperator(LegOperator):
    """Tokens or USDC leave Raindex vaults for the wallet on Base."""

    leg = Leg.VAULT_WITHDRAW


class VaultDepositOperator(LegOperator):
    """Tokens or USDC in the wallet on Base go into the primary Raindex vault."""

    leg = Leg.VAULT_DEPOSIT


class WrapOperator(LegOperator):
    """Tokens in the wallet become shares of their ERC-4626 wrapper."""

    leg = Leg.WRAP


class UnwrapOperator(LegOperator):
    """Shares of an ERC-4626 wrapper become the tokens inside."""

    leg = Leg.UNWRAP


class AlpacaConvertOperator(LegOperator):
    """Dollars at Alpaca become USDC there, or USDC becomes dollars."""

    leg = Leg.CONVERT


OPERATORS: Final[Mapping[Leg, type[LegOperator]]] = {
    operator.leg: operator
    for operator in (
        AlpacaMintOperator,
        AlpacaRedeemOperator,
        AlpacaWithdrawOperator,
        CctpBridgeOperator,
        AlpacaDepositOperator,
        VaultWithdrawOperator,
        VaultDepositOperator,
        WrapOperator,
        UnwrapOperator,
        AlpacaConvertOperator,
    )
}
"""Which operator pushes which leg."""
