"""What a lab needs, checked before it opens anything: root, descriptors, ports, memory."""

from __future__ import annotations

import os
import resource
from contextlib import suppress

from tcptop.errors import TcptopError
from tcptop.hosts.host import Host
from tcptop.hosts.run_sync import run_sync
from tcptop.lab.runs import STEPS, WARM_UP
from tcptop.lab.socket_program import LISTENERS
from tcptop.sources.meminfo import MeminfoSource
from tcptop.sources.source import AS_ROOT
from tcptop.text.units import grouped, size

DEFAULT_CONNECTIONS = 8_000
MIN_CONNECTIONS = 1_000
"""With fewer, the grain of whole slabs is more than the figures may be off by."""

MAX_CONNECTIONS = 24_000
"""Each client has a local port of its own, of the 28 000 that a namespace starts with."""

SPARE_DESCRIPTORS = 32
BYTES_PER_CONNECTION = 16_384
"""Both ends with their slabs and the process's own; twice what was seen."""


def check_root() -> None:
    """Raises TcptopError where the user is not root."""
    if os.geteuid() != 0:
        raise TcptopError(f"lab needs root, for /proc/slabinfo and a network namespace of its own: {AS_ROOT} lab")


def choose_connections(requested: int | None, host: Host) -> int:
    """How many connections the lab makes, a multiple of its steps.

    Without a wish, as many as the limits allow up to the default.

    Raises:
        TcptopError: in one line, where a wish is more than the limits allow, or they allow too few.

    """
    raise_descriptor_limit(min(requested or DEFAULT_CONNECTIONS, MAX_CONNECTIONS))
    most, because = find_connection_limit(host)
    if most < MIN_CONNECTIONS:
        raise TcptopError(f"lab needs room for at least {grouped(MIN_CONNECTIONS)} connections: {because}")
    wanted = min(DEFAULT_CONNECTIONS, most) if requested is None else requested
    if wanted < MIN_CONNECTIONS:
        raise TcptopError(f"--connections {wanted}: at least {MIN_CONNECTIONS}, or whole slabs are all that one sees")
    if wanted > most:
        raise TcptopError(f"--connections {wanted}: at most {most} here: {because}")
    return wanted // STEPS * STEPS


def descriptors_for(connections: int) -> int:
    """How many descriptors so many connections take, with those that are there to begin with."""
    return 2 * (connections + WARM_UP) + LISTENERS + SPARE_DESCRIPTORS


def raise_descriptor_limit(connections: int) -> None:
    """Gives this process, and so the one that holds the sockets, what they need; root may, unless a container forbids.

    A login often gives root 1 024 or 4 096: with so few connections a figure shows the grain of whole slabs.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < descriptors_for(connections):
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, descriptors_for(connections)))


def find_connection_limit(host: Host) -> tuple[int, str]:
    """How many connections the tightest limit allows, and which that is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits = [(MAX_CONNECTIONS, "each needs a local port of its own")]
    if hard != resource.RLIM_INFINITY:
        to_begin_with = descriptors_for(0)
        because = f"two file descriptors each and {grouped(to_begin_with)} to begin with, of {grouped(hard)}"
        limits.append(((hard - to_begin_with) // 2, f"{because}; raise ulimit -Hn"))
    meminfo = run_sync(MeminfoSource().read(host)).value
    if meminfo is not None and meminfo.available_bytes is not None:
        # Half of what is available stays with the machine.
        memory = meminfo.available_bytes // 2 // BYTES_PER_CONNECTION
        limits.append((memory, f"{size(meminfo.available_bytes)} of memory are available"))
    return min(limits)
