"""What is on the chains, and how the contracts behave when asked for the wrong thing."""

from __future__ import annotations

from pathlib import Path

import pytest
from eth_abi.abi import decode, encode
from eth_utils.crypto import keccak

from include.sandbox.accounts import Role, account
from include.sandbox.anvil import BASE_CHAIN_ID, AnvilProcess, start_anvil
from include.sandbox.chains import (
    BASE,
    MULTICALL3,
    USDC_BURN_LIMIT,
    Deployment,
    address_word,
    balance,
    deploy,
    mint_stock,
    mint_usdc,
    stock_address,
    transact,
    transfer,
)
from include.sandbox.jsonrpc import RpcError, calldata
from include.sandbox.messages import sign
from tests.integration.sandbox.cctp import MAKER, USDC, Chain

REPOSITORY = Path(__file__).resolve().parents[3]
STRANGER = account(Role.STRANGER).address


@pytest.fixture(params=["ethereum", "base"])
def chain(request: pytest.FixtureRequest, ethereum: Chain, base: Chain) -> Chain:
    return ethereum if request.param == "ethereum" else base


# Deployment


def test_deploy__second_time__changes_nothing(
    ethereum_chain: AnvilProcess, base_chain: AnvilProcess, fresh_chains: Deployment
) -> None:
    nodes = (ethereum_chain, base_chain)
    before = [node.rpc.request("eth_getBlockByNumber", "latest", False) for node in nodes]
    held = [node.rpc.request("eth_getBalance", MAKER, "latest") for node in nodes]

    again = deploy(ethereum_chain.url, base_chain.url, list(fresh_chains.stocks))

    assert again == fresh_chains
    assert [node.rpc.request("eth_getBlockByNumber", "latest", False) for node in nodes] == before
    assert [node.rpc.request("eth_getBalance", MAKER, "latest") for node in nodes] == held


def test_deploy__another_stock_later__adds_only_that_one(
    ethereum_chain: AnvilProcess, base_chain: AnvilProcess, fresh_chains: Deployment
) -> None:
    mint_stock(base_chain.url, fresh_chains.stocks["AAPL"], MAKER, 7)

    more = deploy(ethereum_chain.url, base_chain.url, [*fresh_chains.stocks, "NVDA"])

    assert more.stocks == {**fresh_chains.stocks, "NVDA": stock_address("NVDA")}
    assert base_chain.rpc.call(more.stocks["NVDA"], "symbol()", [], "string") == "NVDA"
    assert balance(base_chain.url, more.stocks["AAPL"], MAKER) == 7


def test_deploy__chains_exchanged__is_refused(ethereum_chain: AnvilProcess, base_chain: AnvilProcess) -> None:
    with pytest.raises(RpcError, match="is chain 8453, not 1"):
        deploy(base_chain.url, ethereum_chain.url, [])


def test_deploy__other_threshold_than_on_the_chain__is_refused(
    ethereum_chain: AnvilProcess, base_chain: AnvilProcess, fresh_chains: Deployment
) -> None:
    with pytest.raises(RpcError, match=r"another threshold \(1\)"):
        deploy(ethereum_chain.url, base_chain.url, [], threshold=fresh_chains.threshold + 1)


def test_deploy__chain_with_a_block_time__does_not_wait_for_its_blocks(ethereum_chain: AnvilProcess) -> None:
    with start_anvil(BASE_CHAIN_ID, block_time=3600) as slow:
        deployed = deploy(ethereum_chain.url, slow.url, ["AAPL"])

        assert slow.rpc.call(deployed.stocks["AAPL"], "decimals()", [], "uint8") == 18


def test_accounts__every_role__has_ether_on_both_chains(chain: Chain) -> None:
    for role in Role:
        assert int(chain.node.rpc.request("eth_getBalance", account(role).address, "latest"), 16) > 0


def test_usdc__on_both_chains__is_circles_token(chain: Chain) -> None:
    rpc, usdc = chain.node.rpc, chain.contracts.usdc

    assert rpc.call(usdc, "name()", [], "string") == "USD Coin"
    assert rpc.call(usdc, "symbol()", [], "string") == "USDC"
    assert rpc.call(usdc, "decimals()", [], "uint8") == 6
    assert rpc.call(usdc, "version()", [], "string") == "2"
    assert rpc.call(usdc, "isMinter(address)", [chain.contracts.token_minter], "bool") is True
    # The separator has the chain and the token's own address in it: the proxy is where it says it is
    domain = keccak(text="EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
    expected = keccak(
        encode(
            ["bytes32", "bytes32", "bytes32", "uint256", "address"],
            [domain, keccak(text="USD Coin"), keccak(text="2"), chain.contracts.chain_id, usdc],
        )
    )
    assert rpc.call(usdc, "DOMAIN_SEPARATOR()", [], "bytes32") == expected


def test_usdc__signature_checker__is_linked(chain: Chain) -> None:
    # Calls the library: without it, this would revert without a reason
    with pytest.raises(RpcError, match="EIP2612: invalid signature"):
        transact(
            chain.url,
            Role.STRANGER,
            chain.contracts.usdc,
            "permit(address,address,uint256,uint256,bytes)",
            [MAKER, STRANGER, 1, 2**256 - 1, sign(b"something else", [Role.MAKER])],
        )


def test_usdc__blacklisted_owner__cannot_send(chain: Chain) -> None:
    mint_usdc(chain.url, MAKER, 5)
    chain.admin(chain.contracts.usdc, "blacklist(address)", MAKER)

    with pytest.raises(RpcError, match="Blacklistable: account is blacklisted"):
        transfer(chain.url, chain.contracts.usdc, Role.MAKER, STRANGER, 1)


def test_helpers__mint_and_transfer__move_what_they_say(chain: Chain) -> None:
    mint_usdc(chain.url, MAKER, 5 * USDC)
    transfer(chain.url, chain.contracts.usdc, Role.MAKER, STRANGER, 2 * USDC)

    assert chain.usdc(MAKER) == 3 * USDC
    assert chain.usdc(STRANGER) == 2 * USDC


def test_wiring__on_both_chains__is_what_a_client_checks_at_its_start(chain: Chain) -> None:
    rpc, here, there = chain.node.rpc, chain.contracts, chain.other

    assert rpc.call(here.message_transmitter, "localDomain()", [], "uint32") == here.domain
    assert rpc.call(here.message_transmitter, "version()", [], "uint32") == 1
    assert rpc.call(here.message_transmitter, "paused()", [], "bool") is False
    assert rpc.call(
        here.token_messenger, "remoteTokenMessengers(uint32)", [there.domain], "bytes32"
    ) == address_word(there.token_messenger)
    assert (
        rpc.call(
            here.token_minter,
            "getLocalToken(uint32,bytes32)",
            [there.domain, address_word(there.usdc)],
            "address",
        )
        == here.usdc
    )
    assert (
        rpc.call(here.token_minter, "burnLimitsPerMessage(address)", [here.usdc], "uint256")
        == USDC_BURN_LIMIT
    )
    # The nonce of a message that nobody attested
    assert chain.used(bytes(32)) == 1


def test_initialize__second_time__reverts(chain: Chain) -> None:
    with pytest.raises(RpcError, match="already initialized"):
        transact(
            chain.url,
            Role.STRANGER,
            chain.contracts.token_minter,
            "initialize(address,address)",
            [STRANGER, STRANGER],
        )


def test_stock_token__only_the_issuer__mints(base: Chain, fresh_chains: Deployment) -> None:
    token = fresh_chains.stocks["TSLA"]
    with pytest.raises(RpcError, match="caller is not the issuer"):
        transact(base.url, Role.MAKER, token, "mint(address,uint256)", [MAKER, 1])
    mint_stock(base.url, token, MAKER, 3 * 10**18)
    transact(base.url, Role.MAKER, token, "approve(address,uint256)", [STRANGER, 10**18])
    transact(
        base.url, Role.STRANGER, token, "transferFrom(address,address,uint256)", [MAKER, STRANGER, 10**18]
    )
    transact(base.url, Role.STRANGER, token, "burn(uint256)", [10**17])

    assert balance(base.url, token, MAKER) == 2 * 10**18
    assert balance(base.url, token, STRANGER) == 9 * 10**17
    assert base.node.rpc.call(token, "totalSupply()", [], "uint256") == 29 * 10**17
    with pytest.raises(RpcError, match="exceeds allowance"):
        transact(
            base.url, Role.STRANGER, token, "transferFrom(address,address,uint256)", [MAKER, STRANGER, 1]
        )
    with pytest.raises(RpcError, match="exceeds balance"):
        transfer(base.url, token, Role.STRANGER, MAKER, 10**18)


def test_multicall__one_call_fails__the_others_answer(chain: Chain) -> None:
    mint_usdc(chain.url, MAKER, 42)
    calls = [
        (chain.contracts.usdc, True, bytes.fromhex(calldata("balanceOf(address)", [MAKER])[2:])),
        (chain.contracts.usdc, True, bytes.fromhex(calldata("mint(address,uint256)", [MAKER, 1])[2:])),
        (MULTICALL3, True, bytes.fromhex(calldata("getEthBalance(address)", [MAKER])[2:])),
        (MULTICALL3, True, bytes.fromhex(calldata("getBlockNumber()")[2:])),
        (MULTICALL3, True, bytes.fromhex(calldata("getChainId()")[2:])),
    ]

    results = _aggregate3(chain, calls)

    assert [success for success, _ in results] == [True, False, True, True, True]
    numbers = [int.from_bytes(data, "big") for success, data in results if success]
    held = int(chain.node.rpc.request("eth_getBalance", MAKER, "latest"), 16)
    assert numbers == [42, held, chain.head(), chain.contracts.chain_id]
    calls[1] = (calls[1][0], False, calls[1][2])
    with pytest.raises(RpcError, match="Multicall3: call failed"):
        _aggregate3(chain, calls)


def _aggregate3(chain: Chain, calls: list[tuple[str, bool, bytes]]) -> list[tuple[bool, bytes]]:
    selector = keccak(text="aggregate3((address,bool,bytes)[])")[:4]
    data = "0x" + (selector + encode(["(address,bool,bytes)[]"], [calls])).hex()
    answer = chain.node.rpc.request("eth_call", {"to": MULTICALL3, "data": data}, "latest")
    (results,) = decode(["(bool,bytes)[]"], bytes.fromhex(answer[2:]))
    return list(results)


def test_addresses__of_a_deployment__are_the_published_ones(deployment: Deployment) -> None:
    assert deployment.base == BASE
    assert deployment.ethereum.usdc == "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
    assert deployment.base.usdc == "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"
    for contracts in (deployment.ethereum, deployment.base):
        assert contracts.token_messenger == "0x28b5a0e9C621a5BadaA536219b3a228C8168cf5d"
        assert contracts.message_transmitter == "0x81D40F21F12A8F0E3252Bccb954D722d4c464B64"
        assert contracts.token_minter == "0xfd78EE919681417d192449715b2594ab58f5D002"
        assert contracts.multicall3 == "0xcA11bde05977b3631167028862bE2a173976CA11"
