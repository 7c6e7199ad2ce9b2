"""Gradient-boosted trees on one thread: the same inputs give the same bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xgboost as xgb

from ml.artefacts import ArtefactError
from ml.journey_simulation.config import BoosterConfig
from ml.journey_simulation.history import Floats


def _matrix(x: pd.DataFrame, y: Floats | None = None) -> xgb.DMatrix:
    values = x.to_numpy(dtype=np.float32)
    return xgb.DMatrix(values, label=y, feature_names=list(x.columns), nthread=1)


def fit(
    x: pd.DataFrame, y: Floats, config: BoosterConfig, seed: int, classes: int = 2
) -> xgb.Booster:
    """Fit trees for a yes-or-no outcome (0, 1), or for more classes (0 to classes - 1)."""
    params: dict[str, Any] = {
        "eta": config.learning_rate,
        "max_depth": config.max_depth,
        "min_child_weight": config.min_child_weight,
        "reg_lambda": config.reg_lambda,
        "subsample": config.subsample,
        "colsample_bytree": config.colsample,
        "tree_method": "hist",
        "max_bin": 64,
        "nthread": 1,
        "seed": seed,
    }
    if classes == 2:
        params["objective"] = "binary:logistic"
    else:
        params |= {"objective": "multi:softprob", "num_class": classes}
    return xgb.train(params, _matrix(x, y), config.rounds)


def chances(booster: xgb.Booster, x: pd.DataFrame) -> Floats:
    """Return the probability of 1 [n], or of each class [n x classes]."""
    booster.set_param({"nthread": 1})
    return np.asarray(booster.predict(_matrix(x)), dtype=np.float64)


def contributions(booster: xgb.Booster, x: pd.DataFrame) -> Floats:
    """Return what each feature adds to the log-odds [n x features] (SHAP, exact for trees).

    Lundberg et al., "From local explanations to global understanding with explainable AI for
    trees" (2020). Only for a yes-or-no outcome.
    """
    booster.set_param({"nthread": 1})
    found = booster.predict(_matrix(x), pred_contribs=True)
    return np.asarray(found[:, :-1], dtype=np.float64)


def to_bytes(booster: xgb.Booster) -> bytes:
    """Return the booster in XGBoost's own format (.ubj)."""
    return bytes(booster.save_raw(raw_format="ubj"))


def from_bytes(data: bytes, names: tuple[str, ...]) -> xgb.Booster:
    """Return the booster that the bytes hold, checked to have learnt from these features.

    Raises:
        ArtefactError: they hold none, or one of other features.
    """
    booster = xgb.Booster({"nthread": 1})
    try:
        booster.load_model(bytearray(data))
    except xgb.core.XGBoostError as error:
        raise ArtefactError(f"no readable booster: {str(error)[:200]}") from error
    if tuple(booster.feature_names or ()) != names:
        raise ArtefactError("the booster has learnt from other features than these")
    return booster
