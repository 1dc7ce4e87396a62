"""What the user chose, and so what the panes show of a ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tcptop.ledger import AccountingMode, GrowthSinceMark, Ledger, NodeMemory
from tcptop.text.cache_columns import DEFAULT_SORT_KEY, SORT_KEYS
from tcptop.view.player import Player
from tcptop.view.timeline import NO_TIMELINE, Timeline
from tcptop.view.trends import NO_TRENDS, Trends

BlockUnit = Literal["blocks", "bytes"]


@dataclass(frozen=True, slots=True)
class Choices:
    """The keys' doing; kept by the app, handed to every pane with each ledger."""

    node: int | None = None
    """None for all nodes."""
    mode: AccountingMode = "full"
    sort: str = SORT_KEYS[DEFAULT_SORT_KEY]
    reverse: bool = False
    block_unit: BlockUnit = "blocks"
    interval_s: float = 1.0
    paused: bool = False
    name_filter: str = ""
    """Only caches whose names have this in them."""
    all_caches: bool = False
    """Also those in which no object of TCP's lies."""
    columns: tuple[str, ...] | None = None
    """The columns of the cache table to show, by their ids; None for all that fit."""
    extras: bool = True
    """Marks on what changed, and graphs."""
    mark: Ledger | None = None
    """What counts are compared with."""
    since: GrowthSinceMark | None = None
    """What came since then."""
    trends: Trends = NO_TRENDS
    """What the app kept of the samples before."""
    recording_path: str | None = None
    """The file that a live screen records into."""
    player: Player | None = None
    """Where in a recording the ledger is from."""
    looking_back: bool = False
    """Whether a live screen shows an earlier sample."""
    timeline: Timeline = NO_TIMELINE
    """The whole of the recording."""


def selected_nodes(ledger: Ledger, choices: Choices) -> tuple[NodeMemory, ...]:
    """The nodes that the choice names: one, or all."""
    return tuple(node for node in ledger.nodes if choices.node is None or node.node == choices.node)


def table_node(ledger: Ledger, choices: Choices) -> int | None:
    """The node whose part of a cache is shown; the machine's figures serve where there is one node only."""
    return None if len(ledger.nodes) <= 1 else choices.node


def node_title(ledger: Ledger, choices: Choices) -> str:
    """How a pane's title names the choice: `node 0 of 4`, `all 4 nodes`, `node 0`."""
    if not ledger.nodes:
        return "no node is known"
    if choices.node is None:
        return f"all {len(ledger.nodes)} nodes" if len(ledger.nodes) != 1 else "the only node"
    if len(ledger.nodes) <= 1:
        return f"node {choices.node}"
    sparse = choices.node >= len(ledger.nodes)
    return f"node {choices.node}{', one' if sparse else ''} of {len(ledger.nodes)}"
