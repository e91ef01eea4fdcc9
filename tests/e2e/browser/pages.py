"""What a person does in Airflow and on the page in it, in their own browser."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from playwright.sync_api import expect

from tests.support import chromium

if TYPE_CHECKING:
    from collections.abc import Mapping

    from playwright.sync_api import Browser, ConsoleMessage, FrameLocator, Locator, Page

    from scripts.local_airflow import LocalAirflow

PATIENCE = 240_000
"""Milliseconds in which what Airflow or a venue has to do first is seen on the page."""
QUICK = 60_000
"""The same of what only the browser and the API server have to do; the machine may be busy."""

expect.set_options(timeout=QUICK)


@dataclass
class Person:
    """Somebody with a browser of their own.

    :ivar faults: what the page has logged as an error, or thrown.
    """

    airflow: LocalAirflow
    browser: Browser
    name: str
    page: Page = field(init=False)
    faults: list[str] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        context = self.browser.new_context(
            base_url=self.airflow.url,
            viewport={"width": 1440, "height": 1000},
            timezone_id="UTC",
            reduced_motion="reduce",
        )
        self.page = context.new_page()
        self.page.set_default_timeout(QUICK)
        self.page.on("console", self._listen)

    def _listen(self, message: ConsoleMessage) -> None:
        # Airflow's own pages are not ours to judge.
        if "/ballast/" in message.location.get("url", "") and chromium.is_fault(message):
            self.faults.append(message.text)

    def leave(self) -> None:
        """Close the browser's windows."""
        self.page.context.close()

    def log_in(self) -> None:
        """Log in on Airflow's own form, which is shown already."""
        self.page.get_by_label("Username").fill(self.name)
        self.page.get_by_label("Password").first.fill(self.airflow.passwords[self.name])
        self.page.get_by_role("button", name="Sign in").click()

    def open(self, path: str = "/") -> None:
        """Open a page of Airflow, by way of the login where it asks for one."""
        self.page.goto(path)
        form = self.page.get_by_label("Username")
        inside = self.page.get_by_role("link", name="Dags", exact=True)
        expect(form.or_(inside).first).to_be_visible()
        if form.is_visible():
            self.log_in()
            expect(inside).to_be_visible()

    def open_from_navigation(self) -> Ballast:
        """Open the page as Airflow's navigation does."""
        self.open()
        self.page.get_by_role("link", name="Ballast", exact=True).click()
        return self.ballast()

    def ballast(self) -> Ballast:
        """Return the page that Airflow shows in its frame, once it has its first answer."""
        shown = Ballast(self.page.frame_locator('iframe[title="Ballast"]'))
        expect(shown.frame.locator("#freshness")).to_contain_text("live")
        return shown

    def post(self, path: str, body: Mapping[str, object]) -> int:
        """Ask for an act as the page would, with the login of this browser; return the status."""
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(self.airflow.url))
        headers = {"X-Ballast": "1", "Origin": origin, "Sec-Fetch-Site": "same-origin"}
        return self.page.request.post(f"/ballast/api/{path}", data=dict(body), headers=headers).status


@dataclass
class Ballast:
    """The page, in its frame."""

    frame: FrameLocator

    def asset(self, symbol: str) -> Locator:
        """Return the row of an asset."""
        named = self.frame.get_by_role("button", name=symbol, exact=True)
        return self.frame.locator(".asset:not(.heads)").filter(has=named)

    def operation(self, operation_id: str) -> Locator:
        """Return an open operation."""
        return self.frame.locator(f"#operation-{operation_id}")

    def past(self, asset: str) -> Locator:
        """Return the newest operation of an asset in the list of the last days."""
        return self.frame.locator(".past:not(.heads)").filter(has_text=asset).first

    def press(self, name: str) -> None:
        """Press a button of the page, by its whole name."""
        self.frame.get_by_role("button", name=name, exact=True).click()

    def choose(self, name: str) -> None:
        """Choose an option of the dialog."""
        self.dialog.get_by_role("radio", name=name).check()

    def select(self, label: str, value: str) -> None:
        """Select a value in a list of the dialog."""
        self.dialog.get_by_label(label).select_option(value)

    def fill(self, label: str, text: str) -> None:
        """Fill a field of the dialog."""
        self.dialog.get_by_label(label).fill(text)

    @property
    def dialog(self) -> Locator:
        """The dialog that is open."""
        return self.frame.locator("dialog[open]").last

    def confirm(self, name: str, reason: str | None = None) -> None:
        """Give the reason and confirm; again, as a person would, while a leg is at work on the operation."""
        if reason is not None:
            self.fill("Reason", reason)
        act = self.frame.locator("dialog#act[open]")
        refusal = act.get_by_role("alert").filter(has_text=re.compile("try again then|wait until its task"))
        for _ in range(10):
            act.get_by_role("button", name=name, exact=True).click()
            closed = self.frame.locator("body:not(:has(dialog#act[open]))")
            expect(closed.or_(refusal).first).to_be_visible()
            if not act.is_visible():
                return
        expect(act).to_be_hidden()

    def open_details(self, kind: str, asset: str) -> None:
        """Open the details of an open operation."""
        self.press(f"Details of the {kind} of {asset}")
        expect(self.dialog.get_by_role("heading", name="What people did")).to_be_visible()

    def close_details(self) -> None:
        """Close them."""
        if self.dialog.is_visible():
            self.dialog.get_by_role("button", name="Close").click()

    def acts(self) -> Locator:
        """Return every button that does more than show something."""
        words = "^(Turn|Check now|Hold|Release|Resume|Cancel|Adopt|Reconcile|Start|Approve|Reject)"
        return self.frame.get_by_role("button", name=re.compile(words))
