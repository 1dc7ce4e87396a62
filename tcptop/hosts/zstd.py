"""zstd (RFC 8878): the module `compression.zstd` of Python 3.14 and later, or its backport; imported only on use."""

from __future__ import annotations

import sys
from typing import BinaryIO

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["ZstdReader", "zstd"]


class ZstdReader:
    """Decompresses a zstd file of one or more frames in bounded memory."""

    def __init__(self, file: BinaryIO, max_window_bytes: int) -> None:
        """Takes a file, and the largest window to accept, a power of two: `read` fails for larger windows."""
        options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: max_window_bytes.bit_length() - 1}
        self._file = zstd.ZstdFile(file, options=options)

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end.

        Raises:
            EOFError: if the file ends early.
            OSError: if the file is damaged, or needs too much memory.

        """
        try:
            return self._file.read(size)
        except zstd.ZstdError as error:
            raise OSError(str(error)) from None
