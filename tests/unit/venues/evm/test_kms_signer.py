from __future__ import annotations

import logging
import pickle
import sys
from typing import TYPE_CHECKING, Any

import botocore.exceptions
import pytest
from botocore.stub import Stubber
from eth_account import Account

from include.venues.errors import Refused, Unavailable
from include.venues.evm.kms_signer import KmsSigner
from include.venues.evm.signatures import CURVE_ORDER, SignatureMismatch, verified
from tests.support.kms import REGION, Kms, local_kms
from tests.unit.venues.evm.test_signatures import TX, parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SESSION_TOKEN = "sentinel-session-token"


@pytest.fixture
def kms() -> Iterator[Kms]:
    with local_kms() as found:
        yield found


class Failing:
    """A client that fails at an operation."""

    def __init__(self, kms: Kms, operation: str, error: Exception) -> None:
        self._kms, self._operation, self._error = kms, operation, error

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name == self._operation:
            return self._fail
        found: Callable[..., Any] = getattr(self._kms.client, name)
        return found

    def _fail(self, **_: Any) -> Any:
        raise self._error


def test_sign__many_times__each_is_this_transaction_by_the_key_with_the_lower_s(kms: Kms) -> None:
    signer = KmsSigner.open(kms.key(), region=REGION)

    signed = [signer.sign(TX) for _ in range(6)]

    for one in signed:
        assert verified(TX, one.raw, signer.address) == one
        assert Account.recover_transaction(one.raw) == signer.address
        assert parts(one.raw)[2] <= CURVE_ORDER // 2
    # AWS draws a random number for each signature.
    assert len({one.hash for one in signed}) == len(signed)


def test_open__by_alias__the_key_behind_it(kms: Kms) -> None:
    key_id = kms.key()
    kms.client.create_alias(AliasName="alias/wallet", TargetKeyId=key_id)

    assert KmsSigner.open("alias/wallet", region=REGION).address == KmsSigner(kms.client, key_id).address


def test_sign__a_service_that_signs_something_else__noticed() -> None:
    with local_kms(digests=False) as kms:
        signer = KmsSigner(kms.client, kms.key())
        with pytest.raises(SignatureMismatch, match="not one of this transaction"):
            signer.sign(TX)


def test_sign__an_alias_that_was_moved_to_another_key__noticed(kms: Kms) -> None:
    kms.client.create_alias(AliasName="alias/wallet", TargetKeyId=kms.key())
    signer = KmsSigner.open("alias/wallet", region=REGION)
    kms.client.update_alias(AliasName="alias/wallet", TargetKeyId=kms.key())

    with pytest.raises(SignatureMismatch, match=signer.address):
        signer.sign(TX)


@pytest.mark.parametrize(
    ("spec", "usage", "says"),
    [
        ("ECC_NIST_P256", "SIGN_VERIFY", "not on the curve secp256k1"),
        ("RSA_2048", "SIGN_VERIFY", "not on the curve secp256k1"),
        ("RSA_2048", "ENCRYPT_DECRYPT", "a key for ENCRYPT_DECRYPT"),
    ],
)
def test_open__a_key_of_another_kind__refused(kms: Kms, spec: str, usage: str, says: str) -> None:
    with pytest.raises(Refused, match=f"{says}.*; it has to be an ECC_SECG_P256K1 key for SIGN_VERIFY"):
        KmsSigner.open(kms.key(spec, usage), region=REGION)


def test_open__no_such_key__refused_with_what_aws_says(kms: Kms) -> None:
    with pytest.raises(Refused, match=r"refused to read public key: NotFoundException: .+"):
        KmsSigner.open("1234abcd-12ab-34cd-56ef-1234567890ab", region=REGION)


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("ThrottlingException", 400, Unavailable),
        ("LimitExceededException", 400, Unavailable),
        ("DependencyTimeoutException", 500, Unavailable),
        ("KMSInternalException", 500, Unavailable),
        ("KeyUnavailableException", 500, Unavailable),
        ("SomethingNew", 503, Unavailable),
        ("SomethingNew", 429, Unavailable),
        ("AccessDeniedException", 400, Refused),
        ("DisabledException", 400, Refused),
        ("KMSInvalidStateException", 400, Refused),
        ("ExpiredTokenException", 400, Refused),
        ("SomethingNew", 400, Refused),
    ],
)
@pytest.mark.parametrize("operation", ["sign", "get_public_key"])
def test_ask__aws_answers_with_an_error__is_judged_by_its_code(
    kms: Kms, operation: str, code: str, status: int, expected: type[Exception]
) -> None:
    key_id = kms.key()
    signer = KmsSigner(kms.client, key_id)
    with Stubber(kms.client) as stub:
        stub.add_client_error(operation, code, "the words of AWS", status)
        with pytest.raises(expected, match=code) as found:
            signer.sign(TX) if operation == "sign" else KmsSigner(kms.client, key_id)

    assert found.value.__cause__ is None
    assert found.value.__context__ is None


def test_ask__disabled_key_or_no_permission__aws_own_words_are_passed_on(kms: Kms) -> None:
    signer = KmsSigner(kms.client, kms.key())
    for code in ("AccessDeniedException", "DisabledException"):
        with Stubber(kms.client) as stub:
            stub.add_client_error("sign", code, "user ops may not", 400)
            with pytest.raises(Refused, match=f"AWS KMS refused to sign: {code}: user ops may not"):
                signer.sign(TX)


def test_ask__error_that_repeats_the_request__words_are_kept_back(kms: Kms) -> None:
    signer = KmsSigner(kms.client, kms.key())
    with Stubber(kms.client) as stub:
        words = f"the canonical string should have been x-amz-security-token:{SESSION_TOKEN}"
        stub.add_client_error("sign", "InvalidSignatureException", words, 400)
        with pytest.raises(Refused, match=r"refused to sign: InvalidSignatureException$") as found:
            signer.sign(TX)

    assert SESSION_TOKEN not in repr(found.value)


@pytest.mark.parametrize(
    ("error", "expected", "says"),
    [
        (
            botocore.exceptions.EndpointConnectionError(endpoint_url="https://kms.test/secret"),
            Unavailable,
            "AWS KMS gave no answer to sign: EndpointConnectionError$",
        ),
        (
            botocore.exceptions.ReadTimeoutError(endpoint_url="https://kms.test/secret"),
            Unavailable,
            "AWS KMS gave no answer to sign: ReadTimeoutError$",
        ),
        (botocore.exceptions.NoCredentialsError(), Unavailable, "no AWS credentials were found to sign with"),
        (botocore.exceptions.ParamValidationError(report="x"), Refused, "the key id cannot be one"),
    ],
)
def test_ask__no_answer__is_told_from_a_refusal(
    kms: Kms, error: Exception, expected: type[Exception], says: str
) -> None:
    client: Any = Failing(kms, "sign", error)
    signer = KmsSigner(client, kms.key())

    with pytest.raises(expected, match=says) as found:
        signer.sign(TX)

    assert found.value.__context__ is None


@pytest.mark.parametrize("signature", [b"garbage", b"\x30\x00"])
def test_sign__answer_is_no_signature__unavailable(kms: Kms, signature: bytes) -> None:
    signer = KmsSigner(kms.client, kms.key())
    with Stubber(kms.client) as stub:
        stub.add_response("sign", {"Signature": signature})
        with pytest.raises(Unavailable, match="no signature"):
            signer.sign(TX)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [({}, Unavailable), ({"PublicKey": b"garbage", "KeyUsage": "SIGN_VERIFY"}, Refused)],
)
def test_open__answer_holds_no_key__is_an_error(
    kms: Kms, answer: dict[str, Any], expected: type[Exception]
) -> None:
    with Stubber(kms.client) as stub:
        stub.add_response("get_public_key", answer)
        with pytest.raises(expected, match="key"):
            KmsSigner(kms.client, "alias/wallet")


def test_open__boto3_is_not_installed__is_said_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3.session", None)

    with pytest.raises(ValueError, match="needs the Python package boto3, which is not installed"):
        KmsSigner.open("alias/wallet", region=REGION)


@pytest.mark.parametrize(
    ("region", "endpoint_url"),
    [
        ("no region", None),
        (REGION, "kms.test"),
        (REGION, "ftp://kms.test"),
        (REGION, "https://me:sentinel@kms.test"),
        (REGION, "https://["),
        (REGION, "http://kms test"),
    ],
)
def test_open__impossible_region_or_endpoint__refused_without_repeating_it(
    kms: Kms, region: str, endpoint_url: str | None
) -> None:
    with pytest.raises(ValueError, match=r"region|endpoint_url") as found:
        KmsSigner.open("alias/wallet", region=region, endpoint_url=endpoint_url)

    assert "sentinel" not in str(found.value)


@pytest.fixture
def botocore_log() -> Iterator[None]:
    """Let botocore write everything, as at the root's level DEBUG, until it is told otherwise."""
    log = logging.getLogger("botocore")
    before = log.level
    log.setLevel(logging.DEBUG)
    yield
    log.setLevel(before)


@pytest.mark.usefixtures("botocore_log")
def test_open__at_debug_level__the_requests_are_not_logged(
    kms: Kms, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_id = kms.key()
    monkeypatch.setenv("AWS_SESSION_TOKEN", SESSION_TOKEN)

    with caplog.at_level(logging.DEBUG):
        KmsSigner.open(key_id, region=REGION).sign(TX)

    assert SESSION_TOKEN not in caplog.text


def test_signer__shown_or_pickled__is_an_address_and_nothing_else(kms: Kms) -> None:
    signer = KmsSigner(kms.client, kms.key())

    assert repr(signer) == str(signer) == f"KmsSigner({signer.address})"
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(signer)
