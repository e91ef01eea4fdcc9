"""The service beside its chains: rolled back blocks, restarts of either, pauses, and nobody who drives it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from include.sandbox.anvil import BASE_CHAIN_ID, start_anvil
from include.sandbox.attestation import AttestationService
from include.sandbox.attestation_rules import AttestationSettings
from include.sandbox.chains import Deployment, deploy
from include.sandbox.message_scanner import MessageScanner
from tests.integration.sandbox.cctp import USDC, Chain, Iris

if TYPE_CHECKING:
    from pathlib import Path


def test_block_rolled_back__its_message__is_unknown_again(ethereum: Chain, iris: Iris) -> None:
    ethereum.give_usdc(10 * USDC)
    before = ethereum.node.snapshot()
    burn = ethereum.burn(10 * USDC)
    iris.pass_time(0)
    assert iris.entry(0, burn)["status"] == "pending_confirmations"

    ethereum.node.revert(before)
    iris.pass_time(0)

    assert iris.get("/v2/messages/0", transactionHash=burn).status_code == 404


def test_service_started_again__the_same_burn__has_the_same_nonce_and_is_signed_at_once(
    ethereum: Chain, base: Chain, iris: Iris, fresh_chains: Deployment
) -> None:
    ethereum.give_usdc(10 * USDC)
    burn = ethereum.burn(10 * USDC)
    iris.pass_time(0)
    before = iris.entry(0, burn)

    again = AttestationService(
        ethereum.url, base.url, fresh_chains, iris.service.settings, wall=lambda: 10.0**12
    )
    again.advance()

    (entry,) = again.messages(0, transaction_hash=burn)
    assert "0x" + entry.sent.nonce.hex() == before["eventNonce"]
    assert entry.attested is not None


def test_running_service__nobody_drives_it__attests_by_itself(
    ethereum: Chain, base: Chain, fresh_chains: Deployment
) -> None:
    at_once = AttestationSettings(fast_latency={0: 0, 6: 0}, standard_latency={0: 0, 6: 0})
    service = AttestationService(ethereum.url, base.url, fresh_chains, at_once)
    ethereum.give_usdc(10 * USDC)
    burn = ethereum.burn(10 * USDC)

    service.start()
    try:
        entry = _wait_for_attestation(service, burn)
    finally:
        service.stop()

    assert entry.attested is not None
    base.receive(entry.attested.data, entry.signatures)
    assert base.usdc() == 10 * USDC


def test_running_service__a_chain_is_stopped_and_continued__goes_on(
    ethereum: Chain, fresh_chains: Deployment, tmp_path: Path
) -> None:
    at_once = AttestationSettings(standard_latency={0: 0, 6: 0})
    state = tmp_path / "base.json"
    with start_anvil(BASE_CHAIN_ID, block_time=None, state=state) as first:
        deploy(ethereum.url, first.url, [])
        ethereum.give_usdc(10 * USDC)
        port = int(first.url.rsplit(":", 1)[1])
        service = AttestationService(ethereum.url, first.url, fresh_chains, at_once)
        service.start()
    burn = ethereum.burn(10 * USDC)

    try:
        with start_anvil(BASE_CHAIN_ID, block_time=None, state=state, port=port) as second:
            entry = _wait_for_attestation(service, burn)
            assert entry.attested is not None
            Chain(second, fresh_chains.base).receive(entry.attested.data, entry.signatures)
            assert Chain(second, fresh_chains.base).usdc() == 10 * USDC
    finally:
        service.stop()


def test_scan__more_blocks_than_one_request_covers__finds_each_message_once(ethereum: Chain) -> None:
    scanner = MessageScanner(ethereum.node.rpc, ethereum.contracts, block_range=3)
    ethereum.give_usdc(30 * USDC)
    burns = []
    for _ in range(3):
        burns.append(ethereum.burn(10 * USDC))
        ethereum.node.mine(4)

    assert [sent.transaction_hash for sent in scanner.scan()] == burns
    ethereum.give_usdc(10 * USDC)
    burns.append(ethereum.burn(10 * USDC))
    assert [sent.transaction_hash for sent in scanner.scan()] == burns
    assert [sent.transaction_hash for sent in scanner.scan()] == burns


def test_paused__a_due_message__is_pending_until_it_is_lifted(ethereum: Chain, iris: Iris) -> None:
    iris.patch(paused=True)
    ethereum.give_usdc(10 * USDC)
    burn = ethereum.burn(10 * USDC)
    iris.pass_time(0)
    iris.pass_time(10_000)
    pending = iris.entry(0, burn)
    assert pending["status"] == "pending_confirmations"
    refused = iris.post(f"/v2/reattest/{pending['eventNonce']}")
    assert (refused.status_code, refused.json()["error"]) == (400, "Message is not attested yet.")

    iris.patch(paused=False)
    iris.pass_time(0)

    assert iris.entry(0, burn)["status"] == "complete"


def test_index_latency__a_young_message__is_not_found_yet(ethereum: Chain, iris: Iris) -> None:
    iris.patch(index_latency=5)
    ethereum.give_usdc(10 * USDC)
    burn = ethereum.burn(10 * USDC)
    iris.pass_time(0)
    iris.pass_time(4)
    assert iris.get("/v2/messages/0", transactionHash=burn).status_code == 404

    iris.pass_time(1)

    assert iris.entry(0, burn)["status"] == "pending_confirmations"


def _wait_for_attestation(service: AttestationService, burn: str) -> Any:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for entry in service.messages(0, transaction_hash=burn):
            if entry.attested is not None:
                return entry
        time.sleep(0.02)
    raise AssertionError("no attestation")
