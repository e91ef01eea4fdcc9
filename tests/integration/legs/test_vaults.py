"""Operations whose tokens come from Raindex vaults and wrappers and go there, on the sandbox's contracts."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from include.domain.decision import Reason
from include.domain.inventory import Balance
from include.domain.operation import Leg, OperationKind, OperationStatus
from include.exits.refusal import Refusal
from include.exits.verbs import Exits
from include.ledger.ledger import Ledger
from include.ledger.records import EffectStatus
from include.legs.leg import Closed, Done, Wait
from include.sandbox.jsonrpc import calldata
from include.sandbox.scenario import Holding, Scenario, Shift, Side
from include.sandbox.vaults import vault_place
from include.sandbox.world import World
from tests.integration.legs.test_faults import effect, until_attention
from tests.support.desk import PATIENCE_SECONDS, await_condition, open_desk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.desk import Desk

MINT, REDEMPTION = OperationKind.MINT, OperationKind.REDEMPTION
TO_BASE, TO_ALPACA = OperationKind.USDC_ALPACA_TO_BASE, OperationKind.USDC_BASE_TO_ALPACA
CASES = {
    "mint into a vault": (MINT, "AAPL"),
    "mint, wrap, into a vault": (MINT, "NVDA"),
    "redemption from a vault": (REDEMPTION, "TSLA"),
    "redemption from a vault, unwrapped": (REDEMPTION, "MSFT"),
    "redemption from two vaults": (REDEMPTION, "AMZN"),
    "USDC into a vault": (TO_BASE, "USDC"),
    "USDC from a vault": (TO_ALPACA, "USDC"),
}
every_case = pytest.mark.parametrize(("kind", "asset"), CASES.values(), ids=CASES)


def sold(asset: str, amount: str, vault: int = 0) -> Shift:
    """Tokens leave a vault for shares or dollars at the broker."""
    return Shift(asset, Decimal(amount), Side.ONCHAIN, vault)


def bought(asset: str, amount: str, vault: int = 0) -> Shift:
    return Shift(asset, Decimal(amount), Side.OFFCHAIN, vault)


def open_for(desk: Desk, kind: OperationKind, asset: str) -> str:
    """Open an operation of an asset; trade first where it is not out of balance that way."""
    if asset == "AMZN":
        desk.world.shift(bought("AMZN", "25.5", vault=1))
    if kind is TO_ALPACA:
        desk.world.shift(bought("USDC", "8000"))
    assignments = {one.asset: one.operation_id for one in desk.claim(desk.check(), kind)}
    if asset == "AMZN":  # what is wanted is no longer in one vault
        desk.world.shift(sold("AMZN", "40"))
    return assignments[asset]


def vaults(desk: Desk, asset: str) -> list[Decimal]:
    """Return what each vault of an asset holds, in whole tokens of what is traded."""
    one = desk.world.vaults.traded[asset]
    held = desk.world.vaults.held_whole(desk.world.base.head())[one.name]
    return [held[vault_place(index)] for index in range(len(one.vaults))]


def in_wallet(desk: Desk, asset: str) -> Decimal:
    """Return what lies in the wallet on Base of an asset's own tokens."""
    return desk.world.holdings()[asset]["base" if asset == "USDC" else "tokens"]


def amounts(desk: Desk, operation_id: str) -> list[tuple[str, int | None, int | None]]:
    return [(leg.name.value, leg.amount_in, leg.amount_out) for leg in desk.ledger.legs(operation_id)]


def names(desk: Desk, operation_id: str) -> list[str]:
    return [one.name for one in desk.ledger.effects(operation_id)]


def assert_sound(desk: Desk) -> None:
    assert desk.world.conservation() == []
    assert desk.world.under_way() == {}


@contextmanager
def interfering(desk: Desk, act: Callable[[], object], *, at: int = 1) -> Iterator[Desk]:
    """Open the same book, and do something just before its transaction of that number leaves."""
    sent = 0

    def watch(name: str, _content: Any) -> None:
        nonlocal sent
        if name == "eth_sendRawTransaction":
            sent += 1
            if sent == at:
                act()

    with open_desk(desk.world, desk.ledger, watch) as other:
        yield other


# -- from imbalance to settled -----------------------------------------------------------------------------


@every_case
def test_operation__from_imbalance_to_settled__moves_the_money_once(
    vault_desk: Desk, kind: OperationKind, asset: str
) -> None:
    operation_id = open_for(vault_desk, kind, asset)
    vault_desk.settle(operation_id)
    operation = vault_desk.ledger.operation(operation_id)
    assert operation.status is OperationStatus.SETTLED
    assert_sound(vault_desk)
    assert all(one.status is EffectStatus.DONE for one in vault_desk.ledger.effects(operation_id))
    assert in_wallet(vault_desk, asset) < Decimal("0.000000001")  # but for what shares are too coarse for
    if asset != "AMZN":  # which was traded after it was planned
        ratio = vault_desk.check().snapshot.inventories[asset].ratio
        assert ratio is not None
        assert abs(ratio - Decimal("0.5")) < Decimal("0.001")


@every_case
def test_every_leg__run_again_after_it_is_done__makes_no_new_effect(
    vault_desk: Desk, kind: OperationKind, asset: str
) -> None:
    desk = vault_desk
    operation_id = open_for(desk, kind, asset)
    for leg in [state.name for state in desk.ledger.legs(operation_id)]:
        outcome = desk.finish(operation_id, leg)
        assert isinstance(outcome, Done)
        before = desk.ledger.effects(operation_id), desk.world.holdings()
        again = desk.push(operation_id, leg)
        assert isinstance(again, Done)
        assert (again.amount, again.proof) == (outcome.amount, outcome.proof)
        assert (desk.ledger.effects(operation_id), desk.world.holdings()) == before


def test_check__after_everything_settled__finds_nothing_to_do(vault_desk: Desk) -> None:
    assert len(vault_desk.run()) == 6
    assert {decision.reason for decision in vault_desk.check().decisions} == {Reason.BALANCED}
    assert_sound(vault_desk)


def test_operation__with_the_older_orderbook__is_settled(vault_desk: Desk) -> None:
    with open_desk(vault_desk.world, vault_desk.ledger, orderbook_version="v5") as desk:
        for kind, asset in ((REDEMPTION, "TSLA"), (MINT, "AAPL")):
            desk.settle(open_for(desk, kind, asset))
        assert_sound(desk)


# -- out of the vaults ------------------------------------------------------------------------------------


def test_two_vaults__are_emptied_in_their_order_each_once(vault_desk: Desk) -> None:
    operation_id = open_for(vault_desk, REDEMPTION, "AMZN")  # 45.5, of which the first vault has 30
    vault_desk.settle(operation_id)
    assert names(vault_desk, operation_id) == ["vault_withdraw_0", "vault_withdraw_1", "token_transfer"]
    assert vaults(vault_desk, "AMZN") == [0, 10]
    assert amounts(vault_desk, operation_id)[0] == ("vault_withdraw", 45_500_000_000, 45_500_000_000)


def test_two_vaults__the_first_is_filled_again_meanwhile__is_not_touched_twice(vault_desk: Desk) -> None:
    operation_id = open_for(vault_desk, REDEMPTION, "AMZN")
    with interfering(vault_desk, lambda: vault_desk.world.shift(bought("AMZN", "1")), at=2) as desk:
        desk.settle(operation_id)
    assert vaults(vault_desk, "AMZN") == [1, 10]
    assert_sound(vault_desk)


def test_vault__holds_less_than_was_planned__moves_what_is_there(vault_desk: Desk) -> None:
    operation_id = open_for(vault_desk, REDEMPTION, "TSLA")  # 40 of 90
    vault_desk.world.shift(sold("TSLA", "60.0000000001"))
    vault_desk.settle(operation_id)
    moved = 29_999_999_999
    assert amounts(vault_desk, operation_id) == [
        ("vault_withdraw", 40_000_000_000, moved),
        ("redeem", moved, moved),
    ]
    assert vaults(vault_desk, "TSLA") == [0]
    assert vault_desk.ledger.operation(operation_id).delivered == moved
    assert_sound(vault_desk)


def test_vault__pays_less_than_was_asked__books_what_was_paid(vault_desk: Desk) -> None:
    operation_id = open_for(vault_desk, REDEMPTION, "TSLA")
    with interfering(vault_desk, lambda: vault_desk.world.shift(sold("TSLA", "65"))) as desk:
        desk.settle(operation_id)
    assert amounts(vault_desk, operation_id)[0] == ("vault_withdraw", 40_000_000_000, 25_000_000_000)
    assert_sound(vault_desk)


def test_wrapped_vault__holds_less_than_was_planned__moves_what_it_is_worth(vault_desk: Desk) -> None:
    operation_id = open_for(vault_desk, REDEMPTION, "MSFT")  # 38 of 88
    vault_desk.world.shift(sold("MSFT", "80"))
    vault_desk.settle(operation_id)
    [(_, _, taken), (_, _, unwrapped), (_, _, redeemed)] = amounts(vault_desk, operation_id)
    assert taken == unwrapped == redeemed
    assert abs((taken or 0) - 8_000_000_000) <= 1
    assert_sound(vault_desk)


def test_usdc_vault__holds_less_than_was_planned__moves_what_is_there(vault_desk: Desk) -> None:
    operation_id = open_for(vault_desk, TO_ALPACA, "USDC")
    vault_desk.world.shift(sold("USDC", "8900"))
    vault_desk.settle(operation_id)
    [(_, _, taken), (_, burnt, arrived), (_, sent, _)] = amounts(vault_desk, operation_id)
    assert taken == burnt == 100_000_000
    assert arrived == sent
    assert_sound(vault_desk)


def test_vaults__are_empty__cancels_before_anything_is_done(vault_desk: Desk) -> None:
    operation_id = open_for(vault_desk, REDEMPTION, "TSLA")
    vault_desk.world.shift(sold("TSLA", "90"))
    outcome = vault_desk.push(operation_id, Leg.VAULT_WITHDRAW)
    assert outcome == Closed(OperationStatus.CANCELLED, "the vaults hold no TSLA any more")
    assert vault_desk.ledger.effects(operation_id) == []
    assert "TSLA" not in {one.asset for one in vault_desk.ledger.open_operations()}


def test_vault__is_emptied_before_the_withdrawal_is_mined__cancels_and_frees(vault_desk: Desk) -> None:
    operation_id = open_for(vault_desk, REDEMPTION, "TSLA")
    with interfering(vault_desk, lambda: vault_desk.world.shift(sold("TSLA", "90"))) as desk:
        outcome = desk.finish(operation_id, Leg.VAULT_WITHDRAW)
    assert isinstance(outcome, Closed)
    assert outcome.status is OperationStatus.CANCELLED
    assert effect(vault_desk, operation_id, "vault_withdraw_0").status is EffectStatus.DONE
    assert names(vault_desk, operation_id) == ["vault_withdraw_0"]
    operation = vault_desk.ledger.operation(operation_id)
    assert operation.base_block == vault_desk.world.base.head()  # the next snapshot must not be older
    assert_sound(vault_desk)


@pytest.mark.parametrize("kind", [REDEMPTION, TO_ALPACA])
def test_withdrawal__no_gas_on_base__is_not_begun(vault_desk: Desk, kind: OperationKind) -> None:
    asset = "USDC" if kind is TO_ALPACA else "TSLA"
    operation_id = open_for(vault_desk, kind, asset)
    vault_desk.world.base.rpc.request("anvil_setBalance", vault_desk.world.maker.address, "0x0")
    outcome = vault_desk.push(operation_id, Leg.VAULT_WITHDRAW)
    assert isinstance(outcome, Closed)
    assert "gas" in outcome.outcome
    assert vault_desk.ledger.effects(operation_id) == []


# -- not worth moving: put back ----------------------------------------------------------------------------

PUT_BACK = {
    "a stock": ("TSLA", REDEMPTION, (sold("TSLA", "85"),)),
    "a wrapped stock": ("MSFT", REDEMPTION, (sold("MSFT", "85"),)),
    "two vaults": ("AMZN", REDEMPTION, (sold("AMZN", "28"), sold("AMZN", "25", vault=1))),
    "USDC": ("USDC", TO_ALPACA, (sold("USDC", "8950"),)),
}


@pytest.mark.parametrize(("asset", "kind", "trades"), PUT_BACK.values(), ids=PUT_BACK)
def test_vaults__hold_less_than_the_minimum__get_it_back_and_the_asset_is_free(
    vault_desk: Desk, asset: str, kind: OperationKind, trades: tuple[Shift, ...]
) -> None:
    with open_desk(vault_desk.world, vault_desk.ledger, equity_minimum="6") as desk:
        operation_id = open_for(desk, kind, asset)
        for trade in trades:
            desk.world.shift(trade)
        held = sum(vaults(desk, asset))
        outcome = desk.finish(operation_id, Leg.VAULT_WITHDRAW)
        assert isinstance(outcome, Closed)
        assert outcome.status is OperationStatus.CANCELLED
        assert "put it back" in outcome.outcome
        assert sum(vaults(desk, asset)) == vaults(desk, asset)[0] == held
        assert in_wallet(desk, asset) == 0
        assert_sound(desk)
        effects = desk.ledger.effects(operation_id)
        assert {one.status for one in effects} == {EffectStatus.DONE}
        assert all((one.detail or "").startswith("undone") for one in effects if one.irreversible)
        operation = desk.ledger.operation(operation_id)
        assert (operation.status, operation.delivered) == (OperationStatus.CANCELLED, None)
        assert operation.base_block == desk.world.base.head()
        assert asset not in {one.asset for one in desk.ledger.open_operations()}
        # Pushing it again changes nothing.
        assert isinstance(desk.push(operation_id, Leg.VAULT_WITHDRAW), Closed)
        assert desk.ledger.effects(operation_id) == effects


def test_put_back__vault_filled_again_meanwhile__is_put_back_all_the_same(vault_desk: Desk) -> None:
    with open_desk(vault_desk.world, vault_desk.ledger, equity_minimum="6") as desk:
        operation_id = open_for(desk, REDEMPTION, "TSLA")
        desk.world.shift(sold("TSLA", "85"))
    with interfering(vault_desk, lambda: vault_desk.world.shift(bought("TSLA", "60")), at=2) as other:
        outcome = other.finish(operation_id, Leg.VAULT_WITHDRAW)
    assert isinstance(outcome, Closed)
    assert vaults(vault_desk, "TSLA") == [65]
    assert_sound(vault_desk)


class Killed(BaseException):
    """A process ends: nothing that catches exceptions catches this."""


@contextmanager
def mortal(desk: Desk, last: int) -> Iterator[Desk]:
    """Open the same book for a process that ends just before its request of that number."""
    made = 0

    def watch(_name: str, _content: Any) -> None:
        nonlocal made
        made += 1
        if made == last:
            raise Killed

    with open_desk(desk.world, desk.ledger, watch, equity_minimum="6") as other:
        yield other


def test_put_back__killed_before_a_request__puts_back_once(vault_desk: Desk, tmp_path: Path) -> None:
    """Every third request of the leg is a case of its own, in a world that is put back for it."""
    start, survived = vault_desk.world.snapshot(), 0
    for last in range(1, 500, 3):
        ledger = Ledger.open(f"sqlite:///{tmp_path / f'{last}.db'}")
        with open_desk(vault_desk.world, ledger, equity_minimum="6") as desk:
            operation_id = open_for(desk, REDEMPTION, "AMZN")
            for trade in PUT_BACK["two vaults"][2]:
                desk.world.shift(trade)
            killed = False
            try:
                with mortal(desk, last) as other:
                    other.finish(operation_id, Leg.VAULT_WITHDRAW)
            except Killed:
                killed = True
            outcome = desk.finish(operation_id, Leg.VAULT_WITHDRAW)
            assert isinstance(outcome, Closed), last
            assert outcome.status is OperationStatus.CANCELLED, last
            done = ["vault_withdraw_0", "vault_withdraw_1", "approve_orderbook", "put_back"]
            found = [one.name for one in desk.ledger.effects(operation_id)]
            assert sorted(found) == sorted(done), (last, found)
            assert vaults(desk, "AMZN") == [Decimal("2.5"), 0], last
            assert_sound(desk)
        ledger.close()
        vault_desk.world.revert(start)
        if not killed:
            break
        survived += 1
    assert survived > 15


# -- wrapped and unwrapped ---------------------------------------------------------------------------------


def test_unwrap__worth_more_meanwhile__redeems_what_it_is_worth_then(vault_desk: Desk) -> None:
    operation_id = open_for(vault_desk, REDEMPTION, "MSFT")
    asked = vault_desk.ledger.operation(operation_id).amount
    vault_desk.finish(operation_id, Leg.VAULT_WITHDRAW)
    vault_desk.world.dividend("MSFT", Decimal("0.1"))
    vault_desk.settle(operation_id)
    [_, (_, _, unwrapped), (_, sent, delivered)] = amounts(vault_desk, operation_id)
    assert unwrapped == sent == delivered
    assert Decimal("1.09") < Decimal(unwrapped or 0) / asked < Decimal("1.11")
    assert in_wallet(vault_desk, "MSFT") < Decimal("0.000000001")
    assert_sound(vault_desk)


def test_unwrap__ratio_moves_before_it_is_mined__books_the_event(vault_desk: Desk) -> None:
    operation_id = open_for(vault_desk, REDEMPTION, "MSFT")
    vault_desk.finish(operation_id, Leg.VAULT_WITHDRAW)
    with interfering(vault_desk, lambda: vault_desk.world.dividend("MSFT", Decimal("0.1"))) as desk:
        desk.settle(operation_id)
    [_, (_, asked, unwrapped), (_, sent, _)] = amounts(vault_desk, operation_id)
    assert (unwrapped or 0) > (asked or 0)
    assert sent == unwrapped
    assert_sound(vault_desk)


def test_wrap__ratio_moves_before_it_is_mined__deposits_the_shares_of_the_event(vault_desk: Desk) -> None:
    operation_id = open_for(vault_desk, MINT, "NVDA")
    vault_desk.finish(operation_id, Leg.MINT)
    before = vaults(vault_desk, "NVDA")[0]
    with interfering(vault_desk, lambda: vault_desk.world.dividend("NVDA", Decimal("0.5"))) as desk:
        desk.settle(operation_id)
    deposited = vaults(vault_desk, "NVDA")[0] - before
    assert Decimal(40) / Decimal("1.56") < deposited < Decimal(40) / Decimal("1.54")
    assert vault_desk.ledger.operation(operation_id).delivered == 40_000_000_000
    assert_sound(vault_desk)


def test_vault_withdraw__the_wrapper_gives_back_too_little__takes_nothing(vault_desk: Desk) -> None:
    operation_id = open_for(vault_desk, REDEMPTION, "MSFT")
    vault_desk.world.limit_redemptions("MSFT", Decimal(1))
    closed = vault_desk.push(operation_id, Leg.VAULT_WITHDRAW)
    assert isinstance(closed, Closed)
    assert "gives back 1 wrapped MSFT at most" in closed.outcome
    assert vault_desk.ledger.operation(operation_id).status is OperationStatus.CANCELLED
    assert vault_desk.ledger.effects(operation_id) == []
    assert_sound(vault_desk)


def test_mint__the_wrapper_takes_too_little__is_not_asked_for(vault_desk: Desk) -> None:
    operation_id = open_for(vault_desk, MINT, "NVDA")
    vault_desk.world.limit_wrapping("NVDA", Decimal("39.999999999"))
    closed = vault_desk.push(operation_id, Leg.MINT)
    assert isinstance(closed, Closed)
    assert "takes 39.999999999 at most, and 40 are to be minted" in closed.outcome
    assert vault_desk.ledger.effects(operation_id) == []
    assert vault_desk.world.broker.core.state.requests == {}
    assert_sound(vault_desk)


def test_wrap__as_much_as_the_wrapper_takes__is_wrapped(vault_desk: Desk) -> None:
    operation_id = open_for(vault_desk, MINT, "NVDA")
    vault_desk.world.limit_wrapping("NVDA", Decimal(40))
    vault_desk.settle(operation_id)
    assert_sound(vault_desk)


def test_unwrap__the_wrapper_gives_back_too_little__asks_a_person_and_goes_on_later(vault_desk: Desk) -> None:
    operation_id = open_for(vault_desk, REDEMPTION, "MSFT")
    vault_desk.finish(operation_id, Leg.VAULT_WITHDRAW)
    vault_desk.world.limit_redemptions("MSFT", Decimal(1))
    wait = until_attention(vault_desk, operation_id, Leg.UNWRAP)
    assert "gives back 1 shares at most" in str(wait.attention)
    assert vault_desk.ledger.operation(operation_id).status.is_open
    assert "unwrap" not in names(vault_desk, operation_id)
    vault_desk.world.limit_redemptions("MSFT", None)
    vault_desk.settle(operation_id)
    assert_sound(vault_desk)


def test_exits__what_was_taken_cannot_go_on__is_closed_by_a_person_and_counts_in_the_wallet(
    vault_desk: Desk,
) -> None:
    operation_id = open_for(vault_desk, REDEMPTION, "MSFT")
    vault_desk.finish(operation_id, Leg.VAULT_WITHDRAW)
    vault_desk.world.limit_redemptions("MSFT", Decimal(1))
    until_attention(vault_desk, operation_id, Leg.UNWRAP)
    person = Exits(vault_desk.book.venues, vault_desk.ledger, "ada")
    with pytest.raises(Refusal, match="the money has left"):
        person.cancel(operation_id, "the wrapper is closed")
    person.close(operation_id, "the wrapper is closed", delivered=Decimal(0))
    assert vault_desk.ledger.operation(operation_id).status is OperationStatus.RECONCILED
    onchain = vault_desk.check().snapshot.inventories["MSFT"].onchain
    assert isinstance(onchain, Balance)
    assert Decimal("37.99") < onchain.held < Decimal("38.01")
    assert vault_desk.world.conservation() == []


@pytest.fixture
def wrapping_desk(tmp_path: Path) -> Iterator[Desk]:
    """A maker that holds wrapped tokens in its wallet, and has no vaults."""
    scenario = Scenario(
        stocks={"AAPL": Holding(Decimal(10), Decimal(90)), "TSLA": Holding(Decimal(90), Decimal(10))},
        usdc=Holding(Decimal(5000), Decimal(5000)),
        wrapped={"AAPL": Decimal("1.25"), "TSLA": Decimal("1.25")},
    )
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")
    with World(scenario, block_time=None) as world, open_desk(world, ledger) as opened:
        yield opened
    ledger.close()


def test_wrapped_without_vaults__unwraps_what_the_wallet_lacks_and_wraps_what_is_minted(
    wrapping_desk: Desk,
) -> None:
    desk = wrapping_desk
    desk.world.give("AAPL", "tokens", Decimal(4))
    checked = desk.check()
    [redemption], [mint] = desk.claim(checked, REDEMPTION), desk.claim(checked, MINT)
    before = desk.world.holdings()["wtAAPL"]["wallet"]
    desk.settle(redemption.operation_id)
    desk.settle(mint.operation_id)
    assert names(desk, redemption.operation_id) == ["unwrap", "token_transfer"]
    [(_, asked, unwrapped), (_, sent, _)] = amounts(desk, redemption.operation_id)
    assert asked == unwrapped == sent
    taken = before - desk.world.holdings()["wtAAPL"]["wallet"]
    assert abs(taken - (Decimal(asked or 0).scaleb(-9) - 4) / Decimal("1.25")) < Decimal("1e-9")
    assert names(desk, mint.operation_id) == ["approve_wrapper", "mint_request", "wrap"]
    assert in_wallet(desk, "TSLA") == 0
    assert {one.reason for one in desk.check().decisions} == {Reason.BALANCED}
    assert_sound(desk)


def test_wrapped_without_vaults__the_wallet_holds_enough_unwrapped__unwraps_nothing(
    wrapping_desk: Desk,
) -> None:
    desk = wrapping_desk
    [redemption] = desk.claim(desk.check(), REDEMPTION)
    desk.world.give("AAPL", "tokens", Decimal(100))
    desk.settle(redemption.operation_id)
    assert names(desk, redemption.operation_id) == ["token_transfer"]
    assert_sound(desk)


# -- into the vaults --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "asset", "expected"),
    [
        (MINT, "AAPL", ["approve_orderbook", "mint_request", "vault_deposit"]),
        (
            MINT,
            "NVDA",
            ["approve_wrapper", "approve_orderbook", "mint_request", "wrap", "vault_deposit"],
        ),
        (
            TO_BASE,
            "USDC",
            ["approve", "approve_orderbook", "withdrawal_request", "burn", "receive", "vault_deposit"],
        ),
        (TO_ALPACA, "USDC", ["approve", "vault_withdraw_0", "burn", "receive", "usdc_transfer"]),
    ],
)
def test_allowances__are_granted_before_anything_irreversible_and_once_for_all(
    vault_desk: Desk, kind: OperationKind, asset: str, expected: list[str]
) -> None:
    first = open_for(vault_desk, kind, asset)
    vault_desk.settle(first)
    assert names(vault_desk, first) == expected
    if kind is MINT:
        vault_desk.world.shift(sold(asset, "45"))
    else:
        amount = "4500" if kind is TO_BASE else "0"
        vault_desk.world.shift(sold("USDC", amount) if kind is TO_BASE else bought("USDC", "4500"))
    [again] = [one for one in vault_desk.claim(vault_desk.check(), kind) if one.asset == asset]
    vault_desk.settle(again.operation_id)
    assert names(vault_desk, again.operation_id) == [one for one in expected if "approve" not in one]
    assert_sound(vault_desk)


@pytest.mark.parametrize("asset", ["AAPL", "NVDA"])
def test_allowance__revoked_meanwhile__is_granted_again_by_the_leg_that_needs_it(
    vault_desk: Desk, asset: str
) -> None:
    world = vault_desk.world
    operation_id = open_for(vault_desk, MINT, asset)
    vault_desk.finish(operation_id, Leg.MINT)
    spenders = [(world.vaults.traded[asset].token, world.deployment.orderbook)]
    if asset in world.deployment.wrappers:
        spenders.append((world.deployment.stocks[asset], world.deployment.wrappers[asset]))
    for token, spender in spenders:
        revoke = calldata("approve(address,uint256)", [spender, 0])
        world.base.rpc.send(world.maker.address, token, revoke)
    vault_desk.settle(operation_id)
    assert names(vault_desk, operation_id).count("approve_orderbook") == 2
    assert_sound(vault_desk)


@pytest.mark.parametrize(("stray_tokens", "left", "held"), [("report", 3, 50), ("deposit", 0, 53)])
def test_stray_tokens__are_left_or_deposited_as_is_set(
    vault_desk: Desk, stray_tokens: str, left: int, held: int
) -> None:
    with open_desk(vault_desk.world, vault_desk.ledger, stray_tokens=stray_tokens) as desk:
        operation_id = open_for(desk, MINT, "AAPL")
        desk.world.give("AAPL", "tokens", Decimal(3))
        desk.settle(operation_id)
        assert in_wallet(desk, "AAPL") == left
        assert vaults(desk, "AAPL") == [held]
        assert desk.ledger.operation(operation_id).delivered == 45_000_000_000
        assert_sound(desk)


def test_vault_deposit__what_was_minted_is_gone__asks_a_person(vault_desk: Desk) -> None:
    operation_id = open_for(vault_desk, MINT, "AAPL")
    vault_desk.finish(operation_id, Leg.MINT)
    world = vault_desk.world
    world.base.rpc.send(
        world.maker.address,
        world.deployment.stocks["AAPL"],
        calldata("transfer(address,uint256)", [world.deployment.orderbook, 10**18]),
    )
    wait = until_attention(vault_desk, operation_id, Leg.VAULT_DEPOSIT)
    assert "the wallet holds 44 AAPL, and 45 AAPL came in" in str(wait.attention)
    assert vault_desk.ledger.operation(operation_id).status.is_open


def test_wrap__what_was_minted_is_gone__keeps_the_claim_and_is_not_minted_again(vault_desk: Desk) -> None:
    operation_id = open_for(vault_desk, MINT, "NVDA")
    vault_desk.finish(operation_id, Leg.MINT)
    world = vault_desk.world
    away = calldata("transfer(address,uint256)", [world.deployment.orderbook, 10**18])
    world.base.rpc.send(world.maker.address, world.deployment.stocks["NVDA"], away)
    wait = until_attention(vault_desk, operation_id, Leg.WRAP)
    assert "money is under way" in str(wait.attention)
    decisions = {one.asset: one.reason for one in vault_desk.check().decisions}
    assert decisions["NVDA"] is Reason.CLAIMED
    world.give("NVDA", "tokens", Decimal(1))
    vault_desk.settle(operation_id)
    assert names(vault_desk, operation_id).count("mint_request") == 1
    assert vault_desk.ledger.operation(operation_id).delivered == 40_000_000_000


# -- other settings than those it was claimed under --------------------------------------------------------


def test_vaults__another_is_put_first__what_comes_goes_there_and_the_former_still_counts(
    vault_desk: Desk,
) -> None:
    vault_desk.world.shift(sold("AMZN", "60"))  # of 70, which are in the first
    assets = json.loads(vault_desk.world.settings_environment()["BALLAST_ASSETS"])
    assets["AMZN"]["vaults"].reverse()
    with open_desk(vault_desk.world, vault_desk.ledger, assets=json.dumps(assets)) as desk:
        [operation_id] = [one.operation_id for one in desk.claim(desk.check(), MINT) if one.asset == "AMZN"]
        desk.settle(operation_id)
        assert vaults(desk, "AMZN") == [10, 40]
        inventory = desk.check().snapshot.inventories["AMZN"]
    assert isinstance(inventory.onchain, Balance)
    assert inventory.onchain.available == 50
    assert_sound(vault_desk)


@every_case
def test_operation__settings_lose_vaults_and_wrappers_meanwhile__ends_as_it_began(
    vault_desk: Desk, kind: OperationKind, asset: str
) -> None:
    operation_id = open_for(vault_desk, kind, asset)
    with open_desk(vault_desk.world, vault_desk.ledger, assets="{}") as desk:
        desk.settle(operation_id)
    assert in_wallet(vault_desk, asset) < Decimal("0.000000001")
    assert_sound(vault_desk)


def test_operation__settings_gain_a_vault_meanwhile__ends_as_it_began(vault_desk: Desk) -> None:
    with open_desk(vault_desk.world, vault_desk.ledger, assets=json.dumps({"USDC": {}})) as desk:
        [assignment] = desk.claim(desk.check(), TO_BASE)
    vault_desk.settle(assignment.operation_id)
    assert [leg.name for leg in vault_desk.ledger.legs(assignment.operation_id)] == [Leg.WITHDRAW, Leg.BRIDGE]
    assert in_wallet(vault_desk, "USDC") > 0
    assert vault_desk.world.conservation() == []


def test_operation__with_no_record_of_its_terms__goes_by_what_is_set(vault_desk: Desk) -> None:
    checked = vault_desk.check()
    operation = vault_desk.ledger.claim(
        kind=REDEMPTION,
        asset="MSFT",
        amount=5_000_000_000,
        decimals=9,
        check_id=checked.id,
        run_id=vault_desk.run_id,
        taken_at=checked.snapshot.taken_at,
        legs=(Leg.VAULT_WITHDRAW, Leg.UNWRAP, Leg.REDEEM),
    )
    vault_desk.settle(operation.id)
    assert_sound(vault_desk)


# -- a node that lags --------------------------------------------------------------------------------------


def test_leg__node_does_not_show_the_block_of_the_leg_before__waits(
    vault_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation_id = open_for(vault_desk, MINT, "AAPL")
    vault_desk.finish(operation_id, Leg.MINT)
    base = vault_desk.book.venues.base
    shown, minted = base.head, vault_desk.ledger.operation(operation_id).base_block
    assert minted is not None
    old = base.block(minted - 1)
    monkeypatch.setattr(base, "head", lambda: old)
    outcome = vault_desk.push(operation_id, Leg.VAULT_DEPOSIT)
    assert isinstance(outcome, Wait)
    assert (outcome.reason, outcome.attention) == (f"base to show block {minted}", None)
    monkeypatch.setattr(base, "head", shown)
    await_condition(vault_desk.book.venues, outcome, time.monotonic() + PATIENCE_SECONDS)
    vault_desk.settle(operation_id)
