"""Work in other threads: bounded, and never failing unnoticed."""

import threading
import time

import pytest

from data_generators.sinks.background import Background


def test_everything_is_done_at_the_end() -> None:
    done: list[int] = []
    with Background(2, 1) as background:
        for number in range(20):
            background.submit(done.append, number)
    assert sorted(done) == list(range(20))


def test_one_thread_keeps_the_order() -> None:
    done: list[int] = []
    with Background(1, 3) as background:
        for number in range(20):
            background.submit(done.append, number)
    assert done == list(range(20))


def test_no_more_is_queued_than_said() -> None:
    free, begun = threading.Event(), []

    def wait(number: int) -> None:
        begun.append(number)
        free.wait(10)

    threading.Timer(0.3, free.set).start()
    with Background(1, 1) as background:
        background.submit(wait, 0)
        background.submit(wait, 1)
        assert not free.is_set()
        background.submit(wait, 2)  # blocks until the first is done
        assert free.is_set()
    assert begun == [0, 1, 2]


def fail() -> None:
    raise OSError("full")


def test_a_failure_is_raised_at_the_end() -> None:
    with pytest.raises(OSError, match="full"), Background(1, 1) as background:
        background.submit(fail)


def test_a_failure_stops_what_submits_and_what_waits() -> None:
    done: list[int] = []
    with pytest.raises(OSError, match="full"), Background(1, 1) as background:
        background.submit(fail)
        for number in range(1000):
            background.submit(done.append, number)
    assert len(done) < 10


def test_an_error_of_the_block_is_the_one_that_is_raised() -> None:
    with pytest.raises(ValueError, match="mine"), Background(1, 5) as background:
        background.submit(fail)
        background.submit(time.sleep, 0)
        raise ValueError("mine")
