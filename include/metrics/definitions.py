"""Every metric there is, from one list: the endpoint, `docs/metrics.md` and the tests of rules follow it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Type = Literal["gauge", "counter"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    :param name: with its unit at the end; of a counter without `_total`, which is added.
    :param help: one sentence.
    :param own: its labels beside `book`, which every metric has.
    """

    name: str
    type: Type
    help: str
    own: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, in the order of their values in a sample."""
        return ("book", *self.own)

    @property
    def exposed(self) -> str:
        """The name that Prometheus sees."""
        return f"{self.name}_total" if self.type == "counter" else self.name


@dataclass(frozen=True, slots=True)
class Sent:
    """One metric that tasks send through Airflow, where Airflow is told where to.

    :param name: as it is sent; Airflow adds its prefix.
    :param type: `count`, or `time` in milliseconds.
    :param own: its tags beside `book`, which every metric has.
    """

    name: str
    type: Literal["count", "time"]
    help: str
    own: tuple[str, ...] = ()

    @property
    def tags(self) -> tuple[str, ...]:
        """All tags."""
        return ("book", *self.own)


METRICS: Final = (
    Metric("ballast_build_info", "gauge", "1, with the version of Ballast.", ("version",)),
    Metric("ballast_enabled", "gauge", "Whether the settings let money move: 1 or 0."),
    Metric("ballast_switch", "gauge", "1 for the position of the switch, 0 for the others.", ("position",)),
    Metric("ballast_paused", "gauge", "Whether the DAG is paused in Airflow; absent where it is unknown."),
    Metric(
        "ballast_held_wholly", "gauge", "Whether every asset is held back, as the hold list is unreadable."
    ),
    Metric("ballast_asset_held", "gauge", "1 for each asset that is held back.", ("asset",)),
    Metric("ballast_check_interval_seconds", "gauge", "Time between two checks, as it is set."),
    Metric("ballast_snapshot_age_seconds", "gauge", "Age of the newest check's balances; absent before any."),
    Metric("ballast_checks", "counter", "Checks that were recorded.", ("mode",)),
    Metric("ballast_decision", "gauge", "1 for what the newest check decided.", ("asset", "reason")),
    Metric("ballast_assets", "gauge", "Assets by what the newest check decided.", ("reason",)),
    Metric("ballast_asset_onchain_ratio", "gauge", "Onchain part of all there is of an asset.", ("asset",)),
    Metric("ballast_asset_target_ratio", "gauge", "The ratio that is wanted.", ("asset",)),
    Metric("ballast_asset_lower_ratio", "gauge", "Lower edge of the band.", ("asset",)),
    Metric("ballast_asset_upper_ratio", "gauge", "Upper edge of the band.", ("asset",)),
    Metric(
        "ballast_asset_amount",
        "gauge",
        "What a venue holds, in shares or USDC: part is available, held or in_flight.",
        ("asset", "venue", "part"),
    ),
    Metric(
        "ballast_asset_unread", "gauge", "1 where the newest check could not read it.", ("asset", "venue")
    ),
    Metric("ballast_operations_open", "gauge", "Open operations by the leg they are at.", ("kind", "leg")),
    Metric("ballast_operations_overdue", "gauge", "Open operations that wait longer than their deadline."),
    Metric("ballast_operations_attention", "gauge", "Open operations that ask for a person."),
    Metric(
        "ballast_oldest_operation_age_seconds", "gauge", "Age of the oldest open operation; 0 without any."
    ),
    Metric("ballast_effects_unknown", "gauge", "Effects of open operations whose outcome is not known."),
    Metric("ballast_operations_closed", "counter", "Operations that have ended.", ("kind", "status")),
    Metric(
        "ballast_delivered_amount",
        "counter",
        "What ended operations have delivered, in shares or USDC.",
        ("kind", "asset"),
    ),
    Metric("ballast_interventions", "counter", "What people did with operations.", ("verb",)),
    Metric(
        "ballast_fees_paid_usdc",
        "counter",
        "USDC that was kept on the way: fee is bridge or withdrawal.",
        ("fee",),
    ),
    Metric("ballast_gas_paid_eth", "counter", "ETH that transactions have cost.", ("network",)),
    Metric("ballast_cost_today_dollars", "gauge", "What the operations closed today (UTC) have cost."),
    Metric(
        "ballast_daily_moved_amount", "gauge", "What operations opened today (UTC) move, by limit.", ("of",)
    ),
    Metric("ballast_daily_limit_amount", "gauge", "The daily maximum, in shares or USDC.", ("of",)),
    Metric("ballast_daily_left_amount", "gauge", "What is left of the daily maximum today.", ("of",)),
    Metric(
        "ballast_wallet_gas_eth", "gauge", "ETH of the wallet on a chain, as it was read last.", ("network",)
    ),
    Metric(
        "ballast_wallet_next_nonce", "gauge", "Mined transactions of the wallet, as read last.", ("network",)
    ),
    Metric("ballast_wallet_reading_age_seconds", "gauge", "Age of these two readings.", ("network",)),
    Metric("ballast_alerts", "gauge", "Alerts that have not ended.", ("kind", "severity")),
    Metric(
        "ballast_alerts_untold", "gauge", "What notifiers did not take and are told again.", ("notifier",)
    ),
)
BY_NAME: Final = {metric.name: metric for metric in METRICS}

SENT: Final = (
    Sent("ballast.check.duration", "time", "How long a check took.", ("mode",)),
    Sent("ballast.decision", "count", "Decisions of checks.", ("reason", "mode")),
    Sent(
        "ballast.operation.assigned", "count", "Operations that a claim gave its run, new or not.", ("kind",)
    ),
    Sent("ballast.operation.closed", "count", "Operations that a task saw end.", ("kind", "status")),
    Sent("ballast.leg.duration", "time", "From the start of a leg to its end.", ("kind", "leg")),
    Sent("ballast.leg.wait", "count", "Times that a leg was deferred.", ("kind", "leg")),
    Sent("ballast.alert.told", "count", "Messages that notifiers took or did not.", ("notifier", "outcome")),
)
SENT_NAMES: Final = frozenset(sent.name for sent in SENT)
