"""The one table widget: columns chosen by width, a fixed head, rows that scroll."""

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
"""What a number ends with, and what could be the next three digits of it."""


@dataclass(frozen=True, slots=True)
class GridColumn:
    """How one column is laid out."""

    title: str
    min_width: int = 0
    left: bool = False
    importance: int = 0
    sorted: str = ""
    """The mark of the column that the rows are sorted by."""
    elastic: bool = False
    """Whether the column may be cut short before others are dropped."""


@dataclass(frozen=True, slots=True)
class GridRow:
    """The texts of one row, one for each column."""

    cells: tuple[str, ...]
    dim: bool = False
    key: str = ""
    """What a cursor on the row stands on, whatever place the row has."""


class Grid(ScrollPane):
    """A table. What its columns and rows are, a pane says."""

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 (as Textual)
        super().__init__(id=id, classes=classes)
        self._head: Line = ()
        self._rows: list[Line] = []
        self._keys: list[str] = []
        self._shape: tuple[int, int, tuple[int, ...]] | None = None
        self._widths: list[int] = []

    def grid_columns(self, ledger: Ledger, choices: Choices) -> list[GridColumn]:
        """All the columns there are; those that do not fit are dropped, the least important first."""
        raise NotImplementedError

    def grid_rows(self, ledger: Ledger, choices: Choices) -> list[GridRow]:
        """The rows in their order."""
        raise NotImplementedError

    def empty_lines(self, ledger: Ledger, columns: int) -> Sequence[Line]:
        """What stands there instead of no rows."""
        raise NotImplementedError

    def notes(self, ledger: Ledger, columns: int) -> Sequence[Line]:  # noqa: ARG002
        """Lines that stay above the titles: what a reader must know first."""
        return []

    def head(self, ledger: Ledger, choices: Choices, columns: int) -> Sequence[Line]:
        """The titles."""
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
        chosen, widths, gap = fit_columns(layout, rows, columns)
        widths = self._steady_widths(chosen, widths, gap, columns)
        texts = [layout[at].title + layout[at].sorted for at in chosen]
        head = (" " * gap).join(
            fit_text(text, widths[at], layout[at].left) for at, text in zip(chosen, texts, strict=True)
        )
        self._head = ((head, "head"),)
        self._keys = [row.key for row in rows]
        self._rows = [
            (
                (
                    (" " * gap).join(fit_text(row.cells[at], widths[at], layout[at].left) for at in chosen),
                    "dim" if row.dim else "text",
                ),
            )
            for row in rows
        ]

    def _steady_widths(self, chosen: list[int], widths: list[int], gap: int, columns: int) -> list[int]:
        """The widths of before where they still do, so that a figure with a digit less moves nothing."""
        shape = (columns, gap, tuple(chosen))
        kept = self._widths if shape == self._shape and len(self._widths) == len(widths) else widths
        widest = list(map(max, kept, widths))
        fits = sum(widest[at] for at in chosen) + gap * (len(chosen) - 1) <= columns
        self._shape, self._widths = shape, widest if fits else widths
        return self._widths


def fit_columns(
    layout: Sequence[GridColumn], rows: Sequence[GridRow], columns: int
) -> tuple[list[int], list[int], int]:
    """Which columns fit, how wide each is, and the gap between them.

    First the gap narrows, then elastic columns shrink to their least width, then the least important column goes.
    """
    widths = [
        max(
            each.min_width,
            cell_width(each.title) + bool(each.sorted),
            *(cell_width(row.cells[at]) for row in rows),
            1,
        )
        for at, each in enumerate(layout)
    ]
    # A column in which nothing is known takes no room.
    chosen = [at for at in range(len(layout)) if not rows or any(row.cells[at] != UNKNOWN for row in rows)]
    while True:
        if sum(widths[at] for at in chosen) + GAP * (len(chosen) - 1) <= columns:
            return chosen, widths, GAP
        narrow = separate_numbers(rows, widths, chosen)
        over = sum(narrow[at] for at in chosen) + NARROW_GAP * (len(chosen) - 1) - columns
        if over <= 0:
            return chosen, narrow, NARROW_GAP
        for at in chosen:
            if layout[at].elastic and over <= narrow[at] - layout[at].min_width:
                narrow[at] -= over
                return chosen, narrow, NARROW_GAP
        if len(chosen) == 1:
            widths[chosen[0]] = columns
            return chosen, widths, NARROW_GAP
        chosen.remove(min(chosen, key=lambda at: layout[at].importance))


def separate_numbers(rows: Sequence[GridRow], widths: Sequence[int], chosen: Sequence[int]) -> list[int]:
    """The widths with a space more where, one space apart, two numbers would read as one: `2 304 101`."""
    wider = [*widths]
    for left, right in pairwise(chosen):
        full = widths[right]
        if any(
            len(row.cells[right]) == full and LAST_DIGIT.search(row.cells[left]) and DIGIT_GROUP.match(row.cells[right])
            for row in rows
        ):
            wider[right] += 1
    return wider
