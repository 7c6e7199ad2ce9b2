"""What MLflow is to hold of each version of a model, as the warehouse has it."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import psycopg

from ml import registry

MODEL_TAG = "amato.model"
VERSION_TAG = "amato.version"
DIGEST_TAG = "amato.digest"
"""Written last: a run without it, or with another, is not finished yet."""
MAX_TEXT = 5000
UNFIT = re.compile(r"[^\w\-. /:]")


@dataclass(frozen=True, order=True)
class Point:
    """One figure: `step` is the number of days since the version's own night."""

    key: str
    step: int
    value: float


@dataclass(frozen=True)
class Figure:
    """A row of `ml.model_metrics`."""

    as_of: date
    metric: str
    value: float | None
    low: float | None
    high: float | None
    baseline: str | None
    baseline_value: float | None


@dataclass(frozen=True)
class Trained:
    """The run that trained a version: when it ended (UTC), how long it took (s), what it said."""

    finished_at: datetime
    seconds: float
    message: str


@dataclass(frozen=True)
class Record:
    """A version as MLflow is to hold it: one run, and one version of the registered model.

    `start` and `end` are the run's times in milliseconds since 1970; `artefact` is relative to
    AMATO_HOME.
    """

    model: str
    version: str
    family: str
    as_of: date
    is_champion: bool
    start: int
    end: int
    artefact: str
    params: dict[str, str]
    tags: dict[str, str]
    points: tuple[Point, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of all that the run is to hold."""
        content = [self.params, self.tags, [(p.key, p.step, p.value) for p in self.points]]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def timestamp(self, point: Point) -> int:
        """Milliseconds since 1970 of the night of a figure."""
        return _milliseconds(_midnight(self.as_of + timedelta(days=point.step)))


def make_record(
    version: registry.ModelVersion,
    is_champion: bool,
    promoted_as_of: date | None,
    figures: Sequence[Figure],
    trained: Trained | None,
) -> Record:
    """Return what MLflow is to hold of a version."""
    end = _milliseconds(trained.finished_at if trained else _midnight(version.as_of))
    tags = {
        MODEL_TAG: version.model,
        VERSION_TAG: version.version,
        "family": version.family,
        "as_of": str(version.as_of),
        "trained_until": str(version.trained_until),
        "is_baseline": str(version.is_baseline).lower(),
        "promoted_as_of": str(promoted_as_of) if promoted_as_of else "never",
        "data_fingerprint": version.data_fingerprint,
        "git_commit": version.code_commit,
        "artefact": version.artefact,
        "artefact_sha256": version.sha256,
        "features": _text(", ".join(version.features)),
        # What the page of a run shows as its source and its description.
        "mlflow.source.name": "train_models",
        "mlflow.source.type": "JOB",
        "mlflow.source.git.commit": version.code_commit,
        "mlflow.user": "amato",
    }
    if trained:
        tags["mlflow.note.content"] = _text(trained.message)
    baselines = sorted({f.baseline for f in figures if f.baseline and f.as_of == version.as_of})
    if baselines:
        tags["compared_with"] = ", ".join(baselines)
    return Record(
        model=version.model,
        version=version.version,
        family=version.family,
        as_of=version.as_of,
        is_champion=is_champion,
        start=end - round(1000 * trained.seconds) if trained else end,
        end=end,
        artefact=version.artefact,
        params={
            **{UNFIT.sub("_", key): _text(value) for key, value in version.params.items()},
            "trained_rows": str(version.trained_rows),
        },
        tags=tags,
        points=_points(version.as_of, figures),
    )


def read_records(conn: psycopg.Connection) -> list[Record]:
    """Return what MLflow is to hold, versions of a model in the order of their training."""
    figures: dict[tuple[str, str], list[Figure]] = {}
    for model, version, *row in conn.execute(
        "select model, version, as_of, metric, value, low, high, baseline, baseline_value"
        " from ml.model_metrics"
    ):
        figures.setdefault((model, version), []).append(Figure(*row))
    # The first run that trained a version: later ones only found it there. A baseline is made
    # by the run of the first challenger.
    runs = conn.execute(
        "select distinct on (model, version) model, version, finished_at, seconds, message"
        " from ml.model_runs where kind = 'train' and state = 'success'"
        " order by model, version, run_id"
    ).fetchall()
    trained = {(model, version): Trained(*rest) for model, version, *rest in runs}
    promotions = {
        (model, version): (is_champion, promoted)
        for model, version, is_champion, promoted in conn.execute(
            "select model, version, is_champion, promoted_as_of from ml.model_versions"
        )
    }
    return [
        make_record(version, *promotions[key], figures.get(key, ()), trained.get(key))
        for version in registry.all_versions(conn)
        for key in [(version.model, version.version)]
    ]


def _points(trained_as_of: date, figures: Sequence[Figure]) -> tuple[Point, ...]:
    """Every figure with its bounds and the baseline's own; what is no finite number is left out."""
    values: dict[tuple[str, int], float] = {}
    for figure in figures:
        name = UNFIT.sub("_", figure.metric)
        parts = {
            f"{name}_low": figure.low,
            f"{name}_high": figure.high,
            f"{name}_baseline": figure.baseline_value,
            name: figure.value,
        }
        for key, value in parts.items():
            if value is not None and math.isfinite(value):
                values[key, (figure.as_of - trained_as_of).days] = value
    return tuple(sorted(Point(key, step, value) for (key, step), value in values.items()))


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _milliseconds(moment: datetime) -> int:
    return round(1000 * moment.timestamp())
