"""Nodes pane: for each NUMA node, the memory of TCP's slabs on each node, and the free blocks for more TCP slabs."""

from __future__ import annotations

from collections.abc import Sequence

from tcptop.ledger import AccountingMode, Ledger
from tcptop.text import units
from tcptop.text.line import Line, Role
from tcptop.text.table import Heading, fit_columns
from tcptop.view.choices import Choices
from tcptop.widgets.scroll_pane import Content, ScrollPane

BAR_WIDTH = 10
FILLED, EMPTY = "█", "░"
HEADINGS = (
    Heading("NODE"),
    Heading("CPUS", importance=3),
    Heading("MEMORY", importance=5),
    Heading("FREE", importance=6),
    Heading("TCP'S"),
    Heading("", left=True, importance=2),
    Heading("SLABS FREE", importance=4),
    Heading("HEADROOM"),
    Heading("", left=True, importance=1),
)
"""Columns of the node table. The columns without a title contain bars; the columns with bars are dropped first."""
ROLES: tuple[Role, ...] = tuple("text" if heading.title else "slice-2" for heading in HEADINGS)


class NodesPane(ScrollPane):
    """Table of the NUMA nodes."""

    def title(self, ledger: Ledger, choices: Choices) -> str:  # noqa: ARG002
        """The title."""
        return "Nodes"

    def content(self, ledger: Ledger, choices: Choices, columns: int) -> Content:
        """The titles of the columns, and a line for each node."""
        titles, *lines = node_lines(ledger, columns, choices.mode)
        return [titles], lines


def node_lines(ledger: Ledger, columns: int, mode: AccountingMode = "full") -> list[Line]:
    """The titles and a line for each node. Bars, which compare the nodes, are dropped first if not all columns fit."""
    page_bytes = ledger.host.page_size_bytes
    tcp = [ledger.tcp_bytes_on(node.node) for node in ledger.nodes]
    nodes = ledger.headroom[mode].nodes
    headroom = [nodes[node.node].without_reclaim if node.node in nodes else None for node in ledger.nodes]
    rows: list[tuple[str, ...]] = []
    for node, tcp_bytes, sockets in zip(ledger.nodes, tcp, headroom, strict=True):
        free_bytes = node.free_pages * page_bytes if node.free_pages is not None and page_bytes is not None else None
        rows.append(
            (
                str(node.node),
                units.count(node.cpus),
                units.compact_size(node.memory_bytes),
                units.compact_size(free_bytes),
                units.compact_size(tcp_bytes),
                node_bar(tcp_bytes, tcp),
                units.count(node.tcp_slabs_free),
                units.count(sockets),
                node_bar(sockets, headroom),
            )
        )
    layout = fit_columns(HEADINGS, rows, columns)
    return [((layout.text(layout.titles), "head"),), *(layout.line(row, ROLES) for row in rows)]


def node_bar(amount: float | None, all_amounts: Sequence[float | None]) -> str:
    """A bar for a node's amount, scaled to the largest amount of any node.

    The text is empty if the node's amount is unknown, or if no node has an amount above 0.
    """
    largest = max((known for known in all_amounts if known is not None), default=0)
    if amount is None or not largest:
        return ""
    filled = round(BAR_WIDTH * amount / largest)
    return FILLED * filled + EMPTY * (BAR_WIDTH - filled)
