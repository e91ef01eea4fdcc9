"""A real browser in front of the page: Chromium as the system has it, nothing is downloaded."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import sync_playwright

from tests.browser.desk import Desk, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = os.environ.get("BALLAST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start the system's Chromium once. Another one is named by BALLAST_CHROMIUM."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: install it, or name it in BALLAST_CHROMIUM")
    with sync_playwright() as playwright:
        # A container's root may use no sandbox of the kernel; only our own page is opened.
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def address(desk: Desk) -> Iterator[str]:
    yield from serve(desk)


@pytest.fixture
def open_page(browser: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Open an address in a new window; the test fails if the page logs an error or throws."""
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def opener(
        path: str = "/ballast/", *, width: int = 1440, scheme: Any = "light", clock: bool = False
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            timezone_id="UTC",
            reduced_motion="reduce",
            has_touch=width < 600,
        )
        contexts.append(context)
        page = context.new_page()
        if clock:
            page.clock.install()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if _is_fault(message) else None)
        page.goto(address + path)
        return page

    yield opener
    for context in contexts:
        context.close()
    assert faults == []


def _is_fault(message: Any) -> bool:
    # Chromium itself logs every answer that is an error; the tests ask for some.
    return message.type == "error" and "Failed to load resource" not in message.text
