"""Report files by name: which model made them, for which night, with which version."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

# customer_segmentation/kmeans_1998-07-01_3f2a9c.html; a master report has no version.
_NAME = re.compile(r"(?P<name>.+?)_(?P<as_of>\d{4}-\d{2}-\d{2})(?:_(?P<version>.+))?")
ORDER = {".html": 0, ".yaml": 1, ".parquet": 2}
#: The family of files that lie in no folder of a model family, such as world.html.
NO_FAMILY = "source_data"


@dataclass(frozen=True)
class ReportFile:
    """One file of a report; ``path`` is relative to the reports folder, ``size`` in bytes."""

    path: str
    suffix: str
    size: int


@dataclass(frozen=True)
class Report:
    """What one model (or the master report) left for one night, in one or more formats.

    ``as_of`` and ``version`` are empty where the files' name does not carry them.
    """

    family: str
    name: str
    as_of: str
    version: str
    files: tuple[ReportFile, ...]


def list_reports(folder: Path, only: Iterable[str] | None = None) -> list[Report]:
    """The reports in a folder: by family, the newest night first.

    `only` keeps the files with these paths, relative to the folder.
    """
    wanted = None if only is None else set(only)
    found = []
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in relative.parts)
        if hidden or not path.is_file():
            continue
        if wanted is None or relative.as_posix() in wanted:
            file = ReportFile(relative.as_posix(), path.suffix, path.stat().st_size)
            family = relative.parts[0] if len(relative.parts) > 1 else NO_FAMILY
            found.append((Report(family, *_parts(path.stem), files=()), file))
    # Sorts are stable: names in ascending order within nights in descending order.
    found.sort(key=lambda row: (ORDER.get(row[1].suffix, 9), row[1].path))
    found.sort(key=lambda row: (row[0].name, row[0].version))
    found.sort(key=lambda row: row[0].as_of, reverse=True)
    found.sort(key=lambda row: row[0].family)
    return [
        replace(report, files=tuple(file for _, file in rows))
        for report, rows in groupby(found, key=lambda row: row[0])
    ]


def _parts(stem: str) -> tuple[str, str, str]:
    """Name, night and version in a file's name without its suffix."""
    match = _NAME.fullmatch(stem)
    if match is None:
        return stem, "", ""
    return match["name"], match["as_of"], match["version"] or ""
