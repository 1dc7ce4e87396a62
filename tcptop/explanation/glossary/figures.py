"""Words of the figures: bytes per connection, TCP's memory, growth, ranges."""

from tcptop.explanation.glossary.entry import Entry

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
        ("one more", "one more mini-socket", "next", "next socket", "other parts of a socket", "other parts"),
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
        ("open socket", "full accounting", "open sockets/TIME_WAIT"),
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
        " It is large after many sockets closed, and the next sockets take it first. The average is not one more socket"
        " and idle: sockets in accept queues, without a file, cost less.",
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
