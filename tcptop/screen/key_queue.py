"""Queue of keys: the app gets the next key only after the previous key is handled and the app's screen is mounted.

Keys that are typed before the first sample is drawn wait until it is drawn.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import pairwise

from textual.app import App
from textual.dom import DOMNode
from textual.events import Event, Key

from tcptop.screen.keys import OPENING_KEYS, QUIT_KEYS

STUCK_S = 5.0
"""Time in seconds. If the app has been handling a key for longer than this time, Ctrl-C ends the program, whatever
screen is open."""

STORM_KEYS, STORM_S = 32, 0.1
"""The waiting keys count as a storm if at least STORM_KEYS of them differ from the key before them, and the first
waiting key came at least STORM_S seconds ago. The keys of a storm were not typed by a user: for example, a text was
pasted into the wrong window."""


class KeyQueue:
    """Passes keys and pasted texts to an app, one after the other.

    Textual handles a key in several message queues, one after the other. A key that comes too soon would go to a screen
    that the previous key is closing, or to a screen that is not mounted yet. A key that is sent to a closing or
    unmounted screen would end the program.
    """

    def __init__(self, app: App[int], deliver: Callable[[Event], Awaitable[None]]) -> None:
        """`deliver` is called in the app's message loop."""
        self._app = app
        self._deliver = deliver
        self._waiting: deque[Event] = deque()
        self._handled: Event | None = None
        self._handled_since_s = 0.0
        self._target: DOMNode = app
        self._task: asyncio.Task[None] | None = None
        self._is_open = False

    def open(self) -> None:
        """Passes the waiting keys to the app, and from now on every key at once."""
        if not self._is_open:
            self._is_open = True
            self._start()

    @property
    def repeats(self) -> bool:
        """True if the next key is the same as the current key; the effect of the current key then need not be drawn."""
        after = self._waiting[0] if self._waiting else None
        return isinstance(self._handled, Key) and isinstance(after, Key) and self._handled.key == after.key

    @property
    def handled_key(self) -> str | None:
        """The key that is being handled; None while the app handles no key."""
        return self._handled.key if isinstance(self._handled, Key) else None

    def put(self, event: Event) -> None:
        """Adds a key. Before `open` is called, only a key that certainly quits the program is passed to the app.

        Ctrl-C first discards all waiting keys, as a terminal does. A key that certainly quits the program also discards
        the waiting keys.

        In a storm of keys (see STORM_KEYS), ESC also discards the waiting keys. In a storm, a key of QUIT_KEYS discards
        the waiting keys and ends the program on any screen, except on a screen with a text field.
        """
        quits = False
        if isinstance(event, Key) and event.key in (*QUIT_KEYS, "escape"):
            is_stuck = self._handled is not None and time.monotonic() - self._handled_since_s > STUCK_S
            is_storm, quits = self._is_storm(), event.key == "ctrl+c" or self._certainly_quits(event)
            ends = event.key != "escape" and is_storm and not getattr(self._app.screen, "TAKES_TEXT", False)
            if quits or ends or (is_storm and event.key == "escape"):
                self._waiting.clear()
            if ends or (quits and is_stuck):
                self._app.exit(0)
        self._waiting.append(event)
        if self._is_open or quits:
            self._start()

    def _start(self) -> None:
        if self._waiting and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._pass_on(), name="pass on keys")

    def end(self) -> None:
        """Discards all keys that wait."""
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()

    def _is_storm(self) -> bool:
        keys = [each for each in self._waiting if isinstance(each, Key)]
        if not keys or time.monotonic() - keys[0].time < STORM_S:
            return False
        return sum(one.key != other.key for one, other in pairwise(keys)) >= STORM_KEYS

    def _certainly_quits(self, event: Key) -> bool:
        if event.key not in QUIT_KEYS or len(self._app.screen_stack) != 1:
            return False
        before = (self._handled, *self._waiting)
        return not any(isinstance(each, Key) and each.key in OPENING_KEYS for each in before)

    async def _pass_on(self) -> None:
        while self._waiting:
            self._handled, self._handled_since_s = self._waiting.popleft(), time.monotonic()
            await self._handle(self._handled)
            self._handled = None

    async def _handle(self, event: Event) -> None:
        """Delivers a key, and waits until all resulting messages are handled.

        The messages of a key go from the focused widget through its ancestors to the app, then to the screen and to the
        app again.
        """
        app = self._app
        app.call_later(self._hand_over, event)
        await self._passed(app)
        for pump in (self._target, self._target, *self._target.ancestors):
            await self._passed(pump)
        while app.screen_stack and not app.screen._is_mounted and not app._exit:
            await asyncio.sleep(0.001)
        for pump in (app.screen, app) if app.screen_stack else ():
            await self._passed(pump)

    async def _hand_over(self, event: Event) -> None:
        self._target = self._app.focused or self._app.screen
        await self._deliver(event)

    @staticmethod
    async def _passed(pump: DOMNode) -> None:
        """Waits until a widget, screen or app has handled all messages in its queue."""
        passed = asyncio.Event()
        if pump.call_later(passed.set):
            await passed.wait()
