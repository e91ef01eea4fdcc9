from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pydantic import ValidationError

from include.venues.alpaca.errors import (
    AlpacaOutcomeUnknown,
    AlpacaRefused,
    AlpacaUnavailable,
    DuplicateOrder,
    InsufficientPosition,
    NoQuote,
)
from include.venues.alpaca.models import Order, OrderStatus
from include.venues.alpaca.orders import Cancellation
from include.venues.errors import OutcomeUnknown, Refused, Unavailable
from tests.unit.venues.alpaca.support import ACCOUNT, Venue, broker, fixture

if TYPE_CHECKING:
    from collections.abc import Callable

    from include.venues.alpaca.client import AlpacaBroker

ORDER = fixture("order")
PATH = f"/v1/trading/accounts/{ACCOUNT}/orders"
LABEL = "ballast-order-1"
SALE = {"side": "sell", "notional": None, "qty": "250.123456"}


def answered(**changes: Any) -> httpx.Response:
    return httpx.Response(200, json=ORDER | changes)


def buy(alpaca: AlpacaBroker) -> Order:
    return alpaca.buy_usdc(Decimal("250.25"), LABEL)


def sell(alpaca: AlpacaBroker) -> Order:
    return alpaca.sell_usdc(Decimal("250.123456"), LABEL)


both = pytest.mark.parametrize("place", [buy, sell])


# Placing


@pytest.mark.parametrize(
    ("place", "answer", "amount"),
    [
        (buy, answered(), {"side": "buy", "notional": "250.25"}),
        (sell, answered(**SALE), {"side": "sell", "qty": "250.123456"}),
    ],
)
def test_order__placed__is_one_market_order_for_the_pair(
    place: Callable[[AlpacaBroker], Order], answer: httpx.Response, amount: dict[str, str]
) -> None:
    venue = Venue(answer)

    order = place(broker(venue))

    assert (venue.request.method, venue.request.url.path) == ("POST", PATH)
    assert json.loads(venue.request.content) == {
        "symbol": "USDCUSD",
        "type": "market",
        "time_in_force": "gtc",
        "client_order_id": LABEL,
        **amount,
    }
    assert (order.id, order.client_order_id, order.filled_qty) == (ORDER["id"], LABEL, Decimal(0))
    assert order.is_open


@pytest.mark.parametrize(("amount", "text"), [("1E+3", "1000"), ("10.50", "10.5"), ("10.000", "10")])
def test_buy__any_form_of_whole_cents__is_written_plainly(amount: str, text: str) -> None:
    venue = Venue(answered(notional=text))

    broker(venue).buy_usdc(Decimal(amount), LABEL)

    assert json.loads(venue.request.content)["notional"] == text


@pytest.mark.parametrize("notional", [Decimal("10.001"), Decimal(0), Decimal(-10), Decimal("NaN"), 10.5, 10])
def test_buy__bad_notional__names_it_and_sends_nothing(notional: Any) -> None:
    venue = Venue()

    with pytest.raises(ValueError, match=r"^notional "):
        broker(venue).buy_usdc(notional, LABEL)

    assert venue.requests == []


@pytest.mark.parametrize("quantity", [Decimal("1.0000001"), Decimal(0), Decimal("Infinity"), 1.5])
def test_sell__bad_quantity__names_it_and_sends_nothing(quantity: Any) -> None:
    venue = Venue()

    with pytest.raises(ValueError, match=r"^quantity "):
        broker(venue).sell_usdc(quantity, LABEL)

    assert venue.requests == []


@pytest.mark.parametrize("label", ["", " x", "münze", "x" * 129])
def test_order__bad_client_order_id__names_it_and_sends_nothing(label: str) -> None:
    venue = Venue()
    alpaca = broker(venue)

    for place in (alpaca.buy_usdc, alpaca.sell_usdc):
        with pytest.raises(ValueError, match=r"^client_order_id "):
            place(Decimal(10), label)
    with pytest.raises(ValueError, match=r"^client_order_id "):
        alpaca.order_by_client_id(label)

    assert venue.requests == []


@pytest.mark.parametrize(
    "change",
    [
        {"client_order_id": "other"},
        {"symbol": "BTC/USD"},
        {"side": "sell"},
        {"notional": "250.24"},
        {"filled_qty": None},
        {"id": ""},
    ],
)
def test_buy__answer_describes_something_else_or_nothing__is_unknown(change: dict[str, Any]) -> None:
    with pytest.raises(OutcomeUnknown):
        buy(broker(Venue(answered(**change))))


@pytest.mark.parametrize("change", [{"qty": "250.12"}, {"side": "buy"}])
def test_sell__answer_describes_something_else__is_unknown(change: dict[str, Any]) -> None:
    with pytest.raises(OutcomeUnknown, match=ORDER["id"]):
        sell(broker(Venue(answered(**SALE | change))))


def test_buy__answer_in_other_words__is_ours() -> None:
    order = buy(broker(Venue(answered(symbol="USDCUSD", notional="250.250", status="NEW"))))

    assert order.status is OrderStatus.NEW


@both
@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize(
    "words", ["client_order_id must be unique", "duplicate client order id: already exists"]
)
def test_order__id_used_before__is_told_so_that_it_can_be_adopted(
    place: Callable[[AlpacaBroker], Order], status: int, words: str
) -> None:
    refusal = httpx.Response(status, json={"code": 40010001, "message": words})

    with pytest.raises(DuplicateOrder) as caught:
        place(broker(Venue(refusal)))

    assert (caught.value.status, caught.value.code, caught.value.message) == (status, 40010001, words)
    assert isinstance(caught.value, Refused)


@both
@pytest.mark.parametrize(
    "words",
    [
        "invalid crypto time_in_force",
        "client_order_id must be no more than 128 characters",
        "qty or notional is required",
    ],
)
def test_order__same_code_for_another_cause__is_a_plain_refusal(
    place: Callable[[AlpacaBroker], Order], words: str
) -> None:
    with pytest.raises(AlpacaRefused) as caught:
        place(broker(Venue(httpx.Response(422, json={"code": 40010001, "message": words}))))

    assert type(caught.value) is AlpacaRefused
    assert caught.value.message == words


@both
def test_order__no_quote__may_be_tried_later(place: Callable[[AlpacaBroker], Order]) -> None:
    refusal = {"code": 40310000, "message": "no available quote for symbol USDCUSD"}

    with pytest.raises(NoQuote) as caught:
        place(broker(Venue(httpx.Response(403, json=refusal))))

    assert isinstance(caught.value, Unavailable)
    assert not isinstance(caught.value, Refused)
    assert caught.value.code == 40310000


@both
@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("insufficient buying power", InsufficientPosition),
        ("insufficient balance for USD (requested: 250.25, available: 3)", InsufficientPosition),
        ("insufficient balance for USDC (requested: 250.123456, available: 3)", InsufficientPosition),
        ("insufficient qty available for order (requested: 250, available: 0)", InsufficientPosition),
        ("cost basis must be >= minimal amount of order 10", AlpacaRefused),
        ("account is restricted to liquidation only", AlpacaRefused),
    ],
)
def test_order__refused_with_the_same_code__keeps_alpacas_words(
    place: Callable[[AlpacaBroker], Order], words: str, kind: type[AlpacaRefused]
) -> None:
    body = {"code": 40310000, "message": words, "buying_power": "3", "cost_basis": "250.25"}

    with pytest.raises(AlpacaRefused) as caught:
        place(broker(Venue(httpx.Response(403, json=body))))

    assert type(caught.value) is kind
    assert caught.value.message == words


# Looking up


@pytest.mark.parametrize("name", ["order", "order_by_client_id"])
@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404, json={"code": 40410000, "message": "order not found for some-id"}),
        httpx.Response(404),
    ],
)
def test_lookup__alpaca_knows_none__returns_none(name: str, answer: httpx.Response) -> None:
    assert getattr(broker(Venue(answer)), name)("some-id") is None


@pytest.mark.parametrize("name", ["order", "order_by_client_id", "cancel_order"])
def test_lookup_or_cancel__404_of_something_in_between__is_no_answer(name: str) -> None:
    page = httpx.Response(404, html="<html><title>404 Not Found</title></html>")

    with pytest.raises(AlpacaUnavailable, match="404 Not Found"):
        getattr(broker(Venue(page)), name)("some-id")


@pytest.mark.parametrize("name", ["order", "order_by_client_id", "cancel_order"])
def test_lookup_or_cancel__404_about_the_account__is_refused(name: str) -> None:
    unknown = httpx.Response(404, json={"code": 40410000, "message": "account not found"})

    with pytest.raises(AlpacaRefused, match="account not found"):
        getattr(broker(Venue(unknown)), name)("some-id")


def test_order__found_by_either_id__is_one_get() -> None:
    venue = Venue(answered(), answered())
    alpaca = broker(venue)

    assert alpaca.order(ORDER["id"]) == alpaca.order_by_client_id(LABEL)
    by_id, by_label = venue.requests
    assert by_id.url.path == f"{PATH}/{ORDER['id']}"
    assert (by_label.url.path, dict(by_label.url.params)) == (
        f"{PATH}:by_client_order_id",
        {"client_order_id": LABEL},
    )


def test_lookup__another_order_is_answered__is_no_answer() -> None:
    with pytest.raises(Unavailable, match="another client_order_id"):
        broker(Venue(answered())).order_by_client_id("something-else")
    with pytest.raises(Unavailable, match=ORDER["id"]):
        broker(Venue(answered())).order("something-else")


# Cancelling


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (httpx.Response(204), Cancellation.ACCEPTED),
        (
            httpx.Response(422, json={"code": 42210000, "message": 'order is already in "filled" state'}),
            Cancellation.NOT_CANCELABLE,
        ),
        (
            httpx.Response(404, json={"code": 40410000, "message": "order not found"}),
            Cancellation.NOT_FOUND,
        ),
        (httpx.Response(404), Cancellation.NOT_FOUND),
    ],
)
def test_cancel__answered__says_which(answer: httpx.Response, outcome: Cancellation) -> None:
    venue = Venue(answer)

    assert broker(venue).cancel_order(ORDER["id"]) is outcome

    assert (venue.request.method, venue.request.url.path) == ("DELETE", f"{PATH}/{ORDER['id']}")
    assert venue.request.content == b""


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx.ReadTimeout("late"), AlpacaOutcomeUnknown),
        (httpx.Response(500, json={"message": "internal"}), AlpacaOutcomeUnknown),
        (httpx.Response(409, json={"message": "conflict"}), AlpacaOutcomeUnknown),
        (httpx.ConnectError("refused"), AlpacaUnavailable),
        (httpx.Response(429), AlpacaUnavailable),
        (httpx.Response(403, json={"code": 40310000, "message": "forbidden"}), AlpacaRefused),
    ],
)
def test_cancel__no_clear_answer__is_no_outcome(
    answer: httpx.Response | Exception, kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        broker(Venue(answer)).cancel_order("some-id")


@pytest.mark.parametrize("name", ["order", "cancel_order"])
@pytest.mark.parametrize("order_id", ["", "..", "a\nb"])
def test_lookup_or_cancel__bad_id__sends_nothing(name: str, order_id: str) -> None:
    venue = Venue()

    with pytest.raises(ValueError, match="order_id"):
        getattr(broker(venue), name)(order_id)

    assert venue.requests == []


# The model


@pytest.mark.parametrize(
    ("status", "is_open", "is_final"),
    [
        *[
            (status, True, False)
            for status in (
                "accepted", "pending_new", "new", "held", "partially_filled", "done_for_day", "stopped",
                "suspended", "calculated", "pending_cancel", "pending_replace", "accepted_for_bidding",
            )
        ],
        *[(status, False, True) for status in ("filled", "canceled", "expired", "rejected", "FILLED")],
        ("replaced", False, False),
        ("a_new_one", False, False),
    ],
)  # fmt: skip
def test_order__status__is_open_or_final_or_neither(status: str, is_open: bool, is_final: bool) -> None:
    order = Order.model_validate(ORDER | {"status": status})

    assert (order.is_open, order.is_final) == (is_open, is_final)


def test_order__filled__is_exact_to_the_ninth_decimal() -> None:
    order = Order.model_validate(
        ORDER
        | {
            "status": "filled",
            "filled_qty": "249.825297993",
            "filled_avg_price": "1.0017",
            "qty": "249.825297993",
        }
    )

    assert order.filled_qty == order.qty == Decimal("249.825297993")
    assert order.filled_avg_price == Decimal("1.0017")
    assert order.created_at == datetime(2026, 9, 25, 15, 0, 1, 110123, tzinfo=UTC)
    assert Order.model_validate(order.model_dump()) == order


@pytest.mark.parametrize(
    "field", ["id", "client_order_id", "symbol", "side", "status", "filled_qty", "created_at"]
)
def test_order__what_a_decision_needs_is_missing__is_refused(field: str) -> None:
    with pytest.raises(ValidationError):
        Order.model_validate({name: value for name, value in ORDER.items() if name != field})
