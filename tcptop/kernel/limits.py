"""The limits on sockets: the kernel's reaction at each limit, the sources of the figures, and the names for the user.

The use and the headroom are computed in accounting/limits.py, by a function for each limit.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from tcptop.kernel.objects import FILE, MINI_SOCKETS, NF_CONN, KernelObject

LimitName = Literal[
    "memory",
    "tcp_mem",
    "nf_conntrack_max",
    "file_max",
    "tcp_max_orphans",
    "tcp_max_tw_buckets",
    "ports",
    "nofile",
    "listen_queues",
    "memory_cgroup",
]
LimitConcern = Literal["every socket", "outgoing", "TIME_WAIT", "orphans", "tracked flows"]
LimitScope = Literal["machine", "here", "process", "cgroup", "unknown"]
LimitUnit = Literal["bytes", "pages", "files", "sockets", "ports", "flows", "connections"]

TIME_WAIT_LIMIT: Literal["tcp_max_tw_buckets"] = "tcp_max_tw_buckets"
CGROUP_LIMIT: Literal["memory_cgroup"] = "memory_cgroup"

MAX_INT, MAX_LONG = (1 << 31) - 1, (1 << 63) - 1


class Threshold(NamedTuple):
    """The two thresholds of a limit, in per cent of its maximum: `warn` for the state `near`, `critical` for `full`."""

    warn: float
    critical: float


class LimitEvent(NamedTuple):
    """A counter in `EVENTS` that grows when a limit is reached, and the state that the limit then has at least."""

    name: str
    state: Literal["near", "full"]
    word: str
    """The word for the state of the limit if the growth of the counter alone is the reason for it."""
    counts: tuple[str, ...]
    """Texts, from long to short, that follow the growth of the counter and say what was lost."""
    included_in: tuple[str, ...] = ()
    """Names of other counters that count the same losses again."""


class LimitSysctl(NamedTuple):
    """A sysctl with one value that sets the maximum of a limit."""

    name: str
    largest: int
    """The largest value that the kernel accepts."""
    objects: tuple[KernelObject, ...]
    """The objects that the limit counts. An advised value is at most the number of these objects that fit into all
    memory of the machine."""


class KernelLimit(NamedTuple):
    """A limit on sockets. No field has a default, so that every new limit must set all fields."""

    name: LimitName
    """Name of the limit in the JSON, in the settings, in metrics and for `check`."""
    label: str
    """Name of the limit on the screen and on the pages."""
    spelling: str
    """Name of the limit in the line of `check`, which keeps the kernel's names."""
    concerns: LimitConcern
    scope: LimitScope
    """Scope of the limit. `here` is this network namespace; `unknown` is a container or another machine."""
    unit: LimitUnit
    """Unit of the use and of the maximum."""
    then: str
    """The reaction of the kernel when the limit is reached."""
    threshold: Threshold | None
    """The default thresholds; None if the use alone is never an alarm."""
    event: LimitEvent | None
    needs_look: bool
    """True if no file of the kernel reports the use. The use is then known only from a look at all sockets."""
    use_source: str | None
    """Name of the field of Snapshot that contains the use; None if no Reading contains it."""
    maximum_source: str | None
    """Name of the field of Snapshot that contains the maximum; None if no Reading contains it."""
    sysctl: LimitSysctl | None
    """The sysctl that a plan advises to raise. tcp_mem has three values: see plan_sysctls.py."""
    not_planned: str
    """The reason why a plan may not use the limit, for the text of such a plan: `no buffers planned`."""

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the fields of Snapshot from which the limit is computed."""
        return tuple(dict.fromkeys(filter(None, (self.use_source, self.maximum_source))))


TAKES_NOTHING = "the plan takes nothing of it"

LIMITS: tuple[KernelLimit, ...] = (
    KernelLimit(
        name="memory",
        label="memory",
        spelling="memory",
        concerns="every socket",
        scope="machine",
        unit="bytes",
        then="it reclaims memory, then the OOM killer ends a process",
        threshold=Threshold(90, 97),
        event=None,
        needs_look=False,
        use_source="meminfo",
        maximum_source="meminfo",
        sysctl=None,
        not_planned=TAKES_NOTHING,
    ),
    KernelLimit(
        name="tcp_mem",
        label="tcp_mem",
        spelling="tcp_mem",
        concerns="every socket",
        scope="machine",
        unit="bytes",
        then="above the second value windows shrink; above the third data is dropped and senders wait",
        threshold=Threshold(80, 95),
        event=None,
        needs_look=False,
        use_source="sockstat",
        maximum_source="sysctls",
        sysctl=None,
        not_planned="no buffers planned",
    ),
    KernelLimit(
        name="nf_conntrack_max",
        label="conntrack",
        spelling="nf_conntrack_max",
        concerns="tracked flows",
        scope="here",
        unit="flows",
        then="packets of new flows are dropped, unless an old flow can be evicted",
        threshold=Threshold(80, 95),
        event=None,
        needs_look=False,
        use_source="socket_limits",
        maximum_source="socket_limits",
        # An int (net/netfilter/nf_conntrack_standalone.c, nf_ct_sysctl_table).
        sysctl=LimitSysctl("net.netfilter.nf_conntrack_max", MAX_INT, (NF_CONN,)),
        not_planned="no tracked flows planned",
    ),
    KernelLimit(
        name="file_max",
        label="file-max",
        spelling="file-max",
        concerns="every socket",
        scope="machine",
        unit="files",
        then="socket(), accept() and open() fail with ENFILE",
        threshold=Threshold(80, 95),
        event=None,
        needs_look=False,
        use_source="socket_limits",
        maximum_source="socket_limits",
        # A long (fs/file_table.c, fs_stat_sysctls).
        sysctl=LimitSysctl("fs.file-max", MAX_LONG, (FILE,)),
        not_planned=TAKES_NOTHING,
    ),
    KernelLimit(
        name="tcp_max_orphans",
        label="orphans",
        spelling="tcp_max_orphans",
        concerns="orphans",
        scope="machine",
        unit="sockets",
        then="orphans are reset: after errors from 25 %, silent ones from 50 %, each further one at 100 %",
        # The kernel counts an orphan twice while the orphan retransmits or probes, and four times after a soft error
        # (net/ipv4/tcp_timer.c, tcp_out_of_resources). The kernel may therefore reset orphans from 25 % on. At 50 %,
        # the kernel begins to reset every silent orphan.
        threshold=Threshold(25, 50),
        event=None,
        needs_look=False,
        use_source="sockstat",
        maximum_source="socket_limits",
        sysctl=None,
        not_planned="no orphans planned",
    ),
    KernelLimit(
        name=TIME_WAIT_LIMIT,
        label="TIME_WAIT",
        spelling=TIME_WAIT_LIMIT,
        concerns="TIME_WAIT",
        scope="here",
        unit="sockets",
        then="a closed connection skips TIME_WAIT",
        threshold=Threshold(80, 95),
        event=LimitEvent(
            "TCPTimeWaitOverflow",
            "full",
            "skipped in 1 min",
            ("skipped within a minute", "skipped in 1 min", "skipped"),
        ),
        needs_look=False,
        use_source="sockstat",
        maximum_source="socket_limits",
        # An int (net/ipv4/sysctl_net_ipv4.c, ipv4_net_table).
        sysctl=LimitSysctl("net.ipv4.tcp_max_tw_buckets", MAX_INT, MINI_SOCKETS),
        not_planned="no TIME_WAIT planned",
    ),
    KernelLimit(
        name="ports",
        label="ports",
        spelling="ports",
        concerns="outgoing",
        scope="here",
        unit="ports",
        then="connect() fails with EADDRNOTAVAIL",
        threshold=None,
        event=None,
        needs_look=True,
        use_source="socket_table",
        maximum_source="socket_limits",
        sysctl=None,
        not_planned="a plan does not know the peers",
    ),
    KernelLimit(
        name="nofile",
        label="nofile",
        spelling="nofile",
        concerns="every socket",
        scope="process",
        unit="files",
        then="the process gets EMFILE",
        threshold=Threshold(80, 95),
        event=None,
        needs_look=True,
        use_source="socket_table",
        maximum_source="socket_table",
        sysctl=None,
        not_planned="a plan does not know which process opens the sockets",
    ),
    KernelLimit(
        name="listen_queues",
        label="accept queues",
        spelling="accept queues",
        concerns="every socket",
        scope="process",
        unit="connections",
        then="the handshake is dropped, and the client repeats it",
        threshold=None,
        event=LimitEvent(
            "ListenOverflows",
            "near",
            "DROPS",
            (
                "dropped within a minute by a full queue: W shows which",
                *("dropped in 1 min: W shows which", "dropped in 1 min"),
            ),
            included_in=("ListenDrops",),
        ),
        needs_look=True,
        use_source="socket_table",
        maximum_source="socket_table",
        sysctl=None,
        not_planned="a plan does not know which listener accepts them",
    ),
    KernelLimit(
        name=CGROUP_LIMIT,
        label=CGROUP_LIMIT,
        spelling=CGROUP_LIMIT,
        concerns="every socket",
        scope="cgroup",
        unit="bytes",
        then="its sockets' windows shrink, it reclaims its memory, then the OOM killer ends a process in it",
        threshold=Threshold(90, 97),
        event=None,
        needs_look=False,
        use_source=None,
        maximum_source=None,
        sysctl=None,
        not_planned=TAKES_NOTHING,
    ),
)
"""All limits, in the order in which `check` and the settings name them."""

KERNEL_MEMORY_THEN = (
    "socket() and accept() fail at once, with ENFILE, ENOBUFS or ENOMEM; it reclaims nothing, and no window shrinks"
)
"""The reaction of the kernel at memory.kmem.limit_in_bytes of a cgroup of cgroup v1, which Linux has before 5.16.

The kernel charges kernel memory to a counter of its own, and an allocation fails if that counter is full
(mm/memcontrol.c, obj_cgroup_charge_pages, __memcg_kmem_charge). Which error a program gets depends on the object:
ENFILE for the inode, ENOBUFS for the sock, ENOMEM for dentry and file (net/socket.c; net/ipv4/af_inet.c, inet_create).
"""

LIMIT_BY_NAME: Mapping[str, KernelLimit] = {limit.name: limit for limit in LIMITS}
THRESHOLDS: Mapping[str, Threshold] = {limit.name: limit.threshold for limit in LIMITS if limit.threshold}
"""The default thresholds of the limits that have thresholds."""


def limit_label(name: LimitName) -> str:
    """The name that the user sees for a limit."""
    return LIMIT_BY_NAME[name].label


def look_needed_text(live: bool, recorded: bool) -> str:
    """Says that only a look at the sockets tells a figure, and how to get a look.

    Of a saved tree and of a recorded sample it says how to keep one.
    """
    if recorded:
        how = "(this sample has no recent list of them; tcptop record --who keeps one)"
    else:
        how = "(W, tcptop who)" if live else "(this saved tree has no list of them; tcptop record --who keeps one)"
    return f"only a look at the sockets tells {how}"
