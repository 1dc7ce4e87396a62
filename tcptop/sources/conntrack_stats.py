"""/proc/net/stat/nf_conntrack (net/netfilter/nf_conntrack_standalone.c, ct_cpu_seq_show): counters of one namespace."""

from __future__ import annotations

from tcptop.kernel.events import counters_in
from tcptop.snapshot import EventCounters
from tcptop.sources.counter_lines import parse_counter
from tcptop.sources.source import Damage, FileSource, report_repeated, report_skipped

COUNTERS = counters_in("conntrack_stats")


class ConntrackStatsSource(FileSource[EventCounters]):
    """A source that is read at every interval, because the file has only one line for each possible CPU.

    The file is missing if conntrack is not loaded.
    """

    name = "conntrack_stats"
    paths = ("proc/net/stat/nf_conntrack",)
    makes_rates = True
    max_lines = 16_385
    """Maximum number of lines that are parsed. The file has a header and one line for each CPU; NR_CPUS is at most
    8192."""

    def parse_lines(self, lines: list[str], damages: list[Damage]) -> EventCounters:
        """Sums each event counter over all CPUs. A line with too many or too few fields makes all sums unknown."""
        names = lines[0].split() if lines else []
        columns = {name: names.index(name) for name in COUNTERS if name in names}
        if not columns or not any(map(str.strip, lines[1:])):
            raise ValueError("no line with the names of the counters, or none with values")
        report_repeated([name for name in columns if names.count(name) > 1], damages)
        # If the line of one CPU were left out, the sum would be too small, and the next full sum would look like
        # growth.
        is_whole = not damages
        counters = dict.fromkeys(columns, 0)
        strange: list[str] = []
        for line in filter(str.strip, lines[1:]):
            values = line.split()
            if len(values) != len(names):
                strange.append(line)
                continue
            for name in tuple(counters):
                count = parse_counter(name, values[columns[name]], damages, base=16)
                if count is None:
                    del counters[name]
                else:
                    counters[name] += count
        report_skipped(strange, damages)
        return EventCounters(counters if is_whole and not strange else {})
