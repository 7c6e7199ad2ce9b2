"""# validate

**Purpose.** Judge the marts of the latest night again, by hand.

**Inputs.** `marts`.

**Outputs.** `quality.validation_results`; Data Docs.

**Triage.** A red `pass_gate` says which expectation failed, on which table and on how many rows;
the Data Docs show it in context. A red `run_expectations` means that the check itself could not
run.
"""

from airflow.sdk import DAG

from dags.stages.common import DEFAULT_ARGS, as_of_param
from dags.stages.night import write_run_page
from dags.stages.validate import validate

with DAG(
    dag_id="validate",
    description="Great Expectations decides whether the marts may be used",
    doc_md=__doc__,
    schedule=None,
    is_paused_upon_creation=False,
    max_active_runs=1,
    params={"as_of": as_of_param()},
    default_args=DEFAULT_ARGS,
    tags=["amato", "quality"],
):
    validate() >> write_run_page()
