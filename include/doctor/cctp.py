"""What the bridge must be: wired both ways, open, and willing to take this wallet's USDC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eth_abi.abi import encode

from include.doctor.check import Check, Found, check, failure, ok, warning
from include.domain.amounts import USDC_DECIMALS, from_base_units, plain
from include.legs.bridge import FAST, STANDARD
from include.settings import USDC
from include.venues.cctp import contracts
from include.venues.evm import erc20

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.doctor.check import Look

MESSAGE_VERSION = 1
"""What a MessageTransmitter of CCTP V2 answers."""
PLENTY = 2**128
"""An allowance of more was granted without a limit."""


@check(
    "CCTP wiring",
    reads="domain and version of the MessageTransmitter, the TokenMessenger registered for the other chain, "
    "and the token that the TokenMinter mints for the other chain's USDC.",
    advice="The endpoint serves another network than the `profile` says, or Circle changed its contracts: do "
    "not bridge before it is clear which.",
    each_chain=True,
)
def wiring(look: Look) -> Iterator[Found]:
    """Compare what the contracts say of each other with what is published."""
    here, there = look.facts, look.facts_of(look.other)
    answers = look.chain.multicall(
        [
            contracts.local_domain(here.message_transmitter),
            contracts.version(here.message_transmitter),
            contracts.remote_token_messenger(here.token_messenger, there.cctp_domain),
            contracts.get_local_token(here.token_minter, there.cctp_domain, there.usdc),
        ]
    ).results
    wanted: tuple[tuple[str, bytes], ...] = (
        ("the MessageTransmitter's domain", _word(here.cctp_domain)),
        ("the MessageTransmitter's version", _word(MESSAGE_VERSION)),
        (f"the TokenMessenger of {there.name}", encode(["address"], [there.token_messenger])),
        (f"the token minted for USDC of {there.name}", encode(["address"], [here.usdc])),
    )
    wrong = False
    for (what, expected), answer in zip(wanted, answers, strict=True):
        if answer != expected:
            wrong = True
            yield failure(f"{what} is {_shown(answer)}, expected {_shown(expected)}")
    if not wrong:
        yield ok(f"domain {here.cctp_domain}, wired to {there.name}")


@check(
    "CCTP open",
    reads="whether the MessageTransmitter, the TokenMinter or USDC is paused.",
    advice="Wait until Circle has lifted the pause; nothing is begun before.",
    each_chain=True,
)
def is_open(look: Look) -> Iterator[Found]:
    """Ask each contract whether it is paused."""
    facts = look.facts
    asked = {
        "MessageTransmitter": facts.message_transmitter,
        "TokenMinter": facts.token_minter,
        "USDC": facts.usdc,
    }
    answers = look.chain.multicall([contracts.paused(address) for address in asked.values()]).results
    paused = [
        name for name, answer in zip(asked, answers, strict=True) if contracts.decode_bool(answer or b"")
    ]
    for name in paused:
        yield failure(f"{name} is paused")
    if not paused:
        yield ok("nothing is paused")


@check(
    "CCTP burn limit",
    reads="how much USDC one message may burn, against `usdc_maximum`.",
    advice="Set `usdc_maximum` to no more than the limit.",
    each_chain=True,
)
def burn_limit(look: Look) -> Iterator[Found]:
    """Compare the limit with the largest transfer."""
    asked = contracts.burn_limit(look.facts.token_minter, look.facts.usdc)
    limit = from_base_units(contracts.decode_uint(look.chain.call(asked)), USDC_DECIMALS)
    maximum = look.settings.asset(USDC).maximum
    text = f"one transfer takes {plain(limit)} USDC at most"
    if limit == 0:
        yield failure("USDC cannot be burnt here", "Wait until Circle supports it again.")
    elif limit < look.settings.asset(USDC).minimum:
        yield failure(f"{text}, less than the smallest transfer", "Lower `usdc_minimum`.")
    elif maximum is not None and limit < maximum:
        yield warning(f"{text}; the setting is {plain(maximum)}")
    else:
        yield ok(text)


@check(
    "Circle's lists",
    reads="whether USDC has blacklisted, or the TokenMessenger denylisted, the wallet.",
    advice="Ask Circle. Nothing can be bridged from or to this wallet.",
    each_chain=True,
)
def lists(look: Look) -> Iterator[Found]:
    """Ask USDC and the messenger about the wallet."""
    wallet, facts = look.wallet, look.facts
    answers = look.chain.multicall(
        [contracts.is_blacklisted(facts.usdc, wallet), contracts.is_denylisted(facts.token_messenger, wallet)]
    ).results
    blacklisted, denylisted = (contracts.decode_bool(answer or b"") for answer in answers)
    if blacklisted:
        yield failure(f"USDC has blacklisted {wallet}")
    if denylisted:
        yield failure(f"the TokenMessenger has denylisted {wallet}")
    if not (blacklisted or denylisted):
        yield ok("the wallet is on none of them")


@check(
    "USDC allowance",
    reads="how much USDC the TokenMessenger may take from the wallet. None is well, as the first transfer "
    "grants it.",
    advice="Nothing needs to be done: the next transfer grants it.",
    each_chain=True,
)
def allowance(look: Look) -> Iterator[Found]:
    """Read the allowance."""
    facts = look.facts
    asked = erc20.allowance(facts.usdc, look.wallet, facts.token_messenger)
    granted = erc20.decode_uint(look.chain.call(asked))
    if granted > PLENTY:
        yield ok("granted without a limit")
    elif granted:
        yield ok(f"{plain(from_base_units(granted, USDC_DECIMALS))} USDC; a larger transfer renews it")
    else:
        yield ok("none yet: the first transfer from here grants it")


@check(
    "CCTP fee",
    reads="Circle's fee for transfers from each chain to the other, at `usdc_speed`.",
    advice="Nothing needs to be done: without a fee, a fast transfer becomes a standard one.",
    each_chain=True,
)
def fee(look: Look) -> Iterator[Found]:
    """Ask what a transfer from here costs."""
    here, there = look.facts, look.facts_of(look.other)
    wanted = look.settings.usdc_speed
    rates = look.attestations.fees(here.cctp_domain, there.cctp_domain)
    for speed, threshold in {"fast": FAST, "standard": STANDARD}.items():
        if wanted not in (speed, "auto"):
            continue
        fees = [rate.basis_points for rate in rates if rate.finality_threshold == threshold]
        if fees:
            yield ok(f"a {speed} transfer to {there.name} costs {plain(max(fees))} bps")
        else:
            yield warning(f"Circle names no fee for {speed} transfers to {there.name}")


@check(
    "fast allowance",
    reads="how much USDC may leave by fast transfer now, over all users, against `usdc_maximum`.",
    advice="Transfers work all the same, but take 15 to 35 minutes.",
)
def fast_allowance(look: Look) -> Iterator[Found]:
    """Ask how much may still leave fast."""
    if look.settings.usdc_speed == "standard":
        yield ok("not needed: `usdc_speed` is standard")
        return
    left, usdc = look.attestations.fast_allowance(), look.settings.asset(USDC)
    wanted = usdc.minimum if usdc.maximum is None else usdc.maximum
    text = f"{plain(left)} USDC may leave by fast transfer now"
    yield ok(text) if left >= wanted else warning(text)


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def _shown(answer: bytes | None) -> str:
    """Show a word as the number or the address it is."""
    if answer is None or len(answer) != 32:
        return "no answer"
    number = int.from_bytes(answer, "big")
    if number < 2**32:
        return str(number)
    return contracts.decode_address(answer) if number < 2**160 else f"0x{answer.hex()}"


CHECKS: tuple[Check, ...] = (wiring, is_open, burn_limit, lists, allowance, fee, fast_allowance)
