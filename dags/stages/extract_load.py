"""The extract_load stage: the three sources into the warehouse's raw schemas."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any

from airflow.sdk import TriggerRule, get_current_context, task, task_group

from dags.stages.common import run_as_of, table_asset
from dags.stages.connections import CONNECTION_OF_SYSTEM, SOURCES, warehouse
from elt.specs import SPECS

POOLS = {"mysql": "mysql", "postgres": "warehouse", "mongo": "mongo"}
RAW_ASSETS = [table_asset(spec.raw_name) for spec in SPECS]
log = logging.getLogger(__name__)


@task(trigger_rule=TriggerRule.NONE_FAILED)  # in a demo, days of source life may be skipped
def open_night() -> dict[str, Any]:
    """Open the night: one upper bound for all tables, and the batch that may load them."""
    from elt.nights import open_night as open_the_night

    with warehouse("amato_loader") as conn:
        night = open_the_night(conn, run_as_of())
    log.info("night %s, batch %s", night.as_of, night.batch_id)
    return night.as_json()


@task(map_index_template="{{ table }}")
def load_table(system: str, table: str, night: dict[str, Any]) -> dict[str, Any]:
    """Load one table: one transaction, its counts compared and logged."""
    from elt.extract_load import extract_and_load
    from elt.nights import Night

    get_current_context()["table"] = table  # type: ignore[typeddict-unknown-key]
    spec = next(spec for spec in SPECS if (spec.system, spec.name) == (system, table))
    with SOURCES[system]() as source, warehouse("amato_loader") as conn:
        result = extract_and_load(source, conn, spec, Night.from_json(night))
    return asdict(result)


@task(outlets=RAW_ASSETS)
def check_load(night: dict[str, Any]) -> dict[str, int]:
    """Check that every table of the night was loaded, and that no row is unaccounted for."""
    from elt.accounting import check_night
    from elt.nights import Night

    with warehouse("amato_loader") as conn:
        totals = check_night(conn, Night.from_json(night))
    log.info("%(tables)s tables: %(read)s rows read, %(rejected)s rejected", totals)
    return totals


@task_group
def extract_load() -> None:
    """All 15 tables and collections into raw, one mapped task a table."""
    night = open_night()
    loads = [
        load_table.override(task_id=f"load_{CONNECTION_OF_SYSTEM[system]}", pool=POOLS[system])
        .partial(system=system, night=night)
        .expand(table=[spec.name for spec in SPECS if spec.system == system])
        for system in SOURCES
    ]
    loads >> check_load(night)  # type: ignore[arg-type]
