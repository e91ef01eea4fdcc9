"""The checks that only the Airflow side can make; `plugins/ballast/doctor.py` makes them."""

from __future__ import annotations

from include.doctor.check import About

DATABASE = About(
    "Airflow",
    "whether Airflow's own database can be read. A task does not need to.",
    "Set AIRFLOW_HOME, and what else Airflow's processes have in their environment, as they have it. For the "
    "Airflow that `make up` started: `make doctor ARGS=--local`.",
)
SETTINGS = About(
    "settings",
    "`settings.toml` and the `BALLAST_` variables: whether they are valid and complete.",
    "Correct the setting; docs/settings.md explains each.",
)
CONNECTION = About(
    "Connection",
    "each Airflow Connection that the settings name: whether it is there and complete.",
    "Fill it in, in Airflow's connection form or as `AIRFLOW_CONN_<ID>`; README.md says what each holds.",
)
SWITCH = About(
    "switch",
    "the Airflow Variable `rebalancing_switch`.",
    "Set the Variable `rebalancing_switch` to `run`, `drain` or `halt`.",
)
HOLD = About(
    "hold list",
    "the Airflow Variable `rebalancing_hold`: which assets people hold back.",
    "Correct the Variable `rebalancing_hold`: symbols between commas; empty or missing holds nothing.",
)
POOL = About(
    "pool",
    "the two pools: whether they are there, have slots, and count deferred tasks. From a task they cannot be "
    "seen; `make doctor` reads Airflow's database.",
    "Run `python -m scripts.airflow_setup`, which makes the pools.",
)

ABOUT_AIRFLOW: tuple[About, ...] = (DATABASE, POOL, SETTINGS, SWITCH, HOLD, CONNECTION)
