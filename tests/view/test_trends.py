"""Tests of the trends: one value for each five seconds, None without a sample; and of the graphs drawn from them."""

from __future__ import annotations

import re
from dataclasses import fields
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from recorded import counters, ledger

from tcptop.ledger import Ledger
from tcptop.rates import STEP_S
from tcptop.view.trends import MAX_STEPS, NO_TRENDS, Trends, add_sample, fit_columns
from tcptop.widgets.graph import LEVELS, area, sparkline

NOON = 1_795_348_800.0
"""A multiple of five seconds, and of a minute."""


def ledger_at(seconds: float, phase: str = "established") -> Ledger:
    """The ledger of a recorded tree, as if sampled the given number of seconds after noon."""
    return ledger("6.1-4n", phase)._replace(taken_at_unix_s=NOON + seconds)


def trends_of(*samples: Ledger) -> Trends:
    trends = NO_TRENDS
    for sample in samples:
        trends = add_sample(trends, sample)
    return trends


def value_counts(trends: Trends) -> set[int]:
    return {len(getattr(trends, each.name)) for each in fields(trends) if each.name not in ("step", "latest")}


def test_incomplete_step_has_no_value() -> None:
    assert value_counts(trends_of(ledger_at(0), ledger_at(1), ledger_at(STEP_S - 0.1))) == {0}


def test_step_has_the_value_of_its_last_sample() -> None:
    trends = trends_of(
        ledger_at(0, "base"),
        ledger_at(2, "timewait"),
        ledger_at(4, "established"),
        ledger_at(5, "base"),
        ledger_at(10, "base"),
    )
    assert trends.sockets == (counters("6.1-4n", "established")["alloc"], counters("6.1-4n", "base")["alloc"])
    trends = trends_of(ledger_at(0, "established"), ledger_at(4.9, "timewait"), ledger_at(5, "established"))
    assert trends.time_wait == (counters("6.1-4n", "timewait")["tw"],)


def test_buffers_and_bytes_per_connection() -> None:
    trends = trends_of(ledger_at(0, "established"), ledger_at(5, "base"), ledger_at(10, "base"))
    assert trends.buffer_bytes == (
        4096 * counters("6.1-4n", "established")["mem"],
        4096 * counters("6.1-4n", "base")["mem"],
    )
    now, following = trends.bytes_per_connection
    costs = ledger("6.1-4n", "established").costs["full"]
    assert now == costs.now_bytes
    # With one socket there is no average; the value is the cost of the next socket, as on the screen.
    assert following == ledger("6.1-4n", "base").costs["full"].by_family["mix"].accepted.slab_bytes


def test_steps_without_a_sample_are_unknown() -> None:
    """The gap is a pause, or an interval longer than five seconds."""
    trends = trends_of(ledger_at(0), ledger_at(17), ledger_at(21))
    alloc = counters("6.1-4n", "established")["alloc"]
    assert trends.sockets == (alloc, None, None, alloc)
    assert value_counts(trends) == {4}


def test_steps_between_regular_samples_keep_the_value() -> None:
    """With an interval of ten seconds, a graph has no holes."""
    samples = [
        each._replace(sources={**each.sources, "sockstat": each.sources["sockstat"]._replace(every_s=10.0)})
        for each in (ledger_at(0), ledger_at(10), ledger_at(20), ledger_at(50))
    ]
    alloc = counters("6.1-4n", "established")["alloc"]
    assert trends_of(*samples).sockets == (*(alloc,) * 5, *(None,) * 5)


def test_unknown_figure_gives_none() -> None:
    no_counts = ledger_at(0).sockets._replace(allocated=None, time_wait=None, buffer_bytes=None)
    no_total = ledger_at(0).tcp_memory._replace(bytes=None)
    trends = trends_of(ledger_at(0)._replace(sockets=no_counts, tcp_memory=no_total), ledger_at(5))
    assert (trends.sockets, trends.time_wait, trends.buffer_bytes, trends.tcp_bytes) == ((None,),) * 4


def test_clock_set_back_restarts_the_trends() -> None:
    trends = trends_of(ledger_at(0), ledger_at(5), ledger_at(10), ledger_at(-3600), ledger_at(-3595))
    assert value_counts(trends) == {1}


def test_sample_without_a_time_is_ignored() -> None:
    assert trends_of(ledger("6.1-4n", "base"), ledger("6.1-4n", "established")) == NO_TRENDS


@given(st.lists(st.floats(0, 100_000), max_size=40))
def test_trends_keep_at_most_five_minutes(times: list[float]) -> None:
    trends = NO_TRENDS
    for time in sorted(times):
        trends = add_sample(trends, ledger_at(time))
        [length] = value_counts(trends)
        assert length <= MAX_STEPS
        assert MAX_STEPS * STEP_S == 300
        assert length == min(MAX_STEPS, int(time // STEP_S) - int(min(times) // STEP_S))


# The columns of a graph


@given(st.lists(st.none() | st.floats(0, 1e9), max_size=MAX_STEPS), st.integers(0, 200), st.integers(0, 10**9))
def test_graph_ends_at_the_newest_step(values: list[float | None], columns: int, step: int) -> None:
    fitted = fit_columns(tuple(values), columns, step)
    assert len(fitted) <= columns
    assert len(fitted) == columns or columns < MAX_STEPS
    known = {value for value in values if value is not None}
    assert {value for value in fitted if value is not None} <= known
    if columns >= MAX_STEPS:
        assert {value for value in fitted if value is not None} == known
    if columns and values and values[-1] is not None:
        last = fitted[-1]
        assert last is not None
        assert last >= values[-1]


def test_narrow_graph_moves_one_column_when_a_group_of_steps_is_complete() -> None:
    """Between two steps, only the newest column changes, so that only one character is sent to the terminal."""
    values = [float(number) for number in range(1000)]
    graphs = [fit_columns(tuple(values[step - MAX_STEPS : step]), 20, step) for step in range(300, 309)]
    for before, after in pairwise(graphs):
        assert after[:-1] in (before[:-1], before[1:])
    assert graphs[3] != graphs[0]


# The sparkline


def test_sparkline_scales_from_lowest_to_highest() -> None:
    assert sparkline((1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)) == LEVELS
    assert sparkline((5.0, None, 1.0)) == "█ ▁"


def test_sparkline_of_equal_values_is_in_the_middle() -> None:
    drawn = set(sparkline((7.0, 7.0, 7.0)))
    assert len(drawn) == 1
    assert drawn < set(LEVELS[1:-1])


def test_small_changes_do_not_fill_the_height() -> None:
    drawn = sparkline((900_000.0, 900_310.0))
    assert set(drawn) <= set(LEVELS[2:6])
    assert set(sparkline((900_000.0, 950_000.0))) == {LEVELS[0], LEVELS[-1]}


@given(st.lists(st.none() | st.floats(0, 1e15), min_size=1, max_size=70), st.integers(1, 20))
def test_area_is_filled_from_below(values: list[float | None], rows: int) -> None:
    lines = area(tuple(values), rows)
    assert [len(line) for line in lines] == [len(values)] * rows
    for column, value in enumerate(values):
        bottom_up = "".join(line[column] for line in reversed(lines))
        assert re.fullmatch(rf"█*[{LEVELS}]? *", bottom_up)
        assert (bottom_up[0] == " ") == (value is None)


@given(st.lists(st.none() | st.floats(0, 1e15), max_size=100))
def test_sparkline_has_a_column_for_each_value_and_keeps_their_order(values: list[float | None]) -> None:
    text = sparkline(tuple(values))
    assert len(text) == len(values)
    assert [character == " " for character in text] == [value is None for value in values]
    known = sorted(
        (value, LEVELS.index(character)) for value, character in zip(values, text, strict=True) if value is not None
    )
    heights = [height for _, height in known]
    assert heights == sorted(heights)
