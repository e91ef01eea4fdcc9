"""The page of failure modes: each known case has one verdict, and what the verdict rests on exists."""

from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Final

import pytest

from scripts.astro_settings import ROOT

PAGE: Final = ROOT / "docs" / "failure-modes.md"
RULES, CASES = 12, 105
OPEN: Final = "open"
VERDICTS: Final = ("impossible", "survived", "not applicable", OPEN)

_ROW: Final = re.compile(r"^\| (R?\d+) \|(.*)\|$", re.MULTILINE)
_LINK: Final = re.compile(r"\[`(tests/[^`]+)`\]\(([^)\s]+)\)")
_CODE: Final = re.compile(r"`(tests/[^`]+)`")
_TEST: Final = re.compile(r"(tests/[\w/]+\.py)((?:::\w+){1,2})")
_MECHANISM: Final = re.compile(r"\]\(\.\./((?:include|plugins|dags)/[\w/]+\.py)\)")
_LISTED: Final = re.compile(r"^- \*\*([^*]+)\.\*\*", re.MULTILINE)


@dataclass(frozen=True)
class Entry:
    """One line of the page: what can go wrong, its verdict, and what that rests on."""

    number: str
    what: str
    verdict: str
    here: str

    @property
    def tests(self) -> list[str]:
        """The tests it names, as pytest takes them."""
        return _CODE.findall(self.here)


def entries(text: str) -> list[Entry]:
    """Read the tables. A line that has not four columns has no verdict."""
    found = []
    for number, rest in _ROW.findall(text):
        columns = [column.strip() for column in rest.split(" | ", 2)]
        what, verdict, here = [*columns, "", ""][:3]
        found.append(Entry(number, what, verdict.removeprefix("**").removesuffix("**"), here))
    return found


def wrong_numbers(found: list[Entry]) -> list[str]:
    """Return the numbers that are missing, superfluous or there twice."""
    wanted = [f"R{n}" for n in range(1, RULES + 1)] + [str(n) for n in range(1, CASES + 1)]
    counted = Counter(entry.number for entry in found)
    return [
        number for number in dict.fromkeys([*wanted, *counted]) if counted[number] != wanted.count(number)
    ]


def without_ground(found: list[Entry]) -> list[str]:
    """Return the numbers whose verdict is none, or lacks what it has to rest on."""
    rests_on = {
        "impossible": lambda one: any((ROOT / file).is_file() for file in _MECHANISM.findall(one.here)),
        "survived": lambda one: bool(one.tests),
        "not applicable": lambda one: bool(one.here),
        OPEN: lambda one: "Missing: " in one.here,
    }
    return [
        one.number
        for one in found
        if not one.what or one.verdict not in rests_on or not rests_on[one.verdict](one)
    ]


def missing_tests(found: list[Entry]) -> list[str]:
    """Return the tests that are named and do not exist, or whose link leads elsewhere."""
    missing = []
    for entry in found:
        links = dict(_LINK.findall(entry.here))
        for named in entry.tests:
            form = _TEST.fullmatch(named)
            linked = form is not None and links.get(named) == f"../{form[1]}"
            if form is None or not linked or form[2].removeprefix("::") not in written(form[1]):
                missing.append(named)
    return missing


@cache
def written(path: str) -> frozenset[str]:
    """Return the tests of a file, parametrized or not; those of a class with its name."""
    file = ROOT / path
    if not file.is_file() or not file.name.startswith("test_"):
        return frozenset()
    found = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        members = node.body if isinstance(node, ast.ClassDef) and node.name.startswith("Test") else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        found |= {
            prefix + member.name
            for member in members
            if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef) and member.name.startswith("test_")
        }
    return frozenset(found)


def listed(text: str) -> list[str]:
    """Return the numbers in the list of open ones at the top."""
    return [number for numbers in _LISTED.findall(text) for number in numbers.split(", ")]


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_numbers__of_the_page__have_no_hole_and_no_double(page: str) -> None:
    assert wrong_numbers(entries(page)) == []


def test_verdicts__of_the_page__are_one_each_and_rest_on_something(page: str) -> None:
    assert without_ground(entries(page)) == []
    assert {entry.verdict for entry in entries(page)} == set(VERDICTS)


def test_tests__that_the_page_names__exist(page: str) -> None:
    assert missing_tests(entries(page)) == []


def test_open__in_the_list_at_the_top__are_just_those_of_the_tables(page: str) -> None:
    found = listed(page)
    assert sorted(found) == sorted(entry.number for entry in entries(page) if entry.verdict == OPEN)


HERE: Final = "tests/unit/test_failure_modes.py"
WRONG: Final = f"""
- **R1, 2.** Open.

| R1 | A rule. | **open** | Missing: something. |
| 1 | Right. | **survived** | [`{HERE}::test_written__of_any_file__are_its_tests`](../{HERE}) |
| 2 | No such test. | **survived** | [`{HERE}::test_gone__x__y`](../{HERE}) |
| 2 | Twice, and not in that file. | **survived** | [`tests/gone.py::test_x__y__z`](../tests/gone.py) |
| 4 | Linked to another file. | **survived** | [`{HERE}::test_tests__that_the_page_names__exist`](page.md) |
| 5 | No test. | **survived** | For sure. |
| 6 | No mechanism. | **impossible** | [gone.py](../include/gone.py) |
| 7 | No such verdict. | **perhaps** | Who knows. |
| 8 | No verdict. |
| 9 | What is missing is not said. | **open** | Nothing. |
| 10 | A mechanism. | **impossible** | [check.py](../include/check.py) |
| 11 | Not there. | **not applicable** | No vaults. |
| 12 | With parameters. | **survived** | [`{HERE}::test_x__y[1]`](../{HERE}) |
"""


def test_the_checks__on_a_page_with_one_of_each_mistake__find_just_those() -> None:
    found = entries(WRONG)
    assert wrong_numbers(found)[RULES - 1 :][:2] == ["2", "3"]
    assert len(wrong_numbers(found)) == (RULES - 1) + 2 + (CASES - 12)
    assert without_ground(found) == ["5", "6", "7", "8", "9"]
    assert missing_tests(found) == [
        f"{HERE}::test_gone__x__y",
        "tests/gone.py::test_x__y__z",
        f"{HERE}::test_tests__that_the_page_names__exist",
        f"{HERE}::test_x__y[1]",
    ]
    assert listed(WRONG) == ["R1", "2"]


@pytest.mark.parametrize(
    ("path", "name", "known"),
    [
        (HERE, "test_written__of_any_file__are_its_tests", True),  # itself, which has parameters
        ("tests/unit/test_settings.py", "TestDefaults::test_settings__assigning_a_field__is_refused", True),
        ("tests/unit/test_settings.py", "test_settings__assigning_a_field__is_refused", False),
        (HERE, "listed", False),
        ("tests/unit/conftest.py", "listed", False),
        ("tests/unit/test_gone.py", "test_x", False),
    ],
)
def test_written__of_any_file__are_its_tests(path: str, name: str, known: bool) -> None:
    assert (name in written(path)) is known
