"""The title of the limits pane: how many more sockets fit, in the longest words that fit into the width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import product
from typing import NamedTuple

from tcptop.explanation.limit_texts import (
    OF_KNOWN,
    SOCKETS,
    counted_buffers_text,
    headroom_exceptions,
    headroom_sentences,
    nearly_full_text,
    unread_limits_text,
)
from tcptop.ledger import AccountingMode, Ledger
from tcptop.widgets.cell_width import cell_width
from tcptop.widgets.scroll_pane import TITLE_SEPARATOR

FITS_TITLE = "FITS MORE"
ORDERS = ("fewest fit first", "fewest first")
"""Texts, from long to short, that name the order of the limits: of the limits without an alarm, the limit below which
the fewest further sockets fit comes first."""


class TitleParts(NamedTuple):
    """All that the title is made of."""

    mode: AccountingMode
    sentences: tuple[str, ...]
    """Variants of the sentence on the headroom, the longest first."""
    named_full: str
    """Words on the nearest limit of a process or listener that has an alarm; empty if there is none."""
    buffers: str
    """Words on what the number counts for buffers; empty if there is nothing to say."""
    exceptions: str
    """Words on the limits that the number leaves out."""
    unread: str
    """The name of a limit on every socket that was not read; empty if there is none."""
    is_range: bool
    unknown_because: str | None
    """The reason why the number is not known; None if it is known, or if the reason is not."""
    hint: str
    """Words on a key, if there is no other place for them; empty if there is one."""
    hidden: str
    """Words on the alarms that the pane does not show; empty if it shows all."""
    position: str
    """The numbers of the visible limits; empty if all are visible."""
    fits_column: int | None
    """The number of the column where FITS_TITLE begins; None if the pane has no numbers below it."""
    columns: int
    """The width of the title."""


def title_parts(
    ledger: Ledger,
    mode: AccountingMode,
    hint: str,
    hidden: str,
    position: str,
    fits_column: int | None,
    columns: int,
) -> TitleParts:
    """The parts of the title of a ledger; the arguments after `mode` are those of TitleParts."""
    limits, headroom = ledger.limits[mode], ledger.headroom[mode]
    return TitleParts(
        mode,
        tuple(headroom_sentences(ledger, mode)),
        nearly_full_text(limits, 1),
        counted_buffers_text(limits, headroom),
        headroom_exceptions(limits, mode),
        unread_limits_text(limits, mode),
        limits.first_most is not None,
        headroom.unknown_because if limits.first is None else None,
        hint,
        hidden,
        position,
        fits_column,
        columns,
    )


@lru_cache(4)  # most samples change none of the rounded numbers
def limits_title(parts: TitleParts) -> str:
    """The title in the longest words that fit."""
    # A full limit that the number leaves out is named in every title.
    sentences = [_alarm_first(each) for each in parts.sentences if parts.named_full in each] or list(parts.sentences)
    last = TITLE_SEPARATOR.join(filter(None, ("Limits", parts.hidden)))
    first: list[str] = []
    if parts.unknown_because is not None:
        # The reason for the unknown headroom is more useful than the title of a column without numbers.
        reasons = (f"{sentences[-1]}: {parts.unknown_because}", parts.unknown_because)
        first += [f"Limits{TITLE_SEPARATOR}{each}" for each in reasons]
    if parts.fits_column is not None:
        left = parts.fits_column - len("  ")
        headed = next((each for each in _titles(parts, sentences) if cell_width(each) <= left), last)
        if headed != last:
            first.append(f"{headed} {'─' * (parts.fits_column - cell_width(headed) - 2)} {FITS_TITLE}")
        first_or_last = f"{last} {'─' * (parts.fits_column - cell_width(last) - 2)} {FITS_TITLE}"
    else:
        first_or_last = last
    titles = (*first, *_titles(parts, sentences), first_or_last)
    return next((each for each in titles if cell_width(each) <= parts.columns), last)


def _alarm_first(sentence: str) -> str:
    """The sentence with the limits that it leaves out before the number, which would be read without them."""
    start, _, end = sentence.partition(", but ")
    alarms, _, buffers = end.partition("; ")
    return "; ".join(filter(None, (alarms, start, buffers)))


def _titles(parts: TitleParts, sentences: Sequence[str]) -> Iterator[str]:
    """Yields titles, the best first."""
    # The number is shown with what it counts for buffers wherever that fits; the order of the limits gives way.
    noun = f" more {SOCKETS[parts.mode]}"
    counted = [each for each in sentences if parts.buffers in each] if parts.buffers else []
    nameless = [each for each in counted if noun not in each]
    counted = [each for each in counted if noun in each]
    for group in (counted, nameless, sentences):
        words = list(_words(parts, group))
        if group is sentences and (parts.unread or OF_KNOWN in parts.exceptions):
            words.append(("Known", sentences[-1]))
        if parts.hint:
            words = [variant for each in words for variant in ((*each, parts.hint), each)]
        # Beside a full limit, the words are worth more than the position. What a range counts for buffers is worth more
        # than the position, and than its noun.
        rounds = [[parts.position], [""]] if group is not nameless or parts.is_range else [[parts.position]]
        # What the number counts for buffers is worth more than the alarms below, which the head line has, too.
        for alarms in dict.fromkeys((parts.hidden, "")):
            for places in [[parts.position, ""]] if parts.named_full else rounds:
                for each, place in product(words, places):
                    yield TITLE_SEPARATOR.join(filter(None, (each[0], alarms, *each[1:], place)))


def _words(parts: TitleParts, group: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yields the words of titles with one of the sentences in a group, the longest first.

    A number of the known limits alone is never called that of all limits; the order of the limits gives way.
    """
    unread = parts.unread
    name = "Known limits" if unread or OF_KNOWN in parts.exceptions else "Limits"
    complete = [each for each in group if parts.exceptions in each]
    yield from (("Limits", order, each) for each in complete for order in ORDERS)
    yield from (("Limits", each) for each in complete)
    short = [each for each in group if OF_KNOWN not in each][-5 if parts.is_range else -3 :]
    yield from ((name, order, each) for each in short for order in ORDERS)
    names = (f"Limits without {unread}", name) if unread else (name,)
    yield from ((each_name, each) for each in short for each_name in names)
