"""Made-up lab results, shared by the tests of the lab."""

from __future__ import annotations

from tcptop.lab.result import LabPart, LabResult, StateResult
from tcptop.lab.runs import RUNS

SOCK = LabPart("TCP", ("TCP",), 1.0, 2520.0, 1.0, 1.0, 2520.0)
BUCKETS = LabPart("eventpoll_epi", ("tcp_bind_bucket", "tcp_bind2_bucket"), 0.25, 32.0, 0.999, 0.25, 32.0)
STRANGE = LabPart("kmalloc-64", ("kmalloc-64",), 1.0, 64.0, 0.999, None, None)
VECTORS = LabPart("obj_cgroup vectors", ("obj_cgroup vectors",), 0.2, 38.0, 0.98, None, None)
OBSERVER = LabPart("proc_inode_cache", ("proc_inode_cache",), 0.9, 850.0, 0.99, None, None)

TAKEN = 1_795_365_003.7


def state(
    *parts: LabPart,
    missing: tuple[str, ...] = (),
    ports: int = 0,
    vectors_counted: bool = False,
    other_sockets: int = 0,
    uncertain_bytes: float = 0.0,
) -> StateResult:
    """A state in which the catalogue predicts exactly the given parts, except those without a prediction."""
    known = sum(part.catalogue_bytes or 0.0 for part in parts)
    return StateResult(
        connections=8000,
        sockets=8000,
        parts=parts,
        vectors=VECTORS,
        catalogue_bytes=known,
        catalogue_missing=missing,
        catalogue_counts_vectors=vectors_counted,
        observer=OBSERVER,
        control_bytes=0.0,
        all_rows_bytes=sum(part.bytes for part in parts) + VECTORS.bytes,
        other_programs_bytes=-3.25,
        uncertain_bytes=uncertain_bytes,
        local_ports=ports,
        other_sockets=other_sockets,
    )


def result(kernel: str = "6.18.0", *parts: LabPart) -> LabResult:
    """A lab of every state, each with the given parts; `few_ports` always has SOCK and BUCKETS."""
    results = {run.key: state(*(parts or (SOCK,))) for run in RUNS}
    results["established/few_ports"] = state(SOCK, BUCKETS, ports=1000)
    return LabResult(kernel, "ab" * 20, TAKEN, 4096, False, 8000, 12.34, results)
