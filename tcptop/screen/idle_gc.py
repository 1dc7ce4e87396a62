"""Full garbage collections only when idle: one blocks a key press for about 100 ms."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

NEVER = 1 << 30
LOOK_EVERY_S = 1.0
IDLE_S = 2.0
"""Time without a key press after which the program is idle."""
MANY_OBJECTS = 50_000
"""Approximate number of new objects that makes a collection worth its cost."""


async def run_idle_gc(idle_s: Callable[[], float]) -> None:
    """Disables automatic full collections, and runs one after IDLE_S without a key press.

    Collections of the young generations, which find nearly all garbage, stay automatic. Objects that exist at the
    start are frozen: no collection visits them.
    """
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, NEVER)
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        if idle_s() > IDLE_S and gc.get_count()[2] * young * middle > MANY_OBJECTS:
            gc.collect()
