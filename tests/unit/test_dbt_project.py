"""What holds for the dbt project whatever the data, and how its results are told."""

import csv
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dags.stages.dbt_results import DbtConnectionLostError, ModelResult, failure
from elt.specs import SPECS, TableSpec
from ml.catalogue import FAMILIES

PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"
MODELS = sorted(PROJECT.glob("models/**/*.sql"))
QUALITY = PROJECT / "models" / "staging" / "quality"
AS_OF = ("--vars", "{as_of: 2024-02-29}")
# Columns that name a row of a dimension or fact, and where they are its key.
FOREIGN_KEYS = {"customer_id", "campaign_id", "product_id", "order_id", "session_id"}
DIMENSIONS = {
    "dim_customers": "customer_id", "dim_campaigns": "campaign_id", "dim_products": "product_id",
    "fct_orders": "order_id", "fct_sessions": "session_id",
}  # fmt: skip
# What keeps its nights names customers that later nights may not know any more.
BY_NIGHT = {"customer_features", "customer_rfm_history"}
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


def parse(folder: Path, *variables: str, project: Path = PROJECT) -> tuple[Any, list[str]]:
    """Parse the project without a server; returns dbt's outcome and its warnings."""
    from dbt.cli.main import dbtRunner

    warnings: list[str] = []

    def note(event: Any) -> None:
        if event.info.level in ("warn", "error"):
            warnings.append(f"{event.info.name}: {event.info.msg}")

    callbacks: list[Any] = [note]
    outcome = dbtRunner(callbacks=callbacks).invoke(
        [
            *("parse", "--project-dir", str(project), "--profiles-dir", str(project)),
            *("--target-path", str(folder), "--log-path", str(folder), "--quiet"),
            *("--show-all-deprecations", "--no-partial-parse", *variables),
        ]
    )
    return outcome, warnings


@pytest.fixture(scope="module")
def profile() -> Iterator[None]:
    """The variables that the profile needs; no server answers there."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOST", "USER", "PASSWORD", "DBNAME"):
            patch.setenv(f"AMATO_DBT_{name}", "unused")
        yield


@pytest.fixture(scope="module")
def parsed(profile: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, list[str]]:
    """dbt's outcome on the project as it is, and its warnings."""
    return parse(tmp_path_factory.mktemp("parsed"), *AS_OF)


def models(parsed: tuple[Any, list[str]]) -> list[Any]:
    return [n for n in parsed[0].result.nodes.values() if n.resource_type == "model"]


def test_parses_without_a_warning_or_deprecation(parsed: tuple[Any, list[str]]) -> None:
    outcome, warnings = parsed
    assert outcome.success
    assert warnings == []
    assert len(models(parsed)) == len(MODELS)


def test_marts_are_public_by_contract_and_what_they_are_made_of_is_private(
    parsed: tuple[Any, list[str]],
) -> None:
    access: dict[tuple[str, str], set[str]] = {}
    for model in models(parsed):
        layer = "quality" if model.schema == "quality" else model.fqn[1]
        access.setdefault((layer, str(model.access)), set()).add(model.name)
        assert model.group == "warehouse"
        if layer == "marts":
            assert model.contract.enforced, model.name
            assert all(column.data_type for column in model.columns.values()), model.name
            assert set(model.config.grants["select"]) == {
                "amato_reader", "amato_scientist", "amato_validator"
            }, model.name  # fmt: skip
    assert set(access) == {
        ("marts", "public"), ("quality", "public"), ("intermediate", "private"),
        ("staging", "private"),
    }  # fmt: skip


@pytest.mark.usefixtures("profile")
def test_nothing_outside_may_hang_on_a_private_model(tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project)
    exposures = project / "models" / "exposures.yml"
    exposures.write_text(
        exposures.read_text(encoding="utf-8").replace(
            "ref('customer_features')", "ref('int_rfm__scored')"
        ),
        encoding="utf-8",
    )
    outcome, _ = parse(tmp_path / "target", *AS_OF, project=project)
    assert not outcome.success
    assert "int_rfm__scored" in str(outcome.exception)
    assert "private to the 'warehouse' group" in str(outcome.exception)


def test_every_mart_has_a_key_and_its_foreign_keys_are_tested(
    parsed: tuple[Any, list[str]],
) -> None:
    """Keys are the primary keys of the contracts, which the warehouse enforces."""
    related: set[tuple[str, str]] = set()
    for node in parsed[0].result.nodes.values():
        test = getattr(node, "test_metadata", None)
        if test is not None and test.name == "relationships":
            related.add((node.attached_node.split(".")[-1], node.column_name))
    marts = [model for model in models(parsed) if model.schema == "marts"]
    for model in marts:
        (key,) = (c for c in model.constraints if c.type == "primary_key")
        assert set(key.columns) <= set(model.columns), model.name
        for column in FOREIGN_KEYS & set(model.columns):
            if DIMENSIONS.get(model.name) != column and model.name not in BY_NIGHT:
                assert (model.name, column) in related, (model.name, column)


def test_every_table_below_the_marts_is_held_to_its_key(parsed: tuple[Any, list[str]]) -> None:
    """By meta primary_key (macros/hold_key.sql), which is the key that the description names."""
    held = 0
    for model in models(parsed):
        if model.schema == "marts" or model.config.materialized == "ephemeral":
            continue
        said = re.search(r"\bKey: \(?([^.)]+)", model.description)
        key = model.config.meta.get("primary_key", [])
        assert key == (re.findall(r"\w+", said[1]) if said else []), model.name
        held += bool(key)
    assert held > 90


def test_the_overview_leads_to_every_mart_and_nowhere_else(
    parsed: tuple[Any, list[str]],
) -> None:
    result = parsed[0].result
    linked = set(
        re.findall(r"\(#!/\w+/([\w.]+)", result.docs["doc.amato.__overview__"].block_contents)
    )
    marts = {
        n.unique_id
        for n in result.nodes.values()
        if n.schema == "marts" and n.resource_type in ("model", "seed")
    }
    assert len(marts) == 27
    assert marts <= linked <= set(result.nodes)


def test_exposures_are_the_models_and_what_they_read(parsed: tuple[Any, list[str]]) -> None:
    exposures = list(parsed[0].result.exposures.values())
    by_type = {
        kind: {e.name for e in exposures if str(e.type) == kind}
        for kind in ("ml", "dashboard", "application")
    }
    assert by_type["ml"] == {f"{family}_{model}" for model, family in FAMILIES.items()}
    assert by_type["dashboard"] == {f"{family}_report" for family in FAMILIES.values()}
    assert by_type["application"] >= {"validation_gate", "customer_datasets"}
    read = {
        mart
        for file in (PROJECT.parent / "ml").rglob("*.py")
        for mart in re.findall(r"\bfrom marts\.(\w+)", file.read_text(encoding="utf-8"))
    }
    told = {
        node.split(".")[-1] for e in exposures if str(e.type) == "ml" for node in e.depends_on.nodes
    }
    assert read and read == told
    assert all(e.description and e.owner.name for e in exposures)


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
    assert re.search(r"\bKeys?: |\bno key\b", described["description"])
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
        for column in described["columns"]:
            required = any(c["type"] == "not_null" for c in column.get("constraints", ()))
            in_key = column["name"] in described["constraints"][0]["columns"]
            assert required or in_key or "ull" in column["description"], column["name"]


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
