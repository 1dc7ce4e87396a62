"""The catalogue page: every kernel object that a socket uses, with the size of the object on this kernel."""

from __future__ import annotations

from tcptop.explanation.live_size import live_size
from tcptop.kernel.objects import KERNEL_OBJECTS, KernelObject
from tcptop.ledger import Ledger
from tcptop.text import units
from tcptop.text.line import Line, Role
from tcptop.text.table import TableRow, make_headings, table_lines

HEADINGS = make_headings("<OBJECT", "OBJECT B", "SLAB B", "CACHE, AND WHAT FOR")

NONE = "none"
"""The sizes of an object that this kernel does not have; those of an object that may exist are not known."""

FAMILIES = {None: "", "ipv4": "IPv4 ", "ipv6": "IPv6 "}


def catalogue_page(ledger: Ledger, columns: int) -> list[Line]:
    """A table with one row for each object of the catalogue."""
    rows: list[TableRow] = []
    for item in KERNEL_OBJECTS:
        size = live_size(ledger, item)
        cache = size.cache or (item.caches[0] if item.caches else "kmalloc")
        if size.row is not None and size.row != size.cache:
            cache += f" in {size.row}"
        cells = (item.struct.removeprefix("struct "), units.exact_bytes(size.object_bytes), size.slab_text)
        text = f"{cache}: {item.purpose} ({occurrence(item)})"
        role: Role = "text"
        if size.basis == "absent":
            cells, text, role = (cells[0], NONE, NONE), f"not on this kernel: {item.purpose}", "dim"
        rows.append(TableRow(cells, text, role=role))
    return table_lines(HEADINGS, rows, columns)


def occurrence(item: KernelObject) -> str:
    """Says for which sockets an object exists: `for each IPv4 socket`, or `only with` and the name of a feature."""
    if item.only_with is not None:
        return f"only with {item.only_with}"
    return f"for each {FAMILIES[item.family]}{item.per}"
