"""TCP pane: all kernel memory that TCP uses, its growth, and the sockets of the machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tcptop.explanation.limit_texts import ratio_text
from tcptop.explanation.memory_page import (
    buffer_error_text,
    buffer_memory_amount,
    buffer_memory_text,
    buffer_pages_text,
    buffers_text,
)
from tcptop.kernel.objects import MINI_SOCKETS
from tcptop.ledger import AccountingMode, Ledger, SocketCounts
from tcptop.rates import STEP_S, fits_present
from tcptop.text import units
from tcptop.text.line import WARNING, Line, paragraph, text_of
from tcptop.view import View
from tcptop.view.choices import Choices
from tcptop.view.trends import Trends
from tcptop.widgets.big_number import HEIGHT, draw_big_number
from tcptop.widgets.cell_width import cell_width, first_fitting, line_width
from tcptop.widgets.graph import NO_PAST, no_graph_reason, past_columns, past_values, sparkline
from tcptop.widgets.pane import ASCII_CLASS, MIN_MARGIN_COLUMNS, Pane

TITLE_WIDTH = 14
VALUE_WIDTH = 10
WIDE_COLUMNS = 60
"""In a pane with few lines, the buffers share a line with another fact. In the shared line, the notes on the buffers
are shown only if the line has at least this many columns."""
MIN_GRAPH_WIDTH = 6
GRAPH_LENGTH, GRAPH_FROM_START = " 5 min", " from start"
GROWTH_STEPS = 6
"""The growth of the memory and the change of the sockets are measured over this number of steps of the trends.

Slabs come and go whole, so that the growth of the memory over a single step says little. The sockets are those counted
right after the slabs, so that the two rates, one below the other, can be compared.
"""
STEADY_SHARE = 1e-5
"""If the change per second is less than this share of the memory, the pane says `steady` instead of the change."""
STEADY_BYTES = 256 << 10
"""If the number of sockets stands still, a smaller change of the memory is `steady`: a few slabs that come and go."""
WIDE = 1.2
"""The range of the total is wide if its upper bound is more than this number times the total."""
GAP = "  "


class TcpPane(Pane):
    """Pane of the machine's TCP memory in large digits, the number of sockets with a graph, and further details.

    The total, and the counts of sockets, TIME_WAIT and buffers, are those of the newest sample. Growth, rates, the
    graph, available memory and CPU use change only every five seconds, so that they can be read.
    """

    def edge_titles(self, ledger: Ledger, choices: Choices) -> tuple[str, str]:  # noqa: ARG002
        """The title.

        If the counts of `this netns` are not from tcptop's own network namespace, the title names the network namespace
        of these counts.
        """
        title, place = "TCP in the kernel ─ machine", ledger.host.net_namespace
        titles = (f"{title} ─ this netns: {place}", f"TCP ─ this netns: {place}") if place else ()
        return first_fitting((*titles, title, "TCP in the kernel", "TCP"), self.max_title_width), ""

    def lines(self, ledger: Ledger, choices: Choices, columns: int, rows: int) -> Sequence[Line]:
        """The lines of the pane, or the reason why no socket count is known."""
        if ledger.sockets.allocated is None and ledger.sockets.inuse is None:
            reason = ledger.sources["sockstat"].reason or "no counts"
            return paragraph(reason, columns, "text", WARNING)
        columns -= columns >= MIN_MARGIN_COLUMNS
        return tcp_lines(ledger, self._view, choices.mode, columns, rows, self.app.has_class(ASCII_CLASS))


def tcp_lines(
    ledger: Ledger, view: View, mode: AccountingMode, columns: int, rows: int, ascii_only: bool = False
) -> list[Line]:
    """The lines of the pane: the total in large digits with facts beside them, then one detail on each line."""
    if rows < HEIGHT:
        return _low_lines(ledger, view, mode, columns, rows)
    figure, unit = total_texts(ledger)
    digits = draw_big_number(figure, ascii_only) if figure else [""] * HEIGHT
    left = len(digits[0]) + (1 if figure else 0)
    # The available memory is in the third line of the details. If the third line does not fit, and the total is
    # unknown, the first line has the available memory instead.
    has_available = rows < HEIGHT + 3
    unit = unit if mode == "full" or not figure else f"{unit} TCP"
    last = _third_line(ledger, view, mode, columns - left)
    has_range = text_of(last) in _total_notes(ledger)[1]
    facts = [
        _memory_facts(ledger, view, unit, columns - left, has_available, with_bound=not has_range),
        _socket_facts(ledger, view, mode, columns - left),
        last,
    ]
    lines: list[Line] = [
        (((f"{digit} " if figure else ""), "accent"), *fact) for digit, fact in zip(digits, facts, strict=True)
    ]
    if rows == HEIGHT + 1:
        has_bound = "machine" in text_of(facts[1])
        return [*lines, _short_details(ledger, mode, columns, has_bound)]
    if rows == HEIGHT:
        return lines
    return [*lines, *detail_lines(ledger, view.rates or ledger, mode, columns)]


def _third_line(ledger: Ledger, view: View, mode: AccountingMode, columns: int) -> Line:
    """The graph of the sockets or the text in its place.

    In TIME_WAIT accounting, the memory of the mini-sockets comes first, which is a small part of TCP's total above. The
    graph follows if it fits.
    """
    own = _mini_socket_memory(ledger) if mode == "time_wait" else ""
    if not own:
        return _graph_line(view, mode, columns) or _instead_of_graph(ledger, view, columns)
    cost = ledger.costs["time_wait"]
    divided: tuple[str, ...] = ()
    if cost.now_is_at_most and cost.now_divisor is not None:
        # The divisor of the average is neither the count of this namespace nor the upper bound for the machine.
        count = f"for ≥ {units.count(cost.now_divisor)}"
        divided = (f"{own} of slab {count} in TIME_WAIT", f"{own} {count} in TIME_WAIT", f"{own} {count} TIME_WAIT")
    short = _mini_socket_memory(ledger, units.short_size)
    texts = (*divided, f"{own} in TIME_WAIT", f"{own} TIME_WAIT", f"tw_sock {own}", f"tw_sock {short}")
    text = first_fitting(texts, columns)
    # The graph is worth more than a longer text.
    for each in texts[texts.index(text) :] if text in texts else (text,):
        free_columns = columns - cell_width(each) - len(GAP)
        graph = _graph_line(view, mode, free_columns) if free_columns >= MIN_GRAPH_WIDTH else ()
        if graph:
            return ((each, "text"), (GAP, "text"), *graph)
    return ((text, "text"),)


def _mini_socket_memory(ledger: Ledger, format_size: Callable[[float], str] = units.size) -> str:
    """The memory of the slabs of mini-sockets, as text; empty if it is unknown."""
    names = {name for item in MINI_SOCKETS for name in item.caches}
    parts = [part.bytes for part in ledger.tcp_memory.parts if part.name in names]
    return format_size(sum(parts)) if parts and names.isdisjoint(ledger.tcp_memory.missing) else ""


def _low_lines(ledger: Ledger, view: View, mode: AccountingMode, columns: int, rows: int) -> list[Line]:
    """The total and the sockets in one or two lines, without large digits."""
    figure, unit = total_texts(ledger)
    text = f"{figure} {unit}" if figure else unit
    total: Line = (("TCP ", "dim"), (text, "accent"), (GAP, "text"))
    if rows < 2:
        return [(*total, *_socket_facts(ledger, view, mode, columns - line_width(total), with_period=False))]
    sockets = _socket_facts(ledger, view, mode, columns, with_period=False)
    graph_columns = columns - line_width(sockets) - len(GAP)
    graph = _graph_line(view, mode, graph_columns) if graph_columns >= MIN_GRAPH_WIDTH else ()
    return [
        (*total, *_memory_facts(ledger, view, "", columns - line_width(total))),
        (*sockets, *(((GAP, "text"), *graph) if graph else ())),
    ]


def total_texts(ledger: Ledger) -> tuple[str, str]:
    """The digits of the total, and its unit.

    If the total and its lower bound are unknown, there are no digits, and the reason takes the place of the unit.

    If parts are missing, `≥` and the lower bound are shown. Otherwise the likely total is shown, the same number as in
    the graphs and the reports. The total and its bounds are shortened alike. `≈` precedes the total if the shortened
    lower or upper bound differs from the shortened total.
    """
    total = ledger.tcp_memory
    if total.shown_bytes is None:
        return "", _unknown_total(ledger)
    if total.missing:
        digits, unit = units.short_figure(total.low_bytes or 0, False)
        return f"≥{digits}", unit
    digits, unit = units.short_figure(total.shown_bytes)
    ends = {units.short_figure(each) for each in (total.low_bytes, total.high_bytes) if each is not None}
    return f"≈{digits}" if len(ends | {(digits, unit)}) > 1 else digits, unit


def _unknown_total(ledger: Ledger) -> str:
    """The reason why the total is unknown, in two words."""
    return "needs root" if ledger.sources["slabinfo"].state == "refused" else "not known"


def _memory_facts(
    ledger: Ledger, view: View, unit: str, columns: int, with_available: bool = True, with_bound: bool = True
) -> Line:
    """The unit of the total; the total's share of the machine's memory; the total's growth.

    If `with_bound` is true, because no other line has the range of the total, the upper bound of a wide range is more
    useful than the share.

    If the total is unknown, `unit` is the reason, and the line shows only this reason. If `with_available` is true, the
    available memory follows the reason. If at least a lower bound is known, the reason follows the unit.
    """
    total, memory_bytes = ledger.tcp_memory, ledger.host.memory_bytes
    if total.bytes is None and total.low_bytes is not None:
        reason, start = _unknown_total(ledger), f"{unit}, " if unit else ""
        # The rows of the table below are other parts: this is what the sockets' socks alone take.
        of_socks = (f"{unit} of socks, the rest {reason}", f"{unit} of socks, rest {reason}") if unit else ()
        rests = (*of_socks, f"{start}the rest {reason}", f"{start}rest {reason}", unit)
        return ((first_fitting(rests, columns), "text"),)
    if total.bytes is None:
        available = f"RAM available {units.size((view.rates or ledger).host.memory_available_bytes)}"
        reasons = [f"TCP memory {unit}", f"memory {unit}", unit] if unit else [""]
        if with_available:
            reasons.insert(0, f"TCP memory {unit}{GAP}{available}" if unit else available)
        return ((first_fitting(reasons, columns), "text"),)
    # The total stands beside its large digits as text, too: half blocks are easily misread in some fonts.
    number = f"{units.size(total.shown_bytes)}{unit[unit.find(' ') :] if ' ' in unit else ''}"
    start = f"{unit}{GAP}" if unit else ""
    share = _percent(total.shown_bytes, memory_bytes)
    change = _growth_text(view, total.bytes)
    bounds: list[str] = []
    if with_bound and total.high_bytes is not None and not total.missing and total.high_bytes > WIDE * total.bytes:
        high = units.size(total.high_bytes, True)
        ends = (f"{share} of RAM{GAP}{change}", change, "")
        starts = [f"{each}, {most} {high}" for each in (number, unit) for most in ("at most", "≤")]
        starts = starts if unit else [f"at most {high}", f"≤ {high}"]
        bounds = list(dict.fromkeys(f"{bound}{GAP}{end}".rstrip() for end in ends for bound in starts))
    with_number = (
        f"{number}{GAP}{share} of RAM{GAP}{change}".rstrip(),
        f"{number} {share} of RAM {change}".strip(),
        f"{number}{GAP}{share}{GAP}{change}".rstrip(),
        f"{number}{GAP}{change}".rstrip(),
    )
    texts = (
        *bounds,
        *(with_number if unit else ()),
        f"{start}{share} of RAM{GAP}{change}".rstrip(),
        f"{start.rstrip()} {share} of RAM {change}".strip(),
        f"{start}{share}{GAP}{change}".rstrip(),
        f"{start}{share}",
        unit,
    )
    return ((_with_free_column(texts, columns), "text"),)


def _with_free_column(texts: Sequence[str], columns: int) -> str:
    """The first text that leaves a column before the border; where only the last one would, the first that fits."""
    spaced = first_fitting(texts, columns - 1)
    return first_fitting(texts, columns) if spaced == texts[-1] else spaced


def _growth_text(view: View, total_bytes: float) -> str:
    """The growth per second over the last GROWTH_STEPS steps, as text; empty if it is unknown or out of date.

    Buffers count only if their counter has moved by more than its error. What of the charge holds data is an estimate,
    which changes at a look at the sockets though no buffer does; so the present share is taken of the change.
    """
    trends, latest = view.trends, view.trends.latest
    slabs, charge = _change(trends, "slab_bytes"), _change(trends, "buffer_bytes")
    if slabs is None or latest is None:
        return ""
    per_s, period_s = slabs
    sockets = _change(trends, "counted_sockets")
    least_per_s = STEADY_SHARE * total_bytes
    if sockets is None or not round(sockets[0]):
        least_per_s = max(least_per_s, STEADY_BYTES / period_s)
    error_bytes, charged_bytes = latest.sockets.buffer_error_bytes, latest.sockets.buffer_bytes
    if charge is not None and charged_bytes and error_bytes is not None and abs(charge[0]) * period_s > error_bytes:
        per_s += charge[0] * latest.tcp_memory.shown_buffer_bytes / charged_bytes
    elif charge is not None and abs(per_s) < least_per_s <= abs(charge[0]):
        return ""
    if not fits_present(per_s, period_s, total_bytes):
        return ""
    return "steady" if abs(per_s) < least_per_s else units.signed_rate(per_s)


def _change(trends: Trends, name: str) -> tuple[float, float] | None:
    """The change per second of a figure that belongs to the counts of slabs, and its period in s; None if unknown.

    The change is that between the last count of slabs and the one GROWTH_STEPS steps before; if the slabs are counted
    more seldom, the one before the last. The rates of memory and of sockets so have the same two moments. If the
    slabs were not counted beside the present sockets, the change is unknown.
    """
    if trends.latest is not None and trends.latest.tcp_memory.outdated_because is not None:
        return None
    counted = [
        (at_s, value)
        for at_s, total, value in zip(trends.counted_at_s, trends.tcp_bytes, getattr(trends, name), strict=False)
        if at_s is not None and total is not None and value is not None
    ]
    if not counted:
        return None
    last_s, end = counted[-1]
    earlier = [each for each in counted if each[0] < last_s]
    if not earlier:
        return None
    first_s, start = next((each for each in counted[-GROWTH_STEPS - 1 :] if each[0] < last_s), earlier[-1])
    return (end - start) / (last_s - first_s), last_s - first_s


def _percent(part: float | None, whole: float | None) -> str:
    """A part in per cent of the whole; unknown if either number is unknown, or if the whole is 0."""
    return units.fine_percent(None if part is None or not whole else part / whole)


def _socket_facts(ledger: Ledger, view: View, mode: AccountingMode, columns: int, *, with_period: bool = True) -> Line:
    """The number of sockets, and the change of this number per second, with its period if asked for and if it fits.

    In TIME_WAIT accounting, mini-sockets are counted instead. The change is that between the two counts of slabs that
    the growth of the memory is computed from; as long as this growth is unknown, over the last five seconds. After a
    burst that slabinfo does not count yet, and after a burst that has gone again, no change is shown.
    """
    counts, rates = ledger.sockets, (view.rates or ledger).sockets
    if ledger.tcp_memory.outdated_because is not None:
        rates = rates._replace(allocated_per_s=None, time_wait_per_s=None)
    trends = view.trends
    change = _change(trends, "counted_sockets" if mode == "full" else "counted_time_wait")
    if mode == "full":
        present, recent_per_s = counts.allocated, rates.allocated_per_s
        nouns: tuple[str, ...] = (" socket" if present == 1 else " sockets", "")
    else:
        present, recent_per_s = counts.time_wait, rates.time_wait_per_s
        nouns = _time_wait_nouns(counts)
    number = units.count(present)
    per_s, period_s = (recent_per_s, float(STEP_S)) if change is None else change
    over = "" if change is None else f" over {period_s:.0f} s"
    if per_s is not None and not fits_present(per_s, period_s, present):
        per_s = None
    rate = "" if per_s is None else f"{GAP}{units.short_signed_count(per_s) if per_s else '±0'}/s"
    longest = [f"{nouns[0]}{rate}{over}"] if per_s and with_period else []
    texts = [*longest, *(f"{noun}{rate}" for noun in nouns), *nouns, ""]
    if mode == "time_wait":
        # The noun, which says what the number counts, is more useful than the change per second.
        texts = [*longest, *(text for noun in nouns for text in (f"{noun}{rate}", noun))]
    return ((number, "strong"), (first_fitting((*texts, ""), columns - cell_width(number)), "text"))


def _time_wait_nouns(counts: SocketCounts) -> tuple[str, ...]:
    """Texts that follow the number of mini-sockets, from long to short.

    The texts say if only one network namespace is counted. If only one network namespace is counted, the longest texts
    also give the upper bound for the machine, if this bound is known.
    """
    if counts.time_wait_scope != "here":
        return (f" TIME_WAIT {counts.time_wait_scope}", " TIME_WAIT")
    bound = counts.time_wait_machine_max
    named = (" TIME_WAIT this netns", " TIME_WAIT here", " here")
    if bound is None:
        return named
    machine = f", {_at_most(units.count(bound))} machine"
    return (*(f"{noun}{machine}" for noun in named[:2]), *named)


def _netns_words(counts: SocketCounts) -> tuple[str, ...]:
    """Texts that follow the TIME_WAIT count where it may be that of this network namespace, from long to short."""
    return (" this netns", " here") if counts.time_wait_scope == "here" else (" machine or this netns", "")


def _graph_line(view: View, mode: AccountingMode, columns: int) -> Line:
    """The graph of the sockets or mini-sockets over five minutes; empty if the user has switched the graphs off."""
    series = "sockets" if mode == "full" else "time_wait"
    if not view.choices.extras or not past_values(view, series):
        return ()
    length = GRAPH_LENGTH if view.player is None else GRAPH_FROM_START
    length = length if columns - len(length) >= MIN_GRAPH_WIDTH else ""
    drawn = sparkline(past_columns(view, series, columns - len(length))).rjust(columns - len(length))
    return ((drawn, "slice-2"), (length, "dim"))


def _instead_of_graph(ledger: Ledger, view: View, columns: int) -> Line:
    """The text that replaces a missing graph.

    If a graph will appear later, the text says when. Otherwise the text gives the range of the total.
    """
    reason = no_graph_reason(ledger, view) if view.choices.extras and ledger.tcp_memory.shown_bytes is not None else ""
    texts = (reason,) if reason not in ("", NO_PAST) else _total_notes(ledger)[1]
    return ((first_fitting((*texts, ""), columns), "dim"),)


def _short_details(ledger: Ledger, mode: AccountingMode, columns: int, has_bound: bool) -> Line:
    """One line with the machine's mini-sockets and the buffers.

    In TIME_WAIT accounting, the line has the number of sockets instead of the number of mini-sockets.

    If only one network namespace is counted, the line may begin with the upper bound on the mini-sockets of the
    machine. In TIME_WAIT accounting, if `has_bound` is true, another line shows the bound, so this line leaves the
    bound out.
    """
    counts = ledger.sockets
    bound = counts.time_wait_machine_max
    if mode == "time_wait":
        sockets = f"sockets {units.count(counts.allocated)}"
        starts: tuple[str, ...] = (sockets,)
        if counts.time_wait_scope == "here" and bound is not None and not has_bound:
            of_all = f"all netns {_at_most(units.count(bound))}"
            starts = (f"{of_all}{GAP}{sockets}", of_all)
    elif counts.time_wait_scope == "machine":
        number = units.count(counts.time_wait)
        starts = (f"{number} in TIME_WAIT", f"TIME_WAIT {number}")
    elif bound is not None:
        numbers = [_at_most(each) for each in (units.count(bound), units.short_count(bound, 4, up=True))]
        starts = (f"{numbers[0]} in TIME_WAIT", *(f"TIME_WAIT {each}" for each in numbers))
    else:
        number = units.count(counts.time_wait)
        starts = tuple(f"TIME_WAIT {number}{where}" for where in _netns_words(counts))
    buffers, notes = buffers_texts(ledger)
    memory = buffer_memory_text(ledger)
    texts = [
        *(f"{starts[0]}{GAP}buffers {buffers} {note}" for note in notes if columns >= WIDE_COLUMNS),
        *(f"{start}{GAP}buffers {buffers}, {memory}" for start in starts if memory),
    ]
    if memory:
        # The total includes only the part of the buffers with data. The buffers as a whole may be larger than the
        # total, so the part with data is always shown beside them.
        for format_amount in SIZE_FORMATS:
            texts += [f"{start}{GAP}{text}" for start in starts for text in _buffers_with_data(ledger, format_amount)]
            if mode == "full" or has_bound or bound is None:
                texts += _buffers_with_data(ledger, format_amount)
    else:
        texts += [f"{start}{GAP}buffers {buffers}" for start in starts]
    return ((first_fitting((*texts, starts[-1]), columns), "dim"),)


def _three_digits(amount: float, up: bool | None = None) -> str:
    return " ".join(units.short_figure(amount, up))


SIZE_FORMATS: tuple[units.BoundFormat, ...] = (units.size, _three_digits, units.short_size)
"""Formats of an amount of buffers, the longest text first."""


def _buffers_with_data(ledger: Ledger, format_amount: units.BoundFormat) -> list[str]:
    """The charge of the buffers and the part with data, which the total includes.

    Two texts, a long one and a short one: `buffers charged 97.7 MiB, of it with data ≈ 27.2 MiB`, `buffers 97.7 MiB,
    with data ≈ 27.2 MiB`.
    """
    charged = buffers_text(ledger.sockets, format_amount)
    with_data = buffer_memory_amount(ledger, format_amount)
    return [f"buffers charged {charged}, of it with data {with_data}", f"buffers {charged}, with data {with_data}"]


def detail_lines(ledger: Ledger, slow: Ledger, mode: AccountingMode, columns: int) -> list[Line]:
    """The details, one on each line, the most important first.

    Each line shows the longest of the detail's notes that fits into the line.

    The available memory and the CPU use are those of `slow`, a sample that is replaced only every five seconds.
    """
    counts, host = ledger.sockets, slow.host
    total = ledger.tcp_memory
    families = f"IPv4 {units.count(counts.inuse)}, IPv6 {units.count(counts.inuse6)}"
    percent = host.cpu_busy_percent
    names = () if percent is None else ("machine's CPU", "all CPUs", "CPUs")
    busy = [f"{name} {max(0.0, percent or 0.0):.0f} %" for name in names]
    memory_size = units.size(host.memory_bytes)
    apart = f"≥ {units.count(counts.apart)}" if counts.apart else units.count(counts.apart)
    time_wait = ("TIME_WAIT", units.count(counts.time_wait), _time_wait_notes(counts))
    sockets = ("sockets", units.count(counts.allocated), ("machine",))
    rows: tuple[tuple[str, str, tuple[str, ...]], ...] = (
        time_wait if mode == "full" else sockets,
        ("buffers", *buffers_texts(ledger)),
        (
            "RAM available",
            units.size(host.memory_available_bytes),
            # The use of the CPU beside an amount of memory would read as a share of it.
            # It may be less than the memory that the pane of free blocks calls free.
            (
                *(f"of {memory_size}, after reserves; {each}" for each in busy),
                *(f"of {memory_size}; {each}" for each in busy),
                f"of {memory_size}, after reserves",
                f"of {memory_size}",
            ),
        ),
        ("in use", units.count(counts.inuse_of_both), (f"this netns: {families}", f"here: {families}", "this netns")),
        ("orphans", units.count(counts.orphans), ("machine",)),
        ("others", apart, ("other netns, or never connected", "not in use in this netns", "not in use here")),
        ("TCP memory", *_total_notes(ledger)),
    )
    lines: list[Line] = []
    for title, value, notes in rows[: len(rows) if total.shown_bytes is not None else -1]:
        head = f"{title:<{TITLE_WIDTH}}", f"{value:>{VALUE_WIDTH}}"
        free_columns = columns - sum(map(cell_width, head)) - len(GAP)
        # `all` alone says less than `all netns`.
        in_column = [each for each in notes if "; all ≤" not in each]
        note = _with_free_column((*in_column, ""), free_columns)
        if not note and "this netns" in notes and cell_width(value) < VALUE_WIDTH:
            # Without its scope, the count would be read as one of the machine.
            head = f"{title} here".ljust(TITLE_WIDTH), head[1]
        if title == "TIME_WAIT" and "FIN_WAIT2" not in note:
            note = first_fitting((*in_column, ""), free_columns)
        if title == "TIME_WAIT" and counts.time_wait and "FIN_WAIT2" not in note:
            # What the number counts is worth more than its place below the others.
            text = first_fitting([*(f"{title} {value} {each}" for each in notes if "FIN_WAIT2" in each), ""], columns)
            if text:
                lines.append(((title, "dim"), (f" {value} ", "strong"), (text[len(f"{title} {value} ") :], "dim")))
                continue
        if title == "buffers" and not note and buffer_memory_text(ledger):
            # A row of tcp_mem counts what is charged, so that the part with data alone would look wrong beside it.
            texts = [text for each in SIZE_FORMATS for text in _buffers_with_data(ledger, each)]
            texts += [f"buffers with data {buffer_memory_amount(ledger, each)}" for each in SIZE_FORMATS]
            lines.append(((first_fitting((*texts, ""), columns), "dim"),))
            continue
        lines.append(((head[0], "dim"), (head[1], "strong"), (f"{GAP}{note}" if note else "", "dim")))
    return lines


def _time_wait_notes(counts: SocketCounts) -> tuple[str, ...]:
    """Notes on the TIME_WAIT count: its scope, and a bound for the machine if the count covers one namespace.

    The longer ones say that the kernel counts sockets of FIN_WAIT2 that were closed among those of TIME_WAIT.
    """
    has_both = bool(counts.time_wait)
    if counts.time_wait_scope != "here":
        scope = counts.time_wait_scope.replace("here", "this netns")
        return (*_with_fin_wait2(scope, has_both), "")
    if counts.time_wait_machine_max is None:
        return _with_fin_wait2("this netns", has_both)
    bound = _at_most(units.count(counts.time_wait_machine_max))
    both = (
        f"this netns, with closed FIN_WAIT2; all netns {bound}",
        f"here, with closed FIN_WAIT2; all netns {bound}",
        f"here, with FIN_WAIT2; all netns {bound}",
        f"here, with FIN_WAIT2; all {bound}",
    )
    return (
        *(both if has_both else ()),
        f"this netns, all netns {bound}",
        f"here, all netns {bound}",
        f"here, all netns {_at_most(units.short_count(counts.time_wait_machine_max, 6, up=True))}",
        "this netns",
    )


def _with_fin_wait2(scope: str, has_both: bool) -> tuple[str, ...]:
    """The scope of the TIME_WAIT count, before it longer notes that name FIN_WAIT2 if `has_both` is true."""
    return (f"{scope}, with closed FIN_WAIT2", f"{scope}, with FIN_WAIT2", scope) if has_both else (scope,)


def _at_most(bound: str) -> str:
    """An upper bound with its sign; an upper bound of 0 is exact."""
    return bound if bound == "0" else f"≤ {bound}"


def buffers_texts(ledger: Ledger) -> tuple[str, tuple[str, ...]]:
    """The memory of the sockets' buffers, and notes that give the part with data and the limit tcp_mem.

    If the value of the kernel's counter is no larger than the counter's possible error, the text gives an upper bound.
    """
    counts = ledger.sockets
    limit = next(row for row in ledger.limits["full"].rows if row.name == "tcp_mem")
    share = f"{ratio_text(limit)} %"
    if counts.buffer_bytes is None and counts.buffer_pages is not None and counts.tcp_mem_pages:
        pages = counts.tcp_mem_pages[2]
        return buffer_pages_text(counts), (f"of tcp_mem {units.count(pages)} pages ({share})", "pages")
    bounds, memory = counts.buffer_bounds, buffer_memory_text(ledger)
    text = buffers_text(counts)
    if bounds is None:
        return text, ("of all sockets",)
    error = buffer_error_text(counts)
    if counts.buffers_within_error:
        error = "error assumed" if counts.buffer_error_is_assumed else ""
    if not counts.tcp_mem_pages or not counts.tcp_mem_unit_bytes:
        return text, (f"{error}, {memory}".strip(", "), memory)
    limit_text = f"tcp_mem {units.size(counts.tcp_mem_pages[2] * counts.tcp_mem_unit_bytes)}"
    with_share = f"{limit_text} ({share})"
    notes = [
        f"{error} of {with_share}".strip(),
        f"of {with_share}",
        with_share,
        f"of {limit_text}",
        f"{share} of tcp_mem",
    ]
    # The total includes only the part of the buffers with data, so the note on that part comes first.
    with_memory = [f"{memory}; {note}" for note in notes] if memory else []
    short_memory = [memory, f"with data {buffer_memory_amount(ledger)}"]
    return text, (*with_memory, *(short_memory if memory else notes))


def _names_of_missing(without: str, names: Sequence[str]) -> Iterator[str]:
    """The names of missing parts, from all names to the first name with the number of the others."""
    names = [name.partition(" (")[0] for name in names]
    for shown in range(len(names), 0, -1):
        start, others = f"{without} {', '.join(names[:shown])}", len(names) - shown
        yield from (f"{start} +{others} more", f"{start} +{others}") if others else (start,)


def _total_notes(ledger: Ledger) -> tuple[str, tuple[str, ...]]:
    """The total of TCP's kernel memory, and notes on the range of the total or on its unknown parts."""
    total = ledger.tcp_memory
    if total.bytes is None and total.low_bytes is not None:
        start = "the sockets, each with a sock"
        return f"≥ {units.size(total.low_bytes, False)}", (
            f"{start}; the rest {_unknown_total(ledger)}",
            start,
            "socks",
        )
    if total.missing:
        without = "not known:" if total.low_bytes is None else "without"
        return f"≥ {units.size(total.low_bytes, False)}", (
            f"not known: {', '.join(total.missing)}",
            *_names_of_missing(without, total.missing),
            "parts are not known",
        )
    text, spread = units.size(total.bytes), units.size_range(total.low_bytes, total.high_bytes)
    if units.size(total.low_bytes) == units.size(total.high_bytes):
        return text, ("",)
    late = () if total.outdated_because is None else (f"range {spread}; {total.outdated_because}",)
    return f"≈ {text}", (*late, f"likely; range {spread}", f"range {spread}", spread, "")
