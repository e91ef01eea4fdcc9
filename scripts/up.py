"""Ballast on this machine until `make down`: the local world, Airflow, and trading every two minutes.

The command starts a process of its own in the background, and returns when Airflow is ready.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Final

import psutil

from include.sandbox.alpaca.journal import InsufficientFundsError
from include.sandbox.control import control_app
from include.sandbox.jsonrpc import RpcError
from include.sandbox.server import serve
from scripts.astro_settings import ROOT
from scripts.local_airflow import AirflowFailed
from scripts.local_ballast import RUN, LocalBallast
from scripts.progress import Progress

if TYPE_CHECKING:
    from pathlib import Path

HOME: Final = RUN / "up"
RECORD: Final = RUN / "up.json"
LOG: Final = RUN / "up.log"
UI_PORT: Final = 8080
TRADE_EVERY_SECONDS: Final = 120
PATIENCE_SECONDS: Final = 300


def running() -> dict[str, str | int | float] | None:
    """Return what the process in the background wrote down, or None where none is running."""
    return recorded(RECORD)


def recorded(file: Path) -> dict[str, str | int | float] | None:
    """Return what a process wrote down about itself, or None where it is not running any more."""
    try:
        record: dict[str, str | int | float] = json.loads(file.read_text(encoding="utf-8"))
        same = abs(psutil.Process(int(record["pid"])).create_time() - float(record["started"])) < 1
    except (FileNotFoundError, psutil.NoSuchProcess):
        return None
    return record if same else None


def stay(port: int) -> int:
    """Run in the foreground until SIGINT or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    tell = Progress()
    own = psutil.Process()
    record: dict[str, str | int | float] = {"pid": own.pid, "started": own.create_time()}
    RECORD.write_text(json.dumps(record), encoding="utf-8")
    try:
        with LocalBallast(HOME, tell, port=port) as ballast, serve(control_app(ballast.world)) as control:
            ballast.unpause()
            urls = {"ui": ballast.airflow.url, "control": control.url}
            RECORD.write_text(json.dumps(record | urls), encoding="utf-8")
            while not stop.wait(TRADE_EVERY_SECONDS):
                _trade(ballast, tell)
            tell("stopping everything")
    finally:
        RECORD.unlink(missing_ok=True)
    return 0


def _trade(ballast: LocalBallast, tell: Progress) -> None:
    try:
        tell(f"trading: {ballast.world.shift_next()}")
    except (InsufficientFundsError, RpcError) as error:
        tell(f"no trade: {error}")  # one side has less than it takes; the next one may do


def start(port: int) -> int:
    """Start it in the background, and wait until it is ready."""
    tell = Progress()
    if (found := running()) is not None:
        sys.stderr.write(f"up: it is running already: {found.get('ui', 'still starting')}\n")
        return 1
    RUN.mkdir(exist_ok=True)
    with LOG.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "scripts.up", "--stay", "--port", str(port)],
            cwd=ROOT,
            env=os.environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    shown = 0
    while tell.seconds < PATIENCE_SECONDS:
        lines = LOG.read_text(encoding="utf-8", errors="replace").splitlines()
        for line in lines[shown:]:
            sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
        shown = len(lines)
        record = running() or {}
        if "ui" in record:
            sys.stdout.write(
                f"\nAirflow    {record['ui']}/dags/rebalancing\n"
                f"the world  {record['control']}/state\n"
                f"trade      curl -X POST {record['control']}/shift -d "
                '\'{"asset": "AAPL", "amount": "35.5", "source": "offchain"}\'\n'
                f"log        {LOG}\n"
                "end it     make down\n"
            )
            return 0
        if process.poll() is not None:
            sys.stderr.write(f"up: it ended with {process.returncode}; see {LOG} and {HOME / 'airflow'}\n")
            return 1
        time.sleep(0.3)
    sys.stderr.write(f"up: not ready in {PATIENCE_SECONDS} s; see {LOG} and {HOME / 'airflow'}\n")
    return 1


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m scripts.up", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=UI_PORT, help="of Airflow's pages; 0 takes a free one")
    parser.add_argument("--stay", action="store_true", help="run in the foreground")
    options = parser.parse_args(arguments)
    try:
        return stay(options.port) if options.stay else start(options.port)
    except AirflowFailed as failure:
        sys.stderr.write(f"up: {failure}\n")
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
