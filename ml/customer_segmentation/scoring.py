"""Everybody's place in a segmentation, as a table of predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from ml.customer_segmentation.config import NO_PURCHASE_SEGMENT, NO_PURCHASE_TYPE
from ml.customer_segmentation.model import Assignment

SCORED = ("segment", "segment_type", "confidence", "avg_monetary", "avg_frequency", "segment_size")
"""What a segmentation says of a customer; a model's columns carry its name before these."""


@dataclass(frozen=True)
class Customers:
    """Those to be placed: features of all who have bought, and the ids of those who have not."""

    frame: pd.DataFrame
    without: list[str]


def result_columns(model: str) -> tuple[str, ...]:
    """Return the columns of a model's predictions beside the key."""
    return ("customer_id", *(f"{model}_{name}" for name in SCORED))


def place(
    model: str, customers: Customers, assignment: Assignment, names: Mapping[int, str], as_of: date
) -> pd.DataFrame:
    """Return one row a customer; those without a purchase form a group of their own.

    `names` gives each segment's type by its id.
    """
    bought = pd.DataFrame(
        {
            "customer_id": customers.frame["customer_id"],
            "segment": assignment.segment,
            "confidence": assignment.confidence,
            "monetary": customers.frame["monetary"],
            "frequency": customers.frame["frequency"],
        }
    )
    number = len(customers.without)
    none = pd.DataFrame(
        {
            "customer_id": pd.Series(customers.without, dtype=bought["customer_id"].dtype),
            "segment": np.full(number, NO_PURCHASE_SEGMENT, dtype=np.int64),
            "confidence": np.ones(number),
            "monetary": np.zeros(number),
            "frequency": np.zeros(number),
        }
    )
    table = pd.concat([part for part in (bought, none) if len(part)] or [bought])
    grouped = table.groupby("segment")
    table["segment_type"] = table["segment"].map({**names, NO_PURCHASE_SEGMENT: NO_PURCHASE_TYPE})
    table["avg_monetary"] = grouped["monetary"].transform("mean").round(2)
    table["avg_frequency"] = grouped["frequency"].transform("mean").round(4)
    table["segment_size"] = grouped["customer_id"].transform("size").astype("int64")
    table = table.drop(columns=["monetary", "frequency"])
    table = table.rename(columns={name: f"{model}_{name}" for name in SCORED})
    return table.assign(entity_type="customer", entity_id=table["customer_id"], target_date=as_of)


def placed(model: str, table: pd.DataFrame) -> pd.DataFrame:
    """Return everyone's place (`customer_id`, `segment`, `confidence`) from the predictions."""
    columns = {f"{model}_{name}": name for name in ("segment", "confidence")}
    return table[["customer_id", *columns]].rename(columns=columns)
