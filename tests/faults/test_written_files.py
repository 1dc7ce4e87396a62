"""Files that the user names: no other user's link is followed, no open blocks, and written files are complete."""

from __future__ import annotations

import os
import re
import resource
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from program import error_line, program, record, run
from recorded import RECORDINGS, copy_recording, tree

TREE = tree("6.1-4n", "established")
OTHER_USER = 65534

is_root = os.geteuid() == 0
needs_root = pytest.mark.skipif(not is_root, reason="only root can make files of another user")
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs the Debian package strace")
needs_mount = pytest.mark.skipif(
    not is_root or shutil.which("mount") is None, reason="needs root and the Debian package mount"
)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder that everyone may write to, as /tmp."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


def link_of_other_user(link: Path, target: Path) -> Path:
    link.symlink_to(target)
    os.chown(link, OTHER_USER, OTHER_USER, follow_symlinks=False)
    return link


WRITERS: dict[str, Callable[[Path], tuple[str | Path, ...]]] = {
    "record": lambda path: ("record", "--root", TREE, "-w", path),
    "import": lambda path: ("import", TREE, "-w", path),
    "export": lambda path: ("export", "-r", TREE, path),
    "lab": lambda path: ("lab", "--states", "established", "-c", "10", "-w", path),
}


@needs_root
@pytest.mark.parametrize("command", WRITERS)
@pytest.mark.parametrize("where", ["the file", "its folder"])
def test_nothing_is_written_through_the_link_of_another_user(
    shared: Path, tmp_path: Path, command: str, where: str
) -> None:
    roots = tmp_path / "roots"
    roots.mkdir()
    if where == "the file":
        path = link_of_other_user(shared / "name", roots / "victim")
    else:
        path = link_of_other_user(shared / "folder", roots) / "victim"
    line = error_line(*WRITERS[command](path))
    assert not list(roots.iterdir())
    if command != "import":  # which refuses any name that is in use
        assert "another user" in line


@needs_root
def test_the_result_of_a_lab_does_not_overwrite_a_file_through_the_link_of_another_user(
    shared: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    victim.chmod(0o640)
    error_line("lab", "--states", "established", "-c", "10", "-w", link_of_other_user(shared / "name", victim))
    assert victim.read_text() == "precious"
    assert stat.S_IMODE(victim.stat().st_mode) == 0o640


@needs_root
def test_nothing_is_added_to_the_recording_of_another_user(tmp_path: Path) -> None:
    record(TREE, tmp_path / "file")
    before = (tmp_path / "file").read_bytes()
    os.chown(tmp_path / "file", OTHER_USER, OTHER_USER)
    assert "another user" in error_line("record", "--root", TREE, "-w", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == before


def test_ones_own_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "name").symlink_to("link/file")
    record(TREE, tmp_path / "name")
    assert (tmp_path / "name").is_symlink()
    assert run("-o", "-r", tmp_path / "target/file").returncode == 0


@pytest.mark.slow
@needs_strace
def test_a_recorder_killed_at_any_system_call_of_the_creation_blocks_no_name(tmp_path: Path) -> None:
    """Kills the recorder at each call that may change a file, from the first one to the end of the first sample."""
    calls = "openat,linkat,unlinkat,renameat,renameat2,rename,link,unlink,write,pwrite64,ftruncate,fsync,fdatasync"
    path = tmp_path / "folder" / "file"
    path.parent.mkdir()
    trace = tmp_path / "trace"

    def recorded_under_strace(*options: str) -> bool:
        command, environment = program()
        words = ["strace", "-qq", "-o", str(trace), "-e", f"trace={calls}", *options, *command]
        words += map(str, record_words(path))
        cwd = environment["PYTHONPATH"]
        return subprocess.run(words, env=environment, cwd=cwd, capture_output=True, check=False).returncode == 0

    assert recorded_under_strace()
    lines = [line for line in trace.read_text().splitlines() if "(" in line]
    # The counters of strace are separate for each system call.
    names = [line.partition("(")[0] for line in lines]
    places = [number for number, line in enumerate(lines) if re.search('".tcptop-|"file"|/file"|file-journal"', line)]
    changes = [
        (names[number], names[: number + 1].count(names[number]), lines[number])
        for number in range(places[0], places[-1] + 1)
        if names[number] != "openat" or number in places
    ]
    path.unlink()
    for name, count, line in changes:
        assert not recorded_under_strace("-e", f"inject={name}:signal=KILL:when={count}"), line
        again = run(*record_words(path))
        assert again.returncode == 0, (line, again.stderr)
        assert run("-o", "-r", path).returncode == 0, line
        for left in path.parent.iterdir():
            left.unlink()
    assert len(changes) > 20


def record_words(path: Path) -> tuple[str | Path, ...]:
    return ("record", "--root", TREE, "-w", path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=False)
    if mounted.returncode:
        pytest.skip("mount is not permitted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def full_disk_lines(path: Path) -> tuple[str, str]:
    return f"tcptop: {path}: the disk is full", f"tcptop: {path}: No space left on device"


@needs_mount
@pytest.mark.parametrize("free_kib", [0, 4, 8, 16, 24, 32])
def test_a_full_disk_leaves_no_name_blocked(small_disk: Path, free_kib: int) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(bytes((64 - free_kib) << 10))
    line = error_line("record", "--root", TREE, "-w", small_disk / "file")
    assert line in full_disk_lines(small_disk / "file"), "there is no file, and the path is the given one"
    line = error_line("import", TREE, "-w", small_disk / "imported")
    assert line in full_disk_lines(small_disk / "imported")
    record(TREE, small_disk.parent / "elsewhere")
    line = error_line("export", "-r", small_disk.parent / "elsewhere", small_disk / "exported")
    assert line in full_disk_lines(small_disk / "exported")
    assert not [each.name for each in small_disk.iterdir() if each.name.startswith(".")]
    filler.unlink()
    subprocess.run(["mount", "-o", "remount,size=4m", small_disk], check=True)
    record(TREE, small_disk / "file")


@needs_mount
def test_a_full_disk_is_named_by_the_path_of_a_textfile(small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes(64 << 10))
    path = small_disk / "tcptop.prom"
    assert error_line("exporter", "--root", TREE, "--textfile", path) in full_disk_lines(path)
    assert [each.name for each in small_disk.iterdir()] == ["filler"]


def test_an_empty_file_is_a_new_recording(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    record(TREE, tmp_path / "file")
    assert run("-o", "-r", tmp_path / "file").returncode == 0
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


@pytest.mark.parametrize(
    "words",
    [
        ("--json", "--root", TREE, "--lab", "{}"),
        ("lab", "--compare", "{}", "{}"),
        ("diff", "{}", TREE),
        ("--json", "--root", "{}"),
        ("--json", "-r", "{}"),
        ("import", "{}", "-w", "new"),
        ("record", "--root", TREE, "-w", "{}"),
    ],
    ids=lambda words: " ".join(word for word in words if isinstance(word, str)),
)
def test_a_named_pipe_is_refused_and_not_waited_for(pipe: Path, words: tuple[str | Path, ...]) -> None:
    line = error_line(*(str(word).format(pipe) for word in words))
    assert "regular file" in line or "neither a f" in line


def test_a_pipe_as_the_journal_of_a_recording_is_refused(tmp_path: Path) -> None:
    record(TREE, tmp_path / "file")
    os.mkfifo(tmp_path / "file-journal")
    assert "file-journal: not a regular file" in error_line("--json", "-r", tmp_path / "file")


@pytest.mark.parametrize("kind", ["pipe", "/dev/zero"])
def test_settings_that_are_no_regular_file_are_named_and_ignored(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tcptop` without a terminal reads the settings, and then names the missing terminal in the same line."""
    settings = tmp_path / "tcptop" / "config.toml"
    settings.parent.mkdir()
    if kind == "pipe":
        os.mkfifo(settings)
    else:
        settings.symlink_to(kind)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    from tcptop.settings.file import NO_SETTINGS, read_settings

    found, [line] = read_settings(settings)
    assert found == NO_SETTINGS
    assert line.endswith("not a regular file; no setting is read")


NOT_UTF8 = os.fsdecode(b"name-\xff\xfe")


def test_paths_that_are_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / NOT_UTF8
    record(TREE, path)
    assert run("-o", "-r", path).returncode == 0
    assert run("export", "-r", path, tmp_path / f"{NOT_UTF8}-folder").returncode == 0
    assert run("import", tmp_path / f"{NOT_UTF8}-folder", "-w", tmp_path / f"{NOT_UTF8}-again").returncode == 0
    assert run("diff", path, tmp_path / f"{NOT_UTF8}-again").returncode == 0
    assert "No such file" in error_line("-o", "-r", tmp_path / f"{NOT_UTF8}-none")


def test_names_that_are_not_utf8_are_exported_byte_for_byte(tmp_path: Path) -> None:
    name = os.fsdecode(b"cache\xff\xe9")
    root = copy_recording("6.1-4n", "established", tmp_path / "tree")
    with (root / "proc/slabinfo").open("ab") as slabinfo:
        slabinfo.write(os.fsencode(name) + b" 0 0 64 64 1 : tunables 0 0 0 : slabdata 0 0 0\n")
    (root / "sys/kernel/slab" / name).mkdir()
    assert run("import", root, "-w", tmp_path / "file").returncode == 0
    done = run("export", "-r", tmp_path / "file", tmp_path / "folder")
    assert done.returncode == 0, done.stderr
    exported = tmp_path / "folder/000001"
    assert (exported / "proc/slabinfo").read_bytes() == (root / "proc/slabinfo").read_bytes()
    assert (exported / "sys/kernel/slab" / name).is_dir()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_an_export_is_readable_for_nobody_else_than_the_recording(tmp_path: Path, mode: int) -> None:
    record(TREE, tmp_path / "file")
    (tmp_path / "file").chmod(mode)
    assert run("export", "-r", tmp_path / "file", tmp_path / "folder").returncode == 0
    modes = {stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "folder").rglob("*") if not each.is_symlink()}
    modes.add(stat.S_IMODE((tmp_path / "folder").stat().st_mode))
    assert all(not each & ~(mode | (mode & 0o444) >> 2 | 0o100) for each in modes), [oct(each) for each in modes]


def test_a_replaced_lab_result_is_refused_if_it_may_not_be_written(tmp_path: Path) -> None:
    """A file that is not regular is never replaced."""
    os.mkfifo(tmp_path / "pipe")
    if is_root:
        line = error_line("lab", "--states", "established", "-c", "10", "-w", tmp_path / "pipe")
        assert "not a regular file" in line
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_an_export_that_fails_leaves_nothing(tmp_path: Path) -> None:
    record(TREE, tmp_path / "file")
    command, environment = program()
    done = subprocess.run(
        [*command, "export", "-r", tmp_path / "file", tmp_path / "folder"],
        env=environment,
        cwd=environment["PYTHONPATH"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )
    assert done.returncode == 1
    assert re.fullmatch(r"tcptop: .*folder: File too large\n", done.stderr)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_the_recordings_that_these_tests_use_are_there() -> None:
    assert "established" in RECORDINGS["6.1-4n"]


# Read-only files, folders and file systems

KILLED = "a recorder was killed"


def run_as(words: list[str], *arguments: str | Path) -> str:
    """The error of the program, started by a program such as `unshare`; the error must be one line."""
    command, environment = program()
    done = subprocess.run(
        [*words, *command, *map(str, arguments)],
        env=environment,
        cwd=environment["PYTHONPATH"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip("mounts are not allowed here")
    assert done.returncode in (1, 2)
    [line] = done.stderr.splitlines()
    return line


@needs_mount
@pytest.mark.parametrize(
    "arguments",
    [
        ["record", "--root", TREE, "-w", "recording"],
        ["record", "--root", TREE, "-w", "new"],
        ["import", TREE, "-w", "new"],
        ["export", "-r", "recording", "new"],
        ["exporter", "--root", TREE, "--textfile", "new.prom"],
        ["exporter", "--root", TREE, "--textfile", "old.prom"],
        ["lab", "-w", "new"],
    ],
    ids=lambda words: " ".join(map(str, words[::2])),
)
def test_a_read_only_file_system_is_named(tmp_path: Path, arguments: list[str | Path]) -> None:
    record(TREE, tmp_path / "recording")
    (tmp_path / "old.prom").write_text("")
    mount = f'mount --bind {tmp_path} {tmp_path} && mount -o remount,ro,bind {tmp_path} && exec "$@"'
    words = [tmp_path / word if word in ("recording", "new", "new.prom", "old.prom") else word for word in arguments]
    assert "Read-only file system" in run_as(["unshare", "-m", "sh", "-c", mount, "sh"], *words)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter; pytest's folders are closed to others."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.skipif(not is_root or shutil.which("setpriv") is None, reason="needs root and util-linux")
@pytest.mark.parametrize("case", ["folder", "file", "own file", "journal"])
def test_a_recording_that_may_only_be_read_is_no_trace_of_a_killed_recorder(open_folder: Path, case: str) -> None:
    place = open_folder
    path = place / "recording"
    record(TREE, path)
    path.chmod(0o644)
    if case != "folder":
        os.chown(place, OTHER_USER, OTHER_USER)
    if case != "file":
        os.chown(path, OTHER_USER, OTHER_USER)
    if case in ("own file", "journal"):
        path.chmod(0o444)
    if case == "journal":
        (place / "recording-journal").write_bytes(b"x" * 1024)
        os.chown(place / "recording-journal", OTHER_USER, OTHER_USER)
    as_user = ["setpriv", f"--reuid={OTHER_USER}", f"--regid={OTHER_USER}", "--clear-groups"]
    if subprocess.run([*as_user, sys.executable, "-c", "import tcptop"], check=False, capture_output=True).returncode:
        pytest.skip("another user may not read this Python")
    error = run_as(as_user, "record", "--root", TREE, "-w", path)
    assert (KILLED in error) == (case == "journal")
    if case == "folder":
        assert "its folder" in error
    if case in ("file", "own file"):
        assert "may only read the file" in error
