"""Draws call trees of kernel functions, with the size of the object beside each allocation and each free."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tcptop.explanation.glossary.find import find_entries
from tcptop.explanation.glossary_page import entry_lines
from tcptop.explanation.live_size import live_size
from tcptop.explanation.socket_sum import sum_lines
from tcptop.kernel.call_paths import Call, CallPathPage
from tcptop.kernel.function_names import NEWEST, name_functions
from tcptop.kernel.objects import MINI_SOCKETS, MPTCP_SOCKS, REQUEST_SOCKS, SOCKS, KernelObject
from tcptop.kernel.release import release_numbers
from tcptop.ledger import AccountingMode, Ledger
from tcptop.text.line import EMPTY_LINE, Line, Role, paragraph, wrap_text

ARROW = " → "
SUMS: Mapping[str, tuple[AccountingMode, ...]] = {
    "socket": ("full",),
    "server side": ("full",),
    "TIME_WAIT": ("time_wait",),
}
"""Maps the word of a subject to the sockets whose sums begin its page."""
FAMILY_PAIRS: Mapping[tuple[KernelObject, KernelObject], str] = {
    SOCKS: "AF_INET6",
    MPTCP_SOCKS: "AF_INET6",
    MINI_SOCKETS: "AF_INET6",
    # An AF_INET6 listener, too, has IPv4 handshakes.
    REQUEST_SOCKS: "an IPv6 handshake",
}
"""Maps the IPv4 and the IPv6 object that stand for each other to what the IPv6 object is for."""
BRANCH, LAST_BRANCH, TRUNK, NO_TRUNK = "├─ ", "└─ ", "│  ", "   "


def call_tree_page(subject: CallPathPage, ledger: Ledger, columns: int) -> list[Line]:
    """An explanation page with the call trees of one subject, for example of what remains in TIME_WAIT.

    The sum of the parts and the definition of the subject precede the trees.
    """
    definition = entry_lines(find_entries(subject.word)[:1], columns)
    return [*_sum(subject, ledger, columns), *definition, *_trees(subject, ledger, columns)]


def call_trees(subject: CallPathPage, ledger: Ledger, columns: int) -> list[Line]:
    """The sum and the call trees of a page, without the definition of its subject."""
    return [*_sum(subject, ledger, columns), *_trees(subject, ledger, columns)]


def _sum(subject: CallPathPage, ledger: Ledger, columns: int) -> list[Line]:
    lines = list(sum_lines(ledger, SUMS.get(subject.word, ()), columns))
    return [*lines, EMPTY_LINE] if lines else []


def _trees(subject: CallPathPage, ledger: Ledger, columns: int) -> list[Line]:
    lines = [*paragraph(f" {INTRODUCTION} {names_text(ledger)}", columns, "dim"), EMPTY_LINE]
    for tree in subject.trees:
        lines += [*draw_call_tree(ledger, tree, columns), EMPTY_LINE]
    return lines


INTRODUCTION = (
    "+ allocates, - frees; the size of one object in its cache, and its share of a slab, both of this kernel."
)


def names_text(ledger: Ledger) -> str:
    """A sentence that names the release from which the function names are taken, as in `Functions as in Linux 6.1.`."""
    release = min(release_numbers(ledger.host.kernel) or NEWEST, NEWEST)
    held = "" if ledger.symbols is None else ", held against /proc/kallsyms"
    return f"Functions as in Linux {release[0]}.{release[1]}{held}."


def named_functions(ledger: Ledger, text: str) -> str:
    """The call chain, with each function's name in the ledger's kernel."""
    return name_functions(text, release_numbers(ledger.host.kernel), ledger.symbols)


def draw_call_tree(ledger: Ledger, call: Call, columns: int, first: str = " ", later: str = " ") -> Iterator[Line]:
    """The lines of a call and of the calls below it; the first line begins with `first`, all others with `later`."""
    below = later + (TRUNK if call.calls else NO_TRUNK)
    for at, text in enumerate(_wrap_chain(named_functions(ledger, call.function), columns - len(later) - 3)):
        yield ((first if not at else below, "dim"), (text, "strong" if first == " " and not at else "text"))
    notes: list[str] = []
    for sign, objects in (("+", call.allocates), ("-", call.frees)):
        for item in objects:
            yield from _draw_object(ledger, item, sign, below, columns)
        notes += _family_notes(objects)
    for note in dict.fromkeys([*notes, call.note] if call.note else notes):
        for text in wrap_text(note, max(20, columns - len(below) - 2)):
            yield ((below, "dim"), (text, "dim"))
    for at, each in enumerate(call.calls):
        is_last = at + 1 == len(call.calls)
        branch, trunk = (LAST_BRANCH, NO_TRUNK) if is_last else (BRANCH, TRUNK)
        yield from draw_call_tree(ledger, each, columns, later + branch, later + trunk)


def _family_notes(objects: Sequence[KernelObject]) -> Iterator[str]:
    """What tells an IPv6 object from an IPv4 one where both are listed: a socket has only one of them."""
    for (ipv4, ipv6), what in FAMILY_PAIRS.items():
        if ipv4 in objects and ipv6 in objects:
            yield f"{ipv6.caches[0]} for {what}, instead of {ipv4.caches[0]}"


def _draw_object(ledger: Ledger, item: KernelObject, sign: str, start: str, columns: int) -> Iterator[Line]:
    size = live_size(ledger, item)
    name = size.cache or (item.caches[0] if item.caches else item.struct)
    if size.row is not None and size.row != size.cache:
        name += f" (row {size.row})"
    if not item.caches:
        name = f"{item.struct}, {size.cache}" if size.cache else f"{item.struct}, kmalloc"
    role: Role = "dim" if size.basis == "absent" else "accent"
    gap = columns - len(start) - 2 - len(name) - len(size.text) - 1
    if gap >= 1:
        yield ((start, "dim"), (f"{sign} {name}", role), (" " * gap + size.text, "dim" if role == "dim" else "text"))
    else:
        yield ((start, "dim"), (f"{sign} {name}", role))
        # If a line is too long, the branch characters at its start are cut. The size at the end of a line is never cut.
        yield ((start[: max(0, columns - len(size.text) - 2)], "dim"), (f"  {size.text}", "text"))


def _wrap_chain(function: str, columns: int) -> Sequence[str]:
    """Wraps a chain of functions, `a() → b()`, before the arrows.

    A part of the chain that is longer than a line is wrapped between words.
    """
    lines: list[str] = []
    for text in function.split(ARROW):
        if lines and len(lines[-1]) + len(ARROW) + len(text) <= columns:
            lines[-1] += ARROW + text
        else:
            lines += wrap_text(text if not lines else ARROW.lstrip() + text, max(20, columns))
    return lines
