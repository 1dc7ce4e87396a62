"""Base of the feeds: a feed delivers the samples that the app shows, and handles the keys that act on them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.message import Message

from tcptop.accounting import account
from tcptop.ledger import Ledger
from tcptop.snapshot import LabMeasurement, Snapshot
from tcptop.view import View
from tcptop.view.trends import NO_TRENDS, add_sample

if TYPE_CHECKING:
    from tcptop.screen.app import TcptopApp


REPLAY_CLASS = "-replay"
"""CSS class of an app that shows a sample of a recording, with the timeline."""
NOTHING_RECORDED = "nothing is recorded here; w records into a file"
READ_UNASKED = "/proc/pagetypeinfo needs no asking for here"


class Sampled(Message):
    """A new Snapshot for the feed of the app; a newer one replaces one that is not drawn yet."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self.snapshot = snapshot

    def can_replace(self, message: Message) -> bool:
        """True for another Sampled message: only the latest sample is drawn."""
        return isinstance(message, Sampled)


class Feed:
    """Samples for one app, from `begin` to `end`. All methods run on its event loop."""

    bindings: ClassVar[list[Binding]]
    """All keys of an app with this feed, in the order of the help. `feed('NAME', …)` calls the method NAME."""
    app: TcptopApp
    """Set by the app."""

    def __init__(self, lab_measurement: LabMeasurement | None = None) -> None:
        self.lab_measurement = lab_measurement
        self._tasks: set[asyncio.Task[None]] = set()
        self._trends = NO_TRENDS

    def begin(self) -> None:
        """Starts to deliver samples."""
        raise NotImplementedError

    def end(self) -> None:
        """Stops all tasks."""
        for task in self._tasks:
            task.cancel()

    def act(self, name: str, *arguments: object) -> None:
        """Runs the action of a key."""
        getattr(self, name)(*arguments)

    def ask_for_layouts(self) -> None:
        """Requests the struct layouts (BTF), which only the explanation needs; does nothing on a recording."""

    def receive(self, snapshot: Snapshot) -> None:
        """Accounts for a sample and draws it."""
        ledger = account(snapshot)
        self._trends = add_sample(self._trends, ledger)
        self.draw(ledger)

    def draw(self, ledger: Ledger) -> None:
        """Draws a sample."""
        self.app.show(ledger, self.view())

    def view(self) -> View:
        """The app's view with the data of this feed."""
        view = self.app.view
        return View(view.choices, view.mark, view.since, self._trends)

    def start(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        """Runs a coroutine as a task, which `end` cancels; an exception ends the app."""

        async def report_errors() -> None:
            try:
                await work
            except Exception as error:
                self.app.call_later(raise_error, error)

        task = asyncio.create_task(report_errors(), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def raise_error(error: Exception) -> None:
    """Raises the error; in a callback of the app, Textual restores the terminal and prints it."""
    raise error
