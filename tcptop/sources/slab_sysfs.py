"""/sys/kernel/slab (mm/slub.c): which names share a cache, each cache's sizes, and its lock-free counts by node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from tcptop.hosts.host import FileRead, Host
from tcptop.snapshot import Reading, ReadState, SlabCount, SlabCounts, SlabLinks, SlabSize, SlabSizes
from tcptop.sources.source import EVERY_MINUTE, Source, explain_error, make_reading, parse_count, skipped_lines, unread
from tcptop.text.printable import SMALL_FILE_BYTES, decode_text, printable_name

FOLDER = "sys/kernel/slab"

SIZES = ("object_size", "slab_size", "objs_per_slab", "order", "cpu_partial", "sheaf_capacity")
COUNTS = ("slabs", "total_objects")
"""Lock-free counters. For `objects` and `objects_partial`, the kernel walks partial lists under list_lock."""

Parsed = TypeVar("Parsed")
AllParsed = TypeVar("AllParsed")


class SlabLinksSource(Source[SlabLinks]):
    """A source read once a minute, because only loading a module adds caches. Any user may read the links."""

    name = "slab_links"
    paths = (f"{FOLDER}/", f"{FOLDER}/*")
    pace = EVERY_MINUTE

    async def read(self, host: Host) -> Reading[SlabLinks]:
        """Lists the folder, with the targets of the links in it."""
        folder = await host.list_folder(FOLDER)
        if folder.entries is None:
            return unread(*explain_error(FOLDER, folder.error or OSError("unreadable")), folder.took_us)
        group_of = {
            printable_name(name): printable_name(name if target is None else target.rstrip("/").rpartition("/")[2])
            for name, target in folder.entries.items()
        }
        names_of: dict[str, list[str]] = {}
        for name in sorted(group_of):
            # The folder of merged caches (`:A-0000128`) is not the name of a cache.
            if group_of[name] != name or not name.startswith(":"):
                names_of.setdefault(group_of[name], []).append(name)
        value = SlabLinks(group_of, {group: tuple(names) for group, names in names_of.items()})
        return make_reading(value, None, FOLDER, folder.took_us)


class SlabSizesSource(Source[SlabSizes]):
    """A source read once a minute, because the sizes of a cache do not change."""

    name = "slab_sizes"
    paths = tuple(f"{FOLDER}/*/{attribute}" for attribute in SIZES)
    pace = EVERY_MINUTE

    def __init__(self, caches: Sequence[str]) -> None:
        """`caches` are the names of the caches to read; some may not exist in this kernel."""
        self._caches = tuple(caches)

    async def read(self, host: Host) -> Reading[SlabSizes]:
        """Reads the size files of every cache."""
        return await _read_caches(host, self._caches, SIZES, _parse_size, SlabSizes)


class SlabCountsSource(Source[SlabCounts]):
    """A source read at every interval, because the kernel reads atomic counters without a lock."""

    name = "slab_counts"
    paths = tuple(f"{FOLDER}/*/{attribute}" for attribute in COUNTS)
    makes_rates = True
    pairs_with_sockstat = True

    def __init__(self, caches: Sequence[str]) -> None:
        """`caches` are the names of the caches to read; some may not exist in this kernel."""
        self._caches = tuple(caches)

    async def read(self, host: Host) -> Reading[SlabCounts]:
        """Reads the count files of every cache."""
        return await _read_caches(host, self._caches, COUNTS, _parse_slab_count, SlabCounts)


async def _read_caches(
    host: Host,
    caches: Sequence[str],
    attributes: Sequence[str],
    parse: Callable[[Sequence[str | None], list[str]], Parsed],
    collect: Callable[[dict[str, Parsed]], AllParsed],
) -> Reading[AllParsed]:
    files = await host.read([f"{FOLDER}/{cache}/{attribute}" for cache in caches for attribute in attributes])
    took_us = sum(file.took_us for file in files)
    parsed: dict[str, Parsed] = {}
    bad: list[str] = []
    for index, cache in enumerate(caches):
        own = files[index * len(attributes) : (index + 1) * len(attributes)]
        texts = [decode_text(file.data, SMALL_FILE_BYTES) if file.data is not None else None for file in own]
        if any(texts):
            parsed[cache] = parse(texts, bad)
    if parsed:
        return make_reading(collect(parsed), skipped_lines(bad), FOLDER, took_us)
    return unread(*_explain_none(files, attributes[0]), took_us)


def _explain_none(files: Sequence[FileRead], attribute: str) -> tuple[ReadState, str]:
    refused = next((file.error for file in files if isinstance(file.error, PermissionError)), None)
    if refused is not None:
        return explain_error(f"{FOLDER}/*/{attribute}", refused)
    error = next((file.error for file in files if file.error is not None), None)
    return explain_error(FOLDER, error) if error else ("empty", f"/{FOLDER}/*/{attribute} are empty")


def _parse_size(texts: Sequence[str | None], bad: list[str]) -> SlabSize:
    return SlabSize(*(parse_total_by_node(text, bad)[0] for text in texts))


def _parse_slab_count(texts: Sequence[str | None], bad: list[str]) -> SlabCount:
    (slabs, slabs_by_node), (objects, objects_by_node) = (parse_total_by_node(text, bad) for text in texts)
    return SlabCount(slabs, objects, slabs_by_node, objects_by_node)


def parse_total_by_node(text: str | None, bad: list[str]) -> tuple[int | None, dict[int, int]]:
    """Parses `143 N0=130 N2=13`: a total, and each node's count unless it is 0 (mm/slub.c, show_slab_objects).

    The total of a missing, empty or unparsable text is None; an unparsable text is appended to `bad`.
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
                by_node[parse_count(node[1:])] = parse_count(number)
    except ValueError:
        bad.append(text or "")
        return None, {}
    return total, by_node
