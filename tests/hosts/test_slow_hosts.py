"""Hosts that answer too slowly, never, or with garbage: waiting times, the number of requests, and messages."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest
from fake_ssh import FAKES, GREETS, put_first

from tcptop.cli import main
from tcptop.hosts import ssh_session
from tcptop.hosts.host import HostLostError
from tcptop.hosts.remote_shell import find_hello
from tcptop.hosts.run_sync import run_sync
from tcptop.hosts.ssh_host import SshHost

WORDS = {
    "sleeps": "no shell has answered in time",
    "dribbles": "no shell has answered in time",
    "garbage": "its login prints more than 64 KiB",
    "closes": "Connection closed by remote host",
    "greets and sleeps": "no answer in",
    "greets and dribbles": "no whole answer in",
    "greets and closes": "Connection reset by peer",
    "greets and answers garbage": "its answer was not understood",
}
COMMANDS = (
    (("check", "--host", "far"), 3),
    (("plan", "--connections", "1", "--host", "far"), 2),
    (("-o", "--host", "far"), 1),
    (("--json", "--host", "far"), 1),
    (("--json", "-n", "2", "-d", "0.1", "--host", "far"), 1),
)


@pytest.fixture(autouse=True)
def _short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_session, "ANSWER_S", 0.5)


@pytest.mark.parametrize(("arguments", "code"), COMMANDS)
@pytest.mark.parametrize("fake", FAKES)
def test_a_command_ends_with_its_own_exit_code_and_one_line(
    fake: str,
    arguments: tuple[str, ...],
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    put_first(monkeypatch, tmp_path, FAKES[fake])
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    printed = capsys.readouterr()
    line = printed.out if arguments[0] == "check" else printed.err
    assert ended.value.code == code
    assert line.count("\n") == 1
    assert line.isprintable() or line[:-1].isprintable()
    assert f"far: {WORDS[fake]}" in line
    if arguments[0] != "check":
        assert printed.out == ""


def test_a_host_that_has_never_answered_is_not_asked_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_first(monkeypatch, tmp_path, f"echo x >> {tmp_path}/starts\n{FAKES['greets and closes']}")
    host = SshHost("far")
    reasons = []
    end_s = time.monotonic() + 0.4  # the first delay is half a second at least
    while time.monotonic() < end_s:
        with pytest.raises(HostLostError) as raised:
            run_sync(host.read(["proc/version"]))
        reasons.append(str(raised.value))
    host.close()
    assert (tmp_path / "starts").read_text().count("x") == 1
    assert reasons[0] == "far: Connection reset by peer"
    assert reasons[-1] == "far: Connection reset by peer; again in 1 s"


@pytest.mark.slow
@pytest.mark.parametrize(("bytes_per_s", "is_answered"), [(8_000, False), (400_000, True)])
def test_an_answer_that_comes_steadily_has_more_time(
    bytes_per_s: int, is_answered: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_session, "STEADY_STEP_S", 0.1)
    pieces = 20 if is_answered else 100
    piece = f"head -c {bytes_per_s // 10} /dev/zero | tr '\\0' y; sleep 0.1"
    answer = f"{piece}\n" * pieces
    end = "printf '\\n%s 0\\n' $nonce; printf '0m0.000s\\n\\n%s 0\\n' $nonce; exec sleep 600"
    put_first(
        monkeypatch,
        tmp_path,
        f"{GREETS}read -r line; read -r line; printf '==> /dev/null <==\\n\\n==> /proc/version <==\\n'\n{answer}{end}",
    )
    host = SshHost("far")
    try:
        if is_answered:
            [file] = run_sync(host.read(["proc/version"]))
            assert file.data == b"y" * (bytes_per_s // 10 * pieces)
        else:
            with pytest.raises(HostLostError, match="no whole answer in"):
                run_sync(host.read(["proc/version"]))
    finally:
        host.close()


def test_even_a_steady_answer_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_session, "STEADY_STEP_S", 0.1)
    monkeypatch.setattr(ssh_session, "STEADY_ANSWER_S", 1.0)
    endless = "while :; do head -c 20000 /dev/zero | tr '\\0' y; sleep 0.05; done"
    put_first(monkeypatch, tmp_path, f"{GREETS}{endless}")
    host = SshHost("far")
    with pytest.raises(HostLostError, match="no whole answer in 1 s"):
        run_sync(host.read(["proc/version"]))
    host.close()


def test_only_a_real_page_size_is_believed() -> None:
    sizes = [1 << shift for shift in range(10, 21)]
    odd = [*itertools.chain.from_iterable((size - 1, size + 1) for size in sizes), 0, 1, 4000, 9_999_999]
    for size in (*sizes, *odd):
        found = find_hello(f"\nabc hello 0 {size} Linux cat\n".encode(), "abc")
        assert found is not None
        assert found[0].page_size_bytes == (size if size in sizes and 1 << 12 <= size <= 1 << 18 else None)
