"""A small server of the page and of made-up answers, in this process and on this machine only."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.browser import canned, canned_replays

if TYPE_CHECKING:
    from collections.abc import Iterator

STATIC = Path(__file__).parents[2] / "plugins" / "ballast" / "page" / "static"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)

BEGUN = {"backfill_id": 1, "name": "a day", "runs": 25}  # what the act that begins a replay answers besides

# As Airflow 3.3 shows an external view: a frame with these rights, in a page that has its choice of colours.
FRAME = """<!doctype html><html lang="en" class="{theme}"><title>Airflow</title>
<body style="margin:0"><iframe title="Ballast" src="/ballast/" style="border:0;width:100%;height:100vh"
sandbox="allow-scripts allow-same-origin allow-forms allow-downloads"></iframe></body></html>"""


class Desk:
    """What the server answers, which a test may change while it runs, and what it was asked.

    :ivar overview: the answer to `GET overview`.
    :ivar books: which books one may look at; the one without a name is the empty one.
    :ivar wrong: what is wrong with the settings of a book, by its name.
    :ivar down: whether every call of the API is answered with 502.
    :ivar refuse: status and text that the next acts are refused with.
    :ivar acts: path and body of every POST that was let in; the path of a book with a name has that too.
    """

    def __init__(self) -> None:
        self.overview = canned.overview()
        self.books = [""]
        self.wrong: dict[str, str] = {}
        self.down = False
        self.refuse: tuple[int, str] | None = None
        self.acts: list[tuple[str, Any]] = []
        self.looks = 0

    def read(self, path: str, query: dict[str, str], book: str) -> Any:
        """Answer a GET under `api/`; raise LookupError for what is not there."""
        match path.split("/"):
            case ["overview"]:
                self.looks += 1
                named = {"book": book, "dag": f"rebalancing_{book}"} if book else {}
                return self.overview | named
            case ["books"]:
                return canned.books(self.books, book)
            case ["history"]:
                return canned.history(query["asset"], int(query["hours"]))
            case ["operations"]:
                return canned.page_of_past(query.get("before"), int(query["limit"]))
            case ["operations", operation_id]:
                return canned.everything(unquote(operation_id))
            case ["replays"]:
                return canned_replays.replays()
            case ["replays", replay_id]:
                return canned_replays.report(replay_id)
            case ["replays", replay_id, "history"]:
                return canned_replays.history(replay_id, query["asset"])
        raise LookupError(path)


def serve(desk: Desk) -> Iterator[str]:
    """Serve until resumed; yield the address of the server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(desk))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def _handler(desk: Desk) -> type[_Handler]:
    class Handler(_Handler):
        pass

    Handler.desk = desk
    return Handler


class _Handler(BaseHTTPRequestHandler):
    desk: Desk

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        path, book = parts.path.removeprefix("/ballast/"), ""
        if path.startswith("books/"):
            _, book, path = path.split("/", 2)
        if parts.path.startswith("/frame/"):
            self._send(200, "text/html", FRAME.format(theme=Path(parts.path).name).encode())
        elif path == parts.path:
            self._send(404, "text/plain", b"elsewhere in Airflow")
        elif path.startswith("api/"):
            self._api(path.removeprefix("api/"), query, book)
        else:
            self._file(path.removeprefix("static/") or "index.html")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["X-Ballast"] != "1":
            self._json(403, {"detail": "not from the page"})
        elif self.desk.refuse:
            self._json(self.desk.refuse[0], {"detail": self.desk.refuse[1]})
        else:
            self.desk.acts.append((unquote(self.path.removeprefix("/ballast/").removeprefix("api/")), body))
            self._json(200, {"run_id": "manual__1", "state": "queued", "paused": False, **BEGUN})

    def _api(self, path: str, query: dict[str, str], book: str) -> None:
        if self.desk.down:
            self._send(502, "text/html", b"<h1>Bad gateway</h1>")
            return
        if book in self.desk.wrong and path != "books":
            self._json(503, {"detail": self.desk.wrong[book]})
            return
        try:
            self._json(200, self.desk.read(path, query, book))
        except LookupError:
            self._json(404, {"detail": "there is no such thing"})

    def _file(self, name: str) -> None:
        file = STATIC / name
        if file.is_file():
            self._send(200, TYPES.get(file.suffix, "text/plain"), file.read_bytes())
        else:
            self._send(404, "text/plain", b"no such file")

    def _json(self, status: int, answer: Any) -> None:
        self._send(status, "application/json", json.dumps(answer).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if not self.path.startswith("/frame/"):
            self.send_header("Content-Security-Policy", POLICY)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""
