"""A small, right night of marts for the gate's tests, and ways to spoil it."""

import json
import shutil
from datetime import date
from pathlib import Path

import psycopg

from dags.stages.gate import PROJECT
from elt.specs import SPECS

NIGHT = date(1998, 7, 1)
SEGMENTS = [
    "Champions", "Loyal", "Potential Loyalist", "New", "Promising", "Need Attention",
    "About To Sleep", "At Risk", "Can't Lose", "Hibernating", "Lost",
]  # fmt: skip
TABLES = """
set role amato_transformer;
create table marts.customer_rfm (
    customer_id text, email text, first_name text, last_name text, recency_days integer,
    frequency bigint, monetary_value numeric(18, 2), recency_score integer,
    frequency_score integer, monetary_score integer, rfm_score text, rfm_segment text,
    customer_lifetime_value numeric(18, 2), avg_order_value numeric(18, 2),
    purchase_frequency_rate numeric(18, 6), first_purchase_date date, last_purchase_date date,
    as_of date
);
create table marts.dim_customers (customer_key text, customer_id text, is_current boolean);
create table marts.fct_orders (
    order_id text, customer_id text, order_date timestamptz, is_purchase boolean,
    total_amount numeric(18, 2)
);
reset role;
"""


def make_marts(url: str, customers: int = 11) -> None:
    """Create the three marts; customer n bought n times for n.01 each, and cancelled once."""
    with psycopg.connect(url) as conn:
        conn.execute(TABLES)
        for n in range(1, customers + 1):
            customer, each, score = f"C{n:02}", f"{n}.01", n % 5 + 1
            total = f"{n * (n * 100 + 1) / 100:.2f}"
            conn.execute(
                "insert into marts.customer_rfm values"
                " (%s, %s, 'First', 'Last', %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 1.5,"
                " '1998-01-01', '1998-06-01', %s)",
                (customer, f"{customer}@example.com", n, n, total, score, score, score,
                 str(score) * 3, SEGMENTS[(n - 1) % 11], total, each, NIGHT),
            )  # fmt: skip
            conn.execute(
                "insert into marts.dim_customers values (%s, %s, true)", (f"k{n}", customer)
            )
            for order in range(n + 1):
                conn.execute(
                    "insert into marts.fct_orders values (%s, %s, '1998-06-01', %s, %s)",
                    (f"{customer}-{order}", customer, order < n, each),
                )


def make_project(folder: Path, *suites: str) -> Path:
    """The repository's GX project with some of its suites only; returns the context root."""
    if not folder.exists():
        shutil.copytree(PROJECT, folder)
        path = folder / "checkpoints" / "gate.json"
        checkpoint = json.loads(path.read_text())
        definitions = checkpoint["validation_definitions"]
        checkpoint["validation_definitions"] = [d for d in definitions if d["name"] in suites]
        assert len(checkpoint["validation_definitions"]) == len(suites)
        path.write_text(json.dumps(checkpoint))
    return folder


def note_loads(url: str, night: date) -> None:
    """Tell that raw, which a test has filled itself, was loaded for the night."""
    with psycopg.connect(url) as conn:
        for spec in SPECS:
            conn.execute(
                "insert into elt.load_log (batch_id, as_of, source_system, source_table, read,"
                " inserted, updated, deleted, unchanged, rejected, bytes, seconds, raw_live)"
                f" select 1, %s, %s, %s, 0, 0, 0, 0, 0, 0, 0, 0, count(*) from {spec.raw_name}"
                " where _valid_to is null".encode(),
                (night, spec.system, spec.name),
            )


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url) as conn:
        conn.execute(statement)
