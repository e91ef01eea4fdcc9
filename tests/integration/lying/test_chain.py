"""Nodes that lag, forget and refuse, chains that are reorganised, contracts that are closed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from include.domain.operation import Leg, OperationKind
from include.ledger.records import EffectStatus
from include.legs.leg import Done, Wait
from include.sandbox.accounts import Role, account
from include.sandbox.chains import transact
from include.sandbox.jsonrpc import calldata
from include.sandbox.proxy import Rule
from tests.integration.legs.test_operations import open_one
from tests.integration.lying.test_http import TRANSACTIONS, assert_moved_once
from tests.support.lying import (
    APPROVE,
    BURNING,
    RECEIVING,
    TRANSFER,
    Later,
    LyingDesk,
    assert_never_twice,
    drive,
    effects_outside,
    push_until,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from include.sandbox.alpaca.chain import EvmChain
    from include.sandbox.world import World
    from tests.integration.lying.conftest import OpenDesk

REDEMPTION = OperationKind.REDEMPTION
TO_BASE, TO_ALPACA = OperationKind.USDC_ALPACA_TO_BASE, OperationKind.USDC_BASE_TO_ALPACA

DEPTH = 3
DEEP: dict[str, str] = {"ethereum_confirmations": str(DEPTH), "base_confirmations": str(DEPTH)}


def chain_of(world: World, network: str) -> EvmChain:
    return world.ethereum if network == "ethereum" else world.base


def mine(world: World, blocks: int = DEPTH) -> None:
    for chain in (world.ethereum, world.base):
        chain.rpc.request("anvil_mine", hex(blocks))


def mined_in(desk: LyingDesk, network: str, call: str) -> list[str]:
    """Return the hashes of the maker's mined transactions whose call has a selector."""
    chain = chain_of(desk.world, network)
    found = []
    for number in range(desk.world.broker.core.state.opening_blocks[network] + 1, chain.head() + 1):
        block = chain.rpc.request("eth_getBlockByNumber", hex(number), True)
        found += [
            str(one["hash"])
            for one in block["transactions"]
            if one["from"].lower() == desk.world.maker.address.lower() and one["input"][2:10] == call
        ]
    return found


def take_off(desk: LyingDesk, network: str, tx_hash: str) -> int:
    """Let a reorganisation remove a transaction's block and all after it, and return how many they were."""
    chain = chain_of(desk.world, network)
    depth = chain.head() - int(chain.rpc.receipt(tx_hash)["blockNumber"], 16) + 1
    chain.rpc.request("anvil_reorg", depth, [])
    return depth


def circle(desk: LyingDesk, **changes: Any) -> None:
    """Change what the attestation service does from here on."""
    service = desk.world.attestation
    assert service is not None
    service.change(service.settings.patched(changes))


def burnt(desk: LyingDesk) -> str:
    """Withdraw and burn, with Circle silent, and return the operation."""
    circle(desk, paused=True)
    operation_id = open_one(desk, TO_BASE).operation_id
    drive_leg(desk, operation_id, Leg.WITHDRAW)
    push_until(desk, operation_id, Leg.BRIDGE, "Circle to attest")
    return operation_id


def effects_of(desk: LyingDesk, operation_id: str, name: str) -> list[EffectStatus]:
    return [one.status for one in desk.ledger.effects(operation_id) if one.name == name]


# -- the node ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TRANSACTIONS)
def test_receipts__null_for_a_while__are_waited_for(desk: LyingDesk, kind: OperationKind) -> None:
    operation_id = open_one(desk, kind).operation_id
    for proxy in (desk.proxies.ethereum, desk.proxies.base):
        proxy.arm(Rule("eth_getTransactionReceipt", "answer", result=None, times=6))
    assert drive(desk, operation_id).is_settled
    assert_moved_once(desk, kind)


@pytest.mark.parametrize("kind", TRANSACTIONS)
def test_node__every_second_answer_of_one_that_lags__money_moves_once(
    desk: LyingDesk, kind: OperationKind
) -> None:
    """Two nodes behind one URL, of which one stays where it was when the operation began."""
    operation_id = open_one(desk, kind).operation_id
    for proxy, chain in (
        (desk.proxies.ethereum, desk.world.ethereum),
        (desk.proxies.base, desk.world.base),
    ):
        proxy.arm(Rule("eth_*", "lagging", block=chain.head(), every=2, times=20))
    assert drive(desk, operation_id, past_attention=True).is_settled
    assert_moved_once(desk, kind)


REFUSALS = (
    "nonce too low",
    "replacement transaction underpriced",
    "already known",
    "insufficient funds for gas * price + value",
    "txpool is full",
)


def test_broadcast__refused_in_any_words__is_offered_until_it_is_taken(desk: LyingDesk) -> None:
    operation_id = open_one(desk, REDEMPTION).operation_id
    for text in REFUSALS:
        desk.proxies.base.arm(Rule("eth_sendRawTransaction", "error", message=text))
    assert drive(desk, operation_id).is_settled
    assert desk.proxies.base.hits == len(REFUSALS)
    assert_moved_once(desk, REDEMPTION)


@pytest.mark.parametrize("text", REFUSALS[:2])
def test_broadcast__taken_and_called_refused__is_mined_once(desk: LyingDesk, text: str) -> None:
    operation_id = open_one(desk, REDEMPTION).operation_id
    desk.proxies.base.arm(Rule("eth_sendRawTransaction", "error_after", message=text, times=2))
    assert drive(desk, operation_id).is_settled
    assert_moved_once(desk, REDEMPTION)


@pytest.mark.parametrize("lost", [False, True])
def test_transaction__stuck_for_minutes__is_outbid_and_mined_once(open_desk: OpenDesk, lost: bool) -> None:
    """Either the node dropped the first one, or both are in its pool and the dearer one wins."""
    clock = Later()
    desk = open_desk(now=clock)
    operation_id = open_one(desk, REDEMPTION).operation_id
    desk.world.base.rpc.request("evm_setAutomine", False)
    if lost:
        desk.proxies.base.arm(Rule("eth_sendRawTransaction", "swallow", times=2))
    push_until(desk, operation_id, Leg.REDEEM, "to be mined")
    clock.by = timedelta(minutes=3)
    push_until(desk, operation_id, Leg.REDEEM, "to be mined")
    [effect] = desk.ledger.effects(operation_id)
    desk.world.base.rpc.request("evm_setAutomine", True)
    desk.world.base.rpc.request("evm_mine")
    assert drive(desk, operation_id).is_settled
    broadcast = {one.body for one in desk.proxies.base.seen if one.name == "eth_sendRawTransaction"}
    assert len({body.split(b'"params"')[1].split(b"]")[0] for body in broadcast}) == 2
    assert desk.ledger.effects(operation_id)[0].id == effect.id
    assert_moved_once(desk, REDEMPTION)


def test_replacement__refused_as_underpriced__the_first_is_mined_once(open_desk: OpenDesk) -> None:
    clock = Later()
    desk = open_desk(now=clock)
    operation_id = open_one(desk, REDEMPTION).operation_id
    desk.world.base.rpc.request("evm_setAutomine", False)
    push_until(desk, operation_id, Leg.REDEEM, "to be mined")
    clock.by = timedelta(minutes=3)
    message = "replacement transaction underpriced"
    desk.proxies.base.arm(Rule("eth_sendRawTransaction", "error", message=message, times=None))
    push_until(desk, operation_id, Leg.REDEEM, "to be mined")
    desk.world.base.rpc.request("evm_setAutomine", True)
    desk.world.base.rpc.request("evm_mine")
    assert drive(desk, operation_id).is_settled
    assert_moved_once(desk, REDEMPTION)


@pytest.mark.parametrize("answer", ["0x", "0x" + "11" * 31, "not hex", None, 5])
def test_calls__answered_with_nonsense__are_asked_again(desk: LyingDesk, answer: object) -> None:
    operation_id = open_one(desk, TO_BASE).operation_id
    for proxy in (desk.proxies.ethereum, desk.proxies.base):
        proxy.arm(Rule("eth_call", "answer", result=answer, times=None, every=2))
        proxy.arm(Rule("eth_getTransactionReceipt", "answer", result=answer))
    for _ in range(12):
        for leg in TO_BASE.legs:
            outcome = desk.push(operation_id, leg)
            assert isinstance(outcome, Wait | Done)
            if isinstance(outcome, Wait):
                break
    desk.proxies.clear()
    assert drive(desk, operation_id, past_attention=True).is_settled
    assert_moved_once(desk, TO_BASE)


# -- the nonce, and the gas --------------------------------------------------------------------------------


def steal_nonce(desk: LyingDesk, network: str) -> None:
    """Send something of no account from the same wallet, as another program with its key would."""
    chain = chain_of(desk.world, network)
    data = calldata("approve(address,uint256)", [account(Role.STRANGER).address, 0])
    token = desk.world.deployment.base.usdc if network == "base" else desk.world.deployment.ethereum.usdc
    chain.rpc.send(desk.world.maker.address, token, data)


def test_nonce__taken_by_another_program_before_anything_moved__cancels(desk: LyingDesk) -> None:
    operation_id = open_one(desk, REDEMPTION).operation_id
    desk.proxies.base.arm(Rule("eth_sendRawTransaction", "swallow"))
    push_until(desk, operation_id, Leg.REDEEM, "to be mined")
    steal_nonce(desk, "base")
    story = drive(desk, operation_id)
    assert story.is_cancelled
    assert assert_never_twice(desk.world) == {}
    assert operation_id not in {one.id for one in desk.ledger.open_operations()}


@pytest.mark.parametrize(
    ("network", "call", "name"), [("ethereum", BURNING, "burn"), ("base", RECEIVING, "receive")]
)
def test_nonce__taken_by_another_program_half_way__is_done_again_with_another(
    desk: LyingDesk, network: str, call: str, name: str
) -> None:
    operation_id = open_one(desk, TO_BASE).operation_id
    getattr(desk.proxies, network).arm(Rule("eth_sendRawTransaction", "swallow", containing=call))
    drive(desk, operation_id, until=lambda wait: f"{name} to be mined" in wait.reason)
    steal_nonce(desk, network)
    assert drive(desk, operation_id, past_attention=True).is_settled
    assert effects_of(desk, operation_id, name) == [EffectStatus.NOT_DONE, EffectStatus.DONE]
    assert_moved_once(desk, TO_BASE)


def low_estimate(gas: int) -> Rule:
    return Rule("eth_estimateGas", "edit", edit=lambda answer: {**answer, "result": hex(gas)})


def test_gas__runs_out_before_anything_moved__cancels(desk: LyingDesk) -> None:
    operation_id = open_one(desk, TO_ALPACA).operation_id
    desk.proxies.base.arm(Rule("eth_estimateGas", "edit", edit=low_estimate(25_000).edit, containing=BURNING))
    story = drive(desk, operation_id)
    assert story.is_cancelled
    assert len(mined_in(desk, "base", BURNING)) == 1
    assert assert_never_twice(desk.world) == {}


def test_gas__runs_out_half_way__is_done_again_and_asks_meanwhile(desk: LyingDesk) -> None:
    operation_id = open_one(desk, TO_BASE).operation_id
    rule = low_estimate(25_000)
    desk.proxies.ethereum.arm(Rule("eth_estimateGas", "edit", edit=rule.edit, containing=BURNING))
    story = drive(desk, operation_id, past_attention=True)
    assert story.is_settled
    assert ["reverted" in asked for asked in story.attentions] == [True]
    assert len(mined_in(desk, "ethereum", BURNING)) == 2
    assert_moved_once(desk, TO_BASE)


def test_gas__far_too_low_an_estimate_for_the_delivery__has_a_floor(desk: LyingDesk) -> None:
    operation_id = open_one(desk, TO_BASE).operation_id
    rule = low_estimate(25_000)
    desk.proxies.base.arm(Rule("eth_estimateGas", "edit", edit=rule.edit, containing=RECEIVING))
    assert drive(desk, operation_id).is_settled
    assert_moved_once(desk, TO_BASE)


def set_ether(world: World, network: str, wei: int) -> None:
    chain_of(world, network).rpc.request("anvil_setBalance", world.maker.address, hex(wei))


@pytest.mark.parametrize("kind", [REDEMPTION, TO_BASE, TO_ALPACA])
def test_gas__none_at_the_start__nothing_is_begun(desk: LyingDesk, kind: OperationKind) -> None:
    operation_id = open_one(desk, kind).operation_id
    set_ether(desk.world, "base", 10)
    assert drive(desk, operation_id).is_cancelled
    assert desk.ledger.effects(operation_id) == []
    assert assert_never_twice(desk.world) == {}


@pytest.mark.parametrize("kind", OperationKind)
def test_account__blocked_at_alpaca__nothing_is_begun(desk: LyingDesk, kind: OperationKind) -> None:
    core = desk.world.broker.core
    operation_id = open_one(desk, kind).operation_id
    core.rules = core.rules.model_copy(update={"account_blocked": True})
    assert drive(desk, operation_id).is_cancelled
    assert "account_blocked" in str(desk.ledger.operation(operation_id).outcome)
    assert desk.ledger.effects(operation_id) == []
    assert assert_never_twice(desk.world) == {}


def test_gas__gone_half_way__asks_and_goes_on_when_there_is_some(desk: LyingDesk) -> None:
    operation_id = burnt(desk)
    circle(desk, paused=False)
    set_ether(desk.world, "base", 10)
    assert "can cost" in drive(desk, operation_id).asks
    set_ether(desk.world, "base", 10**18)
    assert drive(desk, operation_id, past_attention=True).is_settled
    assert_moved_once(desk, TO_BASE)


# -- reorganisations ---------------------------------------------------------------------------------------

LAST = {
    "tokens": (REDEMPTION, Leg.REDEEM, "base", TRANSFER),
    # Towards Base it is granted before Alpaca pays, and what Alpaca sends is not ours to send again.
    "approve": (TO_ALPACA, Leg.BRIDGE, "base", APPROVE),
    "burn on ethereum": (TO_BASE, Leg.BRIDGE, "ethereum", BURNING),
    "receive on base": (TO_BASE, Leg.BRIDGE, "base", RECEIVING),
    "burn on base": (TO_ALPACA, Leg.BRIDGE, "base", BURNING),
    "receive on ethereum": (TO_ALPACA, Leg.BRIDGE, "ethereum", RECEIVING),
    "deposit": (TO_ALPACA, Leg.DEPOSIT, "ethereum", TRANSFER),
}


def push_with_blocks(
    desk: LyingDesk, operation_id: str, until: Callable[[Wait], bool] = lambda _wait: False
) -> None:
    """Push an operation while blocks go by, to its end or to a certain wait."""

    def looked(wait: Wait) -> bool:
        if until(wait):
            return True
        mine(desk.world, 1)
        return False

    story = drive(desk, operation_id, until=looked, past_attention=True)
    assert story.is_settled or isinstance(story.outcome, Wait)


def test_confirmations__not_there_yet__are_waited_for(open_desk: OpenDesk) -> None:
    desk = open_desk(**DEEP)
    operation_id = open_one(desk, REDEMPTION).operation_id
    push_until(desk, operation_id, Leg.REDEEM, "to be mined")
    assert len(mined_in(desk, "base", TRANSFER)) == 1
    mine(desk.world, DEPTH - 2)
    push_until(desk, operation_id, Leg.REDEEM, "to be mined")
    mine(desk.world, 1)
    assert drive(desk, operation_id).is_settled


@pytest.mark.parametrize("transaction", LAST)
def test_reorganisation__before_the_wanted_depth__is_sent_again_and_counts_once(
    open_desk: OpenDesk, transaction: str
) -> None:
    kind, _, network, call = LAST[transaction]
    desk = open_desk(**DEEP)
    operation_id = open_one(desk, kind).operation_id
    push_with_blocks(desk, operation_id, until=lambda _wait: bool(mined_in(desk, network, call)))
    [before] = mined_in(desk, network, call)
    assert take_off(desk, network, before) < DEPTH
    assert mined_in(desk, network, call) == []
    push_with_blocks(desk, operation_id)
    assert mined_in(desk, network, call) == [before]
    assert_moved_once(desk, kind)


@pytest.mark.parametrize("transaction", [one for one in LAST if not one.startswith("receive")])
def test_reorganisation__after_the_wanted_depth__is_sent_again_and_counts_once(
    open_desk: OpenDesk, transaction: str
) -> None:
    """The ledger calls it done, and then the chain knows nothing of it."""
    kind, leg, network, call = LAST[transaction]
    desk = open_desk(**DEEP)
    core, service = desk.world.broker.core, desk.world.attestation
    assert service is not None
    core.latencies = core.latencies.model_copy(update={"redemption_seen": 3600.0})
    core.rules = core.rules.model_copy(update={"deposit_confirmations": 1000})
    service.change(service.settings.model_copy(update={"paused": leg is not Leg.DEPOSIT}))
    operation_id = open_one(desk, kind).operation_id
    waits = ("the issuer and Alpaca", "Alpaca to credit", "Circle to attest")
    push_with_blocks(
        desk,
        operation_id,
        until=lambda wait: bool(mined_in(desk, network, call)) and wait.reason.startswith(waits),
    )
    if leg is Leg.DEPOSIT:
        assert effects_of(desk, operation_id, "usdc_transfer") == [EffectStatus.DONE]
    [before] = mined_in(desk, network, call)
    assert take_off(desk, network, before) >= DEPTH
    assert mined_in(desk, network, call) == []
    push_until(desk, operation_id, leg, "mined")
    core.latencies = core.latencies.model_copy(update={"redemption_seen": 0.0})
    core.rules = core.rules.model_copy(update={"deposit_confirmations": 1})
    service.change(service.settings.model_copy(update={"paused": False}))
    push_with_blocks(desk, operation_id)
    assert mined_in(desk, network, call) == [before]
    assert_moved_once(desk, kind)


# -- contracts ---------------------------------------------------------------------------------------------


def set_closed(world: World, what: str, closed: bool) -> None:
    """Pause a contract, or put the maker on a list, or undo it."""
    name, network = what.split(" on ")
    url = world.ethereum_url if network == "ethereum" else world.base_url
    contracts = world.deployment.ethereum if network == "ethereum" else world.deployment.base
    acts: dict[str, tuple[str, str, str, list[Any]]] = {
        "USDC paused": (contracts.usdc, "pause()", "unpause()", []),
        "transmitter paused": (contracts.message_transmitter, "pause()", "unpause()", []),
        "minter paused": (contracts.token_minter, "pause()", "unpause()", []),
        "wallet blacklisted": (
            contracts.usdc,
            "blacklist(address)",
            "unBlacklist(address)",
            [world.maker.address],
        ),
        "wallet denylisted": (
            contracts.token_messenger,
            "denylist(address)",
            "unDenylist(address)",
            [world.maker.address],
        ),
        "deposit address blacklisted": (
            contracts.usdc,
            "blacklist(address)",
            "unBlacklist(address)",
            [account(Role.ALPACA_DEPOSIT).address],
        ),
    }
    contract, close, reopen, args = acts[name]
    transact(url, Role.DEPLOYER, contract, close if closed else reopen, args)


@pytest.mark.parametrize(
    "what", ["USDC paused", "transmitter paused", "minter paused", "wallet blacklisted", "wallet denylisted"]
)
@pytest.mark.parametrize(("kind", "network"), [(TO_BASE, "base"), (TO_ALPACA, "ethereum")])
def test_bridge__closed_at_the_far_end__nothing_is_begun(
    desk: LyingDesk, kind: OperationKind, what: str, network: str
) -> None:
    operation_id = open_one(desk, kind).operation_id
    set_closed(desk.world, f"{what} on {network}", True)
    story = drive(desk, operation_id)
    assert story.is_cancelled
    assert desk.ledger.effects(operation_id) == []
    assert desk.ledger.open_operations() == []
    assert assert_never_twice(desk.world) == {}


@pytest.mark.parametrize(
    "what",
    [
        "minter paused on ethereum",
        "wallet blacklisted on ethereum",
        "wallet denylisted on ethereum",
        "transmitter paused on base",
    ],
)
def test_bridge__closed_before_the_burn__asks_and_goes_on_when_it_opens(desk: LyingDesk, what: str) -> None:
    operation_id = open_one(desk, TO_BASE).operation_id
    assert isinstance(drive_leg(desk, operation_id, Leg.WITHDRAW), Done)
    set_closed(desk.world, what, True)
    assert "refused" in drive(desk, operation_id).asks
    assert "burn on ethereum" not in effects_outside(desk.world)
    set_closed(desk.world, what, False)
    assert drive(desk, operation_id, past_attention=True).is_settled
    assert_moved_once(desk, TO_BASE)


@pytest.mark.parametrize(
    "what",
    [
        "USDC paused on base",
        "transmitter paused on base",
        "wallet blacklisted on base",
    ],
)
def test_bridge__closed_before_the_delivery__asks_and_goes_on_when_it_opens(
    desk: LyingDesk, what: str
) -> None:
    operation_id = burnt(desk)
    circle(desk, paused=False)
    set_closed(desk.world, what, True)
    assert "refused" in drive(desk, operation_id).asks
    assert "receive on base" not in effects_outside(desk.world)
    set_closed(desk.world, what, False)
    assert drive(desk, operation_id, past_attention=True).is_settled
    assert_moved_once(desk, TO_BASE)


@pytest.mark.parametrize("what", ["USDC paused on ethereum", "deposit address blacklisted on ethereum"])
def test_deposit__refused_by_usdc__asks_and_goes_on_when_it_is_taken(desk: LyingDesk, what: str) -> None:
    operation_id = open_one(desk, TO_ALPACA).operation_id
    assert isinstance(drive_leg(desk, operation_id, Leg.BRIDGE), Done)
    set_closed(desk.world, what, True)
    assert "refused" in drive(desk, operation_id).asks
    assert "deposit" not in effects_outside(desk.world)
    set_closed(desk.world, what, False)
    assert drive(desk, operation_id, past_attention=True).is_settled
    assert_moved_once(desk, TO_ALPACA)


def drive_leg(desk: LyingDesk, operation_id: str, leg: Leg) -> Done:
    outcome = desk.finish(operation_id, leg)
    assert isinstance(outcome, Done)
    return outcome


# -- the allowance -----------------------------------------------------------------------------------------


def set_allowance(world: World, network: str, amount: int) -> None:
    contracts = world.deployment.ethereum if network == "ethereum" else world.deployment.base
    data = calldata("approve(address,uint256)", [contracts.token_messenger, amount])
    chain_of(world, network).rpc.send(world.maker.address, contracts.usdc, data)


@pytest.mark.parametrize(("allowed", "approvals"), [(0, 1), (1, 1), (2**256 - 1, 0)])
def test_allowance__too_small_at_the_start__is_granted_first(
    desk: LyingDesk, allowed: int, approvals: int
) -> None:
    set_allowance(desk.world, "base", allowed)
    operation_id = open_one(desk, TO_ALPACA).operation_id
    assert drive(desk, operation_id).is_settled
    assert effects_of(desk, operation_id, "approve") == [EffectStatus.DONE] * approvals
    assert_moved_once(desk, TO_ALPACA)


def test_allowance__taken_away_after_it_was_granted__is_granted_again(desk: LyingDesk) -> None:
    operation_id = open_one(desk, TO_BASE).operation_id
    drive_leg(desk, operation_id, Leg.WITHDRAW)
    set_allowance(desk.world, "ethereum", 0)
    desk.proxies.ethereum.arm(Rule("eth_sendRawTransaction", "swallow", containing=BURNING))
    push_until(desk, operation_id, Leg.BRIDGE, "burn to be mined")
    set_allowance(desk.world, "ethereum", 0)
    story = drive(desk, operation_id, past_attention=True)
    assert story.is_settled
    approvals = [one for one in desk.ledger.effects(operation_id) if one.name == "approve"]
    assert [(one.leg, one.status) for one in approvals] == [
        (Leg.WITHDRAW, EffectStatus.DONE),  # before Alpaca is asked
        (Leg.BRIDGE, EffectStatus.NOT_DONE),
        (Leg.BRIDGE, EffectStatus.DONE),
    ]
    assert_moved_once(desk, TO_BASE)
