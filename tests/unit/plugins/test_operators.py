from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred

from ballast import operators
from ballast.operators import (
    OPERATORS,
    AlpacaMintOperator,
    CctpBridgeOperator,
    LegOperator,
    TransactionLink,
)
from ballast.triggers import ConditionTrigger, SwitchTrigger
from include.domain.operation import LEGS, Leg, OperationKind, OperationStatus
from include.ledger.lease import LeaseLost
from include.legs import forecast
from include.legs import leg as legs
from include.legs.conditions import Until
from include.legs.leg import Closed, Done, Wait
from include.legs.registry import STEPS
from include.venues.errors import Unavailable
from tests.unit.plugins.fakes import NAMES, RUN, Seen, book_of, context, opened, opening

if TYPE_CHECKING:
    from include.domain.operation import Leg as LegName
    from include.ledger.ledger import Ledger
    from tests.support.clock import Clock
    from tests.unit.plugins.fakes import Timer, Variables

HASH = "0x" + "ab" * 32
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


class Script:
    """Replaces `advance`: says what it is told to, and remembers who asked. What is done is in the ledger."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)
        self.asked: list[tuple[str, Any, str]] = []

    def __call__(self, book: Any, operation_id: str, step: Any, owner: str) -> Any:
        self.asked.append((operation_id, step, owner))
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        if isinstance(outcome, Done):
            finish(book.ledger, operation_id, step.leg, outcome.amount, outcome.proof)
        return outcome


def finish(ledger: Ledger, operation_id: str, leg: LegName, amount: int = 1, proof: str = "") -> None:
    """Record a leg as done."""
    with ledger.lease(operation_id, "a test", HOUR) as lease:
        lease.note(leg, proof=proof)
        lease.finish(leg, amount_out=amount)


@pytest.fixture
def scene(
    ledger: Ledger, clock: Clock, variables: Variables, timer: Timer, monkeypatch: pytest.MonkeyPatch
) -> Scene:
    return Scene(ledger, clock, variables, timer, monkeypatch)


class Scene:
    """An operator with a ledger of its own, and everything else replaced."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        variables: Variables,
        timer: Timer,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.ledger, self.clock, self.variables, self.timer = ledger, clock, variables, timer
        self._patch = monkeypatch
        self.script = Script()

    def operator(
        self,
        *outcomes: Any,
        kind: OperationKind = OperationKind.MINT,
        leg: LegName = Leg.MINT,
        legs_of_it: tuple[LegName, ...] | None = None,
        done: tuple[LegName, ...] = (),
        last: bool = False,
        **values: str,
    ) -> LegOperator:
        """Return an operator whose legs say these, one after another.

        :param legs_of_it: what the operation consists of, by default what each of its kind does.
        :param done: those that are done already.
        """
        self.script = Script(*outcomes)
        book = book_of(self.ledger, self.clock, **values)
        self._patch.setattr(legs, "advance", self.script)
        self._patch.setattr(operators, "open_book", opening(book))
        self._patch.setattr(operators, "open_ledger", opening(self.ledger))
        self._patch.setattr(operators, "load_settings", lambda **_: book.settings)
        operation = opened(self.ledger, self.clock, kind, legs_of_it)
        for earlier in done:
            finish(self.ledger, operation["operation_id"], earlier)
        return OPERATORS[leg](task_id=leg.value, book="", operation=operation, last=last)


def wait(*looks: bool | Exception, every: timedelta = SECOND, reason: str = "Alpaca", **more: Any) -> Wait:
    Seen.looks[:] = list(looks)
    return Wait(Seen(), every, reason, HOUR, **more)


def deferred(operator: LegOperator) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as found:
        operator.execute(context(operator.leg))
    return found.value


def test_execute__leg_is_done__returns_what_arrived_and_links_the_transaction(scene: Scene) -> None:
    operator = scene.operator(Done(31_000_000_000, HASH))

    result = operator.execute(context(Leg.MINT))

    assert result == {
        "operation": operator.operation["operation_id"],
        "asset": "AAPL",
        "amount": "31",
        "proof": HASH,
    }
    assert TransactionLink().get_link(operator, ti_key=None) == f"https://basescan.org/tx/{HASH}"  # type: ignore[arg-type]


def test_execute__asks_for_its_own_leg_and_says_who_it_is(scene: Scene) -> None:
    operator = scene.operator(Done(1, HASH))

    operator.execute(context(Leg.MINT))

    owner = f"rebalancing/{RUN}/group.mint/0/try1"
    assert scene.script.asked == [(operator.operation["operation_id"], STEPS[Leg.MINT], owner)]


def test_execute__long_wait__is_deferred_at_once(scene: Scene) -> None:
    operator = scene.operator(wait(False, every=MINUTE))

    found = deferred(operator)

    assert scene.timer.slept == []
    assert found.method_name == "resume"
    assert isinstance(found.trigger, ConditionTrigger)
    assert found.trigger.condition == Seen().to_dict()
    assert found.trigger.every == 60
    assert found.trigger.operation_id == operator.operation["operation_id"]
    assert found.kwargs is None  # what wakes it may lose them


def test_execute__short_wait_ends_in_time__is_spent_in_the_worker(scene: Scene) -> None:
    operator = scene.operator(wait(False, Unavailable("busy"), True), Done(1, HASH))

    operator.execute(context(Leg.MINT))

    assert scene.timer.slept == [0.5, 0.5, 0.5]
    assert len(scene.script.asked) == 2


def test_execute__short_wait_does_not_end_in_time__is_deferred_after_the_patience(scene: Scene) -> None:
    operator = scene.operator(wait(False, every=4 * SECOND), worker_patience="3s")

    deferred(operator)

    assert scene.timer.slept == [1.0, 1.0, 1.0]
    assert len(scene.script.asked) == 1


def test_execute__the_same_wait_again_and_again__uses_up_one_patience(scene: Scene) -> None:
    same = [wait(True) for _ in range(20)]
    operator = scene.operator(*same, worker_patience="2s")

    deferred(operator)

    assert sum(scene.timer.slept) == 2.0


def test_execute__another_wait__gets_a_patience_of_its_own(scene: Scene) -> None:
    waits = [wait(True, reason=f"step {number}") for number in range(8)]
    operator = scene.operator(*waits, Done(1, HASH), worker_patience="1s")

    operator.execute(context(Leg.MINT))

    assert sum(scene.timer.slept) == 4.0


@pytest.fixture
def foretold(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Say when every wait should end, from the clock of the scene."""

    def foretell(seconds: float) -> datetime:
        end = scene.clock() + timedelta(seconds=seconds)
        monkeypatch.setattr(forecast, "expected_end", lambda *_: end)
        return end

    return foretell


def test_execute__end_is_foretold_and_far__is_deferred_at_once_and_woken_early(
    scene: Scene, foretold: Any
) -> None:
    end = foretold(36)

    found = deferred(scene.operator(wait(False, every=2 * SECOND)))

    assert scene.timer.slept == []
    assert isinstance(found.trigger, ConditionTrigger)
    assert datetime.fromisoformat(found.trigger.wake_at) == end - operators.WAKE_EARLY


def test_execute__end_is_foretold_and_near__is_awaited_and_then_looked_for_often(
    scene: Scene, foretold: Any
) -> None:
    foretold(3.25)
    operator = scene.operator(wait(False, False, False, False, False, True, every=2 * SECOND), Done(1, HASH))

    operator.execute(context(Leg.MINT))

    assert scene.timer.slept == [1.0, 1.0, 1.0, 0.25, 0.25, 0.25]


def test_execute__end_is_foretold_near__a_worker_waits_even_for_what_is_rarely_polled(
    scene: Scene, foretold: Any
) -> None:
    foretold(2)
    operator = scene.operator(wait(False, False, True, every=HOUR), Done(1, HASH))

    operator.execute(context(Leg.MINT))

    assert scene.timer.slept == [1.0, 1.0, 0.5]


def test_execute__foretold_end_is_over__is_deferred_after_one_patience(scene: Scene, foretold: Any) -> None:
    foretold(1)

    found = deferred(scene.operator(wait(False, every=HOUR), worker_patience="5s"))

    assert sum(scene.timer.slept) == 5.0
    assert isinstance(found.trigger, ConditionTrigger)
    assert datetime.fromisoformat(found.trigger.wake_at) == scene.clock() + timedelta(minutes=10)


def test_execute__foretold_end_is_long_over__holds_no_worker(scene: Scene, foretold: Any) -> None:
    foretold(-60)

    deferred(scene.operator(wait(False, every=HOUR)))

    assert scene.timer.slept == []


def test_execute__foretold_end_is_long_over_and_the_poll_short__waits_as_without(
    scene: Scene, foretold: Any
) -> None:
    foretold(-60)
    operator = scene.operator(wait(False, True, every=2 * SECOND), Done(1, HASH))

    operator.execute(context(Leg.MINT))

    assert scene.timer.slept == [0.5, 0.5]


def test_execute__leg_wants_to_wake_before_the_foretold_end__is_woken_then(
    scene: Scene, foretold: Any
) -> None:
    foretold(300)
    wake_at = scene.clock() + MINUTE

    found = deferred(scene.operator(wait(False, wake_at=wake_at)))

    assert isinstance(found.trigger, ConditionTrigger)
    assert datetime.fromisoformat(found.trigger.wake_at) == wake_at


def test_execute__moment_is_near__sleeps_until_then(scene: Scene) -> None:
    near = Wait(Until.at(scene.clock() + 3 * SECOND), SECOND, "a moment", HOUR)
    operator = scene.operator(near, Done(1, HASH))

    operator.execute(context(Leg.MINT))

    assert scene.timer.slept == [3.0]


def test_execute__moment_is_far__is_deferred_at_once(scene: Scene) -> None:
    far = Wait(Until.at(scene.clock() + MINUTE), SECOND, "a moment", HOUR)

    deferred(scene.operator(far))

    assert scene.timer.slept == []


def test_execute__deferred__is_woken_in_ten_minutes_in_any_case(scene: Scene) -> None:
    found = deferred(scene.operator(wait(False, every=MINUTE)))

    assert isinstance(found.trigger, ConditionTrigger)
    assert datetime.fromisoformat(found.trigger.wake_at) == scene.clock() + timedelta(minutes=10)


def test_execute__leg_wants_to_wake_earlier__is_woken_then(scene: Scene) -> None:
    wake_at = scene.clock() + 2 * MINUTE
    found = deferred(scene.operator(wait(False, every=MINUTE, wake_at=wake_at)))

    assert isinstance(found.trigger, ConditionTrigger)
    assert datetime.fromisoformat(found.trigger.wake_at) == wake_at


def test_resume__whatever_the_event_says__asks_the_leg(scene: Scene) -> None:
    operator = scene.operator(Done(1, HASH))

    operator.resume(context(Leg.MINT), {"operation_id": "another one"})

    assert scene.script.asked[0][0] == operator.operation["operation_id"]


def test_resume_execution__trigger_failed__asks_the_leg_instead_of_failing(scene: Scene) -> None:
    operator = scene.operator(Done(1, HASH))

    result = operator.resume_execution("__fail__", {"error": "Trigger failure"}, context(Leg.MINT))

    assert result["proof"] == HASH


def test_execute__operation_cancelled__fails_without_another_try(scene: Scene) -> None:
    operator = scene.operator(Closed(OperationStatus.CANCELLED, "the market is closed"))

    with pytest.raises(AirflowFailException, match=r"some AAPL: .*cancelled: the market is closed"):
        operator.execute(context(Leg.MINT))


@pytest.mark.parametrize("status", [OperationStatus.RECONCILED, OperationStatus.SETTLED])
def test_execute__operation_closed_otherwise__is_skipped(scene: Scene, status: OperationStatus) -> None:
    operator = scene.operator(Closed(status, "done by hand"))

    with pytest.raises(AirflowSkipException, match="done by hand"):
        operator.execute(context(Leg.MINT))


def test_execute__at_halt__asks_nothing_and_waits_for_the_switch(scene: Scene) -> None:
    scene.variables.values[NAMES.switch] = "halt"
    operator = scene.operator()

    found = deferred(operator)

    assert scene.script.asked == []
    assert isinstance(found.trigger, SwitchTrigger)
    assert found.method_name == "resume"


def test_execute__halted_between_two_steps__takes_no_further_step(scene: Scene) -> None:
    operator = scene.operator(wait(True), Done(1, HASH))
    scene.timer.during_sleep = lambda: scene.variables.values.update({NAMES.switch: "halt"})

    found = deferred(operator)

    assert isinstance(found.trigger, SwitchTrigger)
    assert len(scene.script.asked) == 1


@pytest.mark.parametrize("value", ["drain", "hallt", "run"])
def test_execute__at_any_other_switch__what_is_open_goes_on(scene: Scene, value: str) -> None:
    scene.variables.values[NAMES.switch] = value

    scene.operator(Done(1, HASH)).execute(context(Leg.MINT))

    assert len(scene.script.asked) == 1


def test_execute__lease_lost__waits_a_moment_and_asks_again(scene: Scene) -> None:
    operator = scene.operator(LeaseLost("somebody else advances it"), Done(1, HASH))

    operator.execute(context(Leg.MINT))

    assert scene.timer.slept == [3.0]
    assert len(scene.script.asked) == 2


def test_execute__a_person_is_needed__is_told_once_as_an_error(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = wait(True, attention="31 shares are missing")
    operator = scene.operator(stuck, stuck, stuck, Done(1, HASH))
    told: list[str] = []
    monkeypatch.setattr(operator.log, "error", lambda message, *parts: told.append(message % parts))

    operator.execute(context(Leg.MINT))

    assert told == ["some AAPL: a person is needed: 31 shares are missing"]


def test_execute__waiting__shows_the_operation_in_progress(scene: Scene) -> None:
    deferred(scene.operator(wait(False, every=MINUTE)))

    assert NAMES.in_progress("AAPL") in scene.variables.values


def test_execute__operation_over__no_longer_shows_it(scene: Scene) -> None:
    operator = scene.operator(Done(1, HASH))
    scene.variables.values[NAMES.in_progress("AAPL")] = "{}"
    with scene.ledger.lease(operator.operation["operation_id"], "somebody", HOUR) as lease:
        lease.finish(Leg.MINT, amount_out=1)

    operator.execute(context(Leg.MINT))

    assert NAMES.in_progress("AAPL") not in scene.variables.values


@pytest.mark.parametrize(
    ("kind", "leg", "host"),
    [
        (OperationKind.MINT, Leg.MINT, "basescan.org"),
        (OperationKind.REDEMPTION, Leg.REDEEM, "basescan.org"),
        (OperationKind.USDC_ALPACA_TO_BASE, Leg.WITHDRAW, "etherscan.io"),
        (OperationKind.USDC_ALPACA_TO_BASE, Leg.BRIDGE, "basescan.org"),
        (OperationKind.USDC_BASE_TO_ALPACA, Leg.BRIDGE, "etherscan.io"),
        (OperationKind.USDC_BASE_TO_ALPACA, Leg.DEPOSIT, "etherscan.io"),
        (OperationKind.MINT, Leg.WRAP, "basescan.org"),
        (OperationKind.MINT, Leg.VAULT_DEPOSIT, "basescan.org"),
        (OperationKind.REDEMPTION, Leg.VAULT_WITHDRAW, "basescan.org"),
        (OperationKind.REDEMPTION, Leg.UNWRAP, "basescan.org"),
        (OperationKind.USDC_ALPACA_TO_BASE, Leg.VAULT_DEPOSIT, "basescan.org"),
        (OperationKind.USDC_BASE_TO_ALPACA, Leg.VAULT_WITHDRAW, "basescan.org"),
    ],
)
def test_link__shows_the_chain_that_proves_the_leg(
    scene: Scene, kind: OperationKind, leg: Leg, host: str
) -> None:
    every = tuple(one for one in LEGS[kind] if one is not Leg.CONVERT)
    done = every[: every.index(leg)]
    operator = scene.operator(Done(1, HASH), kind=kind, leg=leg, legs_of_it=every, done=done)

    operator.execute(context(leg))

    assert operator.transaction_url == f"https://{host}/tx/{HASH}"


def test_link__proof_is_no_transaction__is_empty(scene: Scene) -> None:
    operator = scene.operator(Done(1, "a transfer"))

    operator.execute(context(Leg.MINT))

    assert TransactionLink().get_link(operator, ti_key=None) == ""  # type: ignore[arg-type]


REDEMPTION = OperationKind.REDEMPTION
WITH_VAULT = (Leg.VAULT_WITHDRAW, Leg.REDEEM)


def pushed(scene: Scene) -> list[LegName]:
    """Return the legs that were asked for, in order."""
    return [step.leg for _, step, _ in scene.script.asked]


def test_execute__an_earlier_leg_is_not_done__pushes_it_first(scene: Scene) -> None:
    operator = scene.operator(
        Done(5, "0x1"), Done(4, HASH), kind=REDEMPTION, leg=Leg.REDEEM, legs_of_it=WITH_VAULT
    )

    result = operator.execute(context(Leg.REDEEM))

    assert pushed(scene) == [Leg.VAULT_WITHDRAW, Leg.REDEEM]
    assert (result["amount"], result["proof"]) == ("0.000000004", HASH)


def test_execute__a_later_leg_is_not_done__is_left_to_its_own_task(scene: Scene) -> None:
    operator = scene.operator(
        Done(5, HASH), kind=REDEMPTION, leg=Leg.VAULT_WITHDRAW, legs_of_it=WITH_VAULT, last=False
    )

    operator.execute(context(Leg.VAULT_WITHDRAW))

    assert pushed(scene) == [Leg.VAULT_WITHDRAW]
    assert scene.ledger.operation(operator.operation["operation_id"]).status.is_open


def test_execute__the_last_task__pushes_all_that_is_left(scene: Scene) -> None:
    every = (Leg.MINT, Leg.WRAP, Leg.VAULT_DEPOSIT)
    operator = scene.operator(Done(5, HASH), Done(4, "0x2"), Done(3, "0x3"), legs_of_it=every, last=True)

    result = operator.execute(context(Leg.MINT))

    assert pushed(scene) == [*every]
    assert result["proof"] == HASH  # of its own leg
    assert operator.transaction_url.endswith(HASH)
    assert scene.ledger.operation(operator.operation["operation_id"]).status is OperationStatus.SETTLED


def test_execute__the_operation_has_no_such_leg__returns_at_once_and_says_so(scene: Scene) -> None:
    operator = scene.operator(kind=REDEMPTION, leg=Leg.VAULT_WITHDRAW)

    result = operator.execute(context(Leg.VAULT_WITHDRAW))

    assert result["nothing_to_do"] == "this operation has no leg vault_withdraw"
    assert scene.script.asked == []
    assert operator.transaction_url == ""


def test_execute__no_such_leg_and_an_earlier_one_is_not_done__pushes_that(scene: Scene) -> None:
    operator = scene.operator(
        Done(5, HASH), kind=REDEMPTION, leg=Leg.UNWRAP, legs_of_it=(Leg.VAULT_WITHDRAW, Leg.REDEEM)
    )

    result = operator.execute(context(Leg.UNWRAP))

    assert pushed(scene) == [Leg.VAULT_WITHDRAW]
    assert "nothing_to_do" in result


def test_execute__an_earlier_leg_waits__is_deferred_and_goes_on_with_its_own(scene: Scene) -> None:
    operator = scene.operator(
        wait(False, every=MINUTE),
        Done(5, "0x1"),
        Done(4, HASH),
        kind=REDEMPTION,
        leg=Leg.REDEEM,
        legs_of_it=WITH_VAULT,
    )

    deferred(operator)
    result = operator.resume(context(Leg.REDEEM))

    assert pushed(scene) == [Leg.VAULT_WITHDRAW, Leg.VAULT_WITHDRAW, Leg.REDEEM]
    assert result["proof"] == HASH


def test_execute__the_operation_ends_in_an_earlier_leg__fails(scene: Scene) -> None:
    operator = scene.operator(
        Closed(OperationStatus.CANCELLED, "the vaults are empty"),
        kind=REDEMPTION,
        leg=Leg.REDEEM,
        legs_of_it=WITH_VAULT,
    )

    with pytest.raises(AirflowFailException, match="the vaults are empty"):
        operator.execute(context(Leg.REDEEM))


def test_execute__own_leg_is_done__opens_no_venue(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    operator = scene.operator(kind=REDEMPTION, leg=Leg.VAULT_WITHDRAW, legs_of_it=WITH_VAULT, done=WITH_VAULT)
    monkeypatch.delattr(operators, "open_book")

    assert operator.execute(context(Leg.VAULT_WITHDRAW))["amount"] == "0.000000001"


def test_operators__there_is_one_for_each_leg_and_each_has_a_step() -> None:
    assert set(OPERATORS) == set(STEPS) == set(Leg)
    assert OPERATORS[Leg.MINT] is AlpacaMintOperator
    assert OPERATORS[Leg.BRIDGE] is CctpBridgeOperator
