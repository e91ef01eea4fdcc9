"""Two books on one real Airflow, each in a world of its own: both move their money, and never the other's."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from include.domain.decision import Reason
from include.domain.operation import OperationKind, OperationStatus
from include.ledger.ledger import Ledger, utc_now
from include.sandbox.accounts import Role
from include.sandbox.alpaca.faults import Fault
from include.sandbox.scenario import Holding, Scenario, Shift, Side
from include.sandbox.world import World
from include.settings import Names
from include.settings.sources import BOOKS_VARIABLE, PREFIX, variable
from scripts.local_ballast import LocalBallast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

FUND = Names("fund")
# Both begin alike. What one of them moves is less, by what its own file says.
SCENARIO = Scenario(
    stocks={"MSFT": Holding(offchain=Decimal(81), onchain=Decimal(19))},
    usdc=Holding(offchain=Decimal(1000), onchain=Decimal(9000)),
)
FUND_FILE = "equity_maximum = 20\nusdc_maximum = 3000\n"
# Looks are asked for, so that the machine is not kept busy with others.
SELDOM = "1m"
MINT, CROSSING = OperationKind.MINT, OperationKind.USDC_BASE_TO_ALPACA
CONNECTION = "AIRFLOW_CONN_"


@dataclass
class Account:
    """A book with its world and its ledger.

    :ivar shown: what its Variables of work in progress have said, whenever they were looked at.
    """

    names: Names
    world: World
    ledger: Ledger
    shown: set[str] = field(default_factory=set)

    @property
    def page(self) -> str:
        """Where its page is."""
        return f"/ballast/books/{self.names.book}" if self.names.book else "/ballast"

    @property
    def ids(self) -> set[str]:
        """Its operations."""
        return {operation.id for operation in self.ledger.operations()}

    def stuck(self) -> list[str]:
        """Return the mints that the broker does not go on with."""
        requests = self.world.broker.core.state.requests
        return [request.id for request in list(requests.values()) if request.fate is not None]

    def has_settled(self, number: int) -> bool:
        """Tell whether it has that many operations, and each of them is settled."""
        found = [operation.status for operation in self.ledger.operations()]
        return found == [OperationStatus.SETTLED] * number

    def newest_reason(self, asset: str) -> Reason | None:
        """Return what its newest check has said of an asset."""
        newest = self.ledger.snapshot_before(utc_now())
        decisions = [] if newest is None else self.ledger.decisions(newest.id)
        return next((decision.reason for decision in decisions if decision.asset == asset), None)


@dataclass
class Desk:
    """One Airflow with two books."""

    ballast: LocalBallast
    nameless: Account
    fund: Account

    @property
    def both(self) -> tuple[Account, Account]:
        """The books."""
        return self.nameless, self.fund

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Wait for something, with time for a machine that others use too."""
        self.ballast.airflow.wait_until(condition, what, timeout=240)

    def get(self, path: str, **params: str | int) -> Any:
        """Return what Airflow or the page answers."""
        with self.ballast.airflow.client() as client:
            # The first request of a server makes the page.
            return client.get(path, params=params, timeout=120).raise_for_status().json()

    def post(self, account: Account, path: str, body: dict[str, Any]) -> Any:
        """Do something as the page of a book does."""
        with self.ballast.airflow.client() as client:
            url = f"{account.page}/api/{path}"
            answer = client.post(url, json=body, headers={"X-Ballast": "1"}, timeout=120)
            assert answer.is_success, answer.text
            return answer.json()

    def look(self) -> None:
        """Ask for a check of each book."""
        for account in self.both:
            self.post(account, "check", {"dry_run": False})

    def in_progress(self) -> set[str]:
        """Return the Variables of work in progress, and keep what they say."""
        found = set()
        for entry in self.get("/api/v2/variables", limit=100)["variables"]:
            if "_in_progress_" in entry["key"]:
                [owner] = [one for one in self.both if entry["key"].startswith(one.names.in_progress_prefix)]
                owner.shown.add(entry["value"])
                found.add(entry["key"])
        return found

    def unfinished(self, account: Account) -> set[str]:
        """Return the runs of a book that are not over."""
        return {
            run["dag_run_id"]
            for run in self.ballast.runs(account.names.dag)
            if run["state"] in ("queued", "running")
        }

    def has_used(self, account: Account, pool: str) -> bool:
        """Tell whether a task of a book's DAG was done in a pool."""
        path = f"/api/v2/dags/{account.names.dag}/dagRuns/~/taskInstances"
        done: int = self.get(path, pool=pool, state="success", limit=1)["total_entries"]
        return done > 0


def environment_of_fund(world: World, ledger: Path, books: Path) -> dict[str, str]:
    """Return what a world wants in the environment, under the names of the book `fund`."""
    found = {
        BOOKS_VARIABLE: str(books),
        # The other world's service knows nothing of the chains of this one.
        variable("circle_conn_id", FUND.book): "circle_fund",
        f"{CONNECTION}REBALANCING_LEDGER_FUND": json.dumps({"conn_type": "sqlite", "host": str(ledger)}),
    }
    for name, value in world.settings_environment().items():
        if name.startswith(CONNECTION):
            found[f"{name}_FUND"] = value
        else:
            found[variable(name.removeprefix(PREFIX), FUND.book)] = value
    every = "rebalancing_check_interval"
    return found | {variable(every, names.book): SELDOM for names in (Names(), FUND)}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Two books whose mints were under way at the same moment, and in which all is settled since."""
    folder = tmp_path_factory.mktemp("two")
    books, file = folder / "books", folder / "fund.db"
    books.mkdir()
    (books / "fund.toml").write_text(FUND_FILE, encoding="utf-8")
    with (
        World(SCENARIO, maker=Role.OTHER_MAKER) as world,
        closing(Ledger.open(f"sqlite:///{file}")) as ledger,
        LocalBallast(
            folder / "home",
            lambda _text: None,
            scenario=SCENARIO,
            extra=environment_of_fund(world, file, books),
        ) as ballast,
    ):
        nameless = Account(Names(), ballast.world, ballast.ledger)
        desk = Desk(ballast, nameless, Account(FUND, world, ledger))
        settle_at_once(desk)
        yield desk


def settle_at_once(desk: Desk) -> None:
    """Let both books begin, and go on only when both are in the middle of moving the same stock."""
    for account in desk.both:
        account.world.broker.core.faults.arm(Fault(target=MINT.value, kind="stuck"))
    for account in desk.both:
        desk.ballast.unpause(account.names.dag)
    desk.look()
    shown = {account.names.in_progress("MSFT") for account in desk.both}
    desk.wait(lambda: shown <= desk.in_progress(), "both shown at once")
    desk.wait(lambda: all(account.stuck() for account in desk.both), "both with the broker")
    for account in desk.both:
        [request] = account.stuck()
        assert account.world.broker.core.release(request)
    desk.wait(lambda: not desk.in_progress() and all(one.has_settled(2) for one in desk.both), "all settled")


def test_two_books__out_of_balance_in_the_same_asset__each_moves_its_own_once(desk: Desk) -> None:
    for account, shares, dollars in ((desk.nameless, 31, 4000), (desk.fund, 20, 3000)):
        found = {one.kind: (one.asset, one.quantity) for one in account.ledger.operations()}
        assert found == {MINT: ("MSFT", Decimal(shares)), CROSSING: ("USDC", Decimal(dollars))}
        state = account.world.broker.core.state
        assert [request.qty for request in state.requests.values()] == [Decimal(shares)]
        assert [transfer.direction for transfer in state.transfers.values()] == ["INCOMING"]
        assert account.world.under_way() == {}
        assert account.world.conservation() == []


def test_two_books__on_one_airflow__share_no_pool_variable_or_page(desk: Desk) -> None:
    pools = {pool["name"] for pool in desk.get("/api/v2/pools")["pools"]} - {"default_pool"}
    listed = desk.get("/ballast/api/books")
    assert [(book["name"], book["href"]) for book in listed] == [("", "./"), ("fund", "books/fund/")]
    assert not desk.nameless.ids & desk.fund.ids
    for account in desk.both:
        names = account.names
        assert {pool for pool in pools if desk.has_used(account, pool)} == {
            names.check_pool,
            names.operations_pool,
        }
        assert {json.loads(text)["operation"] for text in account.shown} <= account.ids
        overview = desk.get(f"{account.page}/api/overview")
        assert (overview["book"], overview["dag"]) == (names.book, names.dag)
        operations = desk.get(f"{account.page}/api/operations")["operations"]
        assert {operation["id"] for operation in operations} == account.ids


def test_switch__of_one_book_at_drain__only_the_other_begins_an_operation(desk: Desk) -> None:
    turned = desk.post(desk.fund, "switch", {"to": "drain", "reason": "a test"})
    assert turned == {"switch": "drain", "was": "run"}
    before = desk.unfinished(desk.fund)  # which may have read the switch already
    desk.wait(lambda: not before & desk.unfinished(desk.fund), "all that began before over")

    for account in desk.both:
        account.world.shift(Shift("MSFT", Decimal(35), Side.ONCHAIN))
    desk.look()
    desk.wait(lambda: desk.nameless.has_settled(3), "the nameless book settled")
    desk.wait(
        lambda: desk.fund.newest_reason("MSFT") is Reason.SWITCH_NOT_AT_RUN, "the other looked, and left it"
    )

    assert len(desk.fund.ids) == 2
    assert desk.fund.world.under_way() == {}
    assert desk.nameless.ledger.operations()[-1].quantity == Decimal(35)
    switches = {one.names.book: desk.get(f"{one.page}/api/overview")["switch"] for one in desk.both}
    assert switches == {"": "run", "fund": "drain"}
    assert [account.world.conservation() for account in desk.both] == [[], []]
