"""Terminal input read by the event loop instead of Textual's input thread, which polls ten times a second."""

from __future__ import annotations

import asyncio
import os
from codecs import getincrementaldecoder
from collections.abc import Callable

from textual import constants
from textual._xterm_parser import XTermParser
from textual.message import Message

ESCAPE = "\x1b"
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
        text = self._decoder.decode(data)
        # One character at a time, so that a sequence that the parser cannot take costs no key after it.
        for part in text if ESCAPE in text else (text,):
            self._parse(part)
        self._loop.call_later(LATER_S, self._pass_escape)

    def _parse(self, text: str) -> None:
        if not text:
            return  # the first bytes of a character; the parser takes an empty text for the end of input
        try:
            messages = list(self._parser.feed(text))
        except Exception:
            # ValueError and OverflowError too, for a sequence with numbers that are no character. The parser has ended.
            self._parser = XTermParser()
            return
        for message in messages:
            self._take(message)

    def _pass_escape(self) -> None:
        """Delivers ESC as a key if no further byte has come; the parser itself measures the time."""
        for message in self._parser.tick():
            self._take(message)
