"""RFM by night: each night stands, customers move between them, and a past night stays past."""

import csv
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from dags.stages.dbt_build import PROJECT, DbtFailedError, build_past_night
from elt.checksum import table_checksum
from tests.integration.dbt_support import build_all, fill_raw, query
from tests.integration.small_company import (
    HAPPENED,
    LATER,
    NIGHT,
    Row,
    as_raw,
    company,
    happened_before,
)

HISTORIES = {"customer_rfm_history", "customer_features"}


def two_nights() -> dict[str, list[Row]]:
    """The company as raw has it on LATER: what came after NIGHT was loaded after it.

    On the way one customer was deleted, and all completed orders of another were returned.
    """
    rows = company()
    for table, column in HAPPENED.items():
        for row in rows[table]:
            if not happened_before(row[column], NIGHT):
                row["_valid_from"] = LATER
    rows["raw_mysql.customers"][20]["_valid_to"] = LATER
    orders = rows["raw_mysql.transactions"]
    returned = next(row["customer_id"] for row in orders if row["order_status"] == "completed")
    for row in [row for row in orders if row["customer_id"] == returned]:
        if row["_valid_from"] < LATER:
            orders.append({**row, "order_status": "returned", "_valid_from": LATER})
            row["_valid_to"] = LATER
        else:
            row["order_status"] = "returned"
    return rows


def checksums(url: str, where: str = "") -> dict[str, str]:
    """Table of marts to a checksum of its rows."""
    names = query(url, "select tablename::text from pg_tables where schemaname = 'marts'")
    said = "select md5(coalesce(string_agg(t::text, '|' order by t::text), '')) from marts.{} t {}"
    return {name: query(url, said.format(name, where))[0][0] for (name,) in names
            if not where or name in HISTORIES}  # fmt: skip


def test_nights_stand_customers_move_and_a_past_night_writes_only_itself(
    warehouse_url: str, tmp_path: Path
) -> None:
    fill_raw(warehouse_url, as_raw(two_nights()))
    build_all(warehouse_url, tmp_path, NIGHT)
    assert query(warehouse_url, "select count(*) from marts.rfm_segment_migration") == [(0,)]
    at_night = f"where as_of = '{NIGHT}'"
    first = checksums(warehouse_url, at_night)

    build_all(warehouse_url, tmp_path, LATER)
    assert checksums(warehouse_url, at_night) == first
    history = query(warehouse_url, """
        select as_of, customer_id, rfm_segment, monetary_value from marts.customer_rfm_history
    """)  # fmt: skip
    assert {row[0] for row in history} == {NIGHT, LATER}
    assert Counter(row[0] for row in history)[LATER] == query(
        warehouse_url, "select count(*) from marts.customer_rfm"
    )[0][0]  # fmt: skip
    expect_migration(warehouse_url, history)

    # the first night once more, from what raw knew on it: the same rows, and nothing else moves
    everything = checksums(warehouse_url)
    results = build_past_night(NIGHT, tmp_path, warehouse_url)
    assert {result.status for result in results} <= {"success", "pass", "warn"}
    assert checksums(warehouse_url) == everything
    # a night that was never built is added, and only there
    between = NIGHT + timedelta(days=7)
    build_past_night(between, tmp_path, warehouse_url)
    after = checksums(warehouse_url)
    changed = {name for name in after if after[name] != everything[name]}
    assert changed == HISTORIES | {"data_quality_summary"}
    for mart in changed:
        nights = f"select distinct as_of from marts.{mart} order by 1"
        assert query(warehouse_url, nights) == [(NIGHT,), (between,), (LATER,)]
    assert query(
        warehouse_url, "select as_of, count(*) > 20 from marts.customer_features group by 1"
        " order by 1",
    ) == [(NIGHT, True), (between, True), (LATER, True)]  # fmt: skip
    assert query(
        warehouse_url, "select count(*) from pg_tables where schemaname like 'past%'"
    ) == [(0,)]  # fmt: skip
    assert query(warehouse_url, "select distinct as_of from quality.dbt_run_results"
                 " where layer = 'past' order by 1") == [(NIGHT,), (between,)]  # fmt: skip


def expect_migration(url: str, history: list[tuple[date, str, str, Decimal]]) -> None:
    """The migration is what the two nights say."""
    before = {row[1]: row[2] for row in history if row[0] == NIGHT}
    after = {row[1]: row[2] for row in history if row[0] == LATER}
    moves = Counter(
        (before.get(customer, "(no purchase)"), after.get(customer, "(no purchase)"))
        for customer in before.keys() | after.keys()
    )
    found = query(url, """
        select from_segment, to_segment, customers, share_of_from_segment, is_unchanged,
            previous_as_of, as_of
        from marts.rfm_segment_migration
    """)  # fmt: skip
    assert {row[:2]: row[2] for row in found} == moves
    assert any(row[1] == "(no purchase)" for row in found)
    for source, target, customers, share, unchanged, previous, as_of in found:
        total = sum(count for (other, _), count in moves.items() if other == source)
        assert share == round(Decimal(customers) / total, 6)
        assert unchanged == (source == target)
        assert (previous, as_of) == (NIGHT, LATER)


def test_a_night_that_lost_its_rows_keeps_none_and_a_failed_one_leaves_no_trace(
    warehouse_url: str, tmp_path: Path
) -> None:
    rows = company()
    fill_raw(warehouse_url, as_raw(rows))
    build_all(warehouse_url, tmp_path, NIGHT)
    counted = "select count(*) from marts.customer_rfm_history"
    assert query(warehouse_url, counted)[0][0] > 10

    before = table_checksums(warehouse_url)
    with psycopg.connect(warehouse_url) as conn:
        conn.execute("alter schema past_staging rename to past_gone")
    with pytest.raises(DbtFailedError, match=r"past_staging|permission denied"):
        build_past_night(NIGHT, tmp_path, warehouse_url)
    with psycopg.connect(warehouse_url) as conn:
        conn.execute("alter schema past_gone rename to past_staging")
        conn.execute("truncate raw_mysql.transactions, raw_mysql.transaction_items")
    assert table_checksums(warehouse_url) == before
    build_all(warehouse_url, tmp_path, NIGHT)
    assert query(warehouse_url, counted) == [(0,)]
    assert query(
        warehouse_url, "select count(*), count(*) filter (where has_purchased)"
        " from marts.customer_features",
    ) == [(len(rows["raw_mysql.customers"]), 0)]  # fmt: skip


def table_checksums(url: str) -> dict[str, str]:
    with psycopg.connect(url) as conn:
        return {name: table_checksum(conn, "marts", name, ["as_of", "customer_id"])
                for name in HISTORIES}  # fmt: skip


def test_the_grid_maps_each_of_the_125_cells_once() -> None:
    with (PROJECT / "seeds/marts/rfm_segment_map.csv").open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    digits = "12345"
    cells = Counter((r, f, m) for r, f, m, _ in rows)
    assert cells == Counter((r, f, m) for r in digits for f in digits for m in digits)
    assert len({row[3] for row in rows}) == 11
