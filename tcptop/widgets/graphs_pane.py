"""Trend line (`x`): graphs of bytes per connection, sockets, TIME_WAIT and buffers over the last 15 minutes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tcptop.ledger import AccountingMode, Ledger
from tcptop.text import units
from tcptop.text.line import EMPTY_LINE, Line
from tcptop.view.choices import Choices
from tcptop.view.trends import Series
from tcptop.widgets.pane import Pane

LEVELS = "▁▂▃▄▅▆▇█"
UNKNOWN_LEVEL = " "
MIN_GRAPH_WIDTH = 6
GAP = 2
FIRST_GRAPH: dict[AccountingMode, str] = {"full": "B/conn", "time_wait": "TIME_WAIT"}
"""Title of the graph that comes first in each accounting mode, so that even a narrow terminal shows that graph."""


class GraphsPane(Pane):
    """The line of graphs; empty until the first ten-second step is complete."""

    def lines(self, ledger: Ledger, choices: Choices, columns: int, rows: int) -> Sequence[Line]:  # noqa: ARG002
        """The graphs, side by side."""
        trends = self._view.trends
        if not choices.extras or not trends.sockets:
            return [EMPTY_LINE]
        graphs = [
            Graph.of("B/conn", trends.bytes_per_connection, units.exact_bytes),
            Graph.of("sockets", trends.sockets, format_count),
            Graph.of("TIME_WAIT", trends.time_wait, format_count),
            Graph.of("buffers", trends.buffer_bytes, units.compact_size),
        ]
        return [join_graphs(graphs, columns, choices.mode, MIN_GRAPH_WIDTH, Graph.line)]


@dataclass(frozen=True, slots=True)
class Graph:
    """One figure over time, with its lowest and its highest value."""

    title: str
    values: Series
    range_text: str
    """The lowest and the highest value as text; a single text if the two values are formatted alike."""

    @classmethod
    def of(cls, title: str, values: Series, format_value: Callable[[float], str]) -> Graph:
        """The graph of a series; `format_value` formats the lowest and the highest value of the series."""
        known = [value for value in values if value is not None]
        return cls(title, values, units.span((min(known), max(known)), format_value) if known else units.UNKNOWN)

    @property
    def label_width(self) -> int:
        """The width of a graph's title and range, plus the two spaces that separate title, graph and range."""
        return len(self.title) + len(self.range_text) + 2

    def line(self, columns: int) -> Line:
        """The graph of the latest values that fit, with title and range, padded to `columns` columns."""
        # The scale covers all values, including values that do not fit.
        text = sparkline(self.values)[-(columns - self.label_width) :]
        rest = self.range_text.ljust(columns - len(self.title) - len(text) - 2)
        return ((f"{self.title} ", "dim"), (f"{text} ", "slice-2"), (rest, "dim"))


DrawGraph = Callable[[Graph, int], Line]
"""Function that draws a graph with its title and range in a number of columns."""


def join_graphs(graphs: Sequence[Graph], columns: int, mode: AccountingMode, min_width: int, draw: DrawGraph) -> Line:
    """One line with as many graphs as fit side by side. The graph of the accounting mode comes first.

    The graphs share the columns equally. Each graph is at least `min_width` wide, not counting title and range.
    """
    fitting = sorted(graphs, key=lambda graph: graph.title != FIRST_GRAPH[mode])
    while fitting:
        width = (columns + GAP - sum(graph.label_width + GAP for graph in fitting)) // len(fitting)
        if width >= min_width:
            break
        fitting.pop()
    line: Line = EMPTY_LINE
    for graph in fitting:
        line = (*line, *(((" " * GAP, "text"),) if line else ()), *draw(graph, graph.label_width + width))
    return line


def format_count(value: float) -> str:
    """A count below a million with all its digits; a larger count shortened to thousands or millions."""
    return units.count(round(value)) if value < 1_000_000 else units.short_count(round(value), 6)


def sparkline(values: Series) -> str:
    """A bar character for each value, scaled from the lowest value to the highest; a space for an unknown value.

    If all values are equal, every value has the bar character of middle height.
    """
    known = [value for value in values if value is not None]
    if not known:
        return UNKNOWN_LEVEL * len(values)
    low, high = min(known), max(known)
    steps = len(LEVELS) - 1
    return "".join(
        UNKNOWN_LEVEL
        if value is None
        else LEVELS[round(steps * (value - low) / (high - low))]
        if high > low
        else LEVELS[steps // 2]
        for value in values
    )
