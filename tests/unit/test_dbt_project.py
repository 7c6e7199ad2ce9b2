"""What holds for the dbt project whatever the data, and how its results are told."""

import csv
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from dags.stages.dbt_results import DbtConnectionLostError, ModelResult, failure
from elt.specs import SPECS, TableSpec

PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"
MODELS = sorted(PROJECT.glob("models/**/*.sql"))
QUALITY = PROJECT / "models" / "staging" / "quality"
SEGMENTS = {
    "Champions", "Loyal", "Potential Loyalist", "New", "Promising", "Need Attention",
    "About To Sleep", "At Risk", "Can't Lose", "Hibernating", "Lost",
}  # fmt: skip


def properties(model: Path) -> dict[str, Any]:
    """A model's entry, in the YAML file beside it or in that of its folder."""
    (entry,) = (
        entry
        for file in model.parent.glob("*.yml")
        for entry in yaml.safe_load(file.read_text(encoding="utf-8")).get("models", ())
        if entry["name"] == model.stem
    )
    return dict(entry)


def without_comments(model: Path) -> str:
    return re.sub(r"--.*", "", model.read_text(encoding="utf-8"))


def parse(folder: Path, *variables: str) -> tuple[Any, list[str]]:
    """Parse the project without a server; returns dbt's outcome and its warnings."""
    from dbt.cli.main import dbtRunner

    warnings: list[str] = []

    def note(event: Any) -> None:
        if event.info.level in ("warn", "error"):
            warnings.append(f"{event.info.name}: {event.info.msg}")

    callbacks: list[Any] = [note]
    outcome = dbtRunner(callbacks=callbacks).invoke(
        [
            *("parse", "--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)),
            *("--target-path", str(folder), "--log-path", str(folder), "--quiet"),
            *("--show-all-deprecations", "--no-partial-parse", *variables),
        ]
    )
    return outcome, warnings


@pytest.fixture
def profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables that the profile needs; no server answers there."""
    for name in ("HOST", "USER", "PASSWORD", "DBNAME"):
        monkeypatch.setenv(f"AMATO_DBT_{name}", "unused")


@pytest.mark.usefixtures("profile")
def test_parses_without_a_warning_or_deprecation(tmp_path: Path) -> None:
    outcome, warnings = parse(tmp_path, "--vars", "{as_of: 2024-02-29}")
    assert outcome.success
    assert warnings == []
    nodes = outcome.result.nodes.values()
    assert len([n for n in nodes if n.resource_type == "model"]) == len(MODELS)
    assert {n.name for n in outcome.result.exposures.values()} >= {"customer_segmentation_kmeans"}


@pytest.mark.usefixtures("profile")
@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ([], "The variable as_of is missing: pass a date"),
        (["--vars", "{as_of: ''}"], "The variable as_of is missing: pass a date"),
        (["--vars", "{as_of: '2024-02-30'}"], "not a date (YYYY-MM-DD): '2024-02-30'"),
        (["--vars", "{as_of: '2023-02-29'}"], "not a date (YYYY-MM-DD): '2023-02-29'"),
        (["--vars", "{as_of: '2024-13-01'}"], "not a date (YYYY-MM-DD): '2024-13-01'"),
        (["--vars", "{as_of: today}"], "not a date (YYYY-MM-DD): 'today'"),
    ],
)
def test_a_missing_or_impossible_as_of_says_so(
    tmp_path: Path, variables: list[str], told: str
) -> None:
    outcome, _ = parse(tmp_path, *variables)
    assert not outcome.success
    assert told in str(outcome.exception)


def test_every_declared_table_is_a_source_with_a_staging_model() -> None:
    declared: set[tuple[str, str, str]] = set()
    for file in PROJECT.glob("models/staging/*/_*__sources.yml"):
        for source in yaml.safe_load(file.read_text(encoding="utf-8"))["sources"]:
            declared |= {(source["name"], source["schema"], t["name"]) for t in source["tables"]}
            assert source["description"]
            assert all(table["description"] for table in source["tables"])
    assert declared == {(spec.system, spec.raw_schema, spec.name) for spec in SPECS} | {
        ("elt", "elt", "rejected_rows")
    }
    names = {model.stem for model in MODELS}
    assert {f"stg_{spec.system}__{spec.name}" for spec in SPECS} <= names


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.stem)
def test_every_model_is_described_and_keeps_its_layers_rules(model: Path) -> None:
    described = properties(model)
    assert described["name"] == model.stem
    assert described["description"].startswith("One row per ")
    assert all(len(column["description"]) > 10 for column in described["columns"])
    text = without_comments(model)
    assert not re.search(r"\b(now|current_date|current_timestamp|clock_timestamp|random)\b", text)
    layer = model.relative_to(PROJECT / "models").parts[0]
    prefixes = {"base": "base_", "quality": "", "intermediate": "int_", "marts": ""}
    assert model.stem.startswith(prefixes.get(model.parent.name, "stg_"))
    if layer != "staging":
        assert "source(" not in text
    if layer == "marts":
        assert all("data_type" in column for column in described["columns"])
        assert described["constraints"][0]["type"] == "primary_key"


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_every_declared_table_is_cleaned_up_by_its_columns(spec: TableSpec) -> None:
    for model in (f"deduplicated_{spec.name}", f"quarantine_{spec.name}"):
        text = (QUALITY / f"{model}.sql").read_text(encoding="utf-8")
        assert f"ref('base_{spec.system}__{spec.name}')" in text
    base = PROJECT / f"models/staging/{spec.system}/base/base_{spec.system}__{spec.name}.sql"
    text = base.read_text(encoding="utf-8")
    assert dict(re.findall(r"'(\w+)': '([^']+)',", text)) == {c.name: c.type for c in spec.columns}
    # Within a CTE of its own, PostgreSQL would compute all columns of all rows.
    assert not re.search(r"^with\b", text, re.MULTILINE)


def test_marts_have_the_designs_columns() -> None:
    columns = {
        name: [c["name"] for c in properties(PROJECT / f"models/marts/{name}.sql")["columns"]]
        for name in ("customer_rfm", "rfm_segment_summary")
    }
    assert columns["customer_rfm"][:15] == [
        "customer_id", "email", "first_name", "last_name", "recency_days", "frequency",
        "monetary_value", "recency_score", "frequency_score", "monetary_score", "rfm_score",
        "rfm_segment", "customer_lifetime_value", "avg_order_value", "purchase_frequency_rate",
    ]  # fmt: skip
    quality = properties(PROJECT / "models/marts/data_quality_summary.sql")
    assert {
        "table_name", "as_of", "rows_in", "clean", "quarantined_by_rule", "deduplicated",
        "pass_rate", "score", "recommended_action",
    } <= {column["name"] for column in quality["columns"]}  # fmt: skip
    assert columns["rfm_segment_summary"][:4] == [
        "rfm_segment", "customers", "avg_value", "avg_orders",
    ]  # fmt: skip


def test_each_of_the_125_cells_has_exactly_one_of_eleven_segments() -> None:
    path = PROJECT / "seeds" / "marts" / "rfm_segment_map.csv"
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["recency_score", "frequency_score", "monetary_score", "rfm_segment"]
    cells = Counter((int(r), int(f), int(m)) for r, f, m, _ in rows)
    fives = range(1, 6)
    assert cells == Counter((r, f, m) for r in fives for f in fives for m in fives)
    assert {row[3] for row in rows} == SEGMENTS
    segment = {row[0] + row[1] + row[2]: row[3] for row in rows}
    assert segment["555"] == "Champions"
    assert segment["511"] == "New"
    assert segment["155"] == "Can't Lose"
    assert segment["111"] == "Lost"


def result(name: str, status: str, message: str) -> ModelResult:
    return ModelResult(f"model.amato.{name}", name, "model", status, 0.1, None, None, message)


LOST = "Database Error server closed the connection unexpectedly"


def test_a_failure_names_every_failed_node_in_its_first_line() -> None:
    error = failure(
        "marts",
        [result("a", "error", LOST), result("b", "error", "no such column"),
         result("c", "skipped", ""), result("d", "success", "SELECT 1")],
        None,
    )  # fmt: skip
    assert str(error) == (f"marts: 2 failed, 1 skipped: model a: {LOST}; model b: no such column")
    # one of the two is no matter of the connection: trying again would not mend it
    assert not isinstance(error, ConnectionError)


def test_only_lost_connections_make_a_connection_error() -> None:
    lost = failure("marts", [result("a", "error", LOST), result("b", "skipped", "")], None)
    assert isinstance(lost, DbtConnectionLostError)
    assert isinstance(lost, ConnectionError)
    refused = RuntimeError('connection to server at "127.0.0.1", port 1 failed:\n refused')
    assert isinstance(failure("marts", [], refused), DbtConnectionLostError)
    assert not isinstance(failure("marts", [], RuntimeError("bad yaml")), ConnectionError)


def test_no_failure_without_a_failed_node() -> None:
    assert (
        failure("marts", [result("a", "success", ""), result("b", "warn", "Got 1")], None) is None
    )
