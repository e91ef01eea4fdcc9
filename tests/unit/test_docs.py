"""What the pages say exists does exist: files, headings, make targets, settings, tests."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

import pytest

from include.settings import Settings, variable
from include.settings.sources import BOOKS_VARIABLE, FILE_VARIABLE
from scripts.astro_settings import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGES: Final = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
NAMES: Final = [str(page.relative_to(ROOT)) for page in PAGES]

_FENCED: Final = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_INLINE: Final = re.compile(r"`([^`\n]+)`")
_LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING: Final = re.compile(r"^#+ +(.+)$", re.MULTILINE)
_MAKE: Final = re.compile(r"\bmake +([a-z][a-z-]*)")
_VARIABLE: Final = re.compile(r"\bBALLAST_[A-Z0-9_]+")
_OF_A_BOOK: Final = re.compile(r"\bBALLAST__(?:[A-Z][A-Z0-9]*__)?")
_TEST: Final = re.compile(r"\btest_\w+__\w+")
_FOLDERS: Final = "include|plugins|dags|scripts|tests|docs|config|providers"
_PATH: Final = re.compile(rf"(?<![\w./-])(?:{_FOLDERS})/[\w./-]*\w")


def links(text: str) -> Iterator[str]:
    """Yield the targets of a page's links that stay in the repository."""
    for target in _LINK.findall(_FENCED.sub("", text)):
        if "://" not in target and not target.startswith("mailto:"):
            yield target


def code(text: str) -> Iterator[str]:
    """Yield what a page sets as code: that is where commands and paths are."""
    yield from _FENCED.findall(text)
    yield from _INLINE.findall(_FENCED.sub("", text))


def anchors(text: str) -> set[str]:
    """Return the fragments by which a page's headings are reached, as GitHub makes them."""
    headings = _HEADING.findall(_FENCED.sub("", text))
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def broken_links(page: Path, text: str) -> list[str]:
    """Return the links of a page that lead to no file, or to no heading of it."""
    broken = []
    for link in links(text):
        name, _, fragment = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        lost = fragment and target.suffix == ".md" and target.is_file()
        if not target.exists() or (lost and fragment not in anchors(text if not name else read(target))):
            broken.append(link)
    return broken


def unknown_targets(text: str, known: set[str]) -> set[str]:
    """Return the make targets that a page mentions and that are not known."""
    return {target for part in code(text) for target in _MAKE.findall(part)} - known


def unknown_variables(text: str) -> set[str]:
    """Return the environment variables of Ballast that a page mentions and that set nothing."""
    known = {FILE_VARIABLE, BOOKS_VARIABLE, *map(variable, Settings.model_fields)}
    return set(_VARIABLE.findall(_OF_A_BOOK.sub("BALLAST_", text))) - known


def missing_paths(text: str) -> set[str]:
    """Return the paths of the repository that a page mentions and that do not exist."""
    mentioned = {path for part in code(text) for path in _PATH.findall(part)}
    return {path for path in mentioned if not (ROOT / path).exists()}


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@cache
def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", read(ROOT / "Makefile"), re.MULTILINE))


@cache
def written_tests() -> set[str]:
    found = (re.findall(r"def (test_\w+)", read(file)) for file in (ROOT / "tests").rglob("test_*.py"))
    return {name for names in found for name in names}


@pytest.mark.parametrize("name", NAMES)
def test_links__of_a_page__lead_somewhere(name: str) -> None:
    assert broken_links(ROOT / name, read(ROOT / name)) == []


@pytest.mark.parametrize("name", NAMES)
def test_make_targets__of_a_page__are_in_the_makefile(name: str) -> None:
    assert unknown_targets(read(ROOT / name), targets()) == set()


@pytest.mark.parametrize("name", NAMES)
def test_variables__of_a_page__are_settings(name: str) -> None:
    assert unknown_variables(read(ROOT / name)) == set()


@pytest.mark.parametrize("name", NAMES)
def test_paths__of_a_page__exist(name: str) -> None:
    assert missing_paths(read(ROOT / name)) == set()


@pytest.mark.parametrize("name", NAMES)
def test_tests__that_a_page_points_to__exist(name: str) -> None:
    assert set(_TEST.findall(read(ROOT / name))) - written_tests() == set()


def test_decisions__in_the_index__are_all_there() -> None:
    index = read(ROOT / "docs" / "README.md")
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert decisions
    assert [page.name for page in decisions if f"decisions/{page.name}" not in index] == []
    assert [page.name[:4] for page in decisions] == [f"{n:04d}" for n in range(1, len(decisions) + 1)]


WRONG: Final = """
# One heading
[here](#one-heading) [nowhere](#no-heading) [gone](gone.md) [away](https://example.com/gone.md)

Make sure of `make unit`, `make coffee` and `include/nothing.py`; set `BALLAST_WALLET`, not `BALLAST_WALET`.
`BALLAST_<NAME>` names none, and neither does `include/legs/`.
"""


def test_the_checks__on_a_page_with_one_of_each_mistake__find_just_those() -> None:
    page = ROOT / "README.md"
    assert broken_links(page, WRONG) == ["#no-heading", "gone.md"]
    assert unknown_targets(WRONG, targets()) == {"coffee"}
    assert unknown_variables(WRONG) == {"BALLAST_WALET"}
    assert missing_paths(WRONG) == {"include/nothing.py"}
