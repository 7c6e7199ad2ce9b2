"""What each expectation said of a night, in the words that the gate and its pages use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dags.stages.gate_figures import Standing
from dags.stages.gate_history import LEARNING_NIGHTS, PROFILED_ROWS
from dags.stages.gate_recent import RECENT_ROWS

State = Literal["passed", "failed", "error", "not_applicable"]


@dataclass(frozen=True)
class Outcome:
    """What one expectation said of one table.

    ``success`` is None where it could not be evaluated (``error`` then says why) and where it
    does not apply (``note`` then does; of others it says what they learnt from).
    ``unexpected_count`` and ``rows_checked`` are rows, None where the expectation counts none.
    ``observed`` holds the observed value and the first few failing rows (``examples``).
    """

    suite: str
    table: str
    name: str
    column: str | None
    severity: str
    success: bool | None
    error: str | None
    observed: dict[str, Any]
    unexpected_count: int | None
    rows_checked: int | None
    note: str | None = None

    @property
    def state(self) -> State:
        """The outcome in one word."""
        if self.error is not None:
            return "error"
        if self.success is None:
            return "not_applicable"
        return "passed" if self.success else "failed"

    @property
    def stops(self) -> bool:
        """Whether this outcome alone stops the night."""
        return self.state == "error" or (self.state == "failed" and self.severity == "critical")

    def finding(self) -> str:
        """What was found, in one line: how many rows (of those that count rows), and the first."""
        if self.state == "error":
            return f"{self.name} could not be evaluated on {self.table}: {self.error}"
        if self.state == "not_applicable":
            return f"{self.name} does not apply to {self.table}: {self.note}"
        if self.state == "passed":
            return f"{self.name} holds on {self.table}"
        parts = []
        if self.unexpected_count is not None and self.rows_checked is not None:
            parts.append(f"{self.unexpected_count:,} of {self.rows_checked:,} rows")
        elif self.unexpected_count is not None and self.unexpected_count > 1:
            # What a query of sums or figures returns are no rows of the table.
            parts.append(f"{self.unexpected_count:,} findings")
        if self.observed.get("missing"):
            parts.append("missing " + ", ".join(self.observed["missing"]))
        if examples := self.observed.get("examples"):
            parts.append("e.g. " + ", ".join(f"{k}={v}" for k, v in examples[0].items()))
        if self.note:
            parts.append(self.note)
        return f"{self.name} failed on {self.table} ({'; '.join(parts)})"


def outcomes_of(
    suite: str, table: str, results: Sequence[dict[str, Any]], standings: Mapping[str, Standing]
) -> list[Outcome]:
    """GX's results of one suite, in JSON's types, as outcomes.

    `table` is the suite's own; an expectation of a suite of several tables names its table in
    ``meta``. What an expectation needs in order to apply is in ``meta.needs``.
    """
    return [
        _outcome(suite, result["expectation_config"]["meta"].get("table", table), result, standings)
        for result in results
    ]


def _outcome(
    suite: str, table: str, result: Mapping[str, Any], standings: Mapping[str, Standing]
) -> Outcome:
    config, found = result["expectation_config"], result["result"]
    meta = config["meta"]
    note, error = _applies(meta.get("needs", {}), standings)
    error = error or _error(result["exception_info"])
    applies = note is None or note.startswith(_LEARNT)
    success = bool(result["success"]) if error is None and applies else None
    query = config["kwargs"].get("unexpected_rows_query")
    count = found.get("observed_value") if query else found.get("unexpected_count")
    rows = found.get("element_count")
    if query and meta.get("counts") == "rows" and table in standings:
        rows = standings[table].rows
    observed = {key: found[key] for key in ("observed_value", "unexpected_percent") if key in found}
    if missing := found.get("details", {}).get("mismatched", {}).get("missing"):
        observed["missing"] = missing
    return Outcome(
        suite=suite,
        table=table,
        name=meta["name"],
        column=config["kwargs"].get("column"),
        severity=config["severity"],
        success=success,
        error=error,
        observed=observed if success is not None else {},
        unexpected_count=None if success is None else count,
        rows_checked=None if success is None else rows,
        note=note,
    )


_LEARNT = "learnt from"
_OF_COLUMNS = ("nulls", "mean", "share", "recent_nulls", "recent_mean", "recent_share")


def _applies(
    needs: Mapping[str, str], standings: Mapping[str, Standing]
) -> tuple[str | None, str | None]:
    """A note (why it does not apply, or what it learnt from), and an error."""
    table = needs.get("rows") or needs.get("of")
    if table is None:
        return None, None
    standing = standings[table]
    if standing.error is not None:
        return None, f"{table} could not be measured: {standing.error}"
    if not standing.ever_held_rows:
        return f"{table} has never held rows", None
    figure = needs.get("history")
    if figure is None:
        return None, None
    if figure in _OF_COLUMNS and (standing.rows or 0) < PROFILED_ROWS:
        return f"{table} has fewer than {PROFILED_ROWS} rows, of which too little can be said", None
    if figure.startswith("recent_") and figure not in standing.nights:
        return f"fewer than {RECENT_ROWS} new rows came to {table}", None
    nights, first, last = standing.nights.get(figure, (0, None, None))
    if nights < LEARNING_NIGHTS:
        return f"{nights} of {LEARNING_NIGHTS} nights known that it has to learn from", None
    return f"{_LEARNT} {nights} nights, {first} to {last}", None


def _error(info: dict[str, Any]) -> str | None:
    """Why an expectation could not be evaluated: GX keeps one exception, or one per metric."""
    raised = [info] if "raised_exception" in info else list(info.values())
    messages = {
        (one["exception_message"] or "no message").strip().splitlines()[0]
        for one in raised
        if one["raised_exception"]
    }
    return "; ".join(sorted(messages)) or None
