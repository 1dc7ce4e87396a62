"""The sum of a socket's parts, with the figures and the names of the main screen, and the parts beside one of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tcptop.kernel.objects import BIND_BUCKETS, MINI_SOCKETS, SOCKS
from tcptop.ledger import AccountingMode, CostBySide, Ledger
from tcptop.text import units
from tcptop.text.line import Line, paragraph
from tcptop.text.whole_parts import missing_names, whole_parts

STARTS: dict[AccountingMode, str] = {"full": "One more socket", "time_wait": "One more in TIME_WAIT"}

NAMES: dict[AccountingMode, str] = {"full": "a socket", "time_wait": "a socket in TIME_WAIT"}


def sum_lines(ledger: Ledger, modes: Sequence[AccountingMode], columns: int) -> Iterator[Line]:
    """For each of the modes, the sum of the parts of one more socket, at both sides."""
    for mode in modes:
        text = _sum_text(ledger.costs[mode].by_family["mix"])
        if text:
            yield from paragraph(f" {STARTS[mode]}, {text}", columns - 1, "strong")


def _sum_text(cost: CostBySide) -> str:
    """The sums at both sides; empty if no size is known."""
    server, client = cost.accepted, cost.outgoing
    has_share = server.slab_bytes is not None
    bounds = server.slab_bounds() if has_share else server.object_bounds
    if bounds is None:
        return ""
    parts = [f"{part.label} {units.exact_bytes(part.bytes)}" for part in whole_parts(server.slices, bounds)]
    parts += [f"? {name}" for name in missing_names(server)]
    unit = "B of slab" if has_share else "B without slab padding"
    text = f"server side: {units.bounded(bounds, units.exact_bytes)} {unit} = {' + '.join(parts)}."
    total = client.slab_bounds(own_port=True)
    if total is None or client.missing or not total.high:
        return text
    ports = [part for part in client.parts if part.object in [item.struct for item in BIND_BUCKETS]]
    port = sum(part.high_slab_bytes or 0.0 for part in ports)
    rest = round(units.round_bound(total.high, True)) - round(bounds.low) - round(port)
    wide = [
        part.label
        for part in client.parts
        if part not in ports and (part.high_slab_bytes or 0) > (part.slab_bytes or 0)
    ]
    more = [f"≤ {units.exact_bytes(port)} for a local port (sockets may share one)"] if port else []
    more += [f"≤ {units.exact_bytes(rest)} {', '.join(dict.fromkeys(wide))}"] if rest > 0 and wide else []
    if not more:
        return text
    sizes = " + ".join([units.exact_bytes(bounds.low), *more])
    return f"{text} Client side: {units.bounded(total, units.exact_bytes)} B = {sizes}."


def other_parts_lines(ledger: Ledger, structs: Sequence[str], columns: int) -> Iterator[Line]:
    """The other parts of the socket that has one of the objects, with their caches; nothing if no socket has it."""
    for mode, name in NAMES.items():
        parts = ledger.costs[mode].by_family["mix"].outgoing.parts
        if not any(part.object in structs for part in parts):
            continue
        # A socket has the object of its own family alone.
        socks = [[item.struct for item in pair] for pair in (SOCKS, MINI_SOCKETS)]
        own = {each for pair in socks if set(pair) & set(structs) for each in pair} | set(structs)
        labels = {part.object: part.label for part in parts}
        for pair in socks:
            both = " or ".join(labels[each] for each in pair if each in labels)
            labels.update((each, both) for each in pair)
        caches: dict[str, list[str]] = {}
        for part in parts:
            if part.object not in own:
                caches.setdefault(labels[part.object], []).append(part.cache)
        others = [f"{label} ({', '.join(dict.fromkeys(names))})" for label, names in caches.items()]
        if others:
            yield from paragraph(f" Other parts of {name}: {', '.join(others)}.", columns - 1, "dim")
