"""`tcptop exporter` as a process: its first lines, its errors, the textfile, promtool and node_exporter."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from exporters import GUARD_S, PROJECT, command, free_port, port_of, run_exporter, started, wait_for_port
from made_look import cgroup, group, look_text, net, process, tree_with_look
from recorded import each_recording, ledger, tree

from tcptop.commands.exporter import DEFAULT_LISTEN, PORT, is_loopback, parse_address
from tcptop.exporter.exposition import text_0_0_4
from tcptop.named_files import write_bytes
from tcptop.report.as_metrics import metric_families

TREE = tree("6.1-4n", "established")
needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="needs the Debian package prometheus")
needs_node_exporter = pytest.mark.skipif(
    shutil.which("prometheus-node-exporter") is None, reason="needs the Debian package prometheus-node-exporter"
)


def fetch(port: int, path: str = "/metrics") -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=GUARD_S) as answer:
        return str(answer.read().decode())


@pytest.mark.quick_cases(3)
@needs_promtool
@each_recording
def test_promtool_has_no_remark(kernel: str, phase: str) -> None:
    text = text_0_0_4(metric_families(ledger(kernel, phase)))
    ran = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, timeout=GUARD_S, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")


@needs_promtool
def test_promtool_has_no_remark_on_the_whole_answer() -> None:
    with started("--listen", "127.0.0.1:0", "--who", "--who-top", "5") as (_, line):
        text = fetch(port_of(line))
    assert "process_cpu_seconds_total" in text
    ran = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=GUARD_S, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_the_first_line_says_where_it_listens_and_how_to_change_it() -> None:
    with started("--listen", "127.0.0.1:0", "--root", TREE) as (process, line):
        port = port_of(line)
        assert "--listen" in line
        assert "tcptop_sockets_allocated 16001" in fetch(port)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=GUARD_S)
        assert (process.returncode, errors) == (0, "")


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it(number: signal.Signals) -> None:
    with started("--listen", "127.0.0.1:0", "--root", TREE) as (process, _):
        process.send_signal(number)
        assert process.wait(timeout=GUARD_S) == 0


def test_an_address_that_others_reach_is_warned_of_in_one_line() -> None:
    with started("--listen", "0.0.0.0:0", "--listen", "127.0.0.1:0", "--root", TREE) as (process, line):
        assert line.count("http://") == 2
        process.terminate()
        _, errors = process.communicate(timeout=GUARD_S)
        assert errors.startswith("tcptop exporter: warning: other machines can read the metrics")
        assert errors.count("\n") == 1


def test_ipv6_and_several_addresses() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    with started("--listen", "[::1]:0", "--listen", "127.0.0.1:0", "--root", TREE) as (_, line):
        assert "http://[::1]:" in line
        assert "tcptop_build_info" in fetch(int(line.split("127.0.0.1:")[1].split("/")[0]))


def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = run_exporter("--listen", f"127.0.0.1:{taken.getsockname()[1]}", "--root", TREE)
    assert ran.returncode == 1
    assert "Address already in use" in ran.stderr
    assert ran.stderr.count("\n") == 1


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--listen", "9100"], "ADDRESS:PORT"),
        (["--listen", "::1:9100"], "[::1]"),
        (["--listen", "127.0.0.1:70000"], "ADDRESS:PORT"),
        (["--textfile", "/tmp/x.prom", "--listen", "127.0.0.1:0"], "--textfile"),
        (["--textfile", "/tmp/x.txt"], ".prom"),
        (["--textfile", "/nowhere/x.prom", "--root", str(TREE)], "No such file"),
        (["--who-top", "5"], "--who"),
        (["--every", "5"], "--textfile or --who"),
        (["--web.config.file", "/nowhere.yml", "--root", str(TREE)], "/nowhere.yml"),
    ],
)
def test_a_wrong_call_is_one_line(arguments: list[str], words: str) -> None:
    ran = run_exporter(*arguments)
    assert ran.returncode == 1
    assert words in ran.stderr
    assert ran.stderr.startswith("tcptop: ")
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("missing", "arguments", "extra"),
    [
        ("prometheus_client", [], "pip install prometheus-client"),
        ("yaml", ["--web.config.file", "x.yml"], "pip install PyYAML bcrypt"),
    ],
)
def test_a_missing_extra_is_one_line(missing: str, arguments: list[str], extra: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; from tcptop.cli import main; main(sys.argv[1:])"
    ran = subprocess.run(
        [sys.executable, "-c", code, "exporter", "--root", str(TREE), *arguments],
        capture_output=True, text=True, timeout=GUARD_S, check=False, cwd=PROJECT,
    )  # fmt: skip
    assert ran.returncode == 1
    assert extra in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_other_commands_do_not_import_the_library() -> None:
    code = "import sys; from tcptop.cli import main\ntry: main(['--json', '--root', sys.argv[1]])\nexcept SystemExit: pass\nassert 'prometheus_client' not in sys.modules"  # noqa: E501
    subprocess.run(
        [sys.executable, "-c", code, str(TREE)], stdout=subprocess.DEVNULL, timeout=GUARD_S, check=True, cwd=PROJECT
    )


def test_the_default_address_is_of_this_machine_alone() -> None:
    host, port = parse_address(DEFAULT_LISTEN)
    assert is_loopback(host)
    assert port == PORT > 9999


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("", False),
        ("0.0.0.0", False),
        ("web17", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def wait_for_file(path: Path) -> None:
    deadline_s = time.monotonic() + GUARD_S
    while not path.exists():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_the_textfile_is_readable_by_others_and_has_nothing_of_the_process(tmp_path: Path) -> None:
    path = tmp_path / "tcptop.prom"
    before = os.umask(0o077)
    try:
        with started("--textfile", path, "--every", "0.1", "--root", TREE) as (process, line):
            assert str(path) in line
            wait_for_file(path)
            first = path.stat()
            deadline_s = time.monotonic() + GUARD_S
            while path.stat().st_ino == first.st_ino:
                assert time.monotonic() < deadline_s
                time.sleep(0.05)
            text = path.read_text()
            process.terminate()
            assert process.wait(timeout=GUARD_S) == 0
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o644
    assert "process_" not in text
    assert "tcptop_sockets_allocated 16001" in text
    assert all(len(line.rpartition("}")[2].split()) <= 2 for line in text.splitlines() if not line.startswith("#"))
    assert [each.name for each in tmp_path.iterdir()] == ["tcptop.prom"]


def test_segments_that_are_queued_without_a_charge_are_no_lower_bound(tmp_path: Path) -> None:
    """80 MB of MSG_ZEROCOPY are queued; sockstat counts 861 pages, with an error of 8 MiB."""
    lines = (
        net(inuse=40, inuse6=0, tw=0, alloc=40, orphan=0, mem=861),
        group("whole:10", 20, server=False, fwd=100_000, wmem_queued=80_000_000, wqueue=70_000_000),
        group("whole:11", 20, "CLOSE_WAIT", rmem=1_000_000, rqueue=900_000),
        *(process(10, "sender"), process(11, "reader")),
    )
    root = tree_with_look(tmp_path, look_text(*lines))
    path = tmp_path / "tcptop.prom"
    with started("--textfile", path, "--root", root, "--who", "--who-top", "5"):
        wait_for_file(path)
        text = path.read_text()
    for metric, label in (("state", 'state="ESTABLISHED"'), ("owner", 'owner="sender"')):
        figures = re.findall(rf"(?m)^tcptop_{metric}_buffers_charged_(\w*?)_?bytes{{.*{label}.*}} (.*)$", text)
        bounds = {name: float(figure) for name, figure in figures}
        assert bounds == {"low": 100_000, "high": 861 * 4096 + (8 << 20)}
    assert "MSG_ZEROCOPY" in text
    assert '\ntcptop_state_buffers_charged_bytes{state="CLOSE_WAIT"} 1e+06' in text


def test_containers_with_long_paths_have_metrics_of_their_own(tmp_path: Path) -> None:
    pod = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod3f5c1a2b_9d1e_4c77_8a52_0b1c2d3e4f50.slice"
    paths = [f"{pod}/cri-containerd-{digit * 64}.scope" for digit in "ab"]
    lines = [net(inuse=330)]
    for number, each in enumerate(paths):
        lines += [group(f"whole:{10 + number}", 30 + 270 * number, cgroup=70 + number), cgroup(70 + number, each)]
        lines.append(process(10 + number, "nginx"))
    root = tree_with_look(tmp_path, look_text(*lines))
    path = tmp_path / "tcptop.prom"
    with started("--textfile", path, "--root", root, "--who", "--who-top", "5"):
        wait_for_file(path)
        text = path.read_text()
    found = re.findall(r'(?m)^tcptop_owner_estimated_sockets{cgroup="(.*)",owner="nginx"} (.*)$', text)
    assert {name: float(number) for name, number in found} == {paths[0]: 30, paths[1]: 300}


def test_the_textfile_is_never_seen_half_written(tmp_path: Path) -> None:
    path = tmp_path / "tcptop.prom"
    texts = [text_0_0_4(metric_families(ledger("6.1-8n", phase))) for phase in ("base", "established")]
    write_bytes(str(path), texts[0], 0o644, is_lasting=False)
    ended = threading.Event()

    def rewrite() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            write_bytes(str(path), texts[number % 2], 0o644, is_lasting=False)

    thread = threading.Thread(target=rewrite)
    thread.start()
    try:
        seen = {path.read_bytes() for _ in range(1000)}
        deadline_s = time.monotonic() + GUARD_S
        while len(seen) < len(texts) and time.monotonic() < deadline_s:
            seen.add(path.read_bytes())
    finally:
        ended.set()
        thread.join()
    assert seen == set(texts)


@pytest.mark.slow
@needs_node_exporter
def test_node_exporter_reads_the_textfile(tmp_path: Path) -> None:
    folder = tmp_path / "textfiles"
    folder.mkdir()
    folder.chmod(0o755)
    port = free_port()
    log = tmp_path / "log"
    with started("--textfile", folder / "tcptop.prom", "--every", "0.2"), log.open("wb") as log_file:
        wait_for_file(folder / "tcptop.prom")
        node_exporter = subprocess.Popen(
            [
                "prometheus-node-exporter",
                "--collector.disable-defaults",
                "--collector.textfile",
                f"--collector.textfile.directory={folder}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log_file,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for_port(port)
            for _ in range(5):
                text = fetch(port)
                assert "node_textfile_scrape_error 0" in text
                assert "tcptop_sockets_allocated " in text
                assert "node_textfile_mtime_seconds{" in text
                time.sleep(0.2)
        finally:
            node_exporter.terminate()
            node_exporter.wait(timeout=GUARD_S)
    assert "error gathering" not in log.read_text()


def test_a_user_without_rights_gets_what_anyone_may_read() -> None:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv (Debian package util-linux)")
    if not os.access(sys.executable, os.X_OK) or not Path("/proc/slabinfo").exists():
        pytest.skip("needs slabinfo")
    drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    readable = subprocess.run([*drop, sys.executable, "-c", "import tcptop"], cwd=PROJECT, check=False)
    if readable.returncode:
        pytest.skip("another user may not read this checkout")
    process = subprocess.Popen(
        [*drop, *command("--listen", "127.0.0.1:0")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=PROJECT,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        text = fetch(port_of(process.stdout.readline()))
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=GUARD_S)
    assert 'tcptop_source_up{source="slabinfo"} 0' in text
    assert "tcptop_cache_active_objects" not in text
    assert "may not read slabinfo" in errors
