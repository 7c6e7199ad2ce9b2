"""The transform stage: dbt builds staging, intermediate and marts, and their docs.

The marts show the newest night. For an older one, only the tables that keep every night are
written, all at once by ``build_marts``; the other tasks have nothing to do then.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

from airflow.sdk import TriggerRule, task, task_group
from airflow.sdk.exceptions import AirflowSkipException

from dags.stages.common import shared_home, table_asset
from dags.stages.connections import warehouse_url
from dags.stages.night import latest_night, night_of_run, past_night

Layer = Literal["staging", "intermediate", "marts"]
MARTS = [
    "ab_test_results",
    "ab_test_summary",
    "campaign_performance",
    "channel_attribution",
    "channel_performance",
    "conversion_funnel",
    "customer_campaigns",
    "customer_features",
    "customer_journey",
    "customer_rfm",
    "customer_rfm_history",
    "data_quality_summary",
    "dim_campaigns",
    "dim_customers",
    "dim_dates",
    "dim_products",
    "fct_campaign_daily",
    "fct_order_items",
    "fct_orders",
    "fct_sessions",
    "journey_paths",
    "journey_type_summary",
    "rfm_segment_migration",
    "rfm_segment_summary",
    "sales_by_category",
    "sales_by_region",
]
MART_ASSETS = [table_asset(f"marts.{name}") for name in MARTS]
log = logging.getLogger(__name__)


def _build(layer: Layer) -> None:
    from dags.stages.dbt_build import build_layer

    build_layer(layer, latest_night(), Path(shared_home()), warehouse_url())


def _skip_past_night() -> None:
    as_of = night_of_run()
    if past_night(as_of):
        raise AirflowSkipException(
            f"night {as_of} is over: build_marts writes it into the tables that keep every night"
        )


@task(pool="warehouse")
def build_staging() -> None:
    """Rename, cast, trim and deduplicate every raw table."""
    _skip_past_night()
    _build("staging")


@task(pool="warehouse")
def build_intermediate() -> None:
    """Build the steps between staging and the marts."""
    _skip_past_night()
    _build("intermediate")


@task(pool="warehouse", outlets=MART_ASSETS, trigger_rule=TriggerRule.NONE_FAILED)
def build_marts() -> None:
    """Build and test the marts; of an older night, those that keep every night."""
    as_of = night_of_run()
    if past_night(as_of):
        from dags.stages.dbt_build import build_past_night

        build_past_night(as_of, Path(shared_home()), warehouse_url())
    else:
        _build("marts")


@task(pool="warehouse")
def write_docs() -> None:
    """Write the dbt docs that the UI's menu opens."""
    from dags.stages.dbt_build import generate_docs

    _skip_past_night()
    generate_docs(night_of_run(), Path(shared_home()), warehouse_url())


@task_group
def transform() -> None:
    """Raw into trusted marts, a dbt run a layer."""
    build_staging() >> build_intermediate() >> build_marts() >> write_docs()
