"""The page `glossary`, and the lines that show the entries of one word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tcptop.explanation.glossary import ENTRIES
from tcptop.explanation.glossary.entry import Entry
from tcptop.ledger import Ledger
from tcptop.text.line import EMPTY_LINE, Line, paragraph


def glossary_page(ledger: Ledger, columns: int) -> list[Line]:  # noqa: ARG001 (as every page)
    """The page with all entries, in the order of `sorted_entries`."""
    return list(entry_lines(sorted_entries(), columns))


def sorted_entries() -> list[Entry]:
    """All entries of the glossary, sorted by word; signs come last."""
    return sorted(ENTRIES, key=lambda entry: (not entry.word[0].isalnum(), entry.word.lower()))


def entry_lines(entries: Sequence[Entry], columns: int) -> Iterator[Line]:
    """The word, the meaning and the source of each entry, with an empty line after each."""
    for entry in entries:
        yield ((f" {entry.word}", "head"),)
        yield from paragraph(f"   {entry.meaning} {entry.more}".rstrip(), columns - 1, "text")
        yield from paragraph(f"   From: {entry.source}", columns - 1, "dim")
        yield EMPTY_LINE
