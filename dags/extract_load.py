"""# extract_load

**Purpose.** Load all 15 source tables and collections into raw, by hand. `nightly` does the same
every night.

**Inputs.** MySQL `shop`, PostgreSQL `marketing`, MongoDB `clickstream`.

**Outputs.** `raw_mysql`, `raw_postgres`, `raw_mongo`; `elt.load_log`, `elt.rejected_rows`.

**Triage.** A red `load_*` task names its table and the reason in its first error line. Each table
is one transaction and the night's upper bound is fixed when the night is opened, so clearing the
task repeats it safely. A night older than the last one loaded is refused: raw only moves forward.

- *source is empty*, *too much of the source is gone*: nothing was deleted. Look at the source; if
  the rows were really deleted, run this with `allow_deletes`.
- *column ... cannot hold that*: the source changed a column's type. Put it back, or change
  `elt/specs.py` and raw's column together.
- *rows cannot be loaded*: see `elt.rejected_rows` for each row's reason. Every load tries the open
  ones again, so that after a fix a run of this DAG for the same `as_of` replays them.
- *longer than the server keeps a snapshot*: MongoDB gives a snapshot up after five minutes; its
  administrator can raise `minSnapshotHistoryWindowInSeconds`.
- Rows that changed without moving their cursor are seen within the lag only: `full_refresh` reads
  everything.
"""

from airflow.sdk import DAG

from dags.stages.common import BY_HAND, as_of_param
from dags.stages.extract_load import extract_load, load_params
from dags.stages.night import finish_run, write_run_page

with DAG(
    dag_id="extract_load",
    description="The three sources into the warehouse's raw schemas",
    doc_md=__doc__,
    params={"as_of": as_of_param(), **load_params()},
    tags=["amato", "warehouse"],
    **BY_HAND,
):
    extract_load() >> write_run_page() >> finish_run()
