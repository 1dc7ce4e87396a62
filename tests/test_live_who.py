"""`tcptop who` on this machine's kernel: loads are named correctly, sums agree, and only the promised files are read.

The benchmarks who.py and who_screen.py measure the costs.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from session import Session

PROJECT = Path(__file__).resolve().parents[1]
LOADS = PROJECT / "tests/socket_loads.py"
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
GUARD_S = 100
Json = dict[str, Any]


def skip_reason() -> str | None:
    """The reason why this machine cannot run these tests; None if it can."""
    if os.geteuid() != 0:
        return "only root can make network namespaces"
    if subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode:
        return "a network namespace cannot be created here"
    done = subprocess.run(tcptop("who", "--here"), capture_output=True, text=True, check=False, cwd=PROJECT)
    return done.stderr.strip() or None


def tcptop(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "tcptop", *map(str, arguments)]


pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("live kernel")]


@pytest.fixture(autouse=True, scope="module")
def _runs_here() -> None:
    reason = skip_reason()
    if reason is not None:
        pytest.skip(reason)


class Load(NamedTuple):
    """A running load."""

    namespace: int
    pid: int


@contextmanager
def load(name: str, count: int) -> Iterator[Load]:
    """Runs a load of tests/socket_loads.py until the end of the block."""
    command = [sys.executable, str(LOADS), name, str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        words = child.stdout.readline().split()
        assert words[:1] == ["ready"], words
        try:
            yield Load(int(words[1]), int(words[2]))
        finally:
            child.kill()


def run(*arguments: str | Path, prefix: Sequence[str] = ()) -> str:
    done = subprocess.run(
        [*prefix, *tcptop(*arguments)], capture_output=True, text=True, timeout=GUARD_S, check=False, cwd=PROJECT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def look(*arguments: str, prefix: Sequence[str] = ()) -> Json:
    """One reading of all sockets, with all groups."""
    found: Json = json.loads(run("who", "--json", "--top", "100000", *arguments, prefix=prefix))
    return found


def sockets(found: Json, of: Load, kind: str, state: str, **wanted: object) -> int:
    """The number of sockets of a namespace with this kind of owner and this state."""
    return sum(
        group["sockets"]
        for group in found["groups"]
        if (group["netns"], group["owner"]["kind"], group["state"]) == (of.namespace, kind, state)
        and wanted.items() <= {**group, **group["owner"]}.items()
    )


def verdicts(found: Json) -> set[str]:
    return {each["kind"] for each in found["verdicts"]}


def test_sockets_that_the_peer_has_closed() -> None:
    with load("close_wait", 600) as of:
        found = look()
        assert sockets(found, of, "process", "CLOSE_WAIT", comm="hoarder", pid=of.pid, port=8080) == 600
        assert any(text.startswith(f"hoarder[{of.pid}] holds") for text in (each["text"] for each in found["verdicts"]))


def test_a_queue_that_nobody_accepts_from() -> None:
    with load("never_accept", 300) as of:
        found = look()
        [listener] = [each for each in found["listeners"] if each["netns"] == of.namespace]
        assert (listener["queue"], listener["limit"], listener["owner"]["comm"]) == (301, 300, "sleeper")
        assert sockets(found, of, "queue", "ESTABLISHED", comm="sleeper") == 301
        assert f"sleeper[{listener['owner']['pid']}] :8080 accept queue 301 of 300, FULL" in str(found["verdicts"])


def test_a_listener_alone_has_its_user_and_cgroup() -> None:
    with load("connected", 0) as of:
        [each] = [group for group in look()["groups"] if group["netns"] == of.namespace]
        assert (each["state"], each["owner"]["comm"], each["uid"]) == ("LISTEN", "idle", 0)
        assert each["cgroup"] is None or not each["cgroup"]["path"].startswith("gone")


def test_two_listeners_of_one_port_share_their_queue() -> None:
    with load("shared_port", 400) as of:
        found = look()
        queues = {each["owner"]["comm"]: each["queue"] for each in found["listeners"] if each["netns"] == of.namespace}
        assert queues.keys() == {"left", "right"}
        assert sum(queues.values()) == 400
        for name, waiting in queues.items():
            assert abs(sockets(found, of, "queue", "ESTABLISHED", comm=name, estimated=True) - waiting) <= 1


def test_a_listener_of_ipv6_has_the_connections_of_ipv4_in_its_queue() -> None:
    with load("dual_stack", 50) as of:
        found = look()
        assert sockets(found, of, "queue", "ESTABLISHED", comm="sleeper", estimated=False) == 50


@pytest.mark.parametrize(("name", "found_by"), [("in_thread", "thread"), ("by_descriptor", "descriptor")])
def test_a_namespace_without_a_process(name: str, found_by: str) -> None:
    with load(name, 15) as of:
        found = look()
        [namespace] = [each for each in found["namespaces"] if each["inode"] == of.namespace]
        assert (namespace["found_by"], namespace["asked"], namespace["inuse"]) == (found_by, "asked", 31)
        assert sockets(found, of, "process", "ESTABLISHED", comm="threaded", pid=of.pid) == 30


def test_a_namespace_that_only_sockets_hold_is_said_to_be_missing() -> None:
    with load("by_sockets", 100) as of:
        found = look()
        assert of.namespace not in {each["inode"] for each in found["namespaces"]}
        assert found["sums"]["in_no_hash"] >= 201
        assert not found["complete"]
        assert any(
            "in no dump: " in each
            and "never connected, ended (reset, timed out) but still held, or in a hidden netns" in each
            for each in found["missing"]
        )


def test_connections_that_a_reset_has_ended_are_not_said_to_be_unconnected() -> None:
    with load("reset", 150):
        found = look()
        assert found["sums"]["queued_ended"] == 150
        assert found["sums"]["in_no_hash"] >= 300
        [text] = [each["text"] for each in found["verdicts"] if each["kind"] == "in_no_hash"]
        assert "≈ 150 ended in an accept queue, by its listener's count" in text
        assert "but still held" in text


def test_a_single_socket_that_was_never_connected_makes_a_look_incomplete() -> None:
    with load("unconnected", 1):
        found = look()
        assert found["sums"]["in_no_hash"] >= 1
        assert not found["complete"]


def test_shares_of_processes_with_many_descriptors() -> None:
    """13 processes of 800 sockets, of which at most 64 are looked up in each."""
    with load("crowd", 400) as of:
        found = look()
        for number in range(13):
            share = sockets(found, of, "process", "ESTABLISHED", comm=f"crowd{number}")
            assert 600 <= share <= 1000, (number, share)
        total = sum(sockets(found, of, kind, "ESTABLISHED") for kind in ("process", "not_seen", "no_process"))
        assert abs(total - 13 * 800) <= 30, "each share is rounded"
        # All processes have inherited the listener, which counts once.
        [listener] = [each for each in found["listeners"] if each["netns"] == of.namespace]
        assert listener["owner"]["pid"] == of.pid
        assert len({each["other_pid"] for each in found["shared"] if each["pid"] == of.pid}) == 13


def test_sockets_in_the_table_of_a_thread_are_not_those_of_another_process() -> None:
    with load("own_table", 400) as of:
        found = look()
        innocent = sockets(found, of, "process", "ESTABLISHED", comm="innocent")
        assert 75 <= innocent <= sum(1 for _ in Path(f"/proc/{of.pid}/fd").iterdir())
        hidden = sum(sockets(found, of, kind, "ESTABLISHED") for kind in ("no_process", "not_seen"))
        assert abs(innocent + hidden - 900) <= 4, "each share is rounded"


@pytest.mark.parametrize("count", [20, 400])
def test_sockets_of_a_process_whose_first_thread_has_exited(count: int) -> None:
    """Its folder /proc/PID/fd is empty; the descriptors are those of another thread."""
    with load("leaderless", count) as of:
        found = look()
        assert sockets(found, of, "process", "ESTABLISHED", comm="leaderless") == 2 * count
        [listener] = [each for each in found["listeners"] if each["netns"] == of.namespace]
        assert listener["owner"]["comm"] == "leaderless"


OWN_DESCRIPTORS = """
import resource, socket
from tcptop.cli import main
resource.setrlimit(resource.RLIMIT_NOFILE, (1031, 1031))
held = [socket.socket() for _ in range(500)]
main(["--json", "--who"])
"""


def test_nofile_is_not_that_of_tcptop_itself() -> None:
    done = subprocess.run(
        [sys.executable, "-c", OWN_DESCRIPTORS], capture_output=True, text=True, check=False, cwd=PROJECT
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    [nofile] = [each for each in report["limits"] if each["name"] == "nofile"]
    assert nofile["limit"] != 1031, nofile


def test_cgroups_outside_the_cgroup_namespace_are_not_gone() -> None:
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines() if " - cgroup2 " in line]
    top = next((Path(words[4]) for words in mounts if words[3] == "/"), None)
    if top is None or (top / "cgroup.events").exists():
        pytest.skip("needs all cgroups of cgroup v2")
    inside = top / f"tcptop-test-{os.getpid()}"
    remount = f"umount {top} && mount -t cgroup2 none {top}"
    enter = f"echo $$ > {inside}/cgroup.procs"
    inside.mkdir()
    try:
        with load("connected", 5) as of:
            prefix = ["nsenter", f"--net=/proc/{of.pid}/ns/net", "sh", "-c", f'{enter} && exec unshare -Cm "$@"', "sh"]
            found = look("--here", prefix=[*prefix, "sh", "-c", f'{remount} && exec "$@"', "sh"])
            paths = {each["cgroup"]["path"] for each in found["groups"] if each["cgroup"]}
            assert {each.rstrip("0123456789") for each in paths} == {"not visible here "}
            # A mount from before shows the cgroups above the namespace.
            found = look("--here", prefix=prefix)
            assert {each["cgroup"]["path"][0] for each in found["groups"] if each["cgroup"]} == {"/"}
    finally:
        inside.rmdir()


def test_a_socket_with_several_descriptors_counts_once() -> None:
    """The process has 3 descriptors of each accepted socket, of which a sample is looked up if they are many."""
    for count in (15, 300):
        with load("duplicated", count) as of:
            found = look()
            held = sockets(found, of, "process", "ESTABLISHED", comm="duplicator")
            assert held == 2 * count, held


def test_subflows_of_mptcp_have_their_process_and_its_own_socks_are_named() -> None:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_MPTCP).close()
    except OSError as error:
        pytest.skip(f"no MPTCP here: {error}")
    with load("multipath", 20) as of:
        found = look(prefix=["nsenter", f"--net=/proc/{of.pid}/ns/net"])
        assert sockets(found, of, "process", "ESTABLISHED", comm="multipath") == 40
        assert any(re.match(r"at least \d+ MPTCP socks", each) for each in found["missing"])


def test_orphans() -> None:
    with load("orphans", 100) as of:
        found = look()
        assert sockets(found, of, "orphan", "FIN_WAIT1") == 100
        unsent = [each["unsent_bytes"] for each in found["groups"] if each["netns"] == of.namespace]
        assert max(unsent) > 100 * 50_000


def test_sockets_in_flight() -> None:
    # There are so many sockets that the sample of a process with thousands of files would contain some of the sockets.
    with load("in_flight", 1_500) as of:
        found = look()
        assert sockets(found, of, "no_process", "ESTABLISHED") == 1_500
        assert "no_process" in verdicts(found)


def test_sockets_of_processes_outside_the_pid_namespace_are_not_seen() -> None:
    with load("connected", 150) as of:
        prefix = ["nsenter", f"--net=/proc/{of.pid}/ns/net"]
        found = look(prefix=[*prefix, "unshare", "-pf", "--mount-proc"])
        assert sockets(found, of, "not_seen", "ESTABLISHED") == 300
        assert "no_process" not in {each["owner"]["kind"] for each in found["groups"]} | verdicts(found)
        assert not found["sums"]["complete"]
        assert any("outside this pid namespace" in each for each in found["missing"])
        # Beside the procfs of the machine, the namespace hides nothing.
        seen = look("--here", prefix=[*prefix, "unshare", "-pf"])
        assert sockets(seen, of, "process", "ESTABLISHED", comm="idle") == 300


def test_sockets_that_were_never_connected() -> None:
    with load("unconnected", 1_000):
        found = look()
        assert found["sums"]["in_no_hash"] >= 1_000
        assert "in_no_hash" in verdicts(found)


def test_time_wait() -> None:
    with load("time_wait", 500) as of:
        found = look()
        assert sockets(found, of, "kernel", "TIME_WAIT") == 500
        [namespace] = [each for each in found["namespaces"] if each["inode"] == of.namespace]
        assert namespace["time_wait"] == 500


def test_deferred_connections_are_no_verdict() -> None:
    with load("deferred", 300) as of:
        found = look()
        assert sockets(found, of, "handshake", "SYN_RECV") == 300
        [listener] = [each for each in found["listeners"] if each["netns"] == of.namespace]
        assert listener["drops"] > 0
        assert str(of.pid) not in str(found["verdicts"])
        assert "8080 accept queue" not in str([v for v in found["verdicts"] if f"[{of.pid}]" in v["text"]])


def test_the_sums_agree_with_the_counters() -> None:
    with ExitStack() as stack:
        for name, count in (("unread", 200), ("orphans", 100), ("time_wait", 500)):
            stack.enter_context(load(name, count))
        if shutil.which("ip") is not None:
            name = f"tcptop-test-{os.getpid()}"
            subprocess.run(["ip", "netns", "add", name], check=True)
            stack.callback(subprocess.run, ["ip", "netns", "del", name], check=True)
        for _ in range(10):  # other programs open and close sockets between two counts
            found = look()
            sums = found["sums"]
            exact = (
                sums["full"] == sums["in_use"]
                and sums["time_wait"] == sums["time_wait_counted"]
                and sums["orphans"] == sums["orphans_counted"]
                and sums["in_no_hash"] == sums["allocated"] - sums["full"]
            )
            if exact and abs(sums["buffer_bytes"] - sums["buffer_bytes_counted"]) <= sums["buffer_error_bytes"]:
                break
            time.sleep(0.5)
        else:
            pytest.fail(str(sums))
        if shutil.which("ip") is not None:
            assert ("mount", name) in {(each["found_by"], each["name"]) for each in found["namespaces"]}


def test_the_screen_draws_one_look_after_the_other() -> None:
    """While the table fills the terminal, its lines are drawn without Textual's compositor."""
    with load("close_wait", 600) as of:
        session = Session(tcptop("-d", "0.5"), size=(120, 30))
        try:
            session.until_shown("W who")
            session.type("W")
            session.until_shown(f"hoarder[{of.pid}]")
            ages: set[str] = set()

            def shows_ages() -> bool:
                ages.update(re.findall(r"taken (\d+ s ago|now)", session.screen.text()))
                return len(ages) >= 3

            session.until(shows_ages, "the age of the look grows")
            session.until_shown("(SPACE looks")
            session.type(" ")
            session.until(lambda: "(SPACE looks" not in session.screen.text(), "a second look")
            lines = session.screen.text().splitlines()
            assert sum(f"hoarder[{of.pid}] " in line and "CLOSE_WAIT" in line for line in lines) == 1
            session.type("\x1b")
            session.until_shown("FITS MORE")
            assert "Who holds it" not in session.screen.text()
        finally:
            session.end()


def traced(tmp_path: Path, *arguments: str) -> str:
    """The system calls of a command."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace, of the package strace")
    log = tmp_path / "strace"
    calls = "socket,sendto,open,openat,getdents64,setns"
    run(*arguments, prefix=["strace", "-f", "-xx", "-s", "128", "-e", f"trace={calls}", "-o", str(log)])
    return log.read_text()


def plain(text: str) -> str:
    """A line of `strace -xx` with readable strings."""
    return re.sub(r"\\x([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), text)


def test_a_report_opens_no_socket(tmp_path: Path) -> None:
    calls = traced(tmp_path, "-o")
    assert "slabinfo" in plain(calls)
    assert "AF_NETLINK" not in calls
    assert not re.search(r"\bsocket\(", calls)


def test_who_opens_netlink_sockets_alone_and_asks_only_for_what_it_may(tmp_path: Path) -> None:
    calls = traced(tmp_path, "who")
    opened = re.findall(r"\bsocket\((\w+), [^,]+, (\w+)\)", calls)
    assert set(opened) == {("AF_NETLINK", "NETLINK_SOCK_DIAG")}
    text = plain(calls)
    assert not re.search(r"/net/tcp6?\"", text)
    assert not re.search(r"openat\([^\n]*/fdinfo", text)
    requests = re.findall(r"\bsendto\(\d+, ([^\n]*)", calls)
    assert requests
    for request in requests:
        kind = re.search(r"nlmsg_len=76, nlmsg_type=(0x12|TCPDIAG_GETSOCK)\b", request)
        assert kind, request
        if "idiag_states=" in request:  # strace has decoded it
            states_text = request.partition("idiag_states=")[2]
            assert not re.match(r"[^,]*(BOUND_INACTIVE|1<<(13|0xd)\b)", states_text), request
            continue
        # After the header: a struct inet_diag_req, whose states follow 52 bytes.
        body = bytes(int(each, 16) for each in re.findall(r"\\x([0-9a-f]{2})", request))
        states = int.from_bytes(body[52:56], sys.byteorder)
        assert 0 < states < 1 << 12, request


def proc_inodes() -> int:
    found = re.search(r"^proc_inode_cache +(\d+)", Path("/proc/slabinfo").read_text(), re.MULTILINE)
    assert found
    return int(found[1])


def test_a_look_leaves_at_most_64_inodes_for_each_process() -> None:
    with load("connected", 4_000) as of:
        grown = []
        for _ in range(5):
            processes = sum(name.name.isdigit() for name in Path("/proc").iterdir())
            before = proc_inodes()
            found = look()
            grown.append((proc_inodes() - before) / processes)
        assert sockets(found, of, "process", "ESTABLISHED", comm="idle") == 8_000
        # In addition to descriptors, the allowed reads are the folder and a few files of each process, and reads of
        # other programs.
        assert min(grown) <= 64
    samples = [each for each in found["groups"] if each["netns"] == of.namespace and each["owner"]["estimated"]]
    assert samples


def namespaces() -> list[str]:
    return sorted(str(path.readlink()) for path in Path("/proc").glob("[0-9]*/ns/net"))


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv of the package util-linux")
def test_a_plain_user_sees_his_own_namespace() -> None:
    prefix = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    if subprocess.run([*prefix, sys.executable, "-c", "import json"], capture_output=True, check=False).returncode:
        pytest.skip("the interpreter is in a folder that only root can enter")
    with load("close_wait", 100) as of:
        before = Path("/proc/self/ns/net").readlink()
        found = look(prefix=prefix)
        assert Path("/proc/self/ns/net").readlink() == before
    here, *others = sorted(found["namespaces"], key=lambda each: not each["here"])
    assert (here["here"], here["asked"]) == (True, "asked")
    assert {each["asked"] for each in others} == {"refused"}
    assert of.namespace not in {group["netns"] for group in found["groups"]}
    assert not found["complete"]
    assert any("not read" in reason for reason in found["missing"])
    assert {group["owner"]["kind"] for group in found["groups"]} <= {
        *("not_seen", "kernel", "orphan", "queue", "handshake", "process")
    }


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv of the package util-linux")
def test_without_cap_sys_admin_other_namespaces_are_named_as_refused() -> None:
    prefix = ["setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"]
    with load("close_wait", 100) as of:
        before = namespaces()
        found = look(prefix=prefix)
        assert set(before) == set(namespaces())
    asked = {each["inode"]: each for each in found["namespaces"]}
    assert asked[of.namespace]["asked"] == "refused"
    assert "not permitted" in asked[of.namespace]["reason"]
    assert [each["asked"] for each in asked.values() if each["here"]] == ["asked"]


def test_a_recording_replays_byte_for_byte(tmp_path: Path) -> None:
    file = tmp_path / "file"
    with load("close_wait", 200) as of:
        live = run("record", "--who", "-w", file, "-d", "1", "--for", "8", "--json")
    assert run("--json", "-r", file) == live
    reports = [json.loads(line)["holders"] for line in live.splitlines()]
    looks = [json.loads(line) for line in run("who", "--json", "--top", "100000", "-r", file).splitlines()]
    assert [each["sums"] for each in looks] == [each["sums"] for each in reports]
    assert [each["verdicts"] for each in looks] == [each["verdicts"] for each in reports]
    assert sockets(looks[-1], of, "process", "CLOSE_WAIT", comm="hoarder") == 200
    ages = [each["age_s"] for each in reports]
    assert max(ages) > 2


def test_a_scrubbed_recording_has_no_names(tmp_path: Path) -> None:
    file, folder = tmp_path / "file", tmp_path / "folder"
    with load("close_wait", 200) as of:
        run("record", "--who", "--scrub", "-w", file, "--for", "1")
    run("export", "-r", file, folder)
    kept = b"".join(each.read_bytes() for each in folder.rglob("*") if each.is_file() and "btf" not in str(each))
    for secret in (b"hoarder", str(of.namespace).encode(), b"127.0.0.1", b"python"):
        assert secret not in kept
    [look_file] = folder.glob("*/sock_diag/sockets")
    text = look_file.read_text()
    assert "\nuser\t" not in text
    assert f"\t{of.pid}\t" not in text
    found = json.loads(run("who", "--json", "-r", file))
    assert sum(group["sockets"] for group in found["groups"] if group["state"] == "CLOSE_WAIT") >= 200
