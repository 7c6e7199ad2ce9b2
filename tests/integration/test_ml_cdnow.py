"""The segmentation on real sales: CDNOW's 23,570 customers, against plain pandas arithmetic."""

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest
import yaml

from ml.customer_segmentation.naming import SEGMENT_TYPES
from ml.model import Scope
from ml.run import infer_model, train_model
from tests.integration.ml_support import CDNOW, cdnow_orders, make_marts, scientist

AS_OF = date(1998, 7, 1)


@pytest.fixture
def scored(warehouse_url: str, tmp_path: Path) -> tuple[dict[str, Any], pd.DataFrame, Path]:
    """A trained and scored night: the training result, the predictions, and the home folder."""
    orders = cdnow_orders()
    assert len(orders) == 67_591
    make_marts(warehouse_url, orders, sorted({str(o.customer_id) for o in orders}), since=AS_OF)
    with scientist(warehouse_url) as conn:
        trained = train_model("kmeans", conn, Scope(AS_OF), tmp_path)
        infer_model("kmeans", conn, Scope(AS_OF), tmp_path)
    with psycopg.connect(warehouse_url) as conn:
        cursor = conn.execute("select * from ml.kmeans_predictions")
        columns = [column.name for column in cursor.description or ()]
        table = pd.DataFrame(cursor.fetchall(), columns=columns).set_index("customer_id")
    return trained, table, tmp_path


def customers() -> pd.DataFrame:
    """Recency, frequency and spending of every customer, straight from the published file."""
    sales = pd.read_csv(CDNOW, sep=r"\s+", header=0, names=["customer", "day", "cds", "dollars"],
                        dtype={"customer": str, "day": str})  # fmt: skip
    days = sales.groupby(["customer", "day"], as_index=False)["dollars"].sum()
    days["day"] = pd.to_datetime(days["day"])
    found = days.groupby("customer").agg(
        last=("day", "max"), frequency=("day", "size"), monetary=("dollars", "sum")
    )
    found["recency"] = (pd.Timestamp(AS_OF) - found["last"]).dt.days
    return found


def test_cdnow_has_five_sensible_segments(
    scored: tuple[dict[str, Any], pd.DataFrame, Path],
) -> None:
    trained, table, home = scored
    assert len(table) == 23_570
    assert set(table["kmeans_segment_type"]) == set(SEGMENT_TYPES)
    assert table["kmeans_confidence"].between(0, 1).all()

    # Figures of each segment, from the published file itself.
    truth = customers().join(table[["kmeans_segment_type", "kmeans_avg_monetary",
                                    "kmeans_avg_frequency", "kmeans_segment_size"]])  # fmt: skip
    assert truth["monetary"].sum() == pytest.approx(2_500_315.63, abs=0.005)
    kinds = truth.groupby("kmeans_segment_type")
    means = kinds[["monetary", "frequency"]].mean()
    assert kinds["kmeans_avg_monetary"].first().to_dict() == pytest.approx(
        means["monetary"].to_dict(), abs=0.006
    )
    assert kinds["kmeans_avg_frequency"].first().to_dict() == pytest.approx(
        means["frequency"].to_dict(), abs=0.0001
    )
    assert kinds["kmeans_segment_size"].first().to_dict() == kinds.size().to_dict()

    recency = kinds["recency"].median()
    spent = kinds["monetary"].sum() / truth["monetary"].sum()
    assert means["frequency"].idxmax() == means["monetary"].idxmax() == "Champions"
    assert means["frequency"].idxmin() == means["monetary"].idxmin() == "Occasional"
    assert means.loc["High-Value Loyal", "monetary"] > means.loc["At-Risk", "monetary"]
    assert recency["At-Risk"] > 365 > recency["High-Value Loyal"] > recency["Champions"]
    assert recency["New"] < 60
    # A few customers bring most of the money, as in every published analysis of this data.
    assert kinds.size()["Champions"] / len(truth) < 0.12
    assert spent["Champions"] > 0.3
    assert kinds.size().min() > 0.02 * len(truth)

    metrics = {metric["name"]: metric for metric in trained["metrics"]}
    assert metrics["silhouette"]["low"] > metrics["silhouette"]["baseline_value"] + 0.1
    # What customers are worth afterwards, K-means tells beyond noise better than spending alone.
    told = metrics["later_spending_explained"]
    assert told["low"] > told["baseline_value"] > 0
    assert metrics["gain_over_champion"]["low"] > 0
    assert trained["promoted"] and not trained["version"].endswith("-baseline")
    assert set(table["model_version"]) == {trained["version"]}

    (path,) = home.glob("reports/customer_segmentation/*.yaml")
    report = yaml.safe_load(path.read_text())
    assert report["report"]["predictions"] == 23_570
    shares = {e["segment_type"]: e["revenue_share"] for e in report["segment_distribution"]}
    assert shares == pytest.approx({name: 100 * spent[name] for name in SEGMENT_TYPES}, abs=0.051)
    # Nobody joined after March 1997: the report must say that "New" is not meant literally.
    (new,) = (e for e in report["business_recommendations"] if e["segment_type"] == "New")
    assert "Hardly anybody here is new" in new["caution"]
