"""The validate stage: Great Expectations decides whether the marts may be used."""

from __future__ import annotations

import logging
from datetime import date
from pathlib import Path

from airflow.sdk import task, task_group
from airflow.sdk.exceptions import AirflowFailException

from dags.stages.common import shared_home, table_asset
from dags.stages.connections import warehouse, warehouse_url
from dags.stages.night import latest_night, night_of_run

RESULTS = table_asset("quality.validation_results")
log = logging.getLogger(__name__)


@task(pool="warehouse", outlets=[RESULTS])
def run_expectations() -> str:
    """Evaluate every suite, record the results and write the Data Docs."""
    from dags.stages.gate import run_gate

    return run_gate(latest_night(), Path(shared_home()), warehouse_url()).verdict


def require_passed(as_of: date) -> None:
    """Refuse a night whose marts did not pass the gate.

    Raises:
        AirflowFailException: saying which expectation failed, and where to look.
    """
    from dags.stages.gate import GateStoppedError, check_verdict

    with warehouse("amato_reader") as conn:
        try:
            check_verdict(conn, as_of)
        except GateStoppedError as error:
            raise AirflowFailException(str(error)) from error


@task
def pass_gate() -> None:
    """Stop here what must not reach a model or a marketer."""
    require_passed(night_of_run())


@task_group
def validate() -> None:
    """The verdict on the marts, and the gate that it opens or shuts."""
    run_expectations() >> pass_gate()
