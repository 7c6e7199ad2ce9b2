"""Makes source data: a generated company, or a sales file loaded into the shop."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from airflow.sdk import get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from dags.stages.common import run_as_of, shared_home
from dags.stages.connections import SOURCES, refuse_external, shop

DATABASES = list(SOURCES)
log = logging.getLogger(__name__)


@task(pool="mysql")
def write_sources() -> dict[str, int]:
    """Write the generated company into the databases that the form names."""
    from data_generators.generate import generate
    from data_generators.world import WorldArgs

    params = get_current_context()["params"]
    databases = params["databases"]
    refuse_external(*databases)
    world = WorldArgs(params["seed"], params["scale"], params["days"], run_as_of())
    with ExitStack() as stack:
        opened: dict[str, Any] = {name: stack.enter_context(SOURCES[name]()) for name in databases}
        result = generate(world, **opened)
    for table, rows in result.rows.items():
        log.info("%s: %s rows", table, f"{rows:,}")
    return dict(result.rows)


@task(pool="mysql")
def import_sales() -> dict[str, Any]:
    """Load the sales file that the form names into the shop."""
    from data_generators.sales_csv import SalesFileError, SalesMapping, import_sales

    refuse_external("mysql")
    params = get_current_context()["params"]
    path = Path(params["path"])
    columns = {
        field: params[field]
        for field in (
            "date",
            "customer",
            "amount",
            "order",
            "product",
            "quantity",
            "delimiter",
            "date_format",
        )
        if params[field]
    }
    rejects = Path(shared_home()) / "rejects" / f"{path.name}.rejects.csv"
    try:
        with shop() as connection:
            result = import_sales(connection, path, SalesMapping(**columns), rejects)
    except SalesFileError as error:
        raise AirflowFailException(str(error)) from error
    return {
        "lines": result.lines,
        "loaded": result.loaded,
        "rejected": result.rejected,
        "customers": result.customers,
        "orders": result.orders,
        "total_amount": str(result.total_amount),
        "rejects_path": str(result.rejects_path) if result.rejected else None,
    }
