"""Reads the values of a sales line: amounts, quantities and dates, exactly or not at all.

Money is Decimal from the first character to the last: no float ever holds an amount.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

from data_generators.sales_csv.errors import BadLineError

MAX_AMOUNT = Decimal("1000000000000")
MAX_QUANTITY = 2**31 - 1
FIRST_YEAR = 1900
UNIT_PRICE_STEP = Decimal("0.000001")
LINE_TOLERANCE = Decimal("0.01")

PLAIN_AMOUNT = re.compile(r"[0-9]+(?:\.[0-9]{1,2})?")
ANY_AMOUNT = re.compile(
    r"(?P<sign>-)?\$?\s*(?P<whole>[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+)(?:\.(?P<decimals>[0-9]+))?"
)
DIGITS_ONLY_FORMAT = re.compile(r"(?:%[A-Za-z])+")


@lru_cache(maxsize=8_192)
def parse_amount(text: str) -> Decimal:
    """An amount of money with at most two decimals.

    A dollar sign and thousands separators are read where they allow one reading only:
    ``$1,234.50`` and ``1,234,567`` do, ``1,234`` (a decimal comma?) and ``1.234`` do not.

    Raises:
        BadLineError: not a number, ambiguous, negative, or finer than a cent.
    """
    if not text:
        raise BadLineError("the amount is empty")
    if PLAIN_AMOUNT.fullmatch(text):
        return _in_range(Decimal(text), text)
    match = ANY_AMOUNT.fullmatch(text)
    if match is None:
        raise BadLineError(f"the amount {shown(text)} is not a number")
    whole, decimals = match["whole"], match["decimals"]
    if match["sign"]:
        raise BadLineError(
            f"the amount {shown(text)} is negative: a return or a correction, not a purchase"
        )
    if whole.count(",") == 1 and decimals is None:
        raise BadLineError(
            f"the amount {shown(text)} is ambiguous: its comma can divide thousands or decimals"
        )
    if decimals and len(decimals) == 3 and decimals.endswith("0"):
        raise BadLineError(
            f"the amount {shown(text)} is ambiguous: its point can divide thousands or decimals"
        )
    if decimals and decimals[2:].strip("0"):
        raise BadLineError(f"the amount {shown(text)} has more than two decimals")
    return _in_range(Decimal(f"{whole.replace(',', '')}.{(decimals or '0')[:2]}"), text)


@lru_cache(maxsize=4_096)
def parse_quantity(text: str) -> int:
    """A positive whole number of pieces; ``3.0`` is 3.

    Raises:
        BadLineError: empty, zero, negative, or not whole.
    """
    match = re.fullmatch(r"(-?[0-9]+)(?:\.0*)?", text)
    if match is None:
        reason = f"{shown(text)} is not a whole number" if text else "is empty"
        raise BadLineError(f"the quantity {reason}")
    if not 0 < int(match[1]) <= MAX_QUANTITY:
        raise BadLineError(f"the quantity {shown(text)} is not between 1 and {MAX_QUANTITY}")
    return int(match[1])


@lru_cache(maxsize=8_192)
def parse_date(text: str, date_format: str) -> datetime:
    """A date, or a date with a time, in UTC (without tzinfo, as MySQL keeps it).

    Raises:
        BadLineError: not of the format, or before 1900.
    """
    if not text:
        raise BadLineError("the date is empty")
    try:
        moment = datetime.strptime(text, date_format)
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise BadLineError(f"the date {shown(text)} is not of the format {date_format}") from None
    # strptime takes 1997111 for 1997-11-1: without separators every digit must be there.
    if DIGITS_ONLY_FORMAT.fullmatch(date_format) and moment.strftime(date_format) != text:
        raise BadLineError(f"the date {shown(text)} is not of the format {date_format}")
    if moment.year < FIRST_YEAR:
        raise BadLineError(f"the date {shown(text)} is before {FIRST_YEAR}")
    return moment


@lru_cache(maxsize=8_192)
def unit_price(amount: Decimal, quantity: int) -> Decimal:
    """The price of one piece, to six decimals, that gives the line's amount back to a cent.

    Raises:
        BadLineError: no such price (only for quantities over 20,000).
    """
    if quantity == 1:
        return amount
    price = (amount / quantity).quantize(UNIT_PRICE_STEP, ROUND_HALF_UP)
    if abs(amount - quantity * price) > LINE_TOLERANCE:
        raise BadLineError(
            f"no unit price of six decimals gives {amount} for a quantity of {quantity}"
        )
    return price


def shown(text: str) -> str:
    """A value as a reason quotes it: short, and on one line."""
    return repr(text if len(text) <= 40 else text[:40] + "...")


def _in_range(amount: Decimal, text: str) -> Decimal:
    if amount > MAX_AMOUNT:
        raise BadLineError(f"the amount {shown(text)} is over {MAX_AMOUNT}")
    return amount
