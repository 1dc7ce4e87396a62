"""Collects garbage while nobody waits: a whole collection holds up a key for a tenth of a second."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

NEVER = 1 << 30
LOOK_EVERY_S = 1.0
QUIET_S = 2.0
"""So long nobody may have pressed a key."""
MANY_OBJECTS = 50_000
"""Made since the last time, about; then it is worth it."""


async def run_idle_gc(quiet_s: Callable[[], float]) -> None:
    """Takes whole collections out of the interpreter's hands, and makes one when it has been quiet for long enough.

    The short ones, which find nearly all, stay where they are. What is there already is looked at no more.
    """
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, NEVER)
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        if quiet_s() > QUIET_S and gc.get_count()[2] * young * middle > MANY_OBJECTS:
            gc.collect()
