"""A real browser in front of the page, which a small server answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.desk import Desk, serve
from tests.support import chromium

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, Page


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start the system's Chromium once."""
    with chromium.started() as started:
        yield started


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
        page.on(
            "console", lambda message: faults.append(message.text) if chromium.is_fault(message) else None
        )
        page.goto(address + path)
        return page

    yield opener
    for context in contexts:
        context.close()
    assert faults == []
