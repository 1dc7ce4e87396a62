"""The catalogue: the kernel objects behind a TCP socket, as data.

Which struct, in which slab cache, held in which states, allocated and freed by which function. Sizes are never here:
they are read from the host. Whether a kernel has an object is read from its files; `since` and `until` serve only
where no file tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal


class State(Enum):
    """What a socket is in, as far as memory differs (net/ipv4/tcp.c, tcp_set_state)."""

    LISTEN = "LISTEN"
    SYN_RECV = "SYN_RECV"
    ACCEPT_QUEUE = "accept queue"
    ESTABLISHED = "ESTABLISHED"
    CLOSE_WAIT = "CLOSE_WAIT"
    FIN_WAIT2 = "FIN_WAIT2"
    """With its descriptor still open; after close() it is a mini-socket, counted as TIME_WAIT."""
    ORPHAN = "orphan"
    TIME_WAIT = "TIME_WAIT"


WITH_FILE = frozenset({State.LISTEN, State.ESTABLISHED, State.CLOSE_WAIT, State.FIN_WAIT2})
WITH_SOCK = WITH_FILE | {State.ACCEPT_QUEUE, State.ORPHAN}
WITH_PORT = WITH_SOCK | {State.TIME_WAIT}
AS_REQUEST = frozenset({State.SYN_RECV, State.ACCEPT_QUEUE})
AS_MINI_SOCKET = frozenset({State.TIME_WAIT})
NOT_BY_STATE: frozenset[State] = frozenset()


@dataclass(frozen=True, slots=True)
class KernelObject:
    """One kind of object that sockets make the kernel allocate."""

    struct: str
    label: str
    """What a figure calls its part; objects of one label are shown as one."""
    caches: tuple[str, ...]
    """The names that its cache has had, newest first; empty where it is a plain kmalloc."""
    held_in: frozenset[State]
    allocated_by: str
    freed_by: str
    family: Literal["ipv4", "ipv6"] | None = None
    """None where both families use it."""
    per: Literal["socket", "local port"] = "socket"
    tcp_only: bool = False
    """Whether all of the cache is TCP's, so that its own totals count; else it counts by TCP's sockets."""
    btf_struct: str | None = None
    """What BTF calls it, where its cache holds just that struct."""
    hwcache_align: bool = False
    """SLAB_HWCACHE_ALIGN: objects begin at cache lines."""
    outer_free_pointer: bool = False
    """SLAB_TYPESAFE_BY_RCU or a constructor: the free pointer lies behind the object, unless it has a place in it."""
    kmalloc_bytes: int | None = None
    """The size asked of kmalloc, where that is fixed."""
    since: tuple[int, int] | None = None
    until: tuple[int, int] | None = None
    """The first release without it."""
    commit: str | None = None
    """The commit that brought it, or took it away."""


SOCKET_WQ = KernelObject(
    struct="struct socket_wq",
    label="wq",
    caches=(),
    kmalloc_bytes=64,
    held_in=WITH_FILE,
    allocated_by="sock_alloc_inode()",
    freed_by="sock_destroy_inode(), after a grace period",
    until=(5, 3),
    commit="333f7909a857",
)

LSM_SOCKET_BLOB = KernelObject(
    struct="LSM socket blob",
    label="LSM",
    caches=(),
    held_in=WITH_SOCK,
    allocated_by="security_sk_alloc()",
    freed_by="security_sk_free()",
)

TCP_SOCK = KernelObject(
    struct="struct tcp_sock",
    label="TCP",
    caches=("TCP",),
    btf_struct="tcp_sock",
    hwcache_align=True,
    outer_free_pointer=True,
    held_in=WITH_SOCK,
    family="ipv4",
    tcp_only=True,
    allocated_by="sk_prot_alloc()",
    freed_by="sk_prot_free()",
)

TCP6_SOCK = KernelObject(
    struct="struct tcp6_sock",
    label="TCPv6",
    caches=("TCPv6",),
    btf_struct="tcp6_sock",
    hwcache_align=True,
    outer_free_pointer=True,
    held_in=WITH_SOCK,
    family="ipv6",
    tcp_only=True,
    allocated_by="sk_prot_alloc()",
    freed_by="sk_prot_free()",
)

SOCKET_ALLOC = KernelObject(
    struct="struct socket_alloc",
    label="inode",
    caches=("sock_inode_cache",),
    btf_struct="socket_alloc",
    hwcache_align=True,
    outer_free_pointer=True,
    held_in=WITH_FILE,
    allocated_by="sock_alloc_inode()",
    freed_by="sock_free_inode(), after a grace period",
)

BIND_BUCKET = KernelObject(
    struct="struct inet_bind_bucket",
    label="port",
    caches=("tcp_bind_bucket",),
    btf_struct="inet_bind_bucket",
    hwcache_align=True,
    held_in=WITH_PORT,
    per="local port",
    allocated_by="inet_bind_bucket_create()",
    freed_by="inet_bind_bucket_destroy()",
)

BIND2_BUCKET = KernelObject(
    struct="struct inet_bind2_bucket",
    label="port",
    caches=("tcp_bind2_bucket",),
    btf_struct="inet_bind2_bucket",
    hwcache_align=True,
    held_in=WITH_PORT,
    per="local port",
    allocated_by="inet_bind2_bucket_create()",
    freed_by="inet_bind2_bucket_destroy()",
    since=(6, 1),
    commit="28044fc1d495",
)

TW_SOCK = KernelObject(
    struct="struct tcp_timewait_sock",
    label="tw_sock",
    caches=("tw_sock_TCP", "tcp_tw_bucket"),
    btf_struct="tcp_timewait_sock",
    outer_free_pointer=True,
    held_in=AS_MINI_SOCKET,
    family="ipv4",
    tcp_only=True,
    allocated_by="inet_twsk_alloc()",
    freed_by="inet_twsk_free()",
)

TW6_SOCK = KernelObject(
    struct="struct tcp6_timewait_sock",
    label="tw_sock v6",
    caches=("tw_sock_TCPv6",),
    btf_struct="tcp_timewait_sock",
    outer_free_pointer=True,
    held_in=AS_MINI_SOCKET,
    family="ipv6",
    tcp_only=True,
    allocated_by="inet_twsk_alloc()",
    freed_by="inet_twsk_free()",
)

REQUEST_SOCK = KernelObject(
    struct="struct tcp_request_sock",
    label="request",
    caches=("request_sock_TCP", "tcp_open_request"),
    btf_struct="tcp_request_sock",
    outer_free_pointer=True,
    held_in=AS_REQUEST,
    family="ipv4",
    tcp_only=True,
    allocated_by="inet_reqsk_alloc()",
    freed_by="reqsk_free(), at accept()",
)

REQUEST6_SOCK = KernelObject(
    struct="struct tcp_request_sock",
    label="request",
    caches=("request_sock_TCPv6",),
    btf_struct="tcp_request_sock",
    outer_free_pointer=True,
    held_in=AS_REQUEST,
    family="ipv6",
    tcp_only=True,
    allocated_by="inet_reqsk_alloc()",
    freed_by="reqsk_free(), at accept()",
)

KERNEL_OBJECTS: tuple[KernelObject, ...] = (
    TCP_SOCK,
    TCP6_SOCK,
    SOCKET_ALLOC,
    SOCKET_WQ,
    KernelObject(
        struct="struct dentry",
        label="dentry",
        caches=("dentry",),
        btf_struct="dentry",
        held_in=WITH_FILE,
        allocated_by="sock_alloc_file() -> d_alloc_pseudo()",
        freed_by="__dentry_kill(), after a grace period",
    ),
    KernelObject(
        struct="struct file",
        label="file",
        caches=("filp",),
        btf_struct="file",
        hwcache_align=True,
        held_in=WITH_FILE,
        allocated_by="sock_alloc_file() -> alloc_empty_file()",
        freed_by="__fput() -> file_free()",
    ),
    KernelObject(
        struct="LSM file blob",
        label="LSM",
        caches=("lsm_file_cache", "selinux_file_security"),
        held_in=WITH_FILE,
        allocated_by="security_file_alloc()",
        freed_by="security_file_free()",
    ),
    KernelObject(
        struct="LSM inode blob",
        label="LSM",
        caches=("lsm_inode_cache", "selinux_inode_security"),
        held_in=WITH_FILE,
        allocated_by="security_inode_alloc()",
        freed_by="security_inode_free(), after a grace period",
    ),
    LSM_SOCKET_BLOB,
    TW_SOCK,
    TW6_SOCK,
    BIND_BUCKET,
    BIND2_BUCKET,
    REQUEST_SOCK,
    REQUEST6_SOCK,
    KernelObject(
        struct="struct epitem",
        label="epoll",
        caches=("eventpoll_epi",),
        btf_struct="epitem",
        hwcache_align=True,
        held_in=NOT_BY_STATE,
        allocated_by="ep_insert()",
        freed_by="ep_remove()",
    ),
    KernelObject(
        struct="struct eppoll_entry",
        label="epoll",
        caches=("eventpoll_pwq",),
        btf_struct="eppoll_entry",
        held_in=NOT_BY_STATE,
        allocated_by="ep_ptable_queue_proc()",
        freed_by="ep_unregister_pollwait()",
    ),
    KernelObject(
        struct="struct sk_buff",
        label="skb",
        caches=("skbuff_head_cache",),
        btf_struct="sk_buff",
        hwcache_align=True,
        held_in=NOT_BY_STATE,
        allocated_by="__alloc_skb()",
        freed_by="kfree_skbmem()",
    ),
    KernelObject(
        struct="struct sk_buff_fclones",
        label="skb",
        caches=("skbuff_fclone_cache",),
        btf_struct="sk_buff_fclones",
        hwcache_align=True,
        held_in=NOT_BY_STATE,
        allocated_by="__alloc_skb()",
        freed_by="kfree_skbmem()",
    ),
    KernelObject(
        struct="skb linear data",
        label="skb",
        caches=("skbuff_small_head",),
        held_in=NOT_BY_STATE,
        allocated_by="kmalloc_reserve()",
        freed_by="skb_free_head()",
        since=(6, 3),
        commit="bf9f1baa279f",
    ),
    KernelObject(
        struct="struct nf_conn",
        label="conntrack",
        caches=("nf_conntrack",),
        btf_struct="nf_conn",
        hwcache_align=True,
        outer_free_pointer=True,
        held_in=NOT_BY_STATE,
        allocated_by="__nf_conntrack_alloc()",
        freed_by="nf_conntrack_free(), some time after the socket",
    ),
    KernelObject(
        struct="struct mptcp_sock",
        label="MPTCP",
        caches=("MPTCP", "MPTCPv6"),
        held_in=NOT_BY_STATE,
        allocated_by="sk_prot_alloc()",
        freed_by="sk_prot_free()",
        since=(5, 6),
    ),
)

SLAB_CACHES: tuple[str, ...] = tuple(cache for item in KERNEL_OBJECTS for cache in item.caches)

OBJECT_OF_CACHE: dict[str, KernelObject] = {cache: item for item in KERNEL_OBJECTS for cache in item.caches}

LSM_SOCKET_BLOB_BYTES: dict[str, tuple[int, int]] = {
    "apparmor": (16, 32),
    "selinux": (16, 40),
    "smack": (24, 48),
}
"""For each security module that hangs something on a socket: the least and the most that kernels have asked for.

AppArmor: struct aa_sk_ctx, two or three pointers; SELinux: struct sk_security_struct; Smack: struct socket_smack.
"""

LSM_SOCKET_BLOB_STRUCTS: dict[str, str] = {
    "apparmor": "aa_sk_ctx",
    "selinux": "sk_security_struct",
    "smack": "socket_smack",
}
"""What BTF calls what each of them hangs on a socket."""

BTF_STRUCTS: tuple[str, ...] = tuple(
    sorted({item.btf_struct for item in KERNEL_OBJECTS if item.btf_struct} | {*LSM_SOCKET_BLOB_STRUCTS.values()})
)
