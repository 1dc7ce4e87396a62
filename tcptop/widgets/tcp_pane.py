"""Sockets pane: socket counts with the scope of each, the buffer memory, and all kernel memory used by TCP."""

from __future__ import annotations

from collections.abc import Sequence

from tcptop.ledger import CountScope, Ledger, SocketCounts
from tcptop.text import units
from tcptop.text.line import WARNING, Line, paragraph
from tcptop.view.choices import Choices
from tcptop.widgets.cell_width import cell_width, first_fitting
from tcptop.widgets.pane import Pane

TITLE_WIDTH = 10
VALUE_WIDTH = 11


class TcpPane(Pane):
    """Socket counts and TCP memory.

    A count covers the whole machine, or only one network namespace (labelled `here`).
    """

    def edge_titles(self, ledger: Ledger, choices: Choices) -> tuple[str, str]:  # noqa: ARG002
        """The title and the subtitle.

        If `here` means a network namespace other than tcptop's own, the subtitle names the namespace that `here` means.
        """
        place = ledger.host.net_namespace
        return "Sockets", f"here: {place}" if place else ""

    def lines(self, ledger: Ledger, choices: Choices, columns: int, rows: int) -> Sequence[Line]:  # noqa: ARG002
        """The six lines of the pane, or the reason why no socket count is known."""
        if ledger.sockets.allocated is None and ledger.sockets.inuse is None:
            reason = ledger.sources["sockstat"].reason or "no counts"
            return paragraph(reason, columns, "text", WARNING)
        return socket_lines(ledger, columns)


def socket_lines(ledger: Ledger, columns: int) -> list[Line]:
    """The lines of the pane, each with the longest note that fits."""
    counts, host = ledger.sockets, ledger.host
    rate = f" {units.short_signed_count(counts.allocated_per_s)}/s" if counts.allocated_per_s else ""
    orphans = f"orphans {units.count(counts.orphans)}"
    families = f"IPv4 {units.count(counts.inuse)}, IPv6 {units.count(counts.inuse6)}"
    busy = f", CPU {max(0.0, host.cpu_busy_percent):.0f} %" if host.cpu_busy_percent is not None else ""
    memory_size = units.size(host.memory_bytes)
    rows: tuple[tuple[str, str, tuple[str, ...]], ...] = (
        (
            "allocated",
            units.count(counts.allocated),
            (f"machine{rate}, {orphans}", f"machine, {orphans}", orphans, "machine"),
        ),
        ("in use", units.count(counts.inuse_of_both), (f"here: {families}", families, "here")),
        (
            "TIME_WAIT",
            units.count(counts.time_wait),
            _time_wait_notes(counts.time_wait_machine_max, counts.time_wait_scope),
        ),
        ("buffers", *buffers_texts(counts)),
        ("all TCP", *tcp_memory_texts(ledger)),
        (
            "available",
            units.size(host.memory_available_bytes),
            (f"of {memory_size} memory{busy}", f"of {memory_size}{busy}", f"of {memory_size}"),
        ),
    )
    lines: list[Line] = []
    for title, value, notes in rows:
        head = f"{title:<{TITLE_WIDTH}}", f"{value:>{VALUE_WIDTH}}"
        free_columns = columns - sum(map(cell_width, head)) - 2
        note = first_fitting((*notes, ""), free_columns)
        lines.append(((head[0], "dim"), (head[1], "strong"), (f"  {note}" if note else "", "dim")))
    return lines


def _time_wait_notes(machine_max: int | None, scope: CountScope) -> tuple[str, ...]:
    """Notes on the TIME_WAIT count: its scope, and a bound for the machine if the count covers one namespace."""
    if scope != "here":
        return scope, ""
    if machine_max is None:
        return ("here",)
    return (
        f"here, machine ≤ {units.count(machine_max)}",
        f"machine ≤ {units.count(machine_max)}",
        f"all ≤ {units.count(machine_max)}",
        f"≤ {units.count(machine_max)}",
        f"≤ {units.short_count(machine_max, 6)}",
        "here",
    )


def buffers_texts(counts: SocketCounts) -> tuple[str, tuple[str, ...]]:
    """The buffer memory charged to sockets, and notes on it.

    If the kernel's counter is no larger than the counter's possible error, the text is an upper bound.
    """
    limit = _tcp_mem_text(counts)
    error = f"± {units.size(counts.buffer_error_bytes)}" if counts.buffer_error_bytes else ""
    notes: tuple[str, ...] = (f"{error} {limit}".strip(), error or limit)
    if counts.buffer_bytes is None and counts.buffer_pages is not None and counts.tcp_mem_pages:
        return units.count(counts.buffer_pages), (f"of {units.count(counts.tcp_mem_pages[2])} pages", "pages")
    if counts.buffer_bytes is None:
        notes = ("charged to sockets",)
    elif counts.buffers_within_error:
        notes = (f"{limit}, within the error" if limit else "within the error", limit, "error")
    return units.bounded(counts.buffer_bounds, units.size), notes


def _tcp_mem_text(counts: SocketCounts) -> str:
    """The limit of buffer memory, tcp_mem[2]; empty if unknown."""
    if not counts.tcp_mem_pages or not counts.tcp_mem_unit_bytes:
        return ""
    return f"of {units.size(counts.tcp_mem_pages[2] * counts.tcp_mem_unit_bytes)}"


def tcp_memory_texts(ledger: Ledger) -> tuple[str, tuple[str, ...]]:
    """All kernel memory used by TCP, and notes on its range or on the parts that are unknown."""
    total = ledger.tcp_memory
    if total.bytes is None:
        return units.UNKNOWN, ("needs root" if ledger.sources["slabinfo"].state == "refused" else "not known",)
    if total.missing:
        return f"≥ {units.size(total.low_bytes)}", (
            f"not known: {', '.join(total.missing)}",
            "parts are not known",
            "in part",
        )
    return units.size(total.bytes), (units.size_range(total.low_bytes, total.high_bytes), "machine")
