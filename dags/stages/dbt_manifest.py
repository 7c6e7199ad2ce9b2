"""Parses the dbt project once per version of its files: a new night needs no new parse.

dbt itself parses everything again whenever a variable changes, and as_of changes every night.
Nothing in the project reads as_of while it is parsed but to check it, so the parsed project
holds for all nights. It is kept under ``AMATO_HOME/dbt/parsed``, by the digest of all that
decides it.
"""

from __future__ import annotations

import hashlib
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

READ_BY_DBT = ("dbt_project.yml", "profiles.yml", "macros", "models", "seeds", "tests")
# The newest versions, with and without a past night's schemas.
KEPT = 4


def project_digest(project: Path) -> str:
    """SHA-256 (hexadecimal) of the project's files and of dbt's version."""
    digest = hashlib.sha256(f"{version('dbt-core')} {version('dbt-postgres')}".encode())
    for name in READ_BY_DBT:
        top = project / name
        for file in [top] if top.is_file() else sorted(top.rglob("*")):
            if file.is_file():
                content = file.read_bytes()
                digest.update(f"\0{file.relative_to(project)}\0{len(content)}\0".encode())
                digest.update(content)
    return digest.hexdigest()


def parsed_folder(home: Path, digest: str, database: str, *, past_night: bool) -> Path:
    """Where dbt puts the parsed project (``partial_parse.msgpack``, ``manifest.json``)."""
    key = hashlib.sha256(f"{digest} {database} {past_night}".encode()).hexdigest()[:16]
    return home / "dbt" / "parsed" / key


def read_manifest(folder: Path) -> Any:
    """The parsed project; None where it was not parsed yet, or not to the end."""
    from dbt.contracts.graph.manifest import Manifest
    from dbt.parser.manifest import extended_mashumuro_decoder

    if not (folder / "complete").exists():
        return None
    packed = (folder / "partial_parse.msgpack").read_bytes()
    manifest: Any = Manifest.from_msgpack(packed, decoder=extended_mashumuro_decoder)
    manifest.build_flat_graph()
    return manifest


def keep_manifest(folder: Path) -> None:
    """Note that the project is parsed, and forget old versions of it."""
    (folder / "complete").touch()
    newest = sorted(folder.parent.iterdir(), key=lambda each: each.stat().st_mtime_ns)
    for old in newest[:-KEPT]:
        shutil.rmtree(old)
