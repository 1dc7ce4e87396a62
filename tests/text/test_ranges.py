"""Ranges of the monitoring plugins' guidelines: the examples of the guidelines, and an independent evaluation."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptop.text.ranges import parse_range


@pytest.mark.parametrize(
    ("text", "alerting", "quiet"),
    [  # the examples of the guidelines
        ("10", (-1, 11, 10.5), (0, 10, 3)),
        ("10:", (9, -1), (10, 11, 1e9)),
        ("~:10", (11, 10.5), (10, -1e9)),
        ("10:20", (9, 21), (10, 20, 15)),
        ("@10:20", (10, 20, 15), (9, 21)),
        ("@10", (0, 10, 5), (-1, 11)),
        ("~:", (), (-1e9, 0, 1e9)),
        ("@~:-5", (-5, -6), (-4, 0)),
        ("0:0", (-1, 1, 0.5), (0,)),
        ("1.5:2.25", (1.4, 2.3), (1.5, 2.25)),
    ],
)
def test_the_ranges_of_the_guidelines(text: str, alerting: tuple[float, ...], quiet: tuple[float, ...]) -> None:
    found = parse_range(text)
    assert found.text == text
    assert all(found.alerts(value, value) is True for value in alerting)
    assert all(found.alerts(value, value) is False for value in quiet)


WRONG = [
    "",
    "@",
    ":",
    "@:",
    ":10",
    "~",
    "~10",
    "10:~",
    "20:10",
    "10:20:30",
    "1e3",
    "+5",
    "10%",
    "10K",
    " 10",
    "10 ",
    "１０",
]
WRONG += ["10:\n", "@@1", "nan", "inf", "0x10", "1_000", "--5", ".5", "5.", "9" * 19]


@pytest.mark.parametrize("text", WRONG)
def test_anything_else_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(ValueError, match="10:20 or @10:20"):
        parse_range(text)


numbers = st.integers(-(10**6), 10**6) | st.decimals(-1000, 1000, places=3).map(float)


@given(
    start=numbers | st.none(), end=numbers | st.none(), inside=st.booleans(), low=numbers, width=st.integers(0, 2000)
)
def test_an_interval_alerts_if_all_of_its_values_do(
    start: float | None, end: float | None, inside: bool, low: float, width: int
) -> None:
    first, last = -inf if start is None else start, inf if end is None else end
    text = f"{'@' if inside else ''}{'~' if start is None else start}:{'' if end is None else end}"
    if first > last:
        with pytest.raises(ValueError, match="a range"):
            parse_range(text)
        return
    high = low + width
    found = parse_range(text).alerts(low, high)
    points = {low, high, *(point for point in (first, last) if low <= point <= high)}
    points |= {point + step for point in (first, last) for step in (-1e-4, 1e-4) if low <= point + step <= high}
    alerts = {(first <= point <= last) == inside for point in points}
    assert found == (alerts.pop() if len(alerts) == 1 else None)
