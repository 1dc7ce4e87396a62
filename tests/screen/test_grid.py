"""Tests of the table: which columns fit a width, and that no two figures of a line look like one number."""

from __future__ import annotations

import re

from drive import grouped
from hypothesis import given
from hypothesis import strategies as st

from tcptop.text.table import Heading, fit_columns
from tcptop.text.units import UNKNOWN

FIGURE = st.integers(0, 10**9).map(grouped) | st.just(UNKNOWN)
FIGURES = re.compile(rf"\d{{1,3}}(?: \d{{3}})*|{UNKNOWN}")
COLUMNS = 5

tables = st.lists(st.lists(FIGURE, min_size=COLUMNS, max_size=COLUMNS), min_size=1, max_size=6)


@given(tables, st.integers(20, 90), st.permutations(range(COLUMNS)))
def test_adjacent_figures_stay_separate(cells: list[list[str]], columns: int, importances: list[int]) -> None:
    headings = [Heading("N", importance=importance) for importance in importances]
    layout = fit_columns(headings, cells, columns, narrow_gap=" ")
    for row in cells:
        line = layout.text(row)
        assert len(line) <= columns
        assert FIGURES.findall(line) == [row[index] for index in layout.visible]
    # Dropped columns are less important than all visible ones.
    dropped = set(range(COLUMNS)) - set(layout.visible)
    assert all(importances[gone] < importances[index] for gone in dropped for index in layout.visible)


def test_narrow_width_drops_the_least_important_columns() -> None:
    rows = [("TCP", "16 016", "101 286")]
    headings = [Heading("CACHE", left=True), Heading("OBJS", importance=5), Heading("SLABS", importance=0)]
    for columns, visible in ((40, [0, 1, 2]), (15, [0, 1]), (8, [0])):
        assert fit_columns(headings, rows, columns, narrow_gap=" ").visible == visible


def test_elastic_column_is_narrowed_before_another_is_dropped() -> None:
    row = ("inet_bind_bucket", "16 016")
    headings = [Heading("OBJECT", min_width=8, left=True, elastic=True), Heading("OBJS", importance=5)]
    assert fit_columns(headings, [row], 18, narrow_gap=" ").text(row) == "inet_bind_… 16 016"


def test_column_that_stays_is_cut_last() -> None:
    row = ("inet_bind_bucket", "16 016")
    headings = [Heading("CACHE", left=True), Heading("OBJS", importance=5)]
    assert fit_columns(headings, [row], 12).cut_first(12).text(row) == "inet_bind_b…"
