"""Graphs pane (`x`): sockets, TCP memory, TIME_WAIT, bytes per connection and buffers over the last five minutes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from tcptop.explanation.memory_page import buffers_text
from tcptop.ledger import AccountingMode, Ledger, SocketCounts
from tcptop.text import units
from tcptop.text.line import Line, Role, paragraph
from tcptop.view import View
from tcptop.view.choices import Choices
from tcptop.widgets.cell_width import first_fitting
from tcptop.widgets.graph import (
    Graph,
    area,
    format_count,
    no_graph_reason,
    past_columns,
    past_values,
    sparkline,
)
from tcptop.widgets.pane import MIN_MARGIN_COLUMNS, Pane

MIN_GRAPH_WIDTH = 6
AREA_ROWS = 3
"""The smallest height of an area graph, in lines."""
NETNS = " this netns"
"""If a graph is about one network namespace only, this text follows the graph's title, if there is room."""
MIN_ROWS = 12
"""Minimum height of a pane with area graphs; in a lower pane, each graph has one line."""


class TrendLook(NamedTuple):
    """The title of the graph of one series of `Trends`, the format of its values, and its colour."""

    series: str
    title: str
    format_value: Callable[[float], str]
    role: Role


TREND_LOOKS = (
    TrendLook("sockets", "sockets", format_count, "slice-2"),
    TrendLook("tcp_bytes", "TCP memory", units.short_size, "slice-1"),
    TrendLook("time_wait", "TIME_WAIT", format_count, "slice-3"),
    TrendLook("bytes_per_connection", "B/connection", units.exact_bytes, "slice-2"),
    TrendLook("bytes_per_mini_socket", "B/mini-socket", units.exact_bytes, "slice-2"),
    TrendLook("buffer_bytes", "buffers", units.short_size, "slice-1"),
)
"""The graphs of the pane, the most important first."""
FIRST_SERIES: dict[AccountingMode, str] = {"full": "sockets", "time_wait": "time_wait"}
"""The series whose graph comes first, by accounting mode."""
OTHER_MODES_SERIES: dict[AccountingMode, str] = {"full": "bytes_per_mini_socket", "time_wait": "bytes_per_connection"}
"""For each accounting mode, the series without a graph: the cost of the sockets that the mode does not count."""


class GraphsPane(Pane):
    """Pane of the graphs, one below the other. A graph has a new value every five seconds."""

    def edge_titles(self, ledger: Ledger, choices: Choices) -> tuple[str, str]:  # noqa: ARG002
        """The title."""
        titles: tuple[str, ...] = (
            "Graphs ─ 5 minutes, a step is 5 s, ≤ 5 s old",
            "Graphs ─ 5 minutes, ≤ 5 s old",
            "Graphs ─ 5 minutes",
            "Graphs",
        )
        if self._view.player is not None:
            titles = ("Graphs ─ from the start of the recording to this sample", "Graphs ─ from the start", "Graphs")
        return first_fitting(titles, self.max_title_width), ""

    def lines(self, ledger: Ledger, choices: Choices, columns: int, rows: int) -> Sequence[Line]:
        """The lines of the graphs, or the reason why there is no graph."""
        if not choices.extras:
            return paragraph("x shows the graphs", columns, "dim")
        columns -= columns >= MIN_MARGIN_COLUMNS
        reason = no_graph_reason(ledger, self._view)
        if reason:
            return paragraph(reason, columns, "dim")
        formats = {"buffer_bytes": partial(_charge_text, ledger.sockets)}
        titles = {"time_wait": time_wait_title(ledger)}
        looks = sorted(
            (
                look._replace(
                    format_value=formats.get(look.series, look.format_value), title=titles.get(look.series, look.title)
                )
                for look in TREND_LOOKS
                if past_values(self._view, look.series) and look.series != OTHER_MODES_SERIES[choices.mode]
            ),
            key=lambda look: look.series != FIRST_SERIES[choices.mode],
        )
        if rows < MIN_ROWS:
            return _one_line_graphs(self._view, looks[:rows], columns, rows)
        return _area_graphs(self._view, looks[: (rows - 1) // AREA_ROWS], columns, rows)


def _charge_text(sockets: SocketCounts, amount: float) -> str:
    """The bytes of the buffers as text.

    It has the sign of the counter's error, as in the TCP pane.
    """
    return buffers_text(sockets._replace(buffer_bytes=round(amount)), units.short_size)


def time_wait_title(ledger: Ledger) -> str:
    """The title of a graph of the mini-sockets.

    The title ends with `this netns` if only one network namespace is counted.
    """
    return f"TIME_WAIT{NETNS}" if ledger.sockets.time_wait_scope == "here" else "TIME_WAIT"


def _one_line_graphs(view: View, looks: Sequence[TrendLook], columns: int, rows: int) -> list[Line]:
    """One line for each graph: its title, its lowest and its highest value, and the graph."""
    title_width = max(len(look.title) for look in looks)
    if columns < 2 * title_width:
        looks = [look._replace(title=look.title.removesuffix(NETNS)) for look in looks]
        title_width = max(len(look.title) for look in looks)
    graphs = [(look, Graph.of(look.title, past_values(view, look.series), look.format_value)) for look in looks]
    range_width = max(len(graph.range_text) for _, graph in graphs)
    if columns - title_width - range_width - 2 < MIN_GRAPH_WIDTH:
        range_width = -1
    width = max(0, columns - title_width - range_width - 2)
    lines: list[Line] = []
    for look, graph in graphs:
        text = sparkline(past_columns(view, look.series, width))
        range_text = f" {graph.range_text}" if range_width >= 0 else ""
        title = f"{graph.title:<{title_width}} "
        lines.append(((title, "text"), (text.rjust(width), look.role), (range_text, "dim")))
    return [*lines, _time_axis(view, title_width + 1, width)] if rows > len(lines) else lines


def _area_graphs(view: View, looks: Sequence[TrendLook], columns: int, rows: int) -> list[Line]:
    """Graphs that are several lines high; the title and the values stand at the left of each graph."""
    # The head of the screen is up to a step newer, so that the newest value of a graph is not `now`.
    newest = "last step" if view.player is None else _end_text(view)
    labels = {look: _area_labels(past_values(view, look.series), look, newest) for look in looks}
    label_width = max(len(text) for texts in labels.values() for text in texts)
    width = max(0, columns - label_width - 1)
    height, more = divmod(rows - 1, len(looks))
    lines: list[Line] = []
    for index, look in enumerate(looks):
        graph_rows = height + (index < more)
        title, *values, lowest = labels[look]
        texts = [title, *values[: graph_rows - 2]]
        texts += [*[""] * (graph_rows - 1 - len(texts)), lowest]
        drawn = area(past_columns(view, look.series, width), graph_rows)
        for row, (label, text) in enumerate(zip(texts, drawn, strict=True)):
            role: Role = "dim" if row else "text"
            lines.append(((f"{label:<{label_width}} ", role), (text.rjust(width), look.role)))
    return [*lines, _time_axis(view, label_width + 1, width)]


def _end_text(view: View) -> str:
    """The word for the moment at the right end of the graphs."""
    return "now" if view.player is None else "shown"


def _area_labels(values: Sequence[float | None], look: TrendLook, newest_word: str) -> list[str]:
    """The texts at the left of a graph: the title, then the highest, the newest and the lowest value."""
    known = [value for value in values if value is not None]
    if not known:
        return [look.title, "not known", "", ""]
    newest = units.UNKNOWN if values[-1] is None else look.format_value(values[-1])
    return [
        look.title,
        f"{look.format_value(max(known))} highest",
        f"{newest} {newest_word}",
        f"{look.format_value(min(known))} lowest",
    ]


def _time_axis(view: View, indent: int, columns: int) -> Line:
    """The line below the graphs: the first time at the left end, the last time at the right end."""
    begin = "5 min ago" if view.player is None else "start"
    end = _end_text(view)
    start = first_fitting((begin, ""), columns - len(end) - 1)
    return ((" " * indent, "text"), (f"{start}{end:>{max(0, columns - len(start))}}", "dim"))
