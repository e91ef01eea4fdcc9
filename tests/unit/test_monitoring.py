"""The rules and the dashboard name only metrics that there are, and sections that there are."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from include.alerts.kinds import Kind
from include.domain.decision import Reason
from include.domain.operation import OperationKind, OperationStatus
from include.metrics.definitions import METRICS, SENT
from scripts.astro_settings import ROOT
from tests.unit.test_docs import anchors

FOLDER = ROOT / "docs" / "monitoring"
EXPOSED = {metric.exposed: metric for metric in METRICS}
VALUES = {
    "kind": {*(kind.value for kind in Kind), *(kind.value for kind in OperationKind)},
    "reason": {reason.value for reason in Reason},
    "status": {status.value for status in OperationStatus},
    "network": {"ethereum", "base"},
    "position": {"run", "drain", "halt"},
}

_NAME = re.compile(r"\bballast_\w+")
_SELECTOR = re.compile(r"(ballast_\w+)\{([^}]*)\}")
_MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')
_LEGEND = re.compile(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}")


def wrong(expression: str) -> list[str]:
    """Return the metrics, labels and values of labels in an expression that there are not."""
    found = [name for name in _NAME.findall(expression) if name not in EXPOSED]
    for name, inside in _SELECTOR.findall(expression):
        for label, value in _MATCHER.findall(inside):
            if name in EXPOSED and label not in EXPOSED[name].labels:
                found.append(f"{name}.{label}")
            elif not value.startswith("$") and value not in VALUES.get(label, {value}):
                found.append(f"{label}={value}")
    return found


def unknown_labels(expression: str, text: str) -> set[str]:
    """Return the labels in a legend or a summary that no metric of the expression has."""
    known = {label for name in _NAME.findall(expression) if name in EXPOSED for label in EXPOSED[name].labels}
    return set(_LEGEND.findall(text)) - known


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "alert-rules.yaml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FOLDER / "grafana-dashboard.json").read_text(encoding="utf-8"))[
        "panels"
    ]
    return found


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_rule__names_what_there_is_and_says_what_to_do(rule: dict[str, Any]) -> None:
    assert _NAME.findall(rule["expr"])
    assert wrong(rule["expr"]) == []
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert unknown_labels(rule["expr"], rule["annotations"]["summary"]) == set()
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert page.endswith("/ballast/runbook")
    assert anchor in anchors((ROOT / "docs" / "runbook.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_panel__names_what_there_is(panel: dict[str, Any]) -> None:
    assert panel["targets"]
    for target in panel["targets"]:
        assert wrong(target["expr"]) == []
        assert unknown_labels(target["expr"], target["legendFormat"]) == set()


def test_panels__overlap_nowhere_and_have_names_of_their_own() -> None:
    titles = [panel["title"] for panel in panels()]
    assert len(set(titles)) == len(titles)
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not own & taken
        assert at["x"] + at["w"] <= 24
        taken |= own


def test_checks__of_an_expression_with_each_mistake__find_them() -> None:
    expression = (
        'ballast_gone + ballast_alerts{kinds="gas_low"} + ballast_assets{reason="planed"} + ballast_paused'
    )
    assert wrong(expression) == ["ballast_gone", "ballast_alerts.kinds", "reason=planed"]
    assert unknown_labels("ballast_alerts", "{{kind}} {{ $labels.asset }}") == {"asset"}


def test_definitions__follow_the_conventions() -> None:
    assert len(EXPOSED) == len(METRICS)
    for metric in METRICS:
        assert re.fullmatch(r"ballast(_[a-z]+)+", metric.name)
        assert not metric.name.endswith("_total")
        assert metric.help.endswith(".")
        assert not {"le", "quantile"} & set(metric.labels)
    for sent in SENT:
        assert re.fullmatch(r"ballast(\.[a-z]+)+", sent.name)
        assert sent.help.endswith(".")
