"""Sockets: how many there are, in which scope, and all the kernel memory in TCP."""

from __future__ import annotations

from collections.abc import Sequence

from tcptop import units
from tcptop.ledger import Ledger, SocketCounts
from tcptop.widgets.choices import Choices
from tcptop.widgets.line import Line, Piece
from tcptop.widgets.pane import Pane

WIDE_COLUMNS = 46


class SocketsPane(Pane):
    """Each count with the scope that the kernel gives it."""

    def titles(self, ledger: Ledger, choices: Choices) -> tuple[str, str]:  # noqa: ARG002
        """Whose namespace `here` is, where it is not the reader's own."""
        place = ledger.host.net_namespace
        return "Sockets", f"here: {place}" if place else ""

    def lines(self, ledger: Ledger, choices: Choices, columns: int, rows: int) -> Sequence[Line]:  # noqa: ARG002
        """Five lines; a wide pane has room for the scopes and the limits."""
        if ledger.sockets.allocated is None and ledger.sockets.inuse is None:
            reason = ledger.sources["sockstat"].reason or "no counts"
            return [(("–  ", "warning"), (reason, "text"))]
        return sockets(ledger, columns >= WIDE_COLUMNS)


def sockets(ledger: Ledger, wide: bool) -> list[Line]:
    """The lines of the pane."""
    counts = ledger.sockets
    here = counts.inuse_of_both
    most = counts.time_wait_machine_max
    rate = f" {units.signed_rate(counts.allocated_per_s)}/s" if counts.allocated_per_s else ""
    rows: list[tuple[str, str, str]] = [
        ("allocated", units.count(counts.allocated), f"machine{rate}, orphans {units.count(counts.orphans)}"),
        (
            "in use",
            units.count(here),
            f"here: IPv4 {units.count(counts.inuse)}, IPv6 {units.count(counts.inuse6)}",
        ),
        (
            "TIME_WAIT",
            units.count(counts.time_wait),
            f"here, machine ≤ {units.count(most)}" if most is not None else "here",
        ),
        ("buffers", *buffers(counts)),
        ("all TCP", *memory(ledger)),
    ]
    if not wide:
        rows[3] = ("buffers", rows[3][1], _limit(counts))
        rows[4] = ("all TCP", rows[4][1], "machine")
        rows[0] = ("allocated", units.count(counts.allocated), f"orphans {units.count(counts.orphans)}")
        rows[1] = ("in use", units.count(here), "here")
        rows[2] = (
            "TIME_WAIT",
            units.count(counts.time_wait),
            f"all ≤{units.short_count(most, 6)}" if most is not None else "here",
        )
    host = ledger.host
    busy = f", CPU {host.cpu_busy_percent:.0f} %" if wide and host.cpu_busy_percent is not None else ""
    note = f"of {units.size(host.memory_bytes)}{busy}"
    rows.append(("available", units.size(host.memory_available_bytes), note))
    lines: list[Line] = []
    for title, value, note in rows:
        pieces: list[Piece] = [(f"{title:<10}", "dim"), (f"{value:>12}", "strong"), (f"  {note}", "dim")]
        lines.append(tuple(pieces))
    return lines


def buffers(counts: SocketCounts) -> tuple[str, str]:
    """What is charged to sockets; below its own error it is only known to be no more than that."""
    if counts.buffer_bytes is None:
        return units.UNKNOWN, "charged to sockets"
    error, limit = counts.buffer_error_bytes, _limit(counts)
    if error and counts.buffer_bytes <= error:
        return f"≤ {units.size(error)}", f"{limit} (error)"
    return units.size(counts.buffer_bytes), f"± {units.size(error)} {limit}" if error else limit


def _limit(counts: SocketCounts) -> str:
    """The most that tcp_mem allows."""
    if not counts.tcp_mem_pages or not counts.tcp_mem_unit_bytes:
        return ""
    return f"of {units.size(counts.tcp_mem_pages[2] * counts.tcp_mem_unit_bytes)}"


def memory(ledger: Ledger) -> tuple[str, str]:
    """All the kernel memory in TCP, with its range."""
    total = ledger.tcp_memory
    if total.bytes is None:
        return units.UNKNOWN, "needs root"
    return units.size(total.bytes), units.size_range(total.low_bytes, total.high_bytes)
