"""Bytes per connection: one large figure, what it is the sum of, and what the next socket takes."""

from __future__ import annotations

from collections.abc import Sequence

from tcptop import units
from tcptop.ledger import ConnectionCost, Ledger, Side, Slice
from tcptop.widgets.big_number import HEIGHT, big
from tcptop.widgets.choices import Choices
from tcptop.widgets.head_line import MODE_NAMES
from tcptop.widgets.line import Line, Piece, fitted, width
from tcptop.widgets.pane import Pane
from tcptop.widgets.slice_bar import bar, legend

MOST_CAPTION = 18
WIDE = 54
ROOMY = 64


class FigurePane(Pane):
    """The answer to the one question."""

    def titles(self, ledger: Ledger, choices: Choices) -> tuple[str, str]:
        """Which accounting it is, and what the large figure leaves out."""
        cost = ledger.costs[choices.mode]
        subtitle = ""
        if cost.figures["mix"].accepted.computed:
            subtitle = "computed: sizes of structs, rounded as SLUB rounds"
        elif cost.now_bytes is None and cost.now_unknown_because:
            subtitle = f"no average yet: {cost.now_unknown_because}"
        return f"Bytes per connection ─ {MODE_NAMES[choices.mode]}", subtitle

    def lines(self, ledger: Ledger, choices: Choices, columns: int, rows: int) -> Sequence[Line]:
        """The figure, its bar, and its parts."""
        return figure(ledger.costs[choices.mode], columns, rows)


def figure(cost: ConnectionCost, columns: int, rows: int) -> list[Line]:
    """The pane for a size. The large figure is that of now where it is known, else that of the next socket."""
    mix = cost.figures["mix"]
    large, label, slices, missing = _large(cost)
    if rows < HEIGHT:
        return [((f"{large} B ", "accent"), (label, "text"))]
    digits = big(large)
    sides = _sides(mix.accepted, mix.outgoing, columns)
    captions = ["", label, "bytes"] if columns >= WIDE else ["", label.partition(" ")[0].rstrip(","), "bytes"]
    lines: list[Line] = []
    side_width = max(width(each) for each in sides)
    room = min(columns - side_width - 1, len(digits[0]) + MOST_CAPTION)
    for index in range(HEIGHT):
        left = fitted(f"{digits[index]} {captions[index]}", max(0, room))
        edge = min(len(digits[index]), len(left))
        lines.append(((left[:edge], "accent"), (left[edge:], "dim"), (" ", "text"), *sides[index]))
    if rows > HEIGHT:
        lines.append(bar(slices, columns))
    return lines + legend(slices, missing, columns)


def _large(cost: ConnectionCost) -> tuple[str, str, tuple[Slice, ...], tuple[str, ...]]:
    accepted = cost.figures["mix"].accepted
    short = tuple(name.removeprefix("struct ").partition(" (")[0] for name in accepted.missing)
    if cost.now_bytes is not None:
        sign = "" if accepted.complete else "≥"
        return f"{sign}{units.exact_bytes(cost.now_bytes)}", "now, average", cost.now_slices, short
    if accepted.slab_bytes is None:
        return amount(accepted, slabs=False), "next, objects", accepted.slices, short
    label = "next, computed" if accepted.computed else "next accepted"
    return amount(accepted), label, accepted.slices, short


def amount(side: Side, slabs: bool = True) -> str:
    """The sum of one side, after a `≥` where parts are missing."""
    value = side.slab_bytes if slabs else side.object_bytes
    if value is None:
        return units.UNKNOWN
    return f"{'' if side.complete else '≥'}{units.exact_bytes(value)}"


def _sides(accepted: Side, outgoing: Side, columns: int) -> list[Line]:
    """The next socket of each side, and the first without the packing of slabs."""
    up_to = "≤" if outgoing.complete else ""
    rows = (
        ("next accepted", amount(accepted), " (server)"),
        ("outgoing", up_to + amount(outgoing), " own port"),
        ("objects", amount(accepted, slabs=False), " structs"),
    )
    lines: list[Line] = []
    for title, text, note in rows:
        if columns < WIDE:
            pieces: list[Piece] = [(f"{title.removeprefix('next '):<8} ", "dim"), (f"{text:>7}", "strong")]
        else:
            pieces = [(f"{title:>13} ", "dim"), (f"{text:>7} B", "strong")]
        if columns >= ROOMY:
            pieces.append((f"{note:<9}", "dim"))
        lines.append(tuple(pieces))
    return lines
