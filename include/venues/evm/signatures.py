"""Signatures that were made elsewhere: put into a transaction, and never taken on trust.

A signer that is another machine can be misconfigured or broken into. What it gives back is used only when it
is a signature by our key of exactly the transaction that was asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from eth_keys.datatypes import PublicKey, Signature
from eth_keys.exceptions import BadSignature
from eth_utils.crypto import keccak
from hexbytes import HexBytes

from include.venues.errors import Refused
from include.venues.evm.signer import fields
from include.venues.evm.types import Address, SignedTransaction

if TYPE_CHECKING:
    from include.venues.evm.types import UnsignedTransaction

CURVE_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""n of secp256k1. Where (r, s) is a signature, (r, n - s) is one too, and Ethereum takes the lower s."""
_LONGEST_SHOWN: Final = 80


class SignatureMismatch(Refused):
    """What came back is not what was to be signed, or not signed by our key. Nothing was sent."""


def signing_hash(tx: UnsignedTransaction) -> bytes:
    """Return the 32 bytes that a signature of this EIP-1559 transaction is over."""
    return bytes(TypedTransaction.from_dict(fields(tx)).hash())


def address_of(public_key: bytes) -> Address:
    """Return the address of a public key given as DER, a SubjectPublicKeyInfo.

    :raises ValueError: when it is no public key on the curve secp256k1.
    """
    try:
        key = load_der_public_key(public_key)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("no public key in DER") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256K1):
        raise ValueError("not on the curve secp256k1, which Ethereum uses")
    point = key.public_numbers()
    both = point.x.to_bytes(32, "big") + point.y.to_bytes(32, "big")
    return str(PublicKey(both).to_checksum_address())


def from_der(signature: bytes) -> tuple[int, int]:
    """Return r and s of a signature given as DER.

    :raises ValueError: when it is none.
    """
    r, s = decode_dss_signature(signature)
    return r, s


def assemble(tx: UnsignedTransaction, r: int, s: int, signer: Address) -> SignedTransaction:
    """Put a signature into a transaction, with the lower s and the parity that recovers to the signer.

    :raises SignatureMismatch: when no parity does: another key signed, or something else was signed.
    """
    if not (0 < r < CURVE_ORDER and 0 < s < CURVE_ORDER):
        raise SignatureMismatch("the signature is outside the curve")
    low = min(s, CURVE_ORDER - s)
    digest = signing_hash(tx)
    for parity in (0, 1):
        if _recovered(digest, parity, r, low) == signer:
            signed = TypedTransaction.from_dict(fields(tx) | {"v": parity, "r": r, "s": low})
            raw = bytes(signed.encode())
            return SignedTransaction(raw, f"0x{keccak(raw).hex()}")
    msg = f"the signature is not one of this transaction by {signer}"
    raise SignatureMismatch(msg)


def verified(tx: UnsignedTransaction, raw: bytes, signer: Address) -> SignedTransaction:
    """Return a transaction that came back signed, once it is exactly the one that was asked for.

    :param raw: the signed bytes as they came.
    :raises SignatureMismatch: naming the first field that differs; or when its signature is not the signer's,
        or its bytes are not the one way to write it.
    """
    got = _decoded(raw)
    wanted = TypedTransaction.from_dict(fields(tx)).as_dict()
    for name, value in wanted.items():
        if _plain(got.get(name)) != _plain(value):
            msg = f"{name} was changed: asked for {_shown(value)}, got {_shown(got.get(name))}"
            raise SignatureMismatch(msg)
    ours = assemble(tx, got["r"], got["s"], signer)
    if ours.raw != raw:
        raise SignatureMismatch("the signed bytes are not written as Ethereum wants them")
    return ours


def _decoded(raw: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    try:
        found = dict(TypedTransaction.from_bytes(HexBytes(raw)).as_dict())
    except Exception:
        # The decoders raise whatever they stumble over in somebody else's bytes.
        found.clear()
    if not {"r", "s"} <= found.keys():
        raise SignatureMismatch("what came back is not a signed transaction")
    return found


def _recovered(digest: bytes, parity: int, r: int, s: int) -> Address | None:
    try:
        signature = Signature(vrs=(parity, r, s))
        return str(signature.recover_public_key_from_msg_hash(digest).to_checksum_address())
    except BadSignature:
        return None


def _plain(value: object) -> object:
    """Make what the decoder and the encoder hold alike comparable: a list is a tuple, bytes are bytes."""
    if isinstance(value, list | tuple):
        return tuple(_plain(item) for item in value)
    return bytes(value) if isinstance(value, bytes | bytearray) else value


def _shown(value: object) -> str:
    text = f"0x{value.hex()}" if isinstance(value, bytes | bytearray) else str(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
