"""Puts USDC, CCTP and Multicall3 on the two local chains, and on Base the stock tokens and their vaults."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from include.sandbox import codes
from include.sandbox.accounts import Role, account
from include.sandbox.jsonrpc import Rpc, RpcError, calldata

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from decimal import Decimal

ETHEREUM_DOMAIN: Final = 0
BASE_DOMAIN: Final = 6

TOKEN_MESSENGER: Final = "0x28b5a0e9C621a5BadaA536219b3a228C8168cf5d"  # noqa: S105 - an address
MESSAGE_TRANSMITTER: Final = "0x81D40F21F12A8F0E3252Bccb954D722d4c464B64"
TOKEN_MINTER: Final = "0xfd78EE919681417d192449715b2594ab58f5D002"  # noqa: S105 - an address
MULTICALL3: Final = "0xcA11bde05977b3631167028862bE2a173976CA11"
ETHEREUM_USDC: Final = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
BASE_USDC: Final = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"

USDC_BURN_LIMIT: Final = 10_000_000 * 10**6
"""The most USDC that one message may burn, in base units."""
FEE_RECIPIENT: Final = to_checksum_address(keccak(text="ballast sandbox cctp fees")[-20:])
"""Where the fees of fast transfers go, on both chains."""

_PROXY_ADMIN = to_checksum_address(keccak(text="ballast sandbox usdc proxy admin")[-20:])
_MINTER_ALLOWANCE = 10**18
_MAX_MESSAGE_BODY = 8192
_ETH = 10_000 * 10**18
_GAS = 2_000_000
_TOKEN_CODE_GAS = 10_000_000
_ZERO = "0x" + "00" * 20


@dataclass(frozen=True, slots=True)
class ChainContracts:
    """Where everything is on one chain. All addresses are checksummed."""

    chain_id: int
    domain: int
    usdc: str
    token_messenger: str = TOKEN_MESSENGER
    message_transmitter: str = MESSAGE_TRANSMITTER
    token_minter: str = TOKEN_MINTER
    multicall3: str = MULTICALL3


@dataclass(frozen=True, slots=True)
class Deployment:
    """Everything that is on the two chains.

    :ivar stocks: symbol -> address of the token on Base
    :ivar wrappers: symbol -> address on Base of the ERC-4626 wrapper over its token, where it has one
    :ivar orderbook: the OrderBook with the vaults, on Base
    :ivar price_feed: what ETH costs in dollars, on Base
    :ivar attesters: the roles whose signatures the chains accept
    :ivar threshold: how many signatures a message needs
    """

    ethereum: ChainContracts
    base: ChainContracts
    stocks: Mapping[str, str] = field(hash=False)
    attesters: tuple[Role, ...]
    threshold: int
    wrappers: Mapping[str, str] = field(hash=False)
    orderbook: str
    price_feed: str

    @property
    def wrapped(self) -> dict[str, str]:
        """Return the wrapped tokens by their own symbols, `wtAAPL` for a wrapper of AAPL."""
        return {codes.wrapper_symbol(symbol): address for symbol, address in self.wrappers.items()}


ETHEREUM: Final = ChainContracts(1, ETHEREUM_DOMAIN, ETHEREUM_USDC)
BASE: Final = ChainContracts(8453, BASE_DOMAIN, BASE_USDC)


def deploy(
    ethereum_url: str,
    base_url: str,
    stocks: Sequence[str],
    *,
    attesters: Sequence[Role] = (Role.ATTESTER_1, Role.ATTESTER_2),
    threshold: int = 1,
    wrapped: Sequence[str] = (),
) -> Deployment:
    """Deploy what is not yet on the chains, and say where everything is.

    Running it again changes nothing, so it can also attach to chains that were prepared before.

    :param stocks: symbols, each of which gets a token on Base at an address that depends only on the symbol
    :param threshold: signatures that a CCTP message needs
    :param wrapped: those of the stocks that get an ERC-4626 wrapper
    :raises RpcError: a node refused something, or is another chain
    :raises FileNotFoundError: the npm packages are not installed
    """
    deployment = Deployment(
        ethereum=ETHEREUM,
        base=BASE,
        stocks={symbol: stock_address(symbol) for symbol in stocks},
        attesters=tuple(attesters),
        threshold=threshold,
        wrappers={symbol: wrapper_address(symbol) for symbol in wrapped},
        orderbook=codes.create2_address(codes.orderbook_code()),
        price_feed=codes.create2_address(codes.price_feed_code()),
    )
    with Rpc(ethereum_url) as ethereum, Rpc(base_url) as base:
        _deploy_chain(ethereum, ETHEREUM, BASE, deployment, ())
        _deploy_chain(base, BASE, ETHEREUM, deployment, _codes_on_base(deployment))
    return deployment


def stock_address(symbol: str) -> str:
    """Return the address that the token of a stock has on Base."""
    return codes.create2_address(codes.stock_code(symbol))


def wrapper_address(symbol: str) -> str:
    """Return the address that the wrapper of a stock's token has on Base."""
    return codes.create2_address(codes.wrapper_code(symbol))


def address_word(address: str) -> bytes:
    """Return an address as the 32 bytes that CCTP uses for it."""
    return bytes(12) + bytes.fromhex(address[2:])


# Helpers of tests and of the sandbox's own services


def transact(url: str, role: Role, to: str, signature: str, args: Sequence[object] = ()) -> dict[str, Any]:
    """Send a contract call from a role's address and return its receipt once mined.

    :raises RpcError: it reverts; the message has the reason
    """
    with Rpc(url) as rpc:
        return rpc.send(account(role).address, to, calldata(signature, args))


def mint_usdc(url: str, to: str, amount: int) -> str:
    """Create USDC and return the hash of the transaction. `amount` is in base units (6 decimals)."""
    usdc = _usdc_at(url)
    receipt = transact(url, Role.DEPLOYER, usdc, "mint(address,uint256)", [to, amount])
    return str(receipt["transactionHash"])


def mint_stock(url: str, token: str, to: str, amount: int) -> str:
    """Issue stock tokens and return the hash of the transaction. `amount` is in base units (18 decimals)."""
    receipt = transact(url, Role.ISSUER, token, "mint(address,uint256)", [to, amount])
    return str(receipt["transactionHash"])


def transfer(url: str, token: str, role: Role, to: str, amount: int) -> str:
    """Move a role's tokens and return the hash of the transaction. `amount` is in base units."""
    receipt = transact(url, role, token, "transfer(address,uint256)", [to, amount])
    return str(receipt["transactionHash"])


def set_eth_price(url: str, feed: str, dollars: Decimal, age: float = 0) -> str:
    """Set what the price feed says, and return the hash of the transaction.

    :param dollars: a whole ETH's price, with at most 8 decimals; zero or less is no price.
    :param age: seconds for which it has been so, at the time of the latest block.
    """
    with Rpc(url) as rpc:
        now = int(rpc.request("eth_getBlockByNumber", "latest", False)["timestamp"], 16)
    answer = [int(dollars.scaleb(codes.PRICE_DECIMALS)), now - int(age)]
    receipt = transact(url, Role.DEPLOYER, feed, "setAnswer(int256,uint256)", answer)
    return str(receipt["transactionHash"])


def balance(url: str, token: str, owner: str) -> int:
    """Return a balance at the latest block, in base units."""
    with Rpc(url) as rpc:
        return int(rpc.call(token, "balanceOf(address)", [owner], "uint256"))


def _usdc_at(url: str) -> str:
    with Rpc(url) as rpc:
        return ETHEREUM_USDC if int(rpc.request("eth_chainId"), 16) == ETHEREUM.chain_id else BASE_USDC


# Deployment of one chain


@dataclass(frozen=True, slots=True)
class _Step:
    """A transaction of the deployer, in order."""

    to: str
    data: str
    gas: int = _GAS


def _deploy_chain(
    rpc: Rpc, here: ChainContracts, there: ChainContracts, deployment: Deployment, init_codes: Sequence[str]
) -> None:
    chain_id = int(rpc.request("eth_chainId"), 16)
    if chain_id != here.chain_id:
        msg = f"{rpc.url} is chain {chain_id}, not {here.chain_id}"
        raise RpcError(msg)
    rpc.request("anvil_autoImpersonateAccount", True)
    _fund(rpc)
    for address, name in (
        (MULTICALL3, "Multicall3"),
        (MESSAGE_TRANSMITTER, "MessageTransmitterV2"),
        (TOKEN_MESSENGER, "TokenMessengerV2"),
        (TOKEN_MINTER, "TokenMinterV2"),
    ):
        _ensure_code(rpc, address, codes.artifact(name)["deployedBytecode"])
    steps = [
        *_usdc_steps(rpc, here),
        *_cctp_steps(rpc, here, there, deployment),
        *_create2_steps(rpc, init_codes, _GAS),
    ]
    _run(rpc, steps)


def _fund(rpc: Rpc) -> None:
    addresses = [account(role).address for role in Role]
    balances = rpc.batch([("eth_getBalance", (address, "latest")) for address in addresses])
    empty = [address for address, held in zip(addresses, balances, strict=True) if int(held, 16) == 0]
    rpc.batch([("anvil_setBalance", (address, hex(_ETH))) for address in empty])


def _usdc_steps(rpc: Rpc, here: ChainContracts) -> list[_Step]:
    checker = codes.fiat_token("util/SignatureChecker.sol/SignatureChecker")["bytecode"]
    implementation = codes.linked_fiat_token(codes.create2_address(checker))
    steps = _create2_steps(rpc, [checker, implementation], _TOKEN_CODE_GAS)
    proxy = codes.fiat_token("v1/FiatTokenProxy.sol/FiatTokenProxy")["deployedBytecode"]
    if rpc.request("eth_getCode", here.usdc, "latest") != proxy:
        # The slots come first: a proxy that has code has also what it needs
        for slot, value in (
            ("implementation", codes.create2_address(implementation)),
            ("admin", _PROXY_ADMIN),
        ):
            key = "0x" + keccak(text=f"org.zeppelinos.proxy.{slot}").hex()
            rpc.request("anvil_setStorageAt", here.usdc, key, "0x" + address_word(value).hex())
        rpc.request("anvil_setCode", here.usdc, proxy)
    if not steps and _has_owner(rpc, here.usdc):
        return []
    deployer = account(Role.DEPLOYER).address
    for signature, args in (
        (
            "initialize(string,string,string,uint8,address,address,address,address)",
            ["USD Coin", "USDC", "USD", 6, deployer, deployer, deployer, deployer],
        ),
        ("initializeV2(string)", ["USD Coin"]),
        ("initializeV2_1(address)", [deployer]),
        ("initializeV2_2(address[],string)", [[], "USDC"]),
        ("configureMinter(address,uint256)", [here.token_minter, _MINTER_ALLOWANCE]),
        ("configureMinter(address,uint256)", [deployer, _MINTER_ALLOWANCE]),
    ):
        steps.append(_Step(here.usdc, calldata(signature, args)))
    return steps


def _cctp_steps(rpc: Rpc, here: ChainContracts, there: ChainContracts, deployment: Deployment) -> list[_Step]:
    owner = account(Role.DEPLOYER).address
    attesters = [account(role).address for role in deployment.attesters]
    wanted = (
        (
            here.message_transmitter,
            "initialize(address,uint32,address[],uint256,uint256)",
            [owner, here.domain, attesters, deployment.threshold, _MAX_MESSAGE_BODY],
        ),
        (
            here.token_messenger,
            "initialize(address,address,address,address,uint32[],bytes32[])",
            [
                owner,
                here.message_transmitter,
                here.token_minter,
                FEE_RECIPIENT,
                [there.domain],
                [address_word(there.token_messenger)],
            ],
        ),
        (here.token_minter, "initialize(address,address)", [owner, here.token_messenger]),
        (
            here.token_minter,
            "linkTokenPair(address,uint32,bytes32)",
            [here.usdc, there.domain, address_word(there.usdc)],
        ),
        (here.token_minter, "setMaxBurnAmountPerMessage(address,uint256)", [here.usdc, USDC_BURN_LIMIT]),
    )
    ready = {address for address in {to for to, _, _ in wanted} if _has_owner(rpc, address)}
    if here.message_transmitter in ready:
        _check_attesters(rpc, here, deployment)
    return [_Step(to, calldata(signature, args)) for to, signature, args in wanted if to not in ready]


def _has_owner(rpc: Rpc, contract: str) -> bool:
    return bool(rpc.call(contract, "owner()", [], "address") != _ZERO)


def _check_attesters(rpc: Rpc, here: ChainContracts, deployment: Deployment) -> None:
    """Refuse to attach to a chain that would not accept the signatures of these attesters."""
    threshold = rpc.call(here.message_transmitter, "signatureThreshold()", [], "uint256")
    enabled = all(
        rpc.call(here.message_transmitter, "isEnabledAttester(address)", [account(role).address], "bool")
        for role in deployment.attesters
    )
    if threshold != deployment.threshold or not enabled:
        msg = f"{rpc.url} was deployed with other attesters, or another threshold ({threshold})"
        raise RpcError(msg)


def _create2_steps(rpc: Rpc, init_codes: Sequence[str], gas: int) -> list[_Step]:
    found = rpc.batch([("eth_getCode", (codes.create2_address(code), "latest")) for code in init_codes])
    return [
        _Step(codes.CREATE2_FACTORY, "0x" + bytes(32).hex() + init_code[2:], gas)
        for init_code, code in zip(init_codes, found, strict=True)
        if code == "0x"
    ]


def _codes_on_base(deployment: Deployment) -> list[str]:
    return [
        *(codes.stock_code(symbol) for symbol in deployment.stocks),
        *(codes.wrapper_code(symbol) for symbol in deployment.wrappers),
        codes.orderbook_code(),
        codes.price_feed_code(),
    ]


def _run(rpc: Rpc, steps: Sequence[_Step]) -> None:
    """Send the steps in order, mine them together, and see that each of them succeeded."""
    if not steps:
        return
    deployer = account(Role.DEPLOYER).address
    with _mined_by_hand(rpc):
        hashes = rpc.send_all(
            [{"from": deployer, "to": step.to, "data": step.data, "gas": hex(step.gas)} for step in steps]
        )
        while rpc.request("eth_getTransactionReceipt", hashes[-1]) is None:
            rpc.request("evm_mine")
    for transaction_hash in hashes:
        rpc.receipt(transaction_hash)


@contextmanager
def _mined_by_hand(rpc: Rpc) -> Iterator[None]:
    # With a block for each transaction, the chain's clock would run a second ahead with each of them
    automatic = rpc.request("anvil_getAutomine")
    if automatic:
        rpc.request("evm_setAutomine", False)
    try:
        yield
    finally:
        if automatic:
            rpc.request("evm_setAutomine", True)


def _ensure_code(rpc: Rpc, address: str, code: str) -> None:
    if rpc.request("eth_getCode", address, "latest") != code:
        rpc.request("anvil_setCode", address, code)
