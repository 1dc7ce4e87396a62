"""Terminal driver for Textual on Linux.

The driver sends a cell only if the terminal does not show that cell already.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import suppress

from textual import events
from textual._ansi_sequences import SYNC_END, SYNC_START
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver
from textual.geometry import Size
from textual.message import Message

from tcptop.terminal.cell_screen import CellScreen
from tcptop.terminal.hangup import end_on_hangup
from tcptop.terminal.input import ESCAPE, TerminalInput
from tcptop.terminal.output import TerminalOutput

PLAIN_PEN = "\x1b[m"
CLIPBOARD_START = "\x1b]52;"
MOUSE_PIXELS_OFF = "\x1b[?1016l"
INVISIBLE_OUTPUT = re.compile(r"(?:\x07|\x1b\[[<=>?][0-9;]*\$?[a-zA-Z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\))*")
"""Output that changes no cell: modes, queries, titles and bells."""

MAX_COLUMNS, MAX_ROWS = 1000, 500
"""Largest part of the terminal that is drawn, in columns and rows.

A window may claim 65 535 × 65 535 cells, for which the grids would take gigabytes of memory.
"""
FIRST_FRAME_S = 0.25
"""If the first sample takes longer than this number of seconds, a frame without figures is sent."""
RESTORE_WAIT_S = 0.3
"""Longest wait for a blocked terminal, in seconds, before the program drops the remaining part of the frame and
restores the terminal.
"""
BACKGROUND_S = 0.5
"""If SIGCONT arrives in the background, the program stops again after this many seconds.

The delay is long enough for the program to handle a signal that ends the program.
"""


class CellDriver(LinuxDriver):
    """Driver that sends changed cells, one frame at a time.

    While the terminal has not accepted all of a frame, later frames are not sent: each later frame only changes the
    wanted cells of CellScreen. A slow terminal therefore skips frames, and a blocked terminal delays neither the
    program nor its exit.
    """

    def __init__(
        self, app: App[object], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._size = size or self._get_terminal_size()  # not the size of rich's console, which may differ
        self._cells = CellScreen(*self._get_terminal_size())
        self._output: TerminalOutput | None = None
        self._input: TerminalInput | None = None
        self._encoding = getattr(self._file, "encoding", None) or "utf-8"
        self._drawing = False
        """True while frames are sent.

        The first frame is sent when the first sample arrives, but at the latest FIRST_FRAME_S after the set-up of the
        terminal.
        """
        self._awaits_sample = False
        """True from the set-up of the terminal until frames are sent."""
        self._synchronized = False
        self._restore_output: str | None = None
        """Output that restores the terminal, collected while Textual writes this output; None at all other times."""
        self._stop_pending = False
        """True if a SIGTSTP has arrived since the last SIGCONT."""
        self._suspended = False
        self._background_check: asyncio.TimerHandle | None = None
        self._leaving = False
        """True once a signal or a hang-up has begun to end the program; from then on, requests to stop are ignored."""
        # Handlers are installed before the terminal is set up, so that the terminal is restored even after an early
        # signal.
        end_on_hangup(self.fileno, self._leave)

    def _get_terminal_size(self) -> tuple[int, int]:
        return clamp_size(*super()._get_terminal_size())

    def write(self, data: str) -> None:
        """Parses a frame into the wanted cells; sends other output to the terminal unchanged."""
        if data == SYNC_START:
            self._synchronized = True
        elif data != SYNC_END and not self._cells.parse_frame(data):
            if not INVISIBLE_OUTPUT.fullmatch(data):
                self._cells.reset(*self._cells.size)
            if data.startswith(CLIPBOARD_START) and "TMUX" in os.environ:
                # Depending on its configuration, tmux ignores the clipboard sequence or passes it on. A copy of the
                # clipboard sequence is therefore added, wrapped in tmux's own sequence for the outer terminal.
                data += f"\x1bPtmux;{data.replace(ESCAPE, ESCAPE * 2)}\x1b\\"
            self._send(data)

    def flush(self) -> None:
        """Sends the changed cells, unless the terminal has not yet accepted the previous frame."""
        if self._output is None or not self._drawing or not self._output.idle:
            return
        if self._get_terminal_size() != self._cells.size:
            # Under `su -c`, for example, SIGWINCH goes to another process group. Each frame therefore compares the size
            # of the terminal with the size of the grids.
            self._window_changed()
        changes = self._cells.changes()
        if changes:
            self._send(f"{SYNC_START}{changes}{SYNC_END}" if self._synchronized else changes)

    def send_all(self) -> None:
        """Draws every cell again, in case the terminal has lost some cells."""
        self._resize(Size(*self._cells.size))

    def start_drawing(self) -> None:
        """Starts sending frames.

        A frame before the first sample has no figures, so sending such a frame would waste bytes.
        """
        if self._awaits_sample:
            self._awaits_sample = False
            self._drawing = True
            self.flush()

    def start_application_mode(self) -> None:
        """Sets up the terminal; after a suspension, also redraws the screen.

        If the program is in the background, stops the program instead.
        """
        assert self._file is not None
        if in_background(self.fileno):
            self._suspended = True
            self._stop_soon()
            return
        self._output = TerminalOutput(self._file.fileno(), self.flush)
        super().start_application_mode()  # type: ignore[no-untyped-call]
        if self._writer_thread is None:
            # Setup failed, because the terminal has hung up, or because the program is in the background by now. The
            # next SIGCONT repeats the setup.
            self.close()
            return
        # SIGTTIN and SIGTTOU are ignored, so that the kernel does not stop the program at an arbitrary point, such as
        # during its exit. In the background the program stops itself, and does not touch the terminal.
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)
        # Textual's own output thread is not needed, because CellDriver never passes output to that thread.
        self._writer_thread.stop()
        self._writer_thread = None
        self._input = TerminalInput(self.fileno, self.process_message)
        size = Size(*self._get_terminal_size())
        if self._suspended:
            self._suspended = False
            self._drawing = True
            self._resize(size)
        else:
            self._cells.reset(*size)
            self._awaits_sample = True
            self._loop.call_later(FIRST_FRAME_S, self.start_drawing)
        # add_signal_handler sets a wakeup descriptor: every signal wakes the event loop, whichever thread receives it.
        self._loop.add_signal_handler(signal.SIGWINCH, self._window_changed)

    def stop_application_mode(self) -> None:
        """Restores the terminal; does nothing if the process is in the background.

        Waits at most RESTORE_WAIT_S for a blocked terminal.
        """
        if self._output is None or in_background(self.fileno):
            return
        if self._app._exit:
            # After the modes are restored, the terminal turns Ctrl-C into SIGINT, which must not interrupt the exit.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        until_s = time.monotonic() + RESTORE_WAIT_S
        self._awaits_sample = self._drawing = False
        self._restore_output = (SYNC_END if self._synchronized else "") + PLAIN_PEN
        super().stop_application_mode()
        if self._mouse_pixels:
            self.write(MOUSE_PIXELS_OFF)
        output, self._restore_output = self._restore_output, None
        self._output.leave(self._encode(output), until_s)

    def run_input_thread(self) -> None:
        """Does nothing: the event loop reads the terminal, and no thread is needed."""

    def disable_input(self) -> None:
        """Stops reading keys."""
        if self._input is not None:
            self._input.close()
            self._input = None
        if self._output is not None and not in_background(self.fileno):
            super().disable_input()

    def close(self) -> None:
        """Closes the output to the terminal."""
        if self._output is not None:
            self._output.close()
            self._output = None

    def process_message(self, message: Message) -> None:
        """Passes a message on to the app.

        If the terminal itself reports a new size (in-band resize), draws every cell again.
        """
        if isinstance(message, events.Resize):
            size = Size(*clamp_size(*message.size))
            message = events.Resize(size, size, None, message.pixel_size)
            self._resize(size)
        super().process_message(message)

    def _leave(self) -> None:
        """Ends the program with exit code 0; called on a hang-up or a signal."""
        self._leaving = True
        self._in_loop(self._app.exit, 0)

    def _sigtstp_application(self, *_: object) -> None:
        # The event loop, not this handler, suspends the program: the handler may run while a frame is being written.
        self._stop_pending = True
        self._in_loop(self._suspend)

    def _sigcont_application(self, *_: object) -> None:
        # SIGCONT cancels a stop that the program has not yet carried out, just as the kernel discards pending stop
        # signals on SIGCONT.
        self._stop_pending = False
        self._in_loop(self._resume if self._suspended else self._set_up_again)

    def _suspend(self) -> None:
        """Restores the terminal and stops the program until SIGCONT.

        The program stops itself by SIGTSTP; Textual would use SIGSTOP. In an orphaned process group, which `ssh -t host
        tcptop` creates, no shell could continue the program. The kernel ignores SIGTSTP in an orphaned group, so the
        program runs on and draws the screen again.
        """
        if self._auto_restart and not self._suspended and not in_background(self.fileno):
            self.suspend_application_mode()
            self._must_signal_resume = self._suspended = True
        if self._stop_pending:
            self._stop(os.getpid())
        else:
            self._resume()

    def _stop(self, process: int) -> None:
        """Stops a process, or the whole process group if `process` is 0, until SIGCONT; then resumes the screen."""
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        if not self._leaving:
            os.kill(process, signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._sigtstp_application)
        # A signal that ends the program may have come together with SIGCONT. The program handles such a signal first,
        # because the event loop resumes the screen only later.
        self._in_loop(self._resume)

    def _resume(self) -> None:
        if self._suspended and not self._app._exit:
            self.resume_application_mode()

    def _set_up_again(self) -> None:
        """Sets up the terminal again after SIGSTOP.

        SIGSTOP gives the program no chance to restore the terminal beforehand.
        """
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
        """Stops a background program again after BACKGROUND_S.

        The kernel, too, stops a background program that changes the terminal's modes. The stop is delayed, because
        SIGTERM and SIGCONT may arrive together, and the program may handle them in either order. If the program stopped
        before it had handled SIGTERM, it would not exit.
        """
        if self._background_check is not None:
            self._background_check.cancel()
        self._background_check = self._loop.call_later(BACKGROUND_S, self._check_background)

    def _check_background(self) -> None:
        if self._drawing:
            return
        if in_background(self.fileno):
            # Stops the whole process group, including a parent such as `sh -c`. The kernel, too, would stop the whole
            # group.
            self._stop(0)
        else:
            # Sets up the terminal as after SIGCONT, because `fg` sends no SIGCONT to a running job.
            self._sigcont_application()

    def _window_changed(self) -> None:
        if not self._in_band_window_resize:
            size = Size(*self._get_terminal_size())
            self._resize(size)
            self.send_message(events.Resize(size, size))

    def _resize(self, size: Size) -> None:
        """Draws every cell again, because terminals differ in what they do to their cells at a resize.

        Textual ignores an unchanged size. This method draws every cell even if the size is unchanged, because the
        window may have been resized and then resized back.
        """
        self._cells.reset(*size)
        self._app.call_later(self._app.refresh)

    def _in_loop(self, call: Callable[..., object], *arguments: object) -> None:
        with suppress(RuntimeError):  # the event loop has ended
            self._loop.call_soon_threadsafe(call, *arguments)

    def _send(self, data: str) -> None:
        if self._restore_output is not None:
            self._restore_output += data
        elif self._output is not None:
            self._output.send(self._encode(data))

    def _encode(self, data: str) -> bytes:
        # A character that the encoding cannot represent is replaced by exactly one character, so that columns stay
        # aligned.
        return data.encode(self._encoding, errors="replace")


def clamp_size(columns: int, rows: int) -> tuple[int, int]:
    """Limits a size to between 1 and MAX_COLUMNS columns and between 1 and MAX_ROWS rows."""
    return max(1, min(columns, MAX_COLUMNS)), max(1, min(rows, MAX_ROWS))


def in_background(descriptor: int) -> bool:
    """True if another process group is in the foreground; False if `descriptor` is not the controlling terminal.

    The kernel stops a background process that changes the terminal's modes (tty_check_change() in tty_jobctrl.c).
    """
    try:
        return os.tcgetpgrp(descriptor) != os.getpgrp()
    except OSError:
        return False
