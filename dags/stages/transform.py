"""The transform stage: dbt builds staging, intermediate and marts, and their docs."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

from airflow.sdk import task, task_group

from dags.stages.common import run_as_of, shared_home, table_asset
from dags.stages.connections import warehouse, warehouse_url

Layer = Literal["staging", "intermediate", "marts"]
MARTS = ["dim_customers", "fct_orders", "customer_rfm", "rfm_segment_summary"]
MART_ASSETS = [table_asset(f"marts.{name}") for name in MARTS]
log = logging.getLogger(__name__)


def _build(layer: Layer) -> None:
    from dags.stages.dbt_build import build_layer
    from elt.accounting import require_latest

    as_of = run_as_of()
    with warehouse("amato_transformer") as conn:
        require_latest(conn, as_of)
    build_layer(layer, as_of, Path(shared_home()), warehouse_url())


@task(pool="warehouse")
def build_staging() -> None:
    """Rename, cast, trim and deduplicate every raw table."""
    _build("staging")


@task(pool="warehouse")
def build_intermediate() -> None:
    """Build the steps between staging and the marts."""
    _build("intermediate")


@task(pool="warehouse", outlets=MART_ASSETS)
def build_marts() -> None:
    """Build and test the marts."""
    _build("marts")


@task(pool="warehouse")
def write_docs() -> None:
    """Write the dbt docs that the UI's menu opens."""
    from dags.stages.dbt_build import generate_docs

    generate_docs(run_as_of(), Path(shared_home()), warehouse_url())


@task_group
def transform() -> None:
    """Raw into trusted marts, a dbt run a layer."""
    build_staging() >> build_intermediate() >> build_marts() >> write_docs()
