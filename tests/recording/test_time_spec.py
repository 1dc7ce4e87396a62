"""Times as users type them. Tests run in UTC; one test sets another time zone."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import STARTED_UNIX_S, phase_trees, record, recording_at

from tcptop.commands.common import join_offsets
from tcptop.errors import TcptopError
from tcptop.recording.time_spec import TimeRange, parse_time, parse_time_near, select_samples

FIRST = datetime(2026, 11, 22, 22, 0, 0, 250_000, timezone.utc).timestamp()
LAST = FIRST + 7200


def utc(*parts: int) -> float:
    return datetime(*parts, tzinfo=timezone.utc).timestamp()  # type: ignore[arg-type,misc] # year, month, day, …


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("22:30", utc(2026, 11, 22, 22, 30)),
        ("22:30:15", utc(2026, 11, 22, 22, 30, 15)),
        ("22:30:15.5", utc(2026, 11, 22, 22, 30, 15, 500_000)),
        ("22:00:00", utc(2026, 11, 22, 22, 0)),  # the second in which the recording begins
        ("21:59:59", utc(2026, 11, 23, 21, 59, 59)),  # on the next day
        ("0:10", utc(2026, 11, 23, 0, 10)),
        ("2026-11-22T23:04:31", utc(2026, 11, 22, 23, 4, 31)),
        ("2026-11-22 23:04", utc(2026, 11, 22, 23, 4)),
        ("2026-11-22T23:04:31.125Z", utc(2026, 11, 22, 23, 4, 31, 125_000)),
        ("2026-11-23T01:04:31+02:00", utc(2026, 11, 22, 23, 4, 31)),
        ("2026-11-22T18:04:31-0500", utc(2026, 11, 22, 23, 4, 31)),
        ("2026-11-23", utc(2026, 11, 23)),
        ("0", FIRST),
        ("+0", FIRST),
        ("+0s", FIRST),
        ("+0m", FIRST),
        ("-0s", LAST),
        ("-0", LAST),
        ("+90", FIRST + 90),
        ("+5m", FIRST + 300),
        ("-1.5h", LAST - 5400),
    ],
)
def test_accepted_times(text: str, expected: float) -> None:
    assert parse_time(text, FIRST, LAST) == expected
    if text[:1] in "0+-" and ":" not in text:
        assert parse_time_near(text, LAST, FIRST, LAST) == expected


def test_a_time_without_a_zone_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    try:
        assert parse_time("2026-11-23T04:00:00", FIRST, LAST) == utc(2026, 11, 22, 22, 15)
        assert parse_time("04:00", FIRST, LAST) == utc(2026, 11, 22, 22, 15)
        assert parse_time("22:15Z", FIRST, LAST) == utc(2026, 11, 22, 22, 15)
    finally:
        monkeypatch.setenv("TZ", "UTC")
        time.tzset()


@pytest.mark.parametrize(
    "text", ["", "noon", "25:00", "12:60", "2026-02-30", "2026-13-01T00:00", "12:04:31 ;", "+", "-x", "5", "+-0", "0x"]
)
def test_invalid_times(text: str) -> None:
    with pytest.raises(ValueError, match="12:04:31"):
        parse_time(text, FIRST, LAST)


@given(st.text(max_size=20), st.floats(-1e11, 1e11))
def test_any_text_parses_or_raises_value_error(text: str, first: float) -> None:
    with suppress(ValueError):
        assert math.isfinite(parse_time(text, first, first + 10))


def test_negative_offsets_are_joined_to_their_option() -> None:
    assert join_offsets(["-r", "x", "--at", "-5m", "--to", "+5", "-o"]) == ["-r", "x", "--at=-5m", "--to", "+5", "-o"]
    assert join_offsets(["--from", "-d", "5"]) == ["--from", "-d", "5"]


def test_select_samples(tmp_path: Path) -> None:
    file = tmp_path / "recording"
    record(file, phase_trees("6.1-1n"), 30)  # from 12:00:00.25 on, slightly more than a second apart
    with recording_at(file) as recording:
        assert select_samples(recording, TimeRange()) == range(30)
        assert select_samples(recording, TimeRange(at="12:00:10")) == range(10, 11)
        assert select_samples(recording, TimeRange(at="12:00:10.9")) == range(11, 12)
        assert select_samples(recording, TimeRange(at="12:00:00")) == range(1)
        assert select_samples(recording, TimeRange(at="+5")) == range(5, 6)
        for start, end in (("+0s", "-0s"), ("0", "-0")):
            assert select_samples(recording, TimeRange(at=start)) == range(1)
            assert select_samples(recording, TimeRange(at=end)) == range(29, 30)
            assert select_samples(recording, TimeRange(first=start, last=end)) == range(30)
        assert select_samples(recording, TimeRange(first="12:00:10", last="12:00:12")) == range(10, 12)
        assert select_samples(recording, TimeRange(first="-2.5")) == range(27, 30)
        assert select_samples(recording, TimeRange(last="+1")) == range(1)
        for time_range in (
            TimeRange(at="12:05"),
            TimeRange(first="12:05"),
            TimeRange(first="12:00:11.5", last="12:00:12"),
        ):
            with pytest.raises(TcptopError, match="it holds 2026-11-22 12:00:00 to 2026-11-22 12:00:29"):
                select_samples(recording, time_range)
        with pytest.raises(TcptopError, match="without --from"):
            select_samples(recording, TimeRange(at="12:00", first="12:00"))
        with pytest.raises(TcptopError, match=r"--to: .*not 'x'"):
            select_samples(recording, TimeRange(last="x"))


def test_offsets_in_a_recording_whose_clock_was_set_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last samples have times of an hour before. Offsets count what has passed; others are looked for."""
    file = tmp_path / "recording"
    record(file, phase_trees("6.1-1n"), 10)
    monkeypatch.setattr("samples.STARTED_UNIX_S", STARTED_UNIX_S - 3600)
    record(file, phase_trees("6.1-1n"), 20)
    with recording_at(file) as recording:
        assert select_samples(recording, TimeRange(at="-0")) == range(29, 30)
        assert select_samples(recording, TimeRange(first="-2.5")) == range(27, 30)
        assert select_samples(recording, TimeRange(at="+5")) == range(5, 6)
        assert select_samples(recording, TimeRange(last="+20", first="+10")).stop == 21
        assert select_samples(recording, TimeRange(at="12:00:05")) == range(5, 6)
        assert select_samples(recording, TimeRange(at="11:00:07")) == range(17, 18)
        assert select_samples(recording, TimeRange(first="11:00:07", last="11:00:09")).stop == 19
        with pytest.raises(TcptopError, match="it holds 2026-11-22 11:00:00 to 2026-11-22 12:00:09"):
            select_samples(recording, TimeRange(at="10:30"))


def test_the_last_sample_after_the_clock_was_set_back(tmp_path: Path) -> None:
    file = tmp_path / "recording"
    record(file, phase_trees("6.1-1n"), 4, clock_set_s={3: -3600.0})
    with recording_at(file) as recording:
        assert select_samples(recording, TimeRange(at="-0")) == range(3, 4)
        assert select_samples(recording, TimeRange(at="+0")) == range(1)
        assert select_samples(recording, TimeRange(at="11:00:03")) == range(3, 4)


def test_a_saved_tree_cannot_be_selected_by_time() -> None:
    with recording_at(phase_trees("6.1-1n")[0]) as recording, pytest.raises(TcptopError, match="no times"):
        select_samples(recording, TimeRange(at="12:00"))
