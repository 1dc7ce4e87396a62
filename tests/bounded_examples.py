"""Bounds on each example of a property test: untrusted input may take 10 s of CPU time and 300 MB."""

from __future__ import annotations

import functools
import gc
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CPU_S = 10.0
MEMORY_BYTES = 300 << 20


class TooSlowError(AssertionError):
    """Error raised when an example took too much CPU time."""


def bounded_example(test: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps a test function, so that every call ends with an error after `CPU_S` of CPU time."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 (any test function)
        # Compressors of megabytes are in reference cycles, which have too few objects to start a garbage collection.
        limit = resource.getrlimit(resource.RLIMIT_DATA)[0]
        if limit != resource.RLIM_INFINITY and limit - _data_bytes() < MEMORY_BYTES * 2 // 3:
            gc.collect()
        signal.setitimer(signal.ITIMER_PROF, CPU_S)
        try:
            return test(*arguments, **named)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)

    return run


@contextmanager
def limits() -> Iterator[None]:
    """Limits this process to `MEMORY_BYTES` more than its present memory, and raises an error when the CPU time is used
    up.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach only the main thread
        return
    before = resource.getrlimit(resource.RLIMIT_DATA)
    handler = signal.signal(signal.SIGPROF, _raise_too_slow)
    resource.setrlimit(resource.RLIMIT_DATA, (_data_bytes() + MEMORY_BYTES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)
        signal.signal(signal.SIGPROF, handler)


def _raise_too_slow(_number: int, _frame: object) -> None:
    raise TooSlowError(f"an example took {CPU_S:.0f} s of CPU time")


def _data_bytes() -> int:
    """The size of this process's data segment and private mappings, as RLIMIT_DATA counts it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) << 10
    return 0
