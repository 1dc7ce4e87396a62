"""Delta of two texts that differ mainly in their numbers, as two reads of one kernel file do.

Of a line that differs in numbers only, the delta holds the changes of these numbers; of any other changed line, the
line itself. If the number of lines differs, it holds the changed lines as they are. Any two texts have a delta.
"""

from __future__ import annotations

import re

from tcptop.recording.varints import Reader, write_bytes, write_number, write_signed

NUMBER = re.compile(rb"( *)([0-9]+)")
MAX_DIGITS = 20

SAME_LINES = 0
OTHER_LINES = 1

LITERAL = 0
"""In place of the mask of changed numbers: the whole line follows."""


def make_delta(old: bytes, new: bytes) -> bytes:
    """The delta from which `apply_delta` makes `new`, given `old`."""
    out = bytearray()
    old_lines, new_lines = old.split(b"\n"), new.split(b"\n")
    if len(old_lines) != len(new_lines):
        out.append(OTHER_LINES)
        _write_other_lines(out, old_lines, new_lines)
        return bytes(out)
    out.append(SAME_LINES)
    last = -1
    for index, (before, after) in enumerate(zip(old_lines, new_lines, strict=True)):
        if before != after:
            write_number(out, index - last - 1)
            last = index
            _write_line(out, before, after)
    return bytes(out)


def apply_delta(old: bytes, difference: bytes, max_bytes: int) -> bytes:
    """The text that `make_delta` was given as `new`.

    Raises:
        ValueError: if the delta does not fit `old`, or the text would be larger than `max_bytes`.

    """
    reader = Reader(difference)
    lines = old.split(b"\n")
    form = reader.number()
    if form == OTHER_LINES:
        first, left_out = reader.number(), reader.number()
        if first + left_out > len(lines):
            raise ValueError("a difference that does not fit its base text")
        lines[first : first + left_out] = reader.bytes().split(b"\n") if reader.number() else []
    elif form == SAME_LINES:
        index = -1
        while not reader.at_end:
            index += 1 + reader.number()
            if index >= len(lines):
                raise ValueError("a difference that does not fit its base text")
            lines[index] = _read_line(reader, lines[index])
    else:
        raise ValueError("a difference of unknown type")
    if not reader.at_end:
        raise ValueError("bytes after the end of a difference")
    new = b"\n".join(lines)
    if len(new) > max_bytes:
        raise ValueError("a difference that expands to too much")
    return new


def _write_other_lines(out: bytearray, old: list[bytes], new: list[bytes]) -> None:
    first = 0
    shorter = min(len(old), len(new))
    while first < shorter and old[first] == new[first]:
        first += 1
    last = 0
    while last < shorter - first and old[-1 - last] == new[-1 - last]:
        last += 1
    write_number(out, first)
    write_number(out, len(old) - first - last)
    inserted = new[first : len(new) - last]
    write_number(out, 1 if inserted else 0)
    if inserted:
        write_bytes(out, b"\n".join(inserted))


def _write_line(out: bytearray, old: bytes, new: bytes) -> None:
    mask, differences = _number_differences(old, new)
    write_number(out, mask)
    if mask == LITERAL:
        write_bytes(out, new)
    for difference in differences:
        write_signed(out, difference)


def _number_differences(old: bytes, new: bytes) -> tuple[int, list[int]]:
    """The mask of the numbers that differ and their changes; LITERAL if the line differs in more than its numbers."""
    was, now = NUMBER.split(old), NUMBER.split(new)
    if len(was) != len(now) or was[::3] != now[::3]:
        return LITERAL, []
    mask = 0
    differences: list[int] = []
    for place, at in enumerate(range(2, len(was), 3)):
        if was[at] == now[at] and was[at - 1] == now[at - 1]:
            continue
        if len(was[at]) > MAX_DIGITS or len(now[at]) > MAX_DIGITS:
            return LITERAL, []
        difference = int(now[at]) - int(was[at])
        if _add_to_number(was[at - 1], was[at], difference) != (now[at - 1], now[at]):
            return LITERAL, []
        mask |= 1 << place
        differences.append(difference)
    return (mask, differences) if mask < 1 << 63 else (LITERAL, [])


def _read_line(reader: Reader, old: bytes) -> bytes:
    mask = reader.number()
    if mask == LITERAL:
        return reader.bytes()
    pieces = NUMBER.split(old)
    at = 2
    while mask:
        if mask & 1:
            if at >= len(pieces) or len(pieces[at]) > MAX_DIGITS:
                raise ValueError("a difference that does not fit its base text")
            pieces[at - 1], pieces[at] = _add_to_number(pieces[at - 1], pieces[at], reader.signed())
        mask >>= 1
        at += 3
    return b"".join(pieces)


def _add_to_number(blanks: bytes, digits: bytes, difference: int) -> tuple[bytes, bytes]:
    """The blanks and digits after adding to a number; a number after two or more blanks stays right-aligned."""
    new = b"%d" % (int(digits) + difference)
    if len(blanks) < 2:
        return blanks, new
    return b" " * max(1, len(blanks) + len(digits) - len(new)), new
