from __future__ import annotations

import pytest

from include.venues.errors import Refused, Unavailable
from include.venues.evm.errors import InsufficientFunds, Reverted, WrongChain
from include.venues.evm.types import Block, Call, Fees, Log, LoggedEvent, Receipt, Transaction
from tests.unit.venues.evm.fakes import (
    OTHER,
    OWNER,
    TOKEN,
    FakeNode,
    block_hash,
    header,
    raw_log,
    raw_receipt,
    transaction_hash,
)

CALL = Call(TOKEN, b"\x01\x02")
REVERT_DATA = (
    "0x08c379a0"
    + (32).to_bytes(32, "big").hex()
    + (38).to_bytes(32, "big").hex()
    + b"ERC20: transfer amount exceeds balance".hex().ljust(128, "0")
)


# The chain


def test_verify_chain_id__same__passes() -> None:
    node = FakeNode().result("eth_chainId", "0x2105")

    node.chain().verify_chain_id()

    assert node.asked == [("eth_chainId", [])]


def test_verify_chain_id__other_chain__refused_and_names_both() -> None:
    with pytest.raises(WrongChain, match="chain 1, expected 8453") as caught:
        FakeNode().result("eth_chainId", "0x1").chain().verify_chain_id()

    assert isinstance(caught.value, Refused)


def test_head__reads_the_newest_header() -> None:
    node = FakeNode().result("eth_getBlockByNumber", header(9))

    assert node.chain().head() == Block(9, block_hash(9), 1_700_000_018)
    assert node.asked == [("eth_getBlockByNumber", ["latest", False])]


def test_contents__newest__has_its_parent_and_the_hashes_of_its_transactions() -> None:
    found = header(9, parentHash=block_hash(8), transactions=[transaction_hash(1), transaction_hash(2)])
    node = FakeNode().result("eth_getBlockByNumber", found)

    contents = node.chain().contents()

    assert contents is not None
    assert (contents.block.number, contents.parent) == (9, block_hash(8))
    assert contents.transactions == (transaction_hash(1), transaction_hash(2))
    assert node.asked == [("eth_getBlockByNumber", ["latest", False])]


def test_contents__unknown_to_the_node__none() -> None:
    assert FakeNode().result("eth_getBlockByNumber", None).chain().contents(12) is None


def test_contents__another_number_than_asked__unavailable() -> None:
    node = FakeNode().result("eth_getBlockByNumber", header(11, parentHash=block_hash(10)))
    with pytest.raises(Unavailable, match="asked for block 12 and gave 11"):
        node.chain().contents(12)


def test_contents__does_not_name_its_transactions__unavailable() -> None:
    node = FakeNode().result("eth_getBlockByNumber", header(9, parentHash=block_hash(8), transactions=None))
    with pytest.raises(Unavailable, match="malformed"):
        node.chain().contents()


def test_block__unknown_to_the_node__none() -> None:
    assert FakeNode().result("eth_getBlockByNumber", None).chain().block(12) is None


def test_block__another_number_than_asked__unavailable() -> None:
    with pytest.raises(Unavailable, match="asked for block 12 and gave 11"):
        FakeNode().result("eth_getBlockByNumber", header(11)).chain().block(12)


def test_is_canonical__same_hash__true_whatever_its_case() -> None:
    chain = FakeNode().result("eth_getBlockByNumber", header(5)).chain()

    assert chain.is_canonical(5, block_hash(5).replace("b10c", "B10C"))


def test_is_canonical__another_hash_at_that_height__false() -> None:
    chain = FakeNode().result("eth_getBlockByNumber", header(5)).chain()

    assert not chain.is_canonical(5, block_hash(6))


def test_is_canonical__height_unknown__unavailable_because_a_lagging_node_is_no_reorganisation() -> None:
    with pytest.raises(Unavailable, match="does not know block 5"):
        FakeNode().result("eth_getBlockByNumber", None).chain().is_canonical(5, block_hash(5))


# Calls


def test_call__pinned__asks_about_that_block_from_that_sender() -> None:
    node = FakeNode().result("eth_call", "0x2a")

    answer = node.chain().call(Call(TOKEN, b"\xff", value=3), sender=OWNER, block=255)

    assert answer == b"\x2a"
    assert node.asked == [
        ("eth_call", [{"to": TOKEN, "data": "0xff", "from": OWNER, "value": "0x3"}, "0xff"])
    ]


def test_call__not_pinned__asks_about_the_newest_and_leaves_out_what_is_not_given() -> None:
    node = FakeNode().result("eth_call", "0x")

    assert node.chain().call(CALL) == b""
    assert node.asked == [("eth_call", [{"to": TOKEN, "data": "0x0102"}, "latest"])]


def test_call__contract_refuses__reverted_with_its_reason_and_data() -> None:
    node = FakeNode().error(
        "eth_call", "execution reverted: ERC20: transfer amount exceeds balance", code=3, data=REVERT_DATA
    )

    with pytest.raises(Reverted) as caught:
        node.chain().call(CALL)

    assert caught.value.reason == "ERC20: transfer amount exceeds balance"
    assert caught.value.data.hex() == REVERT_DATA[2:]


@pytest.mark.parametrize(
    "text",
    [
        "header not found",  # geth, op-geth
        "block not found: 0x64",  # reth
        "BlockOutOfRangeError: block height is 1 but requested was 100",  # anvil
        "missing trie node 0ab1 (path ) state is not available",  # geth that dropped the state
        "Unknown block",  # besu
    ],
)
def test_call__node_lags_behind_the_block__unavailable(text: str) -> None:
    with pytest.raises(Unavailable, match=r"base at node\.test:8545"):
        FakeNode().error("eth_call", text).chain().call(CALL, block=100)


# Balances and nonces


def test_balance__in_wei() -> None:
    assert FakeNode().result("eth_getBalance", "0xde0b6b3a7640000").chain().balance(OWNER) == 10**18


@pytest.mark.parametrize(("answer", "code"), [("0x", b""), ("0x6001", b"\x60\x01")])
def test_code__of_an_account_or_a_contract__is_its_bytes(answer: str, code: bytes) -> None:
    assert FakeNode().result("eth_getCode", answer).chain().code(OWNER) == code


@pytest.mark.parametrize(
    ("options", "tag"),
    [({}, "latest"), ({"block": 16}, "0x10"), ({"block": 0}, "0x0"), ({"pending": True}, "pending")],
)
def test_nonce__asks_as_of_the_wanted_moment(options: dict[str, int], tag: str) -> None:
    node = FakeNode().result("eth_getTransactionCount", "0x7")

    assert node.chain().nonce(OWNER, **options) == 7  # type: ignore[arg-type] # the table mixes int and bool
    assert node.asked == [("eth_getTransactionCount", [OWNER, tag])]


def test_nonce__pending_and_pinned__is_a_mistake() -> None:
    with pytest.raises(ValueError, match="either"):
        FakeNode().chain().nonce(OWNER, block=1, pending=True)


# Fees and gas


def test_fees__twice_the_base_fee_and_the_tip() -> None:
    node = FakeNode().result("eth_getBlockByNumber", header(1)).result("eth_maxPriorityFeePerGas", "0x7")

    assert node.chain().fees() == Fees(max_fee_per_gas=207, max_priority_fee_per_gas=7)


def test_fees__tip_of_zero__one_wei() -> None:
    node = FakeNode().result("eth_getBlockByNumber", header(1)).result("eth_maxPriorityFeePerGas", "0x0")

    assert node.chain().fees() == Fees(max_fee_per_gas=201, max_priority_fee_per_gas=1)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (-32601, "Method not found"),
        (-32000, "the method eth_maxPriorityFeePerGas does not exist/is not available"),
        (-32004, "Method eth_maxPriorityFeePerGas not supported"),
    ],
)
def test_fees__node_without_the_method__one_wei(code: int, text: str) -> None:
    node = FakeNode().result("eth_getBlockByNumber", header(1))
    node.error("eth_maxPriorityFeePerGas", text, code=code)

    assert node.chain().fees().max_priority_fee_per_gas == 1


def test_fees__node_in_trouble__unavailable_rather_than_a_tip_that_is_too_low() -> None:
    node = FakeNode().result("eth_getBlockByNumber", header(1))
    node.error("eth_maxPriorityFeePerGas", "rate limit exceeded", code=-32005)

    with pytest.raises(Unavailable, match="rate limit"):
        node.chain().fees()


@pytest.mark.parametrize(("gas", "floor", "limit"), [(100, 0, 125), (101, 0, 127), (100, 3_000, 3_000)])
def test_estimate_gas__a_quarter_to_spare_and_not_below_the_floor(gas: int, floor: int, limit: int) -> None:
    node = FakeNode().result("eth_estimateGas", hex(gas))

    assert node.chain().estimate_gas(CALL, sender=OWNER, floor=floor) == limit
    assert node.asked == [("eth_estimateGas", [{"to": TOKEN, "data": "0x0102", "from": OWNER}, "latest"])]


def test_estimate_gas__contract_refuses__reverted() -> None:
    node = FakeNode().error("eth_estimateGas", "execution reverted", code=3, data=REVERT_DATA)

    with pytest.raises(Reverted, match="ERC20: transfer amount exceeds balance"):
        node.chain().estimate_gas(CALL, sender=OWNER)


def test_estimate_gas__sender_cannot_pay__insufficient_funds() -> None:
    node = FakeNode().error("eth_estimateGas", "insufficient funds for transfer")

    with pytest.raises(InsufficientFunds, match="insufficient funds for transfer"):
        node.chain().estimate_gas(CALL, sender=OWNER)


def test_estimate_gas__contract_that_says_insufficient_funds__is_a_revert() -> None:
    node = FakeNode().error("eth_estimateGas", "execution reverted: insufficient funds", code=3)

    with pytest.raises(Reverted) as caught:
        node.chain().estimate_gas(CALL, sender=OWNER)

    assert caught.value.reason == "insufficient funds"


# Receipts


def test_receipt__mined__every_field() -> None:
    node = FakeNode().result("eth_getTransactionReceipt", raw_receipt())

    assert node.chain().receipt(transaction_hash(7)) == Receipt(
        transaction_hash=transaction_hash(7),
        block_number=5,
        block_hash=block_hash(5),
        status=True,
        gas_used=21_000,
        effective_gas_price=10**9,
        logs=(Log(TOKEN, (b"\xab" * 32,), b"\x01" * 32, 2),),
    )


def test_receipt__reverted__status_false() -> None:
    node = FakeNode().result("eth_getTransactionReceipt", raw_receipt(status="0x0", logs=[]))

    receipt = node.chain().receipt(transaction_hash(7))

    assert receipt is not None
    assert receipt.status is False


@pytest.mark.parametrize("answer", [None, raw_receipt(blockHash=None, blockNumber=None)])
def test_receipt__unknown_or_pending__none(answer: object) -> None:
    assert FakeNode().result("eth_getTransactionReceipt", answer).chain().receipt(transaction_hash(7)) is None


def test_receipt__node_still_indexes__unavailable_and_not_absent() -> None:
    node = FakeNode().error("eth_getTransactionReceipt", "transaction indexing is in progress")

    with pytest.raises(Unavailable, match="indexing is in progress"):
        node.chain().receipt(transaction_hash(7))


def test_receipt__of_another_transaction__unavailable() -> None:
    node = FakeNode().result("eth_getTransactionReceipt", raw_receipt())

    with pytest.raises(Unavailable, match="gave another"):
        node.chain().receipt(transaction_hash(8))


@pytest.mark.parametrize("field", ["status", "blockHash", "gasUsed", "effectiveGasPrice", "logs"])
def test_receipt__field_missing__unavailable(field: str) -> None:
    answer = raw_receipt()
    del answer[field]

    with pytest.raises(Unavailable, match="malformed answer to eth_getTransactionReceipt"):
        FakeNode().result("eth_getTransactionReceipt", answer).chain().receipt(transaction_hash(7))


@pytest.mark.parametrize(
    "answer",
    [
        "0x1",
        [raw_receipt()],
        raw_receipt(status="0x2"),
        raw_receipt(status=1),
        raw_receipt(blockHash="0x12"),
        raw_receipt(logs={}),
        raw_receipt(logs=[raw_log(address=None)]),
        raw_receipt(logs=[raw_log(address="0x12")]),
        raw_receipt(logs=[raw_log(topics=[1])]),
        raw_receipt(logs=[raw_log(data="01")]),
    ],
)
def test_receipt__something_of_a_wrong_kind__unavailable(answer: object) -> None:
    with pytest.raises(Unavailable, match="malformed answer to eth_getTransactionReceipt"):
        FakeNode().result("eth_getTransactionReceipt", answer).chain().receipt(transaction_hash(7))


# Transactions


def raw_transaction(**changes: object) -> dict[str, object]:
    return {
        "hash": transaction_hash(7),
        "from": OWNER.lower(),
        "to": OTHER.lower(),
        "nonce": "0x9",
        "input": "0x0102",
        "value": "0x5",
        "blockNumber": "0x10",
    } | changes


def test_transaction__mined__every_field() -> None:
    node = FakeNode().result("eth_getTransactionByHash", raw_transaction())

    assert node.chain().transaction(transaction_hash(7)) == Transaction(
        transaction_hash(7), OWNER, 9, Call(OTHER, b"\x01\x02", 5), 16
    )
    assert node.asked == [("eth_getTransactionByHash", [transaction_hash(7)])]


def test_transaction__waiting_or_a_creation__says_so() -> None:
    answer = raw_transaction(blockNumber=None, to=None)

    found = FakeNode().result("eth_getTransactionByHash", answer).chain().transaction(transaction_hash(7))

    assert found is not None
    assert (found.call, found.block_number) == (None, None)


def test_transaction__unknown__none() -> None:
    chain = FakeNode().result("eth_getTransactionByHash", None).chain()

    assert chain.transaction(transaction_hash(7)) is None


@pytest.mark.parametrize(
    "answer",
    [
        [],
        raw_transaction(hash=transaction_hash(8)),
        raw_transaction(nonce=9),
        raw_transaction(**{"from": None}),
        {name: value for name, value in raw_transaction().items() if name != "to"},
    ],
)
def test_transaction__another_or_unreadable__unavailable(answer: object) -> None:
    chain = FakeNode().result("eth_getTransactionByHash", answer).chain()

    with pytest.raises(Unavailable):
        chain.transaction(transaction_hash(7))


# Logs


def logs_node(head: int = 100) -> FakeNode:
    def block(params: list[str]) -> object:
        number = int(params[0], 16)
        return {"result": header(number) if number <= head else None}

    return FakeNode().by("eth_getBlockByNumber", block)


def search(node: FakeNode, first: int, last: int) -> list[LoggedEvent]:
    topics = [b"\xab" * 32, None, [b"\x01" * 32, b"\x02" * 32]]
    return node.chain().logs(address=TOKEN, topics=topics, from_block=first, to_block=last)


def test_logs__found__with_their_transaction_and_block() -> None:
    node = logs_node().result("eth_getLogs", [raw_log()])

    (found,) = search(node, 1, 10)

    assert found == LoggedEvent(TOKEN, (b"\xab" * 32,), b"\x01" * 32, 2, transaction_hash(7), 5)
    assert isinstance(found, Log)
    assert node.asked[-1] == (
        "eth_getLogs",
        [
            {
                "address": TOKEN,
                "topics": ["0x" + "ab" * 32, None, ["0x" + "01" * 32, "0x" + "02" * 32]],
                "fromBlock": "0x1",
                "toBlock": "0xa",
            }
        ],
    )


def test_logs__taken_back_by_a_reorganisation__left_out() -> None:
    assert search(logs_node().result("eth_getLogs", [raw_log(removed=True)]), 1, 10) == []


def test_logs__node_lags_behind_the_range__unavailable_and_not_empty() -> None:
    with pytest.raises(Unavailable, match="does not know block 10"):
        search(logs_node(head=9).result("eth_getLogs", []), 1, 10)


def test_logs__empty_range__nothing_and_no_request() -> None:
    node = FakeNode()

    assert search(node, 11, 10) == []
    assert node.asked == []


@pytest.mark.parametrize(
    "error",
    [
        {"code": -32005, "message": "query returned more than 10000 results"},
        {"code": -32602, "message": "range 1000000 exceeds limit of 10000"},
        {"code": -32614, "message": "eth_getLogs is limited to a 10,000 range"},
        {"code": -32602, "message": "Log response size exceeded. Please reduce query block range."},
        {"code": -32600, "message": "eth_getLogs and eth_newFilter are limited to a 2000 blocks range"},
    ],
)
def test_logs__range_too_wide_for_the_node__searched_in_halves_in_order(error: dict[str, object]) -> None:
    searched: list[tuple[int, int]] = []

    def get_logs(params: list[dict[str, str]]) -> object:
        first, last = int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16)
        if last - first > 2:
            return {"error": error}
        searched.append((first, last))
        return {"result": [raw_log(blockNumber=hex(block)) for block in range(first, last + 1)]}

    found = search(logs_node().by("eth_getLogs", get_logs), 1, 10)

    assert [event.block_number for event in found] == list(range(1, 11))
    assert searched == [(1, 3), (4, 5), (6, 8), (9, 10)]


@pytest.mark.parametrize("text", ["limit exceeded", "block range extends beyond current head block"])
def test_logs__refused_for_another_reason__unavailable_after_one_request(text: str) -> None:
    node = logs_node().error("eth_getLogs", text, code=-32005)

    with pytest.raises(Unavailable, match=text):
        search(node, 1, 10)

    assert [method for method, _ in node.asked].count("eth_getLogs") == 1


def test_logs__one_block_is_too_much__unavailable() -> None:
    node = logs_node().error("eth_getLogs", "query returned more than 10000 results", code=-32005)

    with pytest.raises(Unavailable, match="more than 10000"):
        search(node, 4, 4)


# Answers that are none


@pytest.mark.parametrize(
    "answer",
    [{}, [], None, "pong", {"jsonrpc": "2.0", "id": 1}, {"result": 7}, {"result": "0xzz"}, {"result": None}],
)
def test_read__malformed_answer__unavailable(answer: object) -> None:
    with pytest.raises(Unavailable, match=r"node\.test:8545 gave a malformed answer to eth_getBalance"):
        FakeNode().answer("eth_getBalance", answer).chain().balance(OWNER)


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"code": -32603, "message": "Internal error"}},
        {"error": {"message": "no code"}},
        {"error": "Your app has exceeded its rate limit"},
        {"error": {"code": -32005, "message": "limit exceeded", "data": {"see": "docs"}}},
    ],
)
def test_read__error_of_the_node__unavailable(answer: object) -> None:
    with pytest.raises(Unavailable):
        FakeNode().answer("eth_getBalance", answer).chain().balance(OWNER)


@pytest.mark.parametrize("number", ["5", 5, None, "0x"])
def test_read__header_with_a_bad_number__unavailable(number: object) -> None:
    with pytest.raises(Unavailable, match="malformed"):
        FakeNode().result("eth_getBlockByNumber", header(5, number=number)).chain().head()


def test_read__transport_trouble__passes_through_once() -> None:
    node = FakeNode().answer("eth_getBalance", Unavailable("no answer", retry_after=3))

    with pytest.raises(Unavailable) as caught:
        node.chain().balance(OWNER)

    assert caught.value.retry_after == 3
    assert len(node.asked) == 1


def test_read__error_that_is_only_a_text__quoted() -> None:
    node = FakeNode().answer("eth_getBalance", {"error": "Your app has exceeded its rate limit"})

    with pytest.raises(Unavailable, match="exceeded its rate limit"):
        node.chain().balance(OWNER)


# Secrets


def test_chain__repr_and_errors__show_the_host_and_no_key() -> None:
    key = "s3cr3tKeyOf32Letters"
    node = FakeNode().error("eth_getBalance", f"project {key} is over its quota")
    chain = node.chain(f"https://mainnet.node.test/v2/{key}")

    with pytest.raises(Unavailable) as caught:
        chain.balance(OWNER)

    assert repr(chain) == "Chain(name='base', chain_id=8453, host='mainnet.node.test')"
    assert key not in str(caught.value)
    assert key not in str(caught.value.__cause__)
    assert "over its quota" in str(caught.value)
