from __future__ import annotations

import pickle

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from include.venues.errors import Refused
from include.venues.evm.errors import NodeError, Reverted
from include.venues.evm.node_errors import revert_of
from include.venues.evm.reverts import reason_of
from tests.unit.venues.evm.fakes import OWNER

ERROR = bytes.fromhex("08c379a0")
PANIC = bytes.fromhex("4e487b71")
TOO_MUCH = "ERC20: transfer amount exceeds balance"
BALANCE = ERROR + encode(["string"], [TOO_MUCH])
HEX = f"0x{BALANCE.hex()}"


def test_reason_of__error_string__the_string() -> None:
    assert reason_of(BALANCE) == TOO_MUCH


def test_reason_of__hostile_string__printable_and_bounded() -> None:
    reason = reason_of(ERROR + encode(["string"], ["a\nb\x1b[31m" + "x" * 10_000]))

    assert reason.startswith("a?b?[31mxxx")
    assert len(reason) < 500


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0x01, "panic 0x01: assertion failed"),
        (0x11, "panic 0x11: arithmetic overflow or underflow"),
        (0x12, "panic 0x12: division by zero"),
        (0x99, "panic 0x99: unknown panic"),
    ],
)
def test_reason_of__panic__in_words(code: int, words: str) -> None:
    assert reason_of(PANIC + encode(["uint256"], [code])) == words


def test_reason_of__known_custom_error__named_with_its_values() -> None:
    data = keccak(text="ERC20InsufficientBalance(address,uint256,uint256)")[:4]
    data += encode(["address", "uint256", "uint256"], [OWNER, 1, 2])

    assert reason_of(data) == f"ERC20InsufficientBalance(sender={OWNER.lower()}, balance=1, needed=2)"


def test_reason_of__known_custom_error_without_values__named() -> None:
    assert reason_of(keccak(text="EnforcedPause()")[:4]) == "EnforcedPause()"


def test_reason_of__known_selector_with_broken_values__hex() -> None:
    data = keccak(text="ERC20InsufficientBalance(address,uint256,uint256)")[:4] + b"\x01"

    assert reason_of(data) == f"0x{data.hex()}"


def test_reason_of__unknown_custom_error__hex() -> None:
    assert reason_of(bytes.fromhex("deadbeef")) == "0xdeadbeef"


def test_reason_of__empty__says_so() -> None:
    assert reason_of(b"") == "no reason given"


@given(st.binary(max_size=200), st.sampled_from([b"", ERROR, PANIC]))
def test_reason_of__any_bytes__some_short_text(data: bytes, selector: bytes) -> None:
    assert 0 < len(reason_of(selector + data)) < 500


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        # geth, op-geth, reth, erigon
        (
            NodeError(3, "execution reverted: hello", HEX),
            TOO_MUCH,
        ),
        (NodeError(3, "execution reverted", "0x"), "no reason given"),
        (NodeError(-32000, "execution reverted"), "no reason given"),
        (NodeError(-32000, "execution reverted: Pausable: paused"), "Pausable: paused"),
        # nethermind, openethereum
        (
            NodeError(-32015, "VM execution error.", f"Reverted {HEX}"),
            TOO_MUCH,
        ),
        # hardhat
        (
            NodeError(-32603, "Error: VM Exception", {"message": "reverted", "data": HEX}),
            TOO_MUCH,
        ),
        # not by the contract's own word, but the call cannot succeed
        (NodeError(-32000, "invalid opcode: INVALID"), "invalid opcode: INVALID"),
        (NodeError(-32603, "EVM error InvalidFEOpcode"), "EVM error InvalidFEOpcode"),
        (
            NodeError(-32000, "gas required exceeds allowance (30000000)"),
            "gas required exceeds allowance (30000000)",
        ),
    ],
)
def test_revert_of__as_the_clients_say_it__its_reason(error: NodeError, reason: str) -> None:
    reverted = revert_of(error)

    assert reverted is not None
    assert reverted.reason == reason


@pytest.mark.parametrize(
    "error",
    [
        NodeError(-32000, "header not found"),
        NodeError(-32603, "Internal error"),
        NodeError(-32000, "insufficient funds for gas * price + value"),
        NodeError(-32005, "limit exceeded", {"see": "docs"}),
        NodeError(-32000, "nope", "0xnothex"),
    ],
)
def test_revert_of__anything_else__none(error: NodeError) -> None:
    assert revert_of(error) is None


def test_reverted__is_a_refusal_and_survives_pickling() -> None:
    error = Reverted.from_data(BALANCE)

    again = pickle.loads(pickle.dumps(error))

    assert isinstance(error, Refused)
    assert str(again) == str(error) == f"execution reverted: {TOO_MUCH}"
    assert (again.reason, again.data) == (error.reason, BALANCE)
