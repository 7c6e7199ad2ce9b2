"""What the UI shows of a run: one small JSON file per DAG run, under ``AMATO_HOME/runs``.

The last task of a DAG writes it; the Airflow plugin reads it. It imports no Airflow.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

from report_pages.files import replace_file

LONGEST_NAME = 200  # bytes; file systems take 255, and ".json" and a temporary suffix come on top


@dataclass(frozen=True)
class RunPage:
    """A run, its night, and the reports (paths relative to AMATO_HOME) that the night has.

    ``loads`` is what the run's loads did, by raw table: see ``elt.accounting.read_loads``.
    """

    dag_id: str
    run_id: str
    as_of: date
    reports: tuple[str, ...]
    loads: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def file_name(identifier: str) -> str:
    """A DAG or run id as one safe file name: ids differ, so do their names.

    Ids hold ``:``, ``+`` and what users type; all but letters, digits, ``_``, ``-`` and ``~`` is
    percent-encoded, dots too, so that no name is ``..`` or hidden.
    """
    name = quote(identifier, safe="").replace(".", "%2E")
    if not name:
        raise ValueError("a DAG or run id is empty")
    if len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(identifier.encode()).hexdigest()[:32]
    # One longer than any name above, so that it cannot be one of those.
    return f"{name[: LONGEST_NAME - len(digest)]}~{digest}"


def run_file(home: Path, dag_id: str, run_id: str) -> Path:
    """Where the page of a run is kept."""
    return home / "runs" / file_name(dag_id) / f"{file_name(run_id)}.json"


def write_run_page(
    home: Path,
    dag_id: str,
    run_id: str,
    as_of: date,
    loads: Mapping[str, Mapping[str, Any]] | None = None,
) -> Path:
    """Record what a run loaded, and which reports its night has; returns the file.

    Writing it again, after more of the run was done, replaces it.
    """
    page = RunPage(dag_id, run_id, as_of, tuple(reports_of(home, as_of)), loads or {})
    path = run_file(home, dag_id, run_id)
    content = asdict(page) | {"as_of": as_of.isoformat()}
    replace_file(path, json.dumps(content, indent=2) + "\n")
    return path


def read_run_page(home: Path, dag_id: str, run_id: str) -> RunPage | None:
    """The page of a run, or None where the run has not written it yet."""
    try:
        content = json.loads(run_file(home, dag_id, run_id).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return RunPage(
        dag_id=content["dag_id"],
        run_id=content["run_id"],
        as_of=date.fromisoformat(content["as_of"]),
        reports=tuple(content["reports"]),
        loads=content.get("loads", {}),  # pages of older versions have none
    )


def read_verdict(home: Path, as_of: date) -> dict[str, Any] | None:
    """How the gate judged a night (see ``gate.run_gate``).

    None where it did not yet, or not to the end, and where dbt has begun to build the night again
    since.
    """
    try:
        verdict = _read(home / "verdicts" / f"{as_of}.json")
    except FileNotFoundError:
        return None
    return verdict if verdict["verdict"] else None


def score_history(home: Path, as_of: date, nights: int = 14) -> list[tuple[str, float]]:
    """The data-quality scores of the last nights up to `as_of` that have one, oldest first."""
    scores: list[tuple[str, float]] = []
    for path in sorted((home / "verdicts").glob("*-*-*.json"), reverse=True):
        if path.stem <= as_of.isoformat() and len(scores) < nights:
            told = _read(path).get("scores", [])
            scores += [(path.stem, float(score["score"])) for score in told[-1:]]
    return scores[::-1]


def newest_verdict(home: Path) -> dict[str, Any] | None:
    """The verdict on the newest night; its ``verdict`` is None where it is not judged as it stands.

    None where no night was opened or judged yet.
    """
    verdicts = sorted((home / "verdicts").glob("*-*-*.json"))
    return _read(verdicts[-1]) if verdicts else None


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def reports_of(home: Path, as_of: date) -> list[str]:
    """The report files of a night, relative to AMATO_HOME, sorted."""
    return sorted(
        path.relative_to(home).as_posix()
        for path in (home / "reports").rglob(f"*_{as_of}*")
        if path.is_file() and not path.name.startswith(".")
    )
