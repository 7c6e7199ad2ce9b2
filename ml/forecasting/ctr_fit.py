"""A fitted click-through model: how campaigns of a channel differ, and how customers do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from ml.artefacts import ArtefactError
from ml.forecasting.clicks import Clicks
from ml.forecasting.config import ClickConfig
from ml.forecasting.shrinkage import BetaPrior, GammaPrior, fit_beta, fit_gamma

Floats = NDArray[np.float64]

FILE = "ctr.json"
ALL_CHANNELS = "*"


@dataclass(frozen=True)
class CtrVersion:
    """One version of the model.

    campaign_priors     by channel, and for all campaigns together under `*`
    customer_prior      how customers' visits differ from the average customer's
    shrinks_campaigns   whether campaigns have rates of their own; otherwise each has its channel's
    shrinks_customers   whether customers do; otherwise all are the average customer
    """

    campaign_priors: Mapping[str, BetaPrior]
    customer_prior: GammaPrior
    shrinks_campaigns: bool
    shrinks_customers: bool

    def as_baseline(self) -> CtrVersion:
        """Return the simple answer with the same priors: the channel's rate, for everyone."""
        return replace(self, shrinks_campaigns=False, shrinks_customers=False)

    def as_challenger(self) -> CtrVersion:
        """Return the version in which campaigns and customers have rates of their own."""
        return replace(self, shrinks_campaigns=True, shrinks_customers=True)


@dataclass(frozen=True)
class Rates:
    """Predicted rates of units, in their order: arrays of one length.

    weight is the share (0-1) of each rate that rests on the unit's own figures.
    """

    rate: Floats
    low: Floats
    high: Floats
    weight: Floats


def fit_priors(clicks: Clicks, end: date, config: ClickConfig) -> CtrVersion:
    """Return the baseline, with priors from the days before `end`."""
    campaigns = clicks.campaign_counts(None, end)
    priors = {ALL_CHANNELS: _prior(campaigns)}
    for channel, own in campaigns.groupby("channel"):
        if len(own) >= config.own_prior_from:
            priors[str(channel)] = _prior(own)
    customers = clicks.customer_counts(None, end)
    visits, expected = _floats(customers, "visits"), _floats(customers, "expected")
    # Without a visit nobody can be told apart: everyone is the average customer.
    prior = fit_gamma(visits, expected) if visits.sum() > 0 else GammaPrior(1e4, 1e4)
    return CtrVersion(priors, prior, shrinks_campaigns=False, shrinks_customers=False)


def _prior(campaigns: pd.DataFrame) -> BetaPrior:
    return fit_beta(_floats(campaigns, "clicks"), _floats(campaigns, "impressions"))


def _floats(frame: pd.DataFrame, column: str) -> Floats:
    return frame[column].to_numpy(dtype=np.float64)


def channel_rates(seen: pd.DataFrame) -> dict[str, float]:
    """Return clicks over impressions by channel, and of all under `*`.

    Args:
        seen: channel, impressions, clicks; at least one row.
    """
    sums = seen.groupby("channel")[["impressions", "clicks"]].sum()
    # Half a click of two: a channel that nobody has clicked on yet is not sure to have none.
    rates = (sums["clicks"] + 0.5) / (sums["impressions"] + 1.0)
    overall = (sums["clicks"].sum() + 0.5) / (sums["impressions"].sum() + 1.0)
    return {ALL_CHANNELS: float(overall), **{str(c): float(r) for c, r in rates.items()}}


def campaign_rates(
    version: CtrVersion, campaigns: pd.DataFrame, seen: pd.DataFrame, config: ClickConfig
) -> Rates:
    """Return the click-through rate of each campaign.

    Args:
        version: what predicts.
        campaigns: campaign_id, channel.
        seen: campaign_id, channel, impressions, clicks of all campaigns so far.
        config: the level of the intervals.
    """
    a, b, impressions = campaign_posteriors(version, campaigns, seen)
    posterior = stats.beta(a, b)
    low, high = posterior.ppf((1 - config.level) / 2), posterior.ppf((1 + config.level) / 2)
    if version.shrinks_campaigns:
        return Rates(a / (a + b), low, high, impressions / (a + b))
    pooled = channel_rates(seen)
    rate = np.array([pooled.get(c, pooled[ALL_CHANNELS]) for c in campaigns["channel"]])
    return Rates(rate, np.minimum(low, rate), np.maximum(high, rate), np.zeros(len(campaigns)))


def campaign_posteriors(
    version: CtrVersion, campaigns: pd.DataFrame, seen: pd.DataFrame
) -> tuple[Floats, Floats, Floats]:
    """Return a and b of each campaign's beta posterior, and the impressions it has learnt from.

    Where campaigns have no rates of their own, these are their channel's prior, and 0.
    """
    own = seen.set_index("campaign_id").reindex(campaigns["campaign_id"])
    known = own[["clicks", "impressions"]].fillna(0.0)
    clicks, impressions = _floats(known, "clicks"), _floats(known, "impressions")
    if not version.shrinks_campaigns:
        clicks, impressions = np.zeros(len(campaigns)), np.zeros(len(campaigns))
    every = version.campaign_priors[ALL_CHANNELS]
    priors = [version.campaign_priors.get(str(c), every) for c in campaigns["channel"]]
    return (
        np.array([p.a for p in priors], dtype=np.float64) + clicks,
        np.array([p.b for p in priors], dtype=np.float64) + impressions - clicks,
        impressions,
    )


def customer_rates(version: CtrVersion, seen: pd.DataFrame, config: ClickConfig) -> Rates:
    """Return how many times as often as the average customer each one follows a link.

    Args:
        version: what predicts.
        seen: visits and expected of each customer so far.
        config: the level of the intervals.
    """
    visits, expected = _floats(seen, "visits"), _floats(seen, "expected")
    prior = version.customer_prior
    if version.shrinks_customers:
        return Rates(
            prior.multiplier(visits, expected),
            *prior.interval(visits, expected, config.level),
            prior.weight(expected),
        )
    nothing = np.zeros(len(seen))
    low, high = prior.interval(nothing, nothing, config.level)
    one = np.ones(len(seen))
    return Rates(one, np.minimum(low, one), np.maximum(high, one), nothing)


def to_files(version: CtrVersion) -> dict[str, bytes]:
    """Return a version as its JSON file."""
    content = {
        "campaign_priors": {c: asdict(p) for c, p in sorted(version.campaign_priors.items())},
        "customer_prior": asdict(version.customer_prior),
        "shrinks_campaigns": version.shrinks_campaigns,
        "shrinks_customers": version.shrinks_customers,
    }
    return {FILE: json.dumps(content, sort_keys=True, indent=1).encode()}


def from_files(files: Mapping[str, bytes]) -> CtrVersion:
    """Return the version that `to_files` made files of.

    Raises:
        ArtefactError: the file is missing or another.
    """
    try:
        content: dict[str, Any] = json.loads(files[FILE])
        priors = {c: BetaPrior(**p) for c, p in content["campaign_priors"].items()}
        if ALL_CHANNELS not in priors:
            raise KeyError(ALL_CHANNELS)
        return CtrVersion(
            priors,
            GammaPrior(**content["customer_prior"]),
            bool(content["shrinks_campaigns"]),
            bool(content["shrinks_customers"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(f"the artefact holds no click-through model: {error!r}") from error
