"""Sharing a budget over channels: all that is to be had, within limits.

Maximise the sum of concave returns f_c(x_c) with sum(x) = total and low_c <= x_c <= high_c. At
the optimum the marginal returns of all channels strictly between their limits are the same
number, the price of money; a channel at its floor returns no more than that at the margin, one
at its cap no less (the Karush-Kuhn-Tucker conditions; Boyd and Vandenberghe, "Convex
Optimization", 2004, section 5.5.3, where the same method is called water-filling).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

Marginal = Callable[[Floats], Floats]
"""The marginal return of every channel at a spend of every channel; falling in each."""

_HALVINGS = 80
LIMIT_KEYS = ("lock", "floor", "cap")


class BudgetLimitError(ValueError):
    """Limits that cannot be honoured; the message names the channels and the remedy."""


@dataclass(frozen=True)
class Limits:
    """What each of C channels must get at least and may get at most, and the total: float64 [C].

    All are amounts of money for the same number of days.
    """

    channels: tuple[str, ...]
    low: Floats
    high: Floats
    total: float


def parse_limits(channels: Sequence[str], total: Any, given: Mapping[str, Any] | None) -> Limits:
    """Read the limits of a run, such as `{"Facebook": {"lock": 1000}, "Email": {"cap": 9000}}`.

    A lock sets a channel's budget, a floor is the least and a cap the most that it may get.

    Raises:
        BudgetLimitError: a channel or a limit is unknown, an amount is no number of at least 0,
            or the limits contradict one another or the total.
    """
    total = _amount("the total", "budget_total", total)
    if given is not None and not isinstance(given, Mapping):
        raise BudgetLimitError(
            f'budget_limits must name channels, like {{"Email": {{"cap": 9000}}}}, got {given!r}'
        )
    low, high = np.zeros(len(channels)), np.full(len(channels), math.inf)
    for channel, limits in (given or {}).items():
        if channel not in channels:
            raise BudgetLimitError(
                f"budget_limits names {channel!r}, which is no channel with a history; there are: "
                f"{', '.join(channels)}"
            )
        at = channels.index(channel)
        low[at], high[at] = _bounds(channel, limits)
    return _feasible(Limits(tuple(channels), low, high, total))


def _bounds(channel: str, limits: Any) -> tuple[float, float]:
    if not isinstance(limits, Mapping) or not limits or set(limits) - set(LIMIT_KEYS):
        raise BudgetLimitError(
            f"the limits of {channel} must be a lock, or a floor, a cap or both, got {limits!r}"
        )
    amounts = {key: _amount(channel, key, value) for key, value in limits.items()}
    if "lock" in amounts:
        if len(amounts) > 1:
            raise BudgetLimitError(
                f"{channel} has a lock of {amounts['lock']:,.2f}, which leaves no room for "
                f"another limit: give the lock alone"
            )
        return amounts["lock"], amounts["lock"]
    low, high = amounts.get("floor", 0.0), amounts.get("cap", math.inf)
    if low > high:
        raise BudgetLimitError(
            f"{channel} has a floor of {low:,.2f} above its cap of {high:,.2f}, by "
            f"{low - high:,.2f}: lower the floor or raise the cap"
        )
    return low, high


def _amount(where: str, key: str, value: Any) -> float:
    good = isinstance(value, int | float) and not isinstance(value, bool)
    if not good or not math.isfinite(value) or value < 0:
        raise BudgetLimitError(
            f"{key} of {where} must be an amount of money of at least 0, got {value!r}"
        )
    return float(value)


def _feasible(limits: Limits) -> Limits:
    least, most = float(limits.low.sum()), float(limits.high.sum())
    slack = 1e-9 * max(limits.total, 1.0)
    if least > limits.total + slack:
        named = _named(limits, limits.low, limits.low > 0)
        raise BudgetLimitError(
            f"the limits ask for {least:,.2f} ({named}), {least - limits.total:,.2f} more than "
            f"the total of {limits.total:,.2f}: lower a lock or floor, or raise budget_total"
        )
    if most < limits.total - slack:
        named = _named(limits, limits.high, np.isfinite(limits.high))
        raise BudgetLimitError(
            f"the limits let no more than {most:,.2f} be spent ({named}), "
            f"{limits.total - most:,.2f} less than the total of {limits.total:,.2f}: raise a cap "
            "or lock, or lower budget_total"
        )
    return limits


def _named(limits: Limits, amounts: Floats, chosen: NDArray[np.bool_]) -> str:
    parts = []
    for channel, amount, low, high, named in zip(
        limits.channels, amounts, limits.low, limits.high, chosen, strict=True
    ):
        if named:
            kind = "lock" if low == high else "floor" if amount == low else "cap"
            parts.append(f"{channel} {kind} {amount:,.2f}")
    return ", ".join(parts)


def allocate(marginal: Marginal, limits: Limits) -> Floats:
    """Return what each channel gets in the best plan within the limits: [C], summing to total.

    `marginal` must fall in each channel's own spend (concave returns). For a price of money
    each channel takes money for as long as it returns more than the price at the margin; the
    price is found by bisection.
    """
    high = np.minimum(limits.high, limits.total)
    low = np.minimum(limits.low, high)
    if limits.total <= 0:
        return low.copy()
    cheapest, dearest = 0.0, float(marginal(low).max()) * (1 + 1e-9) + 1e-12
    for _ in range(_HALVINGS):
        price = (cheapest + dearest) / 2
        if demand(marginal, price, low, high).sum() > limits.total:
            cheapest = price
        else:
            dearest = price
    # Demand at a lower price is no less: between the two lies the total.
    least, most = (demand(marginal, p, low, high) for p in (dearest, cheapest))
    gap = float((most - least).sum())
    share = (limits.total - float(least.sum())) / gap if gap > 0 else 0.0
    return _exact(least + share * (most - least), limits.total, low, high)


def demand(marginal: Marginal, price: float, low: Floats, high: Floats) -> Floats:
    """Return the spend of each channel up to which it returns more than `price`: [C]."""
    least, most = low.copy(), high.copy()
    for _ in range(_HALVINGS):
        middle = (least + most) / 2
        worth = marginal(middle) > price
        least, most = np.where(worth, middle, least), np.where(worth, most, middle)
    bought: Floats = np.where(marginal(low) <= price, low, (least + most) / 2)
    return np.where(marginal(high) > price, high, bought)


def best_plans(slope: Floats, half: Floats, limits: Limits) -> Floats:
    """Return the best plan of each of D draws of the curves slope x / (1 + x / half): [D, C].

    slope and half are [D, C]. At a price the spend of a channel is half (sqrt(slope / price) - 1),
    so that no search is needed but that for the price.
    """
    high = np.minimum(limits.high, limits.total)
    low = np.minimum(limits.low, high)
    least = np.full((len(slope), 1), np.log(1e-12))
    most = np.log(slope.max(axis=1, keepdims=True) + 1e-9)
    for _ in range(_HALVINGS):
        price = (least + most) / 2
        spend = np.clip(half * (np.sqrt(slope / np.exp(price)) - 1.0), low, high)
        over = spend.sum(axis=1, keepdims=True) > limits.total
        least, most = np.where(over, price, least), np.where(over, most, price)
    result: Floats = np.clip(half * (np.sqrt(slope / np.exp(most)) - 1.0), low, high)
    return result


def _exact(spend: Floats, total: float, low: Floats, high: Floats) -> Floats:
    """Put what rounding has left over into channels that have room for it."""
    result = np.clip(spend, low, high)
    for at in np.argsort(-(high - low), kind="stable"):
        rest = total - float(result.sum())
        result[at] = min(max(result[at] + rest, low[at]), high[at])
    return result


def nearest_plan(shares: Floats, limits: Limits) -> Floats:
    """Return the plan that follows `shares` [C] as closely as the limits let it: [C].

    Every channel gets the same multiple of its share, or the limit that is in its way.
    """
    high = np.minimum(limits.high, limits.total)
    low = np.minimum(limits.low, high)
    weight = np.where(shares > 0, shares, 1e-12)
    least, most = 0.0, float((high / weight).max()) + 1.0
    for _ in range(2 * _HALVINGS):
        factor = (least + most) / 2
        if np.clip(weight * factor, low, high).sum() > limits.total:
            most = factor
        else:
            least = factor
    return _exact(np.clip(weight * least, low, high), limits.total, low, high)


def kkt_violation(marginal: Marginal, spend: Floats, limits: Limits) -> float:
    """Return by how much a plan misses the conditions of the optimum, relative to the price.

    0 is optimal. The price is the marginal return of the channels strictly between their limits
    (or any that the limits leave); a channel at its floor that returns more, or one at its cap
    that returns less, misses them too.
    """
    slack = 1e-6 * max(limits.total, 1.0)
    returns = marginal(spend)
    may_rise = spend < np.minimum(limits.high, limits.total) - slack
    may_fall = spend > limits.low + slack
    if not may_rise.any() or not may_fall.any():
        return 0.0
    gained, lost = float(returns[may_rise].max()), float(returns[may_fall].min())
    return max(0.0, gained - lost) / max(abs(gained), 1e-12)
