"""The forecasts in a real warehouse: trained, scored, looked back at, and all of it again."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from ml.model import Scope
from ml.run import infer_model, train_model, watch_model
from tests.integration.forecasting_support import make_click_marts, make_sales_marts
from tests.integration.ml_support import checksum, scientist, tree_hashes
from tests.unit import test_forecasting_ctr as clicks
from tests.unit import test_forecasting_customers as sales

CLICKS_AS_OF = clicks.UNTIL - timedelta(days=31)
SALES_AS_OF = sales.UNTIL - timedelta(days=40)


def state(url: str, name: str) -> str:
    return checksum(url, "ml.model_versions", "ml.model_metrics", f"ml.{name}_predictions")


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as conn:
        return conn.execute(query.encode()).fetchall()


def run(url: str, name: str, as_of: date, home: Path) -> dict[str, Any]:
    """Train and score; returns the training's result."""
    with scientist(url) as conn:
        trained = train_model(name, conn, Scope(as_of), home)
        scored = infer_model(name, conn, Scope(as_of), home)
    assert scored["state"] == "success"
    return trained


def report_of(home: Path, name: str) -> tuple[dict[str, Any], str]:
    (path,) = home.glob(f"reports/forecasting/{name}_*.yaml")
    return yaml.safe_load(path.read_text()), path.with_suffix(".html").read_text()


def test_click_through_rates_are_learnt_scored_and_looked_back_at(
    warehouse_url: str, tmp_path: Path
) -> None:
    make_click_marts(warehouse_url, clicks.company(1))
    trained = run(warehouse_url, "ctr", CLICKS_AS_OF, tmp_path)
    assert (trained["state"], trained["promoted"]) == ("success", True)
    counts = rows(
        warehouse_url,
        "select entity_type, count(*) from ml.ctr_predictions"
        " where forecast_period = 'next_campaign' and forecast_date = as_of group by 1 order by 1",
    )
    assert [kind for kind, _ in counts] == ["campaign", "channel", "customer"]
    assert dict(counts)["customer"] == 600
    report, page = report_of(tmp_path, "ctr")
    assert {"summary_statistics", "high_value_insights", "campaign_optimization",
            "ctr_forecast_rank"} < set(report)  # fmt: skip
    assert "plot-ctr-forecast-rank" in page
    before, files = state(warehouse_url, "ctr"), tree_hashes(tmp_path)
    again = run(warehouse_url, "ctr", CLICKS_AS_OF, tmp_path)
    assert not again["changed"]
    assert (state(warehouse_url, "ctr"), tree_hashes(tmp_path)) == (before, files)
    with scientist(warehouse_url) as conn:
        watched = watch_model("ctr", conn, Scope(clicks.UNTIL))
    assert watched["version"] == trained["version"]
    assert watched["reason"] is None


def test_revenue_is_learnt_scored_and_looked_back_at(warehouse_url: str, tmp_path: Path) -> None:
    make_sales_marts(warehouse_url, sales.company(1))
    trained = run(warehouse_url, "revenue", SALES_AS_OF, tmp_path)
    assert (trained["state"], trained["promoted"]) == ("success", True)
    counts = rows(
        warehouse_url,
        "select entity_type, forecast_period, count(*), min(target_date), max(target_date)"
        " from ml.revenue_predictions group by 1, 2 order by 1",
    )
    last = SALES_AS_OF + timedelta(days=89)
    assert counts[0] == ("company", "day", 90, SALES_AS_OF, last)
    assert counts[1][:2] == ("customer", "next_month")
    # Everybody registered by then is scored, once.
    (known,) = rows(
        warehouse_url,
        f"select count(*) from marts.dim_customers where registration_date < '{SALES_AS_OF}'",
    )
    assert counts[1][2] == known[0]
    figures = {m["name"]: m for m in trained["metrics"]}
    for days in (30, 90):
        mase = figures[f"backtest_mase_{days}"]
        assert mase["value"] < mase["baseline_value"]
    report, page = report_of(tmp_path, "revenue")
    assert {"summary_statistics", "high_value_insights", "planning_recommendations",
            "revenue_forecast_distribution"} < set(report)  # fmt: skip
    assert "plot-revenue-forecast-distribution" in page
    before, files = state(warehouse_url, "revenue"), tree_hashes(tmp_path)
    again = run(warehouse_url, "revenue", SALES_AS_OF, tmp_path)
    assert not again["changed"]
    assert (state(warehouse_url, "revenue"), tree_hashes(tmp_path)) == (before, files)
    with scientist(warehouse_url) as conn:
        watched = watch_model("revenue", conn, Scope(SALES_AS_OF + timedelta(days=37)))
    assert watched["version"] == trained["version"]
    assert watched["reason"] is None


@pytest.mark.parametrize("name", ["revenue", "ctr"])
def test_without_history_the_state_is_not_applicable(
    name: str, warehouse_url: str, tmp_path: Path
) -> None:
    make_sales_marts(warehouse_url, sales.three())
    with scientist(warehouse_url) as conn:
        trained = train_model(name, conn, Scope(date(2024, 3, 1)), tmp_path)
        scored = infer_model(name, conn, Scope(date(2024, 3, 1)), tmp_path)
    assert (trained["state"], scored["state"]) == ("not_applicable", "not_applicable")
