"""/proc/net/snmp (net/ipv4/proc.c, snmp_seq_show): the TCP counters of one network namespace."""

from __future__ import annotations

from tcptop.kernel.events import counters_in
from tcptop.snapshot import Snmp
from tcptop.sources.counter_lines import parse_counter_lines
from tcptop.sources.source import Damage, FileSource

LABEL = "Tcp:"
ESTABLISHED = "CurrEstab"
COUNTERS = counters_in("snmp")


class SnmpSource(FileSource[Snmp]):
    """A source that is read at every interval, like sockstat, since the kernel sums per-CPU counters without a lock."""

    name = "snmp"
    paths = ("proc/net/snmp",)
    makes_rates = True

    def parse_lines(self, lines: list[str], damages: list[Damage]) -> Snmp:
        """Parses the two `Tcp:` lines: the first has names, the second has values. A missing CurrEstab is None."""
        counters = parse_counter_lines(lines, LABEL, (ESTABLISHED, *COUNTERS), damages)
        return Snmp(counters.pop(ESTABLISHED, None), counters)
