"""Figure pane: bytes per connection in large digits, the parts of this figure, and the cost of the next socket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from tcptop.ledger import Amount, Attached, ConnectionCost, Ledger, Slice, SocketCost
from tcptop.text import units
from tcptop.text.line import Line, paragraph
from tcptop.text.table import fit_text
from tcptop.view.choices import Choices
from tcptop.widgets.big_number import HEIGHT, draw_big_number
from tcptop.widgets.cell_width import first_fitting, line_width
from tcptop.widgets.head_line import MODE_NAMES
from tcptop.widgets.pane import ASCII_CLASS, Pane
from tcptop.widgets.slice_bar import slice_bar, slice_legend

MAX_CAPTION_WIDTH = 18
"""Maximum width of the captions beside the large digits, in columns."""
NO_AVERAGE = "no average"
WIDE_COLUMNS = 54
"""Minimum width of the pane, in columns, at which captions and titles are shown in full."""
ROOMY_COLUMNS = 64
"""Minimum width of the pane, in columns, at which each line has space for a note."""


class FigurePane(Pane, can_focus=True):
    """Pane of the bytes per connection.

    While the pane has the focus, the left and right keys select a part of the bar, and Enter explains that part.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "choose_part(-1)", "a part of the bar", show=False),
        Binding("right", "choose_part(1)", "a part of the bar", show=False),
        Binding("enter", "choose", "explain the part", show=False),
    ]

    class PartSelected(Message):
        """Sent when Enter is pressed on a part of the bar."""

        def __init__(self, label: str) -> None:
            super().__init__()
            self.label = label

    _part = 0
    """Index of the selected part of the bar."""

    def edge_titles(self, ledger: Ledger, choices: Choices) -> tuple[str, str]:
        """A title that names the accounting mode, and a subtitle.

        The subtitle is about a computed figure, a missing average, attached objects, or a lab result.
        """
        cost = ledger.costs[choices.mode]
        subtitle = ""
        if cost.by_family["mix"].accepted.computed:
            subtitle = "computed: sizes of structs, rounded as SLUB rounds"
        elif cost.now_held_because is not None:
            subtitle = first_fitting(
                (f"average stands: {cost.now_held_because}", "average stands"), self.max_title_width
            )
        elif cost.now_bytes is None and cost.now_unknown_because:
            subtitle = _no_average_text(cost.now_unknown_because, self.max_title_width)
        elif choices.mode == "full":
            subtitle = _attached_text(ledger.attached, choices.attached, self.max_title_width)
        if ledger.lab is not None:
            reason = ledger.lab.unused_because
            subtitle = "with a lab result of this kernel" if reason is None else f"lab result not used: {reason}"
        added = " + attached" if _attached_of(ledger, choices) else ""
        return f"Bytes per connection ─ {MODE_NAMES[choices.mode]}{added}", subtitle

    def lines(self, ledger: Ledger, choices: Choices, columns: int, rows: int) -> Sequence[Line]:
        """The lines of the figure, its bar, and its parts."""
        selected = self._selected_label() if self.has_focus else None
        return figure_lines(
            ledger.costs[choices.mode],
            columns,
            rows,
            selected,
            attached=_attached_of(ledger, choices),
            with_reason=not self.styles.border_bottom[0],
            ascii_only=self.app.has_class(ASCII_CLASS),
        )

    def action_choose_part(self, step: int) -> None:
        """Selects the next part of the bar if `step` is 1, or the previous part if `step` is -1."""
        labels = self._labels()
        if labels:
            self._part = (min(self._part, len(labels) - 1) + step) % len(labels)
        self.redraw_after_key()

    def action_choose(self) -> None:
        """Sends `PartSelected` for the selected part."""
        label = self._selected_label()
        if label is not None:
            self.post_message(self.PartSelected(label))

    def _labels(self) -> list[str]:
        if self._ledger is None:
            return []
        choices = self._view.choices
        slices = _large_figure(self._ledger.costs[choices.mode], _attached_of(self._ledger, choices))[2]
        return [part.label for part in slices]

    def _selected_label(self) -> str | None:
        labels = self._labels()
        return labels[min(self._part, len(labels) - 1)] if labels else None


def figure_lines(
    cost: ConnectionCost,
    columns: int,
    rows: int,
    selected: str | None = None,
    attached: Attached | None = None,
    with_reason: bool = False,
    ascii_only: bool = False,
) -> list[Line]:
    """The lines of the pane.

    The large figure is the present average or, if the average is unknown, the cost of the next socket.

    Args:
        cost: the cost in the chosen accounting mode.
        columns: the width of the pane.
        rows: the height of the pane.
        selected: the label of the marked part; None for no mark.
        attached: objects that the present average contains in addition to the sockets' own objects; None if the
            average contains only the sockets' own objects.
        with_reason: adds the reason why there is no average, if the reason fits; a bar with only one part is dropped
            to make space for the reason.
        ascii_only: draws the digits in ASCII.

    """
    mix = cost.by_family["mix"]
    figure, label, slices, missing = _large_figure(cost, attached)
    if rows < HEIGHT:
        return [((f"{figure} B ", "accent"), (label, "text"))]
    digits = draw_big_number(figure, ascii_only)
    next_socket = _next_socket_lines(mix.accepted, mix.outgoing, columns)
    because = cost.now_unknown_because if cost.now_bytes is None else None
    caption = label if columns >= WIDE_COLUMNS else label.partition(" ")[0].rstrip(",")
    lines: list[Line] = []
    right_width = max(line_width(line) for line in next_socket)
    left_width = min(columns - right_width - 1, len(digits[0]) + MAX_CAPTION_WIDTH)
    fits = len(digits[0]) + 1 + len(NO_AVERAGE) <= left_width
    captions = [NO_AVERAGE if because and fits else "", caption, "bytes"]
    for index in range(HEIGHT):
        left = fit_text(f"{digits[index]} {captions[index]}", max(0, left_width))
        edge = min(len(digits[index]), len(left))
        lines.append(((left[:edge], "accent"), (left[edge:], "dim"), (" ", "text"), *next_socket[index]))
    parts = slice_legend(slices, missing, columns, selected)
    reason = paragraph(because, columns, "dim") if because and with_reason else []
    free_rows = rows - len(lines) - len(parts) - len(reason)
    if rows > HEIGHT and not (reason and free_rows == 0 and len(slices) == 1):
        lines.append(slice_bar(slices, columns))
        free_rows -= 1
    return [*lines, *parts, *(reason if free_rows >= 0 else [])]


def _no_average_text(text: str, columns: int) -> str:
    """The reason why there is no average; text in brackets is left out if the whole reason does not fit."""
    whole = f"{NO_AVERAGE} yet: {text.removeprefix('an average ')}"
    return first_fitting((whole, whole.partition(" (")[0]), columns)


def _attached_of(ledger: Ledger, choices: Choices) -> Attached | None:
    """The attached objects in the large figure.

    The result is None if the user has not chosen attached objects, or if there is no average.
    """
    has_average = choices.mode == "full" and ledger.attached.now_bytes is not None
    return ledger.attached if choices.attached and has_average else None


def _attached_text(attached: Attached, added: bool, columns: int) -> str:
    """The bytes per socket of as many kinds of attached objects as fit.

    The text is empty if buffers are the only attached objects that surely exist.
    """
    amounts = [(kind.name, kind.bytes_per_socket) for kind in attached.kinds if kind.may_exist]
    texts = {name: f"{name} {_bounded(amount)}" for name, amount in amounts if amount and (added or amount.low)}
    if not texts or (not added and texts.keys() == {"buffers"}):
        return ""
    before, after = ("with ", "") if added else ("besides: ", " (E adds)")
    numbers = range(len(texts), 0, -1)
    return first_fitting([f"{before}{', '.join([*texts.values()][:number])}{after}" for number in numbers], columns)


def _large_figure(
    cost: ConnectionCost, attached: Attached | None
) -> tuple[str, str, tuple[Slice, ...], tuple[str, ...]]:
    """The large figure as text, its label, its parts, and the names of missing parts."""
    accepted = cost.by_family["mix"].accepted
    missing = tuple(name.removeprefix("struct ").partition(" (")[0] for name in accepted.missing)
    if cost.now_bytes is not None and attached is not None:
        lows = [(kind.name, kind.bytes_per_socket.low) for kind in attached.kinds if kind.bytes_per_socket]
        slices = tuple(Slice(name, low) for name, low in lows if low)
        return _bounded(attached.now_bytes), "now, attached too", (*cost.now_slices, *slices), missing
    if cost.now_bytes is not None:
        return _bounded(cost.now_bounds), "now, average", cost.now_slices, missing
    if accepted.slab_bytes is None:
        return _bounded(accepted.object_bounds), "next, objects", accepted.slices, missing
    label = "next, computed" if accepted.computed else "next accepted"
    return _bounded(accepted.slab_bounds()).removeprefix("≈"), label, accepted.slices, missing


def _bounded(bounds: Amount | None) -> str:
    return units.bounded(bounds, units.exact_bytes, gap="")


def _next_socket_lines(accepted: SocketCost, outgoing: SocketCost, columns: int) -> list[Line]:
    """Lines with three costs: next accepted socket, next outgoing socket, and objects of an accepted socket."""
    rows = (
        ("next accepted", _bounded(accepted.slab_bounds()), " (server)"),
        ("outgoing", _bounded(outgoing.slab_bounds(own_port=True)), " own port"),
        ("objects", _bounded(accepted.object_bounds), " structs"),
    )
    if columns < WIDE_COLUMNS:
        return [((f"{title.removeprefix('next '):<8} ", "dim"), (f"{text:>7}", "strong")) for title, text, _ in rows]
    note_width = 9 if columns >= ROOMY_COLUMNS else 0
    return [
        ((f"{title:>13} ", "dim"), (f"{text:>7} B", "strong"), (f"{note:<9}"[:note_width], "dim"))
        for title, text, note in rows
    ]
