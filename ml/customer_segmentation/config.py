"""Settings of the K-means segmentation."""

from __future__ import annotations

from dataclasses import dataclass

MODEL = "kmeans"
FAMILY = "customer_segmentation"
BASELINE = "rfm_quantile"

MODEL_FEATURES = ("recency_days", "frequency", "monetary", "tenure_days")
"""The features that K-means sees, each as log(1 + x)."""

NO_PURCHASE_SEGMENT = -1
NO_PURCHASE_TYPE = "No Purchase Yet"


@dataclass(frozen=True)
class SegmentationConfig:
    """Settings of training and inference.

    segments            number of segments (k), 2 to 8
    random_state        seeds K-means, the hold-out split and the bootstrap
    n_init              K-means starts; the best one is kept
    min_customers       fewer customers than this are too few to learn from
    holdout_share       share of customers that no version ever fits on
    max_silhouette      most held-out customers that the silhouette uses (it costs n squared)
    resamples           bootstrap resamples of each interval
    min_scale           least standard deviation (of log(1 + x)) that a feature is divided by: a
                        feature that hardly varies must not be blown up to count like the others

    Raises:
        ValueError: a setting is out of its range.
    """

    segments: int = 5
    random_state: int = 42
    n_init: int = 10
    min_customers: int = 50
    holdout_share: float = 0.2
    max_silhouette: int = 4000
    resamples: int = 1000
    min_scale: float = 0.5

    def __post_init__(self) -> None:
        """Refuse settings that no training could honour."""
        ranges = {
            "segments": (2, 8),
            "n_init": (1, 1000),
            "min_customers": (10, 10**9),
            "holdout_share": (0.05, 0.5),
            "max_silhouette": (10, 50_000),
            "resamples": (100, 100_000),
            "min_scale": (0.0, 10.0),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} must be between {low} and {high}, got {value}")
