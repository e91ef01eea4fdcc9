"""A real browser: Chromium as the system has it, nothing is downloaded."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

FOUND = os.environ.get("BALLAST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


@contextmanager
def started() -> Iterator[Browser]:
    """Start the system's Chromium, or the one named by BALLAST_CHROMIUM; skip the test without one."""
    if FOUND is None:
        pytest.skip("no Chromium on this machine: install it, or name it in BALLAST_CHROMIUM")
    with sync_playwright() as playwright:
        # A container's root may use no sandbox of the kernel; only our own pages are opened.
        browser = playwright.chromium.launch(executable_path=FOUND, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def is_fault(message: Any) -> bool:
    """Tell whether a line of the console is an error of the page."""
    # Chromium itself logs every answer that is an error; the tests ask for some.
    return message.type == "error" and "Failed to load resource" not in message.text
