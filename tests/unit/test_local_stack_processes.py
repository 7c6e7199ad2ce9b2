"""Finding and stopping a stack's processes, with real processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_stack import processes

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""
ORPHANING = "import subprocess; print(subprocess.Popen(['sleep', '60']).pid, flush=True)"


def marked(root: Path, service: str) -> dict[str, str]:
    return {**os.environ, processes.ROOT_MARK: str(root), processes.SERVICE_MARK: service}


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"], env=marked(tmp_path, "mysql"))
    yield process
    process.kill()
    process.wait()


def test_finds_by_root_and_service(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    assert [(p.pid, p.service) for p in processes.find(tmp_path)] == [(sleeper.pid, "mysql")]
    assert [p.pid for p in processes.find(tmp_path, "mysql")] == [sleeper.pid]
    assert processes.find(tmp_path, "mongo") == []
    assert processes.find(tmp_path / "other") == []


def test_stops_only_the_named_service(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    assert processes.stop(tmp_path, "mongo", 5) == []
    assert sleeper.poll() is None
    assert [p.pid for p in processes.stop(tmp_path, "mysql", 5)] == [sleeper.pid]
    assert sleeper.wait(5) == -signal.SIGTERM


def test_an_orphan_is_found_and_stopped(tmp_path: Path) -> None:
    with (tmp_path / "pid").open("w") as output:  # a pipe would stay open with the orphan
        command = [sys.executable, "-c", ORPHANING]
        environment = marked(tmp_path, "airflow-scheduler")
        subprocess.run(command, env=environment, stdout=output, check=True)
    orphan = int((tmp_path / "pid").read_text())
    assert [p.pid for p in processes.stop(tmp_path, "airflow-scheduler", 5)] == [orphan]
    assert processes.find(tmp_path) == []


def test_what_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", STUBBORN], env=marked(tmp_path, "mysql"), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()  # it ignores SIGTERM from here on
    began = time.monotonic()
    processes.stop(tmp_path, None, 0.3)
    assert process.wait(5) == -signal.SIGKILL
    assert time.monotonic() - began < 5
    process.stdout.close()


LISTENING = """
import socket, time
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
time.sleep(60)
"""


def test_tells_its_own_listener_from_a_foreign_one(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", LISTENING], env=marked(tmp_path, "mysql"), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    port = int(process.stdout.readline())
    assert processes.listens(tmp_path, "mysql", port) is True
    assert processes.listens(tmp_path, "mongo", port) is False
    assert processes.listens(tmp_path / "other", "mysql", port) is False
    processes.stop(tmp_path, None, 5)
    process.wait()
    process.stdout.close()
    assert processes.listens(tmp_path, "mysql", port) is None
