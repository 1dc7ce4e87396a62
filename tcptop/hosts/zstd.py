"""zstd (RFC 8878): `compression.zstd`, which Python has since 3.14, or its backport. Imported only where it is used."""

from __future__ import annotations

import sys
from typing import BinaryIO

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["ZstdReader", "zstd"]


class ZstdReader:
    """A zstd file, one or several frames, in bounded memory."""

    def __init__(self, file: BinaryIO, max_window_bytes: int) -> None:
        """Refuses frames that need a larger window than this power of two."""
        options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: max_window_bytes.bit_length() - 1}
        self._file = zstd.ZstdFile(file, options=options)

    def read(self, size: int, /) -> bytes:
        """Some bytes, no more than `size`; none at the end.

        Raises:
            EOFError: if the file ends early.
            OSError: if it is damaged, or needs too much memory.

        """
        try:
            return self._file.read(size)
        except zstd.ZstdError as error:
            raise OSError(str(error)) from None
