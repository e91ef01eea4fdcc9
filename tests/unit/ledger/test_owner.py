"""A ledger is one wallet's: it refuses another, until it was let go with nothing open."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from include.domain.operation import OperationKind
from include.ledger import owner as owners
from include.ledger.__main__ import main
from include.ledger.owner import NotTheOwner, Owner, owner_of, release, require_owner
from tests.support.plans import recorded_check

if TYPE_CHECKING:
    from include.ledger.ledger import Ledger
    from tests.support.clock import Clock

OURS = Owner("0x" + "Ab" * 20, "mainnet", "default")
THEIRS = Owner("0x" + "cd" * 20, "mainnet", "fund")


def opened(ledger: Ledger, clock: Clock) -> str:
    operation = ledger.claim(
        kind=OperationKind.MINT,
        asset="AAPL",
        amount=1,
        decimals=9,
        check_id=recorded_check(ledger, clock()),
        run_id="run",
        taken_at=clock(),
    )
    return operation.id


def test_owner__of_a_new_ledger__is_nobody(ledger: Ledger) -> None:
    assert owner_of(ledger.engine) is None


def test_require__who_only_looks__leaves_it_nobodys(ledger: Ledger) -> None:
    require_owner(ledger.engine, OURS, now=None)

    assert owner_of(ledger.engine) is None


def test_require__who_moves_money_first__has_it(ledger: Ledger, clock: Clock) -> None:
    require_owner(ledger.engine, OURS, now=clock())
    require_owner(ledger.engine, OURS, now=clock())

    assert owner_of(ledger.engine) == OURS


@pytest.mark.parametrize("moves", [True, False])
@pytest.mark.parametrize("other", [THEIRS, replace(OURS, profile="testnet")])
def test_require__another_wallet_or_chain__is_refused_and_both_are_named(
    ledger: Ledger, clock: Clock, other: Owner, moves: bool
) -> None:
    require_owner(ledger.engine, OURS, now=clock())

    with pytest.raises(NotTheOwner) as refused:
        require_owner(ledger.engine, other, now=clock() if moves else None)

    assert str(OURS) in str(refused.value)
    assert str(other) in str(refused.value)
    assert owner_of(ledger.engine) == OURS


@pytest.mark.parametrize("same", [replace(OURS, book="fund"), replace(OURS, wallet=OURS.wallet.lower())])
def test_require__the_same_wallet_in_other_words__passes(ledger: Ledger, clock: Clock, same: Owner) -> None:
    require_owner(ledger.engine, OURS, now=clock())

    require_owner(ledger.engine, same, now=clock())

    assert owner_of(ledger.engine) == OURS


def test_require__another_process_was_first__is_refused_as_later(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_owner(ledger.engine, OURS, now=clock())
    answers = iter([None, OURS])
    monkeypatch.setattr(owners, "owner_of", lambda _: next(answers))

    with pytest.raises(NotTheOwner):
        require_owner(ledger.engine, THEIRS, now=clock())

    assert list(answers) == []


def test_release__nothing_open__is_the_next_ones(ledger: Ledger, clock: Clock) -> None:
    require_owner(ledger.engine, OURS, now=clock())
    operation = opened(ledger, clock)
    with ledger.lease(operation, "test", timedelta(minutes=1)) as lease:
        lease.cancel("closed")

    release(ledger.engine)
    require_owner(ledger.engine, THEIRS, now=clock())

    assert owner_of(ledger.engine) == THEIRS


def test_release__an_operation_is_open__is_refused(ledger: Ledger, clock: Clock) -> None:
    require_owner(ledger.engine, OURS, now=clock())
    opened(ledger, clock)

    with pytest.raises(NotTheOwner, match="1 operations are open"):
        release(ledger.engine)

    assert owner_of(ledger.engine) == OURS


def test_main__release__lets_it_go_or_says_why_not(
    ledger: Ledger, ledger_url: str, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    require_owner(ledger.engine, OURS, now=clock())
    assert main(["release", ledger_url]) == 0
    assert owner_of(ledger.engine) is None
    assert "nobody's" in capsys.readouterr().out

    require_owner(ledger.engine, OURS, now=clock())
    opened(ledger, clock)
    assert main(["release", ledger_url]) == 1
    assert "refused: 1 operations are open" in capsys.readouterr().err
