"""What a backfill of `rebalancing` may set otherwise: the fields of its form, and how a run reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowFailException

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from include.replay.overrides import Overrides

_SECTION: Final = "Replay (for a backfill only)"
_NUMBER: Final = ("null", "number", "string")
_TEXT: Final = ("null", "string")
_DURATION: Final = ("null", "string", "number")
# The model that checks them is `include.replay.overrides.Overrides`; a test holds that the two have the same
# fields. It is not read here, as every process that reads the DAG reads this.
FIELDS: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "replay_name": (_TEXT, "What the replay is called. Those of other names are kept apart."),
    "replay_tolerance": (
        _DURATION,
        "How old the recorded balances may be, such as 5m. Unset, two check intervals.",
    ),
    "target": (_NUMBER, "Wanted part that is onchain, 0 to 1, of all assets."),
    "deviation": (_NUMBER, "How far from the target the part may be, of all assets."),
    "stop_deviation": (_NUMBER, "How far from the target a move stops, of all assets."),
    "equity_minimum": (_NUMBER, "Smallest number of shares moved at once."),
    "equity_maximum": (_NUMBER, "Largest number of shares moved at once."),
    "equity_cap": (_NUMBER, "Shares moved at once that nothing exceeds."),
    "equity_daily_maximum": (_NUMBER, "Most shares moved in a day, all together."),
    "usdc_minimum": (_NUMBER, "Smallest amount of USDC moved at once."),
    "usdc_maximum": (_NUMBER, "Largest amount of USDC moved at once."),
    "usdc_cap": (_NUMBER, "USDC moved at once that nothing exceeds."),
    "usdc_daily_maximum": (_NUMBER, "Most USDC moved in a day."),
    "max_open_operations": (("null", "integer"), "How many operations may be open at once."),
    "settle_cooldown": (_DURATION, "How long an asset rests after a move, such as 10m."),
    "refusal_cooldown": (_DURATION, "How long an asset rests after a cancelled operation."),
    "per_asset": (
        ("null", "object"),
        'The same for single assets: {"AAPL": {"target": 0.6}}, with target, deviation, stop_deviation, '
        "minimum, maximum and daily_maximum.",
    ),
}


def params() -> dict[str, Param]:
    """Return the fields as params of the DAG."""
    return {
        name: Param(None, type=list(types), description=about, section=_SECTION)
        for name, (types, about) in FIELDS.items()
    }


def overrides_of(context: Context) -> Overrides:
    """Read what the backfill of a run sets otherwise.

    :raises AirflowFailException: naming each field that is unknown, wrong, or of no use in a replay.
    """
    from include.replay.overrides import Overrides, OverridesRefused  # noqa: PLC0415 - only a replay needs it

    given: dict[str, Any] = {}
    wrong = []
    for name, value in (context["dag_run"].conf or {}).items():
        if name in FIELDS or name not in context["dag"].params:
            given[name] = value
        elif value and name != "dry_run":  # Airflow's form sends the fields of the others too, empty
            wrong.append(f"{name}: is of no use in a backfill, which decides about all assets and moves none")
    try:
        read = Overrides.read(given)
    except OverridesRefused as refused:
        wrong.append(str(refused))
    if wrong:
        raise AirflowFailException("; ".join(wrong))
    return read


def require_none(context: Context) -> None:
    """Pass if a run that is no replay sets nothing that only a replay may.

    Left unsaid, somebody who triggers a run to try a narrower band would have money moved by the present one.

    :raises AirflowFailException: naming the fields.
    """
    named = [name for name in FIELDS if context["params"].get(name) not in (None, "", {})]
    if named:
        raise AirflowFailException(f"{', '.join(named)}: may be set in a backfill only, which moves nothing")
