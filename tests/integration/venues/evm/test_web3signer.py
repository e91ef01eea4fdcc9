from __future__ import annotations

import datetime
import ipaddress
import pickle
import ssl
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from eth_account import Account

from include.venues.errors import Refused, Unavailable
from include.venues.evm.signatures import SignatureMismatch
from include.venues.evm.signer import LocalSigner
from include.venues.evm.types import Call, Fees, UnsignedTransaction
from include.venues.evm.web3signer import Web3Signer
from tests.support.web3signer import StandIn, stand_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration

# The second and the third of the keys that development nodes hand out; they are public.
KEY = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
OTHER_KEY = "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"
OWNER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
OTHER = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
TOKEN = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"

TX = UnsignedTransaction(8453, 5, Call(TOKEN, b"\x01\x02", value=9), 60_000, Fees(30, 2))


@pytest.fixture
def base() -> Iterator[StandIn]:
    with stand_in(KEY, 8453) as service:
        yield service


@pytest.fixture
def ethereum() -> Iterator[StandIn]:
    with stand_in(KEY, 1) as service:
        yield service


def signer_of(base: StandIn, **more: Any) -> Web3Signer:
    return Web3Signer({8453: base.url}, OWNER, **more)


def test_sign__gives_the_bytes_that_the_key_itself_gives(base: StandIn) -> None:
    assert signer_of(base).sign(TX) == LocalSigner(KEY).sign(TX)

    assert base.asked == [
        (
            "eth_signTransaction",
            [
                {
                    "from": OWNER,
                    "type": "0x2",
                    "chainId": "0x2105",
                    "nonce": "0x5",
                    "to": TOKEN,
                    "value": "0x9",
                    "data": "0x0102",
                    "gas": "0xea60",
                    "maxFeePerGas": "0x1e",
                    "maxPriorityFeePerGas": "0x2",
                }
            ],
        )
    ]


def test_sign__plain_transfer_without_data__is_signed(base: StandIn) -> None:
    tx = replace(TX, call=Call(OTHER, b"", value=1))

    assert signer_of(base).sign(tx) == LocalSigner(KEY).sign(tx)


def test_sign__two_chains__each_by_the_service_of_its_chain(base: StandIn, ethereum: StandIn) -> None:
    signer = Web3Signer({1: ethereum.url, 8453: base.url}, OWNER.lower())
    signer.verify()

    for tx in (TX, replace(TX, chain_id=1)):
        assert signer.sign(tx) == LocalSigner(KEY).sign(tx)

    for service in (base, ethereum):
        assert [method for method, _ in service.asked] == ["eth_accounts", "eth_signTransaction"]


def test_sign__service_was_started_for_another_chain__noticed(ethereum: StandIn) -> None:
    with pytest.raises(SignatureMismatch, match="chainId was changed: asked for 8453, got 1"):
        Web3Signer({8453: ethereum.url}, OWNER).sign(TX)


def test_sign__no_service_for_the_chain__refused(base: StandIn) -> None:
    with pytest.raises(Refused, match="no signing service for chain 5"):
        signer_of(base).sign(replace(TX, chain_id=5))

    assert base.asked == []


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"to": OTHER}, f"to was changed: asked for {TOKEN.lower()}, got {OTHER.lower()}"),
        ({"value": 10}, "value was changed: asked for 9, got 10"),
        ({"data": "0x0103"}, "data was changed"),
        ({"nonce": 6}, "nonce was changed"),
        ({"gas": 1_000_000}, "gas was changed"),
        ({"maxFeePerGas": 31}, "maxFeePerGas was changed"),
        ({"maxPriorityFeePerGas": 3}, "maxPriorityFeePerGas was changed"),
    ],
)
def test_sign__service_changes_a_field__noticed_by_name(
    base: StandIn, changed: dict[str, Any], says: str
) -> None:
    base.change = lambda fields: fields | changed

    with pytest.raises(SignatureMismatch, match=f"127.0.0.1:.*did not sign what it was asked to: {says}"):
        signer_of(base).sign(TX)


def test_sign__service_signs_with_another_key__noticed(base: StandIn) -> None:
    base.account = Account.from_key(OTHER_KEY)

    with pytest.raises(SignatureMismatch, match=f"not one of this transaction by {OWNER}"):
        signer_of(base).sign(TX)


def test_verify__service_holds_the_key__is_content(base: StandIn) -> None:
    base.accounts.insert(0, OTHER.lower())

    signer_of(base).verify()


@pytest.mark.parametrize("accounts", [[], [OTHER.lower()]])
def test_verify__service_holds_other_keys__names_the_address(base: StandIn, accounts: list[str]) -> None:
    base.accounts = accounts

    with pytest.raises(Refused, match=f"127.0.0.1:.*holds no key of {OWNER}"):
        signer_of(base).verify()


@pytest.mark.parametrize("status", [200, 400, 500])
def test_sign__service_answers_with_an_error__refused_with_its_words(base: StandIn, status: int) -> None:
    base.error = (status, {"code": -32000, "message": "No unlocked account matches the Sender"})

    with pytest.raises(Refused, match="refused eth_signTransaction: No unlocked account"):
        signer_of(base).sign(TX)


def test_sign__service_has_a_fault_of_its_own__unavailable(base: StandIn) -> None:
    base.error = (500, {"code": -32603, "message": "Internal error"})

    with pytest.raises(Unavailable, match="failed at eth_signTransaction: Internal error"):
        signer_of(base).sign(TX)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>"),
        (200, b""),
        (200, b"[]"),
        (200, b'{"jsonrpc": "2.0", "id": 1}'),
        (200, b'{"jsonrpc": "2.0", "id": 1, "result": null}'),
        (200, b'{"jsonrpc": "2.0", "id": 1, "result": 5}'),
        (200, b'{"jsonrpc": "2.0", "id": 1, "result": "0xzz"}'),
        (200, b'{"jsonrpc": "2.0", "id": 1, "result": {"raw": "0x02"}}'),
        (302, b""),
        (403, b"forbidden"),
        (429, b""),
        (502, b"<html>"),
    ],
)
def test_ask__answer_is_garbage__unavailable(base: StandIn, status: int, body: bytes) -> None:
    base.answer = (status, body)
    signer = signer_of(base)

    with pytest.raises(Unavailable):
        signer.sign(TX)
    with pytest.raises(Unavailable):
        signer.verify()


@pytest.mark.parametrize("result", ["0x", "0x02", "0x02c0", "0x" + "ab" * 200])
def test_sign__hex_that_is_no_transaction__noticed(base: StandIn, result: str) -> None:
    base.answer = (200, f'{{"jsonrpc": "2.0", "id": 1, "result": "{result}"}}'.encode())

    with pytest.raises(SignatureMismatch, match="not a signed transaction"):
        signer_of(base).sign(TX)


def test_sign__service_does_not_answer__unavailable_in_time(base: StandIn) -> None:
    base.hold = threading.Event()

    with pytest.raises(Unavailable, match=r"no answer within 0\.2 s"):
        signer_of(base, timeout=0.2).sign(TX)


def test_sign__nobody_listens__unavailable() -> None:
    with stand_in(KEY, 8453) as gone:
        signer = signer_of(gone)

    with pytest.raises(Unavailable, match="gave no answer to eth_signTransaction: ConnectionError"):
        signer.sign(TX)


def test_sign__proxy_in_the_environment__is_not_asked(base: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    with stand_in(OTHER_KEY, 8453) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)

        assert signer_of(base).sign(TX) == LocalSigner(KEY).sign(TX)
        assert proxy.asked == []


def test_error__url_with_a_key_in_its_path__keeps_it_back(base: StandIn) -> None:
    base.error = (200, {"code": -32000, "message": "no such path: /sentinel-path"})

    with pytest.raises(Refused) as found:
        Web3Signer({8453: f"{base.url}/sentinel-path"}, OWNER).sign(TX)

    assert "sentinel" not in f"{found.value!r} {found.value.__cause__!r}"


@pytest.mark.parametrize(
    "url", ["", "signer.test:9000", "ftp://signer.test", "http://me:sentinel@signer.test"]
)
def test_url__that_cannot_be_one__refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="URL") as found:
        Web3Signer({8453: url}, OWNER)

    assert "sentinel" not in str(found.value)


def test_signer__shown_or_pickled__is_an_address_and_nothing_else(base: StandIn) -> None:
    signer = signer_of(base)

    assert repr(signer) == str(signer) == f"Web3Signer({OWNER})"
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(signer)


def _certificate(path: Path, name: str) -> Path:
    """Write a self-signed certificate for 127.0.0.1, and its key, into one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    written = path / f"{name}.pem"
    written.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    return written


def test_tls__service_that_lets_in_known_clients_only__is_trusted_and_trusts(tmp_path: Path) -> None:
    server, client, stranger = (_certificate(tmp_path, name) for name in ("server", "client", "stranger"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(server)
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(client)

    with stand_in(KEY, 8453, tls=tls) as service:
        signer = signer_of(service, ca_file=str(server), client_certificate=str(client))
        assert signer.sign(TX) == LocalSigner(KEY).sign(TX)
        asked = len(service.asked)
        for files in (
            {"ca_file": str(server)},
            {"ca_file": str(server), "client_certificate": str(stranger)},
            {"client_certificate": str(client)},
        ):
            with pytest.raises(Unavailable):
                signer_of(service, **files).sign(TX)
        assert len(service.asked) == asked


@pytest.mark.parametrize("name", ["ca_file", "client_certificate"])
def test_tls__file_that_is_not_there__is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"the file that {name} names is not there"):
        Web3Signer({8453: "https://signer.test"}, OWNER, **{name: str(tmp_path / "gone.pem")})  # type: ignore[arg-type]  # either is a text
