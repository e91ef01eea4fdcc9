"""The commands that the runbook gives for Airflow are Airflow's, and name what there is."""

from __future__ import annotations

import re
import shlex
from typing import Final

import pytest
from airflow.cli import cli_parser

from include.check import Switch
from tests.unit.plugins.fakes import NAMES
from tests.unit.test_runbook import PAGE, dag_ids

COMMAND: Final = re.compile(r"\.venv/bin/airflow ([^`\n]+)")
SETS: Final = {NAMES.switch: {switch.value for switch in Switch}, NAMES.hold: None}
"""The Variables that people set, and the values that each takes; None for any."""


def wrong_commands(text: str) -> list[str]:
    """Return the commands that Airflow does not know, or that name no Variable, value or DAG of ours."""
    return [command for command in COMMAND.findall(text) if not _is_right(command)]


def _is_right(command: str) -> bool:
    try:
        given = cli_parser.get_parser().parse_args(shlex.split(command))
    except SystemExit:
        return False
    key, value, dag = (getattr(given, name, None) for name in ("key", "value", "dag_id"))
    if key is not None:
        allowed = SETS.get(key, set())
        return allowed is None or value in allowed or (value is None and key in SETS)
    return dag is None or dag in dag_ids()


def test_commands__of_the_runbook__are_right() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert f"variables set {NAMES.switch} drain" in COMMAND.findall(text)
    assert wrong_commands(text) == []


@pytest.mark.parametrize(
    ("command", "right"),
    [
        ("variables set rebalancing_switch drain", True),
        ("variables set rebalancing_switch stop", False),
        ("variables set rebalancing_swatch run", False),
        ("variables get rebalancing_switch", True),
        ("variables get rebalancing_halt", False),
        ("dags unpause rebalancing", True),
        ("dags unpause rebalancer", False),
        ("dags list-imports", False),
    ],
)
def test_wrong_commands__with_a_mistake__finds_it(command: str, right: bool) -> None:
    assert (wrong_commands(f".venv/bin/airflow {command}\n") == []) is right
