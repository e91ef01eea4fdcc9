"""A PostgreSQL server of the tests' own, in a temporary folder, reached through a Unix socket only."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

DEBIAN = Path("/usr/lib/postgresql")


def binaries() -> Path | None:
    """Return the folder with `initdb` and `pg_ctl`, or None where PostgreSQL is not installed."""
    folders = sorted(DEBIAN.glob("*/bin"), reverse=True)
    found = shutil.which("initdb")
    if found is not None:
        folders.append(Path(found).resolve().parent)
    return next((folder for folder in folders if (folder / "pg_ctl").exists()), None)


@contextmanager
def server() -> Iterator[str]:
    """Start a server, and yield the URL of its database `postgres`."""
    folder = binaries()
    if folder is None:
        msg = "PostgreSQL is not installed"
        raise RuntimeError(msg)
    home = Path(tempfile.mkdtemp(prefix="ballast-pg-"))
    as_owner = _as_owner(home)
    data = home / "data"

    def run(*command: str | Path) -> None:
        done = subprocess.run([*as_owner, *map(str, command)], capture_output=True, text=True, check=False)
        if done.returncode:
            log = home / "log"
            tail = log.read_text()[-2000:] if log.exists() else ""
            msg = f"{command[0]} failed: {done.stdout}{done.stderr}{tail}"
            raise RuntimeError(msg)

    options = f"-c listen_addresses='' -k {home} -c fsync=off"
    try:
        run(folder / "initdb", "-D", data, "-U", "ballast", "--auth=trust", "-E", "UTF8", "--no-sync")
        run(folder / "pg_ctl", "-D", data, "-l", home / "log", "-o", options, "-w", "start")
        try:
            yield f"postgresql+psycopg://ballast@/postgres?host={home}"
        finally:
            run(folder / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _as_owner(home: Path) -> list[str]:
    """PostgreSQL does not run as root; its package brings a user that it can run as."""
    if os.geteuid() != 0:
        return []
    owner = pwd.getpwnam("postgres")
    os.chown(home, owner.pw_uid, owner.pw_gid)
    return ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups", "--"]
