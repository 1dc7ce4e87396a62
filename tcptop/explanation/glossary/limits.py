"""Words of the limits, their alarms and what fits."""

from tcptop.explanation.glossary.entry import Entry

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
            "tw_buckets",
        ),
    ),
    Entry(
        "skipped",
        "Connections that closed without TIME_WAIT, because its limit was reached; none of them fails.",
        "TIME_WAIT keeps the late segments of an old connection from a new one between the same addresses and ports.",
        "/proc/net/netstat, TCPTimeWaitOverflow; net/ipv4/tcp_minisocks.c, tcp_time_wait()",
        ("skipped in 1 min", "skip", "closed connection skips TIME_WAIT", "connection skips", "skip TIME_WAIT"),
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
            "look old",
            "near until below 75 %",
            "TIME_WAIT limit",
        ),
    ),
    Entry(
        "not looked at",
        "Limits whose use only a look at the sockets tells: nofile, accept queues and ports.",
        "Until a look, one of them may come first, before all limits with a number: W or `tcptop who` makes one. After"
        " a look that did not read all processes or namespaces they are `not all seen`. A saved tree or a recording"
        " has them only if `tcptop record --who` made it.",
        "tcptop who; /proc/PID/limits and /proc/PID/fd, sock_diag(7)",
        (
            "may come first",
            "others may come first",
            "not all seen",
            "not all were seen",
            "were not looked at",
            "was not looked at",
            "only a look at the sockets tells",
            "no list recorded",
            "has no list",
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
