"""/proc/net/sockstat and sockstat6 (net/ipv4/proc.c, net/ipv6/proc.c): numbers of TCP sockets, and their memory."""

from __future__ import annotations

from tcptop.snapshot import Sockstat, Sockstat6
from tcptop.sources.source import Damage, FileSource, parse_count, whole_lines, worse_damage
from tcptop.text.printable import printable


class SockstatSource(FileSource[Sockstat]):
    """A source read at every interval, because the kernel sums per-CPU counters without a lock."""

    name = "sockstat"
    path = "proc/net/sockstat"

    def parse(self, text: str) -> tuple[Sockstat | None, Damage | None]:
        """Calls the function `parse` of this module."""
        return parse(text)


class Sockstat6Source(FileSource[Sockstat6]):
    """A source read at every interval, as sockstat is; the file is missing if the kernel has no IPv6."""

    name = "sockstat6"
    path = "proc/net/sockstat6"

    def parse(self, text: str) -> tuple[Sockstat6 | None, Damage | None]:
        """Calls the function `parse6` of this module."""
        return parse6(text)


def parse(text: str) -> tuple[Sockstat | None, Damage | None]:
    """Parses the line `TCP: inuse 1 orphan 0 tw 0 alloc 1 mem 0`; a missing field is None."""
    found, damage = _parse_line(text, "TCP:")
    if found is None:
        return None, damage
    return Sockstat(*(found.get(key) for key in ("inuse", "orphan", "tw", "alloc", "mem"))), damage


def parse6(text: str) -> tuple[Sockstat6 | None, Damage | None]:
    """Parses the line `TCP6: inuse 0`."""
    found, damage = _parse_line(text, "TCP6:")
    return (None if found is None else Sockstat6(found.get("inuse"))), damage


def _parse_line(text: str, label: str) -> tuple[dict[str, int] | None, Damage | None]:
    lines, damage = whole_lines(text)
    for line in lines:
        fields = line.split()
        if fields and fields[0] == label:
            found: dict[str, int] = {}
            if len(fields) % 2 == 0:
                damage = worse_damage(
                    damage, Damage("strange", f"{printable(fields[-1])} of the {label} line has no count")
                )
            for key, number in zip(fields[1::2], fields[2::2], strict=False):
                try:
                    found[key] = parse_count(number)
                except ValueError:
                    # Before 6.0 `mem` is a signed sum of per-CPU counts and may be below 0 for a moment.
                    damage = worse_damage(
                        damage, Damage("strange", f"{printable(key)} of the {label} line is not a count")
                    )
            return found, damage
    return None, worse_damage(damage, Damage("strange", f"no {label} line"))
