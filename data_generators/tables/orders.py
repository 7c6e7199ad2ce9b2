"""The tables ``transactions`` and ``transaction_items``: the orders and their lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from data_generators.company.baskets import make_lines
from data_generators.company.catalogue import CATEGORIES
from data_generators.company.customers import COUNTRIES
from data_generators.company.orders import STATUSES, Lines
from data_generators.randomness import Draws
from data_generators.tables.keys import chunks, numbered
from data_generators.tables.rows import Coded, Column, Rows
from elt.specs import BY_NAME

if TYPE_CHECKING:
    from data_generators.company.world import World

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]

PAYMENT_METHODS = ("card", "paypal", "transfer", "gift_card")
PAYMENT_WEIGHTS = (6, 3, 1, 1)
#: The share of orders that goes to another country than the customer's.
ABROAD = 0.03


def transactions(world: World) -> Iterator[Rows]:
    """The rows of ``transactions``, by the time of the order."""
    for which in chunks(len(world.orders)):
        yield _transactions(world, which)


def transaction_items(world: World) -> Iterator[Rows]:
    """The rows of ``transaction_items``, by (order, line)."""
    first = first_items(world)
    for which in chunks(len(world.orders)):
        yield _items(world, which, first)


def first_items(world: World) -> Ints:
    """The number of each order's first row in ``transaction_items``, and of all rows (n + 1)."""
    return np.concatenate([[0], np.cumsum(world.orders.lines)]).astype(np.int64)


def _lines(world: World, which: Ints) -> Lines:
    return make_lines(
        world.args, world.timeline, world.catalogue, world.customers, world.orders, which
    )


def _status(world: World, which: Ints) -> tuple[Ints, Array]:
    """The status that each order has reached by ``until`` (into STATUSES), and when."""
    orders = world.orders
    steps = {"pending": orders.placed[which]}
    for name in ("shipped", "delivered", "completed", "cancelled", "returned"):
        steps[name] = getattr(orders, name)[which]
    status = np.zeros(len(which), dtype=np.int64)
    changed = steps["pending"].copy()
    for name, at in steps.items():
        reached = (at < world.until) & (at >= changed)
        status[reached] = STATUSES.index(name)
        changed[reached] = at[reached]
    return status, changed


def _transactions(world: World, which: Ints) -> Rows:
    orders, draws = world.orders, Draws(world.args.seed, "table.transactions")
    key, customer, placed = orders.key[which], orders.customer[which], orders.placed[which]
    lines = _lines(world, which)
    status, changed = _status(world, which)
    home = world.customers.country[customer].astype(np.int64)
    abroad = draws("abroad").chance(ABROAD, key)
    elsewhere = draws("country").integers(0, len(COUNTRIES), key)
    columns: dict[str, Column] = {
        "transaction_id": numbered("TXN", which, 8),
        "customer_id": numbered("CUST", customer),
        "order_date": placed,
        "total_amount": lines.total_cents / 100,
        "discount_amount": lines.coupon_cents / 100,
        "payment_method": Coded(
            draws("payment").choice(PAYMENT_WEIGHTS, key), list(PAYMENT_METHODS)
        ),
        "order_status": Coded(status, list(STATUSES)),
        "shipping_country": Coded(np.where(abroad, elsewhere, home), list(COUNTRIES)),
        "updated_at": changed,
    }
    return Rows(
        BY_NAME["transactions"],
        which,
        columns,
        made=placed,
        changed=changed,
        deleted=orders.purged[which],
        parents={"customers": customer},
    )


def _items(world: World, which: Ints, first: Ints) -> Rows:
    lines = _lines(world, which)
    order, placed = lines.order, world.orders.placed[lines.order]
    number = first[order] + lines.line
    names = world.catalogue.names
    columns: dict[str, Column] = {
        "item_id": numbered("ITEM", number, 8),
        "transaction_id": numbered("TXN", order, 8),
        "product_id": numbered("PROD", lines.product, 4),
        "product_name": Coded(lines.product, names),
        "category": Coded(
            world.catalogue.category[lines.product].astype(np.int64), list(CATEGORIES)
        ),
        "quantity": lines.quantity,
        "unit_price": lines.unit_cents / 100,
        "discount_percent": lines.discount_percent.astype(np.float64),
        "line_total": lines.line_cents / 100,
        "updated_at": placed,
    }
    return Rows(
        BY_NAME["transaction_items"],
        number,
        columns,
        made=placed,
        changed=placed,
        deleted=world.orders.purged[order],
        parents={"transactions": order},
    )
