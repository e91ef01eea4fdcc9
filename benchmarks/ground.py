"""A world of any number of assets, each with a wrapper and a vault, in a process of its own.

    python -m benchmarks.ground ASSETS

It writes its settings as a line of JSON, and then answers each line that it reads: `{"latency": 0.05}` lets
every endpoint take that long, in seconds, and `{"asked": true}` tells what was asked since the last time, as
it came in at the servers. Two real nodes and the sandbox's Alpaca, each behind a proxy that counts.

The contracts of the assets are copies of one stock's token and wrapper, put where they belong by the node's
own methods: to deploy and to fund a thousand of each would take longer than to measure them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from include.sandbox.accounts import Role, account
from include.sandbox.alpaca.broker import Broker
from include.sandbox.alpaca.chain import EvmChain
from include.sandbox.alpaca.core import Profile, Stock
from include.sandbox.anvil import BASE_CHAIN_ID, ETHEREUM_CHAIN_ID, start_anvil
from include.sandbox.chains import deploy
from include.sandbox.proxy import FaultProxy, Rule
from include.sandbox.scenario import USDC, vault_id
from include.sandbox.server import serve
from include.sandbox.world import ACCOUNT_ID, KEY_ID, SECRET
from include.settings import Settings, load_settings
from scripts.astro_settings import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from include.sandbox.chains import Deployment
    from include.sandbox.jsonrpc import Rpc

MODEL: Final = "MODEL"
"""The stock whose contracts are copied."""
MAKER: Final = account(Role.MAKER).address
VENUES: Final = ("alpaca", "ethereum", "base")


class Ground:
    """The world, seen from the process that measures.

    :ivar settings: those with which Ballast looks at it.
    :ivar urls: of its endpoints, by venue.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        told = self._read()
        self.urls: dict[str, str] = told["urls"]
        self.environment: dict[str, str] = told["environment"]
        self.settings: Settings = load_settings(environ=self.environment)

    def set_latency(self, seconds: float) -> None:
        """Let every endpoint take so long."""
        self._say(latency=seconds)

    def asked(self) -> dict[str, dict[str, int]]:
        """Return by venue how often each thing was asked since the last time."""
        found: dict[str, dict[str, int]] = self._say(asked=True)
        return found

    def _say(self, **what: object) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the world has ended")
        return json.loads(line)


@contextmanager
def ground(assets: int) -> Iterator[Ground]:
    """Start a world of so many assets, and end it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.ground", str(assets)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Ground(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(30)


# In the process of the world


def symbol(number: int) -> str:
    """Return the symbol of an asset by its number."""
    return f"S{number:04d}"


def _address(name: str) -> str:
    return str(to_checksum_address(keccak(text=f"ballast bench {name}")[-20:]))


def _copies(rpc: Rpc, deployment: Deployment, symbols: Sequence[str]) -> dict[str, dict[str, str]]:
    """Put a token and a wrapper for each symbol on Base, with 5 tokens of the maker."""
    token_code = rpc.request("eth_getCode", deployment.stocks[MODEL], "latest")
    wrapper_code = rpc.request("eth_getCode", deployment.wrappers[MODEL], "latest")
    inside = deployment.stocks[MODEL][2:].lower()
    assert inside in wrapper_code
    slot = _balance_slot(rpc, deployment.stocks[MODEL])
    found, requests = {}, []
    for name in symbols:
        token, wrapper = _address(f"token {name}"), _address(f"wrapper {name}")
        found[name] = {"token": token, "wrapper": wrapper}
        requests += [
            ("anvil_setCode", (token, token_code)),
            ("anvil_setStorageAt", (token, slot, "0x" + encode(["uint256"], [5 * 10**18]).hex())),
            ("anvil_setCode", (wrapper, wrapper_code.replace(inside, token[2:].lower()))),
        ]
    rpc.batch(requests)
    rpc.request("anvil_mine", "0x1")
    return found


def _balance_slot(rpc: Rpc, token: str) -> str:
    """Find where a token keeps the maker's balance."""
    for position in range(16):
        slot = "0x" + keccak(encode(["address", "uint256"], [MAKER, position])).hex()
        before = rpc.request("evm_snapshot")
        rpc.request("anvil_setStorageAt", token, slot, "0x" + encode(["uint256"], [7]).hex())
        held = rpc.call(token, "balanceOf(address)", [MAKER], "uint256")
        rpc.request("evm_revert", before)
        if held == 7:
            return slot
    raise RuntimeError("the token keeps its balances somewhere else")


def _broker(
    ethereum: EvmChain, base: EvmChain, deployment: Deployment, places: dict[str, dict[str, str]]
) -> Broker:
    profile = Profile(
        account_id=ACCOUNT_ID,
        key_id=KEY_ID,
        secret=SECRET,
        stocks={
            name: Stock(name, place["token"], f"t{name}", Decimal(100)) for name, place in places.items()
        },
        usdc=deployment.ethereum.usdc,
        linked_wallets=(MAKER,),
        redemption_wallet=account(Role.REDEMPTION).address,
        deposit_address=account(Role.ALPACA_DEPOSIT).address,
        payout_address=account(Role.ALPACA).address,
    )
    broker = Broker(
        profile,
        ethereum=ethereum,
        base=base,
        issuer=account(Role.ISSUER),
        payer=account(Role.ALPACA),
    )
    for number, name in enumerate((*places, USDC)):
        broker.seed(name, Decimal(95 - number % 90))
    return broker


def _environment(urls: dict[str, str], deployment: Deployment, places: dict[str, dict[str, str]]) -> Any:
    vaults = {name: [vault_id(number + 1)] for number, name in enumerate((*places, USDC))}
    assets: dict[str, Any] = {
        name: {"wrapper": place["wrapper"], "vaults": vaults[name]} for name, place in places.items()
    }
    settings = {
        "REBALANCING_ENABLED": "true",
        "WALLET": MAKER,
        "REDEMPTION_WALLET": account(Role.REDEMPTION).address,
        "ORDERBOOK": deployment.orderbook,
        "TOKEN_ADDRESSES": json.dumps({name: place["token"] for name, place in places.items()}),
        "ASSETS": json.dumps(assets | {USDC: {"vaults": vaults[USDC]}}),
        "ETHEREUM_RPC_URL": urls["ethereum"],
        "BASE_RPC_URL": urls["base"],
    }
    return {f"BALLAST_{name}": value for name, value in settings.items()}


def main() -> None:
    """Be the world until the input ends."""
    count = int(sys.argv[1])
    with ExitStack() as stack:
        nodes = {
            "ethereum": stack.enter_context(start_anvil(ETHEREUM_CHAIN_ID, block_time=None)),
            "base": stack.enter_context(start_anvil(BASE_CHAIN_ID, block_time=None)),
        }
        deployment = deploy(nodes["ethereum"].url, nodes["base"].url, [MODEL], wrapped=[MODEL])
        places = _copies(nodes["base"].rpc, deployment, [symbol(number) for number in range(count)])
        chains = [EvmChain(nodes["ethereum"].url), EvmChain(nodes["base"].url)]
        for chain in chains:
            stack.callback(chain.close)
        broker = _broker(chains[0], chains[1], deployment, places)
        targets = {"alpaca": stack.enter_context(serve(broker.app)).url} | {
            name: node.url for name, node in nodes.items()
        }
        proxies = {name: FaultProxy(url) for name, url in targets.items()}
        urls = {name: stack.enter_context(serve(proxy)).url for name, proxy in proxies.items()}
        _answer({"urls": urls, "environment": _environment(urls, deployment, places)})
        for line in sys.stdin:
            _answer(_obey(json.loads(line), proxies))


def _obey(wanted: dict[str, Any], proxies: dict[str, FaultProxy]) -> Any:
    if "latency" in wanted:
        for proxy in proxies.values():
            proxy.clear()
            if wanted["latency"]:
                proxy.arm(Rule("*", "delay", seconds=wanted["latency"], times=None))
        return {}
    found = {name: dict(Counter(one.name for one in proxy.seen)) for name, proxy in proxies.items()}
    for proxy in proxies.values():
        proxy.forget()
    return found


def _answer(what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
