"""The models of the platform, the family each belongs to, and where each is defined.

Nothing heavy is imported here, so that a DAG file may ask for the names.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml.model import Model


@dataclass(frozen=True)
class Entry:
    """A model's family, which is also the name of its folder of reports, and its class."""

    family: str
    module: str
    cls: str


CATALOGUE: dict[str, Entry] = {
    "kmeans": Entry("customer_segmentation", "ml.customer_segmentation.kmeans", "KMeansModel"),
    "hdbscan": Entry(
        "customer_segmentation", "ml.customer_segmentation.hdbscan_model", "HdbscanModel"
    ),
    "revenue": Entry("forecasting", "ml.forecasting.revenue", "RevenueModel"),
    "ctr": Entry("forecasting", "ml.forecasting.ctr", "CtrModel"),
    "stage": Entry("journey_simulation", "ml.journey_simulation.stage", "StageModel"),
    "conversion": Entry(
        "journey_simulation", "ml.journey_simulation.conversion", "ConversionModel"
    ),
    "success": Entry("campaign_optimization", "ml.campaign_optimization.success", "SuccessModel"),
    "budget": Entry("campaign_optimization", "ml.campaign_optimization.budget", "BudgetModel"),
}

FAMILIES: dict[str, str] = {name: entry.family for name, entry in CATALOGUE.items()}
"""Each model's family."""


def find_model(name: str) -> Model[Any, Any, Any]:
    """Return a model by its name.

    Raises:
        ValueError: there is no such model.
    """
    if name not in CATALOGUE:
        raise ValueError(f"there is no model {name!r}; there are: {', '.join(sorted(CATALOGUE))}")
    entry = CATALOGUE[name]
    model: Model[Any, Any, Any] = getattr(import_module(entry.module), entry.cls)()
    return model
