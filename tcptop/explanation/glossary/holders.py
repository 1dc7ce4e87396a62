"""Words of a look at the sockets: owners, queues, verdicts."""

from tcptop.explanation.glossary.entry import Entry

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
        "Connections that full accept queues have dropped since their network namespace was made or booted.",
        "The main screen has those of tcptop's own namespace, W of all that it names, by closed listeners too. The"
        " client tries again, so that one connection may count several times. While the number grows, the head line has"
        " `! DROPS`: W shows which queue it was.",
        "/proc/net/netstat, ListenOverflows",
        ("3 dropped",),
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
        "A reset, a timeout, or FINs both ways after shutdown(2) end a connection: its socket leaves the table of the"
        " kernel, and stays allocated until its program closes it. If it waits in an accept queue, that is until the"
        " program accepts it or closes the listener. A netns is hidden if only a thread or a descriptor holds it. If"
        " the counter of allocated sockets changed while tcptop read, the sockets may also have been opened or closed"
        " meanwhile: another look tells.",
        "net/ipv4/tcp.c, tcp_set_state()",
        (
            "never connected",
            "opened or closed while it read",
            "ended",
            "ended (reset, timed out)",
            "still held",
            "hidden netns",
            "hidden",
        ),
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
