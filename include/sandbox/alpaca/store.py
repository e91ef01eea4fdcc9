"""Keeps the broker's memory in a file, so that the sandbox can be stopped and continued."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.sandbox.alpaca.state import State

if TYPE_CHECKING:
    from pathlib import Path


def load(path: Path) -> State | None:
    """Return what was saved, or None when nothing was."""
    if not path.exists():
        return None
    return State.model_validate_json(path.read_text())


def save(path: Path, state: State) -> None:
    """Save the state. A crash leaves either the old or the new file, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text(state.model_dump_json())
    draft.replace(path)
