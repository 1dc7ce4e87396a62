"""Compares the time to parse each source with the kernel's time to produce its files: `benchmarks/parsing.py`.

The benchmark needs root. Each figure is the fastest of TIMES reads on this machine.
"""

from __future__ import annotations

import time

from tcptop.hosts.folder import FolderHost
from tcptop.hosts.run_sync import run_sync
from tcptop.sampling.source_list import kernel_sources

TIMES = 25


def main() -> None:
    """Reads every source and prints both times."""
    host = FolderHost("/")
    kernel_us, parsing_us = 0.0, 0.0
    print(f"{'':<20}{'KERNEL us':>10}{'PARSING us':>11}")
    # BTF is left out, because tcptop reads BTF at most once.
    for source in (each for each in kernel_sources() if each.name != "btf"):
        taken: list[tuple[float, float]] = []
        for _ in range(TIMES):
            began_ns = time.perf_counter_ns()
            read_us = run_sync(source.read(host)).read_us or 0
            taken.append(((time.perf_counter_ns() - began_ns) / 1000, read_us))
        whole_us, made_us = min(taken)
        kernel_us, parsing_us = kernel_us + made_us, parsing_us + whole_us - made_us
        print(f"{source.name:<20}{made_us:>10.0f}{whole_us - made_us:>11.0f}")
    print(f"{'all':<20}{kernel_us:>10.0f}{parsing_us:>11.0f}   parsing / kernel {parsing_us / kernel_us:.2f}")


if __name__ == "__main__":
    main()
