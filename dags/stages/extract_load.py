"""The extract_load stage: the three sources into the warehouse's raw schemas."""

from __future__ import annotations

import logging
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import Param, TriggerRule, get_current_context, task, task_group

from dags.stages.common import run_as_of, shared_home, table_asset
from dags.stages.connections import CONNECTION_OF_SYSTEM, SOURCES, warehouse
from elt.specs import BY_NAME, LARGEST_FIRST, SPECS

RAW_ASSETS = [table_asset(spec.raw_name) for spec in SPECS]
# Of the tables that wait for one of the pool's two slots, MongoDB's go first: the largest.
WEIGHTS = {"mongo": 30, "mysql": 20, "postgres": 10}
log = logging.getLogger(__name__)


def load_params() -> dict[str, Param]:
    """The fields of a form that say how to load, beside ``as_of``."""
    return {
        "full_refresh": Param(
            False,
            type="boolean",
            title="Full refresh",
            description="Read all of each table, also what changed without moving its cursor.",
        ),
        "allow_deletes": Param(
            False,
            type="boolean",
            title="Allow deletes",
            description="Delete what is gone from the sources, however much it is.",
        ),
        "lag_hours": Param(
            None,
            type=["null", "number"],
            minimum=0,
            maximum=87_600,
            title="Lag, in hours",
            description=(
                "How far behind the watermark to read again. Empty: as each table has it. Tables "
                "whose last days are corrected are read for their trailing days, whatever the lag."
            ),
        ),
    }


@task(trigger_rule=TriggerRule.NONE_FAILED)  # in a demo, days of source life may be skipped
def open_night() -> dict[str, Any]:
    """Open the night: one upper bound for all tables, and the batch that may load them."""
    from dags.stages.gate import verdict_file, write_unjudged_file
    from elt.nights import open_night as open_the_night

    with warehouse("amato_loader") as conn:
        night = open_the_night(conn, run_as_of())
    home = Path(shared_home())
    if not verdict_file(home, night.as_of).exists():  # a night opened again is as it was judged
        write_unjudged_file(home, night.as_of)
    log.info("night %s, batch %s", night.as_of, night.batch_id)
    return night.as_json()


@task(map_index_template="{{ table }}")
def load_table(system: str, table: str, night: dict[str, Any]) -> dict[str, Any]:
    """Load one table: one transaction, its counts compared and logged."""
    from elt.extract_load import extract_and_load
    from elt.nights import Night
    from elt.options import LoadOptions

    context = get_current_context()
    context["table"] = table  # type: ignore[typeddict-unknown-key]
    params = context["params"]
    lag = params.get("lag_hours")
    options = LoadOptions(
        full_refresh=bool(params.get("full_refresh")),
        allow_deletes=bool(params.get("allow_deletes")),
        lag=None if lag is None else timedelta(hours=lag),
    )
    with SOURCES[system]() as source, warehouse("amato_loader") as conn:
        result = extract_and_load(source, conn, BY_NAME[table], Night.from_json(night), options)
    return asdict(result)


@task(outlets=RAW_ASSETS)
def check_load(night: dict[str, Any]) -> dict[str, int]:
    """Check that every table of the night was loaded, and that no row is unaccounted for.

    Each table's asset event carries what its load did.
    """
    from elt.accounting import check_night, read_loads
    from elt.nights import Night

    with warehouse("amato_loader") as conn:
        totals = check_night(conn, Night.from_json(night))
        loads = read_loads(conn, Night.from_json(night))
    events = get_current_context()["outlet_events"]
    for asset in RAW_ASSETS:
        events[asset].extra = loads[asset.name]
    log.info(
        "%(tables)s tables: %(read)s rows read, %(inserted)s inserted, %(updated)s updated, "
        "%(deleted)s deleted, %(rejected)s rejected",
        totals,
    )
    return totals


@task_group
def extract_load() -> None:
    """All 15 tables and collections into raw, one mapped task a table, the largest first.

    Two load at a time, as the pool ``warehouse`` has slots.
    """
    night = open_night()
    loads = [
        load_table.override(
            task_id=f"load_{CONNECTION_OF_SYSTEM[system]}",
            pool="warehouse",
            priority_weight=weight,
        )
        .partial(system=system, night=night)
        .expand(table=[spec.name for spec in LARGEST_FIRST if spec.system == system])
        for system, weight in WEIGHTS.items()
    ]
    loads >> check_load(night)  # type: ignore[arg-type]
