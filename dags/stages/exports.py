"""Writes a night's customer features as files that need no warehouse to be read.

Under ``AMATO_HOME/datasets/<as_of>/``: ``unified_customer_dataset.parquet`` (every customer),
``recent_customer_dataset.parquet`` (those with a purchase or a session in the inference window),
``unified_dataset_summary.yaml`` (what is in the columns) and ``timeline_datasets_metadata.yaml``
(the gate's mark on the night, the windows, the files and their checksums; written last). Running
it again for the same night writes the same bytes.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.standing import night_mark
from ml.windows import months_before
from report_pages.files import replace_file

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa

UNIFIED = "unified_customer_dataset.parquet"
RECENT = "recent_customer_dataset.parquet"
SUMMARY = "unified_dataset_summary.yaml"
METADATA = "timeline_datasets_metadata.yaml"
SOURCE = "marts.customer_features"
INFERENCE_MONTHS = 3
KEYS = ("as_of", "customer_id")
ROWS_AT_A_TIME = 10_000
# At most so many values of a text column are named in the summary.
NAMED_VALUES = 20
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Export:
    """What was written, and where."""

    as_of: date
    folder: Path
    customers: int
    recent_customers: int


class NothingToExportError(LookupError):
    """The warehouse has no features of the night."""


def export_datasets(
    conn: psycopg.Connection[Any], as_of: date, home: Path, months: int = INFERENCE_MONTHS
) -> Export:
    """Write the four files of a night.

    Args:
        conn: a connection that may read ``marts.customer_features``.
        as_of: the night.
        home: AMATO_HOME.
        months: length of the inference window that ends with ``as_of``.

    Raises:
        NothingToExportError: the night is not in ``marts.customer_features``.
    """
    with conn.transaction():
        conn.execute("set transaction isolation level repeatable read, read only")
        unified = _read(conn, as_of)
        nights = _nights(conn, as_of)
        mark = night_mark(conn, as_of)
    active = _days_since_activity(unified)
    recent = unified.filter([days <= _days(as_of, months) for days in active])
    folder = home / "datasets" / as_of.isoformat()
    files = [
        _file(folder / UNIFIED, unified, "every customer whom the shop knew on the night"),
        _file(folder / RECENT, recent, "of these, who bought or visited in the inference window"),
    ]
    _write_yaml(folder / SUMMARY, _summary(as_of, unified, files[0]))
    _write_yaml(folder / METADATA, _metadata(as_of, mark, months, files, active, nights))
    log.info("%s: %d customers, %d of them recent", folder, len(unified), len(recent))
    return Export(as_of, folder, len(unified), len(recent))


def _read(conn: psycopg.Connection[Any], as_of: date) -> pa.Table:
    """The night's rows in the byte order of customer_id; amounts and rates as float64."""
    import pyarrow as pa

    schema = _schema(conn)
    listed = ", ".join(
        f"{field.name}::float8" if field.type == pa.float64() else field.name for field in schema
    )
    query = f'select {listed} from {SOURCE} where as_of = %s order by customer_id collate "C"'
    batches = []
    with conn.cursor(name="features") as cursor:
        cursor.execute(query.encode(), (as_of,))
        while rows := cursor.fetchmany(ROWS_AT_A_TIME):
            columns = [
                pa.array(list(values), type=field.type)
                for field, values in zip(schema, zip(*rows, strict=True), strict=True)
            ]
            batches.append(pa.record_batch(columns, schema=schema))
    if not batches:
        raise NothingToExportError(
            f"{SOURCE} has no rows of the night {as_of}: run the transform stage for it first"
        )
    return pa.Table.from_batches(batches)


def _schema(conn: psycopg.Connection[Any]) -> pa.Schema:
    """The table's columns in their order, as Arrow types."""
    import pyarrow as pa

    types = {
        "date": pa.date32(),
        "text": pa.string(),
        "boolean": pa.bool_(),
        "integer": pa.int32(),
        "bigint": pa.int64(),
        "numeric": pa.float64(),
        "double precision": pa.float64(),
    }
    schema, table = SOURCE.split(".")
    found = conn.execute(
        "select column_name::text, data_type::text from information_schema.columns"
        " where table_schema = %s and table_name = %s order by ordinal_position",
        (schema, table),
    ).fetchall()
    if not found:
        raise NothingToExportError(f"there is no {SOURCE}: run the transform stage first")
    return pa.schema([pa.field(name, types[kind], nullable=False) for name, kind in found])


def _nights(conn: psycopg.Connection[Any], as_of: date) -> list[dict[str, Any]]:
    rows = conn.execute(
        f"select as_of, count(*) from {SOURCE} where as_of <= %s group by 1 order by 1".encode(),
        (as_of,),
    ).fetchall()
    return [{"as_of": night.isoformat(), "customers": count} for night, count in rows]


def _days_since_activity(table: pa.Table) -> list[float]:
    """Days from each customer's last purchase or session to as_of; infinite without either."""
    columns = ["has_purchased", "recency_days", "total_sessions", "days_since_last_session"]
    purchased, bought, sessions, visited = (table[name].to_pylist() for name in columns)
    return [
        min(
            days_bought if has_bought else float("inf"),
            days_visited if session_count else float("inf"),
        )
        for has_bought, days_bought, session_count, days_visited in zip(
            purchased, bought, sessions, visited, strict=True
        )
    ]


def _days(as_of: date, months: int) -> int:
    return (as_of - months_before(as_of, months)).days


def _file(path: Path, table: pa.Table, description: str) -> dict[str, Any]:
    """Write a Parquet file; returns what the metadata say of it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=100_000, compression="zstd")
    data = sink.getvalue().to_pybytes()
    replace_file(path, data)
    return {
        "file": path.name,
        "description": description,
        "rows": len(table),
        "columns": table.num_columns,
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def _summary(as_of: date, table: pa.Table, file: dict[str, Any]) -> dict[str, Any]:
    names = [name for name in table.column_names if name not in KEYS]
    return {
        "as_of": as_of.isoformat(),
        "source": SOURCE,
        "dataset": file,
        "customers": len(table),
        "features": len(names),
        "columns": {name: _describe(table[name]) for name in names},
    }


def _describe(column: pa.ChunkedArray) -> dict[str, Any]:
    """What is in a column: the share of true, the most frequent values, or the spread."""
    import pyarrow as pa
    import pyarrow.compute as pc

    said: dict[str, Any] = {"type": str(column.type), "nulls": column.null_count}
    if pa.types.is_boolean(column.type):
        return said | {"share_true": _number(pc.mean(column))}
    if pa.types.is_string(column.type):
        counts = sorted(
            ((entry["values"], entry["counts"]) for entry in pc.value_counts(column).to_pylist()),
            key=lambda pair: (-pair[1], pair[0]),
        )
        return said | {"distinct": len(counts), "values": dict(counts[:NAMED_VALUES])}
    return said | {
        "min": _number(pc.min(column)),
        "median": _number(pc.quantile(column, 0.5)[0]),
        "mean": _number(pc.mean(column)),
        "max": _number(pc.max(column)),
        "share_zero": _number(pc.mean(pc.equal(column, pa.scalar(0, column.type)))),
    }


def _number(scalar: pa.Scalar) -> float | int:
    value = scalar.as_py()
    return value if isinstance(value, int) else round(value, 6)


def _metadata(
    as_of: date,
    mark: str | None,
    months: int,
    files: list[dict[str, Any]],
    active: list[float],
    nights: list[dict[str, Any]],
) -> dict[str, Any]:
    start = months_before(as_of, months).isoformat()
    return {
        "as_of": as_of.isoformat(),
        # What the gate warned of, or who published the night and why; null: nothing.
        "mark": mark,
        "source": SOURCE,
        "training_window": {"before": start},
        "inference_window": {"months": months, "from": start, "before": as_of.isoformat()},
        "recent_customers": [
            {
                "months": n,
                "from": months_before(as_of, n).isoformat(),
                "customers": sum(days <= _days(as_of, n) for days in active),
            }
            for n in range(1, INFERENCE_MONTHS + 1)
        ],
        "datasets": files,
        "nights": nights,
    }


def _write_yaml(path: Path, content: dict[str, Any]) -> None:
    import yaml

    replace_file(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
