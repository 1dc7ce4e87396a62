"""Keeps results for the rows of a kernel file: most rows do not change from one read of the file to the next."""

from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Same(Generic[Result]):
    """A key that compares values by identity, because a comparison of their contents would take long."""

    def __init__(self, value: Result) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        """True if both keys hold the same object."""
        return isinstance(other, Same) and self.value is other.value

    def __hash__(self) -> int:
        """The hash is the identity of the object, which the key keeps alive."""
        return id(self.value)


class Recall(Generic[Result]):
    """A function that keeps the results of all calls in the current round and in the previous round.

    A cache of a fixed size would not help if a file has more rows than the cache holds. With a fixed size, each result
    would be dropped before the next round asks for the result.
    """

    def __init__(self, function: Callable[..., Result]) -> None:
        self._function = function
        self._last: dict[tuple[Hashable, ...], Result] = {}
        self._this: dict[tuple[Hashable, ...], Result] = {}

    def begin_round(self) -> None:
        """Begins a round of calls; forgets each result that was not used in the round that has just ended."""
        self._last, self._this = self._this, {}

    def __call__(self, *arguments: Hashable) -> Result:
        """The result of the function for these arguments."""
        result = self._last.pop(arguments, None)  # first, since most calls are the first ones of a round
        if result is None:
            result = self._this.get(arguments)
        if result is None:
            result = self._function(*arguments)
        self._this[arguments] = result
        return result


class RecallRows(Generic[Result]):
    """A function of rows that keeps the result for each row that is the same object as in the call before.

    The function gets a row, one more argument of that row, and facts. If a fact has changed, no result is used again.
    """

    def __init__(self, function: Callable[..., Result]) -> None:
        self._function = function
        self._facts: tuple[Hashable, ...] = ()
        self._results: dict[tuple[int, Hashable], tuple[object, Result]] = {}

    def __call__(self, rows: Iterable[tuple[object, Hashable]], *facts: Hashable) -> list[Result]:
        """The result for each row and its argument."""
        last = self._results if facts == self._facts else {}
        this: dict[tuple[int, Hashable], tuple[object, Result]] = {}
        results: list[Result] = []
        for row, argument in rows:
            key = id(row), argument  # the kept row is not freed, so no other row has its identity
            kept = last.get(key) or (row, self._function(row, argument, *facts))
            this[key] = kept
            results.append(kept[1])
        self._facts, self._results = facts, this
        return results
