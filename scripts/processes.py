"""Processes that are started here and ended by whoever comes later: recorded, and ended group by group."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def record(home: Path, pids: Mapping[str, int], **about: str) -> None:
    """Write down who runs, for `stop_recorded` in another process; nobody is no record.

    :param about: what else is to be known of them.
    """
    running = {name: {"pid": pid, "started": psutil.Process(pid).create_time()} for name, pid in pids.items()}
    file = record_file(home)
    if running:
        file.write_text(json.dumps({**about, "processes": running}), encoding="utf-8")
    else:
        file.unlink(missing_ok=True)


def stop_recorded(home: Path, *, patience: float = 15) -> list[str]:
    """Stop what another process has started, found by what it wrote down in a folder.

    A process id that has since been given to someone else is left alone.

    :returns: the names of the processes that were stopped.
    """
    file = record_file(home)
    try:
        recorded = json.loads(file.read_text(encoding="utf-8"))["processes"]
    except FileNotFoundError:
        return []
    alive = {name: entry["pid"] for name, entry in recorded.items() if _is_same(entry)}
    end_groups(list(alive.values()), patience)
    file.unlink(missing_ok=True)
    return list(alive)


def record_file(home: Path) -> Path:
    """Return where it is written down who runs."""
    return home / "processes.json"


def _is_same(entry: Mapping[str, Any]) -> bool:
    try:
        started: float = psutil.Process(entry["pid"]).create_time()
    except psutil.NoSuchProcess:
        return False
    return abs(started - float(entry["started"])) < 1


def end_groups(groups: list[int], patience: float) -> None:
    """Ask process groups to end, wait, and kill what is left of them.

    :param patience: in seconds.
    """
    for number, limit in ((signal.SIGTERM, patience), (signal.SIGKILL, 10)):
        left = [group for group in groups if members(group)]
        for group in left:
            _signal_group(group, number)
        end = time.monotonic() + limit
        while any(members(group) for group in left) and time.monotonic() < end:
            time.sleep(0.05)


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def members(group: int) -> list[int]:
    """Return the living processes of a group; one that only waits to be reaped is not living."""
    members = []
    for process in psutil.process_iter(["pid", "status"]):
        with suppress(ProcessLookupError, PermissionError):
            if os.getpgid(process.pid) == group and process.info["status"] != psutil.STATUS_ZOMBIE:
                members.append(process.pid)
    return members
