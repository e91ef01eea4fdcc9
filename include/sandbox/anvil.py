"""Starts and ends the local chain node."""

from __future__ import annotations

import atexit
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

import psutil

from include.sandbox.jsonrpc import Rpc, RpcError

if TYPE_CHECKING:
    from types import TracebackType

ETHEREUM_CHAIN_ID = 1
BASE_CHAIN_ID = 8453

_REPOSITORY = Path(__file__).resolve().parents[2]
_HOST = "127.0.0.1"
_START_TIMEOUT = 20.0
_STOP_TIMEOUT = 10.0
# About Base's own limit: enough to deploy hundreds of tokens in one block
_BLOCK_GAS_LIMIT = 400_000_000


class AnvilNotFoundError(Exception):
    """There is no anvil on this machine."""


class AnvilFailedError(Exception):
    """The node did not start."""


def find_anvil() -> Path:
    """Return the native anvil binary: the one on the PATH, else the one that `npm ci` installed.

    The npm command is a Node script that starts the binary as its child. The binary itself is returned, so
    that the process id is anvil's.

    :raises AnvilNotFoundError: neither is there
    """
    on_path = shutil.which("anvil")
    for command in (on_path, _REPOSITORY / "node_modules" / ".bin" / "anvil"):
        native = _native(Path(command)) if command is not None else None
        if native is not None:
            return native
    msg = "anvil is neither on the PATH nor in node_modules: run `npm ci`, or install Foundry"
    raise AnvilNotFoundError(msg)


def _native(command: Path) -> Path | None:
    if not command.is_file():
        return None
    command = command.resolve()
    with command.open("rb") as file:
        is_script = file.read(2) == b"#!"
    if not is_script:
        return command
    return next(iter(sorted(command.parent.parent.glob("anvil-*/bin/anvil*"))), None)


class AnvilProcess:
    """A running node. Also a context manager that stops it.

    :ivar url: where it answers JSON-RPC
    :ivar chain_id: 1 or 8453
    :ivar pid: the process id of anvil itself
    """

    def __init__(self, process: subprocess.Popen[bytes], url: str, chain_id: int) -> None:
        self.url = url
        self.chain_id = chain_id
        self.pid = process.pid
        self.rpc = Rpc(url)
        self._process = process
        atexit.register(self.stop)

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End the process and wait for it; a state file is written first. Stopping twice is harmless."""
        atexit.unregister(self.stop)
        self.rpc.close()
        if self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_STOP_TIMEOUT)

    def snapshot(self) -> str:
        """Remember the state of the chain and return the id to go back to."""
        return str(self.rpc.request("evm_snapshot"))

    def revert(self, snapshot: str) -> None:
        """Go back to a snapshot, which is used up by this.

        :raises RpcError: there is no such snapshot
        """
        if self.rpc.request("evm_revert", snapshot) is not True:
            msg = f"no snapshot {snapshot}"
            raise RpcError(msg)

    def mine(self, blocks: int = 1) -> None:
        """Mine empty blocks, or what is pending."""
        self.rpc.request("anvil_mine", hex(blocks))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start_anvil(
    chain_id: int,
    *,
    port: int = 0,
    block_time: float | None = 1.0,
    state: Path | None = None,
    finality_blocks: int = 2,
) -> AnvilProcess:
    """Start a node on a loopback port and return once it answers.

    It ends with this process, even if this process is killed (on Linux, when started from the main thread).

    :param port: 0 takes a free one
    :param block_time: seconds between blocks; None mines a block for each transaction at once
    :param state: file the chain is read from, if it exists, and written to when the node stops
    :param finality_blocks: how far `finalized` is behind `latest`; an even number, as `safe` is half-way
    :raises AnvilNotFoundError: there is no anvil on this machine
    :raises AnvilFailedError: it did not start
    """
    options = [
        "--chain-id", str(chain_id),
        "--host", _HOST,
        "--quiet",
        "--auto-impersonate",
        "--gas-limit", str(_BLOCK_GAS_LIMIT),
        "--slots-in-an-epoch", str(finality_blocks // 2),
    ]  # fmt: skip
    if block_time is not None:
        options += ["--block-time", f"{block_time:g}"]
    if state is not None:
        # Without its history, a continued chain could not answer for a block of before
        options += ["--state", str(state), "--preserve-historical-states"]
    command = [*_dies_with_parent(), str(find_anvil()), *options, "--port", str(port)]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: S603 - every word is ours
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors
        )
        try:
            url = f"http://{_HOST}:{_listening_port(process, errors)}"
            node = AnvilProcess(process, url, chain_id)
            node.rpc.request("eth_chainId")
        except BaseException:
            process.kill()
            process.wait(_STOP_TIMEOUT)
            raise
    return node


def _listening_port(process: subprocess.Popen[bytes], errors: IO[bytes]) -> int:
    """Wait until the process itself listens. That something answers would not say whose node it is."""
    deadline = time.monotonic() + _START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(psutil.NoSuchProcess):
            for connection in psutil.Process(process.pid).net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN:
                    return int(connection.laddr.port)
        time.sleep(0.02)
    errors.seek(0)
    msg = f"anvil did not start: {errors.read().decode(errors='replace').strip()}"
    raise AnvilFailedError(msg)


def _dies_with_parent() -> list[str]:
    # The signal comes when the thread that started the child ends, so it is of use only in the main thread
    if sys.platform != "linux" or threading.current_thread() is not threading.main_thread():
        return []
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM"] if setpriv is not None else []
