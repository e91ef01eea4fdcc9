"""Mints and redemptions: the rules, without HTTP and without chains."""

from __future__ import annotations

import re
import uuid
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from eth_utils.address import is_address

from include.sandbox.alpaca.errors import coded
from include.sandbox.alpaca.journal import Book
from include.sandbox.alpaca.state import (
    Incoming,
    Replay,
    Stage,
    TokenizationRequest,
    decimals,
    floor_to,
    new_id,
    parse_number,
    plain_number,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.sandbox.alpaca.core import Core

SHARE_DECIMALS = 9
TOKEN_UNIT = Decimal(10) ** 18
REQUIRED = ("underlying_symbol", "qty", "issuer", "network", "wallet_address")
_KEY = re.compile(r"[!-~]{1,128}")
_CLIENT_ID = re.compile(r"[!-~]([ -~]{0,126}[!-~])?")


def accept_mint(core: Core, body: Any, key: str | None) -> tuple[dict[str, Any], bool]:
    """Take on a mint, or answer again for one that this key already stands for.

    :returns: the answer, and whether it is a replay.
    :raises ApiError: the mint is refused; nothing happened.
    """
    if not isinstance(body, dict):
        raise coded(400, 40010000, "failed to decode request body")
    if key is not None:
        key = key.strip()
        if not _KEY.fullmatch(key):
            raise coded(400, 40010000, "Idempotency-Key must be 1 to 128 printable ASCII characters")
        replay = core.state.replays.get(key)
        if replay is not None:
            return _replayed(core, replay, body), True
    request = _new_mint(core, body)
    core.state.requests[request.id] = request
    answer = lean_view(core, request)
    if key is not None:
        core.state.replays[key] = Replay(body=body, request_id=request.id, answer=answer)
    core.move_on(request, Stage.ACCEPTED, core.latencies.mint_journal)
    return answer, False


def _replayed(core: Core, replay: Replay, body: dict[str, Any]) -> dict[str, Any]:
    if body != replay.body:
        raise coded(422, 42210001, "Idempotency-Key was used with a different request body")
    request = core.state.requests[replay.request_id]
    if request.status == "rejected":
        raise coded(400, 40010000, "the original request was rejected")
    return replay.answer if core.rules.replay == "original" else lean_view(core, request)


def _new_mint(core: Core, body: dict[str, Any]) -> TokenizationRequest:
    missing = [f"{name} is required" for name in REQUIRED if not body.get(name)]
    if missing:
        raise coded(422, 42210001, ", ".join(missing))
    if not all(isinstance(body[name], str) for name in REQUIRED):
        raise coded(400, 40010000, "failed to decode request body")
    symbol, wallet = body["underlying_symbol"], body["wallet_address"]
    qty = parse_number(body["qty"])
    if qty is None or qty <= 0:
        raise coded(422, 42210001, "qty must be a positive number")
    if decimals(qty) > SHARE_DECIMALS:
        raise coded(400, 40010000, f"qty must have at most {SHARE_DECIMALS} decimal places")
    if body["issuer"] != core.profile.issuer or body["network"] != core.profile.network:
        raise coded(422, 42210001, "invalid issuer or network")
    if symbol not in core.profile.stocks:
        raise coded(422, 42210001, f"{symbol} is not supported for tokenization")
    if not is_address(wallet) or wallet.lower() not in {w.lower() for w in core.profile.linked_wallets}:
        raise coded(422, 42210001, "invalid wallet address")
    client_id = body.get("client_request_id")
    if client_id is not None and not (isinstance(client_id, str) and _CLIENT_ID.fullmatch(client_id)):
        raise coded(422, 42210001, "client_request_id must be 1 to 128 printable ASCII characters")
    if core.state.available(symbol) < qty:
        raise _insufficient(core, symbol)
    now = core.clock()
    return TokenizationRequest(
        id=new_id(),
        created_at=now,
        updated_at=now,
        due=now,
        fate=core.faults.fate("mint"),
        type="mint",
        symbol=symbol,
        qty=qty,
        issuer=body["issuer"],
        network=body["network"],
        wallet_address=wallet,
        client_request_id=client_id,
    )


def _insufficient(core: Core, symbol: str) -> Exception:
    status = core.rules.insufficient_status
    code = {400: 40010000, 403: 40310000, 422: 42210001}[status]
    return coded(status, code, f"insufficient position for {symbol}")


def journal_mint(core: Core, request: TokenizationRequest) -> None:
    """Move the shares of an accepted mint to the issuer, or reject it as its fate says."""
    if request.fate == "reject":
        finish_request(core, request, "rejected")
        return
    core.state.journal.move(
        request.symbol,
        request.qty,
        Book.MAKER,
        Book.MINTING,
        memo=f"mint {request.id}",
        at=core.clock(),
    )
    core.move_on(request, Stage.JOURNALED, core.latencies.mint_token)


def reject_journaled_mint(core: Core, request: TokenizationRequest) -> None:
    """Reject a mint whose shares are with the issuer, who gives them back or not, as its fate says."""
    if request.fate == "reject_returned":
        core.state.journal.move(
            request.symbol,
            request.qty,
            Book.MINTING,
            Book.MAKER,
            memo=f"return of rejected mint {request.id}",
            at=core.clock(),
        )
    finish_request(core, request, "rejected")


def complete_mint(core: Core, request: TokenizationRequest, transaction_hash: str) -> None:
    """Record that the tokens of a mint exist."""
    core.state.journal.move(
        request.symbol,
        request.qty,
        Book.MINTING,
        Book.TOKENIZED,
        memo=f"mint {request.id} in {transaction_hash}",
        at=core.clock(),
    )
    request.tx_hash = transaction_hash
    finish_request(core, request, "completed")


def record_redemption(core: Core, incoming: Incoming) -> TokenizationRequest:
    """List the redemption of tokens that came to the issuer's wallet; its row has the hash at once."""
    now = core.clock()
    tokens = Decimal(incoming.amount).scaleb(-18)
    qty = floor_to(tokens, SHARE_DECIMALS)
    request = TokenizationRequest(
        id=new_id(),
        created_at=now,
        updated_at=now,
        due=now,
        fate=incoming.fate,
        type="redeem",
        symbol=incoming.asset,
        qty=qty,
        dust=tokens - qty,
        issuer=core.profile.issuer,
        network=core.profile.network,
        wallet_address=incoming.sender,
        tx_hash=incoming.transaction_hash,
        issuer_request_id=new_id(),
    )
    incoming.handled = True
    core.state.requests[request.id] = request
    core.move_on(request, Stage.ACCEPTED, core.latencies.redemption_credit)
    return request


def credit_redemption(core: Core, request: TokenizationRequest) -> None:
    """Give the shares of a redemption to the maker, or reject it as its fate says."""
    if request.fate == "reject":
        finish_request(core, request, "rejected")
        return
    core.state.journal.move(
        request.symbol,
        request.qty,
        Book.TOKENIZED,
        Book.MAKER,
        memo=f"redemption {request.id}",
        at=core.clock(),
    )
    finish_request(core, request, "completed")


def finish_request(core: Core, request: TokenizationRequest, status: str) -> None:
    """Close a request."""
    request.status = status
    core.move_on(request, Stage.DONE)


def lean_view(core: Core, request: TokenizationRequest) -> dict[str, Any]:
    """Show a mint as the answer to its POST does."""
    view = {
        "id" if core.rules.mint_answers_id else "tokenization_request_id": request.id,
        "created_at": core.timestamp(request.created_at),
        "status": request.status,
        "underlying_symbol": request.symbol,
        "token_symbol": _token_symbol(core, request),
        "qty": plain_number(request.qty),
        "issuer": request.issuer,
        "network": request.network,
    }
    if request.client_request_id is not None:
        view["client_request_id"] = request.client_request_id
    return view


def full_view(core: Core, request: TokenizationRequest) -> dict[str, Any]:
    """Show a request as reads do."""
    view = {
        "tokenization_request_id": request.id,
        "type": request.type,
        "status": request.status,
        "underlying_symbol": request.symbol,
        "token_symbol": _token_symbol(core, request),
        "qty": plain_number(request.qty),
        "issuer": request.issuer,
        "network": request.network,
        "wallet_address": request.wallet_address,
        "tx_hash": request.tx_hash,
        "created_at": core.timestamp(request.created_at),
        "updated_at": core.timestamp(request.updated_at),
    }
    if request.client_request_id is not None:
        view["client_request_id"] = request.client_request_id
    if request.issuer_request_id is not None:
        view["issuer_request_id"] = request.issuer_request_id
    if core.rules.tokenization_fee is not None and request.status == "completed":
        view["fees"] = core.rules.tokenization_fee
    return view


def list_requests(core: Core, query: Mapping[str, str]) -> list[dict[str, Any]]:
    """List requests, newest first, by type, status, underlying_symbol, after and before (both exclusive)."""
    after, before = _moment(query, "after"), _moment(query, "before")
    rows = []
    for request in sorted(core.state.requests.values(), key=lambda r: r.created_at, reverse=True):
        fits = (
            query.get("type", request.type) == request.type
            and (core.rules.leak_filters or query.get("status", request.status) == request.status)
            and query.get("underlying_symbol", request.symbol) == request.symbol
            and (after is None or request.created_at > after)
            and (before is None or request.created_at < before)
        )
        if fits:
            rows.append(full_view(core, request))
    if core.rules.malformed_rows:
        rows.insert(len(rows) // 2, {"tokenization_request_id": new_id(), "status": "pending", "qty": None})
    return rows


def request_by_id(core: Core, request_id: str) -> dict[str, Any]:
    """Show one request.

    :raises ApiError: 422 for what is no UUID, 404 for an unknown one.
    """
    try:
        uuid.UUID(request_id)
    except ValueError:
        raise coded(422, 42210001, "tokenization_request_id must be a UUID") from None
    request = core.state.requests.get(request_id.lower())
    if request is None:
        raise coded(404, 40410000, "tokenization request not found")
    return full_view(core, request)


def request_by_client_id(core: Core, client_request_id: str | None) -> dict[str, Any]:
    """Show the newest mint that carries a client's id.

    :raises ApiError: 422 without an id, 404 for an unknown one.
    """
    if not client_request_id:
        raise coded(422, 42210001, "client_request_id query parameter is required")
    matches = [r for r in core.state.requests.values() if r.client_request_id == client_request_id]
    if not matches:
        raise coded(404, 40410000, "tokenization request not found")
    return full_view(core, max(matches, key=lambda r: r.created_at))


def _token_symbol(core: Core, request: TokenizationRequest) -> str:
    # The issuer names the token when it has minted it; a redemption names it from the start.
    named = request.type == "redeem" or request.status == "completed"
    return core.profile.stocks[request.symbol].token_symbol if named else ""


def _moment(query: Mapping[str, str], name: str) -> datetime | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        # A `+` that was not escaped arrives as a space.
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise coded(422, 42210001, f"failed to parse {name}") from None
    if moment.tzinfo is None:
        raise coded(422, 42210001, f"failed to parse {name}")
    return moment
