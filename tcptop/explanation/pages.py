"""All explanation pages: pages about a subject, about a cache, and about each word; finds a page by a name or a word.

A page is a list of styled lines for a given width. The screen and `tcptop explain` show the same pages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import NamedTuple

from tcptop.explanation.attached_page import attached_objects, attached_page
from tcptop.explanation.cache_page import cache_page, objects_page
from tcptop.explanation.call_tree import call_tree_page, call_trees
from tcptop.explanation.catalogue_page import catalogue_page
from tcptop.explanation.events_page import KERNEL_EVENTS, events_page
from tcptop.explanation.free_blocks_page import free_blocks_page
from tcptop.explanation.glossary.find import (
    find_any_order,
    find_entries,
    find_entries_of_ascii,
    find_part,
    find_phrase,
    fold_word,
    known_words,
    names_near,
)
from tcptop.explanation.glossary_page import entry_lines, glossary_page
from tcptop.explanation.hardware_page import hardware_page
from tcptop.explanation.headroom_page import headroom_page
from tcptop.explanation.memory_page import memory_page
from tcptop.explanation.numa_page import numa_page
from tcptop.explanation.relations_page import relations_page
from tcptop.explanation.states_page import average_sentence, states_page
from tcptop.kernel.call_paths import CALL_PATH_PAGES
from tcptop.kernel.limits import LIMITS
from tcptop.kernel.objects import (
    AVERAGE_OF_FAMILIES,
    KERNEL_OBJECTS,
    MINI_SOCKETS,
    SLAB_CACHES,
    SOCKS,
    KernelObject,
    State,
)
from tcptop.kernel.relations import member_names
from tcptop.ledger import Ledger
from tcptop.text import units
from tcptop.text.line import EMPTY_LINE, Line, paragraph
from tcptop.text.printable import printable

DrawLines = Callable[[Ledger, int], list[Line]]


class Page(NamedTuple):
    """An explanation page: name, title, and the function that draws the page for a ledger and a width in columns."""

    name: str
    title: str
    lines: DrawLines
    cache: str | None = None
    """The slab cache whose attributes the page shows; None if the page is not about a cache."""
    body: DrawLines | None = None
    """Draws the page without the definition that it begins with; None if it begins with none."""


PAGES: tuple[Page, ...] = (
    Page("states", "Sockets by state", states_page),
    *(
        Page(name, subject.title, partial(call_tree_page, subject), body=partial(call_trees, subject))
        for name, subject in CALL_PATH_PAGES.items()
    ),
    Page("relations", "Relations of a socket's objects", relations_page),
    Page("attached", "Attached objects, which only some sockets have", attached_page, body=attached_objects),
    Page("memory", "The machine's slab memory", memory_page),
    Page("headroom", "Limits, and headroom for more sockets", headroom_page),
    Page("free", "Free blocks by order and migrate type", free_blocks_page),
    Page("events", "Events that already happened", events_page),
    Page("numa", "NUMA nodes: CPUs, memory and distances", numa_page),
    Page("hardware", "Processor sockets and memory slots", hardware_page),
    Page("catalogue", "Every object behind a socket", catalogue_page),
    Page("glossary", "Every word on the screen", glossary_page),
)
"""The pages that `tcptop explain` lists by name. `page_of_cache` makes the page of a single cache."""


PAGE_ALIASES = {
    **{text.lower(): "states" for state in State if state is not State.TIME_WAIT for text in (state.value, state.name)},
    "connect": "socket",
    "accept queue": "states",
    "syn_sent": "states",
    "fin_wait1": "states",
    "closing": "states",
    "last_ack": "states",
    "room": "headroom",
    "capacity": "headroom",
    "limits": "headroom",
    **{name.lower(): "events" for name in KERNEL_EVENTS},
    "epoll": "attached",
    "conntrack": "attached",
    "ktls": "attached",
    "buffers": "attached",
    "nodes": "numa",
    "buddy": "free",
    "free_area": "free",
    "free blocks": "free",
    "distances": "numa",
    "dimm": "hardware",
    "dimms": "hardware",
    "smbios": "hardware",
    "dmidecode": "hardware",
    "tw": "time_wait",
    "mini-socket": "time_wait",
    "words": "glossary",
    "pointers": "relations",
    "links": "relations",
}
"""Maps each alias of a page, in lower case, to the page's name; `tcptop explain` accepts aliases as names."""


OF_AVERAGE = ("average now", "one more socket")
"""Words whose entry ends in a sentence that compares the average socket with the cost of one more socket."""


SYSCTL = re.compile(r"^(?:sysctl )?(?:/proc/sys/(?:\w+/)*|(?:net|fs|vm|kernel)\.(?:\w+\.)*)")
"""Prefix of the name of a kernel setting: `net.ipv4.` or `/proc/sys/net/ipv4/`."""
BTF_FILE = "/sys/kernel/btf/vmlinux"
PAGE_NAME = re.compile(r"^(?:the )?(?:page (?:of |on )?(?:the )?(.+)|(.+) page)$", re.IGNORECASE)
"""Matches the name of a page with the word `page` before or behind it."""
MIN_BEGINNING = 3
"""Letters that a text must have before the names that begin with it are listed as similar."""
MARKS = "*▾▴^"
"""Signs that the screen appends to the name of a merged cache, and to the heading of the sort column."""
ASCII_SORT_MARK = re.compile(r"(?<=[A-Z/][A-Z])v$|(?<=/s)v$")
"""Matches the sign that takes the place of ▾ in ASCII, behind a heading: `TCP PARTv`."""


def page_of_cache(name: str) -> Page:
    """Makes the page of a slab cache or of a row of slabinfo."""
    return Page(name, name, partial(cache_page, name), name)


def find_page(ledger: Ledger, name: str) -> Page | None:
    """Finds a page by its name, or by the name of a cache, slabinfo row or struct; None if there is no such page.

    The name of a cache that is spelled exactly so comes first; else case, plural, hyphens and underscores make no
    difference.
    """
    key = fold_word(name)
    page = _pages_by_key().get(key)
    if page is not None:
        return page
    if name not in SLAB_CACHES and ledger.cache(name) is None:
        cache_names = {fold_word(each): each for each in (*(line.name for line in ledger.caches), *SLAB_CACHES)}
        name = cache_names.get(key, name)
    if name in SLAB_CACHES or ledger.cache(name) is not None:
        return page_of_cache(name)
    for item in KERNEL_OBJECTS:
        if key in (fold_word(item.struct), fold_word(item.struct.removeprefix("struct "))):
            known = next((cache for cache in item.names if ledger.cache(cache) is not None), None)
            return page_of_cache(known) if known is not None else _page_of_objects(item.struct, [item])
    return None


@cache
def _pages_by_key() -> dict[str, Page]:
    """Maps the key of each name and alias of a page to the page."""
    by_name = {page.name: page for page in PAGES}
    aliases = {fold_word(alias): by_name[name] for alias, name in PAGE_ALIASES.items()}
    return aliases | {fold_word(page.name): page for page in PAGES}


def page_of_label(ledger: Ledger, label: str) -> Page | None:
    """The page about all objects with a given label.

    The page is None if no object has the label. An example is the label `idle slab memory`.
    """
    if PAGE_ALIASES.get(label) == "attached":
        return find_page(ledger, label)
    if label.endswith(AVERAGE_OF_FAMILIES):
        pairs = (pair for pair in (SOCKS, MINI_SOCKETS) if pair[0].label == label.removesuffix(AVERAGE_OF_FAMILIES))
        return next((_page_of_objects(label, pair) for pair in pairs), None)
    parts = [
        part for cost in ledger.costs.values() for part in cost.by_family["mix"].outgoing.parts if part.label == label
    ]
    names = dict.fromkeys(part.object for part in parts)
    objects = [item for item in KERNEL_OBJECTS if item.struct in names and item.label == label]
    caches = {part.cache for part in parts}
    if len(objects) == 1 and len(caches) == 1 and objects[0].caches:
        return page_of_cache(caches.pop())
    return _page_of_objects(label, objects) if objects else None


def explain_word(ledger: Ledger, word: str) -> Page | None:
    """The page that explains a word: its entries in the glossary, and the page or the objects with this name.

    The page of exactly this name comes before the entries, unless it begins with a definition itself; the entry of a
    limit comes before a page of its name. The page of a cache or of objects comes after the entries. Entries of further
    meanings of the word follow the first one.

    For a text from the screen, the page has the entries of all names in the text. For a single word that is no name,
    it has the entries whose names contain the word. The page is None if there is no such entry, and the word is not the
    name of a page, of an object, or of a member of a struct.
    """
    word = SYSCTL.sub("", word) or word
    named = PAGE_NAME.match(word)
    if named and not find_entries(word) and (page := find_page(ledger, named[1] or named[2])):
        return page
    name = ASCII_SORT_MARK.sub("", word).rstrip(MARKS) or word
    page = find_page(ledger, name) or _page_of_any_label(ledger, name)
    meanings = find_entries(word) or find_entries(name)
    meanings += tuple(entry for entry in find_entries_of_ascii(word) if entry not in meanings)
    entries = meanings
    if page is None:
        entries = entries or find_any_order(name) or find_phrase(name) or find_part(name)
    if page is not None or entries:
        entries += tuple(entry for entry in find_entries(word[len(name) :]) if entry not in entries)
    if page is None and not entries:
        page = find_page(ledger, "relations") if name in member_names() else page_of_member(ledger, name)
    subject = CALL_PATH_PAGES.get(page.name) if page is not None else None
    if subject is not None:
        definition = find_entries(subject.word)[:1]
        entries = (*definition, *(entry for entry in entries if entry not in definition))
    if not entries:
        return page
    title = entries[0].word if page is None else page.title
    is_name = page is not None and page.body is None and any(fold_word(each.name) == fold_word(name) for each in PAGES)

    is_limit = any(limit.label == entries[0].word for limit in LIMITS)

    def lines(ledger: Ledger, columns: int) -> list[Line]:
        sentence = average_sentence(ledger) if entries[0].word in OF_AVERAGE else ""
        drawn = [] if page is None else (page.body or page.lines)(ledger, columns)
        if is_name and is_limit:
            others = list(entry_lines(entries[1:], columns))
            above = _heading("Other meanings of", name, columns) if others else []
            return [*entry_lines(entries[:1], columns), *drawn, EMPTY_LINE, *above, *others]
        if is_name:
            return [*drawn, EMPTY_LINE, *_heading("The word", name, columns), *entry_lines(entries, columns)]
        has_others = len(meanings) > 1 or subject is not None
        return [
            *entry_lines(entries[:1], columns),
            *(_heading("Other meanings of", name, columns) if has_others and len(entries) > 1 else ()),
            *entry_lines(entries[1:], columns),
            *(paragraph(f" {sentence}", columns - 1, "text") if sentence else ()),
            *drawn,
        ]

    return Page(title, title, lines) if page is None else page._replace(lines=lines)


def _heading(text: str, word: str, columns: int) -> list[Line]:
    return [*paragraph(f" {text} “{printable(word)}”:", columns - 1, "dim"), EMPTY_LINE]


def page_of_member(ledger: Ledger, name: str) -> Page | None:
    """The page about a member of the catalogue's structs: `snd_nxt`, `sk->sk_wmem_queued`; None if no struct has it.

    The members are those of the kernel's BTF.
    """
    member = re.split(r"->|\.", name)[-1]
    found = [
        (layout, each)
        for layout in ledger.structs.values()
        for each in layout.members
        if member and member == each.name.removesuffix("|...").split(".")[-1]
    ]
    if not found:
        return None

    def lines(ledger: Ledger, columns: int) -> list[Line]:  # noqa: ARG001 (as every page)
        drawn: list[Line] = []
        for layout, each in found:
            size = f"{each.bits} bits" if each.bits is not None else f"{units.count(each.size_bytes)} B"
            text = (
                f" {each.name}: a member of struct {layout.name}: {size} at offset {units.count(each.offset_bytes)} of"
                f" {units.count(layout.size_bytes)} B. tcptop explain {layout.name} explains the struct."
            )
            drawn += [*paragraph(text, columns - 1, "text"), *paragraph(f" From: {BTF_FILE}", columns - 1, "dim")]
        return drawn

    return Page(member, member, lines)


def nearest_words(ledger: Ledger, word: str) -> list[str]:
    """Up to five words, pages and caches with a word of the given text in their names, or the most similar names."""
    with_part = names_near(word)[:5]
    if with_part:
        return with_part
    from difflib import get_close_matches  # imported here, since only the search for similar words needs difflib

    names = [*(page.name for page in PAGES), *SLAB_CACHES, *(line.name for line in ledger.caches)]
    names += [item.struct.removeprefix("struct ") for item in KERNEL_OBJECTS]
    known = {fold_word(name): name for name in names} | known_words()
    key = fold_word(word)
    beginning = [known[each] for each in sorted(known) if len(key) >= MIN_BEGINNING and each.startswith(key)]
    similar = [known[each] for each in get_close_matches(key, known, n=5, cutoff=0.7)]
    return list(dict.fromkeys([*beginning, *similar]))[:5]


def _page_of_any_label(ledger: Ledger, word: str) -> Page | None:
    """The page of the objects with a given label of the catalogue; upper and lower case are not distinguished."""
    objects = [item for item in KERNEL_OBJECTS if fold_word(item.label) == fold_word(word)]
    return page_of_label(ledger, objects[0].label) or _page_of_objects(objects[0].label, objects) if objects else None


def _page_of_objects(title: str, objects: Sequence[KernelObject]) -> Page:
    return Page(title, title, partial(objects_page, tuple(objects)))
