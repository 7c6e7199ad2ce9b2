"""The page of the generated company: its numbers by hand, CDNOW's from the file, its bytes."""

from __future__ import annotations

import gzip
import re
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from data_generators import report_numbers as numbers
from data_generators.args import WorldArgs
from data_generators.company.visits import ABANDONER, BROWSER, CONVERTER, VISITOR
from data_generators.company.world import make_world
from data_generators.report import build_page, write_world_report
from data_generators.tables.orders import transactions

CDNOW = Path(__file__).resolve().parents[1] / "data" / "CDNOW_master.txt.gz"
NEVER = np.datetime64("NaT", "s")


def times(*texts: str) -> Any:
    return np.array(texts, dtype="datetime64[s]")


def test_cdnows_distribution_is_that_of_its_file() -> None:
    days = defaultdict(set)
    with gzip.open(CDNOW, "rt") as handle:
        for line in handle.read().splitlines()[1:]:
            customer, day, *_ = line.split()
            days[customer].add(datetime.strptime(day, "%Y%m%d").date())
    watched = timedelta(days=462)
    assert max(min(d) for d in days.values()) + watched == date(1998, 6, 30)
    repeats = [sum(day < min(d) + watched for day in d) - 1 for d in days.values()]
    counts = Counter(min(n, 10) for n in repeats)
    assert tuple(counts[n] for n in range(11)) == numbers.CDNOW_CUSTOMERS
    assert sum(numbers.CDNOW_CUSTOMERS) == 23_570
    assert sum(repeats) == numbers.CDNOW_REPEATS


def test_weeks_are_whole_and_leave_out_what_came_back() -> None:
    start, until = np.datetime64("2024-01-01", "s"), np.datetime64("2024-01-17", "s")
    orders = SimpleNamespace(
        placed=times(
            "2024-01-02T23:59:59", "2024-01-03", "2024-01-09T23:59:59", "2024-01-10",
            "2024-01-11", "2024-01-12", "2024-01-16T23:59:59",
        ),
        cancelled=np.array([NEVER] * 4 + [np.datetime64("2024-01-12", "s"), NEVER, NEVER]),
        returned=np.array([NEVER] * 5 + [until, NEVER]),  # comes back only later
    )  # fmt: skip
    sessions = SimpleNamespace(order=np.array([-1, 1, 2, 4]), campaign=np.array([3, 0, -1, 5]))
    weekly = numbers.weekly(
        orders, np.array([1, 200, 400, 800, 1600, 3200, 6400]), sessions,
        np.arange(16) * 100, start, until,
    )  # fmt: skip
    # 16 days: the first two belong to no whole week.
    assert weekly.begins.astype(str).tolist() == ["2024-01-03", "2024-01-10"]
    assert weekly.revenue.tolist() == [6, 104]
    assert weekly.tagged.tolist() == [2, 0]
    assert weekly.spend.tolist() == [sum(range(2, 9)), sum(range(9, 16))]


def test_repeats_are_days_soon_after_the_first_and_only_of_those_watched_so_long() -> None:
    day = np.datetime64("2022-01-01", "s")
    last, end = day + np.timedelta64(461, "D"), day + np.timedelta64(462, "D")
    placed = [
        (0, day), (0, day + 3600), (0, last), (0, end),  # 1 repeat
        (1, day),  # 0
        *((2, day + np.timedelta64(n, "D")) for n in range(12)),
        (3, day + np.timedelta64(1, "D")), (3, last),  # watched for a day less
    ]  # fmt: skip
    customer, at = (np.array(values) for values in zip(*placed, strict=True))
    assert numbers.repeats_within(customer, at, end, 462).tolist() == [1, 0, 11]
    assert numbers.repeats_within(customer, at, end, 461).tolist() == [0, 0, 11, 1]
    assert numbers.repeats_within(customer[:0], at[:0], end, 10).tolist() == []


def test_customers_are_watched_until_their_repeats_have_cdnows_mean() -> None:
    start, until = np.datetime64("2022-01-01", "s"), np.datetime64("2024-01-01", "s")
    customer = np.repeat(np.arange(50), 12)
    at = start + np.tile(np.arange(12) * 10, 50) * np.timedelta64(1, "D")  # every tenth day
    found = numbers.repeat_purchases(customer, at, start, until)
    assert (found.days, found.total) == (21, 100)  # the second repeat is on the 21st day
    assert found.customers.tolist() == [0, 0, 50, *[0] * 8]
    never = numbers.repeat_purchases(np.arange(50), at[::12], start, until)
    assert (never.days, never.total) == (365, 0)
    nobody = numbers.repeat_purchases(customer[:0], at[:0], start, until)
    assert nobody.customers.tolist() == [0] * 11


def make_sessions() -> Any:
    return SimpleNamespace(
        bot=np.array([False, False, False, False, True, False]),
        erased=np.array([NEVER] * 5 + [np.datetime64("2024-01-14", "s")]),
        products=np.array([0, 2, 1, 3, 9, 1]),
        stage=np.array([VISITOR, BROWSER, ABANDONER, CONVERTER, BROWSER, CONVERTER]),
        order=np.array([-1, -1, -1, 7, -1, 8]),
        start=times(
            "2024-01-01T00:00:00", "2024-01-01T00:59:59", "2024-01-08T00:30:00",
            "2024-01-07T23:00:00", "2024-01-03T12:00:00", "2024-01-03T12:00:00",
        ),
    )  # fmt: skip


def test_funnel_counts_people_who_are_still_there() -> None:
    until = np.datetime64("2024-01-15", "s")
    assert numbers.funnel(make_sessions(), until) == numbers.Funnel(4, 3, 2, 1)
    before_erasure = numbers.funnel(make_sessions(), np.datetime64("2024-01-14", "s"))
    assert before_erasure == numbers.Funnel(5, 4, 3, 2)


def test_traffic_is_a_mean_per_hour_of_each_weekday() -> None:
    start, until = np.datetime64("2024-01-01", "s"), np.datetime64("2024-01-15", "s")
    traffic = numbers.traffic(make_sessions(), start, until)  # 2024-01-01 is a Monday
    assert traffic.shape == (7, 24)
    assert traffic[0, 0] == 1.5  # three visits on two Mondays
    assert traffic[6, 23] == 0.5
    assert traffic.sum() == 2.0


@pytest.fixture(scope="module")
def world() -> Any:
    return make_world(WorldArgs(7, 0.05, 730, date(2024, 7, 1)))


def test_the_page_is_self_contained_and_the_same_every_time(world: Any, tmp_path: Path) -> None:
    path = tmp_path / "reports" / "world.html"
    write_world_report(world, path, {"customers": 12_345})
    text = path.read_text()
    for plot in ("plot-revenue", "plot-repeats", "plot-funnel", "plot-traffic"):
        assert f'id="{plot}"' in text
    assert "12,345" in text
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=", text)
    assert [entry.name for entry in path.parent.iterdir()] == ["world.html"]
    write_world_report(world, tmp_path / "again.html", {"customers": 12_345})
    assert (tmp_path / "again.html").read_bytes() == path.read_bytes()


def test_the_page_tells_no_planted_truth(world: Any) -> None:
    """Neither a word of it, nor numbers that tell caused orders apart from others."""
    page = build_page(world, {})
    body = page[page.index("<body>") :].lower()
    for word in ("incremental", "organic", "lift", "churned", "dropout", "carry"):
        assert not re.search(rf"\b{word}", body), word
    caused = world.orders.kind == 1
    cents = world.orders.value_cents[caused].sum()
    assert f"{cents / 100:,.0f}" not in page


def test_the_pictures_agree_with_the_tables(world: Any) -> None:
    """Revenue and orders, from the rows of the transactions table."""
    revenue, orders = 0.0, 0
    for rows in transactions(world):
        status = rows.columns["order_status"].values()
        sound = ~np.isin(status.astype(str), ("cancelled", "returned"))
        revenue += float(rows.columns["total_amount"][sound].sum())
        orders += int(sound.sum())
    page = build_page(world, {})
    assert f"<b>{orders:,}</b><span>orders, neither" in page
    assert f"<b>{revenue:,.0f}</b><span>their revenue" in page


def test_a_short_history_has_a_page_too() -> None:
    page = build_page(make_world(WorldArgs(7, 0.002, 30, date(2024, 7, 1))), {})
    assert "Too few customers" in page and "plot-funnel" in page
