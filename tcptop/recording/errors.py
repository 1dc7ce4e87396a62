"""What ends the making or the reading of a recording."""

from __future__ import annotations

from collections.abc import Sequence

from tcptop.text.printable import printable


class RecordingError(Exception):
    """One line for a person: what is wrong, where, and what to do about it."""


def check_damages(path: str, damages: Sequence[str]) -> None:
    """Raises RecordingError, in one line, where samples of a recording were damaged."""
    if damages:
        samples = "1 sample is damaged" if len(damages) == 1 else f"{len(damages)} samples are damaged"
        raise RecordingError(f"{printable(path)}: {samples}: {damages[0]}")
