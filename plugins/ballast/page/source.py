"""What the page's answers are made from, kept open between requests: the settings, and the ledger."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from ballast.hooks import ConnectionIncomplete, LedgerHook, require_own
from include.overview.reader import Reader
from include.settings import books, load_settings, settings_file

if TYPE_CHECKING:
    from pathlib import Path

    from include.ledger.ledger import Ledger
    from include.settings import Settings


class Source:
    """Gives the settings and the ledger of a book, each opened anew when it is another one.

    :param book: its name; empty for the one without a name.
    """

    def __init__(self, book: str) -> None:
        self._book = book
        self._lock = Lock()
        self._settings: tuple[object, Settings] | None = None
        self._opened: tuple[str, Ledger, Reader] | None = None

    def settings(self) -> Settings:
        """Return the settings, read again when the file of any book has changed: two may say the same.

        :raises SettingsError: naming what is wrong.
        """
        with self._lock:
            written = _written()
            if self._settings is None or self._settings[0] != written:
                self._settings = (written, load_settings(book=self._book))
            return self._settings[1]

    def ledger(self) -> Ledger:
        """Return the ledger. It stays open, with no transaction."""
        return self._open()[0]

    def reader(self) -> Reader:
        """Return what reads the answers."""
        return self._open()[1]

    def _open(self) -> tuple[Ledger, Reader]:
        """Open the ledger that the Connection names now.

        :raises ConnectionIncomplete: naming what the Connection lacks, or whose ledger it is instead.
        """
        settings = self.settings()
        hook = LedgerHook(settings.ledger_conn_id)
        url = hook.database_url()
        with self._lock:
            if self._opened is None or self._opened[0] != url:
                ledger = hook.get_conn()
                try:
                    require_own(hook, ledger, settings)
                except ConnectionIncomplete:
                    ledger.close()
                    raise
                if self._opened is not None:
                    self._opened[1].close()
                self._opened = (url, ledger, Reader(ledger.engine))
            return self._opened[1], self._opened[2]


def _written() -> object:
    """Return what is another one when the settings of any book are."""
    return tuple((book, _state(settings_file(book))) for book in books())


def _state(file: Path | None) -> object:
    """Return what is another one when a file is."""
    if file is None:
        return None
    try:
        stat = file.stat()
    except OSError:
        return (file, None)
    return (file, stat.st_mtime_ns, stat.st_size, stat.st_ino)
