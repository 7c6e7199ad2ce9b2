"""# generate_source_data

**Purpose.** Make the generated company: a shop, its marketing and its clickstream, seeded, so that
the same form gives the same bytes; or let the one that stands live on.

**Inputs.** The form: scale, seed, days of history, the day that the history ends before, which
defects and effects are planted, and the databases to write. A later *As of* than that of the
company that stands, with all else the same, adds the days between to it.

**Outputs.** MySQL `shop`, PostgreSQL `marketing`, MongoDB `clickstream`; pictures of the company
(`reports/world.html`, under *AMATO, Model reports*); and the ledger of what is planted, in the
folder `AMATO_TRUTH`, which no database and no page of the UI shows.

**Triage.** A value of the form that cannot be is refused at once, and the log says what may be
given. Data that this DAG did not make is never touched, and neither is a connection that was given
from outside. Another scale or seed than the one that stands is refused: `make clean` first.
Clearing a task is safe: a finished database is left as it is, a half-written one is written again.
"""

from airflow.sdk import DAG, Param

from dags.stages.common import BY_HAND, as_of_param
from dags.stages.source import DATABASES, DEFECTS_HELP, EFFECTS_HELP, write_sources

with DAG(
    dag_id="generate_source_data",
    description="Make the generated company in the three source databases, or let it live on",
    doc_md=__doc__,
    params={
        "scale": Param(
            0.1,
            type="number",
            exclusiveMinimum=0,
            maximum=10,
            title="Scale",
            description="1 makes 10,000 customers and 50,000 orders.",
        ),
        "seed": Param(42, type="integer", minimum=0, title="Seed"),
        "days": Param(730, type="integer", minimum=30, title="Days of history"),
        "databases": Param(DATABASES, type="array", examples=DATABASES, title="Databases to write"),
        "as_of": as_of_param(),
        "defects": Param("default", type="string", title="Defects", description=DEFECTS_HELP),
        "effects": Param("all", type="string", title="Effects", description=EFFECTS_HELP),
    },
    tags=["amato", "source"],
    **BY_HAND,
):
    write_sources()
