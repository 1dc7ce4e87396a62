"""Checks the requirements of a lab before the lab opens any socket: root, file descriptors, local ports, memory."""

from __future__ import annotations

import os
import resource
from collections.abc import Collection
from contextlib import suppress

from tcptop.errors import TcptopError
from tcptop.hosts.host import Host
from tcptop.hosts.run_sync import run_sync
from tcptop.lab.runs import KTLS, STEPS, WARM_UP
from tcptop.lab.socket_program import LISTENERS
from tcptop.sources.meminfo import MeminfoSource
from tcptop.sources.source import AS_ROOT
from tcptop.sources.tls_stat import TlsStatSource
from tcptop.text.units import grouped, size

DEFAULT_CONNECTIONS = 8_000
MIN_CONNECTIONS = 1_000
"""Minimum number of connections. With fewer connections, one additional slab in a step would distort the figures."""

MAX_CONNECTIONS = 24_000
"""Maximum number of connections. Each client needs its own local port, and a new namespace has 28 000 local ports
(ip_local_port_range)."""

SPARE_DESCRIPTORS = 32
BYTES_PER_CONNECTION = 16_384
"""Memory for the slabs of both ends of a connection, plus the connection's share of the child process's memory. The
value is twice the measured memory of a connection."""

KTLS_BYTES_PER_CONNECTION = 51_200
"""Memory for kernel TLS at both ends of a connection. The value is twice the amount measured on kernel 6.1. The
measured amount includes the tables of the generic GHASH implementation."""


def check_root() -> None:
    """Raises TcptopError if the user is not root."""
    if os.geteuid() != 0:
        raise TcptopError(f"lab needs root, for /proc/slabinfo and a network namespace of its own: {AS_ROOT} lab")


def is_tls_loaded(host: Host) -> bool:
    """True if the kernel has loaded the module `tls`.

    A lab measures kTLS only if the module is loaded or if the user asks for kTLS. If the module is not loaded, the
    first socket that asks for kernel TLS makes the kernel load the module, and the module then stays loaded.
    """
    return run_sync(TlsStatSource().read(host)).state != "missing"


def choose_connections(requested: int | None, host: Host, states: Collection[str] = ()) -> int:
    """The number of connections of each run, a multiple of `STEPS`.

    Args:
        requested: the number that the user asked for. None means the default number, or a lower
            number if the limits do not allow the default.
        host: this machine.
        states: the states to measure.

    Raises:
        TcptopError: if the requested number exceeds the number that the limits allow, or if either number is below
            `MIN_CONNECTIONS`.

    """
    raise_descriptor_limit(min(requested or DEFAULT_CONNECTIONS, MAX_CONNECTIONS))
    limit, because = find_connection_limit(host, states)
    if limit < MIN_CONNECTIONS:
        raise TcptopError(f"lab needs room for at least {grouped(MIN_CONNECTIONS)} connections: {because}")
    connections = min(DEFAULT_CONNECTIONS, limit) if requested is None else requested
    if connections < MIN_CONNECTIONS:
        raise TcptopError(
            f"--connections {connections}: at least {MIN_CONNECTIONS}; with fewer, single slabs distort the figures"
        )
    if connections > limit:
        raise TcptopError(f"--connections {connections}: at most {limit} here: {because}")
    return connections // STEPS * STEPS


def descriptors_for(connections: int) -> int:
    """Number of file descriptors that the child process needs for `connections` connections and other files."""
    return 2 * (connections + WARM_UP) + LISTENERS + SPARE_DESCRIPTORS


def raise_descriptor_limit(connections: int) -> None:
    """Raises the hard limit on file descriptors to the number that the connections need.

    The child process inherits the limit. After a login as root, the limit is often only 1 024 or 4 096, which is too
    low for exact figures. In a container the kernel may refuse to raise the limit; the limit then stays unchanged.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < descriptors_for(connections):
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, descriptors_for(connections)))


def find_connection_limit(host: Host, states: Collection[str]) -> tuple[int, str]:
    """The maximum number of connections under all limits, and a text that describes the tightest limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits = [(MAX_CONNECTIONS, "each needs a local port of its own")]
    if hard != resource.RLIM_INFINITY:
        to_begin_with = descriptors_for(0)
        because = f"two file descriptors each and {grouped(to_begin_with)} to begin with, of {grouped(hard)}"
        limits.append(((hard - to_begin_with) // 2, f"{because}; raise ulimit -Hn"))
    meminfo = run_sync(MeminfoSource().read(host)).value
    if meminfo is not None and meminfo.available_bytes is not None:
        # The lab may use half of the available memory; the machine's other programs keep the other half.
        per_connection = BYTES_PER_CONNECTION + (KTLS_BYTES_PER_CONNECTION if KTLS in states else 0)
        memory = meminfo.available_bytes // 2 // per_connection
        limits.append((memory, f"{size(meminfo.available_bytes)} of memory are available"))
    return min(limits)
