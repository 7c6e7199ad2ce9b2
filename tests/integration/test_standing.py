"""Which company stands in real databases, and how a night lets it live on."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from dags.stages import source
from data_generators.args import WorldArgs
from data_generators.generate import generate
from data_generators.standing import standing_world
from tests.integration.source_support import Sources

ARGS = WorldArgs(
    5, 0.005, 90, date(2026, 1, 1), effects="churn,stages", defects="none,customers.null_key=0.01"
)


def test_a_company_is_found_as_it_was_made_and_as_far_as_all_have_it(sources: Sources) -> None:
    databases = sources.all()
    assert standing_world(**databases) is None
    generate(ARGS, mysql=databases["mysql"], mongo=databases["mongo"])
    standing = standing_world(**databases)
    assert standing is not None
    assert (standing.until, standing.databases) == (date(2026, 1, 1), ("mysql", "mongo"))
    assert standing.complete
    found = standing.args
    assert (found.seed, found.scale, found.days, found.as_of) == (5, 0.005, 90, date(2026, 1, 1))
    assert (found.planted, found.defect_rates) == (ARGS.planted, ARGS.defect_rates)
    generate(found, date(2026, 1, 3), mysql=databases["mysql"])
    assert standing_world(mysql=databases["mysql"]).until == date(2026, 1, 3)  # type: ignore[union-attr]
    assert standing_world(**databases).until == date(2026, 1, 1)  # type: ignore[union-attr]


def test_a_shop_with_other_data_is_passed_over(sources: Sources) -> None:
    databases = sources.all()
    sources.mysql.query(
        "insert into customers (customer_id, updated_at) values ('C1', '2026-01-01')"
    )
    sources.mysql.commit()
    assert standing_world(**databases) is None
    generate(ARGS, postgres=databases["postgres"])
    standing = standing_world(**databases)
    assert standing is not None and standing.databases == ("postgres",)


def test_the_task_writes_the_databases_the_ledger_and_the_page(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, truth = tmp_path / "home", tmp_path / "truth"
    monkeypatch.setenv("AMATO_HOME", str(home))
    monkeypatch.setenv("AMATO_TRUTH", str(truth))
    rows = source._generate(ARGS, None, sources.all())
    assert rows == sources.counts()
    page = (home / "reports" / "world.html").read_text()
    assert f"<td>{rows['page_views']:,}</td>" in page
    assert (truth / "defects.parquet").is_file()
    assert truth.stat().st_mode & 0o777 == 0o700
    assert [path for path in home.rglob("*.parquet")] == []
    grown = source._generate(ARGS, date(2026, 1, 2), sources.all())
    assert grown["page_views"] > rows["page_views"]
    assert (home / "reports" / "world.html").read_text() != page
