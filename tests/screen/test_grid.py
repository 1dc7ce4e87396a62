"""The one table: which columns fit a width, and that no two figures of a line read as one."""

from __future__ import annotations

import re

from drive import grouped
from hypothesis import given, settings
from hypothesis import strategies as st

from tcptop.text.units import UNKNOWN
from tcptop.widgets.cell_width import fit_text
from tcptop.widgets.grid import GridColumn, GridRow, fit_columns

A_FIGURE = st.integers(0, 10**9).map(grouped) | st.just(UNKNOWN)
FIGURES = re.compile(rf"\d{{1,3}}(?: \d{{3}})*|{UNKNOWN}")
COLUMNS = 5

tables = st.lists(st.lists(A_FIGURE, min_size=COLUMNS, max_size=COLUMNS), min_size=1, max_size=6)


def layout_of(importances: list[int]) -> list[GridColumn]:
    return [GridColumn(title="N", importance=importance) for importance in importances]


@settings(deadline=None)
@given(tables, st.integers(20, 90), st.permutations(range(COLUMNS)))
def test_figures_are_read_as_they_are_meant(cells: list[list[str]], columns: int, importances: list[int]) -> None:
    rows = [GridRow(tuple(texts)) for texts in cells]
    layout = layout_of(importances)
    chosen, widths, gap = fit_columns(layout, rows, columns)
    for row in rows:
        line = (" " * gap).join(fit_text(row.cells[at], widths[at], left=False) for at in chosen)
        assert len(line) <= columns
        assert FIGURES.findall(line) == [row.cells[at] for at in chosen]
    # What is known and not shown matters less than what is.
    dropped = {at for at in range(COLUMNS) if any(row.cells[at] != UNKNOWN for row in rows)} - set(chosen)
    assert all(importances[at] < importances[kept] for at in dropped for kept in chosen)


def test_a_wide_terminal_drops_nothing_and_a_narrow_one_wraps_nothing() -> None:
    rows = [GridRow(("TCP", "16 016", "101 286"))]
    layout = [GridColumn("CACHE", left=True, importance=9), GridColumn("OBJS", importance=5), GridColumn("SLABS")]
    assert fit_columns(layout, rows, 40)[0] == [0, 1, 2]
    assert fit_columns(layout, rows, 15)[0] == [0, 1]
    assert fit_columns(layout, rows, 8)[0] == [0]


def test_a_name_is_cut_before_a_figure_goes() -> None:
    rows = [GridRow(("inet_bind_bucket", "16 016"))]
    layout = [GridColumn("OBJECT", min_width=8, left=True, elastic=True), GridColumn("OBJS", importance=5)]
    chosen, widths, _ = fit_columns(layout, rows, 18)
    assert chosen == [0, 1]
    assert fit_text(rows[0].cells[0], widths[0]) == "inet_bind_…"
