from __future__ import annotations

import hashlib
import stat
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from data_generators.args import WorldArgs
from data_generators.company.orders import INCREMENTAL
from data_generators.company.world import World, make_world
from data_generators.defects.plant import Planter
from data_generators.ledger import TABLES, read_ledger, read_marker, write_ledger
from data_generators.sinks.marker import Marker
from data_generators.tables import BUILDERS
from data_generators.tables.rows import PlantedDefect

AS_OF = date(2026, 1, 1)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(WorldArgs(1, 0.05, 730, AS_OF), AS_OF + timedelta(days=3))


@pytest.fixture(scope="module")
def defects(world: World) -> list[PlantedDefect]:
    planter = Planter(world)
    parts = (rows for build in BUILDERS.values() for rows in build(world))
    return [line for rows in parts for line in planter.plant(rows).defects]


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory, world: World, defects: list[PlantedDefect]
) -> Path:
    folder = tmp_path_factory.mktemp("ledger") / "truth"
    write_ledger(folder, world, defects)
    return folder


def digest(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_only_the_owner_can_read_it(folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {0o600}
    assert {path.name for path in folder.iterdir()} == {f"{name}.parquet" for name in TABLES}


def test_the_same_world_gives_the_same_bytes(
    folder: Path, tmp_path: Path, world: World, defects: list[PlantedDefect]
) -> None:
    write_ledger(tmp_path / "truth", make_world(world.args, AS_OF + timedelta(days=3)), defects)
    assert digest(tmp_path / "truth") == digest(folder)
    write_ledger(tmp_path / "truth", world, reversed(defects))
    assert digest(tmp_path / "truth") == digest(folder)


def test_it_is_replaced_whole(tmp_path: Path, world: World) -> None:
    folder = tmp_path / "truth"
    folder.mkdir(mode=0o755)
    (folder / "parameters.parquet").write_text("truth of another world")
    (tmp_path / ".truth.new").mkdir()  # a writer was interrupted
    (tmp_path / ".truth.new" / "orders.parquet").write_text("half")
    write_ledger(folder, world, [])
    assert [path.name for path in tmp_path.iterdir()] == ["truth"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert read_ledger(folder)["defects"].num_rows == 0


def test_a_writer_that_fails_leaves_the_old_ledger(folder: Path, world: World) -> None:
    def failing() -> object:
        yield PlantedDefect("customers", "1", "null_key", "quarantined", None)
        raise OSError("disk full")

    before = digest(folder)
    with pytest.raises(OSError, match="disk full"):
        write_ledger(folder, world, failing())  # type: ignore[arg-type]
    assert digest(folder) == before


def test_it_says_of_which_world_it_is(folder: Path, world: World, tmp_path: Path) -> None:
    assert read_marker(folder) == Marker.of(world.args, AS_OF + timedelta(days=3))
    assert read_marker(tmp_path / "nothing") is None
    with pytest.raises(FileNotFoundError, match="run generate_source_data"):
        read_ledger(tmp_path / "nothing")


def test_every_defect_is_listed_once(folder: Path, defects: list[PlantedDefect]) -> None:
    table = read_ledger(folder)["defects"].to_pylist()
    assert len(table) == len(defects) > 1000
    listed = {tuple(row.values()) for row in table}
    assert listed == {
        (line.table, line.row_id, line.defect, line.fate, line.business_key) for line in defects
    }
    assert [row["table"] for row in table] == sorted(row["table"] for row in table)
    rows = [int(row["row_id"]) for row in table if row["table"] == "transactions"]
    assert rows == sorted(rows)


def test_it_holds_the_truth_about_the_world(folder: Path, world: World) -> None:
    ledger = {name: table.to_pandas() for name, table in read_ledger(folder).items()}
    numbers = ledger["parameters"].set_index("name")["number"]
    assert numbers["bgnbd.r"] == 0.243
    assert numbers["bgnbd.alpha_weeks"] == pytest.approx(4.414 / numbers["bgnbd.rate_factor"])
    assert numbers["defect_rate.customers.null_key"] == 0.0015
    customers, orders = ledger["customers"], ledger["orders"]
    assert len(customers) == len(world.customers)
    churned = customers.set_index("customer_id")["churned_at"].dropna()
    last = orders[orders["churns"]].set_index("customer_id")["placed"]
    assert churned.sort_index().equals(last.rename("churned_at").sort_index())
    caused = orders[orders["kind"] == "incremental"]
    assert len(caused) == (world.orders.kind == INCREMENTAL).sum() > 0
    channels = ledger["channels"].set_index("channel")
    assert channels["incremental_orders"].sum() == len(caused)
    assert channels["incremental_revenue"].sum() == pytest.approx(caused["total_amount"].sum())
    by_day = ledger["channel_days"].groupby("channel")
    for column in ("spend", "expected_orders", "incremental_orders", "incremental_revenue"):
        assert np.allclose(by_day[column].sum()[channels.index], channels[column])
    campaigns = ledger["campaigns"].set_index("campaign_id")
    assert campaigns["incremental_orders"].sum() == len(caused)
    assert (
        ledger["transitions"]
        .groupby("from_stage", dropna=False)["chance"]
        .sum()
        .round(9)
        .eq(1)
        .all()
    )


def test_it_says_who_was_in_each_session(folder: Path, world: World) -> None:
    ledger = {name: table.to_pandas() for name, table in read_ledger(folder).items()}
    sessions = ledger["sessions"]
    assert len(sessions) == len(world.sessions)
    assert sessions["customer_id"][sessions["signed_in"]].notna().all()
    hidden = ~sessions["signed_in"] & sessions["customer_id"].notna()
    assert hidden.sum() > 100
    assert sessions["customer_id"][sessions["bot"]].isna().all()
    bought = sessions.dropna(subset="transaction_id").merge(
        ledger["orders"], on="transaction_id", suffixes=("", "_of_order")
    )
    assert len(bought) > 100
    assert (bought["customer_id"] == bought["customer_id_of_order"]).all()
    assert (bought["stage"] == "Converter").all()
