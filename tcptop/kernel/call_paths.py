"""Call paths in the kernel that allocate and free the objects of a socket, as trees of function calls.

Function names are from Linux 6.18; the names in older kernels are in `function_names`. A call has a note if older
kernels differ in more than the function names. Each call names the catalogue objects that the call allocates or frees,
so that the sizes of these objects on the running kernel can be shown beside the call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tcptop.kernel.objects import (
    BIND2_BUCKET,
    BIND_BUCKET,
    BIND_BUCKETS,
    BPF_LOCAL_STORAGE,
    BPF_LOCAL_STORAGE_ELEM,
    CGROUP_VECTORS,
    DENTRY,
    EPITEM,
    EPITEMS_HEAD,
    EPOLL_OBJECTS,
    EPPOLL_ENTRY,
    FCLONE,
    FILE,
    IP_OPTIONS_RCU,
    LSM_FILE_BLOB,
    LSM_INODE_BLOB,
    LSM_SOCKET_BLOB,
    MINI_SOCKETS,
    MPTCP_SOCKS,
    MPTCP_SUBFLOW_CONTEXT,
    NF_CONN,
    REQUEST_SOCKS,
    SAVED_SYN,
    SK_BUFF,
    SK_FILTER,
    SK_PSOCK,
    SKB_HEAD,
    SOCK_REUSEPORT,
    SOCKET_ALLOC,
    SOCKET_WQ,
    SOCKS,
    TCP_AO_KEY,
    TCP_MD5SIG_KEY,
    TCP_METRICS_BLOCK,
    TLS_CONTEXT,
    KernelObject,
)

Objects = tuple[KernelObject, ...]


class Call(NamedTuple):
    """A function or a chain of functions, and the calls in the function that lead to an allocation or a free."""

    function: str
    calls: tuple[Call, ...] = ()
    allocates: Objects = ()
    frees: Objects = ()
    note: str = ""


class CallPathPage(NamedTuple):
    """A page of `tcptop explain`: a title, the call trees, and the word whose definition precedes them."""

    title: str
    trees: tuple[Call, ...]
    word: str
    """The entry of the glossary that says what the page is about."""


BIND = Call(
    "inet_csk_get_port()",
    (
        Call("inet_bind_bucket_create() → kmem_cache_alloc()", allocates=(BIND_BUCKET,), note="for each local port"),
        Call(
            "inet_bind2_bucket_create() → kmem_cache_alloc()",
            allocates=(BIND2_BUCKET,),
            note="for each local port and address",
        ),
    ),
)

FILE_OF_SOCKET = Call(
    "sock_alloc_file() → alloc_file_pseudo()",
    (
        Call("d_alloc_pseudo() → __d_alloc() → kmem_cache_alloc_lru()", allocates=(DENTRY,)),
        Call(
            "alloc_file() → alloc_empty_file()",
            (
                Call("kmem_cache_alloc()", allocates=(FILE,)),
                Call(
                    "init_file() → security_file_alloc() → lsm_file_alloc() → kmem_cache_zalloc()",
                    allocates=(LSM_FILE_BLOB,),
                ),
            ),
        ),
    ),
)

INODE_OF_SOCKET = Call(
    "sock_alloc() → new_inode_pseudo() → alloc_inode()",
    (
        Call("sock_alloc_inode() → alloc_inode_sb() → kmem_cache_alloc_lru()", allocates=(SOCKET_ALLOC,)),
        Call("sock_alloc_inode() → kmalloc()", allocates=(SOCKET_WQ,), note="before 5.3"),
        Call(
            "inode_init_always() → security_inode_alloc() → lsm_inode_alloc() → kmem_cache_alloc()",
            allocates=(LSM_INODE_BLOB,),
        ),
    ),
)

SOCKET = Call(
    "socket(2) → __sys_socket()",
    (
        Call(
            "sock_create() → __sock_create()",
            (
                INODE_OF_SOCKET,
                Call(
                    "inet_create(), inet6_create() → sk_alloc() → sk_prot_alloc()",
                    (
                        Call("kmem_cache_alloc()", allocates=SOCKS, note="TCPv6 for AF_INET6, instead of TCP"),
                        Call(
                            "security_sk_alloc() → lsm_sock_alloc() → kzalloc()",
                            allocates=(LSM_SOCKET_BLOB,),
                            note="before 6.12 each module by itself",
                        ),
                    ),
                ),
            ),
        ),
        Call("sock_map_fd()", (FILE_OF_SOCKET,)),
    ),
)

LISTEN = Call("bind(2), listen(2) → inet_bind(), inet_listen()", (BIND,))

CONNECT = Call(
    "connect(2) → inet_stream_connect() → tcp_v4_connect(), tcp_v6_connect()",
    (
        Call("inet_hash_connect() → __inet_hash_connect()", BIND.calls),
        Call(
            "tcp_connect() → tcp_stream_alloc_skb() → __alloc_skb()",
            allocates=(FCLONE, SKB_HEAD),
            note="the SYN, until it is acknowledged",
        ),
    ),
)

SLAB = Call(
    "kmem_cache_alloc() → ___slab_alloc() → new_slab() → allocate_slab()",
    (
        Call("alloc_slab_page()", note="a block of the buddy allocator, of the order that the cache needs"),
        Call(
            "account_slab() → alloc_slab_obj_exts() → kcalloc_node()",
            allocates=(CGROUP_VECTORS,),
            note="for caches with SLAB_ACCOUNT, where memory cgroups are in use",
        ),
    ),
)

SYN = Call(
    "a SYN arrives: tcp_v4_rcv(), tcp_v6_rcv() → tcp_rcv_state_process()",
    (
        Call(
            "tcp_conn_request() → inet_reqsk_alloc() → kmem_cache_alloc()",
            allocates=REQUEST_SOCKS,
            note="none with SYN cookies",
        ),
    ),
)

HANDSHAKE_ACK = Call(
    "its ACK arrives: tcp_v4_rcv(), tcp_v6_rcv() → tcp_check_req()",
    (
        Call(
            "tcp_v4_syn_recv_sock(), tcp_v6_syn_recv_sock()",
            (
                Call(
                    "tcp_create_openreq_child() → sk_clone_lock() → sk_prot_alloc()",
                    allocates=(*SOCKS, LSM_SOCKET_BLOB),
                    note="waits in the accept queue, with no file yet",
                ),
                Call(
                    "__inet_inherit_port()",
                    (
                        Call(
                            "inet_bind2_bucket_create() → kmem_cache_alloc()",
                            allocates=(BIND2_BUCKET,),
                            note="a listener on any address: one for each local address that is connected to",
                        ),
                        Call(
                            "inet_bind_bucket_create() → kmem_cache_alloc()",
                            allocates=(BIND_BUCKET,),
                            note="TPROXY to a listener on another port: one for each port that is connected to",
                        ),
                    ),
                    note="mostly it shares the listener's buckets",
                ),
            ),
        ),
    ),
)

ACCEPT = Call(
    "accept(2) → do_accept()",
    (
        INODE_OF_SOCKET,
        FILE_OF_SOCKET,
        Call("inet_accept() → inet_csk_accept() → reqsk_put()", frees=REQUEST_SOCKS),
    ),
)

EPOLL = Call(
    "epoll_ctl(2) → do_epoll_ctl() → ep_insert()",
    (
        Call("kmem_cache_zalloc()", allocates=(EPITEM,)),
        Call(
            "attach_epitem() → kmem_cache_zalloc()",
            allocates=(EPITEMS_HEAD,),
            note="since 5.11, at the first set",
        ),
        Call(
            "ep_item_poll() → tcp_poll() → ep_ptable_queue_proc() → kmem_cache_alloc()",
            allocates=(EPPOLL_ENTRY,),
        ),
    ),
)

DATA = Call(
    "data on its way",
    (
        Call(
            "write(2) → tcp_sendmsg() → tcp_stream_alloc_skb() → __alloc_skb()",
            allocates=(FCLONE, SKB_HEAD),
            note="until it is acknowledged; payload lies in pages, which are no slab",
        ),
        Call(
            "a packet arrives: the driver → napi_build_skb(), __alloc_skb()",
            allocates=(SK_BUFF,),
            note="until the program reads it; over loopback the sender's clone",
        ),
        Call("read(2) → tcp_recvmsg() → tcp_eat_recv_skb() → kfree_skbmem()", frees=(SK_BUFF,)),
        Call("an ACK arrives: tcp_clean_rtx_queue() → tcp_rtx_queue_unlink_and_free()", frees=(FCLONE, SKB_HEAD)),
    ),
)

OPTIONS = Call(
    "what only some sockets have",
    (
        Call(
            "socket(…, IPPROTO_MPTCP) → sk_prot_alloc()", allocates=MPTCP_SOCKS, note="with a TCP sock for each subflow"
        ),
        Call(
            "mptcp_subflow_create_socket() → tcp_set_ulp() → subflow_ulp_init() → subflow_create_ctx() → kzalloc()",
            allocates=(MPTCP_SUBFLOW_CONTEXT,),
        ),
        Call("setsockopt(TCP_ULP) → tls_init() → tls_ctx_create()", allocates=(TLS_CONTEXT,)),
        Call("sock_map_link() → sk_psock_init()", allocates=(SK_PSOCK,)),
        Call(
            "setsockopt(TCP_MD5SIG) → tcp_md5_do_add() → __tcp_md5_do_add() → sock_kmalloc()",
            allocates=(TCP_MD5SIG_KEY,),
            note="for each peer",
        ),
        Call(
            "setsockopt(TCP_AO_ADD_KEY) → tcp_ao_add_cmd() → tcp_ao_key_alloc() → sock_kmalloc()",
            allocates=(TCP_AO_KEY,),
            note="with the traffic keys behind it",
        ),
        Call(
            "setsockopt(SO_ATTACH_FILTER) → sk_attach_filter() → __sk_attach_prog() → kmalloc()",
            allocates=(SK_FILTER,),
            note="accepted sockets share it",
        ),
        Call(
            "listen(2) → inet_reuseport_add_sock() → reuseport_alloc() → __reuseport_alloc()",
            allocates=(SOCK_REUSEPORT,),
            note="with SO_REUSEPORT, for all listeners of the port",
        ),
        Call(
            "bpf_sk_storage_get() → bpf_local_storage_update()",
            (
                Call("bpf_selem_alloc()", allocates=(BPF_LOCAL_STORAGE_ELEM,), note="for each map, with its value"),
                Call("bpf_local_storage_alloc()", allocates=(BPF_LOCAL_STORAGE,)),
            ),
        ),
        Call(
            "setsockopt(IP_OPTIONS) → do_ip_setsockopt() → ip_options_get() → kzalloc()",
            allocates=(IP_OPTIONS_RCU,),
            note="also of a SYN with IP options",
        ),
        Call(
            "a SYN arrives: tcp_conn_request() → tcp_reqsk_record_syn() → kmalloc()",
            allocates=(SAVED_SYN,),
            note="with TCP_SAVE_SYN on the listener",
        ),
        Call(
            "nf_conntrack_in() → init_conntrack() → __nf_conntrack_alloc()",
            allocates=(NF_CONN,),
            note="for each flow that firewall rules track",
        ),
        Call(
            "tcp_update_metrics() → tcpm_new() → kmalloc()",
            allocates=(TCP_METRICS_BLOCK,),
            note="for each destination",
        ),
    ),
)

SHUTDOWN = Call(
    "shutdown(2) → tcp_shutdown()",
    (
        Call(
            "tcp_send_fin() → alloc_skb_fclone() → __alloc_skb()",
            allocates=(FCLONE, SKB_HEAD),
            note="until it is acknowledged; over loopback the peer, in CLOSE_WAIT, keeps it until its program reads it",
        ),
        Call("nothing is freed", note="FIN_WAIT2 with an open descriptor is a whole socket"),
    ),
)

LONG_FIN_WAIT2 = "if tcp_fin_timeout is over 60 s, later by the seconds over 60: tcp_keepalive_timer()"

LAST_OF_THE_PORT = "when the last socket of the port, or of port and address, is gone"

CLOSE = Call(
    "close(2) → __fput()",
    (
        Call("eventpoll_release() → __ep_remove()", frees=EPOLL_OBJECTS),
        Call(
            "sock_close() → __sock_release() → inet_release() → tcp_close()",
            (
                Call(
                    "the FIN is acknowledged: tcp_time_wait(FIN_WAIT2) → inet_twsk_alloc() → kmem_cache_alloc()",
                    allocates=MINI_SOCKETS,
                    note=LONG_FIN_WAIT2,
                ),
                Call("inet_twsk_hashdance_schedule()", note="takes over the buckets of a port that the socket owned"),
                Call(
                    "a listener, a reset, LAST_ACK: tcp_set_state(TCP_CLOSE) → inet_put_port()",
                    frees=BIND_BUCKETS,
                    note=LAST_OF_THE_PORT,
                ),
                Call("tcp_done() → sk_free() → sk_prot_free()", frees=(*SOCKS, LSM_SOCKET_BLOB)),
            ),
        ),
        Call(
            "dput() → __dentry_kill()",
            (
                Call(
                    "iput() → evict() → destroy_inode() → sock_free_inode()",
                    frees=(SOCKET_ALLOC, LSM_INODE_BLOB),
                    note="after a grace period",
                ),
            ),
            frees=(DENTRY,),
        ),
        Call("file_free() → security_file_free()", frees=(FILE, LSM_FILE_BLOB)),
    ),
)

ANSWER = Call(
    "the peer answers the FIN: tcp_rcv_state_process()",
    (
        Call(
            "its ACK, after close(2): tcp_time_wait(FIN_WAIT2) → inet_twsk_alloc() → kmem_cache_alloc()",
            allocates=MINI_SOCKETS,
            note=LONG_FIN_WAIT2,
        ),
        Call(
            "its FIN, in FIN_WAIT2: tcp_data_queue() → tcp_fin() → tcp_time_wait(TIME_WAIT) → inet_twsk_alloc()"
            " → kmem_cache_alloc()",
            allocates=MINI_SOCKETS,
            note="before close(2), the whole socket stays beside the mini-socket until its descriptor is closed",
        ),
        Call(
            "its ACK, in CLOSING: tcp_time_wait(TIME_WAIT) → inet_twsk_alloc() → kmem_cache_alloc()",
            allocates=MINI_SOCKETS,
        ),
    ),
)

TIME_WAIT = Call(
    "a mini-socket in FIN_WAIT2 or TIME_WAIT",
    (
        Call("the peer's FIN: tcp_timewait_state_process()", note="FIN_WAIT2 becomes TIME_WAIT: the same mini-socket"),
        Call(
            "60 s later: tw_timer_handler() → inet_twsk_kill()",
            (
                Call("inet_twsk_bind_unhash() → inet_bind_bucket_destroy()", frees=BIND_BUCKETS, note=LAST_OF_THE_PORT),
                Call("inet_twsk_put() → inet_twsk_free()", frees=MINI_SOCKETS),
            ),
        ),
    ),
)

CALL_PATH_PAGES: Mapping[str, CallPathPage] = {
    "socket": CallPathPage("What socket(2) and connect(2) allocate", (SOCKET, LISTEN, CONNECT, SLAB), "socket"),
    "accept": CallPathPage("What a server's socket is made of", (SYN, HANDSHAKE_ACK, ACCEPT, SLAB), "server side"),
    "time_wait": CallPathPage(
        "What remains in FIN_WAIT2 and TIME_WAIT", (SHUTDOWN, CLOSE, ANSWER, TIME_WAIT), "TIME_WAIT"
    ),
    "optional": CallPathPage("What only some sockets have", (EPOLL, DATA, OPTIONS), "attached"),
}
"""Pages of call trees, by their names in `tcptop explain`."""


def prune_tree(call: Call, objects: Objects, freed: bool) -> Call | None:
    """Reduces a call tree to the calls that allocate `objects`, or, if `freed` is True, that free `objects`.

    Returns None if no call remains.
    """
    calls = tuple(pruned for inner in call.calls if (pruned := prune_tree(inner, objects, freed)) is not None)
    own = tuple(item for item in (call.frees if freed else call.allocates) if item in objects)
    if not calls and not own:
        return None
    return Call(call.function, calls, () if freed else own, own if freed else (), call.note)


def find_call_trees(objects: Objects, freed: bool = False) -> Iterator[Call]:
    """The call trees that allocate at least one of `objects`; if `freed` is True, the trees that free at least one.

    Each tree is cut down to the calls that concern `objects`. Equal trees are yielded only once.
    """
    seen: list[Call] = []
    for page in CALL_PATH_PAGES.values():
        for tree in page.trees:
            pruned = prune_tree(tree, objects, freed)
            if pruned is not None and pruned not in seen:
                seen.append(pruned)
                yield pruned
