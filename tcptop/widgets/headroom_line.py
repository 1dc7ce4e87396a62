"""One line: how many more sockets fit, which wall is the first, and how far the others are."""

from __future__ import annotations

from collections.abc import Sequence

from tcptop.explanation.headroom_page import room_number, room_sentence
from tcptop.ledger import AccountingMode, Ledger, SinceMark, Wall
from tcptop.text import units
from tcptop.text.line import Line
from tcptop.view.choices import Choices
from tcptop.widgets.cell_width import width
from tcptop.widgets.pane import Pane


class RoomLine(Pane):
    """One line without a box."""

    DEFAULT_CSS = """
    RoomLine { height: 1; padding: 0 1; }
    """

    def titles(self, ledger: Ledger, choices: Choices) -> tuple[str, str]:  # noqa: ARG002
        """A line has no edges."""
        return "", ""

    def lines(self, ledger: Ledger, choices: Choices, columns: int, rows: int) -> Sequence[Line]:  # noqa: ARG002
        """The sentence, and as many of the other walls as fit whole; what came since a mark, where one is set."""
        return [room(ledger, columns, choices.mode) if choices.since is None else since(choices.since, columns)]


def since(found: SinceMark, columns: int) -> Line:
    """What came since the mark: the measured bytes stay longest where the line is short."""
    ago = f", {units.seconds(round(found.elapsed_s))} ago" if found.elapsed_s is not None else ""
    sockets = units.UNKNOWN if found.sockets is None else units.signed_count(found.sockets)
    each = found.unknown_because or ""
    if found.bytes_per_socket is not None:
        each = f"{units.exact_bytes(found.bytes_per_socket)} B each, measured"
    brief = each.partition(" (")[0]
    grown = "" if found.live_bytes is None else f", live objects {units.signed_size(found.live_bytes)}"
    line: Line = ()
    for when, rest in (
        (ago, f" sockets, {each}{grown}"),
        (ago, f" sockets, {each}"),
        (ago, f", {each}"),
        (ago, f", {brief}"),
        ("", f", {brief}"),
    ):
        line = ((f"since the mark{when}: ", "dim"), (sockets, "strong"), (rest, "text"))
        if width(line) <= columns:
            break
    return line


def room(ledger: Ledger, columns: int, mode: AccountingMode = "full") -> Line:
    """The line for a width; in TIME_WAIT accounting the wall of mini-sockets comes before the other walls."""
    first, number = ledger.capacity.first, room_number(ledger)
    nearest = first.name if first is not None else "not known"
    line: Line = ()
    for rest in (
        room_sentence(ledger).removeprefix(f"room for {number}"),
        f" more sockets; first wall: {nearest}",
        f" sockets, first wall: {nearest}",
        f": {nearest}",
    ):
        line = (("room for ", "dim"), (number, "strong"), (rest, "dim"))
        if width(line) <= columns:
            break
    for wall in sorted(ledger.capacity.walls, key=lambda wall: (mode == "full") == (wall.concerns == "TIME_WAIT")):
        if wall is first or wall.scope == "node":
            continue
        distance = _distance(wall)
        if width((*line, *distance)) <= columns:
            line = (*line, *distance)
    return line


def _distance(wall: Wall) -> Line:
    """How far a wall is, in its own unit; nothing where it is not known."""
    if wall.most is None or (wall.used is None if wall.unit == "bytes" else wall.room_sockets is None):
        return ()
    if wall.unit == "bytes":
        text = f"{units.short_size(max(0, wall.most - (wall.used or 0)))} left"
    else:
        text = units.rough_count(wall.room_sockets)
    return (("  │ ", "dim"), (f"{wall.name} ", "dim"), (text, "text"))
