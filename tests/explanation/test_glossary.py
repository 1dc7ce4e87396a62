"""The glossary: every name of the program has an entry, and a word is found however it is written."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from recorded import DISTANCES_TREE, ledger, ledger_of

import tcptop
from tcptop.explanation.glossary import ENTRIES
from tcptop.explanation.glossary.find import find_entries
from tcptop.explanation.pages import PAGES, explain_word, nearest_words
from tcptop.kernel.call_paths import CALL_PATH_PAGES
from tcptop.kernel.events import EVENTS, KernelEvent
from tcptop.kernel.limits import LIMITS, THRESHOLDS, KernelLimit
from tcptop.kernel.objects import KERNEL_OBJECTS
from tcptop.snapshot import StructLayout, StructMember
from tcptop.text.ascii_glyphs import ASCII_GLYPHS, LONGER_GLYPHS
from tcptop.text.cache_columns import COLUMNS
from tcptop.text.line import text_of
from tcptop.widgets.key_line import KEYS
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
    ("typed", "near"),
    [
        ("watermrak", "watermark"),
        ("pagebock", "pageblock"),
        ("dentyr", "dentry"),
        ("fragm", "fragmentation"),
        ("eventpoll", "eventpoll_epi"),
    ],
)
def test_the_nearest_words_of_a_word_that_is_not_there(typed: str, near: str) -> None:
    assert near in nearest_words(LEDGER, typed)


def lines_of(word: str, columns: int = 100) -> list[str]:
    page = explain_word(LEDGER, word)
    assert page is not None, word
    return [text_of(line).strip() for line in page.lines(LEDGER, columns)]


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        ("below 200 sockets", "no average"),
        ("no average below 200", "no average"),
        ("Limits without tcp_mem", "not visible here"),
        ("without file-max", "not visible here"),
        ("gray", "grey"),
        ("tcp_mem not visible", "not visible here"),
    ],
)
def test_a_text_of_the_screen_finds_its_own_entry(typed: str, word: str) -> None:
    assert lines_of(typed)[0] == word


QUOTES = "“”‹"
"""Glyphs that only stand in running text, where they mean what they always mean."""


@pytest.mark.parametrize("glyph", [glyph for glyph in ASCII_GLYPHS | LONGER_GLYPHS if glyph not in QUOTES])
def test_every_sign_of_the_screen_is_explained_and_so_is_its_ascii_sign(glyph: str) -> None:
    [entry, *_] = find_entries(glyph)
    sign = (ASCII_GLYPHS | LONGER_GLYPHS)[glyph]
    if not sign.isalnum():
        assert entry.word in lines_of(sign)


@pytest.mark.parametrize(("typed", "word"), [("--", "–"), ("—", "–"), ("...", "…"), ("->", "→ ▶"), ("+-", "±")])
def test_a_sign_is_found_however_it_is_typed(typed: str, word: str) -> None:
    assert lines_of(typed)[0] == word


@pytest.mark.parametrize("typed", ["more fit", "fit more", "Fits-More", "MORE FITS"])
def test_the_words_of_a_name_are_found_in_any_order(typed: str) -> None:
    assert "FITS MORE" in lines_of(typed)


@pytest.mark.parametrize(("typed", "word"), [("over 4 s", "growth"), ("counts ≤ 3 s old", "sample"), ("4 s", "5 s")])
def test_a_phrase_with_a_number_is_found_with_any_number(typed: str, word: str) -> None:
    assert word in lines_of(typed)


@pytest.mark.parametrize(
    ("typed", "as_if"),
    [
        ("time-wait", "TIME_WAIT"),
        ("timewait", "time_wait"),
        ("sockets", "socket"),
        ("Catalogue", "catalogue"),
        ("tcp-bind-bucket", "tcp_bind_bucket"),
        ("inet bind bucket", "inet_bind_bucket"),
        ("struct-tcp-sock", "struct tcp_sock"),
    ],
)
def test_a_page_is_found_however_its_name_is_written(typed: str, as_if: str) -> None:
    pages = explain_word(LEDGER, typed), explain_word(LEDGER, as_if)
    assert pages[0] is not None
    assert pages[1] is not None
    assert pages[0].name == pages[1].name


@pytest.mark.parametrize("word", ["sock", "memory cgroup", "estimated", "backlog", "socket", "free", "TIME_WAIT"])
def test_a_word_with_two_meanings_names_the_others(word: str) -> None:
    lines = lines_of(word)
    entries = find_entries(word)
    [at] = [
        index for index, line in enumerate(lines) if line in (f"Other meanings of “{word}”:", f"The word “{word}”:")
    ]
    for entry in entries[1:]:
        assert entry.word in lines[at:]


def test_a_word_with_one_meaning_names_no_others() -> None:
    assert not any("Other meanings" in line for line in lines_of("pageblock"))
    assert not any("Other meanings" in line for line in lines_of("free blocks order"))


@pytest.mark.parametrize("name", CALL_PATH_PAGES)
def test_a_page_of_calls_begins_with_the_definition_of_its_subject(name: str) -> None:
    """On the screen, only the sum of a socket's parts stands before it."""
    [page] = [page for page in PAGES if page.name == name]
    [entry, *_] = find_entries(CALL_PATH_PAGES[name].word)
    for lines in (lines_of(name), [text_of(line).strip() for line in page.lines(LEDGER, 100)]):
        start = lines.index("") + 1 if lines[0].startswith("One more ") else 0
        assert lines[start] == entry.word
        assert lines.count(entry.word) == 1
        assert any(line.startswith("├─ ") for line in lines)


@pytest.mark.parametrize("item", KERNEL_OBJECTS, ids=lambda item: item.struct)
def test_the_page_of_an_object_defines_it_before_all_else(item: object) -> None:
    found = next(each for each in KERNEL_OBJECTS if each is item)
    assert 1 <= found.definition.count(". ") + 1 <= 2
    assert found.definition.endswith(".")
    lines = lines_of(found.struct)
    heads = [index for index, line in enumerate(lines) if line.partition(" (in ")[0] == found.struct]
    assert any(" ".join(lines[at + 1 : at + 5]).startswith(found.definition) for at in heads)


@pytest.mark.parametrize("typed", ["snd_una", "tp->snd_una", "sk.snd_una"])
def test_a_member_of_a_struct_has_its_size_and_its_place(typed: str) -> None:
    layout = StructLayout("tcp_sock", 2368, (StructMember("tcp.snd_una|...", 1540, 4, None),), has_free_pointer=False)
    figures = LEDGER._replace(structs={"tcp_sock": layout})
    page = explain_word(figures, typed)
    assert page is not None
    text = " ".join(text_of(line).strip() for line in page.lines(figures, 100))
    assert "a member of struct tcp_sock: 4 B at offset 1 540 of 2 368 B" in text
    assert explain_word(LEDGER, typed) is None


def test_no_heading_stands_twice_on_the_page_of_a_cache() -> None:
    for name in ("TCP", "dentry", "pid"):
        page = explain_word(LEDGER, name)
        assert page is not None
        heads = [text_of((line[0],)) for line in page.lines(LEDGER, 100) if line and line[0][1] == "head"]
        assert len(set(heads)) == len(heads), heads


def headings_of_all_tables() -> set[str]:
    """Every constant heading that is given to make_headings() in the program."""
    found: set[str] = set()
    for file in Path(tcptop.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "make_headings":
                found |= {str(each.value).removeprefix("<") for each in node.args if isinstance(each, ast.Constant)}
    return found - {""}


def test_every_heading_of_a_table_is_found() -> None:
    headings = headings_of_all_tables()
    assert len(headings) > 80
    assert not [heading for heading in sorted(headings) if explain_word(LEDGER, heading) is None]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_a_counter_of_events_is_defined_before_the_page_of_all(event: KernelEvent) -> None:
    lines = lines_of(event.name)
    assert lines[0] == event.name
    assert " ".join(lines[1:6]).casefold().startswith(event.counts.casefold()[:60])


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        ("net.ipv4.tcp_mem", "tcp_mem"),
        ("/proc/sys/net/ipv4/tcp_mem", "tcp_mem"),
        ("sysctl fs.file-max", "file-max"),
        ("net.core.somaxconn", "accept queue"),
        ("vm.zone_reclaim_mode", "vm.zone_reclaim_mode"),
    ],
)
def test_a_setting_is_found_by_its_full_name(typed: str, word: str) -> None:
    assert word in lines_of(typed)


REMEDIES = {
    "memory": "RAM",
    "nofile": "ulimit -n",
    "ports": "sysctl net.ipv4.ip_local_port_range",
    "listen_queues": "sysctl net.core.somaxconn",
    "memory_cgroup": "memory.max",
    "tcp_max_orphans": "sysctl net.ipv4.tcp_max_orphans",
    "tcp_mem": "sysctl net.ipv4.tcp_mem",
}


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
def test_the_entry_of_a_limit_says_what_happens_and_what_raises_it(limit: KernelLimit) -> None:
    remedy = REMEDIES.get(limit.name) or f"sysctl {limit.sysctl.name if limit.sysctl else ''}"
    entries = (*find_entries(limit.label), *find_entries(limit.name))
    texts = [f"{entry.meaning} {entry.more}" for entry in entries]
    [text] = {text for text in texts if remedy in text}
    assert re.search(r"When (it|the|all)|Above|ends", text), text


def test_an_entry_has_at_most_a_few_sentences() -> None:
    for entry in ENTRIES:
        assert len(re.findall(r"[.!?](?= |$)", f"{entry.meaning} {entry.more}")) <= 5, entry.word


def test_the_entries_of_a_handshake_agree() -> None:
    for word in ("request sock", "handshake"):
        [entry, *_] = find_entries(word)
        text = f"{entry.meaning} {entry.more}"
        assert "SYN" in text
        assert "accept(2)" in text
        assert "last ACK" in text


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


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("CPUs' lists", "taken for itself"),
        ("HighAtomic", "may not wait"),
        ("Isolate", "nothing is allocated"),
        ("in structs", "structs of active objects"),
        ("slabs of sockets", "size of block"),
        (".01", "unusable free index"),
        ("RAM available", "less than the free memory"),
        ("no reclaim needed", "get free pages"),
        ("near", "TIME_WAIT has no sign"),
        ("highest", "largest value"),
        ("lowest", "lowest is the smallest"),
        ("newest", "newest value"),
        ("last step", "newest value"),
        ("unit", "Key y"),
        ("y unit", "Key y"),
        ("sort", "sort the caches"),
    ],
)
def test_the_first_entry_of_a_word_of_the_screen_explains_it(word: str, said: str) -> None:
    first = find_entries(word)[0]
    assert said in f"{first.meaning} {first.more}"


def test_every_word_of_the_key_line_has_an_entry() -> None:
    for _, long, short in KEYS:
        for word in (long, short):
            assert explain_word(LEDGER, word) is not None, word


def test_the_entry_of_near_has_the_thresholds_of_every_limit() -> None:
    [text] = [entry.more for entry in ENTRIES if entry.word == "near"]
    pairs = {name: f"{limit.warn:g} and {limit.critical:g}" for name, limit in THRESHOLDS.items()}
    special = {"memory": "memory", "memory_cgroup": "memory", "tcp_max_orphans": "orphans"}
    for name, pair in pairs.items():
        assert f"{pair} for {special.get(name, 'most limits')}" in text, name
