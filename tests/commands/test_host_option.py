"""--host: every command on another machine, with an sshd on loopback, and options that cannot be combined with
--host.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from loopback_ssh import LoopbackSsh, run_tcptop, running, skip_reason
from session import Session

from tcptop.hosts.host import Host, Identity
from tcptop.screen.feed import host_options

needs_sshd = pytest.mark.skipif(skip_reason() is not None, reason=str(skip_reason()))

STABLE_SOURCES = ("slabinfo", "slab_links", "slab_sizes", "slab_counts", "sockstat", "sysctls", "topology", "zoneinfo")
CONSTANT_OF_CACHE = (
    "name",
    "aliases",
    "objects_of",
    "shared",
    "object_bytes",
    "object_size",
    "objects_per_slab",
    "order",
)
CONSTANT_OF_LIMIT = ("name", "concerns", "scope", "unit", "then", "warn_percent", "critical_percent")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackSsh]:
    with running(tmp_path_factory.mktemp("sshd")) as server:
        yield server
        assert server.clients() == []


def report(server: LoopbackSsh, *arguments: str) -> dict[str, Any]:
    ran = server.tcptop("--json", *arguments)
    assert ran.stderr == ""
    assert ran.returncode == 0
    document: dict[str, Any] = json.loads(ran.stdout)
    return document


def shape(value: object) -> object:
    """The parts that cannot change between two reports of one machine: the keys, and which figures are known."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value[:1]]
    return value is None


def constants(document: dict[str, Any]) -> dict[str, Any]:
    """The figures of a report that stay the same for seconds."""
    caches = {cache["row"]: [cache[key] for key in CONSTANT_OF_CACHE] for cache in document["caches"]}
    limits = {limit["name"]: [limit[key] for key in CONSTANT_OF_LIMIT] for limit in document["limits"]}
    costs = {
        family: {side: [part["object"] for part in cost["parts"]] for side, cost in sides.items() if cost}
        for family, sides in document["bytes_per_connection"]["full"].items()
        if isinstance(sides, dict) and family != "mix"  # changes with the sockets of other programs
    }
    sources = {name: [each["state"], each["reason"]] for name, each in document["sources"].items()}
    zones = [
        [
            node["node"],
            node["cpu_list"],
            node["memory_bytes"],
            [(zone["zone"], zone["managed_pages"], zone["min_pages"]) for zone in node["zones"]],
        ]
        for node in document["nodes"]
    ]
    return {
        "host": document["host"],
        "live": document["live"],
        "caches": caches,
        "limits": limits,
        "costs": costs,
        "sources": sources,
        "zones": zones,
        "tcp_mem": document["sockets"]["tcp_mem_pages"],
        "keys": list(document),
    }


@needs_sshd
def test_the_json_is_that_of_the_machine_itself(server: LoopbackSsh) -> None:
    there, here = report(server, "--host", "loop"), report(server)
    assert constants(there) == constants(here)
    for key in ("sockets", "slab_memory", "tcp_memory", "headroom", "states"):
        assert shape(there[key]) == shape(here[key])
    assert all(there["sources"][name]["state"] == "ok" for name in STABLE_SOURCES)


@needs_sshd
@pytest.mark.slow
@pytest.mark.parametrize("name", ["dash", "bash", "busybox", "csh", "noisy", "file"])
def test_the_json_is_the_same_with_every_shell(server: LoopbackSsh, name: str) -> None:
    assert constants(report(server, "--host", name)) == constants(report(server))


@pytest.mark.slow
@needs_sshd
def test_several_reports_use_one_session_and_have_rates(server: LoopbackSsh) -> None:
    ran = server.tcptop("--json", "-n", "4", "-d", "0.3", "--host", "loop")
    assert ran.returncode == 0
    samples = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(samples) == 4
    assert any(event["per_s"] is not None for event in samples[3]["events"].values())
    assert all(each["sources"]["sockstat"]["state"] == "ok" for each in samples)


@pytest.mark.slow
@needs_sshd
def test_a_recording_of_another_machine_is_shown_again(server: LoopbackSsh, tmp_path: Path) -> None:
    file, folder = tmp_path / "web.tcptop", tmp_path / "tree"
    ran = server.tcptop("record", "-w", file, "--host", "loop", "-d", "0.3", "--for", "1")
    assert (ran.returncode, ran.stderr) == (0, "")
    samples = [json.loads(line) for line in server.tcptop("--json", "-r", file).stdout.splitlines()]
    assert len(samples) > 1
    assert samples[-1]["live"] is True
    assert constants(samples[-1])["costs"] == constants(report(server))["costs"]
    ran = server.tcptop("export", "--host", "loop", folder)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert (folder / "000001/proc/version").read_bytes() == Path("/proc/version").read_bytes()
    assert (folder / "000001/sample.json").stat().st_mode & 0o077 == 0
    ran = server.tcptop("diff", file, "ssh:loop")
    assert ran.returncode == 0
    assert "ssh:loop" in ran.stdout
    ran = server.tcptop("diff", "--json", "--host", "loop", folder / "000001", "live")
    assert ran.returncode == 0
    assert json.loads(ran.stdout)


@needs_sshd
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("-o",), 0, "what TCP costs this kernel"),
        (("explain", "TCP"), 0, "tcp_sock"),
        (("plan", "--connections", "1000"), 0, "1 000"),
        (("check", "memory"), 0, "OK"),
    ],
)
def test_every_command_takes_it(server: LoopbackSsh, arguments: tuple[str, ...], code: int, words: str) -> None:
    ran = server.tcptop(*arguments, "--host", "loop")
    assert (ran.returncode, ran.stderr) == (code, "")
    assert words.lower() in ran.stdout.lower()


@needs_sshd
@pytest.mark.parametrize(
    ("name", "words"),
    [("unknown", "Host key verification failed"), ("changed", "Host key verification failed"), ("closed", "refused")],
)
def test_a_host_that_cannot_be_reached_is_one_line(server: LoopbackSsh, name: str, words: str) -> None:
    ran = server.tcptop("--json", "--host", name)
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"tcptop: {name}: ")
    assert ran.stderr.count("\n") == 1
    assert words in ran.stderr
    assert server.tcptop("plan", "--connections", "1", "--host", name).returncode == 2
    checked = server.tcptop("check", "--host", name)
    assert checked.returncode == 3
    assert words in checked.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--json", "--host=-oProxyCommand=id"), "a name as ssh takes it"),
        (("--json", "--host", ""), "--host: is empty"),
        (("--json", "--host", "a b"), "a name as ssh takes it"),
        (("plan", "--connections", "1", "--host", "web[01-40],db1"), "at a time; 'web[01-40],db1' names 41"),
        (("--json", "--host", "web[01-40],-oProxyCommand=id"), "a name as ssh takes it"),
        (("--json", "--host", "@/nonexistent/file"), "--host @/nonexistent/file: No such file"),
        (("-o", "-n", "2", "--host", "web[01-40],db1"), "-o is one table of several machines"),
        (("--json", "--cgroup", "a.slice", "--host", "web[01-40],db1"), "go with one machine"),
        (("--json", "-s", "c", "--host", "web[01-40],db1"), "keys sort the table of several"),
        (("--json", "--host", "web[001-400]"), "a table has 200 at most"),
        (("diff", "ssh:-oProxyCommand=id", "live"), "a name as ssh takes it"),
        (("--json", "--host", "web17", "--root", "/tmp"), "it goes without --root and -r"),
        (("--host", "web17", "-r", "FILE"), "it goes without --root and -r"),
        (("record", "-w", "FILE", "--host", "web17", "--root", "/host"), "it goes without --root and -r"),
        (("export", "-r", "FILE", "--host", "web17", "DIR"), "it goes without --root and -r"),
        (("export", "DIR"), "a recording, -r FILE, or a machine, --host NAME"),
        (("who", "--host", "web17"), "the kernel is asked for its sockets on the machine itself"),
        (("--json", "--sudo"), "--sudo goes with --host NAME"),
        (("diff", "--host", "web17", "A", "B"), "neither is"),
    ],
)
def test_what_cannot_be_combined_is_one_line(arguments: tuple[str, ...], words: str) -> None:
    ran = run_tcptop(*arguments)
    assert ran.returncode == (2 if arguments[0] == "plan" else 1)
    assert ran.stdout == ""
    assert ran.stderr.startswith("tcptop: ")
    assert ran.stderr.count("\n") == 1
    assert words in ran.stderr


@needs_sshd
@pytest.mark.slow
def test_the_screen_says_that_a_session_is_lost_and_goes_on(server: LoopbackSsh) -> None:
    command = [sys.executable, "-m", "tcptop", "--host", "loop"]
    session = Session(command, environment=server.environment, folder=Path(__file__).resolve().parents[2])
    try:
        session.until_shown("live 2 s")
        session.until_shown("TCPv6")
        server.signal_servers(signal.SIGKILL)
        session.until_shown("loop: ")
        session.until(lambda: "loop: " not in session.screen.text() and "TCPv6" in session.screen.text(), "it is back")
        session.type("q")
        assert session.until_ended() == 0
    finally:
        session.end()
    session.wait(lambda: not server.clients(), "no ssh is left")


@needs_sshd
@pytest.mark.slow
def test_ssh_asks_on_the_terminal_before_the_screen_begins(server: LoopbackSsh) -> None:
    command = [sys.executable, "-m", "tcptop", "--host", "unknown", "-d", "0.5"]
    session = Session(command, environment=server.environment, folder=Path(__file__).resolve().parents[2])
    try:
        session.until_shown("Are you sure you want to continue connecting")
        session.type("yes\n")
        session.until_shown("TCPv6")
        session.type("q")
        assert session.until_ended() == 0
    finally:
        session.end()
        (server.folder / "none").write_text("")


@needs_sshd
@pytest.mark.slow
def test_ctrl_c_ends_the_question_and_leaves_no_ssh(server: LoopbackSsh) -> None:
    command = [sys.executable, "-m", "tcptop", "--host", "unknown"]
    session = Session(command, environment=server.environment, folder=Path(__file__).resolve().parents[2])
    try:
        session.until_shown("Are you sure you want to continue connecting")
        session.type("\x03")
        assert session.until_ended() in (0, 1)
        assert session.attributes() == session.before
        session.wait(lambda: not server.clients(), "no ssh is left")
    finally:
        session.end()


def test_the_screen_names_the_options_of_the_host() -> None:
    class Remote:
        identity = Identity(live=True, place="ssh:root@db1", remote_name="root@db1", remote_sudo=True)

    assert host_options(cast("Host", Remote()), "a.slice") == ["--host", "root@db1", "--sudo", "--cgroup", "a.slice"]
