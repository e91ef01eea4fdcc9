"""One look at both venues: what could not be read is unread, and nothing else is."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from include import snapshot
from include.book import Venues
from include.domain.inventory import Balance, Unread
from include.venues.alpaca.models import Account, CryptoTransfer, Position, TokenizationRequest
from include.venues.errors import Unavailable
from include.venues.evm import erc20
from include.venues.evm.types import Call, MulticallResult
from tests.support.clock import Clock
from tests.unit.test_claim import AAPL, NVDA, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from include.domain.inventory import Inventory, Snapshot

USDC_ON_BASE = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"
AT = "2026-03-02T14:00:00Z"


def word(value: int) -> bytes:
    return value.to_bytes(32, "big")


@dataclass
class Tokens:
    """A chain that answers for its tokens, in one call."""

    block: int
    answers: dict[str, tuple[bytes | None, bytes | None]] = field(default_factory=dict)
    """The balance and the decimals of each token."""
    others: dict[Call, bytes | None] = field(default_factory=dict)
    """The answers to any other call."""
    down: bool = False
    asked: int = 0

    def multicall(self, calls: Sequence[Call], *, agreed: bool = False) -> MulticallResult:
        self.asked += 1
        if self.down:
            raise Unavailable("no answer")
        return MulticallResult(self.block, 0, tuple(self._answer(call) for call in calls))

    def _answer(self, call: Call) -> bytes | None:
        if call in self.others:
            return self.others[call]
        return self.answers[call.to][call == erc20.decimals(call.to)]


@dataclass
class Broker:
    """An account; each of its lists can be away."""

    held: list[Position] = field(default_factory=list)
    pending: list[TokenizationRequest] = field(default_factory=list)
    moving: list[CryptoTransfer] = field(default_factory=list)
    dollars: dict[str, str] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def _read(self, name: str, rows: Any) -> Any:
        self.asked.append(name)
        if name in self.down:
            raise Unavailable(f"{name} are away")
        return rows

    def positions(self) -> list[Position]:
        return list(self._read("positions", self.held))

    def tokenization_requests(self, *, status: str) -> list[TokenizationRequest]:
        assert status == "pending"
        return list(self._read("requests", self.pending))

    def transfers(self) -> list[CryptoTransfer]:
        return list(self._read("transfers", self.moving))

    def account(self) -> Account:
        self._read("account", None)
        return Account.model_validate({"id": "a", "status": "ACTIVE"} | self.dollars)


@dataclass
class World:
    """Both venues: 10 AAPL shares and 30 tokens, no NVDA shares and 5 tokens, 700 and 300 USDC."""

    base: Tokens = field(
        default_factory=lambda: Tokens(
            120,
            {
                AAPL: (word(30 * 10**18), word(18)),
                NVDA: (word(5 * 10**18), word(18)),
                USDC_ON_BASE: (word(300 * 10**6), word(6)),
            },
        )
    )
    ethereum: Tokens = field(default_factory=lambda: Tokens(220))
    alpaca: Broker = field(
        default_factory=lambda: Broker([position("AAPL", "10"), position("USDCUSD", "700.1234567", "crypto")])
    )
    changes: dict[str, str] = field(default_factory=dict)
    """Settings other than those of all tests."""

    def look(self) -> Snapshot:
        clients: dict[str, Any] = {"alpaca": self.alpaca, "base": self.base, "ethereum": self.ethereum}
        nothing: Any = None
        venues = Venues(settings=settings(**self.changes), attestations=nothing, now=Clock(), **clients)
        return snapshot.take(venues, "id")

    def unread(self) -> dict[str, list[str]]:
        """Name the sides of each asset that could not be read."""
        return {
            asset: [side for side in ("onchain", "offchain") if isinstance(getattr(inventory, side), Unread)]
            for asset, inventory in self.look().inventories.items()
        }


def position(
    symbol: str, quantity: str, asset_class: str = "us_equity", available: str | None = None
) -> Position:
    return Position.model_validate(
        {
            "symbol": symbol,
            "asset_class": asset_class,
            "qty": quantity,
            "qty_available": available or quantity,
        }
    )


def request(kind: str, symbol: str, quantity: str) -> TokenizationRequest:
    return TokenizationRequest.model_validate(
        {
            "tokenization_request_id": "r",
            "type": kind,
            "status": "pending",
            "underlying_symbol": symbol,
            "qty": quantity,
            "issuer": "st0x",
            "network": "base",
            "created_at": AT,
        }
    )


def transfer(direction: str, status: str, amount: str) -> CryptoTransfer:
    return CryptoTransfer.model_validate(
        {
            "id": "t",
            "direction": direction,
            "status": status,
            "amount": amount,
            "asset": "USDC",
            "created_at": AT,
        }
    )


def sides(inventory: Inventory) -> tuple[Balance, Balance]:
    assert isinstance(inventory.onchain, Balance)
    assert isinstance(inventory.offchain, Balance)
    return inventory.onchain, inventory.offchain


def test_take__everything_answers__has_every_balance_of_one_block() -> None:
    world = World()
    taken = world.look()
    assert (taken.base_block, taken.ethereum_block) == (120, 220)
    assert sides(taken.inventories["AAPL"]) == (Balance(Decimal(30)), Balance(Decimal(10)))
    assert sides(taken.inventories["USDC"]) == (Balance(Decimal(300)), Balance(Decimal("700.123456")))
    assert (world.base.asked, world.ethereum.asked) == (1, 1)
    assert sorted(world.alpaca.asked) == ["positions", "requests", "transfers"]


def test_take__no_position__is_zero_as_the_list_was_read() -> None:
    assert sides(World().look().inventories["NVDA"])[1] == Balance(Decimal(0))


def test_take__taken_before_reading() -> None:
    assert World().look().taken_at == Clock()()


@pytest.mark.parametrize(
    ("break_", "unread"),
    [
        (
            lambda world: setattr(world.base, "down", True),
            {"AAPL": "onchain", "NVDA": "onchain", "USDC": "onchain"},
        ),
        (
            lambda world: world.alpaca.down.add("positions"),
            {"AAPL": "offchain", "NVDA": "offchain", "USDC": "offchain"},
        ),
        (lambda world: world.alpaca.down.add("requests"), {"AAPL": "both", "NVDA": "both"}),
        (lambda world: world.alpaca.down.add("transfers"), {"USDC": "both"}),
        (lambda world: world.base.answers.update({NVDA: (None, None)}), {"NVDA": "onchain"}),
        (lambda world: world.base.answers.update({NVDA: (b"", b"")}), {"NVDA": "onchain"}),
        (lambda world: world.base.answers.update({NVDA: (word(5), word(6))}), {"NVDA": "onchain"}),
        (lambda world: world.alpaca.held.append(position("NVDA", "-2")), {"NVDA": "offchain"}),
        (lambda world: setattr(world.ethereum, "down", True), {}),
    ],
    ids=[
        "Base",
        "positions",
        "pending tokenizations",
        "transfers",
        "a token that reverts",
        "an address without code",
        "a token with other decimals",
        "a short position",
        "Ethereum",
    ],
)
def test_take__one_read_fails__leaves_unread_what_rests_on_it(
    break_: Callable[[World], None], unread: dict[str, str]
) -> None:
    world = World()
    break_(world)
    both = ["onchain", "offchain"]
    assert world.unread() == {
        asset: both if unread.get(asset) == "both" else [side for side in both if side == unread.get(asset)]
        for asset in ("AAPL", "NVDA", "USDC")
    }


def test_take__ethereum_away__has_no_block_of_it() -> None:
    world = World()
    world.ethereum.down = True
    assert world.look().ethereum_block is None


def test_take__pending_tokenizations__belong_to_the_side_they_left() -> None:
    world = World()
    world.alpaca.pending = [request("mint", "AAPL", "4"), request("redeem", "NVDA", "1.5")]
    inventories = world.look().inventories
    assert sides(inventories["AAPL"])[1].in_flight == Decimal(4)
    assert sides(inventories["NVDA"])[0].in_flight == Decimal("1.5")


def test_take__transfers_under_way__belong_to_the_side_they_left() -> None:
    world = World()
    world.alpaca.moving = [
        transfer("OUTGOING", "PROCESSING", "50"),
        transfer("INCOMING", "PENDING", "20"),
        transfer("OUTGOING", "COMPLETE", "1"),
        transfer("INCOMING", "FAILED", "2"),
    ]
    onchain, offchain = sides(world.look().inventories["USDC"])
    assert (onchain.in_flight, offchain.in_flight) == (Decimal(20), Decimal(50))


def test_take__shares_bound_by_orders__count_and_cannot_be_moved() -> None:
    world = World()
    world.alpaca.held[0] = position("AAPL", "10", available="7")
    offchain = sides(world.look().inventories["AAPL"])[1]
    assert (offchain.available, offchain.held, offchain.total) == (Decimal(7), Decimal(3), Decimal(10))


def test_take__a_fault_of_ours__is_raised() -> None:
    world = World()
    world.base.answers.clear()
    with pytest.raises(KeyError):
        world.look()
