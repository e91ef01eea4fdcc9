"""The contracts have the selectors and topics of mainnet. The values are written out, not computed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from eth_utils.abi import event_abi_to_log_topic, function_abi_to_4byte_selector

ARTIFACTS = Path(__file__).resolve().parents[3] / "include" / "sandbox" / "artifacts"


@pytest.mark.parametrize(
    ("contract", "name", "expected"),
    [
        ("TokenMessengerV2", "depositForBurn", "8e0250ee"),
        ("TokenMessengerV2", "depositForBurnWithHook", "779b432d"),
        ("MessageTransmitterV2", "receiveMessage", "57ecfd28"),
        ("MessageTransmitterV2", "usedNonces", "feb61724"),
        ("Multicall3", "aggregate3", "82ad56cb"),
        ("Multicall3", "tryBlockAndAggregate", "399542e9"),
        ("Multicall3", "getBlockNumber", "42cbb15c"),
        ("Multicall3", "getBlockHash", "ee82ac5e"),
        ("Multicall3", "getCurrentBlockTimestamp", "0f28c97d"),
        ("Multicall3", "getEthBalance", "4d2301cc"),
        ("Multicall3", "getChainId", "3408e470"),
    ],
)
def test_function__of_a_published_contract__has_its_selector(contract: str, name: str, expected: str) -> None:
    artifact = json.loads((ARTIFACTS / f"{contract}.json").read_text())
    (function,) = [
        entry for entry in artifact["abi"] if entry["type"] == "function" and entry["name"] == name
    ]

    assert function_abi_to_4byte_selector(function).hex() == expected


def test_event__message_sent__has_its_topic() -> None:
    artifact = json.loads((ARTIFACTS / "MessageTransmitterV2.json").read_text())
    (event,) = [entry for entry in artifact["abi"] if entry.get("name") == "MessageSent"]

    topic = event_abi_to_log_topic(event).hex()
    assert topic.startswith("8c526166")
    assert topic.endswith("b036")


def test_code__of_what_is_put_at_an_address__needs_no_constructor() -> None:
    # An immutable would be a gap in code that is copied to an address
    for contract in ("TokenMessengerV2", "MessageTransmitterV2", "TokenMinterV2", "Multicall3"):
        artifact = json.loads((ARTIFACTS / f"{contract}.json").read_text())
        assert not [entry for entry in artifact["abi"] if entry["type"] == "constructor"]
        assert artifact["bytecode"].endswith(artifact["deployedBytecode"][2:])
