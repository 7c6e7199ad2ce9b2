"""Columns, delimiter and date format: told from the file, or asked for in one clear sentence."""

import pytest

from data_generators.sales_csv import SalesFileError, SalesMapping
from data_generators.sales_csv.mapping import (
    check_date_format,
    find_date_format,
    find_delimiter,
    split_header,
)


def test_the_published_file_needs_no_mapping() -> None:
    header = " customer_id         date          number_of_cds         dollar_value"
    delimiter = find_delimiter("", header)
    assert delimiter == "whitespace"
    assert SalesMapping.detect(split_header(header, delimiter)) == SalesMapping(
        date="date",
        customer="customer_id",
        amount="dollar_value",
        order="-",
        product="-",
        quantity="number_of_cds",
    )


def test_names_are_compared_without_case_and_punctuation() -> None:
    found = SalesMapping.detect(
        ["Invoice No", "Stock-Code", "QTY", "Invoice.Date", "Client", "Sales"]
    )
    assert (found.order, found.product, found.quantity) == ("Invoice No", "Stock-Code", "QTY")
    assert (found.date, found.customer, found.amount) == ("Invoice.Date", "Client", "Sales")


def test_a_given_column_wins_and_a_dash_means_none() -> None:
    given = SalesMapping(amount="net", order="-")
    found = given.resolve(["order_id", "customer", "date", "amount", "net"])
    assert (found.amount, found.order) == ("net", "-")


@pytest.mark.parametrize(
    ("mapping", "header", "message"),
    [
        (SalesMapping(), ["customer", "when", "amount"], r"date in the header \(customer, when"),
        (SalesMapping(), ["a", "b", "c"], "date, customer, amount"),
        (SalesMapping(date="day2"), ["customer", "day", "amount"], "no column 'day2'"),
        (SalesMapping(), ["customer", "date", "amount", "amount"], "more than once"),
        (SalesMapping(order="date"), ["customer", "date", "amount"], "date and order"),
        # A unit price is no amount: the sum of it would be wrong without a word.
        (SalesMapping(), ["customer", "date", "unit_price", "quantity"], "amount"),
    ],
)
def test_what_is_missing_or_doubled_is_named(
    mapping: SalesMapping, header: list[str], message: str
) -> None:
    with pytest.raises(SalesFileError, match=message):
        mapping.resolve(header)


@pytest.mark.parametrize(
    ("given", "header", "delimiter"),
    [
        ("", "date,customer,amount", ","),
        ("", "date;customer, name;amount;x", ";"),
        ("", "date\tcustomer\tamount", "\t"),
        ("", "date|customer|amount", "|"),
        ("", '"date","a;b;c;d","amount"', ","),
        ("tab", "anything", "\t"),
        ("whitespace", "a,b,c", "whitespace"),
        ("~", "a~b~c", "~"),
    ],
)
def test_delimiters(given: str, header: str, delimiter: str) -> None:
    assert find_delimiter(given, header) == delimiter


@pytest.mark.parametrize(("given", "header"), [("", "amount"), ("", "a,b"), (",,", "a,b,c")])
def test_no_delimiter(given: str, header: str) -> None:
    with pytest.raises(SalesFileError, match="delimiter"):
        find_delimiter(given, header)


@pytest.mark.parametrize(
    ("values", "date_format"),
    [
        (["19970101", "19980630"], "%Y%m%d"),
        (["2024-01-02", "broken", "2024-01-03"], "%Y-%m-%d"),
        (["01/02/2024", "13/02/2024"], "%d/%m/%Y"),
        (["01/02/2024", "02/13/2024"], "%m/%d/%Y"),
        (["02.01.2024 10:00", "31.01.2024 23:59"], "%d.%m.%Y %H:%M"),
        (["2024-01-02T03:04:05Z"], "%Y-%m-%dT%H:%M:%S%z"),
        (["02/02/2024"], "%d/%m/%Y"),  # reads the same either way
    ],
)
def test_date_formats(values: list[str], date_format: str) -> None:
    assert find_date_format(values) == date_format


@pytest.mark.parametrize(
    "values",
    [
        ["01/02/2024", "03/04/2024"],
        ["13/02/2024", "02/13/2024", "01/02/2024"],  # both kinds in one file
    ],
)
def test_an_ambiguous_date_format_is_asked_for(values: list[str]) -> None:
    with pytest.raises(SalesFileError, match=r"can be %d/%m/%Y or %m/%d/%Y.*date format"):
        find_date_format(values)


def test_an_unknown_date_format_is_asked_for() -> None:
    with pytest.raises(SalesFileError, match=r"'31-12-99'.*no known format"):
        find_date_format(["31-12-99"])


@pytest.mark.parametrize("given", ["dd/mm/yyyy", "%d/%m", "%Q", "%H:%M"])
def test_a_date_format_must_give_the_day(given: str) -> None:
    with pytest.raises(SalesFileError, match="strptime"):
        check_date_format(given)
    assert check_date_format("%d/%m/%y") == "%d/%m/%y"
