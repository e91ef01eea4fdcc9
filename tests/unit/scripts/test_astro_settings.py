from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from include.settings import load_settings
from scripts.astro_settings import DEFAULT_FILE, AirflowSettings, PoolSetting, SetupError, read, with_books

if TYPE_CHECKING:
    from pathlib import Path


def write(tmp_path: Path, airflow: object) -> Path:
    file = tmp_path / "airflow_settings.yaml"
    file.write_text(yaml.safe_dump({"airflow": airflow}), encoding="utf-8")
    return file


class TestOurFile:
    def test_read__our_file__has_the_connections_the_settings_name(self) -> None:
        settings = load_settings({})
        named = {
            settings.alpaca_conn_id: "alpaca",
            settings.circle_conn_id: "circle",
            settings.wallet_conn_id: "evm",
            settings.ledger_conn_id: "sqlite",
        }
        assert {name: entry["conn_type"] for name, entry in read(DEFAULT_FILE).connections.items()} == named

    def test_read__our_file__holds_no_credentials(self) -> None:
        for entry in read(DEFAULT_FILE).connections.values():
            assert not {"login", "password", "uri"} & entry.keys()
            assert "account_id" not in entry.get("extra", {})

    def test_read__our_file__operations_pool_counts_deferred_tasks(self) -> None:
        pools = {pool.name: (pool.slots, pool.include_deferred) for pool in read(DEFAULT_FILE).pools}
        assert pools == {"rebalancing_check": (1, False), "rebalancing_operations": (32, True)}

    def test_read__our_file__switch_is_at_run(self) -> None:
        assert read(DEFAULT_FILE).variables == {"rebalancing_switch": "run", "rebalancing_hold": "[]"}


class TestWithBooks:
    def test_with_books__the_nameless_one_alone__changes_nothing(self) -> None:
        assert with_books(read(DEFAULT_FILE), [""]) == read(DEFAULT_FILE)

    def test_with_books__a_named_one__has_pools_and_variables_as_the_nameless_one(self) -> None:
        usual = read(DEFAULT_FILE)

        found = with_books(usual, ["", "fund"])

        pools = {pool.name: (pool.slots, pool.include_deferred) for pool in found.pools}
        assert pools == {
            "rebalancing_check": (1, False),
            "rebalancing_operations": (32, True),
            "rebalancing_fund_check": (1, False),
            "rebalancing_fund_operations": (32, True),
        }
        assert found.variables == {
            **usual.variables,
            "rebalancing_fund_switch": "run",
            "rebalancing_fund_hold": "[]",
        }
        assert found.connections == usual.connections

    def test_with_books__what_the_file_names_itself__is_kept_and_counts_deferred_tasks(self) -> None:
        usual = read(DEFAULT_FILE)
        own = PoolSetting("rebalancing_fund_operations", 4, "mine", include_deferred=False)
        given = AirflowSettings(pools=(*usual.pools, own), variables={"rebalancing_fund_switch": "drain"})

        found = with_books(given, ["fund"])

        [pool] = [pool for pool in found.pools if pool.name == own.name]
        assert (pool.slots, pool.description, pool.include_deferred) == (4, "mine", True)
        assert found.variables == {"rebalancing_fund_switch": "drain"}


class TestRead:
    def test_read__connection_with_every_field__maps_each(self, tmp_path: Path) -> None:
        entry = {
            "conn_id": "one",
            "conn_type": "http",
            "conn_host": "h",
            "conn_schema": "s",
            "conn_login": "l",
            "conn_password": "p",
            "conn_port": 1,
            "conn_extra": {"a": 1, "b": ""},
        }
        assert read(write(tmp_path, {"connections": [entry]})).connections == {
            "one": {
                "conn_type": "http",
                "host": "h",
                "schema": "s",
                "login": "l",
                "password": "p",
                "port": 1,
                "extra": {"a": 1},
            }
        }

    def test_read__extra_as_json_text__is_parsed(self, tmp_path: Path) -> None:
        entry = {"conn_id": "one", "conn_type": "http", "conn_extra": '{"a": 1}'}
        assert read(write(tmp_path, {"connections": [entry]})).connections["one"]["extra"] == {"a": 1}

    def test_read__entry_without_a_name__is_a_blank_of_the_template(self, tmp_path: Path) -> None:
        blanks = {"connections": [{"conn_id": "", "conn_type": None}], "pools": None, "variables": []}
        settings = read(write(tmp_path, blanks))
        assert (settings.connections, settings.pools, settings.variables) == ({}, (), {})

    def test_read__pool_and_variable__keep_their_values(self, tmp_path: Path) -> None:
        settings = read(
            write(
                tmp_path,
                {
                    "pools": [{"pool_name": "p", "pool_slot": 3, "pool_description": "d"}],
                    "variables": [{"variable_name": "v", "variable_value": {"a": [1]}}],
                },
            )
        )
        assert settings.pools == (PoolSetting("p", 3, "d", include_deferred=False),)
        assert settings.variables == {"v": '{"a": [1]}'}

    @pytest.mark.parametrize(
        ("airflow", "problem"),
        [
            ([], "has no table `airflow`"),
            ({"pool": []}, "unknown under airflow: pool"),
            ({"pools": ["p"]}, "each entry is a table"),
            ({"pools": [{"pool_name": "p"}]}, "pool p: pool_slot"),
            ({"pools": [{"pool_name": "p", "pool_slot": 0}]}, "pool p: pool_slot"),
            ({"pools": [{"pool_name": "p", "pool_slot": True}]}, "pool p: pool_slot"),
            ({"pools": [{"pool_name": "p", "pool_slot": 1, "slots": 2}]}, "pool p: unknown: slots"),
            ({"connections": [{"conn_id": "c"}]}, "connection c: conn_type is missing"),
            (
                {"connections": [{"conn_id": "c", "conn_type": "x", "host": "h"}]},
                "connection c: unknown: host",
            ),
            (
                {"connections": [{"conn_id": "c", "conn_type": "x", "conn_extra": "{"}]},
                "connection c: conn_extra is not JSON",
            ),
            (
                {"connections": [{"conn_id": "c", "conn_type": "x", "conn_extra": [1]}]},
                "connection c: conn_extra is not a table",
            ),
            ({"variables": [{"variable_name": "v", "value": 1}]}, "variable v: unknown: value"),
            ({"variables": [{"variable_name": "v"}] * 2}, "variables: v is there twice"),
        ],
    )
    def test_read__wrong_entry__is_named(self, tmp_path: Path, airflow: object, problem: str) -> None:
        with pytest.raises(SetupError, match=problem):
            read(write(tmp_path, airflow))

    def test_read__missing_file__is_named(self, tmp_path: Path) -> None:
        with pytest.raises(SetupError, match=r"absent\.yaml"):
            read(tmp_path / "absent.yaml")

    def test_read__not_yaml__is_an_error(self, tmp_path: Path) -> None:
        file = tmp_path / "broken.yaml"
        file.write_text("a: [", encoding="utf-8")
        with pytest.raises(SetupError, match=r"broken\.yaml"):
            read(file)
