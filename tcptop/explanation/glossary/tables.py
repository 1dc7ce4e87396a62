"""Headings of tables, other than the cache table."""

from tcptop.explanation.glossary.entry import TCP_STATES, Entry

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
