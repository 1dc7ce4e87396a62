"""The memory page: the machine's slab memory by owner, socket buffers, and the parts of TCP's memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tcptop.ledger import Ledger, MemoryPart, SlabMemory, SocketCounts, TcpMemory
from tcptop.ledger.memory import BUFFERS, SINCE_SLABINFO
from tcptop.text import units
from tcptop.text.estimate import about
from tcptop.text.line import EMPTY_LINE, Line, paragraph
from tcptop.text.table import TableRow, make_headings, table_lines

SCOPE = "All of this page counts the whole machine: every network namespace, every container."

GUESS_FACTOR = 2
"""A guess that the true amount may exceed by more than this factor is not shown alone."""


def memory_page(ledger: Ledger, columns: int) -> list[Line]:
    """The page with slab memory by owner, socket buffers, and the parts of TCP's memory."""
    lines = slab_memory_table(ledger, columns)
    lines += [
        EMPTY_LINE,
        *table_lines(make_headings("<BUFFERS", "SIZE", ""), [buffers_row(ledger)], columns),
        EMPTY_LINE,
    ]
    parts = [
        TableRow((part.text, units.size(part.bytes)), basis_text(part))
        for part in ledger.tcp_memory.parts
        if part.high_bytes or part.low_bytes
    ]
    if parts:
        parts += list(_total_row(ledger.tcp_memory))
        lines += [*table_lines(make_headings("<TCP PART", "SIZE", ""), parts, columns), EMPTY_LINE]
    if ledger.tcp_memory.missing:
        lines += paragraph(f" not known: {', '.join(ledger.tcp_memory.missing)}", columns - 1, "warning")
    if ledger.tcp_memory.outdated_because is not None:
        lines += paragraph(f" {SINCE_SLABINFO}: {ledger.tcp_memory.outdated_because}", columns - 1, "warning")
    return [*lines, *paragraph(f" {SCOPE}", columns - 1, "dim")]


def _total_row(memory: TcpMemory) -> Iterator[TableRow]:
    """The row of TCP's memory, to which the parts add up apart from their rounding; none if it is not known."""
    if memory.shown_bytes is None:
        return
    is_exact = memory.low_bytes == memory.high_bytes
    note = "at least: a part is not known" if memory.missing else "" if is_exact else _bounds_text(memory)
    yield TableRow(("total", units.size(memory.shown_bytes)), note, role="strong")


def _bounds_text(memory: TcpMemory) -> str:
    return units.size_range(memory.low_bytes, memory.high_bytes, likely=memory.shown_bytes)


def basis_text(part: MemoryPart) -> str:
    """Returns `read` or `computed` for an exact amount, and the range for an uncertain amount."""
    if not part.estimated:
        return "read"
    low, high = units.size(part.low_bytes), units.size(part.high_bytes)
    if low == high:
        return "computed"
    return units.size_range(part.low_bytes, part.high_bytes, likely=part.bytes, whole=part.row_max_bytes)


def slab_memory_table(ledger: Ledger, columns: int) -> list[Line]:
    """The table of slab memory: TCP's own caches, TCP's part of shared caches, everything else, unexplained memory."""
    headings = make_headings("<SLAB MEMORY", "SIZE", "OF ALL", "")
    return table_lines(headings, list(slab_memory_rows(ledger.slab_memory)), columns)


def slab_memory_rows(memory: SlabMemory) -> Iterator[TableRow]:
    """The rows for the table of slab memory by owner."""
    total = memory.total_bytes
    idle_error = ""
    if memory.idle_error_bytes:
        idle_error = f"; up to {units.size(memory.idle_error_bytes, True)} more, on CPUs' lists"
    elif memory.idle_bytes is not None and memory.idle_error_bytes is None:
        idle_error = ", at least: how many more are on CPUs' lists is not known"
    rows: tuple[tuple[str, int | None, str], ...] = (
        ("TCP's own caches", memory.own_bytes, "whole"),
        ("  of it idle", memory.idle_bytes, f"free objects' shares of slabs, in all these caches{idle_error}"),
        ("TCP's share of shared caches", memory.share_bytes, _range(memory)),
        ("everything else", memory.rest_bytes, "all other rows, and the others' share"),
        unexplained_row(memory.unexplained_bytes),
        ("all slab memory", total, "meminfo's Slab"),
    )
    for title, amount, words in rows:
        share = amount / total if amount is not None and total else None
        yield TableRow(
            (
                title,
                units.size(amount),
                units.nearest_percent(share) if share is not None and 0 <= share <= 1 else units.UNKNOWN,
            ),
            words,
            role="strong" if title == "all slab memory" else "dim" if title.startswith(" ") else "text",
        )


def unexplained_row(amount: int | None) -> tuple[str, int | None, str]:
    """The row of slab memory that slabinfo does not explain: meminfo's Slab minus the sum of slabinfo's rows.

    A negative difference is shown as 0.
    """
    if amount is None or amount >= 0:
        return "unexplained", amount, "in meminfo's Slab, and in no row"
    return "unexplained", 0, f"within the error: the rows have {units.size(-amount)} more than meminfo, read before"


def buffers_row(ledger: Ledger) -> TableRow:
    """The row of socket buffers, in charged bytes.

    The note has the counter's margin of error, and the part of the charged bytes with data.
    """
    sockets = ledger.sockets
    note = "not known"
    if sockets.buffers_within_error:
        assumed = ", which is assumed" if sockets.buffer_error_is_assumed else ""
        note = f"in whole pages; within the error of the counter{assumed}"
    elif sockets.buffer_bytes is not None:
        error = f", {buffer_error_text(sockets)}" if sockets.buffer_error_bytes else ""
        memory = buffer_memory_text(ledger)
        note = f"in whole pages{error}{memory and '; '}{memory}; the slabs of queued segments are in it"
    return TableRow(("socket buffers", buffers_text(sockets)), note)


def buffers_text(sockets: SocketCounts, format_amount: units.BoundFormat = units.size) -> str:
    """The bytes of socket buffers as the kernel counts them, with the sign of the counter's error."""
    return about(sockets.buffer_bytes, sockets.buffer_bounds, format_amount)


def buffer_error_text(sockets: SocketCounts, format_size: Callable[[float], str] = units.size) -> str:
    """The error of the kernel's count of buffers, with a word if the error is assumed; empty if it is 0 or unknown."""
    if not sockets.buffer_error_bytes:
        return ""
    return f"± {format_size(sockets.buffer_error_bytes)}{' assumed' if sockets.buffer_error_is_assumed else ''}"


def buffer_pages_text(sockets: SocketCounts) -> str:
    """The kernel's count of buffers, for use if its bytes are unknown: a number of pages, or `≤` and such a number."""
    at_most = "" if sockets.buffer_unit_is_page else "≤ "
    return f"{at_most}{units.count(sockets.buffer_pages)}"


def buffer_memory_text(ledger: Ledger) -> str:
    """The part of the charged buffers that holds data, and that TCP's total counts, in words.

    The text is empty if nothing of this part is known, or if all charged buffers hold data.
    """
    amount = buffer_memory_amount(ledger)
    return f"{amount} of it with data" if amount else ""


def buffer_memory_amount(ledger: Ledger, format_size: units.BoundFormat = units.size) -> str:
    """The amount of buffers with data that TCP's total counts, without the words of `buffer_memory_text()`.

    If the amount is known only as a range, the figure has a sign: `≥` if it is the lower bound, `≤` if it is the upper
    bound, else `≈`. For example, the figure is the lower bound if each socket has one small segment, and the upper
    bound if the purpose of nearly all used memory is known.

    Without a look, the amount is a guess: a socket that is charged for one page may have 1 B or 4 096 B of data. If the
    guess may be less than half, the range follows the guess, but not in a shorter format than the first.
    """
    part = next((part for part in ledger.tcp_memory.parts if part.name == BUFFERS), None)
    charge = ledger.sockets.buffer_bytes
    if ledger.tcp_memory.bytes is None or part is None or not charge or ledger.sockets.buffers_within_error:
        return ""
    if units.size(part.bytes) == units.size(charge):
        return ""
    if part.low_bytes == part.high_bytes:
        return format_size(part.bytes)
    if part.bytes == part.low_bytes:
        return f"≥ {format_size(part.bytes, False)}" if part.bytes >= 1 else ""  # at least 0 B says nothing
    most = min(part.high_bytes, charge)
    if not ledger.tcp_memory.buffers_by_look and most > GUESS_FACTOR * part.bytes:
        guess = f"≈ {format_size(part.bytes)}"
        return f"{guess}, {units.size_range(part.low_bytes, most)}" if format_size is units.size else guess
    is_most = part.bytes == part.high_bytes
    return f"{'≤' if is_most else '≈'} {format_size(part.bytes, is_most or None)}"


def _range(memory: SlabMemory) -> str:
    if memory.share_low_bytes is None or memory.share_high_bytes is None:
        return "by the number of TCP's sockets"
    return f"by the number of TCP's sockets: {units.size_range(memory.share_low_bytes, memory.share_high_bytes)}"
