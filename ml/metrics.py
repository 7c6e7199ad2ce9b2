"""The figures of a model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A figure with the bounds of its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Metric:
    """One figure of a model, and the same figure of its baseline where there is one."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    baseline: str | None = None
    baseline_value: float | None = None
