"""FIFO cache bounded by the total size of its values."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class BoundedCache(Generic[Key, Value]):
    """Values with their sizes in bytes; the oldest are dropped when the sum exceeds `max_bytes`."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._values: dict[Key, tuple[Value, int]] = {}

    def get(self, key: Key) -> Value | None:
        """The value of a key; None if it is not cached."""
        entry = self._values.get(key)
        return None if entry is None else entry[0]

    def put(self, key: Key, value: Value, size_bytes: int) -> None:
        """Adds a value, and drops the oldest ones beyond the limit; a value above the limit is dropped at once."""
        if key in self._values:
            self._bytes -= self._values.pop(key)[1]
        self._values[key] = value, size_bytes
        self._bytes += size_bytes
        while self._bytes > self._max_bytes and self._values:
            _, oldest_bytes = self._values.pop(next(iter(self._values)))
            self._bytes -= oldest_bytes
