"""The explanation pages at terminal widths: no figure is cut, and each figure is that of the recorded kernel."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from math import ceil
from pathlib import Path

import pytest
from recorded import copy_recording, ledger, ledger_of, link_caches, row_of, slab_rows, snapshot, text, tree, write_tree
from rich.cells import cell_len

from tcptop.accounting import account
from tcptop.explanation.headroom_page import headroom_page
from tcptop.explanation.limit_texts import before_reclaim_text, headroom_number, headroom_sentence
from tcptop.explanation.live_size import live_size
from tcptop.explanation.pages import PAGES, Page, explain_word, find_page, page_of_cache, page_of_label
from tcptop.explanation.states_page import average_sentence, side_amount
from tcptop.kernel.call_paths import CALL_PATH_PAGES
from tcptop.kernel.objects import CGROUP_VECTORS, KERNEL_OBJECTS, OBJECT_OF_CACHE, State
from tcptop.ledger import SCOPE_LABELS, Ledger
from tcptop.report.as_text import as_text
from tcptop.snapshot import CacheAttributes, MemoryCgroups, Reading, StructLayout, StructMember
from tcptop.text import units
from tcptop.text.ascii import report_to_ascii
from tcptop.text.line import text_of

WIDTHS = (60, 76, 80, 100, 116, 120)
"""Widths of a pipe and of terminals, and the widths inside the border on terminals of 80 and 120 columns."""

RECORDINGS = (
    ("5.10-4n", "timewait"),
    ("6.1-4n", "established"),
    ("6.1-4n-nomerge", "established"),
    ("6.1-4n-ipv6", "established"),
    ("6.12-arm64-16k-4n", "established"),
    ("7.3-4n", "timewait"),
)
RECORDING_IDS = [f"{kernel}/{phase}" for kernel, phase in RECORDINGS]

each_recording = pytest.mark.parametrize(("kernel", "phase"), RECORDINGS, ids=RECORDING_IDS)


def page_bytes(kernel: str) -> int:
    return 16384 if "16k" in kernel else 4096


@pytest.fixture(scope="module")
def unreadable(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    return ledger_of(write_tree(tmp_path_factory.mktemp("nothing"), {}))


def named_page(name: str) -> Page:
    [page] = [page for page in PAGES if page.name == name]
    return page


def draw(page: Page, figures: Ledger, columns: int) -> list[str]:
    """The lines of a page as printed, without trailing blanks."""
    return [text_of(line).rstrip() for line in page.lines(figures, columns)]


def all_pages(figures: Ledger) -> Iterator[Page]:
    yield from PAGES
    names = {line.name for line in figures.caches if line.in_catalogue} | set(OBJECT_OF_CACHE)
    yield from map(page_of_cache, sorted(names))


def parse_numbers(texts: str) -> list[int]:
    return [int(each.replace(" ", "")) for each in re.findall(r"\d{1,3}(?: \d{3})*", texts)]


@pytest.mark.quick_cases(8)
@pytest.mark.parametrize("columns", WIDTHS)
@each_recording
def test_no_line_is_wider_than_the_columns(kernel: str, phase: str, columns: int) -> None:
    figures = ledger(kernel, phase)
    for page in all_pages(figures):
        widest = max(draw(page, figures, columns), key=cell_len)
        assert cell_len(widest) <= columns, (page.name, widest)


@pytest.mark.parametrize("columns", [60, 76, 98, 116])
def test_the_text_of_a_cache_leaves_the_last_column_free(columns: int) -> None:
    figures = ledger("6.1-4n", "established")
    for page in all_pages(figures):
        if page.cache is not None:
            assert max(map(cell_len, draw(page, figures, columns))) < columns, page.name


@each_recording
def test_no_figure_of_a_table_is_cut_on_40_columns(kernel: str, phase: str) -> None:
    """36 columns inside the border: a row's name goes above its figures, and all figures of a wide table remain."""
    figures = ledger(kernel, phase)
    for name in ("states", "memory", "headroom", "catalogue"):
        lines = draw(named_page(name), figures, 36)
        widest = max(lines, key=cell_len)
        assert cell_len(widest) <= 36, (name, widest)
        wide = " ".join(draw(named_page(name), figures, 120))
        assert set(parse_numbers(wide)) <= set(parse_numbers(" ".join(lines))), name


@pytest.mark.parametrize("columns", WIDTHS)
def test_no_line_is_wider_than_the_columns_when_nothing_is_known(unreadable: Ledger, columns: int) -> None:
    for page in all_pages(unreadable):
        widest = max(draw(page, unreadable, columns), key=cell_len)
        assert cell_len(widest) <= columns, (page.name, widest)


MOVED = {"headroom": r" {5}(used|of|alarms at|scope) (≤ )?([0-9]|machine|this netns|process)", "states": " {5}of "}
"""Pattern of the start of a note with the cells of columns that were moved because the table is too wide."""


def characters(page: Page, figures: Ledger, columns: int) -> list[str]:
    """The sorted characters of a page, without blanks, trees, bars, table headings and the titles of moved columns.

    The headroom page drops unknown cells, which are dashes, instead of moving the cells.
    """
    titles = heading_lines(page, figures, columns)
    found: list[str] = []
    for line in draw(page, figures, columns):
        is_moved = page.name in MOVED and re.match(MOVED[page.name], line)
        cells = re.sub(r"(?:^ {5}|, )(?:used|alarms at|of|scope) ", "", line) if is_moved else line
        # The bar of a slab, and its legend, are drawn where the objects fit.
        if line.replace("ALARMS AT", "ALARMS-AT") not in titles and not line.startswith(" one slab "):
            found += re.sub(r"[│├└─█▉▊▋▌▍▎▏▓▒░\s–]" if page.name == "headroom" else r"[│├└─█▉▊▋▌▍▎▏▓▒░\s]", "", cells)
    return sorted(found)


def heading_lines(page: Page, figures: Ledger, columns: int) -> list[str]:
    """The heading lines of the tables of a page."""
    lines = [text_of(line).rstrip() for line in page.lines(figures, columns) if line and line[0][1] == "head"]
    return [line.replace("ALARMS AT", "ALARMS-AT") for line in lines if line.isupper()]


@pytest.mark.quick_cases(3)
@each_recording
@pytest.mark.parametrize("columns", [60, 76])
def test_a_narrow_page_has_the_text_of_a_wide_one(kernel: str, phase: str, columns: int) -> None:
    """Only line breaks and table headings differ."""
    figures = ledger(kernel, phase)
    for page in all_pages(figures):
        assert characters(page, figures, columns) == characters(page, figures, 120), page.name


def test_the_headings_of_figures_are_never_lost() -> None:
    figures = ledger("6.1-4n", "established")
    for page in PAGES:
        wide = [line.split() for line in heading_lines(page, figures, 120)]
        for columns in (60, 76, 100):
            lines = draw(page, figures, columns)
            narrow = [line.split() for line in heading_lines(page, figures, columns)]
            lost = {title for titles in wide for title in titles} - {title for titles in narrow for title in titles}
            # The heading of the text column may be dropped, because the text below the row explains itself.
            lost -= {"HOLDS", "CACHE,", "AND", "WHAT", "FOR", "NOW"} if page.name != "headroom" else set()
            for title in lost:
                words = title.lower().replace("-", " ")
                assert any(re.search(rf"^ {{5}}(.*, )?{words} ", line) for line in lines), (page.name, title)


def test_columns_that_do_not_fit_move_below_their_row() -> None:
    """The headroom page moves columns at a width of 60; the states page moves its single column only at smaller
    widths.
    """
    figures = ledger("6.1-4n", "established")
    lines = draw(named_page("headroom"), figures, 60)
    assert [line.split() for line in heading_lines(named_page("headroom"), figures, 60)] == [
        ["LIMIT", "STATE", "USED", "%", "FITS", "MORE"]
    ]
    for limit in figures.limits["full"].rows:
        at = next(at for at, line in enumerate(lines) if line.startswith(f" {limit.label}  "))
        maximum = f"{limit.maximum or 0:,}".replace(",", " ")
        if limit.unit != "bytes" and limit.maximum is not None:
            at_most = "≤ " if limit.maximum_is_at_most else ""
            assert f"of {at_most}{maximum}" in lines[at + 1]
        assert f"scope {SCOPE_LABELS.get(limit.scope, limit.scope)}" in " ".join(lines[at + 1 : at + 3])
    states = draw(named_page("states"), figures, 50)
    scopes = [SCOPE_LABELS.get(state.scope, state.scope) for state in figures.states if state.scope is not None]
    assert [line.strip() for line in states if line.startswith("     of ")] == [f"of {scope}" for scope in scopes]
    assert [line.split()[-1] for line in heading_lines(named_page("states"), figures, 50)] == ["SOCKETS"]
    assert max(map(cell_len, states)) <= 50


def test_a_function_is_never_broken() -> None:
    for subject in CALL_PATH_PAGES:
        whole = set(
            re.findall(r"\w+\(\d?\)", "\n".join(draw(named_page(subject), ledger("6.1-4n", "established"), 120)))
        )
        narrow = set(
            re.findall(r"\w+\(\d?\)", "\n".join(draw(named_page(subject), ledger("6.1-4n", "established"), 60)))
        )
        assert whole == narrow


def test_no_word_of_the_catalogue_is_broken() -> None:
    lines = "\n".join(draw(named_page("catalogue"), ledger("6.1-4n", "established"), 100))
    assert lines.count("epoll_ctl(EPOLL_CTL_ADD)") == 3


def test_no_figure_is_broken_over_two_lines() -> None:
    figures = ledger("6.1-4n", "established")
    for columns in WIDTHS:
        for page in all_pages(figures):
            lines = draw(page, figures, columns)
            for line, after in pairwise(lines):
                broken = re.search(r" \d{1,3}$", line) and re.match(r" +\d{3}\b", after)
                assert not broken, (page.name, line, after)


# Sizes.

SIZE = re.compile(r"[+-] (?P<name>\S+)(?: \(row (?P<row>\S+)\))? +(?P<bytes>[\d ]+) B, (?P<share>[\d ]+) B of slab$")


@pytest.mark.parametrize("subject", CALL_PATH_PAGES)
@each_recording
def test_sizes_beside_allocations_are_those_of_the_rows(kernel: str, phase: str, subject: str) -> None:
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    lines = draw(named_page(subject), ledger(kernel, phase), 120)
    seen: set[str] = set()
    for found in filter(None, map(SIZE.search, lines)):
        name, row = found["name"], row_of(kernel, phase, found["name"])
        assert row is not None, name
        assert found["row"] == (None if row == name else row)
        assert parse_numbers(found["bytes"]) == [rows[row].size], name
        assert parse_numbers(found["share"]) == [round(rows[row].share(page_bytes(kernel)))], name
        seen.add(name)
    known = {"socket": 8, "accept": 8, "time_wait": 8, "optional": 4}
    assert len(seen) >= known[subject]


@each_recording
def test_an_object_that_a_tree_calls_absent_has_no_row(kernel: str, phase: str) -> None:
    for subject in CALL_PATH_PAGES:
        for line in draw(named_page(subject), ledger(kernel, phase), 120):
            found = re.search(r"[+-] (.+?) +not on this kernel$", line)
            if found and found[1] != "struct socket_wq, kmalloc":
                assert row_of(kernel, phase, found[1]) is None, line


@each_recording
def test_the_catalogue_has_every_object_with_the_size_of_its_row(kernel: str, phase: str) -> None:
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    head, *lines = draw(named_page("catalogue"), ledger(kernel, phase), 120)
    assert re.fullmatch(r" OBJECT +OBJECT B +SLAB B  CACHE, AND WHAT FOR", head)
    # The text of a row continues in the next lines, below the heading of the text column.
    joined = re.sub(r"\n {30,}", " ", "\n".join(lines)).splitlines()
    assert len(joined) == len(KERNEL_OBJECTS)
    for item, line in zip(KERNEL_OBJECTS, joined, strict=True):
        short = item.struct.removeprefix("struct ")
        assert line.startswith(f" {short}  "), line
        absent = live_size(ledger(kernel, phase), item).basis == "absent"
        assert (f"  not on this kernel: {item.purpose}" if absent else f": {item.purpose} (") in line
        if absent:
            assert re.match(rf" {short} +none +none  not on this kernel: ", line), line
            continue
        cache_name = next((cache for cache in item.caches if row_of(kernel, phase, cache)), None)
        row = row_of(kernel, phase, cache_name) if cache_name is not None else None
        if cache_name is None or row is None:
            if item.caches:
                assert re.fullmatch(rf" {short} +– +–  {item.caches[0]}: .*", line), line
            else:
                assert re.search(r"  kmalloc(-\d+)?(| to kmalloc-\d+k?): ", line), line
            continue
        place = re.escape(cache_name if row == cache_name else f"{cache_name} in {row}")
        share = round(rows[row].share(page_bytes(kernel)))
        cells = rf" +{rows[row].size:,} +{share:,}  ".replace(",", " ")
        assert re.match(rf" {re.escape(short)}{cells}{place}: ", line), line


def test_vectors_that_may_not_exist_have_no_size_of_0() -> None:
    """The recordings have no files of memory cgroups."""
    figures = ledger("6.1-4n", "established")
    vectors = live_size(figures, CGROUP_VECTORS)
    assert (vectors.object_bytes, vectors.slab) == (None, (0, 512))
    assert has_vector_row(figures, "– +≤ 512")
    assert has_vector_in_tree(figures, "none, or up to 512 B of slab")
    assert fact_text(draw(find("obj_cgroup vectors"), figures, 100), "size") == "none, or up to 512 B of slab"


def find(name: str) -> Page:
    page = find_page(ledger("6.1-4n", "established"), name)
    assert page is not None
    return page


def has_vector_row(figures: Ledger, sizes: str) -> bool:
    [line] = [line for line in draw(named_page("catalogue"), figures, 120) if line.startswith(" obj_cgroup vectors ")]
    return bool(re.match(rf" obj_cgroup vectors +{sizes}  kmalloc-128 to kmalloc-512: ", line))


def has_vector_in_tree(figures: Ledger, size: str) -> bool:
    trees = "\n".join(draw(named_page("socket"), figures, 100))
    end = rf"\+ obj_cgroup vectors, kmalloc-128 to kmalloc-512 +{size}$"
    return bool(re.search(end, trees, re.MULTILINE))


def test_vectors_have_a_range_of_sizes() -> None:
    """A vector has 8 bytes for each of the 14 socks or 64 bind buckets of a slab, so vectors are in kmalloc-128 to
    kmalloc-512.
    """
    cgroups: Reading[MemoryCgroups] = Reading("ok", MemoryCgroups(True), None, 0.0, 1, None, None, None)
    figures = account(snapshot("6.1-4n", "established")._replace(memory_cgroups=cgroups))
    assert has_vector_row(figures, "– +≈ 128")
    assert has_vector_in_tree(figures, "128 to 512 B of slab")
    for name in ("obj_cgroup vectors", "kmalloc-128", "kmalloc-256", "kmalloc-512"):
        page = find_page(figures, name)
        assert page is not None
        assert fact_text(draw(page, figures, 100), "size") == "128 to 512 B of slab"


def test_a_size_with_two_candidates_is_about_the_smaller() -> None:
    """AppArmor needs 16 or 24 bytes per sock; so few sockets are left that either kmalloc cache may have the blobs."""
    figures = ledger("6.1-4n", "timewait")
    [line] = [line for line in draw(named_page("catalogue"), figures, 120) if line.startswith(" LSM socket blob ")]
    assert re.match(r" LSM socket blob +16 +≈ 16  kmalloc-16: ", line), line
    trees = "\n".join(draw(named_page("socket"), figures, 100))
    assert re.search(r"\+ LSM socket blob, kmalloc-16 +16 B, 16 to 32 B of slab$", trees, re.MULTILINE)


def test_an_unreadable_machine_has_no_sizes_and_no_zeros(unreadable: Ledger) -> None:
    for page in PAGES:
        for line in draw(page, unreadable, 100):
            assert not re.search(r"\d B\b", line) or "8 bytes" in line, (page.name, line)
    for name in ("states", "memory", "headroom"):
        assert "–" in "\n".join(draw(named_page(name), unreadable, 100))
    socket = [line for line in draw(named_page("socket"), unreadable, 100) if re.search(r"[+-] \S", line)][1:]
    assert sum(line.endswith("size not known") for line in socket) >= 14


def test_an_unreadable_machine_has_no_object_called_absent(unreadable: Ledger) -> None:
    for page in PAGES:
        assert "not on this kernel" not in "\n".join(draw(page, unreadable, 100)), page.name


# Pages of one cache.


def fact_text(lines: list[str], title: str) -> str:
    """The text beside a title, joined with its continuation lines."""
    at = next(index for index, line in enumerate(lines) if line.startswith(f" {title}  "))
    found = [lines[at].removeprefix(f" {title}").strip()]
    for line in lines[at + 1 :]:
        if not line.startswith(" " * 12):
            break
        found.append(line.strip())
    return " ".join(found)


@each_recording
def test_the_page_of_a_cache_has_the_counts_of_its_row(kernel: str, phase: str) -> None:
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    for name in ("TCP", "sock_inode_cache", "dentry", "tw_sock_TCP", "request_sock_TCP"):
        row = rows[name]
        now = fact_text(draw(page_of_cache(name), ledger(kernel, phase), 120), "now")
        found = re.match(
            r"(?P<objects>[\d ]+) objects? in (?P<slabs>[\d ]+) slabs?, .*; active (≤ )?(?P<active>[\d ]+)", now
        )
        assert found, now
        assert [parse_numbers(found[each])[0] for each in ("objects", "slabs", "active")] == [
            row.objects,
            row.slabs,
            row.active,
        ]


@each_recording
def test_the_page_of_a_cache_breaks_down_the_size_of_an_object(kernel: str, phase: str) -> None:
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    for name in ("TCP", "sock_inode_cache", "tw_sock_TCP"):
        row, struct = rows[name], int(text(kernel, phase, f"sys/kernel/slab/{name}/object_size"))
        lines = draw(page_of_cache(name), ledger(kernel, phase), 120)
        assert parse_numbers(fact_text(lines, "struct"))[0] == struct
        step = parse_numbers(fact_text(lines, "spacing"))
        assert step == ([row.size, row.size - struct] if row.size > struct else [row.size])
        share = row.share(page_bytes(kernel))
        pages = "page" if row.pages == 1 else "pages"
        order = row.pages.bit_length() - 1
        assert fact_text(lines, "slab share") == (
            f"{share:,.1f} B: ".replace(",", " ") + f"{row.per_slab} objects in {row.pages} {pages} (order {order}),"
            f" {share - row.size:.1f} B left over for each"
        )


def merged_names(kernel: str, phase: str, name: str) -> list[str]:
    """The names of all links to the sysfs folder of a merged cache."""
    slab = tree(kernel, phase) / "sys/kernel/slab"
    return sorted(
        path.name
        for path in slab.iterdir()
        if path.is_symlink() and path.readlink() == (slab / name).readlink() and path.name != str(path.readlink())
    )


@pytest.mark.parametrize(("kernel", "phase"), [each for each in RECORDINGS if not each[0].endswith("nomerge")])
def test_a_merged_cache_names_its_row_and_the_other_caches_in_it(kernel: str, phase: str) -> None:
    row = row_of(kernel, phase, "tcp_bind_bucket")
    for name in ("tcp_bind_bucket", str(row)):
        lines = draw(page_of_cache(name), ledger(kernel, phase), 100)
        counted = fact_text(lines, "counted in")
        assert counted.startswith(f"row {row}, merged: ")
        assert counted.partition("merged: ")[2].split(", ") == merged_names(kernel, phase, "tcp_bind_bucket")
        assert " Size and origin of struct inet_bind_bucket" in lines


def test_a_row_has_all_objects_of_its_caches_and_a_merged_cache_only_its_own() -> None:
    figures = ledger("6.1-4n", "established")
    assert merged_names("6.1-4n", "established", "tcp_bind_bucket") == [
        *("eventpoll_epi", "fib6_nodes", "pid", "task_delay_info", "tcp_bind_bucket"),
    ]
    row, own = (draw(page_of_cache(name), figures, 100) for name in ("pid", "tcp_bind_bucket"))
    heads = [f" Size and origin of struct {name}" for name in ("epitem", "inet_bind_bucket")]
    assert [head in row for head in heads] == [True, True]
    assert [head in own for head in heads] == [False, True]


@pytest.mark.parametrize("name", ["pid", "tcp_bind_bucket"])
def test_a_merged_cache_says_which_structs_of_tcp_count_in_its_row(name: str) -> None:
    lines = draw(page_of_cache(name), ledger("6.1-4n", "established"), 100)
    assert fact_text(lines, "TCP's") == "epitem (in eventpoll_epi), inet_bind_bucket (in tcp_bind_bucket)"
    others = fact_text(lines, "not TCP's")
    assert others.startswith("fib6_nodes, pid (the row has its name), task_delay_info: their objects count in the row")


def test_members_that_were_not_read_name_btf_and_the_reason() -> None:
    reason = "not read: slabinfo has the sizes, and no listed security module keeps data for each socket"
    figures = ledger("6.1-4n", "established")
    sources = {**figures.sources, "btf": figures.sources["btf"]._replace(state="off", reason=reason)}
    lines = draw(page_of_cache("TCP"), figures._replace(sources=sources, structs={}), 100)
    assert fact_text(lines, "members") == f"only BTF has them: {reason}"


def test_a_cache_that_is_not_merged_names_no_other_cache() -> None:
    for name in ("tcp_bind_bucket", "filp"):
        lines = draw(page_of_cache(name), ledger("6.1-4n-nomerge", "established"), 100)
        assert not any("merged" in line for line in lines)


@pytest.mark.parametrize("item", KERNEL_OBJECTS, ids=lambda item: f"{item.struct} {item.caches[:1]}")
def test_all_states_that_hold_an_object_are_named(item: object) -> None:
    found = next(each for each in KERNEL_OBJECTS if each is item)
    if not found.caches:
        return
    held = fact_text(draw(page_of_cache(found.caches[0]), ledger("6.1-4n", "established"), 100), "in states")
    if found.held_in and found.held_in != frozenset(State):
        named = set(re.split(r", | and ", held.removeprefix("all but ")))
        expected = set(State) - found.held_in if held.startswith("all but ") else found.held_in
        assert named == {state.value for state in expected}


@pytest.mark.parametrize("name", ["TCP", "sock_inode_cache", "filp", "tcp_bind_bucket"])
def test_states_without_a_row_are_not_left_out(name: str) -> None:
    """SYN_SENT, FIN_WAIT1, CLOSING and LAST_ACK have whole sockets, too, but no row of their own."""
    held = fact_text(draw(page_of_cache(name), ledger("7.3-4n", "established"), 200), "in states")
    assert re.fullmatch(r"all but SYN_RECV(, accept queue)?((, [^,]+)* and TIME_WAIT)?", held)


@pytest.mark.parametrize("state", ["SYN_SENT", "FIN_WAIT1", "CLOSING", "LAST_ACK"])
def test_a_state_without_a_row_says_what_it_takes(state: str) -> None:
    figures = ledger("6.1-4n", "established")
    page = explain_word(figures, state)
    assert page is not None
    lines = draw(page, figures, 200)
    assert "takes as much as ESTABLISHED" in lines[1]
    assert any(state in line and "take as much as ESTABLISHED" in line for line in lines[3:])


def test_a_cache_that_does_not_exist_on_this_kernel() -> None:
    lines = draw(page_of_cache("skbuff_small_head"), ledger("6.1-4n", "established"), 100)
    assert fact_text(lines, "source") == "there is none on this kernel, as it is configured"
    assert fact_text(lines, "kernels").startswith("since 6.3")
    assert not [line for line in lines if line.startswith((" now ", " size "))]


def test_a_cache_without_objects_of_tcp() -> None:
    rows = slab_rows(text("6.1-4n", "established", "proc/slabinfo"))
    lines = draw(page_of_cache("ext4_inode_cache"), ledger("6.1-4n", "established"), 100)
    assert parse_numbers(fact_text(lines, "now"))[:2] == [
        rows["ext4_inode_cache"].objects,
        rows["ext4_inode_cache"].slabs,
    ]
    assert any("No object of a TCP socket" in line for line in lines)


def test_a_cache_with_a_share_of_tcp() -> None:
    lines = draw(page_of_cache("kmalloc-16"), ledger("6.1-4n", "established"), 100)
    assert fact_text(lines, "TCP part").startswith("250.0 KiB")
    assert not any("No object of a TCP socket" in line for line in lines)


def test_without_slabinfo_a_page_gives_the_reason_and_the_sizes_from_sysfs(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "proc/slabinfo").unlink()
    figures = ledger_of(root)
    lines = draw(page_of_cache("tcp_bind_bucket"), figures, 100)
    assert "slabinfo" in fact_text(lines, "now")
    assert "a row that cannot be read" in fact_text(lines, "counted in")
    tcp = draw(page_of_cache("TCP"), figures, 100)
    assert parse_numbers(fact_text(tcp, "struct"))[0] == 2280


def test_each_size_of_an_object_has_a_name_of_its_own() -> None:
    lines = draw(page_of_cache("sock_inode_cache"), ledger("6.18-1n", "established"), 100)
    assert fact_text(lines, "struct").startswith("768 B")
    assert fact_text(lines, "spacing").startswith("832 B from one object to the next")
    assert fact_text(lines, "slab share").startswith("862.3 B: 19 objects in 4 pages")
    assert fact_text(lines, "there is") == "one for each socket"
    assert fact_text(lines, "in states").startswith("all but SYN_RECV, accept queue")
    assert fact_text(lines, "found by").startswith("the name of its cache")


@pytest.mark.parametrize(
    ("cache", "scope"),
    [
        ("TCP", "IPv4 socket"),
        ("TCPv6", "IPv6 socket"),
        ("tw_sock_TCP", "IPv4 mini-socket, as in TIME_WAIT"),
        ("tw_sock_TCPv6", "IPv6 mini-socket, as in TIME_WAIT"),
        ("request_sock_TCP", "IPv4 handshake"),
        ("request_sock_TCPv6", "IPv6 handshake"),
        ("tcp_bind_bucket", "local port"),
        ("tcp_bind2_bucket", "local port and address"),
        ("dentry", "socket"),
    ],
)
def test_an_object_is_said_to_be_of_just_the_sockets_that_have_it(cache: str, scope: str) -> None:
    figures = ledger("6.18-1n", "established")
    assert fact_text(draw(page_of_cache(cache), figures, 100), "there is") == f"one for each {scope}"
    catalogue = " ".join(" ".join(draw(named_page("catalogue"), figures, 400)).split())
    assert f"(for each {scope})" in re.split(rf" {cache}(?: in \S+)?: ", catalogue)[1].split(" B ")[0]


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 120])
def test_the_bar_of_a_slab_shows_each_of_its_objects_or_is_left_out(columns: int) -> None:
    figures = ledger("6.1-4n", "established")
    for name in ("TCP", "sock_inode_cache", "filp"):
        cache = figures.cache(name)
        assert cache is not None
        lines = draw(page_of_cache(name), figures, columns)
        legends = [index for index, line in enumerate(lines) if line.startswith(" one slab ")]
        bars = [next(line.strip() for line in lines[index:] if re.fullmatch(r" +[█▓░]+", line)) for index in legends]
        for bar in (*bars, *(report_to_ascii(bar).replace("#", "█").replace("%", "▓") for bar in bars)):
            objects = re.findall("█+|▓+", bar)
            assert len(objects) == cache.objects_per_slab
            assert len(set(map(len, objects))) == 1, "objects of different widths"
            assert not bar.strip("█▓░.")
        assert bars or columns < 2 * (cache.objects_per_slab or 0) + 16


@pytest.mark.parametrize(("kernel", "row"), [("6.1-8n", "pid"), ("5.10-4n", "kernfs_node_cache")])
def test_a_part_that_is_the_middle_of_a_range_is_named_so_and_is_within_its_cache(kernel: str, row: str) -> None:
    figures = ledger(kernel, "established")
    part = fact_text(draw(page_of_cache(row), figures, 200), "TCP part")
    assert "the middle of what is possible" in part
    assert "by the number" not in part
    assert "by the number" in fact_text(draw(page_of_cache("sock_inode_cache"), figures, 200), "TCP part")
    cache = figures.cache(row)
    assert cache is not None
    most = re.search(r"^≤ ([\d ]+) KiB", part)
    assert most is not None, part
    assert int(most[1].replace(" ", "")) <= (cache.bytes or 0) / 1024


def test_rows_that_have_more_than_meminfo_leave_nothing_unexplained() -> None:
    figures = ledger("6.1-4n", "established")
    memory = figures.slab_memory._replace(unexplained_bytes=-1_258_291)
    page = "\n".join(draw(named_page("memory"), figures._replace(slab_memory=memory), 120))
    assert re.search(r"unexplained +0 B +0% +within the error: the rows have 1\.2 MiB more", page)


def test_a_struct_with_its_largest_members_its_holes_and_its_padding() -> None:
    members = (
        StructMember("first", 0, 4, None),
        StructMember("large", 8, 1024, None),
        StructMember("flags.low", 1032, 4, 3),
        StructMember("flags.high", 1032, 4, 29),
        StructMember("last", 1048, 8, None),
    )
    layout = StructLayout("tcp_sock", 1088, members, has_free_pointer=False)
    figures = ledger("6.1-4n", "established")._replace(structs={"tcp_sock": layout})
    lines = draw(page_of_cache("TCP"), figures, 100)
    at = lines.index(" Members of struct tcp_sock  1 088 B, its largest members")
    assert [line.split() for line in lines[at + 1 : at + 6]] == [
        ["1", "024", "B", "at", "8", "large"],
        ["8", "B", "at", "1048", "last"],
        ["4", "B", "at", "0", "first"],
        ["4", "B", "at", "1032", "flags.low"],
        ["4", "B", "at", "1032", "flags.high"],
    ]
    assert fact_text(lines, "holes") == "2, 16 B: 4 B at 4, 12 B at 1036"
    assert fact_text(lines, "padding") == "32 B at its end"
    assert any(line.startswith(" struct  ") and "1 088 B, by BTF" in line for line in lines)


# Ranges, and the headroom.


@pytest.mark.parametrize("columns", [76, 100])
def test_each_part_of_tcps_memory_has_its_basis_beside_it(columns: int) -> None:
    cgroups: Reading[MemoryCgroups] = Reading("ok", MemoryCgroups(True), None, 0.0, 1, None, None, None)
    figures = account(snapshot("6.1-4n", "established")._replace(memory_cgroups=cgroups))
    lines = draw(named_page("memory"), figures, columns)
    at = next(at for at, line in enumerate(lines) if line.startswith(" TCP PART "))
    for part, line in zip(
        (part for part in figures.tcp_memory.parts if part.row and part.high_bytes), lines[at + 1 :], strict=False
    ):
        size, words = re.split(r"  +", line.removeprefix(f" {part.text}").strip())
        assert size.endswith("iB")
        if not part.estimated:
            assert words == "read"
        elif part.low_bytes == part.high_bytes:
            assert words == "computed"
        else:
            low, high = re.fullmatch(r"([\d. ]+)(?: [A-Z]\w*)? to ([\d. ]+) \w+", words).groups()  # type: ignore[union-attr] # else it fails
            assert low != high


@each_recording
def test_the_parts_of_tcps_memory_add_up_to_the_row_of_the_total(kernel: str, phase: str) -> None:
    memory = ledger(kernel, phase).tcp_memory
    lines = draw(named_page("memory"), ledger(kernel, phase), 100)
    rows = lines[next((at for at, line in enumerate(lines) if line.startswith(" TCP PART ")), len(lines)) :]
    total = next((line for line in rows if line.startswith(" total ")), "")
    assert bool(total) == (memory.shown_bytes is not None and bool(rows))
    assert not total or units.size(memory.shown_bytes) in total
    buffers = next(part for part in memory.parts if part.name == "socket buffers")
    assert any(line.startswith(" socket buffers ") for line in rows) == bool(buffers.high_bytes)
    assert memory.bytes in (None, sum(part.bytes for part in memory.parts))


def test_a_figure_with_a_range_is_about_or_at_most() -> None:
    """In `established` the LSM blob has a range of sizes, and vectors are unknown."""
    figures = ledger("6.1-4n", "established")
    figure = figures.costs["full"].by_family["mix"]
    for side in (figure.accepted, figure.outgoing):
        high = sum(part.high_slab_bytes or 0 for part in side.parts)
        assert side.slab_bounds() == (side.slab_bytes, side.high_slab_bytes)
        assert side.high_slab_bytes == pytest.approx(high, abs=0.01)
    low = sum(part.slab_bytes or 0 for part in figure.accepted.parts)
    assert side_amount(figure.accepted) == f"≈ {round(low):,}".replace(",", " ")
    most = ceil(figure.outgoing.high_slab_bytes or 0)
    assert side_amount(figure.outgoing, own_port=True) == f"≤ {most:,}".replace(",", " ")


def test_a_figure_without_a_range_is_exact() -> None:
    figures = ledger("6.1-4n", "established")
    figure = figures.costs["full"].by_family["mix"]
    sure = tuple(
        part._replace(high_slab_bytes=part.slab_bytes) for part in figure.accepted.parts if part.slab_bytes is not None
    )
    side = figure.accepted._replace(parts=sure)
    assert side.slab_bounds() == (side.slab_bytes, side.slab_bytes)
    assert side_amount(side) == f"{round(side.slab_bytes or 0):,}".replace(",", " ")
    assert side_amount(side._replace(missing=("filp",))).startswith("≥ ")


@each_recording
def test_the_headroom_sentence_has_both_ends_and_the_first_limit(kernel: str, phase: str) -> None:
    figures = ledger(kernel, phase)
    found = figures.headroom["full"]
    # The figure is rounded down to three digits.
    sockets, before_reclaim = (
        f"{int(str(number)[:3].ljust(len(str(number)), '0')):,}".replace(",", " ")
        for number in (found.sockets, found.without_reclaim_high)
    )
    low = str(found.without_reclaim_low)
    is_range = low[:3].ljust(len(low), "0") != before_reclaim.replace(" ", "")
    before = f"{'≤ ' if is_range else ''}{before_reclaim} before reclaim"
    before = "no reclaim needed" if sockets == before_reclaim and not is_range else before
    buffers = "average buffers" if found.buffer_bytes else "without data"
    start = f"{sockets} more sockets fit, memory first of known limits, {before}"
    assert headroom_sentence(figures).startswith(f"{start}; half client side, {buffers}")


def test_the_headroom_of_sockets_that_are_known_in_part_is_an_upper_bound(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "proc/slabinfo").unlink()
    figures = ledger_of(root)
    assert figures.costs["full"].by_family["mix"].outgoing.missing
    assert headroom_number(figures).startswith("≤ ")
    assert re.search(
        r"^≤ [\d ]+ more sockets fit, memory first of known limits, no reclaim needed; half client side, without data",
        headroom_sentence(figures),
    )
    memory = figures.headroom["full"]._replace(without_reclaim_high=1_000)
    figures = figures._replace(headroom={**figures.headroom, "full": memory})
    assert re.search(
        r"^≤ [\d ]+ more sockets fit, memory first of known limits, ≤ 1 000 before reclaim",
        headroom_sentence(figures),
    )
    assert re.search(r"(?m)^ memory .* ≤ [\d ]+  machine", "\n".join(map(text_of, headroom_page(figures, 100))))


def test_a_number_that_fits_in_free_memory_is_a_bound_if_fewer_fit_in_small_slabs() -> None:
    figures = ledger("6.1-4n", "established")
    exact = figures.headroom["full"]
    assert exact.with_reclaim is not None
    for low, high, start in (
        (900_000, 1_000_000, "≤ 1 000 000 before reclaim"),
        (900_000, exact.sockets, "≤ "),
        (exact.sockets, exact.sockets, "no reclaim needed"),
    ):
        found = exact._replace(without_reclaim_low=low, without_reclaim_high=high)
        assert before_reclaim_text(found).startswith(start)


def test_free_objects_on_lists_of_cpus_are_told_beside_the_free_ones() -> None:
    figures = ledger("6.1-4n", "established")
    row = figures.cache("TCP")
    assert row is not None
    assert row.objects is not None
    caches = tuple(
        line._replace(active_objects=row.objects, idle_error_objects=10) if line.name == "TCP" else line
        for line in figures.caches
    )
    page = " ".join(" ".join(draw(page_of_cache("TCP"), figures._replace(caches=caches), 200)).split())
    assert f" 0 B in free objects (up to {10 * (row.object_bytes or 0):,} B more".replace(",", " ") in page
    assert "≥ 0 B" not in page


# Pages of a label in a figure.


def test_a_label_of_one_cache_opens_the_page_of_that_cache() -> None:
    figures = ledger("6.1-4n", "established")
    for label, cache in (("TCP", "TCP"), ("inode", "sock_inode_cache"), ("dentry", "dentry"), ("file", "filp")):
        page = page_of_label(figures, label)
        assert page is not None
        assert page.name == cache


def test_a_label_of_several_objects_opens_a_page_of_them_all() -> None:
    figures = ledger("6.1-4n", "established")
    for label, structs in (
        ("LSM", ["LSM file blob", "LSM inode blob", "LSM socket blob"]),
        ("port", ["struct inet_bind_bucket", "struct inet_bind2_bucket"]),
        ("memcg", ["obj_cgroup vectors"]),
    ):
        page = page_of_label(figures, label)
        assert page is not None
        lines = draw(page, figures, 100)
        assert page.title == label
        assert [line[1:] for line in lines if re.match(r" (struct inet|LSM|obj_cgroup)", line)] == structs


def test_a_label_without_objects_has_no_page() -> None:
    assert page_of_label(ledger("6.1-4n", "established"), "idle") is None


# Names.


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("states", "states"),
        ("catalogue", "catalogue"),
        ("TCP", "TCP"),
        ("pid", "pid"),
        ("tcp_bind_bucket", "tcp_bind_bucket"),
        ("nf_conntrack", "nf_conntrack"),
        ("ext4_inode_cache", "ext4_inode_cache"),
        ("struct tcp_sock", "TCP"),
        ("tcp_sock", "TCP"),
        ("inet_bind_bucket", "tcp_bind_bucket"),
        ("LSM file blob", "lsm_file_cache"),
    ],
)
def test_a_page_by_its_name(name: str, page: str) -> None:
    found = find_page(ledger("6.1-4n", "established"), name)
    assert found is not None
    assert found.name == page


@pytest.mark.parametrize("name", ["", "tcpx", "struct", "nothing", "--", "states\n", "*"])
def test_an_unknown_name_has_no_page(name: str) -> None:
    assert find_page(ledger("6.1-4n", "established"), name) is None


@pytest.mark.parametrize("item", [item for item in KERNEL_OBJECTS if not item.caches], ids=lambda item: item.struct)
def test_every_object_that_the_catalogue_lists_has_a_page(item: object) -> None:
    found = next(each for each in KERNEL_OBJECTS if each is item)
    assert find_page(ledger("6.1-4n", "established"), found.struct) is not None


# Cache names from a hostile kernel module or saved tree.

HOSTILE = "[b]x[@click=quit]\x1b[2J\u202e"


@pytest.fixture
def hostile(tmp_path: Path) -> Ledger:
    """A tree in which the row of bind buckets and an alias of the row have names with escape sequences."""
    root = copy_recording("6.1-4n", "established", tmp_path)
    slabinfo = root / "proc/slabinfo"
    slabinfo.write_text(re.sub(r"^pid ", f"{HOSTILE} ", slabinfo.read_text(), flags=re.MULTILINE))
    (root / "sys/kernel/slab/pid").unlink()
    link_caches(root, {":A-0000128": (HOSTILE, "\x07\x9b31m\u2028bell")})
    return ledger_of(root)


@pytest.mark.parametrize("columns", [60, 100])
def test_a_hostile_name_is_printed_as_escapes(hostile: Ledger, columns: int) -> None:
    [row] = [line.row for line in hostile.caches if line.name == "tcp_bind_bucket"]
    assert row is not None
    assert row == "[b]x[@click=quit]\\x1b[2J\\u202e"
    for page in [*PAGES, page_of_cache("tcp_bind_bucket"), page_of_cache(row)]:
        for line in draw(page, hostile, columns):
            assert line.isprintable(), (page.name, line)
    lines = "\n".join(draw(page_of_cache("tcp_bind_bucket"), hostile, 120))
    assert f"row {row}, merged: " in lines
    assert "\\x07\\x9b31m\\u2028bell" in lines


def test_no_line_holds_a_line_break_or_a_control_character() -> None:
    for kernel, phase in RECORDINGS:
        for page in all_pages(ledger(kernel, phase)):
            for line in draw(page, ledger(kernel, phase), 80):
                assert line.isprintable(), (page.name, line)


# The average compared with the cost of one more socket.


@pytest.mark.parametrize("word", ["average now", "one more socket", "states"])
def test_an_average_below_one_more_socket_is_explained_with_the_machines_numbers(word: str) -> None:
    """Of 16 001 sockets, 8 000 wait in the accept queue of a listener."""
    figures = ledger_of(tree("6.1-4n", "unaccepted"))
    page = explain_word(figures, word)
    assert page is not None
    drawn = " ".join("\n".join(map(text_of, page.lines(figures, 100))).split())
    assert re.search(
        r"The average now, 3 045 B, is 659 B less than one more socket at the server side, 3 704 B: about 7 \d\d\d of"
        r" 16 001 sockets have no file and no inode \(orphans: 0; others wait in accept queues, or are the",
        drawn,
    )


def test_an_average_above_one_more_socket_is_explained_by_idle_objects() -> None:
    figures = ledger_of(tree("6.1-4n", "halfclosed"))
    assert average_sentence(figures).endswith(", 3 704 B: about 2 345 B of each socket are idle.")
    few = ledger_of(tree("6.1-4n", "base"))
    assert average_sentence(few) == ""


@each_recording
def test_the_difference_to_the_average_is_that_of_the_figures_shown(kernel: str, phase: str) -> None:
    figures = ledger(kernel, phase)
    cost = figures.costs["full"]
    for now_bytes in (cost.now_bytes or 3904.0, 3906.6, 3906.4, 2816.5):
        shifted = cost._replace(now_bytes=now_bytes)
        sentence = average_sentence(figures._replace(costs={**figures.costs, "full": shifted}))
        now, difference, one_more = parse_numbers(sentence.partition(":")[0]) or (0, 0, 0)
        assert abs(now - one_more) == difference


@pytest.mark.parametrize(("name", "purposes"), [("TCP", 1), ("pid", 2), ("dentry", 1), ("sock_inode_cache", 1)])
def test_the_page_of_a_cache_begins_with_what_its_objects_are_for(name: str, purposes: int) -> None:
    """The purposes and the owners of all objects of a row stand above its counts, on 80 columns."""
    figures = ledger("6.1-4n", "established")
    lines = draw(page_of_cache(name), figures, 76)
    objects = [item for item in KERNEL_OBJECTS if f" {item.struct}" in {line.partition(" (in ")[0] for line in lines}]
    assert len(objects) == purposes
    top = " ".join(" ".join(lines[: next(at for at, line in enumerate(lines) if line.startswith(" now "))]).split())
    for item in objects:
        assert f"{item.struct} " in top
        assert item.definition in top
    assert top.count(" there is ") == purposes
    merged = [index for index, line in enumerate(lines) if line.startswith(" counted in ")]
    assert merged == ([0] if name == "pid" else [])
    start = lines.index("") if merged else 0
    assert lines.index(next(line for line in lines if line.startswith(" there is "))) - start < 6


def test_one_part_of_the_bar_and_of_the_report_stands_for_the_objects_of_both_families() -> None:
    figures = ledger("6.18-1n", "established")
    page = page_of_label(figures, "TCP v4/v6 average")
    assert page is not None
    text_of_page = "\n".join(draw(page, figures, 100))
    assert "struct tcp_sock" in text_of_page
    assert "struct tcp6_sock" in text_of_page
    report = as_text(figures).splitlines()
    for label, mode in (("TCP", "full"), ("tw_sock", "time_wait")):
        [at] = [index for index, line in enumerate(report) if line.startswith(f"    {label} v4/v6 average ")]
        assert re.search(r" [\d.]+ % are IPv4, in \w+; [\d.]+ % are IPv6, in \w+$", report[at + 1])
        parts = figures.costs[mode].by_family["mix"].outgoing.parts  # type: ignore[index]
        both = [part for part in parts if part.label in (label, f"{label}v6", f"{label} v6")]
        assert len(both) == 2
        share = f"{sum(part.slab_bytes or 0 for part in both):,.1f}".replace(",", " ")
        assert report[at].endswith(f" {share} B")


def test_free_objects_of_socks_are_those_beyond_the_sockets() -> None:
    figures = ledger("6.1-8n", "established")
    assert "≤ 15 may be free, on CPUs' lists: the other ones are sockets" in fact_text(
        draw(page_of_cache("TCP"), figures, 200), "now"
    )
    assert "(that is all those lists can hold)" in fact_text(draw(page_of_cache("pid"), figures, 200), "now")


@pytest.mark.parametrize(
    ("kernel", "cache"), [("6.1-8n", "tw_sock_TCP"), ("6.1-4n-ipv6", "tw_sock_TCPv6"), ("6.12-4n", "tw_sock_TCP")]
)
def test_free_objects_of_mini_sockets_are_those_beyond_the_mini_sockets(kernel: str, cache: str) -> None:
    figures = ledger(kernel, "timewait")
    row = slab_rows(text(kernel, "timewait", "proc/slabinfo"))[cache]
    [counted] = re.findall(r" tw (\d+)", text(kernel, "timewait", "proc/net/sockstat"))
    spare = row.active - int(counted)
    assert 0 < spare < 200
    page = draw(page_of_cache(cache), figures, 200)
    assert f"≤ {spare} may be free, on CPUs' lists: the other ones are mini-sockets" in fact_text(page, "now")
    assert f"(up to {units.count(spare * row.size)} B more on CPUs' lists)" in fact_text(page, "loss")


@pytest.mark.parametrize("columns", [60, 100, 200])
@pytest.mark.parametrize(("name", "pairs"), [("socket", 1), ("accept", 3), ("time_wait", 6), ("optional", 1)])
def test_calls_say_which_family_has_which_object(name: str, pairs: int, columns: int) -> None:
    """A call that lists the caches of both families says so each time: one socket has only one of the two."""
    lines = draw(named_page(name), ledger("6.1-4n", "established"), columns)
    own = [re.sub(r"^[ │├└─]+", "", line) for line in lines]
    found = 0
    for at, line in enumerate(own):
        match = re.match(r"[+-] (\w+)\b", line)
        if match is None or not own[at + 1].startswith(f"{line[:2]}{match[1]}v6"):
            continue
        rest = " ".join(own[at + 2 : at + 6])
        assert re.search(rf"{match[1]}v6 for (?:AF_INET6|an IPv6 handshake), instead of {match[1]}\b", rest), line
        found += 1
    assert found == pairs


def test_calls_of_one_family_do_not_name_the_other_again() -> None:
    lines = draw(page_of_cache("tw_sock_TCP"), ledger("6.1-4n", "timewait"), 100)
    assert not any("tw_sock_TCPv6 for" in line for line in lines)


def test_no_other_ones_are_named_if_all_may_be_free() -> None:
    of = snapshot("6.1-8n", "base")
    beside = of.slabinfo.sockstat
    assert beside is not None
    none = of._replace(slabinfo=of.slabinfo._replace(sockstat=beside._replace(time_wait=0)))
    now = fact_text(draw(page_of_cache("tw_sock_TCP"), account(none), 200), "now")
    assert now.endswith("of which ≤ 30 may be free, on CPUs' lists")


def test_the_page_of_attached_objects_begins_with_what_they_are() -> None:
    figures = ledger("6.1-8n", "established")
    page = explain_word(figures, "attached")
    assert page is not None
    shown = draw(page, figures, 100)
    assert shown[0] == " attached"
    assert shown[1].startswith("   Objects that a socket has only if")
    assert sum("Objects that a socket has only if" in line for line in shown) == 1


@pytest.mark.parametrize(
    ("word", "heads"),
    [
        ("memory", ["memory", "SLAB MEMORY", "Other meanings of “memory”:"]),
        ("counter", ["error of the counter", "Other meanings of “counter”:", "events"]),
        ("taken in advance", ["reserved"]),
        ("all netns", ["all netns"]),
    ],
)
def test_the_entry_of_a_limit_comes_first_and_other_meanings_last(word: str, heads: list[str]) -> None:
    figures = ledger("6.1-8n", "established")
    page = explain_word(figures, word)
    assert page is not None
    lines = draw(page, figures, 100)
    found = [next(index for index, line in enumerate(lines) if line.strip().startswith(head)) for head in heads]
    assert found == sorted(found)
    assert "SLAB MEMORY" not in heads or found[0] == 0


def test_a_share_of_bytes_that_is_a_bound_says_so() -> None:
    figures = ledger("5.10-4n", "established")
    chosen = CacheAttributes("filp", {"object_size": 256}, {}, None, None)
    filp = fact_text(draw(page_of_cache("filp"), figures._replace(chosen_cache=chosen), 200), "in structs")
    assert re.match(r"≤ [\d ]+ of [\d ]+ B: ≤ [\d.]+ %", filp)


@pytest.mark.quick_cases(8)
@each_recording
def test_a_share_of_bytes_that_is_at_most_something_is_rounded_up(kernel: str, phase: str) -> None:
    figures = ledger(kernel, phase)
    for line in figures.caches:
        chosen = CacheAttributes(line.name, {"object_size": line.object_size_bytes or 200}, {}, None, None)
        page = draw(page_of_cache(line.name), figures._replace(chosen_cache=chosen), 200)
        found = re.match(
            r"(≤ )?([\d ]+) of ([\d ]+) B: (≤ )?<?(\d+) %",
            next((each[13:] for each in page if each.startswith(" in structs ")), ""),
        )
        if found is not None:
            at_most, used, total, sign, share = found.groups()
            exact = 100 * int(used.replace(" ", "")) / int(total.replace(" ", ""))
            assert at_most == sign
            assert int(share) == (ceil(exact) if sign else int(exact)) or exact < 1


def test_the_counts_by_node_of_another_moment_say_so_themselves() -> None:
    figures = ledger("6.1-8n", "established")
    line = figures.cache("filp")
    assert line is not None
    assert line.slabs is not None
    for more in (0, 10):
        numbers = {"slabs": line.slabs + more, "partial": 0, "cpu_slabs": 0}
        by_node = {"slabs": {0: line.slabs + more}}
        attributes = CacheAttributes("filp", numbers, by_node, None, None)
        lines = draw(page_of_cache("filp"), figures._replace(chosen_cache=attributes), 100)
        at = next(index for index, each in enumerate(lines) if each.lstrip().startswith("NODE"))
        assert ("read at another moment" in lines[at - 1]) == bool(more)


def test_without_btf_the_source_of_the_sizes_says_that_members_are_not_shown() -> None:
    figures = ledger("6.1-8n", "established")
    assert fact_text(draw(page_of_cache("filp"), figures, 100), "source").endswith("no BTF: members not shown")
