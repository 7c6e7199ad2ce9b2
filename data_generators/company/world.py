"""The whole company as it is at the end of a day: a pure function of its arguments and that day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from data_generators.args import WorldArgs
from data_generators.company.campaigns import Campaigns, Response, make_campaigns
from data_generators.company.catalogue import Catalogue, make_catalogue
from data_generators.company.customers import Customers, make_customers
from data_generators.company.experiments import Experiments, Exposures, make_experiments
from data_generators.company.orders import Orders, make_orders
from data_generators.company.purchases import Organic, make_organic
from data_generators.company.response import cause_orders, make_response
from data_generators.company.visits import Sessions, Transitions, make_sessions, make_transitions
from data_generators.timeline import Timeline


@dataclass(frozen=True)
class World:
    """The latent company at ``until`` (midnight; nothing in it happens at or after that).

    ``until`` is ``args.as_of``, or a later day: the days between are added days. A world at a
    later day is the same one with more in it: every row keeps its number and its draws.
    """

    args: WorldArgs
    until: np.datetime64
    timeline: Timeline
    customers: Customers
    catalogue: Catalogue
    organic: Organic
    campaigns: Campaigns
    response: Response
    orders: Orders
    transitions: Transitions
    sessions: Sessions
    experiments: Experiments
    exposures: Exposures


def make_world(args: WorldArgs, until: date | None = None) -> World:
    """Make the company of these arguments as it is before ``until`` 00:00 UTC.

    Raises:
        ValueError: ``until`` is before the end of the base history.
    """
    end = args.end if until is None else np.datetime64(until, "s")
    if end < args.end:
        raise ValueError(f"a world that ends on {args.as_of} cannot be made up to {until}")
    timeline = Timeline.of(args.start, end)
    customers = make_customers(args, timeline)
    catalogue = make_catalogue(args, timeline)
    organic = make_organic(args, timeline, customers)
    campaigns = make_campaigns(args, timeline)
    response = make_response(args, timeline, campaigns)
    caused = cause_orders(args, timeline, campaigns, response, customers, organic.churned)
    orders = make_orders(args, timeline, customers, organic, caused)
    transitions = make_transitions(args)
    sessions = make_sessions(args, timeline, customers, organic, orders, campaigns, transitions)
    experiments, exposures = make_experiments(args, timeline, campaigns, sessions)
    return World(
        args,
        end,
        timeline,
        customers,
        catalogue,
        organic,
        campaigns,
        response,
        orders,
        transitions,
        sessions,
        experiments,
        exposures,
    )
