"""Graph of a figure over time: one line of bar characters, or an area that is several lines high."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from tcptop.ledger import Ledger
from tcptop.rates import STEP_S
from tcptop.text import units
from tcptop.view import View
from tcptop.view.timeline import bucket_of, column_maxima
from tcptop.view.trends import Series, fit_columns

LEVELS = "▁▂▃▄▅▆▇█"
UNKNOWN_LEVEL = " "
MIN_SPAN = 0.01
"""The full height of a graph stands for a range of values. This range is at least MIN_SPAN times the highest value, so
that small changes do not look large."""

NO_PAST = "one sample: nothing to draw"


@dataclass(frozen=True, slots=True)
class Graph:
    """Values of one figure over time, with the lowest and the highest value as text."""

    title: str
    values: Series
    range_text: str
    """The lowest and the highest value as text; only one text if both values have the same text."""

    @classmethod
    def of(cls, title: str, values: Series, format_value: Callable[[float], str]) -> Graph:
        """The graph of a series; `format_value` formats the lowest and the highest value of the series."""
        known = [value for value in values if value is not None]
        return cls(title, values, units.span((min(known), max(known)), format_value) if known else units.UNKNOWN)

    @property
    def min_span(self) -> float:
        """The argument `min_span` with which `area()` draws this graph.

        If the texts of the lowest and the highest value differ, the result is 0, so that the graph uses its full
        height.
        """
        return 0.0 if " to " in self.range_text else MIN_SPAN

    @property
    def label_width(self) -> int:
        """Width of a graph's title and range, including the space after the title and the space before the range."""
        return len(self.title) + len(self.range_text) + 2


def format_count(value: float) -> str:
    """A count as text. A count below a million has all its digits; a larger count is shortened to millions."""
    return units.count(round(value)) if value < 1_000_000 else units.short_count(round(value), 6)


@lru_cache(32)  # the values of all graphs change once in STEP_S
def sparkline(values: Series, min_span: float = MIN_SPAN) -> str:
    """A bar character for each value, scaled from the lowest value to the highest; a space for an unknown value."""
    return area(values, 1, min_span)[0]


def area(values: Series, rows: int, min_span: float = MIN_SPAN) -> list[str]:
    """The lines of a graph, from top to bottom, with a column for each value; an unknown value has an empty column.

    The lowest value is one eighth of a line high, and the highest value as high as all lines. If the lowest and the
    highest value differ by less than `min_span` times the highest value, all values are drawn near the middle. If all
    values are 0, they are drawn at the bottom.
    """
    known = [value for value in values if value is not None]
    middle = (min(known) + max(known)) / 2 if known else 0.0
    span = max(max(known) - min(known), min_span * max(known)) if known else 0.0
    steps = len(LEVELS) * rows - 1
    heights = [
        0 if value is None else 1 + round(steps * ((value - middle) / span + 0.5)) if span else 1 for value in values
    ]
    bars = UNKNOWN_LEVEL + LEVELS
    return [
        "".join(bars[min(len(LEVELS), max(0, height - len(LEVELS) * below))] for height in heights)
        for below in range(rows - 1, -1, -1)
    ]


def past_values(view: View, series: str) -> Series:
    """The values of a figure up to the shown sample.

    On a live screen, the values begin five minutes before the shown sample; in a recording, they begin at the start of
    the recording.
    """
    if view.player is None:
        return getattr(view.trends, series)  # type: ignore[no-any-return]
    values: Series = getattr(view.timeline, series, ())
    return values[: bucket_of(view.player.times_s, view.player.index) + 1]


def past_columns(view: View, series: str, columns: int) -> Series:
    """The past values of a figure, fitted to the columns of a graph."""
    values = past_values(view, series)
    if view.player is not None:
        values = view.timeline.drawn(series)[: len(values)]
    if view.player is None:
        return fit_columns(values, columns, view.trends.step)
    if len(values) == 1:  # one moment has no length, and must not look like a steady past
        return (None,) * (columns - 1) + values
    return column_maxima(values, columns)


def no_graph_reason(ledger: Ledger, view: View) -> str:
    """The reason why no graph is drawn; empty if at least one count of sockets is known."""
    if any(value is not None for value in past_values(view, "sockets")):
        return ""
    if view.player is not None:
        read_share = view.timeline.read_share
        if read_share == 1:
            return "the recording has no counts of sockets"
        return f"reading the recording: {units.percent(read_share, ' ')}"
    return f"graphs begin after {2 * STEP_S} s" if ledger.live else NO_PAST
