"""What tasks tell Airflow's own metrics: nothing where they are off, and no more than is defined."""

from __future__ import annotations

import ast
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.observability import stats

from ballast import sent
from include.domain.operation import Leg
from include.metrics.definitions import SENT
from include.settings.names import Names
from tests.support.airflow_home import ROOT
from tests.unit.plugins.fakes import NAMES, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.ledger.ledger import Ledger
    from tests.support.clock import Clock

DEFINED = {one.name: one for one in SENT}


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Any, ...]]]:
    """What is sent, with Airflow's metrics on."""
    found: list[tuple[Any, ...]] = []

    def keep(name: str, value: Any, *, tags: dict[str, str]) -> None:
        assert tuple(tags) == DEFINED[name].tags, "as it is defined"
        found.append((name, value, *tags.values()))

    monkeypatch.setattr(stats, "incr", keep)
    monkeypatch.setattr(stats, "timing", keep)
    monkeypatch.setenv("AIRFLOW__METRICS__OTEL_ON", "True")
    sent.is_on.cache_clear()
    yield found
    sent.is_on.cache_clear()


def test_check__tells_how_long_it_took_and_what_it_decided(kept: list[tuple[Any, ...]]) -> None:
    reasons = [
        SimpleNamespace(reason=SimpleNamespace(value=value)) for value in ("planned", "balanced", "planned")
    ]
    checked: Any = SimpleNamespace(mode=SimpleNamespace(value="live"), decisions=reasons)
    sent.check(NAMES, checked, timedelta(seconds=2))
    assert kept == [
        ("ballast.check.duration", timedelta(seconds=2), "default", "live"),
        ("ballast.decision", 1, "default", "balanced", "live"),
        ("ballast.decision", 2, "default", "planned", "live"),
    ]


def test_leg_done__tells_its_time_and_the_end_of_the_operation(
    kept: list[tuple[Any, ...]], ledger: Ledger, clock: Clock
) -> None:
    operation_id = opened(ledger, clock)["operation_id"]
    with ledger.lease(operation_id, "test", timedelta(minutes=1)) as lease:
        lease.wait(Leg.MINT, waiting_for="it", due_in=timedelta(minutes=1), attention=None)
        clock.pass_(seconds=40)
        lease.finish(Leg.MINT, amount_out=1)
    sent.leg_done(NAMES, ledger, operation_id, Leg.MINT)
    assert kept == [
        ("ballast.leg.duration", timedelta(seconds=40), "default", "mint", "mint"),
        ("ballast.operation.closed", 1, "default", "mint", "settled"),
    ]


def test_others__are_told_with_their_tags(kept: list[tuple[Any, ...]]) -> None:
    sent.assigned(NAMES, "mint", 0)
    sent.assigned(NAMES, "mint", 3)
    sent.deferred(NAMES, "mint", "wrap")
    sent.told(Names("fund"), "mail", 1, taken=False)
    assert kept == [
        ("ballast.operation.assigned", 3, "default", "mint"),
        ("ballast.leg.wait", 1, "default", "mint", "wrap"),
        ("ballast.alert.told", 1, "fund", "mail", "failed"),
    ]


def test_off__nothing_is_sent_and_nothing_is_read(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "incr", lambda *_, **__: pytest.fail("it is off"))
    sent.is_on.cache_clear()
    assert not sent.is_on()
    sent.deferred(NAMES, "mint", "wrap")
    sent.leg_done(NAMES, ledger, "no such operation", Leg.MINT)


def test_on__the_sink_fails__nothing_else_does(
    kept: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise OSError("no route")

    monkeypatch.setattr(stats, "incr", broken)
    monkeypatch.setattr(stats, "timing", broken)
    sent.deferred(NAMES, "mint", "wrap")
    sent.timing("ballast.check.duration", timedelta(0), book="default", mode="live")
    assert caplog.text.count("could not be sent: OSError") == 2


def test_names__that_are_sent__are_those_that_are_defined() -> None:
    tree = ast.parse((ROOT / "plugins" / "ballast" / "sent.py").read_text(encoding="utf-8"))
    named = {
        str(node.args[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("count", "timing")
        and isinstance(node.args[0], ast.Constant)
    }
    assert named == set(DEFINED)
