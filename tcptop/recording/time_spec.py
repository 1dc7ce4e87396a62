"""Parses the times of --at, --from, --to and the jump prompt, and selects samples of a recording by these times.

A time without a zone is local time, as in journalctl and on the screen; `Z` is UTC, as in the JSON.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from itertools import accumulate, pairwise
from typing import NamedTuple

from tcptop.errors import TcptopError
from tcptop.recording.recording import Recording
from tcptop.text.printable import printable, quoted
from tcptop.text.quantities import parse_offset_s

ACCEPTED_TIMES = "12:04:31, 2026-11-22T12:04:31 (local; with Z: UTC), +5m (from the start) or -5m (from the end)"

CLOCK = r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,9}))?)?"
DATE = r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
ZONE = r"(?P<zone>Z|z|[+-][0-9]{2}:?[0-9]{2})?"
TIME = re.compile(rf"(?:{DATE}(?:[Tt ]{CLOCK})?|{CLOCK.replace('?P<', '?P<only_')}){ZONE}")

TOLERANCE_S = 1.0
"""Tolerance before and after the recorded range: users type whole seconds, but recorded times have fractions of a
second."""


class TimeRange(NamedTuple):
    """The values of --at, --from and --to as the user typed them; None for an option that is absent."""

    at: str | None = None
    first: str | None = None
    last: str | None = None


WHOLE_RECORDING = TimeRange()

DAY = timedelta(days=1)
HALF_DAY_S = 43_200.0


def select_samples(recording: Recording, time_range: TimeRange) -> range:
    """The indices of the samples in a time range.

    If `at` is given, the result holds only the index of the sample nearest to `at`.

    Raises:
        TcptopError: if a time cannot be parsed, or no sample is in the range.

    """
    if time_range == WHOLE_RECORDING:
        return range(len(recording))
    if time_range.at is not None and (time_range.first is not None or time_range.last is not None):
        raise TcptopError("--at selects one sample; use it without --from and --to")
    if time_range.at is not None:
        times = times_for(time_range.at, recording)
        index = nearest_sample(times, _parse_option(time_range.at, "--at", times), recording.path)
        return range(index, index + 1)
    start, end = 0, len(recording)
    if time_range.first is not None:
        times = times_for(time_range.first, recording)
        first_s = _parse_option(time_range.first, "--from", times)
        start = next((index for index, time_s in enumerate(times) if time_s >= first_s), end)
    if time_range.last is not None:
        times = times_for(time_range.last, recording)
        last_s = _parse_option(time_range.last, "--to", times)
        end = next((index + 1 for index in reversed(range(len(times))) if times[index] <= last_s), 0)
    if start >= end:
        raise TcptopError(f"{printable(recording.path)}: no sample then; {_covered_text(known_times(recording))}")
    return range(start, end)


def times_for(text: str, recording: Recording) -> Sequence[float]:
    """The times of all samples among which a time that the user typed is looked for.

    An offset is looked for among the running times, and any other time among the recorded times.
    """
    return running_times(recording) if text[:1] in ("+", "-") or text == "0" else known_times(recording)


def parse_time(text: str, first_unix_s: float, last_unix_s: float) -> float:
    """Parses a time in any of the ACCEPTED_TIMES; the result is in seconds since the epoch.

    Offsets are relative to the first (+) or last (-) time of the recording; `0` without a sign is the first time. A
    clock time without a date means the first occurrence of this time after the recording began.

    Raises:
        ValueError: if the text is not a time; the message lists the accepted forms.

    """
    try:
        if text[:1] == "+" or text == "0":
            return first_unix_s + parse_offset_s(text.removeprefix("+"))
        if text[:1] == "-":
            return last_unix_s - parse_offset_s(text[1:])
        return _parse_clock_or_date(text.strip(), first_unix_s)
    except (ValueError, OverflowError):
        raise ValueError(f"{ACCEPTED_TIMES}; not {quoted(text)}") from None


def parse_time_near(text: str, near_unix_s: float, first_unix_s: float, last_unix_s: float) -> float:
    """Parses a time as `parse_time` does, except for a clock time without a date.

    A clock time without a date occurs every day. The occurrence nearest to `near_unix_s` is meant if the recording
    covers this occurrence. If the recording does not cover this occurrence, the first occurrence after the recording
    began is meant.
    """
    if text[:1] not in ("+", "-") and text != "0":
        unix_s = parse_time(text, near_unix_s - HALF_DAY_S, last_unix_s)
        if first_unix_s - TOLERANCE_S <= unix_s <= last_unix_s + TOLERANCE_S:
            return unix_s
    return parse_time(text, first_unix_s, last_unix_s)


def _parse_clock_or_date(text: str, first_unix_s: float) -> float:
    match = TIME.fullmatch(text)
    if match is None:
        raise ValueError("neither a clock time nor a date")
    zone = _zone(match["zone"])
    if match["year"] is not None:
        day = datetime(int(match["year"]), int(match["month"]), int(match["day"]), tzinfo=zone)
        return _replace_clock(day, match, "").timestamp()
    began = datetime.fromtimestamp(first_unix_s, zone)
    time = _replace_clock(began, match, "only_")
    # Users type whole seconds, so the second in which the recording begins counts as recorded.
    return (time if time >= began.replace(microsecond=0) else time + DAY).timestamp()


def _replace_clock(day: datetime, match: re.Match[str], prefix: str) -> datetime:
    hour, minute, second, fraction = (match[f"{prefix}{name}"] for name in ("hour", "minute", "second", "fraction"))
    return day.replace(
        hour=int(hour or 0),
        minute=int(minute or 0),
        second=int(second or 0),
        microsecond=int((fraction or "0").ljust(6, "0")[:6]),
    )


def _zone(text: str | None) -> timezone | None:
    if text is None:
        return None
    if text in "Zz":
        return timezone.utc
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-offset if text[0] == "-" else offset)


def ordered_times(recording: Recording) -> Sequence[float]:
    """The times of all samples, adjusted so that the times never decrease from one sample to the next.

    An unknown time is replaced by the time of the previous sample.

    Raises:
        TcptopError: if no sample has a time.

    """
    # If the clock was set back, the time of a later sample may be smaller than the time of an earlier sample. The
    # smaller time is then replaced by the largest time of all earlier samples.
    return array("d", accumulate(known_times(recording), max))


def running_times(recording: Recording) -> Sequence[float]:
    """For each sample, the first time of the recording plus the time that has passed since then.

    If the clock was set back between two samples, a microsecond has passed between them.

    Raises:
        TcptopError: if no sample has a time.

    """
    first_s, *later = known_times(recording)
    steps = (max(1e-6, time_s - before_s) for before_s, time_s in pairwise((first_s, *later)))
    return array("d", accumulate(steps, initial=first_s))


def known_times(recording: Recording) -> Sequence[float]:
    """The time of each sample; an unknown time is that of the sample before, or the first known time.

    Raises:
        TcptopError: if no sample has a time.

    """
    times = array("d")
    recorded = [recording.taken_at_unix_s(index) for index in range(len(recording))]
    last_s = next((time_s for time_s in recorded if time_s is not None), None)
    if last_s is None:
        raise TcptopError(f"{printable(recording.path)}: its samples have no times, so none can be selected by time")
    for time_s in recorded:
        last_s = last_s if time_s is None else time_s
        times.append(last_s)
    return times


def _parse_option(text: str, option: str, times: Sequence[float]) -> float:
    try:
        return parse_time(text, min(times), max(times))
    except ValueError as error:
        raise TcptopError(f"{option}: {error}") from None


def nearest_sample(times: Sequence[float], time_s: float, path: str) -> int:
    """The index of the sample nearest to a time; raises TcptopError if the time is outside the recording."""
    if not min(times) - TOLERANCE_S <= time_s <= max(times) + TOLERANCE_S:
        raise TcptopError(f"{printable(path)}: no sample then; {_covered_text(times)}")
    return min(range(len(times)), key=lambda index: abs(times[index] - time_s))


def _covered_text(times: Sequence[float]) -> str:
    return f"it holds {format_local_time(min(times))} to {format_local_time(max(times))}, local time"


def utc_time(unix_s: float) -> str:
    """Formats a time in UTC, to the microsecond, in a form that --at accepts."""
    return datetime.fromtimestamp(unix_s, timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def format_local_time(unix_s: float) -> str:
    """Formats a time in local time, to the second, in a form that --at accepts."""
    try:
        return datetime.fromtimestamp(unix_s).isoformat(" ", "seconds")
    except (ValueError, OverflowError, OSError):
        return "an invalid time"
