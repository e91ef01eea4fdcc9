"""What the tests of this folder share: the genuine answer of the service, and messages of our own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from hypothesis import strategies as st

from include.venues.cctp.answers import AttestedMessage
from include.venues.cctp.message import BurnMessage, address_to_bytes32
from include.venues.evm.types import Log, Receipt

FIXTURE = Path(__file__).parents[3] / "fixtures" / "cctp" / "iris_sepolia_to_fuji.json"

MESSENGER = "0x28b5a0e9C621a5BadaA536219b3a228C8168cf5d"
TRANSMITTER = "0x81D40F21F12A8F0E3252Bccb954D722d4c464B64"
MINTER = "0xfd78EE919681417d192449715b2594ab58f5D002"
USDC_ETHEREUM = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
USDC_BASE = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"
MAKER = "0x00000000000000000000000000000000000A11cE"
STRANGER = "0x000000000000000000000000000000000000dEaD"
TRANSACTION = "0x" + "ab" * 32
NONCE = bytes.fromhex("5e" * 32)

# What the source chain emitted for 1,000 USDC from Ethereum to Base, before anyone attested it.
SENT = BurnMessage(
    version=1,
    source_domain=0,
    destination_domain=6,
    nonce=bytes(32),
    sender=address_to_bytes32(MESSENGER),
    recipient=address_to_bytes32(MESSENGER),
    destination_caller=bytes(32),
    min_finality_threshold=1000,
    finality_threshold_executed=0,
    body_version=1,
    burn_token=address_to_bytes32(USDC_ETHEREUM),
    mint_recipient=address_to_bytes32(MAKER),
    amount=1_000_000_000,
    message_sender=address_to_bytes32(MAKER),
    max_fee=130_000,
    fee_executed=0,
    expiration_block=0,
    hook_data=b"",
)
ATTESTED = replace(
    SENT, nonce=NONCE, finality_threshold_executed=1000, fee_executed=100_000, expiration_block=9_000
)


def genuine_answer() -> dict[str, Any]:
    """Circle's answer about a burn on Sepolia for Avalanche Fuji."""
    return cast("dict[str, Any]", json.loads(FIXTURE.read_text()))


def genuine_row() -> dict[str, Any]:
    return cast("dict[str, Any]", genuine_answer()["messages"][0])


def genuine_message() -> bytes:
    return bytes.fromhex(genuine_row()["message"][2:])


def genuine_attestation() -> bytes:
    return bytes.fromhex(genuine_row()["attestation"][2:])


def attested(message: bytes | None, **changes: Any) -> AttestedMessage:
    whole = AttestedMessage(
        cctp_version=2,
        status="complete",
        delay_reason=None,
        message=message,
        attestation=bytes(130),
        event_nonce=message[12:44] if message else None,
    )
    return replace(whole, **changes)


def log(address: str, topics: tuple[bytes, ...], data: bytes, index: int = 0) -> Log:
    return Log(address=address, topics=topics, data=data, index=index)


def receipt(*logs: Log) -> Receipt:
    return Receipt(
        transaction_hash=TRANSACTION,
        block_number=100,
        block_hash="0x" + "cd" * 32,
        status=True,
        gas_used=116_000,
        effective_gas_price=1,
        logs=logs,
    )


def _uint(bits: int) -> st.SearchStrategy[int]:
    return st.integers(min_value=0, max_value=2**bits - 1)


_word = st.binary(min_size=32, max_size=32)
burn_messages = st.builds(
    BurnMessage,
    version=_uint(32),
    source_domain=_uint(32),
    destination_domain=_uint(32),
    nonce=_word,
    sender=_word,
    recipient=_word,
    destination_caller=_word,
    min_finality_threshold=_uint(32),
    finality_threshold_executed=_uint(32),
    body_version=_uint(32),
    burn_token=_word,
    mint_recipient=_word,
    amount=_uint(256),
    message_sender=_word,
    max_fee=_uint(256),
    fee_executed=_uint(256),
    expiration_block=_uint(256),
    hook_data=st.binary(max_size=100),
)
