"""A sales file in the shop: the real one against independent arithmetic, and the edges."""

import csv
import gzip
import threading
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import MySQLdb
import pandas as pd
import pytest

from data_generators.sales_csv import ImportResult, SalesFileError, SalesMapping, import_sales
from data_generators.sales_csv.shop import staging
from ddl.migrate import connect_mysql

CDNOW = Path(__file__).resolve().parent.parent / "data" / "CDNOW_master.txt.gz"
TABLES = ("customers", "transactions", "transaction_items")
HEADER = "order_id,customer_id,date,product,quantity,amount\n"


@pytest.fixture
def shop(mysql_url: str) -> Iterator[Any]:
    with closing(connect_mysql(mysql_url)) as conn:
        yield conn


def rows(shop: Any, sql: str) -> list[tuple[Any, ...]]:
    with closing(shop.cursor()) as cursor:
        cursor.execute(sql)
        found = list(cursor.fetchall())
    shop.commit()
    return found


def contents(shop: Any) -> dict[str, list[tuple[Any, ...]]]:
    return {table: rows(shop, f"select * from {table} order by row_id") for table in TABLES}


def load(
    shop: Any, folder: Path, text: str | bytes, mapping: SalesMapping | None = None
) -> ImportResult:
    path = folder / "sales.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return import_sales(shop, path, mapping, folder / "rejects.csv")


def rejects(folder: Path) -> list[tuple[str, str, str]]:
    with (folder / "rejects.csv").open(newline="", encoding="utf-8") as file:
        header, *lines = csv.reader(file)
    assert header == ["line_number", "reason", "line"]
    return [(number, reason, line) for number, reason, line in lines]


def test_the_real_file_against_pandas(shop: Any, tmp_path: Path) -> None:
    result = import_sales(shop, CDNOW, None, tmp_path / "rejects.csv")
    truth = pd.read_csv(CDNOW, sep=r"\s+", dtype=str)
    truth["cents"] = truth["dollar_value"].str.replace(".", "", regex=False).astype("int64")

    assert (result.lines, result.loaded, result.rejected) == (69_659, 69_659, 0)
    assert (result.customers, result.orders, result.items) == (23_570, 67_591, 69_659)
    assert result.total_amount == Decimal("2500315.63")
    assert rejects(tmp_path) == []

    orders = truth.groupby(["customer_id", "date"])["cents"].sum()
    in_shop = rows(
        shop,
        "select customer_id, date_format(order_date, '%Y%m%d'), total_amount * 100,"
        " order_status, updated_at = order_date from transactions",
    )
    assert {(c, d): int(a) for c, d, a, _, _ in in_shop} == orders.to_dict()
    assert {(status, same) for *_, status, same in in_shop} == {("completed", 1)}

    items = rows(
        shop,
        "select t.customer_id, date_format(t.order_date, '%Y%m%d'), cast(i.quantity as char),"
        " cast(i.line_total as char) from transaction_items i"
        " join transactions t using (transaction_id)",
    )
    columns = ["customer_id", "date", "number_of_cds", "dollar_value"]
    expected = truth[columns].itertuples(index=False, name=None)
    assert sorted(items) == sorted(expected)

    customers = rows(
        shop,
        "select customer_id, date_format(registration_date, '%Y%m%d'), is_active, email is null,"
        " created_at = registration_date and updated_at = registration_date from customers",
    )
    first = truth.groupby("customer_id")["date"].min()
    assert {c: d for c, d, *_ in customers} == first.to_dict()
    assert {tuple(rest) for _, _, *rest in customers} == {(1, 1, 1)}
    broken = "select count(*) from transaction_items where abs(line_total"
    broken += " - quantity * unit_price * (1 - discount_percent / 100)) > 0.01"
    assert rows(shop, broken) == [(0,)]

    before = contents(shop)
    again = import_sales(shop, CDNOW, None, tmp_path / "rejects.csv")
    assert (again.new_customers, again.new_orders, again.new_items) == (0, 0, 0)
    assert (again.customers, again.orders, again.total_amount) == (
        result.customers,
        result.orders,
        result.total_amount,
    )
    unpacked = tmp_path / "plain.txt"
    unpacked.write_bytes(gzip.decompress(CDNOW.read_bytes()))
    import_sales(shop, unpacked, None, tmp_path / "rejects.csv")
    assert contents(shop) == before


@pytest.mark.parametrize("count", [1, 2, 2_000, 2_001])
def test_every_line_is_an_item(shop: Any, tmp_path: Path, count: int) -> None:
    lines = [f"O{n},C{n % 7},2024-01-02,P{n % 3},2,3.00\n" for n in range(count)]
    result = load(shop, tmp_path, HEADER + "".join(lines))
    assert (result.lines, result.items, result.orders) == (count, count, count)
    assert result.customers == min(count, 7)
    assert result.total_amount == 3 * count


def test_equal_lines_are_separate_purchases_of_one_order(shop: Any, tmp_path: Path) -> None:
    line = "O1,C1,2024-01-02 10:30,Jazz,3,10.00\n"
    result = load(shop, tmp_path, HEADER + line * 3 + "\n" + line)
    assert (result.lines, result.blank_lines, result.orders, result.items) == (4, 1, 1, 4)
    assert rows(shop, "select total_amount, order_date, updated_at from transactions") == [
        (Decimal("40.00"), pd.Timestamp("2024-01-02 10:30"), pd.Timestamp("2024-01-02 10:30"))
    ]
    items = rows(
        shop, "select product_id, product_name, quantity, unit_price, line_total"
        " from transaction_items"
    )  # fmt: skip
    assert items == [("Jazz", "Jazz", 3, Decimal("3.333333"), Decimal("10.00"))] * 4
    assert rows(shop, "select registration_date, created_at from customers") == [
        (pd.Timestamp("2024-01-02").date(), pd.Timestamp("2024-01-02"))
    ]


def test_orders_belong_to_one_customer_and_ids_keep_their_case(shop: Any, tmp_path: Path) -> None:
    text = HEADER + "1,a,2024-01-02,,1,1\n1,A,2024-01-02,,1,2\n1,a,2024-01-05,,1,4\n"
    result = load(shop, tmp_path, text)
    assert (result.customers, result.orders) == (2, 2)
    found = rows(shop, "select customer_id, total_amount from transactions order by total_amount")
    assert found == [("A", Decimal(2)), ("a", Decimal(5))]
    assert rows(shop, "select distinct product_id from transaction_items") == [("UNSPECIFIED",)]


def test_without_an_order_column_an_order_is_a_customers_day(shop: Any, tmp_path: Path) -> None:
    text = "customer;date;amount\nx;2024-01-02;1\nx;2024-01-02;2\nx;2024-01-03;4\ny;2024-01-02;8\n"
    result = load(shop, tmp_path, text)
    assert (result.orders, result.items) == (3, 4)
    found = rows(shop, "select total_amount from transactions order by 1")
    assert found == [(Decimal(3),), (Decimal(4),), (Decimal(8),)]


def test_each_bad_line_is_in_the_rejects_file_with_number_and_reason(
    shop: Any, tmp_path: Path
) -> None:
    good = b"O1,C1,2024-01-02,P,1,1.00\n"
    text = (
        HEADER.encode()
        + good
        + b"O1,C1,2024-01-02,P,1\n"  # 3
        + b"O1,,2024-01-02,P,1,1\n"
        + b"\r\n"
        + b"O1,C1,2024-02-30,P,1,1\n"  # 6
        + b"O1,C1,2024-01-02,P,1,-1\n"
        + b"O1,C1,2024-01-02,P,0,1\n"
        + b'O1,C1,2024-01-02,P,1,"1,000"\n'
        + b"O1,C\xe9,2024-01-02,P,1,1\n"  # 10
        + b" ,C1,2024-01-02,P,1,1\n"
        + b"O1," + b"C" * 65 + b",2024-01-02,P,1,1\n"
        + b"O1,C1,2024-01-02," + b"P" * 256 + b",1,1\n"  # 13
        + good
    )  # fmt: skip
    result = load(shop, tmp_path, text)
    assert (result.lines, result.loaded, result.rejected, result.blank_lines) == (12, 2, 10, 1)
    found = rejects(tmp_path)
    assert [(number, reason) for number, reason, _ in found] == [
        ("3", "5 fields, but the header has 6"),
        ("4", "the customer is empty"),
        ("6", "the date '2024-02-30' is not of the format %Y-%m-%d"),
        ("7", "the amount '-1' is negative: a return or a correction, not a purchase"),
        ("8", "the quantity '0' is not between 1 and 2147483647"),
        ("9", "the amount '1,000' is ambiguous: its comma can divide thousands or decimals"),
        ("10", "not UTF-8 at byte 5"),
        ("11", "the order is empty"),
        ("12", f"the customer '{'C' * 40}...' is longer than 64 characters"),
        ("13", f"the product '{'P' * 40}...' is longer than 255 characters"),
    ]
    assert found[6][2] == "O1,C\\xe9,2024-01-02,P,1,1"
    assert result.total_amount == 2

    load(shop, tmp_path, HEADER.encode() + good)
    assert rejects(tmp_path) == []


def test_the_longest_values_fit(shop: Any, tmp_path: Path) -> None:
    customer, product = "Ü" * 64, "ß" * 255
    load(shop, tmp_path, HEADER + f"o,{customer},2024-01-02,{product},1,999999999999.99\n")
    assert rows(shop, "select customer_id from customers") == [(customer,)]
    ((product_id, name),) = rows(shop, "select product_id, product_name from transaction_items")
    assert (name, len(product_id), product_id[:40]) == (product, 64, product[:40])


def test_quotes_and_signs_of_sql_are_only_text(shop: Any, tmp_path: Path) -> None:
    names = ["O'Brien", "back\\slash", "100%s", "x'); drop table customers; --", '"', "naïve 🎷"]
    lines = "".join(
        f'o,"{name.replace(chr(34), chr(34) * 2)}",2024-01-02,%s,1,1\n' for name in names
    )
    assert load(shop, tmp_path, HEADER + lines).rejected == 0
    assert sorted(rows(shop, "select customer_id from customers")) == sorted((n,) for n in names)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_files_share_customers_in_any_order(
    shop: Any, tmp_path: Path, order: tuple[int, int]
) -> None:
    files = (
        HEADER + "1,C1,2024-03-01,,1,5\n1,C2,2024-03-01,,1,5\n",
        HEADER + "1,C1,2024-01-15,,1,7\n2,C3,2024-05-01,,1,7\n",
    )
    results = [load(shop, tmp_path, files[number]) for number in order]
    assert [r.new_customers for r in results] == [2, 1]
    assert [r.new_orders for r in results] == [2, 2]
    found = rows(
        shop, "select customer_id, date(registration_date) = date(created_at)"
        " and created_at = updated_at, date_format(registration_date, '%m%d')"
        " from customers order by 1"
    )  # fmt: skip
    assert found == [("C1", 1, "0115"), ("C2", 1, "0301"), ("C3", 1, "0501")]
    before = contents(shop)
    load(shop, tmp_path, files[1])
    assert contents(shop) == before


def test_a_customer_of_the_shop_itself_is_kept_as_it_is(shop: Any, tmp_path: Path) -> None:
    with closing(shop.cursor()) as cursor:
        cursor.execute(
            "insert into customers (customer_id, email, registration_date, updated_at)"
            " values ('C1', 'a@example.com', '2024-06-01', '2024-06-02')"
        )
    shop.commit()
    before = contents(shop)["customers"]
    result = load(shop, tmp_path, HEADER + "1,C1,2024-03-01,,1,5\n")
    assert (result.customers, result.new_customers, result.new_orders) == (1, 0, 1)
    assert contents(shop)["customers"] == before


def test_rows_that_went_missing_come_back(shop: Any, tmp_path: Path) -> None:
    text = HEADER + "1,C1,2024-03-01,,1,5\n2,C1,2024-03-01,,1,5\n"
    load(shop, tmp_path, text)
    before = contents(shop)
    with closing(shop.cursor()) as cursor:
        cursor.execute("delete from transactions limit 1")
    shop.commit()
    assert load(shop, tmp_path, text).new_orders == 1
    assert contents(shop) == before


def test_the_same_file_with_another_mapping_is_refused(shop: Any, tmp_path: Path) -> None:
    text = HEADER + "1,C1,2024-03-01,,1,5\n"
    load(shop, tmp_path, text)
    before = contents(shop)
    with pytest.raises(SalesFileError, match="another column mapping"):
        load(shop, tmp_path, text, SalesMapping(order="-"))
    assert contents(shop) == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (HEADER, "no sales lines"),
        (HEADER + "\n\n", "no sales lines"),
        (HEADER + "1,C1,2024-03-01\n", "none of the first 1 lines"),
        (HEADER + "1,C1,2024-03-01,,1,x\n", "all 1 lines .* rejected"),
        (HEADER + "1,C1,01/02/2024,,1,5\n", "%d/%m/%Y or %m/%d/%Y"),
        ("who,when\n1,2\n", "no three columns"),
    ],
)
def test_a_file_that_cannot_be_imported_changes_nothing(
    shop: Any, tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(SalesFileError, match=message):
        load(shop, tmp_path, text)
    assert contents(shop) == {table: [] for table in TABLES}
    assert not rows(shop, "show tables like 'amato_sales%'")


def test_one_import_at_a_time(shop: Any, mysql_url: str) -> None:
    with (
        closing(connect_mysql(mysql_url)) as other,
        staging(shop),
        pytest.raises(SalesFileError, match="another sales import"),
        staging(other, 0),
    ):
        pytest.fail("two imports at once")
    assert not rows(shop, "show tables like 'amato_sales%'")


def test_two_imports_of_one_file_at_once_are_one(mysql_url: str, tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    lines = (f"O{n // 3},C{n % 50},2024-01-02,,1,1\n" for n in range(3_000))
    path.write_text(HEADER + "".join(lines))
    results: list[ImportResult] = []

    def run(number: int) -> None:
        with closing(connect_mysql(mysql_url)) as conn:
            results.append(import_sales(conn, path, None, tmp_path / f"rejects{number}.csv"))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result.new_items for result in results) == [0, 3_000]


def test_the_session_is_given_back_as_it_was(shop: Any, tmp_path: Path) -> None:
    settings = "select @@session.sql_mode, @@session.autocommit"
    before = rows(shop, settings)
    load(shop, tmp_path, HEADER + "1,C1,2024-03-01,,1,5\n")
    assert rows(shop, settings) == before
    assert isinstance(shop, MySQLdb.connections.Connection)
