"""The ledger as a plain-text report, for -o: all sections, ASCII only, no escape sequences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf

from tcptop.explanation.attached_page import attached_table
from tcptop.explanation.events_page import SINCE, events_table, group_events, moved_sentence
from tcptop.explanation.hardware_page import hardware_sentences
from tcptop.explanation.headroom_page import headroom_page
from tcptop.explanation.limit_texts import (
    alarm_texts,
    counted_buffers_text,
    first_limits_text,
    has_alarm,
    headroom_number,
    headroom_sentence,
    headroom_sentences,
    node_fits_text,
    ratio_text,
    unlooked_sentences,
    unread_limits_text,
    with_buffers_text,
)
from tcptop.explanation.memory_page import (
    buffer_error_text,
    buffer_memory_text,
    buffer_pages_text,
    buffers_text,
    slab_memory_table,
)
from tcptop.explanation.numa_page import late_memory_text, node_cpus_text, numa_page
from tcptop.explanation.states_page import states_table
from tcptop.kernel.objects import AVERAGE_OF_FAMILIES, MINI_SOCKETS, SOCKS
from tcptop.ledger import (
    SCOPE_LABELS,
    AccountingMode,
    ConnectionCost,
    CostBySide,
    Ledger,
    NodeMemory,
    ObjectCost,
    SocketCost,
    SocketCounts,
    ZoneMemory,
)
from tcptop.ledger.memory import BUFFERS
from tcptop.text import cache_columns as columns
from tcptop.text import units
from tcptop.text.ascii import report_to_ascii
from tcptop.text.cache_rows import select_rows
from tcptop.text.estimate import about
from tcptop.text.line import Line, paragraph, text_of, wrap_text
from tcptop.text.table import make_headings, split_table

MODE_TITLES: dict[AccountingMode, str] = {
    "full": "Bytes per connection, open sockets: one sock with its inode, dentry and file",
    "time_wait": "Bytes per connection, TIME_WAIT: the mini-socket that remains",
}
COLUMNS = 80
"""Width of the report if standard output is no terminal, and the least width."""
MAX_SENTENCE_COLUMNS = 96
"""Greatest width of sentences, and of the tables of the pages, on a wide terminal."""
SIDE_TITLES = {"accepted": "server side", "outgoing": "client side"}
UNLISTED = {("tls_stat", "missing"), ("smbios", "missing"), ("socket_table", "off")}
"""Names and states of sources that the report does not list, because no figure needs these sources. The counters of
kernel TLS are missing if the module tls is not loaded. The firmware's tables are missing if the firmware made no
tables. The sockets are not read if the user did not ask for them."""
GROWTH = "growth: one sample has none; tcptop diff A B compares two"
FAMILY_TITLES = {"mix": "as here", "ipv4": "IPv4", "ipv6": "IPv6"}


def as_text(
    ledger: Ledger,
    sort_key: str = columns.DEFAULT_SORT_KEY,
    width: int | None = None,
    first: Ledger | None = None,
) -> str:
    """The whole report as text that ends in a newline.

    The first three lines are the answers. No line is wider than `width`, which is at least COLUMNS: a sentence wraps,
    and a table that is too wide continues below with its other columns. `first` is the ledger of the first sample of
    the recording, if the report is of a later one.
    """
    width = max(COLUMNS, width or COLUMNS)
    # Signs of two characters, such as `<=` for `≤`, may make a line of a page longer by some characters.
    of_pages = min(width, MAX_SENTENCE_COLUMNS) - 2
    sections = [
        _summary(ledger, width),
        _head(ledger),
        *(_cost(mode, cost, ledger.sockets) for mode, cost in ledger.costs.items()),
        _page_section("Attached objects, which only some sockets have", attached_table(ledger, of_pages)),
        _sockets(ledger, width),
        _memory(ledger, width, first),
        _page_section("Slab memory of the machine", slab_memory_table(ledger, of_pages)),
        _page_section("Sockets by state", states_table(ledger, of_pages)),
        _page_section("Headroom for more sockets", headroom_page(ledger, of_pages)),
        [headroom_sentence(ledger, "time_wait")],
        _holders(ledger, width),
        _events(ledger, of_pages),
        _caches(ledger, sort_key, width),
        _page_section("NUMA nodes", numa_page(ledger, of_pages)),
        _hardware(ledger, of_pages),
        *(_node(ledger, node, width) for node in ledger.nodes),
        _sources(ledger, width),
    ]
    texts = [[part for line in section for part in _fit_line(line, width)] for section in sections]
    return "\n\n".join("\n".join(lines) for lines in texts if lines) + "\n"


def _fit_line(line: str, width: int) -> Sequence[str]:
    """The line in ASCII; a line that is too wide is wrapped, and its other lines are indented by two more spaces."""
    line = report_to_ascii(line)
    if len(line) <= width:
        return (line,)
    indent = line[: len(line) - len(line.lstrip())]
    return [f"{indent}{part}" for part in wrap_text(line.strip(), width - len(indent), "  ")]


def _hanging(start: str, note: str, width: int) -> Iterator[str]:
    """A line that begins with `start`, and a note that wraps to the right of it."""
    start = report_to_ascii(start)
    for index, part in enumerate(wrap_text(report_to_ascii(note), width - len(start))):
        yield f"{' ' * len(start) if index else start}{part}"


def _summary(ledger: Ledger, width: int) -> Iterator[str]:
    """The three answers, a line for each: TCP's memory, the bytes of a connection, and the limit that is next.

    Lines below them name the limits that no look has told, which the third answer leaves out, and the listen overflows
    of this network namespace.
    """
    for variants in (_memory_answers(ledger), _cost_answers(ledger), _limit_answers(ledger)):
        texts = list(map(report_to_ascii, variants))
        yield next((text for text in texts if len(text) <= width), texts[-1])
    yield from unlooked_sentences(ledger)


def _memory_answers(ledger: Ledger) -> list[str]:
    memory, machine = ledger.tcp_memory, ledger.host.memory_bytes
    start = "Memory of TCP: "
    if memory.low_bytes is None:
        return [f"{start}not known: {', '.join(memory.missing)}", f"{start}not known"]
    if memory.missing:
        least = f"{start}at least {units.size(memory.low_bytes, False)}"
        return [f"{least}, and what is not known: {', '.join(memory.missing)}", f"{least}, and what is not known"]
    if memory.bytes is None:
        return [f"{start}not known"]
    about = "" if memory.outdated_because is None else "≈ "
    total = f"{start}{about}{units.size(memory.bytes)}, {_between(memory.low_bytes, memory.high_bytes)}"
    if memory.outdated_because is not None:
        return [f"{total}; {memory.outdated_because}", f"{total}; an estimate", total]
    if not machine:
        return [total]
    return [f"{total}; {units.fine_percent(memory.bytes / machine)} of {units.size(machine)}", total]


def _cost_answers(ledger: Ledger) -> list[str]:
    full, mini = (
        [_slabs_text(name, side) for name, side in zip(SIDE_TITLES, ledger.costs[mode].by_family["mix"], strict=True)]
        for mode in MODE_TITLES
    )
    is_computed = any(side.computed for mode in MODE_TITLES for side in ledger.costs[mode].by_family["mix"])
    start = f"Bytes per connection{', computed' if is_computed else ''}:"
    texts = [
        f"{start} {full[0]} {server}, {full[1]} {client}; TIME_WAIT {mini[0]}, {mini[1]}"
        for server, client in (("server side", "client side"), ("server", "client"))
    ]
    return [*texts, f"{start} {full[0]}, {full[1]}; TIME_WAIT {mini[0]}, {mini[1]}"]


def _limit_answers(ledger: Ledger) -> list[str]:
    """The limit that is reached first and how many more sockets fit; before it, the limits that have an alarm.

    In a narrow report, the words on what fits give way to the alarms, and the first alarm stays whole.
    """
    limits, first = ledger.limits["full"], ledger.limits["full"].first
    all_known = first is None or all(limit.used is not None for limit in limits.rows)
    unread = unread_limits_text(limits) if first is not None else ""
    name = f"next limit, without {unread}" if unread else "next limit" if all_known else "next of known limits"
    starts = [f"{alarms} now; {name}: " for alarms in alarm_texts(limits)]
    short = [f"{alarms}; next: " for alarms in alarm_texts(limits)]
    if not any(has_alarm(limit) for limit in limits.rows):
        # A nearly full limit of mini-sockets stops no socket, so that it gives way to what fits.
        starts += [*short, f"N{name[1:]}: ", *([f"Next, without {unread}: "] if unread else [])]
        short = []
    if first is None:
        texts = headroom_sentences(ledger)
    else:
        use = "" if first.ratio is None or limits.maybe_first else f", {ratio_text(first)} % used"
        number, buffers = headroom_number(ledger), counted_buffers_text(limits, ledger.headroom["full"])
        fits = tuple(with_buffers_text(f"{number} {more}", buffers) for more in ("more sockets fit", "more"))
        name = first_limits_text(limits)
        texts = [f"{name}{each}; {text}" for each in (use, "") for text in fits]
    if not short:
        return [f"{start}{text}" for start in starts for text in texts]
    lines = [f"{start}{text}" for pair in zip(starts, short, strict=True) for start in pair for text in texts]
    return [*lines, *(f"{alarms} now" for alarms in alarm_texts(limits))]


def _head(ledger: Ledger) -> Iterator[str]:
    host = ledger.host
    yield f"tcptop: what TCP costs this kernel - {host.name or host.place or 'unknown host'}"
    facts = [f"Linux {host.kernel or units.UNKNOWN}"]
    facts += [units.counted(host.cpus, "CPU"), units.counted(len(ledger.nodes) or None, "node")]
    facts.append(f"{units.size(host.page_size_bytes)} pages")
    facts.append(f"{units.size(host.memory_bytes)} memory")
    yield ", ".join(facts) + ("" if ledger.live else "; saved, not live")
    if ledger.lab is not None:
        reason = ledger.lab.unused_because
        used = "used where no file tells" if reason is None else f"not used: {reason}"
        yield f"lab result {ledger.lab.path}: {used}"
    if host.net_namespace:
        yield f"this netns, which in use and TIME_WAIT count: {host.net_namespace}"


def _cost(mode: AccountingMode, cost: ConnectionCost, sockets: SocketCounts) -> Iterator[str]:
    yield MODE_TITLES[mode]
    if cost.now_bytes is not None:
        is_at_most = cost.now_is_at_most and cost.now_divisor is not None
        over = f", over ≥ {units.count(cost.now_divisor)} mini-sockets" if is_at_most else ""
        yield f"  average now        {units.bounded(cost.now_bounds, units.exact_bytes):>10} B in slabs{over}"
        if cost.now_held_because is not None:
            yield f"  (an earlier average: {cost.now_held_because})"
    else:
        yield f"  average now                 {units.UNKNOWN}   {cost.now_unknown_because}"
    for family in ("mix", "ipv4", "ipv6"):
        yield from _figure(FAMILY_TITLES[family], cost.by_family[family])
    mix = cost.by_family["mix"]
    yield "  parts of one more socket (IPv4:IPv6 as here):"
    yield f"    {'':<26} {'cache':<20} {'object':>8}  with slab padding"
    for part, name, cache, note in _rows_of_parts(mix.outgoing.parts):
        if not round(part.slab_bytes or 0, 1) and part.high_slab_bytes:
            most = units.tenths_of_bytes(part.high_slab_bytes, True)
            yield f"    {name:<26} {cache:<20} {'':>8} {f'up to {most}':>16} B"
            continue
        share = units.UNKNOWN if part.slab_bytes is None else units.tenths_of_bytes(part.slab_bytes)
        about = report_to_ascii("≈ ") if part.estimated and not part.computed and part.slab_bytes is not None else ""
        yield f"    {name:<26} {cache:<20} {units.exact_bytes(part.object_bytes):>6} B {about + share:>16} B"
        if part.computed:
            yield "      computed"
        if part.slab_bytes is not None and part.high_slab_bytes and part.high_slab_bytes > part.slab_bytes:
            yield f"      up to {units.tenths_of_bytes(part.high_slab_bytes, True)} B with slab padding"
        if note:
            yield note
    for name in mix.outgoing.missing:
        yield f"    {name:<26} not known"
    if cost.idle_bytes_per_socket is not None:
        idle = units.exact_bytes(cost.idle_bytes_per_socket, cost.now_is_at_most or None)
        yield f"  idle slab per socket {f'≤ {idle}' if cost.now_is_at_most else idle:>8} B"
    if mode == "full":
        yield f"  buffers per socket   {_buffers_per_socket(sockets, cost)}"


def _buffers_per_socket(sockets: SocketCounts, cost: ConnectionCost) -> str:
    """The average buffers of a socket; if the error of the counter is in it, with a sign and both bounds.

    Of sockets that are too few for an average, there is none; of buffers within the error, only the upper bound.
    """
    average, bounds = cost.buffer_bytes_per_socket, sockets.buffer_bounds_per_socket
    if average is None and sockets.buffers_within_error and cost.now_bytes is not None and bounds is not None:
        return f"{units.bounded(bounds, units.exact_bytes):>8} B"
    text = about(average, bounds, units.exact_bytes)
    if average is None or bounds is None or bounds.high == inf or text == units.exact_bytes(average):
        return f"{text:>8} B"
    return f"{text:>8} B  between {units.exact_bytes(bounds.low, False)} and {units.exact_bytes(bounds.high, True)} B"


def _rows_of_parts(parts: Sequence[ObjectCost]) -> Iterator[tuple[ObjectCost, str, str, str]]:
    """Each part with its name, the name of its cache, and a note for a line of its own, which may be empty.

    The objects of IPv4 and IPv6, of which a socket has one, are one part: the average of the two sizes.
    """
    for pair in (SOCKS, MINI_SOCKETS):
        both = [part for part in parts if part.object in [item.struct for item in pair]]
        if len(both) == len(pair):
            of_each = zip(both, ("IPv4", "IPv6"), strict=True)
            shares = [f"{100 * part.count:.2f} % are {family}, in {part.cache}" for part, family in of_each]
            name = f"{pair[0].label}{AVERAGE_OF_FAMILIES}"
            yield _sum_of(both), name, "one of two caches", f"      {'; '.join(shares)}"
            parts = [part for part in parts if part not in both]
    for part in parts:
        yield part, part.object if part.count == 1 else f"{part.object} × {part.count:.2f}", part.cache, ""


def _sum_of(parts: Sequence[ObjectCost]) -> ObjectCost:
    """The first part with the sums of the bytes of all parts; a sum is None if a summand is unknown."""

    def total(amounts: Sequence[float | None]) -> float | None:
        known = [amount for amount in amounts if amount is not None]
        return sum(known) if len(known) == len(amounts) else None

    return parts[0]._replace(
        object_bytes=sum(part.object_bytes for part in parts),
        slab_bytes=total([part.slab_bytes for part in parts]),
        high_slab_bytes=total([part.high_slab_bytes for part in parts]),
        estimated=any(part.estimated for part in parts),
        computed=any(part.computed for part in parts),
    )


def _slabs_text(side_name: str, side: SocketCost) -> str:
    """The slab bytes of one more socket, as text; on the client side it has a local port of its own, or shares one."""
    return units.bounded(side.slab_bounds(own_port=side_name == "outgoing"), units.exact_bytes)


def _figure(title: str, figure: CostBySide) -> Iterator[str]:
    for name, side in (("accepted", figure.accepted), ("outgoing", figure.outgoing)):
        slabs = _slabs_text(name, side)
        objects = units.bounded(side.object_bounds, units.exact_bytes)
        sign = "≤ " if name == "outgoing" and side.complete else "≈ " if slabs.startswith("≈ ") else ""
        start = f"  one more {SIDE_TITLES[name]}, {title:<7} {report_to_ascii(slabs):>11} B"
        yield f"{start} {report_to_ascii(sign + objects):>11} B without slab padding"
        if sign == "≈ ":
            yield f"    up to {units.exact_bytes(side.high_slab_bytes, True)} B with slab padding"


def _sockets(ledger: Ledger, width: int) -> Iterator[str]:
    sockets = ledger.sockets
    families = f"IPv4 {units.count(sockets.inuse)}, IPv6 {units.count(sockets.inuse6)}"
    scope = SCOPE_LABELS.get(sockets.time_wait_scope, sockets.time_wait_scope)
    most = sockets.time_wait_machine_max
    error = buffer_error_text(sockets)
    if sockets.buffers_within_error:
        error = "error of the counter assumed" if sockets.buffer_error_is_assumed else ""
    error_text = f", {error}" if error else ""
    buffers, memory = buffers_text(sockets), buffer_memory_text(ledger)
    if sockets.buffer_bytes is None and sockets.buffer_pages is not None:
        buffers = f"{buffer_pages_text(sockets)} pages"
    rows = (
        ("allocated", units.count(sockets.allocated), "machine: every socket but TIME_WAIT, of all netns"),
        ("in use", units.count(sockets.inuse_of_both), f"this netns: {families}"),
        ("orphans", units.count(sockets.orphans), "machine: closed by their program, not yet by TCP"),
        ("TIME_WAIT", units.count(sockets.time_wait), f"{scope}, with FIN_WAIT2 after close"),
        ("", f"{'≤ ' if most else ''}{units.count(most)}", "all netns: active tw_sock objects"),
        ("buffers", buffers, f"machine: of all sockets, in whole pages{error_text}{memory and '; '}{memory}"),
    )
    yield "Sockets"
    for title, value, note in rows:
        yield from _hanging(f"  {title:<11} {report_to_ascii(value):>12}  ", note, width)
    if sockets.tcp_mem_pages and sockets.tcp_mem_unit_bytes:
        low, pressure, high = (units.size(pages * sockets.tcp_mem_unit_bytes) for pages in sockets.tcp_mem_pages)
        yield f"  tcp_mem     low {low}, pressure {pressure}, high {high}"
    elif sockets.tcp_mem_pages:
        low, pressure, high = map(units.count, sockets.tcp_mem_pages)
        yield f"  tcp_mem     low {low}, pressure {pressure}, high {high} pages"


def _memory(ledger: Ledger, width: int, first: Ledger | None) -> Iterator[str]:
    memory = ledger.tcp_memory
    yield "Total kernel memory in TCP"
    if memory.bytes is None and memory.low_bytes is not None:
        yield f"  ≥ {units.size(memory.low_bytes, False)}: the allocated sockets, each with a sock; not known:"
        yield f"    {', '.join(memory.missing)}"
    elif memory.bytes is None:
        yield f"  {units.UNKNOWN}   not known: {', '.join(memory.missing)}"
    elif memory.missing:
        yield f"  ≥ {units.size(memory.low_bytes, False)}, about {units.size(memory.bytes)} and what is not known:"
        yield f"    {', '.join(memory.missing)}"
    else:
        assumed = ", if the error of the buffers is as assumed" if _high_is_assumed(ledger) else ""
        about = "" if memory.outdated_because is None else "≈ "
        yield f"  {about}{units.size(memory.bytes)}   {_between(memory.low_bytes, memory.high_bytes)}{assumed}"
    if memory.outdated_because is not None:
        yield f"    an estimate: {memory.outdated_because}"
    for part in memory.parts:
        if part.high_bytes or part.low_bytes:
            about = f"{units.size(part.low_bytes, False)} to {units.size(part.high_bytes, True)}"
            start = f"    {report_to_ascii(part.text):<38} {units.size(part.bytes):>10}"
            line = f"{start}  {about}" if part.estimated else start
            yield from (line,) if len(line) <= width else (start, f"{'between ':>{len(start)}}{about}")
    unexplained = ledger.slab_memory.unexplained_bytes
    if unexplained is not None:
        error = f" (the rows have {units.size(-unexplained)} more: within the error)" if unexplained < 0 else ""
        yield f"  slab memory of the machine that no row explains: {units.size(max(0, unexplained))}{error}"
    yield f"  {GROWTH if first is None else _growth_text(first, ledger)}"


def _growth_text(first: Ledger, ledger: Ledger) -> str:
    """The growth of TCP's memory since the first sample of the recording."""
    before, after = first.tcp_memory, ledger.tcp_memory
    is_known = before.bytes is not None and after.bytes is not None and not before.missing and not after.missing
    elapsed_s = ledger.seconds_since(first)
    if not is_known or elapsed_s is None or elapsed_s <= 0:
        return "growth since the first sample: not known"
    names = [(each.host.name, each.host.kernel, each.host.memory_bytes) for each in (first, ledger)]
    totals = [(old.total, new.total) for old, new in zip(first.events, ledger.events, strict=True)]
    has_fewer_events = any(old is not None and new is not None and new < old for old, new in totals)
    if names[0] != names[1] or ledger.host.is_other_boot(first.host) or has_fewer_events:
        return "growth since the first sample: not known, since that is of another machine or boot"
    change = (after.bytes or 0) - (before.bytes or 0)
    is_range = any(each.low_bytes != each.high_bytes for each in (before, after))
    time = units.seconds(round(elapsed_s))
    return f"growth since the first sample: {'≈ ' if is_range else ''}{units.signed_size(change)} in {time}"


def _high_is_assumed(ledger: Ledger) -> bool:
    """True if the upper bound on TCP's memory contains an assumed error of the count of buffers."""
    sockets = ledger.sockets
    counted, error = sockets.buffer_bytes, sockets.buffer_error_bytes
    if not sockets.buffer_error_is_assumed or counted is None or error is None:
        return False
    return any(part.name == BUFFERS and part.high_bytes >= counted + error for part in ledger.tcp_memory.parts)


def _between(low_bytes: int | None, high_bytes: int | None) -> str:
    return f"between {units.size(low_bytes, up=False)} and {units.size(high_bytes, up=True)}"


def _page_section(title: str, lines: Sequence[Line]) -> Iterator[str]:
    """Formats a part of an explanation page as a section of the report."""
    yield title
    for line in lines:
        yield f" {text_of(line)}".rstrip()


def _holders(ledger: Ledger, width: int) -> Sequence[str]:
    """The section on who holds the sockets, if the user asked for it."""
    if ledger.holders is None:
        return ()
    # The module is imported here, because few reports have the holders of sockets.
    from tcptop.explanation.holder_rows import MAX_ROWS, holder_rows
    from tcptop.report.who_text import who_lines

    return who_lines(ledger.holders, holder_rows(ledger.holders, top=MAX_ROWS), "owner", "memory", width, is_split=True)


def _events(ledger: Ledger, width: int) -> Iterator[str]:
    """A table of the events whose counters are above 0, and lines that say how many other events there are."""
    groups = group_events(ledger)
    yield f"Events {SINCE}"
    if groups.moved:
        yield from (f" {text_of(line)}".rstrip() for line in events_table(groups.moved, width))
    yield f"  {moved_sentence(groups)}"
    if groups.absent:
        yield f"  {len(groups.absent)} are not counted by this kernel"
    for reason, events in groups.unread.items():
        yield f"  {len(events)} not known: {reason}"


def _caches(ledger: Ledger, sort_key: str, width: int) -> list[str]:
    shown = columns.select_columns("machine", ledger.live)
    lines = columns.sort_rows(select_rows(ledger.caches, None), columns.SORT_KEYS[sort_key])
    if not lines:
        return ["TCP caches", f"  {units.UNKNOWN}   {ledger.sources['slabinfo'].reason or 'none'}"]
    texts = [[each.text(line) for each in shown] for line in lines]
    return ["TCP caches", *split_table([each.heading for each in shown], texts, width)]


def _hardware(ledger: Ledger, width: int) -> list[str]:
    """Processor sockets and memory slots in two lines; nothing if the firmware's tables were not read."""
    lines = [line for text in hardware_sentences(ledger) for line in paragraph(f" {text}", width, "text")]
    return list(_page_section("Hardware, as the firmware says", lines)) if lines else []


def _node(ledger: Ledger, node: NodeMemory, width: int) -> Iterator[str]:
    late = late_memory_text(ledger)
    yield f"Node {node.node}: {node_cpus_text(node)}, {units.size(node.memory_bytes)} memory{late and f', {late}'}"
    if not node.zones:
        yield ("  no memory: no zone of this node has a page" if node.memory_bytes == 0 else "  no zone is known")
        return
    lists = [blocks for zone in node.zones for blocks in (zone.free_area or (), *(zone.migrate_types or {}).values())]
    orders = max(map(len, lists), default=0)
    page_bytes = ledger.host.page_size_bytes
    sizes = [units.page_order_size(order, page_bytes) for order in range(orders)]
    headings = make_headings("<ZONE", "<TYPE", *sizes, "FREE")
    yield from split_table(headings, [row for zone in node.zones for row in _zone(zone, orders, page_bytes)], width, 2)
    for zone in node.zones:
        marks = (zone.free_pages, zone.min_pages, zone.low_pages, zone.high_pages)
        free, least, low, high = (units.count(pages) for pages in marks)
        yield f"  {zone.zone}: free {free} pages; watermarks min {least}, low {low}, high {high}"
    own = ledger.headroom["full"].nodes.get(node.node)
    if own is not None and ledger.tcp_slab_order is not None:
        block = units.page_order_size(ledger.tcp_slab_order, page_bytes)
        without, with_reclaim = (
            units.UNKNOWN if number is None else node_fits_text(ledger.headroom["full"], number, units.count)
            for number in (own.without_reclaim, own.with_reclaim)
        )
        yield (
            f"  fits {without} more sockets in free memory,"
            f" {with_reclaim} with reclaim (TCP slabs are {block} blocks){late and f', {late}'}"
        )


def _zone(zone: ZoneMemory, orders: int, page_bytes: int | None) -> Iterator[list[str]]:
    free = None if zone.listed_pages is None or page_bytes is None else zone.listed_pages * page_bytes
    texts = [units.UNKNOWN] * orders if zone.free_area is None else list(map(str, zone.free_area))
    yield [zone.zone, "all", *_pad(texts, orders), units.short_size(free)]
    for name, counts in (zone.migrate_types or {}).items():
        capped = (zone.capped or {}).get(name, ())
        texts = [f"≥{count}" if order in capped else str(count) for order, count in enumerate(counts)]
        yield ["", name, *_pad(texts, orders), ""]


def _pad(texts: list[str], orders: int) -> list[str]:
    return [*texts, *[""] * (orders - len(texts))]


def _sources(ledger: Ledger, width: int) -> Iterator[str]:
    bad = [
        source
        for source in ledger.sources.values()
        if source.reason and source.state != "waiting" and (source.name, source.state) not in UNLISTED
    ]
    if bad:
        yield "Not read, or not in full"
        for source in bad:
            yield from _hanging(f"  {source.name:<17} {source.state:<8} ", source.reason or "", width)
