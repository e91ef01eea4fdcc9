"""What the remote signers make is what a chain takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from eth_account import Account

from include.venues.errors import Unavailable
from include.venues.evm.kms_signer import KmsSigner
from include.venues.evm.types import Call, Fees, UnsignedTransaction
from include.venues.evm.web3signer import Web3Signer
from tests.integration.venues.evm.conftest import GWEI, STRANGER
from tests.support.kms import REGION, local_kms
from tests.support.web3signer import stand_in

if TYPE_CHECKING:
    from include.sandbox.anvil import AnvilProcess
    from include.venues.evm.chain import Chain
    from include.venues.evm.signer import Signer

pytestmark = pytest.mark.integration


def _send(signer: Signer, base: Chain, base_chain: AnvilProcess) -> None:
    base_chain.rpc.request("anvil_setBalance", signer.address, hex(10**18))
    for nonce in range(4):
        tx = UnsignedTransaction(8453, nonce, Call(STRANGER, b"", value=1), 21_000, Fees(20 * GWEI, GWEI))
        signed = signer.sign(tx)
        base.broadcast(signed.raw)
        base_chain.rpc.request("evm_mine")  # another file of tests may have left automatic mining off
        receipt = base.receipt(signed.hash)
        assert receipt is not None
        assert receipt.status
        found = base.transaction(signed.hash)
        assert found is not None
        assert (found.sender, found.nonce, found.call) == (signer.address, nonce, tx.call)


def test_kms__signed_transactions__are_mined_from_its_address(base: Chain, base_chain: AnvilProcess) -> None:
    with local_kms() as kms:
        _send(KmsSigner(kms.client, kms.key()), base, base_chain)


def test_web3signer__signed_transactions__are_mined_from_its_address(
    base: Chain, base_chain: AnvilProcess
) -> None:
    key = bytes(Account.create().key).hex()
    with stand_in(f"0x{key}", 8453) as service:
        signer = Web3Signer({8453: service.url}, service.account.address)
        signer.verify()
        _send(signer, base, base_chain)


def test_kms__nobody_listens_at_the_endpoint__unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sentinel-secret")
    with stand_in(f"0x{bytes(Account.create().key).hex()}", 8453) as gone:
        url = gone.url

    with pytest.raises(Unavailable, match="no answer to read public key: EndpointConnectionError") as found:
        KmsSigner.open("alias/wallet", region=REGION, endpoint_url=url)

    assert "sentinel" not in repr(found.value)
