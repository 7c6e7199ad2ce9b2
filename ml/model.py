"""What a model is: steps that know nothing of registries, files of results or tasks.

Every model of the platform is one subclass of :class:`Model`. One lifecycle (`ml/lifecycle/`)
trains, registers, promotes, scores, reports and watches all of them through these steps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Any, ClassVar, Generic, TypeVar

import pandas as pd
import psycopg

from ml.metrics import Interval, Metric
from ml.windows import months_before

WINDOW_MONTHS = (1, 2, 3)
"""The inference windows that a run may ask for."""

KEY_COLUMNS = ("entity_type", "entity_id", "target_date", "as_of", "model_version")
"""The key of every table of predictions."""

D = TypeVar("D")
F = TypeVar("F")
S = TypeVar("S")


@dataclass(frozen=True)
class Scope:
    """What one run is about.

    as_of           everything strictly before this day, 00:00 UTC
    window_months   the inference window: training learns nothing of these last months
    options         what the run's form gave for single models, by name; scoring alone reads them

    Raises:
        ValueError: the window is not 1, 2 or 3 months.
    """

    as_of: date
    window_months: int = 3
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        """Refuse a window that the platform does not know."""
        if self.window_months not in WINDOW_MONTHS:
            raise ValueError(f"window_months must be 1, 2 or 3, got {self.window_months}")

    @property
    def cutoff(self) -> date:
        """The first day of the inference window: training learns from the days before it."""
        return months_before(self.as_of, self.window_months)


@dataclass(frozen=True)
class Judgement:
    """How a challenger did on outcomes that neither it nor the champion has learnt from.

    metrics     figures of the challenger, each with the baseline's own
    gain        how much better the challenger is than the champion, with its 95 % interval;
                above 0 is better, whatever the measure. The challenger is promoted only if
                the whole interval lies above 0.
    headline    a sentence for the run's log, with the figures that decided
    """

    metrics: tuple[Metric, ...]
    gain: Interval
    headline: str


@dataclass(frozen=True)
class Section:
    """A section of a report: plain data for the YAML (`key: data`), and its HTML for the page."""

    key: str
    title: str
    data: Any
    html: str


@dataclass(frozen=True)
class ReportParts:
    """What a model says of a night.

    headlines   sentences that say the most important first; the master report repeats them
    sections    in the order of the page, the keys that the design names among them
    actions     what a marketer should do next; the master report's next steps
    facts       name and value of further tiles at the top of the page
    """

    headlines: Sequence[str]
    sections: Sequence[Section]
    actions: Sequence[str]
    facts: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Scored(Generic[F, S]):
    """A scored night, as a report needs it.

    table           the predictions, all columns
    data            what `read_scoring` returned
    fitted          the version that scored
    is_baseline     whether that version is the named baseline
    metrics         its figures from training
    trained_until   the day before which all of its training data lies
    """

    scope: Scope
    table: pd.DataFrame
    data: S
    fitted: F
    is_baseline: bool
    metrics: tuple[Metric, ...]
    trained_until: date


@dataclass(frozen=True)
class Outcome:
    """What became of past predictions.

    metrics     their figures, now that the outcome is known (names begin with `outcome_`)
    decayed     why the model should be trained again, or None where it does as well as it promised
    """

    metrics: tuple[Metric, ...]
    decayed: str | None


class Model(ABC, Generic[D, F, S]):
    """One model: D is what it learns from, F a fitted version, S what it scores.

    A fitted version is a value of one type, whether it is the named baseline or more: both
    predict through the same steps. No step reads a clock, draws unseeded numbers, or looks at
    anything at or after `scope.as_of`; `fit` and `fit_baseline` look at nothing at or after
    `scope.cutoff`, which leaves the inference window to `judge`.
    """

    name: ClassVar[str]
    family: ClassVar[str]
    baseline: ClassVar[str]
    """Name of the simple answer that is the first champion, such as `seasonal_naive`."""
    title: ClassVar[str]
    subtitle: ClassVar[str]
    data_source: ClassVar[str]
    """The marts it reads, as text."""
    result_columns: ClassVar[tuple[str, ...]]
    """Columns of `ml.<name>_predictions` beside the key and `trained_as_of`."""
    features: ClassVar[tuple[str, ...]]
    horizon_days: ClassVar[int | None] = None
    """Days after a night until what it predicted has happened; None where nothing will tell."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return the frozen settings as data that JSON can hold; part of a version's name."""

    @abstractmethod
    def read(self, conn: psycopg.Connection, scope: Scope) -> D:
        """Read what training and judging need, all of it from before `scope.as_of`.

        Raises:
            MartMissingError: the marts are not there.
        """

    @abstractmethod
    def fingerprint(self, data: D) -> str:
        """Return the SHA-256 (hex) of all that `fit` and `judge` see."""

    @abstractmethod
    def rows(self, data: D) -> int:
        """Return how many units (customers, days, campaigns) training learns from."""

    @abstractmethod
    def too_little(self, data: D) -> str | None:
        """Return why there is too little to learn from, or None."""

    @abstractmethod
    def fit_baseline(self, data: D) -> F:
        """Fit the named baseline."""

    @abstractmethod
    def fit(self, data: D, previous: F | None) -> F:
        """Fit the challenger; `previous` is the champion, for ids that must stay the same."""

    @abstractmethod
    def judge(self, data: D, challenger: F, baseline: F, champion: F) -> Judgement:
        """Measure the challenger beside the baseline and the champion (which may be it)."""

    @abstractmethod
    def dump(self, fitted: F) -> dict[str, bytes]:
        """Return a version as files by name; the same version gives the same bytes."""

    @abstractmethod
    def load(self, files: Mapping[str, bytes]) -> F:
        """Return the version that the files hold (their hash was checked before).

        Raises:
            ArtefactError: they hold none, or one of another format.
        """

    @abstractmethod
    def read_scoring(self, conn: psycopg.Connection, scope: Scope) -> S:
        """Read what is to be scored, as of the night.

        Raises:
            MartMissingError: the marts are not there.
        """

    @abstractmethod
    def score(self, fitted: F, data: S, scope: Scope) -> pd.DataFrame:
        """Return the predictions: `entity_type`, `entity_id`, `target_date`, `result_columns`.

        One row a key, in any order; no row means that there is nothing to score.
        """

    @abstractmethod
    def report(self, scored: Scored[F, S]) -> ReportParts:
        """Return what the night's report says."""

    def outcome(
        self, conn: psycopg.Connection, predictions: pd.DataFrame, made: date, as_of: date
    ) -> Outcome | None:
        """Compare the predictions of the night `made` with what happened before `as_of`.

        Called once `horizon_days` have passed. None where there is nothing to compare.
        """
        return None
