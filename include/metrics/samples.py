"""The numbers of all metrics at one moment, from what the page shows and what the ledger adds up to."""

from __future__ import annotations

from decimal import Decimal
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final, TypeAlias

from include.alerts.detect import gas_name, nonce_name
from include.alerts.kinds import Kind
from include.book import Network
from include.domain.amounts import exact
from include.domain.decision import Reason
from include.metrics.definitions import BY_NAME
from include.overview.models import Balance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from include.metrics.counts import Counts
    from include.overview import models
    from include.profiles import Profile

Sample: TypeAlias = tuple[str, tuple[str, ...], float]
"""The name of a metric, the values of its labels in their order, and its value."""

POSITIONS: Final = ("run", "drain", "halt")
PACKAGE: Final = "airflow-provider-ballast"


def samples(
    overview: models.Overview, counts: Counts, chains: Profile, now: datetime, *, book: str
) -> list[Sample]:
    """Return every sample of a book.

    :param book: what the label `book` says: an `include.settings.names.Names.label`.
    :raises KeyError: naming a metric that is not defined.
    """
    found = [
        *_state(overview),
        *_assets(overview),
        *_operations(overview),
        *_today(overview),
        *_counted(counts, chains),
        *_watched(counts, now),
    ]
    for name, labels, _ in found:
        if len(labels) != len(BY_NAME[name].own):
            msg = f"{name} has the labels {', '.join(BY_NAME[name].labels)}"
            raise ValueError(msg)
    return [(name, (book, *labels), value) for name, labels, value in found]


def _state(overview: models.Overview) -> Iterator[Sample]:
    yield "ballast_build_info", (_version(),), 1
    yield "ballast_enabled", (), overview.enabled
    for position in POSITIONS:
        yield "ballast_switch", (position,), overview.switch == position
    if overview.paused is not None:
        yield "ballast_paused", (), overview.paused
    yield "ballast_held_wholly", (), overview.hold_all is not None
    for asset in overview.hold:
        yield "ballast_asset_held", (asset,), 1
    yield "ballast_check_interval_seconds", (), overview.check_interval_seconds
    if overview.check is not None:
        age = (overview.as_of - overview.check.at).total_seconds()
        yield "ballast_snapshot_age_seconds", (), age


def _assets(overview: models.Overview) -> Iterator[Sample]:
    reasons = dict.fromkeys((reason.value for reason in Reason), 0)
    for one in overview.assets:
        asset = one.asset
        if one.reason is not None:
            reasons[one.reason] = reasons.get(one.reason, 0) + 1
            yield "ballast_decision", (asset, one.reason), 1
        if one.ratio is not None:
            yield "ballast_asset_onchain_ratio", (asset,), float(one.ratio)
        yield "ballast_asset_target_ratio", (asset,), float(one.target)
        yield "ballast_asset_lower_ratio", (asset,), float(one.lower)
        yield "ballast_asset_upper_ratio", (asset,), float(one.upper)
        for venue, held in (("onchain", one.onchain), ("offchain", one.offchain)):
            if isinstance(held, Balance):
                yield "ballast_asset_amount", (asset, venue, "available"), float(held.available)
                yield "ballast_asset_amount", (asset, venue, "held"), float(held.held)
                yield "ballast_asset_amount", (asset, venue, "in_flight"), float(held.in_flight)
            elif overview.check is not None:
                yield "ballast_asset_unread", (asset, venue), 1
    for reason, number in reasons.items():
        yield "ballast_assets", (reason,), number


def _operations(overview: models.Overview) -> Iterator[Sample]:
    at: dict[tuple[str, str], int] = {}
    for one in overview.operations:
        leg = next((leg.name for leg in one.legs if leg.state in ("now", "waiting")), "")
        at[one.kind.value, leg] = at.get((one.kind.value, leg), 0) + 1
    for labels, number in at.items():
        yield "ballast_operations_open", labels, number
    yield "ballast_operations_overdue", (), sum(one.overdue for one in overview.operations)
    yield "ballast_operations_attention", (), len({one.operation_id for one in overview.attention})
    oldest = max((one.age_seconds for one in overview.operations), default=0)
    yield "ballast_oldest_operation_age_seconds", (), oldest


def _today(overview: models.Overview) -> Iterator[Sample]:
    today = overview.today
    yield "ballast_cost_today_dollars", (), float(today.cost_dollars or 0)
    limits = {one.asset: (one.amount, one.limit) for one in today.moved}
    # All USDC together is one asset, so the stricter of its two limits counts.
    for one in today.together:
        amount, own = limits.get(one.of, (one.amount, None))
        limits[one.of] = (amount, one.limit if own is None else str(min(Decimal(own), Decimal(one.limit))))
    for of, (amount, limit) in limits.items():
        yield "ballast_daily_moved_amount", (of,), float(amount)
        if limit is not None:
            with exact():
                left = max(Decimal(limit) - Decimal(amount), Decimal(0))
            yield "ballast_daily_limit_amount", (of,), float(limit)
            yield "ballast_daily_left_amount", (of,), float(left)


def _counted(counts: Counts, chains: Profile) -> Iterator[Sample]:
    for mode, number in counts.checks.items():
        yield "ballast_checks", (mode,), number
    for labels, number in counts.closed.items():
        yield "ballast_operations_closed", labels, number
    for labels, amount in counts.delivered.items():
        yield "ballast_delivered_amount", labels, amount
    for verb, number in counts.interventions.items():
        yield "ballast_interventions", (verb,), number
    for fee, amount in counts.fees.items():
        yield "ballast_fees_paid_usdc", (fee,), amount
    networks = {chains.ethereum.chain_id: Network.ETHEREUM, chains.base.chain_id: Network.BASE}
    for chain_id, amount in counts.gas.items():
        if chain_id in networks:
            yield "ballast_gas_paid_eth", (networks[chain_id].value,), amount
    yield "ballast_effects_unknown", (), counts.unknown


def _watched(counts: Counts, now: datetime) -> Iterator[Sample]:
    for network in Network:
        gas, nonce = counts.readings.get(gas_name(network)), counts.readings.get(nonce_name(network))
        if gas is not None:
            yield "ballast_wallet_gas_eth", (network.value,), gas.value / 10**18
        if nonce is not None:
            age = (now - nonce.at).total_seconds()
            yield "ballast_wallet_next_nonce", (network.value,), nonce.value
            yield "ballast_wallet_reading_age_seconds", (network.value,), age
    kinds = [alert.kind for alert in counts.alerts]
    for kind in Kind:
        yield "ballast_alerts", (kind.value, kind.severity), kinds.count(kind.value)
    for notifier, number in counts.untold.items():
        yield "ballast_alerts_untold", (notifier,), number


def _version() -> str:
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return "unknown"
