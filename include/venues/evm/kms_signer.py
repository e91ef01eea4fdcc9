"""Signs with a key that never leaves AWS Key Management Service."""

from __future__ import annotations

import importlib
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from include.venues.errors import Refused, Unavailable, VenueError
from include.venues.evm.signatures import address_of, assemble, from_der, signing_hash
from include.venues.evm.signer import NotPicklable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.venues.evm.types import Address, SignedTransaction, UnsignedTransaction

KEY_SPEC: Final = "ECC_SECG_P256K1"
KEY_USAGE: Final = "SIGN_VERIFY"
ALGORITHM: Final = "ECDSA_SHA_256"
"""AWS's name of the only algorithm of such a key. With a digest given, AWS hashes nothing more."""

_CONNECT_SECONDS: Final = 5
_READ_SECONDS: Final = 10
_ATTEMPTS: Final = 2
"""A second signature of the same transaction does no harm: only the one that is stored is ever broadcast."""

# Asking again may help with these, and with every 5xx.
_PASSING: Final = frozenset(
    {
        "DependencyTimeoutException",
        "KMSInternalException",
        "KeyUnavailableException",
        "LimitExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
# AWS's words on these help a person, and hold no more than names. Others may repeat the request's headers,
# and with them a session token.
_QUOTED: Final = frozenset(
    {
        "AccessDeniedException",
        "DisabledException",
        "InvalidArnException",
        "InvalidKeyUsageException",
        "KMSInvalidStateException",
        "NotFoundException",
        "ValidationException",
    }
)
_LONGEST_QUOTE: Final = 300


class KmsClient(Protocol):
    """As much of boto3's KMS client as is used. Its parameters are named as AWS names them."""

    def get_public_key(self, **parameters: Any) -> Mapping[str, Any]:
        """Return the public half of a key."""
        ...

    def sign(self, **parameters: Any) -> Mapping[str, Any]:
        """Sign a message or a digest."""
        ...


class KmsSigner(NotPicklable):
    """Signs with an asymmetric KMS key on the curve secp256k1.

    AWS draws a random number for each signature, so the same transaction gives other bytes every time.

    :param client: boto3's KMS client.
    :param key_id: id, ARN or alias of the key.
    :raises Refused: when AWS does not let us read the key, or it is not for signing Ethereum transactions.
    :raises Unavailable: when AWS did not answer.
    """

    __slots__ = ("_client", "_key_id", "address")

    def __init__(self, client: KmsClient, key_id: str) -> None:
        self._client = client
        self._key_id = key_id
        self.address: Address = self._read_address()

    @classmethod
    def open(cls, key_id: str, *, region: str, endpoint_url: str | None = None) -> KmsSigner:
        """Return a signer with the credentials that boto3 finds by itself.

        :param endpoint_url: another endpoint than the region's own, such as one inside a private network.
        :raises ValueError: when boto3 is not installed, or the region or the endpoint cannot be one.
        :raises Refused: as the class does.
        :raises Unavailable: as the class does.
        """
        return cls(_client(region, endpoint_url), key_id)

    def __repr__(self) -> str:
        return f"KmsSigner({self.address})"

    def sign(self, tx: UnsignedTransaction) -> SignedTransaction:
        """Sign an EIP-1559 transaction.

        :raises SignatureMismatch: when AWS signed something else, or not with the key it showed.
        :raises Refused: when AWS will not sign: no permission, the key disabled or to be deleted.
        :raises Unavailable: when AWS did not answer, or limits our requests.
        """
        answer = self._ask(
            "sign",
            Message=signing_hash(tx),
            MessageType="DIGEST",
            SigningAlgorithm=ALGORITHM,
        )
        try:
            r, s = from_der(answer["Signature"])
        except (KeyError, TypeError, ValueError):
            raise Unavailable("AWS KMS answered Sign with something that is no signature") from None
        return assemble(tx, r, s, self.address)

    def _read_address(self) -> Address:
        answer = self._ask("get_public_key")
        usage, public_key = answer.get("KeyUsage"), answer.get("PublicKey")
        if not isinstance(public_key, bytes):
            raise Unavailable("AWS KMS answered GetPublicKey without a key")
        try:
            if usage != KEY_USAGE:
                raise ValueError(f"a key for {usage}")
            return address_of(public_key)
        except ValueError as error:
            why = str(error)
        raise Refused(f"the AWS KMS key is {why}; it has to be an {KEY_SPEC} key for {KEY_USAGE}")

    def _ask(self, operation: str, **parameters: Any) -> Mapping[str, Any]:
        exceptions: Any = _module("botocore.exceptions")
        problem: VenueError
        try:
            answer: Mapping[str, Any] = getattr(self._client, operation)(KeyId=self._key_id, **parameters)
        except exceptions.ClientError as error:
            problem = _judged(operation, error.response)
        except exceptions.ParamValidationError:
            problem = Refused(f"AWS KMS cannot be asked to {_words(operation)}: the key id cannot be one")
        except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError):
            # The service that hands them out to a machine may be away for a moment.
            problem = Unavailable(f"no AWS credentials were found to {_words(operation)} with")
        except exceptions.BotoCoreError as error:
            problem = Unavailable(f"AWS KMS gave no answer to {_words(operation)}: {type(error).__name__}")
        else:
            return answer
        # Raised out here, and with none of the original, which may hold more than names.
        raise problem


def _judged(operation: str, response: Mapping[str, Any]) -> VenueError:
    """Turn AWS's error answer into ours."""
    error, about = response.get("Error", {}), response.get("ResponseMetadata", {})
    code, status = str(error.get("Code", "")), int(about.get("HTTPStatusCode") or 0)
    request_id = about.get("RequestId")
    text = f"AWS KMS refused to {_words(operation)}: {code}"
    passing = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS
    if passing or code in _PASSING:
        text = f"AWS KMS could not {_words(operation)} now: {code}"
        return Unavailable(text, request_id=request_id)
    quote = str(error.get("Message", ""))[:_LONGEST_QUOTE] if code in _QUOTED else ""
    return Refused(f"{text}: {quote}" if quote else text, request_id=request_id)


def _words(operation: str) -> str:
    return operation.replace("_", " ").replace("get", "read")


def _client(region: str, endpoint_url: str | None) -> KmsClient:
    boto3, config, exceptions = (
        _module(name) for name in ("boto3.session", "botocore.config", "botocore.exceptions")
    )
    if endpoint_url is not None:
        _check(endpoint_url)
    log = logging.getLogger("botocore")
    # Below this level it writes whole requests, headers and session token included, into the log.
    log.setLevel(max(log.getEffectiveLevel(), logging.INFO))
    settings = config.Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
    )
    why = ""
    try:
        client: KmsClient = boto3.Session().client(
            "kms", region_name=region, endpoint_url=endpoint_url, config=settings
        )
    except (exceptions.BotoCoreError, ValueError) as error:
        why = type(error).__name__
    else:
        return client
    raise ValueError(f"no client of AWS KMS can be made for its region and endpoint_url: {why}")


def _check(endpoint_url: str) -> None:
    try:
        parts = urlsplit(endpoint_url)
        sound = parts.scheme in {"http", "https"} and parts.hostname and "@" not in parts.netloc
    except ValueError:
        sound = False
    if not sound:
        raise ValueError("endpoint_url must be http(s)://host, without credentials")


def _module(name: str) -> Any:
    """Import a part of boto3, which only those who keep their key in AWS need."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ValueError("a key in AWS KMS needs the Python package boto3, which is not installed") from None
