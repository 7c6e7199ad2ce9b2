"""Reads the suites as GX keeps them: what each is for, and which tables it watches."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from dags.stages.gate_figures import WatchedTable

PROJECT = Path(__file__).resolve().parents[2] / "great_expectations"
CHECKPOINT = "gate"


@dataclass(frozen=True)
class Suite:
    """A suite of the checkpoint: its name, its purpose in words, and the tables it watches."""

    name: str
    purpose: str
    tables: tuple[WatchedTable, ...]

    @property
    def table(self) -> WatchedTable:
        """The table of an expectation that names none."""
        return self.tables[0]


def read_suites(project: Path = PROJECT) -> dict[str, Suite]:
    """The suites of the checkpoint, in its order.

    Raises:
        FileNotFoundError: the project is not there. GX would make an empty one in its place, and
            find nothing wrong with any night.
    """
    if not (project / "great_expectations.yml").is_file():
        raise FileNotFoundError(f"{project} holds no great_expectations.yml: restore the folder")
    checkpoint = json.loads((project / "checkpoints" / f"{CHECKPOINT}.json").read_text("utf-8"))
    suites = {}
    for definition in checkpoint["validation_definitions"]:
        name = definition["name"]
        content = json.loads((project / "expectations" / f"{name}.json").read_text("utf-8"))
        tables = tuple(WatchedTable.from_meta(meta) for meta in content["meta"]["tables"])
        suites[name] = Suite(name, content["notes"], tables)
    return suites
