"""Limits pane: each limit with a bar of its use, its headroom, and the time until it is reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar, NamedTuple

from textual.binding import Binding, BindingType

from tcptop.explanation.limit_texts import (
    NOT_RECORDED_SHORT,
    SOCKETS,
    alarm_reasons,
    alarm_text,
    before_reclaim_text,
    first_limits_text,
    fits_more_text,
    has_alarm,
    has_list,
    headroom_assumption,
    headroom_number,
    headroom_sentences,
    is_here,
    listen_overflows,
    maximum_text,
    memory_fits_text,
    memory_most_text,
    other_notes,
    owner_texts,
    partly_seen_names,
    ratio_text,
    state_role,
    unlooked_names,
    unread_limit_word,
    unread_limits_text,
    used_text,
)
from tcptop.kernel.limits import LIMIT_BY_NAME
from tcptop.ledger import ALARM_STATES, AccountingMode, GrowthSinceMark, Ledger, Limit, LimitState
from tcptop.text import units
from tcptop.text.line import Line, Piece, Role
from tcptop.view.choices import Choices
from tcptop.widgets.cell_width import cell_width, first_fitting, first_fitting_line, line_width
from tcptop.widgets.limits_title import FITS_TITLE, limits_title, title_parts
from tcptop.widgets.scroll_pane import Content, ScrollPane

FAR_S = 2 * 86_400.0
"""The time until a limit is reached is shown only up to this number of seconds.

The growth is measured over only some minutes, so forecasts for a later time would be unreliable.
"""
EIGHTHS = "▏▎▍▌▋▊▉"
"""Characters of a partly filled cell, from one eighth to seven eighths."""
TRACK = "·"
"""An empty cell of a bar."""
BAR_ROLES: dict[LimitState, Role] = {"near": "warning", "pressure": "warning", "full": "critical-bar"}
PERCENT_WIDTH, FITS_WIDTH, NOTE_WIDTH, THEN_WIDTH = 7, 12, 26, 53
MIN_BAR_WIDTH, MAX_BAR_WIDTH = 7, 20
USE_WIDTHS: Sequence[tuple[int, int]] = ((100, 24), (85, 22))
"""The width of the column of the used amounts by the minimum width of the pane, the widest pane first."""
THEN_COLUMNS = 150
"""The minimum width of a pane that also shows what the kernel does when a limit is reached."""
WHO_HINTS = (
    "W: accept queues, open files, ports and CLOSE_WAIT, by process",
    "W: queues, open files, ports, CLOSE_WAIT",
    "W: queues, open files",
)
"""Texts, from long to short, that say where the limits are shown that only a look at the sockets tells."""
OTHERS_GROW = "mostly not TCP"
"""Note on a growing limit of memory if less than half of the growth is TCP's."""
MIN_ROWS_WITH_FOOT = 2
"""Smallest number of lines for limits and the line of those that no look has told."""
SPAN_NOTE_WIDTH = len("average buffers ")
"""Smallest width of the note beside a range of what fits: what the range counts stays beside it."""
TITLE_MARGIN = 2
"""Number of columns at each end of the title line that stay free of titles."""


class Columns(NamedTuple):
    """Widths of the columns of the pane; 0 for a column that is not shown."""

    name: int
    bar: int
    use: int
    note: int
    then: int

    @property
    def fits_end(self) -> int:
        """Number of the column that follows the last digit of the headroom."""
        return self.name + self.bar + 1 + PERCENT_WIDTH + self.use + 2 + self.note + 1 + FITS_WIDTH


class LimitsPane(ScrollPane):
    """Pane of the limits as a table without headings; its title has the headroom of the machine.

    Enter, or the key of the explanation pages, opens the page on headroom.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "app.explain('headroom')", "explain", show=False)]

    def lines(self, ledger: Ledger, choices: Choices, columns: int, rows: int) -> Sequence[Line]:
        """The growth since the mark, if a sample is marked, followed by as many limits as fit.

        Without a look, the last line says which limits it would tell and, if it can be made, how; where a look was
        made, a free line names the key. A limit that a look has found nearly reached, and that does not fit, is in the
        last line.

        Without a title line, the first line has the nearest limit and the machine's headroom.
        """
        foot = unlooked_line(ledger, choices.mode, columns)
        free_rows = rows - (self._view.since is not None)
        has_foot = bool(foot) and free_rows >= MIN_ROWS_WITH_FOOT
        if self._view.player is not None or not ledger.live:
            # A look at past sockets is impossible, so that no alarm makes room for the line.
            has_foot = has_foot and sum(map(has_alarm, shown_limits(ledger, choices.mode))) < free_rows
        lines = super().lines(ledger, choices, columns, rows - has_foot)
        if has_foot:
            return [*lines, foot]
        nearly = self._hidden_nearly_reached(shown_limits(ledger, choices.mode))
        if nearly is not None and len(lines) >= MIN_ROWS_WITH_FOOT + (self._view.since is not None):
            lines = super().lines(ledger, choices, columns, rows - 1)
            return [*lines, self.content(ledger, choices, columns)[1][nearly]]
        if len(lines) < rows and self._can_look(ledger):
            hint = first_fitting((*WHO_HINTS, ""), columns - TITLE_MARGIN)
            lines = [*lines, (("W", "accent"), (hint[1:], "dim"))] if hint else lines
        if self.gutter.top or self._view.since is not None:
            return lines
        return [nearest_line(ledger, choices.mode, columns), *lines[1:]]

    def content(self, ledger: Ledger, choices: Choices, columns: int) -> Content:
        """The growth since the mark, if a sample is marked, and a line for each limit."""
        head = [] if self._view.since is None else [since_mark_line(self._view.since, columns)]
        growth = self._view.growth.get(choices.mode)
        if growth is None:
            return head, limit_lines(ledger, choices.mode, columns, {})
        tcp_per_s = growth.bytes.per_s if growth.bytes is not None else None
        return head, limit_lines(ledger, choices.mode, columns, growth.limits_in_s, tcp_per_s)

    def edge_titles(self, ledger: Ledger, choices: Choices) -> tuple[str, str]:
        """The headroom of the machine in the longest words that fit, and the title of the headroom column."""
        if not self.gutter.top:
            return "", ""
        limits = shown_limits(ledger, choices.mode)
        fits_column = None
        if any(limit.stops_new_sockets and limit.headroom_sockets is not None for limit in limits):
            fits_column = column_widths(limits, self.size.width).fits_end - TITLE_MARGIN - len(FITS_TITLE)
        is_told = self._body_height + (self._view.since is not None) < self.size.height - self.gutter.top
        needs_hint = self._can_look(ledger) and self._body_length >= self._body_height and not is_told
        hint, hidden = WHO_HINTS[-1] if needs_hint else "", self._hidden_alarms(limits)
        where = (self.position, fits_column, self.max_title_width)
        return limits_title(title_parts(ledger, choices.mode, hint, hidden, *where)), ""

    def _can_look(self, ledger: Ledger) -> bool:
        """True if the running kernel can be asked about all sockets (key W)."""
        return is_here(ledger) and self._view.player is None

    def _hidden_nearly_reached(self, limits: Sequence[Limit]) -> int | None:
        """The place of a limit that has no alarm, is nearly reached and is hidden; None if there is none."""
        visible = range(self._first, self._first + self._body_height)
        near = (at for at, limit in enumerate(limits) if limit.is_nearly_reached and not has_alarm(limit))
        return next((at for at in near if at not in visible), None)

    def _hidden_alarms(self, limits: Sequence[Limit]) -> str:
        """The number of alarms on hidden limits, such as `+1 more alarm`; empty if all alarms are visible."""
        visible = range(self._first, self._first + self._body_height)
        number = sum(has_alarm(limit) for index, limit in enumerate(limits) if index not in visible)
        return f"+{number} more alarm{'s' if number > 1 else ''}" if number and self._body_height else ""


def unlooked_line(ledger: Ledger, mode: AccountingMode, columns: int) -> Line:
    """The limits that may be reached first, though the rows do not have them; empty if there are none.

    They are a limit that is not visible here, and those that only a look at the sockets tells, if none was made lately,
    or if it saw only a part of them. Beside the accept queues stands how many connections they have dropped, if any.
    Only a program on a running machine can look at its sockets.
    """
    limits = ledger.limits[mode]
    # A mini-socket has no file, waits in no accept queue and asks for no port.
    names = unlooked_names(limits) if mode == "full" else []
    unread = unread_limits_text(limits, mode)
    hidden = f"{unread} {unread_limit_word(limits, mode)}" if unread else ""
    starts = (f"{hidden}; ", "") if unread else ("",)
    endings: Sequence[str] = (", may come first", "")
    # On a recorded sample, W shows the list that was recorded.
    key: Piece = ("W", "accent") if is_here(ledger) or ledger.recorded else ("tcptop who there", "text")
    ends: Line = ((": ", "text"), key) if ledger.live else ()
    if not names and mode == "full" and ledger.live and (names := partly_seen_names(limits)):
        told, words, endings = names, "not all seen", (", others may come first", *endings)
        ends = (("; ", "text"), key, (" says why", "text"))
    elif names:
        told, words = _names_with_drops(names, ledger), "not looked at"
        if ledger.recorded and ledger.live and ledger.holders is None:
            words, ends = NOT_RECORDED_SHORT, ()
        if ledger.holders is not None and ledger.holders.age_s is not None:
            words += f" for {units.seconds(round(ledger.holders.age_s))}"
    else:
        return ((first_fitting((f"{hidden}, may come first", hidden), columns), "text"),) if unread else ()
    texts = [
        f"{start}{', '.join(each)}   {words}{ending}"
        for each in (told, names)
        for start in starts
        for ending in endings
    ]
    return ((first_fitting(texts, columns - line_width(ends)), "text"), *ends)


def _names_with_drops(names: Sequence[str], ledger: Ledger) -> list[str]:
    dropped = listen_overflows(ledger)
    drops = f" ({units.count(dropped)} dropped so far)" if dropped else ""
    return [f"{name}{drops}" if name.endswith("queues") else name for name in names]


def shown_limits(ledger: Ledger, mode: AccountingMode) -> Sequence[Limit]:
    """The limits of the pane.

    To know the use of some limits, the program must look at all sockets. The pane leaves out each of these limits,
    unless the limit has an alarm or a look has found it nearly reached; the headroom page shows all limits. If the use
    of no other limit is known, all limits are returned.
    """
    limits = ledger.limits[mode].rows
    shown = [
        limit
        for limit in limits
        if not LIMIT_BY_NAME[limit.name].needs_look or limit.state in ALARM_STATES or limit.is_nearly_reached
    ]
    return shown if any(has_bar(limit) for limit in shown) else limits


def limit_lines(
    ledger: Ledger,
    mode: AccountingMode,
    columns: int,
    limits_in_s: Mapping[str, float],
    tcp_per_s: float | None = None,
) -> list[Line]:
    """A line for each limit.

    `tcp_per_s` is the growth of TCP's memory in bytes per second; None if unknown. If the machine's memory grows by
    more than twice as much, the note on memory says so.

    The limits whose use is unknown come last. The line of a limit whose use is unknown gives the reason, as far as the
    reason fits.
    """
    limits = shown_limits(ledger, mode)
    widths = column_widths(limits, columns)
    lines: list[Line] = []
    for limit in limits:
        use = first_fitting(_use_texts(limit), widths.use - 2) if widths.use else ""
        in_s = limits_in_s.get(limit.name)
        others_grow = limit.name == "memory" and in_s is not None and _others_grow(limit, in_s, tcp_per_s)
        span = memory_fits_text(ledger.headroom[mode]) if limit.name == "memory" and limit.headroom_low else ""
        has_span = bool(span) and cell_width(span) + SPAN_NOTE_WIDTH <= widths.note + FITS_WIDTH
        notes = _note_texts(ledger, mode, limit, in_s, others_grow, has_span)
        note = first_fitting(notes, widths.note)
        up = limit.shows_upper_bound
        fits = first_fitting(
            [
                fits_more_text(limit, partial(units.rough_count, up=up)),
                fits_more_text(limit, partial(units.short_count, width=FITS_WIDTH - 2, up=up)),
                fits_more_text(limit, partial(units.short_count, width=FITS_WIDTH - len("≈  left"), up=up)),
            ],
            FITS_WIDTH,
        )
        note_width = widths.note
        if has_span:
            fits, note_width = span, widths.note + FITS_WIDTH - cell_width(span)
            note = first_fitting(notes, note_width)
        elif limit.owner:
            # What fits in one process or listener is a short text, so its name may take the free columns.
            named = first_fitting(notes, widths.note + FITS_WIDTH - cell_width(fits))
            if cell_width(named) > widths.note:
                note, note_width = named, cell_width(named)
        fits_width = widths.note + FITS_WIDTH - note_width
        then = first_fitting([limit.then, limit.then.partition(";")[0], limit.then.partition(",")[0]], widths.then)
        lines.append(
            (
                *_name_and_bar(limit, widths),
                (f" {_percent_text(limit):>{PERCENT_WIDTH}}", _use_role(limit)),
                (f"{use:>{widths.use}}  {note:<{note_width}} ", "dim"),
                (f"{fits:>{fits_width}}" if fits_width > 0 else "", "strong"),
                (f"  {then}" if widths.then else "", "dim"),
            )
        )
    return lines


def nearest_line(ledger: Ledger, mode: AccountingMode, columns: int) -> Line:
    """The nearest limit and the headroom of the machine, in one line."""
    limit = shown_limits(ledger, mode)[0]
    name, percent = _name_piece(limit), _percent_text(limit)
    sentences = _nearest_sentences(ledger, mode, limit)
    lines: list[Line] = []
    without_bar = (*sentences[-2:], "")
    for sentence, min_bar in (*((each, MIN_BAR_WIDTH) for each in sentences), *((each, 0) for each in without_bar)):
        used = cell_width(f"{name[0]}  {percent}  {sentence}")
        bar = (
            use_bar(limit, max(min_bar, min(MAX_BAR_WIDTH, columns - used)))
            if min_bar and limit.ratio is not None
            else ()
        )
        gap: Piece = (" ", "text")
        lines.append(
            (
                name,
                gap,
                *((*bar, gap) if bar else ()),
                (percent, _use_role(limit)),
                (f"  {sentence}", "strong"),
            )
        )
    return first_fitting_line(lines, columns)


def _nearest_sentences(ledger: Ledger, mode: AccountingMode, limit: Limit) -> list[str]:
    """Variants of the sentence beside the name of `limit`, from long to short.

    If `limit` is the first to be reached, the sentence gives the headroom of the machine.

    If another limit is reached first, the sentence gives the headroom of `limit`, then the name of the other limit, and
    then the headroom of the machine. The last variant leaves out what fits.
    """
    first, sentences, what = ledger.limits[mode].first, headroom_sentences(ledger, mode), SOCKETS[mode]
    if first is None:
        return sentences
    if first.name == limit.name:
        return [*sentences, f"{headroom_number(ledger, mode)} more fit"]
    is_known = limit.stops_new_sockets and limit.headroom_sockets is not None
    own = fits_more_text(limit, units.rough_count)
    named = [f"{first_limits_text(ledger.limits[mode])} first: {headroom_number(ledger, mode)}", f"{first.label} first"]
    if not is_known:
        return [f"{named[0]} more {what} fit", *named]
    return [*(f"{own} more {what} fit; {each}" for each in named), f"{own} more {what}", f"{own} more fit"]


def column_widths(limits: Sequence[Limit], columns: int) -> Columns:
    """The widths of the columns for the given limits in a pane of the given width."""
    # The name of a limit without a bar may extend into the column of the bars.
    names = [cell_width(_name_piece(limit)[0]) - (0 if has_bar(limit) else MIN_BAR_WIDTH) for limit in limits]
    name = max(names, default=0) + 1
    use = next((width + 2 for least, width in USE_WIDTHS if columns >= least), 0)
    then = THEN_WIDTH if columns >= THEN_COLUMNS else 0
    free = columns - TITLE_MARGIN - Columns(name, 0, use, 0, 0).fits_end - (then + 2 if then else 0)
    bar = max(0, min(free, max(MIN_BAR_WIDTH, min(MAX_BAR_WIDTH, free - NOTE_WIDTH))))
    return Columns(name, bar, use, max(0, free - bar), then)


def _use_role(limit: Limit) -> Role:
    """The role of the used share: that of the alarm, but plain for mini-sockets, whose limit stops no socket."""
    return "text" if limit.concerns == "TIME_WAIT" else BAR_ROLES.get(limit.state, "text")


def has_bar(limit: Limit) -> bool:
    """True if the used share of a limit is known, or at least an upper bound on the used share."""
    return limit.ratio is not None or limit.at_most_ratio is not None


def use_bar(limit: Limit, columns: int) -> Line:
    """A bar of exactly `columns` columns: the use of a limit as a share of its maximum; blank if the use is unknown.

    The end of the bar is rounded down, so that the bar is full only if the limit is reached. A use above 0 fills at
    least one eighth of a cell. If only an upper bound on the use is known, the bar has the length of this bound, and is
    pale.
    """
    ratio = limit.ratio if limit.at_most_ratio is None else limit.at_most_ratio
    if ratio is None or columns <= 0:
        return ((" " * columns, "dim"),)
    eighths = min(8 * columns, int(8 * columns * ratio + units.ROUNDING_ERROR)) or int(ratio > 0)
    filled = "█" * (eighths // 8) + (EIGHTHS[eighths % 8 - 1] if eighths % 8 else "")
    role: Role = "dim" if limit.at_most_ratio is not None else "slice-1"
    role = role if limit.concerns == "TIME_WAIT" else BAR_ROLES.get(limit.state, role)
    return (filled, role), (TRACK * (columns - len(filled)), "dim")


def _name_piece(limit: Limit) -> Piece:
    """The name of a limit. If the limit has an alarm, a sign and the word for its state come before the name."""
    return f"{alarm_text(limit)} {limit.label}".lstrip(), state_role(limit)


def _name_and_bar(limit: Limit, widths: Columns) -> Line:
    """The name of a limit and the bar of its use; if the use is unknown, only the name."""
    name = _name_piece(limit)
    gap = widths.name - cell_width(name[0])
    if not has_bar(limit):
        return name, (" " * (gap + widths.bar), "text")
    return name, (" " * gap, "text"), *use_bar(limit, widths.bar)


def _percent_text(limit: Limit) -> str:
    """The used share of a limit in per cent."""
    return units.UNKNOWN if limit.ratio is None else f"{ratio_text(limit)} %"


def _use_texts(limit: Limit) -> list[str]:
    """The used amount and the maximum, with all digits or shortened; empty if both are unknown."""
    if limit.used is None and limit.maximum is None:
        return [""]
    long = f"{used_text(limit)} of {maximum_text(limit)}"
    if limit.unit == "bytes":
        return [long, ""]
    bound = limit.at_most_used
    used = units.short_count(limit.used, 9) if bound is None else f"≤ {units.short_count(bound, 9, up=True)}"
    used = f"≈ {used}" if limit.used_is_about else used
    at_most = "≤ " if limit.maximum_is_at_most else ""
    return [long, f"{used} of {at_most}{units.short_count(limit.maximum, 9)}"]


def _others_grow(limit: Limit, in_s: float, tcp_per_s: float | None) -> bool:
    """True if less than half of the growth that reaches a limit of memory in `in_s` seconds is TCP's."""
    if tcp_per_s is None or limit.used is None or limit.maximum is None or in_s <= 0:
        return False
    return 2 * tcp_per_s < (limit.maximum - limit.used) / in_s


def _note_texts(
    ledger: Ledger,
    mode: AccountingMode,
    limit: Limit,
    in_s: float | None,
    others_grow: bool = False,
    has_span: bool = False,
) -> list[str]:
    """Notes on a limit, from long to short; the last one is empty.

    Some notes give the time until the limit is reached, or the reason for an alarm. Further notes give the number of
    orphans that fit, or the number of sockets that fit into free memory. The last notes say what the headroom assumes,
    or why a number is unknown. Without `has_span`, the column of what fits has no room for both ends of a range, and
    the notes have the upper end.
    """
    alarms, orphans = alarm_reasons(limit, has_list(ledger)), other_notes(limit)
    before_reclaim = before_reclaim_text(ledger.headroom[mode]) if limit.name == "memory" else ""
    texts = [f"{alarm}; {each}" for alarm in alarms for each in (*orphans, before_reclaim) if each]
    # The reason for an alarm is shortened if necessary, but never replaced by another note.
    texts += alarms or [*orphans, *filter(None, [before_reclaim])]
    if limit.headroom_sockets is not None and limit.name in ("memory", "tcp_mem"):
        assumed = headroom_assumption(ledger.headroom[mode]) if limit.name == "memory" else "average buffers"
        buffers = assumed.rpartition(", ")[2]
        # What the number counts for buffers changes it most, so that the other notes give way.
        first = (*texts[:1], *alarms[-1:])
        counted = [f"{each}; {words}" for each in first for words in (assumed, buffers)]
        texts = [*counted, *texts] if alarms else [*counted, assumed, buffers, *texts]
    if limit.name == "memory" and not has_span and (most := memory_most_text(ledger.headroom[mode])):
        with_most = [f"{each}; {most}" for each in alarms] or [*(f"{most}; {each}" for each in texts), most]
        texts = [*with_most, *texts]
    if texts and limit.left_out_text:
        texts = [*(f"{each}; {limit.left_out_text}" for each in (*texts[:1], *alarms[-1:])), *texts]
    if not texts and limit.owner:
        texts = owner_texts(limit)
    if not texts and limit.headroom_sockets is None:
        short = limit.note.removeprefix("a mini-socket has ").replace("from this network namespace", "here")
        texts = [
            limit.note,
            limit.note.removeprefix("headroom "),
            *limit.note.split("; ")[::-1],
            limit.note.rpartition(": ")[2],
            short,
        ]
    if in_s is not None and 0 < in_s <= FAR_S:
        time = units.seconds(round(in_s))
        in_about = [f"in about {time}", f"≈ {time}"]
        if others_grow:
            in_about = [f"{each}: {OTHERS_GROW}" for each in in_about] + [OTHERS_GROW]
        texts = [*(f"{in_about[0]}, {each}" for each in texts[:1]), *in_about]
    return [*texts, ""]


def measured_text(growth: GrowthSinceMark) -> str:
    """The measured bytes per socket and their error, as text: `4 162 ± 120 B each, measured`.

    If other slabs changed too much since the mark, the text says `disturbed` instead.
    """
    error = units.exact_bytes(growth.error_bytes_per_socket)
    if growth.is_disturbed:
        return f"disturbed (other slabs changed by {error} B each)"
    return f"{units.exact_bytes(growth.bytes_per_socket)} ± {error} B each, measured"


def since_mark_line(growth: GrowthSinceMark, columns: int) -> Line:
    """The growth since the mark.

    If the space is too small, the live objects are left out first. The bytes per socket are never left out.
    """
    ago = f", {units.seconds(round(growth.elapsed_s))} ago" if growth.elapsed_s is not None else ""
    sockets = units.UNKNOWN if growth.sockets is None else units.signed_count(growth.sockets)
    per_socket = growth.unknown_because or ""
    if growth.bytes_per_socket is not None:
        per_socket = measured_text(growth)
    brief = per_socket.partition(" (")[0]
    live_objects = "" if growth.live_bytes is None else f", live objects {units.signed_size(growth.live_bytes)}"
    variants = (
        (f"since the mark{ago}", f" sockets, {per_socket}{live_objects}"),
        (f"since the mark{ago}", f" sockets, {per_socket}"),
        (f"since the mark{ago}", f", {per_socket}"),
        (f"since the mark{ago}", f", {brief}"),
        ("since the mark", f", {brief}"),
        ("since the mark", f", {brief.removesuffix(', measured')}"),
        ("mark", f", {brief.removesuffix(', measured')}"),
    )
    lines: list[Line] = [((f"{since}: ", "dim"), (sockets, "strong"), (rest, "text")) for since, rest in variants]
    return first_fitting_line(lines, columns)
