"""What ends a lab before it has a result."""

from __future__ import annotations


class LabError(Exception):
    """One line for a person: what is wrong, and what to do about it."""
