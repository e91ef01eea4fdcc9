"""What can be set about alerts and metrics, and what is read of settings that are wrong."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from include.settings import SettingsError, load_settings
from include.settings.loading import load_usable
from scripts.docs_monitoring import ALERTS

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "https://hooks.test/T00/secret"


def loaded(**given: Any) -> Any:
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
    return load_settings(environ={f"BALLAST_{name.upper()}": value for name, value in texts.items()})


def test_notifiers__of_the_page_about_alerts__can_be_written_like_that(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(ALERTS.partition("```toml\n")[2].partition("```")[0])
    assert tomllib.loads(file.read_text())
    chat, mail = load_settings(environ={}, file=file).alert_notifiers
    assert (chat.called, mail.called) == ("SlackWebhookNotifier", "night-shift")
    assert mail.kwargs["to"] == ["night@example.com"]


def test_notifiers__numbers__are_plain_ones(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(
        '[[alert_notifiers]]\nnotifier = "a.B"\nkwargs = {wait = 2.5, deep = [{tries = 3.0}], yes = true}'
    )
    (one,) = load_settings(environ={}, file=file).alert_notifiers
    assert one.kwargs == {"wait": 2.5, "deep": [{"tries": 3}], "yes": True}
    assert type(one.kwargs["wait"]) is float


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([{"notifier": "Slack"}], "alert_notifiers.0.notifier: is not the path of a class"),
        ([{"notifier": "a.B"}, {"kwargs": {}}], "alert_notifiers.1.notifier: Field required"),
        ([{"notifier": "a.B", "kwarg": {}}], "alert_notifiers.0.kwarg: is not a setting"),
        (
            [{"notifier": "a.B", "kwargs": SECRET}],
            "alert_notifiers.0.kwargs: Input should be a valid dictionary",
        ),
        ([{"notifier": "a.B", "name": "night shift"}], "alert_notifiers.0.name: is not a name"),
        ([{"notifier": "a.B"}, {"notifier": "c.B"}], "alert_notifiers: has two that are called B"),
        ("[{", "alert_notifiers: is not JSON"),
        ({"notifier": "a.B"}, "alert_notifiers: Input should be a valid tuple"),
    ],
)
def test_notifiers__written_wrong__are_named_without_what_they_hold(given: Any, says: str) -> None:
    with pytest.raises(SettingsError) as refused:
        loaded(alert_notifiers=given)
    assert says in str(refused.value)
    assert "secret" not in str(refused.value)


def test_notifiers__shown__hide_their_arguments() -> None:
    settings = loaded(alert_notifiers=[{"notifier": "a.B", "kwargs": {"url": SECRET}}])
    assert "secret" not in repr(settings)
    assert "secret" not in repr(settings.alert_notifiers)


@pytest.mark.parametrize("token", ["short", "with a space in the middle", "not-ascii-ä-not-ascii"])
def test_metrics_token__weak__is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(SettingsError, match="metrics_token: is not a token") as refused:
        loaded(metrics_token=token)
    assert token not in str(refused.value)
    assert "0123456789abcdef" not in repr(loaded(metrics_token="0123456789abcdef"))


def test_urls_for_links__lose_their_last_slash_and_have_to_be_urls() -> None:
    assert loaded(page_url="https://desk.test/page/").page_url == "https://desk.test/page"
    with pytest.raises(SettingsError, match="runbook_url: is not an http or https URL"):
        loaded(runbook_url="javascript:alert(1)")


def test_load_usable__right_settings__are_the_settings() -> None:
    settings, wrong = load_usable({"BALLAST_REBALANCING_TARGET_RATIO": "0.4"})
    assert wrong == ()
    assert str(settings.rebalancing_target_ratio) == "0.4"


def test_load_usable__wrong_ones__are_named_and_the_others_kept_and_nothing_may_move() -> None:
    settings, wrong = load_usable(
        {
            "BALLAST_REBALANCING_ENABLED": "true",
            "BALLAST_REBALANCING_TARGET_RATIO": "2",
            "BALLAST_USDC_MINIMUM": "1",
            "BALLAST_ASSETS": '{"AAPL": {"deviation": "0.1"}}',
            "BALLAST_WALET": "0x1",
            "BALLAST_ALERT_NOTIFIERS": '[{"notifier": "a.B"}]',
            "BALLAST_LEDGER_CONN_ID": "books",
        }
    )
    assert [line.partition(":")[0] for line in wrong] >= ["BALLAST_WALET", "rebalancing_target_ratio"]
    assert settings.rebalancing_enabled is False
    assert (settings.ledger_conn_id, len(settings.alert_notifiers)) == ("books", 1)
    assert settings.assets == {}


def test_load_usable__a_file_that_cannot_be_read__leaves_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("not = [toml")
    settings, wrong = load_usable({"BALLAST_LEDGER_CONN_ID": "books"}, file)
    assert settings.ledger_conn_id == "books"
    assert "is not TOML" in wrong[0]
