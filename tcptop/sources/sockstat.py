"""/proc/net/sockstat and sockstat6 (net/ipv4/proc.c, net/ipv6/proc.c): numbers of TCP sockets, and their memory."""

from __future__ import annotations

from tcptop.snapshot import Sockstat, Sockstat6
from tcptop.sources.source import Damage, FileSource, parse_count, report_repeated
from tcptop.text.printable import printable_name

MAX_COUNT = (1 << 31) - 1
"""Maximum value of a counter that the kernel prints as an `int`, like most counters of /proc/net/sockstat."""
MAX_COUNTS = {"mem": (1 << 63) - 1}
"""Maximum values of those counters that the kernel prints as a `long`; the key is the name of the counter."""


class SockstatSource(FileSource[Sockstat]):
    """A source that is read at every interval, because the kernel sums per-CPU counters without a lock."""

    name = "sockstat"
    paths = ("proc/net/sockstat",)

    def parse_lines(self, lines: list[str], damages: list[Damage]) -> Sockstat:
        """Parses the line `TCP: inuse 1 orphan 0 tw 0 alloc 1 mem 0`; a missing field is None."""
        counts = _parse_counts_of(lines, "TCP:", damages)
        return Sockstat(*(counts.get(key) for key in ("inuse", "orphan", "tw", "alloc", "mem")))


class Sockstat6Source(FileSource[Sockstat6]):
    """A source that is read at every interval, like sockstat. The file is missing if the kernel has no IPv6."""

    name = "sockstat6"
    paths = ("proc/net/sockstat6",)

    def parse_lines(self, lines: list[str], damages: list[Damage]) -> Sockstat6:
        """Parses the line `TCP6: inuse 0`."""
        return Sockstat6(_parse_counts_of(lines, "TCP6:", damages).get("inuse"))


def _parse_counts_of(lines: list[str], label: str, damages: list[Damage]) -> dict[str, int]:
    """The counts in the first line that begins with `label`; the key is the name of the count.

    Raises ValueError if there is no such line.
    """
    found = [fields for fields in map(str.split, lines) if fields and fields[0] == label]
    if not found:
        raise ValueError(f"no {label} line")
    fields = found[0]
    repeated = [label] if len(found) > 1 else []
    if len(fields) % 2 == 0:
        damages.append(Damage("strange", f"{printable_name(fields[-1])} of the {label} line has no count"))
    counts: dict[str, int] = {}
    for key, number in zip(fields[1::2], fields[2::2], strict=False):
        try:
            count = parse_count(number)
        except ValueError:
            # Before 6.0 `mem` is a signed sum of per-CPU counts, and the sum may be below 0 for a moment.
            damages.append(Damage("strange", f"{printable_name(key)} of the {label} line is not a count"))
            continue
        if count > MAX_COUNTS.get(key, MAX_COUNT):
            what = f"{printable_name(key)} of the {label} line is more than its counter holds"
            damages.append(Damage("strange", what))
        elif key in counts:
            repeated.append(printable_name(key))
        else:
            counts[key] = count
    report_repeated(repeated, damages)
    return counts
