"""Artefacts: the same bytes for the same model, and nothing loaded unchecked."""

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import skops.io

from ml import artefacts

CONTENT = {"about": "{}", "points": np.arange(6.0).reshape(3, 2), "scale": np.array([1.0, 2.0])}


def packed() -> bytes:
    """The model of `CONTENT`, with a second file beside it, as one artefact."""
    return artefacts.pack({"model.skops": artefacts.dump(CONTENT), "notes.txt": b"\x00text"})


def test_what_is_packed_is_what_is_read(tmp_path: Path) -> None:
    data = packed()
    path = tmp_path / "model.zip"
    path.write_bytes(data)
    files = artefacts.read(path, hashlib.sha256(data).hexdigest())
    assert set(files) == {"model.skops", "notes.txt"}
    assert files["notes.txt"] == b"\x00text"
    loaded = artefacts.restore(files["model.skops"])
    assert loaded["about"] == "{}"
    np.testing.assert_array_equal(loaded["points"], [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    np.testing.assert_array_equal(loaded["scale"], [1.0, 2.0])


def test_the_order_of_files_makes_no_other_artefact() -> None:
    assert artefacts.pack({"a": b"1", "b": b"2"}) == artefacts.pack({"b": b"2", "a": b"1"})
    assert artefacts.pack({"a": b"1", "b": b"2"}) != artefacts.pack({"a": b"2", "b": b"1"})


def test_an_artefact_of_one_skops_file_is_still_read(tmp_path: Path) -> None:
    data = artefacts.dump(CONTENT)
    path = tmp_path / "model.skops"
    path.write_bytes(data)
    files = artefacts.read(path, hashlib.sha256(data).hexdigest())
    assert files == {"model.skops": data}
    np.testing.assert_array_equal(artefacts.restore(files["model.skops"])["scale"], [1.0, 2.0])


def test_another_process_makes_the_same_bytes() -> None:
    program = (
        "import hashlib, numpy as np; padding = [object() for _ in range(999)];"
        "from ml import artefacts;"
        "content = {'about': '{}', 'points': np.arange(6.0).reshape(3, 2),"
        " 'scale': np.array([1.0, 2.0])};"
        "files = {'notes.txt': b'\\x00text', 'model.skops': artefacts.dump(content)};"
        "print(hashlib.sha256(artefacts.pack(files)).hexdigest())"
    )
    root = Path(__file__).resolve().parents[2]
    other = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "PYTHONHASHSEED": "77", "TZ": "Asia/Tokyo"},
    )
    assert other.stdout.strip() == hashlib.sha256(packed()).hexdigest()


def test_a_changed_byte_is_refused_before_the_file_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = packed()
    path = tmp_path / "model.zip"
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    opened: list[object] = []
    monkeypatch.setattr(zipfile, "ZipFile", opened.append)
    with pytest.raises(artefacts.ArtefactError, match=r"model\.zip is not the file"):
        artefacts.read(path, hashlib.sha256(data).hexdigest())
    assert opened == []


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(artefacts.ArtefactError, match=r"gone\.zip cannot be read: No such file"):
        artefacts.read(tmp_path / "gone.zip", "0" * 64)


@pytest.mark.parametrize("data", [b"", b"not a zip"])
def test_a_recorded_file_that_is_no_artefact_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "odd.zip"
    path.write_bytes(data)
    with pytest.raises(artefacts.ArtefactError, match=r"odd\.zip"):
        artefacts.read(path, hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize("data", [b"", b"not a zip", skops.io.dumps([1, 2])])
def test_a_file_within_that_is_no_model_is_refused(data: bytes) -> None:
    with pytest.raises(artefacts.ArtefactError):
        artefacts.restore(data)
