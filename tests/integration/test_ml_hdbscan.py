"""Training, scoring and reports of the density-based segmentation in a real warehouse."""

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest
import yaml

from ml.customer_segmentation.config import NOISE_TYPE
from ml.model import KEY_COLUMNS, Scope
from ml.run import infer_model, train_model
from tests.integration.ml_support import (
    checksum,
    group_orders,
    make_marts,
    scientist,
    tree_hashes,
)

AS_OF, LATER = date(1998, 7, 1), date(1998, 8, 1)
STATE = ("ml.model_versions", "ml.model_metrics", "ml.hdbscan_predictions")


@pytest.fixture
def shop(warehouse_url: str) -> str:
    """A warehouse with 500 customers of four kinds, and five who have never bought."""
    orders = group_orders(100, until=LATER)
    customers = sorted({str(o.customer_id) for o in orders}) + [f"Z{i}" for i in range(5)]
    make_marts(warehouse_url, orders, customers, since=date(1998, 4, 1))
    return warehouse_url


def run(url: str, home: Path, as_of: date = AS_OF) -> tuple[dict[str, Any], dict[str, Any]]:
    scope = Scope(as_of)
    with scientist(url) as conn:
        return train_model("hdbscan", conn, scope, home), infer_model("hdbscan", conn, scope, home)


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as conn:
        return conn.execute(query.encode()).fetchall()


def test_every_customer_is_placed_or_told_to_be_an_outlier(shop: str, tmp_path: Path) -> None:
    trained, scored = run(shop, tmp_path)
    assert (trained["state"], scored["state"]) == ("success", "success")
    assert trained["promoted"], trained["message"]
    assert scored["version"] == trained["version"]
    assert rows(
        shop,
        "select count(*), count(distinct customer_id), bool_and(customer_id = entity_id),"
        " min(target_date), min(trained_as_of) from ml.hdbscan_predictions",
    ) == [(505, 505, True, AS_OF, date(1998, 4, 1))]
    assert rows(
        shop,
        "select distinct hdbscan_segment_type, hdbscan_confidence from ml.hdbscan_predictions"
        " where hdbscan_segment = -1",
    ) in ([], [(NOISE_TYPE, 0.0)])
    # Those who first buy after the night count as not having bought.
    assert rows(
        shop,
        f"""
        select count(*) > 5, bool_and(hdbscan_segment = -2) from ml.hdbscan_predictions
        where customer_id not in (
            select customer_id from marts.fct_orders where order_date < '{AS_OF} 00:00Z'
        )
        """,
    ) == [(True, True)]
    assert rows(
        shop,
        """
        with customer as (
            select customer_id, sum(total_amount) as spent, count(*) as orders
            from marts.fct_orders where order_date < '1998-07-01 00:00Z' group by customer_id
        ), segment as (
            select
                hdbscan_segment, count(*) as size,
                coalesce(avg(spent), 0) as spent, coalesce(avg(orders), 0) as orders
            from ml.hdbscan_predictions left join customer using (customer_id) group by 1
        )
        select count(*) from ml.hdbscan_predictions as p join segment as s using (hdbscan_segment)
        where abs(p.hdbscan_avg_monetary - s.spent) > 0.0051
            or abs(p.hdbscan_avg_frequency - s.orders) > 0.000051
            or p.hdbscan_segment_size <> s.size
        """,
    ) == [(0,)]


def test_figures_and_report_stand_beside_the_baseline(shop: str, tmp_path: Path) -> None:
    trained, _ = run(shop, tmp_path)
    version = trained["version"]
    figures = {
        name: (value, low, high, baseline)
        for name, value, low, high, baseline in rows(
            shop,
            "select metric, value, low, high, baseline_value from ml.model_metrics"
            f" where version = '{version}'",
        )
    }
    value, low, high, baseline = figures["later_spending_explained"]
    assert low <= value <= high
    assert value > baseline
    assert figures["noise_share"][0] <= 0.25
    assert {"validity_index", "jaccard_least", "jaccard_segment_0"} <= set(figures)
    stem = f"reports/customer_segmentation/hdbscan_{AS_OF}_{version}"
    assert set(tree_hashes(tmp_path)) >= {f"{stem}.{end}" for end in ("parquet", "yaml", "html")}
    table = pd.read_parquet(tmp_path / f"{stem}.parquet")
    assert {*KEY_COLUMNS, "customer_id", "hdbscan_segment", "trained_as_of"} <= set(table.columns)
    report = yaml.safe_load((tmp_path / f"{stem}.yaml").read_text())
    named = {entry["segment"]: entry["segment_type"] for entry in report["segment_distribution"]}
    assert (named[-1], named[-2]) == (NOISE_TYPE, "No Purchase Yet")
    assert sum(entry["customers"] for entry in report["segment_distribution"]) == 505
    assert report["segment_characteristics"] and report["business_recommendations"]
    assert "plot-segment-distribution" in (tmp_path / f"{stem}.html").read_text()


def test_everything_again_and_elsewhere_makes_the_same(shop: str, tmp_path: Path) -> None:
    first, _ = run(shop, tmp_path / "one")
    before, files = checksum(shop, *STATE), tree_hashes(tmp_path / "one")
    again, _ = run(shop, tmp_path / "one")
    assert (again["version"], again["changed"]) == (first["version"], False)
    assert checksum(shop, *STATE) == before
    with psycopg.connect(shop) as conn:
        conn.execute("truncate ml.model_versions, ml.model_metrics, ml.hdbscan_predictions")
    run(shop, tmp_path / "two")
    assert checksum(shop, *STATE) == before
    assert tree_hashes(tmp_path / "two") == files == tree_hashes(tmp_path / "one")


def test_too_few_customers_are_no_failure(warehouse_url: str, tmp_path: Path) -> None:
    orders = group_orders(2, until=LATER)
    make_marts(warehouse_url, orders, [], since=date(1998, 4, 1))
    trained, scored = run(warehouse_url, tmp_path)
    assert (trained["state"], scored["state"]) == ("not_applicable", "not_applicable")
    assert "50 are needed" in trained["message"]
