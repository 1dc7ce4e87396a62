"""The page of free blocks, compared with buddyinfo, pagetypeinfo, slabinfo and zoneinfo of the recorded guests."""

from __future__ import annotations

import re
from itertools import zip_longest
from pathlib import Path

import pytest
from recorded import RECORDINGS, copy_recording, ledger, ledger_of, slab_rows, text

from tcptop.explanation.free_blocks_page import TYPE_MEANINGS, free_blocks_page
from tcptop.explanation.pages import find_page
from tcptop.ledger import Ledger
from tcptop.text.line import text_of

LOADED = [kernel for kernel, phases in RECORDINGS.items() if "established" in phases]


def page_of(found: Ledger, columns: int = 160) -> str:
    return "\n".join(text_of(line) for line in free_blocks_page(found, columns))


def number(written: str) -> int:
    return int(written.replace(" ", ""))


def added(rows: list[str]) -> list[int]:
    return [sum(map(int, counts)) for counts in zip_longest(*(row.split() for row in rows), fillvalue="0")]


@pytest.mark.parametrize("kernel", LOADED)
def test_the_free_blocks_of_each_order_are_the_sums_of_buddyinfo(kernel: str) -> None:
    expected = added(re.findall(r"(?m)^Node .*zone +\S+ +(.*)$", text(kernel, "established", "proc/buddyinfo")))
    page = page_of(ledger(kernel, "established"))
    rows = re.findall(r"(?m)^ +(\d+) +\d+[KMG] +(\d[\d ]*?) {2,}[\d .]+ [KMG]?i?B +<?\d+ %", page)
    assert [(int(order), number(count)) for order, count in rows] == list(enumerate(expected))


@pytest.mark.parametrize("kernel", LOADED)
def test_the_blocks_of_each_type_are_those_of_pagetypeinfo_from_the_order_of_tcp_up(kernel: str) -> None:
    found = ledger(kernel, "established")
    pages_per_slab = slab_rows(text(kernel, "established", "proc/slabinfo"))["TCP"].pages
    order = pages_per_slab.bit_length() - 1
    types = re.findall(r"(?m)^Node .*type +(\S+) +(.*)$", text(kernel, "established", "proc/pagetypeinfo"))
    page = page_of(found)
    for name in {name for name, _ in types}:
        blocks = sum(added([row for other, row in types if other == name])[order:])
        row = re.search(rf"(?m)^ {name} +[\d .]+ [KMG]?i?B +(\d[\d ]*?) {{2,}}", page)
        assert row is not None, name
        assert number(row[1]) == blocks, name
        assert name in TYPE_MEANINGS


@pytest.mark.parametrize("kernel", LOADED)
def test_the_slabs_of_a_socket_have_the_orders_of_slabinfo(kernel: str) -> None:
    rows = slab_rows(text(kernel, "established", "proc/slabinfo"))
    page = page_of(ledger(kernel, "established"))
    for name in ("TCPv6" if "ipv6" in kernel else "TCP", "sock_inode_cache", "dentry"):
        row = re.search(rf"(?m)^ {name} +(\d+) +\d+[KMG] +(\d+) ", page)
        assert row is not None, name
        assert (1 << int(row[1]), int(row[2])) == (rows[name].pages, rows[name].per_slab)


@pytest.mark.parametrize(("mark", "words"), [("low_pages", "below low"), ("min_pages", "below min")])
def test_a_zone_that_has_reached_a_watermark_says_what_the_kernel_does(mark: str, words: str) -> None:
    found = ledger("6.1-1n", "established")
    [node] = found.nodes
    zones = tuple(zone._replace(free_pages=getattr(zone, mark)) for zone in node.zones)
    page = page_of(found._replace(nodes=(node._replace(zones=zones),)))
    assert re.search(rf"(?m)^ DMA32 .* {words}", page)
    assert re.search(r"(?m)^ DMA32 .* no reclaim$", page_of(found))


def test_what_is_not_known_is_no_0(tmp_path: Path) -> None:
    folder = copy_recording("6.1-4n", "established", tmp_path)
    for name in ("buddyinfo", "pagetypeinfo", "zoneinfo", "slabinfo"):
        (folder / "proc" / name).unlink()
    page = page_of(ledger_of(folder), 80)
    assert "buddyinfo" in page
    assert "pagetypeinfo" in page
    assert not re.search(r"\b0 B\b|Room: ", page)


@pytest.mark.parametrize("columns", [38, 58, 78, 118, 198])
def test_no_line_is_wider_than_the_page(columns: int) -> None:
    lines = free_blocks_page(ledger("6.1-4n", "established"), columns)
    assert max(len(text_of(line).rstrip()) for line in lines) <= columns


def test_the_page_is_found_by_its_names() -> None:
    found = ledger("6.1-4n", "established")
    for name in ("free", "buddy", "free_area"):
        page = find_page(found, name)
        assert page is not None
        assert page.name == "free"
