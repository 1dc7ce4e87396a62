"""What ends the making or the reading of a recording."""

from __future__ import annotations


class RecordingError(Exception):
    """One line for a person: what is wrong, where, and what to do about it."""
