"""The tables of the ledger: what is planted in a company, and what came of it by ``until``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data_generators.args import WorldArgs
from data_generators.company import bgnbd, response
from data_generators.company.baskets import order_totals
from data_generators.company.campaigns import TYPES
from data_generators.company.customers import (
    CHANNELS,
    COUNTRIES,
    DEVICES,
    FAILED_PER_PURCHASE,
    FIRST_PURCHASE_DAYS,
    NEVER_BUYS,
    SEGMENT_SHARES,
    SEGMENTS,
    rate_factor,
)
from data_generators.company.orders import INCREMENTAL, TRACKED_SHARE
from data_generators.company.visits import STAGES
from data_generators.company.world import World
from data_generators.sinks.arrays import padded
from data_generators.sinks.marker import Marker
from data_generators.tables.clickstream.session_rows import anonymous_ids
from data_generators.tables.keys import numbered
from data_generators.tables.rows import PlantedDefect

Array = npt.NDArray[Any]

ORDER_KINDS = ("organic", "incremental", "failed")
_DEFECT_COLUMNS = ("table", "row_id", "defect", "fate", "business_key")
#: Lines of the defect table that are made columns of at once.
_LINES = 100_000


def ledger_tables(world: World, defects: Iterable[PlantedDefect]) -> Iterator[tuple[str, Any]]:
    """Name and pyarrow table, one after another."""
    cents = order_totals(world.args, world.timeline, world.catalogue, world.customers, world.orders)
    yield "parameters", parameters(world)
    yield "customers", customers(world)
    yield "orders", orders(world, cents)
    yield "sessions", sessions(world)
    yield "experiments", experiments(world)
    yield "campaigns", campaigns(world, cents)
    yield "channels", channels(world, cents)
    yield "channel_days", channel_days(world, cents)
    yield "segments", segments(world)
    yield "transitions", transitions(world)
    yield "defects", planted_defects(defects)


def parameters(world: World) -> Any:
    """``name`` and its value: ``number``, or ``text`` where it is none."""
    args = world.args
    texts = Marker.of(args, world.until.astype("datetime64[D]").astype(object)).stored()
    values = [*_numbers(world).items(), *_rates(args)]
    return pa.table(
        {
            "name": pa.array([*texts, *(name for name, _ in values)], pa.string()),
            "number": pa.array([*[None] * len(texts), *(n for _, n in values)], pa.float64()),
            "text": pa.array([*texts.values(), *[None] * len(values)], pa.string()),
        }
    )


def _numbers(world: World) -> Mapping[str, float]:
    factor = rate_factor(world.args)
    return {
        "bgnbd.r": bgnbd.R,
        "bgnbd.alpha_weeks": bgnbd.ALPHA / factor,
        "bgnbd.a": bgnbd.A,
        "bgnbd.b": bgnbd.B,
        "bgnbd.rate_factor": factor,
        "gamma_gamma.p": bgnbd.P,
        "gamma_gamma.q": bgnbd.Q,
        "gamma_gamma.gamma": bgnbd.GAMMA,
        "customers.never_buy_share": NEVER_BUYS,
        "customers.first_purchase_mean_days": FIRST_PURCHASE_DAYS,
        "orders.failed_per_purchase": FAILED_PER_PURCHASE,
        "orders.tracked_share": TRACKED_SHARE,
        "response.preferred_channel_weight": response.PREFERRED,
    }


def _rates(args: WorldArgs) -> list[tuple[str, float]]:
    return [(f"defect_rate.{name}", rate) for name, rate in sorted(args.defect_rates.rates.items())]


def customers(world: World) -> Any:
    """One row a customer: traits, and when it dropped out."""
    found = world.customers
    return pa.table(
        {
            "customer_id": _ids("CUST", np.arange(len(found))),
            "registered": found.registered,
            "segment": _labels(found.segment, SEGMENTS),
            "buys": found.buys,
            "purchases_per_week": found.purchase_rate,
            "dropout_chance": found.dropout,
            "mean_order_value": bgnbd.P / found.spend_rate,
            "price_sensitivity": found.price_sensitivity,
            "engagement": found.engagement,
            "preferred_device": _labels(found.device, DEVICES),
            "preferred_channel": _labels(found.channel, CHANNELS),
            "country": _labels(found.country, COUNTRIES),
            "churned_at": world.organic.churned,
            "erased_at": found.erased,
        }
    )


def orders(world: World, cents: Array) -> Any:
    """One row an order; ``channel`` and ``campaign_id`` are what caused an incremental one."""
    found = world.orders
    return pa.table(
        {
            "transaction_id": _ids("TXN", np.arange(len(found)), 8),
            "customer_id": _ids("CUST", found.customer),
            "placed": found.placed,
            "kind": _labels(found.kind, ORDER_KINDS),
            "total_amount": cents / 100,
            "channel": _labels(found.channel, CHANNELS),
            "campaign_id": _ids("CAMP", found.campaign, 4),
            "churns": found.churns,
            "tracked": found.tracked,
            "purged_at": found.purged,
        }
    )


def sessions(world: World) -> Any:
    """One row a session; ``customer_id`` is who was there, signed in or not."""
    found = world.sessions
    known = found.person < len(world.customers)  # the others will register after until
    return pa.table(
        {
            "session_id": _ids("SESS", np.arange(len(found)), 8),
            "customer_id": _ids("CUST", np.where(known, found.person, -1)),
            "anonymous_id": padded(anonymous_ids(found.anonymous)).cast(pa.string()),
            "signed_in": found.signed_in,
            "bot": found.bot,
            "stage": _labels(found.stage, STAGES),
            "transaction_id": _ids("TXN", found.order, 8),
            "campaign_id": _ids("CAMP", found.campaign, 4),
            "session_start": found.start,
        }
    )


def experiments(world: World) -> Any:
    """One row a test: the truth that its counts are drawn from (see `Experiments`)."""
    found = world.experiments
    return pa.table(
        {
            "test_id": _ids("TEST", np.arange(len(found)), 4),
            "campaign_id": _ids("CAMP", found.campaign, 4),
            "start_date": found.starts,
            "end_date": found.ends,
            "rate": found.rate,
            "lift": found.lift,
            "novelty": found.novelty,
            "novelty_days": found.novelty_days,
            "split": found.split,
            "simpson": found.simpson,
            **{f"rate_{name}": found.device_rate[:, d] for d, name in enumerate(DEVICES)},
            **{f"split_{name}": found.device_split[:, d] for d, name in enumerate(DEVICES)},
        }
    )


def campaigns(world: World, cents: Array) -> Any:
    """One row a campaign; what it spent, and the incremental orders credited to it."""
    found, size = world.campaigns, len(world.campaigns)
    caused = world.orders.kind == INCREMENTAL
    by = world.orders.campaign[caused]
    return pa.table(
        {
            "campaign_id": _ids("CAMP", np.arange(size), 4),
            "channel": _labels(found.channel, CHANNELS),
            "campaign_type": _labels(found.kind, TYPES),
            "start_date": found.starts,
            "end_date": found.ends,
            "spend": found.spend_cents.sum(axis=1) / 100,
            "incremental_orders": np.bincount(by, minlength=size),
            "incremental_revenue": _sums(by, cents[caused], size) / 100,
        }
    )


def channels(world: World, cents: Array) -> Any:
    """One row a channel: its response (see `Response`), and what it caused by ``until``."""
    found, size = world.response, len(CHANNELS)
    caused = world.orders.kind == INCREMENTAL
    by = world.orders.channel[caused].astype(np.int64)
    return pa.table(
        {
            "channel": list(CHANNELS),
            "carry": found.carry,
            "half": found.half,
            "ceiling": found.ceiling,
            "claim": found.claim,
            "spend": response.channel_spend(world.campaigns).sum(axis=1),
            "expected_orders": found.expected.sum(axis=1),
            "incremental_orders": np.bincount(by, minlength=size),
            "incremental_revenue": _sums(by, cents[caused], size) / 100,
        }
    )


def channel_days(world: World, cents: Array) -> Any:
    """One row a channel and day: spend, and the incremental orders expected and made."""
    size, days = world.response.expected.shape
    first = world.timeline.start.astype("datetime64[D]")
    caused = world.orders.kind == INCREMENTAL
    day = (world.orders.placed[caused].astype("datetime64[D]") - first).astype(np.int64)
    at = world.orders.channel[caused].astype(np.int64) * days + day
    return pa.table(
        {
            "channel": _labels(np.repeat(np.arange(size), days), CHANNELS),
            "date": np.tile(first + np.arange(days), size),
            "spend": response.channel_spend(world.campaigns).ravel(),
            "expected_orders": world.response.expected.ravel(),
            "incremental_orders": np.bincount(at, minlength=size * days),
            "incremental_revenue": _sums(at, cents[caused], size * days) / 100,
        }
    )


def segments(world: World) -> Any:
    """One row a latent segment: its share, and how readily it responds to campaigns."""
    return pa.table(
        {
            "segment": list(SEGMENTS),
            "share": SEGMENT_SHARES,
            "response_weight": world.response.segment_weight,
        }
    )


def transitions(world: World) -> Any:
    """One row for each pair of stages; those of the first month have no ``from_stage``."""
    found = world.transitions
    return pa.table(
        {
            "from_stage": pa.array(
                [None] * len(STAGES) + [stage for stage in STAGES for _ in STAGES], pa.string()
            ),
            "to_stage": list(STAGES) * (len(STAGES) + 1),
            "chance": np.concatenate([found.initial, found.chances.ravel()]),
        }
    )


def planted_defects(defects: Iterable[PlantedDefect]) -> Any:
    """One row for each defect of a row, in the order of table, row id and defect."""
    schema = pa.schema([(name, pa.string()) for name in _DEFECT_COLUMNS])
    parts, lines = [], []
    for defect in defects:
        lines.append(defect)
        if len(lines) == _LINES:
            parts.append(_defect_columns(lines, schema))
            lines = []
    table = pa.concat_tables([*parts, _defect_columns(lines, schema)])
    # Row ids are numbers or of one length: the longer one comes later.
    length = pc.utf8_length(table["row_id"])
    order = pc.sort_indices(
        table.append_column("length", length),
        sort_keys=[(name, "ascending") for name in ("table", "length", "row_id", "defect")],
    )
    return table.take(order).combine_chunks()


def _defect_columns(lines: list[PlantedDefect], schema: Any) -> Any:
    columns = [[getattr(line, name) for line in lines] for name in _DEFECT_COLUMNS]
    return pa.table(columns, schema=schema)


def _ids(prefix: str, number: Array, digits: int = 6) -> Any:
    """Business keys as text; null where the number is below 0."""
    ids = numbered(prefix, np.maximum(number, 0), digits)
    values = padded(ids).cast(pa.string()) if ids.dtype.kind == "S" else pa.array(ids.tolist())
    return pc.if_else(pa.array(number >= 0), values, pa.scalar(None, pa.string()))


def _labels(codes: Array, names: tuple[str, ...]) -> Any:
    """The names of codes; null where a code is below 0."""
    codes = codes.astype(np.int64)
    return pa.array([*names, None]).take(pa.array(np.where(codes < 0, len(names), codes)))


def _sums(at: Array, values: Array, size: int) -> Array:
    """The sum of the values (int64) by place."""
    sums = np.zeros(size, dtype=np.int64)
    np.add.at(sums, at, values)
    return sums
