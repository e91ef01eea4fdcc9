"""The contracts have the selectors and topics of mainnet. The values are written out, not computed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from eth_utils.abi import event_abi_to_log_topic, function_abi_to_4byte_selector
from eth_utils.crypto import keccak

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
        ("StockWrapper", "asset", "38d52e0f"),
        ("StockWrapper", "totalAssets", "01e1d114"),
        ("StockWrapper", "convertToAssets", "07a2d13a"),
        ("StockWrapper", "convertToShares", "c6e6f592"),
        ("StockWrapper", "deposit", "6e553f65"),
        ("StockWrapper", "redeem", "ba087652"),
        ("StockWrapper", "maxRedeem", "d905777e"),
        ("Aggregator", "latestRoundData", "feaf968c"),
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


@pytest.mark.parametrize("name", ["deposit3", "deposit4", "withdraw3", "withdraw4"])
def test_function__of_the_order_book__takes_a_token_a_vault_an_amount_and_tasks(name: str) -> None:
    signature = f"{name}(address,bytes32,bytes32,((address,address,bytes),(address,bytes32[],bytes)[])[])"
    artifact = json.loads((ARTIFACTS / "OrderBook.json").read_text())
    (function,) = [entry for entry in artifact["abi"] if entry.get("name") == name]

    assert function_abi_to_4byte_selector(function) == keccak(text=signature)[:4]


@pytest.mark.parametrize(
    ("contract", "signature"),
    [
        ("OrderBook", "DepositV2(address,address,bytes32,uint256)"),
        ("OrderBook", "WithdrawV2(address,address,bytes32,bytes32,bytes32,uint256)"),
        ("StockWrapper", "Deposit(address,address,uint256,uint256)"),
        ("StockWrapper", "Withdraw(address,address,address,uint256,uint256)"),
    ],
)
def test_event__of_vaults_and_wrappers__has_its_topic(contract: str, signature: str) -> None:
    artifact = json.loads((ARTIFACTS / f"{contract}.json").read_text())
    (event,) = [
        entry
        for entry in artifact["abi"]
        if entry["type"] == "event" and entry["name"] == signature.split("(", maxsplit=1)[0]
    ]

    assert event_abi_to_log_topic(event) == keccak(text=signature)
    assert any(one["indexed"] for one in event["inputs"]) is (contract == "StockWrapper")
