"""Each NUMA node's share of TCP's slab memory, for the table of nodes and the title of the caches pane."""

from __future__ import annotations

from collections.abc import Mapping

from tcptop.ledger import Ledger
from tcptop.text import units


def node_shares(ledger: Ledger, gap: str = "") -> Mapping[int, str]:
    """Maps each node whose bytes of TCP are known to its share in per cent; empty if the sum of the bytes is 0."""
    amounts = {node.node: ledger.tcp_bytes_on(node.node) for node in ledger.nodes}
    known = {node: amount for node, amount in amounts.items() if amount is not None}
    if not sum(known.values()):
        return {}
    return dict(zip(known, units.percents_of_whole(list(known.values()), gap), strict=True))
