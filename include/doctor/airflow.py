"""The checks that only the Airflow side can make; `plugins/ballast/doctor.py` makes them."""

from __future__ import annotations

from include.doctor.check import About
from include.settings.names import Names

DATABASE = About(
    "Airflow",
    "whether Airflow's own database can be read. A task does not need to.",
    "Set AIRFLOW_HOME, and what else Airflow's processes have in their environment, as they have it. For the "
    "Airflow that `make up` started: `make doctor ARGS=--local`.",
)
SETTINGS = About(
    "settings",
    "`settings.toml`, or the book's own file, and the `BALLAST_` variables: whether they are valid and "
    "complete, and nothing of them is also another book's.",
    "Correct the setting; docs/settings.md explains each.",
)
CONNECTION = About(
    "Connection",
    "each Airflow Connection that the settings name: whether it is there and complete.",
    "Fill it in, in Airflow's connection form or as `AIRFLOW_CONN_<ID>`; README.md says what each holds.",
)
SWITCH = About(
    "switch",
    f"the Airflow Variable `{Names().switch}`, or that of the book.",
    "Set it to `run`, `drain` or `halt`.",
)
HOLD = About(
    "hold list",
    f"the Airflow Variable `{Names().hold}`, or that of the book: which assets people hold back.",
    "Correct it: symbols between commas; empty or missing holds nothing.",
)
POOL = About(
    "pool",
    "the two pools of the book: whether they are there, have slots, and count deferred tasks. From a task "
    "they cannot be seen; `make doctor` reads Airflow's database.",
    "Run `python -m scripts.airflow_setup`, which makes the pools.",
)

ABOUT_AIRFLOW: tuple[About, ...] = (DATABASE, POOL, SETTINGS, SWITCH, HOLD, CONNECTION)
