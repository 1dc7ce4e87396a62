"""Caches pane: the slab caches that hold objects of TCP, or all (`r`), for the machine or for one node."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from tcptop.ledger import Ledger
from tcptop.text import cache_columns as cache_columns
from tcptop.text.cache_columns import COLUMNS, CacheRow, Column
from tcptop.text.line import WARNING, Line, paragraph
from tcptop.view.choices import Choices, node_title, table_node
from tcptop.widgets.cursor_grid import CursorGrid
from tcptop.widgets.grid import GridColumn, GridRow

MAX_OBJECT_WIDTH = 34
SORTED_IMPORTANCE = 98
"""The importance of the sorted column; only the cache's name has a higher one."""


class CachesPane(CursorGrid):
    """One row for each row of slabinfo; `⊃` marks a cache merged with others."""

    def title(self, ledger: Ledger, choices: Choices) -> str:
        """The node, the name filter, the mark, slabinfo's age if stale, and the sorted column if not visible."""
        title = f"{'All' if choices.all_caches else 'TCP'} caches ─ {node_title(ledger, choices)}"
        if choices.name_filter:
            title += f" ─ /{choices.name_filter}"
        if self._view.mark is not None:
            title += " ─ since the mark"
        stale = ledger.sources["slabinfo"].staleness(choices.interval_s)
        if stale and ledger.caches and ledger.sources["slabinfo"].state != "refused":
            title += f" ─ slabinfo {stale}"
        if choices.sort not in {column.id for column in visible_columns(ledger, choices)}:
            title += f" ─ by {cache_columns.find_column(choices.sort).title}"
        return title

    def grid_columns(self, ledger: Ledger, choices: Choices) -> list[GridColumn]:
        """The visible columns, the sorted one marked."""
        return [
            GridColumn(
                title=column.title,
                min_width=column.min_width,
                left=column.left,
                importance=column.importance if column.id != choices.sort else SORTED_IMPORTANCE,
                sorted="" if column.id != choices.sort else ("▾" if column.descending != choices.reverse else "▴"),
                elastic=column.id == "object",
            )
            for column in visible_columns(ledger, choices)
        ]

    def grid_rows(self, ledger: Ledger, choices: Choices) -> list[GridRow]:
        """The caches that pass the filter, in the chosen order."""
        rows = cache_columns.select_rows(
            ledger.caches,
            table_node(ledger, choices),
            only_catalogue=not choices.all_caches,
            name_part=choices.name_filter,
            at_mark=self._view.mark.caches if self._view.mark is not None else None,
        )
        rows = cache_columns.sort_rows(rows, choices.sort, choices.reverse)
        columns = visible_columns(ledger, choices)
        return [
            GridRow(tuple(_cell_text(column, row) for column in columns), _is_idle(row), row.cache.name) for row in rows
        ]

    def empty_lines(self, ledger: Ledger, columns: int) -> Sequence[Line]:
        """Why there is no cache."""
        reason = ledger.sources["slabinfo"].reason or "no cache of TCP's is known"
        if self._view.choices.name_filter:
            which, elsewhere = (
                ("no cache", "") if self._view.choices.all_caches else ("none of TCP's caches", "r looks in all, ")
            )
            reason = f"{which} has {self._view.choices.name_filter!r} in its name: {elsewhere}/ changes it, ESC ends it"
        return paragraph(reason, columns, "text", WARNING)

    def notes(self, ledger: Ledger, columns: int) -> Sequence[Line]:
        """Why a source of the table could not be read, and how to read it."""
        # Only root may read slabinfo and the attributes below /sys/kernel/slab; one line for both is enough.
        refused = ledger.sources["slabinfo"].state == "refused"
        names = ("slabinfo", "slab_links") if refused else ("slabinfo", "slab_links", "slab_counts")
        sources = [ledger.sources[name] for name in names]
        reasons = dict.fromkeys(source.reason for source in sources if source.reason and source.state != "waiting")
        lines = [line for reason in reasons for line in paragraph(reason, columns, "text", WARNING)]
        if self._view.choices.all_caches and table_node(ledger, self._view.choices) is not None:
            lines += paragraph(
                "by node, the kernel is asked for TCP's caches only; = has the machine's", columns, "dim"
            )
        return lines


def visible_columns(ledger: Ledger, choices: Choices) -> list[Column]:
    """The columns of the machine or of a node, without those that are switched off; a saved tree has no rates."""
    scope = "machine" if table_node(ledger, choices) is None else "node"
    return [
        column
        for column in COLUMNS
        if scope in column.scopes
        and (ledger.live or column.id not in ("per_second", "changed"))
        and (choices.extras or column.id != "changed")
        and (choices.columns is None or column.id in (*choices.columns, "cache"))
    ]


def _cell_text(column: Column, row: CacheRow) -> str:
    text = column.text(row)
    if column.id == "cache" and row.cache.aliases:
        return f"{text} ⊃"
    if column.id == "object" and cell_len(text) > MAX_OBJECT_WIDTH:
        return f"{text[: MAX_OBJECT_WIDTH - 1]}…"
    return text


def _is_idle(row: CacheRow) -> bool:
    return row.counts is not None and row.counts.objects == 0
