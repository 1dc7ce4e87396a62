"""The sum of a socket's parts, with the figures and the names of the main screen, and the parts beside one of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import isfinite

from tcptop.kernel.objects import BIND_BUCKETS, MINI_SOCKETS, SOCKS
from tcptop.ledger import AccountingMode, Amount, ConnectionCost, CostBySide, Ledger, ObjectCost
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
    text = f"server side: {units.bounded(bounds, units.exact_bytes)} {unit} = {' + '.join(parts)}"
    unsure = round(units.round_bound(bounds.high, True)) - round(bounds.low) if isfinite(bounds.high) else 0
    names = [part.label for part in server.parts if (part.high_slab_bytes or 0) > (part.slab_bytes or 0)]
    if unsure > 0 and names:
        text += f"; ≤ {units.exact_bytes(unsure)} {' and '.join(dict.fromkeys(names))} not counted"
    text += "."
    total = client.slab_bounds(own_port=True)
    if total is None or client.missing or not total.high:
        return text
    ports = [part for part in client.parts if part.object in [item.struct for item in BIND_BUCKETS]]
    rest = round(units.round_bound(total.high, True)) - round(bounds.low)
    least = {label: sum(each.slab_bytes or 0.0 for each in parts) for label, parts in _by_label(server.parts).items()}
    wide = [
        label
        for label, parts in _by_label(part for part in client.parts if part not in ports).items()
        if sum(each.high_slab_bytes or 0.0 for each in parts) > least.get(label, 0.0) + units.ROUNDING_ERROR
    ]
    # The parts without a size of their own make up for the rounding of the two sums.
    port = min(rest, round(sum(part.high_slab_bytes or 0.0 for part in ports))) if wide else rest
    more = [f"≤ {units.exact_bytes(port)} for a local port (sockets may share one)"] if port > 0 and ports else []
    more += [f"≤ {units.exact_bytes(rest - port)} {' and '.join(wide)}"] if rest > port and wide else []
    if not more:
        return text
    sizes = " + ".join([units.exact_bytes(bounds.low), *more])
    return f"{text} Client side: {units.bounded(total, units.exact_bytes)} B = {sizes}."


def _most_bytes(parts: Sequence[ObjectCost]) -> float:
    return sum(part.high_slab_bytes or 0.0 for part in parts)


def _least_bytes(parts: Sequence[ObjectCost]) -> float:
    return sum(part.slab_bytes or 0.0 for part in parts)


def _by_label(parts: Iterable[ObjectCost]) -> dict[str, list[ObjectCost]]:
    by_label: dict[str, list[ObjectCost]] = {}
    for part in parts:
        by_label.setdefault(part.label, []).append(part)
    return by_label


def other_parts_lines(ledger: Ledger, structs: Sequence[str], columns: int) -> Iterator[Line]:
    """The other parts of the socket that has one of the objects, with their bytes and caches; nothing if none has it.

    They are those of the server side, and then what the client side has besides, as in the sum of a socket. The caches
    of one part come in order of the size of their objects.
    """
    for mode, name in NAMES.items():
        sides = ledger.costs[mode].by_family["mix"]
        parts = sides.outgoing.parts
        if not any(part.object in structs for part in parts):
            continue
        # A socket has the object of its own family alone.
        socks = [[item.struct for item in pair] for pair in (SOCKS, MINI_SOCKETS)]
        own = {each for pair in socks if set(pair) & set(structs) for each in pair} | set(structs)
        labels = {part.object: part.label for part in parts}
        for pair in socks:
            both = " or ".join(labels[each] for each in pair if each in labels)
            labels.update((each, both) for each in pair)
        by_label: dict[str, list[ObjectCost]] = {}
        for part in parts:
            if part.object not in own:
                by_label.setdefault(labels[part.object], []).append(part)
        others: list[str] = []
        of_client: list[str] = []
        for label, each in by_label.items():
            of_server = [part for part in sides.accepted.parts if labels.get(part.object) == label]
            if not of_server:
                of_client.append(_other_part_text(label, each))
                continue
            others.append(_other_part_text(label, of_server))
            more_bytes = _most_bytes(each) - _most_bytes(of_server)
            if more_bytes >= 1:
                of_client.append(f"{label} ≤ {units.exact_bytes(more_bytes, True)} more")
        if others or of_client:
            more = f"; client side also {', '.join(of_client)}" if of_client else ""
            text = f" Other parts of {name}: {', '.join(others)}{more}.{_average_text(ledger.costs[mode])}"
            yield from paragraph(text, columns - 1, "text")


def _average_text(cost: ConnectionCost) -> str:
    """What the bar of the average has besides the parts of one more socket, and which of the parts it lacks.

    The text is empty if there is no average, or if nothing of a socket is idle.
    """
    idle = cost.idle_bytes_per_socket
    if cost.now_bytes is None or idle is None or round(idle) < 1:
        return ""
    sign = "≤ " if cost.now_is_at_most else ""
    parts = cost.by_family["mix"].accepted.parts
    unsure = [label for label, each in _by_label(parts).items() if _most_bytes(each) > 0 and not _least_bytes(each)]
    lacks = f", and counts {' and '.join(unsure)} as 0" if unsure else ""
    return f" The average now has {sign}{units.exact_bytes(idle, cost.now_is_at_most or None)} B idle besides{lacks}."


def _other_part_text(label: str, parts: Sequence[ObjectCost]) -> str:
    """A part with its bytes and its caches: `inode 840 (sock_inode_cache)`; without bytes if these are not known."""
    size = ""
    if all(part.slab_bytes is not None and part.high_slab_bytes is not None for part in parts):
        is_port = parts[0].object in [item.struct for item in BIND_BUCKETS]
        low = 0.0 if is_port else sum(part.slab_bytes or 0.0 for part in parts)
        size = f" {units.bounded(Amount(low, sum(part.high_slab_bytes or 0.0 for part in parts)), units.exact_bytes)}"
    by_size = sorted(parts, key=lambda part: part.high_slab_bytes / part.count if part.high_slab_bytes else 0.0)
    caches = dict.fromkeys(part.cache for part in by_size)
    return f"{label}{size} ({', '.join(caches)})"
