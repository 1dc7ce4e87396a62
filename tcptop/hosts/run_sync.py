"""Coroutines that never wait, run to their end without an event loop."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from tcptop.hosts.host import Answer


def run_sync(coroutine: Coroutine[Any, Any, Answer]) -> Answer:
    """Runs a coroutine that never waits to its end, without an event loop.

    Raises:
        RuntimeError: when the coroutine waits for something after all.

    """
    try:
        coroutine.send(None)
    except StopIteration as end:
        answer: Answer = end.value
        return answer
    coroutine.close()
    raise RuntimeError("a coroutine that must not wait did")
