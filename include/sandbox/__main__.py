"""Runs the local world until it is told to stop: `python -m include.sandbox`."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from include.sandbox.control import control_app, exports
from include.sandbox.scenario import SCENARIOS, Scenario, many
from include.sandbox.server import serve
from include.sandbox.world import Endpoints, World

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger("include.sandbox")


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m include.sandbox",
        description="Two chains with CCTP, an attestation service and a Broker API, for Ballast to work in.",
    )
    parser.add_argument(
        "--scenario", choices=sorted(SCENARIOS), default="default", help="what is held at first"
    )
    parser.add_argument("--stocks", type=int, metavar="N", help="a scenario of N stocks instead")
    parser.add_argument("--ethereum-url", help="attach to this node instead of starting one")
    parser.add_argument("--base-url", help="attach to this node instead of starting one")
    parser.add_argument("--attestation-url", help="use this attestation service instead of starting one")
    parser.add_argument("--port", type=int, default=0, help="port of the control server")
    parser.add_argument("--alpaca-port", type=int, default=0, help="port of the Broker API")
    parser.add_argument("--attestation-port", type=int, default=0, help="port of the attestation service")
    parser.add_argument("--ethereum-port", type=int, default=0, help="port of the node it starts")
    parser.add_argument("--base-port", type=int, default=0, help="port of the node it starts")
    parser.add_argument("--block-time", type=float, default=1.0, help="seconds between blocks")
    parser.add_argument("--state-dir", type=Path, help="keep the world here and go on from it")
    parser.add_argument(
        "--trade-every", type=float, metavar="SECONDS", help="do the scenario's next shift so often"
    )
    parser.add_argument("--environment-file", type=Path, help="write shell exports for Ballast to this file")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM, then end everything that was started."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    options = arguments(argv)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    scenario: Scenario = SCENARIOS[options.scenario] if options.stocks is None else many(options.stocks)
    endpoints = Endpoints(
        ethereum_url=options.ethereum_url,
        base_url=options.base_url,
        attestation_url=options.attestation_url,
        ethereum_port=options.ethereum_port,
        base_port=options.base_port,
        alpaca_port=options.alpaca_port,
        attestation_port=options.attestation_port,
    )
    with (
        World(
            scenario, endpoints=endpoints, block_time=options.block_time, state_dir=options.state_dir
        ) as world,
        serve(control_app(world), port=options.port) as control,
    ):
        _introduce(world, control.url)
        if options.environment_file is not None:
            options.environment_file.write_text(exports(world.settings_environment()))
        while not stop.wait(options.trade_every):
            _trade(world)
    log.info("the sandbox has ended")
    return 0


def _trade(world: World) -> None:
    try:
        shift = world.shift_next()
    except Exception as error:  # e.g. one side has less than the shift takes: the next one may do
        log.warning("no trade: %s", error)
    else:
        log.info("traded: %s", shift)


def _introduce(world: World, control_url: str) -> None:
    lines = [
        f"control      {control_url}/state",
        f"Broker API   {world.alpaca_url}",
        f"attestation  {world.attestation_url}",
        f"Ethereum     {world.ethereum_url}",
        f"Base         {world.base_url}",
        f"wallet       {world.maker.address}",
        "",
        f"{'asset':8}{'at Alpaca':>24}{'on Base':>24}",
    ]
    for asset, places in world.holdings().items():
        if asset in world.vaults.traded:
            offchain = places["alpaca" if "alpaca" in places else "shares"]
            lines.append(f"{asset:8}{offchain:>24f}{world.onchain(asset):>24f}{_whereabouts(world, asset)}")
    lines += ["", f"For Ballast: eval \"$(curl -s '{control_url}/environment?format=shell')\""]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _whereabouts(world: World, asset: str) -> str:
    """Say where on Base an asset is, if it is not just tokens in the wallet."""
    one = world.vaults.traded[asset]
    words = [f"as {one.name}"] if one.wrapped else []
    if one.vaults:
        words.append("in a vault" if len(one.vaults) == 1 else f"in {len(one.vaults)} vaults")
    return "  " + " ".join(words) if words else ""


if __name__ == "__main__":
    sys.exit(main())
