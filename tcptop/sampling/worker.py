"""Calls made one after another in a daemon thread: a disk that hangs holds up neither a key nor the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

Answer = TypeVar("Answer")


class Worker:
    """One thread; it starts with the first call."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """How many calls have not begun."""
        return self._calls.qsize()

    def tell(self, call: Callable[[], Answer]) -> Future[Answer]:
        """Makes the call after those before it; what it raises is in its future."""
        future: Future[Answer] = Future()
        self._calls.put((call, future))
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        return future

    async def ask(self, call: Callable[[], Answer]) -> Answer:
        """As `tell`, and waits for the answer without holding up the event loop; what the call raises is raised."""
        return await asyncio.wrap_future(self.tell(call))

    def _work(self) -> None:
        while True:
            call, future = self._calls.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)
            del call, future  # what a call holds must not live until the next comes
