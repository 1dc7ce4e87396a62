"""A daemon thread that runs calls in order, so that a hung disk blocks neither the keys nor the exit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

Answer = TypeVar("Answer")


class Worker:
    """Runs calls in one thread. The thread is started when the first call is queued."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """Number of calls that have not started."""
        return self._calls.qsize()

    def submit(self, call: Callable[[], Answer]) -> Future[Answer]:
        """Queues a call; returns a future for the result or the exception of the call."""
        future: Future[Answer] = Future()
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
            call, future = self._calls.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)
            del call, future  # otherwise the two names would keep the finished call and its result alive
