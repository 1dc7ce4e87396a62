"""/proc/net/protocols (net/core/sock.c, proto_seq_printf): the size of each protocol's socket. Any user may read it."""

from __future__ import annotations

from tcptop.snapshot import Protocol, Protocols
from tcptop.sources.source import (
    EVERY_MINUTE,
    Damage,
    FileSource,
    parse_count,
    skipped_lines,
    whole_lines,
    worse_damage,
)
from tcptop.text.printable import printable_name


class ProtocolsSource(FileSource[Protocols]):
    """A source read once a minute, because only the sizes are used, and sizes do not change."""

    name = "protocols"
    path = "proc/net/protocols"
    pace = EVERY_MINUTE

    def parse(self, text: str) -> tuple[Protocols | None, Damage | None]:
        """Calls the function `parse` of this module."""
        return parse(text)


def parse(text: str) -> tuple[Protocols | None, Damage | None]:
    """Parses the name, size and number of sockets of each protocol; ignores the flags, which differ between kernels.

    The name (`%-9s`) may contain spaces, so the size is the first number after it.
    """
    lines, cut = whole_lines(text)
    if not lines or not lines[0].startswith("protocol"):
        return None, worse_damage(cut, Damage("strange", "the first line is not the header of a protocols file"))
    found: dict[str, Protocol] = {}
    bad: list[str] = []
    for line in lines[1:]:
        fields = line.split()
        at = next((k for k, text in enumerate(fields) if k and text.isdigit()), 0)
        try:
            if not at:
                raise ValueError("no size")
            name = printable_name(" ".join(fields[:at]))
            sockets = fields[at + 1]
            found[name] = Protocol(name, parse_count(fields[at]), None if sockets == "-1" else parse_count(sockets))
        except (ValueError, IndexError):
            bad.append(line)
    return Protocols(found), worse_damage(cut, skipped_lines(bad))
