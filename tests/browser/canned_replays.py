"""Answers about replays, made up."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.browser.canned import NOW, ago

Json = dict[str, Any]
DAYS, STEPS = 3, 144
SPAN = DAYS * 24 * 3600

NARROW: Json = {
    "id": "a" * 32,
    "name": "a narrower band",
    "created_at": ago(3600),
    "first": ago(SPAN),
    "last": ago(1800),
    "overrides": {"deviation": "0.12", "per_asset": {"USDC": {"deviation": "0.2"}}},
    "done": 140,
    "skipped": {"outside_tolerance": 4},
}
WIDE: Json = {
    **NARROW,
    "id": "b" * 32,
    "name": None,
    "overrides": {"deviation": "0.4", "stop_deviation": "0.1", "settle_cooldown": "600s"},
    "done": 143,
    "skipped": {"nothing_recorded": 1},
}


def replays() -> Json:
    """Make the list of replays."""
    return {"replays": [NARROW, WIDE]}


def column(kinds: dict[str, int], moved: str | None, fees: str | None, outside: int) -> Json:
    return {
        "operations": kinds,
        "cancelled": 1 if "mint" in kinds else 0,
        "moved": moved,
        "fees": {"dollars": fees, "partial": fees is None},
        "known_seconds": SPAN - 1800,
        "outside_own_seconds": outside,
        "outside_base_seconds": outside // 2,
        "largest_excess": None if moved is None else "31.250000001",
        "furthest": "0.412345",
    }


def compared(of: str, factor: int) -> Json:
    usdc = of == "USDC"
    kinds = {"usdc_alpaca_to_base": 2, "usdc_base_to_alpaca": 1} if usdc else {"mint": 3, "redemption": 2}
    moved = None if of == "everything" else "12345.67"
    more = {kind: count * factor for kind, count in kinds.items()}
    return {
        "of": of,
        "was": column(kinds, moved, "12.48", 9000),
        "would": column(more, moved, None if usdc else "31.9", 4200 // factor),
        "short_seconds": 1800 if usdc else 0,
    }


def report(replay_id: str) -> Json:
    """Make the report of one of the two."""
    found = {one["id"]: one for one in (NARROW, WIDE)}
    if replay_id not in found:
        raise LookupError(replay_id)
    factor = 2 if replay_id == NARROW["id"] else 1
    assumed = {
        kind: {
            "takes_seconds": 420,
            "takes_from": 12,
            "fixed_dollars": "0.51",
            "part": "0.00013",
            "costs_from": 12,
        }
        for kind in ("mint", "redemption", "usdc_alpaca_to_base")
    }
    unknown = {
        "takes_seconds": 1200,
        "takes_from": 0,
        "fixed_dollars": None,
        "part": None,
        "costs_from": 0,
    }
    return {
        "replay": found[replay_id],
        "looks": 140,
        "since": ago(SPAN),
        "until": ago(1800),
        "together": [compared("all equities", factor), compared("everything", factor)],
        "assets": [compared(asset, factor) for asset in ("AAPL", "NVDA", "USDC")],
        "assumed": {**assumed, "usdc_base_to_alpaca": unknown},
    }


def history(replay_id: str, asset: str) -> Json:
    """Make the ratios of an asset, with a gap where nothing was read."""
    half = Decimal("0.12") if replay_id == NARROW["id"] else Decimal("0.4")
    start, step = int(NOW.timestamp()) - SPAN, SPAN // STEPS
    points: list[list[Any]] = []
    for number in range(STEPS):
        was = Decimal("0.5") + number % 60 * Decimal("0.006")
        would = min(was, Decimal("0.5") + half)
        known = not 70 < number < 76
        points.append(
            [
                start + number * step + (0 if half < Decimal("0.2") else 7),
                str(was) if known else None,
                str(would) if known else None,
            ]
        )
    moves = [
        {
            "kind": "redemption",
            "amount": "31.25",
            "opened_at": ago(SPAN - number * step),
            "closed_at": ago(SPAN - number * step - 420),
            "status": "settled",
        }
        for number in (59, 119)
    ]
    virtual = [{**one, "status": "virtual"} for one in (*moves, {**moves[0], "opened_at": ago(SPAN // 3)})]
    return {
        "asset": asset,
        "target": "0.5",
        "lower": str(Decimal("0.5") - half),
        "upper": str(Decimal("0.5") + half),
        "base_target": "0.5",
        "base_lower": "0.2",
        "base_upper": "0.8",
        "points": points,
        "real": moves,
        "virtual": virtual,
    }
