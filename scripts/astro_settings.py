"""Read `airflow_settings.yaml`, the connections, pools and Variables of a local Airflow in Astro's format.

The format has no word for whether a pool counts deferred tasks, so the pools of which that is wanted are
named here. It names the pools and Variables of the book without a name; those of the others follow from them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from include.settings.names import Names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ROOT: Final = Path(__file__).resolve().parents[1]
DEFAULT_FILE: Final = ROOT / "airflow_settings.yaml"
COUNTS_DEFERRED: Final = frozenset({Names().operations_pool})

_CONNECTION_KEYS: Final = {
    "conn_type": "conn_type",
    "conn_host": "host",
    "conn_schema": "schema",
    "conn_login": "login",
    "conn_password": "password",
    "conn_port": "port",
    "conn_uri": "uri",
    "conn_extra": "extra",
}


class SetupError(ValueError):
    """The settings file is not what the Astro CLI would read."""


@dataclass(frozen=True, slots=True)
class PoolSetting:
    """A pool: how many tasks may run in it at once, and whether deferred ones count."""

    name: str
    slots: int
    description: str
    include_deferred: bool


@dataclass(frozen=True, slots=True)
class AirflowSettings:
    """What the file says.

    :param connections: by connection id, the arguments of an Airflow `Connection`.
    :param variables: by name.
    """

    connections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    pools: tuple[PoolSetting, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)


def read(file: Path) -> AirflowSettings:
    """Read a settings file of the Astro CLI.

    :raises SetupError: naming the entry that is wrong.
    """
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise SetupError(f"{file}: {error}") from None
    airflow = document.get("airflow") if isinstance(document, dict) else None
    if not isinstance(airflow, dict):
        raise SetupError(f"{file}: has no table `airflow`")
    if unknown := sorted(airflow.keys() - {"connections", "pools", "variables"}):
        raise SetupError(f"{file}: unknown under airflow: {', '.join(unknown)}")
    pools = tuple(_pool(name, entry) for name, entry in _named(airflow, "pools", "pool_name"))
    return AirflowSettings(
        connections={
            name: _connection(name, entry) for name, entry in _named(airflow, "connections", "conn_id")
        },
        pools=pools,
        variables={
            name: _variable(name, entry) for name, entry in _named(airflow, "variables", "variable_name")
        },
    )


def with_books(settings: AirflowSettings, books: Iterable[str]) -> AirflowSettings:
    """Return the same with pools and Variables for each book: as the file has them for the nameless one.

    What the file itself names is as it says. Connections are not added: they hold what nobody can make up.
    """
    nameless, pools = Names(), {pool.name: pool for pool in settings.pools}
    variables = dict(settings.variables)
    for names in map(Names, filter(None, books)):
        own = {nameless.check_pool: names.check_pool, nameless.operations_pool: names.operations_pool}
        for usual, name in own.items():
            if usual in pools:
                about = f"{pools[usual].description} (book {names.label})"
                found = pools.setdefault(name, replace(pools[usual], name=name, description=about))
                pools[name] = replace(found, include_deferred=pools[usual].include_deferred)
        for usual, name in ((nameless.switch, names.switch), (nameless.hold, names.hold)):
            if usual in variables:
                variables.setdefault(name, variables[usual])
    return replace(settings, pools=tuple(pools.values()), variables=variables)


def _named(airflow: Mapping[str, Any], section: str, key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each entry of a section with its name; entries without a name are the template's blanks."""
    seen: set[str] = set()
    for entry in airflow.get(section) or ():
        if not isinstance(entry, dict):
            raise SetupError(f"{section}: each entry is a table with {key}")
        rest = {name: value for name, value in entry.items() if value not in (None, "")}
        name = str(rest.pop(key, ""))
        if not name:
            continue
        if name in seen:
            raise SetupError(f"{section}: {name} is there twice")
        seen.add(name)
        yield name, rest


def _connection(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    if unknown := sorted(entry.keys() - _CONNECTION_KEYS.keys()):
        raise SetupError(f"connection {name}: unknown: {', '.join(unknown)}")
    arguments = {_CONNECTION_KEYS[key]: value for key, value in entry.items()}
    if "conn_type" not in arguments and "uri" not in arguments:
        raise SetupError(f"connection {name}: conn_type is missing")
    extra = arguments.get("extra")
    if isinstance(extra, str):
        try:
            extra = json.loads(extra)
        except json.JSONDecodeError:
            raise SetupError(f"connection {name}: conn_extra is not JSON") from None
    if extra is not None:
        if not isinstance(extra, dict):
            raise SetupError(f"connection {name}: conn_extra is not a table")
        arguments["extra"] = {key: value for key, value in extra.items() if value not in (None, "")}
    return arguments


def _pool(name: str, entry: dict[str, Any]) -> PoolSetting:
    if unknown := sorted(entry.keys() - {"pool_slot", "pool_description"}):
        raise SetupError(f"pool {name}: unknown: {', '.join(unknown)}")
    slots = entry.get("pool_slot")
    if isinstance(slots, bool) or not isinstance(slots, int) or slots < 1:
        raise SetupError(f"pool {name}: pool_slot is not a whole number above zero")
    return PoolSetting(name, slots, str(entry.get("pool_description", "")), name in COUNTS_DEFERRED)


def _variable(name: str, entry: dict[str, Any]) -> str:
    if unknown := sorted(entry.keys() - {"variable_value"}):
        raise SetupError(f"variable {name}: unknown: {', '.join(unknown)}")
    value = entry.get("variable_value", "")
    return value if isinstance(value, str) else json.dumps(value)
