"""Model artefacts: files that are the same bytes for the same model, checked before use.

An artefact is one archive of the files that a model is kept in, each in its library's own format.

skops keeps objects without pickle, so that reading one runs no code of its own. It names the
parts of a file after memory addresses and stamps the clock; both are replaced here, because an
artefact's SHA-256 must say whether the *model* is the same.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import skops.io

_EPOCH = (1980, 1, 1, 0, 0, 0)


class ArtefactError(RuntimeError):
    """An artefact is missing, is not the file that was recorded, or cannot be read."""


def sha256(data: bytes) -> str:
    """Return the SHA-256 of `data`, in hex."""
    return hashlib.sha256(data).hexdigest()


def dump(content: dict[str, Any]) -> bytes:
    """Return `content` (numbers, text and numpy arrays) as the bytes of a skops file.

    The same content gives the same bytes, in any process.
    """
    source = zipfile.ZipFile(io.BytesIO(skops.io.dumps(content)))
    schema = json.loads(source.read("schema.json"))
    ids: dict[int, int] = {}
    files: dict[str, str] = {}
    _rename(schema, ids, files)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as target:
        for old, new in files.items():
            target.writestr(_entry(new), source.read(old))
        target.writestr(_entry("schema.json"), json.dumps(schema, indent=1))
    return buffer.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, date_time=_EPOCH)
    entry.create_system = 3
    entry.external_attr = 0o600 << 16
    return entry


def _rename(node: Any, ids: dict[int, int], files: dict[str, str]) -> None:
    """Number objects and their files in the order in which the schema names them."""
    if isinstance(node, list):
        for item in node:
            _rename(item, ids, files)
    elif isinstance(node, dict):
        if isinstance(node.get("__id__"), int):
            node["__id__"] = ids.setdefault(node["__id__"], len(ids) + 1)
        if isinstance(node.get("file"), str):
            node["file"] = files.setdefault(node["file"], f"{len(files) + 1:04d}.npy")
        for value in node.values():
            _rename(value, ids, files)


def restore(data: bytes) -> dict[str, Any]:
    """Return the content of a skops file that `dump` made.

    Raises:
        ArtefactError: it is no skops file of plain data.
    """
    try:
        content = skops.io.loads(data, trusted=[])
    except Exception as error:  # skops raises many kinds; each means the same here
        raise ArtefactError(f"the artefact is not a readable skops file: {error}") from error
    if not isinstance(content, dict):
        raise ArtefactError(f"the artefact holds {type(content).__name__}, not a model")
    return content


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return files by name as one artefact; the same files give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as target:
        for name in sorted(files):
            target.writestr(_entry(name), files[name])
    return buffer.getvalue()


def read(path: Path, expected_sha256: str) -> dict[str, bytes]:
    """Return the files of an artefact, after checking that it is the one that was recorded.

    Raises:
        ArtefactError: it is missing, has another hash, or is no artefact.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ArtefactError(f"artefact {path} cannot be read: {error.strerror}") from error
    found = sha256(data)
    if found != expected_sha256:
        raise ArtefactError(
            f"artefact {path} is not the file that was recorded "
            f"(sha256 {found[:12]}…, expected {expected_sha256[:12]}…); it is not loaded"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
    except zipfile.BadZipFile as error:
        raise ArtefactError(f"artefact {path} is no archive of a model's files") from error
    # Before artefacts held several files, one was the skops file itself.
    return {"model.skops": data} if "schema.json" in files else files
