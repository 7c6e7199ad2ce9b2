"""Builds the extension in ``bson_copy.c`` with the C compiler of the machine, where it changed.

``python elt/native/build.py``, which needs nothing but the standard library.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
SOURCE = FOLDER / "bson_copy.c"
FLAGS = ("-std=c11", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra")


class NotBuiltError(RuntimeError):
    """There is no compiler, or it failed; the message has what it said."""


def build(folder: Path = FOLDER, flags: tuple[str, ...] = FLAGS) -> Path:
    """Compile the extension into a folder, unless the one there is of this source.

    Returns its path.

    Raises:
        NotBuiltError: it cannot be built here.
    """
    library = folder / f"bson_copy{sysconfig.get_config_var('EXT_SUFFIX')}"
    stamp = folder / ".built"
    wanted = hashlib.sha256(f"{sys.version}{flags}".encode() + SOURCE.read_bytes()).hexdigest()
    if library.exists() and stamp.exists() and stamp.read_text() == wanted:
        return library
    compilers = (sysconfig.get_config_var("CC") or "gcc", "gcc", "cc")
    usable = (command for command in map(shlex.split, compilers) if shutil.which(command[0]))
    compiler = next(usable, None)
    if compiler is None:
        raise NotBuiltError("no C compiler")
    # Another process may have the old one open, or build at the same time.
    fresh = folder / f".{os.getpid()}.so"
    command = [
        *compiler,
        *flags,
        f"-I{sysconfig.get_path('include')}",
        str(SOURCE),
        "-o",
        str(fresh),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotBuiltError(f"{shlex.join(command)}:\n{done.stderr}")
    fresh.replace(library)
    stamp.write_text(wanted)
    return library


if __name__ == "__main__":
    try:
        build()
    except NotBuiltError as error:
        print(
            f"warning: MongoDB will be read in Python only, which is slower: {error}",
            file=sys.stderr,
        )
