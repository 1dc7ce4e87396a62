"""The tables of a plan: the limits, as text or with bars, the planned objects, and the nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil

from tcptop.explanation.limit_texts import (
    STATE_ROLES,
    fits_more_text,
    limit_text,
    ratio_text,
    state_role,
    state_text,
    used_text,
)
from tcptop.explanation.plan_words import (
    Signs,
    amount_text,
    fits_range_text,
    fits_text,
    full_bytes_text,
    percent_text,
    screen_words,
    sharing_text,
    shown_ratio,
    size_span_text,
    state_word,
    total_text,
    verdict_limit,
)
from tcptop.kernel.limits import TIME_WAIT_LIMIT, limit_label
from tcptop.ledger import Ledger
from tcptop.ledger.plan import PLANNED_BUFFERS, Plan, PlanLimit, PlanNode, PlanPart
from tcptop.text import units
from tcptop.text.line import Line, Role, paragraph
from tcptop.text.table import Heading, Layout, TableRow, fit_columns, make_headings, table_lines

PART_HEADINGS = make_headings("<TAKES", "<CACHE", "COUNT", "EACH", "BYTES", "")
LIMIT_HEADINGS = make_headings("<LIMIT", "USED", "TAKES", "OF", "THEN", "FITS MORE", "")
NODE_HEADINGS = make_headings("<NODE", "TAKES", "USABLE", "FITS MORE", "")
BAR_TITLE, USED_TITLE = "NOW █ PLAN ▒", "USED"
BAR_HEADINGS = make_headings(
    *("<LIMIT", f"<{BAR_TITLE}", "THEN", "<", USED_TITLE, "TAKES", "OF", "FITS MORE"),
    least=(BAR_TITLE, "OF", USED_TITLE, "TAKES", "FITS MORE"),
)
MIN_BAR_CELLS, MAX_BAR_CELLS = 12, 40
FIGURE_COLUMNS = 68
"""Number of columns that the texts beside a bar take on a wide screen."""
OVERFLOW_SIGN = "▶"
"""The last cell of a bar whose limit would be exceeded."""
NOT_COUNTED = "uncounted"
MIN_SPREAD_SOCKETS = 200
"""Smallest number of present sockets from whose spread over the nodes that of more sockets is foretold without a
remark."""


def bar_lines(ledger: Ledger, plan: Plan, columns: int) -> list[Line]:
    """A bar for each limit: the present use, the plan, and what would stay free, each as a share of the limit.

    The limits with an alarm that the plan does not count come last, with their present use.
    """
    cells = max(MIN_BAR_CELLS, min(MAX_BAR_CELLS, columns - FIGURE_COLUMNS))
    headings, rows = _bar_rows(plan, cells)
    over = fit_columns(headings, rows, None).width - columns
    if 0 < over <= cells - MIN_BAR_CELLS:
        # Two blanks between the columns are worth more than the length of the bars.
        headings, rows = _bar_rows(plan, cells - over)
    layout = _bar_layout(headings, rows, columns)
    bars, used = (layout.titles.index(title) for title in (BAR_TITLE, USED_TITLE))
    titles = [_bar_title(row[bars] for row in rows) if title == BAR_TITLE else title for title in layout.titles]
    lines: list[Line] = [((layout.text(titles), "head"),)]
    state_roles = [
        *(_state_role(limit) for limit in plan.limits),
        *(state_role(each.limit) for each in plan.not_counted),
    ]
    for role, texts in zip(state_roles, rows, strict=True):
        pieces = layout.line(texts, ["text", "accent", "text", role, "dim", "dim", "dim", "text"])
        # A state may be shown in reverse video. The gap before the state must not be in reverse video.
        gaps = [len(text) - len(text.lstrip()) for text, _ in pieces]
        lines.append(
            tuple(
                piece
                for (text, each), gap in zip(pieces, gaps, strict=True)
                for piece in ((text[:gap], "text"), (text[gap:], each))
                if piece[0]
            )
        )
    noted = ((limit, _limit_note(ledger, plan, limit)) for limit in plan.limits)
    notes = [f" {limit_label(limit.name)}: {note}" for limit, note in noted if note]
    if used not in layout.visible:
        notes.insert(0, f" {USED_TITLE}: {', '.join(f'{row[0]} {row[used]}' for row in rows)}")
    return [*lines, *(line for note in notes for line in paragraph(note, columns - 1, "dim"))]


def _bar_title(bars: Iterable[str]) -> str:
    """The title of the bars: the legend of the signs that they have."""
    signs = set().union(*bars)
    return " ".join(part for part in ("NOW █", "PLAN ▒") if part[-1] in signs) or BAR_TITLE


def _bar_layout(headings: Sequence[Heading], rows: Sequence[Sequence[str]], columns: int) -> Layout:
    """The columns that fit, with the bars where they fit once USED, which they show as well, is left out."""
    without_used = [heading._replace(importance=-1) if heading.title == USED_TITLE else heading for heading in headings]
    layout = fit_columns(without_used, rows, columns, narrow_gap=" ")
    at = layout.titles.index(BAR_TITLE)
    return layout if at in layout.visible else fit_columns(headings, rows, columns, narrow_gap=" ")


def _bar_rows(plan: Plan, cells: int) -> tuple[Sequence[Heading], list[tuple[str, ...]]]:
    """The headings and the cells of the table of limits, with bars of `cells` cells."""
    rows: list[tuple[str, ...]] = [
        (
            limit_label(limit.name),
            _bar(limit.present_ratio, shown_ratio(limit, limit.ratio), bool(limit.takes), cells),
            _ratio(limit).removeprefix("! "),
            state_word(limit),
            _used(limit),
            _takes(limit),
            amount_text(limit, limit.maximum),
            fits_text(limit),
        )
        for limit in plan.limits
    ]
    rows += [
        (
            limit_label(limit.name),
            _bar(limit.ratio, limit.ratio, False, cells),
            f"{ratio_text(limit)} %" if limit.ratio is not None else units.UNKNOWN,
            state_text(limit),
            used_text(limit),
            NOT_COUNTED,
            limit_text(limit, limit.maximum),
            fits_more_text(limit) if limit.owner else "",
        )
        for limit, _ in plan.not_counted
    ]
    if all(row[-1] in ("", units.UNKNOWN) for row in rows):
        return BAR_HEADINGS[:-1], [row[:-1] for row in rows]
    return BAR_HEADINGS, rows


def _bar(now: float | None, with_plan: float | None, has_plan: bool, cells: int) -> str:
    """The bar of a limit; empty if the use together with the plan is unknown.

    If the use exceeds the limit, the bar is full, and its last cell is OVERFLOW_SIGN.
    """
    if now is None or with_plan is None:
        return ""
    used = min(cells, round(now * cells))
    then = min(cells, max(used, round(with_plan * cells)))
    if has_plan and then == used < cells:
        then += 1  # the plan raises the use of this limit, so the bar has at least one cell for the plan
    bar = "█" * used + "▒" * (then - used) + "·" * (cells - then)
    return f"{bar[:-1]}{OVERFLOW_SIGN}" if with_plan > 1 else bar


def _state_role(limit: PlanLimit) -> Role:
    """The role of a limit's alarm; a limit that only may be full, or just holds the plan, is less conspicuous."""
    if limit.name == TIME_WAIT_LIMIT:
        return "text"
    if limit.state == "full" and limit.verdict != "exceeded":
        return "warning"
    return STATE_ROLES.get(limit.state, "text")


def part_lines(plan: Plan, columns: int, sign: Signs = str) -> list[Line]:
    """A table of the planned objects, and the objects whose size is unknown."""
    rows = [TableRow(_part_cells(part)) for part in plan.parts]
    rows.append(TableRow(("total", "", "", "", total_text(plan))))
    unknown = [
        line for name in plan.missing for line in paragraph(f" not known: {screen_words(name)}", columns - 1, "text")
    ]
    return [*table_lines(PART_HEADINGS, _with_signs(rows, sign), columns, " "), *unknown]


def _part_cells(part: PlanPart) -> tuple[str, str, str, str, str]:
    is_buffers = part.object == PLANNED_BUFFERS
    each = part.high_bytes / part.count if part.count else None
    at_most = "≤ " if part.high_bytes > part.bytes * (1 + 1e-9) else ""
    is_size_bound = bool(at_most and (part.high_cache or is_buffers))
    up = True if is_size_bound else None
    size = units.size(each, up) if is_buffers else f"{units.exact_bytes(each, up)} B"
    return (
        screen_words(part.object.removeprefix("struct ")),
        f"{part.cache} or {_last_part(part.high_cache)}" if part.high_cache else part.cache or "",
        units.count(max(1, round(part.count)))
        if part.bytes or is_buffers
        else f"{at_most}{units.count(ceil(part.count))}",
        f"≤ {size}" if is_size_bound else size,
        f"{at_most}{units.size(part.high_bytes, True if at_most else None)}",
    )


def _last_part(cache: str) -> str:
    """The end of the name of a kmalloc cache, such as `-32`."""
    return f"-{cache.rpartition('-')[2]}"


def node_lines(plan: Plan, columns: int, sign: Signs = str) -> list[Line]:
    """A table of the nodes: what the plan takes on each node, and the node's free memory.

    The table also shows how many connections fit into the free memory of each node. If few sockets are present, a
    line below the table says that the planned sockets may be spread otherwise.

    On a machine with one node, the result is empty.
    """
    if plan.nodes is None:
        return paragraph(" By node: not known, since no file counts all TCP slabs by node.", columns - 1, "text")
    if len(plan.nodes) < 2:
        return []
    is_at_most = plan.high_bytes is None
    rows = [
        TableRow(
            (
                str(number),
                size_span_text(node.bytes, node.high_bytes),
                units.size(node.free_bytes),
                _node_fits_text(node, is_at_most),
            ),
            "above its own free memory"
            if number in plan.full_nodes
            else "may be above its free memory"
            if number in plan.maybe_full_nodes
            else "",
        )
        for number, node in plan.nodes.items()
    ]
    lines = table_lines(NODE_HEADINGS, _with_signs(rows, sign), columns)
    if full := full_bytes_text(plan):
        usable = "USABLE less TIME_WAIT" if plan.mini_sockets else "USABLE"
        text = f" FITS MORE: {usable}, divided by {full}, as if all of it were in use: {sharing_text(plan)} then."
        lines += paragraph(sign(text), columns - 1, "dim")
    number = plan.spread_sockets
    if number is not None and number < MIN_SPREAD_SOCKETS:
        present = units.counted(number, "present socket")
        lines += paragraph(
            f" By node: a guess from {present}, too few to tell where new ones go.", columns - 1, "warning"
        )
    return lines


def _node_fits_text(node: PlanNode, is_at_most: bool) -> str:
    """The number of planned connections that fit into a node's free memory, as `fits_text`: `≥` with a range."""
    if node.connections is None:
        return units.UNKNOWN
    sign = "≤ " if is_at_most else "≥ " if node.high_connections is not None else ""
    return f"{sign}{units.rough_count(node.connections, up=is_at_most)}"


def limit_lines(ledger: Ledger, plan: Plan, columns: int, sign: Signs = str) -> list[Line]:
    """A table of the limits, with the notes on figures that are unknown.

    The limits with an alarm that the plan does not count come last, with their present use.
    """
    rows = [
        TableRow(
            (
                limit_label(limit.name),
                _used(limit),
                _takes(limit),
                amount_text(limit, limit.maximum),
                _ratio(limit),
                fits_text(limit),
            ),
            state_word(limit),
            sign(_limit_note(ledger, plan, limit)),
        )
        for limit in plan.limits
    ]
    rows += [
        TableRow(
            (
                limit.label,
                used_text(limit),
                NOT_COUNTED,
                limit_text(limit, limit.maximum),
                f"{ratio_text(limit)} %" if limit.ratio is not None else units.UNKNOWN,
                fits_more_text(limit) if limit.owner else "",
            ),
            state_text(limit),
        )
        for limit, _ in plan.not_counted
    ]
    return table_lines(LIMIT_HEADINGS, _with_signs(rows, sign), columns, " ")


def _with_signs(rows: Sequence[TableRow], sign: Signs) -> list[TableRow]:
    return [row._replace(cells=tuple(map(sign, row.cells))) for row in rows]


def _used(limit: PlanLimit) -> str:
    """The present use of a limit, with the sign of its error, as on the main screen."""
    if limit.at_most_used is not None:
        return f"≤ {amount_text(limit, limit.at_most_used, True)}"
    return f"{'≈ ' if limit.used_is_about else ''}{amount_text(limit, limit.used)}"


def _takes(limit: PlanLimit) -> str:
    """The amount by which the plan raises the use of a limit: the exact amount, or `≤` and the upper bound.

    If the upper bound is unknown, the text is `≥` and the lower bound.
    """
    is_open = limit.high_takes is None and limit.takes is not None
    if is_open:
        return f"≥ {amount_text(limit, limit.takes, False)}"
    most = amount_text(limit, limit.high_takes)
    return most if most == amount_text(limit, limit.takes) else f"≤ {amount_text(limit, limit.high_takes, True)}"


def _ratio(limit: PlanLimit) -> str:
    if limit.ratio is None:
        return units.UNKNOWN
    alarm = "! " if limit.verdict == "exceeded" else ""
    return f"{alarm}{percent_text(limit)}"


def _limit_note(ledger: Ledger, plan: Plan, limit: PlanLimit) -> str:
    """The note on a limit; for memory, also the range of what fits if the buffers are a range.

    If memory is the first limit of the verdict, the verdict has this range.
    """
    notes: list[str] = []
    fits = fits_range_text(limit) if limit.name == "memory" else ""
    if " to " in fits:
        because = "parts are ranges" if limit.other_parts_are_ranges else "buffers are a range"
        is_said = plan.verdict != "cannot say" and limit is verdict_limit(plan)
        notes.append(because if is_said else f"fits {fits} more: {because}")
    if limit.name == TIME_WAIT_LIMIT and limit.free is not None:
        notes.append("FITS MORE: mini-sockets")
    if limit.name == TIME_WAIT_LIMIT and plan.mini_sockets < plan.request.time_wait:
        notes.append(f"room for {units.count(plan.mini_sockets)} of {units.count(plan.request.time_wait)}")
    error, is_range = ledger.sockets.buffer_error_bytes, limit.takes != limit.high_takes
    if (
        limit.name == "tcp_mem"
        and is_range
        and ledger.sockets.buffers_within_error
        and limit.used is not None
        and error
    ):
        most = units.size(limit.used + error, True)
        notes.append(f"USED is the counter that the kernel compares; the buffers are ≤ {most}, so TAKES is a range")
    return "; ".join(filter(None, (*notes, screen_words(limit.note))))
