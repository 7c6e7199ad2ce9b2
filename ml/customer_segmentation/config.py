"""Settings of the K-means segmentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

MODEL = "kmeans"
FAMILY = "customer_segmentation"
BASELINE = "rfm_quantile"

MODEL_FEATURES = ("recency_days", "frequency", "monetary", "tenure_days")
"""The features that K-means sees, each as log(1 + x)."""

AUTO: Final = "auto"

NO_PURCHASE_SEGMENT = -1
NO_PURCHASE_TYPE = "No Purchase Yet"

NOISE_TYPE = "Outliers"
"""Customers whom a density-based segmentation finds in no segment."""


@dataclass(frozen=True)
class SegmentationConfig:
    """Settings of training and inference.

    segments            number of segments (k), 2 to 8, or `AUTO`: the data choose from 3 to 8
    random_state        seeds K-means, the hold-out split and the bootstrap
    n_init              K-means starts; the best one is kept
    min_customers       fewer customers than this are too few to learn from
    holdout_share       share of customers that no version ever fits on
    max_silhouette      most held-out customers that the silhouette uses (it costs n squared)
    resamples           bootstrap resamples of each interval
    min_scale           least standard deviation (of log(1 + x)) that a feature is divided by: a
                        feature that hardly varies must not be blown up to count like the others
    max_stability       most customers that the stability of segments uses
    stability_resamples how often they are clustered anew for it

    Raises:
        ValueError: a setting is out of its range.
    """

    segments: int | Literal["auto"] = 5
    random_state: int = 42
    n_init: int = 10
    min_customers: int = 50
    holdout_share: float = 0.2
    max_silhouette: int = 4000
    resamples: int = 1000
    min_scale: float = 0.5
    max_stability: int = 6000
    stability_resamples: int = 20

    def __post_init__(self) -> None:
        """Refuse settings that no training could honour."""
        ranges = {
            "n_init": (1, 1000),
            "min_customers": (10, 10**9),
            "holdout_share": (0.05, 0.5),
            "max_silhouette": (10, 50_000),
            "resamples": (100, 100_000),
            "min_scale": (0.0, 10.0),
            "max_stability": (10, 1_000_000),
            "stability_resamples": (2, 1000),
        }
        if self.segments != AUTO and not (type(self.segments) is int and 2 <= self.segments <= 8):
            raise ValueError(f"segments must be between 2 and 8, or auto, got {self.segments}")
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} must be between {low} and {high}, got {value}")
