"""Facts from which relations compute upper bounds: properties of the machine, and counts and sizes in several files."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from tcptop.accounting.contradictions.cache_sizes import find_sizes
from tcptop.accounting.contradictions.reading_times import (
    FREED_BYTES_PER_S,
    MAX_SOCKETS_APART_S,
    are_of_one_moment,
)
from tcptop.accounting.contradictions.relation import MAX_MEMORY_BYTES, Facts, Machine, with_later_sockets
from tcptop.accounting.machine import node_count
from tcptop.accounting.slabinfo_rows import (
    has_tunables,
    idle_error_objects,
    names_matching,
    row_names,
    rows_named,
    unique_rows,
)
from tcptop.accounting.socket_counts import file_count_error
from tcptop.kernel.objects import FILE, MINI_SOCKETS, NF_CONN, REQUEST_SOCKS, SOCKS, KernelObject
from tcptop.recall import Same
from tcptop.snapshot import SlabLinks, Snapshot, Zone

DRIFT_PAGES_PER_CPU = 125
"""Maximum number of pages that a CPU has counted by itself and not yet added to the kernel's counter (mm/vmstat.c,
calculate_normal_threshold)."""


def find_machine(snapshot: Snapshot, page_bytes: int | None) -> Machine:
    """The properties of the machine that are upper bounds on other figures."""
    slabinfo, zoneinfo, meminfo = snapshot.slabinfo.value, snapshot.zoneinfo.value, snapshot.meminfo.value
    # In a container, meminfo (lxcfs) may show less memory than the machine has.
    managed_pages = sum(managed_by_zone(zoneinfo.zones if zoneinfo else ()).values())
    memory_bytes = max((meminfo.total_bytes if meminfo else None) or 0, managed_pages * (page_bytes or 0))
    return Machine(
        page_bytes=page_bytes,
        memory_bytes=min(memory_bytes or MAX_MEMORY_BYTES, MAX_MEMORY_BYTES),
        is_slub=slabinfo is not None and not has_tunables(Same(slabinfo.rows)),
        drift_pages=_drift_pages(snapshot),
        has_nodes=snapshot.topology.value is not None and len(snapshot.topology.value.nodes) > 1,
    )


def find_facts(snapshot: Snapshot, machine: Machine) -> Facts:
    """The figures from which relations compute upper bounds on figures of other files."""
    zoneinfo, snmp = snapshot.zoneinfo.value, snapshot.snmp.value
    protocols = snapshot.protocols.value.by_name if snapshot.protocols.value else {}
    of_protocols: dict[str, int] = {}
    for name, source in (("TCP", "sockstat"), ("TCPv6", "sockstat6")):
        sockets = protocols[name].sockets if name in protocols else None
        if sockets is not None and are_of_one_moment(snapshot, "protocols", source):
            of_protocols[name] = sockets
    buffers = [protocols[name].memory_units for name in ("TCP", "TCPv6") if name in protocols]
    return Facts(
        machine=machine,
        socks=_objects(snapshot, SOCKS, "allocated"),
        mini_sockets=_objects(snapshot, MINI_SOCKETS, "time_wait"),
        sizes=find_sizes(snapshot),
        managed_pages=managed_by_zone(zoneinfo.zones if zoneinfo else ()),
        protocol_sockets=of_protocols,
        protocol_buffers=buffers[0] if buffers and are_of_one_moment(snapshot, "protocols", "sockstat") else None,
        buffer_drift_units=_buffer_drift_units(snapshot),
        established=snmp.established if snmp and are_of_one_moment(snapshot, "snmp", "sockstat") else None,
    )


def with_slabinfo(snapshot: Snapshot, facts: Facts, miscounted: set[str]) -> Facts:
    """The facts with the counts of slabinfo; a count is None if its row is in `miscounted`."""
    return facts._replace(
        socks=None if miscounted & cache_names(SOCKS) else facts.socks,
        mini_sockets=None if miscounted & cache_names(MINI_SOCKETS) else facts.mini_sockets,
        flows=flow_count(snapshot, miscounted),
        files=max_files(snapshot, miscounted),
    )


def facts_near(snapshot: Snapshot, facts: Facts, source: str) -> Facts:
    """The facts; a count of sockets becomes unknown if the count was not read at the same moment as `source`."""
    return facts._replace(
        protocol_sockets=facts.protocol_sockets if are_of_one_moment(snapshot, "protocols", source) else {},
        protocol_buffers=facts.protocol_buffers if are_of_one_moment(snapshot, "protocols", source) else None,
        established=facts.established if are_of_one_moment(snapshot, "snmp", source) else None,
    )


def with_sockstat(snapshot: Snapshot, facts: Facts, miscounted: Collection[str]) -> Facts:
    """A copy of the facts, to which the counts of sockstat are added.

    The counts of sockstat must already have been checked by their own relations.
    """
    sockstat, sockstat6 = snapshot.sockstat.value, snapshot.sockstat6.value
    if sockstat is None:
        return facts
    inuse6 = sockstat6.inuse if sockstat6 else None
    both = None if sockstat.inuse is None or inuse6 is None else sockstat.inuse + inuse6
    in_namespace = sockstat.allocated if both is None else both
    return facts._replace(
        sockets=sockstat.allocated,
        inuse=sockstat.inuse,
        sockets_with_file=_sockets_with_file(snapshot, miscounted),
        sockets_with_inode=_sockets_with_inode(snapshot, miscounted),
        namespace_sockets=in_namespace if are_of_one_moment(snapshot, "snmp", "sockstat") else None,
    )


def _buffer_drift_units(snapshot: Snapshot) -> int | None:
    """16 MiB, 1 MiB for each CPU, and on a running kernel what may be sent or received between the reads.

    A CPU adds 1 MiB at once to the counter (SK_MEMORY_PCPU_RESERVE). The unit is 4 KiB at least.
    """
    cpus = cpu_count(snapshot)
    later_bytes = int(MAX_SOCKETS_APART_S * FREED_BYTES_PER_S) if snapshot.live else 0
    return None if cpus is None else ((16 + cpus << 20) + later_bytes) // 4096


def _drift_pages(snapshot: Snapshot) -> int:
    """Upper bound on the error of a counter of pages.

    For each node, a CPU may have counted some pages that it has not yet added to the kernel's counter.
    """
    return DRIFT_PAGES_PER_CPU * (cpu_count(snapshot) or 1) * (node_count(snapshot) or 1)


def cpu_count(snapshot: Snapshot) -> int | None:
    """Number of online CPUs; None if unknown.

    If sysfs does not show the online CPUs, zoneinfo gives the number: each zone has one page list per CPU.
    """
    topology, zoneinfo = snapshot.topology.value, snapshot.zoneinfo.value
    of_zones = max((zone.cpus or 0 for zone in zoneinfo.zones), default=0) if zoneinfo else 0
    return (topology.online_cpus if topology else None) or of_zones or None


def _objects(snapshot: Snapshot, objects: Sequence[KernelObject], field: str) -> int | None:
    """The number of objects in the rows of IPv4 and IPv6 together, if this number contradicts sockstat; otherwise None.

    The number contradicts sockstat if it is much smaller than the count in every read of sockstat. Caches of socks and
    of mini-sockets are never merged, so a row that is missing in a complete file counts as 0 objects. Sockets may be
    opened or closed between the reads. One read of sockstat that agrees with slabinfo is therefore enough to rule out a
    contradiction.
    """
    slabinfo = snapshot.slabinfo
    if slabinfo.value is None or slabinfo.state not in ("ok", "late"):
        return None
    names = cache_names(objects)
    rows = rows_named(slabinfo.value.rows, names)
    if not any(row.name in objects[0].caches for row in rows):
        return None
    objects_of_rows = sum(row.objects for row in rows)
    least = least_count(snapshot, field)
    return objects_of_rows if least is not None and least > (with_later_sockets(objects_of_rows) or 0) else None


def least_count(snapshot: Snapshot, field: str) -> int | None:
    """The smallest count in those reads of sockstat that were made shortly before and after the read of slabinfo."""
    sockstat = snapshot.sockstat
    readings = (snapshot.slabinfo.sockstat, sockstat.value, sockstat.before.value if sockstat.before else None)
    counts = [getattr(reading, field) for reading in readings if reading is not None]
    return min((count for count in counts if count is not None), default=None)


def flow_count(snapshot: Snapshot, miscounted: Collection[str]) -> int | None:
    """Number of objects in the caches of tracked flows; None if the rows of these caches are missing or doubtful.

    Up to 4.7, each network namespace has its own cache of tracked flows.
    """
    slabinfo = snapshot.slabinfo
    if slabinfo.value is None or slabinfo.state not in ("ok", "late"):
        return None
    per_namespace = names_matching(NF_CONN.name_in_namespace or "", row_names(Same(slabinfo.value)))
    rows = rows_named(slabinfo.value.rows, per_namespace.union(NF_CONN.caches))
    if not rows or any(row.name in miscounted for row in rows):
        return None
    return sum(row.objects for row in rows)


def _sockets_with_file(snapshot: Snapshot, miscounted: Collection[str]) -> int | None:
    """Lower bound on the number of TCP sockets with a file, minus the error of fs.file-nr; None if unknown.

    A socket that the kernel itself uses (NFS, ksmbd, DRBD, Ceph) has an inode and no file. The bound is therefore at
    most the number of files that slabinfo certainly shows.
    """
    cpus, sockets = cpu_count(snapshot), _sockets_with_inode(snapshot, miscounted)
    files = _min_files(snapshot, miscounted)
    return None if files is None or sockets is None or cpus is None else min(sockets, files) - file_count_error(cpus)


def _sockets_with_inode(snapshot: Snapshot, miscounted: Collection[str]) -> int | None:
    """Lower bound on the number of TCP sockets with a struct socket_alloc; None if unknown.

    Orphans have no struct socket_alloc. A socket in an accept queue has no struct socket_alloc either, but still has a
    request sock. The bound is therefore the number of sockets minus the numbers of orphans and of request socks. A
    subflow of MPTCP has no struct socket_alloc, so the bound is unknown if the machine has MPTCP sockets.
    """
    slabinfo, sockstat, protocols = snapshot.slabinfo, snapshot.sockstat, snapshot.protocols.value
    if slabinfo.value is None or slabinfo.state not in ("ok", "late"):
        return None
    names = cache_names(REQUEST_SOCKS)
    rows = rows_named(slabinfo.value.rows, names)
    if not rows or names & set(miscounted):
        return None
    if protocols is not None and any(
        protocol.name.startswith("MPTCP") for protocol in protocols.by_name.values() if protocol.sockets
    ):
        return None
    # sockstat was read shortly before and after slabinfo. Sockets may be opened or closed between the reads, so the
    # smallest count is used.
    readings = (slabinfo.sockstat, sockstat.value, sockstat.before.value if sockstat.before else None)
    counts = [
        reading.allocated - reading.orphans
        for reading in readings
        if reading is not None and reading.allocated is not None and reading.orphans is not None
    ]
    if sockstat.value is None or sockstat.value.allocated is None or not counts:
        return None
    return min(counts) - sum(row.objects for row in rows)


def max_files(snapshot: Snapshot, miscounted: Collection[str]) -> int | None:
    """Upper bound on fs.file-nr: the objects in the row of struct file, plus the error; None if unknown."""
    slabinfo, cpus = snapshot.slabinfo.value, cpu_count(snapshot)
    if slabinfo is None or cpus is None or not are_of_one_moment(snapshot, "socket_limits", "slabinfo"):
        return None
    names = names_of_rows(snapshot.slab_links.value, FILE.caches)
    row = next(iter(rows_named(unique_rows(slabinfo.rows), names)), None)
    return None if row is None or row.name in miscounted else row.objects + file_count_error(cpus)


def names_of_rows(links: SlabLinks | None, caches: Collection[str]) -> set[str]:
    """The names that the rows of the given caches may have: the names of the caches, and of caches merged with them."""
    names = set(caches)
    for name in caches if links else ():
        names |= set(links.names_of.get(links.group_of.get(name, ""), ())) if links else set()
    return names


def _min_files(snapshot: Snapshot, miscounted: Collection[str]) -> int | None:
    """Lower bound on the open files in slabinfo; None if the cache of struct file does not have its own row."""
    slabinfo, links = snapshot.slabinfo.value, snapshot.slab_links.value
    row = next(iter(rows_named(unique_rows(slabinfo.rows), FILE.caches)), None) if slabinfo else None
    if row is None or row.name in miscounted:
        return None
    if links is not None and len(links.names_of.get(links.group_of.get(row.name, ""), ())) > 1:
        return None
    idle = idle_error_objects(snapshot, row, (row.name,))
    return None if idle is None else row.active_objects - idle


def cache_names(objects: Sequence[KernelObject]) -> set[str]:
    """The names of all caches that may hold objects of the given kinds."""
    return {name for item in objects for name in item.caches}


def managed_by_zone(zones: Iterable[Zone]) -> dict[tuple[int, str], int]:
    """The managed pages of each zone, by node and name."""
    return {(zone.node, zone.name): zone.managed_pages for zone in zones if zone.managed_pages is not None}
