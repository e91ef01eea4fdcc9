"""The DAG files where there are several books: a set of DAGs for each, and a wrong one harms no other."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.definitions.context import _AIRFLOW_PARSING_CONTEXT_DAG_ID
from airflow.sdk.exceptions import AirflowFailException
from airflow.serialization.serialized_objects import DagSerialization

from ballast.operators import LegOperator
from include.settings import Names, sources
from tests.support.airflow_home import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAGS = ROOT / "dags"
MAIN = DAGS / "rebalancing.py"
TOKEN, OTHER_TOKEN = "0x" + "11" * 20, "0x" + "22" * 20
FUND = f"""
rebalancing_check_interval = "45s"
alert_run_deadline = "2h"
usdc_approval_above = 100
[token_addresses]
AAPL = "{TOKEN}"
"""
OTHER = f"""
[token_addresses]
TSLA = "{OTHER_TOKEN}"
"""
BROKEN = "rebalancing_target_ratio = 2"


class Desk:
    """A folder with settings, and the DAG files as Airflow reads them there."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._patch = patch
        (folder / "books").mkdir()
        for name in [name for name in os.environ if name.startswith("BALLAST_")]:
            patch.delenv(name)
        patch.setattr(sources, "DEFAULT_FILE", folder / "settings.toml")

    def book(self, name: str, text: str = "") -> Desk:
        (self.folder / "books" / f"{name}.toml").write_text(text, encoding="utf-8")
        return self

    def nameless(self, text: str = "") -> Desk:
        (self.folder / "settings.toml").write_text(text, encoding="utf-8")
        return self

    def read(self, file: Path = MAIN, *, for_task_of: str | None = None) -> DagBag:
        """Read a DAG file: as the DAG processor does, or as the process of a task."""
        with self._patch.context() as patch:
            if for_task_of is not None:  # as Airflow does it, which does not take it back
                patch.setenv(_AIRFLOW_PARSING_CONTEXT_DAG_ID, for_task_of)
            return DagBag(str(file))

    def dags(self, file: Path = MAIN, *, for_task_of: str | None = None) -> dict[str, Any]:
        bag = self.read(file, for_task_of=for_task_of)
        assert bag.import_errors == {}
        return dict(bag.dags)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with pytest.MonkeyPatch.context() as patch:
        yield Desk(tmp_path, patch)


@pytest.fixture
def three(desk: Desk) -> Desk:
    """The nameless book and two others."""
    return desk.nameless().book("fund", FUND).book("other", OTHER)


@pytest.mark.parametrize(
    ("file", "suffix"),
    [
        ("rebalancing", ""),
        ("rebalancing_operations", "_operations"),
        ("rebalancing_doctor", "_doctor"),
        ("rebalancing_alerts", "_alerts"),
    ],
)
def test_dags__of_several_books__are_one_of_each_kind_for_each(three: Desk, file: str, suffix: str) -> None:
    found = three.dags(DAGS / f"{file}.py")

    assert set(found) == {f"rebalancing{suffix}", f"rebalancing_fund{suffix}", f"rebalancing_other{suffix}"}
    assert {dag_id: dag.tags for dag_id, dag in found.items()} == {
        f"rebalancing{suffix}": {"ballast"},
        f"rebalancing_fund{suffix}": {"ballast", "fund"},
        f"rebalancing_other{suffix}": {"ballast", "other"},
    }
    assert all(Names("fund").belongs(dag_id) is ("_fund" in dag_id) for dag_id in found)
    assert {dag.fileloc for dag in found.values()} == {str(DAGS / f"{file}.py")}


def test_dag__of_a_book__has_its_own_settings_and_pools(three: Desk) -> None:
    dags = three.dags()

    fund, other = dags["rebalancing_fund"], dags["rebalancing_other"]

    assert (fund.schedule.total_seconds(), other.schedule.total_seconds()) == (45, 60)
    assert fund.params.get_param("asset").resolve("AAPL") == "AAPL"
    with pytest.raises(Exception, match="AAPL"):
        other.params.get_param("asset").resolve("AAPL")
    for dag_id, dag in dags.items():
        pools = {task.pool for task in dag.tasks if task.task_id == "check"}
        assert pools == {f"{dag_id}_check"}
        legs = [task for task in dag.tasks if isinstance(task, LegOperator)]
        assert {task.pool for task in legs} == {f"{dag_id}_operations"}
    assert {dag_id for dag_id, dag in dags.items() if any("approve" in one for one in dag.task_ids)} == {
        "rebalancing_fund"
    }


def test_tasks__of_a_book__are_told_which_and_no_other_is_named(three: Desk) -> None:
    for book in ("", "fund", "other"):
        names = Names(book)
        dag = three.dags()[names.dag]
        assert dag.get_task("check").op_kwargs == {"book": book}
        for task in dag.tasks:
            if task.task_id.startswith("claim_"):
                assert task.op_args[0] == book
            elif isinstance(task, LegOperator) or task.task_id.endswith(".approve"):
                assert task.book == book
        stored = json.dumps(DagSerialization.to_dict(dag), default=str)
        for another in {"fund", "other"} - {book}:
            assert f"rebalancing_{another}" not in stored
            assert f"AIRFLOW_{another}" not in stored


def test_tasks__of_the_other_dags__are_told_which(three: Desk) -> None:
    for file, task_id in (("operations", "intervene"), ("doctor", "doctor"), ("alerts", "watch")):
        dags = three.dags(DAGS / f"rebalancing_{file}.py")
        for book in ("", "fund", "other"):
            dag = dags[f"{Names(book).dag}_{file}"]
            assert list(dag.get_task(task_id).op_args) == [book]


def test_doc__of_a_book__has_its_names(three: Desk) -> None:
    doc = three.dags()["rebalancing_fund"].doc_md

    assert "`rebalancing_fund_switch`" in doc
    assert "`rebalancing_fund_in_progress_<asset>`" in doc
    assert "`rebalancing_switch`" not in doc
    assert (
        "`rebalancing_fund`" in three.dags(DAGS / "rebalancing_alerts.py")["rebalancing_fund_alerts"].doc_md
    )


def test_deadline__of_a_book__tells_its_name(three: Desk) -> None:
    [alert] = three.dags()["rebalancing_fund"].deadline

    assert alert.callback.kwargs == {"book": "fund"}


def test_reaction__of_two_books__watches_each_apart(desk: Desk) -> None:
    for number, name in enumerate(("fund", "other")):
        live = (
            f'rebalancing_enabled = true\nrebalancing_reaction = true\nwallet = "0x{number + 1:040x}"\n'
            f'redemption_wallet = "0x{number + 7:040x}"\nbase_rpc_url = "http://base.test"\n'
            'ethereum_rpc_url = "http://ethereum.test"\n'
        )
        desk.book(name, live + OTHER)

    for name, dag in ((name, desk.dags()[f"rebalancing_{name}"]) for name in ("fund", "other")):
        [watched] = dag.timetable.asset_condition.watchers
        assert dag.timetable.asset_condition.name == watched.name == f"rebalancing_{name}_out_of_band"
        assert watched.trigger.serialize()[1]["book"] == name


@pytest.mark.parametrize("book", ["", "fund", "other"])
def test_reading__in_the_process_of_a_task__makes_its_dag_alone(three: Desk, book: str) -> None:
    names = Names(book)

    assert list(three.dags(for_task_of=names.dag)) == [names.dag]
    alerts = three.dags(DAGS / "rebalancing_alerts.py", for_task_of=names.alerts_dag)
    assert list(alerts) == [names.alerts_dag]


def test_reading__in_the_process_of_a_task__does_not_judge_the_settings_of_others(three: Desk) -> None:
    three.book("broken", BROKEN)

    assert list(three.dags(for_task_of="rebalancing_fund")) == ["rebalancing_fund"]


class TestABrokenBook:
    def test_dags__one_of_several_is_wrong__the_others_are_there_and_it_says_why(self, three: Desk) -> None:
        found = three.book("broken", BROKEN).dags()

        assert set(found) == {"rebalancing", "rebalancing_fund", "rebalancing_other", "rebalancing_broken"}
        broken = found["rebalancing_broken"]
        assert broken.tags == {"ballast", "broken"}
        assert broken.schedule is None
        assert "books/broken.toml: rebalancing_target_ratio" in broken.doc_md
        assert broken.fileloc == str(MAIN)
        DagSerialization.to_dict(broken)

    def test_task__of_its_dag__fails_with_what_is_wrong_and_is_not_tried_again(self, three: Desk) -> None:
        three.book("broken", BROKEN)
        [task] = three.dags(for_task_of="rebalancing_broken")["rebalancing_broken"].tasks

        assert (task.task_id, task.retries, task.pool) == ("settings", 0, "default_pool")
        with pytest.raises(AirflowFailException, match="rebalancing_target_ratio"):
            task.python_callable(*task.op_args)

    def test_dags__the_nameless_one_is_wrong__the_others_are_there(self, three: Desk) -> None:
        found = three.nameless(BROKEN).dags()

        assert found["rebalancing"].tags == {"ballast", "broken"}
        assert found["rebalancing_fund"].get_task("check")

    def test_dags__two_share_a_wallet__both_are_broken_and_the_third_works(self, desk: Desk) -> None:
        wallet = f'wallet = "{TOKEN}"'
        found = desk.book("a", wallet).book("b", wallet).book("c").dags()

        broken = {dag_id for dag_id, dag in found.items() if "broken" in dag.tags}
        assert broken == {"rebalancing_a", "rebalancing_b"}
        for name in ("a", "b"):
            assert "wallet: is the same in the books a and b" in found[f"rebalancing_{name}"].doc_md

    @pytest.mark.parametrize("file", ["operations", "doctor", "alerts"])
    def test_dags__that_help_with_it__are_there(self, three: Desk, file: str) -> None:
        found = three.book("broken", BROKEN).dags(DAGS / f"rebalancing_{file}.py")

        assert f"rebalancing_broken_{file}" in found

    @pytest.mark.parametrize("name", ["", "broken"])
    def test_reading__the_only_book_is_wrong__is_an_import_error_that_names_it(
        self, desk: Desk, name: str
    ) -> None:
        bag = (desk.book(name, BROKEN) if name else desk.nameless(BROKEN)).read()

        assert dict(bag.dags) == {}
        [error] = bag.import_errors.values()
        assert "rebalancing_target_ratio" in error

    def test_dags__a_file_is_called_what_no_book_can_be__says_so(self, three: Desk) -> None:
        found = three.book("Fund-A").book("operations").dags()

        assert {dag_id for dag_id, dag in found.items() if "broken" in dag.tags} == {
            "rebalancing__Fund-A",
            "rebalancing__operations",
        }
        doc = found["rebalancing__Fund-A"].doc_md
        assert "books/Fund-A.toml: is no book" in doc
        assert "small letters and digits" in doc
        assert list(three.dags(for_task_of="rebalancing__operations")) == ["rebalancing__operations"]

    def test_dags__of_a_misnamed_file_alone__leave_the_nameless_book_as_it_is(self, desk: Desk) -> None:
        found = desk.book("Fund-A").dags()

        assert set(found) == {"rebalancing", "rebalancing__Fund-A"}
