"""Table widget: fixed column titles, rows that scroll, and as many columns as fit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tcptop.ledger import Ledger
from tcptop.text.line import Line
from tcptop.text.units import UNKNOWN
from tcptop.view.choices import Choices
from tcptop.widgets.cell_width import cell_width, fit_text
from tcptop.widgets.scroll_pane import ScrollPane

GAP = 2
NARROW_GAP = 1
LAST_DIGIT, DIGIT_GROUP = re.compile(r"\d$"), re.compile(r"\d{3}(?= |$)")
"""The end of a number, and a text that a reader could take for its next three digits."""


@dataclass(frozen=True, slots=True)
class GridColumn:
    """The title, width and alignment of one column."""

    title: str
    min_width: int = 0
    left: bool = False
    importance: int = 0
    """If not all columns fit, the least important are dropped first."""
    sorted: str = ""
    """The sort mark after the title; empty if the rows are sorted by another column."""
    elastic: bool = False
    """Whether the column is narrowed to its minimum width before others are dropped."""


@dataclass(frozen=True, slots=True)
class GridRow:
    """One row of the table."""

    cells: tuple[str, ...]
    """The text for each column."""
    dim: bool = False
    key: str = ""
    """Identifies the row for a cursor, wherever the row is."""


class Grid(ScrollPane):
    """A table; a subclass gives its columns and rows."""

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 (as Textual)
        super().__init__(id=id, classes=classes)
        self._head: Line = ()
        self._rows: list[Line] = []
        self._keys: list[str] = []
        self._shape: tuple[int, int, tuple[int, ...]] | None = None
        self._widths: list[int] = []

    def grid_columns(self, ledger: Ledger, choices: Choices) -> list[GridColumn]:
        """All columns; those that do not fit are dropped, the least important first."""
        raise NotImplementedError

    def grid_rows(self, ledger: Ledger, choices: Choices) -> list[GridRow]:
        """The rows in order."""
        raise NotImplementedError

    def empty_lines(self, ledger: Ledger, columns: int) -> Sequence[Line]:
        """The lines shown if there is no row."""
        raise NotImplementedError

    def notes(self, ledger: Ledger, columns: int) -> Sequence[Line]:  # noqa: ARG002
        """Fixed lines above the titles."""
        return []

    def head(self, ledger: Ledger, choices: Choices, columns: int) -> Sequence[Line]:
        """The notes and the titles; lays out the rows."""
        self._layout(ledger, choices, columns)
        return [*self.notes(ledger, columns), self._head] if self._rows else []

    def body(self, ledger: Ledger, choices: Choices, columns: int) -> Sequence[Line]:  # noqa: ARG002
        """The rows, laid out by `head`."""
        if not self._rows:
            return self.empty_lines(ledger, columns)
        return self._rows

    def _layout(self, ledger: Ledger, choices: Choices, columns: int) -> None:
        layout = self.grid_columns(ledger, choices)
        rows = self.grid_rows(ledger, choices)
        visible, widths, gap = fit_columns(layout, rows, columns)
        widths = self._steady_widths(visible, widths, gap, columns)
        texts = [layout[index].title + layout[index].sorted for index in visible]
        head = (" " * gap).join(
            fit_text(text, widths[index], layout[index].left) for index, text in zip(visible, texts, strict=True)
        )
        self._head = ((head, "head"),)
        self._keys = [row.key for row in rows]
        self._rows = [
            (
                (
                    (" " * gap).join(
                        fit_text(row.cells[index], widths[index], layout[index].left) for index in visible
                    ),
                    "dim" if row.dim else "text",
                ),
            )
            for row in rows
        ]

    def _steady_widths(self, visible: list[int], widths: list[int], gap: int, columns: int) -> list[int]:
        """The previous widths if they still fit, so that a figure with one digit less moves no column."""
        shape = (columns, gap, tuple(visible))
        previous = self._widths if shape == self._shape and len(self._widths) == len(widths) else widths
        widest = list(map(max, previous, widths))
        fits = sum(widest[index] for index in visible) + gap * (len(visible) - 1) <= columns
        self._shape, self._widths = shape, widest if fits else widths
        return self._widths


def fit_columns(
    layout: Sequence[GridColumn], rows: Sequence[GridRow], columns: int
) -> tuple[list[int], list[int], int]:
    """The indices of the columns that fit, the width of every column, and the gap between two.

    If not all fit, first the gap narrows, then an elastic column, then the least important column is dropped.
    """
    widths = [
        max(
            column.min_width,
            cell_width(column.title) + bool(column.sorted),
            *(cell_width(row.cells[index]) for row in rows),
            1,
        )
        for index, column in enumerate(layout)
    ]
    # A column without any known figure is left out.
    visible = [index for index in range(len(layout)) if not rows or any(row.cells[index] != UNKNOWN for row in rows)]
    while True:
        if sum(widths[index] for index in visible) + GAP * (len(visible) - 1) <= columns:
            return visible, widths, GAP
        narrow = separate_numbers(rows, widths, visible)
        over = sum(narrow[index] for index in visible) + NARROW_GAP * (len(visible) - 1) - columns
        if over <= 0:
            return visible, narrow, NARROW_GAP
        for index in visible:
            if layout[index].elastic and over <= narrow[index] - layout[index].min_width:
                narrow[index] -= over
                return visible, narrow, NARROW_GAP
        if len(visible) == 1:
            widths[visible[0]] = columns
            return visible, widths, NARROW_GAP
        visible.remove(min(visible, key=lambda index: layout[index].importance))


def separate_numbers(rows: Sequence[GridRow], widths: Sequence[int], visible: Sequence[int]) -> list[int]:
    """The widths, one larger where two numbers with one space between them would read as one: `2 304` and `101`."""
    wider = [*widths]
    for left, right in pairwise(visible):
        full_width = widths[right]
        if any(
            len(row.cells[right]) == full_width
            and LAST_DIGIT.search(row.cells[left])
            and DIGIT_GROUP.match(row.cells[right])
            for row in rows
        ):
            wider[right] += 1
    return wider
