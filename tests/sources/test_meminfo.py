"""/proc/meminfo: amounts in bytes; missing amounts are unknown."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from recorded import cuts, each_recording, snapshot, text

from tcptop.snapshot import Meminfo
from tcptop.sources.meminfo import MeminfoSource

parse = MeminfoSource().parse

NAMES = {
    "MemTotal": "total_bytes",
    "MemAvailable": "available_bytes",
    "Slab": "slab_bytes",
    "MemFree": "free_bytes",
    "Cached": "cached_bytes",
    "AnonPages": "anonymous_bytes",
    "KReclaimable": "reclaimable_bytes",
    "SReclaimable": "reclaimable_slab_bytes",
    "SUnreclaim": "unreclaimable_slab_bytes",
    "Hugetlb": "huge_page_bytes",
    "Hugepagesize": "huge_page_size_bytes",
}


@each_recording
def test_the_amounts_of_a_recording_equal_the_file(kernel: str, phase: str) -> None:
    reading = snapshot(kernel, phase).meminfo
    assert (reading.state, reading.reason) == ("ok", None)
    file = text(kernel, phase, "proc/meminfo")
    amounts = {}
    for key in (*NAMES, "Active(file)", "Inactive(file)"):
        match = re.search(rf"^{re.escape(key)}: +(\d+) kB$", file, re.MULTILINE)
        assert match, key
        amounts[key] = int(match[1]) * 1024
    file_bytes = amounts["Active(file)"] + amounts["Inactive(file)"]
    mapped = [int(size) * 1024 for size in re.findall(r"^DirectMap\w+: +(\d+) kB$", file, re.MULTILINE)]
    buffers = re.search(r"^Buffers: +(\d+) kB$", file, re.MULTILINE)
    assert buffers
    assert reading.value == Meminfo(
        file_bytes=file_bytes,
        buffers_bytes=int(buffers[1]) * 1024,
        huge_pages=0,
        direct_map_bytes=sum(mapped) if mapped else None,
        **{NAMES[key]: amounts[key] for key in NAMES},
    )


def test_amounts_read_by_hand() -> None:
    value = snapshot("6.1-4n", "established").meminfo.value
    assert value is not None
    assert value[:3] == (6077648 << 10, 5672612 << 10, 88520 << 10)


def test_reclaimable_memory_before_4_20() -> None:
    value, _ = parse("MemTotal: 16 kB\nSReclaimable: 3 kB\nActive(file): 1 kB\n")
    assert value is not None
    assert (value.reclaimable_bytes, value.file_bytes) == (3072, None)


def test_huge_pages_before_4_16_are_those_of_the_default_size() -> None:
    pool = "MemTotal: 9000 kB\nHugePages_Total:       3\nHugepagesize:       2048 kB\n"
    for file, wanted in ((pool, 6144 << 10), (f"{pool}Hugetlb: 7000 kB\n", 7000 << 10), (pool.replace("3", "x"), None)):
        value, _ = parse(file)
        assert value is not None
        assert value.huge_page_bytes == wanted


def test_a_missing_amount_is_unknown_and_not_zero() -> None:
    assert parse("MemTotal:       16 kB\n") == (Meminfo(16384, None, None), None)


def test_malformed_amounts_are_unknown() -> None:
    value, _ = parse("MemTotal: 16 kB\nMemAvailable: -5 kB\nSlab: 7 MB\n")
    assert value == Meminfo(16384, None, None)


def test_another_kind_of_file_gives_a_reason() -> None:
    value, damage = parse("hello\n")
    assert value is None
    assert damage is not None
    assert damage.state == "strange"


def test_a_file_cut_at_any_byte_gives_only_amounts_of_the_whole_file() -> None:
    whole = text("6.18-1n", "established", "proc/meminfo")
    expected = parse(whole)[0]
    for end, beginning in cuts(whole):
        value, damage = parse(beginning)
        if beginning and not beginning.endswith("\n"):
            assert damage is not None, end
            assert damage.state == "cut", end
        for name in Meminfo._fields:
            if name == "direct_map_bytes":  # a sum, which lacks the last line if the file ends before it
                assert (getattr(value, name, None) or 0) <= (getattr(expected, name) or 0), end
                continue
            assert getattr(value, name, None) in (getattr(expected, name), None), end


@given(st.text(max_size=300))
def test_arbitrary_text_never_raises_or_gives_a_negative_amount(file: str) -> None:
    for whole in (file, f"MemTotal:{file} kB\n"):
        value, _ = parse(whole)
        for name in Meminfo._fields:
            assert (getattr(value, name, None) or 0) >= 0


AMOUNT = st.integers(0, 2**50)


@given(AMOUNT, AMOUNT, AMOUNT)
def test_the_kernels_format_is_parsed_back(total: int, available: int, slab: int) -> None:
    """A file in the format of fs/proc/meminfo.c, show_val_kb."""
    printed = f"MemTotal:       {total:8} kB\nMemFree:        {available:8} kB\nMemAvailable:   {available:8} kB\n"
    printed += f"Slab:           {slab:8} kB\nHugePages_Total:       0\n"
    expected = Meminfo(total << 10, available << 10, slab << 10, free_bytes=available << 10, huge_pages=0)
    assert parse(printed) == (expected, None)
