"""The plain generated world: reproducible, consistent, and wholly before its as_of."""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_generators.world import World, make_world
from elt.specs import SPECS

FOLDER = Path(__file__).resolve().parent
AS_OF = date(2026, 1, 1)
WORLDS = {
    "small": (1, 0.1, 730, AS_OF),
    "tiny and short": (7, 0.001, 30, date(2024, 2, 29)),
    "another year": (3, 0.02, 365, date(1998, 7, 1)),
}

DIGEST_PROGRAM = """
import sys
from datetime import date
sys.path[:0] = sys.argv[1:]
from test_world import digest
from data_generators.world import make_world
print(digest(make_world(5, 0.01, 90, date(2025, 3, 1))))
"""


def digest(world: World) -> str:
    """SHA-256 over every value of every table."""
    total = hashlib.sha256()
    for name, table in world.tables.items():
        for column, values in table.items():
            total.update(f"{name}.{column}:{values.dtype}:{len(values)};".encode())
            if values.dtype == object:
                total.update(repr(values.tolist()).encode())
            else:
                total.update(values.tobytes())
    return total.hexdigest()


@pytest.fixture(scope="module", params=list(WORLDS))
def world(request: pytest.FixtureRequest) -> World:
    return make_world(*WORLDS[request.param])


def cents(values: Any) -> Any:
    """Amounts as whole cents, having checked that they are whole."""
    whole = np.round(values * 100)
    assert np.allclose(values * 100, whole, atol=1e-6)
    return whole.astype(np.int64)


def test_the_same_arguments_give_the_same_bytes_in_another_process() -> None:
    here = digest(make_world(5, 0.01, 90, date(2025, 3, 1)))
    for hash_seed in ("1", "2"):
        there = subprocess.run(
            [sys.executable, "-c", DIGEST_PROGRAM, str(FOLDER), str(FOLDER.parent.parent)],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "TZ": "Asia/Tokyo"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert there.stdout.strip() == here
    assert digest(make_world(6, 0.01, 90, date(2025, 3, 1))) != here


def test_tables_and_columns_are_the_specs(world: World) -> None:
    assert {name: list(table) for name, table in world.tables.items()} == {
        spec.name: [column.name for column in spec.all_columns] for spec in SPECS
    }
    for name, table in world.tables.items():
        assert {len(values) for values in table.values()} == {world.rows[name]}


def test_volumes_follow_the_scale() -> None:
    rows = make_world(1, 0.1, 730, AS_OF).rows
    assert 14_000 < rows.pop("transaction_items") < 16_000
    assert rows.pop("campaign_performance") >= 1_000
    assert rows == {
        "customers": 1_000,
        "customer_demographics": 1_000,
        "transactions": 5_000,
        "customer_segments": 5,
        "customer_segment_mapping": 1_000,
        "campaigns": 10,
        "ab_tests": 5,
        "ab_test_results": 10,
        "sessions": 10_000,
        "page_views": 80_000,
        "events": 60_000,
        "product_interactions": 40_000,
        "search_queries": 30_000,
    }


def test_everything_lies_in_the_history(world: World) -> None:
    args = world.args
    end = np.datetime64(args.as_of, "s")
    start = end - np.timedelta64(args.days * 86_400, "s")
    for spec in SPECS:
        for column in spec.columns:
            if column.type not in ("date", "timestamptz") or column.name == "date_of_birth":
                continue
            values = world.tables[spec.name][column.name]
            assert np.issubdtype(values.dtype, np.datetime64), (spec.name, column.name)
            assert values.max() < end, (spec.name, column.name)
            assert values.min() >= start, (spec.name, column.name)


def test_ids_are_unique_and_row_ids_count_up(world: World) -> None:
    for spec in SPECS:
        table = world.tables[spec.name]
        size = world.rows[spec.name]
        assert len(set(table[spec.business_key].tolist())) == size, spec.name
        if spec.key.name == "row_id":
            assert table["row_id"].tolist() == list(range(1, size + 1))
        else:
            assert len({str(value) for value in table["_id"].tolist()}) == size


def test_order_amounts_add_up_to_the_cent(world: World) -> None:
    items, orders = world.tables["transaction_items"], world.tables["transactions"]
    price = items["unit_price"] * (1 - items["discount_percent"] / 100)
    assert np.abs(items["line_total"] - items["quantity"] * price).max() <= 0.01
    lines: Counter[str] = Counter()
    for order, amount in zip(
        items["transaction_id"], cents(items["line_total"]).tolist(), strict=True
    ):
        lines[order] += amount
    totals = cents(orders["total_amount"]) + cents(orders["discount_amount"])
    assert dict(zip(orders["transaction_id"], totals.tolist(), strict=True)) == dict(lines)
    assert orders["total_amount"].min() > 0
    assert set(orders["order_status"]) >= {"completed", "delivered", "cancelled"}


def test_campaign_and_test_figures_are_consistent(world: World) -> None:
    daily, results = world.tables["campaign_performance"], world.tables["ab_test_results"]
    for table in (daily, results):
        assert (table["conversions"] <= table["clicks"]).all()
        assert (table["clicks"] <= table["impressions"]).all()
        seen = np.maximum(table["impressions"], 1)
        assert np.abs(table["ctr"] - table["clicks"] / seen).max() <= 1e-8
    clicked = np.maximum(daily["clicks"], 1)
    assert np.abs(daily["conversion_rate"] - daily["conversions"] / clicked).max() <= 1e-8
    seen = np.maximum(results["impressions"], 1)
    assert np.abs(results["conversion_rate"] - results["conversions"] / seen).max() <= 1e-8
    tests = world.tables["ab_tests"]
    both = results["impressions"].reshape(-1, 2).sum(axis=1)
    assert both.tolist() == tests["sample_size"].tolist()
    assert results["variant"].tolist() == ["A", "B"] * world.rows["ab_tests"]


def test_every_reference_has_its_target(world: World) -> None:
    tables = world.tables
    known = {
        "customer_id": set(tables["customers"]["customer_id"]) | {None},
        "transaction_id": set(tables["transactions"]["transaction_id"]),
        "segment_id": set(tables["customer_segments"]["segment_id"]),
        "campaign_id": set(tables["campaigns"]["campaign_id"]),
        "test_id": set(tables["ab_tests"]["test_id"]),
        "session_id": set(tables["sessions"]["session_id"]),
        "product_id": set(tables["transaction_items"]["product_id"])
        | set(tables["product_interactions"]["product_id"]),
    }
    for table in tables.values():
        for column in known.keys() & table.keys():
            assert set(table[column]) <= known[column]
    tagged = [utm for utm in tables["sessions"]["utm"] if utm is not None]
    assert tagged
    names = dict(
        zip(tables["campaigns"]["campaign_name"], tables["campaigns"]["channel"], strict=True)
    )
    assert all(names[utm["campaign"]].lower() == utm["source"] for utm in tagged)


def test_nobody_acts_before_registering_or_outside_the_session(world: World) -> None:
    tables = world.tables
    customers, orders, sessions = (tables[n] for n in ("customers", "transactions", "sessions"))
    since = dict(zip(customers["customer_id"], customers["created_at"], strict=True))
    assert (orders["order_date"] >= np.array([since[c] for c in orders["customer_id"]])).all()
    at = {name: place for place, name in enumerate(sessions["session_id"])}
    assert (sessions["session_end"] - sessions["session_start"]).astype(int).tolist() == sessions[
        "duration_seconds"
    ].tolist()
    for name in ("page_views", "events", "product_interactions", "search_queries"):
        table = tables[name]
        place = np.array([at[session] for session in table["session_id"]])
        assert (table["customer_id"] == sessions["customer_id"][place]).all()
        assert (table["timestamp"] >= sessions["session_start"][place]).all()
        assert (table["timestamp"] <= sessions["session_end"][place]).all()
    views = tables["page_views"]
    first = views["sequence"] == 1
    assert set(views["session_id"][first]) == set(sessions["session_id"])
    assert first.sum() == world.rows["sessions"]


def test_customers_differ_enough_to_be_told_apart() -> None:
    world = make_world(1, 0.1, 730, AS_OF)
    orders, sessions = world.tables["transactions"], world.tables["sessions"]
    counts = np.array(list(Counter(orders["customer_id"].tolist()).values()))
    # Equal customers would be Poisson, whose variance is its mean.
    assert counts.var() / counts.mean() > 3
    last: dict[str, Any] = {}
    for customer, placed in zip(orders["customer_id"], orders["order_date"], strict=True):
        last[customer] = placed
    quiet = np.array([(np.datetime64(AS_OF) - day).astype(int) for day in last.values()])
    days = quiet / 86_400
    assert (days > 180).mean() > 0.2
    assert (days < 30).mean() > 0.2
    spent: Counter[str] = Counter()
    for customer, amount in zip(orders["customer_id"], orders["total_amount"], strict=True):
        spent[customer] += amount
    top = sorted(spent.values(), reverse=True)[: len(spent) // 5]
    assert 0.5 < sum(top) / sum(spent.values()) < 0.95
    anonymous = sum(customer is None for customer in sessions["customer_id"]) / 10_000
    assert 0.2 < anonymous < 0.35


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((-1, 1, 730, AS_OF), "SEED"),
        ((1, 0, 730, AS_OF), "SCALE"),
        ((1, float("nan"), 730, AS_OF), "SCALE"),
        ((1, 1, 29, AS_OF), "DAYS"),
    ],
)
def test_arguments_out_of_range_are_named(arguments: tuple[Any, ...], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make_world(*arguments)
