"""Ballast as on several machines, until Ctrl-C or `make down`, with trading every two minutes.

It stays in the foreground, and ends everything that it started.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from typing import Final

import psutil

from include.sandbox.alpaca.journal import InsufficientFundsError
from include.sandbox.control import control_app
from include.sandbox.jsonrpc import RpcError
from include.sandbox.server import serve
from scripts.distributed import SLOTS, WORKERS, DistributedBallast, Unprepared, require_installed
from scripts.local_airflow import AirflowFailed
from scripts.local_ballast import RUN
from scripts.progress import Progress
from scripts.servers import ServerFailed
from scripts.up import TRADE_EVERY_SECONDS, UI_PORT, recorded

HOME: Final = RUN / "up-distributed"
RECORD: Final = RUN / "up-distributed.json"


def stay(port: int, workers: int, slots: int) -> int:
    """Run until SIGINT or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    tell, own = Progress(), psutil.Process()
    RUN.mkdir(exist_ok=True)
    RECORD.write_text(json.dumps({"pid": own.pid, "started": own.create_time()}), encoding="utf-8")
    try:
        with (
            DistributedBallast(HOME, tell, port=port, workers=workers, slots=slots) as ballast,
            serve(control_app(ballast.world)) as control,
        ):
            ballast.unpause()
            tell(f"the DAG is running; watch it at {ballast.airflow.url}/dags/rebalancing")
            tell(f"the world is at {control.url}/state, and what the processes say in {ballast.airflow.home}")
            tell(f"running: {', '.join(ballast.airflow.components)}; Ctrl-C or `make down` ends them")
            while not stop.wait(TRADE_EVERY_SECONDS):
                try:
                    tell(f"trading: {ballast.world.shift_next()}")
                except (InsufficientFundsError, RpcError) as error:
                    tell(f"no trade: {error}")  # one side has less than it takes; the next one may do
            tell("stopping everything")
    finally:
        RECORD.unlink(missing_ok=True)
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.up_distributed", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--port", type=int, default=UI_PORT, help="of Airflow's pages; 0 takes a free one")
    parser.add_argument("--workers", type=int, default=WORKERS, help=f"how many; {WORKERS} when left out")
    parser.add_argument(
        "--slots", type=int, default=SLOTS, help=f"tasks of each at once; {SLOTS} when left out"
    )
    options = parser.parse_args(arguments)
    if options.workers < 1 or options.slots < 1:
        parser.error("there must be a worker, and a slot in it")
    if recorded(RECORD) is not None:
        sys.stderr.write("up-distributed: it is running already; `make down` ends it\n")
        return 1
    try:
        require_installed()
        return stay(options.port, options.workers, options.slots)
    except (AirflowFailed, ServerFailed, Unprepared) as failure:
        sys.stderr.write(f"up-distributed: {failure}\n")
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
