"""Writes to standard output and standard error, even if they are closed, full, or pipes without a reader.

After a failed write, the descriptor is redirected to /dev/null. Without this redirection, Python would write the text
again when it exits, and end with exit code 120.

Without UTF-8, the glyphs of tcptop become ASCII, and other characters that the encoding lacks become escapes.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TextIO

from tcptop.errors import TcptopError

DESCRIPTORS = (0, 1, 2)


class WriteError(TcptopError):
    """Error raised when standard output is closed, or when the disk of its file is full."""


def occupy_descriptors() -> None:
    """Opens /dev/null for each standard descriptor that is closed.

    If descriptor 2 stayed closed, a file opened later could get the number 2, and error messages would be written into
    the file.
    """
    for descriptor in DESCRIPTORS:
        try:
            os.fstat(descriptor)
        except OSError:
            with suppress(OSError):
                os.open(os.devnull, os.O_RDWR)  # os.open() returns the lowest free descriptor, here `descriptor`


def write_stdout(text: str) -> None:
    """Writes a text to standard output and flushes it.

    Raises:
        WriteError: if standard output is closed, or the disk is full.
        BrokenPipeError: if standard output is a pipe whose reader has ended.

    """
    if sys.stdout is None:  # sys.stdout is None if the descriptor was closed at the start
        raise WriteError("standard output is closed; nothing to write to")
    try:
        _write(sys.stdout, text)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise WriteError(f"write error: {error.strerror}") from None


def write_notice(text: str) -> None:
    """Writes a text other than a result to standard output; ignores errors."""
    with suppress(WriteError, BrokenPipeError):
        write_stdout(text)


def write_stderr(text: str) -> None:
    """Writes a text to standard error; ignores errors."""
    if sys.stderr is not None:  # print(file=None) would write to standard output
        with suppress(OSError):
            _write(sys.stderr, text)


def flush_streams() -> None:
    """Writes the text that other code has left in the buffers; drops the text if the write fails."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError):
                _write(stream, "")


def _write(stream: TextIO, text: str) -> None:
    """Writes and flushes a text, in the characters that the stream can hold.

    After a failed write, redirects the stream's descriptor to /dev/null, and raises the OSError.
    """
    try:
        stream.write(text if text.isascii() else _for_stream(stream, text))
        stream.flush()
    except OSError:
        with suppress(OSError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
        raise


def _for_stream(stream: TextIO, text: str) -> str:
    # Imported here, because most texts are ASCII.
    from tcptop.text.ascii import is_c_locale, needs_ascii, to_encoding

    # A pipe does not lead to the Linux console.
    environment = {name: os.environ[name] for name in ("TERM", "LC_ALL") if name in os.environ}
    if not stream.isatty():
        environment.pop("TERM", None)
    if not needs_ascii(environment, stream.encoding):
        # A surrogate stands for a byte of a file name that is not UTF-8.
        return text.encode("utf-8", "backslashreplace").decode("utf-8")
    return to_encoding(text, "ascii" if is_c_locale(environment) else stream.encoding)
