"""Words of the sources of figures, and of the counters of events."""

from tcptop.explanation.glossary.entry import Entry
from tcptop.kernel.events import EVENTS, KernelEvent
from tcptop.kernel.limits import limit_label

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


SOURCE_ENTRIES: tuple[Entry, ...] = (
    *map(_entry_of_event, EVENTS),
    *(Entry(name, text, "A source of figures.", files) for name, text, files in SOURCES),
)
