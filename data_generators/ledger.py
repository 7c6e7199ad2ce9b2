"""The ledger: the planted truth about a company, as Parquet files outside every database.

Only tests and reports on accuracy read it. Each is one table of `ledger_tables`; times are UTC
without zone, amounts currency units.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from data_generators.company.world import World
from data_generators.ledger_tables import ledger_tables
from data_generators.sinks.marker import Marker, WorldMismatchError
from data_generators.tables.rows import PlantedDefect

TABLES = (
    "parameters",
    "customers",
    "orders",
    "sessions",
    "experiments",
    "campaigns",
    "channels",
    "channel_days",
    "segments",
    "transitions",
    "defects",
)
_ROW_GROUP = 100_000


def write_ledger(folder: Path, world: World, defects: Iterable[PlantedDefect]) -> None:
    """Write all tables into ``folder`` (mode 0700, files 0600), in place of what is there.

    The same world and defects give the same bytes (on another kind of processor the last digits
    of latent numbers may differ; no row of a database does). The tables are written beside the
    folder, which then takes the old one's place: whoever finds it finds one world's tables.
    """
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    new, old = (folder.with_name(f".{folder.name}.{part}") for part in ("new", "old"))
    for left in (new, old):
        if left.exists():  # of a writer that was interrupted
            shutil.rmtree(left)
    new.mkdir(mode=0o700)
    for name, table in ledger_tables(world, defects):
        _write(new / f"{name}.parquet", table)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    if old.exists():
        shutil.rmtree(old)


def read_ledger(folder: Path) -> dict[str, Any]:
    """The ledger's tables by name, as ``pyarrow.Table``.

    Raises:
        FileNotFoundError: there is no ledger.
    """
    missing = [name for name in TABLES if not (folder / f"{name}.parquet").exists()]
    if missing:
        raise FileNotFoundError(
            f"no ledger in {folder} ({missing[0]}.parquet is missing): run generate_source_data, "
            "which writes it"
        )
    return {name: pq.read_table(folder / f"{name}.parquet") for name in TABLES}


def read_marker(folder: Path) -> Marker | None:
    """Which world's ledger this is; None: there is none, or one of an earlier version."""
    path = folder / "parameters.parquet"
    if not path.exists():
        return None
    table = pq.read_table(path)
    if not {"name", "text"} <= set(table.column_names):
        return None
    stored = dict(zip(table["name"].to_pylist(), table["text"].to_pylist(), strict=True))
    try:
        return Marker.read(f"the ledger in {folder}", stored)
    except WorldMismatchError:
        return None


def _write(path: Path, table: Any) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        pq.write_table(table, file, compression="zstd", row_group_size=_ROW_GROUP)
