"""# transform

**Purpose.** Build the marts of the latest night again, by hand. `nightly` does the same every
night.

**Inputs.** `raw_*` as it was known on the night of `as_of`.

**Outputs.** `staging`, `intermediate`, `marts`; dbt docs; `quality.dbt_run_results`.

**Triage.** A red task names the failed models and tests in its first error line. Clearing it builds
only what failed and what hangs on it.
"""

from airflow.sdk import DAG

from dags.stages.common import DEFAULT_ARGS, as_of_param
from dags.stages.night import write_run_page
from dags.stages.transform import transform

with DAG(
    dag_id="transform",
    description="dbt builds staging, intermediate and marts, and their docs",
    doc_md=__doc__,
    schedule=None,
    is_paused_upon_creation=False,
    max_active_runs=1,
    params={"as_of": as_of_param()},
    default_args=DEFAULT_ARGS,
    tags=["amato", "warehouse"],
):
    transform() >> write_run_page()
