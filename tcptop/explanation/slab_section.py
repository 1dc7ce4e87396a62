"""The section on the slabs of any one cache. The section shows the figures that the kernel's tool slabinfo prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tcptop.explanation.slab_loss import slab_loss
from tcptop.ledger import CacheLine, Ledger
from tcptop.snapshot import CacheAttributes
from tcptop.text import units
from tcptop.text.line import EMPTY_LINE, Line, paragraph
from tcptop.text.table import TableRow, fact_lines, make_headings, table_lines

NO_ATTRIBUTES = "not read yet, or not in the recording"

FLAGS: Mapping[str, str] = {
    "hwcache_align": "whole cache lines",
    "destroy_by_rcu": "slabs freed after an RCU grace period",
    "reclaim_account": "counted as reclaimable",
    "cache_dma": "from the DMA zone",
}
"""Attributes with the value 0 or 1 that say how a cache allocates, with their meanings."""
DEBUG_FLAGS: Mapping[str, str] = {
    "sanity_checks": "sanity checks",
    "red_zone": "red zones",
    "poison": "poison",
    "store_user": "tracking of users",
    "trace": "tracing",
}
"""Attributes with the value 0 or 1 that the boot parameter slab_debug switches on."""
DEBUG_BYTES = ("red_zone", "store_user")
"""Debugging attributes that add bytes to each object (mm/slub.c, calculate_sizes)."""
OTHER_MOMENT = "read at another moment than the counts of now"
NODE_COUNTS = ("slabs", "partial", "cpu_slabs", "total_objects")
BY_CPUS = "SLABS HELD"
NODE_HEADINGS = make_headings("<NODE", "SLABS", "PARTLY USED", BY_CPUS, "OBJS", "", least=(BY_CPUS, "PARTLY USED"))


def slab_section(ledger: Ledger, line: CacheLine, columns: int, with_sizes: bool) -> Iterator[Line]:
    """Facts about a cache's slabs: one slab, all slabs, the use of their bytes, flags, and the counts on each node.

    If `with_sizes` is true, the sizes of an object are added; sections about catalogued objects have these sizes
    already.
    """
    attributes = attributes_of(ledger, line)
    row = ledger.cache(line.row) or line
    for title, text in (*(_sizes(row, attributes) if with_sizes else ()), *_facts(ledger, row, attributes)):
        yield from fact_lines(title, text, columns)
    by_node = _counts_by_node(line, attributes)
    if len(ledger.nodes) > 1 and by_node:
        yield EMPTY_LINE
        nodes = sorted({node for counts in by_node.values() for node in counts})
        cells = [
            (str(node), *(units.count(by_node[name].get(node, 0) if name in by_node else None) for name in NODE_COUNTS))
            for node in nodes
        ]
        if _other_moment(row, attributes):
            yield from paragraph(f" By node ({OTHER_MOMENT}):", columns - 1, "dim")
        yield from table_lines(NODE_HEADINGS, [TableRow(each) for each in cells], columns)


def _other_moment(row: CacheLine, attributes: CacheAttributes | None) -> bool:
    """True if the attributes' number of slabs is another than that of slabinfo."""
    slabs = attributes.numbers.get("slabs") if attributes is not None else None
    return slabs is not None and row.slabs not in (slabs, None)


def attributes_of(ledger: Ledger, line: CacheLine) -> CacheAttributes | None:
    """The attributes of a cache.

    The attributes are known only for the cache whose page is open; None for any other cache.
    """
    chosen = ledger.chosen_cache
    return chosen if chosen is not None and chosen.cache == line.name else None


def share_text(line: CacheLine) -> str | None:
    """An object's share of a slab, and the part of this share that exceeds the object's own size; None if unknown."""
    if line.slab_share_bytes is None or line.object_bytes is None or not line.pages_per_slab:
        return None
    objects, pages = units.counted(line.objects_per_slab, "object"), units.counted(line.pages_per_slab, "page")
    return (
        f"{units.tenths_of_bytes(line.slab_share_bytes)} B: {objects} in {pages}"
        f" (order {line.order}), {line.slab_share_bytes - line.object_bytes:.1f} B left over for each"
    )


def spacing_text(object_bytes: int, struct_bytes: int | None, attributes: CacheAttributes | None) -> str:
    """The step from one object to the next, and the part of the step that lies outside the struct."""
    between = ""
    if struct_bytes and object_bytes > struct_bytes:
        between = f": {units.count(object_bytes - struct_bytes)} B {_between_text(attributes)}"
    return f"{units.count(object_bytes)} B from one object to the next{between}"


def _between_text(attributes: CacheAttributes | None) -> str:
    """The possible contents of the gap between two structs: padding, and debugging data that is switched on.

    If it is unknown which kinds of debugging are switched on, the text has the word `debugging`.
    """
    numbers = attributes.numbers if attributes is not None else {}
    on = [DEBUG_FLAGS[name] for name in DEBUG_BYTES if numbers.get(name)]
    unknown = ["debugging"] if any(name not in numbers for name in DEBUG_BYTES) else []
    return f"between objects ({', '.join(('padding', 'alignment', 'free pointer', *on, *unknown))})"


def _sizes(row: CacheLine, attributes: CacheAttributes | None) -> Iterator[tuple[str, str]]:
    struct_bytes = _struct_bytes(row, attributes)
    yield "struct", f"not known: {_reason(attributes)}" if struct_bytes is None else f"{units.count(struct_bytes)} B"
    if row.object_bytes is not None:
        yield "spacing", spacing_text(row.object_bytes, struct_bytes, attributes)
    share = share_text(row)
    if share is not None:
        yield "slab share", share


def _facts(ledger: Ledger, row: CacheLine, attributes: CacheAttributes | None) -> Iterator[tuple[str, str]]:
    page_bytes = ledger.host.page_size_bytes
    if page_bytes and row.pages_per_slab and row.objects_per_slab and row.object_bytes and not row.computed:
        slab_bytes = page_bytes * row.pages_per_slab
        end_bytes = slab_bytes - row.objects_per_slab * row.object_bytes
        yield "slab", f"{units.count(slab_bytes)} B, {units.count(end_bytes)} B of it behind the last object"
    numbers = attributes.numbers if attributes is not None else {}
    slabs, partial, on_cpus = (numbers.get(name) for name in ("slabs", "partial", "cpu_slabs"))
    if slabs is not None and partial is not None and on_cpus is not None:
        full = max(0, slabs - partial - on_cpus)
        moment = f"; {OTHER_MOMENT}" if _other_moment(row, attributes) else ""
        yield (
            "slabs",
            f"{units.count(slabs)}: {units.count(full)} full, {units.count(partial)} partly used,"
            f" {units.counted(on_cpus, 'slab')} held by CPUs{moment}",
        )
    loss = slab_loss(row, _struct_bytes(row, attributes))
    if loss is not None and loss.total_bytes:
        # The figures are only bounds, for two reasons. Free objects in the caches of CPUs count as active, and in
        # merged caches only the largest struct's size is known.
        may_be_free = bool(row.idle_error_objects) or (row.idle_error_objects is None and bool(row.active_objects))
        is_merged = bool(row.aliases or numbers.get("aliases"))
        most, least = ("≤ ", "≥ ") if may_be_free or is_merged else ("", "")
        free = "in free objects"
        if row.idle_error_objects and row.object_bytes:
            free += f" (up to {units.count(row.idle_error_objects * row.object_bytes)} B more on CPUs' lists)"
        elif may_be_free:
            free += " (at least: how many are on CPUs' lists is not known)"
        lost = (
            ("≥ " if is_merged else "", loss.between_bytes, _between_text(attributes)),
            ("", loss.end_bytes, "at ends of slabs"),
            ("", loss.free_bytes, free),
        )
        share = loss.used_bytes / loss.total_bytes
        used = f"{units.percent_bound(share, True)} %" if most else units.percent(share, " ")
        # A bound of all of it says nothing without the reason.
        is_unknown = is_merged and not loss.lost_bytes
        unknown = "; how much is not known: the merged structs differ in size" if is_unknown else ""
        parts = ", ".join(f"{sign}{units.count(size)} B {where}" for sign, size, where in lost)
        yield (
            "in structs",
            f"{most}{units.count(loss.used_bytes)} of {units.count(loss.total_bytes)} B:"
            f" {most}{used} is in structs of active objects{unknown}",
        )
        yield "loss", f"{least}{units.count(loss.lost_bytes)} B: {parts}"
    if attributes is not None and attributes.doubt is not None:
        yield "in doubt", attributes.doubt
    if not numbers:
        yield "flags", f"not known: {_reason(attributes)}"
        return
    align = numbers.get("align")
    alignment = "" if align is None else f"aligned to {units.count(align)} B"
    yield "flags", ", ".join(filter(None, (alignment, _flags_text(FLAGS, numbers)))) or "none"
    yield "debugging", _flags_text(DEBUG_FLAGS, numbers) or "off"
    if attributes is not None and attributes.constructor:
        yield "constructor", f"{attributes.constructor.partition('+')[0]}()"


def _flags_text(meanings: Mapping[str, str], numbers: Mapping[str, int]) -> str:
    """The meanings of the flags that are set, followed by the names of the flags whose files are missing.

    The text is empty if no flag is set and no file is missing.
    """
    known = ", ".join(meaning for name, meaning in meanings.items() if numbers.get(name))
    missing = ", ".join(name for name in meanings if name not in numbers)
    return "; ".join(filter(None, (known, missing and f"not known without {missing}")))


def _reason(attributes: CacheAttributes | None) -> str:
    known = (attributes.reason, attributes.doubt) if attributes is not None else ()
    return next(filter(None, known), NO_ATTRIBUTES)


def _struct_bytes(row: CacheLine, attributes: CacheAttributes | None) -> int | None:
    chosen = attributes.numbers.get("object_size") if attributes is not None else None
    return row.object_size_bytes if chosen is None else chosen


def _counts_by_node(line: CacheLine, attributes: CacheAttributes | None) -> Mapping[str, Mapping[int, int]]:
    """The counts on each node: from the attributes or, if they were not read, from the sources of TCP's caches."""
    if attributes is not None and attributes.by_node:
        return {name: attributes.by_node.get(name, {}) for name in NODE_COUNTS if name in attributes.numbers}
    if not line.nodes:
        return {}
    return {
        "slabs": {node: count.slabs for node, count in line.nodes.items() if count.slabs is not None},
        "total_objects": {node: count.objects for node, count in line.nodes.items() if count.objects is not None},
    }
