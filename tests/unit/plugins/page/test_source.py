"""Settings and ledger stay open between requests, and follow when they are changed."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from ballast.hooks import ConnectionIncomplete
from ballast.page.source import Source
from include.ledger.owner import Owner, require_owner
from include.settings import SettingsError
from include.settings.sources import FILE_VARIABLE
from tests.support.plans import recorded_check

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = tmp_path / "settings.toml"
    monkeypatch.setenv(FILE_VARIABLE, str(found))
    for name in [name for name in os.environ if name.startswith("BALLAST_") and name != FILE_VARIABLE]:
        monkeypatch.delenv(name)
    found.write_text("rebalancing_deviation = 0.2\n", encoding="utf-8")
    return found


def connect(monkeypatch: pytest.MonkeyPatch, database: Path) -> None:
    connection = {"conn_type": "sqlite", "host": str(database)}
    monkeypatch.setenv("AIRFLOW_CONN_REBALANCING_LEDGER", json.dumps(connection))


def test_settings__the_file_is_changed__are_read_again(file: Path) -> None:
    source = Source("")
    first = source.settings()
    assert source.settings() is first
    file.write_text("rebalancing_deviation = 0.25\n", encoding="utf-8")
    assert str(source.settings().rebalancing_deviation) == "0.25"


def test_settings__wrong__are_named_each_time_until_they_are_right(file: Path) -> None:
    source = Source("")
    file.write_text("nonsense = 1\n", encoding="utf-8")
    for _ in range(2):
        with pytest.raises(SettingsError, match="nonsense"):
            source.settings()
    file.write_text("", encoding="utf-8")
    assert source.settings().symbols == ("USDC",)


def test_ledger__stays_open_until_the_connection_names_another(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Source("")
    connect(monkeypatch, tmp_path / "one.db")
    first = source.ledger()
    assert source.ledger() is first
    reader = source.reader()
    assert source.reader() is reader
    connect(monkeypatch, tmp_path / "two.db")
    assert source.ledger() is not first
    assert source.reader() is not reader


def test_ledger__of_another_wallet__is_not_shown(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, tmp_path / "ledger.db")
    file.write_text(f'wallet = "0x{1:040x}"\n', encoding="utf-8")
    source = Source("")
    require_owner(
        source.ledger().engine, Owner(f"0x{2:040x}", "mainnet", "other"), now=datetime(2026, 3, 2, tzinfo=UTC)
    )

    for _ in range(2):
        with pytest.raises(ConnectionIncomplete, match="the ledger is that of the wallet"):
            Source("").reader()


def test_ledger__between_requests__nobody_is_kept_from_writing(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No transaction stays open: the write-ahead log can be emptied, which any reader would prevent."""
    from include.domain.limits import Hold  # noqa: PLC0415
    from include.overview.reader import Steering, Viewer  # noqa: PLC0415

    connect(monkeypatch, tmp_path / "ledger.db")
    source = Source("")
    source.reader().overview(source.settings(), Steering("run", Hold()), Viewer("ada", may_act=True))
    recorded_check(
        source.ledger(),
        source.reader()
        .overview(source.settings(), Steering("run", Hold()), Viewer("ada", may_act=True))
        .as_of,
    )
    with source.ledger().engine.connect() as connection:
        cursor = connection.connection.cursor()
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        busy: Any = cursor.fetchone()
        assert busy[0] == 0
