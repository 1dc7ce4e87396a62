"""The growth of sockets and memory, since a mark and over the last minutes."""

from collections.abc import Mapping
from typing import NamedTuple


class LiveObjects(NamedTuple):
    """The number of sockets, and the bytes of all active objects in the slabinfo rows that count objects of sockets.

    On a running kernel the number of sockets is read right after slabinfo.
    """

    sockets: int
    bytes: float
    """Sum over all rows of slabinfo that count objects of sockets.

    The bytes of a row are its number of active objects × the slab share of one object.
    """


class GrowthSinceMark(NamedTuple):
    """Growth since the user set a mark: the sockets, the bytes of active objects, and the bytes per new socket."""

    elapsed_s: float | None
    sockets: int | None
    live_bytes: float | None
    bytes_per_socket: float | None
    unknown_because: str | None
    error_bytes_per_socket: float | None = None
    """Possible error of `bytes_per_socket`, in either direction, because slabinfo also counts other programs' objects.

    The error is `others_bytes` ÷ the number of new sockets. A program that changes the rows of `others_bytes` probably
    also changes the rows of dentries and files, and those rows count objects of sockets. None if unknown.
    """
    others_bytes: float | None = None
    """Sum of the changes in those slabinfo rows that hold no objects of sockets; the largest sum since the mark.

    None if unknown.
    """

    @property
    def is_disturbed(self) -> bool:
        """True if the error is larger than MAX_ERROR; `bytes_per_socket` then says nothing about sockets."""
        if self.bytes_per_socket is None or self.error_bytes_per_socket is None:
            return False
        return self.error_bytes_per_socket > MAX_ERROR * abs(self.bytes_per_socket)


MAX_ERROR = 0.1
"""Maximum relative error of the measured bytes per socket."""


class Slope(NamedTuple):
    """Change of a figure per second, computed from several samples, and the standard error of the change."""

    per_s: float
    error_per_s: float

    @property
    def is_clear(self) -> bool:
        """True if the change is larger than twice its standard error, in either direction."""
        return abs(self.per_s) > 2 * self.error_per_s


class Growth(NamedTuple):
    """Growth over the last minutes.

    `sockets` or `bytes` is None if there are too few samples, or if the figure itself is unknown.
    """

    over_s: float
    sockets: Slope | None
    """Change in the machine's number of full sockets. In TIME_WAIT accounting: change in the number of mini-sockets."""
    bytes: Slope | None
    """Change in the kernel memory that TCP holds."""
    limits_in_s: Mapping[str, float]
    """Maps the name of a limit to the time until the limit is reached if the growth continues. Only limits whose `used`
    clearly grew for five minutes, and is at least half of the maximum, are included."""
