"""What the legs can tell a person, read from their source: what they ask, wait for, and are refused by.

Texts are templates. What is filled in while it runs is `…`.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Final

from include import legs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Function = ast.FunctionDef | ast.AsyncFunctionDef

FOLDER: Final = Path(legs.__file__).parent
BLANK: Final = "…"
_WAITS: Final = {"pause": 1, "Wait": 2}
"""Which argument is the reason, of what makes a wait."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A place where a leg asks for a person.

    :param texts: what it says; where that is only known while it runs, the reason it waits for.
    """

    file: str
    line: int
    texts: frozenset[str]


@dataclass(slots=True)
class Told:
    """Everything that the files of a folder can tell.

    :param reasons: of waits in which nobody is asked.
    :param refusals: what a step is refused with.
    """

    asked: list[Asked] = field(default_factory=list)
    reasons: set[str] = field(default_factory=set)
    refusals: set[str] = field(default_factory=set)


@cache
def told(folder: Path = FOLDER) -> Told:
    """Read the files of a folder."""
    found = Told()
    trees = {file.name: ast.parse(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.py"))}
    refused = _subclasses("Refused", trees.values())
    for name, tree in trees.items():
        waits = _WAITS | _handed_on(tree)
        for function in _functions(tree):
            _read(name, function, waits, refused, found)
    return found


def _read(name: str, function: Function, waits: dict[str, int], refused: set[str], found: Told) -> None:
    for node in ast.walk(function):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            if _name(node.exc.func) in refused:
                found.refusals |= _texts(node.exc.args[0], function)
        elif isinstance(node, ast.Call):
            asks = next((one.value for one in node.keywords if one.arg == "attention"), None)
            # What is only handed on, as `attention=outcome.attention`, asks nothing itself.
            if isinstance(asks, ast.Attribute):
                continue
            place = waits.get(_name(node.func))
            reasons: set[str] = set()
            if place is not None and len(node.args) > place:
                reasons = _texts(node.args[place], function)
            if asks is not None:
                texts = _texts(asks, function) or reasons
                found.asked.append(Asked(name, node.lineno, frozenset(texts)))
            if asks is None or _may_be_none(asks):
                found.reasons |= reasons


def _texts(node: ast.expr, function: Function) -> set[str]:
    """Return what an expression can read; nothing where that is only known while it runs."""
    return {text for text in _read_text(node, function) if text.strip(BLANK)}


def _read_text(node: ast.expr, function: Function) -> list[str]:
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.Constant(value=None):
            return []
        case ast.JoinedStr():
            return ["".join(parts) for parts in product(*(_read_text(one, function) for one in node.values))]
        case ast.FormattedValue():
            # A name may stand for a text of this function; of others only their value would tell.
            return _read_text(node.value, function) if isinstance(node.value, ast.Name) else [BLANK]
        case ast.IfExp():
            return [*_read_text(node.body, function), *_read_text(node.orelse, function)]
        case ast.Name(id=name):
            assigned, _ = _assigned(name, node.lineno, function.body)
            return [text for value in assigned for text in _read_text(value, function)] or [BLANK]
    return [BLANK]


def _assigned(name: str, line: int, block: Sequence[ast.stmt]) -> tuple[list[ast.expr], bool]:
    """Return what a name may stand for at a line of a block, and whether it was surely assigned there."""
    found: list[ast.expr] = []
    for statement in reversed([one for one in block if one.lineno <= line]):
        end = statement.end_lineno or statement.lineno
        if isinstance(statement, ast.Assign) and end < line and name in map(_name, statement.targets):
            return [*found, statement.value], True
        for inner in _blocks(statement):
            if end < line and isinstance(inner[-1], ast.Return | ast.Raise | ast.Continue):
                continue  # who goes in there does not come here
            if end >= line and not inner[0].lineno <= line <= (inner[-1].end_lineno or 0):
                continue
            values, surely = _assigned(name, line, inner)
            found += values
            if surely and end >= line:
                return found, True
    return found, False


def _blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for part in ("body", "orelse", "handlers", "finalbody"):
        inner = getattr(statement, part, None) or []
        if part == "handlers":
            yield from (handler.body for handler in inner)
        elif inner:
            yield inner


def _handed_on(tree: ast.Module) -> dict[str, int]:
    """Return the methods of a file that wait for the reason they are given, and which argument that is."""
    found = {}
    for function in _functions(tree):
        names = [argument.arg for argument in function.args.args if argument.arg != "self"]
        if "reason" in names and function.name not in _WAITS:
            found[function.name] = names.index("reason")
    return found


def _subclasses(root: str, trees: Iterable[ast.Module]) -> set[str]:
    """Return the names of a class and of all that are made from it."""
    classes = [
        (node.name, {_name(base) for base in node.bases})
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    ]
    found = {root}
    while more := {name for name, bases in classes if bases & found} - found:
        found |= more
    return found


def _functions(tree: ast.Module) -> Iterator[Function]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _may_be_none(node: ast.expr) -> bool:
    return isinstance(node, ast.IfExp) and any(
        isinstance(part, ast.Constant) and part.value is None for part in (node.body, node.orelse)
    )
