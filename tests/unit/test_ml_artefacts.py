"""Artefacts: the same bytes for the same model, and nothing loaded unchecked."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skops.io

from ml import artefacts

CONTENT = {"about": "{}", "points": np.arange(6.0).reshape(3, 2), "scale": np.array([1.0, 2.0])}


def test_what_is_dumped_is_what_is_loaded(tmp_path: Path) -> None:
    data = artefacts.dump(CONTENT)
    path = tmp_path / "model.skops"
    path.write_bytes(data)
    loaded = artefacts.load(path, hashlib.sha256(data).hexdigest())
    assert loaded["about"] == "{}"
    np.testing.assert_array_equal(loaded["points"], [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    np.testing.assert_array_equal(loaded["scale"], [1.0, 2.0])


def test_another_process_makes_the_same_bytes() -> None:
    program = (
        "import hashlib, numpy as np; padding = [object() for _ in range(999)];"
        "from ml import artefacts;"
        "content = {'about': '{}', 'points': np.arange(6.0).reshape(3, 2),"
        " 'scale': np.array([1.0, 2.0])};"
        "print(hashlib.sha256(artefacts.dump(content)).hexdigest())"
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
    assert other.stdout.strip() == hashlib.sha256(artefacts.dump(CONTENT)).hexdigest()


def test_a_changed_byte_is_refused_before_the_file_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = artefacts.dump(CONTENT)
    path = tmp_path / "model.skops"
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    opened: list[bytes] = []
    monkeypatch.setattr(skops.io, "loads", lambda data, trusted: opened.append(data))
    with pytest.raises(artefacts.ArtefactError, match=r"model\.skops is not the file"):
        artefacts.load(path, hashlib.sha256(data).hexdigest())
    assert opened == []


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(artefacts.ArtefactError, match=r"gone\.skops cannot be read: No such file"):
        artefacts.load(tmp_path / "gone.skops", "0" * 64)


@pytest.mark.parametrize("data", [b"", b"not a zip", skops.io.dumps([1, 2])])
def test_a_recorded_file_that_is_no_model_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "odd.skops"
    path.write_bytes(data)
    with pytest.raises(artefacts.ArtefactError, match=r"odd\.skops"):
        artefacts.load(path, hashlib.sha256(data).hexdigest())
