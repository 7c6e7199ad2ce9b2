"""The rejects file: which lines were not imported, and why."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from data_generators.sales_csv.errors import SalesFileError
from data_generators.sales_csv.reader import Record

COLUMNS = ("line_number", "reason", "line")
SHOWN_CHARACTERS = 2_000


class Rejects:
    """Takes rejected records, one CSV line each, and counts them."""

    def __init__(self, writer: Any) -> None:
        """Write with a ``csv.writer``."""
        self._writer = writer
        self._writer.writerow(COLUMNS)
        self.count = 0

    def add(self, record: Record, reason: str) -> None:
        """Note one record; bytes that are not UTF-8 are shown as escapes."""
        text = record.raw.decode("utf-8", "backslashreplace").rstrip("\r\n")
        self._writer.writerow((record.line, reason, text[:SHOWN_CHARACTERS]))
        self.count += 1


@contextmanager
def rejects_file(path: Path) -> Iterator[Rejects]:
    """Collect rejects and, at the end, put the whole file in the place of the last one.

    Raises:
        SalesFileError: the file cannot be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = NamedTemporaryFile(  # noqa: SIM115 - it is renamed, not deleted, at the end
            "w", dir=path.parent, prefix=f".{path.name}.", delete=False,
            encoding="utf-8", newline="",
        )  # fmt: skip
    except OSError as error:
        raise SalesFileError(f"the rejects file {path} cannot be written: {error}") from error
    try:
        with part:
            yield Rejects(csv.writer(part))
            part.flush()
            os.fsync(part.fileno())
        Path(part.name).chmod(0o644)
        Path(part.name).replace(path)
    except BaseException:
        Path(part.name).unlink(missing_ok=True)
        raise
