"""Runs an ASGI application on a loopback port, in a thread."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

_HOST = "127.0.0.1"
_START_TIMEOUT = 10.0
_STOP_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that answers at `url` until `stop` is called. Also a context manager that stops it."""

    url: str
    _server: uvicorn.Server
    _thread: threading.Thread

    def stop(self) -> None:
        """Stop taking requests and wait until the thread has ended. Stopping twice is harmless."""
        self._server.should_exit = True
        self._thread.join(_STOP_TIMEOUT)
        if self._thread.is_alive():
            self._server.force_exit = True
            self._thread.join(_STOP_TIMEOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def serve(app: Callable[..., Any], *, port: int = 0) -> RunningServer:
    """Serve an ASGI application on 127.0.0.1 and return once it takes requests.

    :param port: the port to listen on; 0 takes a free one
    :raises OSError: the port is taken
    :raises RuntimeError: the application failed to start
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_HOST, port))
    except OSError:
        listener.close()
        raise
    bound_port: int = listener.getsockname()[1]
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=1, ws="none"
    )
    server = uvicorn.Server(config)

    def run() -> None:
        # uvicorn closes the listener only at an orderly end, and leaves by SystemExit if it cannot start
        with listener, suppress(SystemExit):
            server.run(sockets=[listener])

    thread = threading.Thread(target=run, name=f"server-{bound_port}", daemon=True)
    thread.start()
    running = RunningServer(f"http://{_HOST}:{bound_port}", server, thread)
    deadline = time.monotonic() + _START_TIMEOUT
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            running.stop()
            msg = f"the server on port {bound_port} did not start"
            raise RuntimeError(msg)
        time.sleep(0.01)
    return running
