"""The HTTP side of the attestation service: Circle's paths and shapes, and a page of settings."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import RootModel, ValidationError
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from include.sandbox.messages import FAST, STANDARD, public_key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from decimal import Decimal

    from starlette.requests import Request

    from include.sandbox.attestation import AttestationService, Entry

_HASH = re.compile(r"0x[0-9a-fA-F]{64}")


def attestation_app(service: AttestationService) -> Starlette:
    """Return the application that answers for a service."""
    handlers = _Handlers(service)
    return Starlette(
        routes=[
            Route("/v2/messages/{domain:int}", handlers.public(handlers.messages)),
            Route("/v2/reattest/{nonce}", handlers.public(handlers.reattest), methods=["POST"]),
            Route("/v2/burn/USDC/fees/{source:int}/{destination:int}", handlers.public(handlers.fees)),
            Route("/v2/fastBurn/USDC/allowance", handlers.public(handlers.allowance)),
            Route("/v2/publicKeys", handlers.public(handlers.public_keys)),
            Route("/_sandbox/settings", handlers.settings, methods=["GET", "PATCH"]),
        ]
    )


class _Change(RootModel[dict[str, Any]]):
    """The body of a PATCH."""


class _Handlers:
    def __init__(self, service: AttestationService) -> None:
        self._service = service

    def public(
        self, handler: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Let the settings make every public endpoint fail."""

        async def guarded(request: Request) -> Response:
            status = self._service.settings.fail_with
            if status is None:
                return await handler(request)
            return _error(status, "The sandbox was told to fail")

        return guarded

    async def messages(self, request: Request) -> Response:
        """Answer `GET /v2/messages/{domain}?transactionHash=` or `?nonce=`."""
        transaction_hash = request.query_params.get("transactionHash")
        nonce = request.query_params.get("nonce")
        if transaction_hash is None and nonce is None:
            return _error(400, "transactionHash or nonce is needed")
        if not all(value is None or _HASH.fullmatch(value) for value in (transaction_hash, nonce)):
            return _error(400, "transactionHash and nonce are 32 bytes in hex")
        found = self._service.messages(
            request.path_params["domain"],
            transaction_hash=None if transaction_hash is None else transaction_hash.lower(),
            nonce=None if nonce is None else bytes.fromhex(nonce[2:]),
        )
        if not found:
            return _error(404, "Message not found")
        return JSONResponse({"messages": [_entry(entry) for entry in found]})

    async def reattest(self, request: Request) -> Response:
        """Answer `POST /v2/reattest/{nonce}`."""
        nonce = request.path_params["nonce"]
        if not _HASH.fullmatch(nonce):
            return _error(400, "A nonce is 32 bytes in hex")
        try:
            refusal = self._service.reattest(bytes.fromhex(nonce[2:]))
        except KeyError:
            return _error(404, "Nonce not found")
        if refusal is not None:
            return JSONResponse({"message": "Cannot re-attest requested message.", "error": refusal}, 400)
        return JSONResponse(
            {"message": "Re-attestation successfully requested for nonce.", "nonce": nonce.lower()}
        )

    async def fees(self, request: Request) -> Response:
        """Answer `GET /v2/burn/USDC/fees/{source}/{destination}`."""
        source, destination = request.path_params["source"], request.path_params["destination"]
        fees = self._service.settings.fast_fee_bps
        if source not in fees or destination not in fees or source == destination:
            return _error(400, "Unknown source or destination domain")
        return JSONResponse(
            [
                {"finalityThreshold": FAST, "minimumFee": _number(fees[source])},
                {"finalityThreshold": STANDARD, "minimumFee": 0},
            ]
        )

    async def allowance(self, _: Request) -> Response:
        """Answer `GET /v2/fastBurn/USDC/allowance`."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return JSONResponse({"allowance": _number(self._service.allowance()), "lastUpdated": now})

    async def public_keys(self, _: Request) -> Response:
        """Answer `GET /v2/publicKeys`."""
        keys = [public_key(role) for role in self._service.deployment.attesters]
        return JSONResponse({"publicKeys": [{"publicKey": key, "cctpVersion": 2} for key in keys]})

    async def settings(self, request: Request) -> Response:
        """Show the settings, or change those that the body of a PATCH names."""
        if request.method == "PATCH":
            try:
                change = _Change.model_validate_json(await request.body()).root
                self._service.change(self._service.settings.patched(change))
            except ValidationError as error:
                return JSONResponse({"errors": error.errors(include_url=False, include_context=False)}, 422)
        return JSONResponse(self._service.settings.model_dump(mode="json"))


def _entry(entry: Entry) -> dict[str, Any]:
    shown = {"eventNonce": "0x" + entry.sent.nonce.hex(), "cctpVersion": 2}
    if entry.attested is None:
        return shown | {
            "attestation": "PENDING",
            "message": "0x",
            "status": "pending_confirmations",
            "decodedMessage": None,
            "delayReason": entry.delay_reason,
        }
    return shown | {
        "attestation": "0x" + entry.signatures.hex(),
        "message": "0x" + entry.attested.data.hex(),
        "status": "complete",
        "decodedMessage": entry.attested.decoded(),
        "delayReason": None,
    }


def _number(value: Decimal) -> int | float:
    # The real service sends JSON numbers, fractional ones too
    return int(value) if value == value.to_integral_value() else float(value)


def _error(status: int, text: str) -> Response:
    return JSONResponse({"code": status, "error": text}, status)
