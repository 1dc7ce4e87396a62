"""Coverage-guided fuzzing of the parsers of untrusted input: `fuzz/fuzz.py TARGET [-max_total_time=60]`.

The fuzzer is atheris, which is no dependency of tcptop. The following commands install atheris, and run a target. A run
of more than 10 s or 300 MB is a fault::

    python3.12 -m venv .fuzz && .fuzz/bin/pip install atheris -e .
    .fuzz/bin/python fuzz/fuzz.py tar -max_total_time=60

Options after the target's name are libFuzzer's. A fault is written to a file `crash-…`, `timeout-…` or `oom-…`.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import struct
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

LIMITS = ("-timeout=10", "-rss_limit_mb=600", "-max_len=16384", "-print_final_stats=1")
"""The memory limit includes the coverage counters and the corpus of the fuzzer."""

MODULES = (
    "tcptop.hosts.decompress",
    "tcptop.hosts.tar_members",
    "tcptop.hosts.archive",
    "tcptop.hosts.sosreport",
    "tcptop.sampling.sampler",
    "tcptop.sources.btf",
    "tcptop.sources.kernel_notes",
    "tcptop.sources.smbios",
    "tcptop.recording.blocks",
    "tcptop.recording.document",
    "tcptop.lab.result_file",
    "tcptop.sock_diag.look",
    "tcptop.sock_diag.socket_rows",
    "tcptop.sources.socket_table",
    "tcptop.sources.socket_rows",
    "tcptop.accounting",
    "tcptop.accounting.holders",
    "tcptop.report.as_json",
)
"""Modules that the fuzzer traces; a module is instrumented while it is imported."""


def parse_files(data: bytes) -> None:
    """A tree whose files are pieces of the data: the sources parse the files, and a report is computed."""
    from tcptop.accounting import account
    from tcptop.hosts.archive import ArchiveHost
    from tcptop.hosts.host import Identity
    from tcptop.hosts.memory_tree import MemoryTree
    from tcptop.report.as_json import as_json
    from tcptop.sampling.sampler import Sampler, read_due
    from tcptop.sampling.source_list import kernel_sources

    sources = kernel_sources()
    paths = sorted({path for source in sources for path in source.paths if "*" not in path and path[-1] != "/"})
    tree = MemoryTree()
    for part in data.split(b"\0\0"):
        if part:
            tree.add_file(paths[part[0] % len(paths)], part[1:])
    host = ArchiveHost.__new__(ArchiveHost)
    host._tree = tree
    host.identity = Identity(live=False, place="/fuzz")
    sampler = Sampler(host, sources, monotonic=lambda: 0.0)
    read_due(sampler)
    json.loads(as_json(account(sampler.snapshot())))


def read_tar(data: bytes) -> None:
    """An archive, plain or compressed; each error is one of the two that the program expects."""
    blocks = [data[at : at + 512].ljust(512, b"\0") for at in range(0, len(data), 512)]
    for index, block in enumerate(blocks):
        if block[0] & 1:  # a header with a valid checksum, so that mutations reach the data behind the header
            total = sum(block[:148]) + 8 * 32 + sum(block[156:])
            blocks[index] = block[:148] + b"%06o\0 " % total + block[156:]
    for packed in (data, b"".join(blocks)):
        _read_members(packed)


def _read_members(data: bytes) -> None:
    from tcptop.hosts.decompress import CutArchiveError, DamagedArchiveError, UnpackedStream
    from tcptop.hosts.tar_members import TarMembers

    with suppress(CutArchiveError, DamagedArchiveError):
        members = TarMembers(UnpackedStream(io.BytesIO(data), len(data)))
        for member in members:
            if member.kind == "file" and member.size_bytes < 1 << 20:
                members.data()


def parse_btf(data: bytes) -> None:
    """BTF with a valid header, so that mutations reach the types."""
    from tcptop.sources.btf import parse

    parse(data, ("sock", "a", "b"))
    half = len(data) // 8 * 4
    header = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, half, half, len(data) - half + 6)
    parse(header + data[:half] + b"\0sock\0" + data[half:], ("sock", "a", "b"))


def parse_smbios(data: bytes) -> None:
    """An entry point, and a table behind a valid entry point.

    Without its private strings, the table must give the same figures.
    """
    from tcptop.sources.smbios import EntryPoint, blank_private, parse_entry_point, parse_table

    with suppress(ValueError):
        parse_entry_point(data)
    for entry in (EntryPoint("3.6", 1 << 20, None), EntryPoint("2.8", 300, 5)):
        if parse_table(entry, data) != parse_table(entry, blank_private(data)):
            raise AssertionError("a recording differs")


def read_recording(data: bytes) -> None:
    """A record of a recording with valid checksums, so that mutations reach zstd and the document."""
    from tcptop.recording.blocks import BlockReader, unpack_content
    from tcptop.recording.checksum import DamagedError, add_checksum
    from tcptop.recording.document import DecodedDocument, DocumentParser

    def no_content(_: str) -> bytes:
        raise ValueError("no content")

    readers: tuple[Callable[[], bytes], ...] = (
        lambda: BlockReader(lambda number: add_checksum(b"\0" + data, number)).unpack(0),
        lambda: unpack_content(add_checksum(data, 0)),
        lambda: data,
    )
    for unpack in readers:
        try:
            document = DecodedDocument(unpack(), no_content)
        except (DamagedError, ValueError):
            continue
        DocumentParser().parse(document.json, document.get_file)


def read_lab_result(data: bytes) -> None:
    """A lab result, read from a file as the program does."""
    from tcptop.errors import TcptopError
    from tcptop.lab import result_file

    path = Path(tempfile.gettempdir()) / f"tcptop-fuzz-{os.getpid()}"
    path.write_bytes(data)
    with suppress(TcptopError):
        result_file.load_measurement(str(path))


def fold_dump(data: bytes) -> None:
    """A datagram of a dump: unchanged, and as the attributes of rows whose fixed part is valid."""
    from tcptop.sock_diag.dump import rows_end
    from tcptop.sock_diag.fold import Fold
    from tcptop.sock_diag.listeners import listener_rows
    from tcptop.sock_diag.socket_rows import row_lines

    attributes = data[: len(data) & ~3]
    row = struct.pack("=IHHII", 88 + len(attributes), 18, 2, 1, 0) + data[:72].ljust(72, b"\0") + attributes
    for datagram in (data, row, row + row, row + data):
        view = memoryview(datagram)
        for rows in (view, view[: rows_end(view)]):
            fold = Fold({1: 2}, (8080,), range(32768, 61000), with_peers=True)
            fold.add(rows)
            if sum(group.sockets for group in fold.groups()) > len(datagram) // 88:
                raise AssertionError("more sockets than rows")
            list(listener_rows(rows))
            list(row_lines(rows))


def parse_sockets(data: bytes) -> None:
    """The text of a reading of all sockets, and the text of single sockets; a report is computed from the text."""
    from tcptop.accounting import account
    from tcptop.hosts.archive import ArchiveHost
    from tcptop.hosts.host import Identity
    from tcptop.hosts.memory_tree import MemoryTree
    from tcptop.report.as_json import as_json
    from tcptop.sampling.sampler import Sampler, read_due
    from tcptop.sock_diag import FIRST_LINE, SOCKETS_PATH
    from tcptop.sources.socket_table import SocketTableSource

    for text in (data, f"{FIRST_LINE}\n".encode() + data):
        tree = MemoryTree()
        tree.add_file(SOCKETS_PATH, text)
        host = ArchiveHost.__new__(ArchiveHost)
        host._tree = tree
        host.identity = Identity(live=False, place="/fuzz")
        sampler = Sampler(host, [], monotonic=lambda: 0.0)
        sampler.add_source(SocketTableSource())
        read_due(sampler)
        json.loads(as_json(account(sampler.snapshot())))


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "files": parse_files,
    "tar": read_tar,
    "btf": parse_btf,
    "smbios": parse_smbios,
    "recording": read_recording,
    "lab": read_lab_result,
    "dump": fold_dump,
    "sockets": parse_sockets,
}

SEEDS: Mapping[str, bytes] = {
    "recording": b'{"taken_at_unix_s":1.5,"monotonic_s":2.5,"live":true,"page_size_bytes":4096,"sources":{"sockstat":'
    b'{"state":null,"taken_at_s":2.5,"read_us":7,"answers":[{"path":"proc/net/sockstat","bytes":26}],"before":null},'
    b'"slab_links":{"answers":[{"path":"sys/kernel/slab","entries":{"TCP":null,"a":"TCP"}}]},"snmp":{"answers":'
    b'[{"path":"proc/net/snmp","error":[2,"No such file"]}]}}}\nTCP: inuse 1 tw 2 alloc 3\n',
    "lab": b'{"schema":1,"page_size":4096,"family":"ipv4","kernel":"6.1.0","build_id":"0123456789abcdef","states":'
    b'{"established":{"parts":[{"row":"TCP","objects":1,"bytes":2048.5,"catalogue_objects":1}],"vectors":{"bytes":8}}}}',
    "dump": struct.pack("=IHHII", 140, 18, 2, 1, 0)
    + struct.pack("=BBBB", 2, 1, 0, 0)
    + struct.pack(">HH", 8080, 40000)
    + bytes(64)
    + struct.pack("=HH36s", 40, 7, bytes(range(36)))
    + struct.pack("=HHQ", 12, 21, 99),
    "sockets": b"took_us\t9\nmodule\tloaded\nprocesses\t2\t1\n"
    b"net\t1\there\tprocess\tasked\tinuse=9 tw=1 orphan=1 alloc=12 mem=3 unread_processes=1\t\t\n"
    b"listen\t1\t2\t8080\t301\t300\t5\t0\t7\t42\n"
    b"group\t1\t2\t8\t0\tserver\t8080\t0\t7\tsampled:42\t5\t1 -2 3 4 5 6\t\n"
    b"group\t1\t2\t8\t0\tserver\t8080\t0\t7\tunseen\t200\t1 2 3 4 5 6\t10.0.0.0/24\n"
    b"group\t1\t2\t4\t0\tclient\t-\t0\t7\tnone\t9\t1 2 3 4 5 6\t\n"
    b"process\t42\t4000\t8192\tsample\t5\t60.5\tname\ncgroup\t7\t1\t2\t/a\nuser\t0\troot\n",
}
"""First input of the targets whose format is hard to guess."""


def main() -> None:
    """Runs one target with libFuzzer."""
    atheris: Any = importlib.import_module("atheris")
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: fuzz.py {'|'.join(TARGETS)} [libFuzzer's options]")
    with atheris.instrument_imports(include=["tcptop"]):
        for module in MODULES:
            importlib.import_module(module)
    with tempfile.TemporaryDirectory() as seeds:
        (Path(seeds) / "seed").write_bytes(SEEDS.get(sys.argv[1], b""))
        corpora = [option for option in sys.argv[2:] if not option.startswith("-")] or [seeds]
        options = [option for option in sys.argv[2:] if option.startswith("-")]
        atheris.Setup([sys.argv[0], *LIMITS, *options, *corpora], TARGETS[sys.argv[1]])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
