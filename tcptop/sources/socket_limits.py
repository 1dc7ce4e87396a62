"""/proc/sys: limits on open files, orphans, TIME_WAIT sockets, ports and conntrack entries.

The numbers of open files and conntrack entries are read too.
"""

from __future__ import annotations

from collections.abc import Sequence

from tcptop.hosts.host import FileRead, Host
from tcptop.snapshot import Reading, SocketLimits
from tcptop.sources.source import (
    Damage,
    Source,
    explain_error,
    has_cut,
    make_reading,
    parse_count,
    parse_counts,
    parse_longs,
    parse_sysctl,
    read_small_files,
    report_unread,
    stripped_texts,
    unread,
    worst_damage,
)
from tcptop.text.printable import decode_text

FILE_NR = "proc/sys/fs/file-nr"
MAX_ORPHANS = "proc/sys/net/ipv4/tcp_max_orphans"
MAX_TIME_WAIT = "proc/sys/net/ipv4/tcp_max_tw_buckets"
PORT_RANGE = "proc/sys/net/ipv4/ip_local_port_range"
RESERVED_PORTS = "proc/sys/net/ipv4/ip_local_reserved_ports"
CONNTRACK_COUNT = "proc/sys/net/netfilter/nf_conntrack_count"
CONNTRACK_MAX = "proc/sys/net/netfilter/nf_conntrack_max"

MAX_RESERVED_BYTES = 1 << 20
"""More than the length of any list of reserved ports: 32 768 ports, none adjacent, of at most 6 characters each."""

MIN_INT = -(1 << 31)

MACHINE_WIDE = (FILE_NR, MAX_ORPHANS)
PER_NET_NAMESPACE = (MAX_TIME_WAIT, PORT_RANGE, RESERVED_PORTS, CONNTRACK_COUNT, CONNTRACK_MAX)


class SocketLimitsSource(Source[SocketLimits]):
    """A source that is read at every interval, because each file contains only a few numbers."""

    name = "socket_limits"
    paths = MACHINE_WIDE + PER_NET_NAMESPACE

    async def read(self, host: Host) -> Reading[SocketLimits]:
        """Reads the files that exist.

        In any procfs, /proc/sys/net shows the network namespace of the process that reads the files (net/sysctl_net.c,
        net_ctl_header_lookup). If the host's network namespace is not tcptop's own, the files in
        `PER_NET_NAMESPACE` show the limits of the wrong namespace, so these files are not read.
        """
        is_other_namespace = host.identity.net_namespace is not None
        paths = MACHINE_WIDE if is_other_namespace else MACHINE_WIDE + PER_NET_NAMESPACE
        files = await read_small_files(host, paths)
        took_us = sum(file.took_us for file in files)
        texts = stripped_texts(files)
        texts |= {file.path: _reserved_text(file) for file in files if file.path == RESERVED_PORTS}
        damages: list[Damage] = []
        report_unread(files, "proc/sys", damages)
        if not any(texts.values()) and not has_cut(damages):
            error = next((file.error for file in files if file.error is not None), OSError("empty"))
            return unread(*explain_error("proc/sys", error), took_us)
        value, damage = parse(texts)
        damages += [damage] if damage else []
        return make_reading(value, worst_damage(damages), "proc/sys", took_us)


def parse(texts: dict[str, str]) -> tuple[SocketLimits, Damage | None]:
    """Parses the texts of the files, by path. A value is None if its text is missing, empty or unparsable.

    An unparsable text is also reported as damage.
    """
    damages: list[Damage] = []
    open_files, max_open_files = parse_sysctl(texts, FILE_NR, parse_file_nr, damages) or (None, None)
    limits = SocketLimits(
        open_files=open_files,
        max_open_files=max_open_files,
        max_orphans=parse_sysctl(texts, MAX_ORPHANS, parse_int, damages),
        max_time_wait=parse_sysctl(texts, MAX_TIME_WAIT, parse_int, damages),
        local_ports=parse_sysctl(texts, PORT_RANGE, parse_port_range, damages),
        reserved_ports=parse_sysctl(texts, RESERVED_PORTS, parse_reserved_ports, damages),
        conntrack_entries=parse_sysctl(texts, CONNTRACK_COUNT, parse_count, damages),
        max_conntrack_entries=parse_sysctl(texts, CONNTRACK_MAX, parse_int, damages),
    )
    return limits, worst_damage(damages)


def _reserved_text(file: FileRead) -> str:
    """The text of RESERVED_PORTS. A blank line means that no port is reserved, so the newline is kept.

    NUL bytes are kept too: a list of NUL bytes is damaged, not empty.
    """
    return decode_text(file.data or b"", MAX_RESERVED_BYTES).strip(" \t\r")


def parse_file_nr(text: str) -> tuple[int, int]:
    """The number of open files and its maximum, from the text `allocated unused max` (fs/file_table.c, proc_nr_files).

    Older kernels print only the global part of a per-CPU counter. Each CPU counts files on its own before it adds its
    count to the global part. The global part therefore lacks up to a few dozen files per CPU.

    Raises:
        ValueError: if the text does not have this format.

    """
    *numbers, last = text.split()
    allocated, unused = parse_longs(numbers)
    # Kernels before 5.2 accept values of fs.file-max up to 2^64 - 1, which is more than a `long` holds.
    maximum = parse_count(last)
    if unused > allocated:
        raise ValueError("more unused files than allocated ones")
    return allocated - unused, maximum


def parse_int(text: str) -> int:
    """A number that the kernel prints as an int (kernel/sysctl.c, proc_dointvec), and that may be negative.

    Raises:
        ValueError: if the text is no number, or if no int is as small.

    """
    if not text.startswith("-"):
        return parse_count(text)
    number = -parse_count(text[1:])
    if number < MIN_INT:
        raise ValueError("less than an int holds")
    return number


def parse_port_range(text: str) -> tuple[int, int]:
    """The first and the last local port (net/ipv4/sysctl_net_ipv4.c, ipv4_local_port_range).

    Raises:
        ValueError: if the text is not a range of ports.

    """
    return _port_pair(text.split())


def _port_pair(texts: Sequence[str]) -> tuple[int, int]:
    first, last = parse_counts(texts)
    if not first <= last <= 0xFFFF:
        raise ValueError("not a range of ports")
    return first, last


def parse_reserved_ports(text: str) -> tuple[tuple[int, int], ...]:
    """The ranges of reserved ports, from a text such as `8080,9000-9010` (kernel/sysctl.c, proc_do_large_bitmap).

    The kernel prints the ranges in ascending order, and no two of them adjacent.

    Raises:
        ValueError: if the text is not such a list.

    """
    if text == "\n":
        return ()
    ranges: list[tuple[int, int]] = []
    for each in text.removesuffix("\n").split(","):
        first, dash, last = each.partition("-")
        found = _port_pair((first, last if dash else first))
        if ranges and found[0] <= ranges[-1][1] + 1:
            raise ValueError("ranges out of order")
        ranges.append(found)
    return tuple(ranges)
