"""The validate stage: Great Expectations decides whether the marts may be used."""

from __future__ import annotations

import logging
from datetime import date
from pathlib import Path

from airflow.sdk import Param, get_current_context, task, task_group
from airflow.sdk.exceptions import AirflowFailException

from dags.stages.common import shared_home, table_asset
from dags.stages.connections import warehouse, warehouse_url
from dags.stages.night import latest_night, night_of_run

RESULTS = [
    table_asset(f"quality.{name}")
    for name in ("validation_results", "failing_rows", "table_scores", "verdicts")
]
MIN_REASON = 10  # characters; quality.overrides asks for as many
log = logging.getLogger(__name__)


@task(pool="warehouse", outlets=RESULTS)
def run_expectations() -> str:
    """Evaluate every suite, record the results and write the Data Docs."""
    from dags.stages.gate import run_gate

    return run_gate(latest_night(), Path(shared_home()), warehouse_url()).verdict


def require_passed(as_of: date) -> None:
    """Refuse a night that did not pass the gate, and that nobody has published all the same.

    Raises:
        AirflowFailException: saying which expectation failed, and where to look.
    """
    from dags.stages.gate import GateStoppedError, check_verdict

    with warehouse("amato_reader") as conn:
        try:
            result = check_verdict(conn, as_of)
        except GateStoppedError as error:
            # The first line of a failed task's log is the one that is read.
            log.error(str(error).splitlines()[0])
            raise AirflowFailException(str(error)) from error
    if result.override:
        log.warning("the gate stopped night %s, and it was published: %s", as_of, result.override)


def publish_params() -> dict[str, Param]:
    """The field of a form in which an engineer says why a stopped night is to be published."""
    return {
        "publish_reason": Param(
            None,
            type=["null", "string"],
            minLength=MIN_REASON,
            title="Publish although stopped, because",
            description="Only for a night that the gate stops: lets it pass. The reason, who gave "
            "it and in which run are recorded, and shown on everything made from the night.",
        )
    }


@task
def pass_gate() -> None:
    """Stop here what must not reach a model or a marketer, unless the form says why it may."""
    as_of = night_of_run()
    reason = (get_current_context()["params"].get("publish_reason") or "").strip()
    if reason:
        publish_if_stopped(as_of, reason)
    require_passed(as_of)


def publish_if_stopped(as_of: date, reason: str) -> None:
    """Publish the night, if the gate stops it, in the name of who started the run.

    Raises:
        AirflowFailException: the reason is too short to be one, or has published the night
            before, as it was built or judged then.
    """
    from dags.stages.gate import (
        GateStoppedError,
        NotValidatedError,
        ReasonSpentError,
        enforce,
        publish_night,
        recorded_result,
    )
    from dags.stages.gate_records import Override

    if len(reason) < MIN_REASON:
        raise AirflowFailException(f"publish_reason is {reason!r}: say why in a sentence")
    run = get_current_context()["dag_run"]
    override = Override(
        reason=reason,
        published_by=run.triggering_user_name or "the scheduler",
        dag_id=run.dag_id,
        run_id=run.run_id,
        run_at=run.run_after,
    )
    with warehouse("amato_validator") as conn:
        try:
            enforce(recorded_result(conn, as_of))
        except NotValidatedError:
            return  # require_passed says so
        except GateStoppedError as error:
            log.warning(str(error).splitlines()[0])
            try:
                log.warning(publish_night(conn, as_of, Path(shared_home()), override))
            except ReasonSpentError as spent:
                raise AirflowFailException(str(spent)) from error
        else:
            log.info("night %s passes already: the reason to publish it is not needed", as_of)


@task_group
def validate() -> None:
    """The verdict on the marts, and the gate that it opens or shuts."""
    run_expectations() >> pass_gate()
