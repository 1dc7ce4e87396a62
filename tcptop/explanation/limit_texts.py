"""Texts on the limits for pages, panes and reports: use, state, alarm, and how many more sockets fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tcptop.explanation.events_page import ALARM_SIGN, event_variants
from tcptop.kernel.limits import CGROUP_LIMIT, LIMIT_BY_NAME
from tcptop.ledger import (
    ALARM_STATES,
    STATE_MARGIN_PERCENT,
    AccountingMode,
    Event,
    Headroom,
    Ledger,
    Limit,
    Limits,
    LimitState,
)
from tcptop.text import units
from tcptop.text.estimate import about
from tcptop.text.line import Line, Piece, Role

SOCKETS: dict[AccountingMode, str] = {"full": "sockets", "time_wait": "mini-sockets"}
STATE_WORDS: dict[LimitState, str] = {
    "ok": "ok",
    "near": "NEAR",
    "pressure": "PRESSURE",
    "full": "CRITICAL",
    "unknown": units.UNKNOWN,
}
"""Words for the states of a limit; `state_text` says FULL instead where nothing more fits."""
FULL = "FULL"
STATE_ROLES: dict[LimitState, Role] = {"near": "warning", "pressure": "warning", "full": "critical"}
ORPHAN_RESETS: dict[int, tuple[str, ...]] = {
    100: ("resets every further orphan", "resets every further one", "resets all new"),
    50: ("resets silent orphans from 50 % on", "resets from 50 % on", "resets ≥ 50 %", "resets ≥50 %"),
    25: ("resets orphans with errors from 25 % on", "resets from 25 % on", "resets ≥ 25 %", "resets ≥25 %"),
}
"""Maps a use of tcp_max_orphans in per cent to what the kernel does with orphans from this use on.

Each value has several texts of the same meaning, from long to short. The kernel decides in tcp_out_of_resources.
"""
MIN_EXCESS_SHARE = 0.005
"""Smallest share of the memory that is worth a sentence, if USED and the memory for more sockets do not add up."""
STOPS_NONE_SHORT = "stops none"
OTHER_NETNS = "(other netns)"
"""Follows a limit that is of a process or listener in another network namespace."""
WITHOUT_DATA = "without data"
"""Condition of a number of sockets that counts no buffers."""
IS_FULL = "full, no alarm"
"""Text for a full limit of mini-sockets: a closed connection skips TIME_WAIT, and no socket is stopped."""
OF_KNOWN = " of known limits"
"""Text that follows the name of the first limit if the use of another limit is unknown."""


def is_reached(limit: Limit) -> bool:
    """True if nothing more fits below a limit: its maximum is in use, or no socket fits."""
    if limit.maximum == 0:
        return True
    if limit.stops_new_sockets:
        return limit.headroom_sockets == 0 and not limit.headroom_is_at_least
    if limit.used is None or limit.maximum is None or limit.used_error is None or limit.used_is_at_most:
        return False
    return limit.used - limit.used_error >= limit.maximum


def state_text(limit: Limit) -> str:
    """The state of a limit in a word: FULL only if nothing more fits, CRITICAL above the second threshold.

    The limit of mini-sockets stops no socket, so it is never CRITICAL.
    """
    event = LIMIT_BY_NAME[limit.name].event
    if limit.is_by_event and event is not None:
        return event.word
    if limit.state != "full":
        return STATE_WORDS[limit.state]
    if is_reached(limit):
        return FULL
    return STATE_WORDS["near" if limit.concerns == "TIME_WAIT" else "full"]


def state_role(limit: Limit) -> Role:
    """The role of a limit's texts: that of its alarm, but plain for mini-sockets, whose limit stops no socket."""
    return "text" if limit.concerns == "TIME_WAIT" else STATE_ROLES.get(limit.state, "text")


def alarm_text(limit: Limit) -> str:
    """The sign and the word of a limit's alarm, such as `! NEAR`; empty without an alarm.

    The limit of mini-sockets stops no socket, so its state is no alarm.
    """
    return f"{ALARM_SIGN} {state_text(limit)}" if has_alarm(limit) else ""


def has_alarm(limit: Limit) -> bool:
    """True if a limit is in a state of `ALARM_STATES`, except for mini-sockets, whose limit stops no socket."""
    return limit.state in ALARM_STATES and limit.concerns != "TIME_WAIT"


def fits_more_text(limit: Limit, number_text: Callable[[int | None], str] = units.count) -> str:
    """The headroom of a limit, in sockets; `stops none` for orphans and TIME_WAIT, and `–` if it is unknown.

    For a limit of one process or listener, which stops only the sockets of its own, it is `94 left`; if it is full, 0.

    The headroom of memory begins with `≤` if the size of a part of a socket is unknown; if the buffers are a range, it
    is `≥` and the low end, as in a plan. The headroom of a memory cgroup begins with `≥` if it is unknown whether all
    objects of a socket are charged.
    """
    if not limit.stops_new_sockets:
        if limit.scope == "process" and limit.owner and limit.used is not None and limit.maximum is not None:
            if limit.state == "full" and is_reached(limit):
                return number_text(0)
            return f"{'≈ ' if limit.used_error else ''}{number_text(max(0, limit.maximum - limit.used))} left"
        return STOPS_NONE_SHORT if limit.concerns in ("orphans", "TIME_WAIT") else units.UNKNOWN
    if limit.headroom_is_at_least or limit.headroom_low is not None:
        return f"≥ {number_text(limit.least_headroom)}"
    return f"{'≤ ' if limit.headroom_is_at_most else ''}{number_text(limit.headroom_sockets)}"


def other_notes(limit: Limit, number_text: Callable[[int | None], str] = units.rough_count) -> list[str]:
    """Notes, from long to short, on a limit that stops no new socket: how many more orphans or mini-sockets fit.

    The list of notes is empty if the number that still fits is unknown, or if the limit stops new sockets.
    """
    if limit.stops_new_sockets:
        return []
    if limit.concerns == "TIME_WAIT" and limit.used is not None and limit.maximum is not None:
        left = max(0, limit.maximum - limit.used)
        more, short = f"{number_text(left)} more mini-sockets", units.short_count(left, 4)
        if is_reached(limit):
            return []
        kept = [f"{more}, then none is kept"] if limit.state in ALARM_STATES else []
        return [*kept, more, f"{short} more mini-sockets", f"{short} more"]
    if limit.headroom_sockets is None:
        return []
    more = f"{number_text(limit.headroom_sockets)} more orphans"
    return [more]


SHOWN_BY_LOOK = ": W shows which"
"""End of the texts of an event whose place the list of the sockets shows."""


def alarm_reasons(limit: Limit, names_list: bool = True) -> list[str]:
    """Texts, from long to short, that say why a limit has an alarm, such as `critical from 95 %`; may be empty.

    Without `names_list`, the key W has no list of the sockets and can get none, so that no text names it.

    For orphans the reason is what the kernel does at the present number of orphans. An alarm begins when the use
    reaches the threshold, and ends when the use is clearly below the threshold. While the use is only a little below
    the threshold, the alarm remains.
    """
    if limit.state not in ALARM_STATES:
        return []
    if limit.state == "pressure":
        return ["windows shrink (/proc/net/protocols)", "windows shrink"]
    if limit.concerns == "TIME_WAIT":
        return _time_wait_reasons(limit)
    if limit.maximum == 0:
        return ["its maximum is 0"]
    event = LIMIT_BY_NAME[limit.name].event
    if limit.is_by_event and event is not None and limit.event_growth is not None:
        texts = event.counts if names_list else [text.removesuffix(SHOWN_BY_LOOK) for text in event.counts]
        return [f"{units.grouped(limit.event_growth)} {text}" for text in dict.fromkeys(texts)]
    ratio = limit.at_least_ratio if limit.ratio is None else limit.ratio
    if limit.threshold is not None and ratio is not None:
        if limit.name == "tcp_max_orphans":
            for percent, texts in ORPHAN_RESETS.items():
                if 100 * ratio >= percent:
                    return list(texts)
        level = limit.threshold.critical if limit.state == "full" else limit.threshold.warn
        if 100 * ratio >= level and limit.scope == "process":
            return owner_texts(limit)
        if is_reached(limit):
            return ["nothing more fits"]
        word = STATE_WORDS[limit.state].lower()
        if 100 * ratio >= level:
            return [f"{word} from {units.plain_number(level)} %", f"from {units.plain_number(level)} %"]
        if 100 * ratio >= level - STATE_MARGIN_PERCENT:
            return [f"{word} until below {units.plain_number(level - STATE_MARGIN_PERCENT)} %"]
    if limit.state == "full" and limit.threshold is None and limit.scope == "process":
        return owner_texts(limit)
    return [limit.note.partition("; ")[0]]


def _time_wait_reasons(limit: Limit) -> list[str]:
    """Texts of the head line for the limit of mini-sockets near its maximum, from long to short."""
    skipped = "" if limit.event_growth is None else f"+{units.grouped(limit.event_growth)} skipped"
    if is_reached(limit):
        return [f"full, {skipped}", skipped] if skipped else [IS_FULL]
    return [f"{skipped} in 1 min", skipped] if skipped else []


def owner_texts(limit: Limit) -> list[str]:
    """The process or listener that a limit is of, from long to short; how much fits stands beside it.

    The age of the look is in every text.
    """
    owner, where = limit.owner, f" {OTHER_NETNS}" if limit.is_in_other_netns else ""
    of, more = limit.note.partition(", the fullest of ")[2], f", +{limit.others}" if limit.others else ""
    age = f", look {limit.look_age_s} s old" if limit.look_age_s else ""
    if not owner:
        return [f"{_left(limit)} left{age}"]
    texts = [f"{owner}{where}{more}{age}, the fullest of {of}"] if of else []
    names = (owner, *owner.split(" ")[::-1])
    texts += [f"{name}{each}{age}" for each in dict.fromkeys((f"{where}{more}", where, more, "")) for name in names]
    return [*texts, *([age.removeprefix(", ")] if age else [])]


def _left(limit: Limit) -> str:
    return units.grouped(max(0, (limit.maximum or 0) - (limit.used or 0)))


def headroom_number(ledger: Ledger, mode: AccountingMode = "full") -> str:
    """The number of further sockets that fit until the first limit is reached, as text such as `381 000`.

    It is a range if the headroom of memory is one and memory may be the first limit: `2 120 000 to 2 460 000`.

    The number of further sockets begins with `≤` if the headroom of memory is unknown, or if the size of a part of a
    socket is, and with `up to` if another limit on every socket is unknown. `≥` stands before the number if it is a
    lower bound of the known limits. If the headroom of memory is unknown and another one is a lower bound, the number
    begins with `≈`.
    """
    return first_limit_number(ledger.headroom[mode], ledger.limits[mode])


def first_limit_number(memory: Headroom, limits: Limits) -> str:
    """The text of `headroom_number` of a ledger with this headroom of memory and these limits."""
    first, most = limits.first, limits.first_most
    if first is None:
        return units.UNKNOWN
    may_be_fewer = has_unread_limits(limits, memory.mode)
    if most is not None:
        low = units.rough_count(first.least_headroom)
        high = units.rough_count(most.headroom_sockets, up=most.headroom_is_at_most)
        return f"up to {high}" if may_be_fewer else f"{low} to {high}" if low != high else f"≥ {low}"
    complete = memory.has_low_end
    if first.headroom_is_at_least:
        return f"{'≥' if complete else '≈'} {units.rough_count(first.headroom_sockets)}"
    if complete and may_be_fewer:
        # The limit's own row has this number as it is, so a bound rounded up would look like another one.
        return f"up to {units.rough_count(first.headroom_sockets)}"
    return f"{'' if complete else '≤ '}{units.rough_count(first.headroom_sockets, up=not complete)}"


def first_limits_text(limits: Limits) -> str:
    """The first limit, with those that may be reached before it: `memory`, `memory or file-max`; empty if unknown."""
    return " or ".join(limit.label for limit in (limits.first, *limits.maybe_first) if limit is not None)


def headroom_sentences(ledger: Ledger, mode: AccountingMode = "full") -> list[str]:
    """Variants of one sentence about the headroom, from the full sentence to its first words.

    The full sentence is, for example, `2 460 000 more sockets fit, file-max first; memory for 5 800 000; half client
    side, average buffers`. Each variant omits the end of the previous variant, but says what the number counts for
    buffers, as long as that fits. The last variants leave this out; the last one names no full limit that the number
    leaves out.
    """
    headroom, first, number = ledger.headroom[mode], ledger.limits[mode].first, headroom_number(ledger, mode)
    buffers = counted_buffers_text(ledger.limits[mode], headroom)
    reason = f" ({headroom.unknown_because})" if headroom.unknown_because is not None else ""
    if first is None:
        unknown = f"how many more {SOCKETS[mode]} fit is not known"
        return [f"{unknown}{reason}", unknown, "headroom not known"]
    if first.concerns == "TIME_WAIT" and is_reached(first):
        return [f"{first.label} {IS_FULL}"]  # `0 more mini-sockets fit` reads like an alarm
    memory, names = "", first_limits_text(ledger.limits[mode])
    if (first.name != "memory" or " or " in names) and headroom.sockets is not None:
        memory = f"; memory for {memory_fits_text(headroom)}"
    if before_reclaim := before_reclaim_text(headroom):
        memory += f", {before_reclaim}"
    parts = (
        f"{number} more {SOCKETS[mode]} fit",
        f", {names} first",
        headroom_exceptions(ledger.limits[mode], mode),
        memory,
    )
    starts = ["".join(parts[:end]) for end in range(len(parts), 0, -1)]
    whole = f"{starts[0]}; {', '.join(filter(None, ('half client side', buffers)))}"
    shortest = f"{number} more {SOCKETS[mode]}"
    named = dict.fromkeys(filter(None, (nearly_full_text(ledger.limits[mode], most) for most in (None, 1))))
    # Without the words on buffers, no sentence on the number is complete, so these words go last.
    with_full = [f"{start}{named_full}" for named_full in named for start in (f"{shortest} fit", f"{number} more")]
    ends = [*with_full, shortest]
    if " to " in number:
        ends += [f"{number} more", f"≥ {units.rough_count(first.least_headroom)} more"]
    counted = []
    if buffers:
        texts = [*starts[:-1], *with_full]
        counted = [f"{each}; {buffers}" for each in texts]
        counted += [with_buffers_text(each, buffers) for each in (starts[-1], shortest, f"{number} more")]
    return list(dict.fromkeys([f"{whole}{reason}", whole, *counted, *starts, *ends]))


def counted_buffers_text(limits: Limits, headroom: Headroom) -> str:
    """The buffers that the number of further sockets counts: `average buffers` or `without data`.

    The text is empty for mini-sockets, which have none, and if the number is not known.
    """
    if headroom.mode == "time_wait" or limits.first is None:
        return ""
    return "average buffers" if headroom.counts_buffers(limits.first.name) else WITHOUT_DATA


def with_buffers_text(number: str, buffers: str) -> str:
    """A number of further sockets with its condition: `1 more without data`, or `1 more, average buffers`."""
    return f"{number}{'' if buffers == WITHOUT_DATA else ','} {buffers}"


def unread_limits_text(limits: Limits, mode: AccountingMode = "full") -> str:
    """The limits on every socket whose use or maximum is not known, such as tcp_mem in a network namespace.

    Limits that only a look at the sockets tells are not among them: `unlooked_names` has those. Mini-sockets have no
    buffers and no file. The text is empty if there are none, and of several limits it has the first.
    """
    return next((limit.label for limit in _unread_limits(limits, mode)), "")


def has_unread_limits(limits: Limits, mode: AccountingMode) -> bool:
    """True if a limit on every socket is unknown, so that fewer sockets may fit than below the known limits."""
    return bool(_unread_limits(limits, mode))


def _unread_limits(limits: Limits, mode: AccountingMode) -> list[Limit]:
    names = {"memory", CGROUP_LIMIT, "nf_conntrack_max"} | ({"tcp_mem", "file_max"} if mode == "full" else set())
    unread = [
        limit
        for limit in limits.rows
        if limit.name in names and limit.headroom_sockets is None and None in (limit.used, limit.maximum)
    ]
    # A memory cgroup whose use is exact and that has no maximum has no limit.
    return [limit for limit in unread if limit.name != CGROUP_LIMIT or limit.used_error is None]


def unread_limit_word(limits: Limits, mode: AccountingMode = "full") -> str:
    """Words after the name in `unread_limits_text`: `not visible` from another network namespace, or `not known`."""
    first = next(iter(_unread_limits(limits, mode)), None)
    return "not visible" if first is not None and first.note.startswith("not visible") else "not known"


def headroom_exceptions(limits: Limits, mode: AccountingMode) -> str:
    """The limits that the number of further sockets leaves out, in words; empty if it leaves out none.

    The use of some limits is never known without a look. The limit of a single process or listener, such as nofile,
    stops its sockets only, so the number of sockets that fit on the machine leaves this limit out.
    """
    is_known = all(limit.used is not None for limit in limits.rows)
    unread = unread_limits_text(limits, mode)
    known = f"{OF_KNOWN}, {unread} not known" if unread else "" if is_known else OF_KNOWN
    return f"{known}{nearly_full_text(limits)}"


LISTEN_OVERFLOWS = "ListenOverflows"
UNLOOKED_NAMES = {
    "nofile": ("nofile", "nofile"),
    "listen_queues": ("queues", "accept queues"),
    "ports": ("ports", "ports"),
}
"""The names, short and long, of the limits that only a look at the sockets tells."""


def unlooked_names(limits: Limits, long: bool = False) -> list[str]:
    """The names of the limits whose use is not known because no look at the sockets was made, or none lately.

    Of a limit whose counter tells that it was reached, only the size is not known.
    """
    unlooked = {limit.name: limit for limit in limits.rows if limit.used is None and not limit.look_lacks}
    return [
        f"{'sizes of ' if unlooked[name].is_by_event else ''}{pair[long]}"
        for name, pair in UNLOOKED_NAMES.items()
        if name in unlooked
    ]


def partly_seen_names(limits: Limits, long: bool = False) -> list[str]:
    """The names of the limits of which a look saw only a part of the machine: one that it did not see may be nearer."""
    of_part = {limit.name for limit in limits.rows if limit.of_seen}
    return [pair[long] for name, pair in UNLOOKED_NAMES.items() if name in of_part]


def is_here(ledger: Ledger) -> bool:
    """True if the ledger is of this machine as it runs, whose kernel can be asked about all sockets."""
    return ledger.live and ledger.host.place is None and not ledger.recorded


NOT_RECORDED = "this sample has no list of its sockets (record --who keeps one)"
NOT_RECORDED_SHORT = "no list recorded"
"""Why the limits of a recorded sample, which only a look tells, are not known."""


def has_list(ledger: Ledger) -> bool:
    """True if the key W shows a list of the sockets of the ledger."""
    return is_here(ledger) or ledger.holders is not None


def unlooked_sentences(ledger: Ledger) -> list[str]:
    """The limits that only a look would tell, and the listen overflows of this netns; may be empty after a look."""
    names = unlooked_names(ledger.limits["full"], long=True)
    texts: list[str] = []
    if names:
        how = ": tcptop who" if is_here(ledger) else ": tcptop who on that machine" if ledger.live else ""
        if ledger.recorded:
            how = f": {NOT_RECORDED}" if ledger.holders is None else ""
        texts.append(f"{not_looked_at_text(names)}{how}")
    elif names := partly_seen_names(ledger.limits["full"], long=True):
        texts.append(f"{' and '.join(names)}: not all were seen, others may come first; root sees those of all users")
    return [*texts, *filter(None, [listen_overflows_text(ledger)])]


def not_looked_at_text(names: Sequence[str]) -> str:
    """Says that no look was made at limits: `nofile, accept queues and ports were not looked at`."""
    named = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return f"{named} {'were' if len(names) > 1 else 'was'} not looked at"


def listen_overflows(ledger: Ledger) -> int | None:
    """The number of connections that this netns' accept queues have dropped since it began; None if unknown."""
    return next((event.total for event in ledger.events if event.name == LISTEN_OVERFLOWS), None)


def listen_overflows_text(ledger: Ledger) -> str:
    """The number of connections that this netns' accept queues have dropped, as text; empty if none or unknown."""
    dropped = listen_overflows(ledger)
    return f"{units.counted(dropped, 'listen overflow')} since this netns began" if dropped else ""


def nearly_full_text(limits: Limits, most: int | None = None) -> str:
    """The limits of a process or listener that have an alarm: `, but nofile has 44 left`; may be empty.

    `most` is the largest number of limits that are named, the nearest first; None for all.

    Where mini-sockets are counted, which have no file and no accept queue, it is empty.
    """
    if any(limit.concerns == "TIME_WAIT" and limit.stops_new_sockets for limit in limits.rows):
        return ""
    near = [limit for limit in limits.rows if limit.scope == "process" and has_alarm(limit)]
    texts = [
        f"{limit.label} {'drop' if limit.is_by_event else _full_or_left(limit, limit.label.endswith('s'))}"
        for limit in near[:most]
    ]
    return f", but {' and '.join(texts)}" if texts else ""


def _full_or_left(limit: Limit, is_plural: bool) -> str:
    if is_reached(limit) or limit.used is None or limit.maximum is None:
        return f"{'are' if is_plural else 'is'} {FULL}"
    return f"{'have' if is_plural else 'has'} {_left(limit)} left"


def headroom_assumption(headroom: Headroom) -> str:
    """The assumption of the headroom about further sockets, in words."""
    if headroom.mode == "time_wait":
        return "half client side"
    return f"half client side, {'average buffers' if headroom.counts_buffers('memory') else WITHOUT_DATA}"


def memory_fits_text(headroom: Headroom) -> str:
    """Number of sockets that fit into memory: `1 230 000`; a range if the buffers are one; `≤ 381 000` if a bound."""
    most = units.rough_count(headroom.sockets, up=headroom.is_at_most)
    if memory_most_text(headroom):
        return f"{units.rough_count(headroom.with_reclaim_low)} to {most}"
    return f"{'≤ ' if headroom.is_at_most else ''}{most}"


def memory_most_text(headroom: Headroom) -> str:
    """The number of sockets that fit into memory if buffers are at their least: `at most 1 260 000`.

    The text is empty if what fits with buffers at their most is not known, or is no other number.
    """
    least = headroom.with_reclaim_low
    if not least or headroom.with_reclaim is None or not headroom.is_at_most:
        return ""
    most = units.rough_count(headroom.with_reclaim, up=True)
    return "" if units.rough_count(least) == most else f"at most {most}"


def node_fits_text(headroom: Headroom, sockets: int | None, number: Callable[[int], str] | None = None) -> str:
    """The number of sockets that fit into a node's memory: `≥` and the least if buffers are a range, as in a plan.

    `number` formats a lower bound or an exact number; the default rounds it, and an upper bound up.
    """
    least = None if sockets is None else headroom.least_sockets(sockets)
    if sockets and least and units.rough_count(least) != units.rough_count(sockets, up=True):
        return f"≥ {units.rough_count(least) if number is None else number(least)}"
    sign = "≤ " if headroom.is_at_most and sockets else ""
    if sockets is None or number is None:
        return f"{sign}{units.rough_count(sockets, up=headroom.is_at_most)}"
    return f"{sign}{number(sockets)}"


def socket_bytes_text(headroom: Headroom) -> str:
    """The bytes of a socket from which the headroom of memory is computed.

    They are a range if the buffers are one, and have `≥` if they are a lower bound.
    """
    if memory_most_text(headroom):
        least, buffers = headroom.bytes_per_socket or 0.0, headroom.buffer_bytes or 0.0
        most = least - buffers + (headroom.high_buffer_bytes or 0.0)
        return f"{units.bounds_span((least, most), units.exact_bytes)} B"
    is_least = headroom.bytes_are_at_least
    return f"{'≥ ' if is_least else ''}{units.exact_bytes(headroom.bytes_per_socket, False if is_least else None)} B"


def before_reclaim_text(headroom: Headroom) -> str:
    """The number of further sockets that fit before the kernel reclaims memory, as text; empty if unknown.

    It is also empty if it has a range whose upper bound, beside the number with reclaim, would be the same text.
    """
    if headroom.without_reclaim_high is None:
        return ""
    low = headroom.without_reclaim_low
    has_range = low is not None and units.rough_count(low) != units.rough_count(headroom.without_reclaim_high)
    is_at_most = headroom.is_at_most or headroom.late_bytes is None or has_range
    number = units.rough_count(headroom.without_reclaim_high, up=is_at_most)
    if number == units.rough_count(headroom.sockets, up=headroom.is_at_most):
        if not has_range:
            return "no reclaim needed"
        if headroom.is_at_most:
            return ""
    return f"{'≤ ' if is_at_most else ''}{number} before reclaim"


def headroom_sentence(ledger: Ledger, mode: AccountingMode = "full") -> str:
    """The longest sentence about the headroom, which gives the reason if the headroom is unknown."""
    return headroom_sentences(ledger, mode)[0]


def alarm_variants(limits: Sequence[Limit], events: Sequence[Event]) -> list[Line]:
    """Variants of a line of alarms, from the longest to the shortest.

    The line has limits grouped by the words for their states, followed by the age of a look that is no longer fresh,
    where it fits, and by the events that have grown. The limit of
    mini-sockets, which stops no socket, comes last, without a sign and an alarm's colour, and is left out first.
    The growth of a limit's own event stands with the limit, and not among the events.

    An example without the warning signs is `CRITICAL conntrack 95 %, DROPS accept queues +12, TCPAbortOnMemory +3`.
    """
    said = {name for limit in limits for name in _said_events(limit)}
    events = [event for event in events if event.name not in said]
    # The sort is stable, so each word keeps the order of its limits.
    limits = sorted(limits, key=lambda limit: limit.concerns == "TIME_WAIT")
    look_age_s = alarm_age_s(limits)

    def line(name: Callable[[Limit], str], event_line: Line, has_age: bool = False) -> Line:
        alarms = [limit for limit in limits if limit.concerns != "TIME_WAIT"]
        groups = dict.fromkeys(alarm_text(limit) for limit in sorted(alarms, key=is_reached, reverse=True))
        parts: list[Line] = []
        for group in groups:
            named = [limit for limit in alarms if alarm_text(limit) == group]
            parts.append(((f"{group} {', '.join(map(name, named))}", state_role(named[0])),))
        parts += [((f"{look_age_s} s ago", "text"),)] if has_age and look_age_s else []
        parts += [event_line] if events else []
        parts += [((_quiet_text(limit, name(limit)), "text"),) for limit in limits if limit.concerns == "TIME_WAIT"]
        gap: Piece = ("  ", "text")
        return tuple(piece for index, part in enumerate(parts) for piece in ((gap, *part) if index else part))

    longest, *shorter = event_variants(events)
    loud = [limit for limit in limits if limit.concerns != "TIME_WAIT"]
    if len(loud) < len(limits) and (loud or events):
        return [line(_name_and_use, longest, True), *alarm_variants(loud, events)]
    if not limits:
        return [longest, *shorter]
    first, others = limits[0], len(limits) + len(events) - 1
    more = f" (+{units.counted(others, 'alarm')})" if others else ""
    names = dict.fromkeys((_name_and_growth(first), *((first.label,) if more else ())))
    return [
        line(_name_and_use, longest, True),
        *([line(_name_and_growth, longest, True)] if look_age_s else []),
        *(line(_name_and_growth, each) for each in (longest, *shorter)),
        *(((f"{alarm_text(first)} {name}{more}", state_role(first)),) for name in names),
    ]


def alarm_age_s(limits: Sequence[Limit]) -> int:
    """Age in seconds of the look that the uses in a line of alarms are from; 0 if it is fresh, or without a use.

    An alarm by the growth of a counter alone has no use in the line, and is not from the look.
    """
    return max((limit.look_age_s for limit in limits if not limit.is_by_event), default=0)


def alarm_texts(limits: Limits) -> list[str]:
    """Variants of the alarms on limits for a report, from long to short; empty without any.

    The shortest has the first alarm and the number of the others. The limit of mini-sockets, which stops no socket,
    comes last and is left out first.
    """
    alarms = [limit for limit in limits.alarms if has_alarm(limit) or not limit.is_by_event]
    loud = [limit for limit in alarms if limit.concerns != "TIME_WAIT"]
    quiet = [_quiet_text(limit, _name_and_use(limit)) for limit in alarms if limit.concerns == "TIME_WAIT"]
    named = [f"{state_text(limit)} {_name_and_growth(limit)}" for limit in sorted(loud, key=is_reached, reverse=True)]
    others = len(named) - 1
    shortest = [f"{named[0]} (+{units.counted(others, 'more alarm')})"] if others > 0 else []
    return list(dict.fromkeys([*filter(None, (", ".join([*named, *quiet]), ", ".join(named))), *shortest]))


def _said_events(limit: Limit) -> tuple[str, ...]:
    """The names of the events whose growth stands with the alarm of a limit."""
    event = LIMIT_BY_NAME[limit.name].event
    return (event.name, *event.included_in) if event is not None and _growth_text(limit) else ()


def _growth_text(limit: Limit) -> str:
    """The growth of the event of a limit with an alarm: `+58`; empty without any."""
    return f"+{units.grouped(limit.event_growth)}" if has_alarm(limit) and limit.event_growth is not None else ""


def _name_and_growth(limit: Limit) -> str:
    """The label of a limit, with the growth of its event: `accept queues +58`."""
    return f"{limit.label} {_growth_text(limit)}".rstrip()


def _name_and_use(limit: Limit) -> str:
    """The label and the use of a limit; for a process that is nearly out of files, also what is left.

    If the growth of its event alone is the reason for the alarm, it has the growth in place of the use; if the use is,
    both.
    """
    grown = _growth_text(limit)
    if limit.is_by_event and grown:
        return _name_and_growth(limit)
    where = f" {OTHER_NETNS}" if limit.is_in_other_netns else ""
    if limit.ratio is None:
        return f"{_name_and_growth(limit)}{where}"
    left = limit.scope == "process" and limit.state == "full" and not is_reached(limit)
    dropped = f", {grown} dropped" if grown else ""
    return f"{limit.label} {ratio_text(limit)} %{f', {_left(limit)} left' if left else ''}{where}{dropped}"


def _quiet_text(limit: Limit, name: str) -> str:
    """The limit of mini-sockets as a remark: `TIME_WAIT limit 93 %`, or that closed connections skip TIME_WAIT."""
    if is_reached(limit):
        return f"{limit.label} {_time_wait_reasons(limit)[0]}"
    skipped = "".join(_time_wait_reasons(limit)[-1:])
    if limit.is_by_event:
        return f"{limit.label} {skipped}"
    return f"{name.replace(limit.label, f'{limit.label} limit', 1)}{f', {skipped}' if skipped else ''}"


def ratio_text(limit: Limit) -> str:
    """The used share of a limit in per cent, without `%`; below 10 % it has one decimal place.

    The share is rounded down, so that it never shows a threshold that the use has not reached. If the use may be 0, the
    text is `≤` and the upper bound, rounded up. If the use has an error that shows in the text, the text begins with
    `≈`. If only an upper bound on the maximum is known, it begins with `≥`.
    """
    if limit.at_least_ratio is not None:
        return f"≥ {units.fine_percent(limit.at_least_ratio).removesuffix(' %')}"
    if limit.ratio is None:
        return units.UNKNOWN
    if limit.at_most_ratio is not None:
        return units.at_most_percent(limit.at_most_ratio).removesuffix(" %")
    sign = "≈ " if limit.used_is_about and not _has_one_percent_text(limit) else ""
    return f"{sign}{units.fine_percent(limit.ratio).removesuffix(' %')}"


def _has_one_percent_text(limit: Limit) -> bool:
    """True if the share has the same text at both bounds on the use."""
    if limit.used is None or limit.used_error is None or not limit.maximum:
        return False
    low, high = ((limit.used + sign * limit.used_error) / limit.maximum for sign in (-1, 1))
    return units.fine_percent(low) == units.fine_percent(high)


def threshold_text(limit: Limit) -> str:
    """The warning and critical thresholds in per cent, such as `80/95`; empty if the limit has no thresholds."""
    return (
        ""
        if limit.threshold is None
        else f"{units.plain_number(limit.threshold.warn)}/{units.plain_number(limit.threshold.critical)}"
    )


def used_text(limit: Limit) -> str:
    """The used amount of a limit, as text.

    If the use may be 0, the text is `≤` and the upper bound; if its error is more than a small share, `≈` and the use.
    """
    if limit.at_most_used is not None:
        return f"≤ {limit_text(limit, limit.at_most_used, True)}"
    return f"{'≈ ' if limit.used_is_about else ''}{limit_text(limit, limit.used)}"


def maximum_text(limit: Limit) -> str:
    """The maximum of a limit, as text: the amount, or `≤` and an upper bound."""
    if limit.maximum_is_at_most:
        return f"≤ {limit_text(limit, limit.maximum, True)}"
    return limit_text(limit, limit.maximum)


def limit_text(limit: Limit, amount: int | None, up: bool | None = None) -> str:
    """An amount in the unit of a limit, as text: bytes or a count. A bound is rounded as `units.round_bound` does."""
    if amount is None:
        return units.UNKNOWN
    return units.size(amount, up) if limit.unit == "bytes" else units.count(amount)


def buffers_as_now_text(ledger: Ledger, most_charge: float | None = None) -> str:
    """A sentence with the average buffer bytes of a present socket, and the part of these bytes with data.

    If a plan uses a larger charge than the average, `most_charge`, because of the counter's error, the text says so.

    The text is empty if the average is 0 or unknown.
    """
    headroom = ledger.headroom["full"]
    counted, in_use, most = (
        ledger.costs["full"].buffer_bytes_per_socket,
        headroom.buffer_bytes,
        headroom.high_buffer_bytes,
    )
    if not counted:
        return ""
    charge = about(counted, ledger.sockets.buffer_bounds_per_socket, units.exact_bytes)
    limited = "which tcp_mem limits"
    if most_charge is not None and round(most_charge) > round(counted):
        in_all = f"at most {units.exact_bytes(most_charge, True)} B with the error of its counter"
        limited += f" ({in_all}, which TAKES uses)"
    if in_use is None:
        reason = ledger.sources["slabinfo"].reason or ledger.costs["full"].now_unknown_because or ""
        return (
            f"Buffers: the kernel counts {charge} B per present socket, {limited}; how"
            f" much of that holds data is not known{reason and f': {reason}'}. The headroom of memory is"
            " without data."
        )
    used = units.bounds_span((in_use, in_use if most is None else most), units.exact_bytes)
    return (
        f"Average buffers: the kernel counts {charge} B per socket, {limited};"
        f" {used} B {'are' if (most or 0) > counted else 'of that are'} with data, because the count includes unused"
        f" and reserved parts of pages{' and may be wrong itself' if (most or 0) > counted else ''}."
    )


def memory_use_text(ledger: Ledger, mode: AccountingMode) -> str:
    """The reason why USED of memory and the memory for more sockets do not add up to all memory; empty if they do.

    USED is MemTotal less MemAvailable (mm/show_mem.c, si_mem_available), and MemAvailable leaves out the high
    watermarks. The headroom leaves out the low watermarks, and memory that slabs cannot take. If zones that slabs
    cannot use have memory, if CMA has free memory, or if there are huge pages, USED and OF leave it out, and the text
    says so.
    """
    row = next((limit for limit in ledger.limits[mode].rows if limit.name == "memory"), None)
    fits_bytes = ledger.headroom[mode].with_reclaim_bytes
    if row is None or row.used is None or not row.maximum or fits_bytes is None:
        return ""
    reasons: list[str] = []
    if row.left_out_zones:
        names = " and ".join(row.left_out_zones)
        reasons.append(
            f"USED and OF of memory leave out zone {names}: the kernel takes no slabs from there, so its free memory"
            " and page cache are no room for sockets, though MemTotal and MemAvailable count them."
        )
    elif row.left_out_cma_bytes:
        reasons.append(
            f"USED and OF of memory leave out {units.size(row.left_out_cma_bytes)} of free CMA: the kernel takes no"
            " slabs from there, though MemTotal and MemAvailable count it."
        )
    if row.left_out_huge_page_bytes:
        reasons.append(
            f"USED and OF of memory leave out {units.size(row.left_out_huge_page_bytes)} of huge pages, which the"
            " administrator has set apart (vm.nr_hugepages): MemTotal counts them, and slabs never get them."
        )
    left_out = " ".join(reasons)
    excess_bytes = row.used + fits_bytes - row.maximum
    if abs(excess_bytes) < MIN_EXCESS_SHARE * row.maximum:
        return left_out
    size, used = units.size(abs(excess_bytes)), "" if left_out else "USED of memory is MemTotal less MemAvailable. "
    if excess_bytes > 0:
        text = (
            f"{used}MemAvailable leaves out {size} that sockets can take: pages between the low and the high"
            f" watermarks, and free pages on lists of CPUs. So USED plus what fits exceeds OF by {size}."
        )
    else:
        example = "" if left_out else ", such as free pages of CMA"
        text = (
            f"{used}MemAvailable counts {size} that sockets cannot take{example}."
            f" So USED plus what fits is {size} less than OF."
        )
    return " ".join(filter(None, (left_out, text)))
