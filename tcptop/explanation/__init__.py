"""Pages that explain the figures: states, memory, room, the kernel's paths, and each cache.

The same on the screen and in text: lines of pieces, laid out for a number of columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tcptop.explanation.cache_page import cache_page
from tcptop.explanation.catalogue_page import catalogue_page
from tcptop.explanation.memory_page import memory_page
from tcptop.explanation.room_page import room_page
from tcptop.explanation.states_page import states_page
from tcptop.explanation.trees import tree_page
from tcptop.kernel_objects import OBJECT_OF_CACHE
from tcptop.kernel_paths import SUBJECTS
from tcptop.ledger import CacheLine, Ledger
from tcptop.text_line import Line

Drawn = Callable[[Ledger, int], list[Line]]


@dataclass(frozen=True, slots=True)
class Page:
    """One page; what it says follows from a ledger and the columns that there are."""

    name: str
    title: str
    lines: Drawn


PAGES: tuple[Page, ...] = (
    Page("states", "Sockets by state", states_page),
    Page("memory", "The machine's slab memory", memory_page),
    Page("room", "Room for more sockets", room_page),
    *(Page(name, subject.title, partial(tree_page, subject)) for name, subject in SUBJECTS.items()),
    Page("catalogue", "Every object behind a socket", catalogue_page),
)
"""All pages that are not of one cache, by the names that `tcptop explain` takes."""


def page_of_cache(name: str) -> Page:
    """The page of a slab cache, or of a row of slabinfo."""
    return Page(name, name, partial(cache_page, name))


def page_named(ledger: Ledger, name: str) -> Page | None:
    """The page that somebody asks for: of its own name, a cache's, a row's or a struct's; None where there is none."""
    for page in PAGES:
        if page.name == name:
            return page
    if name in OBJECT_OF_CACHE or found_cache(ledger, name) is not None:
        return page_of_cache(name)
    for cache, item in OBJECT_OF_CACHE.items():
        if name in (item.struct, item.struct.removeprefix("struct ")):
            return page_of_cache(cache)
    return None


def found_cache(ledger: Ledger, name: str) -> CacheLine | None:
    """The cache of that name in a ledger."""
    return next((line for line in ledger.caches if line.name == name), None)
