"""SshHost with a real sshd on loopback: bytes, one request for many reads, and sessions that end, hang or flood."""

from __future__ import annotations

import errno
import gzip
import itertools
import resource
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from loopback_ssh import GUARD_S, NEEDS, LoopbackSsh, running, skip_reason

from tcptop.hosts import ssh_host, ssh_session
from tcptop.hosts.folder import FolderHost, max_file_bytes
from tcptop.hosts.host import FileRead, FolderRead, HostLostError
from tcptop.hosts.run_sync import run_sync, run_together
from tcptop.hosts.ssh_host import SshHost
from tcptop.hosts.ssh_session import SshSession
from tcptop.sock_diag import SOCKETS_ARE_LOCAL

pytestmark = pytest.mark.skipif(skip_reason() is not None, reason=str(skip_reason()))

CONSTANT = (
    "proc/sys/net/ipv4/tcp_mem",
    "proc/sys/net/ipv4/tcp_max_orphans",
    "proc/sys/net/ipv4/ip_local_port_range",
    "proc/sys/kernel/osrelease",
    "proc/version",
    "proc/cmdline",
    "sys/devices/system/cpu/online",
    "sys/kernel/slab/TCP/object_size",
)
WHOLE = ("sys/kernel/notes", "sys/kernel/btf/vmlinux")
PEAK_MIB = 64


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackSsh]:
    with running(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(autouse=True)
def _path(server: LoopbackSsh, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PATH", server.environment["PATH"])
    yield
    deadline_s = time.monotonic() + GUARD_S
    while server.clients():
        assert time.monotonic() < deadline_s, "an ssh stayed behind"
        time.sleep(0.02)


@pytest.fixture
def host() -> Iterator[SshHost]:
    host = SshHost("loop")
    yield host
    host.close()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The request lines of each exchange."""
    lines: list[list[str]] = []
    exchange = SshSession.exchange

    def count(session: SshSession, asked: Sequence[str], *rest: float) -> list[tuple[bytes, int]]:
        lines.append(list(asked))
        return exchange(session, asked, *rest)  # type: ignore[arg-type] # the numbers are passed on

    monkeypatch.setattr(SshSession, "exchange", count)
    return lines


def read(host: SshHost, *paths: str) -> list[FileRead]:
    return run_sync(host.read(paths))


@pytest.mark.parametrize("name", ["loop", "dash", "bash", "busybox", "csh", "noisy", "file"])
def test_files_and_folders_are_those_that_are_read_here(name: str) -> None:
    if name in NEEDS and shutil.which(NEEDS[name]) is None:
        pytest.skip(f"needs the Debian package {NEEDS[name]}")
    here, there = FolderHost(), SshHost(name)
    paths = [path for path in (*CONSTANT, *WHOLE) if Path(f"/{path}").exists()]
    try:
        own, asked = run_sync(here.read(paths)), read(there, *paths)
        assert [(file.path, file.data) for file in asked] == [(file.path, file.data) for file in own]
        for folder in ("sys/kernel/slab", "sys/devices/system/node"):
            assert run_sync(there.list_folder(folder)).entries == run_sync(here.list_folder(folder)).entries
        assert there.identity.page_size_bytes == here.identity.page_size_bytes
    finally:
        there.close()
        here.close()


def test_the_reads_of_one_turn_are_one_request(host: SshHost, sent: list[list[str]]) -> None:
    turn = [host.read(["proc/meminfo"]), host.read(["proc/net/sockstat", "proc/version"]), host.read(["proc/meminfo"])]
    for _ in range(2):
        first, second, third = run_together(turn)
        assert not isinstance(first, Exception)
        assert not isinstance(second, Exception)
        assert not isinstance(third, Exception)
        assert first[0].data == third[0].data
        assert [file.path for file in second] == ["proc/net/sockstat", "proc/version"]
        turn = [
            host.read(["proc/meminfo"]),
            host.read(["proc/net/sockstat", "proc/version"]),
            host.read(["proc/meminfo"]),
        ]
    for each in turn:
        each.close()
    assert [[line.split()[0] for line in lines] for lines in sent] == [["d", "d", "h", "t"], ["h", "t"]]


def test_why_a_file_is_missing_is_asked_once(host: SshHost, sent: list[list[str]]) -> None:
    for _ in range(3):
        there, missing, other = read(host, "proc/version", "proc/sys/net/netfilter/none", "etc/passwd")
        assert there.data
        assert isinstance(missing.error, FileNotFoundError | PermissionError)
        assert other.error is not None
        assert other.error.errno == errno.EINVAL
    assert sum(line.startswith("w") for lines in sent for line in lines) == 1
    folder = run_sync(host.list_folder("sys/devices/system/node/none"))
    assert isinstance(folder, FolderRead)
    assert isinstance(folder.error, FileNotFoundError)
    [sockets] = read(host, "sock_diag/sockets")
    assert SOCKETS_ARE_LOCAL in str(sockets.error)


def test_a_killed_session_is_made_again(server: LoopbackSsh, host: SshHost) -> None:
    read(host, "proc/version")
    server.signal_servers(signal.SIGKILL)
    with pytest.raises(HostLostError, match=r"^loop: .*"):
        read(host, "proc/version")
    deadline_s = time.monotonic() + 5
    while True:
        try:
            [file] = read(host, "proc/version")
        except HostLostError:
            assert time.monotonic() < deadline_s
            time.sleep(0.1)
        else:
            break
    assert file.data == Path("/proc/version").read_bytes()


@pytest.mark.slow
def test_a_stopped_session_is_given_up(server: LoopbackSsh, host: SshHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_session, "ANSWER_S", 1.0)
    server.signal_servers(signal.SIGSTOP)
    started_s = time.monotonic()
    with pytest.raises(HostLostError, match="loop: no answer in 1 s"):
        read(host, "proc/version")
    assert time.monotonic() - started_s < 5
    server.signal_servers(signal.SIGKILL)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("unknown", "Host key verification failed."),
        ("changed", "Host key verification failed."),
        ("closed", "Connection refused"),
        ("stranger", "Permission denied"),
        ("no-shell", "no shell for you"),
        ("zero", "its login prints more than 64 KiB"),
        ("escapes", "its login prints more than 64 KiB"),
    ],
)
def test_a_host_that_cannot_be_asked_says_why_in_one_line(name: str, words: str) -> None:
    with pytest.raises(OSError, match=words) as raised:
        SshHost(name)
    assert (raised.value.strerror or "").isprintable()


@pytest.mark.slow
def test_silence_before_and_after_the_greeting_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_session, "ANSWER_S", 1.5)
    with pytest.raises(OSError, match="no shell has answered in time"):
        SshHost("silent")
    host = SshHost("silent-later")
    with pytest.raises(HostLostError, match="no answer in"):
        read(host, "proc/version")
    host.close()


@pytest.mark.slow
def test_an_endless_answer_is_cut() -> None:
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    host = SshHost("zero-later")
    with pytest.raises(HostLostError, match="an answer of more than 16 MiB"):
        read(host, "proc/version")
    host.close()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < PEAK_MIB << 10


def test_attempts_are_rarer_and_rarer(host: SshHost, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [1000.0]
    attempts: list[float] = []

    def refuse(*_: object, **__: object) -> SshSession:
        attempts.append(now_s[0])
        raise ssh_session.SessionEndedError("ssh: Connection refused")

    host.close()
    host._closed = False
    monkeypatch.setattr(ssh_host, "SshSession", refuse)
    monkeypatch.setattr(time, "monotonic", lambda: now_s[0])
    lines = set()
    while now_s[0] < 2000:
        with pytest.raises(HostLostError) as raised:
            read(host, "proc/version")
        lines.add(str(raised.value).partition(";")[0])
        now_s[0] += 0.5
    pauses = [later - earlier for earlier, later in itertools.pairwise(attempts)]
    assert pauses[0] <= 2.5  # the previous session never answered, and was the first failure
    assert 30 <= pauses[-1] <= 61
    assert len(attempts) < 50
    assert "loop: ssh: Connection refused" in lines


@pytest.mark.parametrize(
    ("uid", "reason"),
    [
        (1000, "is for root only: --sudo, or --host root@loop"),
        (0, "is refused to root: by a container, a security module or the kernel's lockdown"),
    ],
)
def test_what_may_not_be_read_there_names_the_way_if_there_is_one(
    host: SshHost, uid: int, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {"h": b"==> /dev/null <==\n", "w": b"refused /proc/slabinfo\n", "t": b""}

    def exchange(session: SshSession, lines: Sequence[str], *__: float) -> list[tuple[bytes, int]]:
        assert session.hello is not None
        session.hello = session.hello._replace(uid=uid)
        return [(answers[line[0]], 0) for line in lines if line[0] in answers]

    monkeypatch.setattr(SshSession, "exchange", exchange)
    from tcptop.sources.slabinfo import SlabinfoSource

    reading = run_sync(SlabinfoSource().read(host))
    assert (reading.state, reading.reason) == ("refused", f"/proc/slabinfo {reason}")


def test_a_packed_answer_that_is_cut_off_is_an_error(host: SshHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where gzip was killed, its exit code may be lost; the end of its data tells."""
    path, data = "sys/kernel/notes", Path("/sys/kernel/notes").read_bytes()
    packed = gzip.compress(data)
    answer = packed

    def exchange(session: SshSession, lines: Sequence[str], *__: float) -> list[tuple[bytes, int]]:
        assert session.hello is not None
        session.hello = session.hello._replace(packs=True)
        return [(answer if line.startswith("c ") else b"", 0) for line in lines]

    monkeypatch.setattr(SshSession, "exchange", exchange)
    [whole] = read(host, path)
    assert (whole.data, whole.error) == (data, None)
    for length in range(len(packed)):
        answer = packed[:length]
        [cut] = read(host, path)
        assert cut.data is None
        assert cut.error is not None
        assert cut.error.strerror == "the answer of loop is cut off"
    answer = gzip.compress(bytes(max_file_bytes(path) + 1))
    [large] = read(host, path)
    assert large.error is not None
    assert large.error.errno == errno.EFBIG


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize(("look_us", "us_per_byte"), [(6_000, 0.2), (12_000, 0.4)])
def test_the_cost_of_a_byte_is_averaged_over_steps_of_the_clock(
    host: SshHost, look_us: int, us_per_byte: float
) -> None:
    step_us, found = 10_000, 0.0
    for look in range(1, 61):
        found = host._measure(1_000_000 + look * look_us // step_us * step_us, 30_000, 0)
    assert found == pytest.approx(us_per_byte, rel=0.06)
    assert host._measure(1_000_000 + 60 * look_us + 90_000, 30_000, 90_000) == pytest.approx(us_per_byte, rel=0.06)
