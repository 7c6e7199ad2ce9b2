"""Versions of the segmentation: their names, and reading their artefacts."""

from __future__ import annotations

import hashlib
import logging
from datetime import date
from pathlib import Path

import sklearn

from ml import artefacts, registry
from ml.customer_segmentation.config import FAMILY, MODEL, MODEL_FEATURES, SegmentationConfig
from ml.customer_segmentation.model import Segmentation, from_content

log = logging.getLogger(__name__)


def artefact_path(version: str) -> Path:
    """Return where a version's artefact lies, relative to AMATO_HOME."""
    return Path("artefacts") / FAMILY / f"{MODEL}-{version}.skops"


def version_name(cutoff: date, config: SegmentationConfig, data_fingerprint: str) -> str:
    """Return `<cutoff>-<8 hex>`: the same settings, data and library give the same name."""
    basis = f"{config.canonical()}|{','.join(MODEL_FEATURES)}|{data_fingerprint}|sklearn "
    return f"{cutoff}-{hashlib.sha256((basis + sklearn.__version__).encode()).hexdigest()[:8]}"


def load_version(home: Path, version: registry.ModelVersion) -> Segmentation:
    """Read a version's artefact, after checking its hash.

    Raises:
        ArtefactError: it is missing, not the recorded file, or no segmentation.
    """
    return from_content(artefacts.load(home / version.artefact, version.sha256))


def readable(home: Path, version: registry.ModelVersion | None) -> Segmentation | None:
    """Return a version's model, or None (with a warning) where its artefact cannot be used."""
    if version is None:
        return None
    try:
        return load_version(home, version)
    except artefacts.ArtefactError as error:
        log.warning("%s %s cannot be used: %s", MODEL, version.version, error)
        return None
