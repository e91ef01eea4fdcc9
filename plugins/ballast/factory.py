"""One set of DAGs for each book, and for a book whose settings are wrong a DAG that says what is wrong.

Airflow drops all DAGs of a file that raises, so one book that is wrong must not make a file raise that has
the DAGs of others too.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from airflow.sdk import DAG, get_parsing_context, task
from airflow.sdk.exceptions import AirflowFailException

from include.settings.loading import SettingsError, books, load_settings, misnamed
from include.settings.names import MAY_BE, Names, misnamed_dag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow.sdk import Param

    from include.settings import Settings

_DOC: Final = """\
### Nothing runs here before this is put right.

{problems}

What is open in the ledger stays as it is, and goes on with the next run after that. Other books go on.
"""


def wanted(dag_of: Callable[[Names], str]) -> Iterator[Names]:
    """Yield the books whose DAG this process has to make: all, or in a task's process that of the task.

    :param dag_of: which of a book's DAGs it is.
    """
    asked = get_parsing_context().dag_id
    for names in map(Names, books()):
        if asked in (None, dag_of(names)):
            yield names


def tags(names: Names) -> list[str]:
    """Return the tags of a book's DAGs: the product's, and the book's name where it has one."""
    return ["ballast", names.book] if names.book else ["ballast"]


def form(params: dict[str, Param], *, read_by: str) -> dict[str, Param]:
    """Return the fields of a DAG's form; nothing in the process of a task that does not read them.

    Airflow checks each field's schema whenever the DAG is made, and copies all fields for each of its tasks:
    two thirds of what a task's process would otherwise spend on its DAG.

    :param read_by: the id of the one task that reads them.
    """
    return params if get_parsing_context().task_id in (None, read_by) else {}


def make(rebalancing: Callable[[Settings], None], file: str) -> None:
    """Make the DAG that rebalances, of each book.

    :param rebalancing: makes it from the settings of a book.
    :param file: where it stands.
    :raises SettingsError: those of the only book are wrong. Airflow shows it as what keeps the file from it.
    """
    alone = len(books()) == 1
    for names in wanted(lambda one: one.dag):
        try:
            settings = load_settings(book=names.book)
        except SettingsError as error:
            if alone:
                raise
            _broken(names.dag, error.problems, file)
        else:
            rebalancing(settings)
    for stray in misnamed():
        dag_id = misnamed_dag(stray.stem)
        if get_parsing_context().dag_id in (None, dag_id):
            problem = f"{stray.parent.name}/{stray.name}: is no book: a book's name is {MAY_BE}"
            _broken(dag_id, [problem], file)


def _broken(dag_id: str, problems: Sequence[str], file: str) -> None:
    """Make a DAG that moves nothing, and whose one task fails with what is wrong.

    :param file: that Airflow shows as its source.
    """
    with DAG(
        dag_id=dag_id,
        description="Its settings are wrong, so nothing runs",
        schedule=None,
        start_date=datetime(2025, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        default_args={"retries": 0},
        tags=["ballast", "broken"],
        doc_md=_DOC.format(problems="\n".join(f"- {problem}" for problem in problems)),
    ) as dag:
        task(task_id="settings")(_fail)(list(problems))
    dag.fileloc = file


def _fail(problems: list[str]) -> None:
    """Fail, saying what is wrong.

    :raises AirflowFailException: always.
    """
    raise AirflowFailException("the settings are wrong: " + "; ".join(problems))
