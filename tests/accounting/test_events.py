"""Events: totals as the kernel prints them, growth, which is never negative, and growth within the last minute."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import copy_recording, each_recording, ledger, ledger_of, snapshot, text

from tcptop.accounting import account
from tcptop.accounting.event_series import EventSample, add_event_sample, minute_ago_index, totals_minute_ago
from tcptop.accounting.events import (
    event_growth,
    event_growth_between,
    events_since_mark,
    totals_of,
)
from tcptop.accounting.limits import states_by_use
from tcptop.accounting.origin import UNKNOWN_ORIGIN, Origin
from tcptop.explanation.limit_texts import alarm_reasons
from tcptop.kernel.events import EVENTS
from tcptop.ledger import Event, Ledger, Limit
from tcptop.snapshot import EventCounters, Reading, Snapshot, Snmp

BASE = snapshot("6.1-4n", "established")
HOUR_S = 3600.0


def reading(
    now: Mapping[str, int], before: Mapping[str, int] | None = None, apart_s: float = 2.0
) -> Reading[EventCounters]:
    """A reading of counters at second 100, and the reading before."""
    old: Reading[EventCounters] | None = None
    if before is not None:
        old = Reading("ok", EventCounters(before), None, 100.0 - apart_s, 1, 1.0, None, None)
    return Reading("ok", EventCounters(now), None, 100.0, 1, 1.0, old, None)


def with_netstat(found: Reading[EventCounters], of: Snapshot = BASE) -> Ledger:
    return account(of._replace(netstat=found))


def event(figures: Ledger, name: str) -> Event:
    [found] = [each for each in figures.events if each.name == name]
    return found


def limit(figures: Ledger, name: str) -> Limit:
    [found] = [each for each in figures.limits["full"].rows if each.name == name]
    return found


def printed(kernel: str, phase: str, path: str, label: str) -> dict[str, int]:
    names, values = [line.split()[1:] for line in text(kernel, phase, path).splitlines() if line.startswith(label)]
    return dict(zip(names, map(int, values), strict=True))


@each_recording
def test_totals_are_those_of_the_recorded_files(kernel: str, phase: str) -> None:
    figures = ledger(kernel, phase)
    assert [each.name for each in figures.events] == [each.name for each in EVENTS]
    if kernel == "6.18-1n":
        assert {each.total for each in figures.events} == {None}
        return
    counters = printed(kernel, phase, "proc/net/netstat", "TcpExt:") | printed(kernel, phase, "proc/net/snmp", "Tcp:")
    for each in figures.events:
        assert each.total == (None if each.name.startswith("nf_conntrack_") else counters[each.name]), each.name
        assert (each.per_s, each.grown, each.since_mark) == (None, None, None)


def test_names_are_unique() -> None:
    assert len({each.name for each in EVENTS}) == len(EVENTS)


def test_counters_of_conntrack_are_named_after_it(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "proc/net/stat").mkdir()
    (root / "proc/net/stat/nf_conntrack").write_text(
        "entries insert_failed drop early_drop\n"
        "0000001f 00000001 00000010 0000000a\n0000001f 00000000 00000001 00000001\n"
    )
    figures = ledger_of(root)
    totals = totals_of(figures)
    assert [totals[f"nf_conntrack_{name}"] for name in ("drop", "early_drop", "insert_failed")] == [17, 11, 1]
    assert figures.sources["conntrack_stats"].state == "ok"


def test_the_growth_per_second_is_that_of_the_two_readings() -> None:
    found = event(with_netstat(reading({"ListenDrops": 40}, {"ListenDrops": 30}, apart_s=4.0)), "ListenDrops")
    assert (found.total, found.per_s, found.grown) == (40, 2.5, 10)


@pytest.mark.parametrize(
    ("now", "before"),
    [
        ({"ListenDrops": 3}, {"ListenDrops": 9}),
        ({"ListenDrops": 3}, {"ListenDrops": (1 << 32) - 1}),
        ({"ListenDrops": 3}, {}),
        ({}, {"ListenDrops": 3}),
        ({"ListenDrops": 3}, None),
    ],
)
def test_a_growth_that_cannot_be_known_is_unknown(now: Mapping[str, int], before: Mapping[str, int] | None) -> None:
    found = event(with_netstat(reading(now, before)), "ListenDrops")
    assert (found.total, found.per_s, found.grown) == (now.get("ListenDrops"), None, None)


def test_one_counter_that_became_smaller_makes_every_growth_unknown() -> None:
    """After a restart, or in another namespace, some counters may already exceed their old values."""
    now, before = {"ListenDrops": 90, "TCPOFODrop": 1}, {"ListenDrops": 30, "TCPOFODrop": 2}
    figures = with_netstat(reading(now, before))
    assert {each.per_s for each in figures.events} == {None}
    assert not any(each.is_alarm for each in figures.events)


COUNTS = st.dictionaries(st.sampled_from([each.name for each in EVENTS]), st.none() | st.integers(0, 1 << 63))


@given(COUNTS, COUNTS)
def test_no_growth_is_negative(one: dict[str, int | None], other: dict[str, int | None]) -> None:
    before, after = ({each.name: counts.get(each.name) for each in EVENTS} for counts in (one, other))
    growth = event_growth(before, after)
    assert all(step is None or step >= 0 for step in growth.values())
    assert set(growth) == {each.name for each in EVENTS}
    for name, step in growth.items():
        if step is not None:
            assert (before[name] or 0) + step == after[name]


# Since a mark.


def overflows(count: int, drops: int | None = None) -> Ledger:
    return with_netstat(reading({"ListenOverflows": count, "ListenDrops": count if drops is None else drops}))


def test_growth_since_a_mark() -> None:
    events = events_since_mark(overflows(5), overflows(17, 20))
    since = {each.name: each.since_mark for each in events}
    assert (since["ListenOverflows"], since["ListenDrops"], since["TCPOFODrop"]) == (12, 15, None)


def test_growth_since_a_later_mark_or_in_another_namespace_is_unknown() -> None:
    now = overflows(17)
    elsewhere = now._replace(host=now.host._replace(net_namespace="/host/proc/1/net"))
    for mark in (overflows(18), elsewhere, None):
        assert {each.since_mark for each in events_since_mark(mark, now)} == {None}
    assert event_growth_between(elsewhere, now)["ListenOverflows"] is None


def test_a_mark_that_is_removed_leaves_no_growth() -> None:
    now = overflows(17)
    marked = now._replace(events=events_since_mark(overflows(5), now))
    assert events_since_mark(None, marked) == now.events


# The last minute.


def at(second: float, count: int | None) -> Ledger:
    return (
        overflows(count) if count is not None else account(BASE._replace(netstat=Reading("missing", *(None,) * 7)))
    )._replace(taken_at_unix_s=HOUR_S + second)


def origin_at(now: Ledger) -> Origin:
    return UNKNOWN_ORIGIN._replace(host_name=now.host.name, totals=totals_of(now))


def grown(story: list[tuple[float, int | None]]) -> list[int | None]:
    """The growth of ListenOverflows that each sample of a series shows."""
    samples: tuple[EventSample, ...] = ()
    found = []
    for second, count in story:
        now = at(second, count)
        origin = origin_at(now)
        minute_ago = totals_minute_ago(samples, now.taken_at_unix_s, origin)
        found.append(event_growth(minute_ago, totals_of(now))["ListenOverflows"] if minute_ago else None)
        samples = add_event_sample(samples, now.taken_at_unix_s, origin)
    return found


@pytest.mark.slow
def test_a_growth_is_shown_for_a_minute_after_it_was_seen() -> None:
    story: list[tuple[float, int | None]] = [(second, 7 if second < 10 else 19) for second in range(100)]
    assert grown(story) == [None, *[0] * 9, *[12] * 60, *[0] * 30]


def test_growth_within_a_minute_adds_up() -> None:
    assert grown([(0, 0), (20, 1), (40, 3), (70, 3), (90, 6), (111, 6)]) == [None, 1, 3, 3, 5, 3]


def test_a_growth_between_two_samples_far_apart_is_shown() -> None:
    assert grown([(0, 5), (300, 9), (359, 9), (361, 9)]) == [None, 4, 4, 0]


def test_a_file_that_is_missing_for_a_while_hides_no_growth() -> None:
    assert grown([(0, None), (1, 5), (2, None), (3, 9)]) == [None, None, None, 4]


def test_a_clock_that_was_set_back_makes_the_series_begin_again() -> None:
    assert grown([(1000, 5), (1001, 9), (0, 9), (1, 10)]) == [None, 4, None, 1]


def test_counters_that_began_again_show_the_growth_since() -> None:
    assert grown([(0, 50), (1, 60), (2, 3), (3, 4), (63, 5)]) == [None, 10, None, 1, 1]
    assert grown([(0, 100), (10, 5), (20, 130), (80, 130), (90, 130)]) == [None, None, 125, 0, 0]
    assert grown([(0, 100), (5, None), (10, 5), (20, 130)]) == [None, None, None, 125]


def test_a_sample_that_was_damaged_a_minute_ago_hides_no_growth() -> None:
    assert grown([(0, 0), (10, None), (20, 0), (60, 500), (70, 500)]) == [None, None, 0, 500, 500]
    assert grown([(0, 0), (10, None), (20, 7), (75, 7), (81, 7)]) == [None, None, 7, 7, 0]


def test_few_samples_are_kept() -> None:
    samples: tuple[EventSample, ...] = ()
    origin = origin_at(at(0, 0))
    for second in range(500):
        samples = add_event_sample(samples, float(second), origin)
    assert len(samples) == 61


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30).map(sorted), st.floats(0, 1e6))
def test_the_sample_a_minute_ago_is_the_last_one_of_that_age(times_s: list[float], now_s: float) -> None:
    old = [index for index, time_s in enumerate(times_s) if time_s <= now_s - 60]
    assert minute_ago_index(times_s, now_s) == (old[-1] if old else 0)


# States of limits.


def test_an_overflow_of_an_accept_queue_brings_its_limit_near() -> None:
    figures = with_netstat(reading({"ListenOverflows": 16}, {"ListenOverflows": 4}))
    found = limit(figures, "listen_queues")
    assert (found.state, found.used) == ("near", None)
    assert "ListenOverflows grew by 12" in found.note
    assert alarm_reasons(found)[:2] == [
        "12 dropped within a minute by a full queue: W shows which",
        "12 dropped in 1 min: W shows which",
    ]
    assert [each.name for each in figures.limits["full"].alarms] == ["listen_queues"]
    assert figures.limits["full"].rows[0].name == "listen_queues"


def test_an_overflow_of_time_wait_is_full() -> None:
    figures = with_netstat(reading({"TCPTimeWaitOverflow": 1}, {"TCPTimeWaitOverflow": 0}))
    for mode in figures.limits:
        [found] = figures.limits[mode].alarms
        assert (found.name, found.state) == ("tcp_max_tw_buckets", "full")


def test_a_total_that_does_not_grow_is_no_alarm() -> None:
    counters = {"ListenOverflows": 7, "TCPTimeWaitOverflow": 7}
    figures = with_netstat(reading(counters, counters))
    assert figures.limits["full"].alarms == ()
    assert limit(figures, "listen_queues").state == "unknown"
    assert not any(each.is_alarm for each in figures.events)


def test_a_state_that_an_event_decided_does_not_hold_on_by_itself() -> None:
    figures = with_netstat(reading({"TCPTimeWaitOverflow": 1}, {"TCPTimeWaitOverflow": 0}))
    kept = states_by_use(figures.limits["full"], figures.events, {"tcp_max_tw_buckets": "near"})
    assert kept["tcp_max_tw_buckets"] == "near"
    assert kept["memory"] == "ok"


def test_resets_of_ordinary_traffic_are_no_alarm() -> None:
    before = Reading("ok", Snmp(5, {"OutRsts": 1, "EstabResets": 0}), None, 98.0, 1, 1.0, None, None)
    now = before._replace(value=Snmp(5, {"OutRsts": 9, "EstabResets": 4}), taken_at_s=100.0, before=before)
    figures = account(BASE._replace(snmp=now))
    assert (event(figures, "OutRsts").grown, event(figures, "OutRsts").per_s) == (8, 4.0)
    assert not any(each.is_alarm for each in figures.events)
