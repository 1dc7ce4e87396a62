"""/proc/net/netstat (net/ipv4/proc.c, netstat_seq_show): further TCP counters of one network namespace."""

from __future__ import annotations

from tcptop.kernel.events import counters_in
from tcptop.snapshot import EventCounters
from tcptop.sources.counter_lines import parse_counter_lines
from tcptop.sources.source import Damage, FileSource

LABEL = "TcpExt:"
COUNTERS = frozenset(counters_in("netstat"))


class NetstatSource(FileSource[EventCounters]):
    """A source that is read at every interval, like snmp, because the kernel sums per-CPU counters without a lock."""

    name = "netstat"
    paths = ("proc/net/netstat",)
    makes_rates = True

    def parse_lines(self, lines: list[str], damages: list[Damage]) -> EventCounters:
        """Parses the event counters in the lines that begin with `TcpExt:`; the lines of IP and MPTCP are ignored."""
        return EventCounters(parse_counter_lines(lines, LABEL, COUNTERS, damages))
