"""/proc/slabinfo: every row and number of every recording; cut, old and malformed files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import cuts, each_recording, ledger, snapshot, snapshot_of, text, write_tree

from tcptop.snapshot import SlabRow
from tcptop.sources.slabinfo import SlabinfoSource
from tcptop.sources.source import make_reading

parse = SlabinfoSource().parse

HEADER = "slabinfo - version: 2.1\n"
TITLES = (
    "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>"
    " : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>\n"
)
TCP = "TCP                   79    130   2368   13    8 : tunables    0    0    0 : slabdata     10     10      0\n"
TW = "tw_sock_TCP           64    144    256   16    1 : tunables    0    0    0 : slabdata      9      9      0\n"
LAST = "kmem_cache            19     19    192   21    1 : tunables    0    0    0 : slabdata      1      1      0\n"
"""The last row, which is that of the oldest cache; a file without this row is cut off."""
LAST_ROW = SlabRow("kmem_cache", 19, 19, 192, 21, 1, 1, 0)
TCP_ROW = SlabRow("TCP", 79, 130, 2368, 13, 8, 10, 0)
TW_ROW = SlabRow("tw_sock_TCP", 64, 144, 256, 16, 1, 9, 0)


@each_recording
def test_every_row_of_a_recording_equals_the_file(kernel: str, phase: str) -> None:
    reading = snapshot(kernel, phase).slabinfo
    assert (reading.state, reading.reason) == ("ok", None)
    assert reading.value is not None
    header, _, *lines = text(kernel, phase, "proc/slabinfo").splitlines()
    assert header == HEADER.strip()
    assert len(lines) > 100
    assert len(reading.value.rows) == len(lines)
    for row, line in zip(reading.value.rows, lines, strict=True):
        numbers = [int(field) for field in line[line.index(" ") :].replace(":", " ").split() if field.isdigit()]
        active_slabs = numbers[8]
        assert [
            row.active_objects,
            row.objects,
            row.object_bytes,
            row.objects_per_slab,
            row.pages_per_slab,
            row.tunables_limit,
            0,
            0,
            active_slabs,
            row.slabs,
            0,
        ] == numbers
        assert row.name == line.split()[0]


@pytest.mark.parametrize(
    ("kernel", "phase", "expected"),
    [
        ("6.1-4n", "established", SlabRow("TCP", 16016, 16016, 2304, 14, 8, 1144, 0)),
        ("6.1-4n-ipv6", "established", SlabRow("TCPv6", 16016, 16016, 2496, 13, 8, 1232, 0)),
        ("6.18-1n", "established", SlabRow("TCP", 8073, 8073, 2368, 13, 8, 621, 0)),
    ],
)
def test_rows_read_by_hand(kernel: str, phase: str, expected: SlabRow) -> None:
    value = snapshot(kernel, phase).slabinfo.value
    assert value is not None
    assert expected in value.rows


def test_version_2_0_with_statistics_tails_gives_the_rows() -> None:
    value, damage = parse(
        "slabinfo - version: 2.0 (statistics)\n"
        + TITLES
        + "nfs_inode_cache       10     12   1216    3    1 : tunables   24   12    0 : slabdata      4      4      0"
        " : globalstat      16     12     4    0    0    0   27 : cpustat      5      7      2      0\n" + LAST
    )
    assert damage is None
    assert value is not None
    assert value.rows == (SlabRow("nfs_inode_cache", 10, 12, 1216, 3, 1, 4, 24), LAST_ROW)


def test_version_2_1_with_the_longer_statistics_tails() -> None:
    tail = " : globalstat 499 274 484 227 0 0 25 3 1 : cpustat 22117 492 22353 0"
    value, damage = parse("slabinfo - version: 2.1 (statistics)\n" + TITLES + TCP.replace("\n", tail + "\n") + LAST)
    assert damage is None
    assert value is not None
    assert value.rows == (TCP_ROW, LAST_ROW)


def test_tunables_of_the_slab_allocator_are_kept() -> None:
    value, damage = parse(HEADER + TITLES + "TCP  5  15  1536  5  2 : tunables  24  12  8 : slabdata  2  3  0\n" + LAST)
    assert damage is None
    assert value is not None
    assert value.rows == (SlabRow("TCP", 5, 15, 1536, 5, 2, 3, 24), LAST_ROW)


def test_two_rows_with_one_name_are_both_returned() -> None:
    other = TCP.replace("   79    130", "   11     26")
    value, damage = parse(HEADER + TITLES + TCP + other + LAST)
    assert damage is None
    assert value is not None
    assert [(row.name, row.active_objects) for row in value.rows] == [
        ("TCP", 79),
        ("TCP", 11),
        ("kmem_cache", 19),
    ]


@pytest.mark.parametrize(
    "name",
    [
        ":A-0000128",
        "kmalloc-rnd-01-64",
        "dma-kmalloc-8k",
        "bio-184(rw)",
        "[odd]",
        "[bold red]loud[/]",
        "jbd2_journal_head: 2",
        "a name with spaces",
        "ext4_fc_dentry_update_that_is_longer_than_the_column",
        "tunables",
        "123",
        "name 123 456",
    ],
)
def test_a_name_may_contain_any_printable_text(name: str) -> None:
    value, damage = parse(HEADER + TITLES + TCP.replace("TCP   ", f"{name:<6}") + LAST)
    assert damage is None
    assert value is not None
    assert value.rows == (SlabRow(name, 79, 130, 2368, 13, 8, 10, 0), LAST_ROW)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("bell\x07", "bell\\x07"),
        ("right\u202eleft", "right\\u202eleft"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("del\x7f", "del\\x7f"),
        ("c1\x9b", "c1\\x9b"),
    ],
)
def test_control_and_format_characters_in_a_name_are_escaped(name: str, shown: str) -> None:
    value, _ = parse(HEADER + TITLES + TCP.replace("TCP", name, 1))
    assert value is not None
    assert [row.name for row in value.rows] == [shown]


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.1 (SMP)", "1.1 (statistics)", "3.0", "2.10"])
def test_an_unknown_version_is_refused_and_named(version: str) -> None:
    value, damage = parse(f"slabinfo - version: {version}\nkmem_cache   80  80  244  5  5  1 :  252  126\n")
    assert value is None
    assert damage is not None
    assert damage.state == "strange"
    assert version.split()[0] in damage.what


@pytest.mark.parametrize("file", ["no such thing\n", "\x7fELF\x02\x01\x01\n", "MemTotal: 12 kB\n"])
def test_another_file_under_this_name_is_refused(file: str) -> None:
    value, damage = parse(file)
    assert value is None
    assert damage is not None
    assert damage.state == "strange"


@pytest.mark.parametrize(
    "odd",
    [
        "TCP 79 130 2368 13 : tunables 0 0 0 : slabdata 10 10 0\n",
        "TCP 79 130 2368 13 8 : tunables 0 0 0\n",
        "TCP -79 130 2368 13 8 : tunables 0 0 0 : slabdata 10 10 0\n",
        "TCP 79 1_30 2368 13 8 : tunables 0 0 0 : slabdata 10 10 0\n",
        "TCP ٧٩ 130 2368 13 8 : tunables 0 0 0 : slabdata 10 10 0\n",
        "79 130 2368 13 8 : tunables 0 0 0 : slabdata 10 10 0\n",
        "kmem_cache 29 42\n",
    ],
)
def test_only_a_malformed_row_is_skipped(odd: str) -> None:
    value, damage = parse(HEADER + TITLES + TCP + odd + TW + LAST)
    assert value is not None
    assert value.rows == (TCP_ROW, TW_ROW, LAST_ROW)
    assert damage is not None
    assert damage.state == "strange"
    assert "1 line" in damage.what


def test_an_unfinished_last_line_is_skipped_and_reported() -> None:
    value, damage = parse(HEADER + TITLES + TCP + TW[:40])
    assert value is not None
    assert value.rows == (TCP_ROW,)
    assert damage is not None
    assert damage.state == "cut"


def test_a_file_that_ends_between_two_rows_is_cut() -> None:
    value, damage = parse(HEADER + TITLES + TCP + TW)
    assert value is not None
    assert value.rows == (TCP_ROW, TW_ROW)
    assert damage is not None
    assert damage.state == "cut"


def test_an_empty_file_gives_an_empty_reading(tmp_path: Path) -> None:
    reading = snapshot_of(write_tree(tmp_path, {"proc/slabinfo": b""})).slabinfo
    assert (reading.state, reading.value) == ("empty", None)
    assert reading.reason is not None
    assert "/proc/slabinfo" in reading.reason


def shorten(whole: str) -> str:
    """The header lines and some rows, few enough to test a cut at every byte in a second."""
    lines = whole.splitlines(keepends=True)
    kept = [line for line in lines[12:-1] if "TCP" in line or line.startswith(("pid ", "dentry "))]
    return "".join([*lines[:12], *kept, lines[-1]])


@pytest.mark.parametrize(("cut_lines", "step"), [(shorten, 1), (str, 61)], ids=["some rows", "the whole file"])
def test_a_file_cut_at_any_byte_gives_only_rows_of_the_whole_file(cut_lines: Callable[[str], str], step: int) -> None:
    whole = cut_lines(text("6.1-4n", "established", "proc/slabinfo"))
    rows = rows_of(whole)
    assert len(rows) == whole.count("\n") - 2 > 10
    others = {"sysctls": snapshot("6.1-4n", "established").sysctls}
    for end, beginning in cuts(whole, step):
        value, damage = parse(beginning)
        if beginning:
            reading = SlabinfoSource().check(make_reading(value, damage, "proc/slabinfo", 0), others)
            assert reading.state == "cut", end
        if value is not None:
            assert value.rows == rows[: max(0, beginning.count("\n") - 2)], end
        else:
            assert beginning.count("\n") == 0, end


def rows_of(whole: str) -> tuple[SlabRow, ...]:
    value, _ = parse(whole)
    assert value is not None
    return value.rows


def test_active_objects_never_exceed_the_objects() -> None:
    value, _ = parse(HEADER + TITLES + TCP.replace("   79 ", "  131 "))
    assert value is not None
    assert value.rows[0].active_objects <= value.rows[0].objects == 130


@pytest.mark.parametrize("active", [2**32 - 1, 2**64 - 30])
def test_a_difference_below_0_is_no_number_of_active_objects(active: int) -> None:
    value, damage = parse(HEADER + TITLES + TCP.replace("   79 ", f"  {active} ") + LAST)
    assert damage is None
    assert value is not None
    assert value.rows[0].active_objects == 130


def test_far_too_many_active_objects_are_kept_for_accounting_to_doubt() -> None:
    value, _ = parse(HEADER + TITLES + TCP.replace("   79 ", "  7900 "))
    assert value is not None
    assert value.rows[0].active_objects == 7900


def test_an_unreadable_slabinfo_leaves_the_other_sources_alone(tmp_path: Path) -> None:
    root = write_tree(tmp_path, {"proc/slabinfo": "slabinfo - version: 1.1\n", "proc/net/sockstat": "TCP: inuse 7\n"})
    seen = snapshot_of(root)
    assert seen.slabinfo.state == "strange"
    assert seen.sockstat.value is not None
    assert seen.sockstat.value.inuse == 7


@given(st.binary(max_size=600))
def test_arbitrary_bytes_never_raise(data: bytes) -> None:
    parse(data.decode("utf-8", "backslashreplace"))


@given(st.text(max_size=300), st.booleans())
def test_arbitrary_text_after_a_header_never_raises_or_gives_a_negative_number(rest: str, ended: bool) -> None:
    value, _ = parse(HEADER + TITLES + TCP + rest + ("\n" if ended else ""))
    if value is not None:
        for row in value.rows:
            assert row.active_objects >= 0
            assert min(row.object_bytes, row.objects_per_slab, row.pages_per_slab, row.slabs) >= 0


NAMES = st.text(
    st.characters(codec="ascii", categories=("L", "N", "P", "S"), exclude_characters="#"), min_size=1, max_size=40
)
COUNTS = st.integers(0, 2**63 - 1)
SMALL = st.integers(0, 2**31 - 1)


@given(st.lists(st.tuples(NAMES, COUNTS, COUNTS, SMALL, SMALL, SMALL, SMALL, COUNTS, COUNTS), max_size=5))
def test_the_kernels_format_is_parsed_back(rows: list[tuple[str, int, int, int, int, int, int, int, int]]) -> None:
    """A row in the format of mm/slab_common.c, cache_show."""
    expected = [
        SlabRow(name, active * objects >> 63, objects, size, per_slab, pages, slabs, limit)
        for name, active, objects, size, per_slab, pages, limit, active_slabs, slabs in rows
    ]
    lines = [
        "%-17s %6d %6d %6d %4d %4d : tunables %4d %4d %4d : slabdata %6d %6d %6d\n"  # noqa: UP031 (the kernel's own)
        % (name, active * objects >> 63, objects, size, per_slab, pages, limit, 0, 0, active_slabs, slabs, 0)
        for name, active, objects, size, per_slab, pages, limit, active_slabs, slabs in rows
    ]
    value, damage = parse(HEADER + TITLES + "".join(lines) + LAST)
    assert damage is None
    assert value is not None
    assert list(value.rows) == [*expected, LAST_ROW]


def test_a_long_name_is_cut() -> None:
    value, _ = parse(HEADER + TITLES + TCP.replace("TCP", "x" * 500, 1))
    assert value is not None
    assert len(value.rows[0].name) <= 80


def test_the_ledger_takes_the_sizes_from_the_rows() -> None:
    tcp = next(line for line in ledger("6.18-1n", "established").caches if line.name == "TCP")
    assert (tcp.object_bytes, tcp.objects_per_slab, tcp.pages_per_slab, tcp.order) == (2368, 13, 8, 3)
    assert tcp.bytes == 621 * 8 * 4096
