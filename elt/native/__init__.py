"""What is compiled, by :mod:`elt.native.build`. Each part has an equal in Python."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache

log = logging.getLogger(__name__)

CopyLines = Callable[[bytes, tuple[tuple[str, str], ...]], tuple[bytes, int, list[bytes]] | None]


@cache
def copier() -> CopyLines | None:
    """``copy_lines`` of ``bson_copy``, or None where it was not built; that is logged once."""
    try:
        from elt.native.bson_copy import copy_lines
    except ImportError as error:
        log.warning(
            "MongoDB is read in Python only, which is slower: %s (`make install` builds it)", error
        )
        return None
    return copy_lines
