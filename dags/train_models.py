"""# train_models

**Purpose.** Train every model now. `nightly` trains on Mondays, or where a model has no champion.

**Inputs.** `marts.fct_orders`, `marts.dim_customers` of the newest night, if it is published;
strictly before `as_of` less the inference window.

**Outputs.** Artefacts with their hashes, `ml.model_versions`, `ml.model_runs`, `ml.model_metrics`.

**Triage.** A night that the gate did not pass, or that was built again since, trains nothing: the
log says why, and what to do. Each model is a mapped task of its own, named in the grid; one that
fails stops no other and leaves its champion in place. Too little data is `not_applicable`, which is
no failure.
"""

from airflow.sdk import DAG

from dags.stages.common import BY_HAND, as_of_param
from dags.stages.models import model_params, train_models
from dags.stages.night import finish_run, write_run_page

with DAG(
    dag_id="train_models",
    description="Train every model on history older than the inference window",
    doc_md=__doc__,
    params={"as_of": as_of_param("the latest night that was loaded"), **model_params()},
    tags=["amato", "models"],
    **BY_HAND,
):
    train_models(always=True) >> write_run_page() >> finish_run()
