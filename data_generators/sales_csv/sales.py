"""Turns a record into a sale, or into the reason why it is none."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from data_generators.sales_csv.errors import BadLineError
from data_generators.sales_csv.mapping import SalesMapping
from data_generators.sales_csv.reader import Record
from data_generators.sales_csv.values import (
    parse_amount,
    parse_date,
    parse_quantity,
    shown,
    unit_price,
)

# The lengths, in characters, of the shop's columns (ddl/mysql).
ID_LENGTH = 64
NAME_LENGTH = 255
UNSPECIFIED = ("UNSPECIFIED", "Unspecified product")


class Sale(NamedTuple):
    """One purchase line. Two lines are of one order when customer_key and order_key agree."""

    line: int
    customer_key: int
    order_key: int
    customer_id: str
    sold_at: str
    product_id: str
    product_name: str
    quantity: int
    unit_price: Decimal
    amount: Decimal


def sale_parser(mapping: SalesMapping, header: Sequence[str]) -> Callable[[Record], Sale]:
    """A function that reads one record by a resolved mapping.

    The function raises BadLineError with the reason when the record is not a sale.
    """
    at = {role: mapping.index(role, header) for role in ("date", "customer", "amount")}
    date_at, customer_at, amount_at = (i for i in at.values() if i is not None)
    order_at = mapping.index("order", header)
    product_at = mapping.index("product", header)
    quantity_at = mapping.index("quantity", header)
    columns, date_format = len(header), mapping.date_format

    def parse(record: Record) -> Sale:
        fields = record.fields
        if fields is None:
            raise BadLineError(record.reason)
        if len(fields) != columns:
            raise BadLineError(f"{len(fields)} fields, but the header has {columns}")
        customer = _identifier("customer", fields[customer_at])
        moment = parse_date(fields[date_at].strip(), date_format)
        amount = parse_amount(fields[amount_at].strip())
        quantity = 1 if quantity_at is None else parse_quantity(fields[quantity_at].strip())
        product = UNSPECIFIED if product_at is None else _product(fields[product_at].strip())
        return Sale(
            line=record.line,
            customer_key=key(customer),
            order_key=moment.toordinal()
            if order_at is None
            else key(_identifier("order", fields[order_at])),
            customer_id=customer,
            sold_at=str(moment),
            product_id=product[0],
            product_name=product[1],
            quantity=quantity,
            unit_price=unit_price(amount, quantity),
            amount=amount,
        )

    return parse


@lru_cache(maxsize=8_192)
def key(value: str) -> int:
    """A positive number of 62 bits that follows from ``value`` alone."""
    digest = hashlib.blake2b(value.encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 2) or 1


def _identifier(what: str, text: str) -> str:
    value = text.strip()
    if not value:
        raise BadLineError(f"the {what} is empty")
    if len(value) > ID_LENGTH:
        raise BadLineError(f"the {what} {shown(value)} is longer than {ID_LENGTH} characters")
    return value


@lru_cache(maxsize=8_192)
def _product(name: str) -> tuple[str, str]:
    """Product id and name; a name too long for an id gets one of its beginning and its hash."""
    if not name:
        return UNSPECIFIED
    if len(name) > NAME_LENGTH:
        raise BadLineError(f"the product {shown(name)} is longer than {NAME_LENGTH} characters")
    if len(name) <= ID_LENGTH:
        return name, name
    digest = f"-{key(name):016x}"
    return name[: ID_LENGTH - len(digest)] + digest, name
