from __future__ import annotations

from typing import TYPE_CHECKING

from include.doctor import ABOUT_AIRFLOW, CHECKS
from include.domain.plan import Reason
from include.settings import AssetSettings, Settings, variable
from scripts import docs

if TYPE_CHECKING:
    from pathlib import Path


def test_settings_page__every_setting__has_its_variable_and_meaning() -> None:
    page = docs.settings_page()
    for name, field in Settings.model_fields.items():
        assert f"| `{name}` | `{variable(name)}` |" in page
        assert field.description
        assert field.description in page


def test_settings_page__every_setting_of_an_asset__is_described() -> None:
    page = docs.settings_page()
    for name, field in AssetSettings.model_fields.items():
        assert field.description
        assert f"| `{name}` |" in page
        assert field.description in page


def test_settings_page__defaults__are_shown_as_they_can_be_written() -> None:
    page = docs.settings_page()
    for row in (
        "| `rebalancing_enabled` | `BALLAST_REBALANCING_ENABLED` | true or false | `false` |",
        "| `rebalancing_check_interval` | `BALLAST_REBALANCING_CHECK_INTERVAL` | duration | `1m` |",
        "| `rebalancing_target_ratio` | `BALLAST_REBALANCING_TARGET_RATIO` | number, 0 to 1 | `0.5` |",
        "| `profile` | `BALLAST_PROFILE` | `mainnet` or `testnet` | `mainnet` |",
        "| `settle_cooldown` | `BALLAST_SETTLE_COOLDOWN` | duration | `0s` |",
        "| `usdc_minimum` | `BALLAST_USDC_MINIMUM` | number, not negative |  |",
        "| `vaults` | list of vault ids |  |",
        "| `wallet` | `BALLAST_WALLET` | address |  |",
        "| `base_rpc_url` | `BALLAST_BASE_RPC_URL` | URL, secret |  |",
        "| `token_addresses` | `BALLAST_TOKEN_ADDRESSES` | symbol to address |  |",
        "| `assets` | `BALLAST_ASSETS` | symbol to table |  |",
    ):
        assert row in page


def test_reasons_page__every_reason__is_described_in_order() -> None:
    page = docs.reasons_page()
    places = [page.index(f"| `{reason.value}` | {reason.description} |") for reason in Reason]
    assert places == sorted(places)


def test_doctor_page__every_check__has_what_it_reads_and_what_to_do() -> None:
    page = docs.doctor_page()
    for about in (*ABOUT_AIRFLOW, *(check.about for check in CHECKS)):
        (row,) = [line for line in page.splitlines() if line.startswith(f"| {about.name} |")]
        assert about.reads[1:] in row
        assert row.endswith(f"| {about.advice} |")


def test_write__empty_folder__writes_every_page_once(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    assert docs.outdated(folder) == list(docs.PAGES)
    assert docs.write(folder) == list(docs.PAGES)
    assert docs.outdated(folder) == []
    assert docs.write(folder) == []


def test_outdated__edited_page__is_named(tmp_path: Path) -> None:
    docs.write(tmp_path)
    (tmp_path / "settings.md").write_text("mine", encoding="utf-8")
    assert docs.outdated(tmp_path) == ["settings.md"]
