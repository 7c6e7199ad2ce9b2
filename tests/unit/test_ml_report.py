"""The report: its sections, its words, and that it needs nothing from outside."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd
import pytest
import yaml

from ml.customer_segmentation.config import NO_PURCHASE_TYPE
from ml.customer_segmentation.kmeans import KMeansModel
from ml.customer_segmentation.naming import SEGMENT_TYPES
from ml.customer_segmentation.profiles import SegmentProfile, profile_segments
from ml.customer_segmentation.report import headlines, recommendations, report_parts
from ml.customer_segmentation.scoring import placed
from ml.lifecycle.pages import ReportHead, build_html, build_yaml
from ml.metrics import Metric
from ml.model import Scope, Scored


def profile(segment: int, name: str, customers: int, **changes: float) -> SegmentProfile:
    values: dict[str, float] = {
        "customer_share": 20.0,
        "revenue": 100.0 * customers,
        "revenue_share": 20.0,
        "avg_monetary": 100.0,
        "avg_frequency": 2.0,
        "avg_order_value": 50.0,
        "median_recency_days": 30.0,
        "median_tenure_days": 100.0,
        "active_share": 60.0,
        "avg_confidence": 0.5,
    }
    return SegmentProfile(segment, name, customers, **(values | changes))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Night:
    """A scored night whose segments have given profiles, as both of its reports tell it."""

    yaml: dict[str, Any]
    page: str


def report(
    *profiles: SegmentProfile,
    fallback: str | None = None,
    is_baseline: bool = False,
    mark: str | None = None,
) -> Night:
    scope = Scope(date(1998, 7, 1))
    scored = Scored(
        scope=scope,
        table=pd.DataFrame(index=range(sum(p.customers for p in profiles))),
        data=None,
        fitted=None,
        is_baseline=is_baseline,
        metrics=(
            Metric("silhouette", 0.4, 0.38, 0.42, "rfm_quantile", 0.13),
            Metric("customers_seen", 18971.0),
        ),
        trained_until=date(1998, 4, 1),
    )
    head = ReportHead("1998-04-01-0a1b2c3d", 18971, fallback, mark)
    parts = report_parts(profiles, scope)
    text = build_yaml(MODEL, scored, head, parts)
    page = build_html(MODEL, scored, head, parts)
    assert (text, page) == (
        build_yaml(MODEL, scored, head, parts),
        build_html(MODEL, scored, head, parts),
    )
    return Night(yaml.safe_load(text), page)


MODEL = KMeansModel()
PROFILES = (
    profile(0, "Champions", 70, customer_share=7.0, revenue_share=39.0, avg_monetary=589.44),
    *(profile(i, name, 100 + i) for i, name in enumerate(SEGMENT_TYPES[1:], start=1)),
    profile(-1, NO_PURCHASE_TYPE, 3, revenue=0.0, avg_monetary=0.0),
)


@pytest.fixture(scope="module")
def full() -> Night:
    return report(*PROFILES)


def test_the_yaml_has_the_sections_of_the_design(full: Night) -> None:
    assert list(full.yaml) == [
        "report", "headlines", "segment_distribution", "segment_characteristics",
        "business_recommendations", "actions", "metrics",
    ]  # fmt: skip
    assert full.yaml["report"] == {
        "model": "kmeans",
        "family": "customer_segmentation",
        "as_of": "1998-07-01",
        "model_version": "1998-04-01-0a1b2c3d",
        "baseline": None,
        "trained_until": "1998-04-01",
        "trained_rows": 18971,
        "inference_window": {"start": "1998-04-01", "end": "1998-07-01"},
        "fallback_from": None,
        "gate": None,
        "data_source": "marts.fct_orders, marts.dim_customers",
        "predictions": 70 + 101 + 102 + 103 + 104 + 3,
    }
    names = [*SEGMENT_TYPES, NO_PURCHASE_TYPE]
    for section in ("segment_distribution", "segment_characteristics", "business_recommendations"):
        assert [entry["segment_type"] for entry in full.yaml[section]] == names
    assert all(entry["action"] for entry in full.yaml["business_recommendations"])
    assert [line.split(" (")[0] for line in full.yaml["actions"]] == names
    assert full.yaml["metrics"][0] == {
        "name": "silhouette", "value": 0.4, "low": 0.38, "high": 0.42,
        "baseline": "rfm_quantile", "baseline_value": 0.13,
    }  # fmt: skip


def test_the_first_headline_is_who_brings_the_money(full: Night) -> None:
    first = headlines(PROFILES)[0]
    assert first == "Champions are 7 % of customers and bring 39 % of revenue: 589.44 each."
    assert full.yaml["headlines"][0] == first
    assert first in full.page


def test_the_page_is_self_contained_and_names_what_it_is(full: Night) -> None:
    without_scripts = re.sub(r"<script.*?</script>", "", full.page, flags=re.S)
    assert not re.search(r"(src|href)\s*=", without_scripts)
    assert not re.search(r"<script[^>]*\ssrc=", full.page)
    for text in ("1998-07-01", "1998-04-01-0a1b2c3d", "18,971", "What to do", *SEGMENT_TYPES):
        assert text in without_scripts
    for anchor in ("segment_distribution", "segment_characteristics", "business_recommendations"):
        assert f'<section id="{anchor}">' in full.page
    assert full.page.count('id="plot-segment-') == 2
    for figure in ("silhouette", "0.38 to 0.42", "rfm_quantile", "customers seen"):
        assert figure in without_scripts


def test_a_fallback_is_told_in_both(full: Night) -> None:
    told = report(profile(0, "Champions", 5), fallback="1998-05-01-ffffffff")
    assert told.yaml["report"]["fallback_from"] == "1998-05-01-ffffffff"
    assert "1998-05-01-ffffffff could not be read" in told.page
    assert "could not be read" not in full.page


def test_the_simple_answer_is_told_in_both(full: Night) -> None:
    told = report(profile(0, "Champions", 5), is_baseline=True)
    assert told.yaml["report"]["baseline"] == "rfm_quantile"
    assert "simple answer (rfm_quantile): no trained model has beaten it" in told.page
    assert "no trained model has beaten it" not in full.page


def test_the_mark_of_the_night_is_told_in_both() -> None:
    told = report(profile(0, "Champions", 5), mark="Published, by <ada>")
    assert told.yaml["report"]["gate"] == "Published, by <ada>"
    assert "Published, by &lt;ada&gt;" in told.page


@pytest.mark.parametrize(
    ("name", "changes", "caution"),
    [
        ("New", {"median_tenure_days": 180.0}, None),
        ("New", {"median_tenure_days": 500.0}, "more than 500 days ago"),
        ("High-Value Loyal", {"active_share": 25.0}, None),
        ("High-Value Loyal", {"active_share": 13.0}, "Only 13 %"),
        ("Champions", {"median_tenure_days": 900.0, "active_share": 0.0}, None),
    ],
)
def test_a_name_that_says_too_much_is_cautioned(
    name: str, changes: dict[str, float], caution: str | None
) -> None:
    (entry,) = recommendations((profile(0, name, 5, **changes),))
    if caution is None:
        assert "caution" not in entry
    else:
        assert caution in entry["caution"]


def test_a_shop_without_buyers_has_a_report() -> None:
    empty = report(profile(0, "Champions", 0), profile(-1, NO_PURCHASE_TYPE, 4))
    assert empty.yaml["headlines"] == ["No customer has bought anything yet."]
    assert NO_PURCHASE_TYPE in empty.page


def test_profiles_are_counted_from_customers() -> None:
    features = pd.DataFrame(
        {
            "customer_id": ["a", "b", "c"],
            "recency_days": [5.0, 91.0, 300.0],
            "frequency": [4.0, 2.0, 1.0],
            "monetary": [300.0, 60.0, 40.0],
            "tenure_days": [100.0, 200.0, 300.0],
        }
    )
    predictions = pd.DataFrame(
        {
            "customer_id": ["a", "b", "c", "d"],
            "kmeans_segment": [0, 0, 1, -1],
            "kmeans_confidence": [0.5, 0.7, 0.2, 1.0],
        }
    )
    found = profile_segments(
        features, placed("kmeans", predictions), {0: "X", 1: "Y", 2: "Z"}, window_days=91
    )
    first, second, third, none = found
    assert (first.customers, first.customer_share) == (2, 50.0)
    assert (first.revenue, first.revenue_share, first.avg_monetary) == (360.0, 90.0, 180.0)
    assert (first.avg_frequency, first.avg_order_value) == (3.0, 60.0)
    assert (first.median_recency_days, first.median_tenure_days) == (48.0, 150.0)
    assert (first.active_share, first.avg_confidence) == (100.0, 0.6)
    assert (second.customers, second.active_share) == (1, 0.0)
    assert (third.customers, third.avg_monetary, third.avg_confidence) == (0, 0.0, 0.0)
    assert (none.segment_type, none.customers, none.avg_confidence) == (NO_PURCHASE_TYPE, 1, 1.0)
