"""The page of room: how many more sockets fit, and what ends first."""

from __future__ import annotations

from tcptop import units
from tcptop.explanation.table import TableRow, table
from tcptop.ledger import Ledger, Wall
from tcptop.text_line import EMPTY, Line, wrapped

TITLES = ("WALL", "FOR", "USED", "LIMIT", "ROOM", "")
LEFT = (True, True, False, False, False)


def room_page(ledger: Ledger, columns: int) -> list[Line]:
    """The answer in a sentence, and every wall."""
    rows = [
        TableRow(
            (
                wall.name,
                wall.concerns,
                quantity(wall, wall.used),
                quantity(wall, wall.most),
                units.count(wall.room_sockets),
            ),
            wall.scope,
            wall.note,
            role="strong" if wall is ledger.capacity.first else "text",
        )
        for wall in ledger.capacity.walls
    ]
    return [
        *wrapped(f" {room_sentence(ledger)}", columns - 1, "strong"),
        EMPTY,
        *table(TITLES, LEFT, rows, columns),
    ]


def room_sentence(ledger: Ledger) -> str:
    """`room for 381 254 more sockets; first wall: memory of node 3`, and which walls are not known."""
    first, missing = ledger.capacity.first, ledger.capacity.missing
    unknown = f"; not known: {', '.join(missing)}" if missing else ""
    if first is None:
        return f"room for {units.UNKNOWN} more sockets{unknown}"
    return f"room for {units.count(first.room_sockets)} more sockets; first wall: {first.name}{unknown}"


def quantity(wall: Wall, amount: int | None) -> str:
    """An amount of what the wall is made of."""
    if amount is None:
        return units.UNKNOWN
    return units.size(amount) if wall.unit == "bytes" else units.count(amount)
