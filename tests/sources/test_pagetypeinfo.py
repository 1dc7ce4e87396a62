"""/proc/pagetypeinfo: both tables of every node of every recording; capped counts; types and orders as printed."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import cuts, each_recording, snapshot, text

from tcptop.snapshot import Pageblocks, Pagetypeinfo, TypedFreeArea
from tcptop.sources.pagetypeinfo import PagetypeinfoSource

parse = PagetypeinfoSource().parse

HEAD = "Page block order: 9\nPages per block:  512\n\n"
TITLES = "Free pages count per migrate type at order       0      1      2      3      4      5 \n"
UNMOVABLE = "Node    0, zone   Normal, type    Unmovable   1472   2977   1937    799    255    124 \n"
CAPPED = "Node    6, zone   Normal, type      Movable >100000 >100000  41019 >100000    648      0 \n"
BLOCKS = "\nNumber of blocks type     Unmovable      Movable  Reclaimable   HighAtomic      Isolate \n"
BLOCKS_ROW = "Node 0, zone   Normal          198         4149          517            0            0 \n"
UNMOVABLE_AREA = TypedFreeArea(0, "Normal", "Unmovable", (1472, 2977, 1937, 799, 255, 124), ())
BLOCKS_VALUE = Pageblocks(
    0, "Normal", {"Unmovable": 198, "Movable": 4149, "Reclaimable": 517, "HighAtomic": 0, "Isolate": 0}
)


def tables_of(file: str) -> tuple[list[TypedFreeArea], list[Pageblocks]]:
    """The counts of the complete file, parsed without tcptop."""
    areas: list[TypedFreeArea] = []
    blocks: list[Pageblocks] = []
    types: list[str] = []
    for line in file.splitlines():
        if match := re.fullmatch(r"Node +(\d+), zone +(\w+), type +(\w+) +((?:\d+ +)+)", line):
            areas.append(TypedFreeArea(int(match[1]), match[2], match[3], tuple(map(int, match[4].split())), ()))
        elif match := re.fullmatch(r"Number of blocks type +(.+)", line):
            types = match[1].split()
        elif match := re.fullmatch(r"Node (\d+), zone +(\w+) +((?:\d+ +)+)", line):
            counts: Mapping[str, int] = dict(zip(types, map(int, match[3].split()), strict=True))
            blocks.append(Pageblocks(int(match[1]), match[2], counts))
        else:
            assert re.fullmatch(r"Page block order: \d+|Pages per block: +\d+|Free pages count per .*|", line), line
    return areas, blocks


def parsed(file: str) -> Pagetypeinfo:
    value, damage = parse(file)
    assert damage is None
    assert value is not None
    return value


@each_recording
def test_both_tables_of_a_recording_equal_the_file(kernel: str, phase: str) -> None:
    reading = snapshot(kernel, phase).pagetypeinfo
    assert (reading.state, reading.reason) == ("ok", None)
    assert reading.value is not None
    areas, blocks = tables_of(text(kernel, phase, "proc/pagetypeinfo"))
    assert areas
    assert blocks
    assert list(reading.value.areas) == areas
    assert list(reading.value.pageblocks) == blocks


@pytest.mark.parametrize(("kernel", "order"), [("6.1-4n", 9), ("6.12-arm64-16k-4n", 11)])
def test_the_pageblock_order_is_the_one_printed(kernel: str, order: int) -> None:
    value = snapshot(kernel, "base").pagetypeinfo.value
    assert value is not None
    assert value.pageblock_order == order


def test_types_are_those_of_the_file_in_its_order() -> None:
    """Linux 3.10 has the type Reserve, and Reclaimable precedes Movable."""
    titles = "Free pages count per migrate type at order       0      1 \n"
    row = "Node    0, zone      DMA, type {:>12} {:6} {:6} \n"
    names = ("Unmovable", "Reclaimable", "Movable", "Reserve", "CMA", "Mirror")
    value = parsed(
        HEAD
        + titles
        + "".join(row.format(name, k, k + 10) for k, name in enumerate(names))
        + "\nNumber of blocks type     Unmovable  Reclaimable      Movable      Reserve          CMA       Mirror \n"
        + "Node 0, zone      DMA            1            2            3            4            5            6 \n"
    )
    assert [(area.migrate_type, area.blocks) for area in value.areas] == [
        (name, (k, k + 10)) for k, name in enumerate(names)
    ]
    assert value.pageblocks == (Pageblocks(0, "DMA", {name: k + 1 for k, name in enumerate(names)}),)


def test_a_capped_count_is_a_lower_bound_listed_by_order() -> None:
    value = parsed(HEAD + TITLES + UNMOVABLE + CAPPED)
    assert value.areas == (
        UNMOVABLE_AREA,
        TypedFreeArea(6, "Normal", "Movable", (100000, 100000, 41019, 100000, 648, 0), (0, 1, 3)),
    )


@pytest.mark.parametrize("kernel", ["6.1-8n", "7.3-4n"])
def test_each_node_has_tables_of_its_own(kernel: str) -> None:
    value = snapshot(kernel, "established").pagetypeinfo.value
    assert value is not None
    nodes = set(range(8 if kernel == "6.1-8n" else 4))
    assert {area.node for area in value.areas} == nodes
    assert {each.node for each in value.pageblocks} == nodes


def test_a_type_may_be_in_the_pageblock_table_alone() -> None:
    value = parsed(HEAD + TITLES + UNMOVABLE + BLOCKS + BLOCKS_ROW)
    assert value.areas == (UNMOVABLE_AREA,)
    assert value.pageblocks == (BLOCKS_VALUE,)


def test_the_table_of_mixed_blocks_is_ignored() -> None:
    mixed = "\nNumber of mixed blocks     Unmovable      Movable  Reclaimable   HighAtomic      Isolate \n"
    value = parsed(HEAD + TITLES + UNMOVABLE + BLOCKS + BLOCKS_ROW + mixed + BLOCKS_ROW.replace("198", " 77"))
    assert value.pageblocks == (BLOCKS_VALUE,)


@pytest.mark.parametrize("kept", [3, 4, 5])
def test_a_table_cut_on_the_right_keeps_its_complete_columns(kept: int) -> None:
    titles, row = TITLES.rstrip(), UNMOVABLE.rstrip()
    wide = titles.replace("      5", "     10")  # cut within a number of two digits
    width = len(wide) - 1 - 7 * (5 - kept)
    cut_titles = (wide if kept == 5 else titles.replace(f"      {kept}", f"     1{kept}"))[:width]
    value, damage = parse(HEAD + cut_titles + "\n" + row[:width].rstrip() + "\n")
    assert value is not None
    assert value.areas == (TypedFreeArea(0, "Normal", "Unmovable", UNMOVABLE_AREA.blocks[:kept], ()),)
    assert damage is not None
    assert damage.state == "cut"


def test_tables_cut_at_any_column_give_only_types_and_numbers_of_the_whole() -> None:
    """Names and numbers of pageblocks have the same column width, so a cut can leave half of a name and half of a
    number.
    """
    types = "\nNumber of blocks type     Unmovable      Movable  Reclaimable   HighAtomic      Isolate \n"
    rows = (
        "Node 0, zone    DMA32          198         4149      7654321            0            0 \n"
        "Node 0, zone   Normal      7654321    123456789      7654321      1234567      7654321 \n"
    )
    whole = parsed(HEAD + TITLES + UNMOVABLE + CAPPED + types + rows)
    for width in range(44, len(rows)):
        value, _ = parse(
            "\n".join(line[:width] for line in (HEAD + TITLES + UNMOVABLE + CAPPED + types + rows).split("\n"))
        )
        if value is None:
            continue
        for area in value.areas:
            [same] = [each for each in whole.areas if each.migrate_type == area.migrate_type]
            assert area.blocks == same.blocks[: len(area.blocks)], width
            assert area.capped_orders == tuple(k for k in same.capped_orders if k < len(area.blocks)), width
        for each in value.pageblocks:
            [same_blocks] = [other for other in whole.pageblocks if other.zone == each.zone]
            assert each.count_by_type.items() <= same_blocks.count_by_type.items(), width


@pytest.mark.parametrize(
    "odd",
    [
        "Node    0, zone   Normal, type      Movable   1472   2977 \n",
        "Node    0, zone   Normal, type      Movable   1472   2977   1937   -799    255    124 \n",
        "Node    0, zone   Normal, type      Movable   1472   2977   1937   many    255    124 \n",
        "Node    x, zone   Normal, type      Movable   1472   2977   1937    799    255    124 \n",
        "Node 0\n",
        "Node    0, zone   Normal, type      Movable <100000 >100000  41019 >100000    648      0 \n",
    ],
)
def test_only_a_malformed_row_is_skipped(odd: str) -> None:
    value, damage = parse(HEAD + TITLES + odd + UNMOVABLE + BLOCKS + BLOCKS_ROW)
    assert value is not None
    assert value.areas == (UNMOVABLE_AREA,)
    assert value.pageblocks == (BLOCKS_VALUE,)
    assert damage is not None
    assert damage.state in ("strange", "cut")


def test_a_row_of_pageblocks_with_too_few_numbers_is_skipped() -> None:
    value, damage = parse(HEAD + TITLES + UNMOVABLE + BLOCKS + "Node 0, zone      DMA   1   7 \n" + BLOCKS_ROW)
    assert value is not None
    assert value.pageblocks == (BLOCKS_VALUE,)
    assert damage is not None


def test_another_kind_of_file_gives_a_reason_and_no_value() -> None:
    value, damage = parse("Tcp: 1 2 3\n")
    assert value is None
    assert damage is not None
    assert damage.state == "strange"


def test_names_are_made_printable() -> None:
    value = parsed(HEAD + TITLES + UNMOVABLE.replace("Unmovable", "Un\x1b[1mable"))
    assert value.areas[0].migrate_type == "Un\\x1b[1mable"


def test_a_file_cut_at_any_byte_gives_only_rows_of_the_whole_file() -> None:
    whole = text("7.3-4n", "established", "proc/pagetypeinfo")
    areas, blocks = tables_of(whole)
    whole = whole[: whole.index("Page block order", 10) + 600]  # one node and the beginning of the next
    for end, beginning in cuts(whole):
        value, damage = parse(beginning)
        if beginning and not beginning.endswith("\n"):
            assert damage is not None, end
            assert damage.state == "cut", end
        if value is not None:
            complete = beginning[: beginning.rfind("\n") + 1]
            assert len(value.areas) == complete.count(", type "), end
            assert list(value.areas) == areas[: len(value.areas)], end
            assert list(value.pageblocks) == blocks[: len(value.pageblocks)], end


@pytest.mark.parametrize("release", ["3.10.0-1160.el7", "4.19.0-27-amd64", "5.3.18"])
def test_it_is_off_by_default_where_the_walk_has_no_cap(release: str) -> None:
    reason = PagetypeinfoSource().off_reason(release)
    assert reason is not None
    assert release in reason


@pytest.mark.parametrize("release", ["5.4.0", "5.10.0-32-amd64", "6.18.44", "7.3.4+deb13-amd64"])
def test_it_is_read_where_the_walk_is_capped(release: str) -> None:
    assert PagetypeinfoSource().off_reason(release) is None


def test_it_is_off_on_a_kernel_of_unknown_release() -> None:
    assert PagetypeinfoSource().off_reason(None) is not None


@given(st.binary(max_size=400))
def test_arbitrary_bytes_never_raise(data: bytes) -> None:
    parse(data.decode("utf-8", "backslashreplace"))


WORDS = [*(TITLES + CAPPED + BLOCKS + BLOCKS_ROW).split(), "\n", TITLES, BLOCKS, "Number of", "-1", "Page block order:"]


@given(st.lists(st.sampled_from(WORDS), max_size=60))
def test_arbitrary_words_never_raise_or_give_a_negative_count(words: list[str]) -> None:
    value, _ = parse(" ".join(words) + "\n")
    if value is not None:
        assert all(count >= 0 for area in value.areas for count in area.blocks)
        assert all(count >= 0 for each in value.pageblocks for count in each.count_by_type.values())
        assert all(order < len(area.blocks) for area in value.areas for order in area.capped_orders)


TYPES = ("Unmovable", "Movable", "Reclaimable", "HighAtomic", "CMA", "Isolate")


@given(st.data())
def test_the_kernels_format_is_parsed_back(data: st.DataObject) -> None:
    """A file in the formats of mm/vmstat.c, pagetypeinfo_showfree_print and pagetypeinfo_showblockcount_print."""
    orders = data.draw(st.integers(1, 14))
    types = TYPES[: data.draw(st.integers(1, len(TYPES)))]
    nodes = data.draw(st.lists(st.integers(0, 1023), min_size=1, max_size=3, unique=True))
    areas: list[TypedFreeArea] = []
    blocks: list[Pageblocks] = []
    printed = ""
    for node in nodes:
        printed += HEAD + f"{'Free pages count per migrate type at order':<43} "
        printed += "".join(f"{order:6} " for order in range(orders)) + "\n"
        for name in types:
            counts = data.draw(st.lists(st.integers(0, 100_000), min_size=orders, max_size=orders))
            capped = tuple(order for order, count in enumerate(counts) if count == 100_000)
            areas.append(TypedFreeArea(node, "Normal", name, tuple(counts), capped))
            printed += f"Node {node:4}, zone {'Normal':>8}, type {name:>12} "
            printed += "".join(f"{'>' if count == 100_000 else ''}{count:6} " for count in counts) + "\n"
        numbers = data.draw(st.lists(st.integers(0, 2**40), min_size=len(types), max_size=len(types)))
        blocks.append(Pageblocks(node, "Normal", dict(zip(types, numbers, strict=True))))
        printed += f"\n{'Number of blocks type':<23}" + "".join(f"{name:>12} " for name in types) + "\n"
        printed += f"Node {node}, zone {'Normal':>8} " + "".join(f"{number:12} " for number in numbers) + "\n"
    value = parsed(printed)
    assert list(value.areas) == areas
    assert list(value.pageblocks) == blocks
