"""Tables for panes, pages and reports: which columns fit a width, and how each row's cells align below the headings."""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from tcptop.text.ascii import report_to_ascii
from tcptop.text.line import Line, Piece, Role, wrap_text
from tcptop.text.units import UNKNOWN

GAP = "  "
"""Gap between columns: two spaces, since a single space separates the digit groups of a number."""
INDENT = "  "
"""Indent of each line of a table in a report."""
MARGIN = " "
"""Indent of each line of a table on an explanation page."""
MIN_TEXT_CHARACTERS = 24
"""Minimum width of a text column in which texts wrap, in characters. If the space beside the figures is narrower than
this minimum, and narrower than the longest text, every text goes below its figures.
"""
MIN_CUT_CHARACTERS = 8
"""The first column is never cut to fewer characters than this."""
EMPTY_CELLS = ("", UNKNOWN)
"""A cell with one of these texts is left out of the note below a row."""
LAST_DIGIT, DIGIT_GROUP = re.compile(r"\d$"), re.compile(r"\d{3}(?= |$)")
"""Two patterns: one matches a text that ends in a digit, the other a text that begins with a group of three digits.
With only one space between the two texts, `12` and `345` would look like the number 12 345.
"""


class Heading(NamedTuple):
    """The title, alignment and width of a column."""

    title: str
    left: bool = False
    importance: int | None = None
    """Importance of the column; columns of low importance are dropped first, and columns with None are never
    dropped."""
    min_width: int = 0
    max_width: int | None = None
    """Width to which longer cells are cut; None for no limit."""
    elastic: bool = False
    """True if the column may be narrowed to its minimum width before other columns are dropped."""


def make_headings(*titles: str, least: Sequence[str] = ()) -> list[Heading]:
    """Makes column headings from titles; a column whose title begins with `<` is aligned left.

    `least` lists the titles of the columns that may be dropped; the first title is dropped first.
    """
    return [
        Heading(title, left=text != title, importance=least.index(title) if title in least else None)
        for text, title in ((text, text.removeprefix("<")) for text in titles)
    ]


class TableRow(NamedTuple):
    """The cells of one row, the text in the last column, and a note below the row."""

    cells: tuple[str, ...]
    text: str = ""
    note: str = ""
    role: Role = "text"


class Layout(NamedTuple):
    """The columns of a table that fit a width."""

    headings: Sequence[Heading]
    visible: Sequence[int]
    """Indices of the columns that fit."""
    widths: Sequence[int]
    """The width of every column, visible or not."""
    gap: str
    width_of: Callable[[str], int]

    @property
    def width(self) -> int:
        """The width of a line of the table, in columns of the terminal."""
        return sum(self.widths[index] for index in self.visible) + len(self.gap) * (len(self.visible) - 1)

    def narrow(self, column: int, by: int) -> "Layout":
        """A copy of the layout with the column narrowed by `by` characters."""
        widths = [*self.widths]
        widths[column] -= by
        return self._replace(widths=widths)

    def cut_first(self, columns: int) -> "Layout":
        """A copy of the layout with a narrower first column, so that a line fits into `columns`.

        The first column keeps at least MIN_CUT_CHARACTERS characters.
        """
        first = self.visible[0]
        return self.narrow(first, max(0, min(self.width - columns, self.widths[first] - MIN_CUT_CHARACTERS)))

    def cells(self, texts: Sequence[str]) -> list[str]:
        """The texts of a row's visible cells, each cut or padded to the width of its column."""
        return [
            fit_text(texts[index], self.widths[index], self.headings[index].left, self.width_of)
            for index in self.visible
        ]

    def text(self, texts: Sequence[str]) -> str:
        """The line of a row as plain text."""
        return self.gap.join(self.cells(texts))

    def line(self, texts: Sequence[str], roles: Sequence[Role]) -> Line:
        """The line of a row as styled pieces, with a role from `roles` for each cell."""
        gaps = ["", *[self.gap] * len(self.visible)]
        return tuple(
            (gap + cell, roles[index]) for gap, cell, index in zip(gaps, self.cells(texts), self.visible, strict=False)
        )

    @property
    def titles(self) -> list[str]:
        """The title of each column, visible or not."""
        return [heading.title for heading in self.headings]


NARROWEST_GAP = " "
"""With this gap, numbers of two columns could look like one, since digits are grouped by spaces."""


def fit_columns(
    headings: Sequence[Heading],
    rows: Sequence[Sequence[str]],
    columns: int | None,
    gap: str = GAP,
    narrow_gap: str = "",
    width_of: Callable[[str], int] = len,
) -> Layout:
    """Chooses the columns that fit a width, and returns their layout.

    If the columns that cannot be dropped do not fit, the layout is wider than `columns`.

    If not all columns fit, first the gap between columns is narrowed, and then one elastic column is narrowed. If the
    table would still be too wide, the least important columns are dropped.

    Args:
        headings: one heading for each column.
        rows: the texts of the cells.
        columns: the width in characters; None if the width is not limited.
        gap: the space between two columns.
        narrow_gap: the space between two columns if not all columns fit; empty if `gap` is kept.
        width_of: function that returns the width of a text.

    """
    titles = [heading.title for heading in headings]
    widths = [
        max(heading.min_width, *map(len if "".join(texts).isascii() else width_of, texts))
        for heading, *texts in zip(headings, titles, *rows, strict=True)
    ]
    widths = [min(width, heading.max_width or width) for width, heading in zip(widths, headings, strict=True)]
    visible = list(range(len(headings)))
    while True:
        parted = separate_numbers(rows, widths, visible) if gap == NARROWEST_GAP else widths
        layout = Layout(headings, visible, parted, gap, width_of)
        if columns is None or layout.width <= columns:
            return layout
        if narrow_gap:
            layout = layout._replace(widths=separate_numbers(rows, widths, visible), gap=narrow_gap)
        over = layout.width - columns
        if over <= 0:
            return layout
        for index in visible:
            if headings[index].elastic and layout.widths[index] - over >= headings[index].min_width:
                return layout.narrow(index, over)
        droppable = [index for index in visible if headings[index].importance is not None]
        if not droppable or len(visible) == 1:
            return layout
        visible.remove(min(droppable, key=lambda index: headings[index].importance or 0))


def separate_numbers(rows: Sequence[Sequence[str]], widths: Sequence[int], visible: Sequence[int]) -> list[int]:
    """The width of every column, computed for a gap of one space between columns.

    If two adjacent numbers, such as `2 304` and `101`, would look like one number, the right column is widened by one.
    """
    wider = [*widths]
    for left, right in pairwise(visible):
        if any(
            len(row[right]) == widths[right] and LAST_DIGIT.search(row[left]) and DIGIT_GROUP.match(row[right])
            for row in rows
        ):
            wider[right] += 1
    return wider


def fit_text(text: str, columns: int, left: bool = True, width_of: Callable[[str], int] = len) -> str:
    """The text, cut or padded to a width of exactly `columns`.

    A cut text ends in `…`. A padded text is left-aligned if `left` is True.
    """
    width = len(text) if text.isascii() else width_of(text)
    if width > columns:
        text = text[: max(0, columns - 1)]
        while width_of(text) > columns - 1 >= 0:
            text = text[:-1]
        text += "…"[:columns]
        width = width_of(text)
    padding = " " * (columns - width)
    return text + padding if left else padding + text


def cut_text(text: str, characters: int) -> str:
    """The text cut to at most `characters` characters; a cut text ends in two dots."""
    return text if len(text) <= characters else f"{text[: characters - 2]}.."


def plain_table(
    headings: Sequence[Heading], rows: Sequence[Sequence[str]], columns: int | None = None, split_at: int = 0
) -> Iterator[str]:
    """The lines of a table in a report, in ASCII: the titles, if there are any, and the rows.

    Cells become ASCII before they are padded, because some replacements are longer than the character.

    If the table is too wide and is not split, columns are dropped, and then the cells of the first column are cut.

    Args:
        headings: one heading for each column.
        rows: the texts of the cells.
        columns: the width of the terminal; None if the width is not limited.
        split_at: the index of a column. A table that is too wide is split before column `split_at`; the second part
            repeats the first column. If `split_at` is 0, a table is never split.

    """
    headings = [heading._replace(title=report_to_ascii(heading.title)) for heading in headings]
    rows = [[report_to_ascii(text) for text in cells] for cells in rows]
    layout = fit_columns(headings, rows, None)
    if columns is not None and layout.width > columns - len(INDENT):
        if split_at:
            yield from plain_table(headings[:split_at], [cells[:split_at] for cells in rows], columns)
            yield ""
            rest = [headings[0], *headings[split_at:]]
            yield from plain_table(rest, [[cells[0], *cells[split_at:]] for cells in rows], columns)
            return
        layout = fit_columns(headings, rows, columns - len(INDENT))
        layout = layout.cut_first(columns - len(INDENT))
        rows = [[cut_text(cells[0], layout.widths[0]), *cells[1:]] for cells in rows]
    for cells in ([layout.titles] if any(layout.titles) else []) + [*rows]:
        yield f"{INDENT}{layout.text(cells)}".rstrip()


def split_table(
    headings: Sequence[Heading], rows: Sequence[Sequence[str]], columns: int, repeated: int = 1
) -> Iterator[str]:
    """The lines of a table in a report that keeps all its columns, in ASCII.

    A table that is wider than `columns` continues below with its other columns; each part repeats the first columns, of
    which there are `repeated`. A part has at least one column beside them, even if it is then too wide.
    """
    texts = [[report_to_ascii(cell) for cell in cells] for cells in rows]
    names, at = list(range(repeated)), repeated
    while at < len(headings):
        end = at + 1
        while end < len(headings):
            shown = [*names, *range(at, end + 1)]
            part = [[cells[index] for index in shown] for cells in texts]
            if fit_columns([headings[index] for index in shown], part, None).width > columns - len(INDENT):
                break
            end += 1
        if at > repeated:
            yield ""
        shown = [*names, *range(at, end)]
        part = [[cells[index] for index in shown] for cells in texts]
        yield from plain_table([headings[index] for index in shown], part)
        at = end


def table_lines(
    headings: Sequence[Heading], rows: Sequence[TableRow], columns: int, narrow_gap: str = ""
) -> list[Line]:
    """The lines of a table on an explanation page; the last column holds texts that wrap.

    If the table is too wide, the least important columns move into notes below the rows. A note leaves out cells whose
    value is unknown. If the remaining columns are still too wide, each row's name goes above the row's figures.

    Args:
        headings: one heading for each cell of a row, and one for the text.
        rows: the rows.
        columns: the width in characters.
        narrow_gap: the space between two columns if the table with its texts is too wide otherwise; empty if the wide
            gap is kept.

    """
    *cell_headings, text_heading = headings
    cells_of_rows = [row.cells for row in rows]
    longest = max((len(row.text) for row in rows), default=0)
    tail = GAP if longest or not narrow_gap else ""
    room = columns - len(MARGIN + tail)
    layout = fit_columns(cell_headings, cells_of_rows, room)
    text_room = min(MIN_TEXT_CHARACTERS, longest)
    if narrow_gap and layout.width > room - text_room:
        narrow = fit_columns(cell_headings, cells_of_rows, room - text_room, narrow_gap=narrow_gap)
        if narrow.width <= room - text_room:
            layout = narrow
        elif layout.width > room:
            layout = fit_columns(cell_headings, cells_of_rows, room, narrow_gap=narrow_gap)
    moved = sorted(
        set(range(len(cell_headings))).difference(layout.visible), key=lambda index: headings[index].importance or 0
    )
    is_stacked = layout.width > room
    if is_stacked:
        layout = layout._replace(visible=layout.visible[1:])
    cells_columns = len(MARGIN + tail) + layout.width
    text_columns = columns - cells_columns
    is_wide = not is_stacked and text_columns >= text_room
    lines: list[Line] = [((f"{MARGIN}{headings[0].title}", "head"),)] if is_stacked else []
    lines.append(((MARGIN + layout.text(layout.titles) + tail + (text_heading.title if is_wide else ""), "head"),))
    for row in rows:
        # If there is no text column beside the figures, the text goes below the figures, like a note.
        beside = wrap_text(row.text, text_columns) if is_wide and row.text else []
        if is_stacked:
            lines += [((MARGIN + name, row.role),) for name in wrap_text(row.cells[0], columns - len(MARGIN))]
        first: list[Piece] = [(MARGIN + layout.text(row.cells) + tail, row.role)]
        if beside:
            first.append((beside[0], "dim"))
        lines.append(tuple(first))
        lines += [((" " * cells_columns, "text"), (text, "dim")) for text in beside[1:]]
        cells = ", ".join(
            f"{headings[index].title.lower()} {row.cells[index]}"
            for index in moved
            if row.cells[index] not in EMPTY_CELLS
        )
        below = [cells, "" if beside else row.text, row.note]
        for text in filter(None, below):
            lines += [(("     ", "text"), (part, "dim")) for part in wrap_text(text, max(20, columns - 5))]
    return lines


def fact_lines(title: str, text: str, columns: int, width: int = 11, role: Role = "dim") -> list[Line]:
    """Lines with a title on the left and a text on the right. The title is padded to `width`, and the text wraps.

    As in paragraphs of pages, the last column stays free.
    """
    texts = wrap_text(text, max(10, columns - width - 3))
    return [((f" {title if not index else '':<{width}} ", role), (part, "text")) for index, part in enumerate(texts)]
