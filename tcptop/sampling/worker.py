"""A daemon thread that runs calls in order, so that a hung disk blocks neither the keys nor the exit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

Answer = TypeVar("Answer")

IDLE_S = 5.0
"""Time without a call after which a thread ends. The next call starts a new thread, which takes 0.15 ms of CPU time."""


class Worker:
    """Runs calls in one thread at a time. A call starts a thread if none runs."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._ending = threading.Lock()

    @property
    def waiting(self) -> int:
        """Number of calls that have not started."""
        return self._calls.qsize()

    def submit(self, call: Callable[[], Answer]) -> Future[Answer]:
        """Queues a call; returns a future for the result or the exception of the call."""
        future: Future[Answer] = Future()
        with self._ending:
            self._calls.put((call, future))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._thread.start()
        return future

    async def run(self, call: Callable[[], Answer]) -> Answer:
        """Queues a call and awaits the result; raises the exception of the call."""
        return await asyncio.wrap_future(self.submit(call))

    def _work(self) -> None:
        while True:
            try:
                call, future = self._calls.get(timeout=IDLE_S)
            except Empty:
                with self._ending:  # no call is queued while the thread ends
                    if self._calls.empty():
                        self._thread = None
                        return
                continue
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)
            del call, future  # otherwise the two names would keep the finished call and its result alive
