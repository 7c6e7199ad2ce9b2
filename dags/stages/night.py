"""How a run ends: the page it leaves, its night's state, and the verdict on the run itself."""

from __future__ import annotations

import logging
from datetime import date
from pathlib import Path

from airflow.sdk import TriggerRule, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from dags.stages.common import run_as_of, shared_home
from dags.stages.connections import warehouse

OPEN_NIGHT = "extract_load.open_night"
BROKEN_STATES = {"failed", "upstream_failed"}
log = logging.getLogger(__name__)


def night_of_run() -> date:
    """The night that the run is about.

    A run that loads is about its own day. Any other is about what was loaded: without an
    as_of in its form, that is the newest night.

    Raises:
        elt.nights.UnknownNightError: no night was loaded yet.
    """
    from elt.accounting import newest_night

    context = get_current_context()
    if context["params"].get("as_of") or OPEN_NIGHT in context["dag"].task_ids:
        return run_as_of()
    with warehouse("amato_loader") as conn:
        return newest_night(conn)


def latest_night() -> date:
    """The night of the run, refused unless it is the newest: the marts show no other.

    Raises:
        elt.nights.OlderNightError: a newer night was opened.
        elt.nights.UnknownNightError: no such night was opened.
    """
    from elt.accounting import require_latest

    as_of = night_of_run()
    with warehouse("amato_loader") as conn:
        require_latest(conn, as_of)
    return as_of


def past_night(as_of: date) -> bool:
    """Whether a newer night was opened since: then only what keeps every night may be written.

    Raises:
        elt.nights.UnknownNightError: no such night was ever opened.
    """
    from elt.accounting import is_past

    with warehouse("amato_loader") as conn:
        return is_past(conn, as_of)


def _broken_tasks() -> dict[str, str]:
    """The run's tasks that failed or could not run, with their states."""
    context = get_current_context()
    run_id = context["dag_run"].run_id
    states = context["ti"].get_task_states(context["dag"].dag_id, run_ids=[run_id])[run_id]
    return {name: state for name, state in sorted(states.items()) if state in BROKEN_STATES}


def failure_message(broken: dict[str, str]) -> str:
    """Name the tasks that failed, and count those that did not run because of them."""
    failed = [name for name, state in broken.items() if state == "failed"]
    text = f"{', '.join(failed or broken)} failed"
    waiting = len(broken) - len(failed)
    return f"{text}; {waiting} tasks after that did not run" if failed and waiting else text


@task(trigger_rule=TriggerRule.ALL_DONE)
def write_run_page() -> None:
    """Write the page that the UI opens from this run: its loads, docs, verdict and reports."""
    from dags.stages.run_pages import write_run_page as write
    from elt.accounting import read_loads
    from elt.nights import Night

    context = get_current_context()
    loads = {}
    loading = OPEN_NIGHT in context["dag"].task_ids
    if opened := loading and context["ti"].xcom_pull(task_ids=OPEN_NIGHT):
        with warehouse("amato_loader") as conn:
            loads = read_loads(conn, Night.from_json(opened))
    write(
        Path(shared_home()),
        dag_id=context["dag"].dag_id,
        run_id=context["dag_run"].run_id,
        as_of=night_of_run(),
        loads=loads,
    )


@task(trigger_rule=TriggerRule.ALL_DONE)
def finish_run() -> None:
    """End the run failed if any of its tasks did; Airflow looks at the last ones only.

    Raises:
        AirflowFailException: naming the tasks that failed.
    """
    broken = _broken_tasks()
    if broken:
        raise AirflowFailException(failure_message(broken))


@task(trigger_rule=TriggerRule.ALL_DONE)
def close_night() -> None:
    """Record how the night ended, and end the run failed if any of its tasks did.

    A night that this run could not open is left as it is.

    Raises:
        AirflowFailException: naming the tasks that failed.
    """
    from elt.nights import Night
    from elt.nights import close_night as close

    broken = _broken_tasks()
    opened = get_current_context()["ti"].xcom_pull(task_ids=OPEN_NIGHT)
    if opened:
        with warehouse("amato_loader") as conn:
            close(conn, Night.from_json(opened), "failed" if broken else "closed")
    if broken:
        raise AirflowFailException(failure_message(broken))
    log.info("night %s is closed", night_of_run())
