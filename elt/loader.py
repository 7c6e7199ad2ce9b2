"""Loads one table for one night, in one transaction.

The rows of the night's window are staged and merged; then the digests of source and raw are
compared, and what else differs is read by key, merged, or deleted; then counts and checksums
of both sides must agree. Merge, watermark and log are written together, or nothing at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from time import monotonic
from typing import Any

import psycopg
from psycopg import pq, sql

from elt import contract as contracts
from elt import state
from elt.batch import Batch, Window
from elt.contract import Contract
from elt.digest import ALL_KEYS, Buckets, Digest
from elt.merge import Changes, Merge
from elt.nights import Night, fence
from elt.options import LoadOptions
from elt.raw import ensure_raw, raw_table
from elt.readers.snapshot import Snapshot
from elt.reconcile import CountMismatchError, Proof, Reconciliation, TooManyDeletionsError
from elt.result import LoadResult, record_load
from elt.specs import TableSpec
from elt.staging import Filling, Staged, Staging
from elt.state import LastLoad, Watermark

__all__ = [
    "CountMismatchError",
    "LoadResult",
    "TableBusyError",
    "TooManyDeletionsError",
    "TooManyRejectedError",
    "ensure_raw",
    "load",
]

# A second runner waits this long for the first one of the same table.
LOCK_TIMEOUT = "15min"
# So many rows of a table may always be rejected.
FEW_REJECTED = 100
KEYS_AT_ONCE = 5_000


class TableBusyError(RuntimeError):
    """Another runner, or a reader, has kept the load from the table for too long."""


class TooManyRejectedError(RuntimeError):
    """More rows cannot be loaded than the table's budget allows; nothing was changed."""


def load(
    conn: psycopg.Connection[Any],
    spec: TableSpec,
    snapshot: Callable[[], Any],
    night: Night,
    options: LoadOptions | None = None,
) -> LoadResult:
    """Bring the raw table to what the source holds; all of it, or on any error nothing.

    The connection must have no open transaction. ``snapshot`` opens the view of the source,
    as a context manager: after the table's lock is taken, so that of two runners the later
    one sees the later source.

    Raises:
        CountMismatchError: not every row arrived, or the two sides differ after the load.
        TooManyDeletionsError: the source lost implausibly many rows.
        TooManyRejectedError: more rows cannot be loaded than the budget allows.
        IncompatibleColumnError: a column's declared type changed into one raw cannot hold.
        StaleBatchError: a newer attempt at this night, or a newer night, has taken over.
        TableBusyError: another session holds the table.
    """
    if conn.info.transaction_status != pq.TransactionStatus.IDLE:
        raise ValueError("load needs a connection without an open transaction: commit it first")
    start = monotonic()
    with conn.transaction(), _waiting(conn, spec):
        _lock(conn, spec)
        fence(conn, night, hold=False)
        with snapshot() as opened:
            run = _Load(conn, spec, opened, night, options or LoadOptions())
            proof = run.bring()
        result = run.result(proof, start)
        run.record(result, proof)
        # Last, and held until the commit: nobody can overtake in between.
        fence(conn, night, hold=True)
    return result


@dataclass
class _Load:
    """One load in progress."""

    conn: psycopg.Connection[Any]
    spec: TableSpec
    source: Snapshot
    night: Night
    options: LoadOptions
    changes: Changes = field(default_factory=Changes)
    read: int = 0
    rejected: int = 0
    late: int = 0
    bytes: int = 0
    held: int = 0

    def bring(self) -> Proof:
        """Do the work; returns the proof that raw is what the source is."""
        self._agree()
        self.former = state.read_watermark(self.conn, self.spec)
        empty = state.is_empty(self.conn, self.spec)
        self.window = self._window(empty)
        kind = Filling if empty else Staging
        self.staging: Staging = kind(self.conn, self.contract.raw)
        self.staging.create()
        self.held = self.staging.hold(self.source.held())
        reconciliation = Reconciliation(
            self.conn, self.contract.raw, with_cursor=self.source.has_cursor
        )
        if isinstance(self.staging, Filling):
            self.staging.begin(self.night.batch_id, self.night.as_of)
        self._take(self.source.read(self.window))
        expected = self.staging.staged.expected
        if self.window.start is not None and expected != self._arrived(self.staging.staged):
            raise self._mismatch(expected)
        if self.window.start is not None and reconciliation.find_open():
            self.late += self._take_late()
        # Before their keys are all held in memory.
        self._check_budget(self._arrived(self.staging.staged))
        left_out = self.source.leave_out(self._rejected_keys())
        buckets = self.source.first_buckets
        with _started(self.source.digest, buckets) as digest:
            self._merge_window()
            reconciliation.digest_raw(buckets)
            source = digest.result()
        if self.window.start is None:
            self._check_all_arrived(source, left_out)
        different = reconciliation.compare(source)
        if different and buckets == ALL_KEYS:
            buckets = self.source.buckets(*reconciliation.key_range())
            with _started(self.source.digest, buckets) as digest:
                reconciliation.digest_raw(buckets)
                different = reconciliation.compare(digest.result())
        self._reconcile(reconciliation, found=bool(different))
        return reconciliation.prove()

    def _agree(self) -> None:
        self.columns = contracts.fingerprint(self.source.columns)
        self._use(contracts.agree(self.conn, self.spec, self.source.columns))
        self._use(self.contract)
        self.source.sample()
        self._follow_fields()

    def _use(self, contract: Contract) -> None:
        self.contract = contract
        self.source.use(contract.read)

    def _follow_fields(self) -> tuple[str, ...]:
        """Add columns for the new fields that the source met."""
        contract, added = contracts.add_fields(self.conn, self.contract, self.source.fields())
        self.contract = contract
        if added:
            self._use(contract)
        return added

    def _window(self, empty: bool) -> Window:
        """What to read: from the watermark less the lag, the trailing days, or everything."""
        window = self.night.window(self.spec)
        last = state.last_load(self.conn, self.spec)
        everything = (
            empty
            or self.options.full_refresh
            or self.spec.change == "whole"
            or not self.source.has_cursor
            or self._changed_shape(last)
        )
        if everything or self.former is None or last is None:
            return window
        if self.spec.change == "restated":
            # What was corrected since then, however many nights were left out.
            since = min(window.end, datetime.combine(last.as_of, time(), UTC))
            return replace(window, start=since - timedelta(days=self.spec.trailing_days))
        lag = self.spec.lag if self.options.lag is None else self.options.lag
        after = None if lag else self.former[1]
        return replace(window, start=self.former[0].astimezone(UTC) - lag, after=after)

    def _changed_shape(self, last: LastLoad | None) -> bool:
        """Whether the source's columns are not those of the last load.

        A column that is new, renamed, back, altered or made anew has other values in rows whose
        cursor did not move. Fields of documents are looked at in every document that is read.
        """
        if self.source.columns is None or last is None:
            return False
        differences = set(map(str, self.contract.differences))
        return differences != set(last.differences) or self.columns != last.columns

    def _take(self, batches: Iterator[Batch]) -> None:
        """Stage rows; those with fields that got a column just now are read once more."""
        self.staging.take(batches, self.contract.read)
        while added := self._follow_fields():
            self.staging.spec = self.contract.raw
            if self.staging.take_back(added):
                self._take_late()

    def _take_late(self) -> int:
        """Stage the rows of the keys in ``amato_late``, and forget these; returns how many."""
        before = self._arrived(self.staging.staged)
        # Without a cursor: while one is open, PostgreSQL refuses to fill a table frozen.
        taking = (
            "delete from amato_late where key in (select key from amato_late limit %s)"
            " returning key::text"
        )
        while rows := self.conn.execute(taking, (KEYS_AT_ONCE,)).fetchall():
            keys = sorted(key for (key,) in rows)
            self.staging.take(self.source.read_keys(keys), self.contract.read)
        self._take(iter(()))
        return self._arrived(self.staging.staged) - before

    def _rejected_keys(self) -> list[str]:
        rows = self.conn.execute(
            "select distinct key::text from amato_rejected where key is not null"
        )
        return [key for (key,) in rows.fetchall()]

    def _merge_window(self) -> None:
        staging = self.staging
        if isinstance(staging, Filling):
            staging.finish()
            self.watermark = state.highest(self.conn, self.contract.raw, raw_table(self.spec))
            self._account(Changes(inserted=staging.staged.rows))
        else:
            staging.reject_repeated_keys()
            stage = sql.Identifier("amato_stage")
            self.watermark = state.highest(self.conn, self.contract.raw, stage)
            self._merge()

    def _merge(self) -> None:
        merge = Merge(self.conn, self.contract.raw, self.night)
        changes = merge.apply()
        same, rows = merge.same(), self.staging.staged.rows
        if same != rows:
            raise CountMismatchError(
                f"{self.spec.raw_name}: {rows} rows were staged, but only {same} of them are live "
                "in raw after the merge; nothing was changed"
            )
        self._account(changes)

    def _account(self, changes: Changes) -> None:
        staged = self.staging.staged
        self.changes += changes
        self.read += staged.rows + staged.rejected
        self.rejected += staged.rejected
        self.bytes += staged.bytes

    def _reconcile(self, reconciliation: Reconciliation, *, found: bool) -> None:
        """Load what differs, where something was ``found`` to differ."""
        if found:
            reconciliation.fetch_pairs(self.source)
        self.staging.next_stage()
        if self.window.start is not None and found:
            reconciliation.find_late()
            if reconciliation.find_repeated():
                Merge(self.conn, self.contract.raw, self.night).take_back()
            self._take_late()
        self.staging.take(self._unseen(self.source.read_nameless()), self.contract.read)
        self.staging.reject_repeated_keys()
        late = self._arrived(self.staging.staged)
        self.late += late
        gone = reconciliation.find_gone() if found else 0
        reconciliation.check_deletions(gone, self.held, allowed=self.options.allow_deletes)
        if gone or late:
            self._merge()
        self._check_budget(self.read)

    def _unseen(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Rows without a key, but for those that the window held."""
        rows = self.conn.execute("select source_key from amato_rejected where key is null")
        # Now, and not in the generator: while it runs, the connection is copying.
        seen = {source_key for (source_key,) in rows.fetchall()}

        def unseen(batch: Batch) -> Batch:
            fresh = tuple(entry for entry in batch.rejected if entry.source_key not in seen)
            return replace(batch, rejected=fresh)

        return map(unseen, batches)

    def _check_budget(self, read: int) -> None:
        fresh = state.newly_rejected(self.conn, self.spec)
        budget = max(FEW_REJECTED, int(read * self.spec.max_rejected))
        if fresh > budget:
            (reason,) = self.conn.execute(
                "select reason from amato_rejected group by 1 order by count(*) desc limit 1"
            ).fetchone() or ("",)
            raise TooManyRejectedError(
                f"{self.spec.raw_name}: {fresh} of {read} rows cannot be loaded (most often: "
                f"{reason}); the budget is {budget}; nothing was changed: mend the source, or "
                "raise max_rejected in elt/specs.py"
            )

    def _arrived(self, staged: Staged) -> int:
        return staged.rows + staged.rejected

    def _check_all_arrived(self, source: Digest, left_out: int) -> None:
        """A full read must have brought as many rows with a key as the source's digest has.

        ``left_out`` are the rejected rows that the digest leaves out.
        """
        named = self.conn.execute(
            "select coalesce(sum(coalesce("
            " substring(reason from '^repeated key: ([0-9]+)')::bigint, 1)), 0)::bigint"
            " from amato_rejected where key is not null"
        ).fetchone()
        counted = sum(count for count, _ in source.values()) + left_out
        arrived = self.changes.inserted + self.changes.updated + self.changes.unchanged
        if counted != arrived + int(named[0] if named else 0):
            raise self._mismatch(counted)

    def _mismatch(self, expected: int | None) -> CountMismatchError:
        staged = self.staging.staged
        return CountMismatchError(
            f"{self.spec.raw_name}: the source counts {expected} rows, but {self._arrived(staged)} "
            f"arrived ({staged.rows} to load, {staged.rejected} rejected); nothing was changed: "
            "run the task again"
        )

    def result(self, proof: Proof, start: float) -> LoadResult:
        """What was done."""
        return LoadResult(
            table=self.spec.raw_name,
            read=self.read,
            inserted=self.changes.inserted,
            updated=self.changes.updated,
            deleted=self.changes.deleted,
            unchanged=self.changes.unchanged,
            rejected=self.rejected,
            held=self.held,
            late=self.late,
            bytes=self.bytes,
            seconds=monotonic() - start,
            source_rows=proof.source_rows,
            source_checksum=proof.source_checksum,
            raw_rows=proof.raw_rows,
            raw_checksum=proof.raw_checksum,
            window_start=None if self.window.start is None else self.window.start.isoformat(),
            differences=tuple(map(str, self.contract.differences)),
            source_columns=self.columns,
        )

    def record(self, result: LoadResult, proof: Proof) -> None:
        """Write what the load leaves in ``elt``."""
        state.record_rejected(self.conn, self.spec, self.night)
        contracts.record(self.conn, self.spec, self.contract.differences, self.night.as_of)
        state.move_watermark(self.conn, self.spec, self.night, self._new_watermark())
        record_load(self.conn, self.spec, self.night, result, self.window, proof.live)

    def _new_watermark(self) -> Watermark | None:
        """The highest of what was read; it never goes back."""
        marks = [mark for mark in (self.watermark, self.former) if mark is not None]
        return max(marks, key=lambda mark: mark[0], default=None)


@contextmanager
def _started(work: Callable[[Buckets], Digest], buckets: Buckets) -> Iterator[Future[Digest]]:
    """Let the source add up its digest while the warehouse does its own work."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(work, buckets)


def _lock(conn: psycopg.Connection[Any], spec: TableSpec) -> None:
    # Until the commit: no lock of the load is waited for any longer.
    conn.execute("select set_config('lock_timeout', %s, true)", (LOCK_TIMEOUT,))
    conn.execute(
        "select pg_advisory_xact_lock(hashtextextended('amato.load.' || %s, 0))",
        (spec.raw_name,),
    )


@contextmanager
def _waiting(conn: psycopg.Connection[Any], spec: TableSpec) -> Iterator[None]:
    """Say what to do where a lock of the warehouse was waited for in vain."""
    try:
        yield
    except psycopg.errors.LockNotAvailable as error:
        if conn.info.transaction_status != pq.TransactionStatus.INERROR:
            # Not the warehouse's: a lock in the source.
            raise
        raise TableBusyError(
            f"{spec.raw_name} has been in use for {LOCK_TIMEOUT}, by another runner or by a "
            "session that reads it (select pid, query from pg_stat_activity); nothing was "
            "changed: wait for it, or end it, then run the task again"
        ) from error
