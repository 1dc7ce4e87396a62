"""The error that is shown to the user. Only `cli.main` prints this error."""

from __future__ import annotations


class TcptopError(Exception):
    """An error as one line for the user: what is wrong, where it went wrong, and what the user can do."""

    exit_code = 1
