from __future__ import annotations

import logging

import pytest

from include.venues.evm.transport import NodeProvider

KEY = "kEy0f32letters"


@pytest.mark.parametrize(
    ("url", "host"),
    [
        (f"https://mainnet.node.test/v2/{KEY}", "mainnet.node.test"),
        (f"https://node.test:8443/?apikey={KEY}", "node.test:8443"),
        (f"https://user:{KEY}@node.test/rpc", "node.test"),
        (f"https://{KEY}@node.test", "node.test"),
    ],
)
def test_node_provider__url_with_a_key__shows_the_host_only(url: str, host: str) -> None:
    provider = NodeProvider(url, timeout=1)

    assert provider.host == host
    assert KEY not in f"{provider} {provider!r}"
    assert KEY not in provider.redact(f"POST {url} failed; key {KEY} is over its quota")


def test_redact__percent_encoded_key__in_both_forms() -> None:
    provider = NodeProvider("https://user:pa%2Fss%20word@node.test", timeout=1)

    assert provider.redact("pa%2Fss%20word and pa/ss word") == "*** and ***"


def test_redact__url_without_a_key__text_unchanged() -> None:
    text = "no answer from http://127.0.0.1:8545"

    assert NodeProvider("http://127.0.0.1:8545", timeout=1).redact(text) == text


@pytest.mark.parametrize(
    "url",
    [
        "",
        "node.test",
        "ws://node.test/KEY",
        "ftp://node.test",
        "http:///KEY",
        "http://node.test:KEY/",
        "http://[KEY/",
    ],
)
def test_node_provider__not_an_http_url__refused_without_quoting_it(url: str) -> None:
    with pytest.raises(ValueError, match="must be http") as caught:
        NodeProvider(url, timeout=1)

    assert "KEY" not in str(caught.value)
    assert caught.value.__context__ is None


def test_debug_log_of_the_http_library__path_of_a_known_url__hidden(caplog: pytest.LogCaptureFixture) -> None:
    NodeProvider(f"https://node.test/v2/{KEY}", timeout=1)
    logger = logging.getLogger("urllib3.connectionpool")

    with caplog.at_level(logging.DEBUG, logger.name):
        logger.debug('%s "%s %s" %s', "https://node.test", "POST", f"/v2/{KEY}", 200)
        logger.debug('%s "%s %s" %s', "https://other.test", "POST", "/unrelated/path", 200)

    assert [record.getMessage() for record in caplog.records] == [
        'https://node.test "POST ***" 200',
        'https://other.test "POST /unrelated/path" 200',
    ]
