"""Read the settings: environment variables first, then a TOML file, then the defaults."""

from __future__ import annotations

import difflib
import os
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter, ValidationError

from include.settings.checks import missing
from include.settings.model import AssetSettings, Settings
from include.settings.names import Names
from include.settings.sources import (
    books,
    misnamed,
    read_file,
    settings_file,
    stray,
    variable,
    variables,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

__all__ = ["SettingsError", "books", "load_settings", "load_usable", "misnamed", "settings_file", "variable"]

OWN: Final = ("wallet", "alpaca_conn_id", "wallet_conn_id", "ledger_conn_id")
"""What no two books may share: they would move the same money."""
_OWN_CONNECTIONS: Final = OWN[1:]
_BOOL: Final = TypeAdapter(bool)


class SettingsError(ValueError):
    """The settings are wrong. The message has a line for each problem, and no value that may be secret."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(
            "Ballast's settings are wrong:\n" + "\n".join(f"  {problem}" for problem in problems)
        )
        self.problems = tuple(problems)


def load_settings(
    environ: Mapping[str, str] | None = None, file: Path | None = None, *, book: str = ""
) -> Settings:
    """Read and check all settings of a book.

    An environment variable replaces the file's value of the same setting as a whole; an empty one counts as
    unset. A book takes nothing from another one.

    :param environ: the environment variables; the process's own when left out.
    :param file: the TOML file, and then no other book is looked at; when left out, that of the book.
    :param book: its name; empty for the one without a name.
    :raises SettingsError: naming every setting that is wrong or missing, and each that another book has too.
    """
    environ = os.environ if environ is None else environ
    given, found = _given(environ, file, book)
    try:
        settings = Settings.model_validate(given, context={"book": book})
    except ValidationError as error:
        found += _of_book(book, environ, _readable(error))
        if _enabled(given):
            wanting = [f"{'.'.join(path)}: {problem}" for path, problem in missing(given)]
            found += _of_book(book, environ, wanting)
    if found:
        # Raised outside the handler: the original error must not be shown with the values it holds.
        raise SettingsError(list(dict.fromkeys(found)))
    return settings


def load_usable(
    environ: Mapping[str, str] | None = None, file: Path | None = None, *, book: str = ""
) -> tuple[Settings, tuple[str, ...]]:
    """Read the settings for what has to work although some are wrong: to say so.

    Nothing may be moved by what this returns: rebalancing counts as disabled wherever something is wrong.

    :returns: the settings, with defaults instead of what is wrong, and what is wrong.
    """
    environ = os.environ if environ is None else environ
    try:
        return load_settings(environ, file, book=book), ()
    except SettingsError as error:
        wrong = error.problems
    given, _ = _given(environ, file, book)
    given.pop("rebalancing_enabled", None)
    while True:
        try:
            return Settings.model_validate(given, context={"book": book}), wrong
        except ValidationError as error:
            # Each round drops one setting at least, and the defaults alone are right.
            named = {str(detail["loc"][0]) for detail in error.errors(include_input=False)} & given.keys()
            for name in named or set(given):
                del given[name]
            given = _connections(book) | given


def _given(environ: Mapping[str, str], file: Path | None, book: str) -> tuple[dict[str, Any], list[str]]:
    """Return what is set for a book, and what of it is wrong before any value is looked at."""
    alone = file is not None
    if not alone and book not in books(environ):
        return _connections(book), [_no_such(book, environ)]
    said, found = read_file(file or settings_file(book, environ))
    given = _connections(book) | said | dict(_from_environment(environ, book, found))
    if not alone:
        found += stray(environ, book)
        found += _of_book(book, environ, _shared(environ, book, given))
    return given, found


def _no_such(book: str, environ: Mapping[str, str]) -> str:
    known = ", ".join(Names(one).label for one in books(environ))
    asked = f"no book {book}" if book else "no book without a name, so one has to be named"
    return f"there is {asked}: the books are {known}"


def _connections(book: str) -> dict[str, Any]:
    """Return the Connections of a book where nothing else is said. No two books have the same."""
    if not book:
        return {}
    return {name: f"{Settings.model_fields[name].default}_{book}" for name in _OWN_CONNECTIONS}


def _from_environment(environ: Mapping[str, str], book: str, found: list[str]) -> Iterator[tuple[str, str]]:
    start = len(variable("", book))
    for name, value in variables(environ, book):
        setting = name[start:].lower()
        if variable(setting, book) != name or setting not in Settings.model_fields:
            near = _near(setting, Settings)
            meant = f"; is {variable(near, book)} meant?" if near else ""
            found.append(f"{name}: is not a setting{meant}")
        elif value:
            yield setting, value


def _shared(environ: Mapping[str, str], book: str, given: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is set for this book and for another one, and would let both move the same money.

    Of the others only that is read. One that cannot be read is refused itself, and moves nothing.
    """
    ours = _identity(given)
    for other in books(environ):
        if other == book:
            continue
        said, _ = read_file(settings_file(other, environ))
        theirs = _identity(_connections(other) | said | dict(_from_environment(environ, other, [])))
        for name in OWN:
            if ours[name] and ours[name] == theirs[name]:
                both = " and ".join(Names(one).label for one in sorted((book, other)))
                yield f"{name}: is the same in the books {both}, and each needs its own"


def _identity(given: Mapping[str, Any]) -> dict[str, str]:
    """Return what a book must have for itself, as it is compared: Airflow's own environment has no case."""
    told = {name: given.get(name) or Settings.model_fields[name].default for name in OWN}
    return {name: value.strip().lower() if isinstance(value, str) else "" for name, value in told.items()}


def _of_book(book: str, environ: Mapping[str, str], problems: Iterable[str]) -> list[str]:
    """Say of each problem in which book it is, where that has a name."""
    file = settings_file(book, environ) if book else None
    return list(problems) if file is None else [f"{file.parent.name}/{file.name}: {one}" for one in problems]


def _near(name: str, model: type[Settings | AssetSettings]) -> str | None:
    matches = difflib.get_close_matches(name.lower(), model.model_fields, n=1)
    return matches[0] if matches else None


def _enabled(given: Mapping[str, object]) -> bool:
    try:
        return _BOOL.validate_python(given.get("rebalancing_enabled", False))
    except ValidationError:
        return False


def _readable(error: ValidationError) -> list[str]:
    """Write one line a problem: the setting's path, and what is wrong, without the value."""
    lines = []
    for detail in error.errors(include_input=False, include_url=False):
        if detail["type"] == "default_factory_not_called":
            continue  # a default that follows from another setting, which is wrong and named already
        path = [str(part) for part in detail["loc"] if part != "[key]"]
        message = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "extra_forbidden":
            near = _near(path[-1], AssetSettings if path[0] == "assets" else Settings)
            message = "is not a setting" + (f"; is {near} meant?" if near else "")
        lines.append(f"{'.'.join(path)}: {message}")
    return lines
