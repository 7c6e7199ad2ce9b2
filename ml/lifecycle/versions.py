"""Versions of a model: their names, their artefacts, and which of them serves a night."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version as library_version
from pathlib import Path
from typing import Any, Generic, TypeVar

import psycopg

from ml import artefacts, registry
from ml.model import Model, Scope

log = logging.getLogger(__name__)

F = TypeVar("F")

LIBRARIES = ("scikit-learn", "xgboost", "prophet", "statsforecast", "hdbscan", "numpy")
"""Another release of one of these may learn another model from the same data."""


@dataclass(frozen=True)
class Serving(Generic[F]):
    """The version that scores a night, and the champion it stands in for, if any."""

    version: registry.ModelVersion
    fitted: F
    fallback_from: str | None


def artefact_path(model: Model[Any, Any, Any], version: str) -> Path:
    """Return where a version's artefact lies, relative to AMATO_HOME."""
    return Path("artefacts") / model.family / f"{model.name}-{version}.zip"


def version_name(model: Model[Any, Any, Any], scope: Scope, kind: str, fingerprint: str) -> str:
    """Return `<cutoff>-<8 hex>` (a baseline's ends in `-baseline`).

    The same settings, data and libraries give the same name.
    """
    libraries = [f"{name} {library_version(name)}" for name in LIBRARIES]
    basis = json.dumps(
        [kind, model.settings(), scope.window_months, model.features, fingerprint, libraries],
        sort_keys=True,
    )
    suffix = "-baseline" if kind == registry.BASELINE else ""
    return f"{scope.cutoff}-{hashlib.sha256(basis.encode()).hexdigest()[:8]}{suffix}"


def load_version(model: Model[Any, F, Any], home: Path, version: registry.ModelVersion) -> F:
    """Read a version's artefact, after checking its hash.

    Raises:
        ArtefactError: it is missing, not the recorded file, or no such model.
    """
    path = home / version.artefact
    try:
        return model.load(artefacts.read(path, version.sha256))
    except KeyError as error:
        raise artefacts.ArtefactError(f"artefact {path} has no file {error}") from error


def readable(
    model: Model[Any, F, Any], home: Path, version: registry.ModelVersion | None
) -> F | None:
    """Return a version's model, or None (with a warning) where its artefact cannot be used."""
    if version is None:
        return None
    try:
        return load_version(model, home, version)
    except artefacts.ArtefactError as error:
        log.warning("%s %s cannot be used: %s", model.name, version.version, error)
        return None


def choose_version(
    model: Model[Any, F, Any], conn: psycopg.Connection, as_of: date, home: Path
) -> Serving[F] | None:
    """Return the champion of the night `as_of`, or the last good version before it.

    Returns None where no version exists yet.

    Raises:
        ArtefactError: there are versions, but no artefact of theirs can be used.
    """
    candidates = registry.serving_versions(conn, model.name, as_of)
    problems: list[str] = []
    for version in candidates:
        try:
            fitted = load_version(model, home, version)
        except artefacts.ArtefactError as error:
            log.error("%s %s cannot serve: %s", model.name, version.version, error)
            problems.append(str(error))
            continue
        fallback = candidates[0].version if version is not candidates[0] else None
        if fallback:
            log.error("%s falls back from %s to %s", model.name, fallback, version.version)
        return Serving(version, fitted, fallback)
    if not problems:
        return None
    raise artefacts.ArtefactError(
        f"no version of {model.name} can be used: {'; '.join(problems)}. Train again: run the DAG "
        f"train_models, or `python -m ml.run train --model {model.name} --as-of {as_of}`."
    )
