"""Faults at random while an operation is pushed: whatever comes together, the money moves once and arrives.

A seed makes the same choices in every run; how they meet the venues' timing may differ. To look at one story
alone: `pytest tests/integration/lying/test_random.py -k "[17]"`.
"""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from include.domain.operation import OperationKind, OperationStatus
from include.legs.leg import Closed, Done, Wait
from include.sandbox.alpaca.faults import Fault
from include.sandbox.proxy import Rule
from tests.integration.legs.test_operations import open_one
from tests.integration.lying.test_chain import chain_of, mine, set_closed, steal_nonce
from tests.support.lying import Later, assert_never_twice, drive

if TYPE_CHECKING:
    from collections.abc import Callable

    from include.sandbox.world import World
    from tests.integration.lying.conftest import OpenDesk
    from tests.support.lying import LyingDesk, Proxies, Story

STORIES, ROUNDS = 28, 10
ASKED_OFTEN_ENOUGH = 10
"""After so many waits in a row for a person, with every venue honest again, it does wait for a person."""

NETWORKS = ("ethereum", "base")
REQUESTS = {
    "alpaca": ("POST *", "GET *", "GET *tokenization*", "GET *wallets*"),
    "attestation": ("GET *", "GET /v2/messages/*", "POST *"),
    "ethereum": ("eth_sendRawTransaction", "eth_get*", "eth_call", "eth_*"),
    "base": ("eth_sendRawTransaction", "eth_get*", "eth_call", "eth_*"),
}
FAULTS = (
    "lost",
    "half",
    "malformed",
    "html_after",
    "status_after",
    "reset",
    "status",
    "html",
    "delay",
    "late",
)
BROADCASTS = ("swallow", "error", "error_after")
FATES = {
    OperationKind.MINT: (("mint", "reject"), ("mint", "reject_returned"), ("mint", "stuck")),
    OperationKind.REDEMPTION: (("redemption", "never_seen"), ("redemption", "stuck")),
    OperationKind.USDC_ALPACA_TO_BASE: (
        ("withdrawal", "fail"),
        ("withdrawal", "fail_with_hash"),
        ("withdrawal", "complete_before_hash"),
        ("withdrawal", "complete_before_mined"),
        ("withdrawal", "stuck"),
    ),
    OperationKind.USDC_BASE_TO_ALPACA: (("deposit", "never_seen"), ("deposit", "stuck")),
}
OBSTACLES = ("USDC paused", "transmitter paused", "minter paused", "wallet denylisted")


class Chaos:
    """One operation among venues that lie as a seed wants it. `diary` tells what was done, in order."""

    def __init__(self, seed: int, world: World, proxies: Proxies, open_desk: OpenDesk) -> None:
        self.random = random.Random(seed)
        self.world, self.proxies, self._open_desk = world, proxies, open_desk
        self.clock = Later()
        self.closed: set[str] = set()
        self.diary: list[str] = []
        self.kind = list(OperationKind)[seed % len(OperationKind)]
        self.desk = self.open()
        self.operation_id = open_one(self.desk, self.kind).operation_id

    def open(self) -> LyingDesk:
        """Come as a new process would, which knows nothing but the ledger."""
        deep = {"ethereum_confirmations": "2", "base_confirmations": "2"}
        return self._open_desk(timeout=2.0, now=self.clock, **deep)

    # -- what goes wrong -------------------------------------------------------------------------------

    def spoil_answers(self) -> None:
        bridged = self.kind in (OperationKind.USDC_ALPACA_TO_BASE, OperationKind.USDC_BASE_TO_ALPACA)
        venue = self.random.choice(list(REQUESTS) if bridged else ["alpaca", "base"])
        match, fault = self.random.choice(REQUESTS[venue]), self.random.choice(FAULTS)
        times, after = self.random.randint(1, 3), self.random.randint(0, 3)
        getattr(self.proxies, venue).arm(
            Rule(match, fault, times=times, after=after, status=503, seconds=0.1)
        )
        self.diary.append(f"{venue}: {fault} for {match}, {times} after {after}")

    def spoil_broadcasts(self) -> None:
        network, fault = self.random.choice(NETWORKS), self.random.choice(BROADCASTS)
        rule = Rule("eth_sendRawTransaction", fault, message="nonce too low", times=2)
        getattr(self.proxies, network).arm(rule)
        self.diary.append(f"{network}: {fault} for broadcasts")

    def lag_behind(self) -> None:
        network = self.random.choice(NETWORKS)
        block = chain_of(self.world, network).head() - self.random.randint(0, 3)
        getattr(self.proxies, network).arm(Rule("eth_*", "lagging", block=block, every=2, times=12))
        self.diary.append(f"{network}: every second answer as of block {block}")

    def decide_a_fate(self) -> None:
        target, fate = self.random.choice(FATES[self.kind])
        self.world.broker.core.faults.arm(Fault(target=target, kind=fate))
        self.diary.append(f"alpaca: {target} {fate}")

    def close_or_open(self) -> None:
        name = f"{self.random.choice(OBSTACLES)} on {self.random.choice(NETWORKS)}"
        set_closed(self.world, name, name not in self.closed)
        self.closed ^= {name}
        self.diary.append(f"{name}: {name in self.closed}")

    def use_the_wallet_elsewhere(self) -> None:
        network = self.random.choice(NETWORKS)
        if f"USDC paused on {network}" not in self.closed:
            steal_nonce(self.desk, network)
            self.diary.append(f"{network}: a nonce is used by another program")

    def reorganise(self) -> None:
        """Take the newest block away, if it is ours alone: what others sent would not come back."""
        network = self.random.choice(NETWORKS)
        chain = chain_of(self.world, network)
        block = chain.rpc.request("eth_getBlockByNumber", "latest", True)
        senders = {one["from"].lower() for one in block["transactions"]}
        beginning = self.world.broker.core.state.opening_blocks[network]
        if senders == {self.world.maker.address.lower()} and int(block["number"], 16) > beginning + 1:
            chain.rpc.request("anvil_reorg", 1, [])
            self.diary.append(f"{network}: the newest block is taken back")

    def let_minutes_pass(self) -> None:
        self.clock.by += timedelta(minutes=self.random.randint(1, 5))
        self.diary.append(f"it is {self.clock.by} later")

    def die(self) -> None:
        self.desk = self.open()
        self.diary.append("a new process")

    # -- and what goes on ------------------------------------------------------------------------------

    def go(self) -> None:
        """Let several things go wrong, push a little, and again."""
        troubles: dict[Callable[[], None], int] = {
            self.spoil_answers: 8,
            self.spoil_broadcasts: 3,
            self.lag_behind: 2,
            self.decide_a_fate: 1,
            self.close_or_open: 1,
            self.use_the_wallet_elsewhere: 1,
            self.reorganise: 3,
            self.let_minutes_pass: 1,
            self.die: 1,
        }
        for _ in range(ROUNDS):
            for trouble in self.random.choices(list(troubles), list(troubles.values()), k=3):
                trouble()
            self.push(self.random.randint(1, 3))
            mine(self.world, self.random.randint(0, 1))

    def push(self, times: int) -> None:
        for leg in self.kind.legs:
            for _ in range(times):
                outcome = self.desk.push(self.operation_id, leg)
                what = outcome.reason if isinstance(outcome, Wait) else type(outcome).__name__
                self.diary.append(f"  {leg}: {what}")
                if isinstance(outcome, Closed):
                    return
                if isinstance(outcome, Done):
                    break
            else:
                return

    def end(self) -> Story:
        """Make every venue honest, and push until it is over or certainly waits for a person."""
        self.proxies.clear()
        core = self.world.broker.core
        core.faults.clear()
        for name in self.closed:
            set_closed(self.world, name, False)
        asked = 0

        def waits_for_a_person(wait: Wait) -> bool:
            nonlocal asked
            asked = asked + 1 if wait.attention else 0
            state = core.state
            for key in [*state.requests, *state.transfers, *state.redemptions, *state.deposits]:
                core.release(key)
            mine(self.world, 1)
            return asked >= ASKED_OFTEN_ENOUGH

        story = drive(self.desk, self.operation_id, past_attention=True, until=waits_for_a_person)
        self.diary.append(str(story))
        return story


@pytest.mark.parametrize("seed", range(STORIES))
def test_operation__many_faults_together__moves_the_money_once(
    world: World, proxies: Proxies, open_desk: OpenDesk, seed: int
) -> None:
    chaos = Chaos(seed, world, proxies, open_desk)
    try:
        chaos.go()
        story = chaos.end()
        assert_never_twice(world)
        status = chaos.desk.ledger.operation(chaos.operation_id).status
        if story.is_settled or story.is_cancelled:
            assert status is (OperationStatus.SETTLED if story.is_settled else OperationStatus.CANCELLED)
            assert world.under_way() == {}
        else:
            assert status is OperationStatus.OPEN
            assert story.asks
    except BaseException:
        print(*chaos.diary, sep="\n")
        raise
