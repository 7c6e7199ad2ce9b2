"""The marts of a generated company against pandas and against the truth that it was made from.

Nothing in it is defective, so that every row counts. ``AMATO_TRUTH_SCALE`` is its size
(default 0.1).
"""

import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pandas as pd
import psycopg
import pytest
from scipy.stats import binomtest

from data_generators.args import WorldArgs
from data_generators.generate import generate
from data_generators.ledger import read_ledger
from tests.conftest import Servers, fresh_warehouse
from tests.integration import company_frames
from tests.integration.company_frames import Frames, Visits, rounded
from tests.integration.dbt_support import build_all, query
from tests.integration.rfm_support import actual_rfm, expected_rfm
from tests.integration.source_support import FreshSources, open_sources
from tests.integration.test_dbt_truth import load_night

ARGS = WorldArgs(
    seed=23,
    scale=float(os.environ.get("AMATO_TRUTH_SCALE", "0.1")),
    days=365,
    as_of=date(2026, 1, 1),
    defects="none",
)
NIGHTS = tuple(ARGS.as_of + timedelta(days=days) for days in (0, 1, 20))
NIGHT = NIGHTS[-1]
END = datetime(NIGHT.year, NIGHT.month, NIGHT.day, tzinfo=UTC)
MODELS = ("first_touch", "last_touch", "linear", "position_based", "time_decay")


@dataclass(frozen=True)
class Company:
    """A warehouse with all marts as of NIGHT, the rows that went in, and the truth."""

    url: str
    frames: Frames
    visits: Visits
    truth: dict[str, pd.DataFrame]
    reconciled: list[tuple[Decimal, ...]]


@pytest.fixture(scope="module")
def company(
    servers: Servers, fresh_sources: FreshSources, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Company]:
    folder = tmp_path_factory.mktemp("company")
    with contextmanager(fresh_warehouse)(servers) as url:
        with fresh_sources() as urls, open_sources(urls) as sources:
            reconciled = []
            for night in NIGHTS:
                generate(ARGS, night, **sources.all(), truth=folder / "truth")
                load_night(url, sources, night)
                results = build_all(url, folder / "home", night)
                assert {result.status for result in results} == {"success", "pass"}
                reconciled.append(attributed(url))
        frames = company_frames.read_frames(url, NIGHT)
        ledger = {name: table.to_pandas() for name, table in read_ledger(folder / "truth").items()}
        yield Company(url, frames, company_frames.visits(frames, END), ledger, reconciled)


def rows(url: str, text: str) -> list[dict[str, Any]]:
    with psycopg.connect(url, row_factory=psycopg.rows.dict_row) as conn:
        return conn.execute(text.encode()).fetchall()


def attributed(url: str) -> tuple[Decimal, ...]:
    """The purchases' revenue, and what each model attributes of it, to channels and to orders."""
    sums = ", ".join(f"sum(revenue_{model})" for model in MODELS)
    (charged,) = query(url, "select sum(total_amount) from marts.fct_orders where is_purchase")
    (channels,) = query(url, f"select {sums} from marts.channel_attribution")
    (orders,) = query(url, f"select {sums} from intermediate.int_attribution__credited")
    return (*charged, *channels, *orders)


def test_every_model_attributes_all_revenue_on_every_night(company: Company) -> None:
    assert len(company.reconciled) == len(NIGHTS)
    for charged, *shares in company.reconciled:
        assert shares == [charged] * 10
    assert len({night[0] for night in company.reconciled}) == len(NIGHTS)
    cents = company_frames.purchases(company.frames)["cents"].sum()
    assert company.reconciled[-1][0] == Decimal(int(cents)) / 100
    # campaigns and their days have what the channels' tagged sessions have
    sums = ", ".join(f"sum(revenue_{model})" for model in MODELS)
    tagged = query(
        company.url, f"select {sums} from intermediate.int_attribution__credited"
        " where campaign_id is not null",
    )  # fmt: skip
    for mart in ("campaign_performance", "fct_campaign_daily"):
        assert query(company.url, f"select {sums} from marts.{mart}") == tagged


def test_rfm_equals_pandas_on_all_rows(company: Company) -> None:
    expected = expected_rfm(company_frames.purchases(company.frames), NIGHT)
    actual = actual_rfm(company.url, list(expected.columns))
    assert len(actual) > 300 * ARGS.scale / 0.1
    pd.testing.assert_frame_equal(actual, expected, check_dtype=False)
    by_segment = expected.groupby("rfm_segment")
    money = expected["monetary_value"].map(Decimal).groupby(expected["rfm_segment"]).sum()
    assert {
        row["rfm_segment"]: (row["customers"], row["avg_value"], row["avg_orders"])
        for row in rows(company.url, "select * from marts.rfm_segment_summary")
    } == {
        segment: (
            len(part),
            rounded(Fraction(money[segment]) / len(part), 2),
            rounded(Fraction(int(part["frequency"].sum()), len(part)), 4),
        )
        for segment, part in by_segment
    }


def test_sessions_belong_to_whom_they_belong(company: Company) -> None:
    """Stitching and bots against the truth."""
    told = pd.DataFrame(
        rows(company.url, "select session_id, customer_id, is_identified_by_stitching, is_bot,"
             " anonymous_id from marts.fct_sessions")
    )  # fmt: skip
    truth = company.truth["sessions"].merge(told, on="session_id", suffixes=("_true", ""))
    assert len(truth) == len(told) == len(company.visits.sessions)
    bots, called = truth["bot"], truth["is_bot"]
    assert bots.sum() > 50
    assert (bots & called).sum() >= 0.95 * bots.sum()
    assert (bots & called).sum() >= 0.99 * called.sum()

    # nobody signs in under another's cookie: what is stitched is right
    stitched = truth[truth["is_identified_by_stitching"]]
    assert len(stitched) > 500
    assert (stitched["customer_id"] == stitched["customer_id_true"]).all()
    signed_in = truth[truth["signed_in"]]
    assert (signed_in["customer_id"] == signed_in["customer_id_true"]).all()
    # and all is stitched that can be: the customer signed in at some time under that cookie
    anonymous = truth[~truth["signed_in"] & truth["customer_id_true"].notna()]
    known = set(signed_in["anonymous_id_true"])
    can_be = anonymous["anonymous_id_true"].isin(known)
    assert (anonymous["customer_id"].notna() == can_be).all()
    assert can_be.mean() > 0.7
    strangers = truth[truth["customer_id_true"].isna()]
    assert strangers["customer_id"].isna().all()


def test_journeys_equal_pandas(company: Company) -> None:
    expected = company_frames.journeys(company.frames, company.visits, NIGHT)
    found = {
        row["customer_id"]: row for row in rows(company.url, "select * from marts.customer_journey")
    }
    assert found.keys() == expected.keys()
    wrong = [
        (customer, name, found[customer][name], value)
        for customer, row in expected.items()
        for name, value in row.items()
        if found[customer][name] != value
    ]
    assert wrong == []
    types = defaultdict(list)
    for row in expected.values():
        types[row["journey_type"]].append(row["conversion_status"] == "Converted")
    assert set(types) == {"Explorer", "Converter", "Browser", "Abandoner"}
    assert {
        row["journey_type"]: (row["customers"], row["conversion"])
        for row in rows(company.url, "select * from marts.journey_type_summary")
    } == {kind: (len(them), rounded(Fraction(sum(them), len(them)), 6))
          for kind, them in types.items()}  # fmt: skip


def test_the_funnel_equals_exact_fractions(company: Company) -> None:
    expected = company_frames.funnel(company.visits, END)
    found = {
        tuple(row[:3]): tuple(row[3:])
        for row in query(company.url, """
            select breakdown, breakdown_value, step_number, entered, reached_previous, reached,
                censored, step_conversion_rate, overall_conversion_rate, estimated_conversion_rate,
                median_hours_to_step, median_hours_of_converted
            from marts.conversion_funnel where breakdown <> 'channel'
        """)
    }  # fmt: skip
    assert found == expected
    assert any(row[3] for row in expected.values())
    assert found["all", "all", 5][2] > 50


def test_campaigns_and_channels_equal_pandas(company: Company) -> None:
    daily = company.frames["campaign_performance"]
    names = ["impressions", "clicks", "conversions", "spend", "revenue"]
    campaigns = company.frames["campaigns"].set_index("campaign_id")
    totals = daily.groupby("campaign_id")[names].sum().reindex(campaigns.index, fill_value=0)
    found = rows(company.url, "select * from marts.campaign_performance")
    assert {row["campaign_id"] for row in found} == set(campaigns.index)
    for row in found:
        expect_ratios(row, totals.loc[row["campaign_id"]], "overall_roas")
    for rank, name in (("revenue_rank", "total_revenue"), ("roas_rank", "overall_roas"),
                       ("conversion_rank", "overall_conversion_rate")):  # fmt: skip
        ranked = sorted(
            (row for row in found if row[name] is not None),
            key=lambda row: (-row[name], row["campaign_id"]),
        )
        assert [row[rank] for row in ranked] == list(range(1, len(ranked) + 1))
    by_channel = totals.groupby(campaigns["channel"]).sum()
    found = rows(company.url, "select * from marts.channel_performance")
    assert {row["channel"] for row in found} == set(by_channel.index)
    for row in found:
        expect_ratios(row, by_channel.loc[row["channel"]], "avg_roas")
        mine = campaigns[campaigns["channel"] == row["channel"]]
        assert (row["campaigns"], row["total_budget"]) == (len(mine), mine["budget"].sum())


def expect_ratios(row: dict[str, Any], sums: Any, roas: str) -> None:
    """Sums, ratios of sums with Wilson's intervals, and what is withheld."""
    impressions, clicks, conversions = (
        int(sums[name]) for name in ("impressions", "clicks", "conversions")
    )
    assert [row[f"total_{name}"] for name in ("impressions", "clicks", "conversions")] == [
        impressions, clicks, conversions
    ]  # fmt: skip
    assert (row["total_spend"], row["total_revenue"]) == (sums["spend"], sums["revenue"])
    expect_rate(row, "ctr", clicks, impressions, 1000)
    expect_rate(row, "conversion_rate", conversions, clicks, 100)
    if conversions < 5 or not sums["spend"]:
        assert row[roas] is None
    else:
        assert row[roas] == rounded(Fraction(sums["revenue"]) / Fraction(sums["spend"]), 10)


def expect_rate(row: dict[str, Any], name: str, part: int, whole: int, least: int) -> None:
    found = [row[f"overall_{name}"], row[f"{name}_low"], row[f"{name}_high"]]
    if whole < least:
        assert found == [None] * 3
        return
    interval = binomtest(part, whole).proportion_ci(0.95, method="wilson")
    assert found[0] == rounded(Fraction(part, whole), 10)
    assert [float(bound) for bound in found[1:]] == pytest.approx(
        [interval.low, interval.high], abs=1e-9
    )


def test_customers_history_is_raws_versions(company: Company) -> None:
    """Without duplicates, each version of a row is a version of its customer."""
    columns = "email, phone, address, city, country, is_active, updated_at"
    raw = rows(
        company.url,
        f"select customer_id, _valid_from as valid_from, _valid_to as valid_to, {columns}"
        " from raw_mysql.customers order by customer_id, _valid_from",
    )
    found = rows(
        company.url,
        f"select customer_id, valid_from, valid_to, {columns}, is_current"
        " from marts.dim_customers order by customer_id, valid_from",
    )
    assert len(found) == len(raw) > len({row["customer_id"] for row in raw})
    for version, row in zip(found, raw, strict=True):
        assert version["is_current"] == (row["valid_to"] is None)
        for name in ("customer_id", "valid_from", "valid_to", "city", "updated_at"):
            assert version[name] == row[name], (row["customer_id"], name)
    spans: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for version in found:
        spans[version["customer_id"]].append(version)
    changed = deleted = 0
    for versions in spans.values():
        changed += len(versions) > 1
        # no gap, no overlap, and one current version unless the shop deleted the customer
        for earlier, later in pairwise(versions):
            assert earlier["valid_to"] == later["valid_from"]
        assert not any(version["is_current"] for version in versions[:-1])
        deleted += not versions[-1]["is_current"]
    assert changed > 0
    current = {key for key, versions in spans.items() if versions[-1]["is_current"]}
    assert current == set(company.frames["customers"]["customer_id"])
    assert len(spans) - len(current) == deleted
