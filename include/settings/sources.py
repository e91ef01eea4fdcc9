"""Which books there are, and where what is set for each of them stands. Nothing is judged here."""

from __future__ import annotations

import os
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from include.settings.names import is_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PREFIX: Final = "BALLAST_"
OF_A_BOOK: Final = "BALLAST__"
"""What the variables of the books with names begin with: `BALLAST__<BOOK>__<NAME>`."""
FILE_VARIABLE: Final = "BALLAST_SETTINGS_FILE"
BOOKS_VARIABLE: Final = "BALLAST_BOOKS"
DEFAULT_FILE: Final = Path(__file__).resolve().parents[2] / "settings.toml"


def books(environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return the names of all books, sorted; the one without a name is empty, and first.

    It is there unless others are, and nothing is set for it.
    """
    environ = os.environ if environ is None else environ
    named = sorted(file.stem for file in _files(environ) if is_name(file.stem))
    return ("", *named) if not named or _is_nameless_set(environ) else tuple(named)


def misnamed(environ: Mapping[str, str] | None = None) -> tuple[Path, ...]:
    """Return the files among those of the books that are called what no book can be."""
    environ = os.environ if environ is None else environ
    return tuple(sorted(file for file in _files(environ) if not is_name(file.stem)))


def settings_file(book: str, environ: Mapping[str, str] | None = None) -> Path | None:
    """Return the file with the settings of a book; None where it has none.

    One that is named by `BALLAST_SETTINGS_FILE` is returned whether it is there or not.
    """
    environ = os.environ if environ is None else environ
    if not book:
        named = environ.get(FILE_VARIABLE)
        if named:
            return Path(named)
        return DEFAULT_FILE if DEFAULT_FILE.is_file() else None
    file = books_folder(environ) / f"{book}.toml"
    return file if os.path.lexists(file) else None


def books_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder with a file for each book that has a name."""
    named = environ.get(BOOKS_VARIABLE)
    return Path(named) if named else DEFAULT_FILE.parent / "books"


def variable(setting: str, book: str = "") -> str:
    """Return the name of the environment variable of a setting."""
    return (f"{OF_A_BOOK}{book.upper()}__" if book else PREFIX) + setting.upper()


def read_file(file: Path | None) -> tuple[dict[str, Any], list[str]]:
    """Return what a file says, and what is wrong with it. None says nothing."""
    if file is None:
        return {}, []
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"), parse_float=Decimal), []
    except OSError as error:
        return {}, [f"{file}: cannot be read ({error.strerror})"]
    except UnicodeDecodeError:
        return {}, [f"{file}: is not UTF-8 text"]
    except tomllib.TOMLDecodeError as error:
        return {}, [f"{file}: is not TOML ({error})"]


def variables(environ: Mapping[str, str], book: str) -> Iterator[tuple[str, str]]:
    """Yield each variable of a book, sorted by its name, with what stands in it; empty ones too."""
    prefix = variable("", book)
    for name, value in sorted(environ.items()):
        # A variable of a book is recognised in small letters too, so that somebody tells that it is wrong.
        if name.upper().startswith(prefix) if book else _is_of_nameless(name):
            yield name, value.strip()


def stray(environ: Mapping[str, str], book: str) -> Iterator[str]:
    """Yield what is wrong with variables of no book. One may be a misspelt limit, so it is not passed over.

    It concerns all books with names, as it may be any one's; and the one without, where it may be its own.
    """
    named = [one for one in books(environ) if one]
    for name in sorted(environ):
        if not name.startswith(OF_A_BOOK):
            continue
        of, _, setting = name.removeprefix(OF_A_BOOK).partition("__")
        if of.lower() not in named and (book or not named or not setting):
            known = f"the books are {', '.join(named)}" if named else "there is no book with a name"
            yield f"{name}: belongs to no book; {known}, and a variable of one is {OF_A_BOOK}<BOOK>__<NAME>"
    folder = environ.get(BOOKS_VARIABLE)
    if folder and not Path(folder).is_dir():
        yield f"{BOOKS_VARIABLE}: {folder} is not a folder"


def _files(environ: Mapping[str, str]) -> list[Path]:
    return [file for file in books_folder(environ).glob("*.toml") if not file.name.startswith(".")]


def _is_nameless_set(environ: Mapping[str, str]) -> bool:
    return settings_file("", environ) is not None or any(value for _, value in variables(environ, ""))


def _is_of_nameless(name: str) -> bool:
    special = name in (FILE_VARIABLE, BOOKS_VARIABLE)
    return name.startswith(PREFIX) and not name.startswith(OF_A_BOOK) and not special
