"""The world that cases are played in: one imbalance, put back for each case, and counted afterwards."""

from __future__ import annotations

import multiprocessing
import shutil
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from include.domain.operation import OperationKind
from include.ledger.ledger import Ledger
from include.sandbox.alpaca.settings import Latencies
from include.sandbox.attestation_rules import AttestationSettings
from include.sandbox.chains import BASE_DOMAIN, ETHEREUM_DOMAIN
from include.sandbox.scenario import Holding, Scenario, Shift, Side, vault_id
from include.sandbox.world import ACCOUNT_ID, KEY_ID, SECRET, World
from tests.chaos.worker import PATIENCE_SECONDS, Job, Report, work

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerProcess
    from pathlib import Path

STEP_SECONDS = 0.05
"""Each step of the venues: longer than a request, so that none is over in the middle of an entry."""
LATENCIES = Latencies(
    mint_journal=STEP_SECONDS,
    mint_token=STEP_SECONDS,
    redemption_seen=STEP_SECONDS,
    redemption_credit=STEP_SECONDS,
    withdrawal_processing=STEP_SECONDS,
    withdrawal_broadcast=STEP_SECONDS,
    deposit_credit=STEP_SECONDS,
    order_fill=STEP_SECONDS,
    whitelist_approval=0,
)
ATTESTATION = AttestationSettings(fast_latency={ETHEREUM_DOMAIN: 0.2, BASE_DOMAIN: 0.2})
BALANCED = Scenario(
    stocks={"AAPL": Holding(Decimal(70), Decimal(30))},
    # A wrapper, vaults and dollars, so that an operation has every leg that there is for it.
    usdc=Holding(Decimal(10), Decimal(5000)),
    cash=Decimal(5000),
    vaults={"AAPL": (vault_id(1), vault_id(2)), "USDC": (vault_id(3),)},
    wrapped={"AAPL": Decimal("1.25")},
)
IMBALANCES = {
    OperationKind.MINT: Shift("AAPL", Decimal(21), Side.ONCHAIN),
    # Into the second vault, so that the redemption takes from both.
    OperationKind.REDEMPTION: Shift("AAPL", Decimal(60), Side.OFFCHAIN, vault=1),
    OperationKind.USDC_ALPACA_TO_BASE: Shift("USDC", Decimal(4000), Side.ONCHAIN),
    OperationKind.USDC_BASE_TO_ALPACA: Shift("USDC", Decimal(4000), Side.OFFCHAIN),
}
"""What trading did before, for each kind of operation to have something to put right."""

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["tests.chaos.worker", "web3", "eth_account", "alembic.command"])


@dataclass
class Child:
    """A process of a case."""

    process: ForkServerProcess
    pipe: Connection

    def report(self) -> Report | None:
        """Wait for the end, and return what it said; None if it was killed before it could."""
        report: Report | None = None
        try:
            if self.pipe.poll(PATIENCE_SECONDS + 10):
                report = self.pipe.recv()
        except EOFError:
            pass
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        return report


@dataclass
class Ground:
    """A world with one imbalance, and the ledgers of the cases played in it."""

    world: World
    folder: Path
    kind: OperationKind
    start: Any
    blocks: dict[str, int]
    _cases: int = field(default=0)

    def job(self, **values: Any) -> Job:
        """Return a job in this world."""
        environment = self.world.settings_environment()
        settings = {name: value for name, value in environment.items() if name.startswith("BALLAST_")}
        world = self.world
        return replace(
            Job(
                environment=settings,
                urls={
                    "alpaca": world.alpaca_url,
                    "attestation": world.attestation_url,
                    "ethereum": world.ethereum_url,
                    "base": world.base_url,
                },
                credentials={
                    "account": ACCOUNT_ID,
                    "key": KEY_ID,
                    "secret": SECRET,
                    "wallet": bytes(world.maker.key).hex(),
                },
                ledger=self.ledger_url,
                kind=self.kind.value,
                run_id="run",
            ),
            **values,
        )

    @property
    def ledger_url(self) -> str:
        """The ledger of the case that is played."""
        return f"sqlite:///{self.folder / 'case.db'}"

    def begin(self) -> None:
        """Put everything back for another case."""
        self.world.revert(self.start)
        for file in self.folder.glob("case.db*"):
            file.unlink()
        shutil.copy(self.folder / "empty.db", self.folder / "case.db")

    def spawn(self, job: Job) -> Child:
        """Start a process."""
        mine, theirs = _processes.Pipe(duplex=False)
        process = _processes.Process(target=work, args=(job, theirs), daemon=True)
        process.start()
        theirs.close()
        return Child(process, mine)

    def counts(self) -> Counter[str]:
        """Count everything that was done to the outside world, read from the chains and from the broker."""
        found: Counter[str] = Counter()
        state = self.world.broker.core.state
        for request in state.requests.values():
            found[f"{request.type} at Alpaca"] += 1
        for transfer in state.transfers.values():
            found[f"{transfer.direction} transfer at Alpaca"] += 1
        for order in state.orders.values():
            found[f"{order.side} order at Alpaca"] += 1
        maker = self.world.maker.address.lower()
        for name, chain in (("ethereum", self.world.ethereum), ("base", self.world.base)):
            for number in range(self.blocks[name] + 1, chain.head() + 1):
                block = chain.rpc.request("eth_getBlockByNumber", hex(number), True)
                for transaction in block["transactions"]:
                    if transaction["from"].lower() == maker:
                        found[f"{transaction['input'][:10]} to {transaction['to']} on {name}"] += 1
        return found

    def verdict(self, baseline: Counter[str]) -> list[str]:
        """Say what is wrong after a case: nothing, when the money moved once and arrived."""
        wrong: list[str] = []
        counts = self.counts()
        for what in sorted({*baseline, *counts}):
            if counts[what] > baseline[what]:
                wrong.append(f"doubled: {what}: {counts[what]} times instead of {baseline[what]}")
            elif counts[what] < baseline[what]:
                wrong.append(f"lost: {what}: {counts[what]} times instead of {baseline[what]}")
        wrong += [f"lost: {violation}" for violation in self.world.conservation()]
        wrong += [f"stuck: {places} of {asset}" for asset, places in self.world.under_way().items()]
        ledger = Ledger.open(self.ledger_url)
        statuses = [operation.status.value for operation in ledger.operations()]
        ledger.close()
        if statuses != ["settled"]:
            wrong.append(f"stuck: operations are {statuses}")
        return wrong


@contextmanager
def world() -> Iterator[World]:
    """Start a world in which nothing is out of balance."""
    with World(BALANCED, block_time=None, latencies=LATENCIES, attestation=ATTESTATION) as started:
        yield started


@contextmanager
def ground(started: World, folder: Path, kind: OperationKind) -> Iterator[Ground]:
    """Bring a world out of balance, for one kind of operation, and back at the end."""
    with ExitStack() as stack:
        before = started.snapshot()
        stack.callback(started.revert, before)
        started.shift(IMBALANCES[kind])
        Ledger.open(f"sqlite:///{folder / 'empty.db'}").close()
        blocks = {"ethereum": started.ethereum.head(), "base": started.base.head()}
        yield Ground(started, folder, kind, started.snapshot(), blocks)
