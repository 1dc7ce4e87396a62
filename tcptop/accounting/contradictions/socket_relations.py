"""Relations of the counts of sockets, files and flows, within sockstat and with the caches of their objects."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tcptop.accounting.contradictions.relation import (
    SOCKETS_LATER,
    SOCKETS_OF_A_LINE,
    Facts,
    Machine,
    Relation,
    times,
    total,
    with_later_sockets,
    with_moving_sockets,
)
from tcptop.snapshot import EventCounters, Reading, Snapshot, Sockstat, TlsStat

SOCK_BYTES, MINI_SOCKET_BYTES, FILE_BYTES, FLOW_BYTES = 512, 64, 64, 64
"""Lower bounds on the sizes of a sock, a mini-socket, a struct file and a conntrack entry, on all kernels since 2.4."""

SOCKSTAT, SLABINFO = "/proc/net/sockstat", "/proc/slabinfo"
PER_CPU_RESERVE, MAX_INT = "/proc/sys/net/core/mem_pcpu_rsv", (1 << 31) - 1
LISTEN_COUNTERS = ("ListenOverflows", "ListenDrops")

OWN_CACHE = f"{SOCKETS_LATER}; the caches are never merged (SLAB_TYPESAFE_BY_RCU)"


def _in_memory(file: str, field: str, size: int, things: str) -> Relation[Any, Facts]:
    """Makes a relation: the machine's memory can hold the counted objects, each of at least `size` bytes."""
    return Relation(
        f"{field} of {file.rpartition('/')[2]} in memory",
        f"{file}, /proc/meminfo, /proc/zoneinfo",
        (field,),
        lambda value, facts: (times(getattr(value, field), size), facts.machine.memory_bytes),
        f"{{item.{field}}} {things}: these are {{figure}} B at least, and the machine has {{bound}} B",
        "none: the size is a lower bound on all kernels",
    )


def _in_sysctl(path: str, field: str, most: int, kind: str) -> Relation[Any, Facts]:
    """Makes a relation: the value of a sysctl is one that the kernel's variable can have."""
    name = path.rpartition("/")[2]
    return Relation(
        f"largest value of {name}",
        f"/proc/sys/{path}",
        (field,),
        lambda limits, _: (getattr(limits, field), most),
        f"{path} is {{figure}}, and its largest value is {{bound}}",
        f"none: it is {kind}",
    )


def _in_sockets(software: str, device: str, verb: str) -> Relation[Any, Facts]:
    """Makes a relation: the sockets that use kernel TLS in one direction are at most all TCP sockets of the machine.

    For each direction, sending or receiving, the kernel has two counts: sockets whose data the CPU encrypts, and
    sockets whose data the network device encrypts. No socket is in both counts of a direction, so these two counts are
    added up.
    """
    return Relation(
        f"sockets that {verb} with kernel TLS",
        f"/proc/net/tls_stat, {SOCKSTAT}",
        (software, device),
        lambda stat, facts: (
            (getattr(stat, software) or 0) + (getattr(stat, device) or 0),
            with_later_sockets(facts.sockets),
        ),
        f"{{figure}} sockets {verb} with kernel TLS, more than the machine has TCP sockets",
        SOCKETS_LATER,
    )


def least_reserve_pages(machine: Machine) -> int | None:
    """Minimum of net.core.mem_pcpu_rsv: the number of pages in 1 MiB (include/net/sock.h, SK_MEMORY_PCPU_RESERVE)."""
    return (1 << 20) // machine.page_bytes if machine.page_bytes else None


class CountedFields(NamedTuple):
    """Two numbers about the line TCP or TCP6: how many counts are known, and how many counts every kernel prints."""

    source: str
    label: str
    needed: int
    known: int


def counted_fields(snapshot: Snapshot) -> Iterator[CountedFields]:
    """The counts in the lines TCP and TCP6.

    Before 6.0, the kernel may print a negative `mem` for a moment. A negative `mem` counts as unknown.
    """
    for source, label in (("sockstat", "TCP"), ("sockstat6", "TCP6")):
        reading: Reading[Any] = getattr(snapshot, source)
        if reading.value is not None:
            counts = reading.value if reading.state in ("ok", "late") or source == "sockstat6" else reading.value[:-1]
            yield CountedFields(source, label, len(counts), sum(count is not None for count in counts))


FIELDS_RELATION: Relation[CountedFields, Facts] = Relation(
    "counts of the TCP line",
    f"{SOCKSTAT}, /proc/net/sockstat6",
    (),
    lambda line, _: (line.needed, line.known),
    "the line {item.label} has {bound} counts that are known, and every kernel prints {figure}",
    "none (net/ipv4/proc.c, sockstat_seq_show; net/ipv6/proc.c, sockstat6_seq_show)",
)


def larger_and_smaller(one: int | None, other: int | None) -> tuple[int | None, int | None]:
    """The larger of two counts, and an upper bound computed from the smaller count; None if a count is unknown."""
    if one is None or other is None:
        return None, None
    return max(one, other), with_later_sockets(min(one, other))


def _protocol_sockets(protocol: str, words: str) -> Relation[Any, Facts]:
    """Makes a relation: sockstat and /proc/net/protocols show the same number of sockets in use."""
    return Relation(
        f"sockets of {protocol} in both files",
        f"/proc/net/sockstat{'6' if protocol.endswith('6') else ''}, /proc/net/protocols",
        ("inuse",),
        lambda value, facts: larger_and_smaller(value.inuse, facts.protocol_sockets.get(protocol)),
        f"{{item.inuse:,}} {words} in use, and another number in /proc/net/protocols: not read at one time, or damaged",
        f"{SOCKETS_LATER} (net/core/sock.c, sock_prot_inuse_get)",
    )


def _buffers_in_both(sockstat: Sockstat, facts: Facts) -> tuple[int | None, int | None]:
    """The larger of the two counts of buffers, and an upper bound computed from the smaller count."""
    one, other, drift = sockstat.buffer_units, facts.protocol_buffers, facts.buffer_drift_units
    if one is None or other is None or drift is None:
        return None, None
    return max(one, other), 2 * min(one, other) + drift


def _sockets_of_other_files(facts: Facts) -> int | None:
    """The smaller of two counts of sockets (/proc/net/protocols and /proc/net/snmp); None if a count is unknown."""
    in_use = facts.protocol_sockets.values()
    return min(sum(in_use), facts.established) if in_use and facts.established is not None else None


SOCKSTAT_RELATIONS: tuple[Relation[Sockstat, Facts], ...] = (
    *(_in_memory(SOCKSTAT, field, SOCK_BYTES, "sockets") for field in ("allocated", "inuse", "orphans")),
    _in_memory(SOCKSTAT, "time_wait", MINI_SOCKET_BYTES, "TIME_WAIT sockets"),
    _in_memory(SOCKSTAT, "buffer_units", 4096, "pages of buffers"),
    Relation(
        "orphans of allocated sockets",
        SOCKSTAT,
        Sockstat._fields,
        lambda sockstat, _: (sockstat.orphans, with_moving_sockets(sockstat.allocated)),
        "{figure} orphans of {item.allocated:,} sockets",
        f"{SOCKETS_OF_A_LINE}; both count the machine (net/ipv4/proc.c, sockstat_seq_show)",
    ),
    Relation(
        "orphans and established sockets of allocated ones",
        f"{SOCKSTAT}, /proc/net/snmp",
        Sockstat._fields,
        lambda sockstat, facts: (
            # If CurrEstab alone exceeds the number of allocated sockets, snmp is wrong, so sockstat is not doubted.
            total(sockstat.orphans, facts.established)
            if (facts.established or 0) <= (with_later_sockets(sockstat.allocated) or 0)
            else None,
            with_later_sockets(sockstat.allocated),
        ),
        "{item.orphans:,} orphans and the sockets of CurrEstab in /proc/net/snmp are {figure} of {item.allocated:,} "
        "sockets",
        f"{SOCKETS_LATER}; a socket in ESTABLISHED or CLOSE_WAIT is no orphan (net/ipv4/tcp.c, __tcp_close)",
    ),
    Relation(
        "sockets in use of allocated ones",
        SOCKSTAT,
        Sockstat._fields,
        lambda sockstat, _: (sockstat.inuse, with_moving_sockets(sockstat.allocated)),
        "{figure} sockets in use, and the machine has {item.allocated:,}",
        f"{SOCKETS_OF_A_LINE}; the counter `inuse` is of the network namespace (net/ipv4/proc.c, sockstat_seq_show)",
    ),
    Relation(
        "sockets of two other files of allocated ones",
        f"{SOCKSTAT}, /proc/net/protocols, /proc/net/snmp",
        Sockstat._fields,
        lambda sockstat, facts: (
            _sockets_of_other_files(facts),
            None if sockstat.allocated is None else sockstat.allocated + sockstat.allocated // 8 + 500,
        ),
        "/proc/net/protocols and /proc/net/snmp both show at least {figure} sockets, and the machine has "
        "{item.allocated:,}",
        "an eighth and 500 sockets, which may close between the reads; each of the two files shows sockets of the "
        "network namespace that are allocated (net/core/sock.c, sock_prot_inuse_get; net/ipv4/tcp.c, tcp_set_state)",
    ),
    Relation(
        "allocated sockets of objects",
        f"{SOCKSTAT}, {SLABINFO}",
        ("allocated",),
        lambda sockstat, facts: (sockstat.allocated, with_later_sockets(facts.socks)),
        "{figure} sockets, more than their caches have objects",
        OWN_CACHE,
    ),
    Relation(
        "TIME_WAIT sockets of objects",
        f"{SOCKSTAT}, {SLABINFO}",
        ("time_wait",),
        lambda sockstat, facts: (sockstat.time_wait, with_later_sockets(facts.mini_sockets)),
        "{figure} TIME_WAIT sockets, more than their caches have objects",
        OWN_CACHE,
    ),
    _protocol_sockets("TCP", "sockets"),
    Relation(
        "buffers in both files",
        f"{SOCKSTAT}, /proc/net/protocols",
        ("buffer_units",),
        _buffers_in_both,
        "{item.buffer_units:,} pages of buffers, and another number in /proc/net/protocols: not read at one time, or "
        "damaged",
        "as many again, 16 MiB, 1 MiB for each CPU, and 64 GiB a second on a running kernel; both print one counter "
        "(net/core/sock.c, sock_prot_memory_allocated; net/ipv4/proc.c, sockstat_seq_show)",
    ),
)

VALUE_RELATIONS: Mapping[str, tuple[Relation[Any, Facts], ...]] = {
    "sockstat": SOCKSTAT_RELATIONS,
    "sockstat6": (
        _in_memory("/proc/net/sockstat6", "inuse", SOCK_BYTES, "sockets"),
        Relation(
            "sockets of both families in use",
            f"/proc/net/sockstat6, {SOCKSTAT}",
            ("inuse",),
            lambda value, facts: (total(value.inuse, facts.inuse), with_later_sockets(facts.sockets)),
            "{item.inuse:,} sockets in use, with those of IPv4 {figure}: more than the machine has",
            f"{SOCKETS_LATER}; the counters `inuse` are of the network namespace",
        ),
        _protocol_sockets("TCPv6", "sockets"),
    ),
    "snmp": (
        _in_memory("/proc/net/snmp", "established", SOCK_BYTES, "connections"),
        Relation(
            "established of sockets in use",
            f"/proc/net/snmp, {SOCKSTAT}, /proc/net/sockstat6",
            ("established",),
            lambda value, facts: (value.established, with_later_sockets(facts.namespace_sockets)),
            "CurrEstab is {figure}, more than there are TCP sockets",
            f"{SOCKETS_LATER}; a socket in ESTABLISHED or CLOSE_WAIT is in use (net/ipv4/tcp.c, tcp_set_state)",
        ),
    ),
    "tls_stat": (
        *(_in_memory("/proc/net/tls_stat", field, SOCK_BYTES, "sockets with kernel TLS") for field in TlsStat._fields),
        _in_sockets("tx_software", "tx_device", "send"),
        _in_sockets("rx_software", "rx_device", "receive"),
    ),
    "sysctls": (
        Relation(
            "least reserve of buffers of a CPU",
            PER_CPU_RESERVE,
            ("memory_per_cpu_reserve_pages",),
            lambda sysctls, facts: (
                None if sysctls.memory_per_cpu_reserve_pages is None else least_reserve_pages(facts.machine),
                sysctls.memory_per_cpu_reserve_pages,
            ),
            "net/core/mem_pcpu_rsv is {bound} pages, and its least value is {figure}",
            "none: the kernel accepts no smaller value (net/core/sysctl_net_core.c, min_mem_pcpu_rsv)",
        ),
        Relation(
            "largest reserve of buffers of a CPU",
            PER_CPU_RESERVE,
            ("memory_per_cpu_reserve_pages",),
            lambda sysctls, _: (sysctls.memory_per_cpu_reserve_pages, MAX_INT),
            "net/core/mem_pcpu_rsv is {figure} pages, and its largest value is {bound}",
            "none: it is an int (net/core/sysctl_net_core.c, proc_dointvec_minmax)",
        ),
    ),
    "socket_limits": (
        _in_memory("/proc/sys/fs/file-nr", "open_files", FILE_BYTES, "open files"),
        Relation(
            "open files of sockets",
            f"/proc/sys/fs/file-nr, {SOCKSTAT}, {SLABINFO}",
            ("open_files",),
            lambda limits, facts: (facts.sockets_with_file, with_later_sockets(limits.open_files)),
            "fs/file-nr has {item.open_files:,} open files, and at least {figure} TCP sockets have a file: not read at "
            "one time, or damaged",
            f"{SOCKETS_LATER}; a batch on each CPU (fs/file_table.c, get_nr_files); sockets of the kernel have no file",
        ),
        Relation(
            "open files of objects",
            f"/proc/sys/fs/file-nr, {SLABINFO}",
            ("open_files",),
            lambda limits, facts: (limits.open_files, with_later_sockets(facts.files)),
            "fs/file-nr has {figure} open files, more than their cache has objects: not read at one time, or damaged",
            f"{SOCKETS_LATER}; a batch on each CPU (fs/file_table.c, get_nr_files); the objects of a merged row too",
        ),
        _in_sysctl("net/ipv4/tcp_max_orphans", "max_orphans", MAX_INT, "an int (net/ipv4/sysctl_net_ipv4.c)"),
        _in_sysctl("net/ipv4/tcp_max_tw_buckets", "max_time_wait", MAX_INT, "an int (net/ipv4/sysctl_net_ipv4.c)"),
        _in_sysctl(
            "net/netfilter/nf_conntrack_max",
            "max_conntrack_entries",
            2 * MAX_INT + 1,
            "an unsigned int (net/netfilter/nf_conntrack_standalone.c)",
        ),
        _in_memory("/proc/sys/net/netfilter/nf_conntrack_count", "conntrack_entries", FLOW_BYTES, "tracked flows"),
        Relation(
            "tracked flows of objects",
            f"/proc/sys/net/netfilter/nf_conntrack_count, {SLABINFO}",
            ("conntrack_entries",),
            lambda limits, facts: (limits.conntrack_entries, with_later_sockets(facts.flows)),
            "nf_conntrack_count is {figure}, more than the machine's cache nf_conntrack has objects",
            f"{SOCKETS_LATER}; the count is of the network namespace, the cache of the machine",
        ),
    ),
}
"""Relations of each source that has only a few counts, by name of the source."""


LISTEN_RELATION: Relation[EventCounters, Facts] = Relation(
    "listen overflows of listen drops",
    "/proc/net/netstat",
    LISTEN_COUNTERS,
    lambda value, _: (
        value.counters.get("ListenOverflows"),
        with_later_sockets(value.counters.get("ListenDrops")),
    ),
    "ListenOverflows is {figure}, and ListenDrops, which includes it, {item.counters[ListenDrops]:,}",
    f"{SOCKETS_LATER} (net/ipv4/tcp_ipv4.c, tcp_v4_syn_recv_sock)",
)
"""Each overflow of an accept queue is also counted as a drop."""
