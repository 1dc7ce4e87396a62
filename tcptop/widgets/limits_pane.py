"""Headroom line: headroom in sockets, first limit, growth, and distances to other limits.

If a mark is set, the line shows the growth since the mark instead.
"""

from __future__ import annotations

from collections.abc import Sequence

from tcptop.explanation.headroom_page import SOCKETS, headroom_number, headroom_sentence, short_label
from tcptop.ledger import AccountingMode, Growth, GrowthSinceMark, Ledger, Limit
from tcptop.text import units
from tcptop.text.line import Line
from tcptop.view.choices import Choices
from tcptop.widgets.cell_width import first_fitting_line, line_width
from tcptop.widgets.pane import Pane

FAR_S = 2 * 86_400.0
"""Time in seconds.

If a limit would be reached only after this time, growth over some minutes says nothing about the limit.
"""


class LimitsPane(Pane):
    """The line below the figure pane and the sockets pane."""

    def lines(self, ledger: Ledger, choices: Choices, columns: int, rows: int) -> Sequence[Line]:  # noqa: ARG002
        """If a mark is set (`k`), the growth since the mark; otherwise the headroom and as many limits as fit."""
        return [
            headroom_line(ledger, columns, choices.mode, self._view.growth.get(choices.mode))
            if self._view.since is None
            else since_mark_line(self._view.since, columns)
        ]


def measured_text(growth: GrowthSinceMark) -> str:
    """The measured bytes per socket with their error, `4 162 ± 120 B each, measured`, or `disturbed`."""
    error = units.exact_bytes(growth.error_bytes_per_socket)
    if growth.is_disturbed:
        return f"disturbed (other slabs changed by {error} B each)"
    return f"{units.exact_bytes(growth.bytes_per_socket)} ± {error} B each, measured"


def since_mark_line(growth: GrowthSinceMark, columns: int) -> Line:
    """The growth since the mark.

    If space is short, the live objects are dropped first; the bytes per socket are never dropped.
    """
    ago = f", {units.seconds(round(growth.elapsed_s))} ago" if growth.elapsed_s is not None else ""
    sockets = units.UNKNOWN if growth.sockets is None else units.signed_count(growth.sockets)
    per_socket = growth.unknown_because or ""
    if growth.bytes_per_socket is not None:
        per_socket = measured_text(growth)
    brief = per_socket.partition(" (")[0]
    live_objects = "" if growth.live_bytes is None else f", live objects {units.signed_size(growth.live_bytes)}"
    variants = (
        (ago, f" sockets, {per_socket}{live_objects}"),
        (ago, f" sockets, {per_socket}"),
        (ago, f", {per_socket}"),
        (ago, f", {brief}"),
        ("", f", {brief}"),
    )
    lines: list[Line] = [
        ((f"since the mark{when}: ", "dim"), (sockets, "strong"), (rest, "text")) for when, rest in variants
    ]
    return first_fitting_line(lines, columns)


def headroom_line(ledger: Ledger, columns: int, mode: AccountingMode = "full", growth: Growth | None = None) -> Line:
    """The headroom, the first limit, the growth, and as many distances to other limits as fit, the nearest first."""
    limits, number = ledger.limits[mode], headroom_number(ledger, mode)
    first = limits.first
    variants = [headroom_sentence(ledger, mode).removeprefix(f"headroom {number}"), f" {SOCKETS[mode]}"]
    if first is not None:
        variants[1:1] = [f" {SOCKETS[mode]}; first limit: {first.label}", f"; first: {first.label}"]
    line = first_fitting_line([(("headroom ", "dim"), (number, "strong"), (rest, "dim")) for rest in variants], columns)
    for part in growth_variants(growth):
        if line_width((*line, *part)) <= columns:
            line = (*line, *part)
            break
    for limit in limits.rows:
        if limit is first or limit.name == "memory":
            continue
        distance = _distance(limit)
        if line_width((*line, *distance)) <= columns:
            line = (*line, *distance)
    return line


def growth_variants(growth: Growth | None) -> list[Line]:
    """Texts on growth, from long to short: sockets and bytes per second, and the time until a limit is reached.

    The list is empty if no figure is clear.
    """
    if growth is None:
        return []
    soon = sockets = exact_sockets = size = ""
    if growth.limit is not None and growth.limit_in_s is not None and growth.limit_in_s <= FAR_S:
        soon = f"{short_label(growth.limit)} in ≈ {units.seconds(round(growth.limit_in_s))}"
    if growth.sockets is not None and growth.sockets.is_clear:
        change = signed_rate(growth.sockets.per_s)
        sockets, exact_sockets = f"≈ {change} sockets/s", f"≈ {change} ± {growth.sockets.error_per_s:.1g} sockets/s"
        if growth.bytes is not None and growth.bytes.is_clear:
            size = f"{units.signed_size(growth.bytes.per_s)}/s ± {units.short_size(growth.bytes.error_per_s)}"
    lines = [", ".join(filter(None, parts)) for parts in ((exact_sockets, size, soon), (sockets, soon), (soon,))]
    return [(("  │ ", "dim"), (line, "text")) for line in dict.fromkeys(lines) if line]


def signed_rate(per_s: float) -> str:
    """A change per second with its sign, in three digits: `+120`, `-0.25`."""
    return f"{per_s:+.3g}" if abs(per_s) < 1000 else units.signed_count(per_s)


def _distance(limit: Limit) -> Line:
    """The name of a limit, and how many bytes or sockets are left until the limit is reached; empty if unknown."""
    if limit.maximum is None or limit.used is None:
        return ()
    left = max(0, limit.maximum - limit.used)
    text = f"{units.short_size(left)} left" if limit.unit == "bytes" else units.rough_count(left)
    return (("  │ ", "dim"), (f"{limit.label} ", "dim"), (text, "text"))
