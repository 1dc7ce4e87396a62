"""The page of room: how many more sockets fit, and what ends first."""

from __future__ import annotations

from tcptop.ledger import Ledger, Wall
from tcptop.text import units
from tcptop.text.line import EMPTY, Line, wrapped
from tcptop.text.table import TableRow, table

TITLES = ("WALL", "FOR", "USED", "LIMIT", "ROOM", "OF", "")
LEFT = (True, True, False, False, False, True)


def room_page(ledger: Ledger, columns: int) -> list[Line]:
    """The answer in a sentence, and every wall."""
    rows = [
        TableRow(
            (
                wall.name,
                wall.concerns,
                used(ledger, wall),
                quantity(wall, wall.most),
                units.count(wall.room_sockets),
                wall.scope,
            ),
            note=wall.note,
            role="strong" if wall is ledger.capacity.first else "text",
        )
        for wall in ledger.capacity.walls
    ]
    return [
        *wrapped(f" {room_sentence(ledger)}", columns - 1, "strong"),
        EMPTY,
        *table(TITLES, LEFT, rows, columns, spare=(2, 1, 5)),
    ]


def room_number(ledger: Ledger) -> str:
    """`381 254`; at most so many where a wall is not known, since the first may be nearer."""
    first = ledger.capacity.first
    if first is None:
        return units.UNKNOWN
    return f"{'≤ ' if ledger.capacity.missing else ''}{units.rough_count(first.room_sockets)}"


def room_sentence(ledger: Ledger) -> str:
    """`room for 381 254 more sockets; first wall: memory of node 3`, and which walls are not known."""
    first, missing = ledger.capacity.first, ledger.capacity.missing
    wall = f"; first wall: {first.name}" if first is not None else ""
    nodes = [each.room_sockets for each in ledger.capacity.walls if each.scope == "node"]
    known = [room for room in nodes if room is not None]
    if first is not None and first.scope == "node" and len(known) == len(nodes) > 1:
        wall += f" (all nodes: {units.rough_count(sum(known))})"
    unknown = f"; not known: {', '.join(missing)}" if missing else ""
    return f"room for {room_number(ledger)} more sockets{wall}{unknown}"


def used(ledger: Ledger, wall: Wall) -> str:
    """What is used; of tcp_mem no more is known than the counter's error allows."""
    sockets = ledger.sockets
    if wall.unit == "bytes" and sockets.buffers_within_error:
        return f"≤ {units.size((sockets.buffer_bytes or 0) + (sockets.buffer_error_bytes or 0))}"
    return quantity(wall, wall.used)


def quantity(wall: Wall, amount: int | None) -> str:
    """An amount of what the wall is made of."""
    if amount is None:
        return units.UNKNOWN
    return units.size(amount) if wall.unit == "bytes" else units.count(amount)
