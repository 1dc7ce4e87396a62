"""Variable-length integers (LEB128): seven bits a byte, lowest first; signed numbers zigzag-encoded."""

from __future__ import annotations

MAX_BYTES = 10
"""Limit for one number: 64 bits take 10 bytes."""


def write_number(out: bytearray, number: int) -> None:
    """Appends a non-negative number."""
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


def write_signed(out: bytearray, number: int) -> None:
    """Appends a signed number; -64 to 63 take one byte."""
    write_number(out, number << 1 if number >= 0 else ~number << 1 | 1)


def write_bytes(out: bytearray, data: bytes) -> None:
    """Appends the length and the bytes."""
    write_number(out, len(data))
    out += data


class Reader:
    """Reads what the functions above wrote, from the front.

    Every method raises ValueError if the data ends too early or a number is longer than MAX_BYTES.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def at_end(self) -> bool:
        """Whether all of the data was read."""
        return self._at >= len(self._data)

    def number(self) -> int:
        """Reads a non-negative number."""
        data, at = self._data, self._at
        found = shift = 0
        try:
            while True:
                byte = data[at]
                at += 1
                found |= (byte & 0x7F) << shift
                if byte < 0x80:
                    self._at = at
                    return found
                shift += 7
                if shift >= 7 * MAX_BYTES:
                    raise ValueError("a number of too many bytes")
        except IndexError:
            raise ValueError("cut off") from None

    def signed(self) -> int:
        """Reads a signed number."""
        number = self.number()
        return ~(number >> 1) if number & 1 else number >> 1

    def take(self, length: int) -> bytes:
        """Reads `length` bytes."""
        end = self._at + length
        if end > len(self._data):
            raise ValueError("cut off")
        found = self._data[self._at : end]
        self._at = end
        return found

    def bytes(self) -> bytes:
        """Reads a length and that many bytes."""
        return self.take(self.number())

    def text(self) -> str:
        """Reads a length and that many bytes of UTF-8."""
        return self.bytes().decode("utf-8", "surrogateescape")
