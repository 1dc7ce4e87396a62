"""/proc/zoneinfo (mm/vmstat.c, zoneinfo_show_print): size, watermarks and protection of every zone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from tcptop.snapshot import Zone, Zoneinfo
from tcptop.sources.source import (
    EVERY_FIVE_SECONDS,
    MAX_ZONES,
    Damage,
    FileSource,
    first_of_each,
    parse_count,
    parse_counts,
    parse_node,
    parse_rows,
)
from tcptop.text.printable import printable_name

PAGE_COUNTS = {
    "min": "min_pages",
    "low": "low_pages",
    "high": "high_pages",
    "present": "present_pages",
    "managed": "managed_pages",
    "nr_free_cma": "free_cma_pages",
    "boost": "boost_pages",
    "spanned": "spanned_pages",
}
"""Maps keys of the file to fields of Zone, for the page counts of a whole zone.

The keys of the per-CPU page sets are not matched, since they end in a colon (`high:`).
"""
SUMS_OF_COUNTS = {
    "file_pages": ("nr_active_file", "nr_inactive_file"),
    "zone_file_pages": ("nr_zone_active_file", "nr_zone_inactive_file"),
    "reclaimable_pages": ("nr_slab_reclaimable", "nr_kernel_misc_reclaimable"),
    "slab_pages": ("nr_slab_reclaimable", "nr_slab_unreclaimable"),
}
"""For each field of Zone that is a sum: the keys of the counts that are added."""
SUMMED_COUNTS = frozenset(key for keys in SUMS_OF_COUNTS.values() for key in keys)
OPTIONAL_COUNT, LATER_COUNT = "nr_kernel_misc_reclaimable", "nr_foll_pin_acquired"
"""Kernels before 4.20 do not print `OPTIONAL_COUNT`. Every kernel that prints `LATER_COUNT` also prints
`OPTIONAL_COUNT`. If any other count of a sum is lost, the sum is unknown."""

MAX_CHARACTERS = 16 << 20
"""Maximum length of the text after the page sets are removed.

Each zone has about 4 KiB of text, and 11 more characters for each CPU of the zone.
"""
PAGE_SETS, CPU = "\n  pagesets\n", "\n    cpu: "
"""After the line `PAGE_SETS`, a zone has only page sets: for each CPU, the free pages on the CPU's own lists. `CPU`
begins the page set of one CPU.
"""
MAX_COUNT_DIGITS = 12
COUNT = re.compile(r"\n +count: +([0-9]{1,12})\n")
"""Matches the line with the number of free pages on the lists of one CPU."""
BAD_COUNT = re.compile(r"\n +count: +(?! |[0-9]{1,12}\n)[^\n]*(?=\n)")
"""Matches the line with the number of free pages if this number is malformed, such as `count: -1`."""

NO_FIGURES: dict[str, Any] = dict.fromkeys(Zone._fields) | {"protection_pages": ()}


class ZoneinfoSource(FileSource[Zoneinfo]):
    """A source that is read every five seconds, because the kernel holds zone->lock while printing a zone.

    Each zone has lines for all its CPUs.
    """

    name = "zoneinfo"
    paths = ("proc/zoneinfo",)
    pace = EVERY_FIVE_SECONDS
    max_lines = 1_500_000
    """Limit on the number of lines: a zone has six lines for each CPU."""

    def parse(self, text: str) -> tuple[Zoneinfo | None, Damage | None]:
        """Removes the per-CPU page sets from the file's text, and parses the remaining text."""
        text = _without_page_sets(text)
        if len(text) > MAX_CHARACTERS:
            return None, Damage("strange", f"larger than {MAX_CHARACTERS >> 20} MiB without the page sets of the CPUs")
        return super().parse(text)

    def parse_lines(self, lines: list[str], damages: list[Damage]) -> Zoneinfo:
        """Parses by key, never by line number, because keys and their order differ among kernels 3.10 to 7.x."""
        zones: list[dict[str, Any]] = [{}]  # the first item collects the lines that come before any zone
        parse_rows(lines, partial(_parse_line, zones), damages)
        optional = any(OPTIONAL_COUNT in zone or LATER_COUNT in zone for zone in zones)
        of_zones = frozenset[str]().union(*(zone.get("own", ()) for zone in zones))
        named = [Zone(**(NO_FIGURES | _with_sums(zone, optional))) for zone in zones if "name" in zone]
        named = _without_partial_sums(named, of_zones)
        if not named:
            raise ValueError("no line names a zone")
        return Zoneinfo(tuple(first_of_each(named, lambda zone: (zone.node, zone.name), damages)))


def _with_sums(zone: Mapping[str, Any], has_optional: bool) -> dict[str, Any]:
    """The fields of a zone; each sum in `SUMS_OF_COUNTS` replaces the counts that are added.

    If the kernel prints `OPTIONAL_COUNT`, `has_optional` is True, and a zone without this count has lost the count.
    """
    fields = {name: value for name, value in zone.items() if name in Zone._fields}
    for name, keys in SUMS_OF_COUNTS.items():
        if all(key in zone or (key == OPTIONAL_COUNT and not has_optional) for key in keys):
            fields[name] = sum(zone.get(key, 0) for key in keys)
    return fields


def _without_partial_sums(zones: list[Zone], keys_of_zones: frozenset[str]) -> list[Zone]:
    """The zones; a figure is None in all zones of a node if one zone with pages has lost the figure.

    Kernels before 4.8 count the page cache for each zone. Kernels before 4.14 count the slabs for each zone. In these
    kernels, the figure of a node is the sum over the node's zones, so the figure of the node is unknown if one zone has
    lost its figure. `keys_of_zones` has the keys of the counts that the kernel prints for each zone, not for each node.
    """
    for name in ("file_pages", "reclaimable_pages", "slab_pages"):
        if keys_of_zones.isdisjoint(SUMS_OF_COUNTS[name]):
            continue
        partial_nodes = {zone.node for zone in zones if zone.present_pages != 0 and getattr(zone, name) is None}
        unknown: dict[str, Any] = {name: None}
        zones = [zone._replace(**unknown) if zone.node in partial_nodes else zone for zone in zones]
    return zones


def _without_page_sets(text: str) -> str:
    """Replaces the page sets of each zone in the text by fewer lines.

    The new lines are one line for each CPU, and one line with the sum of the counts of all CPUs.
    """
    parts: list[str] = []
    at = 0
    while (start := text.find(PAGE_SETS, at)) >= 0:
        parts.append(text[at:start])
        at = text.find("\nNode ", start)
        if at < 0:
            at = text.rfind("\n", start)
        cpus, counts = text.count(CPU, start, at), COUNT.findall(text, start, at)
        parts.append(CPU * cpus)
        # A malformed count is kept, so that it is reported. If the count of a CPU is lost, the sum is unknown.
        parts += BAD_COUNT.findall(text, start, at)[:1]
        parts.append(f"\n    count: {sum(map(int, counts))}" if counts and len(counts) >= cpus else "")
    return "".join([*parts, text[at:]])


def _parse_line(zones: list[dict[str, Any]], line: str) -> None:
    """Adds a zone to `zones`, or adds a field to the last zone of `zones`.

    If the first line of a zone is damaged, the zone gets no name, and `parse_lines` leaves the zone out.
    """
    fields = line.split()
    if fields[0] == "Node" and line.startswith("Node"):
        if len(zones) > MAX_ZONES:
            zones[-1] = {}
            raise ValueError("more zones than any kernel has")
        zones.append({})
        zones[-1].update(node=parse_node(fields[1].rstrip(",")), name=printable_name(fields[3]))
    elif len(fields) == 2 and fields[0] in PAGE_COUNTS:
        zones[-1][PAGE_COUNTS[fields[0]]] = parse_count(fields[1])
    elif fields[0] == "pages" and fields[1] == "free":
        zones[-1]["free_pages"] = parse_count(fields[2])
    elif fields[0] == "cpu:":
        zones[-1]["cpus"] = zones[-1].get("cpus", 0) + 1
    elif len(fields) == 2 and fields[0] in SUMMED_COUNTS:
        zones[-1][fields[0]] = parse_count(fields[1])
        if "min_pages" in zones[-1] or "free_pages" in zones[-1]:  # a count of the node comes before both fields
            zones[-1].setdefault("own", set()).add(fields[0])
    elif fields[0] == LATER_COUNT:
        zones[-1][LATER_COUNT] = True
    elif fields[0] == "count:":
        if len(fields) != 2 or len(fields[1]) > MAX_COUNT_DIGITS:
            raise ValueError("no count of pages")
        zones[-1]["on_cpu_lists_pages"] = zones[-1].get("on_cpu_lists_pages", 0) + parse_count(fields[1])
    elif fields[0] == "protection:":
        numbers = line.partition("(")[2].rstrip().rstrip(")").replace(",", " ").split()
        zones[-1]["protection_pages"] = parse_counts(numbers)
