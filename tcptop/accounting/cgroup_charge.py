"""Bytes that the kernel charges to a memory cgroup for the objects of TCP sockets.

The kernel charges the memory cgroup of the process that opens the sockets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

from tcptop.accounting.cache_table import CacheTable
from tcptop.accounting.cgroup_vectors import is_accounted
from tcptop.accounting.machine import release_of
from tcptop.accounting.slabinfo_rows import MEMCG_CHILDREN_UNTIL
from tcptop.kernel.objects import BIND_BUCKETS, CGROUP_VECTORS, MINI_SOCKETS, NF_CONN, SOCKS
from tcptop.kernel.release import Release
from tcptop.ledger import Amount, ObjectCost
from tcptop.snapshot import Snapshot

ACCEPTED_CHARGED_SINCE = (6, 13)
"""First kernel release that charges an accepted sock to a memory cgroup (net/ipv4/af_inet.c, __inet_accept;
9028cdeb38e1).

Softirq creates the sock of an accepted connection, and an allocation in softirq is charged to no cgroup
(mm/memcontrol.c, current_obj_cgroup). Since 6.13, accept() charges the sock after softirq has created it, but only
while mem_cgroup_sockets_enabled (`CgroupMemory.sockets_enabled`).
"""

ACCOUNTED_SINCE: Mapping[str, Release] = {
    **dict.fromkeys((item.struct for item in (*SOCKS, *MINI_SOCKETS)), (4, 19)),
    **dict.fromkeys((item.struct for item in BIND_BUCKETS), (5, 15)),
}
"""Maps a struct to the first kernel release that is known to set SLAB_ACCOUNT for the struct's cache. All other caches
with SLAB_ACCOUNT have the flag in every kernel with cgroup2."""


V1_CHARGED_SINCE = (4, 6)
"""First kernel release whose cgroup v1 charges kernel memory without a memory.kmem.limit_in_bytes (mm/memcontrol.c)."""


def charged_bytes(snapshot: Snapshot, table: CacheTable, costs: Sequence[ObjectCost], accepted: float) -> Amount:
    """Bounds on the bytes of objects that are charged to a memory cgroup; `accepted` is the share of accepted socks.

    The kernel charges an object if a process creates the object and the object's cache has SLAB_ACCOUNT. The lower
    bound is the size of the objects that are certainly charged. If kernel memory is not charged at all, the lower bound
    is 0. The lower bound leaves out socks that softirq creates, unless accept(2) surely charges them. The lower bound
    also leaves out all mini-sockets, because softirq may create any mini-socket. The objects of conntrack are never
    charged (net/netfilter/nf_conntrack_core.c, nf_conntrack_init_start: no SLAB_ACCOUNT).
    """
    cgroups = snapshot.memory_cgroups.value
    release = release_of(snapshot)
    enabled = True if snapshot.cgroup is None else snapshot.cgroup.sockets_enabled
    is_charged = enabled is True and release is not None and release >= ACCEPTED_CHARGED_SINCE
    shares = dict.fromkeys((item.struct for item in SOCKS), 1.0 if is_charged else 1.0 - accepted)
    high_shares = dict.fromkeys((item.struct for item in SOCKS), 1.0 - accepted) if enabled is False else {}
    shares |= dict.fromkeys((item.struct for item in MINI_SOCKETS), 0.0)
    # Up to 5.8, each cgroup has its own slabs, and whole slabs are charged.
    whole_slabs = release is None or release < MEMCG_CHILDREN_UNTIL
    is_v1 = snapshot.cgroup is not None and snapshot.cgroup.is_v1
    may_be_uncharged = is_v1 and (release is None or release < V1_CHARGED_SINCE)
    low = high = 0.0
    for cost in costs:
        if cost.object == NF_CONN.struct:
            continue
        since = ACCOUNTED_SINCE.get(cost.object)
        is_old = since is not None and (release is None or release < since)
        if is_accounted(table, cost) and not is_old and not may_be_uncharged and (cgroups is None or cgroups.charged):
            low += cost.object_bytes * shares.get(cost.object, 1.0)
        if whole_slabs or cost.object == CGROUP_VECTORS.struct:
            most = max(cost.object_bytes, cost.high_slab_bytes or 0.0)
        else:
            most = cost.object_bytes * max(1.0, (cost.high_slab_bytes or 0) / (cost.slab_bytes or inf))
        high += most * high_shares.get(cost.object, 1.0)
    return Amount(low, high)


def charged_buffers(snapshot: Snapshot, buffers: Amount) -> Amount:
    """Bounds on the part of buffers that counts as memory of the memory cgroup that the user named.

    cgroup v1 counts buffers apart (mm/memcontrol-v1.c, memcg1_charge_skmem).
    """
    cgroup = snapshot.cgroup
    if cgroup is None:
        return buffers
    if cgroup.is_v1 or cgroup.sockets_enabled is False:
        return Amount(0.0, 0.0)
    return buffers if cgroup.sockets_enabled else Amount(0.0, buffers.high)


def unknown_charge_text(snapshot: Snapshot) -> str:
    """The reason why it is unknown whether accept(2) charges its sock to a memory cgroup; empty if it is known."""
    cgroup, release = snapshot.cgroup, release_of(snapshot)
    if cgroup is None or cgroup.sockets_enabled is not None:
        return ""
    if not cgroup.is_v1:
        return "/proc/cmdline is not known, which may have cgroup.memory=nosocket"
    if release is None or release < ACCEPTED_CHARGED_SINCE:
        return ""
    return "accept() charges its sock only while some cgroup has set memory.kmem.tcp.limit_in_bytes"
