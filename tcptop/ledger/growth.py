"""The growth of sockets and memory: since a mark, and over the last minutes."""

from collections.abc import Mapping
from typing import NamedTuple


class LiveObjects(NamedTuple):
    """The number of sockets, and the bytes of the active objects in all slabinfo rows that count objects of sockets.

    On a running kernel the number of sockets is read right after slabinfo.
    """

    sockets: int
    bytes: float
    """Sum over all slabinfo rows that count objects of sockets.

    The bytes of one row are the number of active objects in the row × the slab share of one object.
    """


class GrowthSinceMark(NamedTuple):
    """Growth since the user set a mark: in sockets, in bytes of active objects, and in these bytes per new socket."""

    elapsed_s: float | None
    sockets: int | None
    live_bytes: float | None
    bytes_per_socket: float | None
    unknown_because: str | None
    error_bytes_per_socket: float | None = None
    """What other programs' objects may have added to `bytes_per_socket`, or taken away.

    The error is `others_bytes` per socket: programs that changed the rows of others also changed dentries and files,
    which are in the rows of sockets. None if unknown.
    """
    others_bytes: float | None = None
    """The largest change of all slabinfo rows that no socket has objects in, in any sample since the mark.

    None if unknown.
    """

    @property
    def is_disturbed(self) -> bool:
        """Whether the error is larger than MAX_ERROR, so that `bytes_per_socket` says nothing about sockets."""
        if self.bytes_per_socket is None or self.error_bytes_per_socket is None:
            return False
        return self.error_bytes_per_socket > MAX_ERROR * abs(self.bytes_per_socket)


MAX_ERROR = 0.1
"""Largest error of the bytes per socket measured since a mark, as a share of these bytes."""


class Slope(NamedTuple):
    """A figure's change per second, computed from several samples, and the standard error of this change."""

    per_s: float
    error_per_s: float

    @property
    def is_clear(self) -> bool:
        """Whether the change per second is larger than twice its standard error, in either direction."""
        return abs(self.per_s) > 2 * self.error_per_s


class Growth(NamedTuple):
    """Growth over the last minutes.

    `sockets` or `bytes` is None if there are too few samples, or if the figure itself is unknown.
    """

    over_s: float
    sockets: Slope | None
    """Change in the machine's number of full sockets or, in TIME_WAIT accounting, of mini-sockets."""
    bytes: Slope | None
    """Change in the kernel memory that TCP holds."""
    limits_in_s: Mapping[str, float]
    """Time until each limit is reached if the growth continues, by name; only limits whose `used` clearly grows."""
