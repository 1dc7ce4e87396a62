"""Table of slab caches: the sizes and counts of each cache, and the slabinfo row that counts each catalogue object."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import ceil
from typing import NamedTuple

from tcptop.accounting.cache_lines import (
    EMPTY_CACHE_LINE,
    line_of_namespaces,
    lines_of_slabinfo,
    without_doubted,
)
from tcptop.accounting.kept_costs import KeptCosts, costs_kept_for
from tcptop.accounting.kmalloc_names import kmalloc_names_by_size, kmalloc_size_bytes, kmalloc_sizes
from tcptop.accounting.merged_names import aliases_of, merged_names
from tcptop.accounting.protocol_sizes import ProtocolSizes, protocol_sizes
from tcptop.accounting.slab_bytes import fallback_slabs, known_slab_bytes, slab_share_bytes
from tcptop.accounting.slabinfo_rows import (
    are_in_child_caches,
    has_tunables,
    idle_error_objects,
    may_have_child_caches,
    names_matching,
    rows_named,
    unique_rows,
)
from tcptop.accounting.slub_layout import CACHE_LINE_BYTES, WORD_BYTES, object_step_bytes, slab_order
from tcptop.kernel.architecture import architecture_of
from tcptop.kernel.objects import KERNEL_OBJECTS, MINI_SOCKETS, OBJECT_OF_CACHE, SLAB_CACHES, SOCKS, KernelObject
from tcptop.kernel.release import release_numbers
from tcptop.ledger import CacheLine, NodeCount, ObjectCost, Presence, fallback_factor
from tcptop.rates import elapsed_s, rate
from tcptop.recall import Same
from tcptop.snapshot import (
    DAMAGED,
    Reading,
    SlabCount,
    SlabCounts,
    Slabinfo,
    SlabLinks,
    SlabRow,
    SlabSizes,
    Snapshot,
    Sockstat,
)

ACCOUNTED_GROUP = re.compile(r":[a-zA-Z]*A[a-zA-Z]*-")
"""Pattern of the folder name of a merged cache with SLAB_ACCOUNT. The folder name of a merged SLAB_ACCOUNT cache
contains the letter A (mm/slub.c, create_unique_id)."""

SLAB_MERGES_SINCE = (3, 18)
"""First kernel release in which the SLAB allocator merges caches, as SLUB already did (12220dea07f1)."""


MAX_SLABINFO_LAG_S = 30.0
"""If slabinfo is more than this many seconds older than the counts of sysfs, the counts of sysfs are used.

As long as slabinfo is not too old, all counts of a row come from slabinfo, although sysfs is read more often. If one
row took some counts from slabinfo and others from sysfs, the counts would contradict each other. If a row alternated
between slabinfo and sysfs, the number of active objects would appear and disappear, because only slabinfo shows this
number. Slabinfo becomes older than MAX_SLABINFO_LAG_S only if a read of slabinfo hangs, or takes more than 0.15 s of
CPU time.
"""

SOCK_CACHES = frozenset(name for item in SOCKS for name in item.caches)
MINI_SOCKET_CACHES = frozenset(name for item in MINI_SOCKETS for name in item.caches)
"""Names of the caches of IPv4 and IPv6 socks, which the kernel never merges."""

COST_SOURCES = ("slabinfo", "slab_sizes", "slab_counts", "sockstat", "sockstat6")
"""Sources from which the costs of sockets and TCP's memory are computed."""


class CacheLookup(NamedTuple):
    """Tells if the kernel has the cache of an object, and gives the sizes and counts of the cache."""

    status: Presence
    line: CacheLine | None = None
    reason: str | None = None
    """The reason why `line` is None, such as `Linux 6.1 does not have it`; None if there is a line."""


class CacheTable:
    """All caches of one Snapshot: slabinfo's rows in file order, then catalogued caches without a row of their own."""

    def __init__(self, snapshot: Snapshot, page_bytes: int | None) -> None:
        self._page_bytes = page_bytes
        self._snapshot = snapshot
        slabinfo, links = snapshot.slabinfo.value, snapshot.slab_links.value
        self._links = links
        self._names = merged_names(Same(links))
        self._object_sizes = _object_sizes(Same(snapshot.slab_sizes.value), protocol_sizes(snapshot.protocols.value))
        self._kernel_release = snapshot.sysctls.value.kernel_release if snapshot.sysctls.value else None
        self._release = release_numbers(self._kernel_release)
        rows = unique_rows(slabinfo.rows) if slabinfo else ()
        self._doubts = snapshot.contradictions.rows
        self.doubted_sources = tuple(
            f"{name} ({state})" for name in COST_SOURCES if (state := getattr(snapshot, name).state) in DAMAGED
        )
        """The sources in COST_SOURCES whose figures are cut, damaged or impossible.

        The cost of a socket lists the damaged sources among its missing parts.
        """
        self._has_rows = slabinfo is not None
        self._is_whole = self._has_rows and snapshot.slabinfo.state in ("ok", "late")
        self._is_slab_allocator = slabinfo is not None and has_tunables(Same(slabinfo.rows))
        self._may_have_child_caches = may_have_child_caches(snapshot)
        self._counts = self._usable_sysfs_counts()
        self._sysfs_replaces_slabinfo = bool(self._counts) and self._slabinfo_is_old()
        lines = [
            self._with_counts(line, row) if line.in_catalogue or row.name in self._doubts else line
            for line, row in zip(self._lines_of_rows(), rows, strict=True)
        ]
        self._by_name: dict[str, CacheLine] = {}
        for line in lines:
            # If several rows have the same name, `get` finds the row with the most slabs.
            if line.name not in self._by_name or (line.slabs or 0) > (self._by_name[line.name].slabs or 0):
                self._by_name[line.name] = line
        for name in SLAB_CACHES:
            unnamed = self._line_of_catalogue(name, lines) if name not in self._by_name else None
            if unnamed is not None:
                self._by_name[name] = unnamed
                lines.append(unnamed)
        self.lines = tuple(lines)
        self._links_are_whole = links is not None and self._has_every_name(links)
        self.costs = KeptCosts()
        """Results that hold for this table alone."""
        self.whole_costs = self._costs_of_last_table()
        """Results for whole objects, and for sockets of one family, which the next table may share."""
        self._lookups: dict[str, CacheLookup] = {}
        every_name = (*self._by_name, *self._names.group_of)
        self._kmalloc_names = kmalloc_names_by_size(every_name)
        self._kmalloc_lines: dict[int, list[CacheLine]] = {}
        sizes = kmalloc_sizes(every_name)
        for line in lines:
            size = sizes.get(line.name)
            if size is not None:
                self._kmalloc_lines.setdefault(size, []).append(line)

    def find(self, kernel_object: KernelObject) -> CacheLookup:
        """The cache of an object, and whether the kernel has the cache."""
        if kernel_object.struct not in self._lookups:
            line = next((self._by_name[name] for name in kernel_object.names if name in self._by_name), None)
            self._lookups[kernel_object.struct] = (
                CacheLookup("known", line) if line is not None else self._lookup_without_line(kernel_object)
            )
        return self._lookups[kernel_object.struct]

    def _lookup_without_line(self, kernel_object: KernelObject) -> CacheLookup:
        """The reason why no file shows the cache of an object: the cache is `absent`, `hidden` or `unknown`.

        The cache is absent if the kernel is too old or too new. The cache is also absent if the protocol that creates
        the cache is not registered, or if a complete list of caches does not name the cache. A cache that must exist
        never counts as `absent`, even if a complete list of caches does not name the cache. A cache must exist if all
        kernels of this release have its object, or if the object's protocol is registered.
        """
        if kernel_object.is_outside(self._release):
            return CacheLookup("absent", reason=f"Linux {self._kernel_release} does not have it")
        if not kernel_object.caches:
            return CacheLookup("unknown", reason="it comes from kmalloc, whose caches serve others too")
        protocols = self._snapshot.protocols
        registered: bool | None = None
        if kernel_object.protocol is not None and protocols.value is not None and protocols.state in ("ok", "late"):
            registered = kernel_object.protocol in protocols.value.by_name
            if not registered:
                return CacheLookup("absent", reason=f"/proc/net/protocols has no {kernel_object.protocol}")
        must_exist = registered or (kernel_object.always and (kernel_object.since is None or self._release is not None))
        may_be_merged = self._may_merge(kernel_object)
        if not must_exist and self._is_whole and not may_be_merged:
            return CacheLookup("absent", reason="/proc/slabinfo has no row of it, and no other row hides it")
        if not must_exist and self._links_are_whole:
            return CacheLookup("absent", reason="/sys/kernel/slab has no such name")
        if not self._is_whole:
            return CacheLookup("unknown", reason=self._snapshot.slabinfo.reason or "/proc/slabinfo was not read")
        if not may_be_merged:
            return CacheLookup("unknown", reason="/proc/slabinfo has no row of it, and no other row hides it")
        unnamed = "/sys/kernel/slab does not name it" if self._links else self._snapshot.slab_links.reason
        merged = f"it is merged with another cache; {unnamed or '/sys/kernel/slab was not read'}"
        return (
            CacheLookup("hidden", reason=merged)
            if must_exist
            else CacheLookup("unknown", reason=f"there is none, or {merged}")
        )

    def _may_merge(self, kernel_object: KernelObject) -> bool:
        """True if the allocator may count an object's cache in the row of another cache."""
        sysctls = self._snapshot.sysctls.value
        if sysctls is not None and not sysctls.merges_caches:
            return False
        if self._release is None:
            return True
        never_since = kernel_object.never_merged_since
        if never_since is not None and self._release >= never_since:
            return False
        return not self._is_slab_allocator or self._release >= SLAB_MERGES_SINCE

    def _has_every_name(self, links: SlabLinks) -> bool:
        """True if /sys/kernel/slab and slabinfo together name every cache that all kernels with TCP have.

        In a saved tree, some links in /sys/kernel/slab may be missing. The folders of caches that are not merged are
        usually missing.
        """
        certain = (item for item in KERNEL_OBJECTS if item.always and not item.is_outside(self._release or item.since))
        return all(
            any(name in self._by_name or name in links.group_of for name in item.names)
            for item in certain
            if item.since is None or self._release is not None
        )

    def get(self, name: str | None) -> CacheLine | None:
        """The cache with the given name; None if no cache has the name.

        If slabinfo has two rows with the name, the row with more slabs is used.
        """
        return None if name is None else self._by_name.get(name)

    def max_in_use(self, kernel_object: KernelObject) -> int | None:
        """Upper bound on the number of objects of one kind in use; None if unknown."""
        line = self.find(kernel_object).line
        return line.max_in_use if line else None

    def kmalloc_cache(self, size_bytes: int) -> CacheLine | None:
        """The smallest kmalloc cache whose objects have at least a given size; None if unknown."""
        return next(iter(self.kmalloc_caches(size_bytes, size_bytes)), None)

    def kmalloc_caches(self, min_bytes: int, max_bytes: int) -> list[CacheLine]:
        """The kmalloc caches that serve sizes from `min_bytes` to `max_bytes`, the smallest first.

        The list is empty if slabinfo is incomplete, because the row of a smaller kmalloc cache could be missing.
        """
        if self._has_rows and not self._is_whole:
            return []
        caches: list[CacheLine] = []
        for size, name in self._kmalloc_names.items():
            if size >= min_bytes:
                caches.append(self._by_name.get(name) or self._kmalloc_without_row(name, size))
            if size >= max_bytes:
                break
        return caches

    def kmalloc_max_in_use(self, line: CacheLine) -> int | None:
        """Upper bound on the objects in use in a kmalloc cache and its random copies together; None if unknown."""
        copies = self._kmalloc_lines.get(kmalloc_size_bytes(line.name) or 0, [])
        known = [copy.max_in_use for copy in copies if copy.max_in_use is not None]
        return sum(known) if known and len(known) == len(copies) else None

    def _kmalloc_without_row(self, name: str, size_bytes: int) -> CacheLine:
        """The CacheLine of a kmalloc cache without a slabinfo row.

        The order and the objects per slab are computed by SLUB's rules.
        """
        order, per_slab = self._computed_slab(size_bytes)
        pages = None if order is None else 1 << order
        return EMPTY_CACHE_LINE._replace(
            name=name,
            row=name,
            object_bytes=size_bytes,
            objects_per_slab=per_slab,
            pages_per_slab=pages,
            order=order,
            slab_share_bytes=slab_share_bytes(pages, per_slab, self._page_bytes),
            computed=True,
        )

    def is_accounted(self, name: str) -> bool | None:
        """True if a merged cache has SLAB_ACCOUNT according to its folder name; None if the cache is not merged."""
        group = self._names.group_of.get(name, "")
        return bool(ACCOUNTED_GROUP.match(group)) if group.startswith(":") else None

    def row_max_in_use(self, line: CacheLine) -> int | None:
        """Upper bound on the objects in use that the slabinfo row of a cache counts.

        The row also counts the objects of caches that are merged with the cache.
        """
        row = self._by_name.get(line.row) if line.row else None
        return row.max_in_use if row else None

    def row_objects(self, line: CacheLine) -> int | None:
        """The objects, free ones included, in the slabinfo row of a cache; None if unknown."""
        row = self._by_name.get(line.row) if line.row else None
        return row.objects if row else None

    def row_max_bytes(self, name: str) -> int | None:
        """Upper bound on the slab bytes of the objects in use that a row counts; None if unknown.

        All objects in use may be those of TCP, so the upper bound applies to all kinds of TCP's objects together.
        """
        row = self._by_name.get(name)
        if row is None or row.bytes is None:
            return None
        if row.max_in_use is None or row.present_share_bytes is None:
            return row.bytes
        return min(row.bytes, ceil(row.max_in_use * row.present_share_bytes))

    def possible_rows(self, cost: ObjectCost) -> tuple[str, ...]:
        """Names of the slabinfo rows that may count the objects of a cost.

        Objects from kmalloc may be counted in one of several rows.
        """
        names = [cost.cache]
        low, high = kmalloc_size_bytes(cost.cache), kmalloc_size_bytes(cost.high_cache or cost.cache)
        if low is not None and high is not None:
            names += [line.name for size, lines in self._kmalloc_lines.items() if low <= size <= high for line in lines]
        lines = [self._by_name[name] for name in names if name in self._by_name]
        return tuple(dict.fromkeys(line.row for line in lines if line.row is not None))

    def fallback_factor(self, cache: str) -> float:
        """The fallback factor of a cache (`fallback_factor` in ledger/caches.py)."""
        return fallback_factor(cache, self.get)

    def slabs_by_size(self, line: CacheLine) -> list[tuple[int, int]]:
        """Pairs (number of slabs, objects per slab), one pair for each order of slabs.

        The pair for slabs of the preferred order comes first; a second pair, if any, is for slabs of the smallest
        order.

        The list is empty if the counts are unknown.
        """
        objects, slabs, per_slab, pages = line.objects, line.slabs, line.objects_per_slab, line.pages_per_slab
        if objects is None or not slabs or not per_slab or pages is None or self._page_bytes is None:
            return [(slabs, per_slab)] if slabs and per_slab else []
        if line.object_bytes is None:
            return [(slabs, per_slab)] if objects >= slabs * per_slab or pages == 1 else []
        small, _, per_small = fallback_slabs(objects, slabs, line.object_bytes, per_slab, pages, self._page_bytes)
        return [(slabs - small, per_slab), *([(small, per_small)] if small else [])]

    def total_bytes(self) -> int | None:
        """Bytes of all slabinfo rows together; None if rows are missing or the bytes of a row are unknown."""
        if not self._is_whole or self._page_bytes is None:
            return None
        # A cache without counts has no row in slabinfo.
        sizes = [line.bytes for line in self.lines if line.name == line.row and line.slabs is not None]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None

    def _usable_sysfs_counts(self) -> Mapping[str, SlabCount]:
        """Counts from sysfs that may replace slabinfo's counts, by cache name.

        The mapping is empty if the kernel may have a child cache for each memory cgroup. Slabinfo counts the objects of
        child caches, but sysfs does not.
        """
        counts = self._snapshot.slab_counts.value
        return {} if counts is None or self._may_have_child_caches else counts.caches

    @property
    def counts_reading(self) -> Reading[Slabinfo] | Reading[SlabCounts]:
        """The reading from which the counts and the bytes of TCP's caches come: slabinfo, or the counts of sysfs."""
        return self._snapshot.slab_counts if self._sysfs_replaces_slabinfo else self._snapshot.slabinfo

    @property
    def matching_sockstat(self) -> Sockstat | None:
        """The TCP line of /proc/net/sockstat, read right after the counts from which `CacheLine.bytes` is computed."""
        return self.counts_reading.sockstat

    def _costs_of_last_table(self) -> KeptCosts:
        """The costs of the last table if no file has been read again on which costs depend; otherwise empty."""
        snapshot = self._snapshot
        slabinfo, modules, counts = snapshot.slabinfo, snapshot.security_modules, snapshot.slab_counts
        values = (
            slabinfo.value,
            snapshot.slab_links.value,
            snapshot.slab_sizes.value,
            snapshot.protocols.value,
            snapshot.btf.value,
            snapshot.sysctls.value,
            snapshot.memory_cgroups.value,
            snapshot.topology.value,
            modules.value,
            snapshot.lab_measurement,
            snapshot.contradictions,
            counts.value if self._sysfs_replaces_slabinfo or not self._is_whole else None,
        )
        return costs_kept_for(
            *map(Same, values),
            *(slabinfo.state, slabinfo.reason, slabinfo.sockstat, snapshot.slab_links.reason),
            *(modules.state, counts.sockstat if self._sysfs_replaces_slabinfo else None),
            *(self.doubted_sources, self._page_bytes),
        )

    def _slabinfo_is_old(self) -> bool:
        """True if slabinfo is unknown, or more than MAX_SLABINFO_LAG_S older than the counts of sysfs."""
        counts, slabinfo = self._snapshot.slab_counts, self._snapshot.slabinfo
        if slabinfo.value is None:
            return True
        if counts.taken_at_s is None or slabinfo.taken_at_s is None:
            return False
        return counts.taken_at_s - slabinfo.taken_at_s > MAX_SLABINFO_LAG_S

    def _lines_of_rows(self) -> Sequence[CacheLine]:
        """The lines of slabinfo's rows, in which sysfs and the doubtful numbers are not considered."""
        slabinfo = self._snapshot.slabinfo
        if slabinfo.value is None:
            return ()
        return lines_of_slabinfo(
            Same(slabinfo.value),
            Same(self._names),
            Same(self._object_sizes),
            Same(slabinfo.before.value if slabinfo.before is not None else None),
            elapsed_s(slabinfo),
            self._page_bytes,
        )

    def _with_counts(self, line: CacheLine, row: SlabRow) -> CacheLine:
        """The line without doubtful numbers; for a catalogued cache, also with its nodes and with counts of sysfs."""
        doubts = self._doubts.get(row.name, frozenset())
        if doubts:
            line = without_doubted(line, doubts)
        if not line.in_catalogue:
            return line
        names = self._names.names_sharing(row.name)
        line = self._with_nodes(line, names, None if doubts else self._idle_error(row, names))
        count = next((self._counts[name] for name in names if name in self._counts), None)
        if not self._sysfs_replaces_slabinfo or count is None or count.objects is None or count.slabs is None:
            return line
        return line._replace(
            active_objects=None,
            use=None,
            objects=count.objects,
            slabs=count.slabs,
            bytes=known_slab_bytes(
                count.objects,
                count.slabs,
                line.object_bytes,
                line.objects_per_slab,
                line.pages_per_slab,
                self._page_bytes,
            ),
            active_per_s=None,
            max_in_use=count.objects,
            idle_error_objects=None,
        )

    def _idle_error(self, row: SlabRow, names: Sequence[str]) -> int | None:
        """Upper bound on the free objects of a row that CPUs cache; None if unknown.

        Each socket that was allocated right after slabinfo was read has one object in the caches of socks, and each
        mini-socket of this network namespace has one in the caches of mini-sockets, so at most the other active objects
        of these caches are free.
        """
        bound, sockstat = idle_error_objects(self._snapshot, row, names), self._snapshot.slabinfo.sockstat
        if bound is None or sockstat is None:
            return bound
        counted = ((SOCK_CACHES, sockstat.allocated), (MINI_SOCKET_CACHES, sockstat.time_wait))
        caches, count = next((each for each in counted if row.name in each[0]), (frozenset[str](), None))
        if count is None:
            return bound
        rows = self._snapshot.slabinfo.value.rows if self._snapshot.slabinfo.value is not None else ()
        others = sum(each.active_objects for each in rows_named(unique_rows(rows), caches - {row.name}))
        spare = row.active_objects + others - count
        # More sockets than objects came after slabinfo was read, or contradict it: they say nothing of free objects.
        return bound if spare < 0 else min(bound, spare)

    def _line_of_catalogue(self, name: str, lines: Sequence[CacheLine]) -> CacheLine | None:
        """The line of a catalogued cache that slabinfo does not name; None if no other file shows the cache.

        Without a complete slabinfo, the size of a sock comes from the line of the sock's protocol in
        /proc/net/protocols.
        """
        protocols, pattern = self._snapshot.protocols.value, OBJECT_OF_CACHE[name].name_in_namespace
        if self._links is not None and name in self._links.group_of:
            return self._line_without_row(name)
        if not self._is_whole and protocols is not None and name in protocols.by_name:
            return self._line_without_row(name)
        if pattern is None:
            return None
        names = names_matching(pattern, tuple(self._by_name))
        parts = [line for line in lines if line.name in names] if names else []
        return line_of_namespaces(name, parts) if parts else None

    def _line_without_row(self, name: str) -> CacheLine:
        """The CacheLine of a catalogued cache without a row of its own.

        A catalogued cache has no row of its own if it is merged, or if slabinfo is not readable.
        """
        names = self._names.names_sharing(name)
        every_name = self._names.every_name(name)
        row = next((self._by_name[other] for other in every_name if other in self._by_name), None)
        size = self._snapshot.slab_sizes.value.caches.get(name) if self._snapshot.slab_sizes.value else None
        merged = len(names) > 1
        object_size = self._object_size(name, merged)
        if row is not None:
            return row._replace(
                name=name,
                aliases=aliases_of(name, names),
                more_aliases=self._names.more_aliases(name),
                objects_of=(OBJECT_OF_CACHE[name].struct,),
                in_catalogue=True,
                object_size_bytes=object_size,
                active_objects=None,
                use=None,
                objects=None,
                slabs=None,
                bytes=None,
                active_per_s=None,
                nodes=None,
                max_in_use=None,
            )
        count = None if merged else self._counts.get(name)
        object_bytes = (size.slab_size_bytes if size else None) or self._names.size_of_group(name)
        order, per_slab = (size.order, size.objects_per_slab) if size else (None, None)
        computed = object_bytes is None or order is None or per_slab is None
        if object_bytes is None:
            object_bytes = self._computed_step(name, object_size)
        if order is None or per_slab is None:
            order, per_slab = self._computed_slab(object_bytes)
        computed = computed and object_bytes is not None
        pages = None if order is None or order > 20 else 1 << order
        objects, slabs = (count.objects, count.slabs) if count else (None, None)
        return CacheLine(
            name=name,
            row=None if merged else name,
            aliases=aliases_of(name, names),
            more_aliases=self._names.more_aliases(name),
            objects_of=(OBJECT_OF_CACHE[name].struct,),
            in_catalogue=True,
            shared=merged or not OBJECT_OF_CACHE[name].tcp_only,
            object_bytes=object_bytes,
            object_size_bytes=object_size,
            objects_per_slab=per_slab,
            pages_per_slab=pages,
            order=order,
            slab_share_bytes=slab_share_bytes(pages, per_slab, self._page_bytes),
            active_objects=None,
            use=None,
            objects=objects,
            slabs=slabs,
            bytes=known_slab_bytes(objects, slabs, object_bytes, per_slab, pages, self._page_bytes),
            active_per_s=None,
            nodes=self._nodes((name,), object_bytes, per_slab, pages) if count else None,
            max_in_use=objects,
            computed=computed,
        )

    def _object_size(self, name: str, merged: bool) -> int | None:
        """Size of a cache's struct, without padding, in bytes.

        The size is None for a merged cache, because sysfs shows only the largest struct of the merged caches.
        """
        return None if merged else self._object_sizes.get(name)

    def _computed_step(self, name: str, object_size: int | None) -> int | None:
        """Step of a cache, computed by SLUB's rules: the number of bytes from one object to the next.

        The step is None if the struct is unknown, if slab debugging is on, or if the step depends on the size of a
        cache line of a 32-bit CPU.
        """
        kernel_object = OBJECT_OF_CACHE[name]
        btf, sysctls = self._snapshot.btf.value, self._snapshot.sysctls.value
        layout = btf.structs.get(kernel_object.btf_struct or "") if btf else None
        if layout is None or sysctls is None or sysctls.slab_debug:
            return None
        outer = kernel_object.outer_free_pointer and not layout.has_free_pointer
        word_bytes, min_line, max_line, *_ = architecture_of(sysctls.architecture)
        lines = (min_line, max_line) if word_bytes < WORD_BYTES else (max(min_line, CACHE_LINE_BYTES),)
        struct_bytes = object_size or layout.size_bytes
        steps = {
            object_step_bytes(struct_bytes, kernel_object.hwcache_align, outer, word_bytes, line) for line in lines
        }
        return steps.pop() if len(steps) == 1 else None

    def _computed_slab(self, object_bytes: int | None) -> tuple[int | None, int | None]:
        """Order of a slab and objects per slab, computed by SLUB's rules; (None, None) if unknown.

        `object_bytes` is the step from one object to the next.
        """
        topology = self._snapshot.topology.value
        if not object_bytes or self._page_bytes is None or topology is None or topology.online_cpus is None:
            return None, None
        order = slab_order(object_bytes, self._page_bytes, topology.online_cpus)
        return order, (self._page_bytes << order) // object_bytes

    def _with_nodes(self, line: CacheLine, names: tuple[str, ...], idle_error_objects: int | None) -> CacheLine:
        """A copy of the line with the counts on each node, and with the error of its active objects.

        If some of the objects are in child caches, the nodes of these objects are unknown on a machine with several
        nodes.
        """
        nodes = self._nodes(names, line.object_bytes, line.objects_per_slab, line.pages_per_slab)
        counts = [count.objects for count in (nodes or {}).values()]
        on_nodes = None if None in counts else sum(filter(None, counts))
        if nodes is None or not self._may_have_child_caches or not are_in_child_caches(line.objects, on_nodes):
            return line._replace(nodes=nodes, idle_error_objects=idle_error_objects)
        topology = self._snapshot.topology.value
        if topology is None or len(topology.nodes) != 1:
            return line._replace(in_child_caches=True, idle_error_objects=idle_error_objects)
        nodes = {topology.nodes[0].node: NodeCount(line.objects, line.slabs, line.bytes, None)}
        return line._replace(nodes=nodes, idle_error_objects=idle_error_objects)

    def _nodes(
        self, names: tuple[str, ...], object_bytes: int | None, per_slab: int | None, pages: int | None
    ) -> Mapping[int, NodeCount] | None:
        counts = self._snapshot.slab_counts.value
        count = next((counts.caches[name] for name in names if name in counts.caches), None) if counts else None
        if count is None or (count.objects is None and count.slabs is None):
            return None
        if count.objects and not count.objects_by_node:
            # A kernel without NUMA prints only totals, so all objects are counted on node 0.
            count = count._replace(objects_by_node={0: count.objects}, slabs_by_node={0: count.slabs or 0})
        nodes: dict[int, NodeCount] = {}
        for node in sorted(count.objects_by_node.keys() | count.slabs_by_node.keys()):
            objects = count.objects_by_node.get(node, 0) if count.objects is not None else None
            slabs = count.slabs_by_node.get(node, 0) if count.slabs is not None else None
            size = known_slab_bytes(objects, slabs, object_bytes, per_slab, pages, self._page_bytes)
            nodes[node] = NodeCount(objects, slabs, size, self._node_rate(names, node))
        return nodes

    def _node_rate(self, names: tuple[str, ...], node: int) -> float | None:
        name = next((name for name in names if name in OBJECT_OF_CACHE), names[0])
        return rate(
            self._snapshot.slab_counts,
            lambda counts: counts.caches[name].objects_by_node.get(node, 0) if name in counts.caches else None,
        )


@lru_cache(2)  # both files are read seldom
def _object_sizes(sizes: Same[SlabSizes | None], of_protocols: ProtocolSizes) -> Mapping[str, int]:
    """Size of the struct in each cache, from sysfs; for the socks of a protocol, from /proc/net/protocols."""
    found = dict(of_protocols)
    for name, size in (sizes.value.caches if sizes.value else {}).items():
        if size.object_size_bytes is not None:
            found[name] = size.object_size_bytes
    return found
