"""Finds the entries of a word, of a sign, or of a piece of printed text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from tcptop.explanation.glossary import ENTRIES
from tcptop.explanation.glossary.entry import Entry
from tcptop.text.ascii_glyphs import ASCII_GLYPHS, LONGER_GLYPHS

WORD_OF_PHRASE = re.compile(r"[^\s,;:()·]+")
NUMBER = re.compile(r"^[-+−±≤≥≈~]?\d[\d.,]*(?![\w.])")
"""A number at the beginning of a word, with its sign: that of `+310/s`, but none of `4K` and `16k`."""
FILLER_WORDS = (
    "a all an and are as at before behind both by count each every for from has have here in is it its many "
    "more most next no not now of on one only or out over passed per since so than that the them then this "
    "times to until was what when where which with within"
)
FILLERS = frozenset(FILLER_WORDS.split())
"""Words that say nothing about the subject of a phrase, though some of them have an entry."""


def fold_word(word: str) -> str:
    """The key under which a word is found.

    Case, plural, hyphens, spaces, underscores and a leading `/proc/` make no difference to the key.

    A word without a letter or a digit is a sign: its key is the sign without spaces.
    """
    if not any(character.isalnum() for character in word):
        return "".join(word.split())
    folded = "".join(character for character in word.lower() if character not in " -_").removeprefix("/proc/")
    if folded.endswith("ies"):
        return f"{folded[:-3]}y"
    if folded.endswith(("sses", "xes")):
        return folded[:-2]
    return folded[:-1] if len(folded) > 3 and folded.endswith("s") and not folded.endswith("ss") else folded


@cache
def _entries_by_key() -> dict[str, tuple[Entry, ...]]:
    """Maps the key of each word to its entries.

    The entries of the word itself come first. Entries that have the word as an alias come next.
    """
    found: dict[str, dict[str, Entry]] = {}
    for entry in ENTRIES:
        found.setdefault(fold_word(entry.word), {})[entry.word] = entry
    for entry in ENTRIES:
        for name in entry.other_names:
            found.setdefault(fold_word(name), {}).setdefault(entry.word, entry)
    return {key: tuple(entries.values()) for key, entries in found.items()}


def find_entries(word: str) -> tuple[Entry, ...]:
    """The entries of a word, such as those of `order` and of the column `ORDER`; empty if there is no entry.

    Upper and lower case make no difference, but an entry that is spelled exactly as `word` comes first, and then one
    with an alias that is: `no file` is an alias of file, though `nofile` is an entry.
    """
    found = _entries_by_key().get(fold_word(word), ())
    return tuple(sorted(found, key=lambda entry: (entry.word != word, word not in entry.other_names)))


def find_entries_of_ascii(sign: str) -> tuple[Entry, ...]:
    """The entries of all signs of the screen that the given ASCII sign stands for where only ASCII can be shown."""
    if not sign.isascii() or any(character.isalnum() for character in sign):
        return ()
    glyphs = [glyph for glyph, ascii_sign in (*ASCII_GLYPHS.items(), *LONGER_GLYPHS.items()) if ascii_sign == sign]
    found = {entry.word: entry for glyph in glyphs for entry in find_entries(glyph)}
    return tuple(found.values())


@cache
def _entries_by_words() -> dict[tuple[str, ...], tuple[Entry, ...]]:
    """Maps the sorted keys of the words of each name, such as those of `FITS MORE`, to the entries with this name."""
    found: dict[tuple[str, ...], dict[str, Entry]] = {}
    for entry in ENTRIES:
        for name in (entry.word, *entry.other_names):
            found.setdefault(_sorted_keys(name), {})[entry.word] = entry
    return {keys: tuple(entries.values()) for keys, entries in found.items()}


def _sorted_keys(name: str) -> tuple[str, ...]:
    return tuple(sorted(NUMBER.sub("0", fold_word(word)) for word in WORD_OF_PHRASE.findall(name)))


def find_any_order(name: str) -> tuple[Entry, ...]:
    """The entries of a name of several words, in whatever order, with whatever numbers.

    `more fit` finds FITS MORE, and `over 4 s` finds `over 30 s`.
    """
    keys = _sorted_keys(name) if name.isprintable() else ()
    return _entries_by_words().get(keys, ()) if keys else ()


@cache
def _entries_with_part() -> dict[str, tuple[Entry, ...]]:
    """Maps the key of a single word, such as `fits`, to all entries whose names contain it, such as `FITS MORE`."""
    found: dict[str, dict[str, Entry]] = {}
    for entry in ENTRIES:
        for part in WORD_OF_PHRASE.findall(" ".join((entry.word, *entry.other_names))):
            found.setdefault(fold_word(part), {})[entry.word] = entry
    return {key: tuple(entries.values()) for key, entries in found.items()}


def find_part(word: str) -> tuple[Entry, ...]:
    """The entries whose names have `word` as one of several words; empty for a word of FILLERS."""
    return () if word.lower() in FILLERS else _entries_with_part().get(fold_word(word), ())


def names_near(phrase: str) -> list[str]:
    """The names of the entries that have a word of the phrase in one of their names."""
    words = WORD_OF_PHRASE.findall(phrase) if phrase.isprintable() else []
    return list(dict.fromkeys(entry.word for word in words for entry in find_part(word)))


def find_phrase(phrase: str) -> tuple[Entry, ...]:
    """The entries whose names are in a piece of printed text as whole words, in the order of the text.

    Of several names that begin with the same word, the longest counts: `free blocks` has one entry. Numbers, and the
    words of FILLERS, are no names by themselves. A sign at the beginning of the text, such as `≤`, counts as a word.
    """
    if not phrase.isprintable():
        return ()
    sign = find_entries(phrase[:1]) if len(phrase) > 1 and not phrase[0].isascii() else ()
    words = WORD_OF_PHRASE.findall(phrase[1:] if sign else phrase)
    words = [without for word in words if (without := NUMBER.sub("", word)) not in ("", ".")]
    found = {entry.word: entry for entry in sign}
    start = 0
    while start < len(words):
        end = len(words)
        while end > start and not (entries := _entries_in_phrase(words[start:end])):
            end -= 1
        found.update((entry.word, entry) for entry in entries)
        start = max(end, start + 1)
    return tuple(found.values())


def _entries_in_phrase(words: Sequence[str]) -> tuple[Entry, ...]:
    if len(words) == 1:
        return find_entries(words[0]) if words[0].lower() not in FILLERS else ()
    return find_entries(" ".join(words)) or _entries_with_sign().get(tuple(map(fold_word, words)), ())


@cache
def _entries_with_sign() -> dict[tuple[str, ...], tuple[Entry, ...]]:
    """Maps the beginnings of names that end in a sign, such as `counter ±` of `counter ± 8.0 MiB`, to their entries."""
    found: dict[tuple[str, ...], dict[str, Entry]] = {}
    for entry in ENTRIES:
        for name in (entry.word, *entry.other_names):
            words = WORD_OF_PHRASE.findall(name)
            for end in range(2, len(words)):
                if not any(character.isalnum() for character in words[end - 1]):
                    found.setdefault(tuple(map(fold_word, words[:end])), {})[entry.word] = entry
    return {words: tuple(entries.values()) for words, entries in found.items()}


def known_words() -> dict[str, str]:
    """Maps the key of each word and of each alias to its spelling in the glossary."""
    words = {fold_word(name): name for entry in ENTRIES for name in entry.other_names}
    return words | {fold_word(entry.word): entry.word for entry in ENTRIES}
