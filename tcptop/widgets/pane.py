"""Base class of all panes: draws lines with Textual's line API, and refreshes only lines that have changed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual import events
from textual.binding import Binding
from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip
from textual.style import Style
from textual.widget import Widget

from tcptop.ledger import Ledger
from tcptop.text.line import EMPTY_LINE, Line, Role, text_of
from tcptop.view import View
from tcptop.view.choices import Choices
from tcptop.widgets.cell_width import cell_width, cut_line, line_to_ascii, line_width, to_ascii

LEGEND = re.compile("( ─ [^─]*?)? ?[█▓▒░]")
"""Matches the beginning of a legend in a title, up to its first sign of a bar.

In a pane with the focus the title is reversed, but not from its legend on: a reversed ░ would look like ▓.
"""
TITLE_GAP = 4
"""Minimum number of columns between a title and the note at the right end of the title line."""
ASCII_CLASS = "-ascii"
"""CSS class of an app whose terminal shows ASCII only."""
UNTITLED_CLASS = "-untitled"
"""CSS class of a pane of the main screen that has no title line, because the screen is low."""
TIME_WAIT_CLASS = "-time-wait"
"""CSS class of an app that shows TIME_WAIT accounting."""
SLICES: tuple[Role, ...] = ("slice-1", "slice-2", "slice-3", "slice-4", "slice-5")
ROLE_STYLES: Mapping[Role, str] = {
    "text": "",
    "dim": "$text-muted",
    "strong": "bold",
    "head": "$secondary",
    "accent": "bold $primary",
    "warning": "bold $warning",
    # Without a background of its own, the text of the head line would be grey on red.
    "critical": "bold reverse $error on $background",
    "critical-bar": "$error",
    **{role: f"${role}" for role in SLICES},
    "idle": "$text-muted",
    "cursor": "bold on $secondary 30%",
    "cursor-warning": "bold $warning on $secondary 30%",
    "cursor-accent": "bold $primary on $secondary 30%",
    "cursor-slice-2": "$slice-2 on $secondary 30%",
    "cursor-dim": "$text-muted on $secondary 30%",
    "focus": "reverse",
}
"""The style of each role, in the colours of the theme."""
TIME_WAIT_STYLES: Mapping[Role, str] = {
    **ROLE_STYLES,
    "accent": "bold $time-wait",
    "cursor-accent": "bold $time-wait on $secondary 30%",
    "cursor-slice-2": "$time-wait-2 on $secondary 30%",
    **{role: f"$time-wait-{number}" for number, role in enumerate(SLICES, 1)},
}
"""The style of each role in TIME_WAIT accounting."""

MIN_MARGIN_COLUMNS = 50
"""From this width on, a pane of figures at the right end of the screen leaves its last column free."""


class Pane(Widget):
    """Widget that draws lines, below a title line if the widget has the CSS class `-titled`.

    A subclass returns the lines and the titles of the pane; this class draws those that have changed.
    """

    DEFAULT_CSS = """
    Pane {
        background: $background;
        color: $foreground;
        border-title-color: $secondary;
        border-subtitle-color: $text-muted;
        border-title-style: none;
        &.-titled { border-top: solid $border-blurred; }
        &.-left { padding-right: 1; }
        &.-right { border-left: solid $border-blurred; padding-left: 1; }
        &.-titled:focus { border-top: solid $secondary; }
    }
    """

    LEGEND_ROLES: ClassVar[Mapping[str, Role]] = {}
    """The roles of the signs of a legend in the title, which have the colours of the bars that they explain."""

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 (as Textual)
        super().__init__(id=id, classes=classes)
        self._lines: tuple[Line, ...] = ()
        self._changed: set[int] = set()
        """Rows of the widget that have changed since they were last drawn.

        The rows are counted from the top of the widget's box.
        """
        self._titles = ("", "", False, False)
        self._title_line = (0, False, False)
        """Width of the title line, and whether the pane has a box and a left border, when the titles were last set."""
        self._styles: dict[str, RichStyle] = {}
        self._ledger: Ledger | None = None
        self._view = View()

    def show(self, ledger: Ledger, view: View) -> None:
        """Draws a ledger according to the view state."""
        self.lay_out(ledger, view)
        self.refresh_changes()

    def lay_out(self, ledger: Ledger, view: View) -> None:
        """Lays out a ledger according to the view state, without drawing it.

        `render_changes` or `refresh_changes` must draw the changed lines afterwards.
        """
        self._ledger, self._view = ledger, view
        columns, rows = self.size
        if columns:
            lines = self.lines(ledger, view.choices, columns, rows)
            self.set_titles(*self.edge_titles(ledger, view.choices))  # a title may tell which lines are visible
            if lines and self.has_focus and self.has_class(UNTITLED_CLASS):
                lines = [mark_first_words(lines[0]), *lines[1:]]
            self.set_lines(lines, rows)

    def redraw(self) -> None:
        """Draws the last ledger again, for the current size of the pane."""
        if self._ledger is not None:
            self.show(self._ledger, self._view)

    def redraw_after_key(self) -> None:
        """Draws the last ledger again, unless another press of the same key is already waiting in the queue.

        If another press of the same key is waiting, the pane is drawn after that key press.
        """
        if not getattr(self.app, "key_repeats", False):
            self.redraw()

    def refresh_changes(self) -> None:
        """Lets Textual's compositor draw the changed rows."""
        if self._changed:
            edge, columns = self.gutter, self.outer_size.width
            self.refresh(*(Region(-edge.left, row - edge.top, columns, 1) for row in self._changed))
            self._changed.clear()

    def render_changes(self) -> str:
        """The changed rows as output for the terminal, each after a cursor move; empty if no row changed."""
        x, y, columns, height = self.region
        # Rows that the pane had when it was higher belong to the pane below now.
        rows = sorted(row for row in self._changed if row < height)
        self._changed.clear()
        if not rows:
            return ""
        self._styles_cache.set_dirty(*(Region(0, row, columns, 1) for row in rows))
        strips = self.render_lines(Region(0, rows[0], columns, rows[-1] + 1 - rows[0]))
        console = self.app.console
        return "".join(f"\x1b[{y + row + 1};{x + 1}H{strips[row - rows[0]].render(console)}" for row in rows)

    def edge_titles(self, ledger: Ledger, choices: Choices) -> tuple[str, str]:  # noqa: ARG002
        """The title and the note at the right end of the title line; both are empty unless a subclass has titles."""
        return "", ""

    def lines(self, ledger: Ledger, choices: Choices, columns: int, rows: int) -> Sequence[Line]:
        """The lines for a pane of the given size.

        If there are fewer than `rows` lines, the remaining rows of the pane are blank. If there are more than `rows`
        lines, the last lines are not shown.
        """
        raise NotImplementedError

    def text_to_copy(self) -> str:
        """The text that is copied to the clipboard: the lines of the pane."""
        return "\n".join(text_of(line).rstrip() for line in self._lines).rstrip()

    @property
    def enter_meaning(self) -> str:
        """Name of what ENTER does while the pane has the focus; empty if ENTER does nothing."""
        meanings = [each.description for each in self.BINDINGS if isinstance(each, Binding) and each.key == "enter"]
        return meanings[0] if meanings else ""

    @property
    def max_title_width(self) -> int:
        """Maximum width of a title, in columns.

        At each end, one border cell and one space are not available for the title. In a box, the two corners are not
        available either.
        """
        return self.outer_size.width - (6 if self.styles.border_left[0] else 4)

    @property
    def has_shades(self) -> bool:
        """True if the terminal shows shades of a colour.

        The result is False in ASCII, without colours, and with 16 colours.
        """
        app = self.app
        return not (app.has_class(ASCII_CLASS) or app.no_color or app.console.color_system in (None, "standard"))

    def set_titles(self, title: str, note: str) -> None:
        """Sets the title, and a note at the right end of the title line, as text without markup.

        If the title line is too short for both the title and the note, the note is left out. If the pane has a box, the
        note stands in the lower edge of the box instead.
        """
        in_time_wait = self.app.has_class(TIME_WAIT_CLASS)
        is_boxed, has_left_border = bool(self.styles.border_bottom[0]), bool(self.styles.border_left[0])
        titles, line = (title, note, self.has_focus, in_time_wait), (self.max_title_width, is_boxed, has_left_border)
        # Many titles change with each sample. Textual's properties for titles are not used, because they would refresh
        # the whole pane each time.
        if (titles, line) == (self._titles, self._title_line):
            return
        self._titles, self._title_line = titles, line
        self._changed.add(0)
        if is_boxed:  # Textual adds spaces around the titles
            self._border_title, self._border_subtitle = map(Content, map(self._terminal_text, (title, note)))
            self._changed.add(self.outer_size.height - 1)
            return
        start = "" if has_left_border else " "  # if there is a left border, Textual adds the space
        shown = f"{start}{title} " if title else ""
        content = Content(self._terminal_text(shown))
        for at, sign in enumerate(shown):
            if sign in self.LEGEND_ROLES:
                styles = TIME_WAIT_STYLES if in_time_wait else ROLE_STYLES
                content = content.stylize(styles[self.LEGEND_ROLES[sign]], at, at + 1)
        if self.has_focus:
            legend = LEGEND.search(shown)
            end = legend.start() + 1 if legend is not None else len(content.plain)
            content = content.stylize("reverse", 0, end)
        gap = self.max_title_width - cell_width(title) - cell_width(note)
        if note and gap >= TITLE_GAP:
            edge_style = "$secondary" if self.has_focus else "$border-blurred"
            content += Content(self._terminal_text("─" * (gap - 2))).stylize(edge_style)
            content += Content(self._terminal_text(f" {note} ")).stylize("$text-muted")
        self._border_title = content

    def set_lines(self, lines: Sequence[Line], rows: int) -> None:
        """Sets the lines of the pane, of which the first `rows` are visible."""
        old, self._lines = self._lines, tuple(lines[:rows])
        pairs = enumerate(zip_longest(self._lines, old, fillvalue=EMPTY_LINE), self.gutter.top)
        self._changed.update(row for row, (new_line, old_line) in pairs if new_line != old_line)

    def render_line(self, y: int) -> Strip:
        """Converts a line to a Textual strip."""
        line = self._lines[y] if y < len(self._lines) else EMPTY_LINE
        columns = self.size.width
        if self.app.has_class(ASCII_CLASS):
            line = line_to_ascii(line)
        line = cut_line(line, columns)
        segments = [Segment(text, self._style(role)) for text, role in line]
        return Strip(segments, line_width(line)).adjust_cell_length(columns, self._style("text")).simplify()

    def on_resize(self, _: events.Resize) -> None:
        """Draws the pane for its new size."""
        self._lines = ()
        self.redraw()
        self.refresh()

    def watch_has_focus(self, has_focus: bool) -> None:
        """Draws the pane again, because a pane shows a cursor only while it has the focus."""
        super().watch_has_focus(has_focus)
        self.redraw()

    def notify_style_update(self) -> None:
        """Drops the cached styles, because the theme may have changed."""
        super().notify_style_update()
        self._styles.clear()

    def _terminal_text(self, text: str) -> str:
        """The text, converted to ASCII if the terminal shows only ASCII."""
        return to_ascii(text) if self.app.has_class(ASCII_CLASS) else text

    def _style(self, role: Role) -> RichStyle:
        text = (TIME_WAIT_STYLES if self.app.has_class(TIME_WAIT_CLASS) else ROLE_STYLES)[role]
        style = self._styles.get(text)
        if style is None:
            # Component classes are not used: Textual would apply each class to each pane whenever any style changes,
            # which took a quarter of the start-up time.
            style = self._styles[text] = (self.visual_style + Style.parse(text)).rich_style
        return style


def mark_first_words(line: Line) -> Line:
    """The line with its first piece of words reversed: the mark of the focus in a pane without a title line."""
    words = next((index for index, (text, _) in enumerate(line) if any(map(str.isalnum, text))), None)
    if words is None:
        return line
    text, role = line[words]
    stripped = text.strip()
    before, _, after = text.partition(stripped)
    return (*line[:words], (before, role), (stripped, "focus"), (after, role), *line[words + 1 :])
