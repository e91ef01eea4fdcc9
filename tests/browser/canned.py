"""Answers of the page's API as a server would give them, made up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

NOW = datetime(2026, 3, 4, 14, 3, 20, tzinfo=UTC)

Json = dict[str, Any]


def ago(seconds: float) -> str:
    """Name the moment that many seconds before the answer."""
    return (NOW - timedelta(seconds=seconds)).isoformat()


def side(available: str, held: str = "0", in_flight: str = "0") -> Json:
    return {"available": available, "held": held, "in_flight": in_flight}


def asset(
    symbol: str, onchain: Json, offchain: Json, ratio: str | None, reason: str, detail: str, **more: Any
) -> Json:
    return {
        "asset": symbol,
        "kind": "usdc" if symbol == "USDC" else "equity",
        "onchain": onchain,
        "offchain": offchain,
        "ratio": ratio,
        "target": "0.5",
        "lower": "0.2",
        "upper": "0.8",
        "stop_lower": "0.4",
        "stop_upper": "0.6",
        "reason": reason,
        "detail": detail,
        "description": "What the reason means, in a sentence.",
        "direction": None,
        "amount": None,
        "operation_id": None,
        "held": False,
        **more,
    }


def leg(name: str, state: str, **more: Any) -> Json:
    return {
        "name": name,
        "state": state,
        "amount_in": None,
        "amount_out": None,
        "waiting_for": None,
        "since": None,
        "due_at": None,
        "done_at": ago(200) if state == "done" else None,
        "attention": None,
        "links": [],
        **more,
    }


def transaction(number: int) -> Json:
    return {"text": f"0x{number:04x}…", "url": f"https://explorer.example/tx/0x{number:064x}"}


def operation(number: int, kind: str, symbol: str, amount: str, legs: list[Json], **more: Any) -> Json:
    return {
        "id": f"01J{number:023d}",
        "kind": kind,
        "asset": symbol,
        "amount": amount,
        "unit": "USDC" if symbol == "USDC" else "shares",
        "opened_at": ago(260),
        "age_seconds": 260,
        "run_id": "scheduled__2026-03-04T13:59:00+00:00",
        "overdue": False,
        "estimate": None,
        "legs": legs,
        **more,
    }


def within(symbol: str, ratio: str) -> Json:
    detail = f"{Decimal(ratio) * 100} of 100 is onchain: ratio {ratio} is within 0.2 to 0.8, target 0.5."
    onchain = Decimal(ratio) * 100
    return asset(symbol, side(str(onchain)), side(str(100 - onchain)), ratio, "balanced", detail)


MINT = operation(
    1,
    "mint",
    "AAPL",
    "31.25",
    [
        leg("mint", "waiting", amount_in="31.25", waiting_for="the tokens to reach the wallet", since=ago(95),
            due_at=ago(-505), links=[{"text": "request 7f3a", "url": "https://alpaca.example/7f3a"}]),
        leg("wrap", "later"),
        leg("vault_deposit", "later"),
    ],
    estimate="0.04",
)  # fmt: skip
TO_BASE = operation(
    2,
    "usdc_alpaca_to_base",
    "USDC",
    "18250.123456",
    [
        leg("withdraw", "done", amount_in="18250.123456", amount_out="18245.623456", links=[transaction(41)]),
        leg("bridge", "now", amount_in="18245.623456", since=ago(700), due_at=ago(40),
            waiting_for="Circle's attestation of the burn, 14 of 65 blocks", links=[transaction(42)]),
        leg("vault_deposit", "later"),
    ],
    opened_at=ago(1500),
    overdue=True,
    estimate="4.61",
)  # fmt: skip
STUCK = operation(
    3,
    "redemption",
    "TSLA",
    "12.8",
    [
        leg("vault_withdraw", "done", amount_in="12.8", amount_out="12.8", links=[transaction(51)]),
        leg("unwrap", "done", amount_in="12.8", amount_out="12.81", links=[transaction(52), transaction(53)]),
        leg("redeem", "waiting", amount_in="12.81", since=ago(7300), due_at=ago(3700),
            waiting_for="Alpaca to show the redemption",
            attention="12.81 TSLA tokens were sent in 0x35… and Alpaca shows no redemption after 2 h."),
    ],
    opened_at=ago(9100),
)  # fmt: skip

ATTENTION = {
    "operation_id": STUCK["id"],
    "asset": "TSLA",
    "kind": "redemption",
    "leg": "redeem",
    "since": ago(3700),
    "text": "12.81 TSLA tokens were sent in 0x35… and Alpaca shows no redemption after 2 h. "
    "Look for it there, then adopt it or reconcile.",
    "verbs": ["resume", "adopt", "reconcile"],
    "runbook": "withdrawal-answer-lost",
}

ASSETS = [
    asset("AAPL", side("19"), side("81", in_flight="31.25"), "0.19", "claimed", f"mint {MINT['id']} is open.",
          operation_id=MINT["id"]),
    asset("AMD", side("91.5"), side("8.500000001"), "0.914999990850000091", "cooling_down",
          "91.5 of 100.000000001 is onchain: ratio 0.914 is above 0.2 to 0.8, target 0.5, moved to 0.4 to "
          "0.6. The excess is 41.4999999995; 91.5 is free onchain. Plan: redemption 31.499999999. Not moved: "
          "its last operation ended at 13:58 (2 in a row were cancelled), and it rests until 14:08.",
          direction="redemption", amount="31.499999999"),
    within("COIN", "0.61"),
    asset("GOOG", side("40", held="2.5"), side("50"), "0.459", "balanced",
          "42.5 of 92.5 is onchain: ratio 0.459 is within 0.2 to 0.8, target 0.5."),
    asset("HOOD", side("0"), side("0"), None, "no_inventory", "Neither venue holds any."),
    within("META", "0.201"),
    asset("MSFT", side("1234.567890123456789012"), side("1100.25"), "0.5287", "held",
          "1234.567 of 2334.817 is onchain: ratio 0.5287 is within 0.2 to 0.8, target 0.5.", held=True),
    within("NVDA", "0.5"),
    within("PLTR", "0.44"),
    asset("SPY", {"unread": "Base answered 429 (too many requests) three times"}, side("310.5"), None,
          "unread", "onchain unread: Base answered 429 (too many requests) three times."),
    asset("TSLA", side("24.4", in_flight="12.8"), side("62.8"), "0.372", "claimed",
          f"redemption {STUCK['id']} is open.", operation_id=STUCK["id"]),
    asset("USDC", side("102345.678901"), side("250120.55", in_flight="18245.623456"), "0.276", "claimed",
          f"usdc_alpaca_to_base {TO_BASE['id']} is open.", operation_id=TO_BASE["id"]),
]  # fmt: skip


def books(names: list[str], current: str) -> list[Json]:
    """Make the list of books as one of them answers it; the one without a name is the empty one."""

    def href(name: str) -> str:
        below = f"books/{name}/" if name else ""
        return "./" if name == current else f"../../{below}" if current else below

    return [
        {"name": name, "label": name or "default", "href": href(name), "current": name == current}
        for name in names
    ]


def overview(**changes: Any) -> Json:
    """Make an overview of a busy book, with some keys replaced."""
    return {
        "as_of": NOW.isoformat(),
        "book": "",
        "dag": "rebalancing",
        "switch": "run",
        "enabled": True,
        "paused": False,
        "hold_all": None,
        "check_interval_seconds": 60,
        "hold": ["MSFT"],
        "may_act": True,
        "may_steer": True,
        "user": "alice",
        "limits": {"equity_cap": "500", "usdc_cap": "50000"},
        "check": {
            "id": "c1",
            "at": ago(23),
            "age_seconds": 23,
            "run_id": "scheduled__2026-03-04T14:02:00+00:00",
            "mode": "live",
        },
        "attention": [ATTENTION],
        "assets": ASSETS,
        "operations": [STUCK, TO_BASE, MINT],
        "today": {
            "since": "2026-03-04T00:00:00+00:00",
            "settled": 7,
            "cancelled": 1,
            "cost_dollars": "12.4837",
            "cost_is_partial": False,
            "moved": [
                {"asset": "AAPL", "amount": "62.5", "limit": "200"},
                {"asset": "AMD", "amount": "96", "limit": "100"},
                {"asset": "NVDA", "amount": "12.25", "limit": None},
                {"asset": "USDC", "amount": "43250.123456", "limit": "100000"},
            ],
            "together": [{"of": "all equities", "amount": "170.75", "limit": "1000"}],
        },
        **changes,
    }


def nothing_yet() -> Json:
    """Make the overview of a Ballast that has never run."""
    unread = {"unread": "no check yet"}
    changes = dict.fromkeys(("reason", "detail", "description"))
    assets = [{**asset(symbol, unread, unread, None, "", ""), **changes} for symbol in ("AAPL", "USDC")]
    nothing: Json = {"settled": 0, "cancelled": 0, "cost_dollars": None, "moved": [], "together": []}
    return overview(
        switch="drain", enabled=False, hold=[], check=None, attention=[], assets=assets, operations=[],
        today={**overview()["today"], **nothing}, limits=None,
    )  # fmt: skip


def calm() -> Json:
    """Make the overview of a book in trim, with nothing open."""
    return overview(
        attention=[], operations=[], assets=[within(f"S{number}", "0.5") for number in range(4)], hold=[]
    )


def thousand() -> Json:
    """Make the overview of a book of a thousand assets, of which a few are out of their band."""
    ratios = [str(Decimal(25 + number * 7 % 50) / 100) for number in range(1000)]
    assets = [within(f"A{number:03d}", ratio) for number, ratio in enumerate(ratios)]
    return overview(assets=[*assets[:998], *ASSETS[:2]])


def history(symbol: str, hours: int) -> Json:
    """Make a ratio that drifts out of its band and is brought back, with a gap where nothing was read."""
    now = int(NOW.timestamp())
    points: list[list[Any]] = []
    for number in range(240):
        noise = number * 37 % 50 if number % 60 < 45 else 20
        ratio = Decimal("0.5") - number % 80 * Decimal("0.0041") + noise * Decimal("0.0004")
        points.append([now - hours * 15 * (240 - number), None if 150 < number < 158 else str(ratio)])
    step = hours * 15
    return {
        "asset": symbol,
        "target": "0.5",
        "lower": "0.2",
        "upper": "0.8",
        "points": points,
        "operations": [
            {"id": f"h{at}", "kind": "mint", "opened_at": ago(step * (240 - at)),
             "closed_at": ago(step * (240 - at - 6)), "amount": "31.25", "status": status}
            for at, status in ((77, "settled"), (120, "cancelled"), (156, "settled"))
        ],
    }  # fmt: skip


def past(number: int) -> Json:
    """Make the nth newest operation of the last days."""
    kind = ("mint", "redemption", "usdc_alpaca_to_base", "usdc_base_to_alpaca")[number % 4]
    status = ("settled", "settled", "settled", "cancelled", "settled", "reconciled")[number % 6]
    opened = 3600 * (number + 1)
    outcomes = {
        "settled": None,
        "cancelled": "Alpaca refused: the account has 3.5 shares free, not 12.25",
        "reconciled": "alice: the deposit was credited by hand, ticket 4411",
    }
    return {
        "id": f"01P{number:023d}",
        "kind": kind,
        "unit": "USDC" if kind.startswith("usdc") else "shares",
        "asset": "USDC" if kind.startswith("usdc") else ("AAPL", "AMD", "NVDA")[number % 3],
        "amount": "18250.123456" if kind.startswith("usdc") else "31.250000001",
        "delivered": None if status == "cancelled" else "31.25",
        "status": status,
        "outcome": outcomes[status],
        "opened_at": ago(opened),
        "closed_at": ago(opened - 240 - 37 * number),
        "run_id": "scheduled__2026-03-04T09:00:00+00:00",
        "estimated_cost": "0.0412",
        "paid_cost": None if number == 0 else "0.0398",
    }


def page_of_past(before: str | None, limit: int, total: int = 70) -> Json:
    """Make one page of the operations of the last days."""
    every = [past(number) for number in range(total)]
    older = [one for one in every if before is None or one["opened_at"] < before]
    following = older[limit - 1]["opened_at"] if len(older) > limit else None
    return {"operations": older[:limit], "next": following}


def everything(operation_id: str) -> Json:
    """Make all that is known of one operation."""
    found = next((one for one in (MINT, TO_BASE, STUCK) if one["id"] == operation_id), None)
    listed = past(0) if found is None else {**past(0), **{key: found[key] for key in past(0) if key in found}}
    legs = [leg("mint", "done")] if found is None else found["legs"]
    if found is not None:
        listed.update(status="open", closed_at=None, delivered=None)
    sent = effect(1, "transfer", "done", reference="0x34", link=transaction(52))
    lost = effect(2, "redemption request", "unknown", detail="no answer within 20 s")
    return {
        **listed,
        "check_id": "c1",
        "overdue": False,
        "cost_words": "gas 0.0398 dollars",
        "legs": [{**one, "effects": [sent, lost] if number == 0 else []} for number, one in enumerate(legs)],
        "interventions": [{"at": ago(300), "actor": "bob", "verb": "resume", "reason": "Alpaca was down"}],
        "verbs": {"resume": "Look again at once.", "cancel": "Close it: nothing has moved."} if found else {},
    }


def effect(number: int, name: str, status: str, **more: Any) -> Json:
    return {
        "id": f"e{number}",
        "name": name,
        "attempt": 1,
        "status": status,
        "irreversible": True,
        "reference": None,
        "detail": None,
        "link": None,
        "intended_at": ago(400),
        "sent_at": ago(399),
        **more,
    }
