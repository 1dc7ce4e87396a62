"""/proc/net/snmp (net/ipv4/proc.c, snmp_seq_show): the TCP counters of one network namespace."""

from __future__ import annotations

from tcptop.snapshot import Snmp
from tcptop.sources.source import Damage, FileSource, parse_count, report_repeated

LABEL = "Tcp:"
ESTABLISHED = "CurrEstab"

BELOW_ZERO = 1 << 63
"""Smallest printed value that means a negative number.

A sum of per-CPU counters that change during the read may be slightly below 0, and the kernel prints it as unsigned.
"""


class SnmpSource(FileSource[Snmp]):
    """A source read at every interval, because the kernel sums per-CPU counters without a lock, as for sockstat."""

    name = "snmp"
    paths = ("proc/net/snmp",)

    def parse_lines(self, lines: list[str], damages: list[Damage]) -> Snmp:
        """Parses the two `Tcp:` lines, the first with names, the second with values; CurrEstab is None if missing."""
        tcp_lines = [fields for fields in map(str.split, lines) if fields and fields[0] == LABEL]
        if len(tcp_lines) < 2:
            raise ValueError(f"fewer than two lines begin with {LABEL}")
        report_repeated([LABEL] if len(tcp_lines) > 2 else [], damages)
        names, values = tcp_lines[:2]
        if len(names) != len(values):
            raise ValueError(f"the two {LABEL} lines have different numbers of fields")
        if ESTABLISHED not in names:
            return Snmp(None)
        try:
            established = parse_count(values[names.index(ESTABLISHED)])
            if established >= BELOW_ZERO:
                raise ValueError("below 0")
        except ValueError:
            damages.append(Damage("strange", f"{ESTABLISHED} is not a count"))
            return Snmp(None)
        return Snmp(established)
