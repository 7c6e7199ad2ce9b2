"""The gate: judges the marts of a night with Great Expectations, and stops what follows.

Suites live in ``great_expectations/`` as GX keeps them. Results go to
``quality.validation_results`` and, as pages, to ``AMATO_HOME/data_docs``; nothing is written
into the repository. An expectation that could not be evaluated is an error, which is not the
same as one that failed: either stops the night. A verdict holds until dbt builds any layer of
its night again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dags.stages.gate_builds import hold_builds, newest_build
from dags.stages.gate_outcomes import Outcome, outcomes_of
from report_pages.files import replace_file

if TYPE_CHECKING:
    from psycopg import Connection

Verdict = Literal["passed", "passed_with_warnings", "failed", "error"]
PROJECT = Path(__file__).resolve().parents[2] / "great_expectations"
CHECKPOINT = "gate"
ROLE = "amato_validator"
# The warehouse may be judged by two runs at once; their rows must not mix.
_LOCK = "select pg_advisory_xact_lock(hashtext('quality.validation_results'))"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GateResult:
    """The verdict on one night, and what every expectation said."""

    as_of: date
    verdict: Verdict
    outcomes: tuple[Outcome, ...]


class GateStoppedError(RuntimeError):
    """The night may not be used. The first line says what failed, where, and how many rows."""


class NotValidatedError(GateStoppedError):
    """There is no verdict on the night's marts as they stand."""


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
    """
    import psycopg

    from dags.stages.gate_docs import make_offline

    with psycopg.connect(warehouse_url, options=f"-c role={ROLE}", autocommit=True) as conn:
        hold_builds(conn)
        # A run that breaks off must not leave the verdict of an earlier one standing.
        _record(conn, as_of, ())
        verdict_file(home, as_of).unlink(missing_ok=True)
        outcomes = _evaluate(as_of, home, warehouse_url, project, conn)
        make_offline(home / "data_docs")
        _record(conn, as_of, outcomes)
        result = GateResult(as_of, verdict_of(outcomes), outcomes)
        replace_file(verdict_file(home, as_of), json.dumps(_summary(result), indent=2) + "\n")
    for outcome in outcomes:
        level = logging.INFO if outcome.success else logging.WARNING
        log.log(level, "%s: %s", outcome.severity, outcome.finding())
    log.info("verdict on %s: %s (%d expectations)", as_of, result.verdict, len(outcomes))
    return result


def verdict_of(outcomes: Iterable[Outcome]) -> Verdict:
    """An error outweighs a failure, a critical failure a warning; info is only recorded."""
    outcomes = tuple(outcomes)
    if any(outcome.success is None for outcome in outcomes):
        return "error"
    failed = {outcome.severity for outcome in outcomes if outcome.success is False}
    if "critical" in failed:
        return "failed"
    return "passed_with_warnings" if "warning" in failed else "passed"


def enforce(result: GateResult) -> None:
    """Let a night pass that may be used.

    Raises:
        GateStoppedError: an expectation could not be evaluated, or a critical one failed.
    """
    stopping = [outcome for outcome in result.outcomes if outcome.stops]
    if not stopping:
        return
    # The one that failed is what to mend; one that could not be evaluated often only follows.
    first, *rest = sorted(stopping, key=lambda outcome: outcome.success is None)
    more = f" and {len(rest)} more" if rest else ""
    lines = [
        f"night {result.as_of} is stopped: {first.finding()}{more}; "
        f"look at Data Docs, /amato/{validation_page(first.suite, result.as_of, first.table)}",
        *(f"  {outcome.finding()}" for outcome in rest),
        "  all of it: select * from quality.validation_results "
        f"where as_of = '{result.as_of}' and success is not true",
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
        " observed, unexpected_count, rows_checked from quality.validation_results"
        " where as_of = %s order by result_id",
        (as_of,),
    ).fetchall()
    if not rows:
        raise NotValidatedError(
            f"night {as_of} is stopped: it was never validated. Run the DAG validate with "
            f"as_of {as_of} first."
        )
    if rows[0][0] != newest_build(conn, as_of):
        raise NotValidatedError(
            f"night {as_of} is stopped: the marts were built again after they were validated: "
            f"run validate with as_of {as_of}"
        )
    outcomes = tuple(Outcome(*row[1:]) for row in rows)
    return GateResult(as_of, verdict_of(outcomes), outcomes)


def validation_page(suite: str, as_of: date, table: str) -> str:
    """The page of one night's results, relative to AMATO_HOME."""
    stamp = f"{as_of:%Y%m%d}T000000.000000Z"
    asset = table.rsplit(".", 1)[-1]
    return f"data_docs/validations/{suite}/{as_of}/{stamp}/warehouse-{asset}.html"


def verdict_file(home: Path, as_of: date) -> Path:
    """The file that tells the pages of the UI how a night was judged."""
    return home / "verdicts" / f"{as_of}.json"


def _evaluate(
    as_of: date, home: Path, warehouse_url: str, project: Path, conn: Connection[Any]
) -> tuple[Outcome, ...]:
    """Run the checkpoint and build its pages; returns the outcomes in the suites' own order."""
    from great_expectations.core.run_identifier import RunIdentifier

    import great_expectations as gx

    if not (project / "great_expectations.yml").is_file():
        # GX would make an empty project there, and find nothing wrong with any night.
        raise FileNotFoundError(f"{project} holds no great_expectations.yml: restore the folder")
    # Given in memory, and nowhere else: neither the environment nor a file has the password.
    variables = {"AMATO_HOME": str(home), "AMATO_WAREHOUSE_URL": gx_url(warehouse_url)}
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
    pages: list[Any] = []
    for key, validation in run.run_results.items():
        suite = context.suites.get(key.expectation_suite_identifier.name)
        spec = validation.meta["batch_spec"]
        table = f"{spec['schema_name']}.{spec['table_name']}"
        order = {expectation.id: place for place, expectation in enumerate(suite.expectations)}
        results: list[Any] = [result.to_json_dict() for result in validation.results]
        results.sort(key=lambda result: order[result["expectation_config"]["id"]])
        outcomes += outcomes_of(suite.name, table, results, conn)
        pages += [key, key.expectation_suite_identifier]
    context.build_data_docs(resource_identifiers=pages)
    return tuple(outcomes)


def gx_url(warehouse_url: str) -> str:
    """The warehouse's URL for SQLAlchemy with psycopg2, acting as the validator."""
    from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

    parts = urlsplit(warehouse_url)
    user, password = (
        quote(unquote(value or ""), safe="") for value in (parts.username, parts.password)
    )
    host = parts.netloc.rsplit("@", 1)[-1]
    query = dict(parse_qsl(parts.query)) | {"options": f"-c role={ROLE}"}
    return f"postgresql+psycopg2://{user}:{password}@{host}{parts.path}?{urlencode(query)}"


def _record(conn: Connection[Any], as_of: date, outcomes: Sequence[Outcome]) -> None:
    """Replace the recorded results of the night."""
    from psycopg.types.json import Jsonb

    with conn.transaction(), conn.cursor() as cursor:
        cursor.execute(_LOCK)
        build = newest_build(conn, as_of)
        cursor.execute("delete from quality.validation_results where as_of = %s", (as_of,))
        cursor.executemany(
            "insert into quality.validation_results (as_of, build_id, suite, table_name,"
            " expectation, column_name, severity, success, error, observed, unexpected_count,"
            " rows_checked)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (as_of, build, o.suite, o.table, o.name, o.column, o.severity, o.success, o.error,
                 Jsonb(o.observed), o.unexpected_count, o.rows_checked)
                for o in outcomes
            ],
        )  # fmt: skip


def _summary(result: GateResult) -> dict[str, Any]:
    """The verdict as the pages of the UI read it."""
    pages = {o.suite: validation_page(o.suite, result.as_of, o.table) for o in result.outcomes}
    return {
        "as_of": result.as_of.isoformat(),
        "verdict": result.verdict,
        "expectations": len(result.outcomes),
        "pages": pages,
        "findings": [
            {"severity": outcome.severity, "finding": outcome.finding()}
            for outcome in sorted(result.outcomes, key=lambda outcome: not outcome.stops)
            if not outcome.success
        ],
    }
