"""FolderHost reads nothing outside its root, and nothing in the root blocks it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tcptop.hosts.folder import MAX_FILE_BYTES, FolderHost
from tcptop.hosts.host import FileRead, FolderRead
from tcptop.hosts.run_sync import run_sync
from tcptop.sources.slabinfo import SlabinfoSource


def read(root: Path, path: str) -> FileRead:
    host = FolderHost(str(root))
    try:
        [answer] = run_sync(host.read([path]))
        return answer
    finally:
        host.close()


def list_folder(root: Path, path: str) -> FolderRead:
    host = FolderHost(str(root))
    try:
        return run_sync(host.list_folder(path))
    finally:
        host.close()


def error_of(answer: FileRead | FolderRead) -> int | None:
    assert answer.error is not None
    return answer.error.errno


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A saved tree, next to files that must not be read."""
    (tmp_path / "secret").write_text("outside\n")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/slabinfo").write_text("outside\n")
    root = tmp_path / "root"
    (root / "proc/net").mkdir(parents=True)
    (root / "sys/kernel/slab").mkdir(parents=True)
    (root / "proc/slabinfo").write_text("inside\n")
    return root


def test_answers_are_in_the_order_of_the_paths_with_bytes_or_an_error(root: Path) -> None:
    host = FolderHost(str(root))
    (root / "proc/empty").write_bytes(b"")
    answers = run_sync(host.read(["proc/none", "proc/slabinfo", "proc/empty", "proc/slabinfo"]))
    assert [answer.path for answer in answers] == ["proc/none", "proc/slabinfo", "proc/empty", "proc/slabinfo"]
    assert [answer.data for answer in answers] == [None, b"inside\n", b"", b"inside\n"]
    assert error_of(answers[0]) == errno.ENOENT
    assert [answer.error is None for answer in answers] == [False, True, True, True]
    assert all(answer.took_us >= 0 for answer in answers)
    host.close()


def test_a_file_larger_than_one_read_is_complete(root: Path) -> None:
    data = bytes(range(256)) * 4096
    (root / "proc/slabinfo").write_bytes(data)
    assert read(root, "proc/slabinfo").data == data


@pytest.mark.parametrize(
    "target", ["../../secret", "{tmp}/secret", "/etc/passwd", "../../outside/slabinfo", "self/../../../secret"]
)
def test_a_link_outside_the_root_is_refused(root: Path, tmp_path: Path, target: str) -> None:
    (root / "proc/version").symlink_to(target.format(tmp=tmp_path))
    answer = read(root, "proc/version")
    assert answer.data is None
    assert error_of(answer) in (errno.EXDEV, errno.ENOENT)


def test_nothing_below_a_folder_that_is_a_link_outside_is_read(root: Path, tmp_path: Path) -> None:
    (root / "proc/net").rmdir()
    (root / "proc/net").symlink_to(tmp_path / "outside")
    assert error_of(read(root, "proc/net/slabinfo")) == errno.EXDEV
    assert error_of(list_folder(root, "proc/net")) == errno.EXDEV


def test_a_chain_of_links_is_refused_only_if_its_end_is_outside(root: Path) -> None:
    (root / "proc/one").symlink_to("two")
    (root / "proc/two").symlink_to("../../secret")
    (root / "proc/three").symlink_to("../proc/four")
    (root / "proc/four").symlink_to("slabinfo")
    assert error_of(read(root, "proc/one")) == errno.EXDEV
    assert read(root, "proc/three").data == b"inside\n"


def test_a_sibling_folder_whose_name_begins_like_the_roots_is_outside(root: Path) -> None:
    beside = root.parent / "root-and-more"
    beside.mkdir()
    (beside / "file").write_text("outside\n")
    (root / "proc/version").symlink_to(beside / "file")
    assert error_of(read(root, "proc/version")) == errno.EXDEV


def test_links_inside_the_root_are_followed(root: Path) -> None:
    (root / "proc/self").mkdir()
    (root / "proc/self/net").mkdir()
    (root / "proc/self/net/sockstat").write_text("TCP: inuse 1\n")
    (root / "proc/net").rmdir()
    (root / "proc/net").symlink_to("self/net")
    assert read(root, "proc/net/sockstat").data == b"TCP: inuse 1\n"


def test_a_cycle_of_links_is_an_error(root: Path) -> None:
    (root / "proc/a").symlink_to("b")
    (root / "proc/b").symlink_to("a")
    assert error_of(read(root, "proc/a")) == errno.ELOOP


def test_links_that_expand_exponentially_end_quickly(root: Path) -> None:
    """Each link leads twice through the previous link, so following all links would take a million steps."""
    (root / "proc/link0").symlink_to(".")
    for number in range(1, 21):
        (root / f"proc/link{number}").symlink_to(f"link{number - 1}/link{number - 1}")
    assert read(root, "proc/link20/slabinfo").data in (None, b"inside\n")


def test_a_root_that_is_a_link_is_followed(root: Path) -> None:
    link = root.parent / "link"
    link.symlink_to(root)
    assert read(link, "proc/slabinfo").data == b"inside\n"


def test_a_named_pipe_without_a_writer_is_refused_at_once(root: Path) -> None:
    """A plain open() would block for ever, and so would this test."""
    (root / "proc/slabinfo").unlink()
    os.mkfifo(root / "proc/slabinfo")
    assert error_of(read(root, "proc/slabinfo")) == errno.EINVAL


def test_a_device_that_never_ends_is_refused(root: Path) -> None:
    (root / "proc/slabinfo").unlink()
    try:
        os.mknod(root / "proc/slabinfo", 0o600 | 0o020000, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("making a device needs root")
    answer = read(root, "proc/slabinfo")
    assert answer.data is None
    assert error_of(answer) in (errno.EINVAL, errno.EACCES)


def test_reading_a_folder_as_a_file_is_an_error(root: Path) -> None:
    answer = read(root, "proc/net")
    assert answer.data is None
    assert error_of(answer) in (errno.EISDIR, errno.EINVAL)


def test_a_file_of_the_size_limit_is_read_and_a_larger_one_refused(root: Path) -> None:
    with (root / "proc/slabinfo").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    assert error_of(read(root, "proc/slabinfo")) == errno.EFBIG
    with (root / "proc/slabinfo").open("wb") as file:
        file.truncate(MAX_FILE_BYTES)
    assert len(read(root, "proc/slabinfo").data or b"") == MAX_FILE_BYTES


def test_a_name_that_no_system_call_accepts_is_an_error(root: Path) -> None:
    for path in ("proc/sl\0ab", "\0", "proc/" + "x" * 5000):
        assert read(root, path).data is None
        assert list_folder(root, path).entries is None


def test_a_file_with_an_open_descriptor_is_read_from_its_beginning(root: Path) -> None:
    host = FolderHost(str(root))
    for content in (b"one\n", b"two, and longer\n", b"", b"3\n"):
        (root / "proc/slabinfo").write_bytes(content)
        assert run_sync(host.read(["proc/slabinfo"]))[0].data == content
    host.close()


def test_a_file_created_after_the_first_read_is_found(root: Path) -> None:
    host = FolderHost(str(root))
    assert error_of(run_sync(host.read(["proc/late"]))[0]) == errno.ENOENT
    (root / "proc/late").write_text("here\n")
    assert run_sync(host.read(["proc/late"]))[0].data == b"here\n"
    host.close()


def open_below(root: Path) -> list[str]:
    """The paths in a tree, and the root, that this process has open."""
    links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]  # noqa: PTH208
    targets = [os.readlink(link) for link in links if os.path.lexists(link)]  # noqa: PTH115
    return sorted(target for target in targets if Path(target).is_relative_to(root))


@pytest.mark.slow
def test_repeated_reads_keep_one_descriptor_per_file_until_close(root: Path) -> None:
    (root / "proc/version").symlink_to("../../secret")
    host = FolderHost(str(root))
    for _ in range(50):
        run_sync(host.read(["proc/slabinfo", "proc/none", "proc/version", "proc/net"]))
        run_sync(host.list_folder("sys/kernel/slab"))
        run_sync(host.list_folder("sys/none"))
    assert set(open_below(root)) <= {str(root), str(root / "proc/slabinfo")}
    assert open_below(root).count(str(root / "proc/slabinfo")) == 1
    host.close()
    assert open_below(root) == []


def test_a_listing_has_the_targets_of_links_and_follows_none(root: Path) -> None:
    slab = root / "sys/kernel/slab"
    (slab / "TCP").mkdir()
    (slab / ":A-0000128").mkdir()
    (slab / "tcp_bind_bucket").symlink_to(":A-0000128")
    (slab / "away").symlink_to("/etc/passwd")
    assert list_folder(root, "sys/kernel/slab").entries == {
        "TCP": None,
        ":A-0000128": None,
        "tcp_bind_bucket": ":A-0000128",
        "away": "/etc/passwd",
    }


def test_listing_a_missing_folder_or_a_file_is_an_error(root: Path) -> None:
    assert error_of(list_folder(root, "sys/none")) == errno.ENOENT
    assert error_of(list_folder(root, "proc/slabinfo")) == errno.ENOTDIR


def test_a_folder_with_too_many_names_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tcptop.hosts.folder.MAX_FOLDER_NAMES", 500)
    for number in range(501):
        (root / f"sys/kernel/slab/{number}").symlink_to("x")
    answer = list_folder(root, "sys/kernel/slab")
    assert answer.entries is None
    assert error_of(answer) == errno.E2BIG


def test_names_that_are_not_utf_8_are_listed(root: Path) -> None:
    os.mkdir(os.fsencode(root / "sys/kernel/slab") + b"/\xff\xfe")  # noqa: PTH102
    entries = list_folder(root, "sys/kernel/slab").entries
    assert entries is not None
    assert len(entries) == 1


def test_a_saved_tree_is_not_live_and_has_no_page_size(root: Path) -> None:
    identity = FolderHost(str(root)).identity
    assert (identity.live, identity.page_size_bytes, identity.net_namespace) == (False, None, None)
    assert identity.place == str(root)
    assert identity.proc_folder is None


def test_this_machines_own_root_is_live() -> None:
    identity = FolderHost("/").identity
    assert (identity.live, identity.place, identity.net_namespace) == (True, None, None)
    assert identity.page_size_bytes == os.sysconf("SC_PAGE_SIZE")


def test_a_missing_root_raises_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FolderHost(str(tmp_path / "none"))
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        FolderHost(str(tmp_path / "file"))


@pytest.mark.parametrize(("uid", "reason"), [(0, "is refused to root: by a container"), (1000, "is for root only: ")])
def test_what_root_may_not_read_is_not_for_root_only(
    uid: int, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The case is a container whose root user lacks the capability."""

    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(FolderHost, "_open", refuse)
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    reading = run_sync(SlabinfoSource().read(FolderHost(str(tmp_path))))
    assert reading.state == "refused"
    assert (reading.reason or "").startswith(f"/proc/slabinfo {reason}")
