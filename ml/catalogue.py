"""The models of the platform, and the family each belongs to."""

from __future__ import annotations

from ml.customer_segmentation import config as segmentation

FAMILIES: dict[str, str] = {segmentation.MODEL: segmentation.FAMILY}
"""Each model's family, which is also the name of its folder of reports."""
