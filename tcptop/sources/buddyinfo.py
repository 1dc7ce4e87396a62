"""/proc/buddyinfo (mm/vmstat.c, frag_show_print): free blocks of each zone by order."""

from __future__ import annotations

from tcptop.snapshot import Buddyinfo, FreeArea
from tcptop.sources.source import (
    MAX_ORDERS,
    MAX_ZONES,
    Damage,
    FileSource,
    first_of_each,
    parse_counts,
    parse_node,
    parse_rows,
)
from tcptop.text.printable import printable_name


class BuddyinfoSource(FileSource[Buddyinfo]):
    """A source that is read at every interval: the kernel holds zone->lock for only a few microseconds per zone."""

    name = "buddyinfo"
    paths = ("proc/buddyinfo",)
    max_lines = MAX_ZONES

    def parse_lines(self, lines: list[str], damages: list[Damage]) -> Buddyinfo:
        """Parses lines such as `Node 0, zone   Normal   1137    789 …`, with a count for each order."""
        areas = parse_rows(lines, _parse_area, damages)
        orders = max((len(area.blocks) for area in areas), default=0)
        if any(len(area.blocks) != orders for area in areas):
            # A kernel prints the same number of orders for every zone. A line with fewer orders has lost its end, and
            # the last number in the line may be incomplete.
            areas = [area for area in areas if len(area.blocks) == orders]
            damages.insert(0, Damage("cut", "some lines end early; they are left out"))
        if not areas:
            raise ValueError("no line names a zone")
        return Buddyinfo(tuple(first_of_each(areas, lambda area: (area.node, area.zone), damages)))


def _parse_area(line: str) -> FreeArea:
    fields = line.split()
    if fields[0] != "Node" or fields[2] != "zone" or not 5 <= len(fields) <= 4 + MAX_ORDERS:
        raise ValueError("not a zone's line")
    return FreeArea(parse_node(fields[1].rstrip(",")), printable_name(fields[3]), parse_counts(fields[4:]))
