"""Text of the table of hosts: its columns, the order of its rows, the filter, and the sums in the last row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import inf
from typing import NamedTuple

from tcptop.explanation.events_page import ALARM_SIGN
from tcptop.explanation.limit_texts import (
    FULL,
    STATE_WORDS,
    alarm_text,
    counted_buffers_text,
    fits_more_text,
    has_unread_limits,
    ratio_text,
    state_role,
    state_text,
)
from tcptop.explanation.memory_page import buffers_text
from tcptop.kernel.limits import LIMITS
from tcptop.ledger import ALARM_STATES, Amount, Limit, SocketCounts
from tcptop.ledger.host_row import HostLook, HostRow
from tcptop.text import units
from tcptop.text.estimate import about
from tcptop.text.line import Role
from tcptop.text.printable import printable_name

LATE_S = 3.0
"""Maximum time in seconds until a machine answers.

If a machine takes longer than this to answer, its row keeps the last figures and shows their age.
"""
Value = float | None


class HostColumn(NamedTuple):
    """A column of the table of hosts."""

    title: str
    key: str
    """The key that sorts the rows by this column."""
    width: int
    """The minimum width of the column's cells, in columns of the terminal."""
    text: Callable[[HostRow], str]
    value: Callable[[HostRow], Value]
    """The value by which the rows are sorted, the largest first."""
    total: Callable[[Sequence[HostRow]], str] | None = None
    """The text in the row of sums; None if the column has no sum."""
    left: bool = False


def nearest_text(row: HostRow) -> str:
    """The nearest limit and its use, such as `conntrack 60 %`.

    If the limit has an alarm, the warning sign and the word of the alarm come first, as in `NEAR conntrack 91 %`.
    """
    limit = nearest_limit(row)
    if limit is None:
        return units.UNKNOWN
    percent = "" if limit.ratio is None else f" {ratio_text(limit)} %"
    return f"{alarm_text(limit)} {limit.label}{percent}".lstrip()


def nearest_limit(row: HostRow) -> Limit | None:
    """The limit with an alarm; without an alarm, the limit that stops new sockets first; None if no limit is known.

    The limit of mini-sockets stops no socket, so it is passed over; its event stands among the events.
    """
    known = (limit for limit in row.limits.rows if limit.ratio is not None or limit.state in ALARM_STATES)
    return next((limit for limit in known if limit.concerns != "TIME_WAIT"), None)


def severity(row: HostRow) -> int:
    """Severity of the worst alarm: 0 without an alarm, 1 for events that grow, higher for the states of limits."""
    limit = nearest_limit(row)
    if limit is not None and limit.state in ALARM_STATES:
        return 2 + ALARM_STATES.index(limit.state)
    return 1 if any(event.is_alarm for event in row.growing) else 0


def row_role(row: HostRow) -> Role:
    """The role (style) of the cell with the nearest limit."""
    limit = nearest_limit(row)
    return "text" if limit is None else state_role(limit)


def events_text(row: HostRow) -> str:
    """The events that have grown within the last minute: `ListenOverflows +12, 1 more`; empty if no event has grown."""
    growing = sorted(row.growing, key=lambda event: -(event.grown or 0))
    if not growing:
        return ""
    more = f", {len(growing) - 1} more" if len(growing) > 1 else ""
    return f"{growing[0].name} +{units.grouped(growing[0].grown or 0)}{more}"


def _time_wait(counts: SocketCounts) -> Amount | None:
    """Bounds on the number of the machine's mini-sockets."""
    if counts.time_wait_scope == "machine" and counts.time_wait is not None:
        return Amount(counts.time_wait, counts.time_wait)
    if counts.time_wait_machine_max is not None:
        return Amount(0.0, counts.time_wait_machine_max)
    return None if counts.time_wait is None else Amount(counts.time_wait, inf)


def _tcp_bytes(row: HostRow) -> Amount | None:
    memory = row.tcp_memory
    if memory.missing:
        return None if memory.low_bytes is None else Amount(memory.low_bytes, inf)
    return None if memory.bytes is None else Amount(memory.bytes, memory.bytes)


def _tcp_text(rows: Sequence[HostRow]) -> str:
    """TCP's memory on all machines, as text. `≈` precedes the likely amount if the ends of its range look different."""
    text = _sum([_tcp_bytes(row) for row in rows], units.short_size)
    memories = [row.tcp_memory for row in rows if row.tcp_memory.low_bytes is not None]
    low = sum(each.low_bytes or 0 for each in memories)
    high = sum(each.high_bytes or each.bytes or each.low_bytes or 0 for each in memories)
    is_range = text[0].isdigit() and units.short_size(low) != units.short_size(high)
    return f"≈ {text}" if is_range else text


def _one_more(row: HostRow) -> Amount | None:
    cost = row.one_more
    if cost.slab_bytes is None:
        return None
    return Amount(cost.slab_bytes, cost.high_slab_bytes or cost.slab_bytes if cost.complete else inf)


def _headroom(row: HostRow) -> Value:
    """The low end of the number of sockets that still fit; 0 if only an upper bound is known."""
    bounds = _headroom_bounds(row)
    return None if bounds is None else bounds.low


def _fits_text(row: HostRow) -> str:
    limit = row.limits.first
    if limit is None:
        return units.UNKNOWN
    may_be_fewer = has_unread_limits(row.limits, row.headroom.mode) and not limit.headroom_is_at_least
    if row.headroom.has_low_end and not may_be_fewer:
        return fits_more_text(limit, partial(units.rough_count, up=limit.shows_upper_bound))
    if limit.headroom_is_at_least:
        return f"≈ {units.rough_count(limit.headroom_sockets)}"
    return f"≤ {units.rough_count(limit.headroom_sockets, up=True)}"


def _counted_buffers(row: HostRow) -> str:
    """`yes` if FITS MORE counts the present average of buffers for a socket, else `no`."""
    text = counted_buffers_text(row.limits, row.headroom)
    return ("yes" if text.startswith("average") else "no") if text else units.UNKNOWN


def _headroom_bounds(row: HostRow) -> Amount | None:
    limit, most = row.limits.first, row.limits.first_most
    if limit is None or limit.headroom_sockets is None:
        return None
    if most is not None:
        return Amount(limit.least_headroom or 0, most.headroom_sockets or 0)
    low = limit.headroom_sockets if row.headroom.has_low_end else 0
    return Amount(low, inf if limit.headroom_is_at_least else limit.headroom_sockets)


def _shown(amount: Amount | None) -> Value:
    """The figure that the table shows for an amount: the lower bound, or the upper bound if the range begins at 0."""
    if amount is None:
        return None
    return amount.high if not amount.low and amount.high < inf else amount.low


def _count(number: float, up: bool | None = None) -> str:
    return units.count(round(units.round_bound(number, up)))


def _rough(number: float, up: bool | None = None) -> str:
    return units.rough_count(round(number), up=bool(up))


def _short(number: float, up: bool | None = None) -> str:
    return units.short_count(round(number), 7, up=bool(up))


def _sum(amounts: Iterable[Amount | None], text: units.BoundFormat) -> str:
    """The sum of the amounts as text; if an amount is unknown, the text is a lower bound."""
    known = list(amounts)
    parts = [each for each in known if each is not None]
    if not parts:
        return units.UNKNOWN
    high = sum(each.high for each in parts) if len(parts) == len(known) else inf
    return units.bounded(Amount(sum(each.low for each in parts), high), text)


def _exact(number: Value) -> Amount | None:
    return None if number is None else Amount(number, number)


def _buffers_total(rows: Sequence[HostRow]) -> str:
    """The buffers of all machines; if those of a machine are unknown, the text is a lower bound."""
    counts = [row.sockets.buffer_bytes for row in rows]
    bounds = [row.sockets.buffer_bounds for row in rows]
    known = [each for each in bounds if each is not None]
    if len(known) < len(rows):
        return _sum(bounds, units.short_size)
    total = Amount(sum(each.low for each in known), sum(each.high for each in known))
    return about(sum(filter(None, counts)), total, units.short_size)


def _rate_total(rows: Sequence[HostRow]) -> str:
    known = [each for row in rows if (each := row.sockets.allocated_per_s) is not None]
    return units.short_signed_count(sum(known)) if known and len(known) == len(rows) else units.UNKNOWN


COLUMNS: tuple[HostColumn, ...] = (
    HostColumn("NEAREST LIMIT", "u", 17, nearest_text, severity, left=True),
    HostColumn(
        "FITS MORE",
        "o",
        9,
        _fits_text,
        lambda row: None if (room := _headroom(row)) is None else -room,
        lambda rows: _sum([_headroom_bounds(row) for row in rows], _rough),
    ),
    HostColumn(
        "+BUF",
        "w",
        4,
        _counted_buffers,
        lambda row: {"yes": 1.0, "no": 0.0}.get(_counted_buffers(row)),
    ),
    HostColumn(
        "SOCKETS",
        "c",
        9,
        lambda row: units.count(row.sockets.allocated),
        lambda row: row.sockets.allocated,
        lambda rows: _sum([_exact(row.sockets.allocated) for row in rows], _count),
    ),
    HostColumn(
        "RATE",
        "v",
        6,
        lambda row: units.short_signed_count(row.sockets.allocated_per_s),
        lambda row: row.sockets.allocated_per_s,
        _rate_total,
    ),
    HostColumn(
        "TIME_WAIT",
        "t",
        9,
        lambda row: units.bounded(_time_wait(row.sockets), _short),
        lambda row: _shown(_time_wait(row.sockets)),
        lambda rows: _sum([_time_wait(row.sockets) for row in rows], _short),
    ),
    HostColumn(
        "TCP MEMORY",
        "m",
        10,
        lambda row: _tcp_text([row]),
        lambda row: _shown(_tcp_bytes(row)),
        _tcp_text,
    ),
    HostColumn(
        "B/CONN",
        "b",
        7,
        lambda row: units.bounded(_one_more(row), units.exact_bytes),
        lambda row: _shown(_one_more(row)),
    ),
    HostColumn(
        "BUFFERS",
        "f",
        8,
        lambda row: buffers_text(row.sockets, units.short_size),
        lambda row: row.sockets.buffer_bytes,
        _buffers_total,
    ),
    HostColumn(
        "EVENTS",
        "e",
        14,
        events_text,
        lambda row: sum(event.grown or 0 for event in row.growing) or None,
        left=True,
    ),
)
"""The columns between the column of host names and the column of the figures' age."""
NAME_KEY, AGE_KEY, URGENCY_KEY = "n", "a", "u"
SORT_TITLES = {NAME_KEY: "HOST", **{column.key: column.title for column in COLUMNS}, AGE_KEY: "AGE"}
"""Maps the key that sorts by a column to the title of the column."""


class TableOrder(NamedTuple):
    """The user's choices for the table: the order of the rows, and a filter text for their names."""

    sort: str = URGENCY_KEY
    """The key of the column by which the rows are sorted, from SORT_TITLES."""
    reverse: bool = False
    text: str = ""


def sort_looks(looks: Sequence[HostLook], order: TableOrder) -> list[HostLook]:
    """The rows whose names contain the filter text, sorted.

    In the order of NEAREST LIMIT, machines with an alarm come first, the most severe alarm first. Machines that do not
    answer come after the machines with an alarm. Machines without an alarm come last, sorted by the number of sockets
    that surely still fit, the fewest first; it is 0 if only an upper bound is known. In the order of a column other
    than NEAREST LIMIT, machines with an unknown value come last.
    """
    chosen = [look for look in looks if order.text.casefold() in look.name.casefold()]
    if order.sort == NAME_KEY:
        chosen.sort(key=lambda look: _name_parts(look.name), reverse=order.reverse)
        return chosen
    chosen.sort(key=lambda look: _name_parts(look.name))
    if order.sort == URGENCY_KEY:
        chosen.sort(key=_urgency, reverse=order.reverse)
        return chosen
    known = [(value, look) for look in chosen if (value := _sort_value(look, order.sort)) is not None]
    known.sort(key=lambda pair: pair[0], reverse=not order.reverse)
    unknown = [look for look in chosen if _sort_value(look, order.sort) is None]
    return [*(look for _, look in known), *unknown]


def _sort_value(look: HostLook, key: str) -> Value:
    if key == AGE_KEY:
        return look.age_s
    column = next(column for column in COLUMNS if column.key == key)
    return None if look.row is None or not look.answers else column.value(look.row)


def _urgency(look: HostLook) -> tuple[int, float]:
    row = look.row
    if row is None or look.lost_because is not None:
        return (-1, 0.0) if look.lost_because is not None else (1, 0.0)
    level, limit = severity(row), nearest_limit(row)
    if level >= 2 and limit is not None:
        return -1 - level, -(limit.ratio or 0.0)
    room = _headroom(row)
    # The headroom is rounded, because rows with nearly the same headroom would otherwise keep changing places.
    return -2 * level, inf if room is None else float(f"{room:.1e}")


def _name_parts(name: str) -> list[tuple[int, int, str]]:
    """The name in parts for sorting, so that web9 comes before web10."""
    parts: list[tuple[int, int, str]] = []
    digits = ""
    for character in f"{name}\0":
        if character.isdecimal():
            digits += character
            continue
        if digits:
            parts.append((0, int(digits), ""))
            digits = ""
        parts.append((1, 0, character))
    return parts


def host_name(look: HostLook) -> str:
    """The name of a machine as plain text."""
    return printable_name(look.name)


def lost_text(look: HostLook) -> str:
    """Text that says why a machine has no figures now, and when it is asked again; empty if it has figures."""
    if look.lost_because is not None:
        if look.again_in_s is None:
            return f"{look.lost_because}; connecting again"
        return f"{look.lost_because}; again in {max(1, round(look.again_in_s))} s"
    return "connecting" if look.row is None else ""


def age_text(look: HostLook, interval_s: float) -> str:
    """Text with the age of a machine's figures.

    While the machine answers in time, the text is an upper bound, such as `≤ 2s`. If the machine does not answer in
    time, the text is the age in seconds or, from 1000 s on, in minutes.
    """
    if look.age_s is None:
        return ""
    if look.age_s <= interval_s + LATE_S:
        return f"≤ {units.plain_number(interval_s)}s"
    return f"{look.age_s:.0f}s" if look.age_s < 1000 else f"{look.age_s / 60:.0f}m"


def is_late(look: HostLook, interval_s: float) -> bool:
    """True if a machine's figures are older than they should be."""
    return look.age_s is not None and look.age_s > interval_s + LATE_S


def answering_rows(looks: Sequence[HostLook]) -> list[HostRow]:
    """The rows of the machines that answer."""
    return [look.row for look in looks if look.row is not None and look.answers]


def count_text(looks: Sequence[HostLook]) -> str:
    """The number of machines whose figures are added up: `40 hosts`, or `38 of 40 hosts`."""
    answering = len(answering_rows(looks))
    noun = "host" if len(looks) == 1 else "hosts"
    return f"{answering} {noun}" if answering == len(looks) else f"{answering} of {len(looks)} {noun}"


def alarm_count_text(looks: Sequence[HostLook]) -> str:
    """Numbers of machines with an alarm, by the word of the worst state: `1 FULL, 2 NEAR`; empty without alarms."""
    worst = [nearest_limit(row) for row in answering_rows(looks)]
    words = [state_text(limit) for limit in worst if limit is not None and limit.state in ALARM_STATES]
    order = [FULL, *(STATE_WORDS[state] for state in reversed(ALARM_STATES))]
    order += [limit.event.word for limit in LIMITS if limit.event is not None]
    counts = [(word, words.count(word)) for word in dict.fromkeys(order) if word in words]
    events = sum(severity(row) == 1 for row in answering_rows(looks))
    texts = [f"{count} {word}" for word, count in counts] + ([f"{events} with events"] if events else [])
    return f"{ALARM_SIGN} {', '.join(texts)}" if texts else ""
