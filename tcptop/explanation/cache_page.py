"""The page of one slab cache: purpose, allocation paths, free paths, size and struct layout of its objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from tcptop.explanation.call_tree import draw_call_tree, named_functions, names_text
from tcptop.explanation.catalogue_page import occurrence
from tcptop.explanation.live_size import Basis, LiveSize, live_size, struct_of
from tcptop.explanation.slab_section import attributes_of, share_text, slab_section, spacing_text
from tcptop.explanation.socket_sum import other_parts_lines
from tcptop.explanation.struct_layout import (
    PARTLY_USED_WORD,
    UNUSED_WORD,
    USED_WORD,
    WORD_BYTES,
    holes,
    largest_members,
    tail_padding_bytes,
    word_map,
)
from tcptop.kernel.call_paths import find_call_trees
from tcptop.kernel.objects import KERNEL_OBJECTS, MINI_SOCKETS, OBJECT_OF_CACHE, SOCKS, WITH_FILE, KernelObject, State
from tcptop.ledger import Amount, CacheLine, Ledger, Presence
from tcptop.snapshot import CacheAttributes, StructLayout
from tcptop.text import units
from tcptop.text.cache_columns import find_column
from tcptop.text.cache_rows import CacheRow
from tcptop.text.line import EMPTY_LINE, Line, Piece, Role, paragraph
from tcptop.text.table import fact_lines

MAX_MEMBERS = 10
BAR_INDENT = 13
"""Number of columns to the left of a bar; the texts of facts begin in the same column as a bar."""
MIN_BAR_WIDTH = 20
MIN_OBJECT_CELLS = 2
OBJECT_CELLS = ("█", "▓")
"""The characters that fill the cells of the objects in the bar of a slab, in turn.

A border between two objects would take a cell of its own, and read as bytes that are lost.
"""
LEFT_OVER_CELL = "░"
SLAB_ROLES: Mapping[str, Role] = {**dict.fromkeys(OBJECT_CELLS, "slice-1"), LEFT_OVER_CELL: "idle"}
WORD_ROLES: Mapping[str, Role] = {USED_WORD: "slice-1", PARTLY_USED_WORD: "warning", UNUSED_WORD: "warning"}

PRESENCE_TEXTS: Mapping[Presence, str] = {"absent": "none", "hidden": "hidden", "unknown": "not known"}

BASIS_TEXTS: dict[Basis, str] = {
    "read": "sizes as the kernel prints them",
    "computed": "computed from the struct by SLUB's rules, since slabinfo cannot be read",
    "estimated": "estimated: the kernel prints no size of it",
    "struct": "the struct alone; what its cache adds is not known",
    "absent": "there is none on this kernel, as it is configured",
    "unknown": "not known: no readable file tells",
}
"""Maps the source of a size to a phrase that names the source for the reader."""

NO_TCP_OBJECT = (
    "No object of a TCP socket is known in this cache. The page memory counts its row under “everything else”."
)


def cache_page(name: str, ledger: Ledger, columns: int) -> list[Line]:
    """The page of one cache, or of a slabinfo row into which several caches are merged.

    The row with which a cache is merged comes first, since it may have another name; then what the objects are for,
    the counts of the row, and the sizes and functions last.
    """
    line = ledger.cache(name)
    objects = find_objects(ledger, name, line)
    lines: list[Line] = []
    if line is not None:
        names = sorted({line.name, *line.aliases})
        if line.aliases:
            lines += [*_draw_merged(ledger, line, columns), *([EMPTY_LINE] if objects else [])]
        for item in objects:
            lines += _draw_purpose(item, columns, _cache_in(item, names) if line.aliases else None)
            lines.append(EMPTY_LINE)
        others = list(other_parts_lines(ledger, [item.struct for item in objects], columns))
        lines += [*others, EMPTY_LINE] if others else []
        lines += _draw_row(ledger, line, columns)
        lines += slab_section(ledger, line, columns, with_sizes=not objects)
        lines += [] if objects else _draw_slab(ledger.cache(line.row) or line, columns)
        lines.append(EMPTY_LINE)
    if not objects:
        lines += paragraph(f" {NO_TCP_OBJECT}", columns - 1, "text")
    return [*lines, *_draw_objects(objects, ledger, columns, with_purpose=line is None)]


def objects_page(objects: Sequence[KernelObject], ledger: Ledger, columns: int) -> list[Line]:
    """A page that consists of one section for each object, in the order of `objects`."""
    return _draw_objects(objects, ledger, columns, with_purpose=True)


def _draw_objects(objects: Sequence[KernelObject], ledger: Ledger, columns: int, *, with_purpose: bool) -> list[Line]:
    lines: list[Line] = []
    for item in objects:
        lines += _draw_purpose(item, columns) if with_purpose else [((f" Size and origin of {item.struct}", "head"),)]
        lines += [*_draw_object(ledger, item, columns), EMPTY_LINE]
    return [*lines, *paragraph(f" {names_text(ledger)}", columns - 1, "dim")] if objects else lines


def find_objects(ledger: Ledger, name: str, line: CacheLine | None) -> list[KernelObject]:
    """Finds the catalogue's objects in a slab cache, or in all caches that are merged into a slabinfo row.

    `name` is the name of the slab cache or of the slabinfo row.

    For a kmalloc cache, the result is the objects whose cost is computed with this cache.
    """
    names = [name, *(line.aliases if line is not None and line.name == line.row else ())]
    own = [OBJECT_OF_CACHE[each] for each in names if each in OBJECT_OF_CACHE]
    parts = [
        part
        for cost in ledger.costs.values()
        for figure in cost.by_family.values()
        for part in figure.outgoing.parts
        if part.cache in names
    ]
    in_kmalloc = [item for part in parts for item in KERNEL_OBJECTS if item.struct == part.object and not item.caches]
    return list(dict.fromkeys([*own, *in_kmalloc]))


def _draw_row(ledger: Ledger, line: CacheLine, columns: int) -> Iterator[Line]:
    """Lines of text about the slabinfo row that counts a cache: current counts, and TCP's bytes."""
    row = ledger.cache(line.row)
    if row is not None and row.objects is not None:
        idle_error = ""
        if row.idle_error_objects:
            idle_error = f", of which ≤ {units.count(row.idle_error_objects)} may be free, on CPUs' lists"
            if counted := _others_are(ledger, row):
                idle_error += f": the other ones are {counted}"
            elif row.idle_error_objects != row.active_objects:
                idle_error += " (that is all those lists can hold)"
        elif row.active_objects and row.idle_error_objects is None:
            idle_error = "; how many of these are free, on CPUs' lists, is not known"
        yield from fact_lines(
            "now",
            f"{units.counted(row.objects, 'object')} in {units.counted(row.slabs, 'slab')}, {units.size(row.bytes)};"
            f" active {find_column('active').text(CacheRow(row, None))}{idle_error}",
            columns,
        )
    elif line.objects is None:
        yield from fact_lines("now", ledger.sources["slabinfo"].reason or "its counts are not known", columns)
    if row is not None and row.tcp_bytes is not None and row.tcp_bounds is not None:
        yield from fact_lines("TCP part", _tcp_part_text(row, row.tcp_bytes, row.tcp_bounds), columns)


def _tcp_part_text(row: CacheLine, tcp_bytes: int, bounds: Amount) -> str:
    """TCP's part of a row: the likely bytes, their range, and how the likely bytes were found."""
    share = "all of it" if not row.shared else "TCP's share, by the number of its sockets"
    size = units.size(tcp_bytes)
    if bounds.low == tcp_bytes == bounds.high:
        return f"{size}: {share}"
    # Each part in the row was rounded to whole bytes.
    if abs(bounds.low + bounds.high - 2 * tcp_bytes) <= 2 * len(row.objects_of):
        share = "the middle of what is possible"
    spread = units.size_range(*bounds, likely=tcp_bytes, whole=row.bytes)
    whole = ", the whole cache" if row.bytes is not None and bounds.high >= row.bytes else ""
    if bounds.low <= 0 and row.bytes is not None:
        return f"≤ {spread.removeprefix('0 to ')}{whole}, {size} of it counted: {share}"
    return f"≈ {size}, in the range {spread}{whole}: {share}"


def _others_are(ledger: Ledger, row: CacheLine) -> str | None:
    """What the active objects that cannot be free are: sockets or mini-sockets; None if no count of them is the bound.

    The bound on the free objects of the row is then the number of active objects without a counted socket.
    """
    memory = ledger.tcp_memory
    for pair, count, what in (
        (SOCKS, memory.counted_sockets, "sockets"),
        (MINI_SOCKETS, memory.counted_time_wait, "mini-sockets"),
    ):
        lines = [ledger.cache(name) for item in pair for name in item.caches]
        active = sum(line.active_objects or 0 for line in lines if line is not None)
        if row in lines and count and row.idle_error_objects == active - count:
            return what
    return None


def _draw_merged(ledger: Ledger, line: CacheLine, columns: int) -> Iterator[Line]:
    """Facts about a merged row: its name, the merged caches, the catalogue's structs, and the caches not TCP's.

    The row may have the name of a cache that TCP does not use. The kernel counts a merged row as a whole, so only the
    catalogue tells which caches in it hold objects of TCP.
    """
    names = sorted({line.name, *line.aliases})
    where = f"row {line.row}" if line.row is not None else "a row that cannot be read"
    more = f" and {units.count(line.more_aliases)} more" if line.more_aliases else ""
    yield from fact_lines("counted in", f"{where}, merged: {', '.join(names)}{more}", columns)
    objects = find_objects(ledger, line.row or line.name, ledger.cache(line.row) or line)
    structs = [f"{item.struct.removeprefix('struct ')} (in {_cache_in(item, names)})" for item in objects]
    used = {_cache_in(item, names) for item in objects}
    if structs:
        yield from fact_lines("TCP's", ", ".join(structs), columns)
    others = [f"{name} (the row has its name)" if name == line.row else name for name in names if name not in used]
    if others:
        whose = "their objects count" if len(others) > 1 else "its objects count"
        yield from fact_lines("not TCP's", f"{', '.join(others)}: {whose} in the row, not in TCP's part", columns)


def _cache_in(item: KernelObject, names: Sequence[str]) -> str:
    """The cache among `names` that holds an object; the kmalloc cache if the object has no cache of its own."""
    return next((name for name in names if name in item.names), "kmalloc")


def _draw_purpose(item: KernelObject, columns: int, cache: str | None = None) -> Iterator[Line]:
    """The definition and the owners of an object; `cache` names the object's cache if its row is merged."""
    yield ((f" {item.struct}", "head"), (f" (in {cache})" if cache else "", "dim"))
    yield from fact_lines("", item.definition, columns)
    yield from fact_lines("there is", f"{'' if item.only_with else 'one '}{occurrence(item)}", columns)
    yield from fact_lines("in states", states_text(item), columns)


def _draw_object(ledger: Ledger, item: KernelObject, columns: int) -> Iterator[Line]:
    """The origin and the size of an object, the functions that allocate and free the object, and its members."""
    size, layout = live_size(ledger, item), struct_of(ledger, item)
    if item.since or item.until:
        yield from fact_lines("kernels", releases_text(item), columns)
    yield from fact_lines("found by", item.detected_by, columns)
    unseen = ledger.unseen_objects.get(item.struct)
    if unseen is not None:
        yield from fact_lines("this kernel", f"{PRESENCE_TEXTS[unseen.presence]}: {unseen.reason}", columns)
    line = next((each for each in ledger.caches if each.name in item.names), None)
    attributes = attributes_of(ledger, line) if line is not None else None
    for title, text in size_facts(item, size, line, layout, attributes):
        yield from fact_lines(title, text, columns)
    without = "; no BTF: members not shown" if layout is None and item.btf_struct and not ledger.structs else ""
    yield from fact_lines("source", f"{BASIS_TEXTS[size.basis]}{without}", columns)
    if line is not None:
        yield from _draw_slab(line, columns)
    if layout is not None:
        yield from _draw_words(layout, columns)
    for title, released, function in (("allocated", False, item.allocated_by), ("freed", True, item.freed_by)):
        yield EMPTY_LINE
        yield ((f" {title} by ", "dim"), (named_functions(ledger, function), "accent"))
        for tree in find_call_trees((item,), released):
            yield from draw_call_tree(ledger, tree, columns)
    if layout is not None:
        yield EMPTY_LINE
        yield from _draw_members(layout, columns)
    elif item.btf_struct is not None:
        yield EMPTY_LINE
        yield from fact_lines("members", _why_no_members(ledger), columns)


def _why_no_members(ledger: Ledger) -> str:
    """The reason why the members of a struct are not shown."""
    reason = ledger.sources["btf"].reason
    return f"only BTF has them: {reason}" if reason else "BTF does not have it"


def states_text(item: KernelObject) -> str:
    """The TCP states in which a socket holds the object."""
    if not item.held_in:
        return "no state of a socket: it lives apart from sockets"
    if item.held_in == frozenset(State):
        return "every state"
    if item.held_in >= WITH_FILE:
        # A list of the states that have the object would leave out those without a row: SYN_SENT, FIN_WAIT1, CLOSING.
        *others, last = (state.value for state in State if state not in item.held_in)
        return f"all but {', '.join(others)} and {last}" if others else f"all but {last}"
    return ", ".join(state.value for state in State if state in item.held_in)


def releases_text(item: KernelObject) -> str:
    """The kernel releases that have the object (`since 6.1`, `before 5.3`), and the commit of the change."""
    since = f"since {'.'.join(map(str, item.since))}" if item.since else ""
    until = f"before {'.'.join(map(str, item.until))}" if item.until else ""
    commit = f" (commit {item.commit})" if item.commit else ""
    return " ".join(filter(None, (since, until))) + commit


def size_facts(
    item: KernelObject,
    size: LiveSize,
    line: CacheLine | None,
    layout: StructLayout | None,
    attributes: CacheAttributes | None,
) -> Iterator[tuple[str, str]]:
    """Titles and texts of three sizes: the struct, the object with padding, and the object's share of a slab.

    The share of a slab includes the slab's waste.
    """
    struct_bytes = layout.size_bytes if layout is not None else (line.object_size_bytes if line else None)
    object_bytes = line.object_bytes if line is not None else None
    if struct_bytes is not None:
        yield "struct", f"{units.count(struct_bytes)} B{'' if layout is None else ', by BTF'}"
    if object_bytes is not None:
        yield "spacing", spacing_text(object_bytes, struct_bytes, attributes)
    elif struct_bytes is None and (size.object_bytes is not None or (size.slab and size.slab.high)):
        yield "size", size.text
    share = share_text(line) if line is not None else None
    if share is not None:
        yield "slab share", share
    if item.kmalloc_bytes is not None:
        aligned = ", in whole cache lines" if item.cache_line_aligned else ""
        yield "asked for", f"{item.kmalloc_bytes} B of kmalloc{aligned}"


def _draw_slab(line: CacheLine, columns: int) -> Iterator[Line]:
    """A legend, and a bar of one slab: its objects, and what is left over; none if the objects are too many to draw.

    Objects have equal widths, in whole cells, so the bar may be shorter than the line.
    """
    width = columns - BAR_INDENT - 1
    if not line.slab_share_bytes or not line.object_bytes or not line.objects_per_slab or width < MIN_BAR_WIDTH:
        return
    number = line.objects_per_slab
    slab_bytes = line.slab_share_bytes * number
    cells = min(width // number, int(width * line.object_bytes / slab_bytes + units.ROUNDING_ERROR))
    if cells < MIN_OBJECT_CELLS:
        return
    rest_bytes = round(slab_bytes - number * line.object_bytes)
    rest_cells = min(round(cells * rest_bytes / line.object_bytes), width - cells * number)
    signs = " ".join(OBJECT_CELLS[:number])
    rest = f"{units.count(rest_bytes)} B left over"
    legend = f"{units.counted(number, 'object')}, {signs}{' in turn' if number > 1 else ''}"
    legend += f"; {f'{LEFT_OVER_CELL} {rest}' if rest_cells else rest}"
    yield from _legend_lines("one slab", legend, columns, SLAB_ROLES)
    objects = "".join(OBJECT_CELLS[index % 2] * cells for index in range(number))
    yield ((" " * BAR_INDENT, "dim"), *_coloured(objects + LEFT_OVER_CELL * rest_cells, SLAB_ROLES))


def _draw_words(layout: StructLayout, columns: int) -> Iterator[Line]:
    """A legend of the map's signs, and the map of a struct's words."""
    width = columns - BAR_INDENT - 1
    if width < MIN_BAR_WIDTH:
        return
    meaning = f"{WORD_BYTES} B each: {USED_WORD} used, {PARTLY_USED_WORD} used in part, {UNUSED_WORD} hole or padding"
    yield from _legend_lines("one object", meaning, columns, WORD_ROLES)
    words = "".join(word_map(layout))
    for start in range(0, len(words), width):
        yield ((" " * BAR_INDENT, "dim"), *_coloured(words[start : start + width], WORD_ROLES))


def _legend_lines(title: str, text: str, columns: int, roles: Mapping[str, Role]) -> list[Line]:
    """Lines of a legend, whose signs have the colours of the bar below it."""
    return [(head, *_coloured(meaning, roles)) for head, (meaning, _) in fact_lines(title, text, columns)]


def _coloured(text: str, roles: Mapping[str, Role]) -> list[Piece]:
    """The pieces of a legend or a bar, each sign in its colour."""
    return [("".join(group), role) for role, group in groupby(text, lambda sign: roles.get(sign, "text"))]


def _draw_members(layout: StructLayout, columns: int) -> Iterator[Line]:
    """Lines of text about the largest members, the holes and the tail padding of a struct, from this kernel's BTF."""
    gaps, padding_bytes = holes(layout), tail_padding_bytes(layout)
    holes_bytes = sum(hole.size_bytes for hole in gaps)
    title = f" Members of struct {layout.name}"
    yield ((title, "head"), (f"  {units.count(layout.size_bytes)} B, its largest members", "dim"))
    for member in largest_members(layout, MAX_MEMBERS):
        yield (
            (f" {units.count(member.size_bytes):>7} B  ", "text"),
            (f"at {member.offset_bytes:>5}  ", "dim"),
            (member.name, "text"),
        )
    holes_text = "none"
    if gaps:
        listed = ", ".join(f"{hole.size_bytes} B at {hole.offset_bytes}" for hole in gaps)
        holes_text = f"{len(gaps)}, {units.count(holes_bytes)} B: {listed}"
    yield from fact_lines("holes", holes_text, columns)
    yield from fact_lines("padding", f"{units.count(padding_bytes)} B at its end" if padding_bytes else "none", columns)
