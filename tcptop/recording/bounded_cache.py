"""What was made lately, as long as it is not too much."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class BoundedCache(Generic[Key, Value]):
    """Values with their sizes; the oldest go when the sum is above the bound."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._values: dict[Key, tuple[Value, int]] = {}

    def get(self, key: Key) -> Value | None:
        """The value that was put in, if it is still there."""
        found = self._values.get(key)
        return None if found is None else found[0]

    def put(self, key: Key, value: Value, size_bytes: int) -> None:
        """Keeps a value, and forgets others for it."""
        if key in self._values:
            self._bytes -= self._values.pop(key)[1]
        self._values[key] = value, size_bytes
        self._bytes += size_bytes
        while self._bytes > self._max_bytes and self._values:
            _, oldest_bytes = self._values.pop(next(iter(self._values)))
            self._bytes -= oldest_bytes
