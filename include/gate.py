"""The freeze gate: a service of the operator's own that is asked before an equity is moved.

`GET {gate_url}?asset=AAPL&kind=mint&amount=31` answers with status 200 and the JSON object
`{"frozen": false, "reason": "..."}`. Anything else counts as silence.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

from include.domain.amounts import plain
from include.domain.decision import PlannedOperation, Reason
from include.domain.limits import Shut
from include.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

log = logging.getLogger(__name__)

Ask: TypeAlias = Callable[[Settings, Collection[PlannedOperation]], Mapping[str, Shut]]
"""How the gate is asked: by asset, what is not to pass; what is not in the answer may."""

_MOST_BYTES: Final = 64 * 1024
_MOST_WORDS: Final = 200
_AT_ONCE: Final = 100


class _Silence(Exception):
    """The gate gave no usable answer, and why."""


def ask(
    settings: Settings,
    operations: Collection[PlannedOperation],
    *,
    transport: httpx.AsyncBaseTransport | None = None,
) -> dict[str, Shut]:
    """Ask the gate about all these operations at the same time, and return which must not pass.

    Without `gate_url` nothing is asked. The whole takes no longer than `gate_timeout`. An asset that the gate
    is silent about does not pass, unless `gate_silence` is proceed.
    """
    if settings.gate_url is None or not operations:
        return {}
    seconds = settings.gate_timeout.total_seconds()
    answers = asyncio.run(
        _ask_all(settings.gate_url.get_secret_value(), operations, seconds, transport=transport)
    )
    shut: dict[str, Shut] = {}
    for operation, answer in zip(operations, answers, strict=True):
        if answer is None:
            continue
        if answer.reason is Reason.GATE_SILENT and settings.gate_silence == "proceed":
            log.warning("%s passes, as gate_silence says: %s", operation.asset, answer.why)
            continue
        shut[operation.asset] = answer
    return shut


async def _ask_all(
    url: str,
    operations: Collection[PlannedOperation],
    seconds: float,
    *,
    transport: httpx.AsyncBaseTransport | None,
) -> list[Shut | None]:
    import httpx  # noqa: PLC0415 - heavy, and most have no gate

    try:
        address = httpx.URL(url)
    except httpx.InvalidURL:
        return [Shut(Reason.GATE_SILENT, "the gate could not be asked (gate_url is no URL)")] * len(
            operations
        )
    limits = httpx.Limits(max_connections=_AT_ONCE)
    async with httpx.AsyncClient(timeout=seconds, limits=limits, transport=transport) as client:
        with _unseen(address.host):
            return await asyncio.gather(*(_ask_about(client, address, one, seconds) for one in operations))


async def _ask_about(
    client: httpx.AsyncClient, url: httpx.URL, operation: PlannedOperation, seconds: float
) -> Shut | None:
    """Return what the gate says against an operation. No part of its URL is repeated: it may be secret."""
    import httpx  # noqa: PLC0415 - heavy, and most have no gate

    question = {
        "asset": operation.asset,
        "kind": operation.kind.value,
        "amount": plain(operation.amount),
    }
    try:
        # A slow sender keeps every single read short, so the whole answer has a limit of its own.
        async with (
            asyncio.timeout(seconds),
            client.stream("GET", url.copy_merge_params(question)) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise _Silence(f"the gate answered with HTTP {response.status_code}")
            frozen, why = _read(await _body(response))
    except _Silence as silence:
        return Shut(Reason.GATE_SILENT, str(silence))
    except TimeoutError:
        return Shut(Reason.GATE_SILENT, f"the gate gave no answer within {seconds:g} s")
    except (httpx.HTTPError, OSError) as error:
        return Shut(Reason.GATE_SILENT, f"the gate could not be asked ({type(error).__name__})")
    return Shut(Reason.FROZEN, f"the gate says it is frozen: {why}") if frozen else None


async def _body(response: httpx.Response) -> bytes:
    body = b""
    async for part in response.aiter_bytes():
        body += part
        if len(body) > _MOST_BYTES:
            raise _Silence("the gate's answer is too long")
    return body


def _read(body: bytes) -> tuple[bool, str]:
    """Read an answer: whether the asset is frozen, and why, as one line that can be shown."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise _Silence("the gate's answer is not JSON") from None
    frozen = answer.get("frozen") if isinstance(answer, dict) else None
    if not isinstance(frozen, bool):
        raise _Silence("the gate's answer does not say whether the asset is frozen")
    words = answer.get("reason")
    text = " ".join(words.split()) if isinstance(words, str) else ""
    shown = "".join(letter for letter in text if letter.isprintable())[:_MOST_WORDS].rstrip(". ")
    return frozen, shown or "no reason given"


@contextmanager
def _unseen(host: str) -> Iterator[None]:
    """Keep the HTTP library from logging the gate's URL."""

    def without(record: logging.LogRecord) -> bool:
        return host not in record.getMessage()

    logger = logging.getLogger("httpx")
    logger.addFilter(without)
    try:
        yield
    finally:
        logger.removeFilter(without)
