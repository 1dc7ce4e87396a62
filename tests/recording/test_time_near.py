"""Times typed at the jump prompt: a clock time without a date means the occurrence nearest to the shown sample."""

from __future__ import annotations

from datetime import datetime

import pytest

from tcptop.recording.time_spec import parse_time_near


def unix_s(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("typed", "shown", "expected"),
    [
        ("12:00", "2026-11-22T13:00", "2026-11-22T12:00"),
        ("12:00", "2026-11-20T13:00", "2026-11-20T12:00"),
        ("23:30", "2026-11-22T01:00", "2026-11-21T23:30"),
        ("00:30", "2026-11-21T23:00", "2026-11-22T00:30"),
        # If the nearest occurrence is outside the recording, the first occurrence inside the recording is meant.
        ("09:00", "2026-11-19T20:30", "2026-11-20T09:00"),
        ("19:00", "2026-11-23T06:00", "2026-11-22T19:00"),
        # Times with a date, and offsets, do not depend on the shown sample.
        ("2026-11-20T12:00", "2026-11-22T13:00", "2026-11-20T12:00"),
        ("+1h", "2026-11-22T13:00", "2026-11-19T21:00"),
        ("-1h", "2026-11-19T20:00", "2026-11-23T07:00"),
    ],
)
def test_a_clock_time_is_the_one_nearest_to_the_sample_shown(typed: str, shown: str, expected: str) -> None:
    first, last = unix_s("2026-11-19T20:00"), unix_s("2026-11-23T08:00")
    assert parse_time_near(typed, unix_s(shown), first, last) == unix_s(expected)


def test_other_text_is_refused() -> None:
    with pytest.raises(ValueError, match="not 'soon'"):
        parse_time_near("soon", 10.0, 0.0, 20.0)
