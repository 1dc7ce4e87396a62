"""The holders of the machine's TCP sockets: groups of sockets with their owner and memory, sums, and verdicts."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from tcptop.ledger.amount import Amount
from tcptop.ledger.sockets import CountScope
from tcptop.snapshot.socket_table import Listener, SharedSockets, SocketCgroup, SocketNamespace, SocketProcess

HolderKind = Literal["process", "orphan", "queue", "kernel", "handshake", "no_process", "not_seen"]
"""The kind of owner of a group of sockets.

`process`: a process has a descriptor of each socket.
`orphan`: the program has closed the sockets, but the kernel still sends their data.
`queue`: the sockets wait in an accept queue, so no process has a descriptor of them yet.
`kernel`: the sockets are mini-sockets (TIME_WAIT, closed FIN_WAIT2).
`handshake`: request socks, in SYN_RECV. A full socket in SYN_RECV (TCP Fast Open) has a process, or waits in a queue.
`no_process`: the sockets have an inode, but no process has a descriptor: a socket is being sent to another process
(SCM_RIGHTS), is registered with io_uring, is in the descriptor table of a single thread (CLONE_FILES), or is the
kernel's.
`not_seen`: a process may have the sockets, but tcptop did not read the descriptors of this process, or had no
permission to read them, or the process is hidden from tcptop, or the sockets were opened since.
"""


class Holder(NamedTuple):
    """The owner of a group of sockets."""

    kind: HolderKind
    pid: int | None
    """PID of the process; for `queue`, the PID of the process that listens. None if the PID is unknown, or if no
    process has the sockets."""
    command: str
    """Name of the process; empty if `pid` is None."""
    is_estimated: bool
    """True if the number of sockets is an estimate from a random sample of the process's descriptors; for `no_process`
    and `not_seen`, if the number is what the estimates leave."""


class HolderGroup(NamedTuple):
    """Sockets of one holder that have the same namespace, state, port and other properties."""

    holder: Holder
    namespace: int
    family: int
    """AF_INET or AF_INET6."""
    state: str
    """The TCP state of the sockets, including LISTEN."""
    is_mini: bool
    is_server: bool
    port: int | None
    """The local port of the server side, or the remote port of the client side; None if there are many."""
    uid: int | None
    """User id of the sockets' owner; None if the kernel does not report the id. Kernels before 6.18 report no user id
    of a socket without an inode."""
    cgroup: int
    peer: str
    sockets: float
    """Number of sockets; a fraction only if the number is an estimate."""
    slab_bytes: Amount | None
    """Slab bytes of all sockets of the group; None if the cost of the state is unknown."""
    buffer_bytes: float
    """Bytes of the buffers: rmem_alloc + forward_alloc + wmem_queued. HolderSums.charged() has what is charged."""
    unread_bytes: float
    """Memory of segments that no program has read yet."""
    unsent_bytes: float
    """Memory of segments that were not sent yet, or not acknowledged yet."""
    drops: float | None
    """Dropped segments, or the dropped connections of a listener; None if the kernel does not report a listener's
    drops."""
    counted_sockets: int
    """Lower bound on `sockets`: without the sockets that only an estimate gives to the holder."""
    counted_buffer_bytes: int
    """Bytes of the buffers of the counted sockets, as `buffer_bytes`."""


class HolderSums(NamedTuple):
    """The sums over all groups, and the kernel's own counters for comparison. None if unknown."""

    full: int
    """Number of full sockets in the dump: all sockets except mini-sockets and handshakes."""
    in_use: int | None
    """Sum of `inuse` over all namespaces that were read; `inuse` counts the same sockets as `full`."""
    allocated: int | None
    """Counter `alloc` of sockstat: every struct tcp_sock of the machine."""
    in_no_hash: int | None
    """Number of sockets that appear in no dump: never connected, in a namespace that tcptop did not find, or unhashed.

    A reset or a timeout ends a connection and unhashes its socket, which stays allocated until its program closes it.
    The number is None if tcptop found a namespace but did not read it.
    """
    orphans: int
    orphans_counted: int | None
    time_wait: int
    time_wait_counted: int | None
    """Sum of the counter `tw` over all namespaces that were read. If `tw` counts the whole machine, the value is
    `tw` of a single namespace."""
    time_wait_scope: CountScope
    queued: int
    queued_counted: int
    """Number of connections in the accept queues, according to the listeners."""
    queued_ended: int | None
    """Number of ended connections that still wait in accept queues: `queued_counted` less `queued`, at most
    `in_no_hash`. A reset unhashes the socket, so that no dump contains it, but it waits to be accepted."""
    buffer_bytes: int
    """Bytes of the buffers of all groups. wmem_queued, which is in it, has segments that are not charged: those whose
    pages are all a program's (MSG_ZEROCOPY; net/ipv4/tcp.c, skb_zcopy_pure)."""
    buffer_low_bytes: int
    """Lower bound on what is charged of `buffer_bytes`: as much, unless this is more than may be charged."""
    buffer_high_bytes: int
    """Upper bound on what is charged of `buffer_bytes`."""
    buffer_bytes_counted: int | None
    """Counter `mem` of sockstat, in bytes."""
    buffer_error_bytes: int | None
    """Error of `buffer_bytes_counted`: each CPU may hold up to 1 MiB that is not counted yet
    (tcp_memory_per_cpu_fw_alloc)."""
    buffer_error_is_assumed: bool
    """As in SocketCounts."""
    complete: bool
    """True if tcptop read each namespace that it found, and every dump was complete."""
    came_or_went: bool = False
    """True if sockets were surely opened or closed during the reading: `allocated` changed, or `full` is more."""

    @property
    def are_all_charged(self) -> bool:
        """True if all buffers count as charged."""
        return self.buffer_low_bytes == self.buffer_bytes

    def charged(self, buffer_bytes: float, unsent_bytes: float) -> Amount:
        """Bounds on the bytes that some of the sockets are charged for their buffers.

        Only unsent segments may be without a charge.
        """
        if self.are_all_charged:
            return Amount(buffer_bytes, buffer_bytes)
        high = max(0.0, min(buffer_bytes, self.buffer_high_bytes))
        uncharged = min(unsent_bytes, self.buffer_bytes - self.buffer_low_bytes)
        return Amount(min(high, max(0.0, buffer_bytes - uncharged)), high)


WHILE_READ = "opened or closed while it read"
"""Words for sockets that make a reading differ from the kernel's counters, which were read at another moment."""
ONE_LOOK = "(one look)"
"""End of the text of a verdict that a second look would confirm."""
QUIET_KINDS = frozenset({"time_wait", "TCPTimeWaitOverflow", "queue_near"})
"""Kinds of verdicts that are no alarm: the limit of mini-sockets stops no socket, and an accept queue near its limit is
usual for an instant."""


class HolderVerdict(NamedTuple):
    """A fact about the sockets that needs the attention of an administrator."""

    kind: str
    text: str
    sockets: float | None
    bytes: float | None
    pid: int | None = None
    """The process that the verdict is about; None if the verdict does not concern a single process."""
    namespace: int | None = None
    """The network namespace that the verdict is about; None if the verdict concerns the whole machine."""
    port: int | None = None
    """The local port that the verdict is about; None if the verdict does not concern a single port."""
    remedy: str = ""
    """What to do about it; empty if there is nothing that always helps."""


class Holders(NamedTuple):
    """All figures about the holders, from one reading of the machine's sockets."""

    taken_at_s: float | None
    """Time of the reading, on the monotonic clock of the sample."""
    age_s: float | None
    took_us: int
    module: str
    complete: bool
    """True if nothing is missing: every allocated socket is in a group with a known owner."""
    missing: tuple[str, ...]
    """The sockets or processes that the reading lacks, each with the reason."""
    namespaces: tuple[SocketNamespace, ...]
    sums: HolderSums
    groups: tuple[HolderGroup, ...]
    listeners: tuple[Listener, ...]
    shared: tuple[SharedSockets, ...]
    process_of: Mapping[int, SocketProcess]
    cgroup_of: Mapping[int, SocketCgroup]
    user_of: Mapping[int, str]
    verdicts: tuple[HolderVerdict, ...]
    groups_before: tuple[HolderGroup, ...] | None
    """The groups of the previous reading; None if this is the first reading."""
    all_processes_seen: bool = True
    """False if processes were hidden from tcptop, or if the descriptors of a process were not read."""
    cgroups_visible: bool = True
    """As in SocketTable."""
    all_namespaces_seen: bool = True
    """False if there may be network namespaces that the reading did not find: those of hidden processes, and those
    that only the threads, descriptors or mounts of an unread process lead to."""
