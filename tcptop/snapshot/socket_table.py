"""Table of the machine's TCP sockets in groups, from one reading of all sockets over netlink.

None means unknown, never 0.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

Asked = Literal["asked", "listeners", "cut", "refused"]
"""Tells which sockets of a namespace were read.

`asked`: all sockets. `listeners`: only the listening sockets. `cut`: some of the sockets. `refused`: no socket.
"""

OwnerKind = Literal["whole", "sampled", "none", "unseen"]
"""The way in which the owner of a group of sockets was found.

`whole`: all descriptors of the owner were read, and the sockets are among them. `sampled`: the sockets were found in a
random sample of a process's descriptors. `none`: the sockets have no inode, so no process holds them. `unseen`: the
sockets have an inode, but no descriptor with this inode was found.
"""


HiddenBy = Literal["pid_namespace", "hidepid", "other"]
"""The reason why processes were hidden from tcptop.

`pid_namespace`: tcptop's procfs shows only the processes of a PID namespace other than the machine's first PID
namespace. `hidepid`: an option of procfs. `other`: a reason that only a later version of tcptop knows.
"""


MAX_SANDBOX_DESCRIPTORS = 2
"""Largest RLIMIT_NOFILE of a process that is never to open a file: it leaves no room for the standard streams."""

AF_INET, AF_INET6 = 2, 10
"""Address families of sockets on Linux."""


class SocketNamespace(NamedTuple):
    """A network namespace, with the values of its counters at the time when the sockets were read."""

    inode: int | None
    is_here: bool
    found_by: str
    """The kind of file that led to the namespace: `process`, `thread`, `mount` or `descriptor`."""
    asked: Asked
    counters: Mapping[str, int]
    """Counters of sockstat and of netstat, and two sysctls, by name. `inuse`, `inuse6` and `tw` cover the namespace;
    `orphan`, `alloc` and `mem` cover the whole machine; `alloc_before` is `alloc` before the descriptors were read. The
    entry `unread_processes` is the number of processes in the namespace whose descriptors could not be read."""
    name: str
    reason: str
    """The reason why some or all sockets of the namespace were not read; empty if all sockets were read."""


def is_elsewhere(namespaces: Iterable[SocketNamespace], namespace: int | None) -> bool:
    """True if a network namespace, by its inode, is surely another one than that of tcptop."""
    here = {each.inode for each in namespaces if each.is_here} - {None}
    return bool(here) and namespace is not None and namespace not in here


class Listener(NamedTuple):
    """A listening socket and its accept queue."""

    namespace: int
    family: int
    port: int
    queue: int
    """Number of connections that wait to be accepted."""
    limit: int
    drops: int | None
    uid: int
    cgroup: int
    pid: int | None


class SocketGroup(NamedTuple):
    """A group of sockets that share a namespace, state, owner and other properties, with the sums of their bytes."""

    namespace: int
    family: int
    state: str
    """Name of the TCP state, such as ESTABLISHED."""
    is_mini: bool
    """True if the sockets are mini-sockets: TIME_WAIT, or FIN_WAIT2 after close()."""
    is_server: bool
    port: int | None
    """The local port of the server side, or the remote port of the client side; None if the group has many ports."""
    uid: int
    cgroup: int
    owner: OwnerKind
    pid: int | None
    sockets: int
    rmem: int
    """Memory of segments that were received but not yet read by the program (sk_rmem_alloc)."""
    fwd: int
    """Memory that is charged to the socket but not yet used by a segment (sk_forward_alloc)."""
    wmem_queued: int
    """Memory of segments that were not sent yet, or not acknowledged yet (sk_wmem_queued)."""
    rqueue: int
    """Bytes of the stream that the program has not read yet; an unread FIN counts as one byte."""
    wqueue: int
    """Bytes of the stream that were not acknowledged yet; a SYN or FIN counts as one byte."""
    drops: int
    peer: str
    """Network of the remote end; empty unless the user asks for remote networks."""
    is_fast_open: bool = False
    """True if the sockets are full sockets in SYN_RECV (TCP Fast Open)."""

    @property
    def is_request(self) -> bool:
        """True if the sockets are request socks, which have neither an inode nor buffers."""
        return self.state == "SYN_RECV" and self.owner == "none" and not self.is_fast_open

    @property
    def is_full(self) -> bool:
        """True if each socket has a struct tcp_sock: it is neither a mini-socket nor a request sock."""
        return not self.is_mini and not self.is_request

    @property
    def buffer_bytes(self) -> int:
        """Memory charged for the buffers of the group; the sum over all groups is the counter `mem` of sockstat."""
        return self.rmem + self.fwd + self.wmem_queued


class SocketRow(NamedTuple):
    """One socket, with fields of the kernel's struct tcp_info. None means that the kernel does not give the value."""

    far_port: int | None
    inode: int | None
    rqueue: int | None
    """Bytes of the stream that the program has not read yet."""
    wqueue: int | None
    """Bytes of the stream that were not acknowledged yet."""
    rmem: int | None
    wmem_queued: int | None
    last_sent_ms: int | None
    last_received_ms: int | None
    """Time since data was last received; `last_sent_ms` is the time since data was last sent."""
    rtt_us: int | None
    cwnd: int | None
    """Congestion window in segments."""
    retransmitted: int | None
    """Number of segments that were sent again since the connection began."""
    unsent: int | None
    """Number of bytes that were not sent yet (tcpi_notsent_bytes)."""
    congestion_control: str
    peer: str


MAX_SOCKET_ROWS = 200
"""Maximum number of sockets that are read one by one. The number is small, because each of these reads takes the lock
of a socket."""


class RowAsk(NamedTuple):
    """Selects sockets to be read one by one: the sockets of one namespace, TCP state, side and port."""

    namespace: int
    state: str
    is_server: bool
    port: int


class SocketRows(NamedTuple):
    """Sockets that were read one by one, and the CPU time of the read in microseconds."""

    rows: tuple[SocketRow, ...]
    reason: str | None
    """The reason why sockets are missing from `rows`. None if all sockets were read, or if MAX_SOCKET_ROWS sockets were
    read."""
    took_us: int


class SocketProcess(NamedTuple):
    """A process that has sockets, or a process that has more descriptors than were read."""

    pid: int
    descriptors: int
    """Number of open descriptors; an estimate before Linux 6.2."""
    max_descriptors: int | None
    """RLIMIT_NOFILE."""
    is_whole: bool
    """True if all descriptors of the process were read."""
    sockets_found: int
    weight: float
    """Number of the process's descriptors that each descriptor in the random sample represents."""
    command: str
    namespace: int | None
    """The network namespace of the process; None if only root may see it."""
    below_limit: int | None = None
    """Number of open descriptors whose numbers are below `max_descriptors`; None if these are all."""
    below_limit_error: int = 0
    """Error of `below_limit`, in either direction."""

    @property
    def opens_files(self) -> bool:
        """True if RLIMIT_NOFILE is known and leaves room for files.

        A sandbox sets a limit of 0 to 2 so that a process opens none, as OpenSSH does until a user has logged in
        (sandbox-seccomp-filter.c).
        """
        return (self.max_descriptors or 0) > MAX_SANDBOX_DESCRIPTORS

    @property
    def limited_descriptors(self) -> int:
        """Number of open descriptors that count against `max_descriptors`.

        A new descriptor gets a number below the limit (fs/file.c, alloc_fd), so those above it take none of these.
        """
        return self.descriptors if self.below_limit is None else self.below_limit


class SocketCgroup(NamedTuple):
    """A folder of cgroup2, and the memory that is charged to the cgroup."""

    path: str
    sock_bytes: int | None
    kernel_bytes: int | None


class SharedSockets(NamedTuple):
    """Sockets that two processes share, because one process inherited or received descriptors of the other process.

    Shared sockets count as sockets of the process `pid` alone. If the descriptors of the processes were sampled, only
    those sockets in the sample of `other_pid` are counted that are in the sample of `pid` too, or that `pid` has under
    the same number.
    """

    pid: int
    other_pid: int
    sockets: int


class SocketTable(NamedTuple):
    """All sockets, processes and namespaces that one reading of the sockets found."""

    took_us: int
    module: str
    """State of the kernel module tcp_diag: `loaded`, `builtin`, or `loaded now` if the kernel loaded the module to
    answer the request."""
    scope: str
    """The part of the system whose sockets could be read. `machine`: the whole machine. `container`: tcptop runs in a
    pid namespace other than the machine's first pid namespace. `here`: the user asked only for this network namespace.
    """
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
    """Number of threads whose network namespace was not read."""
    hidden_by: tuple[HiddenBy, ...] = ()
    """The reasons why processes were hidden; empty if procfs showed all processes of the machine. A hidden process may
    have any socket whose descriptor was not found."""
    cgroups_visible: bool = True
    """False if some cgroups of the machine are not visible from tcptop's cgroup namespace or mounts. A cgroup that
    `cgroup_of` lacks may then still exist."""
