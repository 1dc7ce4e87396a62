"""Standard output and standard error: one way to write to each, even if it is closed, full, or a pipe without a reader.

After a failed write, the descriptor leads to /dev/null. Otherwise Python would try the same text again when it ends,
print "Exception ignored", and end with exit code 120.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TextIO

from tcptop.errors import TcptopError

DESCRIPTORS = (0, 1, 2)


class WriteError(TcptopError):
    """Standard output is closed, or its disk is full."""


def occupy_descriptors() -> None:
    """Opens /dev/null for each standard descriptor that is closed.

    Otherwise a file opened later would get the number, and what is meant for standard error would be written into it.
    """
    for descriptor in DESCRIPTORS:
        try:
            os.fstat(descriptor)
        except OSError:
            with suppress(OSError):
                os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one


def write_stdout(text: str) -> None:
    """Writes a text to standard output and flushes it.

    Raises:
        WriteError: if standard output is closed, or the disk is full.
        BrokenPipeError: if standard output is a pipe whose reader has ended.

    """
    if sys.stdout is None:  # Python sets None if the descriptor was closed at start
        raise WriteError("standard output is closed; nothing to write to")
    try:
        _write(sys.stdout, text)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise WriteError(f"write error: {error.strerror}") from None


def write_notice(text: str) -> None:
    """Writes a text that is no result to standard output, or nothing if it cannot be written."""
    with suppress(WriteError, BrokenPipeError):
        write_stdout(text)


def write_stderr(text: str) -> None:
    """Writes a text to standard error, or nothing if it cannot be written."""
    if sys.stderr is not None:  # print(file=None) would write to standard output
        with suppress(OSError):
            _write(sys.stderr, text)


def flush_streams() -> None:
    """Writes what other code has left in the buffers, or drops it if it cannot be written."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError):
                _write(stream, "")


def _write(stream: TextIO, text: str) -> None:
    """Writes and flushes a text; before an OSError is raised, leads the stream's descriptor to /dev/null."""
    try:
        stream.write(text)
        stream.flush()
    except OSError:
        with suppress(OSError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
        raise
