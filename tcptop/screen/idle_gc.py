"""Collects all garbage only while the user is idle, because a full collection delays a key press by about 100 ms."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

NEVER = 1 << 30
LOOK_EVERY_S = 1.0
IDLE_S = 2.0
"""Idle time, in seconds, after which a full collection may run."""
YOUNG_OBJECTS = 5_000
"""A collection of the youngest generation runs after this many objects. A sample creates thousands, nearly all of which
end without a collection, so Python's 700 would make many collections that find nothing."""
MANY_OBJECTS = 50_000
"""A full collection runs only after about this many objects have been created."""


async def run_idle_gc(idle_s: Callable[[], float]) -> None:
    """Disables automatic full collections. A full collection runs only when the user has been idle for over IDLE_S.

    Collections of the young generations, which find nearly all garbage, remain automatic. Objects that exist at the
    start are frozen, so that no collection visits them.
    """
    gc.freeze()
    _, middle, _ = gc.get_threshold()
    gc.set_threshold(YOUNG_OBJECTS, middle, NEVER)
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        if idle_s() > IDLE_S and gc.get_count()[2] * YOUNG_OBJECTS * middle >= MANY_OBJECTS:
            gc.collect()
