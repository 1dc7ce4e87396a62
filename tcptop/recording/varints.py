"""Whole numbers in as few bytes as they need: seven bits in each, the lowest first."""

from __future__ import annotations

MAX_BYTES = 10
"""Of one number: as many as 64 bits need."""


def write_number(out: bytearray, number: int) -> None:
    """Appends a number that is not negative."""
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


def write_signed(out: bytearray, number: int) -> None:
    """Appends a number of either sign, a small one in one byte."""
    write_number(out, number << 1 if number >= 0 else ~number << 1 | 1)


def write_bytes(out: bytearray, data: bytes) -> None:
    """Appends bytes behind their length."""
    write_number(out, len(data))
    out += data


class Reader:
    """Takes numbers and bytes from the front of what the functions above wrote.

    Every method raises ValueError where the data ends too early or holds no number.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def at_end(self) -> bool:
        """Whether everything was taken."""
        return self._at >= len(self._data)

    def number(self) -> int:
        """The next number."""
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
                    raise ValueError("a number without an end")
        except IndexError:
            raise ValueError("cut off") from None

    def signed(self) -> int:
        """The next number of either sign."""
        number = self.number()
        return ~(number >> 1) if number & 1 else number >> 1

    def take(self, length: int) -> bytes:
        """So many bytes."""
        end = self._at + length
        if end > len(self._data):
            raise ValueError("cut off")
        found = self._data[self._at : end]
        self._at = end
        return found

    def bytes(self) -> bytes:
        """The next bytes that stand behind their length."""
        return self.take(self.number())

    def text(self) -> str:
        """The next bytes, as the text that they must be."""
        return self.bytes().decode("utf-8", "surrogateescape")
