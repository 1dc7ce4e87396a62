"""Results of the last round of calls, kept for the next: most rows of a kernel file do not change between two reads."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Recall(Generic[Result]):
    """A function that recalls its results of this round and of the last, however many there are.

    A cache of a fixed size misses every call if the rows of each round are more than it holds.
    """

    def __init__(self, function: Callable[..., Result]) -> None:
        self._function = function
        self._last: dict[tuple[Hashable, ...], Result] = {}
        self._this: dict[tuple[Hashable, ...], Result] = {}

    def begin_round(self) -> None:
        """Forgets the results that were not used in the last round."""
        self._last, self._this = self._this, {}

    def __call__(self, *arguments: Hashable) -> Result:
        """The result of the function."""
        result = self._this.get(arguments)
        if result is None:
            result = self._last.get(arguments)
            self._this[arguments] = result = self._function(*arguments) if result is None else result
        return result
