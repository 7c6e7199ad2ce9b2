"""`make run`'s arguments, and the one world that a platform holds."""

from __future__ import annotations

import hashlib
import json
from datetime import date

import pytest

from local_stack.layout import Layout, StackError
from local_stack.world import DEFAULT_DAYS, DEFAULT_SCALE, DEFAULT_SEED, keep_world, read_request

TODAY = date(2024, 5, 6)


@pytest.fixture
def layout(tmp_path):
    return Layout(tmp_path)


def stand(layout, **environment):
    request = read_request(environment, layout, TODAY)
    keep_world(layout, request.world)
    return request


def test_defaults_and_the_first_run_day_is_kept(layout):
    request = stand(layout)
    world = request.world
    assert (world.scale, world.seed, world.days) == (DEFAULT_SCALE, DEFAULT_SEED, DEFAULT_DAYS)
    assert (world.defects, world.effects) == ("default", "all")
    assert request.as_of == TODAY
    assert request.is_new
    later = read_request({}, layout, date(2024, 6, 1))
    assert (later.world, later.as_of) == (world, TODAY)
    assert not later.is_new


def test_what_stands_is_the_default_of_what_is_not_given(layout):
    first = stand(layout, SCALE="0.5", SEED="7", DAYS="100", AS_OF="2024-01-01")
    assert read_request({"SCALE": "0.5"}, layout, TODAY).world == first.world
    assert (layout.root / "world.json").stat().st_mode & 0o777 == 0o600


def test_a_later_night_of_the_same_world(layout):
    stand(layout, AS_OF="2024-01-01")
    request = read_request({"AS_OF": "2024-01-02"}, layout, TODAY)
    assert request.as_of == date(2024, 1, 2)
    assert request.as_of_given
    assert request.world.as_of == "2024-01-01"


@pytest.mark.parametrize(
    "changed",
    [
        {"SEED": "8"},
        {"SCALE": "2"},
        {"DAYS": "100"},
        {"DEFECTS": "none"},
        {"EFFECTS": "all,-campaigns"},
    ],
)
def test_another_world_is_refused_and_names_make_clean(layout, changed):
    stand(layout, SEED="7", SCALE="1", DAYS="30")
    with pytest.raises(StackError, match="make clean"):
        read_request(changed, layout, TODAY)


def test_what_is_planted_is_kept_and_other_words_for_it_are_the_same_world(layout):
    first = stand(layout, DEFECTS="none,customers.null_key=0.01", EFFECTS="campaigns, churn")
    assert (first.world.defects, first.world.effects) == (
        "none,customers.null_key=0.01",
        "campaigns, churn",
    )
    same = {"DEFECTS": "none, customers.null_key=1e-2", "EFFECTS": "churn,campaigns"}
    for given in ({}, same):
        assert read_request(given, layout, TODAY).world == first.world


def test_a_world_of_an_earlier_version_asks_for_make_clean_unless_it_is_a_sales_file(layout):
    kept = {"scale": 0.1, "seed": 42, "days": 730, "as_of": "2024-05-06"}
    path = layout.root / "world.json"
    path.write_text(json.dumps(kept))
    with pytest.raises(StackError, match=r"earlier version.*make clean"):
        read_request({}, layout, TODAY)
    sales = layout.root / "sales.csv"
    sales.write_text("customer,date,amount\na,2024-01-01,5\n")
    digest = hashlib.sha256(sales.read_bytes()).hexdigest()
    path.write_text(json.dumps(kept | {"sales_sha256": digest, "sales_file": "sales.csv"}))
    assert not read_request({"SALES_CSV": str(sales)}, layout, TODAY).is_new


def test_sales_file_worlds(layout, tmp_path):
    sales = tmp_path / "sales.csv"
    sales.write_text("customer,date,amount\na,2024-01-01,5\n")
    request = stand(layout, SALES_CSV=str(sales), AS_OF="2024-02-01")
    assert request.sales_path == sales
    assert read_request({"SALES_CSV": str(sales)}, layout, TODAY).world == request.world
    with pytest.raises(StackError, match="make clean"):
        read_request({}, layout, TODAY)
    sales.write_text("customer,date,amount\na,2024-01-01,6\n")
    with pytest.raises(StackError, match="make clean"):
        read_request({"SALES_CSV": str(sales)}, layout, TODAY)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"SCALE": "big"}, "SCALE=big"),
        ({"SCALE": "0"}, "SCALE=0"),
        ({"SCALE": "nan"}, "SCALE=nan"),
        ({"SCALE": "10.5"}, "SCALE=10.5"),
        ({"SALES_COLUMNS": "day=date"}, "SALES_COLUMNS=day=date"),
        ({"SALES_COLUMNS": "date="}, "date"),
        ({"DEFECTS": "some"}, "DEFECTS=some"),
        ({"DEFECTS": "default,customers.null_key=2"}, "customers.null_key"),
        ({"EFFECTS": "weather"}, "EFFECTS=weather"),
        ({"SEED": "1.5"}, "SEED=1.5"),
        ({"SEED": "-1"}, "SEED=-1"),
        ({"DAYS": "29"}, "DAYS=29"),
        ({"AS_OF": "01/02/2024"}, "AS_OF=01/02/2024"),
        ({"SALES_CSV": "no/such/file.csv"}, "no/such/file.csv"),
    ],
)
def test_malformed_values_are_named(layout, environment, message):
    with pytest.raises(StackError, match=message):
        read_request(environment, layout, TODAY)


def test_a_night_before_the_world_is_refused(layout):
    stand(layout, AS_OF="2024-03-01")
    with pytest.raises(StackError, match="2024-03-01"):
        read_request({"AS_OF": "2024-02-01"}, layout, TODAY)


def test_sales_columns_are_read_for_the_form(layout):
    request = read_request({"SALES_COLUMNS": "date=day, amount = paid"}, layout, TODAY)
    assert request.sales_columns == {"date": "day", "amount": "paid"}


def test_a_damaged_world_file_is_one_clear_error(layout):
    (layout.root / "world.json").write_text("{")
    with pytest.raises(StackError, match=r"world\.json.*make clean"):
        read_request({}, layout, TODAY)
