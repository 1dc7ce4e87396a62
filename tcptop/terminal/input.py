"""Terminal input read by the event loop instead of Textual's input thread, which polls ten times a second."""

from __future__ import annotations

import asyncio
import os
from codecs import getincrementaldecoder
from collections.abc import Callable

from textual import constants
from textual._parser import ParseError
from textual._xterm_parser import XTermParser
from textual.message import Message

CHUNK_BYTES = 4096
LATER_S = constants.ESCAPE_DELAY * 1.05
"""Seconds without a further byte after which ESC counts as the key, not as the start of an escape sequence."""


class TerminalInput:
    """Delivers each key press and each reply of the terminal as a Textual message, until `close` is called."""

    def __init__(self, descriptor: int, take: Callable[[Message], None]) -> None:
        """Starts reading; must be called in the event loop."""
        self._descriptor = descriptor
        self._take = take
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._parser = XTermParser()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(descriptor, self._read)

    def close(self) -> None:
        """Stops reading."""
        self._loop.remove_reader(self._descriptor)

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, CHUNK_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            # The terminal has hung up; tcptop.terminal.hangup ends the program.
            self.close()
            return
        try:
            # The parser takes an empty text for the end of input; there is none where a character comes in two pieces.
            for message in self._parser.feed(text) if (text := self._decoder.decode(data)) else ():
                self._take(message)
        except ParseError:
            self._parser = XTermParser()
        self._loop.call_later(LATER_S, self._pass_escape)

    def _pass_escape(self) -> None:
        """Delivers ESC as a key if no further byte has come; the parser itself measures the time."""
        for message in self._parser.tick():
            self._take(message)
