"""The provider package, held against Airflow's own schema without importing Airflow."""

from __future__ import annotations

import ast
import json
import tomllib
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ballast_provider import __version__, get_provider_info

ROOT = Path(__file__).resolve().parents[2]
INFO = get_provider_info()
TYPES = {entry["connection-type"]: entry for entry in INFO["connection-types"]}
SENSITIVE = ("secret", "password", "private", "token", "key")
NOT_SECRET = ("key_id",)
"""The name of a key, which stays where it is."""


def airflow_file(name: str) -> dict[str, Any]:
    spec = find_spec("airflow")
    assert spec is not None
    assert spec.origin is not None
    content: dict[str, Any] = json.loads((Path(spec.origin).parent / name).read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize("schema", ["provider_info.schema.json"])
def test_provider_info__airflows_schema__is_satisfied(schema: str) -> None:
    jsonschema.validate(INFO, airflow_file(schema))


def test_connection_types__airflows_schema_of_their_fields__is_satisfied() -> None:
    schema = airflow_file("provider.yaml.schema.json")
    wanted = schema["properties"]["connection-types"] | {"definitions": schema.get("definitions", {})}
    jsonschema.validate(INFO["connection-types"], wanted)


def test_entry_point__installed__gives_the_same() -> None:
    (found,) = [
        point for point in entry_points(group="apache_airflow_provider") if point.module == "ballast_provider"
    ]
    assert found.load()() == INFO


def test_connection_types__are_the_three() -> None:
    assert sorted(TYPES) == ["alpaca", "circle", "evm"]


@pytest.mark.parametrize("name", TYPES)
def test_hook_class__named__is_defined_with_that_connection_type(name: str) -> None:
    module, _, class_name = TYPES[name]["hook-class-name"].rpartition(".")
    tree = ast.parse(
        (ROOT / "plugins" / Path(*module.split("."))).with_suffix(".py").read_text(encoding="utf-8")
    )
    (found,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == class_name]
    values = {
        target.id: ast.literal_eval(node.value)
        for node in found.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert values["conn_type"] == name
    assert values["hook_name"] == TYPES[name]["hook-name"]


@pytest.mark.parametrize("name", TYPES)
def test_extra_fields__sensitive_names__are_of_format_password(name: str) -> None:
    for field, definition in TYPES[name].get("conn-fields", {}).items():
        secret = any(word in field for word in SENSITIVE) and field not in NOT_SECRET
        if secret and not field.endswith("_url"):
            assert definition["schema"]["format"] == "password"


@pytest.mark.parametrize(("name", "label"), [("alpaca", "Secret"), ("evm", "Private key")])
def test_secret__is_the_password_field__which_airflow_masks_and_encrypts(name: str, label: str) -> None:
    behaviour = TYPES[name]["ui-field-behaviour"]
    assert behaviour["relabeling"]["password"] == label
    assert "password" not in behaviour["hidden-fields"]


def test_wallet__form__offers_the_signers_and_the_fields_that_the_hook_reads() -> None:
    fields = TYPES["evm"]["conn-fields"]
    hook = (ROOT / "plugins" / "ballast" / "hooks.py").read_text(encoding="utf-8")

    assert fields["signer"]["schema"]["enum"] == ["local", "aws_kms", "web3signer"]
    assert fields["signer"]["schema"]["default"] == "local"
    for name in (*fields, *fields["signer"]["schema"]["enum"]):
        assert f'"{name}"' in hook


def test_package__version__is_that_of_its_project() -> None:
    project = tomllib.loads((ROOT / "providers" / "ballast" / "pyproject.toml").read_text(encoding="utf-8"))
    assert __version__ == project["project"]["version"]
