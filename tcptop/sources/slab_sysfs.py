"""/sys/kernel/slab (mm/slub.c): which names share a cache, the sizes of each cache, and counts on each node.

The program reads only counts that the kernel can print without taking a lock.
"""

from __future__ import annotations

import errno
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from tcptop.hosts.host import FileRead, Host
from tcptop.snapshot import Reading, ReadState, SlabCount, SlabCounts, SlabLinks, SlabSize, SlabSizes
from tcptop.sources.source import (
    EVERY_MINUTE,
    Damage,
    Source,
    Value,
    explain_error,
    has_cut,
    make_reading,
    parse_count,
    parse_node,
    read_small_files,
    report_skipped,
    report_unread,
    small_text,
    unread,
    worst_damage,
)
from tcptop.text.printable import printable_name

FOLDER = "sys/kernel/slab"

SIZES = ("object_size", "slab_size", "objs_per_slab", "order", "cpu_partial", "sheaf_capacity")
COUNTS = ("slabs", "total_objects")
"""Counters that the kernel reads without a lock.

The counters `objects` and `objects_partial` are left out, because the kernel walks partial lists under list_lock to
compute these two.
"""

Numbers = tuple[int | None, dict[int, int]]
"""The numbers in one attribute of a cache: the total (None if unknown), and the count of each node."""


class SlabLinksSource(Source[SlabLinks]):
    """A source that is read once a minute.

    New caches are rare: they appear only when a kernel module is loaded. Any user may read the links.
    """

    name = "slab_links"
    paths = (f"{FOLDER}/", f"{FOLDER}/*")
    pace = EVERY_MINUTE

    async def read(self, host: Host) -> Reading[SlabLinks]:
        """Lists the folder, and the target of each link in the folder.

        The kernel makes links only to folders such as `:A-0000128`, because a cache whose folder has the cache's own
        name is never merged (mm/slub.c, sysfs_slab_add). Any other link is damage, and is left out.
        """
        folder = await host.list_folder(FOLDER)
        if folder.entries is None:
            return unread(*explain_error(FOLDER, folder.error or OSError("unreadable")), folder.took_us)
        group_of, damages = {}, []
        for name, target in folder.entries.items():
            group = name if target is None else target.rstrip("/").rpartition("/")[2]
            if target is None or group.startswith(":"):
                group_of[printable_name(name)] = printable_name(group)
            else:
                what = f"{printable_name(name)} leads to {printable_name(group)}, which is no folder of merged caches"
                damages.append(Damage("strange", f"{what}; it is left out"))
        names_of: dict[str, list[str]] = {}
        for name in sorted(group_of):
            # Merged caches share a folder such as `:A-0000128`; the name of this folder is not the name of a cache.
            if group_of[name] != name or not name.startswith(":"):
                names_of.setdefault(group_of[name], []).append(name)
        value = SlabLinks(group_of, {group: tuple(names) for group, names in names_of.items()})
        return make_reading(value, worst_damage(damages), FOLDER, folder.took_us)


class _CachesSource(Source[Value]):
    """A source that reads a fixed set of attributes of every cache of the catalogue."""

    attributes: tuple[str, ...]

    def __init__(self, caches: Sequence[str]) -> None:
        """Takes the names of the caches to read; some of the caches may not exist in this kernel."""
        self._caches = tuple(caches)

    async def read(self, host: Host) -> Reading[Value]:
        """Reads the attributes of every cache; leaves out a cache if all its attributes are missing or empty."""
        paths = [f"{FOLDER}/{cache}/{attribute}" for cache in self._caches for attribute in self.attributes]
        files = await read_small_files(host, paths)
        took_us = sum(file.took_us for file in files)
        numbers: dict[str, list[Numbers]] = {}
        skipped: list[str] = []
        for index, cache in enumerate(self._caches):
            own = files[index * len(self.attributes) : (index + 1) * len(self.attributes)]
            texts = [small_text(file) for file in own]
            if any(texts):
                numbers[cache] = [parse_total_by_node(text, skipped) for text in texts]
        damages: list[Damage] = []
        report_unread(files, FOLDER, damages)
        if not numbers and not has_cut(damages):
            return unread(*_explain_none(files, self.attributes[0]), took_us)
        report_skipped(skipped, damages)
        return make_reading(self.collect(numbers), worst_damage(damages), FOLDER, took_us)

    def check(self, reading: Reading[Value], others: Mapping[str, Reading[Any]]) -> Reading[Value]:
        """Corrects the reason `the folder is missing` if only the files in the folder are missing."""
        links = others["slab_links"].value if "slab_links" in others else None
        if not links or reading.reason != explain_error(FOLDER, FileNotFoundError(errno.ENOENT, ""))[1]:
            return reading
        files = f"/{FOLDER}/*/{self.attributes[0]}"
        return reading._replace(reason=f"there is no {files} here: the kernel has none, or they were not copied")

    @abstractmethod
    def collect(self, numbers: dict[str, list[Numbers]]) -> Value:
        """Makes `Reading.value` from the numbers of each cache; the numbers are in the order of `attributes`."""


class SlabSizesSource(_CachesSource[SlabSizes]):
    """A source that is read once a minute, because the sizes of a cache do not change."""

    name = "slab_sizes"
    attributes = SIZES
    paths = tuple(f"{FOLDER}/*/{attribute}" for attribute in SIZES)
    pace = EVERY_MINUTE

    def collect(self, numbers: dict[str, list[Numbers]]) -> SlabSizes:
        """The sizes of each cache."""
        return SlabSizes({cache: SlabSize(*(total for total, _ in own)) for cache, own in numbers.items()})


class SlabCountsSource(_CachesSource[SlabCounts]):
    """A source that is read at every interval, because the kernel reads atomic counters without a lock."""

    name = "slab_counts"
    attributes = COUNTS
    paths = tuple(f"{FOLDER}/*/{attribute}" for attribute in COUNTS)
    makes_rates = True
    pairs_with_sockstat = True

    def collect(self, numbers: dict[str, list[Numbers]]) -> SlabCounts:
        """The counts of each cache: in total, and on each node."""
        return SlabCounts(
            {
                cache: SlabCount(slabs, objects, slabs_by_node, objects_by_node)
                for cache, ((slabs, slabs_by_node), (objects, objects_by_node)) in numbers.items()
            }
        )


def _explain_none(files: Sequence[FileRead], attribute: str) -> tuple[ReadState, str]:
    refused = next((file.error for file in files if isinstance(file.error, PermissionError)), None)
    if refused is not None:
        return explain_error(f"{FOLDER}/*/{attribute}", refused)
    error = next((file.error for file in files if file.error is not None), None)
    return explain_error(FOLDER, error) if error else ("empty", f"/{FOLDER}/*/{attribute} are empty")


def parse_total_by_node(text: str | None, skipped: list[str]) -> Numbers:
    """Parses `143 N0=130 N2=13`: a total, and a count for each node whose count is not 0.

    The format is that of mm/slub.c, show_slab_objects. If the text is missing, empty or unparsable, the total is None.
    An unparsable text is appended to `skipped`.
    """
    fields = text.split() if text else []
    if not fields:
        return None, {}
    by_node: dict[int, int] = {}
    try:
        total = parse_count(fields[0])
        for field in fields[1:]:
            node, _, number = field.partition("=")
            if node.startswith("N"):
                by_node[parse_node(node[1:])] = parse_count(number)
    except ValueError:
        skipped.append(text or "")
        return None, {}
    return total, by_node
