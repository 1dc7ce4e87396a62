"""Sockets with kernel TLS, known from /proc/net/tls_stat or from the absence of this file."""

from __future__ import annotations

from tcptop.accounting.machine import release_of
from tcptop.kernel.release import Release
from tcptop.snapshot import Snapshot, TlsStat

FILE_SINCE: Release = (5, 5)
"""First kernel release whose module tls creates tls_stat in each network namespace (commit d26b698dd3cd)."""

NONE = TlsStat(0, 0, 0, 0)

DRIFT_SHARE = 0.001
"""Maximum number of sockets that are neither in `inuse` nor orphans, as a share of the machine's sockets.

Up to this share, all sockets are taken to be in one network namespace.

A small difference is allowed, because sockstat and sockstat6 are read one after the other.
"""


def tls_sockets(snapshot: Snapshot) -> TlsStat | None:
    """Number of sockets in the network namespace that use kernel TLS, by direction; None if unknown.

    A socket can use kernel TLS only with the module tls, which also creates /proc/net/tls_stat. A running kernel
    without /proc/net/tls_stat therefore has no socket that uses kernel TLS. In a saved tree, or in a /proc without the
    folder `net`, the absence of tls_stat proves nothing, because any file may be missing.
    """
    reading = snapshot.tls_stat
    if reading.state != "missing":
        return reading.value
    release = release_of(snapshot)
    is_certain = snapshot.live and snapshot.sockstat.value is not None and release is not None and release >= FILE_SINCE
    return NONE if is_certain else None


def may_be_elsewhere(snapshot: Snapshot) -> bool:
    """True if sockets of other network namespaces, which /proc/net/tls_stat does not count, may have kernel TLS.

    The result is False if this namespace has all sockets of the machine, or if the kernel has no module tls.
    """
    if snapshot.tls_stat.state == "missing":
        return tls_sockets(snapshot) is None
    sockstat, sockstat6 = snapshot.sockstat.value, snapshot.sockstat6.value
    if sockstat is None or sockstat.allocated is None or sockstat.inuse is None:
        return True
    # `inuse` has the orphans of the namespace, which stay hashed.
    here = sockstat.inuse + ((sockstat6.inuse if sockstat6 else None) or 0)
    return sockstat.allocated - here > sockstat.allocated * DRIFT_SHARE
