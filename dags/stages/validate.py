"""The validate stage: Great Expectations decides whether the marts may be used."""

from __future__ import annotations

import logging
from pathlib import Path

from airflow.sdk import task, task_group
from airflow.sdk.exceptions import AirflowFailException

from dags.stages.common import run_as_of, shared_home, table_asset
from dags.stages.connections import warehouse, warehouse_url

RESULTS = table_asset("quality.validation_results")
log = logging.getLogger(__name__)


@task(pool="warehouse", outlets=[RESULTS])
def run_expectations() -> str:
    """Evaluate every suite, record the results and write the Data Docs."""
    from dags.stages.gate import run_gate
    from elt.accounting import require_latest

    as_of = run_as_of()
    with warehouse("amato_validator") as conn:
        require_latest(conn, as_of)
    return run_gate(as_of, Path(shared_home()), warehouse_url()).verdict


@task
def pass_gate() -> None:
    """Stop here what must not reach a model or a marketer."""
    from dags.stages.gate import GateStoppedError, check_verdict

    with warehouse("amato_reader") as conn:
        try:
            check_verdict(conn, run_as_of())
        except GateStoppedError as error:
            raise AirflowFailException(str(error)) from error


@task_group
def validate() -> None:
    """The verdict on the marts, and the gate that it opens or shuts."""
    run_expectations() >> pass_gate()
