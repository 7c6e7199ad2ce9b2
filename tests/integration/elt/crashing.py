"""A load in a process of its own that stops for good at a named point: a place to be killed at."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from elt import batch, loader
from elt.merge import Merge
from elt.nights import Night
from elt.readers import mongo
from elt.readers.sql import SqlSnapshot
from elt.reconcile import Reconciliation
from elt.result import record_load
from elt.staging import Filling
from tests.integration.elt.support import Source, open_source, open_warehouse, reload

Stop = Callable[..., Any]


@contextmanager
def stopped_load(
    source: Source, source_url: str, raw_url: str, night: Night, point: str
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A process whose load has come to the point, and the id of its warehouse backend."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.integration.elt.crashing", source.spec.system, point],
        env={
            **os.environ,
            "SOURCE": source_url,
            "RAW": raw_url,
            "NIGHT": json.dumps(night.as_json()),
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        try:
            yield child, int(child.stdout.readline())
        finally:
            child.kill()


def _load(system: str, point: str) -> None:
    batch.BATCH_ROWS = mongo.BATCH_SIZE = 10
    with (
        open_source(system, os.environ["SOURCE"]) as source,
        open_warehouse(os.environ["RAW"]) as conn,
    ):

        def stop(*args: Any, **kwargs: Any) -> NoReturn:
            print(conn.info.backend_pid, flush=True)
            while True:
                threading.Event().wait()

        _arm(system, point, stop)
        reload(conn, source, Night.from_json(json.loads(os.environ["NIGHT"])))


def _arm(system: str, point: str, stop: Stop) -> None:
    """Have the load stop at the point."""
    kind: Any = mongo.MongoSnapshot if system == "mongo" else SqlSnapshot
    reader = kind.read
    alter = Filling._alter

    def halfway(*args: Any) -> Iterator[Any]:
        for number, item in enumerate(reader(*args)):
            if number == 2:
                stop()
            yield item

    def before_the_key(self: Filling, change: str, *parts: Any) -> None:
        if change.startswith("add primary"):
            stop()
        alter(self, change, *parts)

    def after(function: Any) -> Stop:
        def stopping(*args: Any, **kwargs: Any) -> None:
            function(*args, **kwargs)
            stop()

        return stopping

    points: dict[str, tuple[Any, str, Any]] = {
        "reading": (kind, "read", halfway),
        "merging": (Merge, "_write_new", stop),
        "reconciling": (Reconciliation, "find_gone", stop),
        "logging": (loader, "record_load", stop),
        "committing": (loader, "record_load", after(record_load)),
        # Of a first load only.
        "key dropped": (Filling, "begin", after(Filling.begin)),
        "copying": (kind, "read", halfway),
        "all copied": (Filling, "finish", stop),
        "defaults dropped": (Filling, "_alter", before_the_key),
        "key built": (Filling, "finish", after(Filling.finish)),
    }
    setattr(*points[point])


if __name__ == "__main__":
    _load(sys.argv[1], sys.argv[2])
