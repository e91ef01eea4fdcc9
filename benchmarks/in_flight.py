"""A thousand operations in flight in one triggerer: what is asked of the venues, and who is woken when.

    python -m benchmarks "in flight"

Half of the waits are for tokenizations at Alpaca, a quarter for our transactions on Base and a quarter for
those of others: the waits of which a book may have as many as it has assets. Real triggers in one event loop,
real HTTP to a real node and to the sandbox's Alpaca; the requests are counted in front of both.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Final

import psutil
from eth_account import Account

from benchmarks.figure import Figure
from benchmarks.outside import BASE, Nodes
from include.legs.conditions import NonceSpent, TokenizationDecided, TransactionTrusted
from include.sandbox.alpaca.state import Stage, TokenizationRequest, new_id
from include.sandbox.proxy import FaultProxy
from include.sandbox.scenario import SCENARIOS
from include.sandbox.server import serve
from include.sandbox.world import World
from include.watch.chain import RECEIPTS_AT_ONCE
from scripts.astro_settings import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from include.legs.conditions import Condition

NAME: Final = "in flight"
MINT_EVERY, RECEIPT_EVERY = 10.0, 2.0
"""Seconds between two looks, as the settings have it."""
GROUPS: Final = 10
GROUP_EVERY: Final = 0.7
"""In so many groups, so many seconds apart, the conditions come true."""


@dataclass
class Waiting:
    """The process in which everything waits."""

    process: subprocess.Popen[str]
    woken: dict[int, float] = field(default_factory=dict)
    blocked: float = 0.0
    ready: dict[str, int] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def read(self, lines: IO[str]) -> None:
        """Take in what it says, until it ends."""
        for line in lines:
            said = json.loads(line)
            with self._changed:
                if "woken" in said:
                    self.woken[said["woken"]] = said["at"]
                elif "blocked" in said:
                    self.blocked = max(self.blocked, said["blocked"])
                else:
                    self.ready = said
                self._changed.notify_all()

    def until(self, what: Any, timeout: float) -> None:
        """Wait for something it says.

        :raises TimeoutError: it did not in that many seconds.
        """
        with self._changed:
            if not self._changed.wait_for(what, timeout):
                raise TimeoutError(f"{len(self.woken)} were woken in {timeout:g} s")


@dataclass(frozen=True)
class Measured:
    """What many waits cost, and how late they were woken.

    :param requests: requests a second, by venue.
    :param cpu: seconds of CPU a second.
    :param memory: bytes of memory for each wait.
    :param blocked: seconds, the longest for which the event loop was held up.
    :param late: seconds from each condition's truth to the event.
    """

    count: int
    requests: dict[str, float]
    cpu: float
    memory: float
    blocked: float
    late: tuple[float, ...]

    def __str__(self) -> str:
        venues = ", ".join(f"{venue} {rate:.2f}/s" for venue, rate in self.requests.items())
        late = f"median {statistics.median(self.late):.2f} s, longest {max(self.late):.2f} s"
        return (
            f"{self.count} waits: {venues}; woken after {late}; {self.cpu:.1%} of a core, "
            f"{self.memory / 1024:.1f} KiB a wait, loop held up {self.blocked * 1000:.0f} ms at most"
        )


class Ground:
    """A world with a counter in front of each venue, and waits whose conditions it makes come true."""

    def __init__(self, world: World, nodes: Nodes, stack: ExitStack) -> None:
        self.world = world
        self.nodes = nodes
        self.counters = {"Base": FaultProxy(world.base_url), "Alpaca": FaultProxy(world.alpaca_url)}
        urls = {name: stack.enter_context(serve(proxy)).url for name, proxy in self.counters.items()}
        self.environment = world.settings_environment() | {
            "BALLAST_BASE_RPC_URL": urls["Base"],
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "plugins"))),
        }
        alpaca = json.loads(self.environment["AIRFLOW_CONN_ALPACA"]) | {"host": urls["Alpaca"]}
        self.environment["AIRFLOW_CONN_ALPACA"] = json.dumps(alpaca)

    def tokenizations(self, count: int) -> list[str]:
        """Let as many requests be pending at Alpaca, and return their ids."""
        core, now = self.world.broker.core, datetime.now(UTC)
        with core.lock:
            core.state.requests.clear()
            for _ in range(count):
                request = TokenizationRequest(
                    id=new_id(),
                    created_at=now,
                    updated_at=now,
                    due=now,
                    fate="stuck_accepted",
                    type="mint",
                    symbol="AAPL",
                    qty=Decimal(1),
                    issuer="st0x",
                    network="base",
                    wallet_address=self.world.maker.address,
                )
                core.state.requests[request.id] = request
            return list(core.state.requests)

    def decide(self, request_ids: list[str]) -> float:
        """Reject some requests, and return when."""
        core = self.world.broker.core
        with core.lock:
            for request_id in request_ids:
                core.state.requests[request_id].status = "rejected"
                core.state.requests[request_id].stage = Stage.DONE
        return time.time()

    def transactions(self, count: int) -> list[tuple[int, bytes, str]]:
        """Sign as many transactions: nonce, bytes and hash of each."""
        maker, rpc = self.world.maker, self.world.base.rpc
        first = int(rpc.request("eth_getTransactionCount", maker.address, "latest"), 16)
        found = []
        for nonce in range(first, first + count):
            signed = Account.sign_transaction(
                {
                    "to": maker.address,
                    "value": 0,
                    "nonce": nonce,
                    "gas": 21_000,
                    "maxFeePerGas": 10**10,
                    "maxPriorityFeePerGas": 1,
                    "chainId": 8453,
                },
                maker.key,
            )
            found.append((nonce, bytes(signed.raw_transaction), "0x" + bytes(signed.hash).hex()))
        return found

    def send(self, raw: list[bytes]) -> None:
        """Broadcast transactions."""
        self.world.base.rpc.batch([("eth_sendRawTransaction", ("0x" + one.hex(),)) for one in raw])


@contextmanager
def waiting(ground: Ground, way: str, conditions: list[tuple[Condition, float]]) -> Iterator[Waiting]:
    """Start the process in which everything waits, and end it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.waiting", way],
        cwd=ROOT,
        env=os.environ | ground.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    found = Waiting(process)
    reader = threading.Thread(target=found.read, args=(process.stdout,), daemon=True)
    reader.start()
    try:
        waits = [{"condition": condition.to_dict(), "every": every} for condition, every in conditions]
        process.stdin.write(json.dumps(waits) + "\n")
        process.stdin.flush()
        found.until(lambda: found.ready or process.poll() is not None, 240)
        if not found.ready:
            raise RuntimeError(f"the waiting process ended with {process.returncode}")
        yield found
    finally:
        process.kill()
        process.wait()
        reader.join()


def measure(ground: Ground, way: str, count: int, *, window: float) -> Measured:
    """Let many wait, count for a while, and then let everything come true.

    :param way: `shared` or `alone`.
    :param window: seconds for which requests and CPU are counted.
    """
    requests = ground.tokenizations(count // 2)
    signed = ground.transactions(count // 4)
    wallet = ground.world.maker.address
    conditions: list[tuple[Condition, float]] = [
        *((TokenizationDecided(one), MINT_EVERY) for one in requests),
        *((NonceSpent(BASE, wallet, nonce), RECEIPT_EVERY) for nonce, _, _ in signed),
        *((TransactionTrusted(BASE, tx_hash), RECEIPT_EVERY) for _, _, tx_hash in signed),
    ]
    with waiting(ground, way, conditions) as found:
        process = psutil.Process(found.process.pid)
        # Each transaction of others is asked for once when its wait begins; what is counted comes after that.
        time.sleep(len(signed) / RECEIPTS_AT_ONCE * RECEIPT_EVERY)
        for counter in ground.counters.values():
            counter.forget()
        began, busy = time.monotonic(), sum(process.cpu_times()[:2])
        time.sleep(window)
        took = time.monotonic() - began
        rates = {name: len(counter.seen) / took for name, counter in ground.counters.items()}
        cpu = (sum(process.cpu_times()[:2]) - busy) / took
        true_at = come_true(ground, requests, [raw for _, raw, _ in signed])
        found.until(lambda: len(found.woken) == len(conditions), 240)
        mined = [ground.nodes.trusted(BASE, tx_hash, 1) for _, _, tx_hash in signed]
        truths = [*(true_at[one] for one in requests), *mined, *mined]
        late = tuple(found.woken[number] - truth for number, truth in enumerate(truths))
        return Measured(count, rates, cpu, found.ready["bytes"] / count, found.blocked, late)


def come_true(ground: Ground, requests: list[str], raw: list[bytes]) -> dict[str, float]:
    """Let the conditions come true, group by group, and return when each request was decided."""
    order = random.Random(7).sample(requests, len(requests))
    found: dict[str, float] = {}
    for group in range(GROUPS):
        ground.send(raw[group * len(raw) // GROUPS : (group + 1) * len(raw) // GROUPS])
        chosen = order[group * len(order) // GROUPS : (group + 1) * len(order) // GROUPS]
        found |= dict.fromkeys(chosen, ground.decide(chosen))
        time.sleep(GROUP_EVERY)
    return found


def compare(counts: tuple[int, ...], alone: tuple[int, ...], window: float) -> dict[str, list[Measured]]:
    """Measure so many waits together and so many each on its own, one after another, in one world."""
    with ExitStack() as stack:
        world = stack.enter_context(World(SCENARIOS["balanced"], block_time=1.0))
        ground = Ground(world, stack.enter_context(Nodes(world)), stack)
        return {
            way: [measure(ground, way, count, window=window) for count in these]
            for way, these in (("shared", counts), ("alone", alone))
        }


def _rate(venue: str, measured: Measured) -> str:
    return f"{measured.requests[venue]:.0f} a second"


def run(quick: bool) -> list[Figure]:
    """Measure, and say what it should be; in the short form without those that ask for themselves."""
    both = compare((12, 200), (), 6.0) if quick else compare((12, 1000), (1000,), 12.0)
    for way, found in both.items():
        sys.stdout.write(f"{way}\n" + "".join(f"  {one}\n" for one in found))
    few, many = both["shared"]

    def beside(tell: Callable[[Measured], str]) -> str:
        """Say how it was for those that ask for themselves."""
        return "".join(f"each asks for itself: {tell(alone)}" for alone in both["alone"])

    rates = [
        Figure(
            f"requests a second, {many.count} waits to {few.count}: {venue}",
            rate / few.requests[venue],
            "times",
            goal="<= 1.5",
            guard=True,
            compared_with=beside(partial(_rate, venue)),
        )
        for venue, rate in many.requests.items()
    ]
    slowest = beside(lambda alone: f"longest {max(alone.late):.1f} s")
    cpu = beside(lambda alone: f"{alone.cpu:.2f}")
    memory = beside(lambda alone: f"{alone.memory / 1024:.0f} KiB")
    return [
        *rates,
        Figure("woken after its condition, longest", max(many.late), "s", "<= 5", slowest),
        Figure.of("woken after its condition", many.late, "s"),
        Figure("CPU of the waits", many.cpu, "cores", compared_with=cpu),
        Figure("event loop held up, longest", many.blocked, "s", "<= 0.2", "Airflow complains from 0.2 s on"),
        Figure("memory of a wait", many.memory / 1024, "KiB", compared_with=memory),
    ]
