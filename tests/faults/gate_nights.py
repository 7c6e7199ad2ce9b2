"""Nights of a generated company, each loaded, built and judged as the platform does it.

Sixty nights of normal variation need a company that lives: every night the generator adds a day
(weekends, late rows, defects and all), the loader reads it, dbt builds the marts, and the gate
judges them. A night takes about twenty seconds, so what was done is kept under
``.local/test/faults`` and in databases of the test servers, and continued the next time.
``AMATO_FAULT_NIGHTS`` is how many nights are judged by history (60).
"""

import hashlib
import json
import os
import shutil
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import MySQLdb
import psycopg
import pymongo

from dags.stages import dbt_build
from dags.stages.dbt_manifest import project_digest
from dags.stages.gate import run_gate
from data_generators.args import WorldArgs
from data_generators.generate import generate
from ddl.migrate import migrate_mongo, migrate_mysql, migrate_postgres, migrate_warehouse
from tests.conftest import REPOSITORY, Servers, mysql_arguments, with_database
from tests.integration.source_support import open_sources
from tests.integration.test_dbt_truth import load_night

ARGS = WorldArgs(seed=7, scale=0.05, days=400, as_of=date(2026, 1, 1))
LEARNING = 15  # the first night has none before it to compare with
JUDGED = int(os.environ.get("AMATO_FAULT_NIGHTS", "60"))
# Beside the dbt project.
DECIDING = (
    "dags/stages/gate*.py",
    "great_expectations/**/*",
    "ddl/warehouse/*.sql",
    "tests/faults/gate_nights.py",
)
FOLDER = REPOSITORY / ".local" / "test" / "faults"


@dataclass(frozen=True)
class Company:
    """Where the company and its warehouse are; `last` is the night before the gate judged it."""

    servers: Servers
    name: str = "gate_faults"
    folder: Path = FOLDER

    @property
    def warehouse(self) -> str:
        """The warehouse that lives from night to night."""
        return with_database(self.servers.warehouse_url, self.name)

    @property
    def nights(self) -> Path:
        """What was found, night by night, by the gate as it is."""
        return self.folder / f"nights_{code_digest()[:16]}.json"

    @property
    def last(self) -> str:
        """A copy of the warehouse as it was before the last night was judged."""
        return with_database(self.servers.warehouse_url, f"{self.name}_last")

    @property
    def urls(self) -> dict[str, str]:
        """The three sources."""
        return {
            "mysql": with_database(self.servers.mysql_url, self.name),
            "postgres": with_database(self.servers.marketing_url, f"{self.name}_marketing"),
            "mongo": with_database(self.servers.mongo_url, self.name),
        }

    def copy(self, source: str, target: str) -> None:
        """Replace a database of the warehouse's server by a copy of another."""
        with psycopg.connect(self.servers.warehouse_url, autocommit=True) as conn:
            conn.execute(f'drop database if exists "{target}" with (force)'.encode())
            conn.execute(f'create database "{target}" template "{source}"'.encode())


def code_digest(repository: Path = REPOSITORY) -> str:
    """SHA-256 (hexadecimal) of all files that decide what the gate says of a night."""
    digest = hashlib.sha256(project_digest(repository / "dbt_project").encode())
    for pattern in DECIDING:
        for file in sorted(repository.glob(pattern)):
            if file.is_file():
                content = file.read_bytes()
                digest.update(f"\0{file.relative_to(repository)}\0{len(content)}\0".encode())
                digest.update(content)
    return digest.hexdigest()


def live(company: Company, nights: int) -> list[dict[str, Any]]:
    """Let the company live, and judge each night; returns what was found, night by night."""
    state = company.nights
    found: list[dict[str, Any]] = json.loads(state.read_text()) if state.exists() else []
    if not found:
        _begin(company)
    for number in range(len(found), nights):
        night = ARGS.as_of + timedelta(days=number)
        _live_one(company, night)
        if number == nights - 1:
            company.copy(company.name, f"{company.name}_last")
        result = run_gate(night, company.folder / "home", company.warehouse)
        found.append(
            {
                "as_of": str(night),
                "verdict": result.verdict,
                "not_applicable": sum(o.state == "not_applicable" for o in result.outcomes),
                "findings": [
                    [outcome.severity, outcome.finding()]
                    for outcome in result.outcomes
                    if outcome.state in ("failed", "error")
                ],
            }
        )
        state.write_text(json.dumps(found, indent=1))
    return found


def _begin(company: Company) -> None:
    """Make empty databases, and forget what another life left."""
    if company.folder.exists():
        shutil.rmtree(company.folder)
    company.folder.mkdir(parents=True, exist_ok=True)
    urls = company.urls
    for url in (company.warehouse, urls["postgres"]):
        name = url.rsplit("/", 1)[1].split("?")[0]
        with psycopg.connect(company.servers.warehouse_url, autocommit=True) as conn:
            conn.execute(f'drop database if exists "{name}" with (force)'.encode())
            conn.execute(f'create database "{name}"'.encode())
    with psycopg.connect(company.warehouse) as conn:
        migrate_warehouse(conn)
    with psycopg.connect(urls["postgres"]) as conn:
        migrate_postgres(conn)
    server = mysql_arguments(with_database(company.servers.mysql_url, "mysql"))
    with closing(MySQLdb.connect(**server)) as shop:
        shop.query(f"drop database if exists `{company.name}`")
        shop.query(f"create database `{company.name}` character set utf8mb4")
    with closing(MySQLdb.connect(**mysql_arguments(urls["mysql"]))) as shop:
        migrate_mysql(shop)
        shop.commit()
    with pymongo.MongoClient(company.servers.mongo_url) as client:
        client.drop_database(company.name)
        migrate_mongo(client[company.name])


def _live_one(company: Company, night: date) -> None:
    """Add a day, load it, and build the models (their own tests are not what is looked at)."""
    with open_sources(company.urls) as sources:
        generate(ARGS, night, **sources.all(), truth=company.folder / "truth")
        load_night(company.warehouse, sources, night)
    with psycopg.connect(
        company.warehouse, options="-c role=amato_transformer", autocommit=True
    ) as conn:
        for layer in dbt_build.LAYERS:
            dbt_build.note_build(conn, layer, night)
    run, error = dbt_build._invoke(
        ["build", "--select", "fqn:amato", "--exclude-resource-type", "test", "unit_test"],
        night, company.folder / "home", company.warehouse, dbt_build.PROJECT,
    )  # fmt: skip
    assert error is None and run is not None, error
    assert {str(result.status) for result in run.results} <= {"success", "no-op"}
