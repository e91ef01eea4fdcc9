"""The sandbox's own HTTP: what is where, what is set, and what may go wrong next."""

from __future__ import annotations

import json
import shlex
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from include.sandbox.accounts import Role, account
from include.sandbox.alpaca.faults import ANSWERS, ENDPOINTS, FATES, Fault
from include.sandbox.alpaca.journal import InsufficientFundsError
from include.sandbox.alpaca.state import plain_number
from include.sandbox.jsonrpc import RpcError
from include.sandbox.scenario import Shift, Side

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from include.sandbox.world import World


def control_app(world: World) -> Starlette:
    """Return the application that shows and steers a world."""
    return Starlette(
        routes=[
            Route("/state", lambda _: JSONResponse(state(world))),
            Route("/environment", lambda request: _environment(world, request)),
            Route("/shift", _command(lambda body: _shift(world, body)), methods=["POST"]),
            Route("/dividend", _command(lambda body: _dividend(world, body)), methods=["POST"]),
            Route("/redemption-limit", _command(lambda body: _limit(world, body)), methods=["POST"]),
            Route("/eth-price", _command(lambda body: _eth_price(world, body)), methods=["POST"]),
            Route("/latencies", _command(lambda body: _set(world, "latencies", body)), methods=["PATCH"]),
            Route("/rules", _command(lambda body: _set(world, "rules", body)), methods=["PATCH"]),
            Route("/faults", _faults(world), methods=["GET"]),
            Route("/faults", _command(lambda body: _arm(world, body)), methods=["POST"]),
            Route("/faults", _command(lambda _: _disarm(world)), methods=["DELETE"]),
            Route("/release", _command(lambda body: _release(world, body)), methods=["POST"]),
        ]
    )


def state(world: World) -> dict[str, Any]:
    """Return everything a person wants to see of a world, as JSON values."""
    core = world.broker.core
    with core.lock:
        fated = [
            {"id": work.id, "kind": type(work).__name__, "fate": work.fate}
            for work in core.state.open_work()
            if work.fate is not None
        ]
    holdings = {
        asset: {place: plain_number(amount) for place, amount in places.items()}
        for asset, places in world.holdings().items()
    }
    return {
        "holdings": holdings,
        "violations": world.conservation(),
        "urls": {
            "alpaca": world.alpaca_url,
            "attestation": world.attestation_url,
            "base": world.base_url,
            "ethereum": world.ethereum_url,
        },
        "addresses": {
            **{role.value: account(role).address for role in Role},
            "tokens": dict(world.deployment.stocks),
            "wrappers": dict(world.deployment.wrappers),
            "orderbook": world.deployment.orderbook,
            "price_feed": world.deployment.price_feed,
        },
        "vaults": {asset: list(ids) for asset, ids in world.scenario.vaults.items()},
        "dollars": {place: plain_number(amount) for place, amount in world.dollars().items()},
        "onchain": {asset: plain_number(world.onchain(asset)) for asset in world.vaults.traded},
        "under_way": {
            asset: {place: plain_number(amount) for place, amount in places.items()}
            for asset, places in world.under_way().items()
        },
        "latencies": core.latencies.model_dump(mode="json"),
        "rules": core.rules.model_dump(mode="json"),
        "faults": [fault.model_dump(mode="json") for fault in core.faults.armed()],
        "fated": fated,
    }


def exports(environment: dict[str, str]) -> str:
    """Write an environment as lines for a shell."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())


def _environment(world: World, request: Request) -> Response:
    """Answer with JSON, or with shell exports when asked with `?format=shell`."""
    environment = world.settings_environment()
    if request.query_params.get("format") == "shell":
        return PlainTextResponse(exports(environment))
    return JSONResponse(environment)


class _RefusedError(Exception):
    """A command that cannot be done; the text says why."""


def _command(act: Callable[[dict[str, Any]], Any]) -> Callable[[Request], Any]:
    """Let a function of a JSON object answer; it may take its time, so it runs in a thread."""

    async def endpoint(request: Request) -> Response:
        content = await request.body()
        try:
            body = json.loads(content or b"{}")
            if not isinstance(body, dict):
                raise _RefusedError("the body must be a JSON object")
            return JSONResponse(await run_in_threadpool(act, body))
        except ValidationError as error:
            problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
            return JSONResponse({"error": "; ".join(problems)}, 400)
        except (_RefusedError, ValueError, InsufficientFundsError, RpcError) as error:
            return JSONResponse({"error": str(error)}, 400)

    return endpoint


def _shift(world: World, body: dict[str, Any]) -> dict[str, Any]:
    """Trade what the body says, or, when it is empty, what the scenario has next."""
    if not body:
        done = world.shift_next()
        if done is None:
            raise _RefusedError("the scenario has no shifts")
    else:
        try:
            done = Shift(
                str(body["asset"]),
                Decimal(str(body["amount"])),
                Side(body["from"]),
                vault=int(body.get("vault", 0)),
            )
        except (KeyError, InvalidOperation) as error:
            raise _RefusedError("wanted: asset, amount, from (onchain or offchain)") from error
        if done.asset not in world.vaults.traded:
            raise _RefusedError(f"nobody holds {done.asset}")
        if body.get("to", done.source.other) != done.source.other:
            raise _RefusedError("from and to must differ")
        world.shift(done)
    return {"asset": done.asset, "amount": plain_number(done.amount), "from": done.source}


def _dividend(world: World, body: dict[str, Any]) -> dict[str, Any]:
    """Let each of a stock's wrapped tokens be worth so much more."""
    asset, each = str(body.get("asset")), _number(body, "each")
    world.dividend(asset, each)
    return {"asset": asset, "each": plain_number(each)}


def _limit(world: World, body: dict[str, Any]) -> dict[str, Any]:
    """Limit how many of a stock's wrapped tokens may be redeemed at once; null lifts the limit."""
    asset = str(body.get("asset"))
    shares = None if body.get("shares", "") is None else _number(body, "shares")
    world.limit_redemptions(asset, shares)
    return {"asset": asset, "shares": None if shares is None else plain_number(shares)}


def _eth_price(world: World, body: dict[str, Any]) -> dict[str, Any]:
    """Set what the price feed on Base says, and for how many seconds it has said so."""
    dollars = _number(body, "dollars")
    age = Decimal(0) if "age" not in body else _number(body, "age")
    world.set_eth_price(dollars, float(age))
    return {"dollars": plain_number(dollars), "age": plain_number(age)}


def _number(body: dict[str, Any], name: str) -> Decimal:
    try:
        value = Decimal(str(body[name]))
    except (KeyError, InvalidOperation) as error:
        raise _RefusedError(f"wanted: {name}, a number") from error
    if not value.is_finite() or value < 0:
        raise _RefusedError(f"{name} must be zero or more")
    return value


def _set(world: World, name: str, body: dict[str, Any]) -> dict[str, Any]:
    core = world.broker.core
    settings: BaseModel = getattr(core, name)
    changed = type(settings).model_validate({**settings.model_dump(), **body})
    with core.lock:
        setattr(core, name, changed)
    return changed.model_dump(mode="json")


def _faults(world: World) -> Callable[[Request], Response]:
    return lambda _: JSONResponse(
        {
            "armed": [fault.model_dump(mode="json") for fault in world.broker.core.faults.armed()],
            "endpoints": ENDPOINTS,
            "answers": ANSWERS,
            "fates": FATES,
        }
    )


def _arm(world: World, body: dict[str, Any]) -> dict[str, Any]:
    fault = Fault.model_validate(body)
    world.broker.core.faults.arm(fault)
    return fault.model_dump(mode="json")


def _disarm(world: World) -> dict[str, Any]:
    world.broker.core.faults.clear()
    return {"armed": []}


def _release(world: World, body: dict[str, Any]) -> dict[str, Any]:
    """Let a stuck piece of work go on: a request or transfer by id, an overlooked transfer by hash."""
    if not world.broker.core.release(str(body.get("id"))):
        raise _RefusedError("nothing is stuck under this id")
    return {"released": body["id"]}
