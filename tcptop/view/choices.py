"""Choices of the user: accounting (`m`), node, sort order, name filter, units and interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tcptop.ledger import AccountingMode, Ledger, NodeMemory
from tcptop.text.cache_columns import DEFAULT_SORT_KEY, SORT_KEYS

BlockUnit = Literal["blocks", "bytes"]


@dataclass(frozen=True, slots=True)
class Choices:
    """Choices that change only by a key press or the settings file."""

    node: int | None = None
    """Keys 0 to 9, `[`, `]`, `=` and `g`: the node that the panes show; None for all nodes."""
    mode: AccountingMode = "full"
    """Key `m`: the kind of socket whose cost is shown: a full socket, or a TIME_WAIT mini-socket."""
    sort: str = SORT_KEYS[DEFAULT_SORT_KEY]
    """The id of the column by which the cache table is sorted; each sortable column has its own sort key."""
    reverse: bool = False
    """True if the sort order is reversed, because the user pressed the key of the sorted column again."""
    block_unit: BlockUnit = "blocks"
    """Key `y`: the unit of the buddy pane."""
    interval_s: float = 1.0
    """Keys `+`, `-` and `d`: the sampling interval."""
    paused: bool = False
    """Key `z`: True if sampling is paused."""
    name_filter: str = ""
    """Key `/`: filter text; the cache table shows only caches with this text in a name. An empty filter text shows all
    caches."""
    all_caches: bool = False
    """Key `r`: True if the cache table also shows caches that hold no objects of TCP."""
    columns: tuple[str, ...] | None = None
    """Setting: ids of the columns of the cache table; None for all columns that fit."""
    extras: bool = True
    """Key `x`: True if changed caches are marked and the trend line is shown."""
    attached: bool = False
    """Key `E`: True if the average per connection contains epoll items, tracked flows, TLS contexts and buffers."""


DEFAULT_CHOICES = Choices()


def selected_nodes(ledger: Ledger, choices: Choices) -> tuple[NodeMemory, ...]:
    """The chosen node, or all nodes if none is chosen; empty if the ledger does not have the chosen node."""
    return tuple(node for node in ledger.nodes if choices.node is None or node.node == choices.node)


def table_node(ledger: Ledger, choices: Choices) -> int | None:
    """The node whose counts the cache table shows; None for the whole machine.

    The result is also None on a machine with only one node.
    """
    return None if len(ledger.nodes) <= 1 else choices.node


def lacks_counts_by_node(ledger: Ledger) -> bool:
    """True if slab objects are counted only for the whole machine; the cache table then has no counts of a node."""
    waiting = ledger.sources["slab_counts"].state == "waiting"
    counted = any(cache.objects is not None for cache in ledger.caches)
    return counted and not waiting and not any(cache.nodes for cache in ledger.caches)


def node_title(ledger: Ledger, choices: Choices) -> str:
    """The chosen node, as text for a pane's title: `node 0 of 4`, `node 252, one of 4`, `all 4 nodes` or `node 0`."""
    if not ledger.nodes:
        return "no node is known"
    if choices.node is None:
        return f"all {len(ledger.nodes)} nodes" if len(ledger.nodes) != 1 else "the only node"
    if len(ledger.nodes) <= 1:
        return f"node {choices.node}"
    sparse = choices.node >= len(ledger.nodes)
    return f"node {choices.node}{', one' if sparse else ''} of {len(ledger.nodes)}"
