"""Keeps MLflow in step with the registry of models in the warehouse.

The warehouse is the source of truth: a version, its figures and its promotion are one transaction
there. MLflow mirrors it, to be looked at and compared: an experiment per family, a run and a
version of the registered model per version, and the alias `champion`. A sync can be stopped
anywhere, repeated, or run beside another one.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import psycopg
import requests

from ml.mlflow_api import MlflowApi
from ml.mlflow_records import DIGEST_TAG, MODEL_TAG, VERSION_TAG, Point, Record, read_records

log = logging.getLogger(__name__)

CHAMPION = "champion"
EXPERIMENT_KIND = {"key": "mlflow.experimentKind", "value": "custom_model_development"}
"""Has the pages of an experiment show training runs, not conversations."""
BATCH = 100
"""Entries of one kind that MLflow takes in one request."""
Run = dict[str, Any]


@dataclass(frozen=True)
class SyncResult:
    """What a sync changed in MLflow.

    runs_made, runs_changed, runs_removed   runs
    versions_made                           versions of registered models
    champions_changed                       models whose alias `champion` was moved or taken away
    """

    runs_made: int = 0
    runs_changed: int = 0
    runs_removed: int = 0
    versions_made: int = 0
    champions_changed: int = 0

    def __add__(self, other: SyncResult) -> SyncResult:
        """Both together."""
        mine, theirs = vars(self), vars(other)
        return SyncResult(**{name: mine[name] + theirs[name] for name in mine})

    @property
    def changed(self) -> bool:
        """Whether MLflow was not in step before."""
        return self != SyncResult()

    def __str__(self) -> str:
        """The counts that are not 0, in words."""
        said = [f"{count} {name.replace('_', ' ')}" for name, count in vars(self).items() if count]
        return ", ".join(said) or "nothing new"


def sync(
    conn: psycopg.Connection,
    tracking_uri: str,
    home: Path,
    login: tuple[str, str] | None = None,
) -> SyncResult:
    """Bring MLflow to what the warehouse's registry of models holds now.

    Args:
        conn: the warehouse, with the right to read schema `ml`; not in a transaction.
        tracking_uri: the MLflow server's address.
        home: AMATO_HOME, below which the artefacts lie.
        login: the user and the password that the server asks for.

    Raises:
        TrackingError: MLflow cannot be used. The warehouse is not touched, and the next sync
            goes on from there.
    """
    result = SyncResult()
    with conn.transaction(), requests.Session() as session:
        # One sync at a time; what the other one left, and what was trained meanwhile, is seen.
        conn.execute("select pg_advisory_xact_lock(hashtext('ml.mlflow'))")
        api = MlflowApi(tracking_uri, session, login)
        for family, records in groupby(read_records(conn), key=lambda record: record.family):
            result += _sync_family(api, family, list(records), home)
    log.info("MLflow at %s: %s", tracking_uri, result)
    return result


def _sync_family(api: MlflowApi, family: str, records: list[Record], home: Path) -> SyncResult:
    """Bring a family's experiment and its registered models up to date."""
    experiment = _experiment(api, family)
    found = [
        _plain(run) for run in api.pages("POST", "runs/search", "runs", experiment_ids=[experiment])
    ]
    result = SyncResult()
    kept: dict[str, Run] = {}
    for record in records:
        run, change = _sync_run(api, experiment, record, _matching(found, record), home)
        kept[run["run_id"]] = run
        result += change
    for run in found:
        if VERSION_TAG in run["tags"] and run["run_id"] not in kept:
            api.call("POST", "runs/delete", run_id=run["run_id"])
            result += SyncResult(runs_removed=1)
    for model, versions in groupby(records, key=lambda record: record.model):
        result += _sync_model(api, model, list(versions), list(kept.values()))
    return result


def _experiment(api: MlflowApi, family: str) -> str:
    """Return the id of a family's experiment, which is made, or brought back, where it is not."""
    known = api.find("experiments/get-by-name", experiment_name=family)
    if known is None:
        made = api.call("POST", "experiments/create", name=family, tags=[EXPERIMENT_KIND])
        return str(made["experiment_id"])
    experiment = known["experiment"]
    if experiment["lifecycle_stage"] == "deleted":
        api.call("POST", "experiments/restore", experiment_id=experiment["experiment_id"])
    return str(experiment["experiment_id"])


def _plain(run: dict[str, Any]) -> Run:
    """A run as MLflow's answers give it, with its lists of keys and values as mappings."""
    data = run["data"]
    return {
        "run_id": run["info"]["run_id"],
        "artifact_uri": run["info"]["artifact_uri"],
        "tags": {tag["key"]: tag["value"] for tag in data.get("tags", [])},
        "params": {param["key"]: param["value"] for param in data.get("params", [])},
        "metrics": [metric["key"] for metric in data.get("metrics", [])],
    }


def _matching(runs: Iterable[Run], record: Record) -> Run | None:
    """Return the first run of a version, or None."""
    wanted = (record.model, record.version)
    return next(
        (r for r in runs if (r["tags"].get(MODEL_TAG), r["tags"].get(VERSION_TAG)) == wanted), None
    )


def _sync_run(
    api: MlflowApi, experiment: str, record: Record, run: Run | None, home: Path
) -> tuple[Run, SyncResult]:
    """Bring a version's run up to date, and return it.

    Parameters and figures can only be added to a run. One that holds others is not kept (the
    caller removes it), and a new one takes its place.
    """
    if run is not None and _is_current(run, record):
        return run, SyncResult()
    present = _present(api, record, run) if run is not None else None
    if run is None or present is None:
        run, present, change = _new_run(api, experiment, record), set(), SyncResult(runs_made=1)
    else:
        change = SyncResult(runs_changed=1)
    params = [{"key": k, "value": v} for k, v in record.params.items() if k not in run["params"]]
    tags = [{"key": key, "value": value} for key, value in record.tags.items()]
    metrics = [
        {"key": p.key, "value": p.value, "step": p.step, "timestamp": record.timestamp(p)}
        for p in record.points
        if p not in present
    ]
    for kind, entries in (("params", params), ("tags", tags), ("metrics", metrics)):
        for batch in _batches(entries):
            api.call("POST", "runs/log-batch", run_id=run["run_id"], **{kind: batch})
    _upload(api, record, run, home)
    api.call("POST", "runs/update", run_id=run["run_id"], status="FINISHED", end_time=record.end)
    api.call("POST", "runs/set-tag", run_id=run["run_id"], key=DIGEST_TAG, value=record.digest)
    return run, change


def _is_current(run: Run, record: Record) -> bool:
    """Whether a run was finished as this record, and nobody has changed its texts since."""
    tags = {**record.tags, DIGEST_TAG: record.digest}
    present: dict[str, str] = run["tags"]
    return bool(run["params"] == record.params) and tags.items() <= present.items()


def _present(api: MlflowApi, record: Record, run: Run) -> set[Point] | None:
    """Return the figures that a run has already; None where it holds what the version does not."""
    if any(record.params.get(key) != value for key, value in run["params"].items()):
        return None
    present = {
        Point(key, int(entry.get("step", 0)), float(entry["value"]))
        for key in run["metrics"]
        for entry in api.pages(
            "GET", "metrics/get-history", "metrics", run_id=run["run_id"], metric_key=key
        )
    }
    return present if present <= set(record.points) else None


def _new_run(api: MlflowApi, experiment: str, record: Record) -> Run:
    tags = {MODEL_TAG: record.model, VERSION_TAG: record.version}
    made = api.call(
        "POST",
        "runs/create",
        experiment_id=experiment,
        run_name=f"{record.model} {record.version}",
        start_time=record.start,
        tags=[{"key": key, "value": value} for key, value in tags.items()],
    )
    return _plain(made["run"])


def _upload(api: MlflowApi, record: Record, run: Run, home: Path) -> None:
    """Keep the artefact with the run, unless it is lost, or not the file that was recorded."""
    path = home / record.artefact
    data = path.read_bytes() if path.exists() else b""
    if hashlib.sha256(data).hexdigest() == record.tags["artefact_sha256"]:
        api.upload(run["artifact_uri"], path.name, data)
    else:
        log.warning("artefact %s is missing or damaged: MLflow has the run without it", path)


def _batches(entries: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    return (entries[start : start + BATCH] for start in range(0, len(entries), BATCH))


def _sync_model(api: MlflowApi, model: str, records: list[Record], runs: list[Run]) -> SyncResult:
    """Bring a registered model's versions and its alias `champion` up to date."""
    registered = api.find("registered-models/get", name=model)
    if registered is None:
        registered = api.call("POST", "registered-models/create", name=model)
    found = api.pages("GET", "model-versions/search", "model_versions", filter=f"name='{model}'")
    by_run = {version["run_id"]: version["version"] for version in found if version.get("run_id")}
    result = SyncResult()
    champion = None
    kept = set()
    for record in records:
        run = _matching(runs, record)
        assert run is not None
        number = by_run.get(run["run_id"])
        if number is None:
            number = _new_version(api, record, run)
            result += SyncResult(versions_made=1)
        kept.add(number)
        champion = number if record.is_champion else champion
    aliases = registered["registered_model"].get("aliases", [])
    pointing = next((a["version"] for a in aliases if a["alias"] == CHAMPION), None)
    if pointing != champion:
        _point_champion(api, model, champion)
        result = replace(result, champions_changed=1)
    for version in found:
        ours = any(tag["key"] == VERSION_TAG for tag in version.get("tags", []))
        if ours and version["version"] not in kept:
            api.call("DELETE", "model-versions/delete", name=model, version=version["version"])
    return result


def _new_version(api: MlflowApi, record: Record, run: Run) -> str:
    names = (VERSION_TAG, "as_of", "trained_until", "is_baseline", "data_fingerprint", "git_commit")
    made = api.call(
        "POST",
        "model-versions/create",
        name=record.model,
        source=f"{run['artifact_uri']}/{Path(record.artefact).name}",
        run_id=run["run_id"],
        description=record.version,
        tags=[{"key": name, "value": record.tags[name]} for name in names],
    )
    return str(made["model_version"]["version"])


def _point_champion(api: MlflowApi, model: str, version: str | None) -> None:
    if version is None:
        api.call("DELETE", "registered-models/alias", name=model, alias=CHAMPION)
    else:
        api.call("POST", "registered-models/alias", name=model, alias=CHAMPION, version=version)
