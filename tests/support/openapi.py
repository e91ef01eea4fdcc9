"""Hold requests and answers against Alpaca's own OpenAPI description.

The description is the one of the Trading API, as Alpaca ships it inside a Python package (see
requirements-specs.txt). The package's code is never imported. The Broker API's paths have the same bodies
under other names, so they may be given too.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from jsonschema import Draft202012Validator, FormatChecker

PACKAGE = "alpaca-mcp-server"
HOW_TO_INSTALL = "pip install --no-deps --require-hashes -r requirements-specs.txt"

Part = Literal["request", "response", "headers"]

_BROKER = (
    (re.compile(r"^/v1/accounts/[^/]+/(tokenization|wallets)\b"), r"/v2/\1"),
    (re.compile(r"^/v1/trading/accounts/[^/]+/"), "/v2/"),
    (re.compile(r"^/v1/(wallets/fees/estimate|clock|assets)\b"), r"/v2/\1"),
)
# The description gives the schema of one object and says in words that an array of them is answered.
_LISTS = {"/v2/wallets/transfers", "/v2/wallets/whitelists"}
# Alpaca answers null here until the transaction is known; the description does not say so.
_ALSO_NULL = {("CryptoTransfer", "tx_hash")}

_formats = FormatChecker(formats=("uuid",))


class NotDescribedError(LookupError):
    """The description says nothing about this, so nothing can be held against it."""


class DescriptionMissingError(RuntimeError):
    """The package with the description is not installed."""


@cache
def description() -> dict[str, Any]:
    """Load the description.

    :raises DescriptionMissingError: the package is not installed.
    """
    try:
        files = metadata.files(PACKAGE) or []
    except metadata.PackageNotFoundError:
        raise DescriptionMissingError(f"{PACKAGE} is not installed: {HOW_TO_INSTALL}") from None
    found = [file for file in files if file.name == "trading-api.json"]
    if len(found) != 1:
        raise DescriptionMissingError(f"{PACKAGE} holds no trading-api.json")
    loaded: dict[str, Any] = json.loads(Path(str(found[0].locate())).read_text(encoding="utf-8"))
    for schema, field in _ALSO_NULL:
        properties = loaded["components"]["schemas"][schema]["properties"]
        properties[field] = {"anyOf": [properties[field], {"type": "null"}]}
    return loaded


def validate(instance: Any, method: str, path: str, *, part: Part, status: int = 200) -> None:
    """Hold one request or answer against the description.

    :param instance: what JSON holds: for a `request` the body of a POST or the query of a GET, for a
        `response` its body, for `headers` the request's headers (only described ones are judged).
    :param path: concrete (`/v1/accounts/<id>/wallets`) or as in the description.
    :raises jsonschema.ValidationError: it is not as described.
    :raises NotDescribedError: the description does not have this path, method, status or body.
    """
    template, item, operation = find(method, path)
    schema: dict[str, Any]
    if part == "headers":
        schema = _parameters(item, operation, "header")
        instance = {name.lower(): value for name, value in dict(instance).items()}
    elif part == "request":
        body = operation.get("requestBody")
        schema = _parameters(item, operation, "query") if body is None else _content(body, path)
    else:
        if str(status) not in operation["responses"]:
            raise NotDescribedError(f"{method} {path}: {status}")
        schema = _content(_resolve(operation["responses"][str(status)]), path)
        if status == 200 and template in _LISTS and method.upper() == "GET":
            schema = {"type": "array", "items": schema}
        if template == "/v2/wallets" and isinstance(instance, list):
            schema = {"type": "array", "items": schema}
    whole = {**schema, "components": description()["components"]}
    Draft202012Validator(whole, format_checker=_formats).validate(instance)


def find(method: str, path: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Return the template, the path item and the operation that describe a request."""
    for pattern, replacement in _BROKER:
        path = pattern.sub(replacement, path)
    paths = description()["paths"]
    # A path without variables goes before one with them: `transfers` is no transfer's id.
    for template in sorted(paths, key=lambda known: ("{" in known, known)):
        literal = re.split(r"\{[^}]+\}", template)
        if path == template or re.fullmatch("[^/]+".join(map(re.escape, literal)), path):
            operation = paths[template].get(method.lower())
            if operation is None:
                break
            return template, paths[template], operation
    raise NotDescribedError(f"{method} {path}")


def examples(schema: str) -> list[Any]:
    """Return the description's own examples of a schema."""
    definition = description()["components"]["schemas"][schema]
    return [*definition.get("examples", []), *([definition["example"]] if "example" in definition else [])]


def example_answer(method: str, path: str, status: int = 200) -> Any:
    """Return the description's own example of an answer."""
    _, _, operation = find(method, path)
    return operation["responses"][str(status)]["content"]["application/json"]["example"]


def _content(holder: dict[str, Any], path: str) -> dict[str, Any]:
    try:
        schema: dict[str, Any] = holder["content"]["application/json"]["schema"]
    except KeyError:
        raise NotDescribedError(f"the body of {path}") from None
    return schema


def _parameters(item: dict[str, Any], operation: dict[str, Any], place: str) -> dict[str, Any]:
    """Make one schema of all query or header parameters; a query parameter not described is an error."""
    listed = [
        _resolve(parameter) for parameter in [*item.get("parameters", []), *operation.get("parameters", [])]
    ]
    chosen = {
        parameter["name"].lower() if place == "header" else parameter["name"]: parameter
        for parameter in listed
        if parameter["in"] == place
    }
    return {
        "type": "object",
        "properties": {name: parameter.get("schema", {}) for name, parameter in chosen.items()},
        "required": [name for name, parameter in chosen.items() if parameter.get("required")],
        "additionalProperties": place == "header",
    }


def _resolve(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    found: Any = description()
    for name in node["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    resolved: dict[str, Any] = found
    return resolved


@_formats.checks("date-time", raises=ValueError)
def _is_moment(value: object) -> bool:
    if isinstance(value, str):
        return datetime.fromisoformat(value).utcoffset() is not None
    return True


@_formats.checks("decimal")
def _is_decimal(value: object) -> bool:
    return not isinstance(value, str) or re.fullmatch(r"-?\d+(\.\d+)?", value) is not None
