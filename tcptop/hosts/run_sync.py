"""Runs coroutines that never suspend, without an event loop."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from tcptop.hosts.host import Answer


def run_sync(coroutine: Coroutine[Any, Any, Answer]) -> Answer:
    """Runs a coroutine that never suspends, and returns its result.

    Raises:
        RuntimeError: if the coroutine suspends.

    """
    try:
        coroutine.send(None)
    except StopIteration as end:
        answer: Answer = end.value
        return answer
    coroutine.close()
    raise RuntimeError("a coroutine that must not suspend did")
