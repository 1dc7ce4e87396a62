"""Who holds the machine's TCP sockets: groups of sockets with their owner and memory, sums, and verdicts."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from tcptop.ledger.amount import Amount
from tcptop.ledger.sockets import CountScope
from tcptop.snapshot.socket_table import Listener, SharedSockets, SocketCgroup, SocketNamespace, SocketProcess

HolderKind = Literal["process", "orphan", "queue", "kernel", "handshake", "no_process", "not_seen"]
"""What owns a group of sockets.

`process`: a process has a descriptor of each.
`orphan`: the program has closed the sockets, and the kernel still sends their data.
`queue`: they wait in an accept queue, so no process has a descriptor yet.
`kernel`: mini-sockets (TIME_WAIT, closed FIN_WAIT2).
`handshake`: SYN_RECV.
`no_process`: they have an inode, but no process has a descriptor, such as a socket in flight (SCM_RIGHTS).
`not_seen`: a process may have them, but its descriptors were not looked up or may not be read.
"""


class Holder(NamedTuple):
    """The owner of a group of sockets."""

    kind: HolderKind
    pid: int | None
    """The process; for `queue` the process that listens. None if unknown, or if no process has the sockets."""
    command: str
    """Name of the process; empty if `pid` is None."""
    is_estimated: bool
    """Whether the number of sockets is an estimate from a sample of the process's descriptors."""


class HolderGroup(NamedTuple):
    """Sockets of one holder that have everything below in common."""

    holder: Holder
    namespace: int
    family: int
    """AF_INET or AF_INET6."""
    state: str
    """TCP state; LISTEN too."""
    is_mini: bool
    is_server: bool
    port: int | None
    """The local port of the server side, or the other end's port of the client side; None if there are many."""
    uid: int | None
    """User; None if the kernel does not tell, as for sockets without an inode before 6.18."""
    cgroup: int
    peer: str
    sockets: float
    """Number of sockets; a fraction only if it is an estimate."""
    slab_bytes: Amount | None
    """Bytes of slab of all of them; None if the cost of the state is unknown."""
    buffer_bytes: float
    """What their buffers are charged: rmem_alloc + forward_alloc + wmem_queued."""
    unread_bytes: float
    """Memory of segments that no program has read."""
    unsent_bytes: float
    """Memory of segments that were not sent or not acknowledged."""
    drops: float


class HolderSums(NamedTuple):
    """The sockets of all groups, beside the kernel's own counters. None if unknown."""

    full: int
    """Full sockets in the dump: all but mini-sockets and handshakes."""
    in_use: int | None
    """`inuse` of all namespaces that were asked, which counts the same sockets."""
    allocated: int | None
    """`alloc` of sockstat: every struct tcp_sock of the machine."""
    in_no_hash: int | None
    """Sockets in no dump: never bound or connected, or in a namespace that was not found.

    None unless every namespace that was found was asked.
    """
    orphans: int
    orphans_counted: int | None
    time_wait: int
    time_wait_counted: int | None
    """`tw` of all namespaces that were asked; of one of them if each counts the machine's."""
    time_wait_scope: CountScope
    queued: int
    queued_counted: int
    """Connections in the accept queues, according to the listeners."""
    buffer_bytes: int
    buffer_bytes_counted: int | None
    """`mem` of sockstat in bytes."""
    buffer_error_bytes: int | None
    """Error of `buffer_bytes_counted`: each CPU may hold back 1 MiB (tcp_memory_per_cpu_fw_alloc)."""
    complete: bool
    """Whether every namespace that was found was asked, and every dump ended."""


class HolderVerdict(NamedTuple):
    """A fact about the sockets that someone should look at."""

    kind: str
    text: str
    sockets: float | None
    bytes: float | None
    pid: int | None = None
    """The process that it is about; None if it is about no single process."""
    namespace: int | None = None
    """The network namespace that it is about; None for the whole machine."""
    port: int | None = None
    """The local port that it is about; None if it is about no single port."""


class Holders(NamedTuple):
    """All that a look at the sockets tells."""

    taken_at_s: float | None
    """Time of the look on the sample's monotonic clock."""
    age_s: float | None
    took_us: int
    module: str
    complete: bool
    """Whether nothing is missing: every socket that is allocated is in a group, and its owner is known."""
    missing: tuple[str, ...]
    """What was not seen, and why."""
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
    """The groups of the look before; None if there was none."""
