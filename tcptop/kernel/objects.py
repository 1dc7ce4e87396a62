"""The catalogue: the kernel objects behind a TCP socket, as data.

Each entry has the object's struct, the object's slab cache, the states in which a socket holds the object, and the
functions that allocate and free the object. The catalogue has no sizes for objects with a cache of their own, because
the host shows the size of each cache. If the host's files do not show an object's cache, the host's kernel may still
have the object. The fields `always`, `protocol`, `never_merged_since`, `since` and `until` help to decide whether the
kernel has the object. The call paths from a system call to each allocation are in `call_paths`.
"""

from collections.abc import Iterable
from enum import Enum
from typing import Literal, NamedTuple

from tcptop.kernel.release import Release


class State(Enum):
    """TCP states.

    If the memory of sockets differs within a state, the state is split (net/ipv4/tcp.c, tcp_set_state).
    """

    LISTEN = "LISTEN"
    SYN_RECV = "SYN_RECV"
    ACCEPT_QUEUE = "accept queue"
    """Established connection that accept(2) has not returned yet."""
    ESTABLISHED = "ESTABLISHED"
    CLOSE_WAIT = "CLOSE_WAIT"
    FIN_WAIT2 = "FIN_WAIT2 (open)"
    """FIN_WAIT2 after shutdown(2), with the file descriptor still open."""
    FIN_WAIT2_CLOSED = "FIN_WAIT2 (closed)"
    """FIN_WAIT2 after close(2): the mini-socket that TIME_WAIT uses later."""
    ORPHAN = "orphan"
    """Socket closed by its program, in a connection that TCP has not ended yet: FIN_WAIT1, CLOSING, LAST_ACK."""
    TIME_WAIT = "TIME_WAIT"


WITH_FILE = frozenset({State.LISTEN, State.ESTABLISHED, State.CLOSE_WAIT, State.FIN_WAIT2})
WITH_SOCK = WITH_FILE | {State.ACCEPT_QUEUE, State.ORPHAN}
AS_MINI_SOCKET = frozenset({State.FIN_WAIT2_CLOSED, State.TIME_WAIT})
WITH_PORT = WITH_SOCK | AS_MINI_SOCKET
AS_REQUEST = frozenset({State.SYN_RECV, State.ACCEPT_QUEUE})
ANY_STATE = frozenset(State)

Per = Literal[
    "socket",
    "mini-socket, as in TIME_WAIT",
    "handshake",
    "local port",
    "local port and address",
    "slab",
    "destination",
]


class KernelObject(NamedTuple):
    """A kind of object that the kernel allocates for TCP sockets."""

    struct: str
    label: str
    """Short name of the object on the screen; the costs of objects with the same label are added up."""
    purpose: str
    """Use of the object, in one phrase."""
    definition: str
    """Definition of the object in two sentences, for a reader who knows no kernel code."""
    caches: tuple[str, ...]
    """Every name of the object's cache in /sys/kernel/slab, newest first; empty if the object comes from kmalloc."""
    held_in: frozenset[State]
    allocated_by: str
    freed_by: str
    family: Literal["ipv4", "ipv6"] | None = None
    """Address family that uses the object; None if both families use it."""
    per: Per = "socket"
    only_with: str | None = None
    """Action or traffic that makes the kernel allocate the object; None if every socket in a state of `held_in` has the
    object.
    """
    tcp_only: bool = False
    """True if only TCP uses the cache, so that TCP owns all objects in the cache. If other parts of
    the kernel also use the cache, TCP's share of the objects is computed from the numbers of sockets.
    """
    accounted: bool = False
    """True if the cache has SLAB_ACCOUNT: each slab then has a vector that records every object's memory cgroup."""
    detected_by: str = "the name of its cache, in /proc/slabinfo or /sys/kernel/slab"
    """Text to look for in a kernel file; a file with this text shows that the kernel has the object."""
    btf_struct: str | None = None
    """BTF struct whose size is the size of the object; None if there is no such struct."""
    names_before_slub: tuple[str, ...] = ()
    """Older names of the cache, found only in /proc/slabinfo of kernels with the SLAB allocator. The names of TCP's own
    caches changed in 2.6.11 to 2.6.13; the name `dentry_cache` changed in 2.6.24.
    """
    name_in_namespace: str | None = None
    """Pattern of the cache's names on kernels that have the cache once for each network namespace."""
    hwcache_align: bool = False
    """True if the cache has SLAB_HWCACHE_ALIGN: objects are then aligned to cache lines."""
    outer_free_pointer: bool = False
    """True if the cache has SLAB_TYPESAFE_BY_RCU or a constructor: the free pointer then follows the struct, unless a
    field of the struct is reserved for the pointer.
    """
    kmalloc_bytes: int | None = None
    """Size of the struct that kmalloc allocates; None if the size is not a constant."""
    cache_line_aligned: bool = False
    """True if the struct has ____cacheline_aligned_in_smp: the size passed to kmalloc is then a multiple of the cache
    line size.
    """
    always: bool = False
    """True if every kernel with TCP has the object, in all releases from `since` to `until`. If complete kernel files
    do not show the cache of an object that every kernel has, the cache is merged with another cache.
    """
    protocol: str | None = None
    """The protocol whose registration creates the cache, by its name in /proc/net/protocols. If the protocol is not
    registered, neither the cache nor a socket of the protocol can exist.
    """
    never_merged_since: Release | None = None
    """First release whose kernel never merges this cache with another cache. If a complete slabinfo of this release or
    of a later release has no row for the cache, the cache does not exist.

    Caches with SLAB_TYPESAFE_BY_RCU, SLAB_NO_MERGE or a constructor are never merged (mm/slab_common.c,
    SLAB_NEVER_MERGE).
    """
    since: Release | None = None
    """First release that has the object."""
    until: Release | None = None
    """First release that no longer has the object."""
    commit: str | None = None
    """Commit that added or removed the object."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that the object's cache has had, newest first."""
        return self.caches + self.names_before_slub

    @property
    def always_held(self) -> bool:
        """True if every socket in a state of `held_in` has the object, whatever the socket's program does."""
        return self.only_with is None and self.per != "destination"

    def is_outside(self, release: Release | None) -> bool:
        """True if a release is too old or too new to have the object."""
        if release is None:
            return False
        return (self.since is not None and release < self.since) or (self.until is not None and release >= self.until)


TCP_SOCK = KernelObject(
    struct="struct tcp_sock",
    label="TCP",
    purpose="the protocol's own state: sequence numbers, windows, timers, queues, congestion control",
    definition=(
        "The kernel's record of one TCP connection over IPv4: its addresses, what was sent and received, its "
        "timers. It is the largest part of a socket."
    ),
    caches=("TCP",),
    names_before_slub=("tcp_sock",),
    btf_struct="tcp_sock",
    hwcache_align=True,
    outer_free_pointer=True,
    accounted=True,
    held_in=WITH_SOCK,
    family="ipv4",
    tcp_only=True,
    allocated_by="sk_prot_alloc()",
    freed_by="sk_prot_free()",
    always=True,
    never_merged_since=(2, 6, 29),
)

TCP6_SOCK = KernelObject(
    struct="struct tcp6_sock",
    label="TCPv6",
    purpose="struct tcp_sock and the addresses and options of IPv6; also IPv4 over an IPv6 socket",
    definition=(
        "The kernel's record of one TCP connection of an IPv6 socket: a struct tcp_sock with the longer "
        "addresses of IPv6 behind it. An IPv6 socket that carries IPv4 has it, too."
    ),
    caches=("TCPv6",),
    names_before_slub=("tcp6_sock",),
    btf_struct="tcp6_sock",
    hwcache_align=True,
    outer_free_pointer=True,
    accounted=True,
    held_in=WITH_SOCK,
    family="ipv6",
    tcp_only=True,
    allocated_by="sk_prot_alloc()",
    freed_by="sk_prot_free()",
    protocol="TCPv6",
    never_merged_since=(2, 6, 29),
)

SOCKET_ALLOC = KernelObject(
    struct="struct socket_alloc",
    label="inode",
    purpose="struct socket, which system calls know, and the inode that makes it a file",
    definition=(
        "The side of a socket that a program sees: struct socket, which system calls use, and the inode that "
        "makes the socket a file. It exists as long as a program has the socket open."
    ),
    caches=("sock_inode_cache",),
    btf_struct="socket_alloc",
    hwcache_align=True,
    outer_free_pointer=True,
    accounted=True,
    held_in=WITH_FILE,
    allocated_by="sock_alloc_inode()",
    freed_by="sock_free_inode(), after a grace period",
    always=True,
    never_merged_since=(2, 6, 22),
)

SOCKET_WQ = KernelObject(
    struct="struct socket_wq",
    label="wq",
    purpose="the wait queue of those who sleep or poll on the socket",
    definition=(
        "The list of the processes and epoll sets that wait until something happens on the socket. Before Linux "
        "2.6.35 and since 5.3 it is a part of struct socket, and no object of its own."
    ),
    caches=(),
    kmalloc_bytes=56,
    held_in=WITH_FILE,
    detected_by="the release, and the size of struct socket_alloc, which holds it before 2.6.35 and since 5.3",
    allocated_by="sock_alloc_inode()",
    freed_by="sock_destroy_inode(), after a grace period",
    cache_line_aligned=True,
    since=(2, 6, 35),
    until=(5, 3),
    commit="43815482370c, 333f7909a857",
)

DENTRY = KernelObject(
    struct="struct dentry",
    label="dentry",
    purpose="the name of the file, socket:[inode], in a file system that nobody can list",
    definition=(
        "The kernel's record of the name of a file; every open file has one. The name of a socket is "
        "socket:[number of its inode], and stands in no directory."
    ),
    caches=("dentry",),
    names_before_slub=("dentry_cache",),
    btf_struct="dentry",
    accounted=True,
    held_in=WITH_FILE,
    allocated_by="sock_alloc_file() → d_alloc_pseudo()",
    freed_by="dput() → __dentry_kill()",
    always=True,
)

FILE = KernelObject(
    struct="struct file",
    label="file",
    purpose="the open file that a descriptor points to",
    definition=(
        "The open file that a descriptor of a program stands for. It says how the file was opened, and which "
        "functions of the kernel read and write it."
    ),
    caches=("filp",),
    btf_struct="file",
    hwcache_align=True,
    accounted=True,
    held_in=WITH_FILE,
    allocated_by="sock_alloc_file() → alloc_empty_file()",
    freed_by="__fput() → file_free()",
    always=True,
    never_merged_since=(6, 7),
)

LSM_FILE_BLOB = KernelObject(
    struct="LSM file blob",
    label="LSM",
    purpose="what Linux security modules keep for an open file",
    definition=(
        "Bytes that Linux security modules, such as AppArmor and SELinux, keep for each open file. Their size "
        "depends on the modules that are active."
    ),
    caches=("lsm_file_cache", "selinux_file_security"),
    held_in=WITH_FILE,
    allocated_by="alloc_empty_file() → security_file_alloc()",
    freed_by="file_free() → security_file_free()",
)

LSM_INODE_BLOB = KernelObject(
    struct="LSM inode blob",
    label="LSM",
    purpose="what Linux security modules keep for an inode",
    definition=(
        "Bytes that Linux security modules, such as SELinux, keep for each inode. Their size depends on the "
        "modules that are active."
    ),
    caches=("lsm_inode_cache", "selinux_inode_security"),
    held_in=WITH_FILE,
    allocated_by="inode_init_always() → security_inode_alloc()",
    freed_by="security_inode_free(), after a grace period",
)

LSM_CACHES = LSM_FILE_CACHE, LSM_INODE_CACHE = "lsm_file_cache", "lsm_inode_cache"
"""If one of these caches exists, every file or every inode has an object in the cache: the kernel creates the caches
only for modules that are active (security/security.c). The older caches of SELinux itself do not show that SELinux is
active: if SELinux is built in and not active, its caches exist without objects."""

LSM_SOCKET_BLOB = KernelObject(
    struct="LSM socket blob",
    label="LSM",
    purpose="what Linux security modules keep for a sock: labels, a profile",
    definition=(
        "Bytes that Linux security modules keep for each sock, such as the label or the profile of its program. "
        "Their size depends on the modules that are active."
    ),
    caches=(),
    held_in=WITH_SOCK,
    detected_by="the list of active security modules, or what they leave in /proc/filesystems and /sys/module",
    allocated_by="sk_prot_alloc() → security_sk_alloc()",
    freed_by="sk_prot_free() → security_sk_free()",
)

TW_SOCK = KernelObject(
    struct="struct tcp_timewait_sock",
    label="tw_sock",
    purpose="what TCP must remember of a closed connection: addresses, ports, the last sequence numbers, a timer",
    definition=(
        "What TCP keeps of a closed IPv4 connection for a minute, so that late segments do no harm: a "
        "mini-socket. It takes the place of the much larger struct tcp_sock, and has no file."
    ),
    caches=("tw_sock_TCP",),
    names_before_slub=("tcp_tw_bucket",),
    btf_struct="tcp_timewait_sock",
    outer_free_pointer=True,
    accounted=True,
    held_in=AS_MINI_SOCKET,
    per="mini-socket, as in TIME_WAIT",
    family="ipv4",
    tcp_only=True,
    allocated_by="tcp_time_wait() → inet_twsk_alloc()",
    freed_by="inet_twsk_free()",
    always=True,
    never_merged_since=(2, 6, 29),
)

TW6_SOCK = KernelObject(
    struct="struct tcp6_timewait_sock",
    label="tw_sock v6",
    purpose="the same for a socket of IPv6",
    definition=(
        "What TCP keeps of a closed connection of an IPv6 socket for a minute: a mini-socket. It takes the "
        "place of the much larger struct tcp6_sock, and has no file."
    ),
    caches=("tw_sock_TCPv6",),
    btf_struct="tcp_timewait_sock",
    outer_free_pointer=True,
    accounted=True,
    held_in=AS_MINI_SOCKET,
    per="mini-socket, as in TIME_WAIT",
    family="ipv6",
    tcp_only=True,
    allocated_by="tcp_time_wait() → inet_twsk_alloc()",
    freed_by="inet_twsk_free()",
    protocol="TCPv6",
    never_merged_since=(2, 6, 29),
    since=(2, 6, 14),
)

BIND_BUCKET = KernelObject(
    struct="struct inet_bind_bucket",
    label="port",
    purpose="a local port in use, with all the sockets that share it",
    definition=(
        "The record that a local port is in use, with the list of the sockets that use it. Sockets with the "
        "same port share it."
    ),
    caches=("tcp_bind_bucket",),
    btf_struct="inet_bind_bucket",
    hwcache_align=True,
    accounted=True,
    held_in=WITH_PORT,
    per="local port",
    allocated_by="inet_bind_bucket_create()",
    freed_by="inet_bind_bucket_destroy()",
    always=True,
)

BIND2_BUCKET = KernelObject(
    struct="struct inet_bind2_bucket",
    label="port",
    purpose="a local port at one local address, with the sockets bound to just that",
    definition=(
        "The record that a local port is in use at one local address, with the list of the sockets there. With "
        "it bind(2) finds a conflict quickly, even if very many sockets have the port."
    ),
    caches=("tcp_bind2_bucket",),
    btf_struct="inet_bind2_bucket",
    hwcache_align=True,
    accounted=True,
    held_in=WITH_PORT,
    per="local port and address",
    allocated_by="inet_bind2_bucket_create()",
    freed_by="inet_bind2_bucket_destroy()",
    always=True,
    since=(6, 1),
    commit="28044fc1d495",
)

REQUEST_SOCK = KernelObject(
    struct="struct tcp_request_sock",
    label="request",
    purpose="a handshake that has begun: what the SYN said, until accept(2) takes the connection",
    definition=(
        "What a server keeps of an IPv4 handshake: what the SYN of the client said. It exists from the SYN to "
        "accept(2): alone until the last ACK, then beside the new sock."
    ),
    caches=("request_sock_TCP",),
    names_before_slub=("tcp_open_request",),
    btf_struct="tcp_request_sock",
    outer_free_pointer=True,
    accounted=True,
    held_in=AS_REQUEST,
    per="handshake",
    family="ipv4",
    tcp_only=True,
    allocated_by="tcp_conn_request() → inet_reqsk_alloc()",
    freed_by="reqsk_free(), at accept(2)",
    always=True,
    never_merged_since=(4, 4),
)

REQUEST6_SOCK = KernelObject(
    struct="struct tcp6_request_sock",
    label="request",
    purpose="the same for a handshake of IPv6",
    definition=(
        "What a server keeps of a handshake of IPv6: what the SYN of the client said. It exists from the SYN to "
        "accept(2): alone until the last ACK, then beside the new sock."
    ),
    caches=("request_sock_TCPv6",),
    btf_struct="tcp_request_sock",
    outer_free_pointer=True,
    accounted=True,
    held_in=AS_REQUEST,
    per="handshake",
    family="ipv6",
    tcp_only=True,
    allocated_by="tcp_conn_request() → inet_reqsk_alloc()",
    freed_by="reqsk_free(), at accept(2)",
    protocol="TCPv6",
    never_merged_since=(4, 4),
    since=(2, 6, 13),
)

CGROUP_VECTORS = KernelObject(
    struct="obj_cgroup vectors",
    label="memcg",
    purpose="for each object of an accounted slab, 8 bytes that say which memory cgroup it is charged to",
    definition=(
        "An array beside a slab that says, for each of its objects, which memory cgroup (a container or a "
        "service) pays for the object. There is one for each slab of an accounted cache."
    ),
    caches=(),
    held_in=ANY_STATE,
    per="slab",
    btf_struct="slabobj_ext",
    detected_by="memory cgroups in /proc/cgroups or /sys/fs/cgroup; one vector for each slab, in kmalloc caches",
    allocated_by="account_slab() → alloc_slab_obj_exts()",
    freed_by="unaccount_slab() → free_slab_obj_exts(), with the slab",
    since=(5, 9),
)

EPITEM = KernelObject(
    struct="struct epitem",
    label="epoll",
    purpose="one descriptor in an epoll set",
    definition=(
        "The record that an epoll set watches one descriptor. A program that waits for its sockets by epoll has "
        "one for each of them."
    ),
    caches=("eventpoll_epi",),
    btf_struct="epitem",
    hwcache_align=True,
    accounted=True,
    held_in=WITH_FILE,
    only_with="epoll_ctl(EPOLL_CTL_ADD), one for each set",
    allocated_by="ep_insert()",
    freed_by="__ep_remove(), after a grace period",
)

EPPOLL_ENTRY = KernelObject(
    struct="struct eppoll_entry",
    label="epoll",
    purpose="the epoll set's place in the socket's wait queue",
    definition=(
        "The entry of an epoll set in the wait queue of a socket, by which the socket wakes the set. Each "
        "watched socket has one for each epoll set."
    ),
    caches=("eventpoll_pwq",),
    btf_struct="eppoll_entry",
    accounted=True,
    held_in=WITH_FILE,
    only_with="epoll_ctl(EPOLL_CTL_ADD), one for each set",
    allocated_by="ep_insert() → ep_ptable_queue_proc()",
    freed_by="ep_unregister_pollwait()",
)

EPITEMS_HEAD = KernelObject(
    struct="struct epitems_head",
    label="epoll",
    purpose="the list of the epoll sets that a file is in",
    definition=(
        "The head of the list of the epoll sets that watch one file. It is allocated when the file is put into "
        "an epoll set."
    ),
    caches=("ep_head",),
    btf_struct="epitems_head",
    accounted=True,
    held_in=WITH_FILE,
    only_with="the first epoll_ctl(EPOLL_CTL_ADD)",
    allocated_by="ep_insert() → attach_epitem()",
    freed_by="__ep_remove() → free_ephemeral()",
    since=(5, 11),
)

SK_BUFF = KernelObject(
    struct="struct sk_buff",
    label="skb",
    purpose="a received packet, or a clone",
    definition=(
        "The header of a packet in a queue: where its data is, and whose it is. The data is in further memory."
    ),
    caches=("skbuff_head_cache",),
    btf_struct="sk_buff",
    hwcache_align=True,
    held_in=WITH_SOCK,
    only_with="received data, or a FIN, that the program has not read",
    allocated_by="__alloc_skb()",
    freed_by="kfree_skbmem()",
    always=True,
    never_merged_since=(6, 5),
)

FCLONE = KernelObject(
    struct="struct sk_buff_fclones",
    label="skb",
    purpose="a segment to send, with its clone for the network device; over loopback the receiver holds the clone",
    definition=(
        "Two packet headers in one object: one for a segment that TCP sends, and a clone of it for the network "
        "device. TCP keeps it until the peer has acknowledged the segment."
    ),
    caches=("skbuff_fclone_cache",),
    btf_struct="sk_buff_fclones",
    hwcache_align=True,
    held_in=WITH_SOCK,
    only_with="data, a SYN or a FIN that is not acknowledged or, over loopback, not read",
    allocated_by="tcp_stream_alloc_skb() → __alloc_skb()",
    freed_by="kfree_skbmem()",
    always=True,
    since=(2, 6, 14),
)

SKB_HEAD = KernelObject(
    struct="skb linear data",
    label="skb",
    purpose="the headers of a segment, and struct skb_shared_info",
    definition=(
        "Memory of a packet for its protocol headers and for the list of the pages with its data. Since Linux "
        "6.3 small ones have a cache of their own; larger ones are from kmalloc."
    ),
    caches=("skbuff_small_head",),
    hwcache_align=True,
    held_in=WITH_SOCK,
    only_with="a segment in a queue",
    allocated_by="__alloc_skb() → kmalloc_reserve()",
    freed_by="skb_free_head()",
    always=True,
    since=(6, 3),
    commit="bf9f1baa279f",
)

NF_CONN = KernelObject(
    struct="struct nf_conn",
    label="conntrack",
    purpose="a flow that the firewall tracks; it outlives the socket, and TIME_WAIT",
    definition=(
        "An entry in the firewall's table of connections. It belongs to no socket, and stays some time after "
        "the connection."
    ),
    caches=("nf_conntrack",),
    # In releases up to 4.7, the cache's name ends with an address or a number. The pattern must not match
    # nf_conntrack_expect.
    name_in_namespace=r"nf_conntrack_(?:[0-9a-f]{8}|[0-9a-f]{16}|[0-9]+)",
    btf_struct="nf_conn",
    hwcache_align=True,
    outer_free_pointer=True,
    held_in=frozenset(),
    only_with="firewall rules that track connections, one for each flow",
    allocated_by="__nf_conntrack_alloc()",
    freed_by="nf_conntrack_free(), some time after the socket",
    never_merged_since=(4, 8),
)

MPTCP_SOCK = KernelObject(
    struct="struct mptcp_sock",
    label="MPTCP",
    purpose="a connection of Multipath TCP, over one ordinary TCP sock for each subflow",
    definition=(
        "The kernel's record of one connection of Multipath TCP over IPv4, which uses several TCP connections. "
        "Each of these (a subflow) has its own struct tcp_sock."
    ),
    caches=("MPTCP",),
    tcp_only=True,
    btf_struct="mptcp_sock",
    hwcache_align=True,
    outer_free_pointer=True,
    accounted=True,
    held_in=WITH_SOCK,
    family="ipv4",
    only_with="socket(…, IPPROTO_MPTCP)",
    allocated_by="sk_prot_alloc()",
    freed_by="sk_prot_free()",
    protocol="MPTCP",
    never_merged_since=(5, 6),
    since=(5, 6),
)

MPTCP6_SOCK = KernelObject(
    struct="struct mptcp6_sock",
    label="MPTCP",
    purpose="a connection of Multipath TCP, over one ordinary TCP sock for each subflow",
    definition=(
        "The kernel's record of one connection of Multipath TCP of an IPv6 socket, which uses several TCP "
        "connections. Each of these (a subflow) has its own sock."
    ),
    caches=("MPTCPv6",),
    tcp_only=True,
    btf_struct="mptcp6_sock",
    hwcache_align=True,
    outer_free_pointer=True,
    accounted=True,
    held_in=WITH_SOCK,
    family="ipv6",
    only_with="socket(…, IPPROTO_MPTCP)",
    allocated_by="sk_prot_alloc()",
    freed_by="sk_prot_free()",
    protocol="MPTCPv6",
    never_merged_since=(5, 6),
    since=(5, 6),
)

MPTCP_SUBFLOW_CONTEXT = KernelObject(
    struct="struct mptcp_subflow_context",
    label="MPTCP",
    purpose="what Multipath TCP keeps for each of its subflows",
    definition=(
        "What Multipath TCP keeps of one subflow, which is one of the TCP connections that it uses. It hangs on "
        "the sock of the subflow."
    ),
    caches=(),
    btf_struct="mptcp_subflow_context",
    held_in=WITH_SOCK,
    only_with="socket(…, IPPROTO_MPTCP), one for each subflow",
    detected_by="BTF; it is a plain kmalloc",
    allocated_by="subflow_ulp_init() → subflow_create_ctx() → kzalloc()",
    freed_by="subflow_ulp_release(), after a grace period",
    since=(5, 6),
)

TLS_CONTEXT = KernelObject(
    struct="struct tls_context",
    label="TLS",
    purpose="the keys and queues of kernel TLS",
    definition=(
        "What a socket has if the kernel encrypts its data (kernel TLS): keys, and queues for records. A "
        "program asks for it by setsockopt(2)."
    ),
    caches=(),
    btf_struct="tls_context",
    held_in=WITH_SOCK,
    only_with="setsockopt(TCP_ULP, “tls”)",
    detected_by="BTF; it is a plain kmalloc",
    allocated_by="tls_init() → tls_ctx_create()",
    freed_by="tls_ctx_free(), after a grace period",
)

SK_PSOCK = KernelObject(
    struct="struct sk_psock",
    label="sockmap",
    purpose="the socket's place in a BPF sockmap",
    definition=(
        "What a socket has while it is in a sockmap, a map by which BPF programs pass data from one socket to "
        "another. It has the queues for that data."
    ),
    caches=(),
    btf_struct="sk_psock",
    held_in=WITH_SOCK,
    only_with="a BPF sockmap or sockhash",
    detected_by="BTF; it is a plain kmalloc",
    allocated_by="sk_psock_init()",
    freed_by="sk_psock_destroy(), after a grace period",
)

TCP_MD5SIG_KEY = KernelObject(
    struct="struct tcp_md5sig_key",
    label="MD5",
    purpose="a key that signs the segments to one peer, as routers do for BGP",
    definition=(
        "A key for the signature of the segments to one peer: a segment of anybody else is dropped. Routers use such "
        "keys between each other."
    ),
    caches=(),
    btf_struct="tcp_md5sig_key",
    held_in=WITH_PORT,
    only_with="setsockopt(TCP_MD5SIG), one for each peer; an accepted socket and a mini-socket get a copy",
    detected_by="BTF; it is a plain kmalloc",
    allocated_by="tcp_md5_do_add() → __tcp_md5_do_add() → sock_kmalloc()",
    freed_by="tcp_clear_md5_list()",
    since=(2, 6, 20),
    commit="cfb6eeb4c860",
)

TCP_AO_KEY = KernelObject(
    struct="struct tcp_ao_key",
    label="TCP-AO",
    purpose="a key that authenticates the segments to one peer, and its traffic keys behind it (RFC 5925)",
    definition=(
        "A key with which TCP authenticates the segments to one peer; TCP-AO is the successor of TCP-MD5. The "
        "keys that are computed from it stand behind it."
    ),
    caches=(),
    btf_struct="tcp_ao_key",
    held_in=WITH_PORT,
    only_with="setsockopt(TCP_AO_ADD_KEY), one for each call; an accepted socket gets copies",
    detected_by="BTF; it is a plain kmalloc",
    allocated_by="tcp_ao_add_cmd() → tcp_ao_key_alloc() → sock_kmalloc()",
    freed_by="tcp_ao_destroy_sock()",
    since=(6, 7),
    commit="4954f17ddefc",
)

SK_FILTER = KernelObject(
    struct="struct sk_filter",
    label="filter",
    purpose="the socket's reference to a BPF program that drops or cuts received packets",
    definition=(
        "The reference of a socket to a BPF program that drops or cuts what arrives for the socket. The sockets "
        "that a listener accepts share the filter of the listener."
    ),
    caches=(),
    btf_struct="sk_filter",
    held_in=WITH_SOCK,
    only_with="setsockopt(SO_ATTACH_FILTER) or setsockopt(SO_ATTACH_BPF); accepted sockets share their listener's",
    detected_by="BTF; it is a plain kmalloc",
    allocated_by="sk_attach_filter() → __sk_attach_prog() → kmalloc()",
    freed_by="sk_filter_uncharge() → sk_filter_release_rcu(), after a grace period",
)

SOCK_REUSEPORT = KernelObject(
    struct="struct sock_reuseport",
    label="reuseport",
    purpose="the group of listeners that share a port, with a pointer to each of them behind it",
    definition=(
        "The list of the listening sockets that share one port, among which the kernel spreads new connections. "
        "There is one for each group of listeners."
    ),
    caches=(),
    btf_struct="sock_reuseport",
    held_in=frozenset({State.LISTEN}),
    only_with="SO_REUSEPORT and listen(2), one for all listeners of the port",
    detected_by="BTF; it is a plain kmalloc",
    allocated_by="inet_reuseport_add_sock() → reuseport_alloc() → __reuseport_alloc()",
    freed_by="reuseport_detach_sock() → reuseport_free_rcu(), after a grace period",
    since=(4, 6),
    commit="c125e80b8868",
)

BPF_LOCAL_STORAGE = KernelObject(
    struct="struct bpf_local_storage",
    label="BPF",
    purpose="the list of all values that BPF programs keep for the socket",
    definition=(
        "The list of the values that BPF programs keep for one socket. It is allocated with the first of these values."
    ),
    caches=(),
    btf_struct="bpf_local_storage",
    held_in=WITH_SOCK,
    only_with="the first bpf_sk_storage_get() of a BPF program",
    detected_by="BTF; it is a kmalloc, or from BPF's own allocator",
    allocated_by="bpf_sk_storage_get() → bpf_local_storage_update() → bpf_local_storage_alloc()",
    freed_by="bpf_sk_storage_free(), after a grace period",
    since=(5, 10),
    commit="450af8d0f6be",
)

BPF_LOCAL_STORAGE_ELEM = KernelObject(
    struct="struct bpf_local_storage_elem",
    label="BPF",
    purpose="a value that a BPF program keeps for the socket, and the head of its map entry",
    definition=(
        "A value that a BPF program keeps for one socket. There is one for each socket and each map of a program."
    ),
    caches=(),
    btf_struct="bpf_local_storage_elem",
    held_in=WITH_SOCK,
    only_with="bpf_sk_storage_get() of a BPF program, one for each map",
    detected_by="BTF; it is a kmalloc, or from BPF's own allocator",
    allocated_by="bpf_sk_storage_get() → bpf_local_storage_update() → bpf_selem_alloc()",
    freed_by="bpf_sk_storage_free(), after a grace period",
    since=(5, 10),
    commit="450af8d0f6be",
)

IP_OPTIONS_RCU = KernelObject(
    struct="struct ip_options_rcu",
    label="options",
    purpose="the IP options of every packet that the socket sends, at most 40 bytes behind it",
    definition=("IP options, such as a route, that every packet of a socket carries. Few programs ask for them."),
    caches=(),
    btf_struct="ip_options_rcu",
    held_in=WITH_SOCK | AS_REQUEST,
    family="ipv4",
    only_with="setsockopt(IP_OPTIONS), or a SYN with IP options",
    detected_by="BTF; it is a plain kmalloc",
    allocated_by="do_ip_setsockopt() → ip_options_get() → kzalloc()",
    freed_by="inet_sock_destruct()",
    since=(3, 0),
    commit="f6d8bd051c39",
)

SAVED_SYN = KernelObject(
    struct="struct saved_syn",
    label="SYN",
    purpose="a copy of the SYN's headers behind it, for the server to read",
    definition=(
        "A copy of the headers of the SYN that began a connection, for a server that asks for it. It is freed "
        "when the server has read it, or with the socket."
    ),
    caches=(),
    btf_struct="saved_syn",
    held_in=WITH_SOCK | AS_REQUEST,
    only_with="setsockopt(TCP_SAVE_SYN) on the listener, until getsockopt(TCP_SAVED_SYN)",
    detected_by="BTF; it is a plain kmalloc",
    allocated_by="tcp_conn_request() → tcp_reqsk_record_syn() → kmalloc()",
    freed_by="tcp_saved_syn_free()",
    since=(4, 2),
    commit="cd8ae85299d5, 70a217f1976f",
)

TCP_METRICS_BLOCK = KernelObject(
    struct="struct tcp_metrics_block",
    label="metrics",
    purpose="what TCP learnt of a destination: round-trip time, congestion window",
    definition=(
        "What TCP remembers of a destination from one connection to the next, such as the round-trip time. It "
        "belongs to no socket."
    ),
    caches=(),
    btf_struct="tcp_metrics_block",
    held_in=frozenset(),
    per="destination",
    detected_by="BTF; it is a plain kmalloc",
    allocated_by="tcp_update_metrics() → tcpm_new()",
    freed_by="tcp_metrics_flush_all()",
)

SOCKS = (TCP_SOCK, TCP6_SOCK)
REQUEST_SOCKS = (REQUEST_SOCK, REQUEST6_SOCK)
MINI_SOCKETS = (TW_SOCK, TW6_SOCK)
BIND_BUCKETS = (BIND_BUCKET, BIND2_BUCKET)
LAST_PORT = 65_535
"""The last of the ports, which begin with 1; bind(2) takes each of them. Each port has one bind bucket."""
AVERAGE_OF_FAMILIES = " v4/v6 average"
"""End of the label that stands for the IPv4 object and the IPv6 object of a pair: SOCKS or MINI_SOCKETS."""
MPTCP_SOCKS = (MPTCP_SOCK, MPTCP6_SOCK)
EPOLL_OBJECTS = (EPITEM, EPPOLL_ENTRY, EPITEMS_HEAD)

KERNEL_OBJECTS: tuple[KernelObject, ...] = (
    TCP_SOCK,
    TCP6_SOCK,
    SOCKET_ALLOC,
    SOCKET_WQ,
    DENTRY,
    FILE,
    LSM_FILE_BLOB,
    LSM_INODE_BLOB,
    LSM_SOCKET_BLOB,
    TW_SOCK,
    TW6_SOCK,
    BIND_BUCKET,
    BIND2_BUCKET,
    REQUEST_SOCK,
    REQUEST6_SOCK,
    CGROUP_VECTORS,
    EPITEM,
    EPPOLL_ENTRY,
    EPITEMS_HEAD,
    SK_BUFF,
    FCLONE,
    SKB_HEAD,
    NF_CONN,
    MPTCP_SOCK,
    MPTCP6_SOCK,
    MPTCP_SUBFLOW_CONTEXT,
    TLS_CONTEXT,
    SK_PSOCK,
    TCP_MD5SIG_KEY,
    TCP_AO_KEY,
    SK_FILTER,
    SOCK_REUSEPORT,
    BPF_LOCAL_STORAGE,
    BPF_LOCAL_STORAGE_ELEM,
    IP_OPTIONS_RCU,
    SAVED_SYN,
    TCP_METRICS_BLOCK,
)

SLAB_CACHES: tuple[str, ...] = tuple(cache for item in KERNEL_OBJECTS for cache in item.caches)
"""The names that the catalogue's caches can have in /sys/kernel/slab."""

OBJECT_OF_CACHE: dict[str, KernelObject] = {cache: item for item in KERNEL_OBJECTS for cache in item.names}
"""Maps each cache name in the catalogue to the object that the cache contains."""

UNREAD_FIN: tuple[KernelObject, ...] = (FCLONE, SKB_HEAD)
"""Objects of a FIN that came over loopback and that the program has not read yet (net/ipv4/tcp_output.c, tcp_send_fin).
"""

UNREAD_FIN_HEAD_BYTES = 640
"""Bytes that kmalloc allocates for the data (skb->head) of an unread FIN on kernels without skbuff_small_head.

The size is MAX_TCP_HEADER plus the size of struct skb_shared_info.
"""

LSM_SOCKET_BLOB_BYTES: dict[str, tuple[int, int]] = {
    "apparmor": (16, 32),
    "selinux": (16, 40),
    "smack": (24, 48),
}
"""Minimum and maximum size, over all kernels, of the data that each security module allocates for a socket.

AppArmor allocates struct aa_sk_ctx (two or three pointers), SELinux struct sk_security_struct, and Smack struct
socket_smack.
"""

LSM_WITHOUT_SOCKET_BLOB = frozenset(
    (
        "bpf",
        "capability",
        "evm",
        "ima",
        "integrity",
        "ipe",
        "landlock",
        "loadpin",
        "lockdown",
        "safesetid",
        "tomoyo",
        "yama",
    )
)
"""Security modules that allocate no data for a socket: lbs_sock in their struct lsm_blob_sizes is 0 (security/)."""


LSM_FILE_BLOB_SINCE: dict[str, tuple[int, int] | None] = {
    "apparmor": None,
    "landlock": (6, 2),
    "selinux": None,
    "smack": None,
}
"""Security modules that allocate data for a file, each with the first release that does: lbs_file in its struct
lsm_blob_sizes (security/). None for a module that does on every kernel with the cache lsm_file_cache."""

LSM_WITHOUT_INODE_BLOB = frozenset(("capability", "loadpin", "lockdown", "safesetid", "tomoyo", "yama"))
"""Security modules that allocate no data for an inode on any kernel: lbs_inode is 0."""


def unknown_security_modules(names: Iterable[str]) -> list[str]:
    """The given security modules that are in neither LSM_SOCKET_BLOB_BYTES nor LSM_WITHOUT_SOCKET_BLOB.

    An unknown module may allocate data of any size for a socket.
    """
    return [name for name in names if name not in LSM_SOCKET_BLOB_BYTES and name not in LSM_WITHOUT_SOCKET_BLOB]


LSM_SOCKET_BLOB_STRUCTS: dict[str, str] = {
    "apparmor": "aa_sk_ctx",
    "selinux": "sk_security_struct",
    "smack": "socket_smack",
}
"""BTF name of the struct that each security module allocates for a socket."""

BTF_STRUCTS: tuple[str, ...] = tuple(
    sorted({item.btf_struct for item in KERNEL_OBJECTS if item.btf_struct} | set(LSM_SOCKET_BLOB_STRUCTS.values()))
)
"""Structs whose layouts are read from BTF."""
