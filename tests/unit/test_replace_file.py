"""A file is replaced in one step, or not at all."""

import subprocess
import sys
from pathlib import Path

import pytest

from report_pages.files import replace_file


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "model.skops"
    replace_file(path, b"old")
    with pytest.raises(TypeError):
        replace_file(path, 7)  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    replace_file(path, "näher\n")
    assert path.read_bytes() == "näher\n".encode()
    assert [p.name for p in path.parent.iterdir()] == ["model.skops"]


def test_it_costs_a_dag_file_no_heavy_import() -> None:
    program = "import sys, report_pages.files; assert 'plotly' not in sys.modules"
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", program], check=True, cwd=root)
