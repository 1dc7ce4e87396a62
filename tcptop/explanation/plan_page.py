"""The plan page: what further connections take, how full each limit would be, and what the kernel does at a limit.

The screen shows the whole page; `tcptop plan` prints the same sections in another order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from math import ceil
from typing import Literal, NamedTuple

from tcptop.explanation.limit_texts import (
    FULL,
    STATE_ROLES,
    STATE_WORDS,
    buffers_as_now_text,
    fits_more_text,
    headroom_assumption,
    limit_text,
    memory_fits_text,
    memory_most_text,
    memory_use_text,
    ratio_text,
    socket_bytes_text,
    state_role,
    state_text,
    used_text,
)
from tcptop.kernel.limits import TIME_WAIT_LIMIT, limit_label, look_needed_text
from tcptop.kernel.objects import BIND_BUCKET, CGROUP_VECTORS, LAST_PORT
from tcptop.ledger import Ledger, Limit
from tcptop.ledger.amount import HIDDEN_ERROR_SHARE
from tcptop.ledger.plan import (
    ADVISED_PERCENT,
    PLANNED_BUFFERS,
    LimitVerdict,
    Plan,
    PlanLimit,
    PlanNode,
    PlanPart,
    PlanRequest,
    PlanSysctl,
    Side,
    UncountedLimit,
)
from tcptop.text import units
from tcptop.text.line import EMPTY_LINE, Line, Role, paragraph
from tcptop.text.table import Heading, Layout, TableRow, fit_columns, make_headings, table_lines

SIDE_WORDS: dict[Side, str] = {
    "accepted": "server-side",
    "outgoing": "client-side",
    "proxy": "proxy",
    "mixed": "half client side",
}
FAMILIES = {"ipv4": "IPv4 ", "ipv6": "IPv6 ", "mix": ""}
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
MAX_SHOWN_RATIO = 100
"""If the use exceeds a limit by more than this factor, it is shown as `> 10 000 %`, since more digits only take
space."""
MAX_SHOWN_CONNECTIONS = 1_000_000_000
"""A larger number of connections is shown as `> 1 000 000 000`, since more digits only take space."""
EDGE_WORDS: Mapping[LimitVerdict, str] = {"fits": "JUST FITS", "unknown": "MAY BE FULL"}
"""Words for the state `full` of a limit that the plan does not certainly exceed."""
NOT_COUNTED = "uncounted"
VECTORS = f"{CGROUP_VECTORS.label} vectors"
MIN_SPREAD_SOCKETS = 200
"""Smallest number of present sockets from whose spread over the nodes that of more sockets is foretold without a
remark."""
MAX_SHARE_APART = 0.05
"""Greatest difference from the main screen's number of sockets that fit into memory that needs no line of its own."""
LAST_VALID = "(last valid) "
NO_PORT = (
    "if each connects without binding to a port: connect() finds none, as all of ip_local_port_range are in"
    " ip_local_reserved_ports"
)
"""Remarks of a plan on sockets that get no port (net/ipv4/inet_hashtables.c, __inet_hash_connect)."""
NO_PORT_REMARK = f"Ports: {NO_PORT}."
LOOK_FOUND = "a look found"
"""First words of the remark on the limits that only a look at the sockets knows."""
NO_LOOK_REMARK = "nofile, local ports to one peer and accept queues are not in the plan"
DEFAULT_NR_OPEN = 1_048_576
"""Default of fs.nr_open, the largest possible limit on the open files of a process (fs/file.c)."""
TIME_WAIT_S = 60
"""Time in seconds for which a mini-socket stays in TIME_WAIT (include/net/tcp.h, TCP_TIMEWAIT_LEN)."""


Signs = Callable[[str], str]
"""A function that replaces signs such as `≤`, before the columns of a table get their widths and texts wrap."""


PagePart = Literal["all", "figures", "details"]
DETAILS = 2
"""Number of sections at the end of the page that are details: the nodes and the remarks."""


def plan_page(
    ledger: Ledger, plan: Plan, columns: int, is_last_valid: bool = False, part: PagePart = "all"
) -> list[Line]:
    """The page: the verdict, the sysctls, a bar for each limit, the sums, and the details, as in `tcptop plan`.

    `part` is `figures` for the page without nodes and remarks, and `details` for nodes and remarks alone.

    If `is_last_valid` is true, the form now contains invalid text, and `plan` is the last valid plan. The page is then
    dim, and its verdict is marked.
    """
    sections = [
        [
            *_marked_verdict(ledger, plan, columns, is_last_valid),
            *idle_lines(ledger, plan, columns, is_form=True),
            *port_lines(plan, columns),
            *nr_open_lines(plan, columns),
            *pressure_lines(plan, columns),
            *not_counted_lines(plan, columns),
            *look_lines(ledger, plan, columns),
            *comparison_lines(ledger, plan, columns, is_form=True),
        ],
        sysctl_lines(plan, columns),
        [*_bars(ledger, plan, columns), *_action_lines(ledger, plan, columns)],
        sum_lines(plan, columns),
        part_lines(plan, columns),
        node_lines(plan, columns),
        remark_lines(ledger, plan, columns, is_form=True),
    ]
    if not plan.sysctls:
        sections[0] += sections.pop(2)
    if part != "all":
        sections = sections[:-DETAILS] if part == "figures" else sections[-DETAILS:]
    lines = [line for section in sections if section for line in (*section, EMPTY_LINE)][:-1]
    return [tuple((text, "dim") for text, _ in line) for line in lines] if is_last_valid else lines


def _marked_verdict(ledger: Ledger, plan: Plan, columns: int, is_last_valid: bool) -> list[Line]:
    """The verdict; the word `fits` is a warning if a look found a limit that needs to be raised for the plan."""
    role: Role = "strong" if plan.verdict == "fits" else "warning"
    marker = (LAST_VALID, role) if is_last_valid else None if plan.verdict == "fits" else ("! ", role)
    lines = paragraph(verdict_text(ledger, plan), columns - 1, role, marker)
    if plan.verdict != "fits" or not limits_to_raise(ledger, plan):
        return lines
    *before, (text, _) = lines[0]
    end = text.find("fits") + len("fits")
    return [(*before, (text[:end], "warning"), (text[end:], role)), *lines[1:]]


def limits_to_raise(ledger: Ledger, plan: Plan) -> list[Limit]:
    """The limits that a look at the sockets found full, or too small for the planned sockets in one process.

    The plan does not count these limits, so that its verdict may be that it fits.
    """
    request = plan.request
    found = _found_by_look(ledger)
    nofile, queues = found.get("nofile"), found.get("listen_queues")
    limits: list[Limit] = []
    if nofile is not None and nofile.maximum is not None and nofile.maximum <= request.sockets:
        limits.append(nofile)
    if request.accepted and queues is not None and queues.state == "full":
        limits.append(queues)
    return limits


def idle_lines(ledger: Ledger, plan: Plan, columns: int, is_form: bool = False, sign: Signs = str) -> list[Line]:
    """The line below the verdict of a plan without buffers: it does not count tcp_mem, and what fits below that."""
    if plan.request.buffer_bytes:
        return []
    adds = "n in the field buffers counts it" if is_form else "--buffers now counts it"
    text = f"without buffers: tcp_mem is not counted ({adds})"
    row = next((limit for limit in ledger.limits["full"].rows if limit.name == "tcp_mem"), None)
    if row is not None and row.headroom_sockets is not None:
        fits = fits_more_text(row, partial(units.rough_count, up=row.shows_upper_bound))
        text += f"; the main screen has {fits} sockets below it, average buffers"
    return paragraph(sign(text), columns - 1, "text")


def port_lines(plan: Plan, columns: int) -> list[Line]:
    """The lines below the verdict of a plan for which connect(2) finds no local port."""
    return paragraph(NO_PORT, columns - 1, "warning") if _finds_no_port(plan) else []


def nr_open_lines(plan: Plan, columns: int) -> list[Line]:
    """The lines below the verdict of a plan whose sockets are more files than one process can have open."""
    if plan.request.sockets < (DEFAULT_NR_OPEN if plan.nr_open is None else plan.nr_open):
        return []
    text = f"one process: at most {units.grouped(DEFAULT_NR_OPEN)} files by default (fs.nr_open is not known)"
    if plan.nr_open is not None:
        text = f"one process: at most {units.grouped(plan.nr_open)} files (fs.nr_open)"
    return paragraph(text, columns - 1, "warning")


def _finds_no_port(plan: Plan) -> bool:
    """True if the plan has client-side sockets, and all of ip_local_port_range is reserved."""
    return plan.request.outgoing > 0 and plan.ports == 0


def not_counted_lines(plan: Plan, columns: int) -> list[Line]:
    """The lines below the verdict: the limits that have an alarm, but that the plan does not count."""
    if not plan.not_counted:
        return []
    names = ", ".join(map(_not_counted_text, plan.not_counted))
    return paragraph(f"not counted: {names}", columns - 1, "warning")


def pressure_lines(plan: Plan, columns: int) -> list[Line]:
    """The lines below the verdict of a plan with which buffers are above a value from which on windows shrink.

    The values are tcp_mem's second one, if the plan fits below its third, and the limit of buffers of cgroup v1.
    """
    of_cgroup = paragraph(plan.cgroup_pressure, columns - 1, "warning") if plan.cgroup_pressure else []
    return [*_tcp_mem_pressure_lines(plan, columns), *of_cgroup]


def _tcp_mem_pressure_lines(plan: Plan, columns: int) -> list[Line]:
    limit = next((limit for limit in plan.limits if limit.name == "tcp_mem"), None)
    if limit is None or limit.verdict == "exceeded":
        return []
    text = "tcp_mem would be above its second value, so that windows shrink"
    if limit.is_under_pressure or limit.state == "pressure":
        return paragraph(f"PRESSURE: {text}", columns - 1, "warning")
    if limit.may_be_under_pressure:
        return paragraph(f"PRESSURE is possible: within the error of its counter, {text}", columns - 1, "warning")
    return []


def _not_counted_text(uncounted: UncountedLimit) -> str:
    """A limit with its alarm and its use, such as `conntrack NEAR 95 % (conntrack: no)`.

    The words in parentheses are the reason why the plan does not count the limit.
    """
    limit = uncounted.limit
    ratio = f" {ratio_text(limit)} %" if limit.ratio is not None else ""
    return f"{limit_label(limit.name)} {state_text(limit)}{ratio} ({uncounted.why})"


def look_lines(ledger: Ledger, plan: Plan, columns: int, sign: Signs = str) -> list[Line]:
    """The lines below the verdict: what a look at the sockets found of limits that the plan does not count."""
    found = look_text(ledger, plan)
    return paragraph(sign(found), columns - 1, "text") if found else []


def look_text(ledger: Ledger, plan: Plan) -> str:
    """Findings of a look at the sockets on the limits of single processes, ports and listeners; empty without a look.

    The limits are those that the planned connections need, each with what is left of it.
    """
    request, found = plan.request, _found_by_look(ledger)
    texts: list[str] = []
    if (limit := found.get("nofile")) is not None:
        texts.append(_nofile_text(limit, request.sockets))
    if request.accepted and (limit := found.get("listen_queues")) is not None:
        full = f", {state_text(limit)}" if limit.state == "full" else ""
        use = f"{units.count(limit.used)} of {units.count(limit.maximum)}"
        texts.append(f"accept queue of {limit.note}: {use}{full}")
    if request.outgoing and (limit := found.get("ports")) is not None and limit.used:
        of = f"{'at most ' if limit.maximum_is_at_most else ''}{units.count(limit.maximum)}"
        texts.append(f"local ports {limit.note}: at most {units.count(limit.used)} of {of} in use")
    return f"{LOOK_FOUND}: {'; '.join(texts)}" if texts else ""


def _found_by_look(ledger: Ledger) -> dict[str, Limit]:
    """The limits whose use is known; those of single processes, ports and listeners only after a look."""
    return {limit.name: limit for limit in ledger.limits["full"].rows if limit.used is not None}


def _nofile_text(limit: Limit, sockets: int) -> str:
    """The limit on open files that a new process with all planned sockets needs, and that the fullest process needs.

    The fullest process has other files open, which count too; if their number has an error, the upper bound counts.
    """
    fullest = limit.note.partition(", ")[2]
    owner = f"{limit.owner}, {fullest}," if fullest else limit.owner
    needed = sockets + (limit.used or 0) + (limit.used_error or 0)
    error = f" ± {units.grouped(limit.used_error)}" if limit.used_error else ""
    has = f"it has {units.count(limit.maximum)}, {units.grouped(_files_left(limit))}{error} left"
    return (
        f"one new process needs nofile above {units.grouped(sockets)}; {owner} would need above"
        f" {units.grouped(needed)} ({has})"
    )


def _files_left(limit: Limit) -> int:
    """Number of files that the fullest process may still open."""
    return max(0, (limit.maximum or 0) - (limit.used or 0))


def _nofile_stops(ledger: Ledger, plan: Plan, first: PlanLimit) -> str:
    """Where the plan would stop in the fullest process: `, or nofile after 488, if in python[24815]`.

    The text is empty if the planned sockets fit into the process and its limit raises no alarm, or if another limit is
    reached with fewer connections.
    """
    limit, request = _found_by_look(ledger).get("nofile"), plan.request
    if limit is None or limit.maximum is None:
        return ""
    left = max(0, _files_left(limit) - (limit.used_error or 0))
    connections = left * request.connections // request.sockets
    if first.connections is not None and first.connections <= connections:
        return ""
    if left >= request.sockets and limit.state not in ("near", "full"):
        return ""
    stops = f"after {units.grouped(connections)}" if connections else "at once"
    return f", or nofile {stops}, if in {limit.owner}"


def sum_lines(plan: Plan, columns: int, sign: Signs = str) -> list[Line]:
    """The bytes of one connection and of all connections."""
    each = plan.bytes_per_connection
    one = units.UNKNOWN if each is None else _plan_bytes(plan, each)
    assumed = f"{SIDE_WORDS[plan.request.side]}, {assumption_text(plan)}"
    text = f"{one} per connection, {total_text(plan)} in all: {assumed}."
    return paragraph(sign(text), columns - 1, "text")


def _reclaim_text(plan: Plan) -> str:
    """The number of connections that fit into free memory alone, and what FITS MORE of memory counts besides."""
    memory = next((limit for limit in plan.limits if limit.name == "memory"), None)
    fit = units.UNKNOWN if memory is None else _connections_range(memory)
    is_known = plan.connections_before_reclaim is not None
    at_most = "≤ " if plan.high_bytes is None and is_known else ""
    sign = "≥ " if " to " in fit and is_known else at_most
    before = f"{sign}{units.rough_count(plan.connections_before_reclaim, up=bool(at_most))}"
    with_reclaim = "FITS MORE of memory counts page cache as given up"
    if not is_known:
        return f"Reclaim: how many fit into free memory alone is not known; {with_reclaim}."
    if before == fit:
        return "Reclaim: free memory alone holds all that fit into memory."
    return f"Reclaim: free memory alone holds {before} more; {with_reclaim}."


def _full_bytes_text(plan: Plan) -> str:
    """The bytes of a connection by which the numbers that fit into memory are computed.

    The text is empty if client sockets share bind buckets as in the plan itself: then at most roundings differ.
    """
    each, full = plan.bytes_per_connection, plan.full_bytes_per_connection
    if each is None or full is None or not _sharing_text(plan):
        return ""
    text = _plan_bytes(plan, full)
    return "" if text == _plan_bytes(plan, each) else text


def _sharing_text(plan: Plan) -> str:
    """The way client sockets share bind buckets if as many are open as fit; empty if as in the plan itself."""
    memory = next((limit for limit in plan.limits if limit.name == "memory"), None)
    fits = plan.connections_before_reclaim or (None if memory is None else memory.connections)
    each, full, request = plan.bytes_per_connection, plan.full_bytes_per_connection, plan.request
    if not fits or each is None or full is None:
        return ""
    clients = max(request.outgoing, request._replace(connections=fits).outgoing)
    if clients <= LAST_PORT:
        return ""
    if full < each and fits > request.connections:
        return "client sockets share more bind buckets"
    return "fewer client sockets share a bind bucket" if full > each and fits < request.connections else ""


def assumption_text(plan: Plan) -> str:
    """The assumption of the plan about the buffers of each socket, in words."""
    request = plan.request
    if request.buffer_bytes == "now":
        if any(name.startswith(f"{PLANNED_BUFFERS} ") for name in plan.missing):
            return "average buffers, not known"
        return "no buffers now" if _has_no_buffers_now(plan) else "average buffers"
    return f"{units.size(request.buffer_bytes)} of buffers each" if request.buffer_bytes else "no buffers"


def _has_no_buffers_now(plan: Plan) -> bool:
    """True if the plan uses the buffers of the present sockets, and these sockets certainly have no buffers."""
    bounds = plan.buffers.memory_bounds
    return plan.request.buffer_bytes == "now" and bounds is not None and bounds.high == 0


def _bars(ledger: Ledger, plan: Plan, columns: int) -> list[Line]:
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
            _bar(limit.present_ratio, _shown_ratio(limit, limit.ratio), bool(limit.takes), cells),
            _ratio(limit).removeprefix("! "),
            state_word(limit),
            _used(limit),
            _takes(limit),
            _amount(limit, limit.maximum),
            _connections(limit),
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


def _action_lines(ledger: Ledger, plan: Plan, columns: int) -> list[Line]:
    """Sentences on the kernel's action at the first limit of the verdict, and at limits that may be reached earlier."""
    first = _first(plan)
    actions = {limit.name: limit.then for limit in ledger.limits["full"].rows}
    if first is None:
        return []
    return [
        line
        for limit in (first, *(limit for limit, _ in _maybe_before(plan, first)))
        if actions.get(limit.name)
        for line in paragraph(f"When {limit_label(limit.name)} is full: {actions[limit.name]}.", columns - 1, "text")
    ]


def _first(plan: Plan) -> PlanLimit | None:
    """The limit that the verdict names first: of a plan that does not fit, the first one that is surely exceeded."""
    if plan.verdict == "does not fit":
        return next(limit for limit in plan.limits if limit.verdict == "exceeded")
    return plan.first


def _state_role(limit: PlanLimit) -> Role:
    """The role of a limit's alarm; a limit that only may be full, or just holds the plan, is less conspicuous."""
    if limit.name == TIME_WAIT_LIMIT:
        return "text"
    if limit.state == "full" and limit.verdict != "exceeded":
        return "warning"
    return STATE_ROLES.get(limit.state, "text")


def state_word(limit: PlanLimit) -> str:
    """The alarm of a limit after the plan, in a word that does not contradict the verdict; empty without an alarm.

    A limit that would be nearly full may still have room for the plan. tcp_max_tw_buckets stops no connection, so it
    may be full in a plan that fits.
    """
    if limit.state == "full" and limit.name != TIME_WAIT_LIMIT:
        return EDGE_WORDS.get(limit.verdict, FULL)
    if limit.state == "full":
        return FULL if limit.ratio is None or limit.ratio >= 1 else STATE_WORDS["near"]  # None: the maximum is 0
    return STATE_WORDS[limit.state] if limit.state in STATE_ROLES else ""


def connections_text(request: PlanRequest) -> str:
    """The planned connections: `100 000 server-side connections`, or `100 000 connections, half client side`."""
    word = "connection" if request.connections == 1 else "connections"
    number, side = units.grouped(request.connections), SIDE_WORDS[request.side]
    return f"{number} {word}, {side}" if request.side == "mixed" else f"{number} {side} {word}"


def title_text(ledger: Ledger, request: PlanRequest) -> str:
    """The planned connections and sockets, and the kernel."""
    sockets = "socket" if request.sockets == 1 else "sockets"
    more = f" and {units.grouped(request.time_wait)} in TIME_WAIT" if request.time_wait else ""
    kernel = f"Linux {ledger.host.kernel}" if ledger.host.kernel else "an unknown kernel"
    name = f"{ledger.host.name}, " if ledger.host.name else ""
    return (
        f"{connections_text(request)}: {units.grouped(request.sockets)} {FAMILIES[request.family]}{sockets}{more}"
        f" more than there are now, on {name}{kernel}"
    )


def part_lines(plan: Plan, columns: int, sign: Signs = str) -> list[Line]:
    """A table of the planned objects, and the objects whose size is unknown."""
    rows = [TableRow(_part_cells(part)) for part in plan.parts]
    rows.append(TableRow(("total", "", "", "", total_text(plan))))
    unknown = [
        line for name in plan.missing for line in paragraph(f" not known: {_in_words(name)}", columns - 1, "text")
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
        _in_words(part.object.removeprefix("struct ")),
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


def total_text(plan: Plan) -> str:
    """The bytes of all planned objects, with their bounds."""
    if plan.bytes is None:
        return units.UNKNOWN
    return _size_span(plan.bytes, plan.high_bytes)


def _size_span(low_bytes: float, high_bytes: float | None) -> str:
    """Bounds on a number of bytes, as text; `≥` and the lower bound if there is no upper bound."""
    if high_bytes is None:
        return f"≥ {units.size(low_bytes, False)}"
    low, high = units.size(low_bytes), units.size(high_bytes)
    return low if low == high else units.size_range(low_bytes, high_bytes)


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
                _size_span(node.bytes, node.high_bytes),
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
    if full := _full_bytes_text(plan):
        usable = "USABLE less TIME_WAIT" if plan.mini_sockets else "USABLE"
        text = f" FITS MORE: {usable}, divided by {full}, as if all of it were in use: {_sharing_text(plan)} then."
        lines += paragraph(sign(text), columns - 1, "dim")
    number = plan.spread_sockets
    if number is not None and number < MIN_SPREAD_SOCKETS:
        present = units.counted(number, "present socket")
        lines += paragraph(
            f" By node: a guess from {present}, too few to tell where new ones go.", columns - 1, "warning"
        )
    return lines


def _node_fits_text(node: PlanNode, is_at_most: bool) -> str:
    """The number of planned connections that fit into a node's free memory, as `_connections`: `≥` with a range."""
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
                _amount(limit, limit.maximum),
                _ratio(limit),
                _connections(limit),
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
        return f"≤ {_amount(limit, limit.at_most_used, True)}"
    return f"{'≈ ' if limit.used_is_about else ''}{_amount(limit, limit.used)}"


def _takes(limit: PlanLimit) -> str:
    """The amount by which the plan raises the use of a limit: the exact amount, or `≤` and the upper bound.

    If the upper bound is unknown, the text is `≥` and the lower bound.
    """
    is_open = limit.high_takes is None and limit.takes is not None
    if is_open:
        return f"≥ {_amount(limit, limit.takes, False)}"
    most = _amount(limit, limit.high_takes)
    return most if most == _amount(limit, limit.takes) else f"≤ {_amount(limit, limit.high_takes, True)}"


def _ratio(limit: PlanLimit) -> str:
    if limit.ratio is None:
        return units.UNKNOWN
    alarm = "! " if limit.verdict == "exceeded" else ""
    return f"{alarm}{_percent_range(limit)}"


def _percent_range(limit: PlanLimit) -> str:
    """The present use plus the amount of the plan, in per cent of the limit.

    If the amount of the plan is a range, the percentage is a range too. If the percentage has no upper bound, the text
    is `≥` and the lower bound.
    """
    if limit.ratio_is_at_least:
        return f"≥ {units.percent_bound(limit.ratio or 0.0, False)} %"
    if (limit.low_ratio or 0) > MAX_SHOWN_RATIO:
        return f"> {units.grouped(MAX_SHOWN_RATIO * 100)} %"
    least, most = (_shown_ratio(limit, ratio) or 0.0 for ratio in (limit.low_ratio, limit.ratio))
    return f"{units.bounds_span((least, most), units.percent_bound)} %"


def _shown_ratio(limit: PlanLimit, ratio: float | None) -> float | None:
    """The share of a limit after the plan, at most 1 if the plan fits; None if unknown.

    Used and free memory are computed from different counters, and may add up to a little more than all memory.
    """
    return min(1.0, ratio) if ratio is not None and limit.verdict == "fits" else ratio


def _connections(limit: PlanLimit) -> str:
    """The number of planned connections that fit below the limit, with `≤` or `≥` if the number is a bound."""
    is_at_most = limit.connections_are_at_most
    if (limit.connections or 0) > MAX_SHOWN_CONNECTIONS:
        return f"> {units.grouped(MAX_SHOWN_CONNECTIONS)}"
    sign = "≤ " if is_at_most else "≥ " if limit.connections_are_at_least else ""
    return f"{sign}{units.rough_count(limit.connections, up=is_at_most)}"


def _connections_range(limit: PlanLimit) -> str:
    """The number of planned connections that fit below the limit, as in `_connections`, or both ends of its range."""
    least, most = units.rough_count(limit.connections), units.rough_count(limit.high_connections, up=True)
    is_range = limit.connections_are_at_least and limit.high_connections is not None and least != most
    return f"{least} to {most}" if is_range else _connections(limit)


def _limit_note(ledger: Ledger, plan: Plan, limit: PlanLimit) -> str:
    """The note on a limit; for memory, also the range of what fits if the buffers are a range.

    If memory is the first limit of the verdict, the verdict has this range.
    """
    notes: list[str] = []
    fits = _connections_range(limit) if limit.name == "memory" else ""
    if " to " in fits:
        because = "parts are ranges" if limit.other_parts_are_ranges else "buffers are a range"
        is_said = plan.verdict != "cannot say" and limit is _first(plan)
        notes.append(because if is_said else f"fits {fits} more: {because}")
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
    return "; ".join(filter(None, (*notes, _in_words(limit.note))))


def _in_words(text: str) -> str:
    """A text with the name of vectors of memory cgroups as on the main screen."""
    return text.replace(CGROUP_VECTORS.struct, VECTORS)


def _after(limit: PlanLimit) -> str:
    is_at_most = limit.connections_are_at_most
    least, most = (units.rough_count(number) for number in (limit.connections, limit.high_connections))
    if limit.connections == 0 and not limit.high_connections:
        return "no connection fits"
    if limit.high_connections is not None and least != most:
        return f"after {least} to {units.rough_count(limit.high_connections, up=True)} connections"
    about = "at most" if is_at_most else "at least" if limit.connections_are_at_least else "about"
    return f"after {about} {units.rough_count(limit.connections, up=is_at_most)} connections"


def _may_be_before(plan: Plan, first: PlanLimit) -> str:
    """The limits that may be reached before the limit `first`, such as `, or tcp_mem, maybe from 33 800 on`.

    Whether they are is not known, because their use or what the plan takes of them is known only within bounds.
    """
    return "".join(f", or {limit_label(limit.name)}, {since}" for limit, since in _maybe_before(plan, first))


def _maybe_before(plan: Plan, first: PlanLimit) -> Iterator[tuple[PlanLimit, str]]:
    """Yields the limits that may be reached before the limit `first`, each with the words that say from where on."""
    if first.connections == 0:
        return
    for limit in plan.limits:
        least = None if limit.connections_are_at_most else limit.connections
        if limit is first or limit.verdict != "unknown" or limit.name == TIME_WAIT_LIMIT:
            continue
        if least is None:
            yield limit, "maybe before"
        elif first.connections is None or least < first.connections:
            yield limit, f"maybe from {units.rough_count(least)} on"


def _amount(limit: PlanLimit, amount: int | None, up: bool | None = None) -> str:
    if amount is None:
        return units.UNKNOWN
    return units.size(amount, up) if limit.unit == "bytes" else units.count(amount)


def sysctl_lines(plan: Plan, columns: int) -> list[Line]:
    """The sysctls that need a higher value for the plan, in the format of sysctl.conf(5), with the present values.

    If there are limits that no sysctl can raise enough, the first line names these limits. The line before the values
    says how the advised values are computed.
    """
    if not plan.sysctls:
        return []
    rule = f" Sysctls to change (need ÷ {ADVISED_PERCENT / 100:g}, at most what memory and the kernel allow):"
    texts = [f" {each.name} = {_values(each.advised)} (now {_sysctl_notes(each)})" for each in plan.sysctls]
    changed = {each.limit for each in plan.sysctls}
    still = [
        limit_label(limit.name) for limit in plan.limits if limit.verdict == "exceeded" and limit.name not in changed
    ]
    first = [f" Sysctls are not enough: {', '.join(still)} would still be exceeded."] if still else []
    return [line for text in (*first, rule, *texts) for line in paragraph(text, columns - 1, "text")]


def _sysctl_notes(sysctl: PlanSysctl) -> str:
    """The present values of a sysctl, how the three advised values of tcp_mem are computed, and the sysctl's note."""
    rule = ""
    if sysctl.limit == "tcp_mem" and "capped" not in sysctl.note:
        _, second, third = sysctl.advised
        rule = f"second value = need ÷ {ADVISED_PERCENT / 100:g}, so no pressure; third "
        rule += "= 1.5 times that" if third == second * 3 // 2 else "as now"
    return "; ".join(filter(None, (_values(sysctl.now), rule, sysctl.note)))


def _values(values: Sequence[int]) -> str:
    return " ".join(map(str, values))


def _nr_open_text(plan: Plan) -> str:
    """A sentence on fs.nr_open after another sentence; empty if it is unknown and its default is enough."""
    if plan.nr_open is None:
        if plan.request.sockets < DEFAULT_NR_OPEN:
            return ""
        default = units.grouped(DEFAULT_NR_OPEN)
        return f" fs.nr_open, the most that it can be, is not known; its default, {default}, is too small."
    verdict = "enough for the sockets" if plan.request.sockets < plan.nr_open else "too small: raise it first"
    return f" fs.nr_open, the most that it can be, is {units.grouped(plan.nr_open)}, {verdict}."


def remarks(ledger: Ledger, plan: Plan, is_form: bool = False, is_page: bool = False) -> Iterator[str]:
    """Yields remarks on questions that the plan leaves open, each remark in one or two sentences.

    If `is_form` is true, the remarks name the fields of the form instead of the options of the command. If `is_page` is
    true, they leave out what stands above them on the page.
    """
    request, full = plan.request, _full_bytes_text(plan)
    yield _reclaim_text(plan)
    if full and not (is_page and len(plan.nodes or ()) > 1):
        yield f"What fits into memory is counted at {full} per connection: {_sharing_text(plan)} then."
    said = _comparison(ledger, plan, is_form) if is_page else None
    for text in (main_screen_text(ledger, plan, said), memory_use_text(ledger, "full")):
        if text:
            yield text
    on_ports = request.outgoing + request._replace(time_wait=plan.mini_sockets).outgoing_time_wait
    if request.outgoing and plan.ports and on_ports > plan.ports:
        pairs = -(-on_ports // plan.ports)
        at_most = "at most " if plan.ports_are_at_most else ""
        yield (
            f"Ports: {at_most}{units.grouped(plan.ports)} for one local address and one address and port of a peer;"
            f" these need at least {units.grouped(pairs)} such pairs."
        )
    elif _finds_no_port(plan):
        if not is_page:
            yield NO_PORT_REMARK
    elif request.outgoing and plan.ports is None:
        yield (
            f"Ports: ip_local_port_range {plan.ports_unknown_because}; each pair of a local and a peer's address has"
            " its own ports."
        )
    unchecked = "" if "nofile" in _found_by_look(ledger) else "; it is not checked"
    yield (
        f"Files of a process: if one process holds them all, its limit (ulimit -n) must be above"
        f" {units.grouped(request.sockets)} plus the files that it has open now{unchecked}."
        f"{_nr_open_text(plan)}"
    )
    found = look_text(ledger, plan)
    needs_look = look_needed_text(ledger.live).replace("(W", "(plan --who, W")
    if not (found and is_page):
        yield f"{found[0].upper()}{found[1:]}." if found else f"{NO_LOOK_REMARK}: {needs_look}."
    if any(sysctl.name == "net.ipv4.tcp_mem" for sysctl in plan.sysctls):
        yield "tcp_mem: above its second value windows shrink. It is in pages."
    if request.time_wait:
        per_s = units.grouped(round(request.time_wait / TIME_WAIT_S))
        yield (
            f"TIME_WAIT: {TIME_WAIT_S} s on Linux, so {units.grouped(request.time_wait)} mini-sockets are about {per_s}"
            " connections closed here per second."
        )
    if not request.buffer_bytes:
        adds = (
            "The field buffers adds them: type a size, or n for what a socket has now."
            if is_form
            else "--buffers adds them; --buffers now adds what a socket has now."
        )
        yield f"Buffers: none are counted. {adds}"
    elif request.buffer_bytes != "now":
        yield (f"Buffers: {buffers_text(plan)}: a given size is all data, and counts in whole pages.")
    elif text := buffers_as_now_text(ledger, _most_charge(plan)):
        yield text
    elif _has_no_buffers_now(plan):
        yield "Buffers: the present sockets have none, so the plan has none."
    elif plan.buffers.memory_bounds is not None:
        yield (
            f"Buffers: {buffers_text(plan)} of a present socket: the counter is within its error, so only bounds are"
            " known."
        )
    has_other_nodes = sum(node.memory_bytes != 0 for node in ledger.nodes) > 1
    if has_other_nodes:
        yield from _full_node_texts(ledger, plan)
    for part in plan.parts:
        if part.high_cache:
            yield (
                f"{part.object.removeprefix('struct ')}: nothing tells in which of {part.cache} to {part.high_cache} it"
                " is, so its size is an upper bound; BTF or a lab result (--lab FILE) gives the size."
            )
    ports_of = next((part.count for part in plan.parts if part.object == BIND_BUCKET.struct), 0)
    if on_ports > ports_of > 0:
        yield (
            f"inet_bind_bucket: at most {units.count(round(ports_of))}, one of each port, if all sockets are in one"
            " network namespace; each namespace has its own."
        )
    if any(part.estimated for part in plan.parts):
        yield "A part with a range, or shared by sockets, is shown at its upper bound."
    yield "The memory of the programs themselves is not counted."


def _full_node_texts(ledger: Ledger, plan: Plan) -> Iterator[str]:
    """Yields sentences on the nodes whose free memory the plan exceeds, or may exceed."""
    without_cpus = {node.node for node in ledger.nodes if node.cpus == 0}
    for numbers, verb, are in ((plan.full_nodes, "will", "are"), (plan.maybe_full_nodes, "may", "may be")):
        if not numbers:
            continue
        if all(number in numbers for number, node in (plan.nodes or {}).items() if node.free_bytes != 0):
            yield f"All nodes {are} above their own free memory: the kernel then gives up page cache, if there is any."
            continue
        with_cpus = [number for number in numbers if number not in without_cpus]
        if not with_cpus:
            continue
        names = f"{'node' if len(with_cpus) == 1 else 'nodes'} {', '.join(map(str, with_cpus))}"
        yield f"The CPUs of {names} {verb} use memory of other nodes, too."


def buffers_text(plan: Plan) -> str:
    """The buffers of a planned socket, and the part of them with data: `25 598 B, with data 5 263 to 9 104 B`.

    Where the upper bound is above the likely charge, it is `≈ 778 B; 31 to 1 223 B`. The charge is left out if unknown.
    """
    counted, _, bounds = plan.buffers
    if counted is None and bounds is None:
        return "not known"
    most = _most_charge(plan) if plan.request.buffer_bytes == "now" else counted
    is_about = counted is not None and (most is None or most > (1 + HIDDEN_ERROR_SHARE) * counted)
    charge = f"{'≈ ' if is_about else ''}{units.exact_bytes(counted)}"
    if bounds is None:
        return f"{charge} B, with data not known"
    used = units.bounds_span(bounds, units.exact_bytes)
    if bounds.low == 0 < bounds.high:
        used = f"≤ {units.exact_bytes(bounds.high, True)}"
    if counted is None:
        return f"with data {used} B"
    # With a likely charge below the upper bound, a part with data would look larger than its whole.
    return f"{charge} B; {used} B" if is_about and bounds.high > counted else f"{charge} B, with data {used} B"


def _most_charge(plan: Plan) -> float | None:
    """Upper bound on the bytes per planned socket that the kernel charges for its buffers; None if unknown."""
    row = next((limit for limit in plan.limits if limit.name == "tcp_mem"), None)
    return None if row is None or row.high_takes is None else row.high_takes / plan.request.sockets


def _bind_buckets_text(plan: Plan, memory: PlanLimit | None) -> str:
    """The bind buckets that the main screen counts, and whether as many planned clients as fit share some."""
    fits = (
        None if memory is None else memory.connections if memory.high_connections is None else memory.high_connections
    )
    shares = plan.request._replace(connections=fits or 0).outgoing > LAST_PORT
    return f"a bind bucket for each client{' (planned clients share ports)' if shares else ''}"


class Comparison(NamedTuple):
    """The line below the verdict that compares what fits into memory with the number of the main screen."""

    text: str
    has_bytes: bool
    """True if the line also has the bytes of a socket."""


def main_screen_text(ledger: Ledger, plan: Plan, said: Comparison | None = None) -> str:
    """The number of sockets that fit into memory according to the main screen, with the assumptions behind the number.

    The text ends with the assumptions of the plan, so that the user can compare them with those of the main screen. The
    figures that `said` has are left out. The text is empty if the main screen does not show the number of sockets that
    fit.
    """
    headroom, each = ledger.headroom["full"], _socket_bytes(plan)
    if headroom.sockets is None or headroom.bytes_per_socket is None or each is None:
        return ""
    ours, theirs = units.exact_bytes(each), units.exact_bytes(headroom.bytes_per_socket)
    same_buffers = plan.request.buffer_bytes == ("now" if headroom.counts_buffers("memory") else 0)
    why = ""
    if plan.request.outgoing and same_buffers and each < headroom.bytes_per_socket and ours != theirs:
        why = " That is less, since sockets that share a local port share its bind bucket."
    is_partial = headroom.buffer_bytes is None
    assumed = "half client side, buffers not known" if is_partial else headroom_assumption(headroom)
    least = [VECTORS]
    least += ["objects of unknown size"] if any(part.high_cache for part in plan.parts) else []
    least += ["buffers"] if headroom.high_buffer_bytes else []
    memory = next((limit for limit in plan.limits if limit.name == "memory"), None)
    without_error = ", free memory without its error" if memory is not None and memory.used_error else ""
    counts = (
        f"{assumed}; {' and '.join(filter(None, (', '.join(least[:-1]), least[-1])))} at their least{without_error},"
        f" {_bind_buckets_text(plan, memory)}; no TIME_WAIT, epoll, conntrack, kTLS"
    )
    planned = (
        f"{SIDE_WORDS[plan.request.side]}, {assumption_text(plan)};"
        f" each {'known ' if plan.missing else ''}part at its upper bound"
    )
    if said is not None and said.has_bytes:
        return f"Main screen: {counts}. This plan: {planned}.{why}"
    at = f"at {socket_bytes_text(headroom)} each"
    number = at if said is not None else f"memory for {memory_fits_text(headroom)} more {at}"
    return f"Main screen: {number} ({counts}). This plan: {_plan_bytes(plan, each)} a socket ({planned}).{why}"


def comparison_lines(ledger: Ledger, plan: Plan, columns: int, sign: Signs = str, is_form: bool = False) -> list[Line]:
    """The line below the verdict that compares the number of sockets that fit into memory with that of the main screen.

    See `_comparison`.
    """
    said = _comparison(ledger, plan, is_form)
    return [] if said is None else paragraph(sign(said.text), columns - 1, "text" if said.has_bytes else "dim")


def _comparison(ledger: Ledger, plan: Plan, is_form: bool) -> Comparison | None:
    """Compares the number of sockets that fit into memory with that of the main screen, if memory is the first limit.

    The result is None if the numbers differ by at most MAX_SHARE_APART; the form, which begins as the main screen, then
    has a short one if they look different. With another first limit, a remark has the figures of the main screen.
    """
    headroom, each = ledger.headroom["full"], _socket_bytes(plan)
    memory = _first(plan)
    if headroom.sockets is None or headroom.bytes_per_socket is None or each is None:
        return None
    if memory is None or memory.name != "memory" or memory.connections is None:
        return None
    high = memory.connections if memory.high_connections is None else memory.high_connections
    least, most = (number * plan.request.sockets // plan.request.connections for number in (memory.connections, high))
    main = memory_fits_text(headroom)
    theirs = headroom.with_reclaim_low if memory_most_text(headroom) else headroom.sockets
    pairs = ((least, theirs or 0), (most, headroom.sockets))
    ours = _connections_range(memory._replace(connections=least, high_connections=most if most > least else None))
    if all(abs(one - other) <= MAX_SHARE_APART * other for one, other in pairs):
        counted = ", ".join(_main_screen_counts(plan, memory, most)) if _begins_as_main_screen(ledger, plan) else ""
        text = f"main screen: memory for {main} more, with {counted}"
        return Comparison(text, False) if is_form and ours != main and counted else None
    number = f" {ours} sockets," if plan.request.sockets != plan.request.connections else ""
    if plan.verdict == "cannot say" and not number:
        number = f" {ours},"
    text = (
        f"memory: the main screen says {main} more fit, half client side, at {socket_bytes_text(headroom)} each;"
        f" this plan{number or ':'} {SIDE_WORDS[plan.request.side]}, at {_plan_bytes(plan, each)}"
    )
    return Comparison(text, True)


def _begins_as_main_screen(ledger: Ledger, plan: Plan) -> bool:
    """True if the side, families and buffers of the planned sockets are those of the main screen's number."""
    request, has_buffers = plan.request, ledger.headroom["full"].counts_buffers("memory")
    is_same = (request.side, request.family, request.time_wait) == ("mixed", "mix", 0)
    return is_same and request.buffer_bytes == ("now" if has_buffers else 0)


def _main_screen_counts(plan: Plan, memory: PlanLimit, sockets: int) -> Iterator[str]:
    """Yields what the main screen counts otherwise than a plan with its side, families and buffers.

    Each is true on its own, and no one of them alone makes the difference: where many sockets fit, clients that share
    bind buckets take less, and obj_cgroup vectors at their upper bound take more. `sockets` is the number that fits.
    """
    request, parts = plan.request, plan.parts
    if request._replace(connections=sockets).outgoing > LAST_PORT:
        yield _bind_buckets_text(plan, memory)
    if any(part.object == CGROUP_VECTORS.struct and part.bytes < part.high_bytes for part in parts):
        yield f"no {VECTORS}"
    if any(part.high_cache for part in parts):
        yield "objects of unknown size at their least"
    extra = ((request.with_epoll, "epoll"), (request.with_conntrack, "conntrack"), (request.with_ktls, "kTLS"))
    if names := [name for is_planned, name in extra if is_planned]:
        yield f"no {', '.join(names)}"
    if memory.used_error:
        yield "free memory without its error"


def _socket_bytes(plan: Plan) -> float | None:
    """The bytes of a planned socket; None if unknown."""
    if plan.bytes_per_connection is None:
        return None
    return plan.bytes_per_connection * plan.request.connections / plan.request.sockets


def _plan_bytes(plan: Plan, each: float) -> str:
    """The bytes of a planned socket or connection, with `≤` or `≥` if they are a bound."""
    if plan.high_bytes is None:
        return f"≥ {units.exact_bytes(each, False)} B"
    has_range = plan.bytes is not None and plan.high_bytes > plan.bytes * (1 + 1e-9)
    return f"≤ {units.exact_bytes(each, True)} B" if has_range else f"{units.exact_bytes(each)} B"


def remark_lines(ledger: Ledger, plan: Plan, columns: int, is_form: bool = False, sign: Signs = str) -> list[Line]:
    """The remarks as paragraphs, without what stands above them on the page."""
    texts = remarks(ledger, plan, is_form, is_page=True)
    return [line for text in texts for line in paragraph(f" {sign(text)}", columns - 1, "text")]


def _alarms_text(plan: Plan) -> str:
    """The limits that would be near or just hold the plan: `; memory would be NEAR (90 %)`; empty if none would.

    Windows that shrink and skipped mini-sockets have words of their own.
    """
    texts = []
    for limit in plan.limits:
        word = state_word(limit) if limit.name != TIME_WAIT_LIMIT else ""
        if word == STATE_WORDS["near"]:
            texts.append(f"{limit_label(limit.name)} would be {word} ({_percent_range(limit)})")
        elif word == EDGE_WORDS["fits"]:
            texts.append(f"{limit_label(limit.name)} would be {_percent_range(limit)} used")
    return "".join(f"; {text}" for text in texts)


def verdict_text(ledger: Ledger, plan: Plan) -> str:
    """The verdict in one sentence, which also names the limit that is reached first."""
    first, request = _first(plan), plan.request
    if plan.verdict == "cannot say":
        fit = [limit_label(limit.name) for limit in plan.limits if limit.verdict == "fits"]
        known = f"; {', '.join(fit)} would not be exceeded" if fit else ""
        return f"cannot say: {_in_words(plan.unknown_because or '')}{known}"
    verdict: str = plan.verdict
    if verdict == "fits":
        is_just = any(state_word(limit) == EDGE_WORDS["fits"] for limit in plan.limits)
        verdict = f"{'just fits' if is_just else 'fits'}{'' if request.buffer_bytes else ', without buffers'}"
        verdict += _alarms_text(plan)
    buffers = f", {assumption_text(plan)}" if request.buffer_bytes else ""
    statement = f"{verdict}: {connections_text(request)}{buffers}"
    if first is not None:
        statement += f"; first limit: {limit_label(first.name)}, {_after(first)}{_may_be_before(plan, first)}"
        statement += _nofile_stops(ledger, plan, first)
    skipped = request.time_wait - plan.mini_sockets
    return (
        f"{statement}; TIME_WAIT full: {units.count(skipped)} of {units.count(request.time_wait)} skip it"
        if skipped > 0
        else statement
    )
