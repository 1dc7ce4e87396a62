"""/proc/net/protocols (net/core/sock.c, proto_seq_printf): the size of each protocol's socket.

Any user may read the file.
"""

from __future__ import annotations

from tcptop.snapshot import Protocol, Protocols
from tcptop.sources.source import EVERY_FIVE_SECONDS, Damage, FileSource, first_of_each, parse_count, parse_rows
from tcptop.text.printable import printable_name

PRESSURE = {"yes": True, "no": False}
"""Maps a text in the column `press` to True if the protocol is under memory pressure, or to False if it is not
(net/core/sock.c, sock_prot_memory_pressure).

The column may also contain the text `NI`, which means that the protocol has no limit.
"""


class ProtocolsSource(FileSource[Protocols]):
    """A source that is read every five seconds.

    Memory pressure may begin or end at any time, so the source is read more than once. The sizes never change.
    """

    name = "protocols"
    paths = ("proc/net/protocols",)
    pace = EVERY_FIVE_SECONDS

    def parse_lines(self, lines: list[str], damages: list[Damage]) -> Protocols:
        """Parses each protocol's name, size, number of sockets, memory of buffers, and memory pressure.

        Flags other than memory pressure differ between kernels, and are ignored.
        """
        if not lines or not lines[0].startswith("protocol"):
            raise ValueError("the first line is not the header of a protocols file")
        protocols = parse_rows(lines[1:], _parse_protocol, damages)
        unique = first_of_each(protocols, lambda protocol: protocol.name, damages)
        return Protocols({protocol.name: protocol for protocol in unique})


def _parse_protocol(line: str) -> Protocol:
    """Parses one line. The name (`%-9s`) may contain spaces, so the size is the first number after the name."""
    fields = line.split()
    at = next((k for k, text in enumerate(fields) if k and text.isdigit()), 0)
    if not at:
        raise ValueError("no size")
    sockets = fields[at + 1]
    memory = fields[at + 2] if len(fields) > at + 2 else ""
    return Protocol(
        printable_name(" ".join(fields[:at])),
        parse_count(fields[at]),
        None if sockets == "-1" else parse_count(sockets),
        PRESSURE.get(fields[at + 3]) if len(fields) > at + 3 else None,
        parse_count(memory) if memory.isdigit() else None,
    )
