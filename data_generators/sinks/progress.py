"""Tells the log how far the writing of a table has come."""

from __future__ import annotations

import logging
import time

log = logging.getLogger(__name__)

#: A large table is heard of this often (seconds), a small one only when it is done.
EVERY = 5.0


class Progress:
    """Counts the rows of one table; ``total`` is about how many there will be (0: unknown)."""

    def __init__(self, table: str, total: int = 0) -> None:
        self.table = table
        self.total = total
        self.seen = self.new = self.changed = self.gone = 0
        self._begun = self._told = time.monotonic()

    def add(self, seen: int, new: int, changed: int, gone: int) -> None:
        """These rows have been looked at, and so many of them written."""
        self.seen += seen
        self.new += new
        self.changed += changed
        self.gone += gone
        if time.monotonic() - self._told >= EVERY:
            self._told = time.monotonic()
            share = f" ({min(self.seen / self.total, 1):.0%})" if self.total else ""
            log.info("%s: %s rows%s", self.table, f"{self.seen:,}", share)

    def done(self) -> None:
        """The table is written."""
        log.info(
            "%s: %s new, %s changed, %s deleted rows in %.1f s",
            self.table,
            *(f"{count:,}" for count in (self.new, self.changed, self.gone)),
            time.monotonic() - self._begun,
        )
