"""Objects that only some sockets have: epoll items, tracked flows, contexts of kernel TLS, and socket buffers.

Bind buckets are not among them: every socket that owns a local port has them (socket_cost.py).
The TCP state of a socket does not tell if the socket has attached objects, so the cost of a socket leaves attached
objects out. The bytes of attached objects per socket are an average over the machine's sockets.
"""

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from tcptop.accounting.cache_table import CacheTable
from tcptop.accounting.cgroup_vectors import cgroup_vector_costs
from tcptop.accounting.lab_result import measured_ktls
from tcptop.accounting.object_cost import object_costs
from tcptop.accounting.socket_buffers import BufferMemory
from tcptop.accounting.socket_counts import file_count_error, min_sockets_with_file, sockets_with_file
from tcptop.accounting.tls_sockets import may_be_elsewhere, tls_sockets
from tcptop.kernel.objects import EPITEM, EPITEMS_HEAD, EPOLL_OBJECTS, MPTCP_SOCKS, NF_CONN, KernelObject
from tcptop.ledger import Amount, Attached, AttachedName, AttachedObjects, ConnectionCost, ObjectCost
from tcptop.snapshot import Snapshot

NONE = Amount(0.0, 0.0)

MAX_EXTENSION_BYTES = 256
"""Maximum size of struct nf_ct_ext, which holds the extensions of a tracked flow.

Extensions are counters, timestamps, NAT and labels (net/netfilter/nf_conntrack_extend.c). Struct nf_ct_ext is allocated
by kmalloc. Most flows have extensions of 128 bytes, or no extensions.
"""


class Found(NamedTuple):
    """Number and bytes of the objects of one kind."""

    number: Amount | None
    bytes: Amount | None
    unknown_because: str | None = None


def attached_objects(
    snapshot: Snapshot,
    table: CacheTable,
    cpus: int | None,
    cost: ConnectionCost,
    buffers: BufferMemory | None,
    held: Attached | None = None,
) -> Attached:
    """The attached objects of every kind.

    The bytes of attached objects per socket are known only if `cost` contains an average over all present sockets. If
    the average comes from an earlier sample, the bytes of attached objects per socket come from the same sample
    (`held`).
    """
    found: tuple[tuple[AttachedName, str, Found, str], ...] = (
        ("epoll", "watched sockets", _epoll(snapshot, table, cpus), "TCP sockets in epoll sets"),
        ("conntrack", "flows", _conntrack(snapshot, table), "flows of all protocols, and of closed sockets"),
        (
            "ktls",
            "sockets with kernel TLS",
            _ktls(snapshot, table),
            "of this network namespace at least, as measured",
        ),
        ("buffers", "segments", _buffers(buffers), "queued segments with their data, as sockets are charged"),
    )
    sockstat = table.matching_sockstat
    allocated = sockstat.allocated if sockstat and cost.now_bytes is not None else None
    held_bytes = None if held is None else {each.name: each.bytes_per_socket for each in held.kinds}
    kinds = tuple(
        AttachedObjects(
            name=name,
            counted=counted,
            number=each.number,
            bytes=each.bytes,
            bytes_per_socket=_per_socket(each.bytes, allocated) if held_bytes is None else held_bytes[name],
            unknown_because=each.unknown_because,
            note=note,
        )
        for name, counted, each, note in found
    )
    now: Amount | None = None
    if cost.now_bounds is not None and allocated:
        amounts = [cost.now_bounds, *(each.bytes_per_socket or Amount(0.0, inf) for each in kinds)]
        now = Amount(sum(amount.low for amount in amounts), sum(amount.high for amount in amounts))
    return Attached(kinds, now, least_mptcp_socks(snapshot, table))


def least_mptcp_socks(snapshot: Snapshot, table: CacheTable) -> int:
    """Lower bound on the MPTCP socks of the machine: one for each MPTCP connection and listener, beside its subflows.

    The column `sockets` of /proc/net/protocols counts the MPTCP socks of one network namespace.
    """
    in_use = [_count_in_use(table, item) for item in MPTCP_SOCKS]
    protocols = snapshot.protocols.value.by_name if snapshot.protocols.value else {}
    here = [protocols[name].sockets for item in MPTCP_SOCKS if (name := item.caches[0]) in protocols]
    return max(sum(filter(None, here)), round(sum(each.low for each in in_use if each is not None)))


def _per_socket(amount: Amount | None, sockets: int | None) -> Amount | None:
    return Amount(amount.low / sockets, amount.high / sockets) if amount is not None and sockets else None


def _epoll(snapshot: Snapshot, table: CacheTable, cpus: int | None) -> Found:
    """The objects that epoll allocates for watched TCP sockets.

    Since 5.11 each watched file has one struct epitems_head (fs/eventpoll.c, attach_epitem). On every kernel, a watched
    file has one struct epitem in each epoll set that watches the file. Files other than TCP sockets may be watched too.
    For the lower bound, epoll is assumed to watch every open file that is not a TCP socket. A kernel without struct
    epitems_head shows only the number of epitems. All epitems may belong to a single file that is not a TCP socket, so
    the lower bound is 0.
    """
    has_heads = table.find(EPITEMS_HEAD).status != "absent"
    heads = EPITEMS_HEAD if has_heads else EPITEM
    watched = _count_in_use(table, heads)
    if watched is None:
        return Found(None, None, table.find(heads).reason or "the number of watched files is not known")
    items_in_use = _count_in_use(table, EPITEM)
    if has_heads and items_in_use is not None:
        if watched.low > 0 and table.find(EPITEM).status == "absent":
            return Found(None, None, "ep_head has objects, and /proc/slabinfo has no row eventpoll_epi")
        # Each epitems_head has at least one epitem.
        watched = Amount(min(watched.low, items_in_use.high), min(watched.high, items_in_use.high))
    if not has_heads:
        watched = Amount(0, watched.high)
    sockstat = table.matching_sockstat
    with_file = sockets_with_file(table, sockstat.allocated, sockstat.orphans) if sockstat else None
    if sockstat is None or with_file is None:
        return Found(None, None, "the number of sockets with a file is not known")
    least_with_file = min_sockets_with_file(table, sockstat.allocated, sockstat.orphans)
    limits = snapshot.socket_limits.value
    least = 0.0
    if limits is not None and limits.open_files is not None and cpus is not None:
        other_files = max(0, limits.open_files + file_count_error(cpus) - least_with_file)
        least = max(0.0, min(watched.low, with_file) - other_files)
    sockets = Amount(least, min(watched.high, with_file))
    if not sockets.high:
        return Found(sockets, NONE)
    items = [item for item in EPOLL_OBJECTS if table.find(item).status != "absent"]
    most = [(item, sockets.high if item is EPITEMS_HEAD else _count_in_use(table, item)) for item in items]
    low = _slab_bytes(snapshot, table, [(item, sockets.low) for item in items])
    high = _slab_bytes(
        snapshot,
        table,
        [(item, max(sockets.high, count.high) if isinstance(count, Amount) else sockets.high) for item, count in most],
    )
    if low is None or high is None:
        return Found(sockets, None, "the size of an epoll item is not known")
    return Found(sockets, Amount(low.low, high.high))


def _conntrack(snapshot: Snapshot, table: CacheTable) -> Found:
    """The flows that the machine tracks, each with up to `MAX_EXTENSION_BYTES` of extensions."""
    limits = snapshot.socket_limits.value
    here = limits.conntrack_entries if limits else None
    lookup = table.find(NF_CONN)
    if lookup.status == "absent":
        if here:
            return Found(None, None, f"nf_conntrack_count is {here}, and /proc/slabinfo has no row nf_conntrack")
        return Found(NONE, NONE)
    flows = _count_in_use(table, NF_CONN)
    if flows is None:
        return Found(None, None, lookup.reason or "the number of flows is not known")
    flows = Amount(max(flows.low, min(here or 0, flows.high)), flows.high)
    extension = table.kmalloc_cache(MAX_EXTENSION_BYTES)
    low, high = (_slab_bytes(snapshot, table, [(NF_CONN, count)]) for count in flows)
    if low is None or high is None or extension is None or extension.slab_share_bytes is None:
        return Found(flows, None, "the size of a flow is not known")
    return Found(flows, Amount(low.low, high.high + flows.high * extension.slab_share_bytes))


def _ktls(snapshot: Snapshot, table: CacheTable) -> Found:
    """The machine's sockets that use kernel TLS in one direction or in both directions.

    The kernel counts TLS sockets by network namespace, so the upper bounds are infinite if other namespaces may have
    sockets. The number of bytes per TLS socket was measured by `tcptop lab`. A socket that has a TLS context but no
    keys yet is not counted by the kernel.
    """
    counts = tls_sockets(snapshot)
    if counts is None or None in counts:
        is_missing = snapshot.tls_stat.state == "missing"
        why = "not known without tls_stat" if is_missing else "a count of tls_stat is not known"
        return Found(None, None, why)
    tx_software, rx_software, tx_device, rx_device = (count or 0 for count in counts)
    tx, rx = tx_software + tx_device, rx_software + rx_device
    allocated = snapshot.sockstat.value.allocated if snapshot.sockstat.value else None
    here = Amount(max(tx, rx), max(tx, rx, min(tx + rx, tx + rx if allocated is None else allocated)))
    is_partial = may_be_elsewhere(snapshot)
    sockets = here._replace(high=inf) if is_partial else here
    if not here.high:
        return Found(sockets, sockets)
    measured = measured_ktls(snapshot, table)
    if measured is None:
        return Found(sockets, None, "the bytes need --lab FILE, a result of tcptop lab --states ktls on this kernel")
    software = tx_software * measured.tx_bytes + rx_software * measured.rx_bytes
    contexts = here.times(Amount(measured.context_bytes, measured.context_bytes))
    # `tcptop lab` measures only connections that the CPU encrypts. The bytes of connections that the network device
    # encrypts are therefore unknown.
    is_open = is_partial or tx_device or rx_device
    return Found(sockets, Amount(contexts.low + software, inf if is_open else contexts.high + software))


def _buffers(buffers: BufferMemory | None) -> Found:
    if buffers is None:
        return Found(None, None, "sockstat's mem, or its unit, is not known")
    return Found(None, buffers.bounds)


def _count_in_use(table: CacheTable, item: KernelObject) -> Amount | None:
    """Bounds on the number of objects of one kind that are in use.

    If other caches share the row of slabinfo, the lower bound is 0.
    """
    lookup = table.find(item)
    if lookup.status == "absent":
        return NONE
    line = lookup.line
    high = table.row_max_in_use(line) if line is not None else None
    if line is None or high is None:
        return None
    shared = bool(line.aliases) or line.row != line.name
    if shared or line.active_objects is None or line.idle_error_objects is None:
        return Amount(0, high)
    return Amount(max(0, line.active_objects - line.idle_error_objects), high)


def _slab_bytes(snapshot: Snapshot, table: CacheTable, counts: Sequence[tuple[KernelObject, float]]) -> Amount | None:
    """The slab bytes of objects and of the objects' memory cgroup vectors; None if a size is unknown."""
    parts = [cost for item, count in counts for cost in object_costs(snapshot, table, item, count)]
    known = [part for part in parts if isinstance(part, ObjectCost)]
    vectors, all_known = cgroup_vector_costs(snapshot, table, known)
    shares = [part.slab_bytes for part in (*known, *vectors)]
    if len(known) < len(parts) or not all_known or None in shares:
        return None
    return Amount(sum(filter(None, shares)), sum(part.high_slab_bytes or 0.0 for part in (*known, *vectors)))
