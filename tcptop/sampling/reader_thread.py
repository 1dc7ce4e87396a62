"""A thread that makes queued calls in order; a call that hangs delays the following calls by about `STUCK_S`.

The event loop is woken once all queued calls have returned, not after each call.

asyncio.to_thread cannot be used: at exit, asyncio would wait for a hung read, which cannot be cancelled.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from tcptop.sampling import worker

Argument = TypeVar("Argument")
Answer = TypeVar("Answer")

STUCK_S = 0.2
"""Time after which a call counts as stuck. The thread of the stuck call is abandoned, and a new thread makes the queued
calls."""


class ReaderThread(Generic[Argument, Answer]):
    """Makes one call for each argument, in a daemon thread.

    A single thread makes all calls. If several threads made calls, the threads would compete for the interpreter, and
    the measured time of a call would include more than the kernel's work.
    """

    def __init__(self, call: Callable[[Argument], Answer]) -> None:
        self._call = call
        self._arguments: SimpleQueue[Argument] = SimpleQueue()
        self._results: deque[tuple[Argument, Answer | BaseException]] = deque()
        self._thread: threading.Thread | None = None
        self._ending = threading.Lock()
        self._busy_since_s: float | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._returned = asyncio.Event()
        self._watch: asyncio.TimerHandle | None = None

    def submit(self, arguments: Iterable[Argument]) -> None:
        """Queues a call for each argument."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._returned = loop, asyncio.Event()  # an asyncio.Event belongs to one loop
        with self._ending:
            for argument in arguments:
                self._arguments.put(argument)
        self._replace_if_stuck()

    async def wait(self, timeout_s: float | None) -> None:
        """Waits until all queued calls have returned, or an abandoned call returns, or `timeout_s` has passed.

        A `timeout_s` of None sets no limit.
        """
        # Before Python 3.12, asyncio.wait_for ignores a cancellation if a call returns at the same moment. The sampling
        # task would then never end, and the program would not quit.
        returned = asyncio.ensure_future(self._returned.wait())
        try:
            await asyncio.wait([returned], timeout=timeout_s)
        finally:
            returned.cancel()
        self._returned.clear()

    def take_results(self) -> list[tuple[Argument, Answer | BaseException]]:
        """Removes the finished calls.

        Returns a pair for each finished call: its argument, and its answer or exception.
        """
        return [self._results.popleft() for _ in range(len(self._results))]

    def _replace_if_stuck(self) -> None:
        """Starts a thread if none runs or if the running thread is stuck; then schedules the next check.

        Does nothing if no calls are queued.
        """
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        busy_since_s = self._busy_since_s
        busy_s = 0.0 if busy_since_s is None else time.monotonic() - busy_since_s
        if self._arguments.empty():
            return
        if self._thread is None or busy_s > STUCK_S:
            self._busy_since_s = None
            self._thread = threading.Thread(target=self._make_calls, name="tcptop reader", daemon=True)
            self._thread.start()
            busy_s = 0.0
        if self._loop is not None:
            self._watch = self._loop.call_later(STUCK_S - busy_s + 0.01, self._replace_if_stuck)

    def _make_calls(self) -> None:
        is_current = True
        while is_current:
            try:
                argument = self._arguments.get(timeout=worker.IDLE_S)
            except Empty:
                with self._ending:  # no call is queued while the thread ends
                    if self._arguments.empty():
                        if self._thread is threading.current_thread():
                            self._thread = None
                        return
                continue
            self._busy_since_s = time.monotonic()
            result: Answer | BaseException
            try:
                result = self._call(argument)
            except BaseException as error:
                result = error
            self._results.append((argument, result))
            is_current = self._thread is threading.current_thread()
            if is_current:
                self._busy_since_s = None
            if self._loop is not None and (self._arguments.empty() or not is_current):
                with suppress(RuntimeError):  # the event loop has ended and needs no results
                    self._loop.call_soon_threadsafe(self._returned.set)
