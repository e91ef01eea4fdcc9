"""Why a person may not do what they asked for."""

from __future__ import annotations


class Refusal(RuntimeError):
    """It was not done, and nothing was changed. The message says why, and what to do instead."""
