"""Files of terabytes, which may be holes: each file is read, or refused in one line, within the limits of memory and
time.

The time limit is RLIMIT_CPU, which kills the program.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import resource
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from program import CHECKOUT, record, run

sys.path.append(str(Path(__file__).resolve().parents[1]))

from slow_case import slow

from tcptop.hosts.zstd import zstd

TREE = CHECKOUT / "tests/recordings" / "6.1-4n" / "established"
CPU_S, DATA_BYTES = 10, 300 << 20
TERABYTES = 2 << 40
HUGE = 40 << 30


def limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_DATA, (DATA_BYTES, DATA_BYTES))


def bounded(*arguments: str | Path) -> tuple[int, str, str]:
    """Exit code, output and error within the limits; the error is one line at most."""
    done = run(*arguments, prepare=limit)
    assert done.returncode in (0, 1), (done.returncode, done.stderr)
    assert len(done.stderr.splitlines()) == done.returncode, done.stderr
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def grow(path: Path, size: int = HUGE) -> Path:
    """Grows a file by a hole."""
    try:
        os.truncate(path, path.stat().st_size + size)
    except OSError as error:
        pytest.skip(f"the file system holds no file of {size} bytes: {error.strerror}")
    return path


def hole(path: Path, size: int) -> Path:
    path.touch()
    return grow(path, size)


def packed(path: Path) -> Path:
    """The tree in a plain archive."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        archive.add(TREE, arcname="host")
    return path


def in_use(report: str) -> int:
    found = json.loads(report)["sockets"]["allocated"]
    assert isinstance(found, int)
    return found


@pytest.fixture(scope="module")
def expected() -> int:
    return in_use(bounded("--json", "--root", TREE)[1])


@pytest.mark.parametrize("size", [4 << 30, slow(HUGE), TERABYTES])
@pytest.mark.parametrize(
    "words",
    [
        ("--json", "--root", "FILE"),
        ("-r", "FILE", "--json"),
        slow(("import", "FILE", "-w", "NEW")),
        slow(("export", "-r", "FILE", "NEW")),
        slow(("diff", "FILE", TREE)),
        slow(("diff", TREE, "FILE")),
        slow(("record", "--root", TREE, "-w", "FILE")),
        slow(("record", "--root", "FILE", "-w", "NEW")),
        slow(("explain", "--root", "FILE", "headroom")),
        slow(("--json", "--root", TREE, "--lab", "FILE")),
    ],
    ids=lambda words: str(words[0]) if isinstance(words, tuple) else None,
)
def test_a_hole_is_refused(tmp_path: Path, words: tuple[str | Path, ...], size: int) -> None:
    names = {"FILE": hole(tmp_path / "file", size), "NEW": tmp_path / "new"}
    code, _, error = bounded(*(names.get(str(word), word) for word in words))
    assert code == 1
    assert str(names["FILE"]) in error


@pytest.mark.slow
@pytest.mark.parametrize("size", [HUGE, slow(TERABYTES)])
def test_a_member_that_is_not_wanted_is_skipped(tmp_path: Path, expected: int, size: int) -> None:
    """A sparse file in the archive, before the tree."""
    path = tmp_path / "x.tar"
    big = tarfile.TarInfo("host/var/big")
    big.size = size
    path.write_bytes(big.tobuf(tarfile.GNU_FORMAT))
    grow(path, size)
    with path.open("ab") as file:
        file.write(packed(tmp_path / "tree.tar").read_bytes())
    for words in (("--json", "--root", path), ("-r", path, "--json")):
        code, report, _ = bounded(*words)
        assert (code, in_use(report)) == (0, expected)


def test_an_archive_with_a_member_beyond_its_end_is_cut(tmp_path: Path) -> None:
    big = tarfile.TarInfo("host/var/big")
    big.size = 1 << 62
    path = packed(tmp_path / "x.tar")
    path.write_bytes(path.read_bytes().rstrip(b"\0") + bytes(512 - len(path.read_bytes().rstrip(b"\0")) % 512))
    with path.open("ab") as file:
        file.write(big.tobuf(tarfile.GNU_FORMAT))
    code, _, error = bounded("--json", "--root", path)
    assert code == 0 or "cut off" in error


def pack_zstd(data: bytes) -> bytes:
    return zstd.compress(data)


@pytest.mark.slow
@pytest.mark.parametrize(
    "pack",
    [bytes, gzip.compress, slow(bz2.compress), slow(lzma.compress), slow(pack_zstd)],
    ids=lambda pack: pack.__name__,
)
@pytest.mark.parametrize("size", [HUGE, slow(TERABYTES)])
def test_an_archive_may_be_followed_by_a_hole(
    tmp_path: Path, expected: int, pack: Callable[[bytes], bytes], size: int
) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(pack(packed(tmp_path / "tree.tar").read_bytes()))
    code, report, error = bounded("--json", "--root", grow(path, size))
    assert code == 0, error
    assert in_use(report) == expected


@pytest.mark.parametrize(
    "pack",
    [bytes, gzip.compress, slow(bz2.compress), slow(lzma.compress), slow(pack_zstd)],
    ids=lambda pack: pack.__name__,
)
@pytest.mark.parametrize("size", [1 << 20, HUGE, slow(TERABYTES)])
def test_what_follows_a_hole_in_the_middle_is_unknown_and_not_missing(
    tmp_path: Path, pack: Callable[[bytes], bytes], size: int
) -> None:
    """The whole archive has these files; a hole of any size comes before the second part of them."""
    parts = (("meminfo", "version", "buddyinfo", "zoneinfo"), ("slabinfo", "net/sockstat", "net/protocols"))
    packed_parts = []
    for names in parts:
        with tarfile.open(tmp_path / "part.tar", "w", format=tarfile.GNU_FORMAT) as archive:
            for name in names:
                archive.add(TREE / "proc" / name, arcname=f"proc/{name}")
        packed_parts.append(pack((tmp_path / "part.tar").read_bytes()))
    path = tmp_path / "x.tar"
    path.write_bytes(packed_parts[0])
    with grow(path, size).open("ab") as file:
        file.write(packed_parts[1])
    code, report, error = bounded("--json", "--root", path)
    assert code == 0, error
    sources = json.loads(report)["sources"]
    assert {sources[name]["state"] for name in ("meminfo", "buddyinfo", "zoneinfo")} == {"ok"}
    for name in ("slabinfo", "sockstat", "protocols"):
        assert (sources[name]["state"], "cut off" in sources[name]["reason"]) == ("failed", True)


@pytest.mark.parametrize("pack", [gzip, slow(bz2), slow(lzma)], ids=lambda pack: pack.__name__)
@pytest.mark.slow
def test_compressed_zeros_are_no_archive(tmp_path: Path, pack: object) -> None:
    path = tmp_path / "zeros"
    with pack.open(path, "wb") as file:  # type: ignore[attr-defined]
        for _ in range(200):
            file.write(bytes(1 << 20))
    assert "it begins with zeros" in bounded("--json", "--root", path)[2]


@pytest.mark.slow
def test_what_takes_too_long_to_unpack_is_not_waited_for(tmp_path: Path, expected: int) -> None:
    """The tree comes first. After the tree come bytes that bzip2 unpacks only slowly, on every machine."""
    path = tmp_path / "x.tar.bz2"
    bits = tarfile.TarInfo("host/var/bits")
    bits.size = 8 << 20
    tree = packed(tmp_path / "tree.tar").read_bytes()
    tree = tree.rstrip(b"\0")
    tree += bytes(-len(tree) % 512)
    slow_member = bz2.compress(bits.tobuf() + bytes(bit & 1 for bit in os.urandom(8 << 20)))
    path.write_bytes(bz2.compress(tree) + slow_member * 60)
    code, report, error = bounded("--json", "--root", path)
    assert code == 0, error
    assert in_use(report) == expected
    reasons = [source["reason"] or "" for source in json.loads(report)["sources"].values()]
    assert any("not in the part of the archive that was read in" in reason for reason in reasons)


@pytest.mark.slow
def test_a_recording_followed_by_a_hole(tmp_path: Path, expected: int) -> None:
    path = tmp_path / "x.tcptop"
    record(TREE, path)
    grow(path)
    assert in_use(bounded("-r", path, "--json")[1]) == expected
    assert bounded("diff", path, TREE)[0] == 0


@pytest.mark.parametrize(
    "name", ["proc/slabinfo", slow("proc/zoneinfo"), slow("proc/net/sockstat"), slow("sys/kernel/btf/vmlinux")]
)
def test_a_hole_in_a_saved_tree(tmp_path: Path, name: str) -> None:
    for folder in ("proc/net", "sys/kernel/btf"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_bytes((TREE / "proc/meminfo").read_bytes())
    hole(tmp_path / name, TERABYTES)
    code, report, error = bounded("--json", "--root", tmp_path)
    assert code == 0, error
    assert json.loads(report)["sources"]["meminfo"]["state"] == "ok"


@pytest.mark.parametrize("words", [("--json", "--root", TREE), slow(("check", "--root", TREE))])
def test_settings_that_are_a_hole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str | Path, ...]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "tcptop").mkdir()
    hole(tmp_path / "tcptop/config.toml", TERABYTES)
    assert "larger than 64 KiB" in run(*words, prepare=limit).stderr
