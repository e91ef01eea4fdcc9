"""One list, or one request in turn, for all who wait at a venue."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from include.legs.conditions import (
    Attested,
    Condition,
    DepositDecided,
    NonceSpent,
    OrderDecided,
    Reattested,
    RedemptionDecided,
    TokenizationDecided,
    TransactionTrusted,
    WithdrawalDecided,
)
from include.venues.alpaca.models import CryptoTransfer, TokenizationRequest
from include.venues.errors import Refused, Unavailable
from include.watch import sources
from include.watch.sources import source_of
from include.watch.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable

AT = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


def tokenization(id: str, status: str = "pending", **more: Any) -> TokenizationRequest:
    given = {
        "tokenization_request_id": id,
        "type": "mint",
        "status": status,
        "underlying_symbol": "AAPL",
        "qty": "1",
        "issuer": "st0x",
        "network": "base",
        "created_at": AT.isoformat(),
    }
    return TokenizationRequest.model_validate(given | more)


def transfer(id: str, status: str, **more: Any) -> CryptoTransfer:
    given = {
        "id": id,
        "direction": "OUTGOING",
        "status": status,
        "amount": str(Decimal(10)),
        "asset": "USDC",
        "created_at": AT.isoformat(),
    }
    return CryptoTransfer.model_validate(given | more)


class Venues:
    """Venues that count what they are asked, and can be away."""

    def __init__(self) -> None:
        self.tokenizations: list[TokenizationRequest] = []
        self.old: list[TokenizationRequest] = []
        self.rows: list[CryptoTransfer] = []
        self.open_orders: set[str] = set()
        self.burns: dict[tuple[int, str], list[Any]] = {}
        self.away: Callable[[str], Exception | None] = lambda _: None
        self.asked: Counter[str] = Counter()
        self.alpaca = self.attestations = self

    @staticmethod
    def now() -> datetime:
        return AT

    def _ask(self, what: str) -> None:
        self.asked[what] += 1
        if (error := self.away(what)) is not None:
            raise error

    def tokenization_requests(self, **filters: Any) -> list[TokenizationRequest]:
        self._ask("requests")
        return self.tokenizations if "after" in filters else self.tokenizations + self.old

    def tokenization_request(self, request_id: str) -> TokenizationRequest | None:
        self._ask("request")
        return next((one for one in self.tokenizations + self.old if one.id == request_id), None)

    def transfers(self) -> list[CryptoTransfer]:
        self._ask("transfers")
        return self.rows

    def transfer(self, transfer_id: str) -> CryptoTransfer | None:
        self._ask("transfer")
        return next((one for one in self.rows if one.id == transfer_id), None)

    def order(self, order_id: str) -> Any:
        self._ask(f"order {order_id}")
        return SimpleNamespace(is_open=order_id in self.open_orders)

    def messages(self, domain: int, transaction_hash: str) -> list[Any]:
        self._ask(f"burn {transaction_hash}")
        return self.burns.get((domain, transaction_hash), [])


def begin(venues: Venues, condition: Condition) -> Any:
    given: Any = venues
    return source_of(condition, lambda: given)[1]()


def hash_of(number: int) -> str:
    return f"0x{number:064x}"


def test_source_of__conditions_of_one_place__share_it() -> None:
    nobody: Any = None
    keys = [
        source_of(condition, nobody)[0]
        for condition in (
            NonceSpent("base", "0x", 1),
            TransactionTrusted("base", "0x1"),
            TransactionTrusted("ethereum", "0x1"),
            TokenizationDecided("1"),
            RedemptionDecided("AAPL", "0x1"),
            WithdrawalDecided("1"),
            DepositDecided("0x1"),
            Attested(0, "0x1"),
            Reattested(0, "0x1", "ab"),
            OrderDecided("1"),
        )
    ]
    tokens, transfers, burns = ["tokenizations"] * 2, ["transfers"] * 2, ["attestations"] * 2
    assert keys == ["base", "base", "ethereum", *tokens, *transfers, *burns, "order_decided"]


def test_source_of__no_such_network__says_so() -> None:
    nobody: Any = None
    with pytest.raises(ValueError, match="solana"):
        source_of(NonceSpent("solana", "0x", 1), nobody)


def test_tokenizations__a_thousand_wait__one_request_tells_all() -> None:
    venues = Venues()
    waiting = [TokenizationDecided(str(number)) for number in range(1000)]
    venues.tokenizations = [
        tokenization(str(number), "pending" if number % 3 else "rejected") for number in range(1000)
    ]

    found = begin(venues, waiting[0]).look(waiting)

    assert found == {one for one in waiting if int(one.request_id) % 3 == 0}
    assert venues.asked == {"requests": 1}


def test_redemption__a_mint_has_the_same_hash__only_the_redemption_tells() -> None:
    venues, wait = Venues(), RedemptionDecided("AAPL", hash_of(1))
    venues.tokenizations = [tokenization("1", "completed", tx_hash=hash_of(1))]
    source = begin(venues, wait)

    assert source.look([wait]) == set()
    venues.tokenizations.append(tokenization("2", "completed", type="redeem", tx_hash=hash_of(1)))
    assert source.look([wait]) == {wait}


def test_tokenizations__not_in_the_list__is_asked_for_by_itself_one_at_a_look() -> None:
    venues = Venues()
    venues.old = [tokenization(str(number), "completed") for number in range(3)]
    waiting = {TokenizationDecided(str(number)) for number in range(3)}
    source = begin(venues, TokenizationDecided("0"))

    found: set[Any] = set()
    for _ in range(3):
        found |= source.look(list(waiting - found))

    assert found == waiting
    assert venues.asked == {"requests": 3, "request": 3}


def test_tokenizations__one_that_is_not_listed_is_refused__the_list_still_tells() -> None:
    venues = Venues()
    venues.tokenizations = [tokenization("1", "completed")]
    venues.away = lambda what: Refused("no such id") if what == "request" else None
    waiting = [TokenizationDecided("1"), TokenizationDecided("?")]

    assert begin(venues, waiting[0]).look(waiting) == {waiting[0]}
    assert begin(venues, waiting[0]).look(waiting[1:]) == set()


def test_tokenizations__list_cannot_be_read__nobody_is_told_anything() -> None:
    venues, wait = Venues(), TokenizationDecided("1")
    venues.away = lambda _: Unavailable("no answer")

    with pytest.raises(Unavailable):
        begin(venues, wait).look([wait])
    assert venues.asked == {"requests": 1}


@pytest.mark.parametrize(
    ("condition", "row", "expected"),
    [
        (WithdrawalDecided("1"), transfer("1", "PROCESSING"), False),
        (WithdrawalDecided("1"), transfer("1", "COMPLETE"), False),  # its hash is not there yet
        (WithdrawalDecided("1"), transfer("1", "COMPLETE", tx_hash=hash_of(1)), True),
        (WithdrawalDecided("1"), transfer("1", "FAILED"), True),
        (DepositDecided(hash_of(1)), transfer("1", "COMPLETE", tx_hash=hash_of(1)), False),  # outgoing
        (
            DepositDecided(hash_of(1)),
            transfer("1", "PROCESSING", tx_hash=hash_of(1), direction="INCOMING"),
            False,
        ),
        (
            DepositDecided(hash_of(1)),
            transfer("1", "COMPLETE", tx_hash=hash_of(1), direction="INCOMING"),
            True,
        ),
    ],
)
def test_transfers__row_by_row__the_list_tells_what_the_condition_itself_does(
    condition: Condition, row: CryptoTransfer, expected: bool
) -> None:
    venues: Any = Venues()
    venues.rows = [row]

    assert (begin(venues, condition).look([condition]) == {condition}) is expected
    assert condition.holds(venues) is expected


def test_orders__many_wait__some_are_asked_for_at_a_look_and_everybody_has_a_turn() -> None:
    venues = Venues()
    waiting = [OrderDecided(str(number)) for number in range(2 * sources.AT_ONCE)]
    venues.open_orders = {"1"}
    source = begin(venues, waiting[0])

    found = source.look(waiting)
    assert venues.asked.total() == sources.AT_ONCE
    found |= source.look([one for one in waiting if one not in found])
    found |= source.look([one for one in waiting if one not in found])

    assert found == {one for one in waiting if one.order_id != "1"}


def test_orders__some_cannot_be_read__the_others_are_told() -> None:
    venues = Venues()
    venues.away = lambda what: Unavailable("no answer") if what == "order 0" else None
    waiting = [OrderDecided("0"), OrderDecided("1")]

    assert begin(venues, waiting[0]).look(waiting) == {waiting[1]}


def test_orders__none_can_be_read__says_so() -> None:
    venues = Venues()
    venues.away = lambda _: Unavailable("no answer")
    waiting = [OrderDecided("0"), OrderDecided("1")]

    with pytest.raises(Unavailable):
        begin(venues, waiting[0]).look(waiting)


def test_orders__one_cannot_be_judged__its_leg_alone_is_woken() -> None:
    venues = Venues()
    venues.open_orders = {"1"}
    venues.away = lambda what: KeyError("a bug") if what == "order 0" else None
    waiting = [OrderDecided("0"), OrderDecided("1")]

    assert begin(venues, waiting[0]).look(waiting) == {waiting[0]}


def message(signature: bytes | None) -> Any:
    return SimpleNamespace(is_ready=signature is not None, attestation=signature)


def test_attestations__two_wait_for_one_burn__it_is_asked_about_once() -> None:
    venues = Venues()
    venues.burns = {(0, hash_of(1)): [message(b"\xab")]}
    waiting = [Attested(0, hash_of(1)), Reattested(0, hash_of(1), "ab"), Reattested(0, hash_of(1), "cd")]

    assert begin(venues, waiting[0]).look(waiting) == {waiting[0], waiting[2]}
    assert venues.asked == {f"burn {hash_of(1)}": 1}


def test_attestations__many_wait__a_few_are_asked_about_at_a_look() -> None:
    venues = Venues()
    waiting = [Attested(0, hash_of(number)) for number in range(100)]
    source = begin(venues, waiting[0])

    for looks in range(1, 26):
        assert source.look(waiting) == set()
        assert venues.asked.total() == looks * sources.AT_ONCE

    assert set(venues.asked.values()) == {1}


def test_attestations__service_is_away__says_so() -> None:
    venues = Venues()
    venues.away = lambda _: Unavailable("no answer", retry_after=300)
    wait = Attested(0, hash_of(1))

    with pytest.raises(Unavailable):
        begin(venues, wait).look([wait])


def test_attestations__one_burn_cannot_be_asked_about__the_others_are() -> None:
    venues = Venues()
    venues.burns = {(0, hash_of(2)): [message(b"\xab")]}
    venues.away = lambda what: Unavailable("not now") if what.endswith("1") else None
    waiting = [Attested(0, hash_of(1)), Attested(0, hash_of(2))]

    assert begin(venues, waiting[0]).look(waiting) == {waiting[1]}


def test_turns__more_wait_than_are_served__nobody_has_two_before_another_has_one() -> None:
    turns = Turns()

    served = [one for _ in range(6) for one in turns.take("abcdefg", 2)]

    assert max(Counter(served).values()) - min(Counter(served).values()) <= 1
    assert set(served) == set("abcdefg")


def test_turns__somebody_new__is_first() -> None:
    turns = Turns()
    turns.take("abc", 3)

    assert turns.take("abcd", 1) == ["d"]
