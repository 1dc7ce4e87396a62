"""Facts about a kernel from a saved result of `tcptop lab`; no file of the host has these facts."""

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

from tcptop.accounting.cache_table import CacheTable
from tcptop.accounting.kmalloc_names import kmalloc_size_bytes
from tcptop.accounting.page_size import page_size_bytes
from tcptop.accounting.socket_wq import has_socket_wq, socket_wq_bytes
from tcptop.ledger import CacheLine, LabUse
from tcptop.snapshot import LabMeasurement, MeasuredState, Snapshot
from tcptop.text import units

ACCEPTED = "established/accepted"

ONE_EACH = (0.8, 1.25)
"""If the measured number of objects per socket is within this range, the socket has exactly one object."""

MIN_VECTOR_BYTES = 4.0
"""If the lab measured at least this many bytes of memory cgroup vectors per socket, the kernel has such vectors.

Fewer bytes may be a measurement error, because the lab counts whole slabs.
"""


KTLS_STEPS = ("established/pair", "ktls/context", "ktls/tx", "ktls/pair")
"""Runs of the lab that measure kernel TLS. Each run sets up one more part of kernel TLS than the run before it."""


class KtlsBytes(NamedTuple):
    """Slab bytes that kernel TLS adds to a socket, with AES-128-GCM and without records in flight.

    Every socket with kernel TLS takes `context_bytes`. A socket that sends with kernel TLS takes `tx_bytes` more, and a
    socket that receives with kernel TLS takes `rx_bytes` more.
    """

    context_bytes: float
    tx_bytes: float
    rx_bytes: float


def lab_result_use(snapshot: Snapshot, table: CacheTable) -> LabUse | None:
    """The user's lab result; None if the user gave no lab result.

    `unused_because` is the reason why accounting does not use the lab result; None if accounting uses it.
    """
    measurement = snapshot.lab_measurement
    if measurement is None:
        return None
    return LabUse(measurement.path, _unused_because(snapshot, table, measurement))


def measured_socket(snapshot: Snapshot, table: CacheTable) -> MeasuredState | None:
    """The lab's measurement of an accepted ESTABLISHED socket; None without a lab result that is used."""
    measurement = snapshot.lab_measurement
    if measurement is None or _unused_because(snapshot, table, measurement) is not None:
        return None
    return measurement.states.get(ACCEPTED)


def measured_ktls(snapshot: Snapshot, table: CacheTable) -> KtlsBytes | None:
    """Bytes of kernel TLS per socket; None if no lab result that is used has these bytes, or a run is in doubt."""
    measurement = snapshot.lab_measurement
    if measurement is None or _unused_because(snapshot, table, measurement) is not None or ktls_doubt(measurement):
        return None
    return ktls_bytes(
        {key: sum(row.bytes for row in state.rows) + state.vector_bytes for key, state in measurement.states.items()}
    )


def ktls_doubt(measurement: LabMeasurement) -> str | None:
    """The lab's doubt about a run that gives the bytes of kernel TLS; None if no such run is in doubt.

    None also if the lab did not measure all of these runs.
    """
    if not measurement.states.keys() >= set(KTLS_STEPS):
        return None
    return next((doubt for key in KTLS_STEPS if (doubt := measurement.states[key].doubt) is not None), None)


def ktls_bytes(pair_bytes: Mapping[str, float]) -> KtlsBytes | None:
    """Bytes of kernel TLS per socket, computed from the bytes of a connection in each run.

    `pair_bytes` has the bytes of both ends of the connection, including memory cgroup vectors. The bytes are None if a
    run of `KTLS_STEPS` is missing. On every kernel, each part of kernel TLS takes some bytes. If a run does not take
    more bytes than the previous run, the measurement is therefore wrong, and the bytes are None.
    """
    if not pair_bytes.keys() >= set(KTLS_STEPS):
        return None
    amounts = [pair_bytes[key] for key in KTLS_STEPS]
    steps = [(after - before) / 2 for before, after in pairwise(amounts)]
    return KtlsBytes(*steps) if min(steps) > 0 else None


def measured_lsm_blob_cache(snapshot: Snapshot, table: CacheTable) -> CacheLine | None:
    """The kmalloc cache of the LSM socket blob, as measured by the lab; None if no cache fits.

    A cache fits if the lab measured one object per socket in the cache, and the catalogue has no struct for this
    object. If several caches fit, the cache with the smallest objects is returned.
    """
    state = measured_socket(snapshot, table)
    candidates = _lsm_blob_candidates(snapshot, table, state) if state is not None else []
    return min(candidates, key=lambda line: line.object_bytes or 0, default=None)


def _lsm_blob_candidates(snapshot: Snapshot, table: CacheTable, state: MeasuredState) -> list[CacheLine]:
    """The kmalloc caches in which the lab measured one object per socket that is of no struct of the catalogue."""
    separate, _ = has_socket_wq(snapshot, table)
    wq_cache = table.kmalloc_cache(socket_wq_bytes(snapshot, table)[0]) if separate else None
    candidates: list[CacheLine] = []
    for row in state.rows:
        line, size = table.get(row.row), kmalloc_size_bytes(row.row)
        # The row of a kmalloc cache also counts the objects of a cache that is merged with it (`filp` on old kernels).
        if line is None or size is None or line.objects_of:
            continue
        objects = row.objects - (1.0 if wq_cache is not None and line.name == wq_cache.name else 0.0)
        if ONE_EACH[0] <= objects <= ONE_EACH[1]:
            candidates.append(line)
    return candidates


def measured_has_vectors(snapshot: Snapshot, table: CacheTable) -> bool | None:
    """True if the lab measured memory cgroup vectors; None without a lab result that is used."""
    state = measured_socket(snapshot, table)
    return None if state is None else state.vector_bytes >= MIN_VECTOR_BYTES


def _unused_because(snapshot: Snapshot, table: CacheTable, measurement: LabMeasurement) -> str | None:
    sysctls = snapshot.sysctls.value
    release = sysctls.kernel_release if sysctls else None
    build = sysctls.build_id if sysctls else None
    if release is None or measurement.kernel_release != release:
        return f"it is of kernel {measurement.kernel_release or '?'}"
    if build is not None and measurement.build_id is not None and build != measurement.build_id:
        return f"it is of another build of kernel {release}"
    page_bytes = page_size_bytes(snapshot)
    if page_bytes is not None and measurement.page_size_bytes not in (None, page_bytes):
        return "it is of a kernel with another page size"
    state = measurement.states.get(ACCEPTED)
    if state is None:
        return "it has no ESTABLISHED sockets of the server side: measure with --states established"
    if state.doubt is not None:
        return f"its own check failed ({state.doubt}): measure again"
    return _contradiction(snapshot, table, state)


def _contradiction(snapshot: Snapshot, table: CacheTable, state: MeasuredState) -> str | None:
    """The contradiction between slabinfo and the measured LSM socket blob; None if there is none.

    Every TCP socket has a blob (net/core/sock.c, sk_prot_alloc), so its cache has at least as many objects in use.
    """
    sockets = table.matching_sockstat.allocated if table.matching_sockstat else None
    for line in _lsm_blob_candidates(snapshot, table, state):
        in_use = table.kmalloc_max_in_use(line)
        if sockets is not None and in_use is not None and in_use < sockets:
            return (
                f"it has an object in {line.name} for each socket, but slabinfo has {units.counted(in_use, 'object')}"
                f" there for {units.counted(sockets, 'socket')}"
            )
    return None
