"""The headroom line: how many more sockets fit, the first limit, and the distance to the others."""

from __future__ import annotations

from collections.abc import Sequence

from tcptop.explanation.headroom_page import headroom_number, headroom_sentence
from tcptop.ledger import AccountingMode, GrowthSinceMark, Ledger, Limit
from tcptop.text import units
from tcptop.text.line import Line
from tcptop.view.choices import Choices
from tcptop.widgets.cell_width import line_width
from tcptop.widgets.pane import Pane


class HeadroomLine(Pane):
    """One line without a box."""

    DEFAULT_CSS = """
    HeadroomLine { height: 1; padding: 0 1; }
    """

    def edge_titles(self, ledger: Ledger, choices: Choices) -> tuple[str, str]:  # noqa: ARG002
        """A line has no edges."""
        return "", ""

    def lines(self, ledger: Ledger, choices: Choices, columns: int, rows: int) -> Sequence[Line]:  # noqa: ARG002
        """The headroom and the other limits that fit whole; with a mark set, the change since the mark."""
        return [
            headroom_line(ledger, columns, choices.mode)
            if choices.since is None
            else since_mark_line(choices.since, columns)
        ]


def since_mark_line(found: GrowthSinceMark, columns: int) -> Line:
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
        if line_width(line) <= columns:
            break
    return line


def headroom_line(ledger: Ledger, columns: int, mode: AccountingMode = "full") -> Line:
    """The line at a width; in TIME_WAIT accounting the limit on mini-sockets comes before the others."""
    first, number = ledger.limits.first, headroom_number(ledger)
    nearest = first.name if first is not None else "not known"
    line: Line = ()
    for rest in (
        headroom_sentence(ledger).removeprefix(f"headroom {number}"),
        f" sockets; first limit: {nearest}",
        f", first limit: {nearest}",
        f": {nearest}",
    ):
        line = (("headroom ", "dim"), (number, "strong"), (rest, "dim"))
        if line_width(line) <= columns:
            break
    for limit in sorted(ledger.limits.rows, key=lambda limit: (mode == "full") == (limit.concerns == "TIME_WAIT")):
        if limit is first or limit.scope == "node":
            continue
        distance = _distance(limit)
        if line_width((*line, *distance)) <= columns:
            line = (*line, *distance)
    return line


def _distance(limit: Limit) -> Line:
    """The distance to a limit in its own unit; empty where it is unknown."""
    if limit.maximum is None or (limit.used is None if limit.unit == "bytes" else limit.headroom_sockets is None):
        return ()
    if limit.unit == "bytes":
        text = f"{units.short_size(max(0, limit.maximum - (limit.used or 0)))} left"
    else:
        text = units.rough_count(limit.headroom_sockets)
    return (("  │ ", "dim"), (f"{limit.name} ", "dim"), (text, "text"))
