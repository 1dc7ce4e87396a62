"""The main screen with all panes.

`tcptop.view.arrangement` computes the box of each pane from the size of the terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from textual.app import ComposeResult
from textual.geometry import NULL_OFFSET, NULL_SPACING, Region, Size
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.screen import Screen
from textual.widget import Widget

from tcptop.view.arrangement import Box
from tcptop.widgets.buddy_pane import BuddyPane
from tcptop.widgets.cache_explanation_pane import CacheExplanationPane
from tcptop.widgets.caches_pane import CachesPane
from tcptop.widgets.figure_pane import FigurePane
from tcptop.widgets.graphs_pane import GraphsPane
from tcptop.widgets.head_line import HeadLine
from tcptop.widgets.key_line import KeyLine
from tcptop.widgets.limits_pane import LimitsPane
from tcptop.widgets.nodes_pane import NodesPane
from tcptop.widgets.pane import UNTITLED_CLASS, Pane
from tcptop.widgets.tcp_pane import TcpPane
from tcptop.widgets.timeline_pane import TimelinePane

FindBoxes = Callable[[Size], Mapping[str, Box]]
"""Function that takes the size of the screen and returns the box of each pane, by the pane's id."""


def compose_panes() -> ComposeResult:
    """The panes, in the order in which Tab moves the focus."""
    yield HeadLine(id="head")
    yield FigurePane(id="figure")
    yield TcpPane(id="tcp")
    yield LimitsPane(id="limits")
    yield NodesPane(id="nodes")
    yield GraphsPane(id="graphs")
    yield CachesPane(id="caches")
    yield CacheExplanationPane(id="explanation")
    yield BuddyPane(id="buddy")
    yield TimelinePane(id="timeline")
    yield KeyLine(id="keys")


class MainScreen(Screen[object]):
    """The main screen, which has the panes. A pane without a box is not shown."""

    AUTO_FOCUS = ""

    def __init__(self, find_boxes: FindBoxes) -> None:
        super().__init__(id="_default")
        self._find_boxes = find_boxes
        self.boxes: Mapping[str, Box] = {}
        """The boxes of those panes that are visible."""
        self.styles.set_rule("layout", PaneLayout(find_boxes))  # the property `layout` takes only names of layouts

    def on_descendant_focus(self) -> None:
        """Draws the key line again, because the meaning of ENTER depends on the pane with the focus."""
        self.query_one(KeyLine).redraw()

    def place_panes(self, size: Size) -> None:
        """Finds the boxes for a screen of the given size.

        If the boxes have changed, shows the panes that have a box, and hides all other panes.
        """
        boxes = self._find_boxes(size)
        if boxes == self.boxes:
            return
        self.boxes = boxes
        for pane in self.query(Pane):
            box = boxes.get(pane.id or "")
            pane.display = box is not None
            if box is not None:
                pane.set_class(box.titled, "-titled")
                pane.set_class(not box.titled, UNTITLED_CLASS)
                pane.set_class(box.x > 0, "-right")
                pane.set_class(box.x + box.columns < size.width, "-left")
        if self.focused is None or not self.focused.display:
            self.focus_visible_pane()
        self.refresh(layout=True)

    def focus_visible_pane(self) -> None:
        """Focuses the caches pane, or the first visible pane that takes keys if the caches pane is hidden."""
        panes = [pane for pane in self.query(Pane) if pane.display and pane.can_focus]
        self.set_focus(next((pane for pane in panes if isinstance(pane, CachesPane)), panes[0] if panes else None))


class PaneLayout(Layout):
    """Textual layout that places each child at the box that has the child's id."""

    name = "panes"

    def __init__(self, find_boxes: FindBoxes) -> None:
        self._find_boxes = find_boxes

    def arrange(
        self,
        parent: Widget,
        children: list[Widget],
        size: Size,
        greedy: bool = True,  # noqa: ARG002 (as Textual)
    ) -> ArrangeResult:
        """The places of the children on a screen of the given size."""
        parent.pre_layout(self)
        boxes = self._find_boxes(size)
        placed = [(child, boxes[child.id]) for child in children if child.id is not None and child.id in boxes]
        return [WidgetPlacement(Region(*box[:4]), NULL_OFFSET, NULL_SPACING, child) for child, box in placed]
