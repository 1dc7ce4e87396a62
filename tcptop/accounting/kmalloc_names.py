"""Names of kmalloc caches: the object size in a name, and the names by size."""

import re
from collections.abc import Mapping
from functools import lru_cache

KMALLOC = re.compile(r"(?:kmalloc|size)-(?:rnd-\d+-)?(\d+)(k?)$")
"""Name of a plain kmalloc cache, or of a random copy of a kmalloc cache.

With CONFIG_RANDOM_KMALLOC_CACHES (since 6.6) each kmalloc cache has copies, and each call site uses one of the copies.
Before 3.10 the SLAB allocator used names such as `size-64` instead of `kmalloc-64`.
"""


@lru_cache(1024)
def kmalloc_size_bytes(name: str) -> int | None:
    """Object size of a kmalloc cache, parsed from its name; None if the cache is not a kmalloc cache."""
    match = KMALLOC.match(name)
    return int(match[1]) << (10 if match[2] else 0) if match else None


# The results are cached, because the names of the caches hardly ever change.
@lru_cache(2)
def kmalloc_sizes(names: tuple[str, ...]) -> Mapping[str, int]:
    """Object size of each kmalloc cache among the caches with these names."""
    sizes = {name: kmalloc_size_bytes(name) for name in names}
    return {name: size for name, size in sizes.items() if size is not None}


@lru_cache(2)
def kmalloc_names_by_size(names: tuple[str, ...]) -> Mapping[int, str]:
    """Names of the kmalloc caches by object size, the smallest size first.

    If a size has no plain kmalloc cache, the name of a random copy is returned.
    """
    sizes: dict[int, str] = {}
    copies: dict[int, str] = {}
    for name, size in kmalloc_sizes(names).items():
        (copies if "-rnd-" in name else sizes).setdefault(size, name)
    return dict(sorted({**copies, **sizes}.items()))
