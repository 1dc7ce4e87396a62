"""Moments as they are typed while somebody looks at a sample: a clock time alone is the one that is near."""

from __future__ import annotations

from datetime import datetime

import pytest

from tcptop.recording.time_spec import parse_time_near


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("typed", "shown", "meant"),
    [
        ("12:00", "2026-11-22T13:00", "2026-11-22T12:00"),
        ("12:00", "2026-11-20T13:00", "2026-11-20T12:00"),
        ("23:30", "2026-11-22T01:00", "2026-11-21T23:30"),
        ("00:30", "2026-11-21T23:00", "2026-11-22T00:30"),
        # Where the recording does not reach the nearest one, the first that it has.
        ("09:00", "2026-11-19T20:30", "2026-11-20T09:00"),
        ("19:00", "2026-11-23T06:00", "2026-11-22T19:00"),
        # What is no clock time alone means the same wherever one looks.
        ("2026-11-20T12:00", "2026-11-22T13:00", "2026-11-20T12:00"),
        ("+1h", "2026-11-22T13:00", "2026-11-19T21:00"),
        ("-1h", "2026-11-19T20:00", "2026-11-23T07:00"),
    ],
)
def test_the_day_that_is_looked_at_counts(typed: str, shown: str, meant: str) -> None:
    first, last = at("2026-11-19T20:00"), at("2026-11-23T08:00")
    assert parse_time_near(typed, at(shown), first, last) == at(meant)


def test_what_is_no_moment_is_told() -> None:
    with pytest.raises(ValueError, match="not 'soon'"):
        parse_time_near("soon", 10.0, 0.0, 20.0)
