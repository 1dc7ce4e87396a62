"""The page of relations: the pointers between the objects of a socket, each with its member and offset."""

from __future__ import annotations

from collections.abc import Iterator

from tcptop.explanation.call_tree import BRANCH, LAST_BRANCH, NO_TRUNK, TRUNK
from tcptop.explanation.live_size import live_size
from tcptop.kernel.function_names import NEWEST
from tcptop.kernel.relations import DRAWINGS, Drawing, Station, member_of
from tcptop.kernel.release import release_numbers
from tcptop.ledger import Ledger
from tcptop.text import units
from tcptop.text.line import EMPTY_LINE, Line, paragraph, wrap_text

OFFSET_COLUMNS = 6
"""Number of columns of an offset and its sign, enough for the largest struct."""


SKETCH = """
 descriptor table
      │ fd
    file ────── f_path.dentry → dentry
      │ private_data              │ d_inode
  [ socket                      inode ]  one socket_alloc
      │ sk (and back by sk_socket)
  tcp_sock ──── icsk_bind_hash → bind bucket
      │ skc_nulls_node            │ tw_tb
   ehash ────── skc_nulls_node ─ tcp_timewait_sock
""".strip("\n").split("\n")
"""A chain of pointers through the objects; the drawings below it show every pointer."""


def relations_page(ledger: Ledger, columns: int) -> list[Line]:
    """The drawings of an open socket, of a socket in TIME_WAIT, and of a file on disk."""
    lines = [*paragraph(f" {_origin_text(ledger)}", columns, "dim"), EMPTY_LINE]
    if columns > max(map(len, SKETCH)):
        lines += [*(((line, "text"),) for line in SKETCH), EMPTY_LINE]
    for drawing in DRAWINGS:
        lines += _draw(ledger, drawing, columns)
    return lines[:-1]


def _origin_text(ledger: Ledger) -> str:
    """Says where names and offsets come from, and why offsets are missing."""
    if ledger.member_offsets:
        return "+ is the offset of a member in bytes, from the BTF of this kernel."
    release = ".".join(map(str, release_numbers(ledger.host.kernel) or NEWEST))
    because = ledger.sources["btf"].reason
    return f"Members as in Linux {release}; their offsets are not known{f': {because}' if because else ''}."


def _draw(ledger: Ledger, drawing: Drawing, columns: int) -> Iterator[Line]:
    yield ((f" {drawing.title}", "head"),)
    yield from paragraph(f" {drawing.about}", columns, "text")
    yield EMPTY_LINE
    for station in drawing.stations:
        links = list(_draw_links(ledger, station, columns))
        if links:
            name, size = f" struct {station.struct}", _size_text(ledger, station)
            if len(name) + len(size) <= columns:
                yield ((name, "strong"), (size, "accent"))
            else:
                yield from (((name, "strong"),), ((size, "accent"),))
            yield from paragraph(f" {station.about}", columns, "dim")
            yield from links
            yield EMPTY_LINE


def _size_text(ledger: Ledger, station: Station) -> str:
    """The size of an object, its share of a slab, and its cache; empty if the catalogue does not have the object."""
    if station.item is None:
        return ""
    size = live_size(ledger, station.item)
    if size.object_bytes is None:
        return f"  {size.text}"
    return f"  cache {size.cache}: {units.exact_bytes(size.object_bytes)} B" if size.cache else f"  {size.text}"


def _draw_links(ledger: Ledger, station: Station, columns: int) -> Iterator[Line]:
    release = release_numbers(ledger.host.kernel)
    found = [(link, member_of(station, link, ledger.member_offsets, release)) for link in station.links]
    shown = [(link, member) for link, member in found if member is not None]
    offsets = ledger.member_offsets.get(station.struct, {})
    for number, (link, member) in enumerate(shown):
        is_last = number + 1 == len(shown)
        start, below = (f" {LAST_BRANCH}", f" {NO_TRUNK}") if is_last else (f" {BRANCH}", f" {TRUNK}")
        offset = f"+{offsets[member]}".ljust(OFFSET_COLUMNS) if member in offsets else ""
        note = f"; {link.note}" if link.note else ""
        text = f"{member} → {link.target}{note}"
        for at, part in enumerate(wrap_text(text, max(20, columns - len(start) - len(offset)), "  ")):
            yield (
                (start if not at else below, "dim"),
                (offset if not at else " " * len(offset), "accent"),
                (part, "text"),
            )
