"""The import: reads the file once from end to end, in memory that does not grow with it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import islice
from pathlib import Path

from data_generators.sales_csv import shop
from data_generators.sales_csv.errors import BadLineError, SalesFileError
from data_generators.sales_csv.mapping import (
    SalesMapping,
    check_date_format,
    find_date_format,
    find_delimiter,
    first_values,
    split_header,
)
from data_generators.sales_csv.reader import Record, open_sales
from data_generators.sales_csv.rejects import Rejects, rejects_file
from data_generators.sales_csv.sales import Sale, sale_parser

logger = logging.getLogger(__name__)

SAMPLE_LINES = 1_000
CHUNK_LINES = 2_000
PROGRESS_LINES = 250_000


@dataclass(frozen=True)
class ImportResult:
    """What a file held and what became of it.

    ``lines`` are the data lines: ``lines = loaded + rejected``, ``items = loaded``. The counts
    of customers, orders and items are the file's; the ``new_`` ones were not in the shop
    before. ``total_amount`` is the sum of the loaded lines. ``sha256`` is of the content
    without compression.
    """

    lines: int
    loaded: int
    rejected: int
    blank_lines: int
    customers: int
    orders: int
    items: int
    total_amount: Decimal
    new_customers: int
    new_orders: int
    new_items: int
    rejects_path: Path
    mapping: SalesMapping
    sha256: str


@dataclass(frozen=True)
class _Read:
    lines: int
    rejected: int
    blank_lines: int
    sha256: str


def import_sales(
    conn: shop.Connection, path: Path, mapping: SalesMapping | None, rejects_path: Path
) -> ImportResult:
    """Load a sales file into the shop; a line that is no sale goes to ``rejects_path``.

    One data line is one item. Without an order column an order is one customer's purchases of
    one day. Ids follow from content and line number: importing the same file again changes
    nothing, and equal lines stay separate purchases. Amounts are money in the shop's currency;
    negative ones (returns) are rejected, zero is kept. Times without a zone are UTC.

    What fails before the end leaves the shop as it was. Creating the staging tables commits
    what ``conn`` has open.

    Raises:
        SalesFileError: the file as a whole cannot be imported; the message says what to do.
        MySQLdb.Error: the database failed.
    """
    mapping = resolve_mapping(path, mapping or SalesMapping())
    with shop.staging(conn):
        read = _stage_file(conn, path, mapping, rejects_path)
        if read.rejected == read.lines:
            raise SalesFileError(
                f"all {read.lines} lines of {path} were rejected, the reasons are in"
                f" {rejects_path}: look whether the column mapping and the date format are right"
            )
        made = shop.publish(conn, read.sha256, mapping.fingerprint())
    logger.info(
        "%s: %d lines, %d rejected, %d customers (%d new), %d orders (%d new), total %s",
        path, read.lines, read.rejected, made.customers, made.new_customers, made.orders,
        made.new_orders, made.total_amount,
    )  # fmt: skip
    return ImportResult(
        lines=read.lines,
        loaded=read.lines - read.rejected,
        rejected=read.rejected,
        blank_lines=read.blank_lines,
        rejects_path=rejects_path,
        mapping=mapping,
        sha256=read.sha256,
        **vars(made),
    )


def resolve_mapping(path: Path, mapping: SalesMapping) -> SalesMapping:
    """Fill what the mapping leaves open from the header and the file's first lines.

    Raises:
        SalesFileError: the file is missing, empty or only a header, or something stays open.
    """
    with open_sales(path) as stream:
        delimiter = find_delimiter(mapping.delimiter, stream.header_line)
        header = split_header(stream.header_line, delimiter)
        resolved = replace(mapping.resolve(header), delimiter=delimiter)
        sample = list(islice(stream.records(delimiter), SAMPLE_LINES))
    if not sample:
        raise SalesFileError(f"{path} has a header and no sales lines: nothing to import")
    if mapping.date_format:
        return replace(resolved, date_format=check_date_format(mapping.date_format))
    date_at = resolved.index("date", header)
    values = first_values(sample, date_at or 0, len(header))
    if not values:
        raise SalesFileError(
            f"none of the first {len(sample)} lines of {path} has the {len(header)} columns of"
            f" the header ({', '.join(header)}): look whether the delimiter {delimiter!r} is right"
        )
    return replace(resolved, date_format=find_date_format(values))


def _stage_file(
    conn: shop.Connection, path: Path, mapping: SalesMapping, rejects_path: Path
) -> _Read:
    """Put every sale into staging, and every other line into the rejects file."""
    lines = 0
    with open_sales(path) as stream, rejects_file(rejects_path) as rejects:
        parse = sale_parser(mapping, split_header(stream.header_line, mapping.delimiter))
        records = stream.records(mapping.delimiter)
        while chunk := list(islice(records, CHUNK_LINES)):
            shop.stage(conn, list(_sales(chunk, parse, rejects)))
            before, lines = lines, lines + len(chunk)
            if before // PROGRESS_LINES != lines // PROGRESS_LINES:
                logger.info("%s: %d lines read, %d rejected", path, lines, rejects.count)
        return _Read(lines, rejects.count, stream.blank_lines, stream.sha256)


def _sales(
    chunk: list[Record], parse: Callable[[Record], Sale], rejects: Rejects
) -> Iterator[Sale]:
    for record in chunk:
        try:
            yield parse(record)
        except BadLineError as error:
            rejects.add(record, str(error))
