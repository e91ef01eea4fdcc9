"""Where the page of each book is, and how one gets there: by its path, from the tab of a DAG, by a link."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient

from ballast.page import mount
from ballast.page.books import Shown, shown, way
from tests.browser import canned
from tests.unit.plugins.page.books.conftest import ALL, ALPHA, BETA, NAMELESS, at, file, settings
from tests.unit.plugins.page.conftest import HOST, browser
from tests.unit.plugins.page.test_access import BODIES, PAGES

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi import FastAPI

    from include.settings import Names
    from tests.unit.plugins.page.conftest import Browser


# -- its path --------------------------------------------------------------------------------------


# The client would resolve dots that are not encoded.
@pytest.mark.parametrize("place", ["books/gamma/", "books/Alpha/", "books/default/", "books/%2e%2e/"])
def test_unknown_book__is_not_found_after_the_login(
    nobody: Browser, ulla: Browser, nemo: Browser, place: str
) -> None:
    for path in ("", "runbook", "metrics", "static/index.html", "api/overview", "api/openapi.json"):
        for somebody in (ulla, nemo):
            answer = replace(somebody, at=place).get(path)
            assert (answer.status_code, answer.json()) == (404, {"detail": "there is no such book"}), path
        assert replace(nobody, at=place).get(path).status_code == (303 if path in PAGES else 401), path
    answer = replace(ulla, at=place).post("api/switch", BODIES["api/switch"])
    assert answer.status_code == 404
    assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]
    assert replace(nobody, at=place).post("api/switch", BODIES["api/switch"]).status_code == 401


def test_books__come_and_go_with_their_files(ulla: Browser, tmp_path: Path) -> None:
    gamma = tmp_path / "books" / "gamma.toml"
    assert replace(ulla, at="books/gamma/").get("").status_code == 404
    gamma.write_text('wallet = "0x' + "9" * 40 + '"\n', encoding="utf-8")
    assert replace(ulla, at="books/gamma/").get("").status_code == 200
    assert [one["name"] for one in ulla.get("api/books").json()] == ["", "alpha", "beta", "gamma"]
    gamma.unlink()
    assert replace(ulla, at="books/gamma/").get("api/overview").status_code == 404
    assert [one["name"] for one in ulla.get("api/books").json()] == ["", "alpha", "beta"]


def test_path__without_its_slash__is_led_to_the_page(ulla: Browser) -> None:
    answer = ulla.get("books/alpha")
    assert (answer.status_code, answer.headers["location"]) == (307, f"{HOST}/ballast/books/alpha/")


def test_airflow_under_a_path__a_book_and_its_login_are_under_it_too(
    airflow: FastAPI, client: TestClient
) -> None:
    below = TestClient(airflow, base_url=HOST, root_path="/flows")
    nobody = browser(below, None)
    found = below.get("/flows/ballast/books/alpha/?run_id=1", follow_redirects=False)
    expected = "/flows/api/v2/auth/login?next=%2Fflows%2Fballast%2Fbooks%2Falpha%2F%3Frun_id%3D1"
    assert (nobody.token, found.status_code, found.headers["location"]) == (None, 303, expected)


def test_description__says_where_the_api_of_the_book_is(ulla: Browser) -> None:
    urls = [at(ulla, names).get("api/openapi.json").json()["servers"] for names in ALL]
    assert urls == [
        [{"url": "/ballast"}],
        [{"url": "/ballast/books/alpha"}],
        [{"url": "/ballast/books/beta"}],
    ]


@pytest.mark.parametrize(
    ("to", "seen_from", "expected"),
    [
        (NAMELESS, NAMELESS, "./"),
        (ALPHA, ALPHA, "./"),
        (ALPHA, NAMELESS, "books/alpha/"),
        (NAMELESS, ALPHA, "../../"),
        (BETA, ALPHA, "../../books/beta/"),
    ],
)
def test_way__from_book_to_book__is_relative(to: Names, seen_from: Names, expected: str) -> None:
    assert way(to, seen_from) == expected


# -- the tabs of DAGs ------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [ALPHA, BETA], ids=lambda names: names.label)
def test_tab__of_a_dag_of_another_book__leads_to_its_page_with_the_same_question(
    vera: Browser, names: Names
) -> None:
    for dag_id in (names.dag, names.operations_dag, names.doctor_dag, names.alerts_dag):
        query = f"?dag_id={dag_id}&run_id=manual__2026-03-02T14%3A30%3A00%2B00%3A00"
        answer = vera.get(query)
        assert (answer.status_code, answer.headers["location"]) == (303, f"books/{names.book}/{query}")
        followed = vera.client.get(f"/ballast/{query}", follow_redirects=True)
        assert (followed.status_code, 'id="assets"' in followed.text) == (200, True)
        assert str(followed.url) == f"{HOST}/ballast/books/{names.book}/{query}"


def test_tab__in_a_named_book__of_the_nameless_one_and_of_another__leads_there(vera: Browser) -> None:
    found = at(vera, ALPHA)
    assert found.get("?dag_id=rebalancing").headers["location"] == "../../?dag_id=rebalancing"
    assert found.get("?dag_id=rebalancing_beta").headers["location"] == (
        "../../books/beta/?dag_id=rebalancing_beta"
    )
    assert 'id="assets"' in found.get("?dag_id=rebalancing_alpha_alerts").text


def test_tab__of_a_book_that_one_may_not_see__is_forbidden_there(anna: Browser) -> None:
    query = f"?dag_id={BETA.dag}"
    assert anna.get(query).status_code == 303
    assert at(anna, BETA).get(query).status_code == 403
    assert anna.get(f"?dag_id={NAMELESS.dag}").status_code == 403


@pytest.mark.parametrize("dag_id", ["payroll", "rebalancing_gamma", "rebalancing_alphabet", ""])
def test_tab__of_no_book__says_whose_page_it_is(vera: Browser, nemo: Browser, dag_id: str) -> None:
    for somebody in (vera, nemo, at(vera, ALPHA)):
        answer = somebody.get(f"?dag_id={dag_id}")
        assert (answer.status_code, "about another DAG" in answer.text) == (200, True)


def test_tab__nobody_is_logged_in__leads_to_the_login_first(nobody: Browser) -> None:
    answer = nobody.get("?dag_id=rebalancing_alpha")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/api/v2/auth/login?next=%2Fballast%2F%3Fdag_id")


# -- the links to the others -----------------------------------------------------------------------


def test_books__are_those_that_one_may_see(ulla: Browser, anna: Browser) -> None:
    assert at(ulla, ALPHA).get("api/books").json() == [
        {"name": "", "label": "default", "href": "../../", "current": False},
        {"name": "alpha", "label": "alpha", "href": "./", "current": True},
        {"name": "beta", "label": "beta", "href": "../../books/beta/", "current": False},
    ]
    assert [one["name"] for one in at(anna, ALPHA).get("api/books").json()] == ["alpha"]


def test_books__as_made_up_for_the_tests_in_a_browser__fit() -> None:
    for names in ALL:
        made_up = [Shown.model_validate(one) for one in canned.books([one.book for one in ALL], names.book)]
        assert made_up == [shown(one, names) for one in ALL]


def test_books__only_one__is_the_only_answer(ulla: Browser, tmp_path: Path) -> None:
    for names in (ALPHA, BETA):
        file(tmp_path, names).unlink()
    expected = {"name": "", "label": "default", "href": "./", "current": True}
    assert ulla.get("api/books").json() == [expected]


def test_book__its_settings_are_wrong__is_listed_and_says_what_is_wrong(
    ulla: Browser, tmp_path: Path
) -> None:
    file(tmp_path, BETA).write_text("nonsense = 1\n", encoding="utf-8")
    assert "beta" in [one["name"] for one in ulla.get("api/books").json()]
    assert at(ulla, BETA).get("").status_code == 200
    answer = at(ulla, BETA).get("api/overview")
    assert answer.status_code == 503
    assert "nonsense" in answer.json()["detail"]
    for names in (NAMELESS, ALPHA):
        assert at(ulla, names).get("api/overview").status_code == 200


def test_book__another_one_begins_to_say_the_same__is_refused_at_once(ulla: Browser, tmp_path: Path) -> None:
    """What was read of the one is not kept when the other's file changes."""
    assert at(ulla, ALPHA).get("api/overview").status_code == 200
    text = settings(BETA, wallet="0x" + "2" * 40)
    file(tmp_path, BETA).write_text(text, encoding="utf-8")
    for names in (ALPHA, BETA):
        answer = at(ulla, names).get("api/overview")
        assert (answer.status_code, "alpha and beta" in answer.json()["detail"]) == (503, True)


# -- no book without a name ------------------------------------------------------------------------


@pytest.fixture
def named_only(client: TestClient, tmp_path: Path) -> None:
    """Every book has a name."""
    file(tmp_path, NAMELESS).unlink()


@pytest.mark.usefixtures("named_only")
def test_home__every_book_has_a_name__leads_to_the_first_that_one_may_see(
    ulla: Browser, anna: Browser, nemo: Browser, nobody: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    for somebody in (ulla, anna):
        assert (somebody.get("").status_code, somebody.get("").headers["location"]) == (303, "books/alpha/")
        assert somebody.get("runbook").headers["location"] == "books/alpha/runbook"
    assert (nemo.get("").status_code, nemo.get("runbook").status_code) == (403, 403)
    assert nobody.get("").headers["location"] == "/api/v2/auth/login?next=%2Fballast%2F"
    for path in ("api/overview", "metrics", "static/index.html"):
        assert (ulla.get(path).status_code, nobody.get(path).status_code) == (404, 401), path


@pytest.mark.usefixtures("named_only")
def test_home__every_book_has_a_name__leads_past_a_book_that_one_may_not_see(
    ulla: Browser, tmp_path: Path, anna: Browser
) -> None:
    (tmp_path / "books" / "aaa.toml").write_text("", encoding="utf-8")
    assert ulla.get("").headers["location"] == "books/aaa/"
    assert anna.get("").headers["location"] == "books/alpha/"


@pytest.mark.usefixtures("named_only")
def test_tab__every_book_has_a_name__leads_to_the_book_or_says_whose_page_it_is(
    ulla: Browser, nemo: Browser
) -> None:
    query = "?dag_id=rebalancing_beta_doctor&run_id=1"
    assert ulla.get(query).headers["location"] == f"books/beta/{query}"
    assert ulla.get("?dag_id=payroll").headers["location"] == "books/alpha/?dag_id=payroll"
    assert "about another DAG" in at(ulla, ALPHA).get("?dag_id=payroll").text
    assert "about another DAG" in nemo.get("?dag_id=payroll").text
    assert nemo.get(query).headers["location"] == f"books/beta/{query}"
    assert at(nemo, BETA).get(query).status_code == 403


def test_mounted__each_book__is_made_once_and_when_it_is_asked_for() -> None:
    made: list[str | None] = []

    def build(book: str | None) -> Any:
        made.append(book)
        return object()

    found = mount.Mounted(build)
    assert found._app_of("") is found._app_of("")
    assert found._app_of("nothing") is found._app_of("else")
    assert made == ["", None]
