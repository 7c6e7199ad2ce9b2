"""Whole platforms of their own, under `.local/test/`, driven as a user drives them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from elt.checksum import table_checksum
from ml.catalogue import FAMILIES

REPOSITORY = Path(__file__).resolve().parents[2]
RUN_SECONDS = 900
OWN_VARIABLES = (
    "SCALE",
    "SEED",
    "DAYS",
    "DEFECTS",
    "EFFECTS",
    "DEMO",
    "AS_OF",
    "SALES_CSV",
    "SALES_COLUMNS",
    "AMATO_FIRST_NIGHT",
)
# elt's load state and the logs of runs have no checksum: each run adds to them.
CHECKED_SCHEMAS = ("raw_mysql", "raw_postgres", "raw_mongo", "staging", "intermediate", "marts")
CHECKED_TABLES = (
    *(f"ml.{model}_predictions" for model in FAMILIES),
    "ml.model_versions",
    "ml.model_metrics",
)


@dataclass(frozen=True)
class Platform:
    """One platform whose files lie in ``root``, spoken to through its command line."""

    root: Path

    def command(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("AIRFLOW") and name not in OWN_VARIABLES
        }
        return subprocess.run(
            [sys.executable, "-m", "local_stack", *arguments],
            cwd=REPOSITORY,
            env={
                **inherited,
                "AMATO_LOCAL": str(self.root),
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )

    def must(self, *arguments: str, **environment: str) -> str:
        done = self.command(*arguments, **environment)
        assert done.returncode == 0, f"{arguments}:\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        return done.stdout

    def urls(self) -> dict[str, str]:
        pairs = (
            line.removeprefix("export ").split("=", 1) for line in self.must("env").splitlines()
        )
        return {name: value.strip("'\"") for name, value in pairs}

    def summary(self) -> dict[str, Any]:
        return json.loads((self.root / "run_summary.json").read_text())

    def warehouse(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.urls()["WAREHOUSE_URL"])

    def checksums(self) -> dict[str, str]:
        """The checksum of every table that a repeated run must not change.

        ``stg_mongo__touched_*`` are left out: they say what the last build had to judge again.
        """
        with self.warehouse() as conn:
            tables = conn.execute(
                "select table_schema, table_name from information_schema.tables"
                " where table_type = 'BASE TABLE' and table_name !~ '^stg_mongo__touched_'"
                " and (table_schema = any(%s)"
                " or table_schema || '.' || table_name = any(%s)) order by 1, 2",
                (list(CHECKED_SCHEMAS), list(CHECKED_TABLES)),
            ).fetchall()
            return {f"{s}.{t}": table_checksum(conn, s, t) for s, t in tables}


def _platform(name: str) -> Iterator[Platform]:
    platform = Platform(REPOSITORY / ".local" / "test" / name)
    platform.must("clean")
    yield platform
    keep = os.environ.get("AMATO_KEEP_TEST_PLATFORMS")
    platform.must("down" if keep else "clean")
    if not keep:
        shutil.rmtree(platform.root, ignore_errors=True)


@pytest.fixture(scope="module")
def sales_platform() -> Iterator[Platform]:
    yield from _platform("sales")


@pytest.fixture(scope="module")
def shop_platform() -> Iterator[Platform]:
    yield from _platform("shop")
