"""How the CCTP contracts behave, above all when asked for the wrong thing: reasons, and their order."""

from __future__ import annotations

import pytest
from eth_abi.abi import decode
from eth_utils.crypto import keccak

from include.sandbox.accounts import Role, account
from include.sandbox.chains import USDC_BURN_LIMIT, Deployment, address_word, mint_stock, transact
from include.sandbox.jsonrpc import RpcError
from include.sandbox.messages import Message, sign
from tests.integration.sandbox.cctp import BURN, MAKER, USDC, Chain

STRANGER = account(Role.STRANGER).address


@pytest.fixture(params=["ethereum", "base"])
def chain(request: pytest.FixtureRequest, ethereum: Chain, base: Chain) -> Chain:
    return ethereum if request.param == "ethereum" else base


# The source of a transfer


def test_burn__plain__emits_the_message_and_the_deposit(chain: Chain) -> None:
    chain.give_usdc(100 * USDC)

    receipt = chain.send_burn(100 * USDC, max_fee=5, finality=1000)

    logs = {log["topics"][0]: log for log in receipt["logs"]}
    (data,) = decode(["bytes"], bytes.fromhex(logs[_topic("MessageSent(bytes)")]["data"][2:]))
    message = Message(data)
    expected = (
        (1).to_bytes(4, "big")
        + chain.contracts.domain.to_bytes(4, "big")
        + chain.other.domain.to_bytes(4, "big")
        + bytes(32)
        + address_word(chain.contracts.token_messenger)
        + address_word(chain.other.token_messenger)
        + bytes(32)
        + (1000).to_bytes(4, "big")
        + bytes(4)
        + (1).to_bytes(4, "big")
        + address_word(chain.contracts.usdc)
        + address_word(MAKER)
        + (100 * USDC).to_bytes(32, "big")
        + address_word(MAKER)
        + (5).to_bytes(32, "big")
        + bytes(64)
    )
    assert message.data == expected
    assert len(message.data) == 376
    deposit = logs[
        _topic("DepositForBurn(address,uint256,address,bytes32,uint32,bytes32,bytes32,uint256,uint32,bytes)")
    ]
    assert deposit["address"].lower() == chain.contracts.token_messenger.lower()
    assert [bytes.fromhex(topic[2:]) for topic in deposit["topics"][1:]] == [
        address_word(chain.contracts.usdc),
        address_word(MAKER),
        (1000).to_bytes(32, "big"),
    ]
    kinds = ["uint256", "bytes32", "uint32", "bytes32", "bytes32", "uint256", "bytes"]
    assert decode(kinds, bytes.fromhex(deposit["data"][2:])) == (
        100 * USDC,
        address_word(MAKER),
        chain.other.domain,
        address_word(chain.other.token_messenger),
        bytes(32),
        5,
        b"",
    )
    assert chain.usdc() == 0


def test_burn__with_a_hook__carries_it_after_byte_376(chain: Chain) -> None:
    chain.give_usdc(USDC)
    terms = [USDC, chain.other.domain, address_word(MAKER), chain.contracts.usdc, bytes(32), 0, 2000]
    signature = BURN.replace("depositForBurn(", "depositForBurnWithHook(").replace(")", ",bytes)")

    with pytest.raises(RpcError, match="Hook data is empty"):
        transact(chain.url, Role.MAKER, chain.contracts.token_messenger, signature, [*terms, b""])
    receipt = transact(chain.url, Role.MAKER, chain.contracts.token_messenger, signature, [*terms, b"a hook"])

    logs = {log["topics"][0]: log for log in receipt["logs"]}
    (data,) = decode(["bytes"], bytes.fromhex(logs[_topic("MessageSent(bytes)")]["data"][2:]))
    assert data[376:] == b"a hook"


@pytest.mark.parametrize(
    ("amount", "terms", "reason"),
    [
        pytest.param(0, {}, "Amount must be nonzero", id="nothing"),
        pytest.param(5, {"recipient": "0x" + "00" * 20}, "Mint recipient must be nonzero", id="nobody"),
        pytest.param(5, {"max_fee": 5}, "Max fee must be less than amount", id="all-is-fee"),
        pytest.param(5, {"domain": 3}, "No TokenMessenger for domain", id="unknown-domain"),
        pytest.param(10**12, {}, "ERC20: transfer amount exceeds", id="more-than-approved"),
        pytest.param(USDC_BURN_LIMIT + 1, {}, "Burn amount exceeds per tx limit", id="over-the-limit"),
    ],
)
def test_burn__not_allowed__reverts_with_circles_words(
    chain: Chain, amount: int, terms: dict[str, object], reason: str
) -> None:
    chain.give_usdc(20_000_000 * USDC if amount > USDC_BURN_LIMIT else 100)

    with pytest.raises(RpcError, match=f"execution reverted: {reason}"):
        chain.burn(amount, **terms)


def test_burn__token_without_a_limit__is_not_supported(base: Chain, fresh_chains: Deployment) -> None:
    token = fresh_chains.stocks["AAPL"]
    mint_stock(base.url, token, MAKER, 5)
    transact(base.url, Role.MAKER, token, "approve(address,uint256)", [base.contracts.token_messenger, 5])

    with pytest.raises(RpcError, match="Burn token not supported"):
        base.burn(5, token=token)


def test_burn__minimal_fee_is_set__needs_it_as_maximum_fee(chain: Chain) -> None:
    chain.give_usdc(100 * USDC)
    messenger = chain.contracts.token_messenger
    assert chain.node.rpc.call(messenger, "getMinFeeAmount(uint256)", [100 * USDC], "uint256") == 0
    # 1.5 basis points
    chain.admin(messenger, "setMinFee(uint256)", 1_500)
    assert chain.node.rpc.call(messenger, "getMinFeeAmount(uint256)", [100 * USDC], "uint256") == 15_000

    with pytest.raises(RpcError, match="Insufficient max fee"):
        chain.burn(100 * USDC, max_fee=14_999)
    chain.burn(100 * USDC, max_fee=15_000)

    assert chain.usdc() == 0


@pytest.mark.parametrize("contract", ["message_transmitter", "token_minter"])
def test_burn__paused__reverts_until_it_is_unpaused(chain: Chain, contract: str) -> None:
    chain.give_usdc(10 * USDC)
    address = getattr(chain.contracts, contract)
    chain.admin(address, "pause()")

    with pytest.raises(RpcError, match="execution reverted: Pausable: paused"):
        chain.burn(10 * USDC)
    chain.admin(address, "unpause()")
    chain.burn(10 * USDC)

    assert chain.usdc() == 0


def test_burn__denylisted_caller__reverts_until_taken_off(chain: Chain) -> None:
    chain.give_usdc(10 * USDC)
    chain.admin(chain.contracts.token_messenger, "denylist(address)", MAKER)

    with pytest.raises(RpcError, match="execution reverted: Denylistable: account is on denylist"):
        chain.burn(10 * USDC)
    chain.admin(chain.contracts.token_messenger, "unDenylist(address)", MAKER)
    chain.burn(10 * USDC)

    assert chain.usdc() == 0


@pytest.mark.parametrize(
    ("contract", "signature", "args"),
    [
        ("message_transmitter", "pause()", []),
        ("message_transmitter", "enableAttester(address)", [STRANGER]),
        ("message_transmitter", "setSignatureThreshold(uint256)", [2]),
        ("token_messenger", "denylist(address)", [MAKER]),
        ("token_messenger", "setMinFee(uint256)", [1]),
        ("token_messenger", "removeRemoteTokenMessenger(uint32)", [0]),
        ("token_minter", "setMaxBurnAmountPerMessage(address,uint256)", [STRANGER, 1]),
    ],
)
def test_administration__by_a_stranger__reverts(
    base: Chain, contract: str, signature: str, args: list[object]
) -> None:
    with pytest.raises(RpcError, match="caller is not the owner"):
        transact(base.url, Role.STRANGER, getattr(base.contracts, contract), signature, args)


# The destination of a transfer


def burn_message(*, to: Chain, **changed: bytes | int) -> bytes:
    """Return an attested message for the maker's 100 USDC from the other chain, with some fields changed."""
    source = to.other
    fields: dict[str, tuple[int, bytes | int]] = {
        "version": (4, 1),
        "source": (4, source.domain),
        "destination": (4, to.contracts.domain),
        "nonce": (32, keccak(text="a nonce")),
        "sender": (32, address_word(source.token_messenger)),
        "recipient": (32, address_word(to.contracts.token_messenger)),
        "caller": (32, bytes(32)),
        "min_finality": (4, 1000),
        "finality": (4, 1000),
        "body_version": (4, 1),
        "burn_token": (32, address_word(source.usdc)),
        "mint_recipient": (32, address_word(MAKER)),
        "amount": (32, 100 * USDC),
        "message_sender": (32, address_word(MAKER)),
        "max_fee": (32, 2_000),
        "fee": (32, 1_000),
        "expires": (32, 0),
    }
    assert changed.keys() <= fields.keys()
    message = b""
    for name, (length, value) in fields.items():
        chosen = changed.get(name, value)
        message += chosen if isinstance(chosen, bytes) else chosen.to_bytes(length, "big")
    return message


def deliver(chain: Chain, message: bytes, role: Role = Role.STRANGER) -> dict[str, object]:
    return chain.receive(message, sign(message, [Role.ATTESTER_1]), role)


def test_receive__fast_message__emits_who_received_what(chain: Chain) -> None:
    message = burn_message(to=chain)

    receipt = chain.receive(message, sign(message, [Role.ATTESTER_2]))

    assert chain.usdc() == 100 * USDC - 1_000
    logs = {log["topics"][0]: log for log in receipt["logs"]}
    received = logs[_topic("MessageReceived(address,uint32,bytes32,bytes32,uint32,bytes)")]
    assert [bytes.fromhex(topic[2:]) for topic in received["topics"][1:]] == [
        address_word(STRANGER),
        keccak(text="a nonce"),
        (1000).to_bytes(32, "big"),
    ]
    assert decode(["uint32", "bytes32", "bytes"], bytes.fromhex(received["data"][2:])) == (
        chain.other.domain,
        address_word(chain.other.token_messenger),
        message[148:],
    )
    minted = logs[_topic("MintAndWithdraw(address,uint256,address,uint256)")]
    assert [bytes.fromhex(topic[2:]) for topic in minted["topics"][1:]] == [
        address_word(MAKER),
        address_word(chain.contracts.usdc),
    ]
    assert decode(["uint256", "uint256"], bytes.fromhex(minted["data"][2:])) == (100 * USDC - 1_000, 1_000)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        pytest.param({"destination": 3}, "Invalid destination domain", id="other-destination"),
        pytest.param({"caller": address_word(MAKER)}, "Invalid caller for message", id="for-another-caller"),
        pytest.param({"version": 0}, "Invalid message version", id="version"),
        pytest.param({"nonce": bytes(32)}, "Nonce already used", id="no-nonce"),
        pytest.param({"sender": address_word(STRANGER)}, "Remote TokenMessenger unsupported", id="sender"),
        pytest.param({"source": 3}, "Remote TokenMessenger unsupported", id="source"),
        pytest.param({"finality": 499}, "Unsupported finality threshold", id="finality"),
        pytest.param({"body_version": 0}, "Invalid message body version", id="body-version"),
        pytest.param({"expires": 1}, "Message expired and must be re-signed", id="expired"),
        pytest.param({"fee": 100 * USDC}, "Fee equals or exceeds amount", id="all-is-fee"),
        pytest.param({"fee": 2_001}, "Fee exceeds max fee", id="fee-over-maximum"),
        pytest.param({"burn_token": address_word(STRANGER)}, "Mint token not supported", id="token"),
        pytest.param(
            {"finality": 2000, "fee": 2_001}, "Fee exceeds max fee", id="finalized-fee-over-maximum"
        ),
    ],
)
def test_receive__signed_but_wrong__reverts_and_keeps_the_nonce(
    base: Chain, changed: dict[str, bytes | int], reason: str
) -> None:
    message = burn_message(to=base, **changed)
    nonce = message[12:44]
    used_before = base.used(nonce)

    with pytest.raises(RpcError, match=f"execution reverted: {reason}"):
        deliver(base, message)

    assert base.used(nonce) == used_before
    assert base.usdc() == 0


def test_receive__everything_wrong__reasons_come_in_circles_order(base: Chain) -> None:
    wrong: dict[str, bytes | int] = {
        "destination": 3,
        "caller": address_word(MAKER),
        "version": 0,
        "nonce": bytes(32),
        "sender": address_word(STRANGER),
        "finality": 499,
        "body_version": 0,
        "expires": 1,
        "fee": 200 * USDC,
    }
    seen = []

    base.admin(base.contracts.message_transmitter, "pause()")
    with pytest.raises(RpcError) as error:
        base.receive(burn_message(to=base, **wrong), b"")
    seen.append(str(error.value))
    base.admin(base.contracts.message_transmitter, "unpause()")
    with pytest.raises(RpcError) as error:
        base.receive(burn_message(to=base, **wrong), b"")
    seen.append(str(error.value))
    for field in list(wrong):
        with pytest.raises(RpcError) as error:
            deliver(base, burn_message(to=base, **wrong))
        seen.append(str(error.value))
        del wrong[field]
    deliver(base, burn_message(to=base, **wrong))

    assert [text.removeprefix("execution reverted: ") for text in seen] == [
        "Pausable: paused",
        "Invalid attestation length",
        "Invalid destination domain",
        "Invalid caller for message",
        "Invalid message version",
        "Nonce already used",
        "Remote TokenMessenger unsupported",
        "Unsupported finality threshold",
        "Invalid message body version",
        "Message expired and must be re-signed",
        "Fee equals or exceeds amount",
    ]


def test_receive__too_short__reverts(base: Chain) -> None:
    with pytest.raises(RpcError, match="Invalid message: too short"):
        deliver(base, burn_message(to=base)[:147])
    with pytest.raises(RpcError, match="Invalid message: too short"):
        deliver(base, burn_message(to=base)[:375])


def test_receive__by_its_destination_caller__is_minted(base: Chain) -> None:
    deliver(base, burn_message(to=base, caller=address_word(MAKER)), Role.MAKER)

    assert base.usdc() == 100 * USDC - 1_000


def test_receive__blacklisted_recipient__reverts_and_works_once_lifted(base: Chain) -> None:
    message = burn_message(to=base)
    base.admin(base.contracts.usdc, "blacklist(address)", MAKER)
    with pytest.raises(RpcError, match="Blacklistable: account is blacklisted"):
        deliver(base, message)
    assert base.used(message[12:44]) == 0
    base.admin(base.contracts.usdc, "unBlacklist(address)", MAKER)

    deliver(base, message)

    assert base.usdc() == 100 * USDC - 1_000


def test_receive__minter_allowance_short__reverts_and_keeps_the_nonce(base: Chain) -> None:
    message = burn_message(to=base)
    base.admin(base.contracts.usdc, "configureMinter(address,uint256)", base.contracts.token_minter, 5)

    with pytest.raises(RpcError, match="FiatToken: mint amount exceeds minterAllowance"):
        deliver(base, message)

    assert base.used(message[12:44]) == 0


def test_handler__called_by_a_stranger__mints_nothing(base: Chain) -> None:
    message = burn_message(to=base)
    arguments = [base.other.domain, address_word(base.other.token_messenger), 2000, message[148:]]

    with pytest.raises(RpcError, match="Invalid message transmitter"):
        transact(
            base.url,
            Role.STRANGER,
            base.contracts.token_messenger,
            "handleReceiveFinalizedMessage(uint32,bytes32,uint32,bytes)",
            arguments,
        )
    with pytest.raises(RpcError, match="Caller not local TokenMessenger"):
        transact(
            base.url,
            Role.STRANGER,
            base.contracts.token_minter,
            "mint(uint32,bytes32,address,uint256)",
            [0, address_word(base.other.usdc), STRANGER, 1],
        )


def _topic(signature: str) -> str:
    return "0x" + keccak(text=signature).hex()
