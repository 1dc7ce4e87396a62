"""Words of sockets: their states, kinds, counts and families."""

from tcptop.explanation.glossary.entry import Entry

SOCKET_ENTRIES: tuple[Entry, ...] = (
    Entry(
        "allocated",
        "TCP sockets of all network namespaces that hold a sock: connected, listening, orphans, and never connected.",
        "TIME_WAIT is not in it. The kernel keeps one counter for the machine.",
        "/proc/net/sockstat, field alloc",
        ("alloc", "sockets"),
    ),
    Entry(
        "in use",
        "As a number of sockets: TCP sockets of one network namespace that listen, connect or are connected.",
        "Only the namespace that tcptop reads is counted. Orphans, and sockets that were never connected, are allocated"
        " and not in use.",
        "/proc/net/sockstat and sockstat6, field inuse",
        ("inuse", "in use, allocated, sockets", "in use against allocated"),
    ),
    Entry(
        "orphan",
        "A socket that its program has closed while TCP still has to send data or a FIN.",
        "Above tcp_max_orphans the kernel resets each further one; of those that it retransmits to, it resets silent"
        " ones from 50 % on and those with errors from 25 % on, since it counts them twice and four times. It stops no"
        " new socket. sysctl net.ipv4.tcp_max_orphans raises the limit.",
        "/proc/net/sockstat, field orphan; net/ipv4/tcp.c, tcp_too_many_orphans()",
        ("tcp_max_orphans", "silent orphan"),
    ),
    Entry(
        "buffers",
        "What the kernel counts for data in the queues of TCP sockets, in whole pages; tcp_mem limits it.",
        "The counter lags by a few pages for each CPU, hence a bound (≤ or ±). TCP's total counts only the part `with"
        " data`; the rest is taken in advance.",
        "/proc/net/sockstat, field mem; net/core/sock.c, __sk_mem_schedule()",
        ("buffer", "socket buffer"),
    ),
    Entry(
        "with data",
        "The part of the buffers that holds data: TCP's total counts it, and none of the rest, which is reserved.",
        "≈ stands before the likely part: the share that a look (W) found; without a look, half of each socket's last"
        " page is taken as unused, and more where sockets have one page each.",
        "/proc/net/sockstat, field mem; /proc/slabinfo, the caches of segments; a look at the sockets",
        ("of it with data", "buffers with data"),
    ),
    Entry(
        "average buffers",
        "What is assumed of each new socket: as many bytes of buffers as a present socket has on average.",
        "`without data` says that none are counted. `plan --buffers` takes another size.",
        "/proc/net/sockstat, fields mem and alloc",
    ),
    Entry(
        "+BUF",
        "Whether FITS MORE of a host counts buffers with each new socket: `yes`, their present average, or `no`.",
        "Numbers of two hosts compare only with the same word here.",
        "/proc/net/sockstat, fields mem and alloc",
        ("BUF",),
    ),
    Entry(
        "error of the counter",
        "How wrong the kernel's count of all buffers may be: each CPU counts some pages apart before it adds them.",
        "The kernel compares tcp_mem with the count alone, so the use of that limit is exact. If the error is as large"
        " as the count, the average buffers of a socket are not known, nor how many more sockets fit below tcp_mem."
        " `assumed`: mem_pcpu_rsv, which sets the error, cannot be read here, as in a"
        " container; the error is then that of its default.",
        "net/core/sock.c, sk_memory_allocated_add(); /proc/sys/net/core/mem_pcpu_rsv",
        (
            "counter's error",
            "counter",
            "below counter's error",
            "count within its error",
            "counter ± 8.0 MiB",
            "average not known",
            "error assumed",
            "error is assumed",
        ),
    ),
    Entry(
        "charged",
        "Counted against the limit of a memory cgroup: objects of the kernel, pages and buffers.",
        "Of buffers it is what tcp_mem limits: whole pages, of which a part may be unused.",
        "mm/memcontrol.c; net/core/sock.c, __sk_mem_raise_allocated()",
        ("charge",),
    ),
    Entry(
        "netns",
        "Network namespace: a set of interfaces, ports and counters of its own, as each container has.",
        "this netns is the one that tcptop reads; all netns and machine count every namespace.",
        "/proc/net belongs to one namespace; net/core/net_namespace.c",
        ("this netns", "network namespace", "namespace", "here", "scope", "other netns"),
    ),
    Entry(
        "all netns",
        "Counted over every network namespace, containers included: `all netns ≤ 33`.",
        "Beside a count of this netns it says how many there are at most on the machine.",
        "/proc/slabinfo, active objects of tw_sock_TCP and tw_sock_TCPv6",
    ),
    Entry(
        "machine",
        "Counted over all nodes and all network namespaces, containers included.",
        "Slabs, allocated sockets, orphans and buffers count the machine; in use and TIME_WAIT count one namespace.",
        "/proc/slabinfo, /proc/net/sockstat",
    ),
    Entry(
        "CurrEstab",
        "Connections in the states ESTABLISHED and CLOSE_WAIT, in this network namespace.",
        "It is the number now, no sum since the start, and the only count of a single state that costs nothing to"
        " read.",
        "/proc/net/snmp",
    ),
    Entry(
        "accept queue",
        "Established connections that accept(2) has not returned yet.",
        "Such a connection has a sock and a request sock, but no file. When the queue is full, handshakes are"
        " dropped, and clients repeat them. The program sets the length by listen(2), at most sysctl"
        " net.core.somaxconn.",
        "net/ipv4/inet_connection_sock.c, inet_csk_reqsk_queue_add()",
        (
            "backlog",
            "accept queues",
            "sizes of queues",
            "size of a queue",
            "listen queue",
            "listen queues",
            "somaxconn",
        ),
    ),
    Entry(
        "SYN cookie",
        "An answer to a SYN for which the kernel keeps nothing, as the queue of handshakes is full.",
        "The connection is rebuilt from the number in the client's ACK.",
        "net/ipv4/syncookies.c; /proc/net/netstat, SyncookiesSent",
        ("cookie", "cookies", "syncookies"),
    ),
    Entry(
        "window",
        "How many bytes may be on the way: what the receiver has room for, and what the network bears (congestion).",
        "When buffers are short, the kernel makes windows smaller, and connections become slower.",
        "net/ipv4/tcp_output.c, __tcp_select_window()",
        ("congestion window", "congestion control"),
    ),
    Entry(
        "retransmit",
        "TCP sends a segment again, since no answer came.",
        "A segment stays in the buffers of its socket until it is acknowledged.",
        "net/ipv4/tcp_timer.c, tcp_retransmit_timer()",
        ("acknowledged",),
    ),
    Entry(
        "prune",
        "TCP throws received data away that came out of order, since buffers are short; the sender sends it again.",
        "Before, it packs the queues more tightly (collapse).",
        "net/ipv4/tcp_input.c, tcp_prune_queue(); /proc/net/netstat, PruneCalled",
        ("pruned", "pruning", "collapse", "out of order"),
    ),
    Entry(
        "clone",
        "A second header of the same packet data, so that the network device and the queue can both hold it.",
        "A segment to send is allocated with its clone, from skbuff_fclone_cache.",
        "net/core/skbuff.c, skb_clone()",
        ("fclone",),
    ),
    Entry(
        "struct sk_buff",
        "The header of a packet in a queue (skb): where its data is, and whose it is.",
        "Its linear data is one piece of memory; further data hangs on it in pages. A second header of the same data is"
        " a clone.",
        "include/linux/skbuff.h, struct sk_buff",
        ("skb", "sk_buff", "skb linear data"),
    ),
    Entry(
        "dump",
        "A list of all sockets, as ss(8) prints.",
        "With many sockets it takes long. tcptop asks for one only if the user asks who holds the sockets.",
        "net/ipv4/inet_diag.c",
        ("ss", "sock_diag"),
    ),
    Entry(
        "MPTCP",
        "Multipath TCP, in which one connection takes several paths, each with an ordinary TCP socket (a subflow).",
        "Its own sock comes on top of the socks of its subflows. Averages per socket and `who` count the subflows as"
        " sockets, and leave the MPTCP socks out. Programs in Go listen with MPTCP from Go 1.24 on, so that a few of"
        " these socks, and their slabs, are usual where nobody uses several paths.",
        "net/mptcp/protocol.c",
        ("multipath", "subflow"),
    ),
    Entry(
        "TCP-MD5",
        "Segments that are signed with a key, as routers do between each other (BGP); TCP-AO is its successor.",
        "A socket holds one key for each peer.",
        "net/ipv4/tcp_ipv4.c, tcp_md5_do_add()",
        ("MD5", "TCP-AO", "BGP", "authenticates"),
    ),
    Entry(
        "peer",
        "The other end of a connection, with its address and port.",
        "Over loopback the peer is a socket of the same kernel.",
        "include/net/inet_sock.h, inet_daddr and inet_dport",
    ),
    Entry(
        "timer",
        "What wakes a socket after a while: to send again, to ask a silent peer (keepalive), or to end TIME_WAIT.",
        "It is a part of the sock and takes no object of its own.",
        "net/ipv4/tcp_timer.c, tcp_init_xmit_timers()",
    ),
    Entry(
        "sequence number",
        "The number of a byte in a connection, by which TCP puts segments in order.",
        "The mini-socket of TIME_WAIT remembers the last ones.",
        "include/linux/tcp.h, struct tcp_sock, snd_nxt and rcv_nxt",
        ("sequence", "last sequence"),
    ),
    Entry(
        "payload",
        "The data that a packet carries, without its headers.",
        "It lies behind the header in one piece (linear), or in pages of its own.",
        "net/core/skbuff.c, __alloc_skb()",
        ("linear", "linear data", "header"),
    ),
    Entry(
        "handshake",
        "The three segments that open a connection: SYN, SYN and ACK, ACK.",
        "A server keeps a request sock from the SYN to accept(2); the sock comes with the last ACK.",
        "net/ipv4/tcp_input.c, tcp_conn_request()",
    ),
    Entry(
        "segment",
        "A packet of TCP: a header, mostly with a piece of the data behind it.",
        "Flags in the header say what it does: SYN opens a connection, ACK acknowledges data, FIN says that no more"
        " data follows, RST ends the connection at once.",
        "include/uapi/linux/tcp.h, struct tcphdr",
        ("SYN", "ACK", "FIN", "late segment"),
    ),
)
