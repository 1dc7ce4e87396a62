"""Keeps the results of a function from one read of a kernel file to the next, since most rows do not change."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Recall(Generic[Result]):
    """A function that keeps all results of the present round of calls and of the round before.

    A cache of a fixed size would be no use: if a round has more rows than the cache holds, every call is a miss.
    """

    def __init__(self, function: Callable[..., Result]) -> None:
        self._function = function
        self._last: dict[tuple[Hashable, ...], Result] = {}
        self._this: dict[tuple[Hashable, ...], Result] = {}

    def begin_round(self) -> None:
        """Begins a round of calls, and forgets the results that were not used in the round before."""
        self._last, self._this = self._this, {}

    def __call__(self, *arguments: Hashable) -> Result:
        """The result of the function for these arguments."""
        result = self._this.get(arguments)
        if result is None:
            result = self._last.get(arguments)
            self._this[arguments] = result = self._function(*arguments) if result is None else result
        return result
