"""The marts on the CDNOW sales, all rows, against arithmetic that shares nothing with them."""

import gzip
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pandas as pd
import psycopg
import pytest

from elt.checksum import table_checksum
from tests.integration.dbt_support import build_all, fill_raw, query

REPOSITORY = Path(__file__).resolve().parents[2]
CDNOW = REPOSITORY / "tests" / "data" / "CDNOW_master.txt.gz"
SEGMENTS = REPOSITORY / "dbt_project" / "seeds" / "marts" / "rfm_segment_map.csv"
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


def fifths(values: pd.Series) -> dict[str, int]:
    """Customer to score, for values of which the highest is best; ties by customer_id."""
    order = sorted(values.index, key=lambda customer: (values[customer], customer))
    whole, rest = divmod(len(order), 5)
    scores: dict[str, int] = {}
    start = 0
    for score in range(1, 6):
        end = start + whole + (1 if score <= rest else 0)
        scores.update(dict.fromkeys(order[start:end], score))
        start = end
    return scores


def cents_to_text(value: Decimal) -> str:
    return str(value.quantize(Decimal("0.01"), ROUND_HALF_UP))


def expected_rfm(sales: pd.DataFrame) -> pd.DataFrame:
    """customer_rfm by pandas, integers and decimals; amounts as text, so that cents count."""
    grouped = sales.groupby("customer_id")
    table = pd.DataFrame(
        {
            "recency_days": [(AS_OF - day).days for day in grouped["day"].max()],
            "frequency": grouped["day"].nunique().to_numpy(),
            "cents": grouped["cents"].sum().to_numpy(),
            "tenure": [(AS_OF - day).days for day in grouped["day"].min()],
            "first_purchase_date": grouped["day"].min().to_numpy(),
            "last_purchase_date": grouped["day"].max().to_numpy(),
        },
        index=pd.Index(sorted(grouped.groups), name="customer_id"),
    )
    table["recency_score"] = pd.Series(fifths(-table["recency_days"]))
    table["frequency_score"] = pd.Series(fifths(table["frequency"]))
    table["monetary_score"] = pd.Series(fifths(table["cents"]))
    scores = ["recency_score", "frequency_score", "monetary_score"]
    table["rfm_score"] = ["".join(map(str, row)) for row in table[scores].to_numpy()]
    segments = pd.read_csv(SEGMENTS, dtype=str)
    cells = dict(zip(segments[scores].agg("".join, axis=1), segments["rfm_segment"], strict=True))
    table["rfm_segment"] = table["rfm_score"].map(cells)
    money = [Decimal(int(cents)) / 100 for cents in table["cents"]]
    days = [max(int(tenure), 90) for tenure in table["tenure"]]
    orders = [int(frequency) for frequency in table["frequency"]]
    table["monetary_value"] = [cents_to_text(value) for value in money]
    table["avg_order_value"] = [
        cents_to_text(value / n) for value, n in zip(money, orders, strict=True)
    ]
    table["purchase_frequency_rate"] = [
        str((Decimal(n * 365) / day).quantize(Decimal("0.000001"), ROUND_HALF_UP))
        for n, day in zip(orders, days, strict=True)
    ]
    table["customer_lifetime_value"] = [
        cents_to_text(value * 365 * 3 / day) for value, day in zip(money, days, strict=True)
    ]
    return table.drop(columns=["cents", "tenure"]).reset_index()


def actual_rfm(url: str, columns: list[str]) -> pd.DataFrame:
    amounts = {
        "monetary_value", "avg_order_value", "purchase_frequency_rate", "customer_lifetime_value",
    }  # fmt: skip
    listed = ", ".join(f"{c}::text" if c in amounts else c for c in columns)
    rows = query(url, f"select {listed} from marts.customer_rfm order by customer_id")
    return pd.DataFrame(rows, columns=columns)


def test_customer_rfm_equals_independent_arithmetic_on_all_rows(
    warehouse_url: str, sales: pd.DataFrame, tmp_path: Path
) -> None:
    load(warehouse_url, sales)
    results = build_all(warehouse_url, tmp_path, AS_OF)

    assert {result.status for result in results} == {"success", "pass"}
    expected = expected_rfm(sales)
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
