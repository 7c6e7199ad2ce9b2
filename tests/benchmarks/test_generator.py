"""How fast the generated company is made and loaded, and in how much memory.

Figures of a full run are in README.md beside this file. AMATO_BENCH_SCALE shrinks a trial run.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bson.raw_bson import RawBSONDocument
from faker import Faker
from pymongo import WriteConcern

from data_generators.args import WorldArgs
from data_generators.company.world import make_world
from data_generators.generate import Factory, generate
from data_generators.sinks.documents import encode_documents
from data_generators.sinks.sql_text import encode_rows
from elt.specs import MONGO, MYSQL, POSTGRES, SPECS, TableSpec
from tests.integration.source_support import FreshSources, Sources, open_sources

ROOT = Path(__file__).resolve().parents[2]
SCALE = float(os.environ.get("AMATO_BENCH_SCALE", "1"))
ARGS = WorldArgs(1, SCALE, 730, date(2026, 1, 1))
FAKED_ROWS = 5_000
BATCH = 5_000
MEMORY_SCALE = 10 * SCALE
#: At SCALE=10, in bytes.
MEMORY_LIMIT = 3e9

Tell = Callable[[str], None]


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """Prints a figure into the test's output."""

    def say(text: str) -> None:
        with capsys.disabled():
            print(f"\n  {text}", end="", flush=True)

    return say


@dataclass(frozen=True)
class Ready:
    """Rows that need nothing more than to be sent."""

    files: dict[str, Path]
    texts: dict[str, list[bytes]]
    documents: dict[str, list[RawBSONDocument]]


def make_ready(folder: Path) -> Ready:
    """The company's rows, encoded: for MySQL as files, the others in memory."""
    factory = Factory(make_world(ARGS))
    files: dict[str, Path] = {}
    for source in factory.sources(MYSQL):
        files[source.spec.name] = folder / source.spec.name
        with files[source.spec.name].open("wb") as file:
            for planted in source.rows():
                file.write(encode_rows(planted))
    texts = {
        source.spec.name: [bytes(encode_rows(planted)) for planted in source.rows()]
        for source in factory.sources(POSTGRES)
    }
    documents = {
        source.spec.name: [
            RawBSONDocument(document)
            for planted in source.rows()
            for document in encode_documents(planted).to_pylist()
        ]
        for source in factory.sources(MONGO)
    }
    return Ready(files, texts, documents)


def load_ready(ready: Ready, sources: Sources) -> None:
    """Send ready rows to the servers by the fastest way that each has."""
    with closing(sources.mysql.cursor()) as cursor:
        cursor.execute("set session sql_mode = ''")
        for spec in MYSQL:
            cursor.execute(
                f"load data local infile '{ready.files[spec.name]}' into table {spec.name}"
                f" character set utf8mb4 ({names(spec)})"
            )
    sources.mysql.commit()
    sources.postgres.execute("set time zone 'UTC'")
    for spec in POSTGRES:
        statement = f"copy {spec.name} ({names(spec)}) from stdin".encode()
        with sources.postgres.cursor().copy(statement) as copy:
            for text in ready.texts[spec.name]:
                copy.write(text)
    sources.postgres.commit()
    for name, documents in ready.documents.items():
        collection = sources.mongo.get_collection(name, write_concern=WriteConcern(w=1))
        with ThreadPoolExecutor(2) as pool:
            list(
                pool.map(
                    lambda at, to=collection, of=documents: to.insert_many(
                        of[at : at + BATCH], ordered=False
                    ),
                    range(0, len(documents), BATCH),
                )
            )


def names(spec: TableSpec) -> str:
    return ", ".join(column.name for column in spec.all_columns)


@pytest.mark.timeout(1800)
def test_making_the_company_costs_little_beside_loading_it(
    fresh_sources: FreshSources, sources: Sources, tmp_path: Path, tell: Tell
) -> None:
    """Issue: at least 60 % as fast as loading the same rows already made, in the same run."""
    with fresh_sources() as urls, open_sources(urls) as warm:  # imports, connections, caches
        generate(WorldArgs(2, 0.02, 730, date(2026, 1, 1)), **warm.all())
    result = generate(ARGS, **sources.all())
    rows = sum(result.rows.values())
    speed = rows / result.seconds
    tell(f"made and loaded: {rows:,} rows in {result.seconds:.1f} s, {speed:,.0f}/s")
    with fresh_sources() as urls, open_sources(urls) as other:
        ready = make_ready(tmp_path)
        begun = time.perf_counter()
        load_ready(ready, other)
        seconds = time.perf_counter() - begun
        assert other.counts() == result.rows
    ratio = seconds / result.seconds
    tell(f"loaded alone: {seconds:.1f} s, {rows / seconds:,.0f}/s; speed of making: {ratio:.0%}")
    assert ratio >= 0.60

    with fresh_sources() as urls, open_sources(urls) as other:
        faked, seconds = load_faked(other, result.rows)
    faked_speed = faked / seconds
    tell(f"Faker, row by row: {faked_speed:,.0f}/s; {speed / faked_speed:.0f} times slower")
    assert speed > 5 * faked_speed


def load_faked(sources: Sources, volumes: dict[str, int]) -> tuple[int, float]:
    """Make and insert some thousand rows as generators mostly do, each table in proportion.

    Returns their number and the seconds that it took.
    """
    fake = Faker("en_US")
    fake.seed_instance(1)
    share = FAKED_ROWS / sum(volumes.values())
    begun, total = time.perf_counter(), 0
    for spec in SPECS:
        count = max(1, round(volumes[spec.name] * share))
        rows = [faked_row(fake, spec) for _ in range(count)]
        total += count
        if spec.system == "mongo":
            sources.mongo[spec.name].insert_many(rows)
            continue
        connection = sources.mysql if spec.system == "mysql" else sources.postgres
        marks = ", ".join(["%s"] * len(spec.columns))
        columns = ", ".join(column.name for column in spec.columns)
        with closing(connection.cursor()) as cursor:
            cursor.executemany(
                f"insert into {spec.name} ({columns}) values ({marks})",
                [tuple(row.values()) for row in rows],
            )
        connection.commit()
    return total, time.perf_counter() - begun


def faked_row(fake: Faker, spec: TableSpec) -> dict[str, Any]:
    """One row whose columns nothing connects."""
    return {
        column.name: faked_value(fake, column.name, column.type, spec.system == "mongo")
        for column in spec.columns
    }


def faked_value(fake: Faker, name: str, type_: str, document: bool) -> Any:
    """A value as Faker's providers give it, by the column's name or else by its type."""
    providers: dict[str, Callable[[], Any]] = {
        "email": fake.email,
        "first_name": fake.first_name,
        "last_name": fake.last_name,
        "phone": fake.phone_number,
        "address": fake.street_address,
        "city": fake.city,
        "state": fake.state,
        "country": fake.country,
        "postal_code": fake.postcode,
        "shipping_country": fake.country,
        "occupation": fake.job,
        "user_agent": fake.user_agent,
        "ip_address": fake.ipv4,
        "page_url": fake.uri,
        "landing_page": fake.uri,
    }
    if name in providers:
        return providers[name]()[:50] if type_ == "text" else providers[name]()
    if name.endswith("_id"):
        return fake.uuid4()
    match type_.partition("(")[0]:
        case "date":
            return fake.date_between(date(2024, 1, 1), date(2026, 1, 1))
        case "timestamptz":
            return fake.date_time_between(datetime(2024, 1, 1), datetime(2026, 1, 1), tzinfo=UTC)
        case "integer" | "bigint" | "smallint":
            return fake.random_int(0, 100)
        case "numeric":
            return Decimal(fake.random_int(0, 9999)) / 10_000
        case "jsonb":
            value = {"name": fake.word(), "position": fake.random_int(0, 1000)}
            return value if document else json.dumps(value)
        case _:
            return fake.word()


MEMORY = """
import resource, sys, time
from datetime import date
from pathlib import Path
from data_generators.args import WorldArgs
from data_generators.company.world import make_world
from data_generators.generate import Factory
from data_generators.ledger import write_ledger
from data_generators.sinks.documents import encode_documents
from data_generators.sinks.sql_text import encode_rows
from elt.specs import SPECS

begun, rows = time.perf_counter(), 0
factory = Factory(make_world(WorldArgs(1, float(sys.argv[1]), 730, date(2026, 1, 1))))
for source in factory.sources(SPECS):
    for planted in source.rows():
        rows += len(planted.rows) + len(planted.extra)
        (encode_documents if source.spec.system == "mongo" else encode_rows)(planted)
write_ledger(Path(sys.argv[2]), factory.world, factory.all_defects())
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(rows, peak, time.perf_counter() - begun)
"""


@pytest.mark.timeout(1800)
def test_a_large_company_takes_little_memory(tmp_path: Path, tell: Tell) -> None:
    """At SCALE=10, all that is done on this side: world, rows, their encoding, and the ledger."""
    found = subprocess.run(
        [sys.executable, "-c", MEMORY, str(MEMORY_SCALE), str(tmp_path / "truth")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    rows, peak, seconds = (float(figure) for figure in found.stdout.split())
    tell(
        f"SCALE={MEMORY_SCALE:g}: {rows:,.0f} rows in {seconds:.0f} s, at most {peak / 1e9:.2f} GB"
    )
    assert rows > 2_400_000 * MEMORY_SCALE * 0.95
    assert peak < MEMORY_LIMIT
