"""The shares of TCP's slab memory on each NUMA node, as the table of nodes and the title of the caches print them."""

from __future__ import annotations

from collections.abc import Mapping

from tcptop.ledger import Ledger
from tcptop.text import units


def node_shares(ledger: Ledger, gap: str = "") -> Mapping[int, str]:
    """Maps each node whose bytes of TCP are known to its share of them, in per cent; empty if they are 0."""
    amounts = {node.node: ledger.tcp_bytes_on(node.node) for node in ledger.nodes}
    known = {node: amount for node, amount in amounts.items() if amount is not None}
    if not sum(known.values()):
        return {}
    return dict(zip(known, units.percents_of_whole(list(known.values()), gap), strict=True))
