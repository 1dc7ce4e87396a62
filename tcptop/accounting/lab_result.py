"""What a saved result of the lab adds to the accounting: the parts that no file of the kernel tells."""

from __future__ import annotations

from tcptop.accounting.page_size import page_size_bytes
from tcptop.accounting.slab_caches import CacheTable, kmalloc_size_bytes
from tcptop.kernel.objects import SOCKET_WQ
from tcptop.kernel.release import release_numbers
from tcptop.ledger import CacheLine, LabUse
from tcptop.snapshot import LabMeasurement, MeasuredState, Snapshot

ACCEPTED = "established/accepted"

ONE_EACH = (0.8, 1.25)
"""So many objects per socket are one for each socket."""

LEAST_VECTOR_BYTES = 4.0
"""Per socket; less is noise of whole slabs."""


def lab_result_use(snapshot: Snapshot) -> LabUse | None:
    """Which lab result was given, and why it is not used where it is not; None where none was given."""
    measured = snapshot.lab_measurement
    if measured is None:
        return None
    return LabUse(measured.path, _why_not(snapshot, measured))


def measured_socket(snapshot: Snapshot) -> MeasuredState | None:
    """An accepted socket, as measured on this very kernel."""
    measured = snapshot.lab_measurement
    if measured is None or _why_not(snapshot, measured) is not None:
        return None
    return measured.states.get(ACCEPTED)


def measured_lsm_blob_cache(snapshot: Snapshot, table: CacheTable) -> CacheLine | None:
    """The smallest kmalloc cache in which each socket had one object that is of no known struct; None without one."""
    state = measured_socket(snapshot)
    if state is None:
        return None
    sysctls = snapshot.sysctls.value
    release = release_numbers(sysctls.kernel_release) if sysctls else None
    apart = release is not None and SOCKET_WQ.until is not None and release < SOCKET_WQ.until
    able: list[CacheLine] = []
    for row in state.rows:
        line, size = table.get(row.row), kmalloc_size_bytes(row.row)
        # A row that others are merged into, as file was on old kernels, has their objects.
        if line is None or size is None or line.objects_of:
            continue
        objects = row.objects - (1.0 if apart and size == SOCKET_WQ.kmalloc_bytes else 0.0)
        if ONE_EACH[0] <= objects <= ONE_EACH[1]:
            able.append(line)
    return min(able, key=lambda line: line.object_bytes or 0, default=None)


def measured_has_vectors(snapshot: Snapshot) -> bool | None:
    """Whether slabs carry vectors of memory cgroups; None without a measurement."""
    state = measured_socket(snapshot)
    return None if state is None else state.vector_bytes >= LEAST_VECTOR_BYTES


def _why_not(snapshot: Snapshot, measured: LabMeasurement) -> str | None:
    sysctls = snapshot.sysctls.value
    release = sysctls.kernel_release if sysctls else None
    build = sysctls.build_id if sysctls else None
    if release is None or measured.kernel_release != release:
        return f"it is of kernel {measured.kernel_release or '?'}"
    if build is not None and measured.build_id is not None and build != measured.build_id:
        return f"it is of another build of kernel {release}"
    page_bytes = page_size_bytes(snapshot)
    if page_bytes is not None and measured.page_size_bytes not in (None, page_bytes):
        return "it is of a kernel with another page size"
    if ACCEPTED not in measured.states:
        return "it has no accepted ESTABLISHED sockets: measure with --states established"
    return None
