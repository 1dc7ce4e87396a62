"""Timeline pane: graphs over the whole recording, with a mark at the shown sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tcptop.ledger import AccountingMode, Ledger
from tcptop.text import units
from tcptop.text.line import EMPTY_LINE, Line
from tcptop.view.choices import Choices
from tcptop.view.timeline import bucket_column, bucket_of, column_maxima
from tcptop.widgets.cell_width import line_width
from tcptop.widgets.graph import Graph, format_count, sparkline
from tcptop.widgets.graphs_pane import time_wait_title
from tcptop.widgets.pane import Pane

MIN_GRAPH_WIDTH = 12
GAP = 2
FIRST_GRAPH: dict[AccountingMode, str] = {"full": "TCP memory", "time_wait": "TIME_WAIT"}
"""For each accounting mode, the first words of the title of its most important graph. A narrow terminal shows only the
most important graph."""
TO_THE_END: Line = (("  >", "accent"), (" last sample", "text"))
"""Hint with the key that goes to the last sample. The hint is shown at the first sample, where a recording opens."""
POSITION_MARK = "│"
"""Character in a graph that marks the column of the shown sample."""


class TimelinePane(Pane):
    """Pane of four graphs, one below the other.

    If the pane has too few rows, it shows one line, with as many graphs side by side as fit.
    """

    def lines(self, ledger: Ledger, choices: Choices, columns: int, rows: int) -> Sequence[Line]:
        """The lines of the graphs. If all graphs share one line, the graph of the accounting mode comes first."""
        player, timeline = self._view.player, self._view.timeline
        if player is None:
            return []
        bucket = bucket_of(player.times_s, player.index)
        graphs = [
            Graph.of("sockets", timeline.sockets, format_count),
            Graph.of("TCP memory", timeline.drawn("tcp_bytes"), units.short_size),
            Graph.of(time_wait_title(ledger), timeline.time_wait, format_count),
            Graph.of("B/conn", timeline.drawn("bytes_per_connection"), units.exact_bytes),
        ]
        if timeline.read_share < 1:
            # While a graph is still being filled, some of its values are missing, so a range would be wrong. The counts
            # of sockets come from the index of the recording, so their graphs are already complete.
            reading = f"reading {units.percent(timeline.read_share, ' ')}"
            graphs[1], graphs[3] = (replace(graphs[index], range_text=reading) for index in (1, 3))
        hint = TO_THE_END if player.index == 0 < player.last_index and not self._view.looking_back else EMPTY_LINE
        columns -= line_width(hint)
        if rows >= len(graphs):
            title_width = max(len(graph.title) for graph in graphs)
            range_width = max(len(graph.range_text) for graph in graphs)
            first, *others = [_graph_line(bucket, graph, columns, title_width, range_width) for graph in graphs]
            return [(*first, *hint), *others]
        return [(*_join_graphs(bucket, graphs, columns, choices.mode), *hint)]


def _join_graphs(bucket: int, graphs: Sequence[Graph], columns: int, mode: AccountingMode) -> Line:
    """One line with as many graphs as fit side by side. The graph of the accounting mode comes first.

    The graphs share the columns equally. Each graph is at least MIN_GRAPH_WIDTH wide, not counting title and range.
    """
    fitting = sorted(graphs, key=lambda graph: not graph.title.startswith(FIRST_GRAPH[mode]))
    while fitting:
        width = (columns + GAP - sum(graph.label_width + GAP for graph in fitting)) // len(fitting)
        if width >= MIN_GRAPH_WIDTH:
            break
        fitting.pop()
    line: Line = EMPTY_LINE
    for graph in fitting:
        gap = ((" " * GAP, "text"),) if line else ()
        line = (*line, *gap, *_graph_line(bucket, graph, graph.label_width + width))
    return line


def _graph_line(bucket: int, graph: Graph, columns: int, title_width: int = 0, range_width: int = 0) -> Line:
    """A line of `columns` columns: a title padded to `title_width`, a graph, and a range padded to `range_width`."""
    title: Line = ((f"{graph.title:<{title_width}} ", "dim"),)
    range_text: Line = ((f" {graph.range_text:<{range_width}}", "dim"),)
    graph_width = columns - line_width(title) - line_width(range_text)
    if graph_width < 1:
        return title
    text = sparkline(column_maxima(graph.values, graph_width), graph.min_span)
    mark = bucket_column(bucket, graph_width)
    return (*title, (text[:mark], "slice-2"), (POSITION_MARK, "accent"), (text[mark + 1 :], "slice-2"), *range_text)
