"""What the models of journeys would read of a generated company without defects, and its oracle.

The history is made of the latent world itself, which takes seconds where databases and dbt take
minutes: so many seeds, and worlds with one effect switched off, can be measured.
"""

import numpy as np
import pandas as pd

from data_generators.company.orders import FAILED
from data_generators.company.stages import (
    ABANDONER,
    BROWSER,
    CONVERTER,
    RETURN_VISITOR,
)
from data_generators.company.world import World
from ml.journey_simulation.history import SESSION_COUNTS, SESSION_MARKS, Floats, History
from ml.journey_simulation.origins import Origin

DAY = 86_400


def days(times: np.ndarray) -> Floats:
    """Times as float days since 1970-01-01; NaT is inf."""
    found = times.astype("datetime64[s]").astype(np.int64) / DAY
    return np.where(np.isnat(times), np.inf, found)


def history_of(world: World) -> History:
    """The history that clean marts of this world hold."""
    orders, sessions, n = world.orders, world.sessions, len(world.customers)
    until = float(days(np.array([world.until]))[0])
    failed = orders.kind == FAILED
    over = np.minimum(days(orders.cancelled), days(orders.returned)) < until
    kept = (sessions.person >= 0) & (sessions.person < n) & ~sessions.bot
    first_sign_in = (
        pd.Series(days(sessions.start)[sessions.signed_in])
        .groupby(sessions.anonymous[sessions.signed_in])
        .min()
    )
    sign_in = pd.Series(sessions.anonymous).map(first_sign_in).to_numpy(dtype=float)
    kept &= sessions.signed_in | np.isfinite(sign_in)
    start = days(sessions.start)
    ends = start + sessions.seconds / DAY
    counts = np.zeros((len(sessions), len(SESSION_COUNTS)))

    def put(name: str, values: np.ndarray) -> None:
        counts[:, SESSION_COUNTS.index(name)] = values

    stage = sessions.stage
    looks = np.isin(stage, (BROWSER, CONVERTER, ABANDONER, RETURN_VISITOR))
    put("duration_seconds", sessions.seconds)
    put("page_views", sessions.pages)
    put("searches", sessions.searches)
    put("interactions", sessions.interactions)
    put("product_page_views", sessions.products)
    put("product_views", np.where(looks, np.maximum(sessions.products, 1), 0))
    put("account_page_views", stage == RETURN_VISITOR)
    put("cart_adds", np.isin(stage, (ABANDONER, CONVERTER)))
    put("checkout_starts", stage == CONVERTER)
    put("purchases", sessions.order >= 0)
    marks = np.zeros((len(sessions), len(SESSION_MARKS)))
    marks[:, SESSION_MARKS.index("is_mobile")] = sessions.device == 1
    marks[:, SESSION_MARKS.index("from_campaign")] = sessions.campaign >= 0
    marks[:, SESSION_MARKS.index("is_bounce")] = sessions.pages == 1
    marks[:, SESSION_MARKS.index("is_stitched")] = ~sessions.signed_in
    known = np.where(sessions.signed_in, ends, np.maximum(ends, np.nan_to_num(sign_in)))
    return History(
        customer_ids=tuple(f"CUST_{i + 1:06d}" for i in range(n)),
        registered=np.floor(days(world.customers.registered)),
        order_customer=orders.customer.astype(np.int64),
        order_at=days(orders.placed),
        order_purchase=(days(orders.shipped) < until) & ~(failed & over),
        order_failed=failed & over,
        order_amount=orders.value_cents / 100,
        session_customer=sessions.person[kept].astype(np.int64),
        session_at=start[kept],
        session_known=known[kept],
        session_marks=marks[kept],
        session_counts=counts[kept],
        until=until,
    )


def oracle(origin: Origin, rate: Floats, dropout: Floats) -> Floats:
    """The chance that each customer of an origin buys, for one who knows the planted rates.

    The oracle knows of each customer exactly two planted numbers that no model can see: lambda
    (`Customers.purchase_rate`, further purchases a week while alive; here taken as a week of the
    clock) and p (`Customers.dropout`, the chance to leave after each further purchase). Of what
    happened it sees what the model sees: the number of orders and the days since the last one. It
    knows neither who has left, nor which orders a campaign caused, nor the future. By Bayes' rule,
    after x >= 2 orders and s silent days

        P(alive) = 1 / (1 + p / (1 - p) * exp(lambda * s)),

    which is 1 for x <= 1 (nobody leaves after the first), and it buys within t days with chance
    P(alive) * (1 - exp(-lambda * t)).

    Args:
        origin: the day, with the features `orders` and `days_since_order`.
        rate: lambda per day, by row number of the history.
        dropout: p, by row number of the history.
    """
    lam, p = rate[origin.customers], np.minimum(dropout[origin.customers], 1 - 1e-9)
    silent = origin.x["days_since_order"].to_numpy()
    odds = p / (1 - p) * np.exp(np.minimum(lam * silent, 700))
    alive = np.where(origin.x["orders"].to_numpy() > 1, 1 / (1 + odds), 1.0)
    return np.asarray(alive * (1 - np.exp(-lam * origin.days)))
