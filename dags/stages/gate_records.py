"""What the gate writes down of a night: results, scores, and the verdict that others read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal

from dags.stages.gate_builds import newest_build
from dags.stages.gate_outcomes import Outcome
from dags.stages.gate_rows import forget_rows, keep_rows
from dags.stages.gate_scores import Score

if TYPE_CHECKING:
    from psycopg import Connection

Verdict = Literal["passed", "passed_with_warnings", "failed", "error"]
# The warehouse may be judged by two runs at once; their rows must not mix.
_LOCK = "select pg_advisory_xact_lock(hashtext('quality.validation_results'))"


@dataclass(frozen=True)
class Override:
    """Why a stopped night was published all the same, by whom, and in which run (begun when)."""

    reason: str
    published_by: str
    dag_id: str
    run_id: str
    run_at: datetime


def verdict_of(outcomes: Iterable[Outcome]) -> Verdict:
    """An error outweighs a failure, a critical failure a warning; info is only recorded."""
    outcomes = tuple(outcomes)
    if any(outcome.state == "error" for outcome in outcomes):
        return "error"
    failed = {outcome.severity for outcome in outcomes if outcome.state == "failed"}
    if "critical" in failed:
        return "failed"
    return "passed_with_warnings" if "warning" in failed else "passed"


def gravest_first(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """What was found, what stops the night first.

    Of that, what failed comes before what could not be evaluated: the latter often only follows.
    """
    severities = ("critical", "warning", "info")
    return sorted(
        (outcome for outcome in outcomes if outcome.state in ("failed", "error")),
        key=lambda o: (not o.stops, o.state == "error", severities.index(o.severity)),
    )


def forget_night(conn: Connection[Any], as_of: date) -> None:
    """Drop what an earlier judgement of the night left: one that breaks off lets nothing pass."""
    with conn.transaction():
        conn.execute(_LOCK)
        for table in ("validation_results", "table_scores"):
            conn.execute(f"delete from quality.{table} where as_of = %s".encode(), (as_of,))
        conn.execute("select quality.void_verdict(%s)", (as_of,))
        forget_rows(conn, as_of)


def keep_failing_rows(
    conn: Connection[Any],
    as_of: date,
    failed: Sequence[tuple[Outcome, Mapping[str, Any], Sequence[str]]],
) -> dict[tuple[str, str, str], list[dict[str, Any]]]:
    """Write all rows that fail; returns the first few by suite, table and expectation.

    Each outcome comes with its expectation's configuration and the key of its table.
    """
    examples = {}
    with conn.transaction():
        conn.execute(_LOCK)
        forget_rows(conn, as_of)
        for outcome, config, key in failed:
            name = (outcome.suite, outcome.table, outcome.name)
            examples[name] = keep_rows(conn, as_of, outcome.suite, outcome.table, config, key)
    return examples


def record(
    conn: Connection[Any], as_of: date, outcomes: Sequence[Outcome], scores: Sequence[Score]
) -> None:
    """Replace the recorded results, scores and verdict of the night."""
    from psycopg.types.json import Jsonb

    with conn.transaction(), conn.cursor() as cursor:
        cursor.execute(_LOCK)
        build = newest_build(conn, as_of)
        cursor.execute("delete from quality.validation_results where as_of = %s", (as_of,))
        cursor.executemany(
            "insert into quality.validation_results (as_of, build_id, suite, table_name,"
            " expectation, column_name, severity, success, error, observed, unexpected_count,"
            " rows_checked, note)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (as_of, build, o.suite, o.table, o.name, o.column, o.severity, o.success, o.error,
                 Jsonb(o.observed), o.unexpected_count, o.rows_checked, o.note)
                for o in outcomes
            ],
        )  # fmt: skip
        cursor.execute("delete from quality.table_scores where as_of = %s", (as_of,))
        cursor.executemany(
            "insert into quality.table_scores values (%s, %s, %s, %s, %s, %s)",
            [(as_of, s.table, round(s.score, 2), s.rows, s.expectations, s.failed) for s in scores],
        )
        _record_verdict(conn, as_of, build, outcomes, scores[-1].score if scores else None)


def held_suites(conn: Connection[Any], as_of: date) -> set[tuple[str, date]]:
    """The suites, and nights other than `as_of`, of which nothing failed or broke."""
    rows = conn.execute(
        "select suite, as_of from quality.validation_results where as_of <> %s"
        " group by suite, as_of having bool_and(state in ('passed', 'not_applicable'))",
        (as_of,),
    ).fetchall()
    return {(suite, night) for suite, night in rows}


def stopping_findings(outcomes: Iterable[Outcome]) -> list[str]:
    """What stops the night, each as an override names it.

    What failed is told from what could not be evaluated: who publishes the latter has not seen
    what it may find.
    """
    return sorted({f"{o.suite}, {o.table}, {o.name}: {o.state}" for o in outcomes if o.stops})


def publish(
    conn: Connection[Any], as_of: date, override: Override, outcomes: Iterable[Outcome]
) -> str:
    """Record that a stopped night is published all the same; returns its mark.

    It holds for the build of the marts that was judged, and for what stops the night now.
    """
    with conn.transaction():
        conn.execute(_LOCK)
        conn.execute(
            "insert into quality.overrides"
            " (as_of, build_id, findings, reason, published_by, dag_id, run_id, run_at)"
            " select as_of, build_id, %s, %s, %s, %s, %s, %s from quality.verdicts"
            " where as_of = %s",
            (stopping_findings(outcomes), override.reason, override.published_by,
             override.dag_id, override.run_id, override.run_at, as_of),
        )  # fmt: skip
        row = conn.execute(
            "select finding from quality.verdicts where as_of = %s", (as_of,)
        ).fetchone()
        mark = override_mark(override, row[0] if row else None)
        conn.execute(
            "update quality.verdicts set published = true, mark = %s where as_of = %s",
            (mark, as_of),
        )
    return mark


def has_published(conn: Connection[Any], as_of: date, override: Override) -> bool:
    """Whether the run has published the night before, whatever has become of it since."""
    row = conn.execute(
        "select from quality.overrides where as_of = %s and dag_id = %s and run_id = %s",
        (as_of, override.dag_id, override.run_id),
    ).fetchone()
    return row is not None


def override_of(
    conn: Connection[Any], as_of: date, build: int | None, outcomes: Iterable[Outcome]
) -> Override | None:
    """Who published the night as it was built, knowing all that stops it; None if nobody."""
    stopping = stopping_findings(outcomes)
    if not stopping:
        return None
    row = conn.execute(
        "select reason, published_by, dag_id, run_id, run_at from quality.overrides"
        " where as_of = %s and build_id is not distinct from %s and findings @> %s::text[]"
        " order by override_id desc limit 1",
        (as_of, build, stopping),
    ).fetchone()
    return Override(*row) if row else None


def override_mark(override: Override, finding: str | None) -> str:
    """What everything made from the night has to say."""
    return (
        f"Published although the gate stopped it, by {override.published_by}"
        f" ({override.dag_id}, {override.run_id}, {override.run_at:%Y-%m-%d %H:%M} UTC):"
        f" {override.reason}. The gate had found: {finding}"
    )


def _record_verdict(
    conn: Connection[Any],
    as_of: date,
    build: int | None,
    outcomes: Sequence[Outcome],
    score: float | None,
) -> None:
    verdict = verdict_of(outcomes)
    found = gravest_first(o for o in outcomes if o.stops or o.severity != "info")
    finding = found[0].finding() if found else None
    stopped = verdict in ("failed", "error")
    override = override_of(conn, as_of, build, outcomes)
    mark = None
    if override:
        mark = override_mark(override, finding)
    elif found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        mark = f"Published with a warning: {finding}{more}"
    published = not stopped or override is not None
    conn.execute(
        "insert into quality.verdicts (as_of, build_id, verdict, published, score, finding, mark)"
        " values (%s, %s, %s, %s, %s, %s, %s)"
        " on conflict (as_of) do update set build_id = excluded.build_id,"
        " verdict = excluded.verdict, published = excluded.published, score = excluded.score,"
        " finding = excluded.finding, mark = excluded.mark",
        (as_of, build, verdict, published, None if score is None else round(score, 2), finding,
         mark if published else None),
    )  # fmt: skip
