"""Bar of the parts of a sum, with labels below the bar, and a legend in the order of the bar."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tcptop.ledger import Slice
from tcptop.text import units
from tcptop.text.line import Line, Piece, Role
from tcptop.widgets.cell_width import line_width

RAMP: tuple[Role, ...] = ("slice-1", "slice-2", "slice-3", "slice-4", "slice-5")
"""The colours of five parts, in the order of the parts. The next five parts have the same colours and another
texture."""
TEXTURES = "█▓▒"
"""The fill characters of the first five parts, of the next five, and of all others."""
SIGNS = "█▓▒░=&o:xw"
"""The fill characters of the parts for a screen whose colours cannot tell the parts apart."""


def _fill(index: int, label: str, signs: bool) -> Piece:
    """The fill character and the role (style) of a part."""
    round_of_colours, colour = divmod(index, len(RAMP))
    texture = TEXTURES[min(round_of_colours, len(TEXTURES) - 1)]
    if label == "idle":
        return SIGNS[index % len(SIGNS)] if signs else TEXTURES[0], "idle"
    return SIGNS[index % len(SIGNS)] if signs else texture, RAMP[colour]


def _spans(slices: Sequence[Slice], columns: int) -> list[tuple[int, int]]:
    """For each part, the column of the bar where the part begins, and the column after its end.

    The ends of the parts are rounded, not their lengths, so that all lengths add up to the length of the bar.
    """
    total = sum(part.bytes for part in slices)
    spans: list[tuple[int, int]] = []
    end_bytes, begin = 0.0, 0
    for part in slices:
        end_bytes += part.bytes
        end = round(columns * end_bytes / total) if total > 0 else 0
        spans.append((begin, end))
        begin = end
    return spans


def slice_bar(slices: Sequence[Slice], columns: int, signs: bool = False) -> Line:
    """A bar of exactly `columns` columns; empty if the sum is 0.

    Args:
        slices: the parts.
        columns: the length of the bar.
        signs: gives each part a fill character of its own, for a screen without colours.

    """
    pieces: list[Piece] = []
    for index, (part, (begin, end)) in enumerate(zip(slices, _spans(slices, columns), strict=True)):
        if end > begin:
            fill, role = _fill(index, part.label, signs)
            pieces.append((fill * (end - begin), role))
    return tuple(pieces)


def slice_labels(slices: Sequence[Slice], columns: int, selected: str | None = None) -> tuple[Line, set[int]]:
    """The line below a bar of `columns` columns, and the indices of the parts that it names.

    A part that is long enough has its name and its bytes below it.
    """
    pieces: list[Piece] = []
    named: set[int] = set()
    at = 0
    for index, (part, (begin, end)) in enumerate(zip(slices, _spans(slices, columns), strict=True)):
        if begin < at:
            continue
        name, amount = f"{part.label} ", units.exact_bytes(part.bytes)
        last = index == len(slices) - 1
        role: Role = "cursor" if part.label == selected else "text"
        if len(name) + len(amount) + (not last) > end - begin:
            continue
        texts: list[Piece] = [(name, role), (amount, "strong")]
        named.add(index)
        pieces += [(" " * (begin - at), "text"), *texts]
        at = begin + sum(len(text) for text, _ in texts)
        if at < columns:
            pieces.append((" ", "text"))
            at += 1
    return tuple(pieces), named


def slice_legend(
    slices: Sequence[Slice],
    missing: Sequence[str],
    columns: int,
    selected: str | None = None,
    named: Collection[int] = (),
    signs: bool = False,
    gaps: tuple[str, str] = (" ", "  "),
    max_lines: int | None = None,
    left_out: int = 0,
) -> list[Line]:
    """The legend: each part with its bytes, followed by the names of missing parts.

    If parts are left out, the last line ends with their number, `+3 more`.

    Args:
        slices: the parts.
        missing: the names of the parts whose bytes are unknown.
        columns: the width of the legend.
        selected: the label of the marked part; None for no mark.
        named: the indices of parts that the legend does not name, because the caller names them elsewhere or omits
            them.
        gaps: the gap after the fill character of a part, and the gap between two parts.
        signs: puts the fill character of each part before the name of the part, for a screen without colours. If
            `signs` is false, a block in the colour of the part stands before the name.
        max_lines: the largest number of lines; None for any number.
        left_out: the number of parts in `named` that the caller omits; the number after `+` includes these parts.
    """
    entries: list[Line] = []
    for index, part in enumerate(slices):
        if index not in named:
            key = _fill(index, part.label, signs)
            role: Role = "cursor" if part.label == selected else "text"
            entries.append(
                (key, (gaps[0], "text"), (f"{part.label} ", role), (units.exact_bytes(part.bytes), "strong"))
            )
    entries += [(("? ", "warning"), (name, "text")) for name in missing]
    lines: list[Line] = []
    current: Line = ()
    for number, entry in enumerate(entries):
        longer = (*current, (gaps[1], "text"), *entry) if current else entry
        more: Line = ((f"{gaps[1]}+{left_out + len(entries) - number} more", "dim"),)
        is_last_line = max_lines is not None and len(lines) + 1 >= max_lines
        # On the last line, space is also needed for the number of parts that are left out.
        behind = more if is_last_line and (left_out or number + 1 < len(entries)) else ()
        if current and line_width((*longer, *behind)) > columns:
            if is_last_line:
                return [*lines, (*current, *more)]
            lines.append(current)
            longer = entry
        current = longer
    if current and left_out:
        current = (*current, (f"{gaps[1]}+{left_out} more", "dim"))
    return [*lines, current] if current else lines
