"""Requirements of a lab, checked before it opens any socket: root, file descriptors, local ports, memory."""

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
"""Least number of connections. With fewer, one slab more or less in a step would change the figures too much."""

MAX_CONNECTIONS = 24_000
"""Largest number of connections. Each client needs its own local port, and a new namespace has 28 000 local ports
(ip_local_port_range)."""

SPARE_DESCRIPTORS = 32
BYTES_PER_CONNECTION = 16_384
"""Memory for one connection: slabs of both ends and memory of the child process; twice the measured amount."""

KTLS_BYTES_PER_CONNECTION = 51_200
"""Memory for kernel TLS at both ends; twice the amount measured on 6.1 with the tables of the generic GHASH."""


def check_root() -> None:
    """Raises TcptopError if the user is not root."""
    if os.geteuid() != 0:
        raise TcptopError(f"lab needs root, for /proc/slabinfo and a network namespace of its own: {AS_ROOT} lab")


def is_tls_loaded(host: Host) -> bool:
    """Whether the kernel has its module tls loaded; only then is kTLS one of the states that a lab measures unasked.

    The kernel would load the module for the first socket that asks for kernel TLS, and keep it.
    """
    return run_sync(TlsStatSource().read(host)).state != "missing"


def choose_connections(requested: int | None, host: Host, states: Collection[str] = ()) -> int:
    """Connections of each run, a multiple of `STEPS`.

    Args:
        requested: the number that the user asked for. None for the default number, which is reduced if the limits
            demand it.
        host: this machine.
        states: the states to measure.

    Raises:
        TcptopError: if the number requested or the number allowed is below `MIN_CONNECTIONS`, or the limits allow fewer
            than requested.

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
    """File descriptors of the child process with this many connections, including the descriptors open at its start."""
    return 2 * (connections + WARM_UP) + LISTENERS + SPARE_DESCRIPTORS


def raise_descriptor_limit(connections: int) -> None:
    """Raises the hard limit on file descriptors to the number that the connections need; the child process inherits it.

    The limit of root's login is often only 1 024 or 4 096, too few descriptors for exact figures. In a container the
    kernel may refuse to raise the limit; then it is left unchanged.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < descriptors_for(connections):
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, descriptors_for(connections)))


def find_connection_limit(host: Host, states: Collection[str]) -> tuple[int, str]:
    """Largest number of connections that all limits allow, and a text that describes the tightest limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits = [(MAX_CONNECTIONS, "each needs a local port of its own")]
    if hard != resource.RLIM_INFINITY:
        to_begin_with = descriptors_for(0)
        because = f"two file descriptors each and {grouped(to_begin_with)} to begin with, of {grouped(hard)}"
        limits.append(((hard - to_begin_with) // 2, f"{because}; raise ulimit -Hn"))
    meminfo = run_sync(MeminfoSource().read(host)).value
    if meminfo is not None and meminfo.available_bytes is not None:
        # Leaves half of the available memory to the machine.
        per_connection = BYTES_PER_CONNECTION + (KTLS_BYTES_PER_CONNECTION if KTLS in states else 0)
        memory = meminfo.available_bytes // 2 // per_connection
        limits.append((memory, f"{size(meminfo.available_bytes)} of memory are available"))
    return min(limits)
