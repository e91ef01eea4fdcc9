"""Read the settings: environment variables first, then a TOML file, then the defaults."""

from __future__ import annotations

import difflib
import os
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter, ValidationError

from include.settings.checks import missing
from include.settings.model import AssetSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX: Final = "BALLAST_"
FILE_VARIABLE: Final = "BALLAST_SETTINGS_FILE"
DEFAULT_FILE: Final = Path(__file__).resolve().parents[2] / "settings.toml"
_HEADLINE: Final = f"Ballast's settings are wrong (set in settings.toml, or as {PREFIX}<NAME>):"
_BOOL: Final = TypeAdapter(bool)


class SettingsError(ValueError):
    """The settings are wrong. The message has a line for each problem, and no value that may be secret."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(
            "Ballast's settings are wrong:\n" + "\n".join(f"  {problem}" for problem in problems)
        )
        self.problems = tuple(problems)


def load_settings(environ: Mapping[str, str] | None = None, file: Path | None = None) -> Settings:
    """Read and check all settings.

    An environment variable replaces the file's value of the same setting as a whole; an empty one counts as
    unset.

    :param environ: the environment variables; the process's own when left out.
    :param file: the TOML file; when left out, the one named by `BALLAST_SETTINGS_FILE`, or else
        `settings.toml` beside `include/` where there is one.
    :raises SettingsError: naming every setting that is wrong or missing.
    """
    environ = os.environ if environ is None else environ
    found: list[str] = []
    given = _from_file(file or _named_file(environ), found)
    given.update(_from_environment(environ, found))
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        found += _readable(error)
        if _enabled(given):
            found += [f"{'.'.join(path)}: {problem}" for path, problem in missing(given)]
    if found:
        # Raised outside the handler: the original error must not be shown with the values it holds.
        raise SettingsError(list(dict.fromkeys(found)))
    return settings


def load_usable(
    environ: Mapping[str, str] | None = None, file: Path | None = None
) -> tuple[Settings, tuple[str, ...]]:
    """Read the settings for what has to work although some are wrong: to say so.

    Nothing may be moved by what this returns: rebalancing counts as disabled wherever something is wrong.

    :returns: the settings, with defaults instead of what is wrong, and what is wrong.
    """
    try:
        return load_settings(environ, file), ()
    except SettingsError as error:
        wrong = error.problems
    environ = os.environ if environ is None else environ
    ignored: list[str] = []
    given = _from_file(file or _named_file(environ), ignored)
    given.update(_from_environment(environ, ignored))
    given.pop("rebalancing_enabled", None)
    while True:
        try:
            return Settings.model_validate(given), wrong
        except ValidationError as error:
            # Each round drops one setting at least, and the defaults alone are right.
            named = {str(detail["loc"][0]) for detail in error.errors(include_input=False)} & given.keys()
            for name in named or set(given):
                del given[name]


def variable(setting: str) -> str:
    """Return the name of the environment variable of a setting."""
    return PREFIX + setting.upper()


def _named_file(environ: Mapping[str, str]) -> Path | None:
    named = environ.get(FILE_VARIABLE)
    if named:
        return Path(named)
    return DEFAULT_FILE if DEFAULT_FILE.is_file() else None


def _from_file(file: Path | None, found: list[str]) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        found.append(f"{file}: cannot be read ({error.strerror})")
    except UnicodeDecodeError:
        found.append(f"{file}: is not UTF-8 text")
    except tomllib.TOMLDecodeError as error:
        found.append(f"{file}: is not TOML ({error})")
    return {}


def _from_environment(environ: Mapping[str, str], found: list[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, value in sorted(environ.items()):
        if not name.startswith(PREFIX) or name == FILE_VARIABLE:
            continue
        setting = name.removeprefix(PREFIX).lower()
        if variable(setting) != name or setting not in Settings.model_fields:
            near = _near(setting, Settings)
            found.append(f"{name}: is not a setting" + (f"; is {variable(near)} meant?" if near else ""))
        elif value.strip():
            given[setting] = value.strip()
    return given


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
