"""The time from one sample to the next, as people type it."""

from __future__ import annotations

LEAST_INTERVAL_S = 0.1
MOST_INTERVAL_S = 86_400.0


def interval_s(text: str) -> float:
    """Seconds, fractions allowed.

    Raises:
        ValueError: with what is wanted, for anything else.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not LEAST_INTERVAL_S <= seconds <= MOST_INTERVAL_S:
        raise ValueError(f"a number of seconds from {LEAST_INTERVAL_S} to {MOST_INTERVAL_S:.0f}, not {text!r}")
    return seconds
