"""The data-quality score of a table and of a night, 0 to 100.

An expectation weighs 1 when it is critical, 0.5 when a warning and 0.1 when info. One that failed
loses half of its weight for failing, and of the other half the share of the table's rows that
fail (all of it where the check is not about single rows). One that could not be evaluated loses
all; one that does not apply weighs nothing.

    score of a table = 100 x (1 - sum of what is lost / sum of the weights)

The night's score is the mean of its tables' scores, each weighted by 1 + log10(rows): a table of
a million rows weighs seven times one of a single row, not a million times.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dags.stages.gate_outcomes import Outcome

WEIGHTS = {"critical": 1.0, "warning": 0.5, "info": 0.1}


@dataclass(frozen=True)
class Score:
    """The score of one table, or of all (``table`` is None), from so many expectations."""

    table: str | None
    score: float
    rows: int | None
    expectations: int
    failed: int


def scores_of(outcomes: Iterable[Outcome], rows: Mapping[str, int | None]) -> list[Score]:
    """The score of each table that anything applies to, in order of names, and of the night.

    `rows` has the rows of each table, None where they are not known.
    """
    weights: dict[str, float] = {}
    losses: dict[str, float] = {}
    counts: dict[str, list[int]] = {}
    for outcome in outcomes:
        if outcome.state == "not_applicable":
            continue
        table, weight = outcome.table, WEIGHTS[outcome.severity]
        weights[table] = weights.get(table, 0) + weight
        losses[table] = losses.get(table, 0) + weight * lost_share(outcome)
        count = counts.setdefault(table, [0, 0])
        count[0] += 1
        count[1] += outcome.state != "passed"
    tables = [
        Score(table, 100 * (1 - losses[table] / weights[table]), rows.get(table), *counts[table])
        for table in sorted(weights)
    ]
    if not tables:
        return []
    volumes = [1 + math.log10(max(score.rows or 0, 1)) for score in tables]
    total = sum(v * s.score for v, s in zip(volumes, tables, strict=True)) / sum(volumes)
    return [
        *tables,
        Score(
            None,
            total,
            sum(score.rows or 0 for score in tables),
            sum(score.expectations for score in tables),
            sum(score.failed for score in tables),
        ),
    ]


def lost_share(outcome: Outcome) -> float:
    """Which part of its weight an outcome loses, 0 to 1."""
    if outcome.state == "error":
        return 1.0
    if outcome.state != "failed":
        return 0.0
    if not outcome.rows_checked or outcome.unexpected_count is None:
        return 1.0
    return 0.5 + 0.5 * min(1.0, outcome.unexpected_count / outcome.rows_checked)
