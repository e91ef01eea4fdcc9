"""Vaults that the sandbox does not have."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from include.book import Network
from include.doctor import vaults
from include.doctor.check import Subject, examine
from include.doctor.report import Level
from include.venues.evm import erc20, erc4626
from include.venues.evm.types import Call, MulticallResult
from include.venues.raindex import float as rain_float
from include.venues.raindex import orderbook
from tests.unit.doctor.build import TOKEN, WALLET, settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from include.doctor.check import Check
    from include.venues.raindex.orderbook import Version

ORDERBOOK, WRAPPER = "0x" + "33" * 20, "0x" + "44" * 20
VAULT = "0x" + "01" * 32


@dataclass
class Base:
    """A chain of which a test says what it answers."""

    codes: dict[str, bytes] = field(default_factory=dict)
    answers: dict[Call, bytes | None] = field(default_factory=dict)

    def code(self, address: str) -> bytes:
        return self.codes.get(address, b"")

    def multicall(self, calls: Sequence[Call]) -> MulticallResult:
        return MulticallResult(1, 1, tuple(self.answers.get(call) for call in calls))


def found(check: Check, chain: Base, *, wrapper: str | None = None, **values: str) -> list[tuple[Level, str]]:
    base: Any = chain
    own = {"vaults": [VAULT]} | ({} if wrapper is None else {"wrapper": wrapper})
    given = {"orderbook": ORDERBOOK, "assets": json.dumps({"AAPL": own})} | values
    findings = examine(Subject(settings(**given), chains={Network.BASE: base}), [check])
    assert all(bool(finding.advice) is (finding.level is not Level.OK) for finding in findings)
    return [(finding.level, finding.found) for finding in findings]


def selector(version: Version) -> bytes:
    return orderbook.deposit(
        ORDERBOOK, token=TOKEN, vault_id=VAULT, amount=1, decimals=18, version=version
    ).data[:4]


@pytest.mark.parametrize(
    ("code", "version", "level", "text"),
    [
        (b"", "v6", Level.FAILURE, f"there is no contract at {ORDERBOOK}"),
        (selector("v6"), "v6", Level.OK, f"{ORDERBOOK} is a contract of version v6"),
        (selector("v6"), "v5", Level.FAILURE, f"{ORDERBOOK} is of version v6, and the setting is v5"),
        (selector("v5"), "v6", Level.FAILURE, f"{ORDERBOOK} is of version v5, and the setting is v6"),
        (b"a proxy", "v5", Level.OK, f"{ORDERBOOK} is a contract"),
    ],
)
def test_orderbook__its_code__tells_its_version(code: bytes, version: str, level: Level, text: str) -> None:
    chain = Base({ORDERBOOK: b"before" + code + b"after" if code else b""})
    assert found(vaults.contract, chain, orderbook_version=version) == [(level, text)]


def holds(token: str, answer: bytes | None) -> dict[Call, bytes | None]:
    return {orderbook.vault_balance(ORDERBOOK, owner=WALLET, token=token, vault_id=VAULT): answer}


UNITS = rain_float.encode(25 * 10**17, 18)
NOTHING = bytes(32)


@pytest.mark.parametrize(
    ("wrapper", "answers", "expected"),
    [
        (None, holds(TOKEN, UNITS), [(Level.OK, "holds 2.5")]),
        (None, holds(TOKEN, None), [(Level.FAILURE, "did not answer")]),
        (
            None,
            holds(TOKEN, b""),
            [(Level.FAILURE, ": not a vault balance: a float is 32 bytes, not 0; is there an OrderBook at ")],
        ),
        (WRAPPER, holds(TOKEN, NOTHING) | holds(WRAPPER, UNITS), [(Level.OK, "holds 2.5 wrapped")]),
        (
            WRAPPER,
            holds(TOKEN, UNITS) | holds(WRAPPER, NOTHING),
            [(Level.OK, "holds 0 wrapped"), (Level.WARNING, "holds 2.5 besides, not wrapped")],
        ),
    ],
)
def test_vaults__what_they_answer__is_told(
    wrapper: str | None, answers: dict[Call, bytes | None], expected: list[tuple[Level, str]]
) -> None:
    shown = found(vaults.vaults, Base(answers=answers), wrapper=wrapper)
    assert [level for level, _ in shown] == [level for level, _ in expected]
    for (_, text), (_, end) in zip(shown, expected, strict=True):
        assert text.startswith(f"AAPL: the vault {VAULT}{'' if end.startswith(':') else ' '}{end}")


@pytest.mark.parametrize(
    ("units", "values", "expected"),
    [
        (0, {}, [(Level.OK, "there are none")]),
        (10**9 - 1, {}, [(Level.OK, "there are none")]),  # what unwrapping leaves behind
        (10**9, {}, [(Level.WARNING, "0.000000001 AAPL in the wallet")]),
        (10**18, {"stray_tokens": "deposit"}, [(Level.WARNING, "1 AAPL in the wallet")]),
    ],
)
def test_strays__in_the_wallet__are_a_warning_unless_dust(
    units: int, values: dict[str, str], expected: list[tuple[Level, str]]
) -> None:
    chain = Base(answers={erc20.balance_of(TOKEN, WALLET): units.to_bytes(32, "big")})
    assert found(vaults.strays, chain, **values) == expected


@pytest.mark.parametrize(
    ("granted", "level", "text"),
    [
        (0, Level.OK, "none yet for AAPL to the OrderBook"),
        (1, Level.OK, "granted for AAPL to the OrderBook"),
        (None, Level.FAILURE, "AAPL to the OrderBook: the token did not answer"),
    ],
)
def test_allowances__granted_or_not__are_told(granted: int | None, level: Level, text: str) -> None:
    answer = None if granted is None else granted.to_bytes(32, "big")
    chain = Base(answers={erc20.allowance(TOKEN, WALLET, ORDERBOOK): answer})
    assert found(vaults.allowances, chain) == [(level, text)]


def wrapper_of(decimals: int = 18, worth: int = 10**18, redeemable: int = 0) -> Base:
    """Return a chain with a wrapper, of which the wallet has a share and the vault none."""
    answers: dict[Call, int] = {
        erc20.decimals(WRAPPER): decimals,
        erc4626.asset(WRAPPER): int(TOKEN, 16),
        erc4626.convert_to_assets(WRAPPER, 10**18): worth,
        erc20.balance_of(WRAPPER, WALLET): 10**18,
        erc4626.max_redeem(WRAPPER, WALLET): redeemable,
    }
    return Base({WRAPPER: b"code"}, {call: answer.to_bytes(32, "big") for call, answer in answers.items()})


def test_wrappers__sound__tell_what_a_share_stands_for() -> None:
    chain = wrapper_of(worth=105 * 10**16, redeemable=10**18)
    assert found(vaults.wrappers, chain, wrapper=WRAPPER) == [
        (Level.OK, "AAPL: one share stands for 1.05 tokens")
    ]


def test_wrappers__shares_that_stand_for_nothing__are_a_warning() -> None:
    shown = found(vaults.wrappers, wrapper_of(worth=0, redeemable=10**18), wrapper=WRAPPER)
    text = f"AAPL: the wrapper {WRAPPER} says that a share stands for nothing"
    assert shown == [(Level.WARNING, text)]


def test_wrappers__other_decimals__are_a_failure() -> None:
    text = f"AAPL: the wrapper {WRAPPER} has 6 decimals, expected 18"
    assert found(vaults.wrappers, wrapper_of(decimals=6), wrapper=WRAPPER) == [(Level.FAILURE, text)]


def test_wrappers__shares_in_the_wallet_that_cannot_be_redeemed__are_a_warning() -> None:
    shown = found(vaults.wrappers, wrapper_of(redeemable=10**18 - 1), wrapper=WRAPPER)
    text = "AAPL: of 1 shares in the wallet, 0.999999999999999999 can be redeemed now"
    assert shown[1:] == [(Level.WARNING, text)]


@pytest.mark.parametrize("check", vaults.CHECKS)
def test_vaults__where_there_are_none__need_nothing(check: Check) -> None:
    shown = found(check, Base(), assets="{}", orderbook="")
    assert [(level, text.split(":")[0]) for level, text in shown] == [(Level.OK, "not needed")]
