"""/proc/buddyinfo: every zone and number of every recording; any number of orders; cut and malformed lines."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import cuts, each_recording, snapshot, text

from tcptop.snapshot import FreeArea
from tcptop.sources.buddyinfo import BuddyinfoSource

parse = BuddyinfoSource().parse

NORMAL = "Node 0, zone   Normal   1137    789   1850    763    240    501   1252   1481    952    100    178 \n"
DMA32 = "Node 0, zone    DMA32      2      2      2      2      1      1      2      2      2      2    338 \n"
NORMAL_AREA = FreeArea(0, "Normal", (1137, 789, 1850, 763, 240, 501, 1252, 1481, 952, 100, 178))
DMA32_AREA = FreeArea(0, "DMA32", (2, 2, 2, 2, 1, 1, 2, 2, 2, 2, 338))


def lines_of(file: str) -> list[FreeArea]:
    """The counts of the file, parsed without tcptop."""
    found = []
    for line in file.splitlines():
        match = re.fullmatch(r"Node (\d+), zone +(\w+) ((?: *\d+)+) ", line)
        assert match, line
        found.append(FreeArea(int(match[1]), match[2], tuple(map(int, match[3].split()))))
    return found


@each_recording
def test_every_zone_of_a_recording_equals_the_file(kernel: str, phase: str) -> None:
    reading = snapshot(kernel, phase).buddyinfo
    assert (reading.state, reading.reason) == ("ok", None)
    assert reading.value is not None
    assert list(reading.value.areas) == lines_of(text(kernel, phase, "proc/buddyinfo"))


def test_zones_read_by_hand() -> None:
    value = snapshot("6.1-4n", "established").buddyinfo.value
    assert value is not None
    assert [(area.node, area.zone) for area in value.areas] == [
        (0, "DMA"),
        (0, "DMA32"),
        (1, "DMA32"),
        (1, "Normal"),
        (2, "Normal"),
        (3, "Normal"),
    ]
    assert value.areas[5].blocks == (23, 1, 3, 2, 0, 1, 2, 1, 2, 0, 346)


@pytest.mark.parametrize(("kernel", "orders"), [("6.1-4n", 11), ("6.12-arm64-16k-4n", 12)])
def test_the_number_of_orders_is_the_one_printed(kernel: str, orders: int) -> None:
    value = snapshot(kernel, "base").buddyinfo.value
    assert value is not None
    assert {len(area.blocks) for area in value.areas} == {orders}


@pytest.mark.parametrize("orders", [1, 9, 14, 30])
def test_any_number_of_orders_is_accepted(orders: int) -> None:
    value, damage = parse("Node 7, zone   Normal " + "".join(f"{k:6d} " for k in range(orders)) + "\n")
    assert damage is None
    assert value is not None
    assert value.areas == (FreeArea(7, "Normal", tuple(range(orders))),)


def test_a_line_without_its_trailing_blank_is_complete() -> None:
    value, damage = parse(NORMAL.rstrip() + "\n")
    assert damage is None
    assert value is not None
    assert value.areas == (NORMAL_AREA,)


def test_a_line_cut_on_the_right_is_skipped_and_reported() -> None:
    value, damage = parse(NORMAL + "Node 1, zone   Normal   1137    789   1850    76\n" + DMA32)
    assert value is not None
    assert value.areas == (NORMAL_AREA, DMA32_AREA)
    assert damage is not None
    assert damage.state == "cut"


@pytest.mark.parametrize(
    "odd",
    [
        "Node x, zone   Normal  1  2  3  4  5  6  7  8  9  10  11 \n",
        "Node 0, zone   Normal  1  2  3  -4  5  6  7  8  9  10  11 \n",
        "Node 0, zone   Normal \n",
        "Node\n",
        "hello\n",
        "Node 0, zone   Normal  1  2  3  many  5  6  7  8  9  10  11 \n",
    ],
)
def test_only_a_malformed_line_is_skipped(odd: str) -> None:
    value, damage = parse(NORMAL + odd + DMA32)
    assert value is not None
    assert value.areas == (NORMAL_AREA, DMA32_AREA)
    assert damage is not None
    assert damage.state == "strange"


def test_another_kind_of_file_gives_a_reason_and_no_value() -> None:
    value, damage = parse("cpu  1 2 3\n")
    assert value is None
    assert damage is not None
    assert damage.state == "strange"


def test_a_zone_name_is_made_printable() -> None:
    value, _ = parse(NORMAL.replace("Normal", "No\x1b[2Jal"))
    assert value is not None
    assert value.areas[0].zone == "No\\x1b[2Jal"


@pytest.mark.parametrize("kernel", ["6.1-4n", "6.12-arm64-16k-4n"])
def test_a_file_cut_at_any_byte_gives_only_zones_of_the_whole_file(kernel: str) -> None:
    whole = text(kernel, "established", "proc/buddyinfo")
    areas = lines_of(whole)
    for end, beginning in cuts(whole):
        value, damage = parse(beginning)
        if beginning and not beginning.endswith("\n"):
            assert damage is not None, end
            assert damage.state == "cut", end
        given_areas = list(value.areas) if value is not None else []
        assert given_areas == areas[: beginning.count("\n")], end


@given(st.binary(max_size=400))
def test_arbitrary_bytes_never_raise(data: bytes) -> None:
    parse(data.decode("utf-8", "backslashreplace"))


@given(st.lists(st.sampled_from([*NORMAL.split(), "-1", "Node", "zone", "\n", "0x1", "٣", "99999999999999999999999"])))
def test_arbitrary_words_never_raise_or_give_a_negative_count(words: list[str]) -> None:
    value, _ = parse(" ".join(words) + "\n")
    if value is not None:
        assert all(count >= 0 for area in value.areas for count in area.blocks)
        assert all(area.node >= 0 for area in value.areas)


@given(
    st.integers(1, 16).flatmap(
        lambda orders: st.lists(
            st.tuples(
                st.integers(0, 1023),
                st.sampled_from(["DMA", "DMA32", "Normal", "HighMem", "Movable", "Device"]),
                st.lists(st.integers(0, 2**63 - 1), min_size=orders, max_size=orders),
            ),
            min_size=1,
            max_size=6,
            unique_by=lambda zone: zone[:2],
        )
    )
)
def test_the_kernels_format_is_parsed_back(zones: list[tuple[int, str, list[int]]]) -> None:
    """A file in the format of mm/vmstat.c, frag_show_print."""
    printed = "".join(
        f"Node {node}, zone {name:>8} " + "".join(f"{blocks:6} " for blocks in counts) + "\n"
        for node, name, counts in zones
    )
    value, damage = parse(printed)
    assert damage is None
    assert value is not None
    assert list(value.areas) == [FreeArea(node, name, tuple(counts)) for node, name, counts in zones]
