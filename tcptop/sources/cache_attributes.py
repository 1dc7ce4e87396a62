"""/sys/kernel/slab/CACHE (mm/slub.c): attributes of the slab cache whose details the user looks at.

The program reads the same attributes as the kernel's own tool slabinfo (tools/mm/slabinfo.c), except `objects` and
`objects_partial`. To print `objects` or `objects_partial`, the kernel walks partial lists under list_lock. The program
takes the number of objects from /proc/slabinfo instead.
"""

from __future__ import annotations

from collections.abc import Sequence

from tcptop.hosts.host import FileRead, Host
from tcptop.snapshot import CHOSEN_CACHE_SOURCE, CacheAttributes, Reading
from tcptop.sources.slab_sysfs import FOLDER, parse_total_by_node
from tcptop.sources.source import (
    EVERY_FIVE_SECONDS,
    Damage,
    Source,
    explain_error,
    make_reading,
    read_small_files,
    report_unread,
    small_text,
    worst_damage,
)
from tcptop.text.printable import printable, quoted

CONSTRUCTOR = "ctor"
ATTRIBUTES = (
    "object_size",
    "slab_size",
    "align",
    "objs_per_slab",
    "order",
    "aliases",
    "slabs",
    "total_objects",
    "partial",
    "cpu_slabs",
    "hwcache_align",
    "reclaim_account",
    "cache_dma",
    "destroy_by_rcu",
    "red_zone",
    "poison",
    "store_user",
    "sanity_checks",
    "trace",
    CONSTRUCTOR,
)
NO_FOLDER_NAMES = ("", ".", "..")
"""Names that are refused as cache names, because a path with one of these names leads to the wrong folder."""


class CacheAttributesSource(Source[CacheAttributes]):
    """A source of a few small files, read only while the user looks at the details of a cache."""

    name = CHOSEN_CACHE_SOURCE
    paths = tuple(f"{FOLDER}/*/{attribute}" for attribute in ATTRIBUTES)
    pace = EVERY_FIVE_SECONDS
    is_outside_budget = True

    def __init__(self, cache: str) -> None:
        """Takes the name of the cache, or the name of the slabinfo row into which the cache is merged."""
        self._cache = cache

    async def read(self, host: Host) -> Reading[CacheAttributes]:
        """Reads every attribute of the cache. If no attribute can be read, `CacheAttributes.reason` says why."""
        if self._cache in NO_FOLDER_NAMES or "/" in self._cache:
            wrong_name = f"no cache has the name {quoted(self._cache)}"
            return make_reading(CacheAttributes(self._cache, {}, {}, None, wrong_name), None, FOLDER, 0)
        files = await read_small_files(host, [f"{FOLDER}/{self._cache}/{attribute}" for attribute in ATTRIBUTES])
        texts = {
            name: text for name, file in zip(ATTRIBUTES, files, strict=True) if (text := small_text(file)) is not None
        }
        constructor = texts.pop(CONSTRUCTOR, None)
        counts = {name: parse_total_by_node(text, []) for name, text in texts.items()}
        numbers = {name: total for name, (total, _) in counts.items() if total is not None}
        value = CacheAttributes(
            self._cache,
            numbers,
            {name: by_node for name, (_, by_node) in counts.items() if name in numbers and by_node},
            None if constructor is None else printable(constructor.strip()),
            None if numbers else _why_nothing(files),
        )
        damages: list[Damage] = []
        report_unread(files, FOLDER, damages)
        return make_reading(value, worst_damage(damages), FOLDER, sum(file.took_us for file in files))


def _why_nothing(files: Sequence[FileRead]) -> str:
    """The reason why no attribute of a cache could be read: the first error of its files."""
    error = next((file.error for file in files if file.error is not None), None)
    path = files[0].path
    return f"/{printable(path)} has no number" if error is None else explain_error(path, error)[1]
