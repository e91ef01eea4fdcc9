"""Which books there are, what is set for each, and what no two may share."""

from __future__ import annotations

import os
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from include.settings import Names, Settings, SettingsError, books, load_settings, settings_file, sources
from include.settings.loading import load_usable, misnamed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ONE, TWO = "0x" + "0a" * 20, "0x" + "0b" * 20
CHECKSUMMED = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"


class Desk:
    """A folder with settings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ: dict[str, str] = {}

    def nameless(self, text: str = "") -> Desk:
        (self.folder / "settings.toml").write_text(text, encoding="utf-8")
        return self

    def book(self, name: str, text: str = "") -> Desk:
        (self.folder / "books").mkdir(exist_ok=True)
        (self.folder / "books" / f"{name}.toml").write_text(text, encoding="utf-8")
        return self

    def set(self, **variables: str) -> Desk:
        self.environ.update({f"BALLAST_{name}": value for name, value in variables.items()})
        return self

    @property
    def books(self) -> tuple[str, ...]:
        return books(self.environ)

    def load(self, book: str = "") -> Settings:
        return load_settings(self.environ, book=book)

    def problems(self, book: str = "") -> list[str]:
        with pytest.raises(SettingsError) as caught:
            self.load(book)
        return list(caught.value.problems)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(sources, "DEFAULT_FILE", tmp_path / "settings.toml")
    return Desk(tmp_path)


class TestWhichThereAre:
    def test_books__nothing_set__is_the_nameless_one(self, desk: Desk) -> None:
        assert desk.books == ("",)
        assert desk.load().names == Names()

    def test_books__with_files_of_two__are_these(self, desk: Desk) -> None:
        desk.book("zebra").book("fund").book("notes", "").environ.update({"AIRFLOW_HOME": "/x"})
        (desk.folder / "books" / "readme.md").touch()
        (desk.folder / "books" / ".fund.toml").touch()

        assert desk.books == ("fund", "notes", "zebra")

    @pytest.mark.parametrize("how", ["file", "named file", "variable", "misspelt variable"])
    def test_books__anything_set_for_the_nameless_one__has_it_first(self, desk: Desk, how: str) -> None:
        desk.book("fund")
        if how == "file":
            desk.nameless()
        elif how == "named file":
            desk.set(SETTINGS_FILE="/somewhere/settings.toml")
        else:
            desk.set(**{"variable": {"PROFILE": "mainnet"}}.get(how, {"PROFIL": "mainnet"}))

        assert desk.books == ("", "fund")

    def test_books__variables_of_it_are_empty__has_it_not(self, desk: Desk) -> None:
        desk.book("fund").set(WALLET="", BASE_RPC_URL=" ")

        assert desk.books == ("fund",)

    def test_books__in_a_folder_of_their_own__are_found_there(self, desk: Desk, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "fund.toml").write_text("equity_cap = 5", encoding="utf-8")
        desk.book("other").set(BOOKS=str(tmp_path / "elsewhere"))

        assert desk.books == ("fund",)
        assert desk.load("fund").equity_cap == 5

    def test_books__their_folder_is_missing__is_an_error_and_no_empty_desk(self, desk: Desk) -> None:
        desk.set(BOOKS="/no/such/folder")

        assert desk.problems() == ["BALLAST_BOOKS: /no/such/folder is not a folder"]

    def test_misnamed__names_the_files_that_are_no_books(self, desk: Desk) -> None:
        desk.book("fund").book("Fund-A").book("check")

        assert desk.books == ("fund",)
        assert [file.name for file in misnamed(desk.environ)] == ["Fund-A.toml", "check.toml"]
        assert desk.load("fund").book == "fund"

    def test_settings_file__is_the_one_that_is_read(self, desk: Desk) -> None:
        assert settings_file("", desk.environ) is None
        assert settings_file("fund", desk.environ) is None
        desk.nameless().book("fund")

        assert settings_file("", desk.environ) == desk.folder / "settings.toml"
        assert settings_file("fund", desk.environ) == desk.folder / "books" / "fund.toml"

    def test_books__of_the_process__are_read_from_its_environment(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in [name for name in os.environ if name.startswith("BALLAST_")]:
            monkeypatch.delenv(name)
        desk.book("fund")

        assert books() == ("fund",)
        assert misnamed() == ()
        assert settings_file("fund") == desk.folder / "books" / "fund.toml"
        assert load_settings(book="fund").book == "fund"


class TestOneBook:
    def test_load__a_book__has_its_file_and_over_it_its_variables(self, desk: Desk) -> None:
        desk.book("fund", f'wallet = "{ONE}"\nequity_cap = 5\nusdc_cap = 100')
        desk.set(_FUND__USDC_CAP="70", _FUND__BASE_RPC_URL="https://base.example", _FUND__EQUITY_CAP="")

        settings = desk.load("fund")

        assert (settings.book, settings.names) == ("fund", Names("fund"))
        assert (settings.equity_cap, settings.usdc_cap) == (Decimal(5), Decimal(70))
        assert settings.rpc_urls("base") == ("https://base.example",)

    def test_load__a_book__takes_nothing_from_the_nameless_one(self, desk: Desk) -> None:
        desk.nameless(f'wallet = "{ONE}"\nrebalancing_enabled = false').book("fund")
        desk.set(EQUITY_CAP="5", BASE_RPC_URL="https://base.example")

        settings = desk.load("fund")

        assert settings.wallet is None
        assert settings.equity_cap is None
        assert settings.rpc_urls("base") == ()
        assert desk.load().rpc_urls("base") == ("https://base.example",)

    def test_load__a_book__has_connections_of_its_own_and_circle_with_all(self, desk: Desk) -> None:
        desk.book("fund").book("other", 'ledger_conn_id = "books"').nameless()

        fund, other, nameless = desk.load("fund"), desk.load("other"), desk.load()

        assert fund.alpaca_conn_id == "alpaca_fund"
        assert fund.wallet_conn_id == "evm_wallet_fund"
        assert fund.ledger_conn_id == "rebalancing_ledger_fund"
        assert (other.ledger_conn_id, other.alpaca_conn_id) == ("books", "alpaca_other")
        assert {one.circle_conn_id for one in (fund, other, nameless)} == {"circle"}
        assert nameless.ledger_conn_id == "rebalancing_ledger"

    def test_load__a_changed_copy__is_of_the_same_book(self, desk: Desk) -> None:
        desk.book("fund")

        assert desk.load("fund").model_copy(update={"profile": "testnet"}).book == "fund"

    @pytest.mark.parametrize("where", ["file", "variable"])
    def test_load__its_name_is_set__is_not_a_setting(self, desk: Desk, where: str) -> None:
        desk.book("fund", 'book = "other"' if where == "file" else "")
        if where == "variable":
            desk.set(_FUND__BOOK="other")

        [problem] = desk.problems("fund")

        assert "is not a setting" in problem
        assert problem.startswith("books/fund.toml: book" if where == "file" else "BALLAST__FUND__BOOK")

    def test_load__the_nameless_ones_name_is_set__is_not_a_setting(self, desk: Desk) -> None:
        desk.set(BOOK="fund")

        assert "BALLAST_BOOK: is not a setting" in desk.problems()[0]

    def test_problems__of_a_book__name_its_file_and_the_setting(self, desk: Desk) -> None:
        desk.book("fund", "rebalancing_enabled = true\nrebalancing_target_ratio = 2")

        found = desk.problems("fund")

        assert all(problem.startswith("books/fund.toml: ") for problem in found)
        assert any(problem.startswith("books/fund.toml: rebalancing_target_ratio: ") for problem in found)
        assert any(problem.startswith("books/fund.toml: wallet: is missing") for problem in found)

    def test_problems__of_its_file__name_it(self, desk: Desk) -> None:
        desk.book("fund", "wallet =")

        [problem] = desk.problems("fund")

        assert "books/fund.toml: is not TOML" in problem

    def test_problems__a_misspelt_variable__says_which_is_meant(self, desk: Desk) -> None:
        desk.book("fund").set(_FUND__WALET=ONE)

        assert desk.problems("fund") == [
            "BALLAST__FUND__WALET: is not a setting; is BALLAST__FUND__WALLET meant?"
        ]

    def test_problems__a_variable_in_small_letters__is_not_passed_over(self, desk: Desk) -> None:
        desk.book("fund").set(_FUND__usdc_cap="70")

        assert "BALLAST__FUND__usdc_cap: is not a setting" in desk.problems("fund")[0]

    @pytest.mark.parametrize("name", ["gone", "Fund", "check"])
    def test_load__no_such_book__names_those_that_there_are(self, desk: Desk, name: str) -> None:
        desk.nameless().book("fund")

        assert desk.problems(name) == [f"there is no book {name}: the books are default, fund"]

    def test_load__no_nameless_book__says_which_to_name(self, desk: Desk) -> None:
        desk.book("fund").book("other")

        assert desk.problems() == [
            "there is no book without a name, so one has to be named: the books are fund, other"
        ]

    def test_load__a_dangling_link__is_a_book_that_cannot_be_read(self, desk: Desk) -> None:
        desk.book("other")
        (desk.folder / "books" / "fund.toml").symlink_to("gone")

        assert desk.books == ("fund", "other")
        assert "fund.toml: cannot be read" in desk.problems("fund")[0]

    def test_load_usable__of_a_wrong_book__keeps_what_is_right_and_its_own_connections(
        self, desk: Desk
    ) -> None:
        desk.book("fund", 'equity_cap = 5\nusdc_cap = -1\nalpaca_conn_id = ""\nrebalancing_enabled = true')

        settings, wrong = load_usable(desk.environ, book="fund")

        assert (settings.book, settings.equity_cap, settings.usdc_cap) == ("fund", Decimal(5), None)
        assert (settings.alpaca_conn_id, settings.rebalancing_enabled) == ("alpaca_fund", False)
        assert any("usdc_cap" in problem for problem in wrong)

    def test_load_usable__no_such_book__has_none_of_anybodys_connections(self, desk: Desk) -> None:
        desk.nameless()

        settings, wrong = load_usable(desk.environ, book="gone")

        assert settings.ledger_conn_id == "rebalancing_ledger_gone"
        assert len(wrong) == 1


class TestVariablesOfNoBook:
    def test_stray__of_an_unknown_book__is_an_error_of_each_book_with_a_name(self, desk: Desk) -> None:
        """It may be a limit of any of them, misspelt; the nameless one has variables of another form."""
        desk.nameless().book("fund").book("other").set(_FUDN__EQUITY_CAP="5")

        for book in ("fund", "other"):
            [problem] = desk.problems(book)
            assert problem.startswith(
                "BALLAST__FUDN__EQUITY_CAP: belongs to no book; the books are fund, other"
            )
        assert desk.load().book == ""

    def test_stray__where_no_book_has_a_name__is_an_error(self, desk: Desk) -> None:
        desk.set(_FUND__EQUITY_CAP="5")

        [problem] = desk.problems()

        assert problem.startswith("BALLAST__FUND__EQUITY_CAP: belongs to no book")

    def test_stray__without_a_book__is_an_error_of_all(self, desk: Desk) -> None:
        desk.nameless().book("fund").set(_EQUITY_CAP="5")

        for book in ("", "fund"):
            assert desk.problems(book)[0].startswith("BALLAST__EQUITY_CAP: belongs to no book")


def environ_of(name: str) -> Mapping[str, str]:
    return {f"BALLAST__FUND__{name.upper()}": "Shared", f"BALLAST__OTHER__{name.upper()}": "shared "}


class TestWhatNoTwoMayShare:
    @pytest.mark.parametrize("name", ["alpaca_conn_id", "wallet_conn_id", "ledger_conn_id"])
    def test_shared__a_connection__is_an_error_of_both_books(self, desk: Desk, name: str) -> None:
        desk.nameless().book("fund").book("other").environ.update(environ_of(name))

        for book in ("fund", "other"):
            assert desk.problems(book) == [
                f"books/{book}.toml: {name}: is the same in the books fund and other, and each needs its own"
            ]
        assert desk.load().book == ""

    def test_shared__the_wallet_in_other_letters__is_an_error_of_both_books(self, desk: Desk) -> None:
        desk.book("fund", f'wallet = "{CHECKSUMMED}"').book("other", f'wallet = "{CHECKSUMMED.lower()}"')

        for book in ("fund", "other"):
            [problem] = desk.problems(book)
            assert "wallet: is the same in the books fund and other" in problem

    def test_shared__with_the_nameless_one__names_it_default(self, desk: Desk) -> None:
        desk.set(WALLET=ONE).book("fund", f'wallet = "{ONE}"')

        assert desk.problems() == [
            "wallet: is the same in the books default and fund, and each needs its own"
        ]
        assert desk.problems("fund")[0].startswith("books/fund.toml: wallet: is the same")

    def test_shared__a_connection_that_is_the_others_by_default__is_an_error(self, desk: Desk) -> None:
        desk.nameless().book("fund", 'alpaca_conn_id = "alpaca"')

        for book in ("", "fund"):
            assert "alpaca_conn_id: is the same in the books default and fund" in desk.problems(book)[0]

    def test_shared__by_two_of_three__lets_the_third_work(self, desk: Desk) -> None:
        desk.book("a", f'wallet = "{ONE}"').book("b", f'wallet = "{ONE}"').book("c", f'wallet = "{TWO}"')

        assert desk.load("c").book == "c"

    def test_shared__circle_and_what_is_not_set__are_no_error(self, desk: Desk) -> None:
        desk.book("fund", 'circle_conn_id = "circle"').book("other", 'circle_conn_id = "circle"')

        assert desk.load("fund").wallet is desk.load("other").wallet is None

    @pytest.mark.parametrize("text", ["wallet =", "wallet = 5", "ledger_conn_id = [1]"])
    def test_shared__the_other_book_is_broken__this_one_works(self, desk: Desk, text: str) -> None:
        desk.book("fund", f'wallet = "{ONE}"').book("other", text)

        assert desk.load("fund").book == "fund"
        assert desk.problems("other")

    def test_shared__a_file_that_is_given__is_looked_at_alone(self, desk: Desk) -> None:
        desk.book("fund", f'wallet = "{ONE}"').book("other", f'wallet = "{ONE}"')

        assert load_settings({}, desk.folder / "books" / "fund.toml").wallet is not None
