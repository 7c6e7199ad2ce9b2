"""What became of the nodes of a dbt run: for the log, the results table and the error."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import psycopg

FAILED = frozenset({"error", "fail", "runtime error", "partial success"})
BUILT = frozenset({"model", "seed", "snapshot"})
# How PostgreSQL and its driver say that the server went away; such a run may be tried again.
CONNECTION_LOST = (
    "server closed the connection",
    "terminating connection",
    "could not connect to server",
    "connection to server",
    "connection already closed",
    "the database system is",
)
# Events that tell a node's result once more, each in its own words.
RETOLD = ("RunResult", "LogTestResult", "LogModelResult", "LogSeedResult", "LogNodeResult")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelResult:
    """What became of one dbt node: a model, seed, data test or unit test.

    ``rows`` is what a model or seed wrote, ``failures`` the rows a test found; either is None
    where it has no meaning. ``seconds`` is dbt's own execution time.
    """

    node: str
    name: str
    resource_type: str
    status: str
    seconds: float
    rows: int | None
    failures: int | None
    message: str
    tested: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether the node itself failed (one that was skipped hangs on one that did)."""
        return self.status in FAILED


class DbtFailedError(RuntimeError):
    """A layer could not be built. The first line names each failed node and its message."""

    def __init__(self, message: str, results: Sequence[ModelResult] = ()) -> None:
        """Keep the results of the run, which is empty when dbt could not start."""
        super().__init__(message)
        self.results = tuple(results)


class DbtConnectionLostError(DbtFailedError, ConnectionError):
    """Every failed node lost its connection to the warehouse: running again may mend it."""


def log_event(event: Any) -> None:
    """Log one line per finished node, and dbt's own warnings; the rest is in its log file."""
    if event.info.name == "NodeFinished":
        _log_node(event.data.node_info, event.data.run_result)
    elif event.info.level in ("warn", "error") and not event.info.name.startswith(RETOLD):
        level = logging.WARNING if event.info.level == "warn" else logging.ERROR
        log.log(level, "dbt: %s", one_line(event.info.msg))


def _log_node(node: Any, result: Any) -> None:
    if node.resource_type == "exposure":
        return
    level = logging.ERROR if result.status in FAILED else logging.INFO
    if result.status == "warn":
        level = logging.WARNING
    rows = _rows(dict(result.adapter_response)) if node.resource_type in BUILT else None
    log.log(
        level,
        "dbt %s %s %s %.2f s%s%s",
        *(node.resource_type, node.node_name, result.status, result.execution_time),
        "" if rows is None else f" {rows} rows",
        f": {one_line(result.message)}" if level > logging.INFO else "",
    )


def is_ours(item: Any) -> bool:
    """Whether dbt's result is of a node that runs: exposures are listed, and do not."""
    return str(item.node.resource_type) != "exposure"


def to_result(item: Any) -> ModelResult:
    """Our record of a result of dbt's."""
    node = item.node
    kind = str(node.resource_type)
    return ModelResult(
        node=node.unique_id,
        name=node.name,
        resource_type=kind,
        status=str(item.status),
        seconds=float(item.execution_time),
        rows=_rows(item.adapter_response) if kind in BUILT else None,
        failures=item.failures,
        message=one_line(item.message),
        tested=() if kind in BUILT else tuple(node.depends_on.nodes),
    )


def _rows(response: dict[str, Any]) -> int | None:
    rows = response.get("rows_affected")
    return None if rows is None or int(rows) < 0 else int(rows)


def one_line(message: object) -> str:
    """The message with its line breaks and runs of blanks made single blanks."""
    return " ".join(str(message or "").split())


def failure(
    layer: str, results: Sequence[ModelResult], error: BaseException | None
) -> DbtFailedError | None:
    """The error to raise, or None when all is well."""
    failed = [result for result in results if result.failed]
    told = [result.message for result in failed] or ([one_line(error)] if error else [])
    lost = bool(told) and all(any(sign in text for sign in CONNECTION_LOST) for text in told)
    kind = DbtConnectionLostError if lost else DbtFailedError
    if error:
        return kind(f"{layer}: dbt could not run: {one_line(error)}", results)
    if not failed:
        return None
    skipped = sum(result.status == "skipped" for result in results)
    named = "; ".join(f"{r.resource_type} {r.name}: {r.message}" for r in failed)
    return kind(f"{layer}: {len(failed)} failed, {skipped} skipped: {named}", results)


def write_results(
    conn: psycopg.Connection[Any],
    layer: str,
    as_of: date,
    results: Sequence[ModelResult],
    *,
    replace: bool,
) -> None:
    """Put the results into quality.dbt_run_results; a retry replaces only the nodes it ran."""
    rows = [
        (as_of, layer, r.node, r.resource_type, r.status, r.seconds, r.rows, r.failures, r.message)
        for r in results
    ]
    with conn.transaction(), conn.cursor() as cursor:
        if replace:
            cursor.execute(
                "delete from quality.dbt_run_results where as_of = %s and layer = %s",
                (as_of, layer),
            )
        cursor.executemany(
            """
            insert into quality.dbt_run_results (
                as_of, layer, node, resource_type, status, seconds,
                rows_affected, failures, message
            ) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
            on conflict (as_of, layer, node) do update set
                resource_type = excluded.resource_type,
                status = excluded.status,
                seconds = excluded.seconds,
                rows_affected = excluded.rows_affected,
                failures = excluded.failures,
                message = excluded.message
            """,
            rows,
        )
