"""Several endpoints of a chain: how they are given, what is wrong with them, and that they stay secret."""

from __future__ import annotations

import json

import pytest

from include.book import Network
from include.chains import open_chain
from include.settings import SettingsError, load_settings
from include.venues.evm.pinned import READS_PER_REQUEST

ETHEREUM, BASE = "https://ethereum.test/v2/key-of-ethereum", "https://base.test/v2/key-of-base"
SECOND, THIRD = "https://second.test/v2/key-of-second", "https://third.test/v2/key-of-third"


def environment(**changes: str) -> dict[str, str]:
    given = {"ethereum_rpc_url": ETHEREUM, "base_rpc_url": BASE} | changes
    return {f"BALLAST_{name.upper()}": value for name, value in given.items()}


def problems(**changes: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ=environment(**changes))
    assert "key-of" not in str(caught.value)
    return caught.value.problems


def test_rpc_urls__one_each__as_before() -> None:
    settings = load_settings(environ=environment())
    assert settings.rpc_urls("ethereum") == (ETHEREUM,)
    assert settings.rpc_urls("base") == (BASE,)


@pytest.mark.parametrize("given", [json.dumps([SECOND, THIRD]), f"{SECOND} {THIRD}", f" {SECOND}\n{THIRD} "])
def test_rpc_urls__fallbacks__come_after_the_first_in_their_order(given: str) -> None:
    settings = load_settings(environ=environment(base_rpc_fallbacks=given))
    assert settings.rpc_urls("base") == (BASE, SECOND, THIRD)
    assert settings.rpc_urls("ethereum") == (ETHEREUM,)
    assert "key-of" not in f"{settings} {settings!r}"


def test_rpc_urls__nothing_is_set__are_none() -> None:
    assert load_settings(environ={}).rpc_urls("base") == ()


def test_fallbacks__without_a_first__name_what_is_missing() -> None:
    assert problems(base_rpc_url="", base_rpc_fallbacks=SECOND) == (
        "base_rpc_fallbacks: needs base_rpc_url, the endpoint that is asked first",
    )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"base_rpc_fallbacks": BASE}, "base_rpc_fallbacks: repeats base_rpc_url"),
        ({"base_rpc_fallbacks": ETHEREUM}, "base_rpc_fallbacks: repeats ethereum_rpc_url"),
        ({"base_rpc_fallbacks": f"{SECOND} {SECOND}"}, "base_rpc_fallbacks: repeats base_rpc_fallbacks"),
        ({"base_rpc_url": ETHEREUM}, "base_rpc_url: is the same as ethereum_rpc_url"),
    ],
)
def test_endpoints__named_twice__refused(changes: dict[str, str], problem: str) -> None:
    assert problems(**changes) == (problem,)


@pytest.mark.parametrize("given", ["[", "ftp://key-of-x", '["http://"]', "[1]"])
def test_fallbacks__no_urls__refused_without_quoting_them(given: str) -> None:
    assert all(problem.startswith("base_rpc_fallbacks") for problem in problems(base_rpc_fallbacks=given))


def test_agreement__of_more_than_there_are__refused_for_each_chain() -> None:
    assert problems(rpc_agreement="2", base_rpc_fallbacks=SECOND) == (
        "rpc_agreement: is more than the endpoints of ethereum (1)",
    )


def test_open_chain__settings__are_how_it_is_read() -> None:
    settings = load_settings(
        environ=environment(
            base_rpc_fallbacks=SECOND, ethereum_rpc_fallbacks=THIRD, rpc_agreement="2", rpc_hedge_after="0"
        )
    )
    chain = open_chain(settings, Network.BASE)

    assert (chain.chain_id, chain.host) == (8453, "base.test")
    assert [one.host for one in chain.each()] == ["base.test", "second.test"]
    assert (chain.reading.witnesses, chain.reading.hedge_after) == (2, None)
    assert chain.reading.checks_chain
    assert chain.reading.most_at_once == READS_PER_REQUEST
    assert "key-of" not in repr(chain)


def test_open_chain__no_endpoint__refused() -> None:
    with pytest.raises(ValueError, match="base_rpc_url is not set"):
        open_chain(load_settings(environ={}), Network.BASE)


def test_assets__many__take_time_in_proportion() -> None:
    """Counted, not timed: how often all tokens are put together."""
    tokens = {f"S{number:03d}": f"0x{number + 1:040x}" for number in range(50)}
    settings = load_settings(environ=environment(token_addresses=json.dumps(tokens)))

    assert [asset.token for asset in settings.watched()][:50] == list(settings.tokens.values())
    assert settings.asset("S007").token == settings.tokens["S007"]
    with pytest.raises(KeyError):
        settings.asset("S999")
