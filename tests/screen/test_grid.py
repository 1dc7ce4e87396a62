"""Tests of the table: which columns fit a width, and that no two figures of a line read as one."""

from __future__ import annotations

import re

from drive import grouped
from hypothesis import given
from hypothesis import strategies as st

from tcptop.text.units import UNKNOWN
from tcptop.widgets.cell_width import fit_text
from tcptop.widgets.grid import GridColumn, GridRow, fit_columns

FIGURE = st.integers(0, 10**9).map(grouped) | st.just(UNKNOWN)
FIGURES = re.compile(rf"\d{{1,3}}(?: \d{{3}})*|{UNKNOWN}")
COLUMNS = 5

tables = st.lists(st.lists(FIGURE, min_size=COLUMNS, max_size=COLUMNS), min_size=1, max_size=6)


def layout_of(importances: list[int]) -> list[GridColumn]:
    return [GridColumn(title="N", importance=importance) for importance in importances]


@given(tables, st.integers(20, 90), st.permutations(range(COLUMNS)))
def test_adjacent_figures_stay_separate(cells: list[list[str]], columns: int, importances: list[int]) -> None:
    rows = [GridRow(tuple(texts)) for texts in cells]
    layout = layout_of(importances)
    visible, widths, gap = fit_columns(layout, rows, columns)
    for row in rows:
        line = (" " * gap).join(fit_text(row.cells[index], widths[index], left=False) for index in visible)
        assert len(line) <= columns
        assert FIGURES.findall(line) == [row.cells[index] for index in visible]
    # Dropped columns with known figures are less important than all visible ones.
    dropped = {index for index in range(COLUMNS) if any(row.cells[index] != UNKNOWN for row in rows)} - set(visible)
    assert all(importances[gone] < importances[index] for gone in dropped for index in visible)


def test_narrow_width_drops_the_least_important_columns() -> None:
    rows = [GridRow(("TCP", "16 016", "101 286"))]
    layout = [GridColumn("CACHE", left=True, importance=9), GridColumn("OBJS", importance=5), GridColumn("SLABS")]
    assert fit_columns(layout, rows, 40)[0] == [0, 1, 2]
    assert fit_columns(layout, rows, 15)[0] == [0, 1]
    assert fit_columns(layout, rows, 8)[0] == [0]


def test_elastic_column_is_narrowed_before_another_is_dropped() -> None:
    rows = [GridRow(("inet_bind_bucket", "16 016"))]
    layout = [GridColumn("OBJECT", min_width=8, left=True, elastic=True), GridColumn("OBJS", importance=5)]
    visible, widths, _ = fit_columns(layout, rows, 18)
    assert visible == [0, 1]
    assert fit_text(rows[0].cells[0], widths[0]) == "inet_bind_…"
