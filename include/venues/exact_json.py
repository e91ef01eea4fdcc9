"""Reading JSON that somebody else wrote: no float is made of a number, and no nesting ends the process."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, NoReturn

from pydantic_core import from_json


def loads(content: bytes | str) -> Any:
    """Read JSON. Numbers with a point or an exponent become Decimal.

    :raises ValueError: when it is not JSON, holds NaN or Infinity, or is nested too deeply.
    """
    # eth_account raises Python's recursion limit so far that a nested body overflows the stack and kills the
    # process. This parser has a bound of its own, but makes floats; so it only looks first.
    from_json(content, allow_inf_nan=False)
    return json.loads(content, parse_float=Decimal, parse_constant=_no_constant)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
