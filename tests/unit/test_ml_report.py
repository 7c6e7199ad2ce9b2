"""The report: its sections, its words, and that it needs nothing from outside."""

import re
from datetime import date

import pandas as pd
import pytest
import yaml

from ml.customer_segmentation.config import NO_PURCHASE_TYPE
from ml.customer_segmentation.naming import SEGMENT_TYPES
from ml.customer_segmentation.profiles import SegmentProfile, profile_segments
from ml.customer_segmentation.report import ReportInput, build_html, build_yaml, headlines
from ml.metrics import Metric


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


def report(*profiles: SegmentProfile, fallback: str | None = None) -> ReportInput:
    return ReportInput(
        as_of=date(1998, 7, 1),
        version="1998-04-01-0a1b2c3d",
        trained_until=date(1998, 4, 1),
        trained_rows=18971,
        window_start=date(1998, 4, 1),
        fallback_from=fallback,
        profiles=profiles,
        metrics=(Metric("silhouette", 0.4, 0.38, 0.42, "rfm_quantile", 0.13),),
    )


FULL = report(
    profile(0, "Champions", 70, customer_share=7.0, revenue_share=39.0, avg_monetary=589.44),
    *(profile(i, name, 100 + i) for i, name in enumerate(SEGMENT_TYPES[1:], start=1)),
    profile(-1, NO_PURCHASE_TYPE, 3, revenue=0.0, avg_monetary=0.0),
)


def test_the_yaml_has_the_sections_of_the_design() -> None:
    content = yaml.safe_load(build_yaml(FULL))
    assert {"segment_distribution", "segment_characteristics", "business_recommendations"} <= set(
        content
    )
    assert content["report"]["as_of"] == "1998-07-01"
    assert content["report"]["model_version"] == "1998-04-01-0a1b2c3d"
    assert content["report"]["customers_scored"] == 70 + 101 + 102 + 103 + 104 + 3
    names = [*SEGMENT_TYPES, NO_PURCHASE_TYPE]
    for section in ("segment_distribution", "segment_characteristics", "business_recommendations"):
        assert [entry["segment_type"] for entry in content[section]] == names
    assert all(entry["action"] for entry in content["business_recommendations"])


def test_the_first_headline_is_who_brings_the_money() -> None:
    first = headlines(FULL)[0]
    assert first == "Champions are 7 % of customers and bring 39 % of revenue: 589.44 each."


def test_the_page_is_self_contained_and_names_what_it_is() -> None:
    page = build_html(FULL)
    without_scripts = re.sub(r"<script.*?</script>", "", page, flags=re.S)
    assert not re.search(r"(src|href)\s*=", without_scripts)
    assert not re.search(r"<script[^>]*\ssrc=", page)
    for text in ("1998-07-01", "1998-04-01-0a1b2c3d", "18,971", "What to do", *SEGMENT_TYPES):
        assert text in without_scripts
    for anchor in ("segment_distribution", "segment_characteristics", "business_recommendations"):
        assert f'<section id="{anchor}">' in page
    assert page.count('id="plot-segment-') == 2


def test_the_page_is_the_same_bytes_every_time() -> None:
    assert build_html(FULL) == build_html(FULL)


def test_a_fallback_is_told_in_both() -> None:
    told = report(profile(0, "Champions", 5), fallback="1998-05-01-ffffffff")
    assert yaml.safe_load(build_yaml(told))["report"]["fallback_from"] == "1998-05-01-ffffffff"
    assert "1998-05-01-ffffffff could not be read" in build_html(told)


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
    (entry,) = yaml.safe_load(build_yaml(report(profile(0, name, 5, **changes))))[
        "business_recommendations"
    ]
    if caution is None:
        assert "caution" not in entry
    else:
        assert caution in entry["caution"]


def test_a_shop_without_buyers_has_a_report() -> None:
    empty = report(profile(0, "Champions", 0), profile(-1, NO_PURCHASE_TYPE, 4))
    assert headlines(empty) == ["No customer has bought anything yet."]
    assert NO_PURCHASE_TYPE in build_html(empty)


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
    first, second, third, none = profile_segments(features, predictions, ("X", "Y", "Z"), 91)
    assert (first.customers, first.customer_share) == (2, 50.0)
    assert (first.revenue, first.revenue_share, first.avg_monetary) == (360.0, 90.0, 180.0)
    assert (first.avg_frequency, first.avg_order_value) == (3.0, 60.0)
    assert (first.median_recency_days, first.median_tenure_days) == (48.0, 150.0)
    assert (first.active_share, first.avg_confidence) == (100.0, 0.6)
    assert (second.customers, second.active_share) == (1, 0.0)
    assert (third.customers, third.avg_monetary, third.avg_confidence) == (0, 0.0, 0.0)
    assert (none.segment_type, none.customers, none.avg_confidence) == (NO_PURCHASE_TYPE, 1, 1.0)
