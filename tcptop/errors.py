"""The error that a person can act on. `cli.main` alone prints it."""

from __future__ import annotations


class TcptopError(Exception):
    """One line for a person: what is wrong, where, and what to do about it."""
