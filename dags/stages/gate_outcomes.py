"""What each expectation said of a night, in the words that the gate and its pages use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psycopg import Connection

EXAMPLES = 5  # failing rows that are shown; all of them stay in the table that was checked


@dataclass(frozen=True)
class Outcome:
    """What one expectation said of one table.

    ``success`` is None where it could not be evaluated; ``error`` then says why.
    ``unexpected_count`` and ``rows_checked`` are rows, None where the expectation counts none.
    ``observed`` holds the observed value and the first few failing rows (``examples``).
    """

    suite: str
    table: str
    name: str
    column: str | None
    severity: str
    success: bool | None
    error: str | None
    observed: dict[str, Any]
    unexpected_count: int | None
    rows_checked: int | None

    @property
    def stops(self) -> bool:
        """Whether this outcome alone stops the night."""
        return self.success is None or (self.success is False and self.severity == "critical")

    def finding(self) -> str:
        """What was found, in one line: how many rows, and the first of them."""
        if self.success is None:
            return f"{self.name} could not be evaluated on {self.table}: {self.error}"
        if self.success:
            return f"{self.name} holds on {self.table}"
        parts = []
        if self.unexpected_count is not None:
            # A query counts the rows that it returns, which need not be rows of the table.
            of = "" if self.rows_checked is None else f" of {self.rows_checked:,}"
            plural = "" if (self.unexpected_count, of) == (1, "") else "s"
            parts.append(f"{self.unexpected_count:,}{of} row{plural}")
        if self.observed.get("missing"):
            parts.append("missing " + ", ".join(self.observed["missing"]))
        if examples := self.observed.get("examples"):
            parts.append("e.g. " + ", ".join(f"{k}={v}" for k, v in examples[0].items()))
        return f"{self.name} failed on {self.table} ({'; '.join(parts)})"


def outcomes_of(
    suite: str, table: str, results: Sequence[dict[str, Any]], conn: Connection[Any]
) -> list[Outcome]:
    """GX's results of one suite, in JSON's types, as outcomes.

    The first failing rows of a query are asked for again on `conn`: GX counts them only.
    """
    outcomes = []
    for result in results:
        config, found = result["expectation_config"], result["result"]
        error = _error(result["exception_info"])
        success = None if error else bool(result["success"])
        query = config["kwargs"].get("unexpected_rows_query")
        count = found.get("observed_value") if query else found.get("unexpected_count")
        observed = {
            key: found[key] for key in ("observed_value", "unexpected_percent") if key in found
        }
        if missing := found.get("details", {}).get("mismatched", {}).get("missing"):
            observed["missing"] = missing
        if success is False and query:
            observed["examples"] = _first_rows(conn, query, table)
        elif success is False and (examples := found.get("partial_unexpected_index_list")):
            observed["examples"] = examples[:EXAMPLES]
        outcomes.append(
            Outcome(
                suite=suite,
                table=table,
                name=config["meta"]["name"],
                column=config["kwargs"].get("column"),
                severity=config["severity"],
                success=success,
                error=error,
                observed=observed,
                unexpected_count=None if error else count,
                rows_checked=None if error else found.get("element_count"),
            )
        )
    return outcomes


def _error(info: dict[str, Any]) -> str | None:
    """Why an expectation could not be evaluated: GX keeps one exception, or one per metric."""
    raised = [info] if "raised_exception" in info else list(info.values())
    messages = {
        (one["exception_message"] or "no message").strip().splitlines()[0]
        for one in raised
        if one["raised_exception"]
    }
    return "; ".join(sorted(messages)) or None


def _first_rows(conn: Connection[Any], query: str, table: str) -> list[dict[str, Any]]:
    """The first rows that a failing query returns, as JSON has them."""
    from psycopg import sql
    from psycopg.rows import dict_row

    failing = sql.SQL("select * from ({}) as failing order by 1 limit {}").format(
        sql.SQL(query.format(batch=table)),
        sql.Literal(EXAMPLES),
    )
    with conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(failing).fetchall()
    return [
        {key: value if value is None else str(value) for key, value in row.items()} for row in rows
    ]
