"""All nodes, one below the other: where TCP's slabs are, and where the blocks are that more of them can be made of."""

from __future__ import annotations

from collections.abc import Sequence

from tcptop.ledger import Ledger, NodeMemory
from tcptop.text import units
from tcptop.text.line import Line, Piece

BAR_WIDTH = 10
FILLED, REST = "█", "░"
GAP = "  "
"""Two spaces, since one stands between the groups of a number."""
TITLES = ("NODE", "CPUS", "MEMORY", "FREE", "TCP'S", "", "SLABS FREE", "HEADROOM", "")
DROP_ORDER = (8, 5, 1, 6, 2, 3)
"""The columns that go first where the width is too small."""
LEFT_ALIGNED = (False, False, False, False, False, True, False, False, True)


def node_lines(ledger: Ledger, columns: int) -> list[Line]:
    """A line for each node, with a bar for what is uneven; a narrow one goes without bars first."""
    page_bytes = ledger.host.page_size_bytes
    tcp = [ledger.tcp_bytes_on(node.node) for node in ledger.nodes]
    headroom = [node.headroom_sockets for node in ledger.nodes]
    rows = [_row(node, tcp[at], headroom[at], tcp, headroom, page_bytes) for at, node in enumerate(ledger.nodes)]
    widths = [max(map(len, texts)) for texts in zip(TITLES, *rows, strict=True)]
    kept = list(range(len(TITLES)))
    for at in DROP_ORDER:
        if sum(widths[each] + len(GAP) for each in kept) - len(GAP) > columns:
            kept.remove(at)
    title = GAP.join(_align(TITLES[at], widths[at], LEFT_ALIGNED[at]) for at in kept)
    lines: list[Line] = [((title, "head"),)]
    for row in rows:
        pieces: list[Piece] = [
            (
                (GAP if place else "") + _align(row[at], widths[at], LEFT_ALIGNED[at]),
                "text" if TITLES[at] else "slice-2",
            )
            for place, at in enumerate(kept)
        ]
        lines.append(tuple(pieces))
    return lines


def _row(
    node: NodeMemory,
    tcp: float | None,
    headroom: int | None,
    all_tcp: Sequence[float | None],
    all_headroom: Sequence[int | None],
    page_bytes: int | None,
) -> tuple[str, ...]:
    free = node.free_pages * page_bytes if node.free_pages is not None and page_bytes is not None else None
    return (
        str(node.node),
        units.count(node.cpus),
        units.compact_size(node.memory_bytes),
        units.compact_size(free),
        units.compact_size(tcp),
        node_bar(tcp, all_tcp),
        units.count(node.tcp_slabs_free),
        units.count(headroom),
        node_bar(headroom, all_headroom),
    )


def node_bar(amount: float | None, of_all: Sequence[float | None]) -> str:
    """How much it is of the largest; empty where nothing is known."""
    most = max((each for each in of_all if each is not None), default=0)
    if amount is None or not most:
        return ""
    filled = round(BAR_WIDTH * amount / most)
    return FILLED * filled + REST * (BAR_WIDTH - filled)


def _align(text: str, width: int, left: bool) -> str:
    return text.ljust(width) if left else text.rjust(width)
