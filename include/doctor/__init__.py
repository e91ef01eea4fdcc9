"""Would the first real operation go through? Everything that it needs is looked at, and nothing is changed.

One thing may come to be by looking: Alpaca makes the deposit address of an account when it is first asked.
"""

from __future__ import annotations

from include.doctor import alpaca, cctp, chains, ledger, limits, vaults
from include.doctor.airflow import ABOUT_AIRFLOW
from include.doctor.check import About, Check, Subject
from include.doctor.check import examine as _examine
from include.doctor.report import Finding, Level

__all__ = ["ABOUT_AIRFLOW", "CHECKS", "About", "Check", "Finding", "Level", "Subject", "examine"]

CHECKS: tuple[Check, ...] = (
    *chains.CHECKS,
    *vaults.CHECKS,
    *cctp.CHECKS,
    *alpaca.CHECKS,
    *limits.CHECKS,
    *ledger.CHECKS,
)


def examine(subject: Subject) -> list[Finding]:
    """Look at everything that needs no Airflow, several things at a time. Nothing is raised."""
    return _examine(subject, CHECKS)
