"""Marketing: campaigns, their daily figures, and A/B tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generators.pools import ids, objects, pick

Array = npt.NDArray[Any]
Table = dict[str, Array]
Count = Callable[..., int]

CHANNELS = ("Facebook", "Google", "Email", "Instagram", "LinkedIn")
TYPES = ("awareness", "acquisition", "retention", "promotion")
AUDIENCES = ("all customers", "new customers", "lapsed customers", "high value customers")
DAY = np.timedelta64(1, "D")
END_OF_DAY = np.timedelta64(23 * 3600 + 1800, "s")


def make_marketing(
    rng: np.random.Generator, count: Count, start: np.datetime64, end: np.datetime64
) -> dict[str, Table]:
    """Make the four tables of the history ``[start, end)``."""
    campaigns = _campaigns(rng, count(100, 10), start, end)
    performance = _performance(rng, campaigns)
    spent = np.zeros(len(campaigns["row_id"]))
    np.add.at(spent, performance.pop("campaign"), performance["spend"])
    campaigns["budget"] = np.round(spent * rng.uniform(0.9, 1.5, len(spent)), -1) + 10.0
    tests, results = _ab_tests(rng, count(50, 5), campaigns)
    return {
        "campaigns": campaigns,
        "campaign_performance": performance,
        "ab_tests": tests,
        "ab_test_results": results,
    }


def _campaigns(
    rng: np.random.Generator, size: int, start: np.datetime64, end: np.datetime64
) -> Table:
    first, last = start.astype("datetime64[D]"), end.astype("datetime64[D]") - DAY
    days = (last - first).astype(np.int64)
    length = np.minimum(rng.integers(60, 181, size), days)
    # A fifth of them still run on the last day.
    offset = np.where(
        np.arange(size) % 5 == 4, days - length, (rng.random(size) * (days - length)).astype(int)
    )
    offset = offset[np.argsort(offset + length, kind="stable")]
    begins = first + np.sort(offset)
    ends = np.minimum(begins + length, last)
    channels = objects(CHANNELS)[rng.permutation(np.arange(size) % len(CHANNELS))]
    types = pick(rng, TYPES, size)
    return {
        "row_id": np.arange(1, size + 1),
        "campaign_id": ids("CAMP", size, 4),
        "campaign_name": objects(
            f"{channel} {kind} {number:03d}"
            for number, (channel, kind) in enumerate(zip(channels, types, strict=True), 1)
        ),
        "campaign_type": types,
        "channel": channels,
        "target_audience": pick(rng, AUDIENCES, size),
        "start_date": begins,
        "end_date": ends,
        "budget": np.zeros(size),
        "status": np.where(ends == last, objects(["active"]), objects(["completed"])),
        "created_at": begins.astype("datetime64[s]"),
        "updated_at": ends + END_OF_DAY,
    }


def _performance(rng: np.random.Generator, campaigns: Table) -> Table:
    """One row per campaign and day, by date; ``campaign`` is the campaign's index."""
    count = len(campaigns["row_id"])
    days = (campaigns["end_date"] - campaigns["start_date"]).astype(np.int64) + 1
    campaign = np.repeat(np.arange(count), days)
    day = np.arange(days.sum()) - np.repeat(np.cumsum(days) - days, days)
    dates = campaigns["start_date"][campaign] + day
    by_date = np.argsort(dates, kind="stable")
    campaign, dates = campaign[by_date], dates[by_date]
    size = len(campaign)
    # Each campaign has its own reach, click rate, conversion rate, price and order value.
    reach, mille, value = np.exp(rng.normal([[8.0], [1.8], [3.8]], 0.5, (3, count)))
    impressions = rng.poisson(reach[campaign] * np.exp(rng.normal(0, 0.2, size)))
    clicks = rng.binomial(impressions, rng.beta(4, 150, count)[campaign])
    conversions = rng.binomial(clicks, rng.beta(4, 90, count)[campaign])
    return {
        "row_id": np.arange(1, size + 1),
        "performance_id": ids("PERF", size, 7),
        "campaign_id": campaigns["campaign_id"][campaign],
        "date": dates,
        "impressions": impressions,
        "clicks": clicks,
        "conversions": conversions,
        "spend": np.round(impressions * mille[campaign] / 1000, 2),
        "revenue": np.round(conversions * value[campaign], 2),
        "ctr": _rate(clicks, impressions),
        "conversion_rate": _rate(conversions, clicks),
        "created_at": dates + END_OF_DAY,
        "campaign": campaign,
    }


def _ab_tests(rng: np.random.Generator, size: int, campaigns: Table) -> tuple[Table, Table]:
    """Tests that run as long as their campaign; conversion rates are over impressions."""
    campaign = rng.integers(0, len(campaigns["row_id"]), size)
    test_ids = ids("TEST", size, 4)
    test = np.repeat(np.arange(size), 2)
    is_b = np.arange(2 * size) % 2
    impressions = rng.poisson(np.exp(rng.normal(8.5, 0.5, size))[test])
    lift = np.where(is_b == 1, np.exp(rng.normal(0.05, 0.15, size))[test], 1.0)
    clicks = rng.binomial(impressions, np.minimum(rng.beta(8, 100, size)[test] * lift, 0.9))
    conversions = rng.binomial(clicks, np.minimum(rng.beta(8, 60, size)[test] * lift, 0.9))
    ends = campaigns["end_date"][campaign]
    tests = {
        "row_id": np.arange(1, size + 1),
        "test_id": test_ids,
        "test_name": objects(
            f"{what} test {number:03d}"
            for number, what in enumerate(pick(rng, ("headline", "image", "offer"), size), 1)
        ),
        "campaign_id": campaigns["campaign_id"][campaign],
        "variant_a_description": objects(["the present version"] * size),
        "variant_b_description": pick(rng, ("shorter", "bolder", "with a discount"), size),
        "start_date": campaigns["start_date"][campaign],
        "end_date": ends,
        "sample_size": np.bincount(test, impressions, size).astype(np.int64),
        "test_status": np.where(
            campaigns["status"][campaign] == "active", objects(["running"]), objects(["completed"])
        ),
        "created_at": campaigns["created_at"][campaign],
        "updated_at": campaigns["updated_at"][campaign],
    }
    results = {
        "row_id": np.arange(1, 2 * size + 1),
        "result_id": ids("RES", 2 * size, 4),
        "test_id": test_ids[test],
        "variant": objects("AB")[is_b],
        "impressions": impressions,
        "clicks": clicks,
        "conversions": conversions,
        "revenue": np.round(conversions * np.exp(rng.normal(3.8, 0.3, 2 * size)), 2),
        "ctr": _rate(clicks, impressions),
        "conversion_rate": _rate(conversions, impressions),
        "created_at": ends[test] + END_OF_DAY,
    }
    return tests, results


def _rate(part: Array, whole: Array) -> Array:
    """``part / whole`` to eight decimals; 0 where there is no whole."""
    return np.round(part / np.maximum(whole, 1), 8)
