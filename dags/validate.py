"""# validate

**Purpose.** Judge the marts of the latest night again, by hand.

**Inputs.** `marts`.

**Outputs.** `quality.validation_results`; Data Docs.

**Triage.** A red `pass_gate` says which expectation failed, on which table and on how many rows;
the Data Docs show it in context. A red `run_expectations` means that the check itself could not
run, or that the night is over: the marts show a newer one.
"""

from airflow.sdk import DAG

from dags.stages.common import BY_HAND, as_of_param
from dags.stages.night import finish_run, write_run_page
from dags.stages.validate import validate

with DAG(
    dag_id="validate",
    description="Great Expectations decides whether the marts may be used",
    doc_md=__doc__,
    params={"as_of": as_of_param("the latest night that was loaded")},
    tags=["amato", "quality"],
    **BY_HAND,
):
    validate() >> write_run_page() >> finish_run()
