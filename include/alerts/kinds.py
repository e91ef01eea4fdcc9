"""Everything that can be told. Docs, sections of the runbook and labels of metrics follow this list."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal, TypeAlias

Severity: TypeAlias = Literal["critical", "warning"]
"""`critical`: somebody should look now, whatever the hour; `warning`: today."""


class Kind(StrEnum):
    """What can be told.

    :param severity: how soon somebody should look.
    :param headline: what it is, in a few words.
    :param anchor: the section of `docs/runbook.md` that says what to do.
    :param when: when it is told.
    """

    severity: Severity
    headline: str
    anchor: str
    when: str

    def __new__(
        cls, value: str, severity: Severity = "warning", headline: str = "", anchor: str = "", when: str = ""
    ) -> Kind:
        """Make a member whose value is its code."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.severity, member.headline, member.anchor, member.when = severity, headline, anchor, when
        return member

    ATTENTION = (
        "attention",
        "critical",
        "An operation asks for a person",
        "an-operation-asks-for-a-person",
        "A leg cannot go on before a person has decided. The link leads to the section about just that.",
    )
    APPROVAL = (
        "approval",
        "warning",
        "An operation waits for approval",
        "an-operation-waits-for-approval",
        "It is larger than what moves without a person, and nobody has approved or rejected it yet.",
    )
    UNKNOWN_EFFECT = (
        "unknown_effect",
        "critical",
        "What became of a request is not known",
        "what-became-of-a-request-is-not-known",
        "The answer to a request was lost, and looking has not told whether it was carried out.",
    )
    OVERDUE = (
        "overdue",
        "warning",
        "An operation is overdue",
        "overdue",
        "A leg waits longer than its deadline in the settings allows.",
    )
    NO_CHECK = (
        "no_check",
        "critical",
        "No check is made",
        "no-check-is-made",
        "The newest check is older than `alert_missed_checks` intervals: the DAG `rebalancing` is paused, "
        "fails, or Airflow does not start it.",
    )
    PAUSED = (
        "paused",
        "critical",
        "The DAG is paused while money is under way",
        "the-dag-is-paused-while-money-is-under-way",
        "The DAG `rebalancing` is paused and an operation is open, which then does not go on.",
    )
    UNREAD = (
        "unread",
        "critical",
        "A venue cannot be read",
        "a-venue-cannot-be-read",
        "The last `alert_missed_checks` checks could all not read the balances of the same assets.",
    )
    RUN_OVERDUE = (
        "run_overdue",
        "warning",
        "A run does not end",
        "a-run-does-not-end",
        "A run of `rebalancing` lasts longer than `alert_run_deadline`.",
    )
    GAS_LOW = (
        "gas_low",
        "warning",
        "Gas is low",
        "low-gas",
        "The wallet holds less than `alert_gas_factor` times the least that operations need on a chain.",
    )
    FOREIGN_NONCE = (
        "foreign_nonce",
        "critical",
        "Somebody else signs with the wallet's key",
        "somebody-else-signs-with-the-wallets-key",
        "A chain has mined more transactions of the wallet than the ledger knows of: the key is used "
        "elsewhere, or an old copy of the ledger is in use.",
    )
    STRAY_TOKENS = (
        "stray_tokens",
        "warning",
        "Tokens lie in the wallet",
        "tokens-lie-in-the-wallet",
        "An asset has vaults and no open operation, and the last check found some of it in the wallet.",
    )
    DAILY_LIMIT = (
        "daily_limit",
        "warning",
        "A daily limit is reached",
        "over_daily_limit",
        "The last live check found too little left of a daily maximum, and has turned the switch to `drain`.",
    )
    COST_BUDGET = (
        "cost_budget",
        "warning",
        "A move waits for its cost budget",
        "over_cost_budget",
        "An asset out of its band has been refused for its cost for longer than `alert_cost_after`.",
    )
    HELD_WHOLLY = (
        "held_wholly",
        "warning",
        "Every asset is held back",
        "every-asset-is-held-back",
        "The Variable `rebalancing_hold` cannot be read or is no list of symbols, so nothing is begun.",
    )
    SETTINGS_WRONG = (
        "settings_wrong",
        "critical",
        "The settings are wrong",
        "wrong-setting",
        "The DAG `rebalancing` cannot be read, so nothing runs and nothing open goes on.",
    )
    LEDGER_UNUSABLE = (
        "ledger_unusable",
        "critical",
        "The ledger cannot be used",
        "the-ledger-cannot-be-used",
        "Its Connection is missing, its tables are of another version, or its database does not answer.",
    )


WITHOUT_SETTINGS: Final = frozenset(
    kind.value
    for kind in (
        Kind.ATTENTION,
        Kind.APPROVAL,
        Kind.UNKNOWN_EFFECT,
        Kind.OVERDUE,
        Kind.PAUSED,
        Kind.RUN_OVERDUE,
        Kind.HELD_WHOLLY,
    )
)
"""What can be judged although the settings are wrong."""
