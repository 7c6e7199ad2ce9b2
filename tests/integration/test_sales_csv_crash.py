"""Killed at any point and started again, an import is the same as an undisturbed one; and its
memory does not grow with the file."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from data_generators.sales_csv import import_sales
from ddl.migrate import connect_mysql

REPOSITORY = Path(__file__).resolve().parents[2]
TABLES = ("customers", "transactions", "transaction_items")

# Kills its own process, hard, right after the given statement was run for the n-th time.
KILLED = """
import os, signal, sys
from pathlib import Path
from data_generators.sales_csv import import_sales, shop
from ddl.migrate import connect_mysql

start, left, run = os.environ["KILL_AFTER"], int(os.environ["KILL_TIME"]), shop._run

def run_and_die(conn, sql, arguments=None):
    global left
    count = run(conn, sql, arguments)
    if sql.strip().startswith(start):
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
    return count

shop._run = run_and_die
conn = connect_mysql(os.environ["SHOP_URL"])
import_sales(conn, Path(sys.argv[1]), None, Path(sys.argv[2]))
"""

# Prints by how many kilobytes the process's largest size grew between two imports.
MEASURED = """
import os, resource, sys
from pathlib import Path
from data_generators.sales_csv import import_sales
from ddl.migrate import connect_mysql

conn = connect_mysql(os.environ["SHOP_URL"])
sizes = []
for path in sys.argv[1:]:
    import_sales(conn, Path(path), None, Path(path + ".rejects"))
    sizes.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(sizes[1] - sizes[0])
"""


def write_sales(path: Path, lines: int) -> Path:
    chance = random.Random(lines)
    with path.open("w") as file:
        file.write("customer,date,quantity,amount\n")
        for _ in range(lines):
            day = f"2024-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
            customer, amount = chance.randrange(lines // 5), chance.randrange(10**6)
            file.write(f"C{customer},{day},{chance.randint(1, 9)},{amount / 100:.2f}\n")
        file.write("broken line\n")
    return path


def start(
    code: str, url: str, *arguments: Path, **extra: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "SHOP_URL": url, "PYTHONPATH": str(REPOSITORY), **extra},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def shop(mysql_url: str) -> Iterator[Any]:
    with closing(connect_mysql(mysql_url)) as conn:
        yield conn


def contents(shop: Any) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    with closing(shop.cursor()) as cursor:
        for table in TABLES:
            cursor.execute(f"select * from {table} order by row_id")
            found += cursor.fetchall()
    shop.commit()
    return found


KILL_POINTS = (
    ("create table amato_sales_orders", 1),
    ("insert into amato_sales_staging", 2),
    ("insert into amato_sales_orders", 1),
    ("insert into customers", 1),
    ("insert into transactions", 1),
    ("insert into transaction_items", 1),  # all is written, nothing is committed
    ("drop table if exists amato_sales_staging", 2),  # all is committed
)


def test_killed_anywhere_and_started_again_it_is_as_if_undisturbed(
    shop: Any, mysql_url: str, tmp_path: Path
) -> None:
    path, rejects = write_sales(tmp_path / "sales.csv", 5_000), tmp_path / "rejects.csv"
    import_sales(shop, path, None, rejects)
    undisturbed, reasons = contents(shop), rejects.read_bytes()
    assert len(undisturbed) > 10_000

    for statement, time in KILL_POINTS:
        with closing(shop.cursor()) as cursor:
            for table in TABLES:
                cursor.execute(f"delete from {table}")
        shop.commit()
        rejects.unlink()
        killed = start(KILLED, mysql_url, path, rejects, KILL_AFTER=statement, KILL_TIME=str(time))
        assert killed.returncode == -signal.SIGKILL, (statement, killed.stderr)
        committed = statement.startswith("drop")
        assert contents(shop) == (undisturbed if committed else []), statement

        result = import_sales(shop, path, None, rejects)
        assert contents(shop) == undisturbed, statement
        assert rejects.read_bytes() == reasons
        assert (result.new_items, result.rejected) == (0 if committed else 5_000, 1), statement
        with closing(shop.cursor()) as cursor:
            assert cursor.execute("show tables like 'amato_sales%'") == 0


def test_memory_does_not_grow_with_the_file(mysql_url: str, tmp_path: Path) -> None:
    small = write_sales(tmp_path / "small.csv", 20_000)
    large = write_sales(tmp_path / "large.csv", 120_000)
    assert large.stat().st_size > 2_000_000
    measured = start(MEASURED, mysql_url, small, large)
    assert measured.returncode == 0, measured.stderr
    assert int(measured.stdout) < 6_000
