"""Parsers of what a user types: counts (`300K`), sizes (`200M`), durations (`90`, `15m`) and intervals (`0.5`)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Literal

from tcptop.text.printable import quoted

COUNT_UNITS: Mapping[str, int] = {"": 1, "k": 1_000, "K": 1_000, "M": 1_000_000, "G": 1_000_000_000}
MAX_COUNT = 10_000_000_000
MAX_BUFFER_BYTES = 1 << 40
SIZE_UNITS_BYTES: Mapping[str, int] = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
DURATION_UNITS_S: Mapping[str, int] = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}

QUANTITY = r"([0-9]{1,15}(?:\.[0-9]{1,9})?)([A-Za-z]?)"
MAX_DURATION_S = 100 * 366 * 86_400

MIN_INTERVAL_S = 0.1
MAX_INTERVAL_S = 86_400.0


def parse_count(text: str) -> int:
    """Parses a whole number from 0 to MAX_COUNT, optionally with k, K, M or G (powers of 1000).

    Raises:
        ValueError: the text is not such a number; the message names the accepted form.

    """
    amount = _parse_quantity(text, COUNT_UNITS)
    if amount is None or amount > MAX_COUNT or amount != int(amount):
        largest = MAX_COUNT // COUNT_UNITS["G"]
        raise ValueError(f"a whole number up to {largest}G, such as 20000, 300K or 2M, not {quoted(text)}")
    return int(amount)


def parse_positive_count(text: str) -> int:
    """Parses a whole number above 0, in the form that `parse_count` accepts."""
    number = parse_count(text)
    if not number:
        raise ValueError(f"a number above 0, not {quoted(text)}")
    return number


def parse_buffer_bytes(text: str) -> int:
    """Parses a size of buffers into bytes, as `parse_size_bytes` does; 0 means no buffers.

    Raises:
        ValueError: the text is not a size up to MAX_BUFFER_BYTES; the message names the accepted form.

    """
    size = 0 if text == "0" else parse_size_bytes(text)
    if size > MAX_BUFFER_BYTES:
        raise ValueError(f"at most 1T, not {quoted(text)}")
    return size


def parse_planned_buffers(text: str) -> int | Literal["now"]:
    """Parses a size of buffers as `parse_buffer_bytes` does; `now` stands for the buffers of the present sockets."""
    return "now" if text == "now" else parse_buffer_bytes(text)


def parse_size_bytes(text: str) -> int:
    """Parses a size into bytes: a number, optionally with K, M, G or T (powers of 1024); `KiB` and `KB` mean K.

    Raises:
        ValueError: the text is not a size; the message names the accepted form.

    """
    amount = _parse_quantity(text.upper().removesuffix("IB").removesuffix("B"), SIZE_UNITS_BYTES)
    if amount is None or amount < 1:
        raise ValueError(f"a size such as 200M or 1G, not {quoted(text)}")
    return int(amount)


def parse_duration_s(text: str) -> float:
    """Parses a duration into seconds: a number, optionally with the unit s, m, h or d.

    Raises:
        ValueError: the text is not a duration; the message names the accepted form.

    """
    amount = parse_offset_s(text)
    if not amount:
        raise ValueError(f"a length of time such as 90, 15m, 8h or 7d, not {quoted(text)}")
    return amount


def parse_offset_s(text: str) -> float:
    """Parses the distance of two moments into seconds, as `parse_duration_s` does; 0 is a distance, too."""
    amount = _parse_quantity(text, DURATION_UNITS_S)
    if amount is None or amount > MAX_DURATION_S:
        raise ValueError(f"a length of time such as 90, 15m, 8h or 7d, not {quoted(text)}")
    return amount


def parse_interval_s(text: str) -> float:
    """Parses the interval between samples: a number of seconds, with or without a decimal fraction.

    Raises:
        ValueError: the text is not a number from MIN_INTERVAL_S to MAX_INTERVAL_S; the message names the limits.

    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not MIN_INTERVAL_S <= seconds <= MAX_INTERVAL_S:
        raise ValueError(f"a number of seconds from {MIN_INTERVAL_S} to {MAX_INTERVAL_S:.0f}, not {quoted(text)}")
    return seconds


def _parse_quantity(text: str, units: Mapping[str, int]) -> float | None:
    match = re.fullmatch(QUANTITY, text)
    if match is None or match[2] not in units:
        return None
    amount = float(match[1]) * units[match[2]]
    return amount if math.isfinite(amount) else None
