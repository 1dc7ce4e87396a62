"""/proc/net/stat/nf_conntrack: hexadecimal counters, a line for each CPU."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptop.snapshot import EventCounters
from tcptop.sources.conntrack_stats import ConntrackStatsSource

parse = ConntrackStatsSource().parse

HEADER = (
    "entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop icmp_error "
    " expect_new expect_create expect_delete search_restart\n"
)
OLD_HEADER = HEADER.replace("clashres", "searched").replace("chainlength", "delete_list")


def row(insert_failed: int, drop: int, early_drop: int, other: int = 0x1FF) -> str:
    """The line of a CPU as ct_cpu_seq_show prints it."""
    values = [other] * 9 + [insert_failed, drop, early_drop] + [other] * 5
    first, second, *rest = (f"{value:08x}" for value in values)
    return f"{first}  {second} {' '.join(rest[:11])}  {' '.join(rest[11:])}\n"


@pytest.mark.parametrize("header", [HEADER, OLD_HEADER])
def test_the_counters_are_the_sums_over_the_cpus(header: str) -> None:
    file = header + row(1, 0x10, 0xFFFFFFFF) + row(2, 0xA, 1) + row(0, 0, 0)
    assert parse(file) == (EventCounters({"insert_failed": 3, "drop": 26, "early_drop": 1 << 32}), None)


def test_columns_are_found_by_name_at_any_position() -> None:
    assert parse("drop entries\n0000000b 00000001\n") == (EventCounters({"drop": 11}), None)


@pytest.mark.parametrize("file", ["", "entries found\n1 2\n", HEADER, row(1, 2, 3)])
def test_a_file_without_header_or_values_gives_a_reason_and_no_value(file: str) -> None:
    value, damage = parse(file)
    assert value is None
    assert damage is not None


@pytest.mark.parametrize(
    "file",
    [
        HEADER + row(1, 2, 3) + "00000001 00000002\n",
        HEADER + row(1, 2, 3) + row(1, 2, 3).rstrip() + " 00000000\n",
        HEADER + row(1, 2, 3) + row(1, 2, 3)[:-20],
        HEADER.replace("icmp_error", "drop") + row(1, 2, 3),
    ],
)
def test_a_sum_without_one_of_the_cpus_is_unknown(file: str) -> None:
    """A sum without one line would be too small, and the next sum would look like growth."""
    value, damage = parse(file)
    assert value == EventCounters({})
    assert damage is not None


@pytest.mark.parametrize("figure", ["-0000001", "0x000001", "0000000g", "1" * 17, "ffffffffffffffff", "٣"])
def test_a_malformed_count_is_unknown_and_reported(figure: str) -> None:
    value, damage = parse(f"drop early_drop\n00000001 00000002\n{figure} 00000003\n")
    assert value == EventCounters({"early_drop": 5})
    assert damage is not None
    assert "drop" in damage.what


def test_a_file_of_more_lines_than_a_machine_has_cpus_gives_no_sum() -> None:
    value, damage = parse("drop\n" + "1\n" * 20_000)
    assert value == EventCounters({})
    assert damage is not None
    assert "lines" in damage.what


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_raise_or_give_a_negative_count(data: bytes) -> None:
    for whole in (data, b"drop early_drop\n" + data):
        value, _ = parse(whole.decode("utf-8", "backslashreplace"))
        assert value is None or all(count >= 0 for count in value.counters.values())
