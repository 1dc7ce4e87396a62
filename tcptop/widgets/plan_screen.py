"""Plan screen (`M`): a form with the numbers of a plan, and the resulting plan, drawn again with each sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from time import localtime, strftime
from typing import Protocol

from textual.events import Key, Paste

from tcptop.explanation.plan_page import plan_page
from tcptop.explanation.plan_words import buffers_text
from tcptop.ledger import Ledger
from tcptop.ledger.plan import Plan, PlanRequest
from tcptop.text import units
from tcptop.text.line import EMPTY_LINE, Line, Piece, Role, paragraph
from tcptop.text.own_command import shell_words
from tcptop.view import View
from tcptop.view.choices import Choices
from tcptop.view.plan_form import BUFFERS, FIELDS, MAX_CHARACTERS, PlanForm
from tcptop.widgets.cell_width import cut_line, first_fitting, first_fitting_line, line_width
from tcptop.widgets.overlay_screen import OverlayScreen
from tcptop.widgets.scroll_pane import TITLE_SEPARATOR, Content, ScrollPane, without_last_heading

GRIDS = ((100, 4), (38, 2), (0, 1))
"""The arrangements of the fields, each as a pair: the minimum width of the pane, and the number of fields side by
side."""
RESULT_LINES = 6
"""Minimum number of lines for the advice and the plan. If the terminal is too low for these lines and the whole form,
the form shows only the fields around the cursor."""
CHOICE_ROOM, NUMBER_ROOM, MAX_BUFFERS_ROOM = 7, MAX_CHARACTERS + 2, 44
"""Widths in columns. CHOICE_ROOM is for the text of a choice, and NUMBER_ROOM for a number. MAX_BUFFERS_ROOM is the
largest width of the field of the buffers, together with the text behind the field."""
MORE = " ↓ more: PgDn"
"""The last visible line if the page goes on below it."""
WIDE_COLUMNS = 180
"""Width from which the nodes and the remarks stand beside the other sections."""
COLUMNS_GAP = "   "
PAGE_COLUMNS = 120
"""Maximum width of the page: longer lines of prose are hard to read."""
START = (
    " The form starts from this machine, as the main screen: half client side, families as now, its buffers"
    " (average buffers, or none), and mini-sockets if it counts those in TIME_WAIT. tcptop plan starts from its"
    " arguments; without them sockets are server side, IPv4 and without data."
)
"""Tells why the form and the command begin with different numbers."""
POSITION_WIDTH = 16
"""Number of columns of the scroll position in the title, with its separator."""
MOVES: Mapping[str, int] = {"enter": 1, "down": 1, "tab": 1, "up": -1, "shift+tab": -1}
STEPS: Mapping[str, int] = {"right": 1, "space": 1, "left": -1}
ROOM = "·"
"""An empty cell in the field of a number."""
CLOSING_CHARACTERS = "qQ"


class PlanSource(Protocol):
    """The feed that delivers the sample on the screen and computes plans for it."""

    def make_plan(self, request: PlanRequest) -> Plan | None:
        """The plan for connections that are added to the connections of the sample; None before the first sample."""
        ...

    def plan_options(self) -> Sequence[str] | None:
        """The options with which `tcptop plan` reads the same sample; None if no options can select this sample."""
        ...

    def plan_origin(self) -> str:
        """The folder, archive or recording of the sample; empty for this machine."""
        ...


class PlanPane(ScrollPane):
    """Pane that shows the form and, below it, the page of the plan, which scrolls."""

    DEFAULT_CSS = """
    PlanPane { width: 100%; height: 100%; padding: 0 1; background: $background; }
    """

    KEEPS_HEADINGS = True

    def __init__(self, form: PlanForm, source: PlanSource) -> None:
        """Takes the form, and the source of the sample on the screen."""
        super().__init__(id="plan", classes="-titled")
        self.form = form
        self._source = source

    def title(self, ledger: Ledger, choices: Choices) -> str:
        """The title: the origin of the sample, and the name of the host.

        Where the main screen counts mini-sockets and the plan has none, it says that the plan is one of open sockets.

        If the sample is not live, the title also gives the time of the sample.
        """
        is_past, time_s = self._view.player is not None or not ledger.live, ledger.taken_at_unix_s
        time = strftime("%Y-%m-%d %H:%M:%S", localtime(time_s)) if is_past and time_s is not None else ""
        origin, of = self._source.plan_origin(), "more than in this sample" if is_past else "more than now"
        name = "Plan of open sockets" if choices.mode == "time_wait" and not self.form.request.time_wait else "Plan"
        titles = [
            TITLE_SEPARATOR.join(filter(None, (name, of, place, ledger.host.name or "", time)))
            for place in (origin, origin.rstrip("/").rpartition("/")[2])
        ]
        return first_fitting(titles, self.max_title_width - POSITION_WIDTH)

    def content(self, ledger: Ledger, choices: Choices, columns: int) -> Content:  # noqa: ARG002
        """A head with the form and a line of advice, and a body with the plan and the command that prints the plan."""
        plan = self._source.make_plan(self.form.request)
        has_buffers = plan is not None and self.form.request.buffer_bytes and self.form.invalid is None
        buffers = buffers_text(plan) if plan is not None and has_buffers else ""
        head = [
            *form_lines(self.form, columns, self.size.height - RESULT_LINES, buffers),
            advice_line(self.form, columns),
        ]
        if plan is None:
            return head, []
        is_last_valid = self.form.invalid is not None
        if columns >= WIDE_COLUMNS:
            page_columns = columns
            left = plan_page(ledger, plan, PAGE_COLUMNS, is_last_valid, "figures")
            room = columns - PAGE_COLUMNS - len(COLUMNS_GAP)
            right = [
                *plan_page(ledger, plan, room, is_last_valid, "details"),
                *paragraph(START, room - 1, "text"),
            ]
            page = side_by_side(left, right)
        else:
            page_columns = min(columns, PAGE_COLUMNS)
            page = plan_page(ledger, plan, page_columns, is_last_valid)
            page += paragraph(START, page_columns - 1, "text")
        options = self._source.plan_options()
        if options is None:
            return head, page
        command = " ".join(filter(None, (self.form.command(plan.tracks_flows), shell_words(options))))
        return head, [*page, EMPTY_LINE, *paragraph(f" As text: {command}", columns - 1, "dim")]

    def lines(self, ledger: Ledger, choices: Choices, columns: int, rows: int) -> Sequence[Line]:
        """The form and the visible part of the page; if the page goes on below, the last line says so."""
        lines = super().lines(ledger, choices, columns, rows)
        if self._first + self._body_height >= self._body_length or self._body_height < 2:
            return lines
        self._body_height -= 1
        return [*without_last_heading(lines[:-1]), ((MORE, "accent"),)]

    def on_key(self, event: Key) -> None:
        """Changes the form; keys that do not change the form are left to the screen."""
        key, character = event.key, event.character or ""
        if key in MOVES:
            self._change(event, self.form.go(MOVES[key]))
        elif key in STEPS:
            self._change(event, self.form.choose(STEPS[key]))
        elif key == "backspace":
            self._change(event, self.form.erase())
        elif len(character) == 1 and character.isprintable() and character not in CLOSING_CHARACTERS:
            self._change(event, self.form.type(character))

    def on_paste(self, event: Paste) -> None:
        """Types the first line of a pasted text."""
        self._change(event, self.form.type(event.text.strip().partition("\n")[0].rstrip()))

    def _change(self, event: Key | Paste, form: PlanForm) -> None:
        event.stop()
        event.prevent_default()
        self.form = form
        self.redraw_after_key()


class PlanScreen(OverlayScreen):
    """Screen of the plan, which ESC and `q` close."""

    PASSED_ON_KEYS = ("ctrl+c", "ctrl+l")
    CLOSES_ON_CLICK = False

    def __init__(self, form: PlanForm, source: PlanSource, ledger: Ledger, view: View) -> None:
        self._plan_pane = PlanPane(form, source)
        super().__init__(self._plan_pane, ledger, view)

    @property
    def form(self) -> PlanForm:
        """The form, which the app keeps when the screen is closed."""
        return self._plan_pane.form


def side_by_side(left: Sequence[Line], right: Sequence[Line]) -> list[Line]:
    """Two columns of lines: the left one takes PAGE_COLUMNS."""
    pairs = zip_longest(left, right, fillvalue=EMPTY_LINE)
    gaps = ((one, other, " " * max(0, PAGE_COLUMNS - line_width(one))) for one, other in pairs)
    return [(*one, (f"{gap}{COLUMNS_GAP}", "text"), *other) if other else one for one, other, gap in gaps]


def form_lines(form: PlanForm, columns: int, max_lines: int, buffers: str) -> list[Line]:
    """The fields in one, two or four columns.

    The cursor moves down each column, and from the end of a column to the top of the next column.

    `buffers` is a text that gives the bytes of a socket's buffers, and how many of these bytes are in use. If there is
    room, the text of `buffers` stands behind the field of the buffers.

    If there are more than `max_lines` lines, only the lines around the cursor are returned. At least one line is always
    returned.
    """
    across = next(number for least, number in GRIDS if columns >= least)
    rows = -(-len(FIELDS) // across)
    grid = [FIELDS[at : at + rows] for at in range(0, len(FIELDS), rows)]
    label_columns = [max(len(field.label) for field in fields) for fields in grid]
    rooms = [NUMBER_ROOM if any(field.parse for field in fields) else CHOICE_ROOM for fields in grid]
    with_buffers = next(at for at, fields in enumerate(grid) if any(field.name == BUFFERS for field in fields))
    rooms[with_buffers] = 0
    rest = columns - sum(label_columns) - sum(rooms) - 2 * across
    rooms[with_buffers] = max(1, min(rest, MAX_BUFFERS_ROOM))
    lines: list[Line] = [
        tuple(
            piece
            for column, (width, room) in enumerate(zip(label_columns, rooms, strict=True))
            for piece in _cell(form, column * rows + row, width, room, buffers)
        )
        for row in range(rows)
    ]
    shown = max(1, min(rows, max_lines))
    first = max(0, min(form.index % rows - shown // 2, rows - shown))
    return lines[first : first + shown]


def _cell(form: PlanForm, index: int, label_columns: int, room: int, buffers: str) -> Line:
    """The label and the value of a field. `›` marks the field with the cursor; dots are the empty cells of a number.

    If a number is too long, its beginning is cut.
    """
    field, text, has_cursor = FIELDS[index], form.texts[index], index == form.index
    sign: Piece = ("›" if has_cursor else " ", "accent")
    label: Piece = (f"{field.label:<{label_columns}} ", "head" if has_cursor else "dim")
    role: Role = "strong"
    if not has_cursor:
        grouped = units.grouped(int(text)) if text.isdecimal() else text
        text = grouped if len(grouped) < room else text
    elif field.parse is None or form.fresh:
        role = "cursor"
    else:
        text += "_"
    if len(text) > room:
        text = f"…{text[1 - room :]}" if room > 1 else "…"
    more = f" ({buffers})" if field.name == BUFFERS and buffers else ""
    more = more if len(text + more) < room else ""
    # Dots show that the user can type a number, and how long the number may be.
    dots = "" if field.parse is None or more else ROOM * (min(room - 1, MAX_CHARACTERS) - len(text))
    return (sign, label, (text, role), (dots, "dim"), (f"{more:<{room - len(text) - len(dots)}}", "text"))


def advice_line(form: PlanForm, columns: int) -> Line:
    """The line of advice below the fields.

    If the text of a field is invalid, the line says what the field accepts. Otherwise the line gives the meaning of the
    current field, and the keys.
    """
    if form.mistake is not None:
        name, _, accepted = form.mistake.partition(": ")
        field = next(each for each in FIELDS if each.label == name)
        short = accepted.rpartition(", not ")[0] or accepted
        texts = (form.mistake, f"{name}: {short}", *([short] if form.refused else [f"{name}: {field.meaning}"]))
        return cut_line(first_fitting_line([((f"! {text}", "warning"),) for text in texts], columns), columns)
    field = form.field
    meaning = form.reason if not form.index and form.reason else field.meaning
    use = "Space ← → change" if field.parse is None else "type a number"
    role: Role = "dim"
    variants: list[Line] = [
        ((f" {meaning}; {use}, ENTER ↓ ↑ next field, PgDn scrolls, ESC closes", role),),
        ((f" {meaning}; {use}, ENTER next field, ESC closes", role),),
        ((f" {meaning}; {use}, ENTER next, ESC closes", role),),
        ((f" {meaning.partition(', of ')[0]}; {use}, ENTER next, ESC closes", role),),
        ((f" {meaning.partition(', of ')[0]}; {use}, ENTER next, ESC", role),),
        ((f" {use}, ENTER next field, ESC closes", role),),
        ((f" {use}, ENTER next, ESC closes", role),),
        ((f" {use}, ENTER next, ESC", role),),
    ]
    return cut_line(first_fitting_line(variants, columns), columns)
