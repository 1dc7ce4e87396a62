"""The audit of slab rows: slabinfo, and the caches in /sys/kernel/slab."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from functools import lru_cache
from itertools import repeat

from tcptop.accounting.contradictions.audit import Audit, find_failures
from tcptop.accounting.contradictions.cache_sizes import CacheSizes
from tcptop.accounting.contradictions.facts import cache_names, cpu_count, least_count, names_of_rows
from tcptop.accounting.contradictions.reading_times import GROWTH_BYTES_PER_S, are_of_one_moment, seconds_apart
from tcptop.accounting.contradictions.relation import DRIFT_SLABS, CachePair, Facts, Machine, Relation
from tcptop.accounting.contradictions.slab_relations import (
    ACTIVE_RELATION,
    CACHE_COUNT_RELATIONS,
    CACHE_SIZE_RELATIONS,
    LINK_RELATION,
    LOST_ROW_RELATION,
    MODULES_RELATION,
    NAMED_ROW_RELATIONS,
    PROTOCOL_SIZE_RELATION,
    ROW_RELATIONS,
    SAME_NAME_RELATION,
    SLAB_RELATION,
    SOCKET_ROW_RELATIONS,
    ActiveCount,
    CacheOfModules,
    LinkOfCache,
    ProtocolSize,
    RowOfCache,
    RowsInSlab,
    SameName,
)
from tcptop.accounting.kmalloc_names import kmalloc_size_bytes
from tcptop.accounting.machine import is_of_machine, may_be_newer, release_of
from tcptop.accounting.slab_bytes import slab_bytes
from tcptop.accounting.slabinfo_rows import may_have_child_caches, pages_of_rows, row_names, rows_named, unique_rows
from tcptop.accounting.socket_counts import file_count_error
from tcptop.kernel.objects import (
    DENTRY,
    FILE,
    KERNEL_OBJECTS,
    LSM_CACHES,
    LSM_FILE_BLOB_SINCE,
    LSM_FILE_CACHE,
    LSM_INODE_CACHE,
    LSM_WITHOUT_INODE_BLOB,
    MINI_SOCKETS,
    OBJECT_OF_CACHE,
    SOCKET_ALLOC,
    SOCKS,
    unknown_security_modules,
)
from tcptop.kernel.release import Release, release_numbers
from tcptop.recall import RecallRows, Same
from tcptop.snapshot import (
    Doubt,
    Protocols,
    SecurityModules,
    Slabinfo,
    SlabLinks,
    SlabRow,
    SlabSizes,
    Snapshot,
    Sysctls,
)

UNEXPLAINED_SHARE = 0.01
"""The sum of slabinfo's rows may exceed meminfo's Slab by at most this share of Slab."""

ESTIMATES_SINCE, MAX_COUNTED_SLABS = (6, 10), 10_000
"""ESTIMATES_SINCE is the first kernel release that may estimate a cache's free objects. Since ESTIMATES_SINCE, the
kernel looks at only some of a node's partial slabs if there are more than MAX_COUNTED_SLABS.
"""

KINDS: tuple[Doubt, ...] = ("size", "counts")


def check_socket_rows(audit: Audit, facts: Facts, doubts: dict[str, frozenset[Doubt]]) -> None:
    """Checks the row of the cache that has an object for every socket.

    The doubtful numbers of the row are added to `doubts`.
    """
    slabinfo, names = audit.snapshot.slabinfo.value, cache_names([SOCKET_ALLOC])
    rows = rows_named(unique_rows(slabinfo.rows), names) if slabinfo else []
    for row, relation, sentence in find_failures(rows, SOCKET_ROW_RELATIONS, facts):
        _add_doubts(audit, doubts, row.name, relation.doubts, sentence)


def check_active_objects(audit: Audit, facts: Facts, doubts: dict[str, frozenset[Doubt]]) -> None:
    """Compares the active objects in slabinfo with counts of other files.

    The files with the compared counts must already have been checked. The doubtful numbers of slabinfo are added to
    `doubts`.
    """
    for count, relation, sentence in find_failures(
        _active_counts(audit.snapshot, facts), [ACTIVE_RELATION], facts.machine
    ):
        for name in count.names:
            _add_doubts(audit, doubts, name, relation.doubts, f"{' and '.join(count.names)}: {sentence}")


def check_rows(audit: Audit, facts: Facts) -> dict[str, frozenset[Doubt]]:
    """Checks slabinfo; returns the doubtful numbers of each row that breaks a relation."""
    slabinfo = audit.snapshot.slabinfo.value
    if slabinfo is None:
        return {}
    doubts: dict[str, frozenset[Doubt]] = {}
    for name, kinds, sentence in _failures_of_rows(Same(slabinfo), Same(facts.sizes), facts.machine):
        _add_doubts(audit, doubts, name, kinds, sentence)
    snapshot = audit.snapshot
    if snapshot.slabinfo.state in ("ok", "late"):
        files = row_names(Same(slabinfo)), Same(snapshot.slab_links.value), Same(snapshot.protocols.value)
        audit.mark("slabinfo", _lost_rows(*files, Same(snapshot.sysctls.value)))
    sentences = _rows_beyond_slab(audit, slabinfo, facts.machine)
    audit.mark("slabinfo", sentences)
    if sentences and (meminfo := audit.snapshot.meminfo.value) is not None:
        # Either file may be wrong: meminfo may be a container's (lxcfs).
        unknown = meminfo._replace(slab_bytes=None, reclaimable_slab_bytes=None, unreclaimable_slab_bytes=None)
        audit.mark("meminfo", ["Slab is less than the rows of /proc/slabinfo take"], unknown)
    return doubts


def _add_doubts(
    audit: Audit, doubts: dict[str, frozenset[Doubt]], name: str, kinds: Collection[str], sentence: str
) -> None:
    doubts[name] = doubts.get(name, frozenset()) | {kind for kind in KINDS if kind in kinds}
    audit.mark("slabinfo", [sentence])


def _rows_beyond_slab(audit: Audit, slabinfo: Slabinfo, machine: Machine) -> list[str]:
    """A list with one sentence if slabinfo's rows take more memory than meminfo's Slab; otherwise an empty list.

    In a container, meminfo's Slab may count only the container (lxcfs).
    """
    if not is_of_machine(audit.snapshot, machine.page_bytes):
        return []
    meminfo, page_bytes = audit.snapshot.meminfo, machine.page_bytes
    slab = meminfo.value.slab_bytes if meminfo.value else None
    apart_s = seconds_apart(meminfo, audit.snapshot.slabinfo, audit.snapshot.live)
    if slab is None or page_bytes is None or apart_s is None:
        return []
    bound = slab + machine.drift_pages * page_bytes + int(slab * UNEXPLAINED_SHARE + apart_s * GROWTH_BYTES_PER_S)
    # The first sum takes little time. The first sum is an upper bound, because some slabs may be smaller than the
    # preferred order. The exact sum is computed only if the first sum exceeds the bound.
    if pages_of_rows(Same(slabinfo.rows)) * page_bytes <= bound:
        return []
    size = sum([slab_bytes(*row[2:3], row.slabs, *row[3:6], page_bytes) for row in unique_rows(slabinfo.rows)])
    sums = [RowsInSlab(size, slab, bound)]
    return [sentence for *_, sentence in find_failures(sums, [SLAB_RELATION], machine)]


def protocol_sizes(snapshot: Snapshot) -> Sequence[ProtocolSize]:
    """The sizes of socks in /proc/net/protocols, each with the sizes of the same sock in other files."""
    files = snapshot.protocols.value, snapshot.slabinfo.value, snapshot.slab_sizes.value
    return _protocol_sizes(*map(Same, files))


@lru_cache(2)  # these files are read seldom
def _protocol_sizes(
    protocols_file: Same[Protocols | None], slabinfo_file: Same[Slabinfo | None], sizes_file: Same[SlabSizes | None]
) -> Sequence[ProtocolSize]:
    protocols, slabinfo, sizes = protocols_file.value, slabinfo_file.value, sizes_file.value
    names = cache_names(SOCKS) & (protocols.by_name.keys() if protocols else set())
    rows = {row.name: row.object_bytes for row in unique_rows(slabinfo.rows) if row.name in names} if slabinfo else {}
    found = []
    for name in sorted(names):
        size = sizes.caches.get(name) if sizes else None
        struct, step = (size.object_size_bytes, size.slab_size_bytes) if size else (None, None)
        fits = struct is not None and (step is None or struct <= step)
        struct_bytes = protocols.by_name[name].object_size_bytes if protocols else None
        found.append(ProtocolSize(name, struct_bytes, struct if fits else None, step, rows.get(name) or None))
    return found


def check_protocols(
    audit: Audit, relations: Sequence[Relation[ProtocolSize, None]], sizes: Sequence[ProtocolSize] | None = None
) -> None:
    """Checks the sizes of socks in /proc/net/protocols; a size that other files contradict becomes unknown."""
    value = audit.snapshot.protocols.value
    failures = find_failures(protocol_sizes(audit.snapshot) if sizes is None else sizes, relations, None)
    if value is not None and failures:
        unknown = {size.name: value.by_name[size.name]._replace(object_size_bytes=None) for size, *_ in failures}
        sentences = [sentence for *_, sentence in failures]
        audit.mark("protocols", sentences, value._replace(by_name={**value.by_name, **unknown}))


def check_links(audit: Audit) -> None:
    """Removes wrong links: a cache that this kernel never merges cannot have a link to a folder of merged caches."""
    links = audit.snapshot.slab_links.value
    release = release_of(audit.snapshot)
    if links is None or release is None:
        return
    failures = _wrong_links(Same(links), release)
    if not failures:
        return
    wrong = {link.cache for link, *_ in failures}
    group_of = {name: folder for name, folder in links.group_of.items() if name not in wrong}
    names_of = {folder: tuple(name for name in names if name not in wrong) for folder, names in links.names_of.items()}
    audit.mark("slab_links", [sentence for *_, sentence in failures], SlabLinks(group_of, names_of))


@lru_cache(2)  # the links are read seldom
def _wrong_links(
    links: Same[SlabLinks], release: Release
) -> list[tuple[LinkOfCache, Relation[LinkOfCache, None], str]]:
    group_of = links.value.group_of
    never_merged = [
        LinkOfCache(name, group_of[name])
        for item in KERNEL_OBJECTS
        if item.never_merged_since is not None and release >= item.never_merged_since
        for name in item.names
        if name in group_of
    ]
    return find_failures(never_merged, [LINK_RELATION], None)


def check_security_modules(audit: Audit) -> None:
    """Compares the list of security modules with the caches that exist only for such modules."""
    snapshot = audit.snapshot
    modules, slabinfo, links = snapshot.security_modules.value, snapshot.slabinfo.value, snapshot.slab_links.value
    if modules is None:
        return
    names = {row.name for row in rows_named(slabinfo.rows, LSM_CACHES)} if slabinfo else set()
    names |= {name for name in LSM_CACHES if name in links.group_of} if links else set()
    release = None if may_be_newer(snapshot) else release_of(snapshot)
    failures = find_failures(_caches_of_modules(modules, frozenset(names), release), [MODULES_RELATION], None)
    audit.mark("security_modules", [sentence for *_, sentence in failures])


@lru_cache(2)  # the list is read seldom
def _caches_of_modules(
    modules: SecurityModules, names: frozenset[str], release: Release | None
) -> Sequence[CacheOfModules]:
    """The caches of security modules, of those with a name in `names`; empty if the active modules are unknown.

    A module that the catalogue does not know may need any cache.
    """
    if unknown_security_modules(filter(None, modules.names)):
        return ()
    with_file_blob = {
        name for name, since in LSM_FILE_BLOB_SINCE.items() if since is None or release is None or release >= since
    }
    # Without the list, only those modules are known that keep data for each socket; others may be active.
    active = set(modules.names) or {"landlock", "bpf"}
    needed_by = {LSM_FILE_CACHE: active & with_file_blob, LSM_INODE_CACHE: active - LSM_WITHOUT_INODE_BLOB - {""}}
    return [CacheOfModules(cache, len(needing)) for cache, needing in needed_by.items() if cache in names]


def check_caches(audit: Audit, facts: Facts) -> None:
    """Checks the caches in sysfs, and removes the caches that break a relation."""
    sizes, counts = audit.snapshot.slab_sizes.value, audit.snapshot.slab_counts.value
    if sizes is not None:
        failed = _failed_sizes(Same(sizes), Same(facts.sizes), facts.machine)
        if failed:
            sound = {name: size for name, size in sizes.caches.items() if name not in failed}
            audit.mark("slab_sizes", _named(failed), sizes._replace(caches=sound))
    if counts is not None:
        pairs = _cache_pairs(audit.snapshot, facts.machine)
        miscounted: dict[str, str] = {}
        for name, pair in pairs.items():
            for *_, text in find_failures([pair], CACHE_COUNT_RELATIONS, facts.machine):
                miscounted.setdefault(name, text)
        if miscounted:
            counted = {name: count for name, count in counts.caches.items() if name not in miscounted}
            audit.mark("slab_counts", _named(miscounted), counts._replace(caches=counted))


@lru_cache(2)  # the sizes are read seldom
def _failed_sizes(caches: Same[SlabSizes], sizes: Same[CacheSizes], machine: Machine) -> Mapping[str, str]:
    """A sentence about each cache in sysfs with an impossible size, by name."""
    failed: dict[str, str] = {}
    for name, size in caches.value.caches.items():
        found = [text for *_, text in find_failures([size], CACHE_SIZE_RELATIONS, machine)]
        structs = (size.object_size_bytes, sizes.value.protocol_bytes.get(name))
        found += [text for *_, text in find_failures([structs], [PROTOCOL_SIZE_RELATION], None)]
        failed |= {name: found[0]} if found else {}
    return failed


Failures = tuple[tuple[str, tuple[str, ...], str], ...]
"""For each broken relation of a row of slabinfo: the name of the row, the doubtful numbers and the sentence."""


@RecallRows  # most rows do not change from one slabinfo to the next
def _failures_of_each_row(row: SlabRow, _: None, sizes: Same[CacheSizes], machine: Machine) -> Failures:
    failures = [(relation.doubts, sentence) for _, relation, sentence in find_failures([row], ROW_RELATIONS, machine)]
    if row.name in sizes.value.struct_bytes or row.name in sizes.value.step_bytes:
        broken = find_failures([row], NAMED_ROW_RELATIONS, sizes.value)
        failures += [(relation.doubts, sentence) for _, relation, sentence in broken]
    return tuple((row.name, *each) for each in failures)


@lru_cache(2)  # slabinfo is read less often than other files
def _failures_of_rows(slabinfo: Same[Slabinfo], sizes: Same[CacheSizes], machine: Machine) -> Failures:
    rows = zip(slabinfo.value.rows, repeat(None))
    failures = [failure for found in _failures_of_each_row(rows, sizes, machine) for failure in found]
    same = find_failures(_same_names(slabinfo.value), [SAME_NAME_RELATION], machine)
    failures += [(row.name, relation.doubts, sentence) for row, relation, sentence in same]
    return tuple(failures)


def _named(failed: Mapping[str, str]) -> list[str]:
    return [f"{name}: {sentence}" for name, sentence in failed.items()]


def _cache_pairs(snapshot: Snapshot, machine: Machine) -> dict[str, CachePair]:
    """The counts of each cache in sysfs, with the row of slabinfo if both files were read at the same time."""
    counts, slabinfo = snapshot.slab_counts.value, snapshot.slabinfo.value
    sizes = snapshot.slab_sizes.value
    apart_s = seconds_apart(snapshot.slab_counts, snapshot.slabinfo, snapshot.live)
    is_whole = not may_have_child_caches(snapshot)
    rows: dict[str, SlabRow] = {}
    if slabinfo is not None and apart_s is not None:
        names = counts.caches if counts else ()
        rows = {row.name: row for row in rows_named(unique_rows(slabinfo.rows), names)}
    pairs: dict[str, CachePair] = {}
    for name, count in counts.caches.items() if counts else ():
        row = rows.get(name)
        slabs = max(count.slabs or 0, row.slabs if row else 0)
        slab = max(1, row.pages_per_slab if row else 1) * (machine.page_bytes or 1)
        drift = (
            min(slabs // 4, (row.slabs if row else 0)) + DRIFT_SLABS + int((apart_s or 0) * GROWTH_BYTES_PER_S) // slab
        )
        size = sizes.caches.get(name) if sizes else None
        per_slab = size.objects_per_slab if size else None
        pairs[name] = CachePair(*count, row, drift, is_whole, per_slab)
    return pairs


def _active_counts(snapshot: Snapshot, facts: Facts) -> list[ActiveCount]:
    """Numbers of active objects in the rows that hold objects of sockets or files, with lower bounds from other files.

    The lower bounds come from sockstat and file-nr.
    """
    slabinfo, sockstat, limits = snapshot.slabinfo.value, snapshot.sockstat.value, snapshot.socket_limits.value
    if slabinfo is None:
        return []
    files, cpus = None, cpu_count(snapshot)
    is_near = are_of_one_moment(snapshot, "socket_limits", "slabinfo")
    if is_near and limits is not None and limits.open_files is not None and cpus is not None:
        files = limits.open_files - file_count_error(cpus)
    sockets = least_count(snapshot, "allocated") if sockstat and sockstat.allocated is not None else None
    mini_sockets = least_count(snapshot, "time_wait") if sockstat and sockstat.time_wait is not None else None
    unique = unique_rows(slabinfo.rows)
    found: list[ActiveCount] = []
    for names, needed, objects_named, counted in (
        (cache_names(SOCKS), set(SOCKS[0].caches), "TCP sockets", sockets),
        (cache_names(MINI_SOCKETS), set(MINI_SOCKETS[0].caches), "TIME_WAIT sockets", mini_sockets),
        *(
            (names, names, objects_named, counted)
            for caches, objects_named, counted in (
                (FILE.caches, "open files", files),
                ((LSM_FILE_CACHE,), "open files", files),
                (SOCKET_ALLOC.caches, "TCP sockets with an inode", facts.sockets_with_inode),
                ((LSM_INODE_CACHE,), "TCP sockets with an inode", facts.sockets_with_inode),
                (DENTRY.caches, "TCP sockets with a file", facts.sockets_with_file),
            )
            for names in [names_of_rows(snapshot.slab_links.value, caches)]
        ),
    ):
        rows = rows_named(unique, names)
        is_estimated = _estimates_free_objects(snapshot) and any(row.slabs > MAX_COUNTED_SLABS for row in rows)
        if not is_estimated and any(row.name in needed for row in rows):
            active = sum(row.active_objects for row in rows)
            found.append(ActiveCount(tuple(sorted(row.name for row in rows)), objects_named, active, counted))
    return found


def _estimates_free_objects(snapshot: Snapshot) -> bool:
    """True if the kernel may estimate the free objects of a cache with many slabs."""
    release = release_of(snapshot)
    return release is None or release >= ESTIMATES_SINCE or may_be_newer(snapshot)


@lru_cache(2)  # these files are read seldom
def _lost_rows(
    rows: tuple[str, ...],
    links: Same[SlabLinks | None],
    protocols: Same[Protocols | None],
    sysctls: Same[Sysctls | None],
) -> tuple[str, ...]:
    """The sentences about rows that a complete slabinfo lacks."""
    release = release_numbers(sysctls.value.kernel_release) if sysctls.value else None
    if release is None:
        return ()
    merges = sysctls.value is None or sysctls.value.merges_caches
    caches = _rows_of_caches(frozenset(rows), links.value, protocols.value, release, merges)
    return tuple(sentence for *_, sentence in find_failures(caches, [LOST_ROW_RELATION], None))


def _rows_of_caches(
    rows: Set[str], links: SlabLinks | None, protocols: Protocols | None, release: Release, merges: bool
) -> list[RowOfCache]:
    """The caches of the catalogue that this kernel certainly has; for each cache, whether slabinfo has its row.

    The result leaves out caches whose row may have an unknown name: the kernel may have merged the cache with others.
    """
    names_of_protocols = protocols.by_name if protocols else {}
    group_of = links.group_of if links else {}
    # In a saved tree, links of /sys/kernel/slab may be missing. All links count as present if each slabinfo row has a
    # link of the same name.
    links_are_whole = rows <= group_of.keys()
    found: list[RowOfCache] = []
    for item in KERNEL_OBJECTS:
        if not (item.always or item.protocol in names_of_protocols) or item.is_outside(release) or not item.caches:
            continue
        folder = next((group_of[name] for name in item.names if name in group_of), None)
        is_alone = folder is not None and not folder.startswith(":")
        is_never_merged = item.never_merged_since is not None and release >= item.never_merged_since
        if is_alone or is_never_merged or not merges or (folder is not None and links_are_whole):
            names = set(item.names) | names_of_rows(links, item.names)
            found.append(RowOfCache(item.caches[0], not names.isdisjoint(rows)))
    # The kernel creates the kmalloc caches at boot, and never destroys them.
    found += [
        RowOfCache(name, not names_of_rows(links, (name,)).isdisjoint(rows))
        for name in group_of
        if kmalloc_size_bytes(name) is not None
    ]
    return found


def _same_names(slabinfo: Slabinfo) -> list[SameName]:
    """The names of catalogued caches in slabinfo, each with the number of different sizes in the rows of this name.

    A size here is the size of an object together with the size of a slab. A kernel has only one cache with
    the name of a catalogued cache.
    """
    sizes: dict[str, set[tuple[int, ...]]] = {}
    for row in slabinfo.rows:
        if row.name in OBJECT_OF_CACHE:
            sizes.setdefault(row.name, set()).add((row.object_bytes, row.objects_per_slab, row.pages_per_slab))
    return [SameName(name, len(found)) for name, found in sizes.items()]
