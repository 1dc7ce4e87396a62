"""One line of small graphs: the figure, sockets, TIME_WAIT and buffers over the last minutes."""

from __future__ import annotations

from collections.abc import Sequence

from tcptop import units
from tcptop.ledger import Ledger
from tcptop.text_line import EMPTY, Line, Piece
from tcptop.trends import Values
from tcptop.widgets.choices import Choices
from tcptop.widgets.pane import Pane

LEVELS = "▁▂▃▄▅▆▇█"
NOT_KNOWN = " "
LEAST_GRAPH = 6


class TrendLine(Pane):
    """One line without a box; empty until ten seconds have passed."""

    DEFAULT_CSS = """
    TrendLine { height: 1; padding: 0 1; }
    """

    def titles(self, ledger: Ledger, choices: Choices) -> tuple[str, str]:  # noqa: ARG002
        """A line has no edges."""
        return "", ""

    def lines(self, ledger: Ledger, choices: Choices, columns: int, rows: int) -> Sequence[Line]:  # noqa: ARG002
        """The graphs, side by side."""
        trends = choices.trends
        if not choices.extras or not trends.sockets:
            return [EMPTY]
        graphs = (
            ("B/conn", trends.bytes_per_connection, units.exact_bytes),
            ("sockets", trends.sockets, lambda value: units.short_count(round(value), 7)),
            ("TIME_WAIT", trends.time_wait, lambda value: units.short_count(round(value), 7)),
            ("buffers", trends.buffer_bytes, units.compact_size),
        )
        each = columns // len(graphs)
        pieces: list[Piece] = []
        for title, values, shown in graphs:
            known = [value for value in values if value is not None]
            low, high = (shown(min(known)), shown(max(known))) if known else (units.UNKNOWN, units.UNKNOWN)
            ends = low if low == high else f"{low} to {high}"
            room = each - len(title) - len(ends) - 4
            graph = spark(values[-room:]) if room >= LEAST_GRAPH else ""
            text = f"{title} {graph} {ends}"
            pieces += [
                (f"{title} ", "dim"),
                (f"{graph} ", "slice-2"),
                (ends.ljust(max(len(ends), each - len(text) + len(ends))), "dim"),
            ]
        return [tuple(pieces)]


def spark(values: Values) -> str:
    """A character for each value, from the lowest of them to the highest; in the middle where all are one."""
    known = [value for value in values if value is not None]
    if not known:
        return NOT_KNOWN * len(values)
    low, high = min(known), max(known)
    steps = len(LEVELS) - 1
    return "".join(
        NOT_KNOWN
        if value is None
        else LEVELS[round(steps * (value - low) / (high - low))]
        if high > low
        else LEVELS[steps // 2]
        for value in values
    )
