"""What is deep enough on a chain, told by what each new block names."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from include.book import Network
from include.legs.conditions import NonceSpent, TransactionTrusted
from include.venues.errors import Unavailable
from include.venues.evm.types import Block, Contents
from include.watch import chain as watch_chain
from include.watch.chain import OnChain

if TYPE_CHECKING:
    from include.legs.conditions import Condition

CONFIRMATIONS = 3
SENDER, OTHER = "0x" + "aa" * 20, "0x" + "bb" * 20


class Chain:
    """Blocks in memory. A fork gives other hashes to the blocks from some height on."""

    def __init__(self) -> None:
        self.blocks: list[tuple[str, tuple[str, ...]]] = [("genesis", ())]
        self.nonces: dict[str, list[int]] = {}
        self.requests: list[str] = []
        self.head: int | None = None
        """How far the node is that answers; None for all the way."""

    def mine(self, *transactions: str, fork: str = "") -> None:
        self.blocks.append((f"{len(self.blocks)}{fork}", transactions))

    def drop(self, count: int) -> None:
        del self.blocks[-count:]

    def contents(self, number: int | None = None) -> Contents | None:
        self.requests.append("newest" if number is None else "block")
        newest = len(self.blocks) - 1 if self.head is None else self.head
        number = newest if number is None else number
        if number > newest:
            return None
        name, transactions = self.blocks[number]
        parent = self.blocks[number - 1][0] if number else ""
        return Contents(Block(number, name, 0), parent, transactions)

    def receipt(self, tx_hash: str) -> Any:
        self.requests.append("receipt")
        for number, (_, transactions) in enumerate(self.blocks):
            if tx_hash in transactions:
                return SimpleNamespace(block_number=number)
        return None

    def nonce(self, sender: str, *, block: int) -> int:
        self.requests.append("nonce")
        return sum(1 for at in self.nonces.get(sender, ()) if at <= block)

    def asked(self) -> list[str]:
        """Return the requests since the last time."""
        asked, self.requests = self.requests, []
        return asked


@pytest.fixture
def chain() -> Chain:
    made = Chain()
    for _ in range(4):
        made.mine()
    return made


def watching(chain: Chain) -> OnChain:
    venues: Any = SimpleNamespace(chain=lambda _: chain, confirmations=lambda _: CONFIRMATIONS)
    return OnChain(Network.BASE, lambda: venues)


def trusted(tx_hash: str) -> TransactionTrusted:
    return TransactionTrusted("base", tx_hash)


def spent(nonce: int, sender: str = SENDER) -> NonceSpent:
    return NonceSpent("base", sender, nonce)


def test_trusted__mined_while_it_waits__holds_when_deep_enough_and_costs_a_request_a_block(
    chain: Chain,
) -> None:
    watch, wait = watching(chain), trusted("0x1")
    assert watch.look([wait]) == set()
    assert chain.asked() == ["newest", "receipt"]

    chain.mine("0x1")
    assert watch.look([wait]) == set()
    chain.mine()
    assert watch.look([wait]) == set()
    chain.mine()
    assert watch.look([wait]) == {wait}
    assert chain.asked() == ["newest"] * 3


def test_trusted__mined_before_we_looked__is_found_by_its_receipt(chain: Chain) -> None:
    chain.mine("0x1")
    chain.mine()
    watch, wait = watching(chain), trusted("0x1")

    assert watch.look([wait]) == set()
    chain.mine()
    assert watch.look([wait]) == {wait}
    assert chain.asked().count("receipt") == 1


def test_trusted__a_thousand_wait__a_look_costs_the_same(chain: Chain) -> None:
    watch = watching(chain)
    waiting: list[Condition] = [trusted(hex(number)) for number in range(1000)]
    waiting += [spent(number) for number in range(1000)]
    chain.nonces[SENDER] = [5]
    watch.look(waiting)
    chain.mine(*(hex(number) for number in range(1000)))
    watch.look(waiting)
    chain.mine()
    chain.asked()

    chain.mine()

    assert watch.look(waiting) == {spent(0), *(trusted(hex(number)) for number in range(1000))}
    assert sorted(chain.asked()) == ["block", "newest", "nonce"]


def test_trusted__several_blocks_since_the_last_look__each_is_read(chain: Chain) -> None:
    watch, wait = watching(chain), trusted("0x1")
    watch.look([wait])
    chain.mine()
    chain.mine("0x1")
    chain.mine()
    chain.mine()
    chain.asked()

    assert watch.look([wait]) == {wait}
    assert chain.asked() == ["newest", "block", "block", "block"]


def test_trusted__no_look_for_long__begins_anew_with_receipts(chain: Chain) -> None:
    watch, wait = watching(chain), trusted("0x1")
    watch.look([wait])
    chain.mine("0x1")
    for _ in range(watch_chain.LONGEST_GAP):
        chain.mine()
    chain.asked()

    assert watch.look([wait]) == {wait}
    assert chain.asked() == ["newest", "receipt"]


def test_trusted__chain_is_reorganised__what_was_found_is_forgotten(chain: Chain) -> None:
    watch, wait = watching(chain), trusted("0x1")
    watch.look([wait])
    chain.mine("0x1")
    watch.look([wait])

    chain.drop(1)
    for _ in range(5):
        chain.mine(fork="b")
    assert watch.look([wait]) == set()

    chain.mine("0x1", fork="b")
    chain.mine(fork="b")
    assert watch.look([wait]) == set()
    chain.mine(fork="b")
    assert watch.look([wait]) == {wait}


def test_trusted__another_block_of_the_same_height__what_was_found_is_forgotten(chain: Chain) -> None:
    watch, wait = watching(chain), trusted("0x1")
    watch.look([wait])
    chain.mine("0x1")
    watch.look([wait])

    chain.drop(1)
    chain.mine(fork="b")
    watch.look([wait])
    for _ in range(2):
        chain.mine(fork="b")

    assert watch.look([wait]) == set()


def test_trusted__node_lags__is_as_before(chain: Chain) -> None:
    watch, wait = watching(chain), trusted("0x1")
    watch.look([wait])
    chain.mine("0x1")
    chain.mine()
    chain.mine()
    chain.head = len(chain.blocks) - 3
    watch.look([wait])
    chain.head -= 1
    assert watch.look([wait]) == set()
    chain.head = None

    assert watch.look([wait]) == {wait}


def test_trusted__a_block_in_between_is_not_known_yet__is_read_at_the_next_look(chain: Chain) -> None:
    watch, wait = watching(chain), trusted("0x1")
    watch.look([wait])
    chain.mine("0x1")
    chain.mine()
    chain.mine()
    known, chain.contents = chain.contents, lambda number=None: None if number else known()  # type: ignore[method-assign]  # as another node
    watch.look([wait])
    chain.contents = known  # type: ignore[method-assign]  # as above
    chain.mine()
    chain.asked()

    assert watch.look([wait]) == {wait}
    assert "block" in chain.asked()


def test_trusted__only_some_receipts_at_a_look__everybody_has_a_turn(chain: Chain) -> None:
    count = 3 * watch_chain.RECEIPTS_AT_ONCE
    chain.mine(*(hex(number) for number in range(count)))
    for _ in range(3):
        chain.mine()
    watch = watching(chain)
    waiting = {trusted(hex(number)) for number in range(count)}

    found: set[Any] = set()
    for _ in range(3):
        found |= watch.look(list(waiting - found))
        assert chain.asked().count("receipt") <= watch_chain.RECEIPTS_AT_ONCE

    assert found == waiting


def test_trusted__a_hundred_are_not_mined__each_is_asked_for_once_and_then_one_at_a_look(
    chain: Chain,
) -> None:
    watch = watching(chain)
    waiting = [trusted(hex(number)) for number in range(10 * watch_chain.RECEIPTS_AT_ONCE)]
    for _ in range(10):
        watch.look(waiting)
    assert chain.asked().count("receipt") == len(waiting)

    for _ in range(5):
        watch.look(waiting)
    assert chain.asked().count("receipt") == 5


def test_spent__same_block__is_not_asked_again(chain: Chain) -> None:
    watch = watching(chain)
    chain.nonces[SENDER] = [1]
    assert watch.look([spent(0), spent(1)]) == {spent(0)}
    assert chain.asked() == ["newest", "nonce"]

    watch.look([spent(1)])
    assert chain.asked() == ["newest"]

    watch.look([spent(1), spent(0, OTHER)])
    assert chain.asked() == ["newest", "nonce"]


def test_spent__not_deep_enough__does_not_hold(chain: Chain) -> None:
    watch = watching(chain)
    chain.mine()
    chain.nonces[SENDER] = [len(chain.blocks) - 1]

    assert watch.look([spent(0)]) == set()
    chain.mine()
    chain.mine()
    assert watch.look([spent(0)]) == {spent(0)}


def test_look__chain_is_younger_than_what_is_trusted__nothing_holds() -> None:
    chain = Chain()
    assert watching(chain).look([spent(0), trusted("0x1")]) == set()


def test_look__node_knows_no_block__unavailable() -> None:
    chain = Chain()
    chain.contents = lambda number=None: None  # type: ignore[method-assign]  # a node that has just begun
    with pytest.raises(Unavailable, match="Base has no newest block"):
        watching(chain).look([spent(0)])
