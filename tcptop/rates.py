"""All rates and increases are computed here, so that live, paused and replayed screens show equal values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tcptop.snapshot import Reading

Value = TypeVar("Value")


STEP_S = 5
"""Duration of a step of the rates and trends on the screen, in seconds.

A step is longer than most sampling intervals, so that graphs and rates are not redrawn with every sample.
"""


def per_second(before: float | None, elapsed_s: float, after: float | None) -> float | None:
    """Change per second; None if either value is unknown or no time has passed."""
    if before is None or after is None or elapsed_s <= 0:
        return None
    return (after - before) / elapsed_s


def fits_present(per_s: float, period_s: float, present: float | None) -> bool:
    """False if the rate contradicts a newer number of the same things: before the period it would have been below 0.

    A rate changes more seldom than the number beside it. After a burst that has come and gone, the rate of its coming
    would stand beside the number of those that are left.
    """
    return present is None or per_s * period_s <= present


def increase(before: object, after: object) -> float | None:
    """`after` − `before`; None if at least one value is unknown or not a number."""
    if not isinstance(before, (int, float)) or not isinstance(after, (int, float)):
        return None
    return after - before


def elapsed_s(reading: Reading[Value]) -> float:
    """Seconds between the last two readings of a source; 0 if there are fewer than two readings."""
    before = reading.before
    if before is None or before.value is None or reading.value is None:
        return 0.0
    if before.taken_at_s is None or reading.taken_at_s is None:
        return 0.0
    return reading.taken_at_s - before.taken_at_s


def rate(reading: Reading[Value], figure: Callable[[Value], float | None]) -> float | None:
    """Change per second of a figure, from the last two readings of the figure's source; None if unknown."""
    elapsed = elapsed_s(reading)
    if not elapsed or reading.before is None or reading.before.value is None or reading.value is None:
        return None
    return per_second(figure(reading.before.value), elapsed, figure(reading.value))
