"""Which code is running."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UNKNOWN = "unknown"


def code_commit() -> str:
    """Return the git commit of the running code: 40 hex digits, then `-dirty` if files differ.

    It is what AMATO_COMMIT says (an image has no repository), else what git says, else `unknown`.
    """
    return os.environ.get("AMATO_COMMIT") or commit_of(ROOT)


@cache
def commit_of(root: Path) -> str:
    """Return the commit of the repository whose root is `root`, or `unknown`."""
    if not (root / ".git").exists():  # git would answer for a repository further up
        return UNKNOWN
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        answer = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return UNKNOWN
    return answer.stdout.strip()
