"""The doctor in a world where all is well, and in one with a single thing broken."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from include.book import Network
from include.chains import open_chain
from include.doctor import CHECKS, Finding, Level, Subject, examine
from include.doctor.report import exit_code
from include.ledger.ledger import Ledger, utc_now
from include.sandbox.accounts import Role, account
from include.sandbox.alpaca.faults import Fault
from include.sandbox.chains import TOKEN_MESSENGER, TOKEN_MINTER, address_word, transact
from include.sandbox.world import ACCOUNT_ID, World
from include.venues.alpaca.auth import KeyPairAuth
from include.venues.alpaca.client import AlpacaBroker
from include.venues.cctp.attestation import AttestationService, RequestLimiter
from tests.support.desk import WatchedHttp, open_venues, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from include.sandbox.alpaca.chain import EvmChain

    Break = Callable[[World], object]

READS = {
    "eth_blockNumber",
    "eth_call",
    "eth_chainId",
    "eth_getBalance",
    "eth_getBlockByNumber",
    "eth_getCode",
}
READS |= {"eth_getTransactionCount"}
RETURNS_8 = "0x600860005260206000f3"
"""The code of a contract that answers 8 to everything."""


def mine_now(chain: EvmChain) -> None:
    """Make a block of this moment: without trades the newest one may be old."""
    newest = int(chain.rpc.request("eth_getBlockByNumber", "latest", False)["timestamp"], 16)
    chain.rpc.request("evm_setNextBlockTimestamp", max(int(utc_now().timestamp()), newest + 1))
    chain.rpc.request("evm_mine")


@pytest.fixture(scope="module")
def running_world() -> Iterator[World]:
    with World(block_time=None) as world:
        yield world


@pytest.fixture
def world(running_world: World) -> Iterator[World]:
    start = running_world.snapshot()
    yield running_world
    running_world.revert(start)


@pytest.fixture
def ledger_url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    Ledger.open(url).close()
    return url


@contextmanager
def subject_of(
    world: World, ledger_url: str | None, watch: Callable[[str, Any], None], **changes: str
) -> Iterator[Subject]:
    for chain in (world.ethereum, world.base):
        mine_now(chain)
    # The client's own limiter would let the tests wait for each other.
    limiter = RequestLimiter(per_second=1_000)
    with (
        open_venues(world, settings_of(world, **changes), watch) as venues,
        AttestationService(world.attestation_url, transport=WatchedHttp(watch), limiter=limiter) as circle,
    ):
        subject = Subject.of(venues, signer=world.maker.address, ledger_url=ledger_url)
        yield replace(subject, attestations=circle)


def look(world: World, ledger_url: str | None, **changes: str) -> list[Finding]:
    with subject_of(world, ledger_url, lambda _name, _content: None, **changes) as subject:
        return examine(subject)


def amiss(findings: list[Finding]) -> dict[str, tuple[Level, str]]:
    """Return what is not ok, by the name of its check."""
    return {f.check: (f.level, f.found) for f in findings if f.level is not Level.OK}


def test_doctor__in_a_sound_world__finds_everything_ok(world: World, ledger_url: str) -> None:
    findings = look(world, ledger_url)

    assert amiss(findings) == {}
    assert exit_code(findings) == 0
    names = [finding.check.split(" (")[0] for finding in findings]
    assert set(names) == {check.about.name for check in CHECKS}
    assert all(finding.found and not finding.advice for finding in findings)


def test_doctor__whatever_it_asks__only_reads(world: World, ledger_url: str, tmp_path: Path) -> None:
    asked: set[str] = set()
    before = (tmp_path / "ledger.db").read_bytes()

    with subject_of(world, ledger_url, lambda name, _content: asked.add(name)) as subject:
        assert examine(subject)

    methods = {name for name in asked if not name.startswith("GET ")}
    assert methods
    assert methods <= READS
    assert (tmp_path / "ledger.db").read_bytes() == before
    assert world.under_way() == {}


def admin(contract: str, signature: str, *args: object, on: str = "base") -> Break:
    """Let the owner of a contract do something to it."""
    return lambda world: transact(getattr(world, f"{on}_url"), Role.DEPLOYER, contract, signature, args)


def code(address: Callable[[World], str], bytecode: str) -> Break:
    """Put other code at an address on Base."""
    return lambda world: world.base.rpc.request("anvil_setCode", address(world), bytecode)


def no_gas(on: str) -> Break:
    return lambda world: getattr(world, on).rpc.request("anvil_setBalance", world.maker.address, "0x1")


def whitelisted_as(status: str) -> Break:
    def act(world: World) -> None:
        for entry in world.broker.core.state.whitelist.values():
            entry.status = status

    return act


def usdc(world: World, on: str) -> str:
    return str(getattr(world.deployment, on).usdc)


MAKER = account(Role.MAKER).address
AAPL: Callable[[World], str] = lambda world: world.deployment.stocks["AAPL"]  # noqa: E731 - a short name for it

BROKEN: dict[str, tuple[Break, str, str]] = {
    "transmitter_paused": (
        lambda world: admin(world.deployment.base.message_transmitter, "pause()")(world),
        "CCTP open (base)",
        "MessageTransmitter is paused",
    ),
    "minter_paused": (admin(TOKEN_MINTER, "pause()"), "CCTP open (base)", "TokenMinter is paused"),
    "usdc_paused": (
        lambda world: admin(usdc(world, "ethereum"), "pause()", on="ethereum")(world),
        "CCTP open (ethereum)",
        "USDC is paused",
    ),
    "denylisted": (
        admin(TOKEN_MESSENGER, "denylist(address)", MAKER),
        "Circle's lists (base)",
        f"the TokenMessenger has denylisted {MAKER}",
    ),
    "blacklisted": (
        lambda world: admin(usdc(world, "ethereum"), "blacklist(address)", MAKER, on="ethereum")(world),
        "Circle's lists (ethereum)",
        f"USDC has blacklisted {MAKER}",
    ),
    "no_gas_on_ethereum": (
        no_gas("ethereum"),
        "gas (ethereum)",
        "the wallet holds 0 ETH; the minimum is 0.01",
    ),
    "no_gas_on_base": (no_gas("base"), "gas (base)", "the wallet holds 0 ETH; the minimum is 0.001"),
    "messenger_unknown": (
        admin(TOKEN_MESSENGER, "removeRemoteTokenMessenger(uint32)", 0),
        "CCTP wiring (base)",
        f"the TokenMessenger of Ethereum is 0, expected {TOKEN_MESSENGER}",
    ),
    "burn_limit_0": (
        lambda world: admin(
            TOKEN_MINTER, "setMaxBurnAmountPerMessage(address,uint256)", usdc(world, "base"), 0
        )(world),
        "CCTP burn limit (base)",
        "USDC cannot be burnt here",
    ),
    "burn_limit_low": (
        lambda world: admin(
            TOKEN_MINTER, "setMaxBurnAmountPerMessage(address,uint256)", usdc(world, "base"), 10**6
        )(world),
        "CCTP burn limit (base)",
        "one transfer takes 1 USDC at most, less than the smallest transfer",
    ),
    "whitelist_pending": (whitelisted_as("PENDING"), "Alpaca whitelist", f"{MAKER} is PENDING"),
    "whitelist_missing": (
        lambda world: world.broker.core.state.whitelist.clear(),
        "Alpaca whitelist",
        f"{MAKER} is not on the list",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_doctor__one_thing_broken__finds_that_and_nothing_else(
    world: World, ledger_url: str, what: str
) -> None:
    breaks, check, text = BROKEN[what]
    breaks(world)

    findings = look(world, ledger_url)

    assert amiss(findings) == {check: (Level.FAILURE, text)}
    assert exit_code(findings) == 1
    assert all(finding.advice for finding in findings if finding.level is Level.FAILURE)


def test_wiring__no_token_pair__names_both_tokens(world: World, ledger_url: str) -> None:
    here, there = usdc(world, "base"), usdc(world, "ethereum")
    admin(TOKEN_MINTER, "unlinkTokenPair(address,uint32,bytes32)", here, 0, address_word(there))(world)

    found = amiss(look(world, ledger_url))

    text = f"the token minted for USDC of Ethereum is 0, expected {here}"
    assert found == {"CCTP wiring (base)": (Level.FAILURE, text)}


@pytest.mark.parametrize(
    ("bytecode", "text"),
    [
        (RETURNS_8, "AAPL: the token {token} has 8 decimals, expected 18"),
        ("0x", "AAPL: there is no token at {token}"),
    ],
)
def test_tokens__of_another_kind__are_named(world: World, ledger_url: str, bytecode: str, text: str) -> None:
    code(AAPL, bytecode)(world)

    found = amiss(look(world, ledger_url))

    assert found == {"tokens (base)": (Level.FAILURE, text.format(token=AAPL(world)))}


def test_contracts__a_bare_chain__names_what_is_missing(world: World, ledger_url: str) -> None:
    code(lambda _: TOKEN_MESSENGER, "0x")(world)

    found = amiss(look(world, ledger_url))

    assert found["contracts (base)"] == (
        Level.FAILURE,
        f"there is no contract TokenMessenger at {TOKEN_MESSENGER}",
    )
    assert found["CCTP wiring (base)"][0] is Level.FAILURE
    assert found["Circle's lists (base)"][0] is Level.FAILURE
    assert "contracts (ethereum)" not in found


def test_node__urls_swapped__is_the_wrong_chain(world: World, ledger_url: str) -> None:
    found = amiss(look(world, ledger_url, ethereum_rpc_url=world.base_url, base_rpc_url=world.ethereum_url))

    level, text = found["node (ethereum)"]
    assert level is Level.FAILURE
    assert "is chain 8453, expected 1" in text
    assert "is chain 1, expected 8453" in found["node (base)"][1]


def test_node__not_there__takes_no_other_check_with_it(world: World, ledger_url: str) -> None:
    key = "a-key-in-the-path"
    found = look(world, ledger_url, base_rpc_url=f"http://127.0.0.1:1/v2/{key}")

    failed = {finding.check for finding in found if finding.level is Level.FAILURE}
    assert "node (base)" in failed
    assert {check for check in failed if "(base)" not in check} <= {"redemption wallet"}
    assert key not in repr(found)
    assert all("Try again" in finding.advice for finding in found if finding.check == "gas (base)")


def test_node__one_of_several_is_dead__is_named_and_the_rest_is_fine(world: World, ledger_url: str) -> None:
    key = "a-key-in-the-path"
    settings = settings_of(world, base_rpc_fallbacks=f"http://127.0.0.1:1/v2/{key}")
    with subject_of(world, ledger_url, lambda _name, _content: None) as subject:
        chains = {network: open_chain(settings, network) for network in Network}
        findings = examine(replace(subject, settings=settings, chains=chains))

    found = [one for one in findings if one.check == "node (base)"]
    assert [one.level for one in found] == [Level.OK, Level.FAILURE]
    assert "127.0.0.1:1 gave no answer" in found[1].found
    assert key not in repr(findings)
    assert not [one for one in findings if one.check != "node (base)" and one.level is Level.FAILURE]


def test_credentials__refused__say_so_and_show_none(world: World, ledger_url: str) -> None:
    key, secret = "SENTINELKEY", "sentinel-secret"
    with (
        subject_of(world, ledger_url, lambda _name, _content: None) as subject,
        AlpacaBroker(world.alpaca_url, ACCOUNT_ID, KeyPairAuth(key, secret)) as broker,
    ):
        findings = examine(replace(subject, alpaca=broker))

    found = amiss(findings)
    level, text = found["Alpaca account"]
    assert level is Level.FAILURE
    assert text.startswith("the credentials are refused: ")
    assert {check for check in found if "Alpaca" not in check} == {"clock"}
    shown = json.dumps([finding.to_dict() for finding in findings])
    assert key not in shown
    assert secret not in shown


@pytest.mark.parametrize("kind", ["reset", "html", "status"])
def test_alpaca__in_trouble__is_one_finding_for_each_check(world: World, ledger_url: str, kind: str) -> None:
    world.broker.core.faults.arm(Fault(target="account", kind=kind, times=10, status=503))

    found = amiss(look(world, ledger_url))

    assert list(found) == ["Alpaca account"]


def test_redemption_wallet__a_contract_that_is_known__would_lose_the_tokens(
    world: World, ledger_url: str
) -> None:
    found = amiss(look(world, ledger_url, redemption_wallet=TOKEN_MINTER))

    assert found == {
        "redemption wallet": (
            Level.FAILURE,
            f"{TOKEN_MINTER} is CCTP's TokenMinter: tokens sent to it would be lost",
        )
    }


def test_deposit_address__is_our_own__cannot_be_right(world: World, ledger_url: str) -> None:
    deposit = account(Role.ALPACA_DEPOSIT).address

    found = amiss(look(world, ledger_url, redemption_wallet=deposit))

    level, text = found["Alpaca deposit address"]
    assert level is Level.FAILURE
    assert text.endswith("is also the setting redemption_wallet")


def test_stocks__a_symbol_that_alpaca_does_not_know__is_named(world: World, ledger_url: str) -> None:
    tokens = dict(world.deployment.stocks)
    tokens["APPL"] = tokens.pop("AAPL")

    found = amiss(look(world, ledger_url, token_addresses=json.dumps(tokens)))

    assert found == {"Alpaca stocks": (Level.FAILURE, "Alpaca does not know APPL")}


def test_wallet_key__of_another_address__is_a_failure(world: World, ledger_url: str) -> None:
    stranger = account(Role.STRANGER).address
    with subject_of(world, ledger_url, lambda _name, _content: None) as subject:
        found = amiss(examine(replace(subject, signer=stranger)))

    assert found == {
        "wallet key": (Level.FAILURE, f"the key signs for {stranger}, and the wallet is {MAKER}")
    }


@pytest.mark.parametrize(
    ("seconds", "level", "checks"),
    [
        (3, None, set()),
        (-10, Level.WARNING, {"clock"}),
        (-3600, Level.FAILURE, {"clock", "newest block (ethereum)", "newest block (base)"}),
        (3600, Level.FAILURE, {"clock", "newest block (ethereum)", "newest block (base)"}),
    ],
)
def test_clock__of_this_machine_is_wrong__is_seen_against_alpaca_and_the_blocks(
    world: World, ledger_url: str, seconds: int, level: Level | None, checks: set[str]
) -> None:
    def wrong() -> Any:
        return utc_now() + timedelta(seconds=seconds)

    with subject_of(world, ledger_url, lambda _name, _content: None) as subject:
        found = amiss(examine(replace(subject, now=wrong)))

    assert found.keys() == checks
    assert {found[check][0] for check in checks} <= {level}


def test_fast_allowance__used_up__is_a_warning_unless_speed_is_standard(
    world: World, ledger_url: str
) -> None:
    assert world.attestation is not None
    before = world.attestation.settings
    world.attestation.change(before.model_copy(update={"fast_allowance": Decimal(10)}))
    try:
        fast = look(world, ledger_url)
        auto = look(world, ledger_url, usdc_speed="auto")
        standard = look(world, ledger_url, usdc_speed="standard")
    finally:
        world.attestation.change(before)

    assert amiss(fast) == {"fast allowance": (Level.WARNING, "10 USDC may leave by fast transfer now")}
    assert exit_code(fast) == 0
    assert amiss(auto) == amiss(fast)
    assert amiss(standard) == {}
    assert sum(finding.check.startswith("CCTP fee") for finding in auto) == 4  # both speeds, both ways


def test_allowance__granted__is_told(world: World, ledger_url: str) -> None:
    transact(
        world.base_url,
        Role.MAKER,
        usdc(world, "base"),
        "approve(address,uint256)",
        [TOKEN_MESSENGER, 5 * 10**6],
    )

    found = {finding.check: finding.found for finding in look(world, ledger_url)}

    assert found["USDC allowance (base)"] == "5 USDC; a larger transfer renews it"
    assert found["USDC allowance (ethereum)"] == "none yet: the first transfer from here grants it"
