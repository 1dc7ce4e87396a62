"""The pages that explain, at the widths of terminals: nothing is cut, and every figure is the kernel's own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from recorded import copy_recording, ledger, ledger_of, link_caches, row_of, slab_rows, snapshot, text, tree, write_tree
from rich.cells import cell_len

from tcptop.accounting import account
from tcptop.explanation import PAGES, Page, find_page, page_of_cache, page_of_label
from tcptop.explanation.headroom_page import headroom_number, headroom_sentence
from tcptop.explanation.live_size import live_size
from tcptop.explanation.states_page import side_amount
from tcptop.kernel.call_paths import CALL_PATH_PAGES
from tcptop.kernel.objects import CGROUP_VECTORS, KERNEL_OBJECTS, OBJECT_OF_CACHE, State
from tcptop.ledger import Ledger
from tcptop.snapshot import MemoryCgroups, Reading, StructLayout, StructMember
from tcptop.text.line import text_of

WIDTHS = (60, 76, 80, 100, 116, 120)
"""Those of a pipe and of terminals, and those inside the box on terminals of 80 and 120 columns."""

SHOWN = (
    ("5.10-4n", "timewait"),
    ("6.1-4n", "established"),
    ("6.1-4n-nomerge", "established"),
    ("6.1-4n-ipv6", "established"),
    ("6.12-arm64-16k-4n", "established"),
    ("7.3-4n", "timewait"),
)
SHOWN_NAMES = [f"{kernel}/{phase}" for kernel, phase in SHOWN]

each_shown = pytest.mark.parametrize(("kernel", "phase"), SHOWN, ids=SHOWN_NAMES)


def page_bytes(kernel: str) -> int:
    return 16384 if "16k" in kernel else 4096


@pytest.fixture(scope="module")
def unreadable(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    return ledger_of(write_tree(tmp_path_factory.mktemp("nothing"), {}))


def named(name: str) -> Page:
    [page] = [page for page in PAGES if page.name == name]
    return page


def drawn(page: Page, figures: Ledger, columns: int) -> list[str]:
    """The page as it is printed: what is blank at the end of a line is no part of it."""
    return [text_of(line).rstrip() for line in page.lines(figures, columns)]


def all_pages(figures: Ledger) -> Iterator[Page]:
    yield from PAGES
    names = {line.name for line in figures.caches if line.in_catalogue} | set(OBJECT_OF_CACHE)
    yield from map(page_of_cache, sorted(names))


def numbers(texts: str) -> list[int]:
    return [int(each.replace(" ", "")) for each in re.findall(r"\d{1,3}(?: \d{3})*", texts)]


@pytest.mark.parametrize("columns", WIDTHS)
@each_shown
def test_no_line_is_wider_than_the_columns(kernel: str, phase: str, columns: int) -> None:
    figures = ledger(kernel, phase)
    for page in all_pages(figures):
        widest = max(drawn(page, figures, columns), key=cell_len)
        assert cell_len(widest) <= columns, (page.name, widest)


@each_shown
def test_on_40_columns_no_figure_of_a_table_is_cut(kernel: str, phase: str) -> None:
    """Inside the box 36 columns are left: a row's name stands above its figures, which are those of a wide table."""
    figures = ledger(kernel, phase)
    for name in ("states", "memory", "headroom", "catalogue"):
        lines = drawn(named(name), figures, 36)
        widest = max(lines, key=cell_len)
        assert cell_len(widest) <= 36, (name, widest)
        wide = " ".join(drawn(named(name), figures, 120))
        assert set(numbers(wide)) <= set(numbers(" ".join(lines))), name


@pytest.mark.parametrize("columns", WIDTHS)
def test_no_line_is_wider_where_nothing_is_known(unreadable: Ledger, columns: int) -> None:
    for page in all_pages(unreadable):
        widest = max(drawn(page, unreadable, columns), key=cell_len)
        assert cell_len(widest) <= columns, (page.name, widest)


MOVED = {"headroom": ("     used ", "     for "), "states": ("     of ",)}
"""How a note begins that holds the cells of columns for which there is no room."""


def said(page: Page, figures: Ledger, columns: int) -> list[str]:
    """Every character of a page but blanks, the lines of trees, the titles of tables, and those of moved columns.

    The headroom page does not move what is not known, which is a dash.
    """
    titles = heads(page, figures, columns)
    found: list[str] = []
    for line in drawn(page, figures, columns):
        is_moved = page.name in MOVED and line.startswith(MOVED[page.name])
        cells = re.sub(r"(?:^ {5}|, )(?:used|for|of) ", "", line) if is_moved else line
        if line not in titles:
            found += re.sub(r"[│├└─\s–]" if page.name == "headroom" else r"[│├└─\s]", "", cells)
    return sorted(found)


def heads(page: Page, figures: Ledger, columns: int) -> list[str]:
    """The lines of titles above the tables of a page."""
    lines = [text_of(line).rstrip() for line in page.lines(figures, columns) if line and line[0][1] == "head"]
    return [line for line in lines if line.isupper()]


@each_shown
@pytest.mark.parametrize("columns", [60, 76])
def test_a_narrow_page_says_what_a_wide_one_says(kernel: str, phase: str, columns: int) -> None:
    """Lines break elsewhere, and nothing is lost but titles of tables."""
    figures = ledger(kernel, phase)
    for page in all_pages(figures):
        assert said(page, figures, columns) == said(page, figures, 120), page.name


def test_the_titles_of_what_stands_in_columns_are_never_lost() -> None:
    figures = ledger("6.1-4n", "established")
    for page in PAGES:
        wide = [line.split() for line in heads(page, figures, 120)]
        for columns in (60, 76, 100):
            lines = drawn(page, figures, columns)
            narrow = [line.split() for line in heads(page, figures, columns)]
            lost = {title for titles in wide for title in titles} - {title for titles in narrow for title in titles}
            # That of the words, which stand below, says nothing that the words do not say.
            lost -= {"HOLDS", "CACHE,", "AND", "WHAT", "FOR"} if page.name != "headroom" else set()
            for title in lost:
                assert any(re.search(rf"^ {{5}}(.*, )?{title.lower()} ", line) for line in lines), (page.name, title)


def test_columns_for_which_there_is_no_room_are_told_below_their_row() -> None:
    """The headroom page moves two of its columns at 60; the states page would need less than that for its one."""
    figures = ledger("6.1-4n", "established")
    lines = drawn(named("headroom"), figures, 60)
    assert [line.split() for line in heads(named("headroom"), figures, 60)] == [["LIMIT", "AT", "HEADROOM", "OF"]]
    for limit in figures.limits.rows:
        at = next(at for at, line in enumerate(lines) if line.startswith(f" {limit.name}  "))
        count = f"{limit.used or 0:,}".replace(",", " ")
        used = "" if limit.used is None else f"used {'≤ 8.0 MiB' if limit.unit == 'bytes' else count}, "
        assert lines[at].endswith(f"  {limit.scope}")
        assert lines[at + 1] == f"     {used}for {limit.concerns}"
    assert not [line for line in drawn(named("headroom"), figures, 76) if "used –" in line]
    states = drawn(named("states"), figures, 50)
    scopes = [state.scope for state in figures.states if state.scope is not None]
    assert [line.strip() for line in states if line.startswith("     of ")] == [f"of {scope}" for scope in scopes]
    assert [line.split()[-1] for line in heads(named("states"), figures, 50)] == ["SOCKETS"]
    assert max(map(cell_len, states)) <= 50


def test_a_function_is_never_broken() -> None:
    for subject in CALL_PATH_PAGES:
        whole = set(re.findall(r"\w+\(\d?\)", "\n".join(drawn(named(subject), ledger("6.1-4n", "established"), 120))))
        narrow = set(re.findall(r"\w+\(\d?\)", "\n".join(drawn(named(subject), ledger("6.1-4n", "established"), 60))))
        assert whole == narrow


def test_no_word_of_the_catalogue_is_broken() -> None:
    lines = "\n".join(drawn(named("catalogue"), ledger("6.1-4n", "established"), 100))
    assert lines.count("epoll_ctl(EPOLL_CTL_ADD)") == 3


def test_no_figure_is_broken_over_two_lines() -> None:
    figures = ledger("6.1-4n", "established")
    for columns in WIDTHS:
        for page in all_pages(figures):
            lines = drawn(page, figures, columns)
            for line, after in pairwise(lines):
                broken = re.search(r" \d{1,3}$", line) and re.match(r" +\d{3}\b", after)
                assert not broken, (page.name, line, after)


# Sizes.

SIZE = re.compile(r"[+-] (?P<name>\S+)(?: \(row (?P<row>\S+)\))? +(?P<bytes>[\d ]+) B, (?P<share>[\d ]+) B of slab$")


@pytest.mark.parametrize("subject", CALL_PATH_PAGES)
@each_shown
def test_sizes_beside_allocations_are_those_of_the_rows(kernel: str, phase: str, subject: str) -> None:
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    lines = drawn(named(subject), ledger(kernel, phase), 120)
    seen: set[str] = set()
    for found in filter(None, map(SIZE.search, lines)):
        name, row = found["name"], row_of(kernel, phase, found["name"])
        assert row is not None, name
        assert found["row"] == (None if row == name else row)
        assert numbers(found["bytes"]) == [rows[row].size], name
        assert numbers(found["share"]) == [round(rows[row].share(page_bytes(kernel)))], name
        seen.add(name)
    known = {"socket": 8, "accept": 8, "time_wait": 8, "optional": 4}
    assert len(seen) >= known[subject]


@each_shown
def test_what_a_tree_calls_absent_is(kernel: str, phase: str) -> None:
    for subject in CALL_PATH_PAGES:
        for line in drawn(named(subject), ledger(kernel, phase), 120):
            found = re.search(r"[+-] (.+?) +not on this kernel$", line)
            if found and found[1] != "struct socket_wq, kmalloc":
                assert row_of(kernel, phase, found[1]) is None, line


@each_shown
def test_the_catalogue_has_every_object_with_the_size_of_its_row(kernel: str, phase: str) -> None:
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    head, *lines = drawn(named("catalogue"), ledger(kernel, phase), 120)
    assert re.fullmatch(r" OBJECT +OBJECT B +SLAB B  CACHE, AND WHAT FOR", head)
    # The words of a row go on below it, under their title.
    joined = re.sub(r"\n {30,}", " ", "\n".join(lines)).splitlines()
    assert len(joined) == len(KERNEL_OBJECTS)
    for item, line in zip(KERNEL_OBJECTS, joined, strict=True):
        short = item.struct.removeprefix("struct ")
        assert line.startswith(f" {short}  "), line
        assert f": {item.purpose} (" in line
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


def test_vectors_of_which_it_is_not_known_whether_there_are_any_have_no_size_of_0() -> None:
    """The recordings do not tell of memory cgroups."""
    figures = ledger("6.1-4n", "established")
    vectors = live_size(figures, CGROUP_VECTORS)
    assert (vectors.object_bytes, vectors.slab_bytes) == (None, 0)
    assert vectors.high_slab_bytes == 512
    assert vector_line(figures, "– +≤ 512")
    assert vector_end(figures, "none, or up to 512 B of slab")
    assert fact(drawn(in_page("obj_cgroup vectors"), figures, 100), "size") == "none, or up to 512 B of slab"


def in_page(name: str) -> Page:
    page = find_page(ledger("6.1-4n", "established"), name)
    assert page is not None
    return page


def vector_line(figures: Ledger, sizes: str) -> bool:
    [line] = [line for line in drawn(named("catalogue"), figures, 120) if line.startswith(" obj_cgroup vectors ")]
    return bool(re.match(rf" obj_cgroup vectors +{sizes}  kmalloc-128 to kmalloc-512: ", line))


def vector_end(figures: Ledger, size: str) -> bool:
    trees = "\n".join(drawn(named("socket"), figures, 100))
    end = rf"\+ obj_cgroup vectors, kmalloc-128 to kmalloc-512 +{size}$"
    return bool(re.search(end, trees, re.MULTILINE))


def test_vectors_are_of_as_many_sizes_as_slabs_hold_objects() -> None:
    """8 bytes for each of 14 socks, or of 64 buckets of a page: from one of kmalloc-128 to one of kmalloc-512."""
    told: Reading[MemoryCgroups] = Reading("ok", MemoryCgroups(True), None, 0.0, 1, None, None, None)
    figures = account(snapshot("6.1-4n", "established")._replace(memory_cgroups=told))
    assert vector_line(figures, "– +≈ 128")
    assert vector_end(figures, "128 to 512 B of slab")
    for name in ("obj_cgroup vectors", "kmalloc-128", "kmalloc-256", "kmalloc-512"):
        page = find_page(figures, name)
        assert page is not None
        assert fact(drawn(page, figures, 100), "size") == "128 to 512 B of slab"


def test_a_size_that_is_one_of_two_is_about_the_smaller() -> None:
    """AppArmor's 16 or 24 bytes for a sock, where so few sockets are left that either cache can have them."""
    figures = ledger("6.1-4n", "timewait")
    [line] = [line for line in drawn(named("catalogue"), figures, 120) if line.startswith(" LSM socket blob ")]
    assert re.match(r" LSM socket blob +16 +≈ 16  kmalloc-16: ", line), line
    trees = "\n".join(drawn(named("socket"), figures, 100))
    assert re.search(r"\+ LSM socket blob, kmalloc-16 +16 B, 16 to 32 B of slab$", trees, re.MULTILINE)


def test_a_machine_of_which_nothing_can_be_read_has_no_sizes_and_no_zeros(unreadable: Ledger) -> None:
    for page in PAGES:
        for line in drawn(page, unreadable, 100):
            assert not re.search(r"\d B\b", line) or "8 bytes" in line, (page.name, line)
    for name in ("states", "memory", "headroom"):
        assert "–" in "\n".join(drawn(named(name), unreadable, 100))
    socket = [line for line in drawn(named("socket"), unreadable, 100) if re.search(r"[+-] \S", line)][1:]
    assert sum(line.endswith("size not known") for line in socket) >= 14


def test_where_nothing_can_be_read_nothing_is_called_absent(unreadable: Ledger) -> None:
    for page in PAGES:
        assert "not on this kernel" not in "\n".join(drawn(page, unreadable, 100)), page.name


# Pages of one cache.


def fact(lines: list[str], title: str) -> str:
    """What stands beside a title, with the lines that it goes on for."""
    at = next(index for index, line in enumerate(lines) if line.startswith(f" {title} "))
    found = [lines[at].removeprefix(f" {title}").strip()]
    for line in lines[at + 1 :]:
        if not line.startswith(" " * 12):
            break
        found.append(line.strip())
    return " ".join(found)


@each_shown
def test_a_caches_page_counts_as_its_row_does(kernel: str, phase: str) -> None:
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    for name in ("TCP", "sock_inode_cache", "dentry", "tw_sock_TCP", "request_sock_TCP"):
        row = rows[name]
        now = fact(drawn(page_of_cache(name), ledger(kernel, phase), 120), "now")
        found = re.match(r"(?P<objects>[\d ]+) objects in (?P<slabs>[\d ]+) slabs, .*; active (?P<active>[\d ]+)", now)
        assert found, now
        assert [numbers(found[each])[0] for each in ("objects", "slabs", "active")] == [
            row.objects,
            row.slabs,
            row.active,
        ]


@each_shown
def test_a_caches_page_takes_an_object_apart(kernel: str, phase: str) -> None:
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    for name in ("TCP", "sock_inode_cache", "tw_sock_TCP"):
        row, struct = rows[name], int(text(kernel, phase, f"sys/kernel/slab/{name}/object_size"))
        lines = [line for line in drawn(page_of_cache(name), ledger(kernel, phase), 120) if line.startswith(" size ")]
        assert numbers(lines[0])[0] == struct
        step = numbers(lines[1])
        assert step == ([row.size, row.size - struct] if row.size > struct else [row.size])
        share = row.share(page_bytes(kernel))
        pages = "page" if row.pages == 1 else "pages"
        order = row.pages.bit_length() - 1
        assert lines[2].split(None, 1)[1] == (
            f"{share:.1f} B of slab: {row.per_slab} objects in {row.pages} {pages} (order {order}),"
            f" {share - row.size:.1f} B left over for each"
        )


def group(kernel: str, phase: str, name: str) -> list[str]:
    """All the names that lead to the folder of a merged cache."""
    slab = tree(kernel, phase) / "sys/kernel/slab"
    return sorted(
        path.name
        for path in slab.iterdir()
        if path.is_symlink() and path.readlink() == (slab / name).readlink() and path.name != str(path.readlink())
    )


@pytest.mark.parametrize(("kernel", "phase"), [each for each in SHOWN if not each[0].endswith("nomerge")])
def test_a_merged_cache_names_its_row_and_those_it_shares_it_with(kernel: str, phase: str) -> None:
    row = row_of(kernel, phase, "tcp_bind_bucket")
    for name in ("tcp_bind_bucket", str(row)):
        lines = drawn(page_of_cache(name), ledger(kernel, phase), 100)
        counted = fact(lines, "counted in")
        assert counted.startswith(f"row {row}, merged: ")
        assert counted.partition("merged: ")[2].split(", ") == group(kernel, phase, "tcp_bind_bucket")
        assert " struct inet_bind_bucket" in lines


def test_the_page_of_a_row_explains_every_object_in_it_and_that_of_a_cache_only_its_own() -> None:
    figures = ledger("6.1-4n", "established")
    assert group("6.1-4n", "established", "tcp_bind_bucket") == [
        *("eventpoll_epi", "fib6_nodes", "pid", "task_delay_info", "tcp_bind_bucket"),
    ]
    row, own = (drawn(page_of_cache(name), figures, 100) for name in ("pid", "tcp_bind_bucket"))
    assert (" struct epitem" in row, " struct inet_bind_bucket" in row) == (True, True)
    assert (" struct epitem" in own, " struct inet_bind_bucket" in own) == (False, True)


def test_a_cache_that_is_not_merged_names_no_other() -> None:
    for name in ("tcp_bind_bucket", "filp"):
        lines = drawn(page_of_cache(name), ledger("6.1-4n-nomerge", "established"), 100)
        assert not any("merged" in line for line in lines)


@pytest.mark.parametrize("item", KERNEL_OBJECTS, ids=lambda item: f"{item.struct} {item.caches[:1]}")
def test_the_states_that_hold_an_object_are_all_named(item: object) -> None:
    found = next(each for each in KERNEL_OBJECTS if each is item)
    if not found.caches:
        return
    held = fact(drawn(page_of_cache(found.caches[0]), ledger("6.1-4n", "established"), 100), "held in")
    if found.held_in and found.held_in != frozenset(State):
        assert held.split(", ") == [state.value for state in State if state in found.held_in]


def test_a_cache_that_this_kernel_does_not_have_says_so() -> None:
    lines = drawn(page_of_cache("skbuff_small_head"), ledger("6.1-4n", "established"), 100)
    assert fact(lines, "source") == "there is none on this kernel, as it is configured"
    assert fact(lines, "kernels").startswith("since 6.3")
    assert not [line for line in lines if line.startswith((" now ", " size "))]


def test_a_cache_of_others_is_said_to_be_of_others() -> None:
    rows = slab_rows(text("6.1-4n", "established", "proc/slabinfo"))
    lines = drawn(page_of_cache("ext4_inode_cache"), ledger("6.1-4n", "established"), 100)
    assert numbers(fact(lines, "now"))[:2] == [rows["ext4_inode_cache"].objects, rows["ext4_inode_cache"].slabs]
    assert any("No object of TCP's" in line for line in lines)


def test_a_cache_of_which_a_share_is_tcps_is_not_said_to_be_of_others() -> None:
    lines = drawn(page_of_cache("kmalloc-16"), ledger("6.1-4n", "established"), 100)
    assert fact(lines, "TCP's").startswith("250.0 KiB")
    assert not any("No object of TCP's" in line for line in lines)


def test_without_slabinfo_a_page_says_why_and_gives_what_others_may_read(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "proc/slabinfo").unlink()
    figures = ledger_of(root)
    lines = drawn(page_of_cache("tcp_bind_bucket"), figures, 100)
    assert "slabinfo" in fact(lines, "now")
    assert "a row that cannot be read" in fact(lines, "counted in")
    tcp = drawn(page_of_cache("TCP"), figures, 100)
    assert numbers(fact(tcp, "size"))[0] == 2280


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
    lines = drawn(page_of_cache("TCP"), figures, 100)
    at = lines.index(" struct tcp_sock  1 088 B, its largest members")
    assert [line.split() for line in lines[at + 1 : at + 6]] == [
        ["1", "024", "B", "at", "8", "large"],
        ["8", "B", "at", "1048", "last"],
        ["4", "B", "at", "0", "first"],
        ["4", "B", "at", "1032", "flags.low"],
        ["4", "B", "at", "1032", "flags.high"],
    ]
    assert fact(lines, "holes") == "2, 16 B: 4 B at 4, 12 B at 1036"
    assert fact(lines, "padding") == "32 B at its end"
    assert any(line.startswith(" size ") and "1 088 B struct, by BTF" in line for line in lines)


# Ranges, and the room.


@pytest.mark.parametrize("columns", [76, 100])
def test_each_part_of_tcps_memory_says_beside_it_how_sure_it_is(columns: int) -> None:
    told: Reading[MemoryCgroups] = Reading("ok", MemoryCgroups(True), None, 0.0, 1, None, None, None)
    figures = account(snapshot("6.1-4n", "established")._replace(memory_cgroups=told))
    lines = drawn(named("memory"), figures, columns)
    at = next(at for at, line in enumerate(lines) if line.startswith(" OF WHICH TCP'S "))
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
            low, high = re.fullmatch(r"([\d.]+)(?: \w+)? to ([\d.]+) \w+", words).groups()  # type: ignore[union-attr] # else it fails
            assert low != high


def test_a_figure_that_is_a_range_says_about_or_at_most() -> None:
    """In `established` the blob may be twice its least, and nobody knows of vectors."""
    figures = ledger("6.1-4n", "established")
    figure = figures.costs["full"].by_family["mix"]
    for side in (figure.accepted, figure.outgoing):
        high = sum(part.high_slab_bytes or 0 for part in side.parts)
        assert side.is_range
        assert side.high_slab_bytes == pytest.approx(high, abs=0.01)
    low = sum(part.slab_bytes or 0 for part in figure.accepted.parts)
    assert side_amount(figure.accepted) == f"≈ {round(low):,}".replace(",", " ")
    assert side_amount(figure.outgoing, own_port=True) == f"≤ {round(figure.outgoing.high_slab_bytes or 0):,}".replace(
        ",", " "
    )


def test_a_figure_that_is_none_says_what_it_is() -> None:
    figures = ledger("6.1-4n", "established")
    figure = figures.costs["full"].by_family["mix"]
    sure = tuple(
        part._replace(high_slab_bytes=part.slab_bytes) for part in figure.accepted.parts if part.slab_bytes is not None
    )
    side = figure.accepted._replace(parts=sure)
    assert not side.is_range
    assert side_amount(side) == f"{round(side.slab_bytes or 0):,}".replace(",", " ")
    assert side_amount(side._replace(missing=("filp",))).startswith("≥ ")


@each_shown
def test_the_sentence_of_room_tells_of_all_nodes_where_a_node_is_the_first_wall(kernel: str, phase: str) -> None:
    figures = ledger(kernel, phase)
    rooms = [limit.headroom_sockets or 0 for limit in figures.limits.rows if limit.scope == "node"]
    assert len(rooms) == 4
    # To three digits, and never more than there is room for.
    least, whole = (f"{int(str(number)[:3].ljust(len(str(number)), '0')):,}" for number in (min(rooms), sum(rooms)))
    least, whole = least.replace(",", " "), whole.replace(",", " ")
    assert headroom_sentence(figures) == (
        f"headroom {least} sockets; first limit: memory of node {rooms.index(min(rooms))} (all nodes: {whole})"
    )


def test_a_machine_of_one_node_has_no_other_nodes_to_tell_of() -> None:
    assert "all nodes" not in headroom_sentence(ledger("6.1-1n", "established"))


def test_where_a_wall_is_not_known_room_is_at_most() -> None:
    figures = ledger("6.1-4n", "established")
    limits = tuple(
        limit._replace(headroom_sockets=None) if limit.name == "memory of node 2" else limit
        for limit in figures.limits.rows
    )
    less = figures._replace(limits=figures.limits._replace(rows=limits))
    assert headroom_number(less).startswith("≤ ")
    assert headroom_sentence(less).endswith("; not known: memory of node 2")
    # What all nodes hold is not known then.
    assert "all nodes" not in headroom_sentence(less)


# Pages of labels.


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
        lines = drawn(page, figures, 100)
        assert page.title == label
        assert [line[1:] for line in lines if re.match(r" (struct inet|LSM|obj_cgroup)", line)] == structs


def test_a_label_that_no_object_has_has_no_page() -> None:
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


@pytest.mark.parametrize("name", ["", "tcpx", "TCP ", "struct", "nothing", "--", "states\n", "*"])
def test_a_name_of_nothing(name: str) -> None:
    assert find_page(ledger("6.1-4n", "established"), name) is None


@pytest.mark.parametrize("item", [item for item in KERNEL_OBJECTS if not item.caches], ids=lambda item: item.struct)
def test_every_object_that_the_catalogue_lists_has_a_page(item: object) -> None:
    found = next(each for each in KERNEL_OBJECTS if each is item)
    assert find_page(ledger("6.1-4n", "established"), found.struct) is not None


# What a hostile kernel module, or a saved tree, may call its caches.

HOSTILE = "[b]x[@click=quit]\x1b[2J\u202e"


@pytest.fixture
def hostile(tmp_path: Path) -> Ledger:
    """The row that counts bind buckets has a name made to take the terminal, and so has an alias of it."""
    root = copy_recording("6.1-4n", "established", tmp_path)
    slabinfo = root / "proc/slabinfo"
    slabinfo.write_text(re.sub(r"^pid ", f"{HOSTILE} ", slabinfo.read_text(), flags=re.MULTILINE))
    (root / "sys/kernel/slab/pid").unlink()
    link_caches(root, {":A-0000128": (HOSTILE, "\x07\x9b31m\u2028bell")})
    return ledger_of(root)


@pytest.mark.parametrize("columns", [60, 100])
def test_no_character_of_a_hostile_name_controls_a_terminal(hostile: Ledger, columns: int) -> None:
    [row] = [line.row for line in hostile.caches if line.name == "tcp_bind_bucket"]
    assert row is not None
    assert row == "[b]x[@click=quit]\\x1b[2J\\u202e"
    for page in [*PAGES, page_of_cache("tcp_bind_bucket"), page_of_cache(row)]:
        for line in drawn(page, hostile, columns):
            assert line.isprintable(), (page.name, line)
    lines = "\n".join(drawn(page_of_cache("tcp_bind_bucket"), hostile, 120))
    assert f"row {row}, merged: " in lines
    assert "\\x07\\x9b31m\\u2028bell" in lines


def test_no_line_holds_a_line_break_or_a_control_character() -> None:
    for kernel, phase in SHOWN:
        for page in all_pages(ledger(kernel, phase)):
            for line in drawn(page, ledger(kernel, phase), 80):
                assert line.isprintable(), (page.name, line)
