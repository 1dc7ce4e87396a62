"""ArchiveHost gives the answers of the tree that was packed, and refuses hostile and damaged archives in one line."""

from __future__ import annotations

import errno
import gzip
import io
import lzma
import os
import shutil
import subprocess
import tarfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packed_trees import archive_of, archive_with, open_packed, open_tar, packed_snapshot
from recorded import ALL, copy_recording, snapshot, take_snapshot, tree, write_tree

from tcptop.accounting import account
from tcptop.hosts import archive as archive_module
from tcptop.hosts import decompress
from tcptop.hosts.archive import ArchiveHost
from tcptop.hosts.decompress import SlowArchiveError, UnpackedStream
from tcptop.hosts.folder import MAX_FILE_BYTES, FolderHost
from tcptop.hosts.host import FileRead, Host
from tcptop.hosts.run_sync import run_sync
from tcptop.hosts.zstd import zstd
from tcptop.sampling.source_list import wanted_paths

WANTED = wanted_paths()

FIGURES = ("slabinfo", "slab_links", "slab_sizes", "slab_counts", "zoneinfo", "buddyinfo", "pagetypeinfo", "sockstat")


def read(host: Host, path: str) -> FileRead:
    [answer] = run_sync(host.read([path]))
    return answer


def refusal_of(path: Path) -> str:
    """The one-line error for an archive that cannot be opened."""
    with pytest.raises(OSError) as caught:  # noqa: PT011 (the text is checked below)
        open_packed(path)
    assert caught.value.strerror
    assert "\n" not in caught.value.strerror
    return caught.value.strerror


def open_or_refusal(path: Path) -> Host | str:
    """The host, or the one-line error."""
    try:
        return open_packed(path)
    except OSError as error:
        return error.strerror or ""


# The archive gives the same answers as the folder.


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz", "w:zst"])
@pytest.mark.parametrize("top", [".", "web17", "/", "./web17"])
def test_every_reading_equals_that_of_the_unpacked_tree(mode: str, top: str, tmp_path: Path) -> None:
    found = take_snapshot(open_packed(archive_of(tree("6.1-4n", "established"), tmp_path / "tree.tar", mode, top)))
    expected = snapshot("6.1-4n", "established")
    for name in FIGURES:
        of_archive, of_folder = getattr(found, name), getattr(expected, name)
        assert (of_archive.state, of_archive.value) == (of_folder.state, of_folder.value), name


@pytest.mark.parametrize(("kernel", "phase"), [each for each in ALL if each[1] == "established"])
def test_every_figure_equals_that_of_the_unpacked_tree(kernel: str, phase: str, tmp_path: Path) -> None:
    found = account(take_snapshot(open_packed(archive_of(tree(kernel, phase), tmp_path / "tree.tgz"))))
    expected = account(snapshot(kernel, phase))
    for name in ("sockets", "caches", "costs", "tcp_memory", "nodes", "states", "limits", "slab_memory"):
        assert getattr(found, name) == getattr(expected, name), name


def test_a_file_that_no_source_asks_for_is_not_kept(tmp_path: Path) -> None:
    members = [
        ("proc/slabinfo", b"kept\n"),
        ("proc/kallsyms", b"x" * 5000),
        ("proc/1/environ", b"PASSWORD=x"),
        ("etc/shadow", b"root:x"),
    ]
    host = ArchiveHost(str(archive_with(tmp_path / "tree.tar", members)), WANTED)
    assert read(host, "proc/slabinfo").data == b"kept\n"
    for name, _ in members[1:]:
        assert isinstance(read(host, name).error, FileNotFoundError)


def test_the_last_of_two_members_with_one_name_is_kept(tmp_path: Path) -> None:
    members = [("proc/slabinfo", b"old, and longer\n"), ("./proc/meminfo", b"m\n"), ("./proc//slabinfo", b"new\n")]
    host = ArchiveHost(str(archive_with(tmp_path / "tree.tar", members)), WANTED)
    assert read(host, "proc/slabinfo").data == b"new\n"


def test_a_hard_link_is_the_file_that_it_names(tmp_path: Path) -> None:
    members: list[tuple[str, bytes | dict[str, object]]] = [
        ("a/proc/slabinfo", b"rows\n"),
        ("a/proc/buddyinfo", {"type": tarfile.LNKTYPE, "linkname": "a/proc/slabinfo"}),
        ("a/proc/meminfo", {"type": tarfile.LNKTYPE, "linkname": "/etc/shadow"}),
        ("a/proc/zoneinfo", {"type": tarfile.LNKTYPE, "linkname": "a/proc/../../etc/shadow"}),
    ]
    host = ArchiveHost(str(archive_with(tmp_path / "tree.tar", members)), WANTED)
    assert read(host, "proc/buddyinfo").data == b"rows\n"
    for name in ("meminfo", "zoneinfo"):
        error = read(host, f"proc/{name}").error
        assert error is not None
        assert error.errno == errno.EXDEV


def test_long_names_of_gnu_and_pax_archives_are_read(tmp_path: Path) -> None:
    top = "x" * 180
    for format_ in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        path = tmp_path / f"{format_}.tar"
        with tarfile.open(path, "w", format=format_) as archive:
            archive.add(tree("6.1-4n", "base"), arcname=top)
        assert (
            take_snapshot(ArchiveHost(str(path), WANTED)).slab_links.value
            == snapshot("6.1-4n", "base").slab_links.value
        )


# Links and special files.


def test_links_are_followed_inside_the_archive_only(tmp_path: Path) -> None:
    links = {
        "proc/net": "self/net",
        "proc/self": "17",
        "proc/meminfo": "/etc/passwd",
        "proc/zoneinfo": "../../etc/passwd",
        "proc/buddyinfo": "slabinfo",
        "sys/kernel/slab/a": "b",
        "sys/kernel/slab/b": "a",
    }
    members: list[tuple[str, bytes | dict[str, object]]] = [("proc/slabinfo", b"s\n"), ("proc/17/net/sockstat", b"n\n")]
    members += [(name, {"type": tarfile.SYMTYPE, "linkname": target}) for name, target in links.items()]
    host = ArchiveHost(str(archive_with(tmp_path / "tree.tar", members)), WANTED)
    assert read(host, "proc/net/sockstat").data == b"n\n"
    assert read(host, "proc/buddyinfo").data == b"s\n"
    errors = [read(host, path).error for path in ("proc/meminfo", "proc/zoneinfo", "sys/kernel/slab/a/order")]
    assert [error.errno for error in errors if error is not None] == [errno.EXDEV, errno.EXDEV, errno.ELOOP]
    assert run_sync(host.list_folder("sys/kernel/slab")).entries == {"a": "b", "b": "a"}


def test_a_circle_of_links_is_said_to_be_one(tmp_path: Path) -> None:
    folder = copy_recording("6.1-4n", "established", tmp_path / "tree")
    for name, target in (("slabinfo", "zoneinfo"), ("zoneinfo", "slabinfo")):
        (folder / "proc" / name).unlink()
        (folder / "proc" / name).symlink_to(target)
    reason = "/proc/slabinfo: symbolic links lead in a circle, or more than 20 follow one another"
    for path in (folder, archive_of(folder, tmp_path / "tree.tar", "w")):
        assert packed_snapshot(path).slabinfo.reason == reason


@pytest.mark.skipif(shutil.which("tar") is None, reason="needs the Debian package tar")
@pytest.mark.parametrize("form", ["gnu", "posix --sparse-version=0.0", "posix --sparse-version=0.1", "posix"])
def test_a_sparse_file_is_said_to_be_one(form: str, tmp_path: Path) -> None:
    folder = copy_recording("6.1-4n", "established", tmp_path / "tree")
    os.truncate(folder / "proc/meminfo", 1 << 21)
    packed = tmp_path / "tree.tar"
    command = ["tar", *f"--format={form}".split(), "--sparse", "-cf", str(packed), "-C", str(folder), "."]
    subprocess.run(command, check=True)
    found = packed_snapshot(packed)
    assert (found.meminfo.state, found.slabinfo.state) == ("failed", "ok")
    assert (found.meminfo.reason or "").startswith("/proc/meminfo: stored as a sparse file, which is not unpacked here")


PLACES = (
    "proc/slabinfo",
    "proc/net",
    "proc/self",
    "proc/1/net",
    "proc/1/net/snmp",
    "proc/net/snmp",
    "sys/kernel/slab/a",
)
TARGETS = (
    "slabinfo",
    "self/net",
    "1",
    "net",
    "..",
    "../proc/slabinfo",
    "../../proc/slabinfo",
    "/proc/slabinfo",
    ".",
    "",
)
ASKED = (*PLACES, "proc/self/net/snmp", "proc/../../x", "sys/kernel/slab/a/order", "proc")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(links=st.dictionaries(st.sampled_from(PLACES), st.sampled_from([None, *TARGETS]), min_size=1))
def test_links_resolve_as_in_a_folder(links: dict[str, str | None], tmp_path: Path) -> None:
    """Files (None) and links give the same bytes or kind of error in an archive as in a folder."""
    root = tmp_path / "root"
    shutil.rmtree(root, ignore_errors=True)
    (root / "proc").mkdir(parents=True)
    (root / "proc/version").write_text("Linux\n")
    for path, target in links.items():
        place = root / path
        above = [each for each in place.parents if each.is_symlink() or each.is_file()]
        if above or place.exists() or place.is_symlink():
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if target:
            place.symlink_to(target)
        else:
            place.write_text(path)
    folder, archive = FolderHost(str(root)), ArchiveHost(str(archive_of(root, tmp_path / "tree.tar", "w")), WANTED)
    for path in ASKED:
        one, two = read(folder, path), read(archive, path)
        assert two.data == one.data, path
        if one.error is not None and one.error.errno in (errno.EXDEV, errno.ELOOP):
            assert two.error is not None
            assert two.error.errno == one.error.errno, path
    folder.close()


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"Z"])
def test_devices_and_pipes_cannot_be_read(kind: bytes, tmp_path: Path) -> None:
    members: list[tuple[str, bytes | dict[str, object]]] = [("proc/slabinfo", b"s\n"), ("proc/meminfo", {"type": kind})]
    host = ArchiveHost(str(archive_with(tmp_path / "tree.tar", members)), WANTED)
    error = read(host, "proc/meminfo").error
    assert error is not None
    assert error.errno == errno.EINVAL


def test_members_outside_the_tree_are_ignored(tmp_path: Path) -> None:
    members = [
        ("../proc/slabinfo", b"outside\n"),
        ("proc/../proc/slabinfo", b"outside\n"),
        ("proc/net/../../../proc/slabinfo", b"outside\n"),
        ("proc/meminfo", b"m\n"),
    ]
    before = sorted(tmp_path.rglob("*"))
    host = ArchiveHost(str(archive_with(tmp_path / "tree.tar", members)), WANTED)
    assert isinstance(read(host, "proc/slabinfo").error, FileNotFoundError)
    assert sorted(tmp_path.rglob("*")) == [*before, tmp_path / "tree.tar"]


def test_control_characters_and_markup_in_names_do_not_reach_the_screen(tmp_path: Path) -> None:
    evil = "\x1b[2J[red]\u202ex"
    members: list[tuple[str, bytes | dict[str, object]]] = [
        (f"{evil}/proc/slabinfo", b"slabinfo - version: 2.1\n"),
        (f"{evil}/sys/kernel/slab/{evil}", {"type": tarfile.SYMTYPE, "linkname": f":{evil}"}),
    ]
    found = take_snapshot(open_packed(archive_with(tmp_path / "tree.tar", members)))
    assert found.slab_links.value is not None
    [(name, group)] = found.slab_links.value.group_of.items()
    assert "\x1b" not in name + group
    assert "\u202e" not in name + group


# Archives that are refused, in one line.


def test_a_file_that_is_not_an_archive_is_refused(tmp_path: Path) -> None:
    for name, data in {"text": b"hello\n", "zeros": bytes(10), "noise": os.urandom(5000), "empty": b""}.items():
        (tmp_path / name).write_bytes(data)
        assert "archive" in refusal_of(tmp_path / name)
    assert refusal_of(tmp_path / "none") == "No such file or directory"
    os.mkfifo(tmp_path / "pipe")
    assert "neither" in refusal_of(tmp_path / "pipe")


def test_an_archive_of_something_else_is_refused(tmp_path: Path) -> None:
    assert "/proc" in refusal_of(archive_with(tmp_path / "etc.tar", [("etc/passwd", b"x")]))
    assert "empty tar archive" in refusal_of(archive_with(tmp_path / "nothing.tar", []))


def test_an_archive_of_two_trees_is_refused_and_both_are_named(tmp_path: Path) -> None:
    line = refusal_of(archive_with(tmp_path / "two.tar", [("a/proc/slabinfo", b"1"), ("b/proc/slabinfo", b"2")]))
    assert "a and b" in line


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("packer", ["gz", "bz2", "xz", "zst"])
def test_a_decompression_bomb_is_refused_in_bounded_memory(
    packer: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(decompress, "ALWAYS_ALLOWED_BYTES", 32 << 20)
    path = tmp_path / "bomb"
    header = tarfile.TarInfo("var/log/big")
    header.size = 64 << 20
    with open_tar(path, f"w:{packer}") as archive:
        archive.addfile(header, _Zeros())
    assert path.stat().st_size < header.size // 100
    tracemalloc.start()
    try:
        assert "unpacks to more than 32 MiB" in refusal_of(path)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


class _Zeros(io.RawIOBase):
    """An endless stream of zeros."""

    def read(self, size: int = -1) -> bytes:
        return bytes(size)


def test_an_xz_file_that_needs_a_huge_dictionary_is_refused(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": decompress.MAX_DICTIONARY_BYTES}]
    plain = archive_with(tmp_path / "tree.tar", [("proc/slabinfo", b"s\n")]).read_bytes()
    (tmp_path / "tree.tar.xz").write_bytes(lzma.compress(plain, filters=filters))
    assert "emory" in refusal_of(tmp_path / "tree.tar.xz")


def test_a_zstd_file_that_needs_a_huge_window_is_refused(tmp_path: Path) -> None:
    content = archive_with(tmp_path / "tree.tar", [("proc/slabinfo", b"s\n")]).read_bytes()
    raw_block = (len(content) << 3 | 1).to_bytes(3, "little") + content
    for window_log, is_refused in ((27, False), (28, True), (31, True)):
        # RFC 8878: the magic number, no flags, the window descriptor (exponent and mantissa), and one raw block.
        path = tmp_path / f"{window_log}.tar.zst"
        path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes([0, window_log - 10 << 3]) + raw_block)
        if is_refused:
            assert "emory" in refusal_of(path)
        else:
            assert read(open_packed(path), "proc/slabinfo").data == b"s\n"


def test_a_zstd_file_of_several_frames(tmp_path: Path) -> None:
    content = archive_with(tmp_path / "tree.tar", [("proc/slabinfo", b"s\n" * 50_000)]).read_bytes()
    frames = [zstd.compress(content[at : at + 30_000]) for at in range(0, len(content), 30_000)]
    (tmp_path / "tree.tar.zst").write_bytes(b"".join(frames))
    assert read(open_packed(tmp_path / "tree.tar.zst"), "proc/slabinfo").data == b"s\n" * 50_000


def test_an_oversized_file_is_refused_and_the_others_are_kept(tmp_path: Path) -> None:
    members = [("proc/slabinfo", bytes(MAX_FILE_BYTES + 1)), ("proc/meminfo", b"m\n")]
    host = ArchiveHost(str(archive_with(tmp_path / "tree.tar", members)), WANTED)
    error = read(host, "proc/slabinfo").error
    assert error is not None
    assert error.errno == errno.EFBIG
    assert read(host, "proc/meminfo").data == b"m\n"


def test_more_files_than_any_kernel_has_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    members = [("proc/slabinfo", b"s\n"), *((f"sys/kernel/slab/c{number}/order", b"1\n") for number in range(60))]
    path = archive_with(tmp_path / "tree.tar", members)
    open_packed(path).close()
    monkeypatch.setattr(archive_module, "MAX_KEPT_ENTRIES", 50)
    assert "more than any kernel" in refusal_of(path)
    monkeypatch.setattr(archive_module, "MAX_KEPT_ENTRIES", 1000)
    monkeypatch.setattr(archive_module, "MAX_KEPT_BYTES", 50)
    assert "more than any kernel" in refusal_of(path)


def test_a_name_of_megabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tree.tar"
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("proc/" + "x" * (2 << 20)))
    assert "megabyte" in refusal_of(path)


# Cut and damaged.


@pytest.fixture(scope="module")
def small_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree of a few small files."""
    files = {"proc/slabinfo": "slabinfo - version: 2.1\n", "proc/meminfo": "MemTotal: 8 kB\n", "proc/version": "Linux"}
    return write_tree(tmp_path_factory.mktemp("small"), files)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz", "w:zst"])
def test_an_archive_cut_at_any_byte_is_refused_or_reports_the_cut(mode: str, small_tree: Path, tmp_path: Path) -> None:
    whole = archive_of(small_tree, tmp_path / "whole", mode).read_bytes()
    step = 37 if mode == "w" else 1
    refusals = 0
    # A cut in the end mark, or in the padding after the end mark, loses nothing.
    for end in range(0, len(whole) if mode != "w" else 4096, step):
        (tmp_path / "cut").write_bytes(whole[:end])
        host = open_or_refusal(tmp_path / "cut")
        if isinstance(host, str):
            assert host
            refusals += 1
            continue
        for name in ("slabinfo", "meminfo", "version"):
            answer, kept = read(host, f"proc/{name}"), (small_tree / "proc" / name).read_bytes()
            assert answer.data in (kept, None)
            if answer.data is None:
                assert answer.error is not None
                assert "cut off" in str(answer.error.strerror)
        nowhere = read(host, "proc/buddyinfo").error
        assert nowhere is not None
        assert "cut off" in str(nowhere.strerror)
    assert refusals


def test_a_file_that_a_cut_archive_lacks_is_unknown_and_not_missing(tmp_path: Path) -> None:
    path = archive_of(tree("6.1-4n", "established") / "proc", tmp_path / "tree.tar", "w", "proc")
    path.write_bytes(path.read_bytes()[:-30_000])
    states = {name: getattr(take_snapshot(open_packed(path)), name).state for name in FIGURES}
    assert "missing" not in states.values()
    assert set(states.values()) == {"ok", "failed"}


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_what_follows_zeros_in_the_middle_of_an_archive_is_unknown_and_not_missing(mode: str, tmp_path: Path) -> None:
    whole = archive_of(tree("6.1-4n", "established") / "proc", tmp_path / "tree.tar", "w", "proc").read_bytes()
    with tarfile.open(tmp_path / "tree.tar") as archive:
        headers = [member.offset for member in archive]
    middle = headers[len(headers) // 2]
    damaged = whole[:middle] + bytes(1024) + whole[middle + 1024 :]
    path = tmp_path / "damaged.tar"
    path.write_bytes(gzip.compress(damaged, 1) if mode == "w:gz" else damaged)
    states = {name: getattr(take_snapshot(open_packed(path)), name).state for name in FIGURES}
    assert "missing" not in states.values()
    assert set(states.values()) == {"ok", "failed"}


def test_what_may_follow_zeros_that_take_too_long_is_unknown_and_not_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = archive_of(tree("6.1-4n", "established") / "proc", tmp_path / "tree.tar", "w:gz", "proc")
    before = {name: getattr(take_snapshot(open_packed(path)), name).state for name in FIGURES}
    assert set(before.values()) == {"ok", "missing"}

    def take_too_long(_: UnpackedStream) -> None:
        raise SlowArchiveError

    monkeypatch.setattr(UnpackedStream, "expect_zeros", take_too_long)
    snapshot = take_snapshot(open_packed(path))
    for name, state in before.items():
        reading = getattr(snapshot, name)
        assert reading.state == ("ok" if state == "ok" else "failed")
        assert state == "ok" or "that was read in 6 s" in reading.reason


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_archive_is_read_or_refused_in_one_line(
    data: st.DataObject, small_tree: Path, tmp_path: Path
) -> None:
    mode = data.draw(st.sampled_from(["w", "w:gz", "w:bz2", "w:xz", "w:zst"]))
    whole = bytearray(archive_of(small_tree, tmp_path / "whole", mode).read_bytes()[:8192])
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "damaged").write_bytes(whole)
    host = open_or_refusal(tmp_path / "damaged")
    if isinstance(host, str):
        assert host
        assert "\n" not in host
    else:
        take_snapshot(host)


def test_a_wrong_checksum_is_refused(small_tree: Path, tmp_path: Path) -> None:
    packed = bytearray(archive_of(small_tree, tmp_path / "tree.tgz").read_bytes())
    packed[-6] ^= 1
    (tmp_path / "tree.tgz").write_bytes(packed)
    assert "damaged" in refusal_of(tmp_path / "tree.tgz")
