"""The ledger as a plain-text report, for -o: all sections, ASCII only, no escape sequences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tcptop.explanation.attached_page import attached_table
from tcptop.explanation.events_page import SINCE, events_table, group_events, moved_sentence
from tcptop.explanation.hardware_page import hardware_sentences
from tcptop.explanation.headroom_page import headroom_page
from tcptop.explanation.limit_texts import headroom_sentence
from tcptop.explanation.memory_page import buffer_error_text, buffer_memory_text, buffer_pages_text, slab_memory_table
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
    ZoneMemory,
)
from tcptop.text import cache_columns as columns
from tcptop.text import units
from tcptop.text.ascii import report_to_ascii
from tcptop.text.cache_rows import select_rows
from tcptop.text.line import Line, paragraph, text_of
from tcptop.text.table import make_headings, plain_table

MODE_TITLES: dict[AccountingMode, str] = {
    "full": "Bytes per connection, open sockets: one sock with its inode, dentry and file",
    "time_wait": "Bytes per connection, TIME_WAIT: the mini-socket that remains",
}
COLUMNS = 96
SIDE_TITLES = {"accepted": "server side", "outgoing": "client side"}
UNLISTED = {("tls_stat", "missing"), ("smbios", "missing"), ("socket_table", "off")}
"""Names and states of sources that the report does not list, because no figure needs these sources. The counters of
kernel TLS are missing if the module tls is not loaded. The firmware's tables are missing if the firmware made no
tables. The sockets are not read if the user did not ask for them."""
FAMILY_TITLES = {"mix": "as here", "ipv4": "IPv4", "ipv6": "IPv6"}


def as_text(ledger: Ledger, sort_key: str = columns.DEFAULT_SORT_KEY) -> str:
    """The whole report as text that ends in a newline."""
    sections = [
        _head(ledger),
        *(_cost(mode, cost) for mode, cost in ledger.costs.items()),
        _page_section("Attached objects, which only some sockets have", attached_table(ledger, COLUMNS)),
        _sockets(ledger),
        _memory(ledger),
        _page_section("Slab memory of the machine", slab_memory_table(ledger, COLUMNS)),
        _page_section("Sockets by state", states_table(ledger, COLUMNS)),
        _page_section("Headroom for more sockets", headroom_page(ledger, COLUMNS)),
        [headroom_sentence(ledger, "time_wait")],
        _holders(ledger),
        _events(ledger),
        _caches(ledger, sort_key),
        _page_section("NUMA nodes", numa_page(ledger, COLUMNS)),
        _hardware(ledger),
        *(_node(ledger, node) for node in ledger.nodes),
        _sources(ledger),
    ]
    text = "\n\n".join("\n".join(section) for section in map(list, sections) if section)
    return report_to_ascii(f"{text}\n")


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


def _cost(mode: AccountingMode, cost: ConnectionCost) -> Iterator[str]:
    yield MODE_TITLES[mode]
    if cost.now_bytes is not None:
        yield f"  average now        {units.bounded(cost.now_bounds, units.exact_bytes):>10} B in slabs"
        if cost.now_held_because is not None:
            yield f"  (an earlier average: {cost.now_held_because})"
    else:
        yield f"  average now                 {units.UNKNOWN}   {cost.now_unknown_because}"
    for family in ("mix", "ipv4", "ipv6"):
        yield from _figure(FAMILY_TITLES[family], cost.by_family[family])
    mix = cost.by_family["mix"]
    yield "  parts of one more socket (IPv4:IPv6 as here):"
    for part, name, cache, note in _rows_of_parts(mix.outgoing.parts):
        if not round(part.slab_bytes or 0, 1) and part.high_slab_bytes:
            most = units.tenths_of_bytes(part.high_slab_bytes, True)
            yield f"    {name:<26} {cache:<20} up to {most} B with slab padding"
            continue
        about = "computed" if part.computed else "about" if part.estimated else ""
        share = units.UNKNOWN if part.slab_bytes is None else units.tenths_of_bytes(part.slab_bytes)
        if part.slab_bytes is not None and part.high_slab_bytes and part.high_slab_bytes > part.slab_bytes:
            about += f", up to {units.tenths_of_bytes(part.high_slab_bytes, True)}"
        sizes = f"{units.exact_bytes(part.object_bytes):>8} B object {share:>9} B with slab padding {about}".rstrip()
        yield f"    {name:<26} {cache:<20} {sizes}"
        if note:
            yield note
    for name in mix.outgoing.missing:
        yield f"    {name:<26} not known"
    if cost.idle_bytes_per_socket is not None:
        idle = units.exact_bytes(cost.idle_bytes_per_socket, cost.now_is_at_most or None)
        yield f"  idle slab per socket {f'≤ {idle}' if cost.now_is_at_most else idle:>8} B"
    if mode == "full":
        yield f"  buffers per socket   {units.exact_bytes(cost.buffer_bytes_per_socket):>8} B"


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


def _figure(title: str, figure: CostBySide) -> Iterator[str]:
    for name, side in (("accepted", figure.accepted), ("outgoing", figure.outgoing)):
        slabs = units.bounded(side.slab_bounds(own_port=name == "outgoing"), units.exact_bytes).removeprefix("≈ ")
        objects = units.bounded(side.object_bounds, units.exact_bytes)
        at_most = "≤ " if name == "outgoing" and side.complete else ""
        is_range = side.complete and not at_most and round(side.high_slab_bytes or 0) > round(side.slab_bytes or 0)
        high = f", up to {units.exact_bytes(side.high_slab_bytes, True)} B with" if is_range else ""
        start = f"  one more {SIDE_TITLES[name]}, {title:<7} {slabs:>10} B"
        yield f"{start} {at_most + objects:>10} B without slab padding{high}"


def _sockets(ledger: Ledger) -> Iterator[str]:
    sockets = ledger.sockets
    families = f"IPv4 {units.count(sockets.inuse)}, IPv6 {units.count(sockets.inuse6)}"
    scope = SCOPE_LABELS.get(sockets.time_wait_scope, sockets.time_wait_scope)
    most = sockets.time_wait_machine_max
    error = buffer_error_text(sockets)
    if sockets.buffers_within_error:
        error = "error of the counter assumed" if sockets.buffer_error_is_assumed else ""
    error_text = f", {error}" if error else ""
    buffers, memory = units.bounded(sockets.buffer_bounds, units.size), buffer_memory_text(ledger)
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
        yield f"  {title:<11} {value:>12}  {note}"
    if sockets.tcp_mem_pages and sockets.tcp_mem_unit_bytes:
        low, pressure, high = (units.size(pages * sockets.tcp_mem_unit_bytes) for pages in sockets.tcp_mem_pages)
        yield f"  tcp_mem     low {low}, pressure {pressure}, high {high}"
    elif sockets.tcp_mem_pages:
        low, pressure, high = map(units.count, sockets.tcp_mem_pages)
        yield f"  tcp_mem     low {low}, pressure {pressure}, high {high} pages"


def _memory(ledger: Ledger) -> Iterator[str]:
    memory = ledger.tcp_memory
    yield "Total kernel memory in TCP"
    if memory.bytes is None:
        yield f"  {units.UNKNOWN}   not known: {', '.join(memory.missing)}"
    elif memory.missing:
        yield f"  ≥ {units.size(memory.low_bytes, False)}, about {units.size(memory.bytes)} and what is not known:"
        yield f"    {', '.join(memory.missing)}"
    else:
        assumed = ", if the error of the buffers is as assumed" if _high_is_assumed(ledger) else ""
        yield f"  {units.size(memory.bytes)}   {_between(memory.low_bytes, memory.high_bytes)}{assumed}"
    for part in memory.parts:
        if part.high_bytes:
            about = f"  {_between(part.low_bytes, part.high_bytes)}" if part.estimated else ""
            yield f"    {part.text:<38} {units.size(part.bytes):>10}{about}"
    unexplained = ledger.slab_memory.unexplained_bytes
    if unexplained is not None:
        error = f" (the rows have {units.size(-unexplained)} more: within the error)" if unexplained < 0 else ""
        yield f"  slab memory of the machine that no row explains: {units.size(max(0, unexplained))}{error}"


def _high_is_assumed(ledger: Ledger) -> bool:
    """True if the upper bound on TCP's memory contains an assumed error of the count of buffers."""
    sockets = ledger.sockets
    counted, error = sockets.buffer_bytes, sockets.buffer_error_bytes
    if not sockets.buffer_error_is_assumed or counted is None or error is None:
        return False
    return any(part.row is None and part.high_bytes >= counted + error for part in ledger.tcp_memory.parts)


def _between(low_bytes: int | None, high_bytes: int | None) -> str:
    return f"between {units.size(low_bytes, up=False)} and {units.size(high_bytes, up=True)}"


def _page_section(title: str, lines: Sequence[Line]) -> Iterator[str]:
    """Formats a part of an explanation page as a section of the report."""
    yield title
    for line in lines:
        yield f" {text_of(line)}".rstrip()


def _holders(ledger: Ledger) -> Sequence[str]:
    """The section on who holds the sockets, if the user asked for it."""
    if ledger.holders is None:
        return ()
    # The module is imported here, because few reports have the holders of sockets.
    from tcptop.explanation.holder_rows import MAX_ROWS, holder_rows
    from tcptop.report.who_text import who_lines

    return who_lines(ledger.holders, holder_rows(ledger.holders, top=MAX_ROWS), "owner", "memory", None)


def _events(ledger: Ledger) -> Iterator[str]:
    """A table of the events whose counters are above 0, and lines that say how many other events there are."""
    groups = group_events(ledger)
    yield f"Events {SINCE}"
    if groups.moved:
        yield from (f" {text_of(line)}".rstrip() for line in events_table(groups.moved, COLUMNS))
    yield f"  {moved_sentence(groups)}"
    if groups.absent:
        yield f"  {len(groups.absent)} are not counted by this kernel"
    for reason, events in groups.unread.items():
        yield f"  {len(events)} not known: {reason}"


def _caches(ledger: Ledger, sort_key: str) -> list[str]:
    shown = columns.select_columns("machine", ledger.live)
    lines = columns.sort_rows(select_rows(ledger.caches, None), columns.SORT_KEYS[sort_key])
    if not lines:
        return ["TCP caches", f"  {units.UNKNOWN}   {ledger.sources['slabinfo'].reason or 'none'}"]
    texts = [[each.text(line) for each in shown] for line in lines]
    return ["TCP caches", *plain_table([each.heading for each in shown], texts)]


def _hardware(ledger: Ledger) -> list[str]:
    """Processor sockets and memory slots in two lines; nothing if the firmware's tables were not read."""
    lines = [line for text in hardware_sentences(ledger) for line in paragraph(f" {text}", COLUMNS, "text")]
    return list(_page_section("Hardware, as the firmware says", lines)) if lines else []


def _node(ledger: Ledger, node: NodeMemory) -> Iterator[str]:
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
    yield from plain_table(headings, [row for zone in node.zones for row in _zone(zone, orders, page_bytes)])
    for zone in node.zones:
        marks = (zone.free_pages, zone.min_pages, zone.low_pages, zone.high_pages)
        free, least, low, high = (units.count(pages) for pages in marks)
        yield f"  {zone.zone}: free {free} pages; watermarks min {least}, low {low}, high {high}"
    own = ledger.headroom["full"].nodes.get(node.node)
    if own is not None and ledger.tcp_slab_order is not None:
        block = units.page_order_size(ledger.tcp_slab_order, page_bytes)
        sign = "≤ " if ledger.headroom["full"].is_at_most else ""
        with_reclaim = units.UNKNOWN if own.with_reclaim is None else f"{sign}{units.count(own.with_reclaim)}"
        yield (
            f"  fits {sign}{units.count(own.without_reclaim)} more sockets in free memory,"
            f" {with_reclaim} with reclaim (TCP slabs are {block} blocks)"
        )


def _zone(zone: ZoneMemory, orders: int, page_bytes: int | None) -> Iterator[list[str]]:
    free = None if zone.free_pages is None or page_bytes is None else zone.free_pages * page_bytes
    texts = [units.UNKNOWN] * orders if zone.free_area is None else list(map(str, zone.free_area))
    yield [zone.zone, "all", *_pad(texts, orders), units.short_size(free)]
    for name, counts in (zone.migrate_types or {}).items():
        capped = (zone.capped or {}).get(name, ())
        texts = [f"≥{count}" if order in capped else str(count) for order, count in enumerate(counts)]
        yield ["", name, *_pad(texts, orders), ""]


def _pad(texts: list[str], orders: int) -> list[str]:
    return [*texts, *[""] * (orders - len(texts))]


def _sources(ledger: Ledger) -> Iterator[str]:
    bad = [
        source
        for source in ledger.sources.values()
        if source.reason and source.state != "waiting" and (source.name, source.state) not in UNLISTED
    ]
    if bad:
        yield "Not read, or not in full"
        for source in bad:
            yield f"  {source.name:<17} {source.state:<8} {source.reason}"
