"""The holders of the sockets as plain text: the table, its sums, and the verdicts."""

from __future__ import annotations

from collections.abc import Sequence

from tcptop.explanation.holder_rows import CGROUP_COLUMNS, Grouping, HolderRow, SortKey, short_cgroup
from tcptop.explanation.holders_page import (
    PEERS_ARE_NETWORKS,
    ROW_HEADINGS,
    TITLES,
    filled_columns,
    holder_cells,
    holder_headings,
    socket_row_cells,
    sum_lines,
    title_text,
    verdict_lines,
)
from tcptop.ledger.holders import Holders
from tcptop.snapshot.socket_table import SocketRow
from tcptop.text.ascii import report_to_ascii
from tcptop.text.line import paragraph, text_of
from tcptop.text.table import MIN_CUT_CHARACTERS, cut_text, plain_table, split_table

COLUMNS = 120
"""Width of the report if standard output is no terminal."""
SORTED_COLUMNS = 18
"""Width that a table of cgroups leaves to the column by which it is sorted."""


def rows_as_text(rows: Sequence[SocketRow], columns: int | None) -> str:
    """Single sockets in ASCII: headings, a line for each socket, and what a peer is; the text ends in a newline."""
    cells = list(map(socket_row_cells, rows))
    columns = columns or COLUMNS
    note = map(text_of, paragraph(PEERS_ARE_NETWORKS, columns, "text")) if rows else ()
    return report_to_ascii("".join(f"{line}\n" for line in (*plain_table(ROW_HEADINGS, cells, columns), *note)))


def who_as_text(holders: Holders, rows: list[HolderRow], by: Grouping, sort: SortKey, columns: int | None) -> str:
    """The report in ASCII; the text ends in a newline."""
    return report_to_ascii("".join(f"{line}\n" for line in who_lines(holders, rows, by, sort, columns)))


def who_lines(
    holders: Holders,
    rows: list[HolderRow],
    by: Grouping,
    sort: SortKey,
    columns: int | None,
    is_split: bool = False,
) -> list[str]:
    """The lines of the report; if `is_split` is true, a table that is too wide continues below, and loses no column."""
    columns = columns or COLUMNS
    headings = holder_headings(by, sort)
    titles = [heading.title for heading in headings]
    headings, cells = filled_columns(headings, [holder_cells(row, by, titles) for row in rows])
    # A cell that is cut ends in two dots. An ellipsis would become three dots in ASCII, and would not fit into the
    # column.
    limits = [heading.max_width or columns for heading in headings]
    if by == "cgroup":
        limits[0] = max(MIN_CUT_CHARACTERS, min(CGROUP_COLUMNS, columns - SORTED_COLUMNS))
    shown = [heading.title for heading in headings]
    cells = [
        [
            cut_text(report_to_ascii(short_cgroup(text, limit, "..") if title == TITLES["cgroup"] else text), limit)
            for text, limit, title in zip(texts, limits, shown, strict=True)
        ]
        for texts in cells
    ]
    lines = [
        title_text(holders, by, sort),
        "",
        *(split_table(headings, cells, columns) if is_split else plain_table(headings, cells, columns)),
        "",
        *map(text_of, verdict_lines(holders, columns)),
        *map(text_of, sum_lines(holders, columns)),
    ]
    return [line.rstrip() for line in lines]
