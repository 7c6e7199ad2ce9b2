"""Training: learn from older history, prove it beside what serves, and register it.

The first champion of a model is its named baseline. A challenger takes the champion's place only
where the whole interval of its gain lies above 0, on outcomes that neither has learnt from.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psycopg

from ml import artefacts, registry
from ml.lifecycle.versions import artefact_path, readable, version_name
from ml.metrics import Metric
from ml.model import Judgement, Model, Scope
from ml.results import TrainResult
from report_pages.files import replace_file

log = logging.getLogger(__name__)

Kind = Literal["baseline", "model"]


@dataclass(frozen=True)
class _Reigning:
    """What served this night before: a fitted version, or none that can be read."""

    version: registry.ModelVersion | None
    fitted: Any


def train(
    model: Model[Any, Any, Any], conn: psycopg.Connection, scope: Scope, home: Path
) -> TrainResult:
    """Train on what was known before the inference window, and register the version.

    Artefacts are written whole before the one transaction that registers them, their figures and
    the promotion: stopping anywhere leaves the champion as it was. The same data and settings are
    the same version, which is then left as it is. Too little data ends `not_applicable`.

    Raises:
        MartMissingError: the marts are not there.
    """
    started = time.perf_counter()
    data = model.read(conn, scope)
    short = model.too_little(data)
    if short:
        return _not_applicable(model, conn, scope, model.rows(data), short, started)

    fingerprint = model.fingerprint(data)
    name = version_name(model, scope, "model", fingerprint)
    known = registry.find_version(conn, model.name, name)
    if known is not None and readable(model, home, known) is not None:
        return _unchanged(model, conn, scope, known, started)

    reigning = _reigning(model, conn, scope, home, name)
    baseline = model.fit_baseline(data)
    champion = baseline if reigning.version is None else reigning.fitted
    challenger = model.fit(data, champion)
    judgement = model.judge(data, challenger, baseline, champion)
    new = _version(model, scope, home, "model", challenger, fingerprint, model.rows(data))
    first = None
    if reigning.version is None and known is None:
        first = _version(model, scope, home, "baseline", baseline, fingerprint, model.rows(data))
    promoted = known is None and judgement.gain.low > 0
    message = _message(model, judgement, promoted, reigning.version, known is not None)
    conn.commit()  # ends the reading transaction, so that the lock below sees what is new
    with conn.transaction():
        registry.lock_model(conn, model.name)
        if first is not None:
            registry.save_version(conn, first, _baseline_figures(judgement))
            registry.promote(conn, model.name, first.version, scope.as_of)
        registry.save_version(
            conn, new if known is None else _as_first_trained(new, known), _figures(judgement)
        )
        if promoted:
            registry.promote(conn, model.name, name, scope.as_of)
        seconds = time.perf_counter() - started
        registry.record_run(
            conn, "train", model.name, name, scope.as_of, "success", new.trained_rows, seconds,
            message,
        )  # fmt: skip
    log.info("%s %s: %s", model.name, name, message)
    return _result(model, conn, scope, name, True, new.trained_rows, _figures(judgement), message,
                   seconds)  # fmt: skip


def _reigning(
    model: Model[Any, Any, Any], conn: psycopg.Connection, scope: Scope, home: Path, name: str
) -> _Reigning:
    """Return what served this night before: a later champion would leak what came after it."""
    for version in registry.serving_versions(conn, model.name, scope.as_of):
        if version.version == name:
            continue
        fitted = readable(model, home, version)
        if fitted is not None:
            return _Reigning(version, fitted)
    return _Reigning(None, None)


def _version(
    model: Model[Any, Any, Any],
    scope: Scope,
    home: Path,
    kind: Kind,
    fitted: Any,
    fingerprint: str,
    rows: int,
) -> registry.ModelVersion:
    """Write a version's artefact, and return its entry for the registry."""
    name = version_name(model, scope, kind, fingerprint)
    payload = artefacts.pack(model.dump(fitted))
    path = artefact_path(model, name)
    replace_file(home / path, payload)
    return registry.ModelVersion(
        model=model.name,
        version=name,
        family=model.family,
        as_of=scope.as_of,
        artefact=path.as_posix(),
        sha256=artefacts.sha256(payload),
        params={
            **model.settings(),
            "kind": kind,
            "window_months": scope.window_months,
            "trained_until": str(scope.cutoff),
        },
        features=model.features,
        data_fingerprint=fingerprint,
        trained_rows=rows,
    )


def _as_first_trained(
    version: registry.ModelVersion, known: registry.ModelVersion
) -> registry.ModelVersion:
    """Return a version made again under the night that it was first trained for."""
    return registry.ModelVersion(**{**vars(version), "as_of": known.as_of})


def _figures(judgement: Judgement) -> tuple[Metric, ...]:
    """Return a challenger's figures, its gain over the champion among them."""
    gain = judgement.gain
    return (
        *judgement.metrics,
        Metric("gain_over_champion", gain.value, gain.low, gain.high, "champion", 0.0),
    )


def _baseline_figures(judgement: Judgement) -> tuple[Metric, ...]:
    """Return the baseline's own figures, so far as the judgement has them."""
    return tuple(
        Metric(m.name, m.baseline_value)
        for m in judgement.metrics
        if m.baseline_value is not None and m.baseline is not None
    )


def _message(
    model: Model[Any, Any, Any],
    judgement: Judgement,
    promoted: bool,
    champion: registry.ModelVersion | None,
    again: bool,
) -> str:
    told = judgement.headline
    before = model.baseline if champion is None or champion.is_baseline else champion.version
    gain = judgement.gain
    measured = f"gain {gain.value:+.4g}, 95 % interval {gain.low:+.4g} to {gain.high:+.4g}"
    if promoted:
        return f"{told}; better than {before}, whose place it takes ({measured})"
    if again:
        return f"{told}; its artefact was lost and is made again"
    return f"{told}; not better than {before} beyond noise: {before} stays ({measured})"


def _not_applicable(
    model: Model[Any, Any, Any],
    conn: psycopg.Connection,
    scope: Scope,
    rows: int,
    why: str,
    started: float,
) -> TrainResult:
    message = f"not applicable: {why}"
    seconds = time.perf_counter() - started
    conn.commit()
    with conn.transaction():
        registry.record_run(
            conn, "train", model.name, None, scope.as_of, "not_applicable", rows, seconds, message
        )
    log.info("%s: %s", model.name, message)
    return TrainResult(
        model.name, model.family, scope.as_of, "not_applicable", None, False, False, rows, (),
        message, seconds,
    )  # fmt: skip


def _unchanged(
    model: Model[Any, Any, Any],
    conn: psycopg.Connection,
    scope: Scope,
    known: registry.ModelVersion,
    started: float,
) -> TrainResult:
    message = "the same data and settings as before: nothing to learn anew"
    seconds = time.perf_counter() - started
    metrics = registry.read_metrics(conn, model.name, known.version)
    conn.commit()
    with conn.transaction():
        registry.record_run(
            conn, "train", model.name, known.version, scope.as_of, "success", known.trained_rows,
            seconds, message,
        )  # fmt: skip
    log.info("%s %s: %s", model.name, known.version, message)
    return _result(model, conn, scope, known.version, False, known.trained_rows, metrics, message,
                   seconds)  # fmt: skip


def _result(
    model: Model[Any, Any, Any],
    conn: psycopg.Connection,
    scope: Scope,
    version: str,
    changed: bool,
    rows: int,
    metrics: tuple[Metric, ...],
    message: str,
    seconds: float,
) -> TrainResult:
    promoted = registry.champion_version(conn, model.name) == version
    conn.commit()
    return TrainResult(
        model=model.name,
        family=model.family,
        as_of=scope.as_of,
        state="success",
        version=version,
        changed=changed,
        promoted=promoted,
        trained_rows=rows,
        metrics=metrics,
        message=message,
        seconds=seconds,
    )
