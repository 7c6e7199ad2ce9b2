from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from data_generators.args import WorldArgs
from data_generators.company.customers import SEGMENTS
from data_generators.company.world import World, make_world
from data_generators.tables import BUILDERS, sizes
from data_generators.tables.customers import accented
from data_generators.tables.keys import latest, numbered
from data_generators.tables.rows import Coded, Rows
from data_generators.tables.segments import assignments
from elt.specs import MYSQL

AS_OF = date(2026, 1, 1)


def make(scale: float, days: int = 0, seed: int = 1, defects: str = "none") -> World:
    return make_world(WorldArgs(seed, scale, 730, AS_OF, defects=defects), AS_OF + _days(days))


def _days(days: int) -> timedelta:
    return timedelta(days=days)


@pytest.fixture(scope="module")
def world() -> World:
    return make(0.1)


@pytest.fixture(scope="module")
def later() -> World:
    return make(0.1, days=45)


def table(world: World, name: str) -> dict[str, Any]:
    """The columns of a table, as arrays of plain values; and what Rows has beside them."""
    parts = list(BUILDERS[name](world))
    columns: dict[str, Any] = {
        column.name: np.concatenate([_values(part, column.name) for part in parts])
        for column in parts[0].spec.columns
    }
    for extra in ("number", "made", "changed", "deleted"):
        columns[f"_{extra}"] = np.concatenate([getattr(part, extra) for part in parts])
    return columns


def _values(rows: Rows, name: str) -> Any:
    column = rows.columns[name]
    values = column.values() if isinstance(column, Coded) else column
    return values.astype(str).astype(object) if values.dtype.kind == "S" else values


@pytest.mark.parametrize("spec", MYSQL, ids=lambda spec: spec.name)
def test_rows_have_the_declared_columns_and_are_numbered_by_time(spec: Any, later: World) -> None:
    parts = list(BUILDERS[spec.name](later))
    for part in parts:
        assert set(part.columns) == {column.name for column in spec.columns}
        assert all(len(column) == len(part) for column in part.columns.values())
        assert (part.made <= part.changed).all()
        assert (part.changed < later.until).all()
        assert not (part.deleted <= part.changed).any()
    number = np.concatenate([part.number for part in parts])
    assert number.tolist() == list(range(sizes(later)[spec.name][0]))
    made = np.concatenate([part.made for part in parts])
    assert (np.diff(made).astype(np.int64) >= 0).all()


@pytest.mark.parametrize("spec", MYSQL, ids=lambda spec: spec.name)
def test_a_later_world_only_adds_and_changes(spec: Any, world: World, later: World) -> None:
    before, after = table(world, spec.name), table(later, spec.name)
    size = len(before["_number"])
    assert size == sizes(later)[spec.name][1]
    same = after["_changed"][:size] < world.until
    assert same.sum() > 0.8 * size
    for name in before:
        if name != "_deleted":
            assert (before[name] == after[name][:size])[same].all(), name
    assert (after["_made"][size:] >= world.until).all()


@pytest.mark.parametrize("scale", [0.05, 1])
def test_volumes_of_the_base_history(scale: float) -> None:
    world = make(scale, defects="default")
    size = {name: total for name, (total, _) in sizes(world).items()}
    assert size["customers"] == size["customer_demographics"] == 9_960 * scale
    assert size["customer_segments"] == 5
    assert size["customer_segment_mapping"] == pytest.approx(10_000 * scale, rel=0.02)
    assert size["transactions"] == pytest.approx(50_000 * scale, rel=0.02)
    assert size["transaction_items"] == pytest.approx(150_000 * scale, rel=0.02)


def test_emails_are_valid_and_of_one_customer(later: World) -> None:
    customers = table(later, "customers")
    emails = customers["email"].tolist()
    assert len(set(emails)) == len(emails)
    assert all(email.isascii() and email == email.lower() for email in emails)
    assert all(email.endswith("@example.com") for email in emails)
    names = np.array([not (f + s).isascii() for f, s in _names(customers)])
    assert (names == accented(later)).all()
    assert 0.01 < names.mean() < 0.2


def _names(customers: dict[str, Any]) -> list[tuple[str, str]]:
    return list(zip(customers["first_name"], customers["last_name"], strict=True))


def test_customers_change_over_time(world: World, later: World) -> None:
    before, after = table(world, "customers"), table(later, "customers")
    size = len(before["_number"])
    for name in ("email", "address", "is_active"):
        moved = before[name] != after[name][:size]
        assert 0 < moved.sum() < 0.1 * size
        assert (after["updated_at"][:size][moved] >= world.until).all()
    assert (before["first_name"] == after["first_name"][:size]).all()
    moved = before["address"] != after["address"][:size]
    assert (before["city"] != after["city"][:size])[moved].mean() > 0.9
    left = ~np.isnat(world.organic.churned)
    assert (before["is_active"][~left] == 1).all()
    assert 0.1 < (before["is_active"][left] == 0).mean() < 0.5


def test_demographics_fit_the_customer(world: World) -> None:
    customers, profiles = table(world, "customers"), table(world, "customer_demographics")
    assert (customers["customer_id"] == profiles["customer_id"]).all()
    at = profiles["updated_at"].astype("datetime64[D]") - customers["date_of_birth"]
    years = at.astype(np.int64) / 365.25
    assert years.min() >= 18
    for group, least, most in (("18-24", 0, 25), ("45-54", 45, 55), ("65+", 65, 200)):
        of_group = profiles["age_group"] == group
        assert of_group.any()
        assert ((years >= least) & (years < most) == of_group).all()


def test_order_totals_are_those_of_their_lines(later: World) -> None:
    orders, items = table(later, "transactions"), table(later, "transaction_items")
    at = {key: place for place, key in enumerate(orders["transaction_id"])}
    order = np.array([at[key] for key in items["transaction_id"]])
    cents = np.rint(items["line_total"] * 100).astype(np.int64)
    total = np.bincount(order, cents, len(orders["_number"])).astype(np.int64)
    discount = np.rint(orders["discount_amount"] * 100).astype(np.int64)
    assert (total - discount == np.rint(orders["total_amount"] * 100).astype(np.int64)).all()
    net = items["quantity"] * items["unit_price"] * (1 - items["discount_percent"] / 100)
    assert np.abs(items["line_total"] - net).max() <= 0.01
    assert (items["_made"] == orders["order_date"][order]).all()
    gone = orders["_deleted"][order]
    assert ((items["_deleted"] == gone) | (np.isnat(items["_deleted"]) & np.isnat(gone))).all()


def test_orders_pass_through_their_states(later: World) -> None:
    orders = table(later, "transactions")
    age = (later.until - orders["order_date"]).astype(np.int64) / 86_400
    status = orders["order_status"]
    assert set(status[age > 60]) == {"completed", "cancelled", "returned"}
    assert set(status[age < 0.5]) <= {"pending", "cancelled"}
    pending = status == "pending"
    assert pending.any()
    assert (orders["updated_at"] == orders["order_date"])[pending].all()
    assert (orders["updated_at"] > orders["order_date"])[~pending].all()


def test_a_deleted_customer_takes_its_rows_but_not_its_orders() -> None:
    world = make(0.3, days=60)
    gone = np.flatnonzero(~np.isnat(world.customers.erased))
    assert len(gone) > 3
    for name in ("customers", "customer_demographics", "customer_segment_mapping"):
        rows = table(world, name)
        of_gone = np.isin(rows["customer_id"], numbered("CUST", gone).astype(str))
        assert of_gone.any()
        assert (np.isnat(rows["_deleted"]) == ~of_gone).all()
    orders = table(world, "transactions")
    of_gone = np.isin(orders["customer_id"], numbered("CUST", gone).astype(str))
    assert np.isnat(orders["_deleted"][of_gone]).mean() > 0.8


def test_the_mapping_has_the_latent_segment_for_85_percent_at_any_time() -> None:
    world = make(1, days=90)
    customer, nth, segment, at = assignments(world)
    right = segment == world.customers.segment[customer]
    assert right[nth == 0].mean() == pytest.approx(0.85, abs=0.015)
    last = np.zeros(len(world.customers), dtype=np.int64)
    last[customer] = np.arange(len(customer))
    assert right[last[np.unique(customer)]].mean() == pytest.approx(0.85, abs=0.015)
    assert (at[nth == 0] > world.customers.registered[customer[nth == 0]]).all()
    assert segment.max() == len(SEGMENTS) - 1
    by_customer = np.lexsort((np.arange(len(customer)), customer))
    again = customer[by_customer][1:] == customer[by_customer][:-1]
    assert again.sum() > 500
    assert (np.diff(at[by_customer]).astype(np.int64)[again] > 0).all()


def test_another_seed_is_another_company(world: World) -> None:
    other = make(0.1, seed=2)
    mine, theirs = table(world, "customers"), table(other, "customers")
    assert (mine["email"] != theirs["email"]).mean() > 0.99


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [([0, 8, 9], ["CUST_1", "CUST_9", "CUST_10"]), ([0, 8], ["CUST_1", "CUST_9"]), ([], [])],
)
def test_business_keys_grow_when_their_digits_are_used_up(
    numbers: list[int], expected: list[str]
) -> None:
    found = numbered("CUST", np.array(numbers, dtype=np.int64), 1)
    assert found.astype(str).tolist() == expected


def test_the_latest_of_rising_times() -> None:
    times = np.array([[1, 5, 9], [1, 5, 9], [1, 5, 9]]).astype("datetime64[s]")
    before = np.array([1, 5, 100]).astype("datetime64[s]")
    count, last = latest(times, before)
    assert count.tolist() == [0, 1, 3]
    assert np.isnat(last[0])
    assert last[1:].astype(np.int64).tolist() == [1, 9]
