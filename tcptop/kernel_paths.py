"""The ways through the kernel that allocate a socket's objects and free them, as trees of functions.

Function names are those of Linux 6.x; where an older kernel differs enough to mislead, the note says so. A call that
allocates names the cache, so that the sizes of the running kernel can be shown beside it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """One function and the calls in it that lead to an allocation or a release."""

    function: str
    calls: tuple[Call, ...] = ()
    allocates: str | None = None
    """The cache, by the first name that the catalogue has for it; `kmalloc` names the struct in brackets."""
    frees: str | None = None
    note: str = ""


SOCKET = Call(
    "socket(2) → __sys_socket()",
    (
        Call(
            "sock_create() → __sock_create()",
            (
                Call(
                    "sock_alloc() → new_inode_pseudo() → alloc_inode()",
                    (
                        Call("sock_alloc_inode()", allocates="sock_inode_cache"),
                        Call("sock_alloc_inode()", allocates="kmalloc [struct socket_wq]", note="before 5.3"),
                        Call("inode_init_always() → security_inode_alloc()", allocates="lsm_inode_cache"),
                    ),
                ),
                Call(
                    "inet_create(), inet6_create() → sk_alloc()",
                    (
                        Call("sk_prot_alloc()", allocates="TCP", note="TCPv6 for AF_INET6"),
                        Call("sk_prot_alloc() → security_sk_alloc()", allocates="kmalloc [LSM socket blob]"),
                    ),
                ),
            ),
        ),
        Call(
            "sock_map_fd() → sock_alloc_file() → alloc_file_pseudo()",
            (
                Call("d_alloc_pseudo() → __d_alloc()", allocates="dentry"),
                Call("alloc_file() → alloc_empty_file()", allocates="filp"),
                Call("init_file() → security_file_alloc()", allocates="lsm_file_cache"),
            ),
        ),
    ),
)

CONNECT = Call(
    "connect(2) → inet_stream_connect() → tcp_v4_connect()",
    (
        Call(
            "inet_hash_connect() → __inet_hash_connect()",
            (
                Call("inet_bind_bucket_create()", allocates="tcp_bind_bucket", note="once for each local port"),
                Call("inet_bind2_bucket_create()", allocates="tcp_bind2_bucket", note="for each port and address"),
            ),
        ),
        Call("tcp_connect() → tcp_stream_alloc_skb()", allocates="skbuff_fclone_cache", note="until the SYN is acked"),
    ),
)

HANDSHAKE = Call(
    "a SYN arrives: tcp_v4_rcv() → tcp_rcv_state_process()",
    (
        Call("tcp_conn_request() → inet_reqsk_alloc()", allocates="request_sock_TCP", note="none with SYN cookies"),
        Call(
            "the ACK: tcp_check_req() → tcp_v4_syn_recv_sock()",
            (
                Call(
                    "tcp_create_openreq_child() → sk_clone_lock() → sk_prot_alloc()",
                    allocates="TCP",
                    note="waits in the accept queue, with no file yet",
                ),
                Call("__inet_inherit_port()", note="shares the listener's buckets"),
            ),
        ),
    ),
)

ACCEPT = Call(
    "accept(2) → do_accept()",
    (
        Call("sock_alloc() → alloc_inode() → sock_alloc_inode()", allocates="sock_inode_cache"),
        Call("sock_alloc() → security_inode_alloc()", allocates="lsm_inode_cache"),
        Call("sock_alloc_file() → d_alloc_pseudo()", allocates="dentry"),
        Call("sock_alloc_file() → alloc_empty_file()", allocates="filp"),
        Call("alloc_empty_file() → security_file_alloc()", allocates="lsm_file_cache"),
        Call("inet_csk_accept() → reqsk_put()", frees="request_sock_TCP"),
    ),
)

CLOSE = Call(
    "close(2) → __fput()",
    (
        Call("file_free(), security_file_free()", frees="filp, lsm_file_cache"),
        Call(
            "sock_close() → __sock_release() → inet_release() → tcp_close()",
            (
                Call(
                    "FIN acked: tcp_time_wait(FIN_WAIT2) → inet_twsk_alloc()",
                    allocates="tw_sock_TCP",
                    note="if tcp_fin_timeout is 60 s or less",
                ),
                Call("inet_twsk_hashdance(): takes over the buckets", note="of a port that the socket owned"),
                Call("tcp_done() → sk_free() → sk_prot_free()", frees="TCP, LSM socket blob"),
            ),
        ),
        Call("dput() → __dentry_kill()", frees="dentry", note="after a grace period"),
        Call("iput() → sock_free_inode()", frees="sock_inode_cache, lsm_inode_cache", note="after a grace period"),
    ),
)

TIME_WAIT = Call(
    "the peer's FIN: tcp_timewait_state_process()",
    (
        Call("FIN_WAIT2 becomes TIME_WAIT: the same mini-socket"),
        Call(
            "60 s later: tw_timer_handler() → inet_twsk_kill()",
            (
                Call("inet_twsk_bind_unhash() → inet_bind_bucket_destroy()", frees="tcp_bind_bucket"),
                Call("inet_twsk_bind_unhash() → inet_bind2_bucket_destroy()", frees="tcp_bind2_bucket"),
                Call("inet_twsk_put() → inet_twsk_free()", frees="tw_sock_TCP"),
            ),
        ),
    ),
)

PAGES: dict[str, tuple[str, tuple[Call, ...]]] = {
    "socket": ("What socket(2) allocates", (SOCKET, CONNECT)),
    "accept": ("What a server's socket is made of", (HANDSHAKE, ACCEPT)),
    "time_wait": ("What remains in FIN_WAIT2 and TIME_WAIT", (CLOSE, TIME_WAIT)),
}
"""Pages of the explanation: a title and the trees on it."""
