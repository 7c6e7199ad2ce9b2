"""Why a campaign or a customer is given the chances that it is, in plain words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ml.campaign_optimization.audience import ResponseRate
from ml.campaign_optimization.forecast import ChannelRate, Forecast, Ridge
from ml.campaign_optimization.history import History

Floats = NDArray[np.float64]

TOP = 3
_GROUPS = {"season_cos": "season", "season_sin": "season"}
_LEAST = 0.02
"""A factor that moves the return by less than this share is not worth a word."""


def campaign_factors(
    model: Ridge | ChannelRate, forecast: Forecast, history: History, rows: NDArray[np.int64]
) -> list[str]:
    """Return the strongest reasons for each campaign's chances, the strongest first.

    A reason's effect is that on the expected return, against an average campaign: the exponential
    of its part of the linear predictor, which is what its Shapley value is in a linear model.
    """
    if isinstance(model, ChannelRate):
        return [_channel_record(model, history.channel[i]) for i in rows]
    groups: dict[str, list[int]] = {}
    for k, column in enumerate(model.words.columns):
        name = column.split(":", 1)[0]
        groups.setdefault(_GROUPS.get(name, name), []).append(k)
    names = list(groups)
    parts = np.stack([forecast.contributions[:, groups[n]].sum(axis=1) for n in names], axis=1)
    reasons = []
    for row, i in enumerate(rows):
        order = np.argsort(-np.abs(parts[row]), kind="stable")[:TOP]
        told = [
            _phrase(names[k], float(parts[row, k]), history, int(i))
            for k in order
            if abs(np.expm1(parts[row, k])) >= _LEAST
        ]
        reasons.append("; ".join(told) or "much like the average campaign")
    return reasons


def _phrase(name: str, part: float, history: History, i: int) -> str:
    up = part > 0
    words = {
        "channel": f"{history.channel[i]} returns {'more' if up else 'less'} than other channels",
        "campaign_type": f"{history.kind[i]} campaigns return {'more' if up else 'less'}",
        "audience": f"aimed at {history.audience[i]}, which returns {'more' if up else 'less'}",
        "daily_budget": f"its budget a day is {'small' if up else 'large'}",
        "channel_plan": (
            f"{'little' if up else 'much'} is planned in {history.channel[i]} at the same time"
        ),
        "purchases": f"the shop sells {'more' if part > 0 else 'less'} than in the average past",
        "recent_return": f"{history.channel[i]} has returned {'well' if up else 'badly'} lately",
        "season": f"the time of the year is {'good' if up else 'bad'}",
    }[name]
    return f"{words} (return {np.expm1(part):+.0%})"


def _channel_record(model: ChannelRate, channel: str) -> str:
    if channel not in model.channels:
        return f"no campaign of {channel} has ended yet: the rate of all channels"
    k = model.channels.index(channel)
    return f"{int(model.successes[k])} of {int(model.ended[k])} ended campaigns of {channel} paid"


def customer_factors(rate: ResponseRate, reached: Floats, responded: Floats) -> list[str]:
    """Return the reason for each customer's probability of responding."""
    told = []
    for times, answers in zip(reached.astype(int), responded.astype(int), strict=True):
        if not times:
            told.append(
                f"no campaign has reached this customer: the average of all, {rate.mean:.1%}"
            )
        else:
            campaigns = "campaign" if times == 1 else "campaigns"
            told.append(
                f"ordered after {answers} of {times} {campaigns}; the average is {rate.mean:.1%}"
            )
    return told
