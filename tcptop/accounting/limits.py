"""Limits on the number of sockets: memory, tcp_mem, files, ports and others, with the headroom below each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tcptop.accounting.free_memory import SLAB_ZONES
from tcptop.ledger import Limit, Limits, NodeMemory, SocketCounts
from tcptop.snapshot import Snapshot, SocketLimits
from tcptop.text.units import grouped

NO_LIMITS = SocketLimits(None, None, None, None, None, None, None)

UNLIMITED_FILES = 1 << 62
"""A file-max of at least this value is no limit; the kernel's default is LONG_MAX."""

ORPHAN_WEIGHT = 4
"""How often an orphan counts at most: one that retransmits or probes twice, and twice again after a soft error.

At a quarter of tcp_max_orphans the kernel begins to reset such orphans (net/ipv4/tcp_timer.c, tcp_out_of_resources).
"""

MEMORY_NOTE = "free blocks above the low watermark; the kernel could give up page cache, or turn to another node"


NO_MEMORY_LIMIT = Limit(
    "memory", "every socket", None, None, "sockets", None, "machine", "no file tells of the nodes' free memory"
)


def find_limits(
    snapshot: Snapshot,
    sockets: SocketCounts,
    nodes: Sequence[NodeMemory],
    socket_slab_bytes: float | None,
    buffer_bytes_per_socket: float | None,
) -> Limits:
    """Every known limit. Headroom assumes that each new socket has as many buffer bytes as the present average."""
    limits = snapshot.socket_limits.value or NO_LIMITS
    return Limits(
        (
            *(_memory_limits(nodes, socket_slab_bytes, buffer_bytes_per_socket) or [NO_MEMORY_LIMIT]),
            _tcp_mem_limit(sockets, buffer_bytes_per_socket),
            *_file_limit(limits),
            *_limits_of_some_sockets(limits, sockets),
        )
    )


def _memory_limits(nodes: Sequence[NodeMemory], slab_bytes: float | None, buffer_bytes: float | None) -> list[Limit]:
    """One limit for each node: the number of sockets that fit into its free blocks above the low watermarks.

    Beyond this limit, an allocation takes memory from another node or waits for reclaim; an allocation in softirq
    (accepted sockets, request socks, mini-sockets) does not wait.
    """
    # A node without CPUs is used only when the other nodes are full.
    with_slabs = [node for node in nodes if node.cpus != 0 and any(zone.zone in SLAB_ZONES for zone in node.zones)]
    slab_share = slab_bytes / (slab_bytes + buffer_bytes) if slab_bytes and buffer_bytes else 1.0
    return [
        Limit(
            name=f"memory of node {node.node}",
            concerns="every socket",
            used=None,
            maximum=None,
            unit="sockets",
            headroom_sockets=None if node.headroom_sockets is None else int(node.headroom_sockets * slab_share),
            scope="node",
            note="" if index else MEMORY_NOTE,
        )
        for index, node in enumerate(with_slabs)
    ]


def _tcp_mem_limit(sockets: SocketCounts, per_socket: float | None) -> Limit:
    """The third value of tcp_mem limits the buffers of all sockets (net/core/sock.c, __sk_mem_raise_allocated)."""
    unit, pages = sockets.tcp_mem_unit_bytes, sockets.tcp_mem_pages
    if pages is not None and unit is None and sockets.buffer_pages is not None:
        # Both counts are in the same unit, so that their ratio is known.
        percent = f"{100 * sockets.buffer_pages // pages[2]} % of it; " if pages[2] else ""
        note = f"{percent}headroom not known: the size of a page is not"
        return Limit("tcp_mem", "every socket", sockets.buffer_pages, pages[2], "pages", None, "machine", note)
    maximum = pages[2] * unit if pages is not None and unit is not None else None
    headroom: int | None = None
    if maximum is None:
        note = "tcp_mem or its unit is not known"
    elif per_socket is None:
        note = "not known: all that is charged may be the counter's error, or too few sockets have it"
    elif not per_socket:
        note = "idle sockets are charged nothing"
    else:
        headroom = max(0, int((maximum - (sockets.buffer_bytes or 0)) // per_socket))
        note = f"at {grouped(round(per_socket))} B of buffers per socket, as now"
    return Limit("tcp_mem", "every socket", sockets.buffer_bytes, maximum, "bytes", headroom, "machine", note)


def _file_limit(limits: SocketLimits) -> Iterator[Limit]:
    """The limit fs.file-max, which applies to processes without CAP_SYS_ADMIN (fs/file_table.c, alloc_empty_file)."""
    if limits.max_open_files is not None and limits.max_open_files >= UNLIMITED_FILES:
        return
    headroom = _headroom(limits.max_open_files, limits.open_files)
    note = "not known" if headroom is None else "open files of the machine; each process has its own limit besides"
    yield Limit(
        "file-max", "every socket", limits.open_files, limits.max_open_files, "files", headroom, "machine", note
    )


def _limits_of_some_sockets(limits: SocketLimits, sockets: SocketCounts) -> Iterator[Limit]:
    """Limits that concern only some sockets: local ports, TIME_WAIT, orphans and tracked flows."""
    ports = limits.local_ports
    yield Limit(
        "ports",
        "outgoing",
        None,
        None if ports is None else max(0, ports[1] - ports[0] + 1),
        "ports",
        None if ports is None else max(0, ports[1] - ports[0] + 1),
        "here",
        "not known" if ports is None else f"{ports[0]} to {ports[1]}, to one address and port of a peer",
    )
    yield Limit(
        "tcp_max_tw_buckets",
        "TIME_WAIT",
        sockets.time_wait,
        limits.max_time_wait,
        "sockets",
        _headroom(limits.max_time_wait, sockets.time_wait),
        "here",
        "beyond it a closed connection skips TIME_WAIT" if limits.max_time_wait is not None else "not known",
    )
    yield Limit(
        "tcp_max_orphans",
        "orphans",
        sockets.orphans,
        limits.max_orphans,
        "sockets",
        _headroom(None if limits.max_orphans is None else limits.max_orphans // ORPHAN_WEIGHT, sockets.orphans),
        "machine",
        "beyond it a closed connection is reset, and one that retransmits, which counts up to 4 times, from 25 %"
        if limits.max_orphans is not None
        else "not known",
    )
    if limits.conntrack_entries is not None or limits.max_conntrack_entries is not None:
        yield Limit(
            "nf_conntrack_max",
            "tracked flows",
            limits.conntrack_entries,
            limits.max_conntrack_entries,
            "flows",
            _headroom(limits.max_conntrack_entries, limits.conntrack_entries),
            "here",
            "beyond it packets of new connections are dropped, where rules track them",
        )


def _headroom(maximum: int | None, used: int | None) -> int | None:
    return None if maximum is None or used is None else max(0, maximum - used)
