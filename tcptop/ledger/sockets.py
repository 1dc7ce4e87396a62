"""The numbers of sockets, and the bytes of their buffers; accounting/socket_counts.py computes them."""

from math import inf
from typing import Literal, NamedTuple

from tcptop.ledger.amount import Amount

CountScope = Literal["machine", "here", "machine or here"]
"""The scope of a count: the whole machine, or only one network namespace (`here`).

`machine or here`: the kernel release does not tell which of the two scopes the count has.
"""


class SocketCounts(NamedTuple):
    """Socket counters.

    The counters `inuse` and `inuse6` cover one network namespace. `time_wait_scope` gives the scope of `time_wait`.
    Every counter except `inuse`, `inuse6` and `time_wait` covers the whole machine.
    """

    inuse: int | None
    inuse6: int | None
    orphans: int | None
    time_wait: int | None
    time_wait_scope: CountScope
    time_wait_machine_max: int | None
    time_wait_per_s: float | None
    """Change of `time_wait` per second since an earlier sample (`add_rates`); None without an earlier sample."""
    allocated: int | None
    allocated_per_s: float | None
    """Change of `allocated` per second, computed in the same way as `time_wait_per_s`."""
    buffer_pages: int | None
    """`mem` of sockstat as the kernel prints it, in units of `buffer_unit_bytes`, which are at most a page."""
    buffer_unit_bytes: int | None
    buffer_unit_is_page: bool
    """True if the unit of `buffer_pages` is surely a page, even if the size of a page is unknown."""
    buffer_bytes: int | None
    buffer_error_bytes: int | None
    buffer_error_is_assumed: bool
    """True if `buffer_error_bytes` assumes the default of net.core.mem_pcpu_rsv, because the sysctl was not read.

    Bounds that contain the error then hold only if the sysctl has its default.
    """
    buffer_error_pages: int | None
    """`buffer_error_bytes` converted into the unit of `buffer_pages`; None if unknown."""
    tcp_mem_pages: tuple[int, int, int] | None
    tcp_mem_unit_bytes: int | None
    """The size of a page: the unit of `tcp_mem_pages` on every kernel."""
    under_pressure: bool | None = None
    """True if the kernel says that TCP is under memory pressure."""

    @property
    def buffers_within_error(self) -> bool:
        """True if the possible error of the buffer counter is at least as large as the counter's value.

        If the error is at least as large as the counter's value, only an upper bound on the bytes of socket buffers is
        known.
        """
        if self.buffer_bytes is None or not self.buffer_error_bytes:
            return False
        return self.buffer_bytes <= self.buffer_error_bytes

    @property
    def buffer_bounds(self) -> Amount | None:
        """Bounds on the bytes of socket buffers: the counter plus or minus its error; None if unknown."""
        counted, error = self.buffer_bytes, self.buffer_error_bytes
        if counted is None:
            return None
        return Amount(0, inf) if error is None else Amount(max(0, counted - error), counted + error)

    @property
    def buffer_bounds_per_socket(self) -> Amount | None:
        """Bounds on the average bytes of buffers of an allocated socket; None if unknown."""
        bounds, sockets = self.buffer_bounds, self.allocated
        return None if bounds is None or not sockets else Amount(bounds.low / sockets, bounds.high / sockets)

    @property
    def apart(self) -> int | None:
        """Lower bound on the number of allocated sockets that are neither orphans nor in `inuse` or `inuse6`.

        A socket that is not in `inuse` is in another network namespace, or in no hash table of the kernel. A socket is
        in no hash table if it was never connected, or if it was closed but the kernel still keeps it. None if unknown.
        """
        inuse = self.inuse_of_both
        if self.allocated is None or inuse is None or self.orphans is None:
            return None
        return max(0, self.allocated - inuse - self.orphans)

    @property
    def inuse_of_both(self) -> int | None:
        """Number of sockets in use, IPv4 and IPv6 together; on a kernel without IPv6, only IPv4. None if unknown."""
        return None if self.inuse is None else self.inuse + (self.inuse6 or 0)


SCOPE_LABELS = {"here": "this netns", "machine or here": "machine or this netns"}
"""Maps a scope to the text that the user sees, if the text differs from the scope."""
