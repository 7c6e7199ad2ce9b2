"""The nights that the gate's faults are tried on: lived anew when what judges them has changed."""

import json
from pathlib import Path

import pytest

from tests.conftest import Servers
from tests.faults import gate_nights
from tests.faults.gate_nights import Company, code_digest, live

FILES = (
    "dags/stages/gate.py",
    "dags/stages/gate_history.py",
    "great_expectations/expectations/raw.json",
    "great_expectations/checkpoints/gate.json",
    "dbt_project/models/marts/fct_orders.sql",
    "ddl/warehouse/040_gate.sql",
    "tests/faults/gate_nights.py",
)


@pytest.mark.parametrize("file", FILES)
def test_what_decides_a_night_is_in_the_digest(tmp_path: Path, file: str) -> None:
    for name in (*FILES, "docs/gate.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("as it was")
    before = code_digest(tmp_path)
    (tmp_path / "docs/gate.md").write_text("other words")
    assert code_digest(tmp_path) == before
    (tmp_path / file).write_text("changed")
    assert code_digest(tmp_path) != before


def test_nights_of_another_gate_are_lived_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class BegunError(Exception):
        pass

    def begin(company: Company) -> None:
        raise BegunError

    monkeypatch.setattr(gate_nights, "_begin", begin)
    company = Company(Servers("", "", "", ""), folder=tmp_path)
    lived = [{"as_of": "2026-01-01"}]
    company.nights.write_text(json.dumps(lived))
    assert live(company, 1) == lived
    monkeypatch.setattr(gate_nights, "code_digest", lambda: "0" * 64)
    with pytest.raises(BegunError):
        live(company, 1)
    (tmp_path / "nights.json").write_text(json.dumps(lived))  # what older versions left
    with pytest.raises(BegunError):
        live(company, 1)
