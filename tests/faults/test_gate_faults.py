"""What the gate catches, and how often it is wrong: nights of a living company, and faults in it.

The table of all of it is written to ``.local/test/faults/gate.md``.
"""

import json
from datetime import date, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.types.json import Jsonb

from dags.stages.gate import GateResult, run_gate
from dags.stages.gate_figures import measure
from dags.stages.gate_suites import read_suites
from tests.conftest import Servers, with_database
from tests.faults.gate_cases import FAULTS, Fault
from tests.faults.gate_nights import JUDGED, LEARNING, Company, live
from tests.integration.gate_support import make_project

NIGHTS = LEARNING + JUDGED

# The nights are lived through once, in the first test's setup.
pytestmark = pytest.mark.timeout(7200)


@pytest.fixture(scope="module")
def company(servers: Servers) -> Company:
    company = Company(servers)
    live(company, NIGHTS)
    return company


def told(company: Company) -> list[dict]:
    return json.loads(company.nights.read_text())


def keep(company: Company, section: str, name: str, line: list[str]) -> None:
    """Add a line to the report's tables, or replace it."""
    path = company.folder / "report.json"
    report = json.loads(path.read_text()) if path.exists() else {}
    report.setdefault(section, {})[name] = line
    path.write_text(json.dumps(report, indent=1))
    text = []
    for title, lines in report.items():
        text += [f"## {title}", "", "| what | " + " | ".join(HEADS[title]) + " |"]
        text += ["|---" * (len(HEADS[title]) + 1) + "|"]
        text += [f"| {name} | " + " | ".join(line) + " |" for name, line in lines.items()] + [""]
    (company.folder / "gate.md").write_text("\n".join(text))


HEADS = {
    "Nights of normal variation": ["result"],
    "Faults": ["must", "verdict", "found by", "findings", "first finding"],
    "Slow drift": ["night found", "index then", "bound"],
}


def test_good_nights_pass(company: Company) -> None:
    """Not one of the nights that teach is judged by history, and at most one of sixty alarms."""
    nights = told(company)
    assert len(nights) >= NIGHTS
    alarms = [night for night in nights if any(s != "info" for s, _ in night["findings"])]
    stopped = [night for night in alarms if night["verdict"] in ("failed", "error")]
    judged = nights[LEARNING:]
    assert min(night["not_applicable"] for night in nights[1 : LEARNING - 1]) > 100
    keep(company, "Nights of normal variation", f"{LEARNING} nights that teach", [
        f"{sum(night in nights[:LEARNING] for night in alarms)} alarms"])  # fmt: skip
    keep(company, "Nights of normal variation", f"{len(judged)} nights that are judged", [
        f"{sum(night in judged for night in alarms)} alarms, {len(stopped)} stopped"])  # fmt: skip
    assert [n for n in alarms if n in nights[:LEARNING]] == []
    assert len(alarms) <= 1, alarms


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "_"))
def test_a_fault_is_found(company: Company, fault: Fault, tmp_path: Path) -> None:
    result = judge_with(company, fault, tmp_path)
    found = [o for o in result.outcomes if o.state in ("failed", "error")]
    first = next((o for o in found if o.name == fault.by), None)
    keep(company, "Faults", fault.name, [
        fault.must, result.verdict, fault.by if first else "-", str(len(found)),
        (first or found[0]).finding()[:160].replace("|", "/") if found else "-",
    ])  # fmt: skip
    assert first is not None, [outcome.finding() for outcome in found]
    if fault.must == "stop":
        assert result.verdict in ("failed", "error")
    else:
        assert result.verdict == "passed_with_warnings", [o.finding() for o in found if o.stops]


def judge_with(company: Company, fault: Fault, home: Path) -> GateResult:
    """Judge a copy of the last night with a fault in it."""
    night = date.fromisoformat(told(company)[-1]["as_of"])
    night += timedelta(days=fault.later)
    company.copy(f"{company.name}_last", f"{company.name}_fault")
    url = with_database(company.servers.warehouse_url, f"{company.name}_fault")
    with psycopg.connect(url, options=f"-c timezone=UTC -c amato.as_of={night}") as conn:
        conn.execute(fault.sql.encode())
    return run_gate(night, home, url)


@pytest.mark.parametrize(
    ("feature", "trained"),
    [("avg_session_duration", False), ("session_intensity", False), ("recency_days", True)],
)
def test_a_slow_drift_is_found_within_twenty_nights(
    company: Company, feature: str, trained: bool, tmp_path: Path
) -> None:
    """A feature that grows by 5 % a night: no step is large, and the training window is left.

    That is the first night of all, or where there is a champion the last that it had seen.
    """
    project = make_project(tmp_path / "project", "customer_features")
    (suite,) = read_suites(project).values()
    lived = [date.fromisoformat(night["as_of"]) for night in told(company)]
    seen = lived[-25] if trained else lived[0]
    nights = lived[-20:]
    company.copy(company.name, f"{company.name}_fault")
    url = with_database(company.servers.warehouse_url, f"{company.name}_fault")
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("delete from quality.table_figures where as_of >= %s", (nights[0],))
        conn.execute("delete from quality.feature_bins where as_of >= %s", (nights[0],))
        conn.execute("delete from quality.verdicts where as_of >= %s", (nights[0],))
        if trained:
            conn.execute(
                "insert into ml.model_versions (model, version, family, as_of, artefact, sha256,"
                " is_champion, params, data_fingerprint, trained_rows) values ('kmeans', 'v1',"
                " 'customer_segmentation', %s, 'v1', 'x', true, %s, 'x', 1)",
                (seen, Jsonb({"trained_until": str(seen)})),
            )
        for number, night in enumerate(nights, 1):
            conn.execute(
                f"update marts.customer_features set {feature} = {feature} * 1.05 ^ %s"
                " where as_of = %s".encode(),
                (number, night),
            )
            conn.execute("select set_config('amato.as_of', %s, false)", (str(night),))
            measure(conn, night, suite.tables)
            row = conn.execute(
                "select value, high, learnt_from from quality.table_figures where as_of = %s"
                " and figure = 'psi' and column_name = %s",
                (night, feature),
            ).fetchone()
            assert row is not None and row[2] == seen
            steps = conn.execute(
                "select count(*) from quality.table_figures where as_of = %s and figure = 'mean'"
                " and column_name = %s and (value < low or value > high)",
                (night, feature),
            ).fetchone()
            assert steps == (0,)
            if row[0] > row[1]:
                break
            conn.execute(
                "insert into quality.verdicts (as_of, verdict, published)"
                " values (%s, 'passed', true)",
                (night,),
            )
    keep(company, "Slow drift", f"{feature}, 5 % a night", [
        f"{number} of 20", f"{row[0]:.2f}", f"{row[1]:.2f}"])  # fmt: skip
    assert row[0] > row[1], row
