"""Measures whole processes: wall time from start to end, and the peak of their memory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Measured:
    """Wall seconds; and the largest resident size in MB, where the process tells it.

    What the system tells of a child includes this process, as it is before it becomes the other.
    """

    seconds: float
    peak_mb: float
    output: str


class ProcessFailedError(RuntimeError):
    """The process ended with an error; the message has the end of what it wrote."""


def measure(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Measured:
    """Run a command and measure it.

    Raises:
        ProcessFailedError: it failed.
    """
    log = REPOSITORY / ".local" / "bench" / "process.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    # Python keeps what it compiled unless it is told not to, as a container's build does.
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    with log.open("w+") as out:
        child = subprocess.Popen(
            command,
            env={**inherited, "PYTHONPATH": str(REPOSITORY), **(environment or {})},
            cwd=REPOSITORY,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        child.wait()
        seconds = time.perf_counter() - start
        out.seek(0)
        output = out.read()
    if child.returncode:
        raise ProcessFailedError(f"{command[0]} ended with {child.returncode}: {output[-2000:]}")
    told = re.search(r"^peak_mb: ([0-9.]+)$", output, re.MULTILINE)
    return Measured(seconds, float(told[1]) if told else 0.0, output)


def tell_peak() -> None:
    """Print this process's largest resident size, for :func:`measure`."""
    status = Path("/proc/self/status").read_text()
    found = re.search(r"^VmHWM:\s+([0-9]+) kB$", status, re.MULTILINE)
    if found:
        print(f"peak_mb: {int(found[1]) / 1024:.1f}", flush=True)


def python(*arguments: str) -> list[str]:
    """A command line of this interpreter."""
    return [sys.executable, *arguments]
