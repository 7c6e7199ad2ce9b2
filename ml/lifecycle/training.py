"""Training: learn from older history, prove it beside what serves, and register it.

The first champion of a model is its named baseline. A challenger takes the champion's place only
where the whole interval of its gain lies above 0, on outcomes that neither has learnt from.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import psycopg

from ml import artefacts, registry
from ml.lifecycle.versions import artefact_path, readable, version_name
from ml.metrics import Metric
from ml.model import Judgement, Model, Scope
from ml.provenance import code_commit
from ml.results import TrainResult
from report_pages.files import replace_file

log = logging.getLogger(__name__)

Kind = Literal["baseline", "model"]


@dataclass(frozen=True)
class _Reigning:
    """What served this night before: a fitted version, or none that can be read."""

    version: registry.ModelVersion | None
    fitted: Any


@dataclass(frozen=True)
class _Trained:
    """A challenger and what it was measured against, before anything of them is registered.

    `known` is its entry where it was trained before, and its artefact or the champion's was lost.
    `first` is the baseline, where no champion can be read.
    """

    new: registry.ModelVersion
    known: registry.ModelVersion | None
    first: registry.ModelVersion | None
    judgement: Judgement
    promoted: bool
    message: str


def train(
    model: Model[Any, Any, Any], conn: psycopg.Connection, scope: Scope, home: Path
) -> TrainResult:
    """Train on what was known before the inference window, and register the version.

    Artefacts are written whole before the one transaction that registers them, their figures and
    the promotion: stopping anywhere leaves the champion as it was. The same data and settings are
    the same version, which is then left as it is; artefacts that were lost are made again. Too
    little data ends `not_applicable`.

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
    served = registry.champions(conn, model.name, scope.as_of)
    if (
        known is not None
        and readable(model, home, known) is not None
        and _reigning(model, home, served).version is not None
    ):
        return _unchanged(model, conn, scope, known, started)

    rivals = [version for version in served if version.version != name]
    trained = _train(model, scope, home, data, known, _reigning(model, home, rivals))
    conn.commit()  # ends the reading transaction, so that the lock below sees what is new
    with conn.transaction():
        registry.lock_model(conn, model.name)
        stands = registry.champions(conn, model.name, scope.as_of) == served
        if stands:
            _register(model, conn, scope, trained, time.perf_counter() - started)
    if not stands:
        log.info("%s has another champion since this training began: again", model.name)
        return train(model, conn, scope, home)
    log.info("%s %s: %s", model.name, name, trained.message)
    return _result(
        model, conn, scope, name, True, trained.new.trained_rows, _figures(trained.judgement),
        trained.message, time.perf_counter() - started,
    )  # fmt: skip


def _reigning(
    model: Model[Any, Any, Any], home: Path, served: list[registry.ModelVersion]
) -> _Reigning:
    """Return the first of the champions that can be read."""
    for version in served:
        fitted = readable(model, home, version)
        if fitted is not None:
            return _Reigning(version, fitted)
    return _Reigning(None, None)


def _train(
    model: Model[Any, Any, Any],
    scope: Scope,
    home: Path,
    data: Any,
    known: registry.ModelVersion | None,
    reigning: _Reigning,
) -> _Trained:
    """Fit the challenger, measure it beside the champion, and write its artefact."""
    baseline = model.fit_baseline(data)
    champion = baseline if reigning.version is None else reigning.fitted
    challenger = model.fit(data, champion)
    judgement = model.judge(data, challenger, baseline, champion)
    fingerprint, rows = model.fingerprint(data), model.rows(data)
    promoted = known is None and judgement.gain.low > 0
    return _Trained(
        new=_version(model, scope, home, "model", challenger, fingerprint, rows),
        known=known,
        first=None
        if reigning.version is not None
        else _version(model, scope, home, "baseline", baseline, fingerprint, rows),
        judgement=judgement,
        promoted=promoted,
        message=_message(model, scope, judgement, promoted, reigning.version, known is not None),
    )


def _register(
    model: Model[Any, Any, Any],
    conn: psycopg.Connection,
    scope: Scope,
    trained: _Trained,
    seconds: float,
) -> None:
    """Write what was trained, within the caller's transaction.

    A version that is made again keeps its night, and its place among the champions.
    """
    first, new = trained.first, trained.new
    if first is not None:
        before = registry.find_version(conn, model.name, first.version)
        figures = _baseline_figures(trained.judgement)
        registry.save_version(conn, _as_first_trained(first, before), figures)
        if before is None:
            registry.promote(conn, model.name, first.version, scope.as_of)
    registry.save_version(conn, _as_first_trained(new, trained.known), _figures(trained.judgement))
    if trained.promoted:
        registry.promote(conn, model.name, new.version, scope.as_of)
    registry.record_run(
        conn, "train", model.name, new.version, scope.as_of, "success", new.trained_rows, seconds,
        trained.message,
    )  # fmt: skip


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
        code_commit=code_commit(),
    )


def _as_first_trained(
    version: registry.ModelVersion, known: registry.ModelVersion | None
) -> registry.ModelVersion:
    """Return a version made again under the night that it was first trained for."""
    return version if known is None else replace(version, as_of=known.as_of)


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
    scope: Scope,
    judgement: Judgement,
    promoted: bool,
    champion: registry.ModelVersion | None,
    again: bool,
) -> str:
    told = judgement.headline
    if again:
        return f"{told}; trained before: what was lost of its artefacts is made again"
    before = model.baseline if champion is None or champion.is_baseline else champion.version
    gain = judgement.gain
    measured = f"gain {gain.value:+.4g}, 95 % interval {gain.low:+.4g} to {gain.high:+.4g}"
    if champion is not None and champion.trained_until > scope.cutoff:
        measured += f"; {before} knew days of this window, which favours it"
    if promoted:
        return f"{told}; better than {before}, whose place it takes ({measured})"
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
