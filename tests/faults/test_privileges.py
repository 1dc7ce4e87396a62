"""Under sudo, files that other users can write to are read without root's privileges; files of root are read as
root.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import forked_program
import pytest
from program import TIME_LIMIT_S, program
from session import Session
from slow_case import slow

TREE = Path(__file__).resolve().parents[1] / "recordings" / "6.1-4n" / "established"
CALLER = 65_534
"""User and group who called sudo; in no other group (nobody on Debian and Fedora)."""
STRANGER = 54_321
DENIED = "Permission denied"
LAB_RESULT = {
    "schema": 1,
    "kernel": "6.1.0",
    "family": "ipv4",
    "page_size": 4096,
    "states": {"fin_wait2": {"parts": [{"row": "TCP", "objects": 1.0, "bytes": 2048.0}], "bytes": 2048.0}},
}


pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has privileges to drop")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of root that all users can read; pytest's own folder is closed to other users."""
    place = Path(tempfile.mkdtemp(prefix="tcptop-privileges-"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


def run(*arguments: str | Path, sudo: bool = True, **changes: str) -> subprocess.CompletedProcess[str]:
    """Runs the program as sudo does, in a supplementary group that a file could be readable for."""
    environment = dict(os.environ)
    for name in ("SUDO_UID", "SUDO_GID", "SUDO_USER"):
        environment.pop(name, None)
    if sudo:
        environment |= {"SUDO_UID": str(CALLER), "SUDO_GID": str(CALLER), **changes}
    return forked_program.run(*arguments, environment=environment, folder=Path("/"), extra_groups=[STRANGER])


def give(path: Path, owner: int, mode: int = 0o600) -> Path:
    """Gives a file, or a tree with all in it, to a user."""
    for each in [path, *path.rglob("*")]:
        os.chown(each, owner, owner, follow_symlinks=False)
        if not each.is_symlink():
            each.chmod(mode | 0o100 * each.is_dir())
    return path


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file or tree of each kind that a user can name."""
    place = tmp_path_factory.mktemp("originals")
    with tarfile.open(place / "archive", "w:gz") as archive:
        archive.add(TREE, "tree")
    shutil.copytree(TREE, place / "tree", symlinks=True)
    assert run("import", TREE, "-w", place / "recording", sudo=False).returncode == 0
    assert run("export", "-r", place / "recording", place / "export", sudo=False).returncode == 0
    (place / "lab").write_text(json.dumps(LAB_RESULT))
    return place


Make = Callable[..., Path]


@pytest.fixture
def make(originals: Path, folder: Path) -> Make:
    """A function that makes a file or tree of a given kind in a folder, readable only by the given owner."""

    def make_one(kind: str, owner: int, within: Path = folder) -> Path:
        original, path = originals / kind, within / kind
        if original.is_dir():
            shutil.copytree(original, path, symlinks=True)
        else:
            shutil.copy(original, path)
        return give(path, owner)

    return make_one


COMMANDS = {
    "--json --root archive": ("--json", "--root", "archive"),
    "-o --root tree": ("-o", "--root", "tree"),
    "--json -r recording": ("--json", "-r", "recording"),
    "-o -r archive": ("-o", "-r", "archive"),
    "-o -r export": ("-o", "-r", "export"),
    "diff tree archive": ("diff", str(TREE), "archive"),
    "diff recording live": ("diff", "--json", "recording", "live"),
    "diff live archive": ("diff", "live", "archive"),
    "diff lab lab": ("diff", "lab", "lab"),
    "import export": ("import", "export", "-w", "out/made"),
    "import recording": ("import", "recording", "-w", "out/made"),
    "export recording": ("export", "-r", "recording", "out/made"),
    "record --root archive": ("record", "--root", "archive", "-w", "out/made"),
    "explain --root archive": ("explain", "TCP", "--root", "archive"),
    "explain --lab lab": ("explain", "TCP", "--lab", "lab"),
    "--json --lab lab": ("--json", "--lab", "lab"),
    "--json --root tree --lab lab": ("--json", "--root", str(TREE), "--lab", "lab"),
    "lab --compare lab lab": ("lab", "--compare", "lab", "lab"),
}
"""Each way in which a file that the user names is read, and the kind of the file among the words."""

QUICK_COMMANDS = (
    "-o --root tree",
    "--json -r recording",
    "-o -r export",
    "diff lab lab",
    "import recording",
    "record --root archive",
)
"""A command for each kind of file, and two commands that write."""

each_command = pytest.mark.parametrize(
    "words",
    [words if name in QUICK_COMMANDS else slow(words) for name, words in COMMANDS.items()],
    ids=COMMANDS,
)

KINDS = ("archive", "tree", "recording", "export", "lab")


def arguments_with(words: tuple[str, ...], folder: Path, make: Make, owner: int) -> list[str]:
    """The arguments of a command, with the path of a new file of that owner in place of its kind."""
    (folder / "out").mkdir()
    os.chown(folder / "out", CALLER, CALLER)
    kinds = {word for word in words[1:] if word in KINDS}
    paths = {kind: str(make(kind, owner)) for kind in kinds}
    return [words[0], *(paths.get(word, word.replace("out/", f"{folder}/out/")) for word in words[1:])]


def assert_denied(*arguments: str | Path) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert DENIED in done.stderr


def owners(path: Path) -> set[tuple[int, int]]:
    """The users and groups of a file, or of a folder and all below it."""
    return {(status.st_uid, status.st_gid) for status in (each.lstat() for each in (path, *path.rglob("*")))}


@each_command
def test_a_strangers_file_is_not_read_with_roots_privileges(words: tuple[str, ...], folder: Path, make: Make) -> None:
    done = run(*arguments_with(words, folder, make, STRANGER))
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert DENIED in done.stderr
    assert f"read as user {CALLER}" in done.stderr
    assert not (folder / "out/made").exists()


@each_command
def test_the_callers_own_file_is_read_with_his_rights(words: tuple[str, ...], folder: Path, make: Make) -> None:
    done = run(*arguments_with(words, folder, make, CALLER))
    assert (done.returncode, done.stderr) == (0, "")
    if "out/made" in words:
        assert owners(folder / "out/made") == {(CALLER, CALLER)}
    else:
        assert done.stdout


@each_command
def test_what_belongs_to_root_alone_is_read_as_root(words: tuple[str, ...], folder: Path, make: Make) -> None:
    done = run(*arguments_with(words, folder, make, 0))
    assert (done.returncode, done.stderr) == (0, "")
    if "out/made" in words:
        assert owners(folder / "out/made") == {(0, 0)}


@pytest.mark.parametrize("words", [("--json", "-r", "recording"), ("-o", "--root", "tree"), ("diff", "lab", "lab")])
def test_a_root_login_reads_every_file_as_root(words: tuple[str, ...], folder: Path, make: Make) -> None:
    done = run(*arguments_with(words, folder, make, STRANGER), sudo=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_of_two_files_that_of_root_is_read_before_the_privileges_are_dropped(make: Make) -> None:
    roots, strangers = make("recording", 0), make("archive", CALLER)
    for names in ((roots, strangers), (strangers, roots), (roots, "live"), ("live", strangers)):
        done = run("diff", "--json", *names)
        assert (done.returncode, done.stderr) == (0, "")


def status_of(pid: int) -> dict[str, str]:
    """The fields of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: " ".join(value.split()) for name, _, value in (line.partition(":") for line in lines)}


@pytest.mark.slow
@pytest.mark.parametrize("option", ["-r", "--root"])
def test_the_screen_on_a_strangers_file_has_nothing_left_of_root(option: str, make: Make) -> None:
    path = make("recording" if option == "-r" else "archive", STRANGER)
    path.chmod(0o644)
    command, environment = program()
    words = [f"SUDO_UID={CALLER}", f"SUDO_GID={CALLER}", f"PYTHONPATH={environment['PYTHONPATH']}"]
    session = Session(["setpriv", "--groups", f"0,{STRANGER}", "env", *words, *command, option, str(path)])
    try:
        session.until_shown("established" if option == "-r" else "average now")
        status = status_of(session.process.pid)
        session.type("q")
        session.until_ended()
    finally:
        session.end()
    assert status["Uid"] == " ".join([str(CALLER)] * 4)
    assert status["Gid"] == " ".join([str(CALLER)] * 4)
    assert status["Groups"] == str(CALLER)
    assert status["NoNewPrivs"] == "1"
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_a_live_report_reads_the_kernel_as_root_and_a_lab_result_in_a_child_without_privileges(
    folder: Path, make: Make
) -> None:
    lab = make("lab", CALLER)
    command, environment = program()
    trace = folder / "trace"
    calls = "trace=openat,open,setresuid,setuid,setgroups,prctl,execve"
    strace = ["strace", "-f", "-qq", "-s", "200", "-e", calls, "-o", str(trace)]
    done = subprocess.run(
        [*strace, *command, "--json", "--lab", str(lab)],
        env={**environment, "SUDO_UID": str(CALLER), "SUDO_GID": str(CALLER)},
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["sources"]["slabinfo"]["state"] == "ok"
    lines = trace.read_text().splitlines()
    readers = [number for number, line in enumerate(lines) if f'openat(AT_FDCWD, "{lab}"' in line]
    assert readers
    for number in readers:
        pid = lines[number].split()[0]
        before = "\n".join(line for line in lines[:number] if line.split()[0] == pid)
        assert re.search(rf"setresuid\({CALLER}, {CALLER}, {CALLER}\) += 0", before)
        assert re.search(rf"setgroups\(1, \[{CALLER}\]\) += 0", before)
        assert re.search(r"PR_SET_NO_NEW_PRIVS, 1.* = 0", before)
        assert re.search(r"setuid\(0\) += -1 EPERM", before)
    slabinfo = next(line for line in lines if "/proc/slabinfo" in line)
    assert slabinfo.split()[0] not in {lines[number].split()[0] for number in readers}


@pytest.mark.parametrize(
    ("owner", "mode", "is_read"),
    [
        *((0, 0o755, True), (CALLER, 0o755, True), (0, 0o1777, True), (CALLER, 0o775, True)),
        *((STRANGER, 0o755, False), (0, 0o777, False), (STRANGER, 0o1777, False), (CALLER, 0o777, False)),
    ],
)
def test_the_folders_above_count(owner: int, mode: int, is_read: bool, folder: Path, make: Make) -> None:
    above = folder / "above"
    (above / "below").mkdir(parents=True)
    path = make("recording", 0, above / "below")
    os.chown(above, owner, CALLER)
    above.chmod(mode)
    done = run("--json", "-r", path)
    assert (done.returncode == 0) is is_read
    assert (DENIED in done.stderr) is not is_read


def test_a_file_that_others_may_write_to_is_a_strangers(make: Make) -> None:
    path = make("archive", 0)
    os.chown(path, 0, STRANGER)
    path.chmod(0o660)
    assert DENIED in run("--json", "--root", path).stderr
    path.chmod(0o640)
    assert run("--json", "--root", path).returncode == 0


@pytest.mark.parametrize("place", ["proc/slabinfo", "proc/net/sockstat", "sys/devices"])
def test_one_entry_of_a_stranger_makes_a_tree_his(place: str, make: Make) -> None:
    tree = make("tree", 0)
    os.chown(tree / place, STRANGER, STRANGER)
    assert_denied("--json", "--root", tree)


def test_a_link_of_a_stranger_is_not_followed_as_root(folder: Path, make: Make) -> None:
    path = make("archive", 0)
    link = folder / "link"
    link.symlink_to(path)
    assert run("--json", "--root", link).returncode == 0
    os.chown(link, STRANGER, STRANGER, follow_symlinks=False)
    assert DENIED in run("--json", "--root", link).stderr
    loop = folder / "loop"
    loop.symlink_to(loop)
    assert len(run("--json", "--root", loop).stderr.splitlines()) == 1


def test_a_link_to_this_machines_proc_does_not_make_a_tree_live(make: Make) -> None:
    tree = make("tree", STRANGER)
    shutil.rmtree(tree / "proc")
    (tree / "proc").symlink_to("/proc")
    assert_denied("--json", "--root", tree)


def test_a_journal_of_a_stranger_is_not_rolled_back_as_root(folder: Path, make: Make) -> None:
    path = make("recording", 0)
    journal = folder / "recording-journal"
    journal.write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(1024))
    os.chown(journal, STRANGER, STRANGER)
    content = path.read_bytes()
    done = run("--json", "-r", path)
    assert (done.returncode, done.stdout) == (1, "")
    assert path.read_bytes() == content
    journal.write_bytes(bytes(1024))
    login = run("--json", "-r", path, sudo=False)
    assert (login.returncode, login.stdout) == (1, "")
    assert "not of the owner" in login.stderr


def test_a_file_that_is_missing_is_said_to_be(folder: Path) -> None:
    for words in (("--json", "--root"), ("--json", "-r"), ("--json", "--lab"), ("diff", "live")):
        done = run(*words, folder / "missing")
        assert done.returncode == 1
        assert "No such file or directory" in done.stderr


@pytest.mark.parametrize("uid", ["", "-1", "nobody", "4294967295", "٣", "99999999999"])
def test_a_caller_that_is_no_user_is_an_error_of_one_line(uid: str, make: Make) -> None:
    path = make("archive", STRANGER)
    done = run("--json", "--root", path, SUDO_UID=uid)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert "SUDO_UID" in done.stderr


def test_a_caller_that_is_root_reads_as_root(make: Make) -> None:
    path = make("archive", STRANGER)
    assert run("--json", "--root", path, SUDO_UID="0", SUDO_GID="0").returncode == 0


@pytest.mark.slow
def test_a_hostile_lab_result_is_refused_with_the_same_line_as_without_sudo(folder: Path) -> None:
    path = folder / "lab"
    hostile = ("[" * 100_000, "{}", '{"states": {}, "schema": 2}', '{"states": {"a": 1e999}}', '"\u202e"', "\xff" * 9)
    for text in hostile:
        path.write_text(text)
        give(path, CALLER)
        under_sudo, as_root = (run("--json", "--lab", path, sudo=sudo) for sudo in (True, False))
        assert (under_sudo.returncode, under_sudo.stderr) == (1, as_root.stderr)
        assert len(under_sudo.stderr.splitlines()) == 1


def test_root_adds_nothing_to_a_recording_of_a_stranger(make: Make) -> None:
    path = make("recording", CALLER)
    content = path.read_bytes()
    done = run("record", "--for", "0.1", "-w", path)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert path.read_bytes() == content
    give(path, 0)
    assert run("record", "--for", "0.1", "-w", path).returncode == 0
    assert len(run("--json", "-r", path).stdout.splitlines()) >= 2


@pytest.mark.slow
@pytest.mark.parametrize(("owner", "message"), [(CALLER, "theme: one of dark, light"), (STRANGER, DENIED)])
def test_the_settings_of_another_user_are_read_in_a_child(owner: int, message: str, folder: Path, make: Make) -> None:
    path = make("archive", 0)
    (folder / "tcptop").mkdir()
    (folder / "tcptop" / "config.toml").write_text('theme = "blue"\n')
    give(folder / "tcptop", owner)
    command, environment = program()
    words = [f"SUDO_UID={CALLER}", f"SUDO_GID={CALLER}", f"PYTHONPATH={environment['PYTHONPATH']}"]
    session = Session(["env", f"XDG_CONFIG_HOME={folder}", *words, *command, "--root", str(path)])
    try:
        session.until_shown(message)
        assert status_of(session.process.pid)["Uid"] == "0 0 0 0"
    finally:
        session.end()
