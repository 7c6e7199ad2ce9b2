"""# transform

**Purpose.** Build the marts of the latest night again, by hand. `nightly` does the same every
night. The marts never go back: for an older night, only those that keep every night get it
(`customer_rfm_history`, `customer_features`, `data_quality_summary`), as it was known then; the
gate's verdict on it is void from then on, and the gate learns from it no more.

**Inputs.** `raw_*` as it was known on the night of `as_of`.

**Outputs.** `staging`, `intermediate`, `marts`; dbt docs; `quality.dbt_run_results`.

**Triage.** A red task names the failed models and tests in its first error line. Clearing it builds
only what failed and what hangs on it. For an older night, `build_marts` does all there is to do;
the other tasks are skipped.
"""

from airflow.sdk import DAG

from dags.stages.common import BY_HAND, as_of_param
from dags.stages.night import finish_run, write_run_page
from dags.stages.transform import transform

with DAG(
    dag_id="transform",
    description="dbt builds staging, intermediate and marts, and their docs",
    doc_md=__doc__,
    params={"as_of": as_of_param("the latest night that was loaded")},
    tags=["amato", "warehouse"],
    **BY_HAND,
):
    transform() >> write_run_page() >> finish_run()
