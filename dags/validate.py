"""# validate

**Purpose.** Judge the latest night again, by hand; or publish it although the gate stopped it.

**Inputs.** `raw_*`, `staging`, `marts`, and their history in `quality.table_figures`.

**Outputs.** `quality.validation_results`, `failing_rows`, `table_scores` and `verdicts`; Data Docs.

**Triage.** A red `pass_gate` says which expectation failed, on which table and on how many rows;
the Data Docs show it in context, and `quality.failing_rows` has every row. A red
`run_expectations` means that the check itself could not run, or that the night is over: the marts
show a newer one.

To publish a stopped night, start this DAG with a reason in its form: who gave it, the reason and
the run are recorded in `quality.overrides` and shown on every report made from the night. It covers
what stops the night then; what is built or found later takes a new run with a reason of its own.
"""

from airflow.sdk import DAG

from dags.stages.common import BY_HAND, as_of_param
from dags.stages.night import finish_run, write_run_page
from dags.stages.validate import publish_params, validate

with DAG(
    dag_id="validate",
    description="Great Expectations decides whether the marts may be used",
    doc_md=__doc__,
    params={"as_of": as_of_param("the latest night that was loaded"), **publish_params()},
    tags=["amato", "quality"],
    **BY_HAND,
):
    validate() >> write_run_page() >> finish_run()
