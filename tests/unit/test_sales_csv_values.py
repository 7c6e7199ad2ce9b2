"""Amounts, quantities and dates of a sales line: read exactly, or refused with the reason."""

from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_generators.sales_csv.errors import BadLineError
from data_generators.sales_csv.values import parse_amount, parse_date, parse_quantity, unit_price


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", "0"),
        ("0.00", "0.00"),
        ("11.77", "11.77"),
        ("7.5", "7.5"),
        ("$29.33", "29.33"),
        ("$1,234.50", "1234.50"),
        ("1,234,567", "1234567"),
        ("12.5000", "12.50"),
        ("1000000000000", "1000000000000"),
    ],
)
def test_amounts_with_one_reading(text: str, amount: str) -> None:
    assert parse_amount(text) == Decimal(amount)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("abc", "not a number"),
        ("1e3", "not a number"),
        ("nan", "not a number"),
        ("٣", "not a number"),
        ("12,50", "not a number"),
        ("1,23,456.00", "not a number"),
        ("1,234", "ambiguous"),
        ("1.230", "ambiguous"),
        ("1.234", "more than two decimals"),
        ("0.001", "more than two decimals"),
        ("-5.00", "negative"),
        ("$-5.00", "not a number"),
        ("1000000000000.01", "over"),
    ],
)
def test_other_amounts_are_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(BadLineError, match=reason):
        parse_amount(text)


@pytest.mark.parametrize(("text", "count"), [("1", 1), ("3.0", 3), ("2147483647", 2147483647)])
def test_quantities(text: str, count: int) -> None:
    assert parse_quantity(text) == count


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "two", "2147483648", "1e2"])
def test_a_quantity_is_a_positive_whole_number(text: str) -> None:
    with pytest.raises(BadLineError, match="quantity"):
        parse_quantity(text)


@pytest.mark.parametrize(
    ("text", "date_format", "moment"),
    [
        ("19970101", "%Y%m%d", datetime(1997, 1, 1)),
        ("2024-02-29", "%Y-%m-%d", datetime(2024, 2, 29)),
        ("31/12/99", "%d/%m/%y", datetime(1999, 12, 31)),
        ("2024-01-01T00:30:00+02:00", "%Y-%m-%dT%H:%M:%S%z", datetime(2023, 12, 31, 22, 30)),
    ],
)
def test_dates_are_utc(text: str, date_format: str, moment: datetime) -> None:
    assert parse_date(text, date_format) == moment


@pytest.mark.parametrize(
    ("text", "date_format"),
    [
        ("", "%Y%m%d"),
        ("1997111", "%Y%m%d"),  # 1 November or 11 January
        ("19970230", "%Y%m%d"),
        ("1899-12-31", "%Y-%m-%d"),
        ("0001-01-01T00:00:00+02:00", "%Y-%m-%dT%H:%M:%S%z"),
    ],
)
def test_dates_that_are_none(text: str, date_format: str) -> None:
    with pytest.raises(BadLineError, match="date"):
        parse_date(text, date_format)


@given(
    cents=st.integers(0, 10**9),
    quantity=st.integers(1, 20_000),
)
def test_a_unit_price_gives_the_line_total_back_to_a_cent(cents: int, quantity: int) -> None:
    amount = Decimal(cents) / 100
    price = unit_price(amount, quantity)
    assert abs(amount - quantity * price) <= Decimal("0.01")
    assert price == round(price, 6)


def test_a_quantity_too_large_for_a_unit_price_of_six_decimals() -> None:
    with pytest.raises(BadLineError, match="unit price"):
        unit_price(Decimal("1.00"), 30_000_001)
    assert unit_price(Decimal("30000001.00"), 30_000_001) == 1
