"""Past drops, overflows and resets in the kernel: the counters of these events, and the limits that cause them."""

from typing import Literal, NamedTuple

from tcptop.kernel.limits import LimitName

EventUnit = Literal["packets", "connections", "times", "ms", "buffers", "flows"]


class KernelEvent(NamedTuple):
    """A counter of the kernel, and a text that says which events the counter counts."""

    name: str
    source: Literal["netstat", "snmp", "conntrack_stats"]
    """Name of the field of Snapshot that contains the counter."""
    counter: str
    """Name of the counter in the kernel's file."""
    unit: EventUnit
    limit: LimitName | None
    """Name of the limit that causes the event; None if `LIMITS` has no such limit."""
    counts: str
    """The event that increments the counter by one."""
    is_routine: bool = False
    """True if ordinary traffic also increments the counter; growth of the counter is then no alarm."""


CONNTRACK = "nf_conntrack_"

EVENTS: tuple[KernelEvent, ...] = (
    KernelEvent(
        "TCPAbortOnMemory",
        "netstat",
        "TCPAbortOnMemory",
        "connections",
        "tcp_mem",
        "closing connections and orphans that were reset, because buffers were above the third value of tcp_mem, or"
        " too many orphans counted against tcp_max_orphans",
    ),
    KernelEvent(
        "TCPMemoryPressures",
        "netstat",
        "TCPMemoryPressures",
        "times",
        "tcp_mem",
        "how often TCP's buffers came under memory pressure, above the second value of tcp_mem; it moves on entering"
        " only, in the network namespace whose socket entered",
    ),
    KernelEvent(
        "TCPMemoryPressuresChrono",
        "netstat",
        "TCPMemoryPressuresChrono",
        "ms",
        "tcp_mem",
        "milliseconds under memory pressure; it moves on leaving only, in the network namespace whose socket left",
    ),
    KernelEvent(
        "TCPTimeWaitOverflow",
        "netstat",
        "TCPTimeWaitOverflow",
        "connections",
        "tcp_max_tw_buckets",
        "connections that skipped TIME_WAIT, because tcp_max_tw_buckets was reached; a failed atomic allocation of a"
        " mini-socket counts too",
    ),
    KernelEvent(
        f"{CONNTRACK}drop",
        "conntrack_stats",
        "drop",
        "packets",
        "nf_conntrack_max",
        "packets dropped because no flow could be made for them: the table was full and no flow could be evicted, or"
        " memory was short, or two packets made the same flow at once",
    ),
    KernelEvent(
        f"{CONNTRACK}early_drop",
        "conntrack_stats",
        "early_drop",
        "flows",
        "nf_conntrack_max",
        "flows evicted from a full table to make place for new ones",
    ),
    KernelEvent(
        "ListenOverflows",
        "netstat",
        "ListenOverflows",
        "packets",
        "listen_queues",
        "SYNs and last ACKs of handshakes that were dropped because the accept queue was full; it counts packets, each"
        " repeated SYN again",
    ),
    KernelEvent(
        "ListenDrops",
        "netstat",
        "ListenDrops",
        "packets",
        "listen_queues",
        "SYNs and last ACKs that listeners dropped for any reason; it counts packets, each repeated SYN again, and"
        " includes ListenOverflows",
    ),
    KernelEvent(
        "TCPReqQFullDrop",
        "netstat",
        "TCPReqQFullDrop",
        "packets",
        "listen_queues",
        "SYNs dropped because the queue of request socks was full and SYN cookies are off",
    ),
    KernelEvent(
        "TCPReqQFullDoCookies",
        "netstat",
        "TCPReqQFullDoCookies",
        "packets",
        "listen_queues",
        "SYNs for which a cookie was chosen because the queue of request socks was full; it moves for every SYN with"
        " tcp_syncookies = 2",
    ),
    KernelEvent(
        "SyncookiesSent",
        "netstat",
        "SyncookiesSent",
        "packets",
        "listen_queues",
        "SYNs answered with a SYN cookie in place of a request sock",
    ),
    KernelEvent(
        "TCPRcvQDrop",
        "netstat",
        "TCPRcvQDrop",
        "packets",
        "tcp_mem",
        "segments in order that were dropped because tcp_mem, or the socket's receive buffer, had no space",
    ),
    KernelEvent(
        "TCPOFODrop",
        "netstat",
        "TCPOFODrop",
        "packets",
        "tcp_mem",
        "segments out of order that were dropped because tcp_mem, or the socket's receive buffer, had no space",
    ),
    KernelEvent(
        "RcvPruned",
        "netstat",
        "RcvPruned",
        "times",
        None,
        "how often pruning a receive queue freed too little, so that the segment that came was dropped",
    ),
    KernelEvent(
        "PruneCalled",
        "netstat",
        "PruneCalled",
        "times",
        None,
        "how often a receive queue was pruned, because the socket's receive buffer (tcp_rmem) or tcp_mem was exceeded",
    ),
    KernelEvent(
        "OfoPruned",
        "netstat",
        "OfoPruned",
        "times",
        None,
        "how often pruning dropped segments that had been received out of order",
    ),
    KernelEvent(
        "TCPRcvCollapsed",
        "netstat",
        "TCPRcvCollapsed",
        "buffers",
        None,
        "buffers of receive queues that were copied into fewer ones to save memory",
    ),
    KernelEvent(
        "TCPBacklogDrop",
        "netstat",
        "TCPBacklogDrop",
        "packets",
        None,
        "segments dropped because the socket's backlog was full while a program held the socket",
    ),
    KernelEvent(
        f"{CONNTRACK}insert_failed",
        "conntrack_stats",
        "insert_failed",
        "flows",
        None,
        "flows that were not inserted, because the same flow was in the table already or a hash chain was too long",
    ),
    KernelEvent(
        "TCPAbortOnClose",
        "netstat",
        "TCPAbortOnClose",
        "connections",
        None,
        "connections reset because their program closed them before it had read all data",
        is_routine=True,
    ),
    KernelEvent(
        "AttemptFails",
        "snmp",
        "AttemptFails",
        "connections",
        None,
        "connections that failed in the handshake, on either side",
        is_routine=True,
    ),
    KernelEvent(
        "EstabResets",
        "snmp",
        "EstabResets",
        "connections",
        None,
        "connections that went from ESTABLISHED or CLOSE_WAIT straight to CLOSE: resets of either side",
        is_routine=True,
    ),
    KernelEvent("OutRsts", "snmp", "OutRsts", "packets", None, "segments sent with the flag RST", is_routine=True),
)
"""All events, the most severe first. The counters are in include/uapi/linux/snmp.h and linux/netfilter/nf_conntrack.h.

Functions in net/ipv4 that count the events: tcp_check_oom, sk_enter_memory_pressure, tcp_time_wait, tcp_conn_request,
tcp_v4_syn_recv_sock, tcp_syn_flood_action, tcp_data_queue, tcp_prune_queue, tcp_add_backlog, __tcp_close, tcp_set_state
and tcp_send_active_reset.
Functions in net/netfilter/nf_conntrack_core.c that count the events: nf_conntrack_in, early_drop, nf_ct_resolve_clash.
"""


def counters_in(source: str) -> tuple[str, ...]:
    """The names of the counters in the given field of Snapshot."""
    return tuple(event.counter for event in EVENTS if event.source == source)
