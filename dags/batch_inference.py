"""# batch_inference

**Purpose.** Score every customer now. `nightly` does the same every night.

**Inputs.** `marts` that passed the gate; each model's champion.

**Outputs.** `ml.<model>_predictions`; reports as YAML, HTML and Parquet under *AMATO, Model
reports*.

**Triage.** A red `check_gate` means that this night was not validated, or did not pass. A damaged
artefact is replaced by the last good version, which the log says loudly.
"""

from airflow.sdk import DAG

from dags.stages.common import BY_HAND, as_of_param
from dags.stages.models import batch_inference, model_params
from dags.stages.night import finish_run, write_run_page

with DAG(
    dag_id="batch_inference",
    description="Score every customer with each model's champion",
    doc_md=__doc__,
    params={"as_of": as_of_param("the latest night that was loaded"), **model_params()},
    tags=["amato", "models"],
    **BY_HAND,
):
    batch_inference() >> write_run_page() >> finish_run()
