"""The page that shows the generated company: ``reports/world.html``, self-contained.

It shows what an analyst could count in the three databases, as they would be without their
planted defects, and what was asked for. The planted truth stays in the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from data_generators import report_figures as figures
from data_generators import report_numbers as numbers
from data_generators.args import WorldArgs
from data_generators.company.baskets import order_totals
from data_generators.company.world import World
from elt.specs import SPECS
from report_pages import figure_html, page_html, section_html, table_html
from report_pages.files import replace_file

DATABASES = {"mysql": "shop", "postgres": "marketing", "mongo": "clickstream"}
#: Fewer customers than these say nothing about a distribution.
LEAST_CUSTOMERS = 20


def write_world_report(world: World, path: Path, rows: Mapping[str, int] | None = None) -> None:
    """Write the page; the same world and rows give the same bytes.

    Args:
        world: the company.
        path: the file; its folder is made. It is replaced in one step.
        rows: the rows of each table that the databases hold, where they are known.
    """
    replace_file(path, build_page(world, rows or {}))


def build_page(world: World, rows: Mapping[str, int]) -> str:
    """The page as HTML."""
    args, orders = world.args, world.orders
    total_cents = order_totals(
        world.args, world.timeline, world.catalogue, world.customers, world.orders
    )
    counted = numbers.sold(orders, world.until)
    weekly = numbers.weekly(
        orders,
        total_cents,
        world.sessions,
        world.campaigns.spend_cents.sum(axis=0),
        args.start,
        world.until,
    )
    funnel = numbers.funnel(world.sessions, world.until)
    repeats = numbers.repeat_purchases(
        orders.customer[counted], orders.placed[counted], args.start, world.until
    )
    body = _revenue(weekly) + _repeats(repeats, args) + _funnel(funnel)
    body += _traffic(numbers.traffic(world.sessions, args.start, world.until))
    body += _tables(args, rows)
    added = (world.until - args.end).astype("timedelta64[D]").astype(int)
    customers = int((~(world.customers.erased < world.until)).sum())
    first = args.as_of - timedelta(days=args.days)
    facts = (
        ("customers", f"{customers:,}"),
        ("orders, neither cancelled nor returned", f"{counted.sum():,}"),
        ("their revenue, in currency units", f"{total_cents[counted].sum() / 100:,.0f}"),
        ("visits of people", f"{funnel.visits:,}"),
        ("history", f"{first} to {world.until.astype('datetime64[D]') - 1}"),
        ("days of it that were added since", f"{added:,}"),
    )
    subtitle = (
        f"SEED={args.seed} SCALE={args.scale:g} DAYS={args.days} AS_OF={args.as_of} "
        f"DEFECTS={args.defects} EFFECTS={args.effects}: the same arguments make the same company, "
        "to the byte."
    )
    return page_html("The generated company", subtitle, facts, body, with_plots=True)


def _revenue(weekly: numbers.Weekly) -> str:
    words = (
        "<p>What the shop sold in each week, less what was cancelled or returned since, and what "
        "was spent on advertising. Few orders can be traced to a visit that carries a campaign's "
        "tags, because most are bought elsewhere: this is not what advertising brings in.</p>"
    )
    plot = figure_html(figures.weekly_figure(weekly), "plot-revenue")
    return section_html("Revenue and advertising per week", words + plot, "revenue")


def _repeats(repeats: numbers.Repeats, args: WorldArgs) -> str:
    title = "Repeat purchases, beside CDNOW's"
    customers = int(repeats.customers.sum())
    if customers < LEAST_CUSTOMERS:
        words = "<p>Too few customers have bought to compare them with CDNOW's.</p>"
        return section_html(title, words, "repeats")
    back = "Its campaigns bring some back who would not have come. "
    words = (
        "<p>CDNOW, a CD shop, published the purchases of 23,570 customers (Fader and Hardie, "
        "2001). This company's customers differ from each other as CDNOW's do, but buy faster, so "
        f"that CDNOW's {_mean(numbers.CDNOW_REPEATS, sum(numbers.CDNOW_CUSTOMERS))} purchases "
        f"after the first in {numbers.CDNOW_DAYS} days are {_mean(repeats.total, customers)} here "
        f"in {repeats.days}. {back if 'campaigns' in args.planted else ''}"
        "Purchases of one customer on one day are one.</p>"
    )
    plot = figure_html(figures.repeats_figure(repeats), "plot-repeats")
    return section_html(title, words + plot, "repeats")


def _mean(total: int, count: int) -> str:
    return f"{total / count:.2f}"


def _funnel(funnel: numbers.Funnel) -> str:
    words = "<p>Visits of people, without those of bots, by how far they came.</p>"
    plot = figure_html(figures.funnel_figure(funnel), "plot-funnel")
    return section_html("From visit to purchase", words + plot, "funnel")


def _traffic(traffic: numbers.Floats) -> str:
    words = "<p>Visits of people that begin in an hour, the mean over the whole history.</p>"
    plot = figure_html(figures.traffic_figure(traffic), "plot-traffic")
    return section_html("When they come", words + plot, "traffic")


def _tables(args: WorldArgs, rows: Mapping[str, int]) -> str:
    """The 15 tables: their rows, and how many of them defects are planted in."""
    lines = []
    for spec in SPECS:
        planted = args.defect_rates.of(spec.name)
        share = sum(rate for _, rate in planted)
        lines.append(
            (
                f"{DATABASES[spec.system]}.{spec.name}",
                f"{rows[spec.name]:,}" if spec.name in rows else "-",
                str(len(planted)) if planted else "none",
                f"{100 * share:.2f} %" if planted else "-",
            )
        )
    header = ("Table", "Rows", "Classes of planted defects", "Share of its rows")
    words = (
        '<p class="small">The rows include planted defects; the pictures above leave them out. '
        "Orphans that follow from another defect come on top of the share.</p>"
    )
    return section_html(
        "The tables, and their defects", table_html(header, lines) + words, "tables"
    )
