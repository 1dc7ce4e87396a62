"""Times in few bytes and without loss: as a count of nanoseconds where that is exact, else as a double."""

from __future__ import annotations

import struct

from tcptop.recording.varints import Reader, write_number, write_signed

NANOSECONDS = 1e9

NONE, RAW, NANOSECOND_COUNT = range(3)


def write_time(out: bytearray, time_s: float | None, base_ns: int = 0) -> None:
    """Appends a time in seconds, or None; a time near the base takes few bytes."""
    if time_s is None:
        write_number(out, NONE)
        return
    if abs(time_s) < 1e10:
        count_ns = round(time_s * NANOSECONDS)
        if count_ns / NANOSECONDS == time_s:
            write_number(out, NANOSECOND_COUNT)
            write_signed(out, base_ns - count_ns)
            return
    write_number(out, RAW)
    out += struct.pack("<d", time_s)


def read_time(reader: Reader, base_ns: int = 0) -> float | None:
    """Reads a time that `write_time` wrote with the same base; raises ValueError for anything else."""
    form = reader.number()
    if form == NONE:
        return None
    if form == NANOSECOND_COUNT:
        return (base_ns - reader.signed()) / NANOSECONDS
    if form == RAW:
        (time_s,) = struct.unpack("<d", reader.take(8))
        return float(time_s)
    raise ValueError("a time of unknown encoding")


def base_ns(time_s: float) -> int:
    """The base, in nanoseconds, for times near this one."""
    return round(time_s * NANOSECONDS) if abs(time_s) < 1e10 else 0
