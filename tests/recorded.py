"""The recordings for tests: read by tcptop, and read as plain text to compare tcptop's figures with."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache, update_wrapper
from pathlib import Path

import pytest

from tcptop.accounting import account
from tcptop.hosts.folder import FolderHost
from tcptop.hosts.host import FileRead, FolderRead, Host, Identity
from tcptop.ledger import Ledger
from tcptop.sampling.sampler import Sampler, read_due
from tcptop.sampling.source_list import kernel_sources
from tcptop.snapshot import Snapshot

FOLDER = Path(__file__).resolve().parent / "recordings"

DISTANCES_TREE = FOLDER.parent / "faults/recordings/6.1-4n-distances/established"
"""A guest with different distances, a node without memory, a node without CPUs, and a CPU that is offline."""

FOUR_PHASES = ("base", "established", "halfclosed", "timewait")

RECORDINGS: Mapping[str, tuple[str, ...]] = {
    "5.10-4n": FOUR_PHASES,
    "6.1-1n": FOUR_PHASES,
    "6.1-4n": ("base", "unaccepted", "established", "halfclosed", "timewait"),
    "6.1-4n-ipv6": FOUR_PHASES,
    "6.1-4n-memoryless": FOUR_PHASES,
    "6.1-4n-nomerge": FOUR_PHASES,
    "6.1-4n-slubdebug": FOUR_PHASES,
    "6.1-8n": FOUR_PHASES,
    "6.1-rt-4n": FOUR_PHASES,
    "6.12-4n": FOUR_PHASES,
    "6.12-arm64-16k-4n": FOUR_PHASES,
    "6.18-1n": ("base", "established"),
    "7.3-4n": FOUR_PHASES,
}

PAGE_BYTES = {kernel: 16384 if "16k" in kernel else 4096 for kernel in RECORDINGS}
CPUS = {kernel: {"6.1-1n": 4, "6.18-1n": 2}.get(kernel, 8) for kernel in RECORDINGS}

ALL = [(kernel, phase) for kernel, phases in RECORDINGS.items() for phase in phases]

each_kernel = pytest.mark.parametrize("kernel", RECORDINGS)


def each_recording(test: Callable[[str, str], None]) -> Callable[[str], None]:
    """Runs a test on every recording, as one test per kernel, because pytest takes longer for a test than the test
    itself.
    """

    def run_phases(kernel: str) -> None:
        for phase in RECORDINGS[kernel]:
            test(kernel, phase)

    update_wrapper(run_phases, test)
    del run_phases.__wrapped__  # type: ignore[attr-defined] # pytest would ask for the parameters of the test itself
    return each_kernel(run_phases)


def tree(kernel: str, phase: str) -> Path:
    """The folder of a recording, with `proc` and `sys` in it."""
    return FOLDER / kernel / phase


def text(kernel: str, phase: str, path: str) -> str:
    """The text of a file of a recording."""
    return (tree(kernel, phase) / path).read_text()


def snapshot_of(root: Path) -> Snapshot:
    """The Snapshot of a saved tree, taken as a report does."""
    host = FolderHost(str(root))
    try:
        return take_snapshot(host)
    finally:
        host.close()


def ledger_of(root: Path) -> Ledger:
    """The Ledger of a saved tree."""
    return account(snapshot_of(root))


def take_snapshot(host: Host) -> Snapshot:
    """The Snapshot of a host, taken as a report does."""
    sampler = Sampler(host, kernel_sources(), monotonic=lambda: 0.0)
    read_due(sampler)
    return sampler.snapshot()


@cache
def snapshot(kernel: str, phase: str) -> Snapshot:
    """The Snapshot of a recording; computed once."""
    return snapshot_of(tree(kernel, phase))


@cache
def ledger(kernel: str, phase: str) -> Ledger:
    """The Ledger of a recording; computed once."""
    return account(snapshot(kernel, phase))


def copy_recording(kernel: str, phase: str, destination: Path) -> Path:
    """Copy a recording, so that a test may change it; returns the folder of the copy."""
    return Path(shutil.copytree(tree(kernel, phase), destination / f"{kernel}-{phase}", symlinks=True))


def set_row(root: Path, name: str, active: int) -> None:
    """Gives a cache this many active objects, in full slabs; adds a row of conntrack if there is none."""
    path = root / "proc/slabinfo"
    lines = path.read_text().splitlines()
    rows = slab_rows(path.read_text())
    row = rows.get(name)
    size, per_slab, pages = (row.size, row.per_slab, row.pages) if row else (256, 16, 1)
    slabs = -(-active // per_slab)
    line = f"{name} {active} {slabs * per_slab} {size} {per_slab} {pages}"
    line += f" : tunables 0 0 0 : slabdata {slabs} {slabs} 0"
    lines = [each for each in lines if not each.startswith(f"{name} ")] + [line]
    path.write_text("\n".join(lines) + "\n")
    for attribute, number in (("slabs", slabs), ("total_objects", slabs * per_slab)):
        if (file := root / "sys/kernel/slab" / name / attribute).exists():
            file.write_text(f"{number} N0={number}\n")


def with_mptcp(tmp_path: Path, active: int) -> Path:
    """A machine with 500 slabs of MPTCP socks, 8 pages each, on node 1; `active` of the 8 000 objects are active."""
    root = copy_recording("6.1-4n", "established", tmp_path)
    slabinfo = root / "proc/slabinfo"
    row = r"(?m)^(MPTCP +)\d+ +\d+( +\d+ +\d+ +8 : .*slabdata +)\d+ +\d+"
    text, number = re.subn(row, rf"\g<1>{active} 8000\g<2>500 500", slabinfo.read_text())
    assert number == 1
    slabinfo.write_text(text)
    for file, count in (("slabs", 500), ("total_objects", 8000)):
        (root / "sys/kernel/slab/MPTCP" / file).write_text(f"{count} N1={count}\n")
    meminfo = root / "proc/meminfo"
    more = meminfo.read_text()
    for name in ("Slab", "SUnreclaim"):
        more = re.sub(rf"(?m)^({name}: +)(\d+)", lambda found: f"{found[1]}{int(found[2]) + 500 * 8 * 4}", more)
    meminfo.write_text(more)
    return root


def write_tree(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files below a folder and return the folder; `proc` is always created."""
    (root / "proc").mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


OLD_RELEASE = "5.19.0"


def without_reserves(root: Path) -> Path:
    """A tree of a kernel whose CPUs have no reserves of buffers, so that the counter of buffers has no error."""
    (root / "proc/sys/net/core/mem_pcpu_rsv").unlink()
    return write_tree(root, release_files(OLD_RELEASE))


def release_files(release: str) -> dict[str, str]:
    """The two files that name the kernel's release, for `write_tree`; the release may be empty."""
    return {
        "proc/sys/kernel/osrelease": f"{release}\n",
        "proc/version": f"Linux version {release} (builder@host) (gcc) #1 SMP\n" if release else "",
    }


def write_buffers(root: Path, pages: int) -> Path:
    """Writes the pages of TCP's buffers into sockstat and into /proc/net/protocols, which show the same counter."""
    for path, pattern in (
        ("proc/net/sockstat", r"^(TCP: .* mem )\d+"),
        ("proc/net/protocols", r"^((?:MP)?TCP(?:v6)? +\d+ +\d+ +)\d+"),
    ):
        text, found = re.subn(pattern, rf"\g<1>{pages}", (root / path).read_text(), flags=re.MULTILINE)
        assert found, path
        (root / path).write_text(text)
    return root


def without_security_caches(root: Path, *names: str) -> None:
    """Removes caches of security modules from a tree, as on a kernel whose active modules need none."""
    slabinfo = root / "proc/slabinfo"
    rows = slabinfo.read_text().splitlines(keepends=True)
    slabinfo.write_text("".join(row for row in rows if row.split()[0] not in names))
    for name in names:
        folder = root / "sys/kernel/slab" / name
        if folder.is_symlink():
            folder.unlink()
        else:
            shutil.rmtree(folder, ignore_errors=True)


def link_caches(root: Path, folders: Mapping[str, Sequence[str]]) -> None:
    """Create /sys/kernel/slab as SLUB does: a folder for each cache or group, and links to the groups."""
    slab = root / "sys/kernel/slab"
    for folder, names in folders.items():
        (slab / folder).mkdir(parents=True, exist_ok=True)
        for name in names:
            (slab / name).symlink_to(folder)


def cuts(whole: str, step: int = 1) -> Iterator[tuple[int, str]]:
    """Prefixes of a file that end at every step-th byte, at every end of a line, and one byte before every end of a
    line.
    """
    ends = {end + more for end, character in enumerate(whole) if character == "\n" for more in (0, 1)}
    for end in sorted({*range(0, len(whole), step), *ends} - {len(whole)}):
        yield end, whole[:end]


@dataclass(frozen=True)
class Row:
    """A line of slabinfo, parsed independently of tcptop."""

    active: int
    objects: int
    size: int
    per_slab: int
    pages: int
    slabs: int

    def share(self, page_bytes: int) -> float:
        """An object's share of a full slab."""
        return page_bytes * self.pages / self.per_slab


def slab_rows(slabinfo: str) -> dict[str, Row]:
    """Every row of a slabinfo 2.1, by name; names must be unique and without spaces."""
    return dict(parsed_rows(slabinfo))


@lru_cache(maxsize=64)
def parsed_rows(slabinfo: str) -> Mapping[str, Row]:
    """The rows for `slab_rows`, parsed once for each text."""
    found: dict[str, Row] = {}
    for line in slabinfo.splitlines()[2:]:
        match = re.fullmatch(
            r"(\S+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) : tunables +0 +0 +0 : slabdata +\d+ +(\d+) +0", line
        )
        assert match, line
        assert match[1] not in found, line
        found[match[1]] = Row(*(int(number) for number in match.groups()[1:]))
    return found


def row_of(kernel: str, phase: str, cache: str) -> str | None:
    """The slabinfo row that counts a cache, found through the links; None if the kernel has no such cache."""
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    if cache in rows:
        return cache
    slab = tree(kernel, phase) / "sys/kernel/slab"
    if not (slab / cache).is_symlink():
        return None
    group = (slab / cache).readlink()
    names = [path.name for path in slab.iterdir() if path.is_symlink() and path.readlink() == group]
    [row] = [name for name in names if name in rows]
    return row


def counters(kernel: str, phase: str) -> dict[str, int]:
    """The socket counters on the TCP line of sockstat."""
    [line] = [line for line in text(kernel, phase, "proc/net/sockstat").splitlines() if line.startswith("TCP:")]
    words = line.split()[1:]
    return {words[k]: int(words[k + 1]) for k in range(0, len(words), 2)}


SAVED = Identity(live=False, page_size_bytes=None, place=None, net_namespace=None, proc_folder=None)


@dataclass
class MemoryHost:
    """A host with the given files: their bytes, or the error that reading them raises."""

    files: Mapping[str, bytes | OSError] = field(default_factory=dict)
    folders: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)
    identity: Identity = SAVED

    async def read(self, paths: Sequence[str]) -> list[FileRead]:
        """Reads the given files; any other file is missing."""
        found = [(path, self.files.get(path, FileNotFoundError(2, "No such file or directory"))) for path in paths]
        return [
            FileRead(path, None, data, 1) if isinstance(data, OSError) else FileRead(path, data, None, 1)
            for path, data in found
        ]

    async def list_folder(self, path: str) -> FolderRead:
        """Lists the given folders; any other folder is missing."""
        if path in self.folders:
            return FolderRead(path, self.folders[path], None, 1)
        return FolderRead(path, None, FileNotFoundError(2, "No such file or directory"), 1)

    def close(self) -> None:
        """Does nothing."""
