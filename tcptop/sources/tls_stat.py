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
"""Field of `TlsStat`, by the name that the kernel prints. Its other names are counters of events since the boot."""

BELOW_ZERO = 1 << 63
"""Smallest printed value that means a negative number, as in snmp.py: the kernel sums per-CPU counters as unsigned."""

NOT_LOADED = "only the module tls makes it: it is not loaded, or the kernel is older than 5.5"


class TlsStatSource(FileSource[TlsStat]):
    """A source read at every interval, because the kernel sums per-CPU counters without a lock, as for snmp.

    The module tls makes the file in every network namespace, since 5.5 (commit d26b698dd3cd). Without the module the
    file is missing.
    """

    name = "tls_stat"
    paths = ("proc/net/tls_stat",)

    async def read(self, host: Host) -> Reading[TlsStat]:
        """Reads and parses the file; on a running kernel, the reason of a missing file names the module.

        A saved tree may lack the file although the kernel had it.
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
    """The number of sockets in the only value; None if it is none, or a sum below 0."""
    try:
        [value] = values
        count = parse_count(value)
    except ValueError:
        return None
    return count if count < BELOW_ZERO else None
