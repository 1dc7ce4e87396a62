"""Node table of the buddy pane: the TCP slabs on each node, and the free blocks for more of them."""

from __future__ import annotations

from collections.abc import Sequence

from tcptop.ledger import Ledger, NodeMemory
from tcptop.text import units
from tcptop.text.line import Line, Piece

BAR_WIDTH = 10
FILLED, EMPTY = "█", "░"
GAP = "  "
"""Two spaces: one separates the digit groups of a number."""
TITLES = ("NODE", "CPUS", "MEMORY", "FREE", "TCP'S", "", "SLABS FREE", "HEADROOM", "")
DROP_ORDER = (8, 5, 1, 6, 2, 3)
"""Indices of the columns that are dropped if not all fit, in that order: first the bars."""
LEFT_ALIGNED = (False, False, False, False, False, True, False, False, True)


def node_lines(ledger: Ledger, columns: int) -> list[Line]:
    """The titles and a line for each node. Bars compare the nodes; they are dropped first if the columns do not fit."""
    page_bytes = ledger.host.page_size_bytes
    tcp = [ledger.tcp_bytes_on(node.node) for node in ledger.nodes]
    headroom = [node.headroom_sockets for node in ledger.nodes]
    rows = [
        _row(node, tcp[index], headroom[index], tcp, headroom, page_bytes) for index, node in enumerate(ledger.nodes)
    ]
    widths = [max(map(len, texts)) for texts in zip(TITLES, *rows, strict=True)]
    visible = list(range(len(TITLES)))
    for column in DROP_ORDER:
        if sum(widths[each] + len(GAP) for each in visible) - len(GAP) > columns:
            visible.remove(column)
    title = GAP.join(_align(TITLES[column], widths[column], LEFT_ALIGNED[column]) for column in visible)
    lines: list[Line] = [((title, "head"),)]
    for row in rows:
        pieces: list[Piece] = [
            (
                (GAP if position else "") + _align(row[column], widths[column], LEFT_ALIGNED[column]),
                "text" if TITLES[column] else "slice-2",
            )
            for position, column in enumerate(visible)
        ]
        lines.append(tuple(pieces))
    return lines


def _row(
    node: NodeMemory,
    tcp_bytes: float | None,
    headroom_sockets: int | None,
    all_tcp: Sequence[float | None],
    all_headroom: Sequence[int | None],
    page_bytes: int | None,
) -> tuple[str, ...]:
    free_bytes = node.free_pages * page_bytes if node.free_pages is not None and page_bytes is not None else None
    return (
        str(node.node),
        units.count(node.cpus),
        units.compact_size(node.memory_bytes),
        units.compact_size(free_bytes),
        units.compact_size(tcp_bytes),
        node_bar(tcp_bytes, all_tcp),
        units.count(node.tcp_slabs_free),
        units.count(headroom_sockets),
        node_bar(headroom_sockets, all_headroom),
    )


def node_bar(amount: float | None, all_amounts: Sequence[float | None]) -> str:
    """A bar for an amount, of full length for the largest of all nodes; empty if unknown or if all are 0."""
    largest = max((known for known in all_amounts if known is not None), default=0)
    if amount is None or not largest:
        return ""
    filled = round(BAR_WIDTH * amount / largest)
    return FILLED * filled + EMPTY * (BAR_WIDTH - filled)


def _align(text: str, width: int, left: bool) -> str:
    return text.ljust(width) if left else text.rjust(width)
