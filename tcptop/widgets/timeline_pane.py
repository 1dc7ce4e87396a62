"""The whole recording as graphs over its time, with the place of the sample that is shown."""

from __future__ import annotations

from collections.abc import Sequence

from tcptop.ledger import Ledger
from tcptop.text import units
from tcptop.text.line import EMPTY_LINE, Line
from tcptop.view.choices import Choices
from tcptop.view.timeline import column_of, in_columns, stretch_of
from tcptop.widgets.cell_width import width
from tcptop.widgets.pane import Pane
from tcptop.widgets.trend_pane import MOST_WANTED, Graph, count_text, spark

LEAST_GRAPH = 12
GAP = 2
HERE = "│"
"""Stands in the column of the sample that is shown."""


class TimeLinePane(Pane):
    """A graph in each line; in one line those that fit side by side."""

    DEFAULT_CSS = """
    TimeLinePane { height: 1; padding: 0 1; }
    """

    def titles(self, ledger: Ledger, choices: Choices) -> tuple[str, str]:  # noqa: ARG002
        """Lines have no edges."""
        return "", ""

    def lines(self, ledger: Ledger, choices: Choices, columns: int, rows: int) -> Sequence[Line]:  # noqa: ARG002
        """The graphs, of which the one that the accounting is about comes first."""
        player, found = choices.player, choices.time_line
        if player is None:
            return []
        stretch = stretch_of(player.times_s, player.index)
        graphs = [
            Graph.of("sockets", found.sockets, count_text),
            Graph.of("TIME_WAIT", found.time_wait, count_text),
            Graph.of("B/conn", found.bytes_per_connection, units.exact_bytes),
        ]
        if rows >= len(graphs):
            titles, ends = max(len(each.title) for each in graphs), max(len(each.ends) for each in graphs)
            return [_line(each, columns, titles, ends, stretch) for each in graphs]
        graphs.sort(key=lambda graph: graph.title != MOST_WANTED[choices.mode])
        fitting = next((number for number in (3, 2, 1) if _share(graphs[:number], columns) >= LEAST_GRAPH), 0)
        line: Line = EMPTY_LINE
        for graph in graphs[:fitting]:
            own = graph.beside + _share(graphs[:fitting], columns)
            line = (*line, *(((" " * GAP, "text"),) if line else ()))
            line = (*line, *_line(graph, own, len(graph.title), len(graph.ends), stretch))
        return [line]


def _share(graphs: Sequence[Graph], columns: int) -> int:
    """The columns that each of the graphs gets for itself."""
    return (columns + GAP - sum(each.beside + GAP for each in graphs)) // len(graphs)


def _line(graph: Graph, columns: int, title_columns: int, ends_columns: int, stretch: int) -> Line:
    """A graph with its ends, in so many columns."""
    title: Line = ((f"{graph.title:<{title_columns}} ", "dim"),)
    ends: Line = ((f" {graph.ends:<{ends_columns}}", "dim"),)
    left = columns - width(title) - width(ends)
    if left < 1:
        return title
    text, here = spark(in_columns(graph.values, left)), column_of(stretch, left)
    return (*title, (text[:here], "slice-2"), (HERE, "accent"), (text[here + 1 :], "slice-2"), *ends)
