"""Makes source data: a generated company that can live on, or a sales file in the shop."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from dags.stages.common import run_as_of, shared_home, truth_folder
from dags.stages.connections import SOURCES, Opener, external_systems, refuse_external, shop

if TYPE_CHECKING:
    from datetime import date

    from data_generators.args import WorldArgs
    from data_generators.standing import Standing

DATABASES = list(SOURCES)
WRITABLE: dict[str, Opener] = {**SOURCES, "mysql": partial(shop, local_infile=True)}
DEFECTS_HELP = (
    "What is wrong with the rows: default (as dirty as real sources), none, or shares of rows on "
    "top of either, like default,customers.invalid_email=0.02 or none,transactions.orphan=0.01. "
    "data_generators/defects/catalogue.py lists the classes."
)
EFFECTS_HELP = (
    "What there is to be found: all, none, or some of campaigns (they cause orders), experiments "
    "(variants differ), churn (customers leave), segments (customers differ by segment), stages "
    "(last month's stage says something about this month's); all,-campaigns is all but one."
)
log = logging.getLogger(__name__)


@contextmanager
def open_sources(names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Connections to some of the source databases, by the names that `generate` gives them."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(WRITABLE[name]()) for name in names}


def form_world(params: dict[str, Any]) -> WorldArgs:
    """The world that the form asks for.

    Raises:
        AirflowFailException: a value cannot be; the message says what may be given.
    """
    from data_generators.args import WorldArgs

    try:
        return WorldArgs(
            params["seed"],
            params["scale"],
            params["days"],
            run_as_of(),
            effects=params["effects"],
            defects=params["defects"],
        )
    except ValueError as error:
        raise AirflowFailException(str(error)) from error


@task(pool="mysql")
def write_sources() -> dict[str, int]:
    """Write the generated company into the databases that the form names, and show it."""
    params = dict(get_current_context()["params"])
    refuse_external(*params["databases"])
    args = form_world(params)
    with open_sources(params["databases"]) as databases:
        return _generate(args, None, databases)


@task(pool="mysql")
def add_source_days() -> dict[str, int]:
    """Let the generated company live up to the night, in the databases that hold it.

    Databases that were given from outside, or that hold anything else, are left alone; a
    company that has lived up to the night already, or further, stays as it is.
    """
    from data_generators.standing import standing_world

    night = run_as_of()
    own = [name for name in DATABASES if name not in external_systems()]
    with open_sources(own) as databases:
        standing = standing_world(**databases)
        if standing is None:
            raise AirflowSkipException("no database here holds a generated company")
        if standing.until >= night and _is_shown(standing):
            raise AirflowSkipException(f"the company has lived up to {standing.until} already")
        held = {name: databases[name] for name in standing.databases}
        return _generate(standing.args, night, held)


def _is_shown(standing: Standing) -> bool:
    """Whether the databases, the ledger and the page all show the company as it stands.

    The ledger and the page come last: a run that died between them has to be finished.
    """
    from data_generators.ledger import read_marker
    from data_generators.sinks.marker import Marker

    told = read_marker(truth_folder()) == Marker.of(standing.args, standing.until)
    return standing.complete and told and _page().exists()


def _page() -> Path:
    """Where the pictures of the company are."""
    return Path(shared_home()) / "reports" / "world.html"


def _generate(args: WorldArgs, until: date | None, databases: dict[str, Any]) -> dict[str, int]:
    """Write the company, and the page that shows it; returns the rows of each table."""
    from data_generators.company.world import make_world
    from data_generators.generate import generate
    from data_generators.report import write_world_report
    from data_generators.standing import standing_world

    result = generate(args, until, **databases, truth=truth_folder())
    for table, rows in result.rows.items():
        log.info("%s: %s rows", table, f"{rows:,}")
    standing = standing_world(**databases)
    if standing is not None:
        write_world_report(make_world(standing.args, standing.until), _page(), result.rows)
        log.info("pictures of the company: %s", _page())
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
