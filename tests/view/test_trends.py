"""What figures were over the last minutes: one value for each ten seconds, and none where nobody looked."""

from __future__ import annotations

from dataclasses import fields

from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import counters, ledger

from tcptop.ledger import Ledger
from tcptop.view.trends import MAX_STEPS, NO_TRENDS, STEP_S, Trends, add_sample
from tcptop.widgets.trend_line import LEVELS, sparkline

NOON = 1_795_348_800.0
"""A multiple of ten seconds."""


def ledger_at(seconds: float, phase: str = "established") -> Ledger:
    """What a recording says, as if it had been read so many seconds after noon."""
    return ledger("6.1-4n", phase)._replace(taken_at_unix_s=NOON + seconds)


def trends_of(*looks: Ledger) -> Trends:
    trends = NO_TRENDS
    for look in looks:
        trends = add_sample(trends, look)
    return trends


def value_counts(trends: Trends) -> set[int]:
    return {len(getattr(trends, each.name)) for each in fields(trends) if each.name not in ("step", "latest")}


def test_a_step_under_way_is_not_drawn() -> None:
    assert value_counts(trends_of(ledger_at(0), ledger_at(1), ledger_at(STEP_S - 0.1))) == {0}


def test_the_last_look_of_a_step_stands_for_it() -> None:
    trends = trends_of(
        ledger_at(0, "base"),
        ledger_at(4, "timewait"),
        ledger_at(9, "established"),
        ledger_at(10, "base"),
        ledger_at(20, "base"),
    )
    assert trends.sockets == (counters("6.1-4n", "established")["alloc"], counters("6.1-4n", "base")["alloc"])
    trends = trends_of(ledger_at(0, "established"), ledger_at(9, "timewait"), ledger_at(10, "established"))
    assert trends.time_wait == (counters("6.1-4n", "timewait")["tw"],)


def test_the_four_figures() -> None:
    trends = trends_of(ledger_at(0, "established"), ledger_at(10, "base"), ledger_at(20, "base"))
    assert trends.buffer_bytes == (
        4096 * counters("6.1-4n", "established")["mem"],
        4096 * counters("6.1-4n", "base")["mem"],
    )
    now, following = trends.bytes_per_connection
    costs = ledger("6.1-4n", "established").costs["full"]
    assert now == costs.now_bytes
    # With one socket there is no average, and the figure is that of the next socket, as on the screen.
    assert following == ledger("6.1-4n", "base").costs["full"].by_family["mix"].accepted.slab_bytes


def test_steps_that_nobody_saw_are_not_known() -> None:
    """A pause, or an interval of more than ten seconds."""
    trends = trends_of(ledger_at(0), ledger_at(35), ledger_at(41))
    alloc = counters("6.1-4n", "established")["alloc"]
    assert trends.sockets == (alloc, None, None, alloc)
    assert value_counts(trends) == {4}


def test_a_figure_that_is_not_known_stays_so() -> None:
    nothing = ledger_at(0).sockets._replace(allocated=None, time_wait=None, buffer_bytes=None)
    trends = trends_of(ledger_at(0)._replace(sockets=nothing), ledger_at(10))
    assert (trends.sockets, trends.time_wait, trends.buffer_bytes) == ((None,), (None,), (None,))


def test_a_clock_that_is_set_back_starts_anew() -> None:
    trends = trends_of(ledger_at(0), ledger_at(10), ledger_at(20), ledger_at(-3600), ledger_at(-3590))
    assert value_counts(trends) == {1}


def test_a_saved_tree_has_no_time() -> None:
    assert trends_of(ledger("6.1-4n", "base"), ledger("6.1-4n", "established")) == NO_TRENDS


@settings(deadline=None)
@given(st.lists(st.floats(0, 100_000), max_size=40))
def test_the_trends_never_grow_beyond_their_width(times: list[float]) -> None:
    """A day of them takes no more memory than a quarter of an hour."""
    trends = NO_TRENDS
    for time in sorted(times):
        trends = add_sample(trends, ledger_at(time))
        [length] = value_counts(trends)
        assert length <= MAX_STEPS
        assert length == min(MAX_STEPS, int(time // STEP_S) - int(min(times) // STEP_S))


# The graph


def test_a_graph_goes_from_the_lowest_to_the_highest() -> None:
    assert sparkline((1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)) == LEVELS
    assert sparkline((5.0, None, 1.0)) == "█ ▁"


def test_a_still_figure_is_a_line_in_the_middle() -> None:
    drawn = set(sparkline((7.0, 7.0, 7.0)))
    assert len(drawn) == 1
    assert drawn < set(LEVELS[1:-1])


@given(st.lists(st.none() | st.floats(0, 1e15), max_size=100))
def test_a_graph_has_a_column_for_each_value_and_keeps_their_order(values: list[float | None]) -> None:
    text = sparkline(tuple(values))
    assert len(text) == len(values)
    assert [character == " " for character in text] == [value is None for value in values]
    known = sorted(
        (value, LEVELS.index(character)) for value, character in zip(values, text, strict=True) if value is not None
    )
    heights = [height for _, height in known]
    assert heights == sorted(heights)
