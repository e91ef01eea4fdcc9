"""What one process does in a case: check, claim and push one kind of operation, as a run of Airflow would."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from include.book import Book, Venues
from include.check import Run, Switch, check
from include.claim import claim
from include.domain.operation import Leg, OperationKind
from include.ledger.database import open_engine
from include.ledger.lease import EffectMoved, LeaseLost
from include.ledger.ledger import LeaseHeld, Ledger, utc_now
from include.legs.leg import Closed, Done, Wait, advance
from include.legs.registry import STEPS
from include.settings import load_settings
from include.venues.alpaca.auth import KeyPairAuth
from include.venues.alpaca.client import AlpacaBroker
from include.venues.cctp.attestation import AttestationService
from include.venues.errors import VenueError
from include.venues.evm.chain import Chain
from include.venues.evm.signer import LocalSigner
from tests.chaos import mutants
from tests.chaos.boundaries import Recorder, TappedHttp, TappedNode
from tests.chaos.person import decide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

PATIENCE_SECONDS = 25.0
POLL_SECONDS = 0.01


class Stuck(RuntimeError):
    """The operation waits for something that does not come."""


@dataclass(frozen=True)
class Job:
    """A case's process.

    :param target: the boundary at which it ends, or stops; None to run to the end.
    :param pause: stop at the target as a sleeping machine does, instead of dying.
    :param late: how far its clock is ahead: past the lease of a process that died.
    :param mutant: the name of a fault put into the code, to see whether the matrix notices.
    :param alone: whether all other runs are dead; otherwise it pushes beside them whatever is open.
    :param helped: whether a person does at once what the operation asks for.
    """

    environment: dict[str, str]
    urls: dict[str, str]
    credentials: dict[str, str]
    ledger: str
    kind: str
    run_id: str
    target: int | str | None = None
    pause: bool = False
    late: float = 0.0
    mutant: str | None = None
    alone: bool = True
    helped: bool = True


@dataclass
class Report:
    """What a process says when it reaches its end."""

    trace: list[str] = field(default_factory=list)
    error: str = ""
    person: list[str] = field(default_factory=list)


def work(job: Job, pipe: Connection) -> None:
    """Run a job, and send a report; a job that is killed sends none."""
    logging.disable(logging.WARNING)  # adopting, being overdue: that is what is played here
    report = Report()
    recorder = Recorder(job.target)
    if job.pause:
        recorder.act = lambda: os.kill(os.getpid(), signal.SIGSTOP)
    try:
        with mutants.applied(job.mutant), recorder.commits(), _opened(job, recorder) as book:
            _run(job, book, recorder, report)
    except Exception as error:
        report.error = f"{type(error).__name__}: {error}"
    report.trace = recorder.trace
    pipe.send(report)
    pipe.close()
    sys.stdout.flush()
    os._exit(0)


@contextmanager
def _opened(job: Job, recorder: Recorder) -> Iterator[Book]:
    def now() -> object:
        return utc_now() + timedelta(seconds=job.late)

    clock: Callable[[], object] = now
    settings = load_settings(environ=job.environment)
    chains = settings.chains
    with ExitStack() as stack:
        alpaca = AlpacaBroker(
            job.urls["alpaca"],
            job.credentials["account"],
            KeyPairAuth(job.credentials["key"], job.credentials["secret"]),
            transport=TappedHttp(recorder),
        )
        attestations = AttestationService(
            job.urls["attestation"], transport=TappedHttp(recorder), now=time.monotonic
        )
        nodes = {
            name: Chain(
                job.urls[name],
                chain_id=facts.chain_id,
                name=facts.name,
                provider=TappedNode(job.urls[name], recorder, name),
            )
            for name, facts in (("ethereum", chains.ethereum), ("base", chains.base))
        }
        venues = Venues(
            settings=settings,
            alpaca=alpaca,
            ethereum=nodes["ethereum"],
            base=nodes["base"],
            attestations=attestations,
            now=clock,  # type: ignore[arg-type]  # a clock that is ahead
        )
        stack.callback(venues.close)
        ledger = Ledger(open_engine(job.ledger), now=clock)  # type: ignore[arg-type]  # as above
        stack.callback(ledger.close)
        yield Book(venues, ledger, LocalSigner(job.credentials["wallet"]))


def _run(job: Job, book: Book, recorder: Recorder, report: Report) -> None:
    kind = OperationKind(job.kind)
    with recorder.at("check"):
        checked = check(book.venues, book.ledger, Run(job.run_id), Switch.RUN)
    with recorder.at("claim"):
        assignments = claim(
            book.ledger,
            book.settings,
            kind,
            check_id=checked.id,
            run_id=job.run_id,
            switch=Switch.RUN,
            is_running=lambda _run: not job.alone,
            now=book.venues.now(),
        )
    ids = [one.operation_id for one in assignments]
    if not job.alone:
        # Beside another process: push the same operations, whoever's they are.
        ids = [operation.id for operation in book.ledger.operations(only_open=True)]
    for operation_id in ids:
        for leg in [state.name for state in book.ledger.legs(operation_id)]:
            if not _push(job, book, operation_id, leg, recorder, report):
                break


def _push(job: Job, book: Book, operation_id: str, leg: Leg, recorder: Recorder, report: Report) -> bool:
    """Push a leg to its end, and tell whether the next one may begin."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with recorder.at(leg.value):
                outcome = advance(book, operation_id, STEPS[leg], "chaos")
        except (LeaseLost, LeaseHeld, EffectMoved):
            time.sleep(POLL_SECONDS)  # somebody else goes on with it
            continue
        if isinstance(outcome, Done):
            return True
        if isinstance(outcome, Closed):
            return False
        if outcome.attention is not None and job.helped:
            report.person.append(decide(book, operation_id, outcome))
        else:
            _wait(book, outcome, end)
        if time.monotonic() > end:
            raise Stuck(f"{leg}: {outcome.reason}")


def _wait(book: Book, wait: Wait, end: float) -> None:
    while time.monotonic() < end:
        try:
            if wait.condition.holds(book.venues):
                return
        except VenueError:
            pass
        if wait.wake_at is not None and book.venues.now() >= wait.wake_at:
            return
        time.sleep(POLL_SECONDS)
