"""A broker whose clock and chains the test holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from include.sandbox.accounts import Role, account
from include.sandbox.alpaca.chain import NonceSpentError, TokenTransfer
from include.sandbox.alpaca.core import Core, Profile, Stock
from include.sandbox.alpaca.journal import Book
from include.sandbox.alpaca.settings import Latencies, Rules
from include.sandbox.alpaca.state import USDC, Outgoing, Stage, State, Whitelisted
from include.sandbox.alpaca.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eth_account.signers.local import LocalAccount

START = datetime(2026, 9, 25, 14, 0, tzinfo=UTC)
WALLET = account(Role.MAKER).address
REDEMPTION = account(Role.REDEMPTION).address
DEPOSIT = account(Role.ALPACA_DEPOSIT).address
AAPL = "0x1111111111111111111111111111111111111111"
USDC_CONTRACT = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def tick(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class FakeChain:
    """A chain in memory. Nothing is mined until `mine`, unless `automine`."""

    def __init__(self) -> None:
        self.blocks = 0
        self.incoming: list[TokenTransfer] = []
        self.signed: list[tuple[str, str]] = []  # contract, data
        self.sent: list[str] = []
        self.mined: dict[str, bool] = {}
        self.automine = True
        self.down = False
        self.reverting = 0  # how many of the next transactions revert
        self.spent_nonces: set[int] = set()

    def head(self) -> int:
        if self.down:
            raise ConnectionError("the node is away")
        return self.blocks

    def transfers(self, tokens: Iterable[str], recipient: str, first: int, last: int) -> list[TokenTransfer]:
        wanted = set(tokens)
        return [
            t
            for t in self.incoming
            if t.token in wanted and t.recipient == recipient and first <= t.block <= last
        ]

    def sign(self, signer: LocalAccount, to: str, data: str, lowest_nonce: int) -> Outgoing:
        nonce = max([lowest_nonce, *(n + 1 for n in self.spent_nonces)])
        self.signed.append((to, data))
        return Outgoing(raw=data, hash=f"0x{len(self.signed):064x}", nonce=nonce, signer=signer.address)

    def broadcast(self, outgoing: Outgoing) -> None:
        if self.down:
            raise ConnectionError("the node is away")
        if outgoing.nonce in self.spent_nonces:
            raise NonceSpentError("nonce too low")
        self.sent.append(outgoing.hash)
        if self.automine:
            self.mine(outgoing)

    def outcome(self, transaction_hash: str) -> bool | None:
        return self.mined.get(transaction_hash)

    def mine(self, outgoing: Outgoing) -> None:
        self.blocks += 1
        self.spent_nonces.add(outgoing.nonce)
        self.mined[outgoing.hash] = self.reverting == 0
        self.reverting = max(0, self.reverting - 1)

    def receive(
        self, token: str, recipient: str, amount: int, *, sender: str = WALLET, index: int = 0
    ) -> TokenTransfer:
        if index == 0:
            self.blocks += 1
        transfer = TokenTransfer(
            token, sender, recipient, amount, self.blocks, f"0x{self.blocks:064x}", index
        )
        self.incoming.append(transfer)
        return transfer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def core(clock: Clock) -> Core:
    profile = Profile(
        account_id="7f0c1f7e-0000-4000-8000-000000000001",
        key_id="KEY",
        secret="secret",
        stocks={"AAPL": Stock("AAPL", AAPL, "tAAPL", Decimal(230))},
        usdc=USDC_CONTRACT,
        linked_wallets=(WALLET,),
        redemption_wallet=REDEMPTION,
        deposit_address=DEPOSIT,
        payout_address=account(Role.ALPACA).address,
    )
    state = State()
    for asset, amount in (("AAPL", "60"), (USDC, "9000.123456789")):
        state.journal.move(asset, Decimal(amount), Book.OPENING, Book.MAKER, memo="opening", at=START)
    state.whitelist["w"] = Whitelisted(
        id="w",
        created_at=START,
        updated_at=START,
        due=START,
        stage=Stage.DONE,
        address=WALLET,
        status="APPROVED",
    )
    latencies = Latencies(
        mint_journal=1, mint_token=1, redemption_seen=1, redemption_credit=1, withdrawal_processing=1,
        withdrawal_broadcast=1, deposit_credit=1, whitelist_approval=60,
    )  # fmt: skip
    return Core(profile, state, Rules(), latencies, clock=clock)


@pytest.fixture
def ethereum() -> FakeChain:
    return FakeChain()


@pytest.fixture
def base() -> FakeChain:
    return FakeChain()


@pytest.fixture
def worker(core: Core, ethereum: FakeChain, base: FakeChain) -> Worker:
    return Worker(core, ethereum, base, account(Role.ISSUER), account(Role.ALPACA))


def books_sum_to_zero(core: Core) -> bool:
    journal = core.state.journal
    return all(sum(journal.balance(book, asset) for book in Book) == 0 for asset in journal.assets())
