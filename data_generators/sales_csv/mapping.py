"""Which column of a sales file holds what: given by the user, or told from the usual names."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime

from data_generators.sales_csv.errors import BadLineError, SalesFileError
from data_generators.sales_csv.reader import WHITESPACE, Record
from data_generators.sales_csv.values import parse_date

NONE = "-"
REQUIRED = ("date", "customer", "amount")
OPTIONAL = ("order", "product", "quantity")
USUAL_NAMES = {
    "date": (
        "date order_date purchase_date transaction_date sale_date sales_date invoice_date"
        " orderdate invoicedate order_datetime datetime timestamp created_at day"
    ),
    "customer": (
        "customer_id customer customerid cust_id customer_no customer_number customer_key"
        " client_id client user_id userid buyer_id member_id"
    ),
    "amount": (
        "amount line_total line_amount dollar_value sales_amount total_amount order_amount"
        " total sales revenue turnover value"
    ),
    "order": (
        "order_id order orderid order_no order_number transaction_id transactionid invoice_id"
        " invoice invoice_no invoiceno invoice_number receipt_id receipt basket_id"
    ),
    "product": (
        "product_id product productid sku stock_code stockcode item_id item article"
        " product_name description"
    ),
    "quantity": "quantity qty units number_of_cds number_of_items pieces",
}
DELIMITER_NAMES = {
    "comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|",
    "space": WHITESPACE, "blank": WHITESPACE, " ": WHITESPACE,
}  # fmt: skip
DELIMITERS = (",", ";", "\t", "|", WHITESPACE)
DATES = (
    "%Y%m%d", "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y",
    "%m-%d-%Y", "%d.%m.%Y", "%m.%d.%Y", "%d-%b-%Y", "%d %b %Y", "%d %B %Y",
)  # fmt: skip
TIMES = ("", " %H:%M:%S", " %H:%M", "T%H:%M:%S", "T%H:%M:%S%z", " %H:%M:%S.%f", "T%H:%M:%S.%f")


@dataclass(frozen=True)
class SalesMapping:
    """The columns of a sales file, by the names in its header.

    A part left empty is looked for: a column by its usual names, the delimiter and the date
    format by the file's first lines. ``-`` for an optional column says that there is none.
    Without an order column one order is one customer's purchases of one day.
    """

    date: str = ""
    customer: str = ""
    amount: str = ""
    order: str = ""
    product: str = ""
    quantity: str = ""
    delimiter: str = ""
    date_format: str = ""

    @classmethod
    def detect(cls, header: Sequence[str]) -> SalesMapping:
        """The mapping of a header with usual names.

        Raises:
            SalesFileError: a required column has none of its usual names.
        """
        return cls().resolve(header)

    def resolve(self, header: Sequence[str]) -> SalesMapping:
        """Fill the columns left empty; ``-`` stands for those that the file does not have.

        Raises:
            SalesFileError: a column is missing, named twice, or used for two things.
        """
        names = [name.strip() for name in header]
        found = {role: _find(role, getattr(self, role), names) for role in REQUIRED + OPTIONAL}
        missing = [role for role in REQUIRED if not found[role]]
        if missing:
            raise SalesFileError(
                f"no column for {', '.join(missing)} in the header {_listed(names)}: name it in"
                f" the column mapping, for example {missing[0]}={names[0] or 'its_name'}"
            )
        used = [name for name in found.values() if name]
        for name in used:
            if names.count(name) > 1:
                raise SalesFileError(
                    f"the header {_listed(names)} has {name!r} more than once: rename one"
                )
            if used.count(name) > 1:
                roles = " and ".join(role for role, column in found.items() if column == name)
                raise SalesFileError(f"the column {name!r} is mapped to {roles}: map each once")
        return replace(self, **{role: name or NONE for role, name in found.items()})

    def index(self, role: str, header: Sequence[str]) -> int | None:
        """The position of a role's column in ``header``; None if the file has none."""
        name = getattr(self, role)
        return None if name == NONE else [column.strip() for column in header].index(name)

    def fingerprint(self) -> str:
        """Every part in one line: two imports of a file agree when these do."""
        return "\n".join(f"{field.name}={getattr(self, field.name)}" for field in fields(self))


def split_header(line: str, delimiter: str) -> list[str]:
    """The column names of a header line.

    Raises:
        SalesFileError: the header's quotes do not match.
    """
    if delimiter == WHITESPACE:
        return line.split()
    try:
        return [name.strip() for name in next(csv.reader([line], delimiter=delimiter, strict=True))]
    except csv.Error as error:
        raise SalesFileError(f"the header is badly quoted: {error}") from error


def find_delimiter(given: str, header: str) -> str:
    """The delimiter that was given, or else the one that parts the header most often.

    Raises:
        SalesFileError: the given one is not a delimiter, or the header has no three columns.
    """
    if given:
        delimiter = DELIMITER_NAMES.get(given.lower(), given)
        if delimiter not in DELIMITERS and (len(delimiter) != 1 or delimiter in '"\r\n'):
            raise SalesFileError(
                f"the delimiter {given!r} is none: give one character, or one of"
                " comma, semicolon, tab, pipe, whitespace"
            )
        return delimiter
    counts = {mark: _count_columns(header, mark) for mark in DELIMITERS[:-1]}
    best = max(counts, key=lambda mark: counts[mark])
    if counts[best] >= len(REQUIRED):
        return best
    if len(header.split()) >= len(REQUIRED):
        return WHITESPACE
    raise SalesFileError(
        f"the header {header[:200]!r} has no three columns (date, customer, amount) by comma,"
        " semicolon, tab, pipe or blanks: give the delimiter in the column mapping"
    )


def find_date_format(values: Sequence[str]) -> str:
    """The format that reads the most of ``values``, dates of the file's first lines.

    Raises:
        SalesFileError: none reads any, or two read them differently.
    """
    times = TIMES if any(":" in value for value in values) else TIMES[:1]
    formats = [f"{date}{time}" for date in DATES for time in times]
    read = {fmt: frozenset(v for v in set(values) if _reads(v, fmt)) for fmt in formats}
    best = max(formats, key=lambda fmt: len(read[fmt]))
    example = next(iter(values), "")
    if not read[best]:
        raise SalesFileError(
            f"the date {example!r} is of no known format: give the date format in the column"
            " mapping, for example %d/%m/%y (Python's strptime codes)"
        )
    for other in formats:
        shared = read[best] & read[other]
        # One that reads only part of the dates matches days up to the 12th by chance.
        if read[other] < read[best] or other == best or not shared:
            continue
        if any(parse_date(value, best) != parse_date(value, other) for value in shared):
            raise SalesFileError(
                f"dates such as {min(shared)!r} can be {best} or {other}: give the date format"
                " in the column mapping"
            )
    return best


def check_date_format(given: str) -> str:
    """The given format, if a date survives being written and read by it.

    Raises:
        SalesFileError: it is not made of Python's strptime codes, or lacks day, month or year.
    """
    day = datetime(1999, 12, 31)
    try:
        survives = datetime.strptime(day.strftime(given), given).replace(tzinfo=None) == day
    except ValueError:
        survives = False
    if not survives:
        raise SalesFileError(
            f"the date format {given!r} does not give day, month and year: write it with"
            " Python's strptime codes, for example %d/%m/%Y or %Y-%m-%d %H:%M"
        )
    return given


def first_values(records: Sequence[Record], index: int, columns: int) -> list[str]:
    """The values of one column in the well-formed ones of ``records``."""
    return [
        record.fields[index].strip()
        for record in records
        if record.fields is not None and len(record.fields) == columns
    ]


def _count_columns(header: str, delimiter: str) -> int:
    try:
        return len(split_header(header, delimiter))
    except SalesFileError:  # quotes that fit another delimiter
        return 0


def _find(role: str, given: str, names: Sequence[str]) -> str:
    if given == NONE:
        return ""
    if given:
        if given.strip() in names:
            return given.strip()
        raise SalesFileError(
            f"there is no column {given!r} (for {role}) in the header {_listed(names)}"
        )
    by_plain_name = {_plain(name): name for name in reversed(names)}
    usual = USUAL_NAMES[role].split()
    return next((by_plain_name[name] for name in usual if name in by_plain_name), "")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _listed(names: Sequence[str]) -> str:
    return "(" + ", ".join(names) + ")"


def _reads(value: str, fmt: str) -> bool:
    try:
        parse_date(value, fmt)
    except BadLineError:
        return False
    return True
