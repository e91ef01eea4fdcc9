"""What the DAGs, pools and Variables of a book are called. Nothing else spells these names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_STEM: Final = "rebalancing"
_RESERVED: Final = frozenset(
    {"check", "operations", "doctor", "alerts", "switch", "hold", "in", "out", "alert", "default"}
)
"""No name begins with one of these and an underscore, so none of one book is taken for one of another."""
_NAME: Final = re.compile(r"[a-z][a-z0-9]{0,23}")
NAMELESS: Final = "default"
"""What the book without a name is called where something has to stand."""
MAY_BE: Final = "1 to 24 small letters and digits, a letter first, and none of the words " + ", ".join(
    sorted(_RESERVED)
)


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one book: `rebalancing` or `rebalancing_<book>`, and what is added to that.

    :param book: its own name; empty for the one without a name.
    :raises ValueError: saying what a name may be.
    """

    book: str = ""

    def __post_init__(self) -> None:
        if self.book and not is_name(self.book):
            msg = f"{self.book!r} is no name of a book: a name is {MAY_BE}"
            raise ValueError(msg)

    @property
    def label(self) -> str:
        """What people read: its name, or `default`."""
        return self.book or NAMELESS

    @property
    def dag(self) -> str:
        """The DAG that rebalances it."""
        return f"{_STEM}_{self.book}" if self.book else _STEM

    @property
    def operations_dag(self) -> str:
        """The DAG for what a person does with open operations."""
        return f"{self.dag}_operations"

    @property
    def doctor_dag(self) -> str:
        """The DAG that looks whether everything is there."""
        return f"{self.dag}_doctor"

    @property
    def alerts_dag(self) -> str:
        """The DAG that tells people."""
        return f"{self.dag}_alerts"

    @property
    def check_pool(self) -> str:
        """The pool of its checks."""
        return f"{self.dag}_check"

    @property
    def operations_pool(self) -> str:
        """The pool of its legs."""
        return f"{self.dag}_operations"

    @property
    def switch(self) -> str:
        """The Variable that says run, drain or halt."""
        return f"{self.dag}_switch"

    @property
    def hold(self) -> str:
        """The Variable with the assets that are held back."""
        return f"{self.dag}_hold"

    @property
    def in_progress_prefix(self) -> str:
        """What the Variables of its open operations begin with."""
        return f"{self.dag}_in_progress_"

    def in_progress(self, asset: str) -> str:
        """Return the Variable that shows the open operation of an asset."""
        return f"{self.in_progress_prefix}{asset}"

    @property
    def alert_ledger(self) -> str:
        """The Variable that remembers what was told while the ledger could not."""
        return f"{self.dag}_alert_ledger"

    @property
    def out_of_band(self) -> str:
        """The asset, in Airflow's sense, that stands for an asset of the book that has left its band."""
        return f"{self.dag}_out_of_band"

    def belongs(self, dag_id: str) -> bool:
        """Tell whether a DAG is one of this book."""
        return dag_id in (self.dag, self.operations_dag, self.doctor_dag, self.alerts_dag)


def is_name(text: str) -> bool:
    """Tell whether a book may be called so."""
    return _NAME.fullmatch(text) is not None and text not in _RESERVED


def misnamed_dag(text: str) -> str:
    """Return the DAG that says that something can be no book's name. No book has one that is called so."""
    return f"{_STEM}__{re.sub(r'[^A-Za-z0-9_.-]', '_', text)}"
