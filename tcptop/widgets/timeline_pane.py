"""The whole recording as graphs over its time, with the place of the sample that is shown."""

from __future__ import annotations

from collections.abc import Sequence

from tcptop.ledger import Ledger
from tcptop.text import units
from tcptop.text.line import EMPTY_LINE, Line
from tcptop.view.choices import Choices
from tcptop.view.timeline import bucket_column, bucket_of, column_maxima
from tcptop.widgets.cell_width import line_width
from tcptop.widgets.pane import Pane
from tcptop.widgets.trend_line import FIRST_GRAPH, Graph, format_count, sparkline

MIN_GRAPH_WIDTH = 12
GAP = 2
POSITION_MARK = "│"
"""Stands in the column of the sample that is shown."""


class TimelinePane(Pane):
    """A graph in each line; in one line those that fit side by side."""

    DEFAULT_CSS = """
    TimelinePane { height: 1; padding: 0 1; }
    """

    def edge_titles(self, ledger: Ledger, choices: Choices) -> tuple[str, str]:  # noqa: ARG002
        """Lines have no edges."""
        return "", ""

    def lines(self, ledger: Ledger, choices: Choices, columns: int, rows: int) -> Sequence[Line]:  # noqa: ARG002
        """The graphs, of which the one that the accounting is about comes first."""
        player, found = choices.player, choices.timeline
        if player is None:
            return []
        bucket = bucket_of(player.times_s, player.index)
        graphs = [
            Graph.of("sockets", found.sockets, format_count),
            Graph.of("TIME_WAIT", found.time_wait, format_count),
            Graph.of("B/conn", found.bytes_per_connection, units.exact_bytes),
        ]
        if rows >= len(graphs):
            titles, range_text = max(len(each.title) for each in graphs), max(len(each.range_text) for each in graphs)
            return [_graph_line(each, columns, titles, range_text, bucket) for each in graphs]
        graphs.sort(key=lambda graph: graph.title != FIRST_GRAPH[choices.mode])
        fitting = next((number for number in (3, 2, 1) if _graph_width(graphs[:number], columns) >= MIN_GRAPH_WIDTH), 0)
        line: Line = EMPTY_LINE
        for graph in graphs[:fitting]:
            own = graph.label_width + _graph_width(graphs[:fitting], columns)
            line = (*line, *(((" " * GAP, "text"),) if line else ()))
            line = (*line, *_graph_line(graph, own, len(graph.title), len(graph.range_text), bucket))
        return [line]


def _graph_width(graphs: Sequence[Graph], columns: int) -> int:
    """The columns that each of the graphs gets for itself."""
    return (columns + GAP - sum(each.label_width + GAP for each in graphs)) // len(graphs)


def _graph_line(graph: Graph, columns: int, title_columns: int, ends_columns: int, bucket: int) -> Line:
    """A graph with its ends, in so many columns."""
    title: Line = ((f"{graph.title:<{title_columns}} ", "dim"),)
    range_text: Line = ((f" {graph.range_text:<{ends_columns}}", "dim"),)
    left = columns - line_width(title) - line_width(range_text)
    if left < 1:
        return title
    text, here = sparkline(column_maxima(graph.values, left)), bucket_column(bucket, left)
    return (*title, (text[:here], "slice-2"), (POSITION_MARK, "accent"), (text[here + 1 :], "slice-2"), *range_text)
