"""JSON of others: exact, and harmless."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal

import pytest

from include.venues import exact_json


def test_loads__numbers__are_exact() -> None:
    assert exact_json.loads(b'{"a": 0.1, "b": 1, "c": 1e2}') == {
        "a": Decimal("0.1"),
        "b": 1,
        "c": Decimal("1e2"),
    }
    assert isinstance(exact_json.loads("0.1"), Decimal)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"<html>", b"NaN", b"[Infinity]", b'{"a": -Infinity}', b"\xff"]
)
def test_loads__anything_else__is_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        exact_json.loads(content)


def test_loads__nested_without_end__leaves_the_process_alive() -> None:
    program = (
        "import sys; sys.setrecursionlimit(100_000)\n"  # as importing eth_account does
        "from include.venues import exact_json\n"
        "try:\n    exact_json.loads(b'[' * 90_000 + b']' * 90_000)\n"
        "except ValueError:\n    print('refused')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "refused")
