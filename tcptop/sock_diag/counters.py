"""Counters of a network namespace: the TCP lines of sockstat, some event counters of netstat, and two sysctls."""

from __future__ import annotations

from contextlib import suppress

EVENTS = (
    "ListenOverflows",
    "ListenDrops",
    "TCPReqQFullDrop",
    "TCPReqQFullDoCookies",
    "TCPTimeWaitOverflow",
    "TCPAbortOnMemory",
)
"""Counters of the line TcpExt in /proc/net/netstat (net/ipv4/proc.c, snmp4_net_list)."""

SOCKSTAT = ("inuse", "inuse6", "orphan", "tw", "alloc", "mem")
"""Counters of the lines TCP and TCP6 in sockstat and sockstat6 (net/ipv4/proc.c, net/ipv6/proc.c)."""
SYSCTLS = ("tcp_max_tw_buckets", "tcp_child_ehash_entries")

OWN_NET = "/proc/thread-self/net"
"""The folder that shows the namespace of the calling thread; /proc/net would show the namespace of the main thread."""


def read_counters(folder: str = OWN_NET) -> dict[str, int]:
    """The counters in a folder like /proc/net. A counter that cannot be read is left out."""
    counters: dict[str, int] = {}
    for file, label, suffix in (("sockstat", "TCP:", ""), ("sockstat6", "TCP6:", "6")):
        for line in _lines(f"{folder}/{file}"):
            fields = line.split()
            if fields[:1] == [label]:
                counters |= _numbers([f"{name}{suffix}" for name in fields[1::2]], fields[2::2])
    rows = [line.split() for line in _lines(f"{folder}/netstat") if line.startswith("TcpExt:")]
    if len(rows) == 2:
        events = _numbers(*rows)
        counters |= {name: events[name] for name in EVENTS if name in events}
    return counters


def read_own_sysctls() -> dict[str, int]:
    """The values of SYSCTLS in the calling thread's namespace, by name; a sysctl that cannot be read is left out."""
    values = {name: _lines(f"/proc/sys/net/ipv4/{name}") for name in SYSCTLS}
    return _numbers(list(SYSCTLS), [text[0] if text else "" for text in values.values()])


def read_ephemeral_ports() -> range:
    """The calling thread's ip_local_port_range; empty if it cannot be read."""
    with suppress(ValueError, IndexError):
        low, high = map(int, _lines("/proc/sys/net/ipv4/ip_local_port_range")[0].split())
        return range(max(0, low), min(high, 65535) + 1)
    return range(0)


def _lines(path: str) -> list[str]:
    with suppress(OSError), open(path, encoding="ascii", errors="replace") as file:
        return file.read(1 << 16).splitlines()
    return []


def _numbers(names: list[str], values: list[str]) -> dict[str, int]:
    pairs = zip(names, values, strict=False)
    return {name: int(value) for name, value in pairs if value.isascii() and value.strip().isdigit()}
