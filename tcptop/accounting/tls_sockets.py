"""Sockets with kernel TLS, from /proc/net/tls_stat or from the absence of that file."""

from __future__ import annotations

from tcptop.kernel.release import Release, release_numbers
from tcptop.snapshot import Snapshot, TlsStat

FILE_SINCE: Release = (5, 5)
"""First release whose module tls creates the file in each network namespace (commit d26b698dd3cd)."""

NONE = TlsStat(0, 0, 0, 0)

DRIFT_SHARE = 0.001
"""Share of the allocated sockets that may be outside `inuse` and the orphans while every socket is in one namespace.

sockstat and sockstat6 are read one after the other.
"""


def tls_sockets(snapshot: Snapshot) -> TlsStat | None:
    """Number of sockets in the network namespace that use kernel TLS, by direction; None if unknown.

    A socket can use kernel TLS only with the module tls, and this module also creates /proc/net/tls_stat. So a running
    kernel without this file has no socket that uses kernel TLS. This conclusion does not hold for a saved tree or for a
    /proc without the folder `net`: in these two cases a file that the kernel has may be missing.
    """
    reading = snapshot.tls_stat
    if reading.state != "missing":
        return reading.value
    sysctls = snapshot.sysctls.value
    release = release_numbers(sysctls.kernel_release if sysctls else None)
    is_certain = snapshot.live and snapshot.sockstat.value is not None and release is not None and release >= FILE_SINCE
    return NONE if is_certain else None


def may_be_elsewhere(snapshot: Snapshot) -> bool:
    """Whether sockets of other network namespaces may have kernel TLS; /proc/net/tls_stat does not count such sockets.

    False if this namespace has all sockets of the machine, or if the kernel has no module tls.
    """
    if snapshot.tls_stat.state == "missing":
        return tls_sockets(snapshot) is None
    sockstat, sockstat6 = snapshot.sockstat.value, snapshot.sockstat6.value
    if sockstat is None or sockstat.allocated is None or sockstat.inuse is None or sockstat.orphans is None:
        return True
    here = sockstat.inuse + ((sockstat6.inuse if sockstat6 else None) or 0) + sockstat.orphans
    return sockstat.allocated - here > sockstat.allocated * DRIFT_SHARE
