"""Fills raw the way the loader would, and builds the three layers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from psycopg import sql

from dags.stages.dbt_build import LAYERS, PROJECT, ModelResult, build_layer
from dags.stages.dbt_manifest import project_digest
from dags.stages.dbt_state import note_proven
from elt.raw import ensure_raw

AS_OF = date(2024, 3, 1)
# The layers whose unit tests have passed in this process, each with its project's digest.
PROVEN: set[tuple[str, str]] = set()
# Where dbt keeps the parsed project for all of them.
PARSED = TemporaryDirectory(prefix="amato_parsed_")


@dataclass(frozen=True)
class Raw:
    """One raw table and its rows; columns that a row leaves out are null."""

    table: str
    rows: list[Mapping[str, object]]


def fill_raw(url: str, tables: Iterable[Raw] = ()) -> None:
    """Make all raw tables and insert rows, live since ``AS_OF`` where they do not say."""
    with psycopg.connect(url) as conn:
        ensure_raw(conn)
        for raw in tables:
            for row in raw.rows:
                full = {"_batch_id": 1, "_valid_from": AS_OF, **row}
                conn.execute(
                    sql.SQL("insert into {} ({}) values ({})").format(
                        sql.Identifier(*raw.table.split(".")),
                        sql.SQL(", ").join(map(sql.Identifier, full)),
                        sql.SQL(", ").join([sql.Placeholder()] * len(full)),
                    ),
                    list(full.values()),
                )


def build_all(url: str, home: Path, as_of: date = AS_OF) -> list[ModelResult]:
    """Build staging, intermediate and marts.

    In one process, the project is parsed once, and unit tests run until they have passed once.
    """
    results = []
    parsed = home / "dbt" / "parsed"
    if not parsed.exists():
        parsed.parent.mkdir(parents=True, exist_ok=True)
        parsed.symlink_to(PARSED.name, target_is_directory=True)
    digest = project_digest(PROJECT)
    for layer in LAYERS:
        if (layer, digest) in PROVEN:
            note_proven(layer, home, digest)
        results += build_layer(layer, as_of, home, url)
        PROVEN.add((layer, digest))
    return results


def query(url: str, text: str) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    with psycopg.connect(url, options="-c timezone=UTC") as conn:
        return conn.execute(text.encode()).fetchall()
