"""What a training or inference run hands back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

from ml.metrics import Metric

State = Literal["success", "not_applicable"]


@dataclass(frozen=True)
class TrainResult:
    """The outcome of one training.

    `changed` is False where the same version had been trained before and was left as it is.
    `promoted` says whether this version is the champion now. `message` is a sentence for people.
    """

    model: str
    family: str
    as_of: date
    state: State
    version: str | None
    changed: bool
    promoted: bool
    trained_rows: int
    metrics: tuple[Metric, ...]
    message: str
    seconds: float


@dataclass(frozen=True)
class InferResult:
    """The outcome of one inference. `fallback_from` names a champion that could not be read."""

    model: str
    family: str
    as_of: date
    state: State
    version: str | None
    predictions: int
    files: tuple[Path, ...]
    fallback_from: str | None
    message: str
    seconds: float


@dataclass(frozen=True)
class WatchResult:
    """The outcome of a look back; `made` is the night of the predictions, `reason` a request."""

    model: str
    as_of: date
    made: date | None
    version: str | None
    reason: str | None
    message: str


def plain(result: TrainResult | InferResult | WatchResult) -> dict[str, Any]:
    """Return a result as data that JSON can hold: dates and paths become text."""
    content = asdict(result)
    content["as_of"] = result.as_of.isoformat()
    if isinstance(result, InferResult):
        content["files"] = [str(path) for path in result.files]
    elif isinstance(result, WatchResult):
        content["made"] = result.made.isoformat() if result.made else None
    return content
