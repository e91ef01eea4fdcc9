"""The task that asks a person whether an operation may begin, in Airflow's own way of asking people."""

# ruff: noqa: PLC0415 - what is heavy is imported where it is used: every task's process reads this file

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskAwaitingInput
from airflow.sdk.execution_time.hitl import upsert_hitl_detail

from ballast import progress
from ballast.hooks import open_ledger
from ballast.switch import read_switch
from include.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

    from include.approval import Answer, Stand
    from include.ledger.ledger import Ledger
    from include.settings import Settings

APPROVE, REJECT = "Approve", "Reject"
OPERATION, REASON = "operation", "reason"  # what Airflow's form hands back beside the choice
NO_REASON: Final = "no reason was given"
LONGEST_WAIT: Final = timedelta(minutes=10)
"""So often the task looks for itself, as the operation may have been closed by other means."""
SHORTEST_WAIT: Final = timedelta(seconds=1)
LEASE_PAUSE: Final = 1.0
"""Seconds between two attempts while somebody else works on the operation."""


class ApproveOperator(HITLOperator):
    """Asks a person about one operation, where its terms want that; its legs go on once it is approved.

    What decides is the ledger: an operation that needs nobody, is approved or is closed passes at once, so
    the task can be cleared and run again. The answer is written there under the person's name. Rejected, the
    operation is cancelled and the task skipped; with no answer in time it is cancelled and the task fails.

    :param book: whose operation it is; empty for the book without a name.
    :param operation: the JSON form of an `include.claim.Assignment`.
    """

    template_fields: Sequence[str] = ("operation",)
    ui_color = "#fbf3e0"

    def __init__(self, *, book: str, operation: Mapping[str, str], **kwargs: Any) -> None:
        # What is asked is only known when the task runs.
        super().__init__(subject="Approval", options=[APPROVE, REJECT], **kwargs)
        self.book = book
        self.operation = operation

    def execute(self, context: Context) -> dict[str, Any]:
        """Ask, where somebody has to be asked."""
        return self._go_on(context, self.operation["operation_id"], ask=True)

    def answered(self, context: Context, event: Mapping[str, Any], operation_id: str) -> dict[str, Any]:
        """Go on with what a person has said, or after a while without a word.

        :param event: the answer, in the form of Airflow's; with an `error` there is none.
        :param operation_id: what was asked about. The claim may have handed out something else since.
        """
        if "error" in event:
            return self._go_on(context, operation_id)
        return self._go_on(context, operation_id, self._read(event, operation_id), ask=True)

    def resume_execution(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context
    ) -> dict[str, Any]:
        """Go on, and ask anew where Airflow lost how."""
        if next_method == "answered" and next_kwargs is not None:
            return self.answered(context, **next_kwargs)
        self.log.error("what was answered is lost (%s), so it is asked again", next_kwargs)
        return self.execute(context)

    def _go_on(
        self, context: Context, operation_id: str, answer: Answer | None = None, *, ask: bool = False
    ) -> dict[str, Any]:
        """Write down how it stands, and wait for a person where that is needed.

        :param ask: whether a question has to be put, as there is none yet, or the one there is was answered.
        """
        from include.approval import Stand

        settings = load_settings(book=self.book)
        with open_ledger(settings) as ledger:
            stand = self._settle(ledger, settings, context, operation_id, answer)
            progress.show(settings.names, ledger, [self.operation["asset"]])
            if stand in (Stand.PENDING, Stand.EXPIRED) and ledger.operation(operation_id).status.is_open:
                self._wait_for_a_person(ledger, context, operation_id, ask=ask)
            outcome = ledger.operation(operation_id).outcome
        return self._end(stand, operation_id, outcome)

    def _settle(
        self,
        ledger: Ledger,
        settings: Settings,
        context: Context,
        operation_id: str,
        answer: Answer | None,
    ) -> Stand:
        """Write down how it stands, as soon as nobody else works on the operation."""
        from include.approval import settle
        from include.check import Switch
        from include.ledger.lease import LeaseLost
        from include.ledger.ledger import LeaseHeld, utc_now

        ti, lease = context["ti"], timedelta(seconds=settings.lease_seconds)
        end = time.monotonic() + 2 * lease.total_seconds()  # what a crash left behind is over by then
        while True:
            try:
                return settle(
                    ledger,
                    operation_id,
                    owner=f"{ti.dag_id}/{ti.run_id}/{ti.task_id}/{ti.map_index}/try{ti.try_number}",
                    lease=lease,
                    now=utc_now(),
                    answer=answer,
                    halted=read_switch(settings.names) is Switch.HALT,
                )
            except (LeaseHeld, LeaseLost):
                if time.monotonic() > end:
                    raise
                time.sleep(LEASE_PAUSE)

    def _wait_for_a_person(self, ledger: Ledger, context: Context, operation_id: str, *, ask: bool) -> None:
        """Put the question where there is none, and hold no worker until somebody answers."""
        from include.approval import question
        from include.ledger.ledger import utc_now

        asked = question(ledger, operation_id)
        if ask:
            self.subject, self.body = asked.subject, asked.body
            self.params = _form(operation_id)
            upsert_hitl_detail(
                ti_id=context["ti"].id,
                options=self.options,
                subject=self.subject,
                body=self.body,
                params=self.serialized_params,
            )
            self.log.info("%s waits for a person to approve it until %s", asked.subject, asked.until)
        raise TaskAwaitingInput(
            method_name="answered",
            kwargs={"operation_id": operation_id},
            timeout=min(max(asked.until - utc_now(), SHORTEST_WAIT), LONGEST_WAIT),
        )

    def _read(self, event: Mapping[str, Any], operation_id: str) -> Answer | None:
        """Return what a person has said; None where it does not count, and is asked again.

        Airflow keeps the text of a question when its task runs again. Should the claim have handed out
        another operation by then, what a person saw is told by what their form hands back.
        """
        from include.approval import Answer

        given = event.get("params_input") or {}
        about, reason = given.get(OPERATION), " ".join(str(given.get(REASON) or "").split())
        person = (event.get("responded_by_user") or {}).get("name")
        if about not in (None, operation_id):
            raise self._failed(f"the question that was answered is about operation {about}, not this one")
        if REJECT in event["chosen_options"]:
            return Answer(False, person or "somebody", reason or NO_REASON)
        if about is None or not reason or not person:
            self.log.error("an approval needs a name, a reason and its operation, so it is asked again")
            return None
        return Answer(True, person, reason)

    def _end(self, stand: Stand, operation_id: str, outcome: str | None) -> dict[str, Any]:
        """Return how it stands, or leave by what skips or fails the task."""
        from include.approval import Stand

        if operation_id != self.operation["operation_id"]:
            raise self._failed(f"this task asked about operation {operation_id}, and is now for another one")
        label = self.operation["label"]
        if stand is Stand.REJECTED:
            self.log.warning("%s is not moved: %s", label, outcome)
            raise AirflowSkipException(f"{label} is not moved: {outcome}")
        if stand is Stand.EXPIRED:
            raise self._failed(f"the operation is cancelled: {outcome}")
        self.log.info("%s: %s", label, stand.value)
        return {"operation": operation_id, "asset": self.operation["asset"], "approval": stand.value}

    def _failed(self, why: str) -> AirflowFailException:
        """Return what fails the task for good. The page shows the log, and not what is raised."""
        self.log.error("%s: %s", self.operation["label"], why)
        return AirflowFailException(f"{self.operation['label']}: {why}")


def _form(operation_id: str) -> ParamsDict:
    """Return what a person fills in beside the choice."""
    return ParamsDict(
        {
            REASON: Param("", type="string", minLength=1, description="Why. It is recorded with your name."),
            OPERATION: Param(
                operation_id,
                type="string",
                enum=[operation_id],
                description="What this is about. It stays as it is.",
            ),
        }
    )
