"""Every word and every phrase on the screen is found by `tcptop explain`, or is everyday English.

The words are those of the plain-text snapshots; a phrase is two of them as printed, side by side. Names of the kernel
and of machines do not count as words. Such names contain a digit, an underscore or a bracket, or are names of caches,
structs, events and states.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from recorded import ledger_of, tree

from tcptop.explanation.glossary import ENTRIES
from tcptop.explanation.glossary.entry import Entry
from tcptop.explanation.glossary.find import FILLERS, find_entries, find_phrase, fold_word
from tcptop.explanation.pages import PAGES, explain_word, page_of_cache
from tcptop.kernel.events import EVENTS
from tcptop.kernel.objects import KERNEL_OBJECTS
from tcptop.kernel.relations import member_names
from tcptop.ledger import Ledger
from tcptop.text.line import text_of

TESTS = Path(__file__).resolve().parents[1]
SNAPSHOTS = TESTS / "snapshots"
EVERYDAY_WORDS = Path(__file__).with_name("everyday_words.txt")
"""Words that need no entry, because a student of the kernel need not look them up."""
WITH_MADE_UP_NAMES = re.compile(r"hostile|strange|cut_off|markup|a_panes_end|nosuchcache")
"""Snapshots of files with names that no kernel has."""

NAME = re.compile(
    r"\S*(?:[\d_()@\\=…~$]|\.\.)\S*|(?<=[A-Z])v\b|\b[A-Z]?[a-z]+[A-Z]\w*|\b(?:EADDRNOTAVAIL|EMFILE|ENFILE)\b"
    r"|\S*/\S*/\S*|\S+\.(?:py|toml|txt|svg|gz|c|h)\b|(?<!\w)'[^'\s]*'|“[^”]*”"
)
"""A piece of text that is not a word: a name, a number, a path, a quoted text, a word that is cut, a sort mark."""
BESIDE_A_BORDER = re.compile(r"[^\W\d_]+(?=[│╭╰├┌└|])|(?<=[│╮╯┤┐┘|])[^\W\d_]+")
"""A word that the border of an overlay may have cut."""
WORD = re.compile(r"[^\W\d_]{2,}")
PHRASE = re.compile(r"(?=(?<![^\W\d_])([^\W\d_]{2,}(?:-[^\W\d_]+)* [^\W\d_]{2,}(?:-[^\W\d_]+)*)(?![^\W\d_]))")
"""Two words with one space between them."""
EVERYDAY_PHRASES = Path(__file__).with_name("everyday_phrases.txt")
"""Phrases of two everyday words, which mean no more than their words."""
PROSE = re.compile(r"explain_snapshots|help")
"""Snapshots of pages with whole sentences; their words are tested, but not their phrases."""


def words_in(text: str) -> Iterator[str]:
    """The words of a snapshot: two letters or more, without names."""
    for line in text.splitlines():
        yield from (found[0] for found in WORD.finditer(BESIDE_A_BORDER.sub(" ", NAME.sub(" ", line))))


@cache
def known_words() -> frozenset[str]:
    """The keys of all words that need no entry: those of the glossary, everyday words, and names."""
    texts = [name for entry in ENTRIES for name in (entry.word, *entry.other_names, entry.source)]
    texts += EVERYDAY_WORDS.read_text(encoding="utf-8").splitlines()
    texts += [each.name for each in EVENTS] + [item.label for item in KERNEL_OBJECTS]
    texts += [name for item in KERNEL_OBJECTS for name in (item.struct, *item.names)]
    for file in TESTS.glob("recordings/*/*/proc/slabinfo"):
        texts += [line.split(" ", 1)[0] for line in file.read_text(encoding="utf-8").splitlines()]
    return frozenset(fold_word(word) for text in texts for word in re.findall(r"[^\W\d_]+", text))


def unknown_words(text: str) -> set[str]:
    """The words of a text that are neither in the glossary nor in the list of everyday words."""
    return {word for word in words_in(text) if fold_word(word) not in known_words()}


@pytest.mark.slow
def test_every_word_on_the_screen_is_explained() -> None:
    files_of_word: dict[str, list[str]] = {}
    for file in sorted(SNAPSHOTS.rglob("*.txt")):
        if not WITH_MADE_UP_NAMES.search(file.name):
            for word in unknown_words(file.read_text(encoding="utf-8")):
                files_of_word.setdefault(word, []).append(str(file.relative_to(SNAPSHOTS)))
    report = [f"{word}: {files[0]} ({len(files)} files)" for word, files in sorted(files_of_word.items())]
    assert not report, "explain them in explanation/glossary.py, or reword:\n" + "\n".join(report)


def is_found(text: str) -> bool:
    """True if `tcptop explain` finds a word or a phrase."""
    return explain_word(recorded_ledger(), text) is not None


@cache
def recorded_ledger() -> Ledger:
    return ledger_of(tree("6.1-4n", "established"))


def screen_texts(without: re.Pattern[str] = WITH_MADE_UP_NAMES) -> Iterator[str]:
    for file in sorted(SNAPSHOTS.rglob("*.txt")):
        if not WITH_MADE_UP_NAMES.search(file.name) and not without.search(str(file.relative_to(SNAPSHOTS))):
            yield file.read_text(encoding="utf-8")


@pytest.mark.slow
def test_explain_finds_every_word_on_the_screen() -> None:
    everyday = {fold_word(word) for word in (*EVERYDAY_WORDS.read_text(encoding="utf-8").split(), *FILLERS)}
    words = {word for text in screen_texts() for word in words_in(text) if fold_word(word) not in everyday}
    assert len(words) > 200
    assert not [word for word in sorted(words) if not is_found(word)]


@pytest.mark.slow
def test_explain_finds_every_phrase_on_the_screen() -> None:
    everyday = set(EVERYDAY_PHRASES.read_text(encoding="utf-8").splitlines())
    phrases = {phrase for text in screen_texts(PROSE) for phrase in phrases_in(text)} - everyday
    assert len(phrases) > 200
    phrases = {phrase for phrase in phrases if FILLERS.isdisjoint(phrase.lower().split())}
    assert not [phrase for phrase in sorted(phrases) if not is_found(phrase)], "give an entry another name"


CELL = re.compile(r"  +|[│─┌└├╭╮╰╯┐┘┤]+")
"""Matches the separator between two texts of a line: two spaces or a border."""


def key_of_phrase(text: str) -> list[str]:
    return [fold_word(word) for word in re.findall(r"[^\s,;:()·]+", text)]


def is_named_in(entry: Entry, phrase: str) -> bool:
    """True if a name of the entry stands in the phrase, word for word; numbers between its words do not count."""
    if not phrase[0].isascii():
        if entry in find_entries(phrase[0]):
            return True
        phrase = phrase[1:]
    without_numbers = " ".join(re.sub(r"(?<!\S)[-+−±≤≥≈~]?\d[\d.,]*(?![\w.])", "", phrase).split())
    for text in (phrase, without_numbers):
        words = key_of_phrase(text)
        parts = {fold_word("".join(words[i:j])) for i in range(len(words)) for j in range(i + 1, len(words) + 1)}
        if any(fold_word("".join(key_of_phrase(name))) in parts for name in (entry.word, *entry.other_names)):
            return True
    return False


@pytest.mark.slow
def test_a_text_on_the_screen_leads_to_no_entry_that_it_does_not_name() -> None:
    cells = {cell.strip() for text in screen_texts() for line in text.splitlines() for cell in CELL.split(line)}
    pairs = [(cell, entry) for cell in sorted(cells) for entry in find_phrase(cell)]
    assert len({entry.word for _, entry in pairs}) > 100
    assert not [(cell, entry.word) for cell, entry in pairs if not is_named_in(entry, cell)]
    assert not [cell for cell, _ in pairs if {*cell.lower().split()} <= FILLERS and not find_entries(cell)]


@pytest.mark.parametrize(
    ("phrase", "word"),
    [
        ("all 8 nodes", "node"),
        ("the only node", "node"),
        ("only mini-sockets count", "tcp_max_tw_buckets"),
        ("count within its error", "error of the counter"),
        ("% of RAM", "TCP in the kernel"),
        ("14 % of RAM", "TCP in the kernel"),
        ("no flow in this netns", "conntrack"),
        ("not looked at", "not looked at"),
        ("nofile, accept queues and ports were not looked at", "nofile"),
        ("may come first", "not looked at"),
        ("others may come first", "not looked at"),
        ("local port", "port"),
        ("skb", "struct sk_buff"),
        ("sk_buff", "struct sk_buff"),
        ("above its own free memory", "above its own free memory"),
        ("may be above its free memory", "above its own free memory"),
        ("SLABS HELD", "held by CPUs"),
        ("slabs held by CPUs", "held by CPUs"),
        ("5 min ago", "graphs"),
        ("none free", "migrate type"),
        ("late segments", "segment"),
        ("a closed connection skips TIME_WAIT", "skipped"),
        ("closed connection", "TIME_WAIT"),
        ("active request socks", "request sock"),
        ("free objects", "idle"),
        ("counts up to 5 s old", "sample"),
        ("clients share", "port"),
        ("Other parts of a socket", "one more socket"),
        ("without buffers", "without data"),
        ("other", "other"),
        ("-5/s", "growth"),
        ("+310/s", "growth"),
        ("-1.2 MiB/s", "growth"),
    ],
)
def test_the_first_entry_of_a_text_on_the_screen(phrase: str, word: str) -> None:
    page = explain_word(recorded_ledger(), phrase)
    assert page is not None
    assert text_of(page.lines(recorded_ledger(), 100)[0]).strip() == word


@pytest.mark.parametrize("phrase", ["counter ±", "counter ± 8.0 MiB"])
def test_a_name_with_a_sign_has_no_entry_of_its_first_word_alone(phrase: str) -> None:
    page = explain_word(recorded_ledger(), phrase)
    assert page is not None
    lines = page.lines(recorded_ledger(), 100)
    heads = [text_of(line).strip() for line in lines if line and line[0][1] == "head"]
    assert heads == ["error of the counter"]


@pytest.mark.parametrize("phrase", ["page {}", "the page of {}", "{} page", "Page {}"])
def test_a_page_is_found_with_the_word_page_beside_its_name(phrase: str) -> None:
    for each in PAGES:
        found = explain_word(recorded_ledger(), phrase.format(each.name))
        assert found is not None
        assert found.title == each.title


@pytest.mark.parametrize(
    "phrase", ["nonsense of the world", "the", "and", "in all", "with no 5", "flurbs frobnicate now"]
)
def test_a_phrase_without_a_name_is_not_found(phrase: str) -> None:
    assert not is_found(phrase)


def phrases_in(text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield from (found[1] for found in PHRASE.finditer(BESIDE_A_BORDER.sub(" | ", NAME.sub(" | ", line))))


@pytest.mark.parametrize(
    ("phrase", "word"),
    [
        ("most on", "OF TCP"),
        ("most on node 2", "OF TCP"),
        ("TCP even on 8 nodes", "OF TCP"),
        ("critical from", "FULL"),
        ("near until below 75 %", "near"),
        ("fits", "FITS MORE"),
        ("no average < 200", "no average"),
        ("no average below 200 sockets", "no average"),
        ("mini-sockets", "TIME_WAIT"),
        ("in use", "in use"),
        ("with data", "with data"),
        ("at its lower bound", "≥"),
        ("FITS MORE", "FITS MORE"),
        ("TCP PART", "TCP PART"),
        ("▸8K", "order"),
        ("▏", "█ ▒ ░"),
        ("›3", "›"),
        ("fits more", "FITS MORE"),
        ("before reclaim", "reclaim"),
        ("871 000 before reclaim", "reclaim"),
        ("average buffers", "average buffers"),
        ("half client side, average buffers", "average buffers"),
        ("earlier average", "earlier average"),
        ("partly full", "partly used"),
        ("held by CPUs", "held by CPUs"),
        ("on CPUs", "held by CPUs"),
        ("net growth", "growth"),
        ("idle", "idle"),
        ("332 B idle", "idle"),
        ("all netns ≤ 30", "all netns"),
        ("paused at 1 of 45, SPACE plays", "live"),
        ("reading 34 %", "recording"),
        ("* merged", "merged"),
        ("▸32K", "▸"),
        ("▸32K", "order"),
        ("▸ slabs of sockets", "▸"),
        ("FROM 32K UP", "FROM 32K UP"),
        ("FROM 64K UP", "FROM 32K UP"),
        ("SYN_SENT", "SYN_SENT"),
        ("FIN_WAIT1", "FIN_WAIT1"),
        ("LAST_ACK", "LAST_ACK"),
        ("CLOSING", "CLOSING"),
        ("stops no new socket", "fewest fit first"),
    ],
)
def test_a_phrase_as_printed_finds_the_entry_of_its_words(phrase: str, word: str) -> None:
    page = explain_word(recorded_ledger(), phrase)
    assert page is not None
    heads = [text_of(line).strip() for line in page.lines(recorded_ledger(), 100)]
    assert word in heads


DRAWN = re.compile(r"[─│┌└├╭╮╰╯▀▄“”‹]")
"""Characters of frames, trees, large digits and quotes, which mean nothing by themselves."""


def test_explain_finds_every_sign_on_the_screen() -> None:
    texts = "".join(DRAWN.sub("", text) for text in screen_texts())
    signs = {each for each in texts if not each.isascii() and not each.isalnum()}
    assert len(signs) > 20
    assert not [sign for sign in sorted(signs) if not is_found(sign)]


def test_explain_finds_every_heading_and_fact_of_the_pages() -> None:
    """Words in capitals, and what stands at the left of a fact, such as flags."""
    pages = [page for page in PAGES if page.name != "glossary"]
    pages += [page_of_cache(name) for name in ("TCP", "pid", "dentry")]
    lines = [text_of(line) for page in pages for line in page.lines(recorded_ledger(), 120)]
    facts = {found[1] for line in lines if (found := re.match(r" ([a-zA-Z][\w' -]*?)  +\S", line))}
    headings = {cell for line in lines if line.isupper() for cell in re.split(r"  +", line.strip())}
    assert {"flags", "loss", "spacing"} <= facts
    assert {"SMALLEST", "HOLDS"} <= headings
    assert not [word for word in sorted(headings) if not is_found(word) and word.lower() not in FILLERS]
    assert not [word for word in sorted(facts) if not is_found(word)]


def test_explain_finds_every_member_of_the_relations() -> None:
    names = member_names()
    assert {"tw_tb", "tw_tb2", "d_inode"} <= names
    assert not [name for name in sorted(names) if not is_found(name)]


def test_explain_finds_a_name_with_the_marks_of_the_screen() -> None:
    for text in ("pid*", "pid*▾", "CACHE▴", "TCP PART▾", "NEAREST LIMIT▾", "›3"):
        page = explain_word(recorded_ledger(), text)
        assert page is not None, text
        heads = [text_of(line).strip() for line in page.lines(recorded_ledger(), 100)]
        wanted = {"pid*": "merged", "CACHE▴": "CACHE", "TCP PART▾": "TCP PART", "NEAREST LIMIT▾": "NEAREST LIMIT"}
        assert wanted.get(text, heads[0]) in heads[:20], text
    assert not is_found("nosuchcache*")


def test_the_everyday_phrases_are_sorted_and_have_no_entry() -> None:
    phrases = EVERYDAY_PHRASES.read_text(encoding="utf-8").splitlines()
    assert phrases == sorted(set(phrases))
    assert not [phrase for phrase in phrases if find_entries(phrase)]


def test_a_word_without_an_entry_is_found() -> None:
    assert unknown_words(" FROBNICATED  12 345  slabs, flurbs of sock_inode_cache and __alloc_skb()") == {
        "FROBNICATED",
        "flurbs",
    }


def test_the_everyday_list_is_sorted_and_has_no_word_of_the_glossary() -> None:
    words = EVERYDAY_WORDS.read_text(encoding="utf-8").split()
    explained = {fold_word(name) for entry in ENTRIES for name in (entry.word, *entry.other_names)}
    assert words == sorted(set(words))
    assert not [word for word in words if fold_word(word) in explained]


def test_full_begins_with_the_state_of_a_limit() -> None:
    page = explain_word(recorded_ledger(), "FULL")
    assert page is not None
    text = " ".join(text_of(line).strip() for line in page.lines(recorded_ledger(), 100))
    assert text.index("a limit below which nothing more fits") < text.index("sockets that someone should look at")


def test_the_ports_of_the_machine_are_another_meaning_of_local_port() -> None:
    page = explain_word(recorded_ledger(), "local port")
    assert page is not None
    heads = [text_of(line).strip() for line in page.lines(recorded_ledger(), 100) if line and line[0][1] == "head"]
    assert heads[:2] == ["port", "ports"]
