"""Work that goes on in other threads while the next rows are made."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any


class Background:
    """Runs calls in ``threads`` threads; at most ``waiting`` of them queue up.

    The first call that fails is raised by the next `submit`, or at the end of the ``with``
    block; calls that have not begun by then are dropped.
    """

    def __init__(self, threads: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(threads)
        self._limit = threads + waiting
        self._calls: deque[Future[None]] = deque()

    def __enter__(self) -> Background:
        return self

    def submit(self, call: Callable[..., None], *arguments: Any) -> None:
        """Run this as soon as a thread is free; blocks while too many calls are waiting."""
        while len(self._calls) >= self._limit:
            self._calls.popleft().result()
        self._calls.append(self._pool.submit(call, *arguments))

    def finish(self) -> None:
        """Wait until everything is done."""
        while self._calls:
            self._calls.popleft().result()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self.finish()
        finally:
            self._pool.shutdown(cancel_futures=True)
