"""One line of small graphs: the figure, sockets, TIME_WAIT and buffers over the last minutes."""

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
"""The graph that comes first, and so is there in the narrowest terminal."""


class TrendLine(Pane):
    """One line without a box; empty until ten seconds have passed."""

    DEFAULT_CSS = """
    TrendLine { height: 1; padding: 0 1; }
    """

    def edge_titles(self, ledger: Ledger, choices: Choices) -> tuple[str, str]:  # noqa: ARG002
        """A line has no edges."""
        return "", ""

    def lines(self, ledger: Ledger, choices: Choices, columns: int, rows: int) -> Sequence[Line]:  # noqa: ARG002
        """The graphs, side by side."""
        trends = choices.trends
        if not choices.extras or not trends.sockets:
            return [EMPTY_LINE]
        graphs = (
            Graph.of("B/conn", trends.bytes_per_connection, units.exact_bytes),
            Graph.of("sockets", trends.sockets, format_count),
            Graph.of("TIME_WAIT", trends.time_wait, format_count),
            Graph.of("buffers", trends.buffer_bytes, units.compact_size),
        )
        return [join_graphs(sorted(graphs, key=lambda graph: graph.title != FIRST_GRAPH[choices.mode]), columns)]


@dataclass(frozen=True, slots=True)
class Graph:
    """One figure over time, with the lowest and the highest that it was."""

    title: str
    values: Series
    range_text: str

    @classmethod
    def of(cls, title: str, values: Series, shown: Callable[[float], str]) -> Graph:
        """The graph of values, whose ends are shown as numbers."""
        known = [value for value in values if value is not None]
        low, high = (shown(min(known)), shown(max(known))) if known else (units.UNKNOWN, units.UNKNOWN)
        return cls(title, values, low if low == high else f"{low} to {high}")

    @property
    def label_width(self) -> int:
        """The columns of what stands beside the graph."""
        return len(self.title) + len(self.range_text) + 2

    def pieces(self, columns: int) -> Line:
        """The graph of the last values in so many columns, filled up with spaces."""
        text = sparkline(self.values)[-(columns - self.label_width) :]  # by the same ends, whatever part is in sight
        rest = self.range_text.ljust(columns - len(self.title) - len(text) - 2)
        return ((f"{self.title} ", "dim"), (f"{text} ", "slice-2"), (rest, "dim"))


def join_graphs(graphs: Sequence[Graph], columns: int) -> Line:
    """As many graphs as fit, with an equal share of what the first ones leave of the width."""
    shown: list[Graph] = []
    for graph in graphs:
        if sum(each.label_width + MIN_GRAPH_WIDTH + GAP for each in (*shown, graph)) - GAP > columns:
            break
        shown.append(graph)
    if not shown:
        return EMPTY_LINE
    spare = columns + GAP - sum(each.label_width + MIN_GRAPH_WIDTH + GAP for each in shown)
    line: Line = ()
    for at, graph in enumerate(shown):
        own = graph.label_width + MIN_GRAPH_WIDTH + spare // len(shown)
        line = (*line, *graph.pieces(own), *(((" " * GAP, "text"),) if at + 1 < len(shown) else ()))
    return line


def format_count(value: float) -> str:
    """A count in full below a million, else shortened."""
    return units.count(round(value)) if value < 1_000_000 else units.short_count(round(value), 6)


def sparkline(values: Series) -> str:
    """A character for each value, from the lowest of them to the highest; in the middle where all are one."""
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
