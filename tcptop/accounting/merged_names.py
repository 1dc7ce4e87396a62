"""Names of merged caches: the caches that share a row of slabinfo and a folder in /sys/kernel/slab."""

import re
from functools import lru_cache
from itertools import islice

from tcptop.kernel.objects import OBJECT_OF_CACHE
from tcptop.ledger import MAX_ALIASES
from tcptop.recall import Same
from tcptop.snapshot import SlabLinks

GROUP_SIZE = re.compile(r":[A-Za-z]*-?(\d+)$")
"""Folder name of a merged cache. The name of a merged cache's folder ends with the object size: `:A-0000128`
(mm/slub.c, create_unique_id)."""


class MergedNames:
    """The names of merged caches, from the links in /sys/kernel/slab; without links, no cache is known to be merged."""

    def __init__(self, links: SlabLinks | None) -> None:
        self.group_of, self._names_of = (links.group_of, links.names_of) if links else ({}, {})
        self._shown_names = {group: _names_to_show(names) for group, names in self._names_of.items()}
        self._more_aliases: dict[str, int] = {}

    def every_name(self, name: str) -> tuple[str, ...]:
        """The names of all caches that are merged with a given cache, including the given cache."""
        return self._names_of.get(self.group_of.get(name, ""), (name,))

    def names_sharing(self, name: str) -> tuple[str, ...]:
        """The names of the caches that are merged with a given cache, including the given cache.

        A very long list is shortened, but keeps every name that is also in the catalogue.
        """
        return self._shown_names.get(self.group_of.get(name, ""), (name,))

    def more_aliases(self, name: str) -> int:
        """The number of caches that are merged with a given cache but missing in the cache's list of aliases."""
        found = self._more_aliases.get(name)
        if found is None:
            listed = aliases_of(name, self.names_sharing(name))
            found = self._more_aliases[name] = max(0, len(self.every_name(name)) - 1 - len(listed))
        return found

    def size_of_group(self, name: str) -> int | None:
        """The size of an object in a merged cache in bytes, from the name of its folder; None if unknown."""
        match = GROUP_SIZE.match(self.group_of.get(name, ""))
        return int(match[1]) if match else None


@lru_cache(2)  # the links change only if a cache is created or destroyed
def merged_names(links: Same[SlabLinks | None]) -> MergedNames:
    """The names of merged caches, from the links in /sys/kernel/slab."""
    return MergedNames(links.value)


def _names_to_show(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names of merged caches; a very long list is shortened.

    A shortened list keeps every name that is also in the catalogue, but only some of the other names. Each merged cache
    has a list of all other names, so without a maximum the total length of the lists would grow with the square of the
    number of names.
    """
    if len(names) <= MAX_ALIASES + 1:
        return names
    catalogued = [name for name in names if name in OBJECT_OF_CACHE]
    others = (name for name in names if name not in OBJECT_OF_CACHE)
    return (*catalogued, *islice(others, max(0, MAX_ALIASES + 1 - len(catalogued))))


def aliases_of(name: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """The names of merged caches without a given name; at most MAX_ALIASES names."""
    return tuple([other for other in names if other != name][:MAX_ALIASES])
