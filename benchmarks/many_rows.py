"""Measures keys on tables of many slab caches: `python benchmarks/many_rows.py [ROWS…]` (5000, 20000 and 120000).

Kernels before 5.9 have a slab cache for each memory cgroup. The benchmark makes trees with so many caches, and opens
the screen on each tree. The output is the median and the longest time from a key to the drawn screen, in milliseconds.
"""

from __future__ import annotations

import select
import shutil
import sys
import tempfile
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT / "tests"))

from session import Session  # noqa: E402

TREE = CHECKOUT / "tests/recordings/6.1-4n/established"
KEYS = {
    "arrow": ("\x1b[B",),
    "page": ("\x1b[6~",),
    "last, first": ("\x1b[F", "\x1b[H"),
    "sort": ("s",),
    "sort others": ("n", "o", "a"),
    "node": ("]",),
    "mode": ("m",),
    "TCP, all": ("r",),
}
PRESSES = 11


def make_tree(folder: Path, rows: int) -> None:
    """A saved tree with caches of memory cgroups, as slabinfo of kernels before 5.9 names them."""
    shutil.copytree(TREE, folder, symlinks=True)
    slabinfo = folder / "proc/slabinfo"
    head, titles, *lines = slabinfo.read_text().splitlines(keepends=True)
    for number in range(rows - len(lines)):
        slabs = 5 + number * 7919 % 250
        name = f"{('kmalloc-192', 'dentry', 'anon_vma')[number % 3]}({number}:user@{number % 1000}.service)"
        counts = f"{slabs * 21 - number % 21} {slabs * 21} 192 21 1"
        lines.insert(0, f"{name} {counts} : tunables 0 0 0 : slabdata {slabs} {slabs} 0\n")
    slabinfo.write_text("".join([head, titles, *lines]))


def print_times(folder: Path, rows: int) -> None:
    """Opens the screen on a tree in a pseudo-terminal; prints the time to the first output of a key, and CPU time."""
    started_s = time.perf_counter()
    session = Session([sys.executable, "-m", "tcptop", "--root", str(folder)], folder=CHECKOUT)
    session.until_shown("TCP caches")
    print(f"{rows} rows: opened in {time.perf_counter() - started_s:.1f} s")
    type_and_wait(session, "r")
    for name, keys in KEYS.items():
        times = [type_and_wait(session, keys[press % len(keys)]) for press in range(PRESSES)]
        for title, took_s in zip(("waited", "CPU"), map(sorted, zip(*times, strict=True)), strict=True):
            median_ms, longest_ms = took_s[PRESSES // 2] * 1000, took_s[-1] * 1000
            print(f"  {name:11} {title:6}: median {median_ms:.0f} ms, longest {longest_ms:.0f} ms")
    started_s = time.perf_counter()
    session.type("q")
    session.until_ended()
    print(f"  quit in {time.perf_counter() - started_s:.1f} s")
    session.end()


def type_and_wait(session: Session, key: str) -> tuple[float, float]:
    """Sends a key; returns the seconds until output begins, and the CPU time until output ends."""
    session.until_quiet()
    started_s, before_s = time.perf_counter(), cpu_s(session.process.pid)
    session.type(key)
    select.select([session.master], [], [], 60)
    took_s = time.perf_counter() - started_s
    session.until_quiet()
    return took_s, cpu_s(session.process.pid) - before_s


def cpu_s(pid: int) -> float:
    """CPU time of the main thread of a process, in seconds."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


if __name__ == "__main__":
    for count in map(int, sys.argv[1:] or ("5000", "20000", "120000")):
        with tempfile.TemporaryDirectory() as folder_name:
            make_tree(Path(folder_name) / "tree", count)
            print_times(Path(folder_name) / "tree", count)
