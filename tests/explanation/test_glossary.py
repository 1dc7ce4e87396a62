"""The glossary: every name of the program has an entry, and a word is found however it is written."""

from __future__ import annotations

import pytest
from recorded import DISTANCES_TREE, ledger, ledger_of

from tcptop.explanation import explain_word, nearest_words
from tcptop.explanation.glossary import ENTRIES, find_entries
from tcptop.kernel.limits import LIMITS
from tcptop.kernel.objects import KERNEL_OBJECTS
from tcptop.text.cache_columns import COLUMNS
from tcptop.text.line import text_of
from tcptop.widgets.nodes_pane import node_headings

LEDGER = ledger("6.1-4n", "established")
DISTANCES = ledger_of(DISTANCES_TREE)


def words_of(word: str) -> list[str]:
    return [entry.word for entry in find_entries(word)]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.word)
def test_an_entry_is_a_sentence_with_its_source(entry: object) -> None:
    found = next(each for each in ENTRIES if each is entry)
    assert found.meaning.endswith("."), found.meaning
    assert found.more == "" or found.more.endswith("."), found.more
    assert found.source


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.word)
def test_every_name_of_an_entry_finds_it(entry: object) -> None:
    found = next(each for each in ENTRIES if each is entry)
    for name in (found.word, *found.other_names):
        assert found in find_entries(name), name


@pytest.mark.parametrize(
    "word", ["in no dump", "one look", "SOCK", "KERNEL", "verdict", "others", "not asked", "reserved", "dump", "sock"]
)
def test_the_entry_of_a_word_comes_first(word: str) -> None:
    page = explain_word(LEDGER, word)
    assert page is not None
    assert text_of(page.lines(LEDGER, 80)[0]).strip() == word


def test_no_two_entries_have_the_same_word() -> None:
    words = [entry.word for entry in ENTRIES]
    assert len(set(words)) == len(words)


def test_every_column_source_and_limit_has_an_entry() -> None:
    headings = [column.heading.title for column in COLUMNS]
    headings += [heading.title for heading in node_headings(DISTANCES, "full") if heading.title]
    limits = [limit.label for limit in LIMITS]
    for word in (*headings, *LEDGER.sources, *limits):
        assert find_entries(word), word


@pytest.mark.parametrize("item", KERNEL_OBJECTS, ids=lambda item: item.struct)
def test_every_object_is_found_by_its_struct_and_its_label(item: object) -> None:
    found = next(each for each in KERNEL_OBJECTS if each is item)
    for name in (found.struct, found.label):
        page = explain_word(LEDGER, name)
        assert page is not None, name
        assert page.lines(LEDGER, 80)


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        ("SLAB", "slab"),
        ("slabs", "slab"),
        ("migrate-types", "migrate type"),
        ("migrate_type", "migrate type"),
        ("MigrateType", "migrate type"),
        ("time-wait", "TIME_WAIT"),
        ("TCP MEM", "tcp_mem"),
        ("caches", "cache"),
        ("fallback", "order fallback"),
        (">=", "≥"),
        ("≤", "≤"),
        ("–", "–"),
        ("-", "–"),
        ("Δ/s", "Δ/s"),
        ("o/s", "O/S"),
        ("accepted", "server side"),
        ("/proc/buddyinfo", "buddyinfo"),
    ],
)
def test_a_word_is_found_however_it_is_written(typed: str, word: str) -> None:
    assert word in words_of(typed)


@pytest.mark.parametrize("typed", ["", " ", "xyzzy", "slabbed", "≠≡", "x\ny"])
def test_no_entry_is_made_up(typed: str) -> None:
    assert find_entries(typed) == ()
    assert explain_word(LEDGER, typed) is None


def test_a_word_that_is_also_an_object_has_both() -> None:
    page = explain_word(LEDGER, "memcg")
    assert page is not None
    lines = [text_of(line).strip() for line in page.lines(LEDGER, 80)]
    assert lines[0] == "obj_cgroup vectors"
    assert "obj_cgroup vectors" in lines


def test_a_cache_keeps_its_page() -> None:
    page = explain_word(LEDGER, "tcp_bind_bucket")
    assert page is not None
    assert page.title == "tcp_bind_bucket"


@pytest.mark.parametrize(
    ("typed", "near"), [("watermrak", "watermark"), ("pagebock", "pageblock"), ("dentyr", "dentry")]
)
def test_the_nearest_words_of_a_word_that_is_not_there(typed: str, near: str) -> None:
    assert near in nearest_words(LEDGER, typed)


def test_a_word_like_no_other_has_no_near_words() -> None:
    assert nearest_words(LEDGER, "xyzzy") == []


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        ("in about", "in about"),
        ("≈ 23 min: mostly not TCP", "in about"),
        ("fewest first", "fewest fit first"),
        ("not visible here", "not visible here"),
        ("error is assumed", "error of the counter"),
    ],
)
def test_the_notes_of_the_limits_are_explained(typed: str, word: str) -> None:
    page = explain_word(LEDGER, typed)
    assert page is not None
    assert word in [text_of(line).strip() for line in page.lines(LEDGER, 80)]
