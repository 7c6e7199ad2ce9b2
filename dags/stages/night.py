"""Closes a night: its state in ``elt.nights``, the page of the run, and the verdict on it."""

from __future__ import annotations

import logging
from pathlib import Path

from airflow.sdk import TriggerRule, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from dags.stages.common import run_as_of, shared_home
from dags.stages.connections import warehouse

FAILED_STATES = {"failed", "upstream_failed"}
log = logging.getLogger(__name__)


@task(trigger_rule=TriggerRule.ALL_DONE)
def write_run_page() -> None:
    """Write the page that the UI opens from this run: its docs, verdict and reports."""
    from dags.stages.run_pages import write_run_page as write

    context = get_current_context()
    write(
        Path(shared_home()),
        dag_id=context["dag"].dag_id,
        run_id=context["dag_run"].run_id,
        as_of=run_as_of(),
    )


@task(trigger_rule=TriggerRule.ALL_DONE)
def close_night() -> None:
    """Record how the night ended, and end the run failed if any of its tasks did.

    Raises:
        AirflowFailException: naming the tasks that failed.
    """
    from elt.nights import close_night as close

    context = get_current_context()
    run_id = context["dag_run"].run_id
    states = context["ti"].get_task_states(context["dag"].dag_id, run_ids=[run_id])[run_id]
    broken = sorted(name for name, state in states.items() if state in FAILED_STATES)
    failed = [name for name in broken if states[name] == "failed"]
    with warehouse("amato_loader") as conn:
        close(conn, run_as_of(), "failed" if broken else "closed")
    if broken:
        raise AirflowFailException(
            f"night {run_as_of()} failed in {', '.join(failed)}; "
            f"{len(broken) - len(failed)} tasks after it did not run"
        )
    log.info("night %s is closed", run_as_of())
