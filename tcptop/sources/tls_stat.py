"""/proc/net/tls_stat (net/tls/tls_proc.c, tls_statistics_seq_show): kernel TLS of one network namespace."""

from __future__ import annotations

from tcptop.hosts.host import Host
from tcptop.snapshot import Reading, TlsStat
from tcptop.sources.source import Damage, FileSource, parse_count, report_repeated, report_skipped

COUNTS: dict[str, str] = {
    "TlsCurrTxSw": "tx_software",
    "TlsCurrRxSw": "rx_software",
    "TlsCurrTxDevice": "tx_device",
    "TlsCurrRxDevice": "rx_device",
}
"""Maps names that the kernel prints to fields of `TlsStat`.

The file also has counters of events since boot; their names are not in this mapping.
"""

BELOW_ZERO = 1 << 63
"""A printed number of at least 2^63 is a negative sum: the kernel sums per-CPU counters as unsigned numbers (see
counter_lines.py).
"""

NOT_LOADED = "only the module tls makes it: it is not loaded, or the kernel is older than 5.5"


class TlsStatSource(FileSource[TlsStat]):
    """A source that is read at every interval, like snmp, because the kernel sums per-CPU counters without a lock.

    Since 5.5 (commit d26b698dd3cd) the module tls makes the file in every network namespace. The file is missing if the
    module is not loaded.
    """

    name = "tls_stat"
    paths = ("proc/net/tls_stat",)

    async def read(self, host: Host) -> Reading[TlsStat]:
        """Reads and parses the file. If a running kernel lacks the file, the reason names the module tls.

        If a saved tree lacks the file, the reason does not name the module, because the kernel may have had the file.
        """
        reading = await super().read(host)
        if reading.state != "missing" or not host.identity.live:
            return reading
        return reading._replace(reason=f"{reading.reason}; {NOT_LOADED}")

    def parse_lines(self, lines: list[str], damages: list[Damage]) -> TlsStat:
        """Parses lines of a name and a value, such as `TlsCurrTxSw 600`, in any order; unknown names are left out.

        A count that is missing or damaged is None.
        """
        counts: dict[str, int | None] = {}
        repeated: list[str] = []
        skipped: list[str] = []
        for line in lines:
            name, *values = line.split() or [""]
            if name in counts:
                repeated.append(name)
            elif name in COUNTS:
                counts[name] = _parse_sockets(values)
                skipped += [line] if counts[name] is None else []
        if not counts:
            raise ValueError(f"no line begins with {', '.join(COUNTS)}")
        report_skipped(skipped, damages)
        report_repeated(repeated, damages)
        return TlsStat(**{field: counts.get(name) for name, field in COUNTS.items()})


def _parse_sockets(values: list[str]) -> int | None:
    """The number of sockets if `values` is a single count of at least 0; otherwise None."""
    try:
        [value] = values
        count = parse_count(value)
    except ValueError:
        return None
    return count if count < BELOW_ZERO else None
