"""Puts a file in its place in one step. It imports nothing heavy, so that a DAG file may."""

from __future__ import annotations

import os
import threading
from pathlib import Path


def replace_file(path: Path, content: str | bytes) -> None:
    """Write a file so that whoever reads `path`, at any time, finds the old or the whole new one.

    The folder is made; text is written as UTF-8. After a crash of the machine, too, one of the
    two is there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Process and thread keep two writers off each other's half-written file.
    unfinished = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with unfinished.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
