"""Worlds with defects, planted and searched."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from data_generators.args import WorldArgs
from data_generators.company.world import World, make_world
from data_generators.defects.plant import Planter
from data_generators.tables import BUILDERS
from data_generators.tables.rows import PlantedDefect, PlantedRows
from elt.specs import BY_NAME
from tests.unit.defects.scan import Found, Scan

AS_OF = date(2026, 1, 1)
MARKETING = ("campaigns", "campaign_performance", "ab_tests", "ab_test_results")
#: Classes that are rare in a small world, made frequent.
FREQUENT = "default," + ",".join(
    f"{name}=0.01"
    for name in (
        "sessions.undecodable",
        "sessions.future_date",
        "sessions.zero_date",
        "page_views.undecodable",
        "events.undecodable",
        "product_interactions.undecodable",
        "search_queries.undecodable",
        "transactions.null_key",
        "transactions.absurd_amount",
        "customer_segment_mapping.duplicate_exact",
        "customer_segment_mapping.orphan",
        "customer_segment_mapping.impossible_score",
        "customers.null_key",
        "customers.zero_date",
        "customers.absurd_birth_date",
        "customers.future_registration",
        "customers.nul_character",
    )
)


@dataclass(frozen=True)
class Planted:
    """A world and its tables with their defects."""

    world: World
    tables: dict[str, list[PlantedRows]]

    @property
    def ledger(self) -> list[PlantedDefect]:
        """The ledger's lines of all tables."""
        return [line for parts in self.tables.values() for part in parts for line in part.defects]

    def found(self) -> Found:
        """What the independent search finds."""
        scan = Scan(self.world.until)
        if "transaction_items" in self.tables:
            scan.add_lines(BY_NAME["transaction_items"], self.tables["transaction_items"])
        for name, parts in self.tables.items():
            scan.table(BY_NAME[name], parts)
        return scan.found

    def count(self, table: str) -> int:
        """The rows of a table, extra ones included."""
        return sum(len(part.rows) + len(part.extra) for part in self.tables[table])


def args_of(scale: float, defects: str = "default", seed: int = 1, days: int = 730) -> WorldArgs:
    """Arguments of a world that ends on AS_OF."""
    return WorldArgs(seed, scale, days, AS_OF, defects=defects)


def plant(args: WorldArgs, until: date | None = None, only: tuple[str, ...] = ()) -> Planted:
    """Make a world and plant the defects of these tables (default: of all), parents first."""
    world = make_world(args, until)
    planter = Planter(world)
    return Planted(
        world,
        {
            name: [planter.plant(rows) for rows in build(world)]
            for name, build in BUILDERS.items()
            if not only or name in only
        },
    )
