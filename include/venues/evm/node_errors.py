"""What the texts of different nodes mean.

JSON-RPC gives these errors no codes of their own, so each client says them in its own words. What no pattern
knows stays unjudged: the callers then take it for "cannot say" and never for "did not happen".
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import TYPE_CHECKING

from include.venues.evm.errors import Reverted

if TYPE_CHECKING:
    from include.venues.evm.errors import NodeError


class Meaning(Enum):
    """What an error text tells about a transaction."""

    ALREADY_KNOWN = auto()
    NONCE_TOO_LOW = auto()
    REPLACEMENT_UNDERPRICED = auto()
    UNDERPRICED = auto()
    INSUFFICIENT_FUNDS = auto()
    INVALID = auto()


# The first match counts, so the narrower text stands before the wider one.
# Left out on purpose: "txpool is full" and Nethermind's "FeeTooLow", after which the pool may still hold it.
_TRANSACTION_TEXTS: tuple[tuple[Meaning, str], ...] = (
    (
        Meaning.ALREADY_KNOWN,
        r"already ?known|known transaction|already imported|existing tx with same hash|tx already in mempool"
        r"|transaction already exists",
    ),
    (Meaning.NONCE_TOO_LOW, r"nonce (is )?too low|\boldnonce\b|nonce has already been used"),
    (
        Meaning.REPLACEMENT_UNDERPRICED,
        r"replacement transaction underpriced|could not replace existing tx|replacementnotallowed"
        r"|another transaction with same nonce|insufficient gas price to replace|replacement fee too low",
    ),
    (
        Meaning.INSUFFICIENT_FUNDS,
        r"insufficient ?funds|insufficient balance for transfer|not enough funds|doesn't have enough funds"
        r"|upfront cost exceeds account balance|lack of funds",
    ),
    (
        Meaning.UNDERPRICED,
        r"transaction underpriced|less than block base fee|below current base fee"
        r"|below configured minimum gas price|gas price is too low|gas price too low",
    ),
    (
        Meaning.INVALID,
        r"intrinsic gas too low|intrinsic gas exceeds gas limit|exceeds block gas limit"
        r"|exceeds the configured cap|transaction fee cap exceeded|invalid sender|invalid signature"
        r"|invalid chain ?id|wrong chain ?id"
        r"|higher than max fee per gas|transaction type not supported|failed to decode (signed )?transaction"
        r"|oversized data|only replay-protected",
    ),
)
_MEANINGS = tuple((meaning, re.compile(text, re.IGNORECASE)) for meaning, text in _TRANSACTION_TEXTS)

_METHOD_NOT_FOUND = -32601
_LACKS_METHOD = re.compile(r"method .*(not (found|supported|available|exist)|unsupported)", re.IGNORECASE)
_REVERT_CODE = 3
_REVERTED = re.compile(
    r"execution reverted|vm execution error|vm exception|reverted with|invalid ?(fe)? ?opcode|invalid jump"
    r"|stack (under|over)flow|gas required exceeds allowance|out of gas",
    re.IGNORECASE,
)
_REASON = re.compile(
    r"(?:execution reverted|reverted with reason string|vm exception[^:]*)\s*:?\s*(.*)", re.I | re.S
)
_TOO_MANY_LOGS = re.compile(
    r"more than \d+ (results|logs)|too many (results|logs|blocks)|response size|block range|range (limit|\d+)"
    r"|\d+ (blocks? )?range|exceed(s|ed)? (the )?(max|range)|query timeout",
    re.IGNORECASE,
)
_BEYOND_HEAD = re.compile(r"beyond|future|out ?of ?range|unknown block|not found", re.IGNORECASE)


def meaning_of(error: NodeError) -> Meaning | None:
    """Say what a refusal of a transaction means; None for a text that proves nothing."""
    text = _text(error)
    return next((meaning for meaning, pattern in _MEANINGS if pattern.search(text)), None)


def revert_of(error: NodeError) -> Reverted | None:
    """Read an error of a simulated call as the contract's own refusal; None when it is something else."""
    data = _revert_data(error.data)
    if error.code != _REVERT_CODE and not data and not _REVERTED.search(_text(error)):
        return None
    if data:
        return Reverted.from_data(data)
    found = _REASON.search(error.message)
    said = found.group(1).strip(" '\"") if found else error.message
    return Reverted(said or "no reason given")


def lacks_method(error: NodeError) -> bool:
    """Tell whether the node simply does not offer the method."""
    return error.code == _METHOD_NOT_FOUND or bool(_LACKS_METHOD.search(error.message))


def asks_for_fewer_blocks(error: NodeError) -> bool:
    """Tell whether a search for logs failed only because it was too wide."""
    text = _text(error)
    return bool(_TOO_MANY_LOGS.search(text)) and not _BEYOND_HEAD.search(text)


def _text(error: NodeError) -> str:
    return f"{error.message} {error.data}" if isinstance(error.data, str) else error.message


def _revert_data(attached: object) -> bytes:
    """Find the revert data: most clients give hex, some put a word before it, some nest it."""
    if isinstance(attached, dict):
        return _revert_data(attached.get("data"))
    if not isinstance(attached, str):
        return b""
    text = attached.removeprefix("Reverted ").strip()
    try:
        return bytes.fromhex(text[2:]) if text.startswith("0x") else b""
    except ValueError:
        return b""
