"""Remembers, per layer, how the last dbt run ended, so that a retry builds only the rest."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

import psycopg

from dags.stages.dbt_results import BUILT, ModelResult
from report_pages.files import replace_file

Layer = Literal["staging", "intermediate", "marts"]
LAYERS: tuple[Layer, ...] = ("staging", "intermediate", "marts")
PROJECT_NAME = "amato"


@dataclass(frozen=True)
class LastRun:
    """A run of a layer: its number, what it read, and the nodes that a retry must build.

    ``rebuild`` is empty while the run goes on, when it succeeded, and when a retry must build
    everything. ``proven`` is the digest of the project that the layer last succeeded with.
    """

    number: int
    as_of: str
    upstream: str
    rebuild: tuple[str, ...] = ()
    proven: str = ""


def begin(
    layer: Layer, as_of: date, home: Path, conn: psycopg.Connection[Any], digest: str
) -> tuple[list[str] | None, bool]:
    """Note that a run begins; returns the selection of a retry, or None to build everything.

    The second value is whether the layer has succeeded before with this very project.

    It is a retry when the run before it failed for the same date, on the same input: nothing
    loaded into raw since, and the layer below not run since. What was edited in the project
    since is built as well, compared with the manifest kept in ``state_folder``.
    """
    last = _read(layer, home)
    upstream = _upstream(layer, home, conn)
    run = LastRun(last.number + 1, as_of.isoformat(), upstream, proven=last.proven)
    _write(layer, home, run)
    proven = last.proven == digest
    if not last.rebuild or (last.as_of, last.upstream) != (as_of.isoformat(), upstream):
        return None, proven
    within = f"fqn:{PROJECT_NAME}.{layer}"
    return [f"{name}+,{within}" for name in (*last.rebuild, "state:modified")], proven


def finish(
    layer: Layer,
    home: Path,
    results: Sequence[ModelResult],
    manifest: Path,
    digest: str | None,
) -> None:
    """Note what failed and keep the manifest that it failed with, or note the success.

    ``digest`` is that of the project which succeeded, or None. For a failed test the models of
    the layer that it tests are built again: testing the same table once more would find the same
    rows.
    """
    if digest is not None:
        note_proven(layer, home, digest)
    if not any(result.failed for result in results):
        return
    nodes = json.loads(manifest.read_text(encoding="utf-8"))["nodes"]
    rebuild: set[str] = set()
    for result in results:
        if not result.failed:
            continue
        candidates = [result.node] if result.resource_type in BUILT else list(result.tested)
        mine = {nodes[c]["name"] for c in candidates if c in nodes and nodes[c]["fqn"][1] == layer}
        if not mine:
            return
        rebuild |= mine
    shutil.copyfile(manifest, state_folder(layer, home) / "manifest.json")
    _write(layer, home, replace(_read(layer, home), rebuild=tuple(sorted(rebuild))))


def note_proven(layer: Layer, home: Path, digest: str) -> None:
    """Note that the layer's unit tests hold for the project with this digest."""
    _write(layer, home, replace(_read(layer, home), proven=digest))


def state_folder(layer: Layer, home: Path) -> Path:
    """Where the layer's last run and manifest are kept."""
    return home / "dbt" / "state" / layer


def _upstream(layer: Layer, home: Path, conn: psycopg.Connection[Any]) -> str:
    """Changes whenever what the layer reads may have changed."""
    if layer != "staging":
        below = LAYERS[LAYERS.index(layer) - 1]
        return f"{below} run {_read(below, home).number}"
    row = conn.execute("select max(log_id) from elt.load_log").fetchone()
    return f"load {row[0] if row else None}"


def _read(layer: Layer, home: Path) -> LastRun:
    try:
        text = (state_folder(layer, home) / "run.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        return LastRun(0, "", "")
    fields = json.loads(text)
    return LastRun(**{**fields, "rebuild": tuple(fields["rebuild"])})


def _write(layer: Layer, home: Path, run: LastRun) -> None:
    replace_file(state_folder(layer, home) / "run.json", json.dumps(asdict(run)))
