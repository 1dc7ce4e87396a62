"""The glossary: every word and sign of the screen and the reports, with its meaning and the file it comes from.

The page `glossary` and `tcptop explain WORD` show the entries of the glossary. The entries of the cache table's columns
are made from the texts in `text/cache_columns.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from tcptop.kernel.events import EVENTS, KernelEvent
from tcptop.kernel.limits import limit_label
from tcptop.text.ascii_glyphs import ASCII_GLYPHS, LONGER_GLYPHS
from tcptop.text.cache_columns import COLUMNS


class Entry(NamedTuple):
    """An entry of the glossary: a word with its meaning."""

    word: str
    meaning: str
    """One sentence."""
    more: str
    """One or two further sentences about the word."""
    source: str
    """The kernel's file or function from which the figure or the word comes; `tcptop` for tcptop's own words."""
    other_names: tuple[str, ...] = ()
    """Further words by which the entry is found."""


TCP_STATES = "include/net/tcp_states.h; net/ipv4/tcp.c, tcp_set_state()"

FIGURE_ENTRIES: tuple[Entry, ...] = (
    Entry(
        "bytes per connection",
        "The slab memory of one endpoint: one TCP socket of this kernel with the objects that hang on it.",
        "Over loopback a connection has two endpoints on the same machine. Socket buffers are not in it.",
        "/proc/slabinfo and /sys/kernel/slab",
        ("connection", "endpoint", "per connection", "B/conn", "B/connection", "conn"),
    ),
    Entry(
        "average now",
        "The slab memory of all open sockets now, divided by their number; in TIME_WAIT, of all mini-sockets divided by"
        " as many as there surely are: the count of this netns, or the active objects that no CPU keeps as free ones.",
        "Idle memory is in it: after many sockets closed it jumps, and `332 idle` beside it says how many of its bytes"
        " are idle, from 2 % on. Sockets without a file (orphans, and those in an accept queue) lower it. Bind buckets"
        " are left out, since no file counts the ports in use.",
        "/proc/slabinfo: slabs of TCP, TCPv6, and the inodes, dentries and files of sockets (in TIME_WAIT: tw_sock_TCP,"
        " tw_sock_TCPv6) ÷ /proc/net/sockstat",
        (
            "now",
            "average",
            "B average now",
            "of them idle",
        ),
    ),
    Entry(
        "no average",
        "With too few sockets the memory is not divided by their number: free objects that CPUs hold would outweigh"
        " them.",
        "An average needs 100 sockets for each CPU, so that the least number depends on the machine: 800 with 8 CPUs. A"
        " machine whose CPUs may hold more free objects needs more. `no average below 800 sockets` names the number;"
        " until then the figure is the cost of one more socket.",
        "tcptop; CPUs: /sys/devices/system/cpu",
        (
            "no average below 800 sockets",
            "no average below 800",
            "no average < 800",
            "below sockets",
            "too few",
        ),
    ),
    Entry(
        "v4/v6 average",
        "One part of the bytes of a socket: the IPv4 object or the IPv6 object, whose sizes are averaged.",
        "A socket has one of the two, never both. The shares of both families weigh the average: `tw_sock v4/v6"
        " average` is the size of tw_sock_TCP × the share of IPv4, and that of tw_sock_TCPv6 × the share of IPv6.",
        "/proc/slabinfo: TCP and TCPv6, or tw_sock_TCP and tw_sock_TCPv6",
        ("v4/v6", "v4/6", "TCPv4/6", "TCP v4/v6 average", "tw_sock v4/v6 average"),
    ),
    Entry(
        "earlier average",
        "The average is that of an earlier moment, since sockets change faster than slabinfo is read.",
        "The number of sockets has changed by more than 2 %, and the slabs were not read with it. Two reads that agree"
        " give a new average.",
        "/proc/slabinfo ÷ /proc/net/sockstat",
        ("last average", "held average", "sockets change"),
    ),
    Entry(
        "one more socket",
        "What the next socket takes: for each of its objects, the object's share of a full slab.",
        "It is a constant of a kernel and its configuration, but for objects whose size is known only within bounds."
        " The sizes are read from this machine, never assumed.",
        "/proc/slabinfo, /sys/kernel/slab, /sys/kernel/btf/vmlinux",
        ("one more", "next", "next socket", "other parts of a socket", "other parts"),
    ),
    Entry(
        "server side",
        "A socket that accept(2) returned: sock, socket inode, dentry, file, and the data of security modules.",
        "It shares the local port of its listener, so it takes no port of its own. The JSON calls it `accepted`.",
        "net/ipv4/tcp_minisocks.c, tcp_create_openreq_child()",
        ("server", "accepted", "accepted socket"),
    ),
    Entry(
        "client side",
        "A socket that connect(2) opened: as on the server side, and up to two buckets for its local port.",
        "The figure is an upper bound (≤), because connections to different peers may share one local port."
        " The JSON calls it `outgoing`.",
        "net/ipv4/inet_hashtables.c, __inet_hash_connect()",
        ("client", "outgoing", "own port", "port of its own"),
    ),
    Entry(
        "open sockets",
        "Accounting of sockets that are not in TIME_WAIT: a whole sock with its inode, dentry and file.",
        "Key m changes to TIME_WAIT accounting and back. The JSON calls this accounting `full`.",
        "/proc/net/sockstat",
        ("open socket", "full accounting"),
    ),
    Entry(
        "without slab padding",
        "The sum of the objects alone, each with its alignment and free pointer, without what is left over in slabs.",
        "The difference to one more socket is the price of packing objects into whole pages.",
        "/sys/kernel/slab/*/slab_size",
        ("slab padding", "objects alone", "without padding", "with slab padding", "with padding"),
    ),
    Entry(
        "IPv4:IPv6 as here",
        "The mix of IPv4 and IPv6 sockets of this machine, in per cent: figures without a family are for this mix.",
        "It follows the active objects of the caches TCP and TCPv6 where there are many, else the counts of sockets.",
        "/proc/slabinfo, rows TCP and TCPv6; /proc/net/sockstat, /proc/net/sockstat6",
        ("mix", "IPv4", "IPv6", "family"),
    ),
    Entry(
        "TIME_WAIT",
        "What TCP keeps of a closed connection for a minute: a mini-socket, which late segments find.",
        "FIN_WAIT2 after close(2) is the same mini-socket and is counted with it. It has no file and no buffers.",
        "net/ipv4/tcp_minisocks.c, tcp_time_wait(); /proc/net/sockstat, field tw",
        ("mini-socket", "mini", "tw_sock", "tw", "B/mini-socket", "with closed FIN_WAIT2", "closed connection"),
    ),
    Entry(
        "TCP in the kernel",
        "All kernel memory used by TCP: its caches, its share of shared caches, and its buffers with data.",
        "Of the buffers it counts what holds data, so the buffers may be larger than the total. ≈ stands before the"
        " likely value if its range is wide; page cache that sendfile(2) has queued is charged as buffers are, and may"
        " be in it. `% of RAM` is its share of MemTotal.",
        "/proc/slabinfo and /proc/net/sockstat",
        ("total", "total kernel memory in TCP", "TCP memory", "of RAM", "% of RAM"),
    ),
    Entry(
        "range",
        "The lowest and the highest value that TCP's memory may have; beside the large figure, which is the likely"
        " value.",
        "It is wide where the error of the counter of buffers is (some MiB with many CPUs), or where bind buckets and"
        " obj_cgroup vectors lie in caches that others use, too: these may be all TCP's or none. Page memory (key i)"
        " has the range of each part.",
        "/proc/slabinfo and /proc/net/sockstat",
        ("likely", "wide range", "likely range"),
    ),
    Entry(
        "growth",
        "The change of TCP's memory, and of the sockets beside it, per second: the average over the last half minute.",
        "N/s beside sockets is their net growth, opened less closed: 0 where as many close as open, however many"
        " connections a second that is. The growth of a limit is over minutes, and Δ/s of a cache over five seconds."
        " `over 4 s`: the time between the two counts of slabs that the rate is computed from. `steady`: less than"
        " 0.001 % a second or, while the sockets stand still, less than a few slabs; no rate: slabs were counted only"
        " once, or what had grown has gone again.",
        "tcptop, from samples and the times between them",
        (
            "rate",
            "net growth",
            "per second",
            "steady",
            "trend",
            "over 30 s",
            "/s",
            "B/s",
            "KiB/s",
            "MiB/s",
            "GiB/s",
            "k/s",
            "M/s",
        ),
    ),
    Entry(
        "idle",
        "Slab memory that no socket uses now.",
        "Beside the average it is the slabs of TCP's caches, less what the counted sockets take, for each socket: ≤ if"
        " there may be more sockets than are counted, as TIME_WAIT of other netns. On the page memory it is OBJS minus"
        " ACTIVE, × the bytes of an object: free objects on the lists of CPUs count as active, so there may be more."
        " It is large after many sockets closed, and the next sockets take it first.",
        "/proc/slabinfo and /proc/net/sockstat; mm/slub.c, get_slabinfo()",
        ("idle slab", "idle object", "free object", "≤ idle"),
    ),
    Entry(
        "computed",
        "Not read from a counter, but computed from sizes by the kernel's own rules.",
        "It stands where a file cannot be read, as without root. The result is what the kernel would print, unless the"
        " kernel was built in an unusual way. On the page of a cache, `source` says if its sizes are computed.",
        "mm/slub.c, calculate_sizes()",
        ("estimated", "source", "sizes as the kernel prints them"),
    ),
    Entry(
        "attached",
        "Objects that a socket has only if its program, a firewall rule or its traffic asks for them.",
        "They are epoll items, tracked flows, kernel TLS and buffers. Key E adds them to the average.",
        "/proc/slabinfo, /proc/net/tls_stat, /proc/net/sockstat",
        ("attached objects", "besides"),
    ),
    Entry(
        "mark",
        "A moment that key k keeps: from then on, counts show what has changed since.",
        "The bytes of each socket opened since the mark are measured, with an error (±) for what the machine's other"
        " slabs did meanwhile: their largest change in any sample since the mark.",
        "tcptop",
        ("since mark", "measured"),
    ),
    Entry(
        "disturbed",
        "The bytes measured since the mark are not shown, since other programs changed slab memory too much meanwhile.",
        "The error would be above 10 %. Set the mark again at a quiet moment, or open more sockets.",
        "tcptop, from the rows of /proc/slabinfo that no socket has",
    ),
)

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
        "The counter lags by a few pages for each CPU, hence a bound (≤ or ±). `with data` is the part that"
        " counts in the total; the rest is taken in advance. ≈ stands before the likely part: the share that a look"
        " (W) found; without a look, half of each socket's last page is taken as unused, and more where sockets have"
        " one page each.",
        "/proc/net/sockstat, field mem; net/core/sock.c, __sk_mem_schedule()",
        ("buffer", "socket buffer", "of it with data", "buffers with data", "with data"),
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
        ("backlog", "accept queues", "listen queue", "listen queues", "somaxconn"),
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

SLAB_ENTRIES: tuple[Entry, ...] = (
    Entry(
        "slab",
        "A block of pages that the kernel cuts into objects of one size.",
        "A slab of 32 KiB holds 13 of the larger socks, for example. A slab with no object in use may be given back.",
        "mm/slub.c; /proc/slabinfo, num_slabs",
        ("slab memory",),
    ),
    Entry(
        "object",
        "A piece of a slab: one struct of the kernel, such as a sock, an inode or a dentry.",
        "OBJS counts them used or not; ACTIVE counts those in use. On the page of a cache, `there is` says how many one"
        " socket has.",
        "/proc/slabinfo, active_objs and num_objs",
        ("obj", "there is"),
    ),
    Entry(
        "cache",
        "A slab cache: all slabs that hold objects of one kind and size.",
        "TCP is the cache of IPv4 socks, sock_inode_cache that of socket inodes.",
        "/proc/slabinfo; mm/slab_common.c, kmem_cache_create()",
        ("slab cache", "TCP cache", "all caches"),
    ),
    Entry(
        "struct",
        "The C structure that an object holds, such as struct tcp_sock.",
        "Its size and members come from the kernel's own type information, where that is readable.",
        "/sys/kernel/btf/vmlinux",
        ("member",),
    ),
    Entry(
        "merged",
        "Caches of like size that the kernel has put into one: they share slabs and a row, marked with *.",
        "The row has the name of the cache made first: `pid*` may have TCP's bind buckets and epoll items beside the"
        " kernel's process numbers. The counts of the row are those of all of them; TCP PART is an estimate of what is"
        " TCP's. ENTER on the row names the caches.",
        "links in /sys/kernel/slab; mm/slab_common.c, find_mergeable()",
        ("*", "alias", "shares a row", "TCP's", "not TCP's", "counted in"),
    ),
    Entry(
        "shared cache",
        "A cache that others use besides TCP, such as dentry and filp.",
        "Of such a cache, TCP's part is computed from the number of its sockets.",
        "tcptop, from /proc/slabinfo and /proc/net/sockstat",
        ("shared", "everything else"),
    ),
    Entry(
        "sockets since slabinfo",
        "The memory that sockets took or gave back after slabinfo was read, when many were opened or closed since.",
        "It is an estimate: the change in the number of sockets × the bytes of one more socket. The range has what the"
        " present sockets surely hold, and the most that the new ones can take.",
        "/proc/net/sockstat now, and beside the last read of /proc/slabinfo",
    ),
    Entry(
        "unexplained",
        "Slab memory that the machine has and that no row of slabinfo explains.",
        "Large kmalloc blocks and the error of the counters are in it.",
        "/proc/meminfo, Slab, minus the rows of /proc/slabinfo",
    ),
    Entry(
        "kmalloc",
        "The caches of fixed sizes for objects that have no cache of their own: kmalloc-64, kmalloc-192, and so on.",
        "What lies in them cannot be told apart by a counter.",
        "mm/slab_common.c, kmalloc_info",
    ),
    Entry(
        "obj_cgroup vectors",
        "The kernel's notes of who pays: beside each slab of an accounted cache, 8 bytes for each of its objects.",
        "They point at the memory cgroup (a container or a service) to which the object is charged. Accounted is a"
        " cache whose objects are charged to memory cgroups, such as TCP. The bar calls them memcg, for short, or"
        " counts them in `+N more` if they are small. They exist only where memory cgroups are or were in use.",
        "mm/slub.c, alloc_slab_obj_exts(); struct slabobj_ext",
        ("memcg", "vector", "obj_cgroup", "memcg vector", "accounted"),
    ),
    Entry(
        "cgroup",
        "A group of processes with limits of its own, as a container or a service has.",
        "When memory.max is reached, windows of its sockets shrink, it reclaims, then the OOM killer ends a process"
        " in it; a larger memory.max (MemoryMax= of systemd) makes room. Option --cgroup adds it as a further limit,"
        " or that of a cgroup above with less left: what a cgroup is charged counts there, too. Of cgroup v1"
        " memory.kmem.limit_in_bytes (before Linux 5.16) may be nearer: socket() and accept() then fail at once.",
        "/sys/fs/cgroup, memory.max and memory.current; of cgroup v1 memory.limit_in_bytes and memory.usage_in_bytes",
        ("memory cgroup", "memory.max", "max", "cgroup v1", "memory.limit_in_bytes"),
    ),
    Entry(
        "LSM",
        "Linux security modules, such as SELinux and AppArmor: what they hang on a file, an inode or a sock.",
        "Which modules are active decides the size.",
        "/sys/kernel/security/lsm; security/security.c",
        ("blob", "security module", "AppArmor", "SELinux", "Smack"),
    ),
    Entry(
        "sock",
        "The protocol's own state of a socket, struct tcp_sock: sequence numbers, windows, timers, queues.",
        "It is the largest part of a connection, from the cache TCP or TCPv6.",
        "net/core/sock.c, sk_prot_alloc()",
    ),
    Entry(
        "inode",
        "The kernel's record of a file; that of a socket is one object with struct socket, from the cache"
        " sock_inode_cache.",
        "Every socket with a descriptor has one, of whatever protocol.",
        "net/socket.c, sock_alloc_inode()",
        ("socket inode",),
    ),
    Entry(
        "file",
        "The open file that a descriptor points to, from the cache filp.",
        "A descriptor is the number by which a program names the file. A mini-socket, an orphan and a connection in the"
        " accept queue have no file, so file-max does not count them. How many files may be open is limited by"
        " file-max for the machine, and by nofile for a process.",
        "fs/file_table.c, alloc_empty_file()",
        ("filp", "descriptor", "no file", "without a file"),
    ),
    Entry(
        "port",
        "The number that tells the sockets of an address apart; one in use takes a bind bucket, since 6.1 a bind2"
        " bucket, too.",
        "The buckets list the sockets of the port. All sockets of a port share them; a socket of the client side"
        " may have them alone.",
        "net/ipv4/inet_hashtables.c, inet_bind_bucket_create()",
        (
            "local port",
            "bind bucket",
            "bind2 bucket",
            "bucket",
            "bind",
            "clients share",
            "may share",
            "sockets may share one",
        ),
    ),
    Entry(
        "epoll",
        "What watches a socket for a program: an item and a wait queue entry for each epoll set.",
        "A program with epoll has these objects for every socket it waits for.",
        "fs/eventpoll.c, ep_insert(); /proc/slabinfo, eventpoll_epi",
        ("epoll item",),
    ),
    Entry(
        "kernel TLS",
        "Encryption in the kernel, which a program asks for with setsockopt(TCP_ULP).",
        "Each such socket has a context with keys.",
        "/proc/net/tls_stat; net/tls/tls_main.c",
        ("ktls", "TLS", "TX", "RX"),
    ),
    Entry(
        "BTF",
        "The kernel's own description of its structs: sizes, members, offsets.",
        "From it come the sizes of objects without a cache of their own, and the holes of a struct.",
        "/sys/kernel/btf/vmlinux",
    ),
    Entry(
        "sockmap",
        "A map of BPF programs that holds sockets, to send data from one to another inside the kernel; also sockhash.",
        "Each such socket has a struct sk_psock. BPF programs are small programs that run in the kernel.",
        "net/core/skmsg.c; net/core/sock_map.c",
        ("sockhash", "BPF"),
    ),
    Entry(
        "grace period",
        "The wait until no CPU can still see an object, after which the kernel frees it.",
        "This is why counts fall a moment after sockets were closed.",
        "kernel/rcu",
        ("RCU",),
    ),
)

OBJECT_ENTRIES: tuple[Entry, ...] = (
    Entry(
        "SLUB",
        "The part of the kernel that cuts pages into objects: the slab allocator of today's kernels.",
        "It replaced SLOB, taken out in Linux 6.4, and SLAB, taken out in 6.8.",
        "mm/slub.c",
    ),
    Entry(
        "spacing",
        "The bytes from the start of one object of a slab to the start of the next.",
        "It is the size of the struct with its alignment, its free pointer and the fields of slab_debug. The column OBJ"
        " SIZE has it.",
        "/sys/kernel/slab/*/slab_size",
        ("asked for",),
    ),
    Entry(
        "slab share",
        "The bytes of a slab divided by the number of its objects: what one object takes in pages.",
        "It is larger than the spacing by the part of what is left over.",
        "/sys/kernel/slab/*/objs_per_slab and order",
    ),
    Entry(
        "left over",
        "The bytes at the end of a slab that are too few for one more object.",
        "They are divided among the objects of the slab, so that the figures add up to whole pages.",
        "mm/slub.c, calculate_order()",
    ),
    Entry(
        "alignment",
        "The rule that an object begins at a multiple of some number of bytes, often of a cache line of the CPU.",
        "A cache line is what the CPU reads from memory at once, mostly 64 bytes. The bytes up to the next such"
        " multiple are unused.",
        "/sys/kernel/slab/*/align; mm/slab_common.c, calculate_alignment()",
        ("aligned", "whole cache lines", "cache line"),
    ),
    Entry(
        "loss",
        "The bytes of a cache's slabs without a struct in use: between objects, at ends of slabs and in free objects.",
        "slabinfo of the kernel's sources prints it under the same name. Between objects are padding, alignment, the"
        " free pointer, and the fields of slab_debug where it is on. Free objects on CPUs' lists count as used.",
        "tools/mm/slabinfo.c, report()",
        ("used bytes", "ends of slabs", "between objects"),
    ),
    Entry(
        "in structs",
        "On the page of a cache: how many bytes of its slabs are in the structs of active objects, and of how many.",
        "The rest is the loss. ≤ stands if some active objects may be free, on CPUs' lists.",
        "/proc/slabinfo; /sys/kernel/slab/*/object_size",
    ),
    Entry(
        "one slab",
        "On the page of a cache: a bar of one slab, in which all its objects have the same width.",
        "█ and ▓ in turn tell each object from the next; ░ is what is left over at the end of the slab. There is no bar"
        " where the objects would be too narrow.",
        "/proc/slabinfo",
        ("in turn",),
    ),
    Entry(
        "one object",
        "On the page of a cache: a map of its struct, with a sign for each word of 8 bytes.",
        "█: members use all bytes of the word; ▒: some of them; ░: none, since it is a hole or padding. The padding of"
        " the cache behind the struct is not drawn: the line `spacing` has it.",
        "/sys/kernel/btf/vmlinux",
        ("used in part", "8 B each"),
    ),
    Entry(
        "in states",
        "On the page of a cache: the states of TCP in which a socket has the object.",
        "`all but` names the states without it. SYN_SENT, FIN_WAIT1, CLOSING and LAST_ACK have what ESTABLISHED has;"
        " after close(2) the last three have what an orphan has.",
        TCP_STATES,
    ),
    Entry(
        "partly used",
        "Slabs with objects in use and free ones, which wait on a list of their node for the next object.",
        "A slab that a CPU holds is not among them. The tool slabinfo calls them partial slabs.",
        "/sys/kernel/slab/*/partial",
        ("partial", "partly full", "full slabs"),
    ),
    Entry(
        "held by CPUs",
        "Slabs (SLABS HELD), or free objects, that a CPU has taken for itself, to need no lock.",
        "A CPU may hold several slabs of a cache, or none: on 7.3 it keeps free objects on its lists, not slabs."
        " slabinfo counts these free objects as active, so that ACTIVE may be too high by them, and idle memory too"
        " low. How many are free is not shown: at most as many as fit on the lists of all CPUs, and of TCP's and"
        " TCPv6's caches, at most the active objects beyond the number of sockets.",
        "/sys/kernel/slab/*/cpu_slabs and cpu_partial; mm/slub.c, struct kmem_cache_cpu",
        (
            "SLABS HELD",
            "slabs held by CPUs",
            "held by a CPU",
            "on CPUs",
            "CPUs' lists",
            "lists of CPUs",
            "per-CPU",
            "per CPU",
            "CPU list",
        ),
    ),
    Entry(
        "flags",
        "On the page of a cache: how the kernel lays out and frees its objects.",
        "aligned, whole cache lines: objects begin at such addresses; slabs freed after an RCU grace period:"
        " a CPU may look at an object just freed; counted as reclaimable: the kernel can shrink the cache; from the DMA"
        " zone.",
        "/sys/kernel/slab/*/align, hwcache_align, destroy_by_rcu, reclaim_account, cache_dma",
        ("flag",),
    ),
    Entry(
        "SMALLEST",
        "On the page of free blocks: the smallest block that holds one object of the cache.",
        "If no block of the preferred order is free, slabs of this cache are made of smaller ones, down to this size.",
        "mm/slub.c, allocate_slab()",
    ),
    Entry(
        "debugging of slabs",
        "Checks that find users who write beside an object, or after it is freed: red zones, poison, sanity checks.",
        "The boot parameter slab_debug switches them on, for all caches or some; they make objects larger and slower.",
        "/sys/kernel/slab/*/red_zone, poison, sanity_checks, store_user, trace",
        ("debugging", "red zones", "red zone", "poison", "sanity checks", "tracking of users", "trace", "tracing"),
    ),
    Entry(
        "relations",
        "The page that draws how the objects of a socket point at each other, with the member of each pointer.",
        "Where BTF is readable, each member has its offset in bytes on this kernel, which follows a plus sign.",
        "include/linux/{fs,dcache,net}.h and include/net/{sock,inet_hashtables}.h",
        ("links", "list head", "head of the list", "entry"),
    ),
    Entry(
        "descriptor table",
        "The array of a process with a pointer to an open file for each descriptor.",
        "It grows by powers of two. dup(2), fork(2) and SCM_RIGHTS put one file into further entries.",
        "include/linux/fdtable.h, struct files_struct and fdtable",
        ("fdtable", "fdt", "fd", "sk"),
    ),
    Entry(
        "dentry",
        "The name of a file in memory. It has a parent, the dentry of its directory, and a list of children.",
        "A socket's dentry has no directory, no parent but itself and no children, and no path leads to it.",
        "include/linux/dcache.h, struct dentry",
        ("parent", "children", "directory", "names of a file"),
    ),
    Entry(
        "hard link",
        "A further name of one file on disk: several dentries lead to one inode, which counts its names.",
        "A socket has one name, and none on a disk.",
        "fs/namei.c, vfs_link(); struct inode, i_nlink",
        ("hard", "hard links", "alias list"),
    ),
    Entry(
        "ehash",
        "The hash table of all connected socks, and of the mini-sockets in TIME_WAIT, by addresses and ports.",
        "Each bucket is a chain, in which an arriving segment finds its sock. Its size is set at boot.",
        "include/net/inet_hashtables.h, struct inet_hashinfo",
        ("chain", "hash table", "bhash"),
    ),
    Entry(
        "deathrow",
        "The list of the mini-sockets of a bind2 bucket, in Linux 6.1 to 6.7.",
        "Since 6.8 they are among its owners.",
        "include/net/inet_hashtables.h, struct inet_bind2_bucket",
        ("owners",),
    ),
    Entry(
        "constructor",
        "A function that prepares the objects of a new slab once, and not at each allocation.",
        "A freed object keeps what it prepared, so the free pointer lies behind the object.",
        "/sys/kernel/slab/*/ctor",
    ),
    Entry(
        "free pointer",
        "The address of the next free object, which SLUB writes into each free object.",
        "Where the object's own bytes must stay untouched after it is freed, the pointer takes 8 bytes behind them.",
        "mm/slub.c, set_freepointer()",
    ),
    Entry(
        "hole",
        "Unused bytes between two members of a struct, since the next member needs its alignment.",
        "Another order of the members may save them.",
        "/sys/kernel/btf/vmlinux",
        ("unused", "unused bytes"),
    ),
    Entry(
        "padding",
        "Bytes that hold nothing: at the end of a struct, behind an object, or behind the last object of a slab.",
        "At the end of a struct they make its size a multiple of its alignment; behind an object, the spacing. `with"
        " slab padding` in a report is an object with its share of all three; `without slab padding`: less the last.",
        "/sys/kernel/btf/vmlinux",
        ("tail padding",),
    ),
    Entry(
        "largest members",
        "The members of a struct that take the most bytes, each with its size and its offset.",
        "A member that is a struct counts whole.",
        "/sys/kernel/btf/vmlinux",
    ),
    Entry(
        "found by",
        "How tcptop learns whether this kernel has the object: by a file, or by the name of a cache.",
        "An object that no file shows is named as missing, and the figure becomes a lower bound (≥).",
        "tcptop's catalogue of kernel objects",
    ),
    Entry(
        "allocated by",
        "The function of the kernel that makes the object; freed by: the one that gives it back.",
        "Below it stand the functions that lead there from a system call or a packet.",
        "tcptop's catalogue of call paths",
        ("freed by", "system call"),
    ),
    Entry(
        "request sock",
        "What a server keeps of a handshake: about 300 bytes, from the client's SYN until accept(2).",
        "Until the last ACK it stands alone (SYN_RECV); then the kernel makes the sock, and both wait in the accept"
        " queue.",
        "net/ipv4/tcp_input.c, tcp_conn_request(); /proc/slabinfo, request_sock_TCP",
        ("request_sock", "request_sock_TCP", "SYN queue", "active request sock", "active request", "same request sock"),
    ),
    Entry(
        "socket",
        "One end of a connection, as a program sees it: a descriptor on which it sends and receives.",
        "In the kernel it consists of several objects: the sock is TCP's part and by far the largest; socket and inode"
        " (one object), dentry and file make it an open file. An orphan has a sock alone, TIME_WAIT a mini-socket.",
        "include/linux/net.h, struct socket; include/net/sock.h, struct sock",
        ("sock, socket, inode", "sock against socket", "struct socket", "struct sock", "made of", "TCP socket"),
    ),
)

MEMORY_ENTRIES: tuple[Entry, ...] = (
    Entry(
        "buddy allocator",
        "The part of the kernel that hands out pages, in blocks of 1, 2, 4, 8 … pages.",
        "Two free neighbours (buddies) join to a block of twice the size. Slabs are made of its blocks.",
        "mm/page_alloc.c",
        ("buddy",),
    ),
    Entry(
        "free_area",
        "The lists of free blocks of a zone, one for each order and migrate type.",
        "The pane of free blocks shows their lengths.",
        "/proc/buddyinfo, /proc/pagetypeinfo; include/linux/mmzone.h, struct free_area",
        ("free block", "block", "free blocks", "free"),
    ),
    Entry(
        "order",
        "The size of a block as a power of 2: order 0 is one page, order 3 is eight pages.",
        "With pages of 4 KiB, 32K is order 3, from which SLUB likes to make TCP's slabs.",
        "/proc/buddyinfo; mm/slub.c, calculate_order()",
        (*["4K", "8K", "16K", "32K", "64K", "128K", "256K", "512K", "1M", "2M", "4M"], "page order"),
    ),
    Entry(
        "order fallback",
        "A slab made of a smaller block, because no block of the preferred order was free.",
        "It holds fewer objects for its pages. CACHE SIZE counts such slabs with their real size.",
        "mm/slub.c, allocate_slab()",
        ("fallback",),
    ),
    Entry(
        "migrate type",
        "What a block may be used for: Unmovable, Movable, Reclaimable, HighAtomic, CMA or Isolate.",
        "Blocks of one type are kept together, so that movable pages can be moved away. TCP's slabs are Unmovable,"
        " those of inodes and dentries Reclaimable; types may be taken over when their own lists are empty."
        " `tcptop explain free` says what each type is for.",
        "/proc/pagetypeinfo; include/linux/mmzone.h, enum migratetype",
        ("type", "Unmovable", "Movable", "Reclaimable", "CMA", "none free"),
    ),
    Entry(
        "HighAtomic",
        "A migrate type: blocks kept back for allocations that may not wait and need several pages in one block.",
        "The kernel keeps about 1 % of a zone so, after such an allocation has nearly failed. These blocks count as no"
        " room for slabs.",
        "/proc/pagetypeinfo; mm/page_alloc.c, reserve_highatomic_pageblock()",
    ),
    Entry(
        "Isolate",
        "A migrate type: blocks from which nothing is allocated for now, because their pages are being moved away.",
        "That is done to switch off memory, or to make one large block. Mostly there are none.",
        "/proc/pagetypeinfo; mm/page_isolation.c",
    ),
    Entry(
        "pageblock",
        "A group of pages with one migrate type, usually 2 MiB on x86-64.",
        "The counts say how the zone is divided among the types, free or not.",
        "/proc/pagetypeinfo, Number of blocks type",
        ("pageblocks",),
    ),
    Entry(
        "zone",
        "A range of a node's memory by address: DMA, DMA32, Normal, Movable.",
        "TCP's slabs come from Normal, and from DMA32 or DMA where a node has no Normal or little free in it. Which"
        " addresses a zone has depends on the architecture. Device keeps memory of devices. A number before the name,"
        " as in `0 DMA32`, is the node; a name alone counts this zone of all nodes.",
        "/proc/zoneinfo",
        ("DMA", "DMA32", "Normal", "Device", "HighMem", "0 DMA32", "0 Normal"),
    ),
    Entry(
        "watermark",
        "Three counts of free pages of a zone: min, low and high.",
        "Below low the kernel reclaims in the background until high is reached. Below min a program waits for reclaim.",
        "/proc/zoneinfo, lines min, low and high",
        ("min", "low", "high"),
    ),
    Entry(
        "WATERMARKS m l h",
        "The heading of the bar of a zone's free pages: the bar is as long as twice the watermark high.",
        "A full bar means plenty of free memory. The letters in it stand at the watermarks min, low and high: a bar"
        " that ends left of l means that the kernel reclaims.",
        "/proc/zoneinfo",
        ("MIN LOW HIGH", "WATERMARKS", "m l h", "ml", "lh", "mlh"),
    ),
    Entry(
        "fragmentation",
        "How much of the free memory is in blocks too small for this order: .25 is a quarter, 1.0 all of it.",
        "Computed by the kernel (unusable free index): free pages in smaller blocks ÷ all free pages of the zone."
        " Near 0 is good, and below .01 the place is blank. It says nothing about the amount of free memory.",
        "/sys/kernel/debug/extfrag/unusable_index; mm/vmstat.c, unusable_free_index()",
        ("unusable", "unusable index", ".01"),
    ),
    Entry(
        "node",
        "A NUMA node: CPUs and the memory that is near to them.",
        "An object is made on the node of the CPU that handles it, if memory is free there, and else on another node.",
        "/sys/devices/system/node, /proc/zoneinfo",
        ("NUMA", "all nodes", "the only node", "no node is known"),
    ),
    Entry(
        "distance",
        "How far the memory of a node is from the CPUs of another, as the firmware says: 10 is the node itself.",
        "20 means that an access takes twice as long. The way back may have another distance. CPUs of a full node take"
        " memory of the nearest nodes first.",
        "/sys/devices/system/node/node*/distance; drivers/base/node.c, node_read_distance()",
        ("DISTANCES", "DISTANCE FROM", "far", "twice as far", "nearest nodes", "firmware", "numactl"),
    ),
    Entry(
        "online",
        "A CPU or a node that the kernel uses now.",
        "A CPU that is switched off is in no list and no count. A node may be online without CPUs or without memory.",
        "/sys/devices/system/cpu/online, /sys/devices/system/node/online",
        ("offline", "node online", "nodes online", "CPUs online", "processors"),
    ),
    Entry(
        "SMBIOS",
        "Tables in which the firmware describes the machine: processor sockets, memory slots, board, serial numbers.",
        "dmidecode prints them. The firmware writes them when the machine starts; those of a virtual machine are"
        " its hypervisor's. Only root may read them. tcptop reads types 4, 16 and 17, and never a serial number.",
        "/sys/firmware/dmi/tables; drivers/firmware/dmi_scan.c",
        (
            "DMI",
            "dmidecode",
            "hardware",
            "firmware",
            "firmware's tables",
            "as the firmware says",
        ),
    ),
    Entry(
        "processor socket",
        "A place for a processor on the board; it may be empty.",
        "A processor has one or more cores, and each core one or more threads, which the kernel calls CPUs. `16 of"
        " 32` are switched on by the firmware. MHZ is the speed when the machine started, MAX MHZ the most that the"
        " socket supports.",
        "SMBIOS type 4: /sys/firmware/dmi/tables/DMI",
        (
            "CPU SOCKET",
            "STATUS",
            "PROCESSOR",
            "cores",
            "MHZ",
            "MAX MHZ",
            "populated",
            "disabled by firmware",
        ),
    ),
    Entry(
        "DIMM",
        "A memory module: a board with memory chips, which stands in a memory slot.",
        "A machine whose slots are filled unevenly may run at less than its full memory bandwidth.",
        "SMBIOS type 17: /sys/firmware/dmi/tables/DMI",
        (
            "DIMMs",
            "memory module",
            "memory device",
        ),
    ),
    Entry(
        "memory slot",
        "A place for a memory module on the board, by its locator: the name that is printed beside it.",
        "BANK is the name of the slot's bank, channel or node, as the maker wrote it. NODE is known where the"
        " machine has one node, or where the names have the numbers of nodes whose memory fits. The most memory"
        " that all slots take is that of their arrays (type 16).",
        "SMBIOS types 16 and 17: /sys/firmware/dmi/tables/DMI",
        (
            "SLOT",
            "locator",
            "bank",
            "memory array",
            "filled",
            "slots filled",
            "empty slot",
            "SIZE",
        ),
    ),
    Entry(
        "MT/S",
        "Millions of transfers in a second: the speed at which a memory module runs.",
        "MAX MT/S is the most that it supports; the processor, or other modules of its channel, may hold it below"
        " that.",
        "SMBIOS type 17: /sys/firmware/dmi/tables/DMI",
        (
            "MAX MT/S",
            "MT/s",
            "configured speed",
        ),
    ),
    Entry(
        "rank",
        "A group of chips of a memory module that answer together.",
        "A module has one or more of them; the others can prepare while one transfers.",
        "SMBIOS type 17: /sys/firmware/dmi/tables/DMI",
        ("RANKS",),
    ),
    Entry(
        "protection",
        "Pages of a small zone that stay free for those who can use no other zone.",
        "They are added to the watermarks for everybody else.",
        "/proc/zoneinfo, protection; /proc/sys/vm/lowmem_reserve_ratio",
    ),
    Entry(
        "OOM killer",
        "The kernel ends a process, since no memory is free and nothing can be reclaimed.",
        "A memory cgroup at its limit has the same for its own processes.",
        "mm/oom_kill.c, out_of_memory()",
        ("OOM", "killer"),
    ),
    Entry(
        "atomic allocation",
        "An allocation that may not wait, as for a packet that just arrived: it takes free memory, or fails.",
        "Accepted socks, request socks and mini-sockets are allocated so.",
        "include/linux/gfp_types.h, GFP_ATOMIC",
        ("atomic",),
    ),
    Entry(
        "reclaim",
        "The kernel frees page cache and unused slabs to get free pages.",
        "Sockets that fit in free memory need no reclaim; `no reclaim needed`: all that fit do. The number that fits"
        " with reclaim is the end: with still more, the OOM killer ends a process, or opening a socket fails.",
        "mm/vmscan.c; /proc/meminfo",
        ("before reclaim", "with reclaim", "in free memory", "no reclaim needed", "reclaimed"),
    ),
    Entry(
        "page cache",
        "File contents that the kernel keeps in memory, and gives up when memory is needed.",
        "What can be given up counts as room for more sockets.",
        "/proc/meminfo, Active(file) and Inactive(file)",
    ),
    Entry(
        "RAM available",
        "An estimate of the kernel: memory that programs can take without swapping.",
        "Free pages and reclaimable page cache and slabs are in it. Watermarks and reserves of the zones are taken off,"
        " so it may be less than the free memory.",
        "/proc/meminfo, MemAvailable",
        ("available", "RAM", "after reserves", "reserves"),
    ),
    Entry(
        "machine's CPU",
        "The share of the time in which the machine's CPUs were busy, of all of them together, with every program.",
        "It is no figure of TCP. Idle and I/O wait do not count as busy; it changes once in five seconds.",
        "/proc/stat",
        ("CPU", "CPUs", "all CPUs", "machine's CPUs"),
    ),
    Entry(
        "vm.zone_reclaim_mode",
        "A setting: if not 0, a node reclaims its own page cache before it takes memory of other nodes.",
        "It is 0 on most machines.",
        "/proc/sys/vm/zone_reclaim_mode",
        ("zone_reclaim_mode",),
    ),
    Entry(
        "page",
        "The unit of memory: 4 KiB on x86-64, up to 64 KiB on other machines.",
        "Slabs, blocks and buffers consist of whole pages.",
        "getconf PAGE_SIZE",
    ),
)

LIMIT_ENTRIES: tuple[Entry, ...] = (
    Entry(
        "headroom",
        "How many more sockets fit until the first limit is reached.",
        "Memory counts the free pages of all nodes above the low watermark, and what reclaim would free. Only known"
        " limits count: of nofile, ports and accept queues only a look at the sockets tells (W).",
        "tcptop; key i, page headroom, has every limit",
        ("fits more", "room", "more", "known", "known limits", "first of known limits"),
    ),
    Entry(
        "fewest fit first",
        "The order of the limits: alarms, then limits that stop new sockets, those with the fewest that fit first.",
        "Limits that stop no new socket, such as that of orphans, come behind; those whose use is not known come last."
        " TIME_WAIT, whose limit is no alarm, comes second if it is nearly full. A limit overtakes another one after"
        " ten seconds. `94 left`: what fits below the limit of one process or accept queue.",
        "tcptop",
        ("fewest first", "fewest", "order of limits", "stops no new socket", "stops no socket", "stops no"),
    ),
    Entry(
        "in about",
        "When a limit would be reached if its use went on growing as in the last five minutes: `in about 14 min`.",
        "It stands there only if the use clearly grew for five minutes, and half of the limit is in use."
        " `mostly not TCP`: less than half of the memory's growth is TCP's.",
        "tcptop, from samples and the times between them",
        ("forecast", "in about min", "mostly not TCP", "not TCP", "mostly"),
    ),
    Entry(
        "grey",
        "Text in grey qualifies the figure beside it, or says where there is more; no grey text is a warning.",
        "A yellow or red text is a warning, and has a sign or a word that says the same without colour.",
        "tcptop",
        ("gray", "dim", "colour", "color", "colours", "colors", "yellow", "red"),
    ),
    Entry(
        "not visible here",
        "The kernel shows the files of this limit only in the first network namespace, and tcptop reads another one.",
        "It is so in most containers. The limit is in force all the same. A cgroup that is not visible here may be"
        " outside the cgroup namespace. `Limits without tcp_mem`, `tcp_mem not visible` in a title: its number leaves"
        " this limit out.",
        "net/ipv4/sysctl_net_ipv4.c; /proc/sys/net",
        (
            "not visible",
            "visible",
            "not visible from this network namespace",
            *(
                name
                for limit in ("tcp_mem", "file-max", "conntrack")
                for name in (f"without {limit}", f"limits without {limit}", f"{limit} not visible")
            ),
        ),
    ),
    Entry(
        "limit",
        "What ends the growth of sockets: memory, tcp_mem, file-max, nofile, ports, conntrack, for example.",
        "The first limit is the one with the least headroom. The entry of each says what happens when it is"
        " reached. Thresholds are in the settings file, [limits.NAME].",
        "/proc/sys, /proc/meminfo",
        ("limits", "first limit", "wall"),
    ),
    Entry(
        "memory",
        "The limit of memory: what reclaim could not free, of all memory of the machine.",
        "Memory of zones that slabs cannot use (Movable, HighMem) is left out, and so are huge pages. When it is"
        " reached, the kernel reclaims, then the OOM killer ends a process: only more RAM, or less memory in other"
        " programs, makes room. A process or a memory cgroup may reach a limit of its own before.",
        "/proc/meminfo, MemTotal and MemAvailable; /proc/zoneinfo",
    ),
    Entry(
        "ENOBUFS",
        "The error of socket(2) and accept(2) without memory for a sock; ENOMEM, that for its dentry or file.",
        "The machine has no memory left (memory), or the memory cgroup of the process is at its limit (cgroup). ENFILE"
        " is also the error when it gets no memory for the inode.",
        "net/socket.c; net/ipv4/af_inet.c, inet_create()",
        ("ENOMEM",),
    ),
    Entry(
        "ECONNREFUSED",
        "The error of connect(2) if no socket listens at the port of the peer, which answers with a reset.",
        "No limit here leads to it. A full accept queue drops the SYN, so that connect(2) waits and ends in ETIMEDOUT;"
        " a process at its nofile still listens, and its accept queue fills.",
        "net/ipv4/tcp_ipv4.c, tcp_v4_rcv(); connect(2)",
        ("ETIMEDOUT",),
    ),
    Entry(
        "tcp_mem",
        "Three amounts for the buffers of all TCP sockets of the machine: low, pressure, high.",
        "Above pressure the kernel shrinks windows; above high it drops received data, senders wait, and orphans"
        " are reset. sysctl net.ipv4.tcp_mem, three numbers of pages, raises it; smaller buffers of the programs"
        " help, too.",
        "/proc/sys/net/ipv4/tcp_mem, in pages",
    ),
    Entry(
        "TPROXY",
        "A rule of the packet filter that hands a connection to a listener on another port than the client asked for.",
        "The socket's local port is then the port that the client asked for, not that of the listener.",
        "net/netfilter/xt_TPROXY.c",
    ),
    Entry(
        "conntrack",
        "Connection tracking of the firewall: one entry for each flow, up to nf_conntrack_max.",
        "When the table is full, packets of new flows are dropped, unless an old flow can be evicted. An entry outlives"
        " its socket. sysctl net.netfilter.nf_conntrack_max raises it; a firewall rule with notrack saves entries.",
        "/proc/sys/net/netfilter/nf_conntrack_count and nf_conntrack_max",
        ("nf_conntrack_max", "tracked flow", "flow", "nf_conntrack", "no flow in this netns"),
    ),
    Entry(
        "file-max",
        "The largest number of open files of the machine; each socket that a process has open is one.",
        "When it is reached, socket(), accept() and open() fail with ENFILE. sysctl fs.file-max raises it. The kernel"
        " counts them for each CPU, so that the sum lags by some hundreds. Each process has its own limit, too"
        " (nofile), which is usually reached first.",
        "/proc/sys/fs/file-nr",
        ("file_max", "ENFILE"),
    ),
    Entry(
        "nofile",
        "The limit of each process: the largest number of its open files (descriptors), sockets among them.",
        "When it is reached, the process gets EMFILE. ulimit -n raises it for a shell and what it starts,"
        " LimitNOFILE= for a service of systemd, at most to sysctl fs.nr_open. Only a look at the sockets (W) tells"
        " the use, without that of tcptop and of processes in a sandbox, whose limit is below 3.",
        "getrlimit(2), RLIMIT_NOFILE; ulimit -n",
        ("ulimit", "EMFILE"),
    ),
    Entry(
        "tcp_max_tw_buckets",
        "TIME_WAIT as the name of a limit: the largest number of sockets in TIME_WAIT.",
        "Above it, a connection ends without TIME_WAIT. Only mini-sockets count, so that it stops no new socket. sysctl"
        " net.ipv4.tcp_max_tw_buckets raises it.",
        "/proc/sys/net/ipv4/tcp_max_tw_buckets",
        (
            "only mini-sockets count",
            "TIME_WAIT",
            "TIME_WAIT limit",
            "TIME_WAIT full",
            "full, no alarm",
            "closed connection skips TIME_WAIT",
            "connection skips",
            "tw_buckets",
        ),
    ),
    Entry(
        "ports",
        "The local ports from which connect(2) chooses; each is free again for another peer.",
        "When all are in use for one peer, connect(2) fails with EADDRNOTAVAIL. sysctl net.ipv4.ip_local_port_range"
        " widens the range, less ip_local_reserved_ports; a further local address has all ports again. A look at the"
        " sockets (W) counts those to one port of a peer: at most so many are taken, as the sockets may be to several"
        " addresses, or bound to ports outside the range.",
        "/proc/sys/net/ipv4/ip_local_port_range and ip_local_reserved_ports",
        ("ip_local_port_range", "ip_local_reserved_ports", "local port", "reserved port", "EADDRNOTAVAIL"),
    ),
    Entry(
        "near",
        "A limit of which more than its first threshold is in use.",
        "NEAR stands with the limit, and with ! in the head line: nothing has failed yet; DROPS: something has."
        " TIME_WAIT has no sign: above its limit nothing fails, since closed connections skip TIME_WAIT."
        " ALARMS AT: both thresholds in per cent, 80 and 95 for most limits, 90 and 97 for memory, 25 and 50 for"
        " orphans.",
        "tcptop; settings file, [limits.NAME] warn",
        (
            "threshold",
            "alarms at",
            "near at",
            "near from",
            "skipped lately",
            "look old",
            "near until below 75 %",
            "TIME_WAIT limit",
        ),
    ),
    Entry(
        "not looked at",
        "Limits whose use only a look at the sockets tells: nofile, accept queues and ports.",
        "Until a look, one of them may come first, before all limits with a number: W or `tcptop who` makes one. After"
        " a look that did not read all processes or namespaces they are `not all seen`. A saved tree has them only if"
        " `tcptop record --who` made it.",
        "tcptop who; /proc/PID/limits and /proc/PID/fd, sock_diag(7)",
        (
            "may come first",
            "others may come first",
            "not all seen",
            "not all were seen",
            "were not looked at",
            "was not looked at",
            "only a look at the sockets tells",
        ),
    ),
    Entry(
        "pressure",
        "The kernel says that TCP is under memory pressure: its own flag is set, whatever the use is.",
        "The kernel sets it when the buffers rise above the second value of tcp_mem, or when it finds no memory for a"
        " segment, and clears it when they are down to the first value. It shrinks windows, so connections become"
        " slower: `windows shrink`. At the second threshold of ALARMS AT the state is CRITICAL or FULL instead. Of a"
        " plan: the buffers would be above the second value.",
        "/proc/net/protocols, column press; net/ipv4/tcp.c, tcp_enter_memory_pressure()",
    ),
    Entry(
        "FULL",
        "FULL: a limit below which nothing more fits. CRITICAL: its second threshold is reached, and some still fit.",
        "What the kernel does at the limit stands on the page headroom. The second threshold is 95 % for most limits."
        " In JSON the state of both is `full`.",
        "tcptop; settings file, [limits.NAME] critical",
        ("critical", "critical from", "has left"),
    ),
    Entry(
        "events",
        "Counters of what already happened: dropped SYNs, overflows, memory pressure, resets.",
        "They count since the start of the kernel or of the network namespace. One that grows stands in the head line.",
        "/proc/net/netstat, /proc/net/snmp, /proc/net/stat/nf_conntrack",
        ("event", "counter"),
    ),
    Entry(
        "alarm",
        "A limit whose state is NEAR, PRESSURE, CRITICAL or FULL, or an event that ordinary traffic does not cause, and"
        " that grew in the last minute.",
        "! stands before both in the head line. ALARMS AT has the thresholds of a limit in per cent; the page headroom"
        " says what the kernel does at each limit, and the page events what each counter counts.",
        "tcptop; settings file, [limits.NAME] warn and critical",
    ),
    Entry(
        "reset",
        "A connection that ended with an RST segment: at once, and what was not delivered is lost.",
        "The page events counts resets by reason.",
        "/proc/net/snmp, OutRsts and EstabResets",
        ("RST",),
    ),
    Entry(
        "loopback",
        "A connection of the machine with itself, over the interface lo.",
        "Both endpoints are sockets of this kernel and are counted.",
        "drivers/net/loopback.c",
        ("lo",),
    ),
)

HOLDER_ENTRIES: tuple[Entry, ...] = (
    Entry(
        "look",
        "One reading of the list of all TCP sockets, for which the kernel is asked, as ss does.",
        "The counts in /proc have neither owners nor all states; a look has both. Only W, tcptop who and the option"
        " --who take one. The answer is added up while it passes. The next look comes 200 times as long after it as it"
        " took; SPACE looks at once.",
        "net/ipv4/inet_diag.c, inet_diag_dump_icsk()",
        ("looked", "a look", "who", "who holds it"),
    ),
    Entry(
        "verdict",
        "A line with `!` below the table: sockets that someone should look at, the most urgent first, and a remedy.",
        "A process with more than 80 % of its nofile in use; sockets to one remote port from 80 % of the local ports"
        " on; a full accept queue that has dropped; orphans or"
        " unread data (UNREAD) above 1 % of tcp_mem's maximum; orphans above a quarter of tcp_max_orphans, below"
        " which they are usual; 100 sockets in CLOSE_WAIT (of all owners that are not visible"
        " together), or without a process; in no dump: more than 100 and 1 %"
        " of the allocated; a SYN queue that overflows. Without `!`: TIME_WAIT above half of tcp_max_tw_buckets; an"
        " accept queue from 80 % of its limit on that is not full, or has dropped nothing. `! W 5"
        " verdicts` in the head line counts those of a look of the last minute.",
        "tcptop, from a look and the look before",
        ("verdicts", "FULL", "since the look before", "W verdicts", "Remedy"),
    ),
    Entry(
        "one look",
        "A verdict after a single look at the sockets: it may be a process that is only slow.",
        "Verdicts on CLOSE_WAIT, on unread data and on sockets in no dump end in it until a second look. They stay if"
        " that finds at least as much, and go if it finds less. SPACE looks again at once.",
        "tcptop",
        ("(one look)", "(SPACE looks again: still there?)", "two looks"),
    ),
    Entry(
        "others",
        "The last row of a table: all further rows added up.",
        "tcptop who --top N changes how many rows have a line of their own.",
        "tcptop",
        ("further rows",),
    ),
    Entry(
        "not asked",
        "A network namespace whose sockets are not in the table, with the reason.",
        "Of a small one the listeners alone are in the table: after the namespaces with 99 % of the sockets, all"
        " others together are asked for at most half as long, or 0.1 s. Other namespaces than one's own are for root"
        " only. A peer that is (not asked) was not wanted: --by peer asks for them.",
        "tcptop",
        ("(not asked)", "was not asked", "were not asked", "not to the end"),
    ),
    Entry(
        "reserved",
        "Memory that sockets have taken for their buffers in advance, and that no segment uses yet.",
        "BUFFERS is the sum of unread, unsent and reserved. The kernel takes whole pages, and returns them later. The"
        " limit tcp_mem counts them; the total of TCP's memory leaves them out. Segments of MSG_ZEROCOPY are unsent,"
        " but their pages are the program's, and not charged: where more is queued than sockstat may count, BUFFERS and"
        " MEMORY are upper bounds, ≤.",
        "sk_forward_alloc, in SKMEMINFO; include/net/sock.h",
        ("BUFFERS", "forward-allocated", "taken in advance", "in advance"),
    ),
    Entry(
        "OWNER",
        "What holds the sockets: a process by its name and number, the accept queue of a process, or the kernel.",
        "(kernel) has the mini-sockets, (handshake) the request socks in SYN_RECV, (orphan) what a process has closed.",
        "descriptors in /proc/PID/fd; a sample of 64 of each process",
        ("holder", "owned", "(kernel)", "(handshake)", "(orphan)", "holds", "PROCESS"),
    ),
    Entry(
        "no process",
        "A socket with a file that no process has as a descriptor.",
        "It is in flight (SCM_RIGHTS), in io_uring, in a thread's own table of descriptors, or the kernel's own.",
        "net/core/scm.c; unshare(2), CLONE_FILES",
        ("(no process)", "in flight", "flight", "io_uring", "own table", "table of descriptors"),
    ),
    Entry(
        "not seen",
        "A process may have these sockets: its descriptors may not be read, were not drawn, or were opened since.",
        "They may be in a thread's own table of descriptors (unshare with CLONE_FILES). The process may also be hidden:"
        " outside the pid namespace, or by hidepid. Root sees more. Namespaces that were not asked stand below the"
        " table with the reason.",
        "tcptop",
        ("(not seen)",),
    ),
    Entry(
        "pid namespace",
        "A set of processes with numbers of their own, as each container has. Its /proc shows no process outside it.",
        "Sockets of the processes outside are (not seen), and so are network namespaces that only they lead to.",
        "pid_namespaces(7); /proc/self/ns/pid",
        ("processes outside", "of theirs"),
    ),
    Entry(
        "hidepid",
        "An option of the mounted /proc that hides the processes of other users from a user.",
        "Root sees all processes, and so does a member of the group that the option gid of /proc names.",
        "proc(5); /proc/self/mountinfo; fs/proc/base.c, has_pid_permissions()",
        ("hides", "option hidepid"),
    ),
    Entry(
        "estimated",
        "The number of sockets of a process, worked out from a sample of its descriptors; ≈ stands before it.",
        "Of each process 64 descriptors are looked up, of large ones more. Sums by cgroup, port or user are exact.",
        "tcptop",
        ("estimate", "descriptors"),
    ),
    Entry(
        "UNREAD",
        "Memory of received segments that no program has read.",
        "It is more than the bytes of data, since each segment takes a buffer of its own. It is a verdict if a process"
        " has more than 1 % of tcp_mem's maximum in two looks, and not less in the second: 20 MiB of 2 GiB.",
        "sk_rmem_alloc, in SKMEMINFO",
        ("left unread",),
    ),
    Entry(
        "UNSENT",
        "Memory of segments that were not sent, or that the other end has not acknowledged.",
        "An orphan keeps it after its process has ended.",
        "sk_wmem_queued, in SKMEMINFO",
    ),
    Entry(
        "tcp_info",
        "What the kernel tells of a single connection: its round-trip time, its window, what it sent again.",
        "Key d on the page of a row asks for at most 200 sockets of one port, and so does `tcptop who --detail`. The"
        " kernel locks each socket for a moment. LAST SENT and LAST RCVD: the time since then.",
        "net/ipv4/tcp.c, tcp_get_info(); INET_DIAG_INFO",
        ("single sockets", "LAST SENT", "LAST RCVD", "CONTROL", "cubic", "bbr", "congestion control"),
    ),
    Entry(
        "UNACKED",
        "Bytes that a socket holds for sending: not sent yet, or not acknowledged by the peer.",
        "Of a listener, the number of its accept queue's places.",
        "idiag_wqueue, in tcp_diag_get_info()",
    ),
    Entry(
        "RTT",
        "The smoothed time from sending a segment to its acknowledgement, in milliseconds (ms) or microseconds (µs).",
        "",
        "tcpi_rtt, in tcp_get_info()",
        ("ms", "µs", "µ", "round-trip time"),
    ),
    Entry(
        "CWND",
        "The congestion window: how many segments may be on their way without an acknowledgement.",
        "",
        "tcpi_snd_cwnd, in tcp_get_info()",
        ("congestion window",),
    ),
    Entry(
        "RETRANS",
        "Segments that a connection has sent again since it was opened.",
        "",
        "tcpi_total_retrans, in tcp_get_info()",
        ("retransmissions",),
    ),
    Entry(
        "DROPS",
        "Segments or connections that these sockets have dropped since they were opened.",
        "Alone it is no fault: with TCP_DEFER_ACCEPT the kernel counts a drop for each connection. `! DROPS` of the"
        " limit accept queues: within the last minute, accept queues were full and handshakes were dropped.",
        "sk_drops, in SKMEMINFO",
        ("dropped",),
    ),
    Entry(
        "dropped so far",
        "Connections that full accept queues of this network namespace have dropped since it was made or booted.",
        "The client tries again, so that one connection may count several times. While the number grows, the head line"
        " has `! DROPS`. W shows which queue it was.",
        "/proc/net/netstat, ListenOverflows",
    ),
    Entry(
        "SERVICE",
        "in :8080 is the server side of that local port; to :443 the client side, to that port of the other end.",
        "No answer of the kernel says who connected. A local port with a listener is in, also for connections that its"
        " program made from it. If the listener is closed, a port below the ephemeral ones is in; an ephemeral one is"
        " to.",
        "tcptop, from the ports of listeners",
    ),
    Entry(
        "SHARE",
        "The part of slab and buffers of all rows of the table that this row has.",
        "≤ stands before it if sockets of the machine are not in the table, as in other network namespaces without"
        " root: their memory is not in the whole.",
        "tcptop",
    ),
    Entry(
        "Δ",
        "How many sockets more, or less, the row has than in the look before.",
        "Of an estimate it may be the error alone.",
        "tcptop",
    ),
    Entry(
        "USER",
        "The owner of the sockets' file, by the name in /etc/passwd, or by number.",
        "– for sockets without a file, such as TIME_WAIT: the kernel tells none for them.",
        "net/core/sock.c, sock_i_uid()",
        ("users",),
    ),
    Entry(
        "group by",
        "← and → change what the sockets of a row have in common: owner, process, cgroup, netns, port, state or user.",
        "",
        "tcptop",
        ("group", "grouping", "by owner", "by process", "by state"),
    ),
    Entry(
        "in no dump",
        "Sockets that no answer of the kernel has: never connected, ended but still held, or in a hidden netns.",
        "They are allocated all the same. A reset, a timeout, or FINs both ways after shutdown(2) end a connection: its"
        " socket leaves the kernel's table, and stays allocated until its program closes it. If it waits in an accept"
        " queue, that is until the program accepts it or closes the listener. A netns is hidden if only a thread or a"
        " descriptor holds it.",
        "net/ipv4/tcp.c, tcp_set_state()",
        ("never connected", "ended", "ended (reset, timed out)", "still held", "hidden netns", "hidden"),
    ),
    Entry(
        "NETNS",
        "The network namespace by its mounted name, or by its inode; here is that of tcptop.",
        "Each has its own sockets, ports and most counters.",
        "/proc/PID/ns/net",
    ),
    Entry(
        "CGROUP",
        "The cgroup of the process that made the socket, or its listener.",
        "The column is left out if every socket is in the root cgroup `/`. A cgroup that was removed is gone, with its"
        " number. One outside the cgroup namespace is not visible here. A long path is shown by its end, with 12 digits"
        " of a container's id.",
        "INET_DIAG_CGROUP_ID",
        ("gone",),
    ),
    Entry(
        "cgroup namespace",
        "The cgroups below one of them, as a container sees them. Of others the kernel tells only the number.",
        "Whether such a cgroup still exists cannot be told from inside: it is `not visible here`, with its number.",
        "cgroup_namespaces(7); /proc/self/mountinfo",
    ),
    Entry(
        "SOCK",
        "What the cgroup of the row is charged for the buffers of all its sockets.",
        "Only cgroup v2 has it.",
        "memory.stat, sock",
        ("cgroup sock",),
    ),
    Entry(
        "KERNEL",
        "What the cgroup of the row is charged for kernel objects, those of its sockets among them.",
        "Only cgroup v2 has it.",
        "memory.stat, kernel",
    ),
    Entry(
        "QUEUE",
        "Connections that wait in the accept queue of a listener, and the LIMIT of it.",
        "A full queue (FULL) drops what arrives. The limit is the backlog of listen(2), at most somaxconn.",
        "sk_ack_backlog and sk_max_ack_backlog",
        ("backlog",),
    ),
)

HOST_ENTRIES: tuple[Entry, ...] = (
    Entry(
        "HOST",
        "The name by which a machine is asked over ssh, in the table of hosts.",
        "A host that does not answer has what ssh said in place of its figures, and when it is asked again. The last"
        " row has the sums of the hosts that answer, and says how many these are.",
        "tcptop --host 'web[01-40],db1'; ssh",
        ("hosts", "of hosts", "every host", "table of hosts", "ssh"),
    ),
    Entry(
        "NEAREST LIMIT",
        "The limit of a host that alarms, otherwise the one that stops new sockets first, with its use in per cent.",
        "By it the table is sorted: FULL, CRITICAL, PRESSURE, NEAR, growing events, hosts that do not answer,"
        " then the hosts on which the fewest sockets fit more. Rows keep their places for five seconds.",
        "the files of the limits",
        ("nearest", "urgent", "most urgent"),
    ),
    Entry(
        "RATE",
        "Change of the number of sockets per second, over the last six seconds.",
        "",
        "/proc/net/sockstat",
        ("rates per second", "change of sockets"),
    ),
    Entry(
        "AGE",
        "How old the figures of a host are: ≤ and the time between looks, or the seconds if a look is late.",
        "TCP memory, bytes and the memory of the machine are read every ten seconds, events every five, all else with"
        " each look.",
        "tcptop",
        ("age of the figures", "late", "connecting", "connecting again", "again in", "Connection refused"),
    ),
)
SCREEN_ENTRIES: tuple[Entry, ...] = (
    Entry(
        "live",
        "The figures are read from this machine now, at the interval that stands beside it.",
        "saved, paused or looking back stand there instead while time does not run. A recording opens paused; SPACE"
        " plays it, and playing stands there with the speed.",
        "tcptop",
        ("paused", "saved", "interval", "pause", "playing", "paused at", "SPACE plays", "looking back"),
    ),
    Entry(
        "sample",
        "All that tcptop read at one moment.",
        "Some files cost the kernel more and are read less often; their age stands beside them: `counts ≤ 5 s old`.",
        "tcptop",
        ("old", "reading", "counts up to 5 s old", "counts up", "up to 5 s old", "s old", "counts old"),
    ),
    Entry(
        "5 s",
        "Graphs, rates, growth, RAM available and CPU change once in five seconds; counts and sizes with each sample.",
        "So a figure stands long enough to be read, and little is sent over a slow line. How far back a rate looks is"
        " another thing: the growth of TCP's memory and of the sockets beside it, half a minute; Δ/s, five seconds."
        " After many sockets closed, the graph and Δ/s show it within five seconds, the growth later.",
        "tcptop",
        ("every 5 s", "a step is 5 s"),
    ),
    Entry(
        "recording",
        "A file of samples that record wrote; tcptop -r FILE shows it with time.",
        "A mark on the time line is the sample that is shown. The time line draws the largest count of each step of"
        " time; TCP's memory and the bytes per connection take longer, and `reading 34 %` says how far they are.",
        "tcptop record",
        ("replay", "record", "recorded", "timeline", "time line", "reading 34 %"),
    ),
    Entry(
        "graphs",
        "The last minutes of sockets and of TCP's memory, the newest at the right.",
        "They move once in five seconds. In a recording, they show the whole recording.",
        "tcptop",
        ("graph", "5 min", "min ago", "from start", "last minutes", "change once"),
    ),
    Entry(
        "lab result",
        "What `tcptop lab` measured on this very kernel, by opening sockets and reading slabinfo.",
        "It is used where no file tells, and only on the kernel where it was measured.",
        "tcptop lab",
        ("lab",),
    ),
    Entry(
        "ENTER",
        "The key that explains what is selected: a row of a table, a part of the bar, the limits.",
        "In the table of nodes it shows the node in all panes. Tab gives the focus to the next pane, the arrow keys"
        " select.",
        "tcptop",
        ("ENTER explain", "RETURN"),
    ),
    Entry(
        "m",
        "The key that changes from open sockets to TIME_WAIT and back.",
        "In the bar of WATERMARKS, m stands at min. M is the key of the plan, and in a table MiB.",
        "tcptop",
    ),
    Entry(
        "W",
        "The key of the look at all sockets: who holds them, by process, container, port, state or user.",
        "Only a look tells the use of nofile, ports and accept queues. `tcptop who` prints the same.",
        "net/ipv4/inet_diag.c",
        ("key W",),
    ),
    Entry(
        "0-9[]",
        "The keys that choose a node: the digit of its number, [ the one before, ] the next.",
        "The caches and free blocks then show this node alone; the other panes stay the machine's. = shows all nodes"
        " again.",
        "tcptop",
        ("0-9", "[", "]", "[ ]", "[]"),
    ),
    Entry(
        "unreadable",
        "A file that the kernel does not show to this user, or not at all.",
        "The pane says which file, and what its figures are without it. Root sees more.",
        "tcptop",
        ("refused", "absent", "hidden", "needs root", "root only", "not read"),
    ),
)

TABLE_ENTRIES: tuple[Entry, ...] = (
    Entry("NODE", "The number of the NUMA node.", "Its row counts that node alone.", "/sys/devices/system/node"),
    Entry(
        "CPUS",
        "How many CPUs the node has.",
        "A node without CPUs gives memory to other nodes' CPUs.",
        "/sys/devices/system/node/node*/cpulist",
    ),
    Entry(
        "TCP",
        "The cache of IPv4 socks; in the table of nodes, the memory of TCP's slabs on the node.",
        "TCPv6 is the cache of IPv6 socks, which also carry IPv4.",
        "/proc/slabinfo; /sys/kernel/slab/*/slabs",
        ("TCPv6",),
    ),
    Entry(
        "MEMORY",
        "The memory of a node; in the table of who holds the sockets, the slab and the buffers of a row.",
        "The bar beside a node's is of this memory: TCP's slabs, other used memory, free memory.",
        "/sys/devices/system/node/node*/meminfo, MemTotal",
    ),
    Entry(
        "other",
        "In the table of nodes: memory of the node that is in use, but not by TCP's slabs; ▒ in the bar.",
        "Page cache is in it.",
        "/sys/devices/system/node/node*/meminfo, MemTotal and MemFree",
        ("other used",),
    ),
    Entry(
        "above its own free memory",
        "In a plan: the new sockets of this node would take more memory than the node has free.",
        "The kernel then takes memory of other nodes, too, and gives up page cache. `may be`: only the upper bound is"
        " above.",
        "tcptop plan; /sys/devices/system/node/node*/meminfo, MemFree",
        ("above their own free memory", "may be above its free memory", "own free memory"),
    ),
    Entry("FREE", "Free memory of a node, a zone or a migrate type.", "Page cache is not in it.", "/proc/buddyinfo"),
    Entry(
        "USABLE",
        "Free memory of a node that new sockets can take before the kernel reclaims page cache.",
        "It is FREE and the free pages on lists of CPUs, less what the low watermarks and the reserves of the zones"
        " keep.",
        "/proc/zoneinfo",
    ),
    Entry(
        "OF TCP",
        "The share of TCP's slab memory, TCP in the column before, that lies on this node.",
        "Buffers are not in it, so that the nodes add up to less than TCP in the kernel. The counts by node come from"
        " the caches' own files. even: no node has two per cent of TCP more than another.",
        "/sys/kernel/slab/*/slabs and total_objects",
        ("most on", "most on node", "TCP on node", "TCP even", "TCP slab"),
    ),
    Entry(
        "FROM 32K UP",
        "The number of free blocks of the size of a slab of TCP sockets, and of all larger sizes.",
        "A larger block can be split, so each of them holds such a slab at least. The heading names the size.",
        "/proc/pagetypeinfo",
        tuple(f"FROM {size} UP" for size in ("4K", "8K", "16K", "64K", "128K", "256K", "512K", "1M", "2M")),
    ),
    Entry(
        "not initialised",
        "Memory that the kernel has not prepared for use yet: it is free, and in MemTotal, but in no zone.",
        "The headroom counts it. A kernel with a deferred start, or a guest that accepts memory late, has some.",
        "/proc/zoneinfo, present and managed; mm/mm_init.c, deferred_init_memmap()",
        ("initialised", "not initialised yet", "late memory"),
    ),
    Entry(
        "SLABS FIT",
        "How many slabs of the counted sockets the free blocks of the node would make.",
        "The heading names the size that their cache prefers, as 32K SLABS FIT for TCP, or in TIME_WAIT accounting 8K"
        " SLABS FIT for tw_sock_TCP. Larger blocks are counted as the slabs they hold. A slab has many sockets:"
        " SOCKETS FIT counts those. The column stands in wide tables alone.",
        "/proc/buddyinfo",
        ("32K SLABS FIT", "8K SLABS FIT", "slabs free"),
    ),
    Entry(
        "SOCKETS FIT",
        "How many more sockets fit into the free memory of a node; then its CPUs use other nodes.",
        "The sockets are those of FITS MORE of memory, in TIME_WAIT accounting mini-sockets.",
        "/proc/zoneinfo, and the bytes of one more socket",
        ("sockets fit", "MINIS FIT"),
    ),
    Entry(
        "FITS MORE",
        "How many more sockets can be opened before this limit is full.",
        "Computed: what is left of the limit ÷ what one more socket takes of it. Of memory, half of the new sockets"
        " are taken as client side, with the buffers that a socket has now on average (`average buffers`), or none,"
        " where the counter's error is too large or sockets have none (`without data`). `up to`: a limit on every"
        " socket is not visible or not known, so that fewer may fit. `stops none`: this limit stops no new socket.",
        "tcptop, from the files of the limits and the bytes of one more socket",
        ("fits more", "stops none", "half client side", "half client", "up to"),
    ),
    Entry(
        "below low",
        "A full node: no socket fits into its free memory, which is below the low watermark, so that kswapd reclaims.",
        "`below min`: it is below the min watermark too, so that allocations reclaim themselves. A node that is full of"
        " page cache alone is not below.",
        "/proc/zoneinfo, min and low; mm/page_alloc.c, zone_watermark_ok()",
        ("below min", "full node"),
    ),
    Entry(
        "USED",
        "How much of a limit is in use; ≤ stands before an upper bound.",
        "Its unit is that of the limit: bytes, sockets, files, flows. FITS MORE counts sockets, so USED and FITS MORE"
        " add up to the limit only where each socket takes one.",
        "/proc/sys, /proc/meminfo, /proc/net/sockstat",
    ),
    Entry(
        "OF",
        "The maximum of the limit beside its USED; in the table of states, which sockets are counted.",
        "machine: those of all network namespaces; this netns: those of one.",
        "the files of the limits; /proc/net/sockstat",
    ),
    Entry(
        "A, B",
        "In a comparison, A is the first input, B the second, and CHANGE is B minus A.",
        "WHAT names the thing that is counted.",
        "tcptop diff; tcptop lab --compare",
        ("A", "B", "A and B", "WHAT", "BYTES A", "OBJECTS A", "A AT 1 M", "CHANGE"),
    ),
    Entry(
        "MEASURED",
        "In the report of the lab, what one endpoint took; CATALOGUE is what tcptop's list of objects predicts.",
        "DIFFERENCE is the first minus the second. ALL ROWS is what came and went with the endpoints, OTHERS what other"
        " programs took. R2 says how well a straight line fits the measured rows: 1 is exactly.",
        "tcptop lab",
        ("DIFFERENCE", "ALL ROWS", "R2", "CAT OBJ", "CAT BYTES"),
    ),
    Entry(
        "STATE",
        "Of a limit: ok, NEAR, PRESSURE, CRITICAL or FULL; of a socket: its state in TCP, such as ESTABLISHED.",
        "In the list of sources, it says whether a file was read.",
        "net/ipv4/tcp.c, tcp_set_state(); tcptop",
        ("ok",),
    ),
    Entry(
        "LISTEN",
        "A socket that waits for connections: it has no peer, and its accept queue holds what has come.",
        "Most servers have one for each address and port, or one for each worker (SO_REUSEPORT). It is on the server"
        " side, and takes a port of its own, so its price is an upper bound (≤).",
        TCP_STATES,
        ("listener",),
    ),
    Entry(
        "SYN_SENT",
        "connect(2) has sent a SYN and waits for the answer.",
        "It lasts a round trip; if the peer is gone or a firewall drops the SYN, until tcp_syn_retries are over."
        " It takes as much as ESTABLISHED at the client side: a whole socket, and its local port.",
        TCP_STATES,
    ),
    Entry(
        "SYN_RECV",
        "The kernel has answered a SYN and waits for the last segment of the handshake.",
        "It is a small request sock until then. Many of them are clients that get no answer, or a flood of SYNs. With"
        " TCP Fast Open it is a full socket already, in the accept queue or accepted.",
        TCP_STATES,
    ),
    Entry(
        "ESTABLISHED",
        "A connection that both ends have open: data can go both ways.",
        "Before the program's accept(2) the server's socket stands in the accept queue, in the same state.",
        TCP_STATES,
    ),
    Entry(
        "CLOSE_WAIT",
        "The peer has closed, and the program of this end has not.",
        "Only its close(2) or its end frees the socket, so sockets that stay here are a bug of the program.",
        TCP_STATES,
    ),
    Entry(
        "FIN_WAIT1",
        "This end has closed and sent its FIN, which the peer has not acknowledged.",
        "Unsent data keeps it there, too. It takes as much as ESTABLISHED; after close(2) it is an orphan.",
        TCP_STATES,
    ),
    Entry(
        "FIN_WAIT2",
        "This end has closed, the peer has acknowledged that, and has not closed itself.",
        "After close(2) it becomes a mini-socket and is counted as TIME_WAIT; tcp_fin_timeout ends it.",
        TCP_STATES,
    ),
    Entry(
        "LAST_ACK",
        "The peer closed first; this end has closed, too, and waits for the acknowledgement of its FIN.",
        "After close(2) it is an orphan; after shutdown(2) alone it takes as much as ESTABLISHED.",
        TCP_STATES,
    ),
    Entry(
        "CLOSING",
        "Both ends have closed at the same time, and the acknowledgement of this end's FIN has not come.",
        "It is rare. After close(2) it is an orphan; after shutdown(2) alone it takes as much as ESTABLISHED. TIME_WAIT"
        " follows.",
        TCP_STATES,
    ),
    Entry(
        "TAKES",
        "How much of a limit, a cache or a node the planned connections take.",
        "EACH is the size of one object with its padding; COUNT is how many objects. uncounted: the plan takes nothing"
        " of this limit, which alarms already.",
        "tcptop plan",
        ("EACH", "COUNT"),
    ),
    Entry(
        "not counted",
        "Below the verdict of a plan: the limits that have an alarm now, of which the plan takes nothing.",
        "The words in parentheses say why, such as `no buffers planned`. These limits do not change the verdict, and"
        " `uncounted` stands under TAKES in their rows.",
        "tcptop plan",
        ("uncounted",),
    ),
    Entry(
        "without data",
        "A number of sockets that fit, a plan, or a figure per connection, that counts the objects of each socket,"
        " but no buffers: its queues hold no data.",
        "Such a number says nothing of tcp_mem. `plan --buffers SIZE` adds a size with data for each socket;"
        " `--buffers now` adds what a present socket has.",
        "tcptop plan; socket buffers are no slab objects of the socket",
        ("without buffers",),
    ),
    Entry(
        "proxy",
        "A side in a plan: each connection through a proxy is an accepted socket and a client-side socket.",
        "It takes two sockets, two files and, with conntrack, two flows; so half as many connections fit as sockets.",
        "tcptop plan --side proxy",
        ("proxied connection",),
    ),
    Entry(
        "fs.nr_open",
        "The largest value that a process's limit of open files (nofile, `ulimit -n`) can have; 1 048 576 by default.",
        "A single process that is to hold more sockets needs a larger fs.nr_open first, then a larger nofile."
        " tcptop plan says its value.",
        "/proc/sys/fs/nr_open; fs/file.c, sysctl_nr_open",
        ("nr_open",),
    ),
    Entry(
        "plan",
        "What more connections would take beside what there is now, which limit they reach first, and what to change.",
        "On the screen it begins with the assumptions of FITS MORE: mixed, half of the connections client side;"
        " tcptop plan with the server side. Each sysctl to change"
        " is the need ÷ 0.8, so that the plan uses less than 80 % of it; capped: memory or the kernel allows no more.",
        "tcptop plan; M on the screen",
        ("mixed", "sysctls", "capped"),
    ),
    Entry(
        "THEN",
        "The share of a limit that is in use after the plan.",
        "! stands before a share above 100 %: the plan does not fit. The bar of such a limit ends in ▶ (in ASCII: >).",
        "tcptop plan",
    ),
    Entry(
        "JUST FITS",
        "With the plan, so much of a limit is in use that it would be CRITICAL, but the plan still fits.",
        "The verdict says `just fits`: the exit code is 0, and few further connections fit. MAY BE FULL:"
        " whether the plan fits is within the error of a counter or a range of sizes, and the verdict is `cannot say`.",
        "tcptop plan; thresholds of the settings",
        ("MAY BE FULL",),
    ),
    Entry(
        "HOLDS",
        "The objects that a socket in this state holds.",
        "Their sizes are in the catalogue.",
        "tcptop's catalogue of kernel objects",
    ),
    Entry(
        "B/SOCKET",
        "Attached objects in bytes, divided by the sockets that are there now.",
        "It is an average: some sockets have many of them, others none.",
        "/proc/slabinfo ÷ /proc/net/sockstat",
    ),
)

SIGN_ENTRIES: tuple[Entry, ...] = (
    Entry(
        "≥",
        "At least, a lower bound: a part of the sum is not known and is named, or the true value may be far higher.",
        "The total of TCP in the kernel has it only where a part is not known. In ASCII: >=.",
        "tcptop",
        (">=", "lower bound", "at its lower bound", "at least"),
    ),
    Entry(
        "≤",
        "At most: the counter, or the sharing of objects, allows any value up to this one.",
        "In ASCII: <=.",
        "tcptop",
        ("<=", "upper bound", "at most"),
    ),
    Entry(
        "≈",
        "About: the true value lies in a range, which stands beside the figure or on its page.",
        "The figure is the likeliest value of the range; where none is likelier than another, its low end. In"
        " ASCII: ~.",
        "tcptop",
        ("~",),
    ),
    Entry(
        "+1 more",
        "What is left out, since there is no space: parts of a bar's legend, or alarms below the last line of Limits.",
        "Key i shows all parts of a socket in its first lines; from any pane, ? and then i does. ENTER on the pane of"
        " Limits shows all limits, and scrolling it does, too.",
        "tcptop",
        ("+1 more alarm", "more alarms", "left out", *(f"+{number} more" for number in range(2, 20))),
    ),
    Entry(
        "–",
        "No figure: it is not known, or there can be none, as FITS MORE of a limit of one process.",
        "It never means 0; 0 is printed as 0. ENTER on the row, or the line below, says which it is. In ASCII: -.",
        "tcptop",
        ("-", "—", "−", "--", "unknown", "not known", "0B"),
    ),
    Entry(
        "±", "The error of a figure: the true value lies within it, on either side.", "In ASCII: +-.", "tcptop", ("+-",)
    ),
    Entry(
        "▸",
        "Marks the size of block that slabs of sockets are made of; in TIME_WAIT accounting, those of mini-sockets.",
        "If free blocks of that order and above are gone, slabs are made of smaller blocks. In ASCII: @.",
        "/sys/kernel/slab/TCP/order and tw_sock_TCP/order",
        ("@", "slabs of sockets", "▸ slabs of sockets"),
    ),
    Entry(
        "▴ ▾",
        "The column by which the table is sorted: ▾ the largest first, ▴ the smallest.",
        "In ASCII: v the largest first, ^ the smallest.",
        "tcptop",
        ("▴", "▾", "v", "^"),
    ),
    Entry(
        "›",
        "Marks the node that all panes show, in the table of nodes; = shows all nodes again.",
        "In ASCII: >.",
        "tcptop",
    ),
    Entry("!", "A limit that is near or reached, an event that grew, or a file that was not read.", "", "tcptop"),
    Entry(
        "█ ▒ ░",
        "A bar: █ what TCP or the limit uses, ▒ what others use, or what a plan adds, ░ or · what is free.",
        "Each bar is of its own whole: a node's bar of the memory of that node. ▏ to ▉ are eighths of a column at the"
        " end of a bar, so that ▏ alone is a trace: more than nothing. The dots behind a bar of Limits are the rest of"
        " the limit.",
        "tcptop",
        ("█", "▒", "░", "▓", *"▏▎▍▌▋▊▉▀", "#", "bar"),
    ),
    Entry(
        "▁▂▃▄▅▆▇█",
        "A graph: a column for each step of time, the newest at the right; the higher, the larger.",
        "The lowest value is ▁ and the highest █, so that small changes can be seen: the numbers beside it say how far"
        " these two are apart. A value that changes by less than 1 % stands in the middle. A gap: not known.",
        "tcptop",
        (*"▁▂▃▄▅▆▇_", "sparkline"),
    ),
    Entry(
        "…",
        "A text is cut here, since its column is too narrow.",
        "ENTER on a row shows the whole. In ASCII, two points: ..",
        "tcptop",
        ("..",),
    ),
    Entry(
        "← → ↑ ↓",
        "The arrow keys: they move in the pane with the focus, or turn the pages of i.",
        "In a function's path, → leads to the function that is called.",
        "tcptop",
        ("←", "↑", "↓", "arrows", "arrow keys"),
    ),
    Entry("%", "Per cent: a share of the whole that stands beside it, such as RAM or a limit.", "", "tcptop"),
    Entry(
        "─ │ ├ └",
        "Lines around a pane, and the branches of a tree: of calls, or of pointers.",
        "In a tree of calls, + stands before an object that is allocated there, and - before one that is freed. In"
        " ASCII: - | + and others.",
        "tcptop",
        (*"─│├└┬┏┓┗┛┣┫━┃╺╸╻╹", "+", "frame", "branch", "call tree"),
    ),
    Entry("×", "Times: how many of these objects there are.", "In ASCII: x.", "tcptop", ("x",)),
    Entry("÷", "Divided by.", "In ASCII: /.", "tcptop", ("/",)),
    Entry(
        "→ ▶",
        "It goes on to the right: hidden columns (Shift-→ shows them), or a bar that is longer than its limit.",
        "In ASCII: >.",
        "tcptop",
        ("→", "▶", ">", "more columns", "more column"),
    ),
    Entry(
        "·",
        "In the table of free blocks: no free block, 0, kept quiet so that free blocks stand out.",
        "Behind a bar of Limits: the rest of the limit. Between texts: the next part.",
        "/proc/buddyinfo",
    ),
    Entry(
        "KiB MiB GiB",
        "1024, 1024² and 1024³ bytes; a table writes K, M and G.",
        "B is bytes. Counts have a space between thousands, and k or M where they are short.",
        "tcptop",
        ("KiB", "MiB", "GiB", "K", "M", "G", "B", "TiB"),
    ),
)

SOURCES: tuple[tuple[str, str, str], ...] = (
    ("slabinfo", "The counts and sizes of every slab cache. Only root may read it.", "/proc/slabinfo"),
    ("slab_links", "Which caches are merged, by links that anyone may read.", "links in /sys/kernel/slab"),
    ("slab_sizes", "Sizes of objects and slabs by cache.", "/sys/kernel/slab/*/object_size, slab_size, order …"),
    ("slab_counts", "Slabs and objects of TCP's caches, by node.", "/sys/kernel/slab/*/slabs and total_objects"),
    ("zoneinfo", "Free pages, watermarks and protection of each zone.", "/proc/zoneinfo"),
    ("buddyinfo", "Free blocks of each zone by order.", "/proc/buddyinfo"),
    (
        "pagetypeinfo",
        "Free blocks by migrate type, and pageblocks. Reading it holds a lock, so it is read seldom.",
        "/proc/pagetypeinfo",
    ),
    ("sockstat", "Counts of sockets and their buffers.", "/proc/net/sockstat"),
    ("sockstat6", "Counts of IPv6 sockets.", "/proc/net/sockstat6"),
    ("protocols", "Size of each protocol's sock, and whether it is under pressure.", "/proc/net/protocols"),
    ("meminfo", "Memory of the machine by use.", "/proc/meminfo"),
    (
        "smbios",
        "Processor sockets and memory slots, by the firmware. Only root may read them.",
        "/sys/firmware/dmi/tables",
    ),
    ("topology", "Nodes with their CPUs and memory.", "/sys/devices/system/node"),
    (
        "sysctls",
        "Release, host name, tcp_mem and other settings of the kernel.",
        "/proc/sys, /proc/version, /proc/cmdline",
    ),
    ("security_modules", "The active security modules.", "/sys/kernel/security/lsm"),
    ("snmp", "Counters of TCP that every system has.", "/proc/net/snmp"),
    ("netstat", "Counters of TCP that Linux adds.", "/proc/net/netstat"),
    ("conntrack_stats", "Counters of connection tracking, for each CPU.", "/proc/net/stat/nf_conntrack"),
    ("tls_stat", "Counts of sockets with kernel TLS; only there with the module tls.", "/proc/net/tls_stat"),
    (
        "socket_limits",
        "Limits on sockets and files.",
        "/proc/sys/fs/file-nr, /proc/sys/net/ipv4, /proc/sys/net/netfilter",
    ),
    ("memory_cgroups", "Whether memory cgroups are in use.", "/sys/fs/cgroup, /proc/cgroups"),
    ("socket_table", "The TCP sockets, only if asked who holds them.", "sock_diag (netlink), /proc/PID/fd"),
    ("machine_load", "Use of the CPUs and available memory, on the screen alone.", "/proc/stat and /proc/meminfo"),
    ("lab_measurement", "The lab result that was given.", "tcptop lab"),
)
"""The names of the sources, the contents of each source, and its files."""

EVENT_FILES = {
    "netstat": "/proc/net/netstat",
    "snmp": "/proc/net/snmp",
    "conntrack_stats": "/proc/net/stat/nf_conntrack",
}


def _entry_of_event(event: KernelEvent) -> Entry:
    limit = f" The entry of its limit, {limit_label(event.limit)}, says what raises that." if event.limit else ""
    meaning = f"{event.counts[0].upper()}{event.counts[1:]}."
    return Entry(event.name, meaning, f"A counter of events.{limit}", f"{EVENT_FILES[event.source]}, {event.counter}")


ENTRIES: tuple[Entry, ...] = (
    *FIGURE_ENTRIES,
    *SOCKET_ENTRIES,
    *SLAB_ENTRIES,
    *OBJECT_ENTRIES,
    *MEMORY_ENTRIES,
    *LIMIT_ENTRIES,
    *TABLE_ENTRIES,
    *HOLDER_ENTRIES,
    *HOST_ENTRIES,
    *(Entry(column.heading.title, column.help, "A column of the cache table.", column.source) for column in COLUMNS),
    *SCREEN_ENTRIES,
    *SIGN_ENTRIES,
    *map(_entry_of_event, EVENTS),
    *(Entry(name, text, "A source of figures.", files) for name, text, files in SOURCES),
)
"""All entries."""


WORD_OF_PHRASE = re.compile(r"[^\s,;:()·]+")
NUMBER = re.compile(r"^[-+−±≤≥≈~]?\d[\d.,]*(?![\w.])")
"""A number at the beginning of a word, with its sign: that of `+310/s`, but none of `4K` and `16k`."""
FILLER_WORDS = (
    "a all an and are as at before behind both by count each every for from has have here in is it its many "
    "more most next no not now of on one only or out over passed per since so than that the them then this "
    "times to until was what when where which with within"
)
FILLERS = frozenset(FILLER_WORDS.split())
"""Words that say nothing about the subject of a phrase, though some of them have an entry."""


def fold_word(word: str) -> str:
    """The key under which a word is found.

    Case, plural, hyphens, spaces, underscores and a leading `/proc/` make no difference to the key.

    A word without a letter or a digit is a sign: its key is the sign without spaces.
    """
    if not any(character.isalnum() for character in word):
        return "".join(word.split())
    folded = "".join(character for character in word.lower() if character not in " -_").removeprefix("/proc/")
    if folded.endswith("ies"):
        return f"{folded[:-3]}y"
    if folded.endswith(("sses", "xes")):
        return folded[:-2]
    return folded[:-1] if len(folded) > 3 and folded.endswith("s") and not folded.endswith("ss") else folded


@cache
def _entries_by_key() -> dict[str, tuple[Entry, ...]]:
    """Maps the key of each word to its entries.

    The entries of the word itself come first. Entries that have the word as an alias come next.
    """
    found: dict[str, dict[str, Entry]] = {}
    for entry in ENTRIES:
        found.setdefault(fold_word(entry.word), {})[entry.word] = entry
    for entry in ENTRIES:
        for name in entry.other_names:
            found.setdefault(fold_word(name), {}).setdefault(entry.word, entry)
    return {key: tuple(entries.values()) for key, entries in found.items()}


def find_entries(word: str) -> tuple[Entry, ...]:
    """The entries of a word, such as those of `order` and of the column `ORDER`; empty if there is no entry.

    Upper and lower case make no difference, but an entry that is spelled exactly as `word` comes first, and then one
    with an alias that is: `no file` is an alias of file, though `nofile` is an entry.
    """
    found = _entries_by_key().get(fold_word(word), ())
    return tuple(sorted(found, key=lambda entry: (entry.word != word, word not in entry.other_names)))


def find_entries_of_ascii(sign: str) -> tuple[Entry, ...]:
    """The entries of all signs of the screen that the given ASCII sign stands for where only ASCII can be shown."""
    if not sign.isascii() or any(character.isalnum() for character in sign):
        return ()
    glyphs = [glyph for glyph, ascii_sign in (*ASCII_GLYPHS.items(), *LONGER_GLYPHS.items()) if ascii_sign == sign]
    found = {entry.word: entry for glyph in glyphs for entry in find_entries(glyph)}
    return tuple(found.values())


@cache
def _entries_by_words() -> dict[tuple[str, ...], tuple[Entry, ...]]:
    """Maps the sorted keys of the words of each name, such as those of `FITS MORE`, to the entries with this name."""
    found: dict[tuple[str, ...], dict[str, Entry]] = {}
    for entry in ENTRIES:
        for name in (entry.word, *entry.other_names):
            found.setdefault(_sorted_keys(name), {})[entry.word] = entry
    return {keys: tuple(entries.values()) for keys, entries in found.items()}


def _sorted_keys(name: str) -> tuple[str, ...]:
    return tuple(sorted(NUMBER.sub("0", fold_word(word)) for word in WORD_OF_PHRASE.findall(name)))


def find_any_order(name: str) -> tuple[Entry, ...]:
    """The entries of a name of several words, in whatever order, with whatever numbers.

    `more fit` finds FITS MORE, and `over 4 s` finds `over 30 s`.
    """
    keys = _sorted_keys(name) if name.isprintable() else ()
    return _entries_by_words().get(keys, ()) if keys else ()


@cache
def _entries_with_part() -> dict[str, tuple[Entry, ...]]:
    """Maps the key of a single word, such as `fits`, to all entries whose names contain it, such as `FITS MORE`."""
    found: dict[str, dict[str, Entry]] = {}
    for entry in ENTRIES:
        for part in WORD_OF_PHRASE.findall(" ".join((entry.word, *entry.other_names))):
            found.setdefault(fold_word(part), {})[entry.word] = entry
    return {key: tuple(entries.values()) for key, entries in found.items()}


def find_part(word: str) -> tuple[Entry, ...]:
    """The entries whose names have `word` as one of several words; empty for a word of FILLERS."""
    return () if word.lower() in FILLERS else _entries_with_part().get(fold_word(word), ())


def names_near(phrase: str) -> list[str]:
    """The names of the entries that have a word of the phrase in one of their names."""
    words = WORD_OF_PHRASE.findall(phrase) if phrase.isprintable() else []
    return list(dict.fromkeys(entry.word for word in words for entry in find_part(word)))


def find_phrase(phrase: str) -> tuple[Entry, ...]:
    """The entries whose names are in a piece of printed text as whole words, in the order of the text.

    Of several names that begin with the same word, the longest counts: `free blocks` has one entry. Numbers, and the
    words of FILLERS, are no names by themselves. A sign at the beginning of the text, such as `≤`, counts as a word.
    """
    if not phrase.isprintable():
        return ()
    sign = find_entries(phrase[:1]) if len(phrase) > 1 and not phrase[0].isascii() else ()
    words = WORD_OF_PHRASE.findall(phrase[1:] if sign else phrase)
    words = [without for word in words if (without := NUMBER.sub("", word)) not in ("", ".")]
    found = {entry.word: entry for entry in sign}
    start = 0
    while start < len(words):
        end = len(words)
        while end > start and not (entries := _entries_in_phrase(words[start:end])):
            end -= 1
        found.update((entry.word, entry) for entry in entries)
        start = max(end, start + 1)
    return tuple(found.values())


def _entries_in_phrase(words: Sequence[str]) -> tuple[Entry, ...]:
    if len(words) == 1:
        return find_entries(words[0]) if words[0].lower() not in FILLERS else ()
    return find_entries(" ".join(words)) or _entries_with_sign().get(tuple(map(fold_word, words)), ())


@cache
def _entries_with_sign() -> dict[tuple[str, ...], tuple[Entry, ...]]:
    """Maps the beginnings of names that end in a sign, such as `counter ±` of `counter ± 8.0 MiB`, to their entries."""
    found: dict[tuple[str, ...], dict[str, Entry]] = {}
    for entry in ENTRIES:
        for name in (entry.word, *entry.other_names):
            words = WORD_OF_PHRASE.findall(name)
            for end in range(2, len(words)):
                if not any(character.isalnum() for character in words[end - 1]):
                    found.setdefault(tuple(map(fold_word, words[:end])), {})[entry.word] = entry
    return {words: tuple(entries.values()) for words, entries in found.items()}


def known_words() -> dict[str, str]:
    """Maps the key of each word and of each alias to its spelling in the glossary."""
    words = {fold_word(name): name for entry in ENTRIES for name in entry.other_names}
    return words | {fold_word(entry.word): entry.word for entry in ENTRIES}
