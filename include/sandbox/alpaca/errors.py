"""Refusals, in the shapes in which the broker gives them."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """An answer other than success: an HTTP status and a JSON body."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(body.get("message", str(status)))
        self.status = status
        self.body = body


def coded(status: int, code: int, message: str, **extra: Any) -> ApiError:
    """Return an error with a code, as accounts, positions and tokenization answer."""
    return ApiError(status, {"code": code, "message": message, **extra})


def plain(status: int, message: str) -> ApiError:
    """Return an error without a code, as the wallet endpoints answer."""
    return ApiError(status, {"message": message})


def travel_rule(code: str, message: str, *ways: tuple[str, ...]) -> ApiError:
    """Return the travel-rule error of the whitelist, which names the fields of every way to put it right."""
    actions = [
        {
            "name": "supply_" + "_and_".join(fields),
            "description": f"Give {', '.join(fields)}.",
            "type": "ONE_OF" if len(ways) > 1 else "REQUIRED",
            "required_fields": [
                {"field": field, "description": f"The {field}.", "value_type": "string"} for field in fields
            ],
        }
        for fields in ways
    ]
    return ApiError(400, {"error_code": code, "message": message, "next_actions": actions})


UNAUTHORIZED = coded(401, 40110000, "unauthorized")
"""No credentials, or wrong ones."""
