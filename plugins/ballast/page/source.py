"""What the page's answers are made from, kept open between requests: the settings, and the ledger."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from ballast.hooks import LedgerHook
from include.overview.reader import Reader
from include.settings import load_settings
from include.settings.loading import DEFAULT_FILE, FILE_VARIABLE

if TYPE_CHECKING:
    from include.ledger.ledger import Ledger
    from include.settings import Settings


class Source:
    """Gives the settings and the ledger, each opened anew when it is another one."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._settings: tuple[object, Settings] | None = None
        self._opened: tuple[str, Ledger, Reader] | None = None

    def settings(self) -> Settings:
        """Return the settings, read again when their file has changed.

        :raises SettingsError: naming what is wrong.
        """
        with self._lock:
            written = _written()
            if self._settings is None or self._settings[0] != written:
                self._settings = (written, load_settings())
            return self._settings[1]

    def ledger(self) -> Ledger:
        """Return the ledger. It stays open, with no transaction."""
        return self._open()[0]

    def reader(self) -> Reader:
        """Return what reads the answers."""
        return self._open()[1]

    def _open(self) -> tuple[Ledger, Reader]:
        """Open the ledger that the Connection names now.

        :raises ConnectionIncomplete: naming what the Connection lacks.
        """
        hook = LedgerHook(self.settings().ledger_conn_id)
        url = hook.database_url()
        with self._lock:
            if self._opened is None or self._opened[0] != url:
                ledger = hook.get_conn()
                if self._opened is not None:
                    self._opened[1].close()
                self._opened = (url, ledger, Reader(ledger.engine))
            return self._opened[1], self._opened[2]


def _written() -> object:
    """Return what is another one when the settings' file is."""
    file = Path(os.environ.get(FILE_VARIABLE) or DEFAULT_FILE)
    try:
        stat = file.stat()
    except OSError:
        return (file, None)
    return (file, stat.st_mtime_ns, stat.st_size, stat.st_ino)
