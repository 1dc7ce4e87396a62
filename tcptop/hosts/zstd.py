"""zstd (RFC 8878): the module `compression.zstd` of Python 3.14 and later, or its backport.

The module is imported only when zstd is needed.
"""

from __future__ import annotations

import sys

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["make_decompressor", "zstd"]


def make_decompressor(max_window_bytes: int) -> zstd.ZstdDecompressor:
    """A decompressor of one frame in bounded memory.

    The decompressor raises ZstdError if the frame needs a window larger than `max_window_bytes`. `max_window_bytes` is
    rounded down to a power of two.
    """
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: max_window_bytes.bit_length() - 1}
    decompressor: zstd.ZstdDecompressor = zstd.ZstdDecompressor(options=options)
    return decompressor
