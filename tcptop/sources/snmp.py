"""/proc/net/snmp (net/ipv4/proc.c, snmp_seq_show): TCP's counters, of one network namespace."""

from __future__ import annotations

from tcptop.snapshot import Snmp
from tcptop.sources.source import Damage, FileSource, parse_count, whole_lines, worse_damage

LABEL = "Tcp:"
ESTABLISHED = "CurrEstab"

BELOW_ZERO = 1 << 63
"""A sum of per-CPU counts that was taken amid a change may be a little below 0; it is printed without its sign."""


class SnmpSource(FileSource[Snmp]):
    """Every interval: sums of per-CPU counters, as sockstat."""

    name = "snmp"
    path = "proc/net/snmp"

    def parse(self, text: str) -> tuple[Snmp | None, Damage | None]:
        """See `parse`."""
        return parse(text)


def parse(text: str) -> tuple[Snmp | None, Damage | None]:
    """Parses the line of TCP's names and the line of its figures; a name that is not there is None."""
    lines, cut = whole_lines(text)
    found = [fields for fields in map(str.split, lines) if fields and fields[0] == LABEL]
    if len(found) < 2:
        return None, worse_damage(cut, Damage("strange", f"no two lines that begin with {LABEL}"))
    names, figures = found[:2]
    if len(names) != len(figures):
        return None, worse_damage(cut, Damage("strange", f"the two {LABEL} lines are not of one length"))
    if ESTABLISHED not in names:
        return Snmp(None), cut
    try:
        established = parse_count(figures[names.index(ESTABLISHED)])
        if established >= BELOW_ZERO:
            raise ValueError("below 0")
    except ValueError:
        return Snmp(None), worse_damage(cut, Damage("strange", f"{ESTABLISHED} is no count"))
    return Snmp(established), cut
