"""Figure pane: bytes per connection in large digits, the parts of this figure, and the cost of the next socket."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from tcptop.kernel.objects import MINI_SOCKETS
from tcptop.ledger import Amount, Attached, ConnectionCost, Ledger, Slice
from tcptop.text import units
from tcptop.text.line import Line, Piece, paragraph, text_of
from tcptop.text.whole_parts import missing_names, whole_parts
from tcptop.view.choices import Choices
from tcptop.widgets.big_number import HEIGHT, draw_big_number
from tcptop.widgets.cell_width import cell_width, first_fitting, first_fitting_line, line_to_ascii, line_width
from tcptop.widgets.head_line import MODE_NAMES
from tcptop.widgets.pane import ASCII_CLASS, TITLE_GAP, Pane
from tcptop.widgets.slice_bar import slice_bar, slice_labels, slice_legend

MINI_STRUCTS = frozenset(item.struct for item in MINI_SOCKETS)
MIN_SHORT_BAR_WIDTH = 4
"""The smallest length of a bar beside its legend, in columns."""
COMPACT_GAPS = (("", "  "), ("", " "))
"""The gaps of a legend beside its bar, the wider ones first."""
BAR_GAP = "  "
"""The gap between a short bar and its legend, whose first block would look like a part of the bar."""
NO_SIGN_GAP = re.compile("^([≤≥≈]) ")
SIGN_WITHOUT_GAP = re.compile("^[≤≥≈](?! )")
TIGHT_COLUMNS = 34
"""In a pane narrower than this, the digits of the large figure are not grouped."""
DEAR = 1.5
"""If a client's socket costs at least this number times a server's, the pane says that it has a port of its own."""
IDLE_SHARE = 0.02
"""If the idle part is at least this share of the average, the text beside the average names the idle part."""
WITHOUT_BUFFERS = ("Bytes per connection without buffers", "Bytes without buffers", "without buffers")
"""Titles for a large figure that does not include buffers. If the large figure does not include buffers, the TCP pane
shows the buffers.
"""
AVERAGE_NEEDS = re.compile(r"an average needs ([\d ]*\d) (\S+)")


class FigurePane(Pane, can_focus=True):
    """Pane of the bytes per connection.

    While the pane has the focus, the left and right keys select a part of the bar, and Enter explains the selected
    part.
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
    """Index of the selected part in the bar."""

    def edge_titles(self, ledger: Ledger, choices: Choices) -> tuple[str, str]:
        """The title, and a note for the right end of the title line. The note is empty if it does not fit."""
        title = self._title(ledger, choices)
        return title, self._note(ledger, choices, self.max_title_width - cell_width(title) - TITLE_GAP)

    def lines(self, ledger: Ledger, choices: Choices, columns: int, rows: int) -> Sequence[Line]:
        """The lines of the figure, its bar, and its parts."""
        in_title = self._note(
            ledger, choices, self.max_title_width - cell_width(self._title(ledger, choices)) - TITLE_GAP
        )
        return figure_lines(
            ledger.costs[choices.mode],
            columns,
            rows,
            self._selected_label() if self.has_focus else None,
            attached=_attached_of(ledger, choices),
            note="" if in_title and self.gutter.top else self._note(ledger, choices, columns),
            ascii_only=self.app.has_class(ASCII_CLASS),
            signs=not self.has_shades,
        )

    @property
    def enter_meaning(self) -> str:
        """ENTER explains the selected part of the bar, if there is a bar."""
        return super().enter_meaning if self._labels() else ""

    def _title(self, ledger: Ledger, choices: Choices) -> str:
        """The title names the accounting mode.

        The title also says if the figure contains attached objects, or if the figure contains no buffers.

        A mini-socket has no buffers.
        """
        mode = MODE_NAMES[choices.mode]
        if choices.mode == "full" and _attached_of(ledger, choices) is None:
            titles = [f"Bytes per connection ─ {mode}, without buffers", *WITHOUT_BUFFERS]
            if _attached_texts(ledger.attached, added=False):
                titles = titles[1:]  # the longest title would leave no room for the note on attached objects
        else:
            added = " + attached" if choices.mode == "full" else ""
            titles = [f"Bytes per connection ─ {mode}{added}", f"Bytes ─ {mode}{added}", f"{mode}{added}"]
        return first_fitting(titles, self.max_title_width)

    def _note(self, ledger: Ledger, choices: Choices, columns: int) -> str:
        """A note about a lab result, computed sizes, an earlier average, or attached objects.

        The note is empty if it does not fit into the title line.
        """
        held_because = ledger.costs[choices.mode].now_held_because
        if ledger.lab is not None:
            reason = ledger.lab.unused_because
            texts = ["with a lab result of this kernel", "lab result"]
            if reason is not None:
                texts = [f"lab result not used: {reason}", "lab result not used"]
        elif ledger.costs[choices.mode].by_family["mix"].accepted.computed:
            texts = ["computed: sizes of structs, rounded as SLUB rounds", "computed from structs", "computed"]
        elif held_because is not None:
            short = held_because.partition(" faster")[0]
            texts = [f"earlier average: {held_because}", f"earlier average: {short}", short]
        elif choices.mode == "full":
            texts = _attached_texts(ledger.attached, choices.attached)
        else:
            texts = []
        return first_fitting((*texts, ""), columns)

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
        slices = large_figure(self._ledger.costs[choices.mode], _attached_of(self._ledger, choices))[2]
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
    note: str = "",
    ascii_only: bool = False,
    signs: bool = False,
) -> list[Line]:
    """The lines of the pane.

    The large figure is the present average; if the average is unknown, it is the cost of one more socket.

    Args:
        cost: the cost in the chosen accounting mode.
        columns: the width of the pane.
        rows: the height of the pane.
        selected: the label of the marked part; None for no mark.
        attached: the attached objects, which are then part of the large figure; None if the figure contains only the
            sockets' own objects.
        note: a note for the last line, if a line is free.
        ascii_only: draws the digits in ASCII.
        signs: gives each part of the bar a fill character of its own, for a screen without shades of colour.
    """
    figure, label, slices, missing = large_figure(cost, attached)
    if rows < HEIGHT:
        return [_text_line(cost, figure, label, columns)]
    tight = columns < TIGHT_COLUMNS
    digits = draw_big_number(figure.replace(" ", "") if tight else figure, ascii_only)
    gap = " " if tight else "  "
    because = cost.now_unknown_because if cost.now_bytes is None else None
    shown = SIGN_WITHOUT_GAP.sub(lambda sign: f"{sign[0]} ", figure)
    captions = _captions(cost, shown, label, because, columns - len(digits[0]) - len(gap), ascii_only)
    lines: list[Line] = [((digits[index], "accent"), (gap, "text"), *captions[index]) for index in range(HEIGHT)]
    free_rows = rows - HEIGHT
    reason: list[Line] = []
    if because and text_of(captions[-1]).strip() not in _reasons(because):
        reason = paragraph(f"no average: {because}", columns, "dim")
    if free_rows == 0 or not (slices or missing):
        return [*lines, *reason][:rows]
    if free_rows == 1:
        # The legend has one line, which names only a few parts. The attached objects come first, because the user asked
        # for them.
        has_attached = attached is not None and len(slices) > len(cost.now_slices)
        first = len(cost.now_slices) if has_attached and selected is None else 0
        legend = _bar_with_legend(slices, missing, columns, selected, signs, first)
        return [*lines, reason[0] if len(reason) == 1 else legend]
    columns -= 1  # leaves a gap before the pane at the right
    bar = slice_bar(slices, columns, signs)
    label_line, named = slice_labels(slices, columns, selected)
    labels = [label_line, *slice_legend(slices, missing, columns, selected, named, signs)]
    if 1 + len(labels) > free_rows:
        labels = slice_legend(slices, missing, columns, selected, signs=signs, max_lines=free_rows - 1)
    notes: list[Line] = [((note, "dim"),)] if note else []
    below = [bar, *labels, *reason, *notes]
    blank: list[Line] = [()] if len(below) < free_rows else []
    return [*lines, *blank, *below][:rows]


def _text_line(cost: ConnectionCost, figure: str, label: str, columns: int) -> Line:
    """One line for a pane that is too low for large digits: the figure as text, and as many other costs as fit."""
    server, client = _next_texts(cost)
    more = [f"one more: server {server}, client {client}", f"one more: {server}"]
    if cost.now_bytes is None:
        more = [f"client {client}"]
    spaced = SIGN_WITHOUT_GAP.sub(lambda sign: f"{sign[0]} ", figure)
    number: Line = ((f"{spaced} B ", "accent"),)
    idle = idle_text(cost)
    labels = dict.fromkeys((label, label.replace("average now", "average")))
    firsts: list[Line] = [(*number, (f"{each}, {idle}", "text")) for each in labels] if idle else []
    firsts.append((*number, (label, "text")))
    lines: list[Line] = []
    for first in firsts:
        lines += [*((*first, (f" · {text}", "dim")) for text in more), first]
    return first_fitting_line(lines, columns)


def _bar_with_legend(
    slices: Sequence[Slice], missing: Sequence[str], columns: int, selected: str | None, signs: bool, start: int
) -> Line:
    """One line with a short bar and, beside the bar, the parts of the legend that fit, from index `start` on.

    If no part is selected and `start` is 0, the smallest parts are left out first. If a part is selected, or `start` is
    not 0, the parts before index `start` are left out. If the selected part still does not fit, the next parts are left
    out until the selected part fits. The number of omitted parts stands at the end.
    """
    slices = [part._replace(label=_without_average(part.label)) for part in slices]
    selected = None if selected is None else _without_average(selected)
    width = columns - MIN_SHORT_BAR_WIDTH - len(BAR_GAP)
    if selected is None and not start:
        smallest_first = sorted(range(len(slices)), key=lambda index: slices[index].bytes)
        for number, gaps in product(range(len(slices)), COMPACT_GAPS):
            without = smallest_first[:number]
            lines = slice_legend(slices, missing, width, None, without, signs, gaps, left_out=number)
            if len(lines) == 1 and line_width(lines[0]) <= width:
                bar = slice_bar(slices, columns - line_width(lines[0]) - len(BAR_GAP), signs)
                return (*bar, (BAR_GAP, "text"), *lines[0])
    for first in range(start, max(start + 1, len(slices))):
        legend = slice_legend(slices, missing, width, selected, range(first), signs, COMPACT_GAPS[-1], 1, first)
        if selected is None or any(role == "cursor" for line in legend for _, role in line):
            break
    text = legend[0] if legend else ()
    return (*slice_bar(slices, columns - line_width(text) - len(BAR_GAP), signs), (BAR_GAP, "text"), *text)


def _without_average(label: str) -> str:
    """The label of a part, in the words for a legend of one line: `TCPv4/6` for `TCP v4/v6 average`."""
    return label.replace("TCP v4/v6 average", "TCPv4/6")


def _captions(
    cost: ConnectionCost, figure: str, label: str, because: str | None, columns: int, ascii_only: bool = False
) -> list[Line]:
    """The three lines beside the large digits, in the longest variant that fits.

    If `ascii_only` is true, the lines are in ASCII, in which a sign such as `≤` takes two columns.
    """

    def fitting(variants: Sequence[Line]) -> Line:
        return first_fitting_line([*map(line_to_ascii, variants)] if ascii_only else variants, columns)

    server, client = _next_texts(cost)
    padding = _bounded(cost.by_family["mix"].accepted.object_bounds, " ")
    reason = first_fitting((*_reasons(because), ""), columns) if because else ""
    titles, beside = _caption_titles(cost, figure, label, reason)
    rows = [("one more: server", server), ("client, own port", client), ("without slab padding", padding)]
    long_rows = [rows[0], ("client with a port of its own", client), rows[2]]
    for table, (title, second) in product((long_rows, rows), beside):
        lines = _captions_with_table(title, second, table)
        if line_width(lines[0]) <= columns:
            return lines
    caption: Line = ((first_fitting(titles, columns), "text"),)
    clients = _named(("client ", client), ("client", client), ("", client))
    own_port = _named(("client with a port of its own ", client), ("client, own port ", client))
    padded: list[Line] = [
        (*each, (f" · {words} ", "dim"), (padding, "strong"))
        for each in (own_port[0], own_port[2], clients[0])
        for words in ("without slab padding", "without padding")
    ]
    # Where a port of its own makes a socket much dearer, its words are more useful than the cost without padding.
    clients = [*padded[:4], *own_port, *clients] if _is_port_dear(cost) else [*padded, *own_port, *clients]
    client_line = fitting(clients)
    if cost.now_bytes is None:
        return [caption, client_line, ((reason, "dim"),)]
    servers = ("one more: server ", "one more: ", "server ", "server", "")
    return [caption, fitting(_named(*((name, server) for name in servers))), client_line]


def _caption_titles(
    cost: ConnectionCost, figure: str, label: str, reason: str
) -> tuple[list[str], list[tuple[str, str]]]:
    """Texts beside the large digits, the longest first, and pairs of texts for two lines beside a table.

    The figure stands beside its large digits as text, too: half blocks are easily misread in some fonts.
    """
    brief = label.removesuffix(" socket").removesuffix(" mini-socket").removesuffix(" now").replace("earlier", "old")
    with_figure = [f"{figure} bytes, {label}", f"{figure} B, {label}"]
    with_figure += [f"{figure} B, {brief}"] if cost.now_held_because is None else []
    others = [f"B {label}", label]
    beside = [*with_figure, others[0]]
    idle = idle_text(cost)
    if not idle:
        return [*with_figure, *others, brief], [(title, reason) for title in beside]
    of_them = idle.replace(" idle", " of them idle")
    titles = [f"{with_figure[0]}, {of_them}", *(f"{title}, {idle}" for title in (*with_figure, *others, brief))]
    pairs = [*((title, reason) for title in titles[:3]), *((title, of_them) for title in beside)]
    return [*titles, idle if label == "average now" else label], pairs


def _captions_with_table(title: str, second: str, table: Sequence[tuple[str, str]]) -> list[Line]:
    """Three lines: the captions at the left, and a table of the costs at the right."""
    left_width = max(cell_width(title), cell_width(second)) + 3
    name_width, value_width = (max(map(cell_width, column)) for column in zip(*table, strict=True))
    lefts: tuple[Piece, ...] = ((title, "text"), (second, "dim"), ("", "dim"))
    return [
        (
            (f"{left:<{left_width}}", role),
            (f"{name:>{name_width}} ", "dim"),
            (f"{value:>{value_width}}", "strong"),
            (" B", "dim"),
        )
        for (left, role), (name, value) in zip(lefts, table, strict=True)
    ]


def _is_port_dear(cost: ConnectionCost) -> bool:
    """True if a local port of its own makes one more socket dearer by at least half, as in TIME_WAIT accounting."""
    mix = cost.by_family["mix"]
    server, client = mix.accepted.slab_bytes, mix.outgoing.slab_bounds(own_port=True)
    return server is not None and client is not None and client.high >= DEAR * server


def idle_text(cost: ConnectionCost) -> str:
    """The idle part of the average as text, `812 B idle`; empty if the part is small, or if there is no average.

    After many connections were closed, their idle objects stay allocated for a while. The average rises suddenly,
    because fewer sockets share the same memory.
    """
    idle, now = cost.idle_bytes_per_socket, cost.now_bytes
    at_most = "≤ " if cost.now_is_at_most else ""
    text = units.exact_bytes(idle, cost.now_is_at_most or None)
    return f"{at_most}{text} B idle" if idle and now and idle >= IDLE_SHARE * now else ""


def _named(*amounts: tuple[str, str]) -> list[Line]:
    """For each pair of a name and an amount, two lines. In the second line, no space follows the sign of the amount."""
    lines: list[Line] = []
    for name, amount in amounts:
        lines += [((name, "dim"), (text, "strong")) for text in (amount, NO_SIGN_GAP.sub(r"\1", amount))]
    return lines


def _reasons(because: str) -> list[str]:
    """Texts with the reason why there is no average, from the longest to the shortest."""
    found = AVERAGE_NEEDS.match(because)
    if found is None:
        return [f"no average: {because}", f"no average: {because.partition(' faster')[0]}"]
    number, things = found.groups()
    no_average = [f"no average {sign} {number} {things}" for sign in ("below", "<")]
    # A bare `below 200 sockets` below the cost of one more would look like a bound on it.
    return [*no_average, f"no average below {number}", f"no average < {number}", "no average"]


def _attached_of(ledger: Ledger, choices: Choices) -> Attached | None:
    """The attached objects that the large figure includes.

    The result is None if the user has not chosen to include attached objects, or if there is no average.
    """
    has_average = choices.mode == "full" and ledger.attached.now_bytes is not None
    return ledger.attached if choices.attached and has_average else None


def _attached_texts(attached: Attached, added: bool) -> list[str]:
    """Texts that give the bytes per socket for each kind of attached object.

    The first text names all kinds; each of the next texts names fewer kinds.

    If `added` is true, the large figure contains the attached objects. If `added` is false, the texts name only kinds
    that certainly exist. If buffers are the only kind that certainly exists, there is no text.
    """
    amounts = [(kind.name, kind.bytes_per_socket) for kind in attached.kinds if kind.may_exist]
    texts = {name: f"{name} {_bounded(amount, ' ')}" for name, amount in amounts if amount and (added or amount.low)}
    if not texts or (not added and texts.keys() == {"buffers"}):
        return []
    before, after = ("with ", "") if added else ("also: ", " (E adds)")
    numbers = range(len(texts), 0, -1)
    shortest = [] if added else ["E adds more"]
    return [*(f"{before}{', '.join([*texts.values()][:number])}{after}" for number in numbers), *shortest]


def large_figure(
    cost: ConnectionCost, attached: Attached | None
) -> tuple[str, str, tuple[Slice, ...], tuple[str, ...]]:
    """The large figure as text, its label, its parts, and the names of missing parts."""
    accepted = cost.by_family["mix"].accepted
    missing = missing_names(accepted)
    is_mini = any(part.object in MINI_STRUCTS for part in accepted.parts)
    slices, label = accepted.slices, f"one more {'mini-socket' if is_mini else 'socket'}"
    if cost.now_bytes is not None and attached is not None:
        lows = [(kind.name, kind.bytes_per_socket.low) for kind in attached.kinds if kind.bytes_per_socket]
        slices = (*cost.now_slices, *(Slice(name, low) for name, low in lows if low))
        bounds, label = attached.now_bytes, "with attached"
    elif cost.now_bytes is not None:
        slices, bounds = cost.now_slices, cost.now_bounds
        label = "average now" if cost.now_held_because is None else "earlier average"
    elif accepted.slab_bytes is None:
        bounds, label = accepted.object_bounds, "without slab padding"
    else:
        bounds = accepted.slab_bounds()
    return _bounded(bounds), label, whole_parts(slices, bounds), missing


def _bounded(bounds: Amount | None, gap: str = "") -> str:
    return units.bounded(bounds, units.exact_bytes, gap)


def _next_texts(cost: ConnectionCost) -> tuple[str, str]:
    """The cost of one more socket at the server side, and at the client side.

    The client's socket has a local port of its own.
    """
    mix = cost.by_family["mix"]
    return _bounded(mix.accepted.slab_bounds(), " "), _bounded(mix.outgoing.slab_bounds(own_port=True), " ")
