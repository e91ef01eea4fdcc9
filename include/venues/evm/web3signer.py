"""Signs with a key that a Web3Signer service holds, asked over HTTP and never taken at its word."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from include.venues.errors import Refused, Unavailable
from include.venues.evm import parse
from include.venues.evm.addresses import checked
from include.venues.evm.errors import NodeError
from include.venues.evm.rpc import Rpc
from include.venues.evm.signatures import SignatureMismatch, verified
from include.venues.evm.signer import NotPicklable, fields
from include.venues.evm.transport import NodeProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import requests

    from include.venues.evm.types import Address, SignedTransaction, UnsignedTransaction

T = TypeVar("T")

TIMEOUT: Final = 10.0
"""Seconds for one request. The service may have to ask a vault or an HSM first."""

_INTERNAL_ERROR: Final = -32603
"""JSON-RPC's code for a fault of the service itself: it may pass."""


class Web3Signer(NotPicklable):
    """Signs through one service for each chain, because Web3Signer signs for the one chain it is started for.

    :param urls: the service's URL by chain id, without credentials; the same one twice where one serves both.
    :param address: whose key is used.
    :param timeout: the longest that one request may take, in seconds.
    :param ca_file: the certificates to trust, as PEM, where no public authority has signed the service's.
    :param client_certificate: certificate and key that prove who we are, in one file of PEM.
    :raises ValueError: when a URL or the address cannot be one, or a file is not there.
    """

    __slots__ = ("_services", "address")

    def __init__(
        self,
        urls: Mapping[int, str],
        address: Address,
        *,
        timeout: float = TIMEOUT,
        ca_file: str | None = None,
        client_certificate: str | None = None,
    ) -> None:
        self.address: Address = checked(address)
        self._services = {
            chain_id: _service(url, timeout, ca_file, client_certificate) for chain_id, url in urls.items()
        }

    def __repr__(self) -> str:
        return f"Web3Signer({self.address})"

    def verify(self) -> None:
        """Ask each service whether it holds the key of our address.

        :raises Refused: when one does not.
        :raises Unavailable: when one did not answer.
        """
        for service in self._services.values():
            accounts = _ask(service, _addresses, "eth_accounts")
            if self.address not in accounts:
                raise Refused(f"{service.label} holds no key of {self.address}")

    def sign(self, tx: UnsignedTransaction) -> SignedTransaction:
        """Sign an EIP-1559 transaction.

        :raises SignatureMismatch: when what came back is not this very transaction, signed by our key.
        :raises Refused: when the service will not sign, or there is none for the chain.
        :raises Unavailable: when it did not answer, or with garbage.
        """
        service = self._services.get(tx.chain_id)
        if service is None:
            raise Refused(f"there is no signing service for chain {tx.chain_id}")
        raw = _ask(service, parse.data, "eth_signTransaction", {"from": self.address, **_as_json(tx)})
        try:
            return verified(tx, raw, self.address)
        except SignatureMismatch as mismatch:
            why = str(mismatch)
        raise SignatureMismatch(f"{service.label} did not sign what it was asked to: {why}")


class _Provider(NodeProvider):
    """The transport of a node's requests, with certificates of its own."""

    def __init__(self, url: str, *, timeout: float, verify: str | None, certificate: str | None) -> None:
        super().__init__(url, timeout=timeout)
        self._verify = verify
        self._certificate = certificate

    def _session(self) -> requests.Session:
        session = super()._session()
        # Neither a proxy nor a password file from the environment has a say in who signs.
        session.trust_env = False
        session.verify = self._verify or True
        session.cert = self._certificate
        return session


def _service(url: str, timeout: float, ca_file: str | None, client_certificate: str | None) -> Rpc:
    for name, path in (("ca_file", ca_file), ("client_certificate", client_certificate)):
        if path is not None and not Path(path).is_file():
            raise ValueError(f"the file that {name} names is not there")
    provider = _Provider(url, timeout=timeout, verify=ca_file, certificate=client_certificate)
    if "@" in urlsplit(url).netloc:
        raise ValueError("the URL of a signing service must not hold credentials")
    return Rpc(provider, label=f"the signing service at {provider.host}", redact=provider.redact)


def _ask(service: Rpc, parsed: Callable[[Any], T], method: str, *params: object) -> T:
    try:
        answer = service.ask(method, *params)
    except NodeError as error:
        if error.code == _INTERNAL_ERROR:
            raise Unavailable(f"{service.label} failed at {method}: {error}") from error
        raise Refused(f"{service.label} refused {method}: {error}") from error
    try:
        return parsed(answer)
    except parse.MALFORMED as problem:
        raise Unavailable(f"{service.label} gave a malformed answer to {method}") from problem


def _addresses(value: Any) -> list[Address]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return [parse.address(item) for item in value]


def _as_json(tx: UnsignedTransaction) -> dict[str, str]:
    """Write the fields as JSON-RPC does: numbers and bytes as hex."""
    return {name: _hex(value) for name, value in fields(tx).items()}


def _hex(value: object) -> str:
    if isinstance(value, int):
        return hex(value)
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)
