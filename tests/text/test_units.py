"""Formatted numbers, at the boundaries where the unit changes."""

from __future__ import annotations

import re
from math import inf

import pytest

from tcptop.text import units

MIB = 1 << 20

K, M, G, T, P = (1 << shift for shift in (10, 20, 30, 40, 50))
BOUNDARIES = sorted(
    {
        amount + step
        for unit in (1, K, M, G, T)
        for amount in (0, unit, 10 * unit, 99 * unit, 100 * unit, 999 * unit, 1000 * unit, 1023 * unit, 1024 * unit)
        for step in (-1, 0, 1)
        if amount + step >= 0
    }
)
SIZE = re.compile(r"([\d ]+(?:\.\d+)?) ?([KMGTP]?)(?:i?B)?$")


def parse_size(text: str) -> tuple[float, float]:
    """The bytes that a formatted size means, and the bytes of its last digit."""
    match = SIZE.match(text)
    assert match, text
    number, unit = match[1].replace(" ", ""), {"": 1, "K": K, "M": M, "G": G, "T": T, "P": P}[match[2]]
    return float(number) * unit, unit / 10 ** len(number.partition(".")[2])


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, "–"), (0, "0"), (999, "999"), (1000, "1 000"), (18_002, "18 002"), (1_234_567, "1 234 567")],
)
def test_counts_are_grouped_by_three(number: int | None, text: str) -> None:
    assert units.count(number) == text


@pytest.mark.parametrize(
    ("number", "width", "text"),
    [
        (None, 3, "–"),
        (0, 3, "0"),
        (999, 3, "999"),
        (1000, 4, "1000"),
        (1000, 3, "1k"),
        (1999, 3, "1k"),
        (99_999, 3, "99k"),
        (351_000, 4, "351k"),
        (351_999, 4, "351k"),
        (1_999_999, 4, "1M"),
        (999_999, 6, "999999"),
    ],
)
def test_short_counts_are_rounded_down(number: int | None, width: int, text: str) -> None:
    assert units.short_count(number, width) == text


def test_upper_bounds_are_rounded_up() -> None:
    assert units.short_count(8160, 3, up=True) == "9k"
    assert units.short_count(8000, 3, up=True) == "8k"
    assert units.rough_count(1_234_567, up=True) == "1 240 000"
    assert units.rough_count(1_230_000, up=True) == "1 230 000"


@pytest.mark.parametrize("width", [3, 4, 5, 6])
def test_short_counts_of_a_positive_number_are_never_0(width: int) -> None:
    for exponent in range(1, 15):
        for number in (10**exponent - 1, 10**exponent, 123_456_789_012_345 // 10**exponent):
            text = units.short_count(number, width)
            assert not text.startswith("0") or number == 0, (number, text)
            worth = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
            shown = int(text.rstrip("kMGTP")) * worth[text.lstrip("0123456789")]
            assert shown <= number


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "–"),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 000 B"),
        (1023, "1 023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (999 * K, "999.0 KiB"),
        (1000 * K, "1000 KiB"),
        (1023 * K, "1023 KiB"),
        (M, "1.0 MiB"),
        (72.4 * M, "72.4 MiB"),
        (G, "1.0 GiB"),
        (T, "1.0 TiB"),
        (P, "1.0 PiB"),
    ],
)
def test_sizes(amount: float | None, text: str) -> None:
    assert units.size(amount) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "–"),
        (0, "0"),
        (999, "999B"),
        (1023, "1023B"),
        (1024, "1.00K"),
        (2368, "2.31K"),
        (99 * K, "99.00K"),
        (100 * K, "100K"),
        (1023 * K, "1023K"),
        (M, "1.00M"),
        (43.31 * M, "43.31M"),
    ],
)
def test_short_sizes(amount: float | None, text: str) -> None:
    assert units.short_size(amount) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "–"),
        (0, "0"),
        (999, "999"),
        (1023, "1K"),
        (4 * K, "4K"),
        (4 * K - 1, "4K"),
        (1.26 * G, "1.3G"),
        (1.24 * G, "1.2G"),
        (311 * M, "311M"),
        (587.6 * M, "588M"),
        (999.4 * M, "999M"),
        (999.6 * M, "1G"),
        (M - 1, "1M"),
        (10 * K - 1, "10K"),
    ],
)
def test_compact_sizes(amount: float | None, text: str) -> None:
    assert units.compact_size(amount) == text


@pytest.mark.parametrize("amount", BOUNDARIES)
def test_sizes_at_every_boundary(amount: int) -> None:
    """The text is correct to its last digit, and never shows 1024 of a unit."""
    for text in (units.size(amount), units.short_size(amount)):
        shown, digit = parse_size(text)
        assert abs(shown - amount) <= digit / 2 * (1 + 1e-9), text
        assert not text.replace(" ", "").startswith("1024"), f"{amount}: {text}"


@pytest.mark.parametrize("amount", BOUNDARIES)
def test_compact_sizes_are_rounded_to_the_nearest_and_fit_four_characters(amount: int) -> None:
    text = units.compact_size(amount)
    assert len(text) <= 4
    shown, digit = parse_size(text)
    assert abs(shown - amount) <= digit / 2 * (1 + 1e-9)


@pytest.mark.parametrize("amount", BOUNDARIES)
def test_short_sizes_fit_their_column(amount: int) -> None:
    assert len(units.short_size(amount)) <= 6


def test_100_percent_means_all() -> None:
    assert units.percent(None) == "–"
    assert units.percent(0.0) == "0%"
    assert units.percent(1.0) == "100%"
    assert units.percent(0.99999) == "99%"
    assert units.percent(18_001 / 18_002) == "99%"


@pytest.mark.parametrize(
    ("amounts", "texts"),
    [
        ([1] * 3, ["33%"] * 3),
        ([1] * 8, ["13%"] * 8),
        ([126, 874], ["13%", "87%"]),
        ([997, 3], ["99%", "<1%"]),
        ([3, 0, 1], ["75%", "0%", "25%"]),
        ([1, 250, 749], ["<1%", "25%", "75%"]),
        ([5], ["100%"]),
        ([0, 0], ["0%", "0%"]),
    ],
)
def test_equal_amounts_have_equal_percentages_of_a_whole(amounts: list[int], texts: list[str]) -> None:
    assert units.percents_of_whole(amounts) == texts


def test_percent_of_whole_hundredths_is_exact() -> None:
    assert [units.percent(number / 100) for number in range(101)] == [f"{number}%" for number in range(101)]


def test_small_shares_have_a_decimal_that_is_rounded_down() -> None:
    texts = [
        units.fine_percent(share) for share in (None, 0.0, 0.0004, 0.0039, 0.00999, 0.01, 0.0599, 0.1, 0.1399, 1.2)
    ]
    assert texts == ["– %", "0 %", "<0.1 %", "0.3 %", "0.9 %", "1.0 %", "5.9 %", "10 %", "13 %", "120 %"]


def test_an_upper_bound_is_rounded_up() -> None:
    assert [units.at_most_percent(share) for share in (0.0001, 0.01, 0.0101, 0.1001)] == [
        "≤ 0.1 %",
        "≤ 1 %",
        "≤ 1.1 %",
        "≤ 11 %",
    ]


def test_percent_is_rounded_down() -> None:
    for whole in (3, 7, 13, 997, 18_002):
        for part in range(0, whole + 1, max(1, whole // 200)):
            assert units.percent(part / whole) == (
                f"{part * 100 // whole}%" if part * 100 >= whole or not part else "<1%"
            ), (
                part,
                whole,
            )


@pytest.mark.parametrize(
    ("per_second", "text"),
    [
        (None, "–"),
        (0.0, "0"),
        (-0.0, "0"),
        (0.4, "0"),
        (-0.4, "0"),
        (0.6, "+1"),
        (120.0, "+120"),
        (-120.4, "-120"),
        (999_999.0, "+999999"),
        (1_000_000.0, "+1000k"),
        (-2_500_000.0, "-2500k"),
    ],
)
def test_rates_have_a_sign(per_second: float | None, text: str) -> None:
    assert units.short_signed_count(per_second) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "–"),
        (0.1, "0.1 s"),
        (0.25, "0.25 s"),
        (0.5, "0.5 s"),
        (1.0, "1 s"),
        (60.0, "60 s"),
        (7140.0, "119 min"),
        (7200.0, "2.0 h"),
        (90000.0, "25.0 h"),
        (119.0, "119 s"),
        (120.0, "2 min"),
        (3600.0, "60 min"),
    ],
)
def test_durations(amount: float | None, text: str) -> None:
    assert units.seconds(amount) == text


@pytest.mark.parametrize(
    ("order", "page_bytes", "text"),
    [
        (0, 4096, "4K"),
        (3, 4096, "32K"),
        (8, 4096, "1M"),
        (10, 4096, "4M"),
        (18, 4096, "1G"),
        (0, 16_384, "16K"),
        (13, 65_536, "512M"),
        (3, None, "o3"),
    ],
)
def test_blocks_of_an_order(order: int, page_bytes: int | None, text: str) -> None:
    assert units.page_order_size(order, page_bytes) == text


def test_exact_bytes_round_to_the_nearest() -> None:
    assert units.exact_bytes(None) == "–"
    assert units.exact_bytes(3828.6) == "3 829"
    assert units.exact_bytes(0.4) == "0"


@pytest.mark.parametrize(
    ("bounds", "text"),
    [
        (None, "–"),
        ((3829.2, inf), "≥ 3 829"),
        ((0, 3829.2), "≤ 3 830"),
        ((0, 3829.0000000001), "≤ 3 829"),
        ((3829.9, inf), "≥ 3 829"),
        ((3829.2, 3829.4), "3 829"),
        ((3829.2, 3840.0), "≈ 3 829"),
        ((0, 0), "0"),
    ],
)
def test_an_amount_shows_its_bounds(bounds: tuple[float, float] | None, text: str) -> None:
    assert units.bounded(bounds, units.exact_bytes) == text
    assert units.bounded(bounds, units.exact_bytes, gap="") == re.sub("(?<=[≥≤≈]) ", "", text)


@pytest.mark.parametrize(
    ("bounds", "format_amount", "text"),
    [
        ((0, 3951.48), units.exact_bytes, "≤ 3 952"),
        ((0, 3951.0), units.exact_bytes, "≤ 3 951"),
        ((3703.92, float("inf")), units.exact_bytes, "≥ 3 703"),
        ((0, 28.41 * 2**20), units.size, "≤ 28.5 MiB"),
        ((28.49 * 2**20, float("inf")), units.size, "≥ 28.4 MiB"),
        ((0, 28.411 * 2**20), units.short_size, "≤ 28.42M"),
        ((28.419 * 2**20, float("inf")), units.short_size, "≥ 28.41M"),
    ],
)
def test_an_upper_bound_is_rounded_up_and_a_lower_bound_down(
    bounds: tuple[float, float], format_amount: units.BoundFormat, text: str
) -> None:
    assert units.bounded(bounds, format_amount) == text


def test_the_ends_of_a_range_are_rounded_away_from_each_other() -> None:
    assert units.size_range(28.49 * 2**20, 33.41 * 2**20) == "28.4 to 33.5 MiB"
    assert units.bounds_span((3703.92, 3743.48), units.exact_bytes) == "3 703 to 3 744"
    assert units.bounds_span((3829.2, 3829.4), units.exact_bytes) == "3 829"


def test_a_span_of_equal_texts_is_one() -> None:
    assert units.span((3829.2, 3829.4), units.exact_bytes) == "3 829"
    assert units.span((-5, 12), units.signed_count) == "-5 to +12"


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (1018 * MIB, 1039 * MIB, "1 018 to 1 039 MiB"),
        (3 * MIB, 4 * MIB, "3.0 to 4.0 MiB"),
        (56 * MIB, 12_700 * MIB, "56.0 MiB to 12.5 GiB"),
        (0, 12 * MIB, "0 to 12.0 MiB"),
        (600, 2048, "600 to 2 048 B"),
    ],
)
def test_a_range_has_one_unit(low: int, high: int, text: str) -> None:
    assert units.size_range(low, high) == text


def test_an_upper_bound_is_not_shown_above_the_whole_that_it_is_part_of() -> None:
    assert units.size_range(2**20, 1.04 * MIB * 2, whole=1.04 * MIB * 2) == "1.0 to 2.1 MiB"
    assert units.size_range(MIB, 2.01 * MIB, whole=2.02 * MIB) == "1.0 to 2.0 MiB"
    assert units.size_range(0, 1_060_864, likely=530_432, whole=1_060_864) == "0 to 1 036 KiB"
    assert units.size_range(0, 1_060_864, whole=1_060_864) == "0 to 1.0 MiB"
    assert units.size_range(MIB, 2.01 * MIB) == "1.0 to 2.1 MiB"


def test_a_range_of_percentages_is_rounded_outwards_and_one_figure_to_the_nearest() -> None:
    def shown(low: float, high: float) -> str:
        return units.bounds_span((low, high), units.percent_bound)

    assert shown(1.5406, 1.5564) == "154 to 156"
    assert shown(6.6351, 6.6483) == "663 to 665"
    assert shown(0.1071, 0.1072) == "11"
    assert shown(0.004, 0.006) == "<1"
    assert shown(0.004, 0.016) == "0 to 2"
    assert shown(0.996, 0.996) == "99"
    assert shown(1.0, 1.0) == "100"
    assert shown(1.0004, 1.0004) == "101"


@pytest.mark.parametrize("change", [2_400_123, -2_400_123])
def test_bounds_of_changes_are_rounded_away_from_the_change(change: int) -> None:
    """A lower bound is rounded towards less, an upper bound towards more, whatever the sign of the change is."""
    low, high = (units.signed_size(change, up) for up in (False, True))
    assert (low, high) == (("+2.28M", "+2.29M") if change > 0 else ("-2.29M", "-2.28M"))
    counts = [units.short_signed_count(change, up) for up in (False, True)]
    assert counts == (["+2400k", "+2401k"] if change > 0 else ["-2401k", "-2400k"])
