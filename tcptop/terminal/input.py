"""Terminal input: the event loop reads the input, instead of Textual's input thread, which polls ten times a second."""

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
"""If no byte follows ESC for this many seconds, ESC counts as a key, not as the start of an escape sequence."""


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
        # Parses one character at a time: if the parser fails on a sequence, the keys after the sequence are not lost.
        for part in text if ESCAPE in text else (text,):
            self._parse(part)
        self._loop.call_later(LATER_S, self._pass_escape)

    def _parse(self, text: str) -> None:
        if not text:
            return  # the character is still incomplete; the parser would treat an empty text as the end of input
        try:
            messages = list(self._parser.feed(text))
        except Exception:
            # The parser has ended with an error. For example, if a number in a sequence is not the code of a character,
            # the error is ValueError or OverflowError.
            self._parser = XTermParser()
            return
        for message in messages:
            self._take(message)

    def _pass_escape(self) -> None:
        """Delivers ESC as a key if no further byte has come; the parser itself measures the time."""
        for message in self._parser.tick():
            self._take(message)
