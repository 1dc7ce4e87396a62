"""What else bounds the number of sockets: open files, orphans, TIME_WAIT, local ports, conntrack. A few tiny files."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tcptop.hosts.host import Host
from tcptop.snapshot import Reading, SocketLimits
from tcptop.sources.source import Damage, Source, explain_error, make_reading, parse_count, parse_counts, worse_damage
from tcptop.text.printable import SMALL_FILE_BYTES, decode_text

FILE_NR = "proc/sys/fs/file-nr"
MAX_ORPHANS = "proc/sys/net/ipv4/tcp_max_orphans"
MAX_TIME_WAIT = "proc/sys/net/ipv4/tcp_max_tw_buckets"
PORT_RANGE = "proc/sys/net/ipv4/ip_local_port_range"
CONNTRACK_COUNT = "proc/sys/net/netfilter/nf_conntrack_count"
CONNTRACK_MAX = "proc/sys/net/netfilter/nf_conntrack_max"

MACHINE_WIDE = (FILE_NR, MAX_ORPHANS)
PER_NET_NAMESPACE = (MAX_TIME_WAIT, PORT_RANGE, CONNTRACK_COUNT, CONNTRACK_MAX)

Parsed = TypeVar("Parsed")


class SocketLimitsSource(Source[SocketLimits]):
    """Every interval: each file is one number or two."""

    name = "socket_limits"
    paths = MACHINE_WIDE + PER_NET_NAMESPACE

    async def read(self, host: Host) -> Reading[SocketLimits]:
        """Reads what there is of them.

        /proc/sys/net of any procfs shows the namespace of whoever reads (net/sysctl_net.c, net_ctl_header_lookup):
        where the host's network is another, these limits are not its own, and are not read.
        """
        foreign = host.identity.net_namespace is not None
        paths = MACHINE_WIDE if foreign else MACHINE_WIDE + PER_NET_NAMESPACE
        files = await host.read(paths)
        took_us = sum(file.took_us for file in files)
        texts = {
            file.path: decode_text(file.data, SMALL_FILE_BYTES).strip("\0 \t\r\n") if file.data is not None else ""
            for file in files
        }
        if not any(texts.values()):
            error = next((file.error for file in files if file.error is not None), OSError("empty"))
            state, reason = explain_error("proc/sys", error)
            return Reading(state, None, reason, None, took_us, None, None, None)
        value, damage = parse(texts)
        return make_reading(value, damage, "proc/sys", took_us)


def parse(texts: dict[str, str]) -> tuple[SocketLimits, Damage | None]:
    """Makes sense of the texts, by path; what is absent or empty is None, what is of another form is named too."""
    damage: Damage | None = None

    def parsed(path: str, make: Callable[[str], Parsed]) -> Parsed | None:
        nonlocal damage
        text = texts.get(path)
        if not text:
            return None
        try:
            return make(text)
        except ValueError:
            damage = worse_damage(damage, Damage("strange", f"{path.removeprefix('proc/sys/')} is of another form"))
            return None

    files = parsed(FILE_NR, parse_file_nr)
    limits = SocketLimits(
        open_files=files[0] if files else None,
        max_open_files=files[1] if files else None,
        max_orphans=parsed(MAX_ORPHANS, parse_count),
        max_time_wait=parsed(MAX_TIME_WAIT, parse_count),
        local_ports=parsed(PORT_RANGE, parse_port_range),
        conntrack_entries=parsed(CONNTRACK_COUNT, parse_count),
        max_conntrack_entries=parsed(CONNTRACK_MAX, parse_count),
    )
    return limits, damage


def parse_file_nr(text: str) -> tuple[int, int]:
    """Files in use and the most there may be, of `allocated unused max` (fs/file_table.c, proc_nr_files).

    Older kernels give the counter as it stands, without what each CPU has not yet added: some dozens for each.

    Raises:
        ValueError: when the text is of another form.

    """
    allocated, unused, most = parse_counts(text.split())
    if unused > allocated:
        raise ValueError("more unused files than there are")
    return allocated - unused, most


def parse_port_range(text: str) -> tuple[int, int]:
    """The first and the last local port (net/ipv4/sysctl_net_ipv4.c, ipv4_local_port_range).

    Raises:
        ValueError: when the text is of another form.

    """
    first, last = parse_counts(text.split())
    if not first <= last <= 0xFFFF:
        raise ValueError("no range of ports")
    return first, last
