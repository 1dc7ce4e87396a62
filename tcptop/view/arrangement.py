"""Arrangement of the panes: which panes a screen of a given size shows, and the lines and columns of each pane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Box(NamedTuple):
    """The place of a pane, in columns and lines from the top left corner of the screen."""

    x: int
    y: int
    columns: int
    rows: int
    titled: bool = False
    """True if the first line of the box is the pane's title."""


class Heights(NamedTuple):
    """The number of lines of each band of panes at a given height of the screen, title lines included."""

    min_rows: int
    """The smallest height of a screen that uses this row of the table HEIGHTS."""
    titled: bool
    """True if the figure pane, the TCP pane and the limits pane have a title line; every pane below always has a title
    line.
    """
    top: int
    """Number of lines of the figure pane and of the TCP pane, which are side by side if the screen is wide enough."""
    limits: int
    caches: int
    """Weight of the caches pane when the remaining lines are divided."""
    buddy: int
    """Weight of the buddy pane when the remaining lines are divided; 0 without a buddy pane."""
    timeline: int
    keys: int


HEIGHTS: Sequence[Heights] = (
    Heights(1, False, top=1, limits=1, caches=0, buddy=0, timeline=0, keys=0),
    Heights(8, False, top=1, limits=1, caches=1, buddy=0, timeline=0, keys=1),
    Heights(11, False, top=3, limits=1, caches=1, buddy=0, timeline=0, keys=1),
    Heights(16, True, top=4, limits=2, caches=1, buddy=1, timeline=1, keys=1),
    Heights(18, True, top=4, limits=3, caches=6, buddy=5, timeline=1, keys=1),
    Heights(22, True, top=5, limits=4, caches=7, buddy=6, timeline=1, keys=1),
    Heights(32, True, top=7, limits=7, caches=13, buddy=12, timeline=4, keys=1),
    Heights(48, True, top=8, limits=9, caches=16, buddy=15, timeline=4, keys=1),
    Heights(58, True, top=9, limits=10, caches=20, buddy=20, timeline=4, keys=1),
)
"""The numbers of lines for each height of the screen, in ascending order of height."""

BESIDE_COLUMNS = 58
"""The smallest width of a screen with the figure pane and the TCP pane side by side."""
SECOND_COLUMNS = 100
"""The smallest width of a screen with a second pane beside the limits pane. The second pane shows the nodes, or the
graphs if the machine has a single node.
"""
WIDE_LIMITS_COLUMNS = 140
"""The smallest width of a band whose limits pane takes three fifths, so that it has the used amounts."""
THIRD_COLUMNS = 150
"""The smallest width of a screen with the graphs beside the TCP pane."""
EXPLANATION_COLUMNS, EXPLANATION_ROWS = 190, 48
"""The smallest size of a screen with a right column, which has the graphs and the explanation of the selected cache."""
NODES_SHARE = 0.3
"""The largest share of the screen's lines that the band with the nodes may take."""
MIN_BLOCKS_ROWS = 5
"""The smallest number of lines below the table of the nodes that shows their free blocks, title line included."""
TALL_ROWS = 32
"""The smallest height of a screen on which the nodes and the graphs have their own panes."""


def arrange(
    columns: int,
    rows: int,
    nodes: int = 0,
    timeline: bool = False,
    graphs: bool = True,
    zoomed: str | None = None,
) -> Mapping[str, Box]:
    """The box of each pane that the screen shows, by the id of the pane.

    Args:
        columns: the width of the screen.
        rows: the height of the screen.
        nodes: the number of NUMA nodes of the machine; a single node has no pane of its own.
        timeline: whether the screen shows a recording.
        graphs: whether there is more than one sample, so that graphs can be drawn.
        zoomed: the id of the pane that takes all lines between the head line and the key line; None for no such pane.
            The table of the nodes takes only the lines that it needs, if enough are left for their free blocks.
    """
    heights = next(each for each in reversed(HEIGHTS) if rows >= each.min_rows or each is HEIGHTS[0])
    table_rows = nodes + 2  # two title lines and a line for each node
    if zoomed is not None and rows > 2:
        below_rows = rows - 2 - table_rows if zoomed == "nodes" else 0
        below_rows = below_rows if below_rows >= MIN_BLOCKS_ROWS else 0
        zoomed_boxes = {
            "head": Box(0, 0, columns, 1),
            zoomed: Box(0, 1, columns, rows - 2 - below_rows, titled=True),
            "keys": Box(0, rows - 1, columns, 1),
        }
        if below_rows:
            zoomed_boxes["buddy"] = Box(0, 1 + table_rows, columns, below_rows, titled=True)
        return zoomed_boxes
    nodes_rows = 0
    if nodes > 1:
        # The table is whole if NODES_SHARE of the screen's lines is enough. The pane never has fewer lines than the
        # limits pane.
        nodes_rows = max(heights.limits, min(table_rows, int(rows * NODES_SHARE)))
    boxes = {"head": Box(0, 0, columns, 1)}
    body_rows = rows - 1 - heights.keys
    if heights.keys:
        boxes["keys"] = Box(0, rows - 1, columns, 1)
    if timeline and heights.timeline:
        body_rows -= heights.timeline
        boxes["timeline"] = Box(0, 1 + body_rows, columns, heights.timeline)
    if columns >= EXPLANATION_COLUMNS and rows >= EXPLANATION_ROWS:
        left = columns * 6 // 10
        graph_rows = heights.top + (nodes_rows or heights.limits) if graphs else 0
        if graphs:
            boxes["graphs"] = Box(left, 1, columns - left, graph_rows, titled=True)
        boxes["explanation"] = Box(left, 1 + graph_rows, columns - left, body_rows - graph_rows, titled=True)
        bands = _bands(left, heights, nodes_rows, with_graphs=False)
    else:
        bands = _bands(columns, heights, nodes_rows, with_graphs=graphs and rows >= TALL_ROWS)
    boxes.update(_stack(bands, body_rows, heights))
    return boxes


class Band(NamedTuple):
    """Panes side by side: the common number of lines, and the name and the number of columns of each pane."""

    rows: int
    panes: tuple[tuple[str, int], ...]


def _bands(columns: int, heights: Heights, nodes_rows: int, with_graphs: bool) -> list[Band]:
    """The bands above the caches pane, from top to bottom."""
    tall = heights.min_rows >= TALL_ROWS
    graphs_on_top = with_graphs and columns >= THIRD_COLUMNS
    if columns < BESIDE_COLUMNS or heights.min_rows < HEIGHTS[2].min_rows:
        tcp_rows = 3 if heights.titled else 2 if heights.min_rows != HEIGHTS[1].min_rows else 1
        bands = [Band(heights.top, (("figure", columns),)), Band(tcp_rows, (("tcp", columns),))]
    elif graphs_on_top:
        figure, tcp = columns * 3 // 8, columns * 5 // 16
        bands = [Band(heights.top, (("figure", figure), ("tcp", tcp), ("graphs", columns - figure - tcp)))]
    else:
        figure = columns * (55 if columns >= SECOND_COLUMNS else 51) // 100
        bands = [Band(heights.top, (("figure", figure), ("tcp", columns - figure)))]
    second = "nodes" if nodes_rows else "graphs" if with_graphs and not graphs_on_top else None
    if tall and second is not None and columns >= SECOND_COLUMNS:
        limits = columns * (60 if columns >= WIDE_LIMITS_COLUMNS else 55) // 100
        bands.append(Band(nodes_rows or heights.limits, (("limits", limits), (second, columns - limits))))
    else:
        bands.append(Band(heights.limits, (("limits", columns),)))
        if tall and second is not None:
            bands.append(Band(nodes_rows or heights.limits, ((second, columns),)))
    return bands


def _stack(bands: Sequence[Band], rows: int, heights: Heights) -> Mapping[str, Box]:
    """The boxes of all panes from top to bottom: the panes of the bands, then the caches pane, then the buddy pane."""
    boxes: dict[str, Box] = {}
    y = 0
    for index, band in enumerate(bands):
        # The lowest screens have no caches pane, so the last band takes the remaining lines.
        band_rows = rows - y if not heights.caches and index == len(bands) - 1 else min(band.rows, rows - y)
        x = 0
        for name, columns in band.panes:
            if band_rows > 0:
                boxes[name] = Box(x, 1 + y, columns, band_rows, heights.titled)
            x += columns
        y += max(0, band_rows)
    left_rows, columns = rows - y, sum(columns for _, columns in bands[0].panes)
    if heights.caches and left_rows > 0:
        shares = heights.caches + heights.buddy
        caches = (left_rows * heights.caches + shares - 1) // shares
        boxes["caches"] = Box(0, 1 + y, columns, caches, titled=True)
        if left_rows > caches:
            boxes["buddy"] = Box(0, 1 + y + caches, columns, left_rows - caches, titled=True)
    return boxes
