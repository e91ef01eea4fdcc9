from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from eth_utils.address import is_checksum_address, to_checksum_address
from pydantic import ValidationError

from include.domain.limits import DailyLimits
from include.profiles import MAINNET, PROFILES, TESTNET, Profile
from include.settings import Settings, SettingsError, load_settings, sources, variable

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[2]


def address(number: int) -> str:
    return to_checksum_address(f"0x{number:040x}")


AAPL, MSFT, WALLET, REDEMPTION, ORDERBOOK, WRAPPER, FEED = (address(0xA11CE000 + n) for n in range(7))
VAULT, OTHER_VAULT = "0x" + "ab" * 32, "0x" + "cd" * 32
CHECKSUMMED = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"
ENABLED = {
    "BALLAST_REBALANCING_ENABLED": "true",
    "BALLAST_WALLET": WALLET,
    "BALLAST_TOKEN_ADDRESSES": json.dumps({"AAPL": AAPL}),
    "BALLAST_REDEMPTION_WALLET": REDEMPTION,
    "BALLAST_ETHEREUM_RPC_URL": "https://ethereum.example/v2/key-of-ethereum",
    "BALLAST_BASE_RPC_URL": "https://base.example/v2/key-of-base",
}


@pytest.fixture(autouse=True)
def _no_file_of_the_developer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sources, "DEFAULT_FILE", tmp_path / "settings.toml")


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "given.toml"
    file.write_text(text, encoding="utf-8")
    return file


def problems(environ: Mapping[str, str], file: Path | None = None) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ, file)
    return caught.value.problems


def without(*names: str) -> dict[str, str]:
    return {name: value for name, value in ENABLED.items() if name not in names}


class TestDefaults:
    def test_load__nothing_set__rebalancing_is_disabled_and_defaults_apply(self) -> None:
        settings = load_settings({})

        assert settings.rebalancing_enabled is False
        assert settings.rebalancing_check_interval == timedelta(seconds=60)
        assert settings.rebalancing_target_ratio == Decimal("0.5")
        assert settings.rebalancing_deviation == Decimal("0.3")
        assert settings.broker == "alpaca"
        assert settings.profile == "mainnet"
        assert settings.chains is MAINNET
        assert settings.usdc_minimum == 51
        assert settings.usdc_speed == "fast"
        assert settings.max_open_operations is None
        assert settings.wallet is None
        assert settings.symbols == ("USDC",)
        assert (settings.alpaca_conn_id, settings.circle_conn_id) == ("alpaca", "circle")
        assert (settings.wallet_conn_id, settings.ledger_conn_id) == ("evm_wallet", "rebalancing_ledger")

    def test_load__disabled_with_another_broker__is_allowed(self) -> None:
        assert load_settings({"BALLAST_BROKER": "other"}).broker == "other"

    def test_settings__assigning_a_field__is_refused(self) -> None:
        with pytest.raises(ValidationError):
            load_settings({}).rebalancing_enabled = True


class TestEnvironment:
    def test_load__enabled__every_field_is_read(self) -> None:
        settings = load_settings(
            ENABLED
            | {
                "BALLAST_REBALANCING_CHECK_INTERVAL": "2m",
                "BALLAST_REBALANCING_TARGET_RATIO": "0.1",
                "BALLAST_REBALANCING_DEVIATION": "0.05",
                "BALLAST_BROKER": "Alpaca",
                "BALLAST_PROFILE": "testnet",
                "BALLAST_ASSETS": json.dumps({"AAPL": {"deviation": "0.2"}, "MSFT": {"token": MSFT}}),
                "BALLAST_MAX_OPEN_OPERATIONS": "4",
                "BALLAST_USDC_SPEED": "standard",
                "BALLAST_MINT_POLL": "1",
                "BALLAST_MINT_DEADLINE": "1.5h",
                "BALLAST_LEASE_SECONDS": "30",
            }
        )

        assert settings.rebalancing_enabled is True
        assert settings.wallet == WALLET
        assert settings.redemption_wallet == REDEMPTION
        assert settings.token_addresses == {"AAPL": AAPL}
        assert settings.ethereum_rpc_url is not None
        assert settings.ethereum_rpc_url.get_secret_value() == ENABLED["BALLAST_ETHEREUM_RPC_URL"]
        assert settings.base_rpc_url is not None
        assert settings.base_rpc_url.get_secret_value() == ENABLED["BALLAST_BASE_RPC_URL"]
        assert settings.rebalancing_check_interval == timedelta(minutes=2)
        assert settings.rebalancing_target_ratio == Decimal("0.1")
        assert settings.rebalancing_deviation == Decimal("0.05")
        assert settings.chains is TESTNET
        assert settings.tokens == {"AAPL": AAPL, "MSFT": MSFT}
        assert settings.max_open_operations == 4
        assert settings.usdc_speed == "standard"
        assert settings.mint_poll == timedelta(seconds=1)
        assert settings.mint_deadline == timedelta(minutes=90)
        assert settings.lease_seconds == 30

    def test_load__empty_variable__counts_as_unset(self) -> None:
        assert load_settings({"BALLAST_WALLET": "", "BALLAST_BROKER": " "}) == load_settings({})

    def test_load__variable_and_file__variable_wins_as_a_whole(self, tmp_path: Path) -> None:
        file = write(tmp_path, f'rebalancing_deviation = 0.1\n[token_addresses]\nMSFT = "{MSFT}"\n')

        settings = load_settings({"BALLAST_TOKEN_ADDRESSES": json.dumps({"AAPL": AAPL})}, file)

        assert settings.token_addresses == {"AAPL": AAPL}
        assert settings.rebalancing_deviation == Decimal("0.1")

    def test_load__unknown_variable__is_named_with_what_may_be_meant(self) -> None:
        (problem,) = problems({"BALLAST_REBALANCING_ENABELD": "true"})

        assert problem.startswith("BALLAST_REBALANCING_ENABELD: ")
        assert "BALLAST_REBALANCING_ENABLED" in problem

    def test_load__variables_of_others__are_ignored(self) -> None:
        assert load_settings({"AIRFLOW_HOME": "/x", "BALLASTX": "1"}) == load_settings({})

    def test_load__environ_left_out__reads_the_process(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BALLAST_REBALANCING_DEVIATION", "0.25")
        assert load_settings().rebalancing_deviation == Decimal("0.25")

    @pytest.mark.parametrize("name", list(Settings.model_fields))
    def test_variable__every_setting__is_prefixed_and_upper_case(self, name: str) -> None:
        assert variable(name) == f"BALLAST_{name.upper()}"


class TestFile:
    def test_load__named_by_variable__is_read(self, tmp_path: Path) -> None:
        file = write(tmp_path, 'profile = "testnet"')
        assert load_settings({"BALLAST_SETTINGS_FILE": str(file)}).profile == "testnet"

    def test_load__default_file_present__is_read(self, tmp_path: Path) -> None:
        sources.DEFAULT_FILE.write_text("usdc_minimum = 75", encoding="utf-8")
        assert load_settings({}).usdc_minimum == 75

    def test_load__named_file_missing__is_an_error(self, tmp_path: Path) -> None:
        (problem,) = problems({"BALLAST_SETTINGS_FILE": str(tmp_path / "absent.toml")})
        assert "absent.toml: cannot be read" in problem

    def test_load__numbers__are_exact(self, tmp_path: Path) -> None:
        file = write(tmp_path, "rebalancing_target_ratio = 0.1\nrebalancing_deviation = 0.07")

        settings = load_settings({}, file)

        assert settings.rebalancing_target_ratio == Decimal("0.1")
        assert settings.rebalancing_deviation == Decimal("0.07")

    def test_load__broken_toml__names_file_and_line(self, tmp_path: Path) -> None:
        (problem,) = problems({}, write(tmp_path, "profile = nothing\n"))
        assert "given.toml: is not TOML" in problem
        assert "line 1" in problem

    def test_load__same_key_twice__is_an_error(self, tmp_path: Path) -> None:
        (problem,) = problems({}, write(tmp_path, "[assets.AAPL]\n[assets.AAPL]\n"))
        assert "AAPL" in problem

    def test_load__unknown_setting__names_a_near_match(self, tmp_path: Path) -> None:
        found = problems({}, write(tmp_path, "walet = 'x'\n[assets.USDC]\nminimun = 5\nzzz = 1\n"))
        assert "walet: is not a setting; is wallet meant?" in found
        assert "assets.USDC.minimun: is not a setting; is minimum meant?" in found
        assert "assets.USDC.zzz: is not a setting" in found

    def test_example_file__is_valid_and_says_the_defaults(self) -> None:
        assert load_settings({}, ROOT / "settings.example.toml") == load_settings({})

    def test_example_environment__every_variable__is_a_setting_and_the_default(self) -> None:
        lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
        environ = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
        assert any(name.startswith("BALLAST_") for name in environ)
        assert load_settings(environ) == load_settings({})


class TestRequiredOnceEnabled:
    @pytest.mark.parametrize("name", [name for name in ENABLED if name != "BALLAST_REBALANCING_ENABLED"])
    def test_load__one_missing__is_named(self, name: str) -> None:
        (problem,) = problems(without(name))
        assert problem.startswith(f"{name.removeprefix('BALLAST_').lower()}: is missing")

    def test_load__all_missing__are_named_in_one_message(self) -> None:
        with pytest.raises(SettingsError) as caught:
            load_settings({"BALLAST_REBALANCING_ENABLED": "yes"})
        for name in ("wallet", "token_addresses", "redemption_wallet", "ethereum_rpc_url", "base_rpc_url"):
            assert f"{name}: is missing" in str(caught.value)

    def test_load__some_missing_and_one_wrong__all_are_named(self) -> None:
        found = problems(without("BALLAST_WALLET") | {"BALLAST_REBALANCING_DEVIATION": "-1"})
        assert {line.split(":")[0] for line in found} == {"wallet", "rebalancing_deviation"}

    def test_load__only_usdc_configured__token_address_is_missing(self) -> None:
        found = problems(
            without("BALLAST_TOKEN_ADDRESSES") | {"BALLAST_ASSETS": '{"USDC": {"enabled": true}}'}
        )
        assert [line.split(":")[0] for line in found] == ["token_addresses"]

    def test_load__token_in_assets__is_enough(self) -> None:
        assets = json.dumps({"AAPL": {"token": AAPL}})
        settings = load_settings(without("BALLAST_TOKEN_ADDRESSES") | {"BALLAST_ASSETS": assets})
        assert settings.tokens == {"AAPL": AAPL}

    def test_load__another_broker__is_an_error(self) -> None:
        (problem,) = problems(ENABLED | {"BALLAST_BROKER": "other"})
        assert problem.startswith("broker: must be alpaca")


class TestWrongValues:
    @pytest.mark.parametrize(
        ("setting", "value"),
        [
            ("rebalancing_enabled", "maybe"),
            ("rebalancing_check_interval", "9.9"),
            ("rebalancing_check_interval", "0"),
            ("rebalancing_check_interval", "-60"),
            ("rebalancing_check_interval", "soon"),
            ("rebalancing_target_ratio", "1.01"),
            ("rebalancing_target_ratio", "-0.01"),
            ("rebalancing_target_ratio", "NaN"),
            ("rebalancing_target_ratio", "half"),
            ("rebalancing_deviation", "-0.1"),
            ("rebalancing_deviation", "Infinity"),
            ("profile", "devnet"),
            ("wallet", "0x1234"),
            ("wallet", CHECKSUMMED[2:]),
            ("wallet", "0x" + "0" * 40),
            ("wallet", CHECKSUMMED.replace("dA6B", "da6B")),
            ("redemption_wallet", CHECKSUMMED.replace("45", "46")),
            ("redemption_wallet", MAINNET.base.usdc),
            ("orderbook", "0x"),
            ("token_addresses", "{"),
            ("token_addresses", "[]"),
            ("token_addresses", json.dumps({"USDC": AAPL})),
            ("assets", json.dumps({"AAPL": {}})),
            ("ethereum_rpc_url", "ethereum.example"),
            ("ethereum_rpc_url", "wss://ethereum.example"),
            ("base_rpc_url", "https://"),
            ("base_rpc_url", "http://host:port"),
            ("usdc_speed", "instant"),
            ("usdc_minimum", "-1"),
            ("usdc_maximum", "50"),
            ("usdc_maximum", "0"),
            ("usdc_minimum", "50.999999"),
            ("usdc_cap", "50"),
            ("usdc_cap", "0"),
            ("usdc_daily_maximum", "50"),
            ("equity_cap", "0.009"),
            ("equity_daily_maximum", "0.009"),
            ("equity_daily_maximum", "0"),
            ("stop_deviation", "0.3"),
            ("stop_deviation", "-0.1"),
            ("dollars", "eur"),
            ("cash_reserve", "100"),
            ("cash_reserve", "-1"),
            ("conversion_poll", "0.05"),
            ("conversion_deadline", "1"),
            ("settle_cooldown", "-1"),
            ("refusal_cooldown", "61m"),
            ("gate_url", "gate.example"),
            ("gate_timeout", "0"),
            ("gate_timeout", "31"),
            ("gate_silence", "ask"),
            ("orderbook_version", "v4"),
            ("stray_tokens", "burn"),
            ("cost_budget_bps", "0"),
            ("cost_budget_bps", "20"),
            ("cost_patience", "0"),
            ("eth_price_usd", "0"),
            ("eth_price_feed", MAINNET.base.usdc),
            ("equity_maximum", "0.001"),
            ("max_open_operations", "0"),
            ("max_snapshot_age", "0"),
            ("ethereum_confirmations", "0"),
            ("base_min_gas_eth", "-1"),
            ("mint_poll", "0.05"),
            ("mint_deadline", "5"),
            ("lease_seconds", "1"),
        ],
    )
    def test_load__wrong_value__names_the_setting(self, setting: str, value: str) -> None:
        found = problems({variable(setting): value})
        assert {line.split(":")[0].split(".")[0] for line in found} == {setting}

    @pytest.mark.parametrize("field", ["target_ratio", "deviation", "minimum", "maximum"])
    def test_load__negative_number_of_an_asset__names_asset_and_field(self, field: str) -> None:
        (problem,) = problems({"BALLAST_ASSETS": json.dumps({"USDC": {field: "-0.1"}})})
        assert problem.startswith(f"assets.USDC.{field}: ")

    def test_load__interval_of_ten_seconds__is_allowed(self) -> None:
        settings = load_settings({"BALLAST_REBALANCING_CHECK_INTERVAL": "10"})
        assert settings.rebalancing_check_interval == timedelta(seconds=10)

    @pytest.mark.parametrize("value", ["0", "1"])
    def test_load__target_at_the_edge__is_allowed(self, value: str) -> None:
        settings = load_settings({"BALLAST_REBALANCING_TARGET_RATIO": value})
        assert settings.rebalancing_target_ratio == Decimal(value)

    @pytest.mark.parametrize(("minimum", "maximum"), [(60, 59), (None, 50)])
    def test_load__maximum_of_an_asset_below_minimum__is_an_error(
        self, minimum: int | None, maximum: int
    ) -> None:
        assets = json.dumps({"USDC": {"minimum": minimum, "maximum": maximum}})
        (problem,) = problems({"BALLAST_ASSETS": assets})
        assert problem.startswith("assets.USDC.maximum: ")

    @pytest.mark.parametrize("name", ["stop_deviation", "daily_maximum"])
    def test_load__negative_limit_of_an_asset__names_asset_and_field(self, name: str) -> None:
        (problem,) = problems({"BALLAST_ASSETS": json.dumps({"USDC": {name: "-0.1"}})})
        assert problem.startswith(f"assets.USDC.{name}: ")

    def test_load__dollars_are_misspelt__is_the_only_problem(self) -> None:
        """The smallest move of USDC follows from it, and is not complained about too."""
        (problem,) = problems({"BALLAST_DOLLARS": "eur"})
        assert problem.startswith("dollars: ")


class TestWhatAlpacaLetsOut:
    @pytest.mark.parametrize(("dollars", "least"), [("usdc", "51"), ("usd", "53")])
    def test_load__minimum_left_out__is_the_least_that_alpaca_lets_out(
        self, dollars: str, least: str
    ) -> None:
        settings = load_settings({"BALLAST_DOLLARS": dollars})
        assert settings.usdc_minimum == settings.asset("USDC").minimum == Decimal(least)

    @pytest.mark.parametrize(("dollars", "least"), [("usdc", "51"), ("usd", "53")])
    def test_load__minimum_just_there_or_just_below__is_allowed_or_an_error(
        self, dollars: str, least: str
    ) -> None:
        given = {"BALLAST_DOLLARS": dollars}
        below = str(Decimal(least) - Decimal("0.000001"))
        words = f"must not be less than {least} with dollars = {dollars}: Alpaca lets out no less than 50"

        assert load_settings(given | {"BALLAST_USDC_MINIMUM": least}).usdc_minimum == Decimal(least)
        (problem,) = problems(given | {"BALLAST_USDC_MINIMUM": below})
        assert problem.startswith(f"usdc_minimum: {words}")
        (problem,) = problems(given | {"BALLAST_ASSETS": json.dumps({"USDC": {"minimum": below}})})
        assert problem.startswith(f"assets.USDC.minimum: {words}")

    def test_load__equity_with_a_small_minimum__is_allowed(self) -> None:
        own = json.dumps({"AAPL": {"minimum": "0.5"}})
        assert load_settings(ENABLED | {"BALLAST_ASSETS": own}).asset("AAPL").minimum == Decimal("0.5")

    def test_load__reserve_of_dollars__is_allowed(self) -> None:
        settings = load_settings({"BALLAST_DOLLARS": "usd", "BALLAST_CASH_RESERVE": "1000"})
        usdc = settings.policy(may_start=True).assets["USDC"]
        assert usdc.free_offchain == "withdrawable cash less a reserve of 1000"

    def test_policy__dollars_without_a_reserve__says_what_is_free_of_usdc_alone(self) -> None:
        settings = load_settings(ENABLED | {"BALLAST_DOLLARS": "usd"})
        assets = settings.policy(may_start=True).assets
        assert assets["USDC"].free_offchain == "withdrawable cash"
        assert assets["AAPL"].free_offchain == ""
        assert load_settings(ENABLED).policy(may_start=True).assets["USDC"].free_offchain == ""


class TestLimits:
    @pytest.mark.parametrize(
        ("maximum", "cap", "effective", "cap_decides"),
        [(None, None, None, False), (None, "9", 9, True), ("7", "9", 7, False), ("11", "9", 9, True)],
    )
    @pytest.mark.parametrize("own", [True, False])
    def test_asset__cap__is_what_no_maximum_exceeds(
        self, own: bool, maximum: str | None, cap: str | None, effective: int | None, cap_decides: bool
    ) -> None:
        given = ENABLED | ({} if cap is None else {"BALLAST_EQUITY_CAP": cap})
        if maximum is not None and own:
            given |= {"BALLAST_ASSETS": json.dumps({"AAPL": {"maximum": maximum}})}
        elif maximum is not None:
            given |= {"BALLAST_EQUITY_MAXIMUM": maximum}
        settings = load_settings(given)
        asset, wanted = settings.asset("AAPL"), settings.policy(may_start=True).assets["AAPL"]
        assert asset.maximum == effective
        assert asset.cap == wanted.cap == (None if cap is None else Decimal(cap))
        assert (wanted.maximum is None) is (effective is None or cap_decides)

    def test_asset__cap_of_the_other_class__does_not_matter(self) -> None:
        settings = load_settings(ENABLED | {"BALLAST_USDC_CAP": "60", "BALLAST_USDC_MAXIMUM": "100"})
        assert settings.asset("AAPL").maximum is None
        assert settings.asset("USDC").maximum == 60

    def test_load__minimum_of_an_asset_above_the_cap__is_an_error(self) -> None:
        own = {"BALLAST_EQUITY_CAP": "9", "BALLAST_ASSETS": json.dumps({"AAPL": {"minimum": "10"}})}
        (problem,) = problems(ENABLED | own)
        assert problem == "assets.AAPL.minimum: the maximum (9) is less than the minimum (10)"

    def test_policy__daily_maxima__are_those_of_assets_and_classes(self) -> None:
        settings = load_settings(
            ENABLED
            | {
                "BALLAST_EQUITY_DAILY_MAXIMUM": "1000",
                "BALLAST_USDC_DAILY_MAXIMUM": "50000",
                "BALLAST_ASSETS": json.dumps({"AAPL": {"daily_maximum": "100"}}),
            }
        )
        assert settings.asset("AAPL").daily_maximum == 100
        assert settings.asset("USDC").daily_maximum is None
        assert settings.policy(may_start=True).daily == DailyLimits(
            {"AAPL": Decimal(100)}, Decimal(1000), Decimal(50000)
        )

    @pytest.mark.parametrize(("daily", "right"), [("10", True), ("9.99", False)])
    def test_load__daily_maximum_of_an_asset__leaves_room_for_the_smallest_move(
        self, daily: str, right: bool
    ) -> None:
        own = json.dumps({"AAPL": {"minimum": 10, "daily_maximum": daily}})
        given = ENABLED | {"BALLAST_ASSETS": own}
        if right:
            assert load_settings(given).asset("AAPL").daily_maximum == 10
        else:
            assert problems(given) == ("assets.AAPL.daily_maximum: must not be less than the minimum (10)",)

    @pytest.mark.parametrize(
        ("general", "own", "stop", "problem"),
        [
            ({}, {}, "0", None),
            ({"stop_deviation": "0.1"}, {}, "0.1", None),
            ({"stop_deviation": "0.1"}, {"stop_deviation": "0"}, "0", None),
            ({"stop_deviation": "0.1"}, {"deviation": "0.11"}, "0.1", None),
            ({}, {"stop_deviation": "0.29"}, "0.29", None),
            ({"rebalancing_deviation": "0"}, {}, "0", None),
            ({}, {"deviation": "0"}, "0", None),
            ({"stop_deviation": "0.299999"}, {}, "0.299999", None),
            ({}, {"stop_deviation": "0.3"}, "", "assets.AAPL.stop_deviation"),
            ({"stop_deviation": "0.1"}, {"deviation": "0.1"}, "", "assets.AAPL.deviation"),
            ({"stop_deviation": "0.1"}, {"deviation": "0"}, "", "assets.AAPL.deviation"),
            ({"stop_deviation": "0.1", "rebalancing_deviation": "0"}, {}, "", "stop_deviation"),
        ],
    )
    def test_load__inner_band__is_inside_the_band(
        self, general: dict[str, str], own: dict[str, str], stop: str, problem: str | None
    ) -> None:
        given = ENABLED | {variable(name): value for name, value in general.items()}
        given |= {"BALLAST_ASSETS": json.dumps({"AAPL": own})}
        if problem is None:
            settings = load_settings(given)
            assert settings.asset("AAPL").stop_deviation == Decimal(stop)
            assert settings.policy(may_start=True).assets["AAPL"].threshold.stop == Decimal(stop)
        else:
            (line,) = problems(given)
            assert line.startswith(f"{problem}: ")

    def test_policy__cooldowns__are_those_of_the_settings(self) -> None:
        policy = load_settings({}).policy(may_start=True)
        assert (policy.settle_cooldown, policy.refusal_cooldown) == (timedelta(0), timedelta(minutes=5))
        own = {"BALLAST_SETTLE_COOLDOWN": "2m", "BALLAST_REFUSAL_COOLDOWN": "1h"}
        policy = load_settings(own).policy(may_start=True)
        assert (policy.settle_cooldown, policy.refusal_cooldown) == (timedelta(minutes=2), timedelta(hours=1))


class TestCosts:
    def test_load__both_prices_of_eth__is_an_error(self) -> None:
        (problem,) = problems({"BALLAST_ETH_PRICE_USD": "2500", "BALLAST_ETH_PRICE_FEED": FEED})
        assert problem == "eth_price_feed: must not be given together with eth_price_usd"

    @pytest.mark.parametrize("price", [{"BALLAST_ETH_PRICE_USD": "2500"}, {"BALLAST_ETH_PRICE_FEED": FEED}])
    def test_load__budget_with_a_price_of_eth__is_allowed(self, price: dict[str, str]) -> None:
        settings = load_settings(price | {"BALLAST_COST_BUDGET_BPS": "20"})
        assert settings.cost_budget_bps == 20
        assert settings.cost_patience == timedelta(hours=1)

    def test_load__budget_without_a_price_of_eth__is_an_error(self) -> None:
        (problem,) = problems({"BALLAST_COST_BUDGET_BPS": "20"})
        assert problem.startswith("cost_budget_bps: needs eth_price_usd or eth_price_feed")

    def test_load__no_budget_and_a_speed_that_is_chosen__is_allowed(self) -> None:
        settings = load_settings({"BALLAST_USDC_SPEED": "auto"})
        assert (settings.usdc_speed, settings.cost_budget_bps) == ("auto", None)


class TestAddresses:
    def test_load__lower_case_address__is_checksummed(self) -> None:
        assert load_settings({"BALLAST_WALLET": CHECKSUMMED.lower()}).wallet == CHECKSUMMED

    def test_load__symbol_twice_in_json__is_an_error(self) -> None:
        (problem,) = problems({"BALLAST_TOKEN_ADDRESSES": f'{{"AAPL": "{AAPL}", "AAPL": "{MSFT}"}}'})
        assert problem == "token_addresses: names AAPL twice"

    @pytest.mark.parametrize("setting", ["token_addresses", "assets"])
    def test_load__symbol_twice_in_another_case__is_an_error(self, setting: str) -> None:
        (problem,) = problems({variable(setting): json.dumps({"AAPL": {}, "aapl": {}})})
        assert problem == f"{setting}: names AAPL twice, as AAPL and aapl"

    def test_load__lower_case_symbol__is_the_same_asset(self) -> None:
        settings = load_settings({"BALLAST_TOKEN_ADDRESSES": json.dumps({"brk.b": AAPL})})
        assert settings.symbols == ("BRK.B", "USDC")

    @pytest.mark.parametrize("symbol", ["", "A-B", "AAPL USD", "4X", "X" * 11])
    def test_load__not_a_symbol__is_an_error(self, symbol: str) -> None:
        (problem,) = problems({"BALLAST_TOKEN_ADDRESSES": json.dumps({symbol: AAPL})})
        assert "is not an asset symbol" in problem

    @pytest.mark.parametrize(
        ("environ", "setting", "other"),
        [
            ({"BALLAST_REDEMPTION_WALLET": WALLET}, "redemption_wallet", "wallet"),
            ({"BALLAST_TOKEN_ADDRESSES": json.dumps({"AAPL": WALLET})}, "token_addresses.AAPL", "wallet"),
            (
                {"BALLAST_TOKEN_ADDRESSES": json.dumps({"AAPL": REDEMPTION})},
                "token_addresses.AAPL",
                "redemption_wallet",
            ),
            (
                {"BALLAST_TOKEN_ADDRESSES": json.dumps({"AAPL": AAPL, "MSFT": AAPL.lower()})},
                "token_addresses.MSFT",
                "token_addresses.AAPL",
            ),
            (
                {"BALLAST_TOKEN_ADDRESSES": json.dumps({"AAPL": MAINNET.base.usdc})},
                "token_addresses.AAPL",
                "USDC on Base",
            ),
            (
                {"BALLAST_ASSETS": json.dumps({"MSFT": {"token": AAPL}})},
                "assets.MSFT.token",
                "token_addresses.AAPL",
            ),
        ],
    )
    def test_load__one_address_with_two_meanings__names_both(
        self, environ: dict[str, str], setting: str, other: str
    ) -> None:
        (problem,) = problems(ENABLED | environ)
        assert problem == f"{setting}: is the same address as {other}"

    def test_load__same_rpc_for_both_chains__is_an_error(self) -> None:
        (problem,) = problems(ENABLED | {"BALLAST_BASE_RPC_URL": ENABLED["BALLAST_ETHEREUM_RPC_URL"]})
        assert problem == "base_rpc_url: is the same as ethereum_rpc_url"

    def test_load__token_in_two_places_that_agree__is_allowed(self) -> None:
        settings = load_settings(ENABLED | {"BALLAST_ASSETS": json.dumps({"AAPL": {"token": AAPL.lower()}})})
        assert settings.tokens == {"AAPL": AAPL}

    def test_load__token_in_two_places_that_differ__is_an_error(self) -> None:
        (problem,) = problems(ENABLED | {"BALLAST_ASSETS": json.dumps({"AAPL": {"token": MSFT}})})
        assert problem.startswith("assets.AAPL.token: differs from token_addresses.AAPL")

    def test_load__usdc_with_a_token__is_an_error(self) -> None:
        (problem,) = problems({"BALLAST_ASSETS": json.dumps({"USDC": {"token": AAPL}})})
        assert problem.startswith("assets.USDC.token: must not be given")

    @pytest.mark.parametrize(
        ("other", "setting"),
        [
            (WALLET, "wallet"),
            (REDEMPTION, "redemption_wallet"),
            (AAPL, "token_addresses.AAPL"),
            (MAINNET.base.usdc, "USDC on Base"),
            (MAINNET.base.token_messenger, "CCTP's TokenMessenger"),
        ],
    )
    @pytest.mark.parametrize("name", ["orderbook", "eth_price_feed", "assets.AAPL.wrapper"])
    def test_load__contract_that_means_something_else_too__names_both(
        self, name: str, other: str, setting: str
    ) -> None:
        if name.startswith("assets."):
            given = {"BALLAST_ASSETS": json.dumps({"AAPL": {"wrapper": other}})}
        else:
            given = {variable(name): other}
        (problem,) = problems(ENABLED | given)
        first, second = (setting, name)
        if setting.startswith("token_addresses") and not name.startswith("assets."):
            first, second = name, setting  # tokens are looked at after single contracts
        assert problem == f"{second}: is the same address as {first}"

    def test_load__two_assets_with_one_wrapper__is_an_error(self) -> None:
        own = {"AAPL": {"wrapper": WRAPPER}, "MSFT": {"token": MSFT, "wrapper": WRAPPER.lower()}}
        (problem,) = problems(ENABLED | {"BALLAST_ASSETS": json.dumps(own)})
        assert problem == "assets.MSFT.wrapper: is the same address as assets.AAPL.wrapper"

    def test_load__wrapper_that_is_the_orderbook__is_an_error(self) -> None:
        own = {"BALLAST_ASSETS": json.dumps({"AAPL": {"wrapper": ORDERBOOK}}), "BALLAST_ORDERBOOK": ORDERBOOK}
        (problem,) = problems(ENABLED | own)
        assert problem == "assets.AAPL.wrapper: is the same address as orderbook"


class TestVaults:
    def test_asset__vaults_and_wrapper__are_filled_in_and_the_first_vault_is_primary(self) -> None:
        own = {"AAPL": {"vaults": [VAULT.upper().replace("X", "x"), OTHER_VAULT], "wrapper": WRAPPER}}
        settings = load_settings(
            ENABLED | {"BALLAST_ORDERBOOK": ORDERBOOK, "BALLAST_ASSETS": json.dumps(own)}
        )
        asset, usdc = settings.asset("AAPL"), settings.asset("USDC")
        assert (asset.vaults, asset.vault, asset.wrapper) == ((VAULT, OTHER_VAULT), VAULT, WRAPPER)
        assert (usdc.vaults, usdc.vault, usdc.wrapper) == ((), None, None)
        assert (settings.orderbook, settings.orderbook_version) == (ORDERBOOK, "v6")
        assert settings.stray_tokens == "report"

    def test_load__from_a_file__is_a_list(self, tmp_path: Path) -> None:
        file = write(tmp_path, f'orderbook = "{ORDERBOOK}"\n[assets.USDC]\nvaults = ["{VAULT}"]\n')
        assert load_settings({}, file).asset("USDC").vaults == (VAULT,)

    def test_load__vaults_without_an_orderbook__is_an_error(self) -> None:
        (problem,) = problems({"BALLAST_ASSETS": json.dumps({"USDC": {"vaults": [VAULT]}})})
        assert problem.startswith("assets.USDC.vaults: need orderbook")

    @pytest.mark.parametrize("name", [{}, {"AAPL": {"vaults": []}}])
    def test_load__orderbook_without_vaults__is_allowed(self, name: dict[str, object]) -> None:
        given = {"BALLAST_ORDERBOOK": ORDERBOOK, "BALLAST_ASSETS": json.dumps(name)}
        assert load_settings(ENABLED | given).asset("AAPL").vaults == ()

    @pytest.mark.parametrize("vault", ["0x1", "0x" + "00" * 32, "ab" * 32, 7])
    def test_load__malformed_vault__is_an_error(self, vault: str | int) -> None:
        given = {"BALLAST_ORDERBOOK": ORDERBOOK}
        (problem,) = problems(
            given | {"BALLAST_ASSETS": json.dumps({"USDC": {"vaults": [OTHER_VAULT, vault]}})}
        )
        assert problem.startswith("assets.USDC.vaults.1: ")

    def test_load__one_vault_that_is_not_a_list__is_an_error(self) -> None:
        given = {"BALLAST_ORDERBOOK": ORDERBOOK, "BALLAST_ASSETS": json.dumps({"USDC": {"vaults": VAULT}})}
        (problem,) = problems(given)
        assert problem.startswith("assets.USDC.vaults: ")

    def test_load__vault_twice__is_an_error_in_whatever_case(self) -> None:
        own = {"USDC": {"vaults": [VAULT, "0x" + VAULT[2:].upper()]}}
        given = {"BALLAST_ORDERBOOK": ORDERBOOK, "BALLAST_ASSETS": json.dumps(own)}
        assert problems(given) == (f"assets.USDC.vaults: names {VAULT} twice",)

    def test_load__the_former_name__is_told_the_new_one(self) -> None:
        (problem,) = problems({"BALLAST_ASSETS": json.dumps({"USDC": {"vault": VAULT}})})
        assert problem == "assets.USDC.vault: is not a setting; is vaults meant?"

    def test_load__usdc_with_a_wrapper__is_an_error(self) -> None:
        (problem,) = problems({"BALLAST_ASSETS": json.dumps({"USDC": {"wrapper": WRAPPER}})})
        assert problem.startswith("assets.USDC.wrapper: must not be given")


class TestAsset:
    def test_asset__nothing_of_its_own__has_the_defaults_of_all(self) -> None:
        asset = load_settings(ENABLED).asset("AAPL")
        assert (asset.token, asset.enabled, asset.is_usdc) == (AAPL, True, False)
        assert (asset.target_ratio, asset.deviation) == (Decimal("0.5"), Decimal("0.3"))
        assert (asset.minimum, asset.maximum) == (Decimal("0.01"), None)
        assert (asset.vaults, asset.vault, asset.wrapper) == ((), None, None)
        assert (asset.stop_deviation, asset.cap, asset.daily_maximum) == (Decimal(0), None, None)

    def test_asset__own_values__win_even_when_zero(self, tmp_path: Path) -> None:
        file = write(
            tmp_path,
            """
            [assets.AAPL]
            enabled = false
            target_ratio = 0
            deviation = 0
            minimum = 0
            maximum = 7.5
            """,
        )

        asset = load_settings(ENABLED, file).asset("AAPL")

        assert (asset.enabled, asset.target_ratio, asset.deviation) == (False, Decimal(0), Decimal(0))
        assert (asset.minimum, asset.maximum) == (Decimal(0), Decimal("7.5"))

    @pytest.mark.parametrize("name", list(PROFILES))
    def test_asset__usdc__has_the_contract_of_the_profile(self, name: str) -> None:
        settings = load_settings({"BALLAST_PROFILE": name, "BALLAST_USDC_MAXIMUM": "1000"})
        usdc = settings.asset("USDC")
        assert usdc.token == settings.chains.base.usdc
        assert (usdc.minimum, usdc.maximum) == (Decimal(51), Decimal(1000))

    def test_asset__unknown__raises(self) -> None:
        with pytest.raises(KeyError):
            load_settings({}).asset("AAPL")

    def test_watched__two_equities__usdc_comes_last(self) -> None:
        settings = load_settings(
            {"BALLAST_TOKEN_ADDRESSES": json.dumps({"MSFT": MSFT}), "BALLAST_ASSETS": assets(AAPL=AAPL)}
        )
        assert [asset.symbol for asset in settings.watched()] == ["AAPL", "MSFT", "USDC"]

    def test_policy__enabled__has_the_thresholds_and_limits(self) -> None:
        settings = load_settings(
            ENABLED
            | {
                "BALLAST_ASSETS": json.dumps({"USDC": {"enabled": False, "deviation": "0.1"}}),
                "BALLAST_MAX_OPEN_OPERATIONS": "2",
            }
        )

        policy = settings.policy(may_start=True, selected=frozenset({"AAPL"}), dry_run=True)

        assert policy.enabled
        assert policy.may_start
        assert policy.dry_run
        assert policy.selected == frozenset({"AAPL"})
        assert policy.max_open_operations == 2
        assert policy.max_snapshot_age == timedelta(seconds=60)
        assert list(policy.assets) == ["AAPL", "USDC"]
        assert policy.assets["AAPL"].threshold.deviation == Decimal("0.3")
        assert policy.assets["USDC"].threshold.deviation == Decimal("0.1")
        assert policy.assets["USDC"].enabled is False
        assert policy.assets["USDC"].minimum == 51


def assets(**tokens: str) -> str:
    return json.dumps({symbol: {"token": token} for symbol, token in tokens.items()})


class TestSecrets:
    def test_str__urls__are_hidden(self) -> None:
        settings = load_settings(ENABLED | {"BALLAST_GATE_URL": "https://gate.example/key-of-gate"})
        for shown in (str(settings), repr(settings), settings.model_dump_json()):
            assert "key-of" not in shown

    @pytest.mark.parametrize("scheme", ["https", "ftp"])
    def test_error__rpc_url__is_not_shown_nor_chained(self, scheme: str) -> None:
        environ = ENABLED | {
            "BALLAST_BASE_RPC_URL": f"{scheme}://base.example/key-of-base",
            "BALLAST_REBALANCING_DEVIATION": "-1",
            "BALLAST_ETHEREUM_RPC": "https://ethereum.example/key-of-ethereum",
        }
        with pytest.raises(SettingsError) as caught:
            load_settings(environ)
        assert "key-of" not in str(caught.value)
        assert caught.value.__context__ is None

    def test_settings__built_directly__error_does_not_show_the_input(self) -> None:
        with pytest.raises(ValidationError) as caught:
            Settings.model_validate({"base_rpc_url": "ftp://x/key-of-base", "wallet": "0x12"})
        assert "key-of" not in str(caught.value)


class TestProfiles:
    @pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
    def test_profile__every_address__is_checksummed_and_hosts_are_https(self, profile: Profile) -> None:
        for chain in (profile.ethereum, profile.base):
            for contract in (
                chain.usdc,
                chain.token_messenger,
                chain.message_transmitter,
                chain.token_minter,
            ):
                assert is_checksum_address(contract)
            assert chain.transaction_url("0xab").startswith("https://")
            assert chain.address_url(AAPL).endswith(AAPL)

    def test_profiles__mainnet_and_testnet__share_no_address_and_no_chain(self) -> None:
        def facts(profile: Profile) -> set[object]:
            chains = (profile.ethereum, profile.base)
            return {fact for chain in chains for fact in (chain.chain_id, chain.usdc, chain.token_minter)}

        assert not facts(MAINNET) & facts(TESTNET)

    def test_profiles__domains__are_circles_and_not_chain_ids(self) -> None:
        for profile in PROFILES.values():
            assert (profile.ethereum.cctp_domain, profile.base.cctp_domain) == (0, 6)


def test_import__settings__does_not_pull_in_the_heavy_libraries() -> None:
    heavy = {"web3", "eth_account", "airflow", "sqlalchemy", "httpx"}
    code = f"import include.settings, sys; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
