"""The two ways in which a sales file can be wrong: as a whole, or in one line."""

from __future__ import annotations


class SalesFileError(ValueError):
    """The file cannot be imported; the message names what is wrong and what to do."""


class BadLineError(ValueError):
    """One line cannot be imported; the message is the reason given in the rejects file."""
