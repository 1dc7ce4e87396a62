"""Runs the coroutines of hosts without an event loop.

The coroutines of most hosts never suspend. If a host is reached over a network, its coroutines suspend with an `Ask`,
so that several requests take one round trip.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Generator, Sequence
from types import coroutine
from typing import Any, Generic, TypeVar

from tcptop.hosts.host import Answer, HostLostError

Request = TypeVar("Request")
Asked = TypeVar("Asked")


class Ask(Generic[Request, Asked]):
    """An awaitable request to a host: the coroutine that awaits it gets the answer.

    `answer_all` answers the requests of all coroutines that run together, or raises HostLostError.
    """

    def __init__(self, request: Request, answer_all: Callable[[Sequence[Request]], Sequence[Asked]]) -> None:
        self.request = request
        self.answer_all = answer_all

    def __await__(self) -> Generator[Ask[Request, Asked], Asked | HostLostError, Asked]:
        answer = yield self
        if isinstance(answer, HostLostError):
            raise answer
        return answer


def run_sync(coroutine: Coroutine[Any, Any, Answer]) -> Answer:
    """Runs one coroutine, and returns its result.

    Raises:
        RuntimeError: if the coroutine waits for anything but an `Ask`.

    """
    [result] = run_together([coroutine])
    if isinstance(result, BaseException):
        raise result
    return result


def run_together(coroutines: Sequence[Coroutine[Any, Any, Answer]]) -> list[Answer | Exception]:
    """Runs coroutines of one host, and returns the result or the exception of each.

    When every coroutine has ended or waits, the host gets all waiting requests at once.
    """
    results: list[Any] = [None] * len(coroutines)
    steps: list[tuple[int, Any]] = [(number, None) for number in range(len(coroutines))]
    while steps:
        asks: list[tuple[int, Ask[Any, Any]]] = []
        for number, answer in steps:
            try:
                ask = coroutines[number].send(answer)
            except StopIteration as end:
                results[number] = end.value
            except Exception as error:
                results[number] = error
            else:
                if isinstance(ask, Ask):
                    asks.append((number, ask))
                else:
                    coroutines[number].close()
                    results[number] = RuntimeError("a coroutine that must not suspend did")
        steps = []
        if asks:
            try:
                answers = asks[0][1].answer_all([ask.request for _, ask in asks])
            except HostLostError as error:
                answers = [error] * len(asks)
            steps = [(number, answer) for (number, _), answer in zip(asks, answers, strict=True)]
    return results


@coroutine
def measure_cpu(measured: Coroutine[Any, Any, Answer]) -> Generator[Any, Any, tuple[Answer, int]]:
    """Runs a coroutine; returns its result and its CPU time in microseconds.

    CPU time that other code uses while the coroutine waits is not counted.
    """
    took_ns = 0
    answer: Any = None
    while True:
        started_ns = time.thread_time_ns()
        try:
            ask = measured.send(answer)
        except StopIteration as end:
            return end.value, (took_ns + time.thread_time_ns() - started_ns) // 1000
        took_ns += time.thread_time_ns() - started_ns
        answer = yield ask
