"""The transform stage: dbt builds staging, intermediate and marts, and their docs."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

from airflow.sdk import task, task_group

from dags.stages.common import shared_home, table_asset
from dags.stages.connections import warehouse_url
from dags.stages.night import latest_night, night_of_run

Layer = Literal["staging", "intermediate", "marts"]
MARTS = [
    "dim_customers",
    "fct_orders",
    "customer_rfm",
    "rfm_segment_summary",
    "data_quality_summary",
]
MART_ASSETS = [table_asset(f"marts.{name}") for name in MARTS]
log = logging.getLogger(__name__)


def _build(layer: Layer) -> None:
    from dags.stages.dbt_build import build_layer

    build_layer(layer, latest_night(), Path(shared_home()), warehouse_url())


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

    generate_docs(night_of_run(), Path(shared_home()), warehouse_url())


@task_group
def transform() -> None:
    """Raw into trusted marts, a dbt run a layer."""
    build_staging() >> build_intermediate() >> build_marts() >> write_docs()
