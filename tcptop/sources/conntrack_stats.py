"""/proc/net/stat/nf_conntrack (net/netfilter/nf_conntrack_standalone.c, ct_cpu_seq_show): counters of one namespace."""

from __future__ import annotations

from tcptop.kernel.events import counters_in
from tcptop.snapshot import EventCounters
from tcptop.sources.counter_lines import parse_counter
from tcptop.sources.source import Damage, FileSource, report_repeated, report_skipped

COUNTERS = counters_in("conntrack_stats")


class ConntrackStatsSource(FileSource[EventCounters]):
    """A source read at every interval: the file has a line for each possible CPU, and is absent without conntrack."""

    name = "conntrack_stats"
    paths = ("proc/net/stat/nf_conntrack",)
    makes_rates = True
    max_lines = 16_385
    """The header, and a line for each CPU; NR_CPUS is at most 8192."""

    def parse_lines(self, lines: list[str], damages: list[Damage]) -> EventCounters:
        """Sums the counters of events over the CPUs. A line with too many or too few fields makes the sums unknown."""
        names, *rows = [fields for fields in map(str.split, lines) if fields] or [[]]
        columns = {name: names.index(name) for name in COUNTERS if name in names}
        if not columns or not rows:
            raise ValueError("no line with the names of the counters, or none with values")
        report_repeated([name for name in columns if names.count(name) > 1], damages)
        strange = [" ".join(row) for row in rows if len(row) != len(names)]
        if strange:
            report_skipped(strange, damages)
        if damages:
            # The sum of the other lines would be a smaller number, and no lower bound of a later growth.
            return EventCounters({})
        counters: dict[str, int] = {}
        for name, column in columns.items():
            counts = [parse_counter(name, row[column], damages, base=16) for row in rows]
            known = [count for count in counts if count is not None]
            if len(known) == len(rows):
                counters[name] = sum(known)
        return EventCounters(counters)
