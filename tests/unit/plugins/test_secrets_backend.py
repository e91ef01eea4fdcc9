"""A Connection that only a secrets backend has. Airflow's own code reads it; no database and no server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import configuration

from ballast.hooks import ConnectionIncomplete, EvmHook
from tests.support.kms import REGION, local_kms
from tests.unit.plugins.fakes import WALLET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY = "0x998bd528edf3a7a14e193310099515b511f2ad21b0f49bbe9b9211ed2e33ce7a"  # of WALLET, for play money
OTHER_KEY = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"


@pytest.fixture
def keep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[str, Any]], Path]]:
    """Write a file of Connections, and let Airflow's local filesystem backend read it."""

    def write(connections: dict[str, Any]) -> Path:
        file = tmp_path / "connections.json"
        file.write_text(json.dumps(connections), encoding="utf-8")
        monkeypatch.setenv(
            "AIRFLOW__SECRETS__BACKEND", "airflow.secrets.local_filesystem.LocalFilesystemBackend"
        )
        kwargs = {"connections_file_path": str(file), "variables_file_path": None}
        monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND_KWARGS", json.dumps(kwargs))
        return file

    monkeypatch.delenv("AIRFLOW_CONN_EVM_WALLET", raising=False)
    configuration.clear_secrets_backends_cache()
    yield write
    configuration.clear_secrets_backends_cache()


def test_local_key__in_the_file__opens_the_signer(keep: Callable[[dict[str, Any]], Path]) -> None:
    keep({"evm_wallet": {"conn_type": "evm", "login": WALLET, "password": KEY}})

    assert EvmHook().get_conn().address == WALLET


def test_kms_key__named_in_the_file__opens_the_signer(keep: Callable[[dict[str, Any]], Path]) -> None:
    with local_kms() as kms:
        extra = {"signer": "aws_kms", "key_id": kms.key(), "region": REGION}
        keep({"evm_wallet": {"conn_type": "evm", "extra": extra}})

        assert EvmHook().get_conn().address.startswith("0x")


def test_file__changed_while_airflow_runs__counts_from_the_next_opening(
    keep: Callable[[dict[str, Any]], Path],
) -> None:
    keep({"evm_wallet": {"conn_type": "evm", "password": OTHER_KEY}})
    before = EvmHook().get_conn().address
    keep({"evm_wallet": {"conn_type": "evm", "password": KEY}})

    assert before != EvmHook().get_conn().address == WALLET


def test_environment__has_the_connection_too__the_backend_is_asked_first(
    keep: Callable[[dict[str, Any]], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    keep({"evm_wallet": {"conn_type": "evm", "password": KEY}})
    monkeypatch.setenv("AIRFLOW_CONN_EVM_WALLET", json.dumps({"conn_type": "evm", "password": OTHER_KEY}))

    assert EvmHook().get_conn().address == WALLET


@pytest.mark.parametrize("connections", [{}, {"another": {"conn_type": "evm", "password": KEY}}])
def test_file__without_the_connection__is_an_error_that_names_it(
    keep: Callable[[dict[str, Any]], Path], connections: dict[str, Any]
) -> None:
    keep(connections)

    with pytest.raises(ConnectionIncomplete, match="'evm_wallet' is missing, or could not be read"):
        EvmHook().get_conn()


def test_backend__file_cannot_be_read__is_the_same_error_and_shows_nothing(
    keep: Callable[[dict[str, Any]], Path],
) -> None:
    file = keep({"evm_wallet": {"conn_type": "evm", "password": KEY}})
    file.write_text(f'{{"evm_wallet": "{KEY}', encoding="utf-8")

    with pytest.raises(ConnectionIncomplete, match="'evm_wallet' is missing, or could not be read") as found:
        EvmHook().get_conn()

    assert KEY[2:] not in str(found.value)
