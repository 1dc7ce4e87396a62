"""`tcptop lab`: a problem is one line and exit code 1, before any connection is opened."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from lab_program import LAB
from lab_results import result
from recorded import MemoryHost

from tcptop.cli import main
from tcptop.commands import lab as command
from tcptop.errors import TcptopError
from tcptop.lab import preconditions
from tcptop.lab.as_json import result_as_json
from tcptop.lab.preconditions import choose_connections, is_tls_loaded
from tcptop.lab.result_file import load_measurement


def lab(*arguments: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """Runs `tcptop lab` in a process of its own, after the code `before`."""
    return subprocess.run(
        [sys.executable, "-c", LAB.format(before=before), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def error_line(done: subprocess.CompletedProcess[str]) -> str:
    """The one line on standard error of a run that failed."""
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("tcptop: ")
    return line


def with_memory(mebibytes: int) -> MemoryHost:
    """A host with this much memory available."""
    return MemoryHost({"proc/meminfo": f"MemTotal: 1 kB\nMemAvailable: {mebibytes << 10} kB\n".encode()})


def with_descriptors(monkeypatch: pytest.MonkeyPatch, hard: int) -> None:
    """Gives this process a hard limit on descriptors."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (min(1024, hard), hard))
    # Refuses to raise the limit, as in a container, and keeps the limits of the test process.
    monkeypatch.setattr(resource, "setrlimit", refuse)


def test_without_root_the_lab_is_refused() -> None:
    before = "os.setuid(65534)" if os.geteuid() == 0 else ""
    line = error_line(lab(before=before))
    assert "lab needs root" in line
    assert "sudo" in line


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be refused a namespace")
def test_without_the_right_to_make_a_namespace_the_lab_is_refused() -> None:
    drop = (
        "import ctypes\n"
        "libc = ctypes.CDLL(None)\n"
        "assert libc.prctl(24, 21, 0, 0, 0) == 0  # PR_CAPBSET_DROP, CAP_SYS_ADMIN\n"
    )
    line = error_line(lab("--connections", "1000", before=drop))
    assert "network namespace" in line
    assert "Operation not permitted" in line


@pytest.mark.skipif(os.geteuid() != 0, reason="without root that is refused first")
def test_a_low_limit_on_descriptors_is_named() -> None:
    low = "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (300, 300))"
    assert "2 040 to begin with, of 300" in error_line(lab(before=low))


@pytest.mark.skipif(os.geteuid() != 0, reason="without root that is refused first")
def test_an_output_file_that_cannot_be_written_is_refused_first(tmp_path: Path) -> None:
    assert "No such file or directory" in error_line(lab("-w", str(tmp_path / "none" / "file")))
    assert "Is a directory" in error_line(lab("-w", str(tmp_path)))


def test_a_result_that_cannot_be_written_is_still_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(command, "_measure", lambda _: result())
    with pytest.raises(SystemExit, match="1"):
        main(["lab", "-w", str(tmp_path / "gone" / "file")])
    captured = capsys.readouterr()
    assert "TIME_WAIT accepted" in captured.out
    assert "Saved" not in captured.out
    assert captured.err == f"tcptop: -w {tmp_path}/gone/file: No such file or directory\n"


def test_the_report_names_the_use_of_a_written_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "_measure", lambda _: result())
    path = str(tmp_path / "lab.json")
    assert command.run(["-w", path]) == 0
    assert f"tcptop --lab {path}" in capsys.readouterr().out
    assert load_measurement(path).kernel_release == "6.18.0"


def test_comparing_with_a_missing_file_is_refused() -> None:
    assert "No such file" in error_line(lab("--compare", "/nonexistent"))


def test_two_files_are_compared_without_root(tmp_path: Path) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    for path, kernel in zip(paths, ("6.1.0", "7.3.0"), strict=True):
        path.write_text(json.dumps(result_as_json(result(kernel))))
    before = "os.setuid(65534)" if os.geteuid() == 0 and os.access(tmp_path.parent, os.X_OK) else ""
    for path in (tmp_path, *tmp_path.parents):
        if before and not path.stat().st_mode & 0o001:
            before = ""
    done = lab("--json", "--compare", *map(str, paths), before=before)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["kernels"] == ["6.1.0", "7.3.0"]


def test_the_default_number_of_connections_is_within_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    with_descriptors(monkeypatch, 1_000_000)
    assert choose_connections(None, with_memory(8192)) == preconditions.DEFAULT_CONNECTIONS
    with_descriptors(monkeypatch, 4096)
    assert choose_connections(None, with_memory(8192)) == 1028
    with_descriptors(monkeypatch, resource.RLIM_INFINITY)
    assert choose_connections(None, with_memory(64)) == 2048


def test_kernel_tls_takes_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    with_descriptors(monkeypatch, 1_000_000)
    assert choose_connections(None, with_memory(512), ("established",)) == preconditions.DEFAULT_CONNECTIONS
    assert choose_connections(None, with_memory(512), ("established", "ktls")) == 3968


def test_only_a_loaded_module_makes_kernel_tls_a_state_that_is_measured_unasked() -> None:
    assert not is_tls_loaded(MemoryHost())
    assert is_tls_loaded(MemoryHost({"proc/net/tls_stat": b"TlsCurrTxSw 0\n"}))
    # A sandbox may refuse the file, so the lab asks the kernel itself.
    assert is_tls_loaded(MemoryHost({"proc/net/tls_stat": PermissionError(13, "Permission denied")}))


def test_an_unknown_state_is_refused() -> None:
    line = error_line(lab("--states", "ktls,tls"))
    assert line.startswith("tcptop: ")
    assert "not 'tls'" in line


def refuse(*_: object) -> None:
    raise ValueError("not allowed to raise maximum limit")


@pytest.mark.parametrize(
    ("requested", "hard", "mebibytes", "message"),
    [
        (
            8000,
            4096,
            8192,
            "at most 1028 here: two file descriptors each and 2 040 to begin with, of 4 096; raise ulimit -Hn",
        ),
        (30_000, 1_000_000, 8192, "at most 24000 here: each needs a local port"),
        (8000, 1_000_000, 64, "at most 2048 here: 64.0 MiB of memory"),
        (10, 1_000_000, 8192, "at least 1000"),
        (None, 100, 8192, "lab needs room for at least 1 000 connections"),
    ],
)
def test_more_connections_than_the_limits_allow_are_refused(
    monkeypatch: pytest.MonkeyPatch, requested: int | None, hard: int, mebibytes: int, message: str
) -> None:
    with_descriptors(monkeypatch, hard)
    with pytest.raises(TcptopError, match=message) as caught:
        choose_connections(requested, with_memory(mebibytes))
    assert "\n" not in str(caught.value)
