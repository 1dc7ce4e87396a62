"""Contradictions: figures that no healthy kernel prints.

To find such figures, figures are compared with each other and with the machine's memory. A file may be damaged, edited
or copied from another machine, and still have the right format. Files are read at different times, and the kernel
counts without a lock, so every bound leaves room for changes between the reads.

The relations are data, in four tables: `slab_relations`, `socket_relations`, `memory_relations` and
`hardware_relations`. These are not
relations, because a kernel may break them:

- A count is at most its sysctl. A sysctl may be lowered while files, flows or sockets are open.
- The three values of tcp_mem rise. Any three values are accepted (net/ipv4/sysctl_net_ipv4.c, proc_doulongvec_minmax).
- An object in use is counted by sockstat or file-nr. Closed socks live on in unsent buffers, files until a grace
  period of RCU ends, and a kernel may leak either.
- Slab is at most the sum of slabinfo's rows. Old kernels lose the rows of dead memory cgroups; the rest is shown.
- AnonPages is at most MemTotal. Pages of a graphics card's own memory are counted, too (mm/migrate_device.c).
"""

from typing import Any

from tcptop.accounting.contradictions import hardware_relations, memory_relations, slab_relations, socket_relations
from tcptop.accounting.contradictions.audit import without_contradictions
from tcptop.accounting.contradictions.relation import Relation

RELATIONS: tuple[Relation[Any, Any], ...] = (
    *slab_relations.ROW_RELATIONS,
    *slab_relations.NAMED_ROW_RELATIONS,
    slab_relations.SAME_NAME_RELATION,
    slab_relations.SLAB_RELATION,
    *slab_relations.SOCKET_ROW_RELATIONS,
    slab_relations.ACTIVE_RELATION,
    *slab_relations.CACHE_SIZE_RELATIONS,
    slab_relations.PROTOCOL_SIZE_RELATION,
    *slab_relations.CACHE_COUNT_RELATIONS,
    *(relation for relations in socket_relations.VALUE_RELATIONS.values() for relation in relations),
    socket_relations.FIELDS_RELATION,
    socket_relations.LISTEN_RELATION,
    *memory_relations.MEMINFO_RELATIONS,
    *memory_relations.AVAILABLE_RELATIONS,
    memory_relations.TOTAL_RELATION,
    memory_relations.MEMINFO_MOMENTS,
    *memory_relations.ZONE_RELATIONS,
    memory_relations.PROTECTION_RELATION,
    *memory_relations.AREA_RELATIONS,
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
"""Every relation that is checked."""

__all__ = ["RELATIONS", "without_contradictions"]
