"""/proc/zoneinfo: sizes, watermarks and protection of every zone of every recording, old and new layouts."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import cuts, each_recording, snapshot, text

from tcptop.snapshot import Zone
from tcptop.sources.zoneinfo import ZoneinfoSource

parse = ZoneinfoSource().parse


def number(block: str, pattern: str) -> int | None:
    match = re.search(rf"^ +{pattern} +(\d+)$", block, re.MULTILINE)
    return int(match[1]) if match else None


def zone(node: int, name: str, *pages: int | None, protection: tuple[int, ...] = (), **more: int) -> Zone:
    """A zone from free, min, low, high, present and managed pages, in this order."""
    free, least, low, high, present, managed = pages
    return Zone(
        node=node,
        name=name,
        free_pages=free,
        min_pages=least,
        low_pages=low,
        high_pages=high,
        present_pages=present,
        managed_pages=managed,
        protection_pages=protection,
        free_cma_pages=more.get("free_cma"),
        cpus=more.get("cpus"),
        boost_pages=more.get("boost"),
        on_cpu_lists_pages=more.get("on_cpu_lists"),
        file_pages=more.get("file"),
        reclaimable_pages=more.get("reclaimable"),
        zone_file_pages=more.get("zone_file"),
        spanned_pages=more.get("spanned"),
        slab_pages=more.get("slab"),
    )


def total(block: str, pattern: str) -> int | None:
    """The sum of all lines with the given key; None if there is no such line."""
    found = re.findall(rf"^ +{pattern} +(\d+)$", block, re.MULTILINE)
    return sum(map(int, found)) if found else None


def zones_of(file: str) -> list[Zone]:
    """The values of the file, parsed without tcptop: the file is split at the zones, then each key is searched."""
    found = []
    for block in re.split(r"^(?=Node)", file, flags=re.MULTILINE)[1:]:
        head = re.match(r"Node (\d+), zone +(\w+)\n", block)
        assert head, block[:40]
        protection = re.search(r"protection: \(([\d, ]+)\)\n", block)
        assert protection, block[:40]
        found.append(
            Zone(
                node=int(head[1]),
                name=head[2],
                free_pages=number(block, "pages free"),
                min_pages=number(block, "min"),
                low_pages=number(block, "low"),
                high_pages=number(block, "high"),
                present_pages=number(block, "present"),
                managed_pages=number(block, "managed"),
                protection_pages=tuple(int(part) for part in protection[1].split(",")),
                free_cma_pages=number(block, "nr_free_cma"),
                cpus=len(re.findall(r"^ +cpu: \d+$", block, re.MULTILINE)) or None,
                boost_pages=number(block, "boost"),
                on_cpu_lists_pages=total(block, "count:"),
                file_pages=total(block, "nr_(?:in)?active_file"),
                reclaimable_pages=total(block, "nr_(?:slab|kernel_misc)_reclaimable"),
                zone_file_pages=total(block, "nr_zone_(?:in)?active_file"),
                spanned_pages=number(block, "spanned"),
                slab_pages=total(block, "nr_slab_(?:un)?reclaimable"),
            )
        )
    return found


@each_recording
def test_every_zone_of_a_recording_equals_the_file(kernel: str, phase: str) -> None:
    reading = snapshot(kernel, phase).zoneinfo
    assert (reading.state, reading.reason) == ("ok", None)
    assert reading.value is not None
    assert list(reading.value.zones) == zones_of(text(kernel, phase, "proc/zoneinfo"))


def test_a_zone_read_by_hand() -> None:
    value = snapshot("6.1-4n", "established").zoneinfo.value
    assert value is not None
    assert [each for each in value.zones if (each.node, each.name) == (3, "Normal")] == [
        zone(
            3,
            "Normal",
            355157,
            8318,
            10397,
            12476,
            393216,
            375381,
            protection=(0,) * 5,
            free_cma=0,
            cpus=8,
            boost=0,
            on_cpu_lists=4337,
            file=0,
            reclaimable=2326,
            slab=6085,
            spanned=393216,
            zone_file=0,
        )
    ]


OLD = """\
Node 0, zone      DMA
  pages free     3976
        min      33
        low      41
        high     49
        scanned  0
        spanned  4095
        present  3998
        managed  3977
    nr_free_pages 3976
    nr_alloc_batch 8
        protection: (0, 2796, 15806, 15806)
  pagesets
    cpu: 0
              count: 0
              high:  6
              batch: 1
  vm stats threshold: 6
  all_unreclaimable: 1
  start_pfn:         1
  inactive_ratio:    1
Node 0, zone   Normal
  pages free     12
        min      3
        low      4
        high     5
        present  100
        managed  90
        protection: (0, 0, 0, 0)
"""

PROTECTION = (0, 2896, 23973, 23973, 23973)
NEW = """\
Node 0, zone      DMA
  per-node stats
      nr_inactive_anon 14
  pages free     3840
        boost    1
        min      8
        low      11
        high     14
        promo    17
        spanned  4095
        present  3998
        managed  3840
        cma      0
        protection: (0, 2896, 23973, 23973, 23973)
      nr_free_pages 3840
      nr_free_cma  9
  pagesets
    cpu: 0
              count:    7
              high:     8
              batch:    9
              high_min: 10
              high_max: 11
    cpu: 1
              count:    0
              high:     8
              batch:    9
              high_min: 10
              high_max: 11
  vm stats threshold: 6
  node_unreclaimable:  0
  start_pfn:           1
Node 0, zone   Device
  pages free     0
        boost    0
        min      0
        low      0
        high     0
        promo    0
        spanned  0
        present  0
        managed  0
        cma      0
        protection: (0, 0, 0, 0, 0)
"""


def test_the_3_10_layout_with_protection_after_the_counters() -> None:
    value, damage = parse(OLD)
    assert damage is None
    assert value is not None
    assert value.zones == (
        zone(
            0,
            "DMA",
            3976,
            33,
            41,
            49,
            3998,
            3977,
            protection=(0, 2796, 15806, 15806),
            cpus=1,
            on_cpu_lists=0,
            spanned=4095,
        ),
        zone(0, "Normal", 12, 3, 4, 5, 100, 90, protection=(0, 0, 0, 0)),
    )


def test_the_6_18_layout_where_page_sets_have_their_own_high() -> None:
    value, damage = parse(NEW)
    assert damage is None
    assert value is not None
    assert value.zones == (
        zone(
            0,
            "DMA",
            3840,
            8,
            11,
            14,
            3998,
            3840,
            protection=PROTECTION,
            free_cma=9,
            cpus=2,
            boost=1,
            on_cpu_lists=7,
            spanned=4095,
        ),
        zone(0, "Device", 0, 0, 0, 0, 0, 0, protection=(0, 0, 0, 0, 0), boost=0, spanned=0),
    )


def test_a_missing_key_of_a_zone_is_unknown_and_not_zero() -> None:
    value, _ = parse("Node 4, zone   Normal\n  pages free     12\n        present  100\n")
    assert value is not None
    assert value.zones == (zone(4, "Normal", 12, None, None, None, 100, None),)


def test_only_a_malformed_line_is_skipped() -> None:
    value, damage = parse(NEW.replace("low      11", "low      -11"))
    assert value is not None
    assert (value.zones[0].low_pages, value.zones[0].high_pages, value.zones[0].min_pages) == (None, 14, 8)
    assert damage is not None
    assert damage.state == "strange"


@pytest.mark.parametrize("count", ["-1", "x", "1 2", "9999999999999"])
def test_a_malformed_count_of_a_cpu_is_reported_and_the_sum_unknown(count: str) -> None:
    whole = text("6.1-4n", "established", "proc/zoneinfo")
    changed, places = re.subn(r"(\n +count: +)\d+", rf"\g<1>{count}", whole, count=1)
    assert places == 1
    value, damage = parse(changed)
    assert value is not None
    assert damage is not None
    assert damage.state == "strange"
    assert value.zones[0].on_cpu_lists_pages is None
    assert list(value.zones[1:]) == zones_of(whole)[1:]


def test_lines_after_a_malformed_zone_header_belong_to_no_zone() -> None:
    value, damage = parse(OLD.replace("Node 0, zone   Normal", "Node ?, zone   Normal"))
    assert value is not None
    assert value.zones == (
        zone(
            0,
            "DMA",
            3976,
            33,
            41,
            49,
            3998,
            3977,
            protection=(0, 2796, 15806, 15806),
            cpus=1,
            on_cpu_lists=0,
            spanned=4095,
        ),
    )
    assert damage is not None


def test_another_kind_of_file_gives_a_reason_and_no_value() -> None:
    value, damage = parse("hello\n")
    assert value is None
    assert damage is not None
    assert damage.state == "strange"


def test_a_zone_name_is_made_printable() -> None:
    value, _ = parse("Node 0, zone   \x1b]0;x\x07\n  pages free     12\n")
    assert value is not None
    assert value.zones[0].name == "\\x1b]0;x\\x07"


ADDED_UP = ("cpus", "on_cpu_lists_pages", "file_pages", "reclaimable_pages", "zone_file_pages", "slab_pages")


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 67], ids=["two zones", "the whole file"])
def test_a_file_cut_at_any_byte_gives_only_numbers_of_the_whole_file(step: int) -> None:
    whole = text("6.12-4n", "established", "proc/zoneinfo") if step > 1 else NEW
    zones = zones_of(whole)
    for end, beginning in cuts(whole, step):
        value, damage = parse(beginning)
        if beginning and not beginning.endswith("\n"):
            assert damage is not None, end
            assert damage.state == "cut", end
        if value is None:
            continue
        assert len(value.zones) <= len(zones), end
        for found, whole_zone in zip(value.zones, zones, strict=False):
            for name in Zone._fields:
                expected = getattr(whole_zone, name)
                if name in ADDED_UP:  # from several lines, so a cut zone has less
                    assert (getattr(found, name) or 0) <= (expected or 0), end
                else:
                    assert getattr(found, name) in (expected, None, ()), (end, name)


@given(st.binary(max_size=400))
def test_arbitrary_bytes_never_raise(data: bytes) -> None:
    parse(data.decode("utf-8", "backslashreplace"))


@given(
    st.lists(st.sampled_from([*NEW.split(), "\n", "\n", "Node 1, zone Normal\n", "-1", "protection: ("]), max_size=60)
)
def test_arbitrary_words_never_raise_or_give_a_negative_count(words: list[str]) -> None:
    value, _ = parse(" ".join(words) + "\n")
    for found in value.zones if value is not None else ():
        numbers = [getattr(found, name) for name in Zone._fields]
        flat = [*found.protection_pages, *(each for each in numbers if isinstance(each, int))]
        assert all(each >= 0 for each in flat)


PAGES = st.integers(0, 2**63 - 1)


@given(
    st.lists(
        st.tuples(st.integers(0, 1023), st.tuples(*[PAGES] * 7), st.lists(PAGES, min_size=1)),
        min_size=1,
        unique_by=lambda zone: zone[0],
    )
)
def test_the_kernels_format_is_parsed_back(zones: list[tuple[int, tuple[int, ...], list[int]]]) -> None:
    """A file in the format of mm/vmstat.c, zoneinfo_show_print."""
    printed = ""
    for node, (free, boost, least, low, high, present, managed), protection in zones:
        printed += (
            f"Node {node}, zone {'Normal':>8}\n  per-node stats\n      nr_inactive_anon 12\n"
            f"  pages free     {free}\n        boost    {boost}\n        min      {least}\n        low      {low}\n"
            f"        high     {high}\n        promo    {high}\n        spanned  {present}\n"
            f"        present  {present}\n        managed  {managed}\n        cma      0\n"
            f"        protection: ({', '.join(map(str, protection))})\n      nr_free_pages {free}\n  pagesets\n"
            "    cpu: 0\n              count:    1\n              high:     2\n              batch:    3\n"
            "  vm stats threshold: 6\n  node_unreclaimable:  0\n  start_pfn:           1\n"
        )
    value, damage = parse(printed)
    assert damage is None
    assert value is not None
    assert list(value.zones) == [
        zone(
            *(node, "Normal", free, least, low, high, present, managed),
            protection=tuple(protection),
            cpus=1,
            boost=boost,
            spanned=present,
            on_cpu_lists=1,
        )
        for node, (free, boost, least, low, high, present, managed), protection in zones
    ]
