"""Parsers of typed quantities: sizes (`200M`), lengths of time (`90`, `15m`), intervals (`0.5`)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

SIZE_UNITS_BYTES: Mapping[str, int] = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
DURATION_UNITS_S: Mapping[str, int] = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}

QUANTITY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)([A-Za-z]?)")
MAX_DURATION_S = 100 * 366 * 86_400

MIN_INTERVAL_S = 0.1
MAX_INTERVAL_S = 86_400.0


def parse_size_bytes(text: str) -> int:
    """A number of bytes, or of K, M, G or T.

    Raises:
        ValueError: with what is wanted, for anything else.

    """
    found = _quantity(text.upper().removesuffix("IB").removesuffix("B"), SIZE_UNITS_BYTES)
    if found is None or found < 1:
        raise ValueError(f"a size such as 200M or 1G, not {text!r}")
    return int(found)


def parse_duration_s(text: str) -> float:
    """A number of seconds, or of s, m, h or d; raises ValueError as `size_bytes` does."""
    found = _quantity(text, DURATION_UNITS_S)
    if found is None or not 0 < found <= MAX_DURATION_S:
        raise ValueError(f"a length of time such as 90, 15m, 8h or 7d, not {text!r}")
    return found


def parse_interval_s(text: str) -> float:
    """The seconds from one sample to the next, fractions allowed.

    Raises:
        ValueError: with what is wanted, for anything else.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not MIN_INTERVAL_S <= seconds <= MAX_INTERVAL_S:
        raise ValueError(f"a number of seconds from {MIN_INTERVAL_S} to {MAX_INTERVAL_S:.0f}, not {text!r}")
    return seconds


def _quantity(text: str, units: Mapping[str, int]) -> float | None:
    match = QUANTITY.fullmatch(text)
    if match is None or match[2] not in units:
        return None
    found = float(match[1]) * units[match[2]]
    return found if math.isfinite(found) else None
