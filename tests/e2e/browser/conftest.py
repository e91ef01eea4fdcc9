"""One Airflow over the local world for all of these tests, and three people with a browser each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.e2e.browser.pages import Person
from tests.faults.stage import Stage
from tests.support import chromium

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

PEOPLE = {"ada": "admin", "olga": "op", "vera": "viewer"}


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium.started() as started:
        yield started


@pytest.fixture(scope="package")
def stage(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """An Airflow that wants a login, in which checks are made when somebody asks for one.

    More than 2 shares of NVDA need a person's approval.
    """
    home = tmp_path_factory.mktemp("page") / "home"
    extra = {
        "BALLAST_REBALANCING_CHECK_INTERVAL": "1h",
        "BALLAST_ASSETS": json.dumps({"NVDA": {"approval_above": "2"}}),
    }
    with Stage.opened(home, extra=extra, people=PEOPLE) as opened:
        yield opened


@pytest.fixture(scope="package")
def person(stage: Stage, browser: Browser) -> Iterator[Callable[[str], Person]]:
    """Make somebody with a browser of their own; no page may have an error in it at the end."""
    made: list[Person] = []

    def new(name: str) -> Person:
        made.append(Person(stage.ballast.airflow, browser, name))
        return made[-1]

    yield new
    for one in made:
        one.leave()
    assert [fault for one in made for fault in one.faults] == []


@pytest.fixture(scope="package")
def olga(person: Callable[[str], Person]) -> Person:
    """May act."""
    return person("olga")


@pytest.fixture(scope="package")
def vera(person: Callable[[str], Person]) -> Person:
    """May look."""
    return person("vera")
