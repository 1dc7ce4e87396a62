"""Contradictions: figures that no healthy kernel prints.

To find impossible figures, figures are compared with each other and with the machine's memory. A file may be damaged,
edited or copied from another machine, and still have the right format. Files are read at different times, and the
kernel counts without a lock, so each bound allows for changes between the reads.

The relations are data, in five tables: `slab_relations`, `socket_relations`, `look_relations`, `memory_relations` and
`hardware_relations`. Each table has an audit module, which checks its relations.

A healthy kernel may print the following figures, so no relation forbids them.

- A count may exceed its sysctl, because a sysctl may be lowered while files, flows or sockets are open.
- The three values of tcp_mem may be in any order (net/ipv4/sysctl_net_ipv4.c, proc_doulongvec_minmax).
- A sock in use may be missing from sockstat, and a file in use may be missing from file-nr. After close(), a sock
  lives on while unsent buffers refer to the sock, and a file lives on until a grace period of RCU ends. A kernel may
  also leak socks or files.
- Slab may exceed the sum of slabinfo's rows, because old kernels do not print the rows of dead memory cgroups.
- AnonPages may exceed MemTotal, because AnonPages also counts pages in a graphics card's own memory
  (mm/migrate_device.c).
"""

from typing import Any

from tcptop.accounting.contradictions import (
    hardware_relations,
    look_relations,
    memory_relations,
    slab_relations,
    socket_relations,
)
from tcptop.accounting.contradictions.audit import Audit
from tcptop.accounting.contradictions.facts import find_facts, find_machine, with_slabinfo
from tcptop.accounting.contradictions.hardware_audit import check_hardware
from tcptop.accounting.contradictions.memory_audit import (
    check_available,
    check_cgroup,
    check_cpus,
    check_meminfo_of_zones,
    check_reserve,
    check_topology,
    check_zones,
)
from tcptop.accounting.contradictions.relation import Relation
from tcptop.accounting.contradictions.slab_audit import (
    check_active_objects,
    check_caches,
    check_links,
    check_protocols,
    check_rows,
    check_security_modules,
    check_socket_rows,
    protocol_sizes,
)
from tcptop.accounting.contradictions.socket_audit import check_counts, check_listen_drops
from tcptop.snapshot import Contradictions, Snapshot

RELATIONS: tuple[Relation[Any, Any], ...] = (
    *slab_relations.ROW_RELATIONS,
    *slab_relations.NAMED_ROW_RELATIONS,
    slab_relations.SAME_NAME_RELATION,
    slab_relations.LOST_ROW_RELATION,
    slab_relations.SLAB_RELATION,
    slab_relations.LINK_RELATION,
    slab_relations.MODULES_RELATION,
    *slab_relations.SOCKET_ROW_RELATIONS,
    slab_relations.ACTIVE_RELATION,
    *slab_relations.CACHE_SIZE_RELATIONS,
    slab_relations.PROTOCOL_SIZE_RELATION,
    slab_relations.PROTOCOL_FITS_RELATION,
    slab_relations.PROTOCOL_SAME_RELATION,
    *slab_relations.CACHE_COUNT_RELATIONS,
    *(relation for relations in socket_relations.VALUE_RELATIONS.values() for relation in relations),
    socket_relations.FIELDS_RELATION,
    socket_relations.LISTEN_RELATION,
    *look_relations.LOOK_RELATIONS,
    look_relations.PLACE_RELATION,
    *memory_relations.MEMINFO_RELATIONS,
    *memory_relations.AVAILABLE_RELATIONS,
    memory_relations.AVAILABLE_RULE,
    memory_relations.CONTAINER_RELATION,
    memory_relations.TOTAL_RELATION,
    memory_relations.MEMINFO_MOMENTS,
    memory_relations.SLAB_OF_ZONES,
    *memory_relations.ZONE_RELATIONS,
    memory_relations.PROTECTION_RELATION,
    *memory_relations.AREA_RELATIONS,
    memory_relations.ALL_BLOCKS_RELATION,
    *memory_relations.LISTED_RELATIONS.values(),
    memory_relations.FREE_MOMENTS,
    memory_relations.ORDER_RELATION,
    memory_relations.BLOCK_RELATION,
    *memory_relations.NODE_RELATIONS,
    memory_relations.NODE_MOMENTS,
    *memory_relations.CPU_RELATIONS,
    *memory_relations.CGROUP_RELATIONS,
    *hardware_relations.PROCESSOR_RELATIONS,
    hardware_relations.ARRAY_RELATION,
)
"""All relations that are checked."""


def without_contradictions(snapshot: Snapshot, page_bytes: int | None) -> Snapshot:
    """Replaces impossible figures of a Snapshot by None.

    A source with impossible figures gets the state `strange`. The reason of the state `strange` is a sentence about the
    contradiction. A row of slabinfo keeps its numbers; `Snapshot.contradictions` says which of its numbers are
    doubtful.
    """
    audit = Audit(snapshot)
    machine = find_machine(snapshot, page_bytes)
    audit.check_value("meminfo", memory_relations.MEMINFO_RELATIONS, machine)
    check_cpus(audit, find_machine(audit.snapshot, page_bytes) if audit.sources else machine)
    check_protocols(audit, [slab_relations.PROTOCOL_FITS_RELATION])
    check_links(audit)
    check_security_modules(audit)
    if audit.sources:
        machine = find_machine(audit.snapshot, page_bytes)
    sizes_of_protocols = protocol_sizes(audit.snapshot)
    facts = find_facts(audit.snapshot, machine)
    # The zones come first: slabinfo, which is the kernel's, is not held to a container's meminfo that contradicts them.
    check_zones(audit, facts)
    check_meminfo_of_zones(audit, machine)
    check_reserve(audit, machine)
    doubts = check_rows(audit, facts)
    check_caches(audit, facts)
    check_protocols(audit, [slab_relations.PROTOCOL_SAME_RELATION], sizes_of_protocols)
    miscounted = {row for row, kinds in doubts.items() if "counts" in kinds}
    facts = with_slabinfo(audit.snapshot, facts, miscounted)
    facts = check_counts(audit, facts, miscounted)
    check_socket_rows(audit, facts, doubts)
    check_active_objects(audit, facts, doubts)
    check_listen_drops(audit, facts)
    if audit.snapshot.socket_table.value is not None:
        # The module is imported here, because few samples contain a reading of all sockets.
        from tcptop.accounting.contradictions.look_audit import check_look

        check_look(audit, facts)
    check_available(audit, machine)
    check_topology(audit, machine)
    check_cgroup(audit, machine)
    check_hardware(audit, machine)
    if not audit.sources:
        return audit.snapshot
    return audit.snapshot._replace(contradictions=Contradictions(frozenset(audit.sources), doubts))
