"""Textual's driver for Linux, but light on the wire: a terminal is sent the cells that differ from what it shows."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import ParamSpec

from textual import events
from textual._ansi_sequences import SYNC_END, SYNC_START
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver
from textual.geometry import Size
from textual.message import Message

from tcptop.terminal.cell_screen import CellScreen
from tcptop.terminal.hangup import end_on_hangup, end_on_signals
from tcptop.terminal.input import TerminalInput
from tcptop.terminal.output import TerminalOutput

PLAIN_PEN = "\x1b[m"
MOUSE_PIXELS_OFF = "\x1b[?1016l"
DRAWS_NOTHING = re.compile(r"(?:\x07|\x1b\[[<=>?][0-9;]*\$?[a-zA-Z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\))*")
"""Modes, questions, titles and bells."""
Given = ParamSpec("Given")

FIRST_FRAME_S = 0.5
"""For a first frame that is worth sending, before what there is is sent."""
PATIENCE_S = 0.3
"""For a terminal that takes nothing while the program leaves it."""
BACKGROUND_S = 0.5
"""From SIGCONT in the background until the program stops again. A signal that ends it has time to be handled."""


class CellDriver(LinuxDriver):
    """Sends what changes, and one frame at a time: while the terminal takes one, others only change what is wanted.

    So a slow terminal misses frames, and one that takes nothing holds up neither the program nor its end.
    """

    def __init__(
        self, app: App[object], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._cells = CellScreen(*self._get_terminal_size())
        self._output: TerminalOutput | None = None
        self._input: TerminalInput | None = None
        self._encoding = getattr(self._file, "encoding", None) or "utf-8"
        self._drawing = False
        """Whether the screen is the program's."""
        self._first_frame: asyncio.TimerHandle | None = None
        self._synchronized = False
        self._last_words: list[str] | None = None
        """What gives the terminal back, while it is being said."""
        self._stop_wanted = False
        """Whether SIGTSTP came after the last SIGCONT."""
        self._suspended = False
        self._background_check: asyncio.TimerHandle | None = None
        self._leaving = False
        """Whether a signal or a hang-up ends the program: from then on it does not stop."""
        # Before the terminal is taken, or an early signal would leave it taken.
        end_on_signals(self._leave)
        end_on_hangup(self.fileno, self._leave)

    def write(self, data: str) -> None:
        """Takes a frame into the wanted cells, and sends anything else as it is."""
        if data == SYNC_START:
            self._synchronized = True
        elif data != SYNC_END and not self._cells.parse_frame(data):
            if not DRAWS_NOTHING.fullmatch(data):
                self._cells.mark_foreign()
            self._send(data)

    def flush(self) -> None:
        """Sends what differs from the terminal's cells, unless it still takes what was sent before."""
        if self._output is None or not self._drawing or not self._output.idle:
            return
        if self._get_terminal_size() != self._cells.size:
            # Below `su -c`, for one, the kernel tells another process group of a change.
            self._window_changed()
        changes = self._cells.changes()
        if changes:
            self._send(f"{SYNC_START}{changes}{SYNC_END}" if self._synchronized else changes)

    def send_all(self) -> None:
        """Sends every cell again, to a terminal that may have lost them."""
        self._cells.mark_unknown()
        self.flush()

    def show(self) -> None:
        """Sends frames from now on; what is drawn before the first look at the host is not worth it."""
        if self._first_frame is not None:
            self._first_frame.cancel()
            self._first_frame = None
            self._drawing = True
            self.flush()

    def start_application_mode(self) -> None:
        """Takes the terminal, and draws on it what was wanted before it was given back; not in the background."""
        assert self._file is not None
        if in_background(self.fileno):
            self._suspended = True
            self._stop_soon()
            return
        self._output = TerminalOutput(self._file.fileno(), self.flush)
        super().start_application_mode()  # type: ignore[no-untyped-call]
        if self._writer_thread is None:
            # The terminal has hung up, or is the shell's after all: the next SIGCONT tries again.
            self.close()
            return
        # The kernel must not stop the program in the midst of anything, its end for one: in the background it stops by
        # itself, and leaves the terminal alone.
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)
        # Textual's own way out, to which nothing was written.
        self._writer_thread.stop()
        self._writer_thread = None
        self._input = TerminalInput(self.fileno, self.process_message, self._debug)
        size = Size(*self._get_terminal_size())
        if self._suspended:
            self._suspended = False
            self._drawing = True
            self._resize(size)
        else:
            self._cells.resize(*size)
            self._first_frame = self._loop.call_later(FIRST_FRAME_S, self.show)
        # The loop's way also wakes the loop by the other signals, of which the kernel may tell another thread.
        self._loop.add_signal_handler(signal.SIGWINCH, self._window_changed)

    def stop_application_mode(self) -> None:
        """Gives the terminal back as it was, and waits a moment for it to take that; not in the background."""
        if self._output is None or in_background(self.fileno):
            return
        until_s = time.monotonic() + PATIENCE_S
        if self._first_frame is not None:
            self._first_frame.cancel()
            self._first_frame = None
        self._drawing = False
        self._last_words = [SYNC_END] if self._synchronized else []
        self._last_words.append(PLAIN_PEN)
        super().stop_application_mode()
        if self._mouse_pixels:
            self.write(MOUSE_PIXELS_OFF)
        words, self._last_words = "".join(self._last_words), None
        self._output.leave(self._encoded(words), until_s)

    def run_input_thread(self) -> None:
        """Ends at once: the event loop reads the terminal."""

    def disable_input(self) -> None:
        """Takes no more keys."""
        if self._input is not None:
            self._input.close()
            self._input = None
        if self._output is not None and not in_background(self.fileno):
            super().disable_input()

    def close(self) -> None:
        """Lets go of the terminal."""
        if self._output is not None:
            self._output.close()
            self._output = None

    def process_message(self, message: Message) -> None:
        """Hears of sizes that the terminal tells by itself."""
        if isinstance(message, events.Resize):
            self._resize(message.size)
        super().process_message(message)

    def _leave(self) -> None:
        self._leaving = True
        self._in_loop(self._app.exit, 0)

    def _sigtstp_application(self, *_: object) -> None:
        # Not here: a signal comes in the midst of anything, a frame for one.
        self._stop_wanted = True
        self._in_loop(self._suspend)

    def _sigcont_application(self, *_: object) -> None:
        # As in the kernel, SIGCONT discards a stop that is still to come.
        self._stop_wanted = False
        self._in_loop(self._resume if self._suspended else self._take_again)

    def _suspend(self) -> None:
        """Gives the terminal back and stops until SIGCONT.

        By the signal itself, not by SIGSTOP as Textual: where no shell could ever continue the program (below
        `ssh -t host tcptop`), the kernel ignores it, and the screen comes back.
        """
        if self._auto_restart and not self._suspended and not in_background(self.fileno):
            self.suspend_application_mode()
            self._must_signal_resume = self._suspended = True
        if self._stop_wanted:
            self._stop(os.getpid())
        else:
            self._resume()

    def _stop(self, process: int) -> None:
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        if not self._leaving:
            os.kill(process, signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._sigtstp_application)
        # Not at once: a signal that ends the program may have come with the one that continues it.
        self._in_loop(self._resume)

    def _resume(self) -> None:
        if self._suspended and not self._app._exit:
            self.resume_application_mode()

    def _take_again(self) -> None:
        """Takes the terminal again after a stop without notice (SIGSTOP): the shell has had it since."""
        if not self._auto_restart or self._output is None:
            return
        if in_background(self.fileno):
            self._drawing = False
            self._stop_soon()
        else:
            self.suspend_application_mode()
            self._suspended = True
            self._resume()

    def _stop_soon(self) -> None:
        """Stops again in the background, as the kernel stops a program that asks for the terminal there.

        Not at once. SIGTERM and SIGCONT of one `kill` may be handled in either order: any thread can take them, and a
        handler can interrupt the other. A program that has stopped again cannot end.
        """
        if self._background_check is not None:
            self._background_check.cancel()
        self._background_check = self._loop.call_later(BACKGROUND_S, self._check_background)

    def _check_background(self) -> None:
        if self._drawing:
            return
        if in_background(self.fileno):
            # The whole process group, with a `sh -c` for one, as the kernel does.
            self._stop(0)
        else:
            # `fg` sends no SIGCONT to a job that runs.
            self._sigcont_application()

    def _window_changed(self) -> None:
        if not self._in_band_window_resize:
            size = Size(*self._get_terminal_size())
            self._resize(size)
            self.send_message(events.Resize(size, size))

    def _resize(self, size: Size) -> None:
        """Sends everything again: what a terminal does to its cells is its own affair.

        Also where it is the size of before, of which Textual takes no notice: there may have been another in between.
        """
        self._cells.resize(*size)
        self._app.call_later(self._app.refresh)

    def _in_loop(self, call: Callable[Given, object], *args: Given.args, **kwargs: Given.kwargs) -> None:
        with suppress(RuntimeError):  # the event loop has ended
            self._loop.call_soon_threadsafe(partial(call, *args, **kwargs))

    def _send(self, data: str) -> None:
        if self._last_words is not None:
            self._last_words.append(data)
        elif self._output is not None:
            self._output.send(self._encoded(data))

    def _encoded(self, data: str) -> bytes:
        # One character for one, or the columns would move.
        return data.encode(self._encoding, errors="replace")


def in_background(descriptor: int) -> bool:
    """Whether another process group has the terminal; False where it is not the controlling terminal.

    The kernel stops a background process that changes the terminal's modes (tty_check_change() in tty_jobctrl.c).
    """
    try:
        return os.tcgetpgrp(descriptor) != os.getpgrp()
    except OSError:
        return False
