"""AWS KMS in this process: moto, mended where it differs from AWS. No socket is opened."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest import mock

import boto3
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from moto import mock_aws
from moto.kms.responses import KmsResponse
from moto.kms.utils import ECDSAPrivateKey

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION = "eu-central-1"


@dataclass(frozen=True)
class Kms:
    """A KMS of its own.

    :param client: boto3's client, to arrange things with.
    """

    client: Any

    def key(self, spec: str = "ECC_SECG_P256K1", usage: str = "SIGN_VERIFY") -> str:
        """Make a key, and return its id."""
        return str(self.client.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"])


@contextmanager
def local_kms(*, digests: bool = True) -> Iterator[Kms]:
    """Put a KMS in the place of AWS.

    :param digests: whether it signs a digest as it is, as AWS does. As it comes, moto hashes it once more.
    """
    plain = KmsResponse.sign

    def sign(response: KmsResponse) -> str:
        if response._get_param("MessageType") != "DIGEST":
            return plain(response)
        with mock.patch.object(ECDSAPrivateKey, "sign", _sign_digest):
            return plain(response)

    with mock_aws(), mock.patch.object(KmsResponse, "sign", sign if digests else plain):
        yield Kms(boto3.client("kms", region_name=REGION))


def _sign_digest(key: Any, message: bytes, _: str) -> bytes:
    signature: bytes = key.private_key.sign(message, ec.ECDSA(Prehashed(SHA256())))
    return signature
