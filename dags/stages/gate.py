"""The gate: judges the tables of a night with Great Expectations, and stops what follows.

Suites live in ``great_expectations/`` as GX keeps them. First every table that they watch is
measured (``gate_figures``); then the suites compare tables with each other and the figures with
their own history. Results go to ``quality.validation_results``, all failing rows to
``quality.failing_rows``, scores to ``quality.table_scores``, the verdict to ``quality.verdicts``,
and pages to ``AMATO_HOME/data_docs``; nothing is written into the repository. An expectation that
could not be evaluated is an error, which is not the same as one that failed: either stops the
night. A verdict holds until dbt builds any layer of its night again.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dags.stages.gate_builds import hold_builds, newest_build, written_when_over
from dags.stages.gate_figures import Standing, measure
from dags.stages.gate_outcomes import Outcome, outcomes_of
from dags.stages.gate_records import (
    Override,
    Verdict,
    forget_night,
    gravest_first,
    has_published,
    held_suites,
    keep_failing_rows,
    override_of,
    publish,
    record,
    verdict_of,
)
from dags.stages.gate_scores import Score, scores_of
from dags.stages.gate_suites import CHECKPOINT, PROJECT, Suite, read_suites
from dags.stages.run_pages import read_verdict
from report_pages.files import replace_file

if TYPE_CHECKING:
    from psycopg import Connection

__all__ = [
    "PROJECT",
    "GateResult",
    "GateStoppedError",
    "NotValidatedError",
    "ReasonSpentError",
    "check_verdict",
    "enforce",
    "gx_url",
    "publish_night",
    "recorded_result",
    "run_gate",
    "validation_page",
    "verdict_file",
    "verdict_of",
    "write_unjudged_file",
    "write_verdict_file",
]

ROLE = "amato_validator"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GateResult:
    """The verdict on one night, what every expectation said, and who published it regardless."""

    as_of: date
    verdict: Verdict
    outcomes: tuple[Outcome, ...]
    override: Override | None = None


class GateStoppedError(RuntimeError):
    """The night may not be used. The first line says what failed, where, and how many rows."""


class NotValidatedError(GateStoppedError):
    """There is no verdict on the night's marts as they stand."""


class ReasonSpentError(GateStoppedError):
    """The run's reason has published the night before, and does not cover what is found now."""


def run_gate(as_of: date, home: Path, warehouse_url: str, project: Path = PROJECT) -> GateResult:
    """Evaluate the checkpoint ``gate`` on the warehouse, record the results, build Data Docs.

    Running it again for the same night replaces its results and its page. It waits for a dbt
    build that is going on, and a build waits for it.

    Args:
        as_of: the night that the marts must show.
        home: AMATO_HOME; results, Data Docs and the verdict are written under it.
        warehouse_url: ``postgresql://`` URL of a login that may act as ``amato_validator``.
        project: the context root of the GX project.

    Raises:
        psycopg.OperationalError: the warehouse cannot be reached.
        FileNotFoundError: the GX project is not there.
    """
    import psycopg

    from dags.stages.gate_docs import drop_old_nights, make_offline
    from dags.stages.gate_pages import explain

    with psycopg.connect(warehouse_url, options=_options(as_of), autocommit=True) as conn:
        hold_builds(conn)
        forget_night(conn, as_of)
        write_unjudged_file(home, as_of)
        drop_old_nights(home, as_of)
        suites = read_suites(project)
        watched = [table for suite in suites.values() for table in suite.tables]
        standings = measure(conn, as_of, watched)
        outcomes = _evaluate(as_of, home, warehouse_url, project, conn, suites, standings)
        explain(home, as_of, suites.values(), outcomes, held_suites(conn, as_of))
        make_offline(home / "data_docs", as_of)
        scores = scores_of(outcomes, {name: s.rows for name, s in standings.items()})
        record(conn, as_of, outcomes, scores)
        override = override_of(conn, as_of, newest_build(conn, as_of), outcomes)
        result = GateResult(as_of, verdict_of(outcomes), outcomes, override)
        write_verdict_file(home, result, scores)
    for outcome in gravest_first(outcomes):
        log.warning("%s: %s", outcome.severity, outcome.finding())
    idle = [outcome for outcome in outcomes if outcome.state == "not_applicable"]
    log.info(
        "verdict on %s: %s (%d expectations, %d of them do not apply), score %.2f",
        as_of, result.verdict, len(outcomes), len(idle), scores[-1].score if scores else 0,
    )  # fmt: skip
    return result


def enforce(result: GateResult) -> None:
    """Let a night pass that may be used: a good one, or one that somebody has published.

    Raises:
        GateStoppedError: an expectation could not be evaluated, or a critical one failed.
    """
    stopping = [outcome for outcome in gravest_first(result.outcomes) if outcome.stops]
    if not stopping or result.override:
        return
    first, *rest = stopping
    more = f" and {len(rest)} more" if rest else ""
    night = f"where as_of = '{result.as_of}'"
    lines = [
        f"night {result.as_of} is stopped: {first.finding()}{more}; "
        f"look at Data Docs, /amato/{validation_page(first.suite, result.as_of)}",
        *(f"  {outcome.finding()}" for outcome in rest),
        f"  all of it: select * from quality.validation_results {night} and state in"
        " ('failed', 'error')",
        f"  every failing row: select * from quality.failing_rows {night}",
        "  to publish it all the same: run validate with a reason in its form",
    ]
    raise GateStoppedError("\n".join(lines))


def check_verdict(conn: Connection[Any], as_of: date) -> GateResult:
    """Read the recorded results of a night and enforce them; returns them where it passes.

    Raises:
        GateStoppedError: the night was stopped, was never validated, or its marts were built
            again since.
    """
    result = recorded_result(conn, as_of)
    enforce(result)
    return result


def recorded_result(conn: Connection[Any], as_of: date) -> GateResult:
    """The recorded results of a night, whatever they say.

    Raises:
        NotValidatedError: the night was never validated, or its marts were built again since.
    """
    rows = conn.execute(
        "select build_id, suite, table_name, expectation, column_name, severity, success, error,"
        " observed, unexpected_count, rows_checked, note from quality.validation_results"
        " where as_of = %s order by result_id",
        (as_of,),
    ).fetchall()
    if not rows:
        raise NotValidatedError(
            f"night {as_of} is stopped: it was never validated. Run the DAG validate with "
            f"as_of {as_of} first."
        )
    if rows[0][0] != newest_build(conn, as_of):
        remedy = f"run validate with as_of {as_of}"
        if written_when_over(conn, as_of):
            remedy = "a night that is over is not judged again; use the newest one"
        raise NotValidatedError(
            f"night {as_of} is stopped: the marts were built again after they were validated: "
            f"{remedy}"
        )
    outcomes = tuple(Outcome(*row[1:]) for row in rows)
    override = override_of(conn, as_of, rows[0][0], outcomes)
    return GateResult(as_of, verdict_of(outcomes), outcomes, override)


def publish_night(conn: Connection[Any], as_of: date, home: Path, override: Override) -> str:
    """Publish a stopped night all the same; returns the mark that everything made from it bears.

    `conn` acts as ``amato_validator``; no build begins until it is closed.

    Raises:
        NotValidatedError: the night was never validated, or its marts were built again since.
        ReasonSpentError: the override's run has published the night before.
    """
    hold_builds(conn)
    result = recorded_result(conn, as_of)
    if has_published(conn, as_of, override):
        finding = gravest_first(result.outcomes)[0].finding()
        raise ReasonSpentError(
            f"night {as_of} is stopped: {finding}. The reason of {override.run_id} "
            f"({override.dag_id}) has published it once, and does not cover what was built or "
            "found since: to publish it all the same, run validate with a reason in its form"
        )
    mark = publish(conn, as_of, override, result.outcomes)
    write_verdict_file(home, replace(result, override=override))
    return mark


def validation_page(suite: str, as_of: date) -> str:
    """The page of one night's results, relative to AMATO_HOME."""
    stamp = f"{as_of:%Y%m%d}T000000.000000Z"
    return f"data_docs/validations/{suite}/{as_of}/{stamp}/warehouse-{suite}.html"


def verdict_file(home: Path, as_of: date) -> Path:
    """The file that tells the pages of the UI how a night was judged."""
    return home / "verdicts" / f"{as_of}.json"


def _evaluate(
    as_of: date,
    home: Path,
    warehouse_url: str,
    project: Path,
    conn: Connection[Any],
    suites: dict[str, Suite],
    standings: dict[str, Standing],
) -> tuple[Outcome, ...]:
    """Run the checkpoint and build its pages; returns the outcomes in the suites' own order."""
    from great_expectations.core.run_identifier import RunIdentifier

    import great_expectations as gx

    # It tells of every argument that an expectation has not: a thousand lines a night.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    # Given in memory, and nowhere else: neither the environment nor a file has the password.
    variables = {"AMATO_HOME": str(home), "AMATO_WAREHOUSE_URL": gx_url(warehouse_url, as_of)}
    context = gx.get_context(
        mode="file", context_root_dir=str(project), runtime_environment=variables
    )
    # The night names the run, not the clock, so that the same night replaces its page.
    midnight = datetime(as_of.year, as_of.month, as_of.day, tzinfo=UTC)
    run = context.checkpoints.get(CHECKPOINT).run(
        run_id=RunIdentifier(run_name=as_of.isoformat(), run_time=midnight),
        expectation_parameters={"nights": [as_of.isoformat()]},
    )
    outcomes: list[Outcome] = []
    failed: list[tuple[Outcome, dict[str, Any], tuple[str, ...]]] = []
    pages: list[Any] = []
    for key, validation in run.run_results.items():
        suite = suites[key.expectation_suite_identifier.name]
        expectations = context.suites.get(suite.name).expectations
        order = {expectation.id: place for place, expectation in enumerate(expectations)}
        results: list[Any] = [result.to_json_dict() for result in validation.results]
        results.sort(key=lambda result: order[result["expectation_config"]["id"]])
        found = outcomes_of(suite.name, suite.table.table, results, standings)
        outcomes += found
        failed += [
            (outcome, result["expectation_config"], suite.table.key)
            for outcome, result in zip(found, results, strict=True)
            if outcome.state == "failed"
        ]
        pages += [key, key.expectation_suite_identifier]
    context.build_data_docs(resource_identifiers=pages)
    for datasource in context.data_sources.all().values():
        datasource.get_execution_engine().close()
    examples = keep_failing_rows(conn, as_of, failed)
    return tuple(
        replace(o, observed={**o.observed, "examples": rows})
        if (rows := examples.get((o.suite, o.table, o.name)))
        else o
        for o in outcomes
    )


def _options(as_of: date) -> str:
    """What a session of the gate is told: its role, its clock, and the night that it judges."""
    return f"-c role={ROLE} -c timezone=UTC -c amato.as_of={as_of}"


def gx_url(warehouse_url: str, as_of: date) -> str:
    """The warehouse's URL for SQLAlchemy with psycopg2, acting as the validator."""
    from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

    parts = urlsplit(warehouse_url)
    user, password = (
        quote(unquote(value or ""), safe="") for value in (parts.username, parts.password)
    )
    host = parts.netloc.rsplit("@", 1)[-1]
    query = dict(parse_qsl(parts.query)) | {"options": _options(as_of)}
    return f"postgresql+psycopg2://{user}:{password}@{host}{parts.path}?{urlencode(query)}"


def write_unjudged_file(home: Path, as_of: date) -> None:
    """Tell the pages of the UI that the night is not judged as it stands."""
    content = {"as_of": as_of.isoformat(), "verdict": None}
    replace_file(verdict_file(home, as_of), json.dumps(content) + "\n")


def write_verdict_file(home: Path, result: GateResult, scores: list[Score] | None = None) -> None:
    """Tell the pages of the UI how the night was judged; without `scores` they stay as they are.

    It is written whole, so that a reader sees the old or the new one.
    """
    if scores is None:
        told = (read_verdict(home, result.as_of) or {}).get("scores", [])
    else:
        told = [asdict(score) for score in scores]
    found = gravest_first(result.outcomes)
    content = {
        "as_of": result.as_of.isoformat(),
        "verdict": result.verdict,
        "expectations": len(result.outcomes),
        "not_applicable": sum(o.state == "not_applicable" for o in result.outcomes),
        "scores": told,
        "override": asdict(result.override) if result.override else None,
        "pages": {o.suite: validation_page(o.suite, result.as_of) for o in result.outcomes},
        "findings": [
            {
                "severity": outcome.severity,
                "finding": outcome.finding(),
                "stops": outcome.stops,
                "page": validation_page(outcome.suite, result.as_of),
                "rows": f"select row_key from quality.failing_rows where as_of = '{result.as_of}'"
                f" and table_name = '{outcome.table}' and expectation = '{outcome.name}'",
            }
            for outcome in found
        ],
    }
    text = json.dumps(content, indent=2, default=str) + "\n"
    replace_file(verdict_file(home, result.as_of), text)
