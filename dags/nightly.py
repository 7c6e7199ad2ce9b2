"""# nightly

**Purpose.** One night of the platform, from the three sources to every customer's score.
The run of 01:00 UTC on day D has `as_of` D: everything strictly before D 00:00 UTC.

**Inputs.** MySQL `shop`, PostgreSQL `marketing`, MongoDB `clickstream`.

**Outputs.** `raw_*`, `staging`, `marts`, `quality`, `ml` in the warehouse; the customers' features
as Parquet, in `datasets/<as_of>/` under `AMATO_HOME`; dbt docs, Data Docs and model reports under
*AMATO* in the menu, and on this run's own *Reports* tab.

With `DEMO=1` the night first adds to the generated company the life that it is to find.

**Triage.** `close_night` names the tasks that failed; open their logs, whose first error line
says what to do.

- `add_source_days` (only with `DEMO=1`): skipped where no generated company stands, or where it
  has lived up to this night already; clearing it adds nothing twice.
- `load_*`: a source is unreachable, its table changed, or too many of its rows are gone (then
  nothing was deleted). Each table is one transaction, so clearing the task repeats it safely; the
  page of `extract_load` says more.
- `build_*`: a model or a test failed; it is named in the log. Clearing the task builds only what
  failed and what hangs on it.
- `pass_gate`: the data is bad. Yesterday's predictions stay, marked stale. The first line of its
  log says what failed, where and on how many rows; `quality.failing_rows` has them all. If the
  data is right after all, run `validate` with a reason in its form, then clear `pass_gate` here.
- `train_model`, `score_customers`: one model's failure stops no other; its champion and its last
  predictions are untouched.

A failed task is safe to clear, and a night repeated gives the same tables. To load a night again,
clear `open_night` with what follows it. Nights run one at a time and in order; to load a night
older than the last one is refused. Clearing `build_staging` of such a night, with what follows it,
writes it into the marts that keep every night, and skips the rest.
"""

from airflow.sdk import DAG

from dags.stages.common import DEFAULT_ARGS, as_of_param, demo_mode, first_night
from dags.stages.datasets import export_datasets
from dags.stages.extract_load import extract_load, load_params
from dags.stages.models import batch_inference, model_params, train_models
from dags.stages.night import close_night, write_run_page
from dags.stages.source import add_source_days
from dags.stages.transform import transform
from dags.stages.validate import publish_params, validate

FIRST_NIGHT = first_night()

with DAG(
    dag_id="nightly",
    description="The whole chain: extract and load, transform, validate, train, score",
    doc_md=__doc__,
    schedule="0 1 * * *" if FIRST_NIGHT else None,
    start_date=FIRST_NIGHT,
    catchup=True,
    max_active_runs=1,
    params={"as_of": as_of_param(), **load_params(), **publish_params(), **model_params()},
    default_args=DEFAULT_ARGS,
    tags=["amato", "nightly"],
):
    loaded, built, gate = extract_load(), transform(), validate()
    trained, scored = train_models(), batch_inference()
    page = write_run_page()

    loaded >> built >> gate >> trained >> scored >> page >> close_night()
    # Training lets inference begin however it went; the gate does not.
    gate >> scored
    gate >> export_datasets() >> page
    if demo_mode():
        add_source_days() >> loaded
