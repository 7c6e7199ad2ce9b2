"""Fills raw with experiments, and builds the marts about them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from dags.stages.dbt_build import _invoke
from elt.raw import ensure_raw
from tests.integration.dbt_support import AS_OF

PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"


@dataclass(frozen=True)
class Experiment:
    """One experiment and its reports: (variant, impressions, conversions)."""

    test_id: str
    reports: tuple[tuple[str, int | None, int | None], ...]
    status: str | None = "completed"
    end: date | None = date(2024, 2, 1)


def two_arms(test_id: str, n_a: int, x_a: int, n_b: int, x_b: int, **more: Any) -> Experiment:
    """An experiment whose two variants are reported as they should be."""
    return Experiment(test_id, (("A", n_a, x_a), ("B", n_b, x_b)), **more)


def fill_experiments(url: str, experiments: Iterable[Experiment]) -> None:
    """Make the raw tables, and put the experiments of no campaign into them."""
    found = list(experiments)
    with psycopg.connect(url) as conn:
        ensure_raw(conn)
        with _copy(conn, "ab_tests", "test_id", "test_status", "end_date", "sample_size") as rows:
            for number, test in enumerate(found):
                rows.write_row([number, 1, AS_OF, test.test_id, test.status, test.end, 1000])
        columns = ("result_id", "test_id", "variant", "impressions", "clicks", "conversions")
        with _copy(conn, "ab_test_results", *columns) as rows:
            number = 0
            for test in found:
                for variant, shown, converted in test.reports:
                    key = f"R{number}"
                    rows.write_row(
                        [number, 1, AS_OF, key, test.test_id, variant, shown, converted, converted]
                    )
                    number += 1


@contextmanager
def _copy(conn: psycopg.Connection[Any], table: str, *columns: str) -> Iterator[psycopg.Copy]:
    names = ["row_id", "_batch_id", "_valid_from", *columns]
    statement = sql.SQL("copy raw_postgres.{} ({}) from stdin").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, names))
    )
    with conn.cursor() as cursor, cursor.copy(statement) as rows:
        yield rows


def fill_exposures(
    url: str, test_id: str, cells: Iterable[tuple[str, str, int, int]], at: str = "2024-01-15"
) -> None:
    """Show an experiment to visitors: cells of (device, variant, shown, converted)."""
    with psycopg.connect(url) as conn:
        ensure_raw(conn)
        number = 0
        for device, variant, shown, converted in cells:
            data = Jsonb({"test_id": test_id, "variant": variant})
            for nth in range(shown):
                number += 1
                key = f"{test_id}-{number}"
                conn.execute(
                    "insert into raw_mongo.sessions (_id, _batch_id, _valid_from, session_id,"
                    " anonymous_id, session_start, device_type, updated_at)"
                    " values (%s, 1, %s, %s, %s, %s, %s, %s)",
                    [key, AS_OF, key, f"cookie-{key}", at, device, at],
                )
                kinds = ["experiment_exposure", "experiment_conversion"][: 1 + (nth < converted)]
                for kind in kinds:
                    conn.execute(
                        "insert into raw_mongo.events (_id, _batch_id, _valid_from, event_id,"
                        " session_id, event_type, event_data, timestamp, created_at)"
                        " values (%s, 1, %s, %s, %s, %s, %s, %s, %s)",
                        [f"{key}{kind}", AS_OF, f"{key}{kind}", key, kind, data, at, at],
                    )


def build_experiments(url: str, home: Path, as_of: date = AS_OF) -> None:
    """Build and test the marts about experiments, and nothing that they do not need."""
    run, error = _invoke(
        ["build", "--indirect-selection", "cautious", "--select", "+ab_test_summary"],
        as_of, home, url, PROJECT,
    )  # fmt: skip
    assert error is None
    assert run is not None
    bad = {r.node.name: r.message for r in run.results if str(r.status) not in ("success", "pass")}
    assert bad == {}


def results(url: str, table: str = "ab_test_results") -> dict[str, dict[str, Any]]:
    """The rows of a mart about experiments, by their key."""
    with psycopg.connect(url, row_factory=dict_row) as conn:
        rows = conn.execute(f"select * from marts.{table}".encode()).fetchall()
    return {next(iter(row.values())): row for row in rows}
