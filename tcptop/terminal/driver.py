"""Terminal driver for Textual on Linux that sends only the cells that differ from what the terminal shows."""

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
INVISIBLE_OUTPUT = re.compile(r"(?:\x07|\x1b\[[<=>?][0-9;]*\$?[a-zA-Z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\))*")
"""Output that changes no cell: modes, queries, titles and bells."""
Arguments = ParamSpec("Arguments")

FIRST_FRAME_S = 0.5
"""Longest wait for the first sample; then a frame without figures is sent."""
RESTORE_WAIT_S = 0.3
"""Longest wait for a blocked terminal; then the rest of the frame is dropped and the terminal restored."""
BACKGROUND_S = 0.5
"""Time from SIGCONT in the background to the next stop, enough to handle a signal that ends the program."""


class CellDriver(LinuxDriver):
    """Driver that sends changed cells, one frame at a time.

    While the terminal has not accepted a frame, later frames only change the wanted cells. So a slow terminal skips
    frames, and a blocked one delays neither the program nor its exit.
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
        """Whether frames are sent: the terminal is set up, and the first sample or its timeout has come."""
        self._first_frame: asyncio.TimerHandle | None = None
        self._synchronized = False
        self._restore_output: list[str] | None = None
        """Output that restores the terminal, while Textual writes it; None otherwise."""
        self._stop_pending = False
        """Whether SIGTSTP came after the last SIGCONT."""
        self._suspended = False
        self._background_check: asyncio.TimerHandle | None = None
        self._leaving = False
        """Whether a signal or a hang-up ends the program; then it does not stop any more."""
        # Installed before the terminal is set up, so that it is restored after an early signal too.
        end_on_signals(self._leave)
        end_on_hangup(self.fileno, self._leave)

    def write(self, data: str) -> None:
        """Parses a frame into the wanted cells; sends anything else unchanged."""
        if data == SYNC_START:
            self._synchronized = True
        elif data != SYNC_END and not self._cells.parse_frame(data):
            if not INVISIBLE_OUTPUT.fullmatch(data):
                self._cells.mark_foreign()
            self._send(data)

    def flush(self) -> None:
        """Sends the changed cells, unless the terminal has not yet accepted the frame before."""
        if self._output is None or not self._drawing or not self._output.idle:
            return
        if self._get_terminal_size() != self._cells.size:
            # Below `su -c`, for example, the kernel sends SIGWINCH to another process group.
            self._window_changed()
        changes = self._cells.changes()
        if changes:
            self._send(f"{SYNC_START}{changes}{SYNC_END}" if self._synchronized else changes)

    def send_all(self) -> None:
        """Sends every cell again, in case the terminal has lost some."""
        self._cells.mark_unknown()
        self.flush()

    def start_drawing(self) -> None:
        """Sends frames from now on. Until the first sample they have no figures, and are not worth their bytes."""
        if self._first_frame is not None:
            self._first_frame.cancel()
            self._first_frame = None
            self._drawing = True
            self.flush()

    def start_application_mode(self) -> None:
        """Sets up the terminal, and redraws it after a suspension. In the background the program stops instead."""
        assert self._file is not None
        if in_background(self.fileno):
            self._suspended = True
            self._stop_soon()
            return
        self._output = TerminalOutput(self._file.fileno(), self.flush)
        super().start_application_mode()  # type: ignore[no-untyped-call]
        if self._writer_thread is None:
            # The terminal has hung up, or the program is in the background after all: the next SIGCONT tries again.
            self.close()
            return
        # The kernel must not stop the program at an arbitrary point, such as during its exit. In the background the
        # program stops itself, and does not touch the terminal.
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)
        # Textual's own output thread is not needed; nothing was written to it.
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
            self._first_frame = self._loop.call_later(FIRST_FRAME_S, self.start_drawing)
        # add_signal_handler sets a wakeup descriptor, so that every signal wakes the loop, whichever thread it reaches.
        self._loop.add_signal_handler(signal.SIGWINCH, self._window_changed)

    def stop_application_mode(self) -> None:
        """Restores the terminal, within RESTORE_WAIT_S if it is blocked. Does nothing in the background."""
        if self._output is None or in_background(self.fileno):
            return
        until_s = time.monotonic() + RESTORE_WAIT_S
        if self._first_frame is not None:
            self._first_frame.cancel()
            self._first_frame = None
        self._drawing = False
        self._restore_output = [SYNC_END] if self._synchronized else []
        self._restore_output.append(PLAIN_PEN)
        super().stop_application_mode()
        if self._mouse_pixels:
            self.write(MOUSE_PIXELS_OFF)
        output, self._restore_output = "".join(self._restore_output), None
        self._output.leave(self._encode(output), until_s)

    def run_input_thread(self) -> None:
        """Returns at once: the event loop reads the terminal."""

    def disable_input(self) -> None:
        """Stops reading keys."""
        if self._input is not None:
            self._input.close()
            self._input = None
        if self._output is not None and not in_background(self.fileno):
            super().disable_input()

    def close(self) -> None:
        """Closes the output."""
        if self._output is not None:
            self._output.close()
            self._output = None

    def process_message(self, message: Message) -> None:
        """Handles sizes that the terminal reports itself (in-band resize)."""
        if isinstance(message, events.Resize):
            self._resize(message.size)
        super().process_message(message)

    def _leave(self) -> None:
        """Ends the program with exit code 0; called on a hang-up or a signal."""
        self._leaving = True
        self._in_loop(self._app.exit, 0)

    def _sigtstp_application(self, *_: object) -> None:
        # Suspended from the event loop: a handler may run at any point, such as within a frame.
        self._stop_pending = True
        self._in_loop(self._suspend)

    def _sigcont_application(self, *_: object) -> None:
        # As in the kernel, SIGCONT discards a pending stop.
        self._stop_pending = False
        self._in_loop(self._resume if self._suspended else self._set_up_again)

    def _suspend(self) -> None:
        """Restores the terminal and stops until SIGCONT.

        It stops by SIGTSTP, not by SIGSTOP as Textual does: the kernel ignores SIGTSTP for an orphaned process group,
        which no shell could continue (below `ssh -t host tcptop`), and the screen is drawn again.
        """
        if self._auto_restart and not self._suspended and not in_background(self.fileno):
            self.suspend_application_mode()
            self._must_signal_resume = self._suspended = True
        if self._stop_pending:
            self._stop(os.getpid())
        else:
            self._resume()

    def _stop(self, process: int) -> None:
        """Stops a process, or with 0 the whole process group, until SIGCONT; then resumes."""
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        if not self._leaving:
            os.kill(process, signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._sigtstp_application)
        # Resumed from the event loop: a signal that ends the program may have come together with SIGCONT.
        self._in_loop(self._resume)

    def _resume(self) -> None:
        if self._suspended and not self._app._exit:
            self.resume_application_mode()

    def _set_up_again(self) -> None:
        """Sets up the terminal again after SIGSTOP, which allows no restore: the shell has used the terminal since."""
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
        """Stops again after BACKGROUND_S in the background, as the kernel stops a program that changes modes there.

        Not at once: SIGTERM and SIGCONT of one `kill` may be handled in either order, since any thread can receive them
        and one handler can interrupt the other. A program that has stopped again could not end.
        """
        if self._background_check is not None:
            self._background_check.cancel()
        self._background_check = self._loop.call_later(BACKGROUND_S, self._check_background)

    def _check_background(self) -> None:
        if self._drawing:
            return
        if in_background(self.fileno):
            # The whole process group, including a `sh -c` for example, as the kernel does.
            self._stop(0)
        else:
            # `fg` sends no SIGCONT to a running job.
            self._sigcont_application()

    def _window_changed(self) -> None:
        if not self._in_band_window_resize:
            size = Size(*self._get_terminal_size())
            self._resize(size)
            self.send_message(events.Resize(size, size))

    def _resize(self, size: Size) -> None:
        """Draws everything again: terminals differ in what they do to their cells.

        Also for an unchanged size, which Textual ignores: there may have been another size in between.
        """
        self._cells.resize(*size)
        self._app.call_later(self._app.refresh)

    def _in_loop(self, call: Callable[Arguments, object], *args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        with suppress(RuntimeError):  # the event loop has ended
            self._loop.call_soon_threadsafe(partial(call, *args, **kwargs))

    def _send(self, data: str) -> None:
        if self._restore_output is not None:
            self._restore_output.append(data)
        elif self._output is not None:
            self._output.send(self._encode(data))

    def _encode(self, data: str) -> bytes:
        # Each character is replaced by one character, so that columns stay aligned.
        return data.encode(self._encoding, errors="replace")


def in_background(descriptor: int) -> bool:
    """Whether another process group is in the foreground; False if this is not the controlling terminal.

    The kernel stops a background process that changes the terminal's modes (tty_check_change() in tty_jobctrl.c).
    """
    try:
        return os.tcgetpgrp(descriptor) != os.getpgrp()
    except OSError:
        return False
