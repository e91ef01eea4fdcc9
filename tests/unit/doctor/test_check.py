from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from include.book import Network
from include.doctor import CHECKS
from include.doctor.check import Check, Look, Subject, check, examine, failure, ok, warning
from include.doctor.report import Finding, Level
from include.venues.errors import Refused, Unavailable
from tests.unit.doctor.build import URL_KEY, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.doctor.check import Found

SECRET = "sentinel-secret"
SUBJECT = Subject(settings(), secrets=(SECRET,))


def of(*found: Found, error: Exception | None = None, name: str = "thing", each_chain: bool = False) -> Check:
    """Return a check that finds these, and then raises."""

    def look(_: Look) -> Iterator[Found]:
        yield from found
        if error is not None:
            raise error

    return check(name, reads="nothing", advice="Mend it.", each_chain=each_chain)(look)


def test_examine__several_checks__keep_their_order_and_get_their_names() -> None:
    checks = [
        of(ok("a"), name="first"),
        of(ok("b"), name="second", each_chain=True),
        of(ok("c"), name="third"),
    ]

    findings = examine(SUBJECT, checks)

    assert [finding.check for finding in findings] == [
        "first",
        "second (ethereum)",
        "second (base)",
        "third",
    ]


def test_examine__advice__is_the_checks_unless_there_is_a_better_one_or_all_is_well() -> None:
    findings = examine(SUBJECT, [of(ok("well"), warning("meh"), failure("bad", "Do this."))])

    assert [finding.advice for finding in findings] == ["", "Mend it.", "Do this."]


@pytest.mark.parametrize(
    ("error", "found", "advice"),
    [
        (Refused("no such account"), "no such account", "Mend it."),
        (Unavailable("no answer"), "no answer", "Try again."),
        (KeyError(SECRET), "the check itself failed: KeyError", "Try again."),
        (RuntimeError(f"at https://{URL_KEY}"), "the check itself failed: RuntimeError", "Try again."),
    ],
)
def test_examine__a_check_that_breaks__is_a_failure_and_the_others_go_on(
    error: Exception, found: str, advice: str
) -> None:
    findings = examine(SUBJECT, [of(ok("before"), error=error), of(ok("after"), name="other")])

    assert [(finding.check, finding.level) for finding in findings] == [
        ("thing", Level.OK),
        ("thing", Level.FAILURE),
        ("other", Level.OK),
    ]
    assert findings[1].found == found
    assert findings[1].advice.startswith(advice)


def test_examine__a_text_with_secrets__shows_none() -> None:
    url = f"https://base.test/v2/{URL_KEY}"
    findings = examine(SUBJECT, [of(failure(f"{SECRET} at {url}", f"Not {SECRET}."), error=Refused(SECRET))])

    assert [(finding.found, finding.advice) for finding in findings] == [
        ("*** at ***", "Not ***."),
        ("***", "Mend it."),
    ]


def test_examine__nothing_could_be_opened__names_what_is_missing_once() -> None:
    findings = examine(Subject(settings(wallet="", rebalancing_enabled="false")), CHECKS)

    skipped = {finding.advice: finding.found for finding in findings if finding.check == "not looked at"}
    assert skipped.keys() == {
        "Put the setting ethereum_rpc_url right first.",
        "Put the setting base_rpc_url right first.",
        "Put the setting wallet right first.",
        "Put the Connection alpaca right first.",
        "Put the Connection circle right first.",
        "Put the Connection rebalancing_ledger right first.",
    }
    assert "gas (base)" in skipped["Put the setting base_rpc_url right first."]
    assert {finding.level for finding in findings} == {Level.OK, Level.WARNING}


def test_checks__every_one__says_what_it_reads_and_what_to_do_under_a_name_of_its_own() -> None:
    names = [check.about.name for check in CHECKS]
    assert len(set(names)) == len(names)
    for one in CHECKS:
        assert one.about.reads.endswith(".")
        assert one.about.advice.endswith(".")


def test_look__of_no_chain__has_no_network() -> None:
    with pytest.raises(ValueError, match="of no chain"):
        _ = Look(SUBJECT).network
    assert Look(SUBJECT, Network.BASE).other is Network.ETHEREUM


def test_finding__is_a_value() -> None:
    assert of().about.finding(ok("fine")) == Finding("thing", Level.OK, "fine")
