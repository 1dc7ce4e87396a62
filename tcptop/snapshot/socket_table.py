"""Table of the machine's TCP sockets, in groups, as one look found them. None means unknown, never 0."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

Asked = Literal["asked", "listeners", "cut", "refused"]
"""What a namespace answered: all its sockets, its listeners alone, a part of its sockets, or nothing."""

OwnerKind = Literal["whole", "sampled", "none", "unseen"]
"""How the owner of a group is known.

`whole`: these sockets were found in a process. `sampled`: these were found in a random sample of the descriptors of a
process. `none`: the sockets have no inode, so no process has them. `unseen`: they have an inode that was not found.
"""


AF_INET, AF_INET6 = 2, 10
"""Families of sockets on Linux."""


class SocketNamespace(NamedTuple):
    """A network namespace, with its counters when it was asked."""

    inode: int | None
    is_here: bool
    found_by: str
    """What leads to it: `process`, `thread`, `mount` or `descriptor`."""
    asked: Asked
    counters: Mapping[str, int]
    """Counts of sockstat (`inuse`, `inuse6`, `tw`, and `orphan`, `alloc`, `mem` of the machine), of netstat, and two
    sysctls; `unread_processes` is the number of its processes whose descriptors could not be read."""
    name: str
    reason: str
    """Reason that it was not asked, or not to the end; empty if it was."""


class Listener(NamedTuple):
    """A listening socket and its accept queue."""

    namespace: int
    family: int
    port: int
    queue: int
    """Connections that wait to be accepted."""
    limit: int
    drops: int | None
    uid: int
    cgroup: int
    pid: int | None


class SocketGroup(NamedTuple):
    """Sockets that have everything below in common, with their sums in bytes."""

    namespace: int
    family: int
    state: str
    """Name of the TCP state, such as ESTABLISHED."""
    is_mini: bool
    """Whether they are mini-sockets: TIME_WAIT, or FIN_WAIT2 after close()."""
    is_server: bool
    port: int | None
    """The local port of the server side, or the other end's port of the client side; None if there are many."""
    uid: int
    cgroup: int
    owner: OwnerKind
    pid: int | None
    sockets: int
    rmem: int
    """Memory of received segments that were not read (sk_rmem_alloc)."""
    fwd: int
    """Charged memory that no segment uses yet (sk_forward_alloc)."""
    wmem_queued: int
    """Memory of segments that were not sent or not acknowledged (sk_wmem_queued)."""
    rqueue: int
    """Bytes of the stream that were not read, and an unread FIN."""
    wqueue: int
    """Bytes of the stream that were not acknowledged, and a SYN or FIN among them."""
    drops: int
    peer: str
    """Network of the other end; empty unless asked for."""

    @property
    def buffer_bytes(self) -> int:
        """What is charged for the buffers: the sum of it over all sockets is `mem` of sockstat."""
        return self.rmem + self.fwd + self.wmem_queued


class SocketRow(NamedTuple):
    """One socket, with fields of its struct tcp_info. None means that the kernel does not tell."""

    far_port: int | None
    inode: int | None
    rqueue: int | None
    """Bytes of the stream that were not read."""
    wqueue: int | None
    """Bytes of the stream that were not acknowledged."""
    rmem: int | None
    wmem_queued: int | None
    last_sent_ms: int | None
    last_received_ms: int | None
    """Time since data was last sent and received."""
    rtt_us: int | None
    cwnd: int | None
    """Congestion window in segments."""
    retransmitted: int | None
    """Segments that were sent again since the connection exists."""
    unsent: int | None
    """Bytes that were not sent yet (tcpi_notsent_bytes)."""
    congestion_control: str
    peer: str


MAX_SOCKET_ROWS = 200
"""Most single sockets of one look, since the kernel locks each of them."""


class RowAsk(NamedTuple):
    """The sockets that the kernel is asked for one by one: those of a namespace, a state, a side and a port."""

    namespace: int
    state: str
    is_server: bool
    port: int


class SocketRows(NamedTuple):
    """Single sockets, and the CPU time of the look at them in microseconds."""

    rows: tuple[SocketRow, ...]
    reason: str | None
    """The reason that sockets are missing; None if all were read, or MAX_SOCKET_ROWS."""
    took_us: int


class SocketProcess(NamedTuple):
    """A process that has sockets, or more descriptors than were looked up."""

    pid: int
    descriptors: int
    """Open descriptors; an estimate before Linux 6.2."""
    max_descriptors: int | None
    """RLIMIT_NOFILE."""
    is_whole: bool
    """Whether all descriptors were looked up."""
    sockets_found: int
    weight: float
    """Number of descriptors that a sampled one stands for."""
    command: str
    namespace: int | None
    """The network namespace that it is in; None if only root may see it."""


class SocketCgroup(NamedTuple):
    """A cgroup2 folder, and the memory that it is charged."""

    path: str
    sock_bytes: int | None
    kernel_bytes: int | None


class SharedSockets(NamedTuple):
    """Sockets of a process that were found in another one, too: it has inherited or received the descriptors.

    They count for `pid` alone. Of sampled processes, these are those that both samples have.
    """

    pid: int
    other_pid: int
    sockets: int


class SocketTable(NamedTuple):
    """All that one look found."""

    took_us: int
    module: str
    """Whether the kernel had tcp_diag before the look: `loaded`, `builtin`, or `loaded now` by the look."""
    scope: str
    """What the look could see: `machine`, `container` in another pid namespace, or `here` if no more was asked for."""
    processes: int
    unread_processes: int
    """Number of processes whose descriptors could not be read."""
    namespaces: tuple[SocketNamespace, ...]
    listeners: tuple[Listener, ...]
    groups: tuple[SocketGroup, ...]
    process_of: Mapping[int, SocketProcess]
    cgroup_of: Mapping[int, SocketCgroup]
    user_of: Mapping[int, str]
    shared: tuple[SharedSockets, ...]
    unread_threads: int
    """Threads whose network namespace was not looked at."""
