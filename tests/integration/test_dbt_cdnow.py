"""The marts on the CDNOW sales, all rows, against arithmetic that shares nothing with them."""

import gzip
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import psycopg
import pytest

from elt.checksum import table_checksum
from tests.integration.dbt_support import build_all, fill_raw, query
from tests.integration.rfm_support import REPOSITORY, actual_rfm, expected_rfm

CDNOW = REPOSITORY / "tests" / "data" / "CDNOW_master.txt.gz"
AS_OF = date(1998, 7, 1)
MARTS = (
    "dim_customers",
    "fct_orders",
    "customer_rfm",
    "rfm_segment_summary",
    "rfm_segment_map",
    "data_quality_summary",
)


@pytest.fixture
def sales() -> pd.DataFrame:
    """The file's 69,659 lines: customer_id, day, units, cents."""
    with gzip.open(CDNOW, "rt", encoding="ascii") as lines:
        cells = [line.split() for line in lines if line.split()[0].isdigit()]
    return pd.DataFrame(
        {
            "customer_id": [cell[0] for cell in cells],
            "day": [datetime.strptime(cell[1], "%Y%m%d").date() for cell in cells],
            "units": [int(cell[2]) for cell in cells],
            "cents": [int(cell[3].replace(".", "")) for cell in cells],
        }
    )


def load(url: str, sales: pd.DataFrame) -> None:
    """Put the lines into raw as the shop has them: an order per customer and day."""
    fill_raw(url)
    with psycopg.connect(url) as conn:
        conn.execute("create temp table line (customer_id text, day date, units int, cents bigint)")
        with conn.cursor().copy("copy line from stdin") as copy:
            for row in sales.itertuples(index=False):
                copy.write_row(row)
        conn.execute("""
            insert into raw_mysql.customers (row_id, customer_id, _batch_id, _valid_from)
            select row_number() over (order by customer_id), customer_id, 1, '1998-07-01'
            from line group by customer_id
        """)
        conn.execute("""
            insert into raw_mysql.transactions (
                row_id, transaction_id, customer_id, order_date, total_amount, discount_amount,
                order_status, updated_at, _batch_id, _valid_from
            )
            select
                row_number() over (order by customer_id, day), customer_id || '-' || day,
                customer_id, day::timestamp at time zone 'UTC', sum(cents) / 100.0, 0,
                'completed', day::timestamp at time zone 'UTC', 1, '1998-07-01'
            from line group by customer_id, day
        """)
        conn.execute("""
            insert into raw_mysql.transaction_items (
                row_id, item_id, transaction_id, quantity, line_total, _batch_id, _valid_from
            )
            select number, 'line-' || number, customer_id || '-' || day, units, cents / 100.0,
                1, '1998-07-01'
            from (select *, row_number() over () as number from line) as numbered
        """)


def test_customer_rfm_equals_independent_arithmetic_on_all_rows(
    warehouse_url: str, sales: pd.DataFrame, tmp_path: Path
) -> None:
    load(warehouse_url, sales)
    results = build_all(warehouse_url, tmp_path, AS_OF)

    assert {result.status for result in results} == {"success", "pass"}
    # an order per customer and day
    expected = expected_rfm(sales.assign(order_id=sales["day"].astype(str)), AS_OF)
    actual = actual_rfm(warehouse_url, list(expected.columns))
    assert len(actual) == 23_570
    assert int(actual["frequency"].sum()) == 67_591
    assert sum(map(Decimal, actual["monetary_value"])) == Decimal("2500315.63")
    pd.testing.assert_frame_equal(actual, expected, check_dtype=False)
    assert query(
        warehouse_url, "select sum(item_count), sum(unit_count) from marts.fct_orders"
    ) == [(len(sales), int(sales["units"].sum()))]
    # cleanup accounts for each of the 69,659 lines, and for whose they are
    assert query(
        warehouse_url,
        "select table_name, rows_in, clean, quarantined, deduplicated, deleted, score::text"
        " from marts.data_quality_summary where rows_in > 0 order by table_name",
    ) == [
        ("customers", 23_570, 23_570, 0, 0, 0, "100.00"),
        ("transaction_items", 69_659, 69_659, 0, 0, 0, "100.00"),
        ("transactions", 67_591, 67_591, 0, 0, 0, "100.00"),
    ]

    before = checksums(warehouse_url)
    build_all(warehouse_url, tmp_path, AS_OF)
    assert checksums(warehouse_url) == before


def checksums(url: str) -> dict[str, str]:
    keys = {
        "dim_customers": ["customer_key"],
        "fct_orders": ["order_id"],
        "customer_rfm": ["customer_id"],
        "rfm_segment_summary": ["rfm_segment"],
        "rfm_segment_map": ["recency_score", "frequency_score", "monetary_score"],
        "data_quality_summary": ["as_of", "source_system", "table_name"],
    }
    assert set(keys) == set(MARTS)
    with psycopg.connect(url) as conn:
        return {name: table_checksum(conn, "marts", name, keys[name]) for name in MARTS}
