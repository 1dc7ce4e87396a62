"""Bytes per connection: one large figure, what it is the sum of, and what the next socket takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual.binding import Binding, BindingType
from textual.message import Message

from tcptop.ledger import ConnectionCost, Ledger, Slice, SocketCost
from tcptop.text import units
from tcptop.text.line import Line, Piece, paragraph
from tcptop.view.choices import Choices
from tcptop.widgets.big_number import HEIGHT, draw_big_number
from tcptop.widgets.cell_width import fit_text, line_width
from tcptop.widgets.head_line import MODE_NAMES
from tcptop.widgets.pane import ASCII_CLASS, Pane
from tcptop.widgets.slice_bar import slice_bar, slice_legend

MAX_CAPTION_WIDTH = 18
NO_AVERAGE = "no average"
WIDE_COLUMNS = 54
ROOMY_COLUMNS = 64


class FigurePane(Pane, can_focus=True):
    """The answer to the one question. With the focus, left and right choose a part of the bar."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "choose_part(-1)", "a part of the bar", show=False),
        Binding("right", "choose_part(1)", "a part of the bar", show=False),
        Binding("enter", "choose", "explain the part", show=False),
    ]

    class PartSelected(Message):
        """Somebody pressed Enter on a part of the figure."""

        def __init__(self, label: str) -> None:
            super().__init__()
            self.label = label

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 (as Textual)
        super().__init__(id=id, classes=classes)
        self._part = 0

    def edge_titles(self, ledger: Ledger, choices: Choices) -> tuple[str, str]:
        """Which accounting it is, and what the large figure leaves out."""
        cost = ledger.costs[choices.mode]
        subtitle = ""
        if cost.by_family["mix"].accepted.computed:
            subtitle = "computed: sizes of structs, rounded as SLUB rounds"
        elif cost.now_bytes is None and cost.now_unknown_because:
            subtitle = _no_average_text(cost.now_unknown_because, self.max_title_width)
        if ledger.lab is not None:
            subtitle = (
                "with a lab result of this kernel"
                if ledger.lab.unused_because is None
                else f"lab result not used: {ledger.lab.unused_because}"
            )
        return f"Bytes per connection ─ {MODE_NAMES[choices.mode]}", subtitle

    def lines(self, ledger: Ledger, choices: Choices, columns: int, rows: int) -> Sequence[Line]:
        """The figure, its bar, and its parts."""
        chosen = self._selected_label() if self.has_focus else None
        return figure_lines(
            ledger.costs[choices.mode],
            columns,
            rows,
            chosen,
            with_reason=not self.styles.border_bottom[0],
            ascii_only=self.app.has_class(ASCII_CLASS),
        )

    def action_choose_part(self, step: int) -> None:
        """Moves to the next part of the bar."""
        labels = self._labels()
        if labels:
            self._part = (min(self._part, len(labels) - 1) + step) % len(labels)
        self.redraw()

    def action_choose(self) -> None:
        """Says which part is chosen."""
        label = self._selected_label()
        if label is not None:
            self.post_message(self.PartSelected(label))

    def watch_has_focus(self, has_focus: bool) -> None:
        """Shows or hides the mark."""
        super().watch_has_focus(has_focus)
        self.redraw()

    def _labels(self) -> list[str]:
        if self._ledger is None:
            return []
        return [each.label for each in _large_figure(self._ledger.costs[self._choices.mode])[2]]

    def _selected_label(self) -> str | None:
        labels = self._labels()
        return labels[min(self._part, len(labels) - 1)] if labels else None


def figure_lines(
    cost: ConnectionCost,
    columns: int,
    rows: int,
    chosen: str | None = None,
    with_reason: bool = False,
    ascii_only: bool = False,
) -> list[Line]:
    """The pane for a size. The large figure is that of now where it is known, else that of the next socket.

    With a reason, why there is no average comes last where there is room; a bar of one part makes room for it.
    """
    mix = cost.by_family["mix"]
    large, label, slices, missing = _large_figure(cost)
    if rows < HEIGHT:
        return [((f"{large} B ", "accent"), (label, "text"))]
    digits = draw_big_number(large, ascii_only)
    sides = _side_lines(mix.accepted, mix.outgoing, columns)
    because = cost.now_unknown_because if cost.now_bytes is None else None
    caption = label if columns >= WIDE_COLUMNS else label.partition(" ")[0].rstrip(",")
    lines: list[Line] = []
    side_width = max(line_width(each) for each in sides)
    room = min(columns - side_width - 1, len(digits[0]) + MAX_CAPTION_WIDTH)
    fits = len(digits[0]) + 1 + len(NO_AVERAGE) <= room
    captions = [NO_AVERAGE if because and fits else "", caption, "bytes"]
    for index in range(HEIGHT):
        left = fit_text(f"{digits[index]} {captions[index]}", max(0, room))
        edge = min(len(digits[index]), len(left))
        lines.append(((left[:edge], "accent"), (left[edge:], "dim"), (" ", "text"), *sides[index]))
    parts = slice_legend(slices, missing, columns, chosen)
    reason = paragraph(because, columns, "dim") if because and with_reason else []
    room_left = rows - len(lines) - len(parts) - len(reason)
    if rows > HEIGHT and not (reason and room_left == 0 and len(slices) == 1):
        lines.append(slice_bar(slices, columns))
        room_left -= 1
    return [*lines, *parts, *(reason if room_left >= 0 else [])]


def _no_average_text(text: str, columns: int) -> str:
    """Why there is no average, without what stands in brackets where that does not fit."""
    whole = f"{NO_AVERAGE} yet: {text.removeprefix('an average ')}"
    return whole if cell_len(whole) <= columns else whole.partition(" (")[0]


def _large_figure(cost: ConnectionCost) -> tuple[str, str, tuple[Slice, ...], tuple[str, ...]]:
    accepted = cost.by_family["mix"].accepted
    short = tuple(name.removeprefix("struct ").partition(" (")[0] for name in accepted.missing)
    if cost.now_bytes is not None:
        sign = "" if accepted.complete else "≥"
        return f"{sign}{units.exact_bytes(cost.now_bytes)}", "now, average", cost.now_slices, short
    if accepted.slab_bytes is None:
        return sum_text(accepted, slabs=False), "next, objects", accepted.slices, short
    label = "next, computed" if accepted.computed else "next accepted"
    return sum_text(accepted), label, accepted.slices, short


def sum_text(side: SocketCost, slabs: bool = True) -> str:
    """The sum of one side, after a `≥` where parts are missing."""
    value = side.slab_bytes if slabs else side.object_bytes
    if value is None:
        return units.UNKNOWN
    return f"{'' if side.complete else '≥'}{units.exact_bytes(value)}"


def _side_lines(accepted: SocketCost, outgoing: SocketCost, columns: int) -> list[Line]:
    """The next socket of each side, and the first without the packing of slabs."""
    most = f"≤{units.exact_bytes(outgoing.high_slab_bytes)}" if outgoing.complete else sum_text(outgoing)
    rows = (
        ("next accepted", f"{'≈' if accepted.complete and accepted.is_range else ''}{sum_text(accepted)}", " (server)"),
        ("outgoing", most, " own port"),
        ("objects", sum_text(accepted, slabs=False), " structs"),
    )
    lines: list[Line] = []
    for title, text, note in rows:
        if columns < WIDE_COLUMNS:
            pieces: list[Piece] = [(f"{title.removeprefix('next '):<8} ", "dim"), (f"{text:>7}", "strong")]
        else:
            pieces = [(f"{title:>13} ", "dim"), (f"{text:>7} B", "strong")]
        if columns >= ROOMY_COLUMNS:
            pieces.append((f"{note:<9}", "dim"))
        lines.append(tuple(pieces))
    return lines
