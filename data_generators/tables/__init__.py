"""The rows of the 15 tables, made from the company."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from data_generators.company.customers import SEGMENTS
from data_generators.tables import clickstream, customers, marketing, orders, segments
from data_generators.tables.rows import Rows

if TYPE_CHECKING:
    from data_generators.company.world import World

#: Makes the rows of each table, in the order of their numbers.
BUILDERS: Mapping[str, Callable[[World], Iterator[Rows]]] = {
    "customers": customers.customers,
    "customer_demographics": customers.demographics,
    "transactions": orders.transactions,
    "transaction_items": orders.transaction_items,
    "customer_segments": segments.customer_segments,
    "customer_segment_mapping": segments.customer_segment_mapping,
    "campaigns": marketing.campaigns,
    "campaign_performance": marketing.campaign_performance,
    "ab_tests": marketing.ab_tests,
    "ab_test_results": marketing.ab_test_results,
    "sessions": clickstream.sessions,
    "page_views": clickstream.page_views,
    "events": clickstream.events,
    "product_interactions": clickstream.product_interactions,
    "search_queries": clickstream.search_queries,
}


def sizes(world: World) -> dict[str, tuple[int, int]]:
    """Of each SQL table, how many row numbers there are, in all and in the base history.

    Extra rows, which defects add, have no number of their own.
    """
    people = (len(world.customers), world.customers.base)
    placed = world.orders.placed
    ordered = (len(placed), int((placed < world.args.end).sum()))
    first = orders.first_items(world)
    tests = (len(world.experiments), world.experiments.base)
    running = np.count_nonzero(world.campaigns.spend_cents, axis=0)
    return {
        "customers": people,
        "customer_demographics": people,
        "transactions": ordered,
        "transaction_items": (int(first[ordered[0]]), int(first[ordered[1]])),
        "customer_segments": (len(SEGMENTS), len(SEGMENTS)),
        "customer_segment_mapping": segments.mapping_sizes(world),
        "campaigns": (len(world.campaigns), world.campaigns.base),
        "campaign_performance": (int(running.sum()), int(running[: world.args.days].sum())),
        "ab_tests": tests,
        "ab_test_results": (2 * tests[0], 2 * tests[1]),
    }
