"""Layout of the main screen: places each pane at the box that `tcptop.view.arrangement` computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from textual.geometry import NULL_OFFSET, NULL_SPACING, Region, Size
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.widget import Widget

from tcptop.view.arrangement import Box


class PaneLayout(Layout):
    """Textual layout that gives each child the box of its id; a child without a box is not shown."""

    name = "panes"

    def __init__(self, boxes: Callable[[Size], Mapping[str, Box]]) -> None:
        self._boxes = boxes

    def arrange(
        self,
        parent: Widget,
        children: list[Widget],
        size: Size,
        greedy: bool = True,  # noqa: ARG002 (as Textual)
    ) -> ArrangeResult:
        """The placements of the children on a screen of a size."""
        parent.pre_layout(self)
        boxes = self._boxes(size)
        placed = [(child, boxes[child.id]) for child in children if child.id is not None and child.id in boxes]
        return [WidgetPlacement(Region(*box[:4]), NULL_OFFSET, NULL_SPACING, child) for child, box in placed]
