"""What a person sees while something takes time: one line for each thing that happens, with the time."""

from __future__ import annotations

import sys
import time


class Progress:
    """Writes lines with the seconds since the start."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    @property
    def seconds(self) -> int:
        """Whole seconds since the start."""
        return round(time.monotonic() - self._start)

    def __call__(self, text: str) -> None:
        """Write one line."""
        sys.stdout.write(f"[{self.seconds:4d} s] {text}\n")
        sys.stdout.flush()
