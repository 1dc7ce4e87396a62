"""`tcptop who` through the command line, on saved trees with a made-up list of sockets."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from made_look import HERE, WHOLE_MACHINE, cgroup, group, listen, look_text, net, process, tree_with_look
from recorded import tree

from tcptop.cli import main
from tcptop.explanation.holder_rows import GROUPINGS

PROJECT = Path(__file__).resolve().parents[2]
Json = dict[str, Any]

HOSTILE = "\x1b[31mevil\x07[bold]x[/bold]\u202e"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree with the list of all sockets of a machine."""
    return tree_with_look(tmp_path_factory.mktemp("machine"), look_text(*WHOLE_MACHINE))


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Standard output of a command that succeeds."""
    with pytest.raises(SystemExit) as ended:
        main([*map(str, arguments)])
    out, error = capsys.readouterr()
    assert (ended.value.code, error) == (0, "")
    return out


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The line of an error, after which the exit code is 1 and nothing was printed."""
    with pytest.raises(SystemExit) as ended:
        main([*map(str, arguments)])
    out, error = capsys.readouterr()
    assert (ended.value.code, out, error.count("\n")) == (1, "", 1)
    return error


def looked(capsys: pytest.CaptureFixture[str], root: Path, *arguments: str) -> Json:
    found: Json = json.loads(run(capsys, "who", "--root", root, "--json", *arguments))
    return found


def names(found: Json) -> list[str]:
    return [row["name"] for row in found["rows"]]


def test_the_table_names_each_holder_and_what_is_wrong(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = run(capsys, "who", "--root", machine)
    assert text.isascii()
    for row in (
        r"(kernel)              TIME_WAIT    to many ports    1 500",
        r"hoarder[10]           CLOSE_WAIT   in :8080           600",
        r"client[11]            ESTABLISHED  to :443           ~400",
        r"queue of hoarder[10]",
        r"(orphan)",
        r"(handshake)",
        r"(no process)",
        r"!  hoarder[10] holds 600 sockets that the peer has closed (one look)",
        r"!  hoarder[10] :8080 accept queue 301 of 300, FULL, 199 dropped",
        r"all: 1 803 sockets",
    ):
        assert row in text
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize("by", GROUPINGS)
def test_every_grouping_has_all_sockets(by: str, machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = looked(capsys, machine, "--by", by) if by != "peer" else None
    if found is None:
        assert "--by peer asks a running kernel" in refusal(capsys, "who", "--root", machine, "--by", by)
        return
    assert sum(row["sockets"] for row in found["rows"]) == 600 + 301 + 300 + 1500 + 10 + 200 + 400 + 2
    assert found["by"] == by
    assert len(names(found)) == len(set(names(found))) or by == "owner"
    memory = [(row["slab_bytes"] or 0) + row["buffer_bytes"] for row in found["rows"]]
    assert memory == sorted(memory, reverse=True)
    by_sockets = looked(capsys, machine, "--by", by, "--sort", "sockets")["rows"]
    sockets = [row["sockets"] for row in by_sockets]
    assert sockets == sorted(sockets, reverse=True)
    assert run(capsys, "who", "--root", machine, "--by", by)


def test_the_rows_of_a_grouping(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    by = {each: looked(capsys, machine, "--by", each) for each in GROUPINGS if each != "peer"}
    assert names(by["netns"]) == ["here", "blue"]
    assert set(names(by["cgroup"])) == {
        "(no cgroup)",
        "/system.slice/api.service",
        "gone 4711",
        "/kubepods.slice/kubepods-pod4f00aa11.slice/cri-a1.scope",
    }
    # The kernel of the tree reports no users of sockets without an inode.
    assert set(names(by["user"])) == {"root", "anna", "(not known)"}
    assert set(names(by["port"])) == {"in :8080", "in :9090", "to :443", "to :8080", "to many ports"}
    [api] = [row for row in by["cgroup"]["rows"] if row["name"].endswith("api.service")]
    assert (api["cgroup_sock_bytes"], api["cgroup_kernel_bytes"]) == (2_457_600, 9_000_000)
    # Estimated shares of processes add up, so only tables by process are estimates.
    assert {each for each, found in by.items() if any(row["estimated"] for row in found["rows"])} == {
        "owner",
        "process",
    }


def test_a_look_for_which_the_kernel_loaded_its_module_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = look_text(net(HERE))
    words = "the kernel has loaded its module tcp_diag"
    assert words not in run(capsys, "who", "--root", tree_with_look(tmp_path / "builtin", text))
    root = tree_with_look(tmp_path / "absent", text.replace("builtin", "loaded now"))
    assert words in run(capsys, "who", "--root", root)


@pytest.mark.parametrize(
    ("scope", "line", "name"),
    [
        ("machine", "cgroups\twhole", "gone 4711"),
        ("machine", "cgroups\tpart", "not visible here 4711"),
        ("container", "cgroups\twhole", "gone 4711"),
        ("container", "module\tbuiltin", "not visible here 4711"),
    ],
    ids=["whole", "part", "container with all cgroups", "early version"],
)
def test_a_cgroup_outside_the_cgroup_namespace_is_not_gone(
    scope: str, line: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = look_text(line, net(HERE), group(cgroup=4711)).replace("machine", scope, 1)
    root = tree_with_look(tmp_path, text)
    found = looked(capsys, root, "--by", "cgroup")
    assert names(found) == [name]
    assert found["groups"][0]["cgroup"] == {"id": 4711, "path": name}
    assert name in run(capsys, "who", "--root", root, "--by", "cgroup")


def test_socks_of_mptcp_are_missing_beside_their_subflows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tree_with_look(tmp_path, look_text(net(HERE, alloc=1), group()))
    assert looked(capsys, root)["complete"]
    protocols = root / "proc/net/protocols"
    protocols.write_text(re.sub(r"(?m)^(MPTCP +\d+ +)0 ", r"\g<1>1 ", protocols.read_text()))
    found = looked(capsys, root)
    assert found["missing"] == ["at least 1 MPTCP sock with their buffers, beside the TCP socks of the subflows"]
    assert not found["complete"]
    assert found["missing"][0] in " ".join(run(capsys, "who", "--root", root).split())


@pytest.mark.parametrize(
    ("hidden", "scope"),
    [
        ("module\tbuiltin", "machine: 2 netns"),
        ("hidden\tpid_namespace", "first - 2 netns"),
        ("hidden\thidepid", "2 netns"),
    ],
)
def test_the_title_says_machine_only_if_no_process_is_hidden(
    hidden: str, scope: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tree_with_look(tmp_path, look_text(hidden, net(HERE), net(HERE + 1, here=False), group()))
    title = run(capsys, "who", "--root", root).splitlines()[0].replace("─", "-")
    assert scope in title
    assert ("machine" in title) is ("machine" in scope)


def test_connections_that_were_reset_in_an_accept_queue(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = net(alloc=901, inuse=1), listen(8080, 150, pid=10), process(10, "hung")
    root = tree_with_look(tmp_path, look_text(*lines))
    text = " ".join(run(capsys, "who", "--root", root).split())
    assert "in accept queues 0 (listeners count 150, ~ 150 ended)" in text
    assert "900 sockets are in no dump: ~ 150 ended in an accept queue, by its listener's count; the others" in text
    assert "the others never connected, ended (reset, timed out) but still held, or in a hidden netns" in text
    assert looked(capsys, root)["sums"]["queued_ended"] == 150


@pytest.mark.parametrize(
    ("nets", "dropped"), [(1, "3 dropped so far in this netns"), (2, "43 dropped so far in 2 netns")]
)
def test_the_sums_have_the_drops_of_listeners_that_are_closed(
    nets: int, dropped: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [net(ListenOverflows=3), net(HERE + 1, here=False, ListenOverflows=40)][:nets]
    root = tree_with_look(tmp_path, look_text(*lines, group()))
    assert f"in accept queues 0, {dropped}, by closed listeners too;" in " ".join(
        run(capsys, "who", "--root", root).split()
    )


def test_sockets_of_fast_open_in_syn_recv_are_full_sockets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (
        net(alloc=272, inuse=272),
        *(listen(8000, pid=10), listen(8001, 150, pid=11)),
        group("none", 200, "SYN_RECV", port=8000),
        group("none", 150, "SYN_RECV", port=8001, fast_open=True, rmem=150_000),
        group("whole:12", 120, "SYN_RECV", port=8002, fast_open=True, rmem=120_000),
        *(process(10, "halfopen"), process(11, "waits"), process(12, "accepts")),
    )
    found = looked(capsys, tree_with_look(tmp_path, look_text(*lines)))
    held = {each["name"]: each["sockets"] for each in found["rows"] if each["state"] == "SYN_RECV"}
    assert held == {"(handshake)": 200, "queue of waits[11]": 150, "accepts[12]": 120}
    slab = {each["name"]: each["slab_bytes"] for each in found["rows"] if each["state"] == "SYN_RECV"}
    assert slab["(handshake)"] < 1_000 * 200 < 2_000 * 120 < slab["accepts[12]"]
    sums = found["sums"]
    assert (sums["full"], sums["in_no_hash"], sums["queued"], sums["queued_ended"]) == (272, 0, 150, 0)
    assert found["complete"]


def test_filters_and_top(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert names(looked(capsys, machine, "--state", "close_wait,FIN-WAIT1")) == ["(orphan)", "hoarder[10]"]
    assert names(looked(capsys, machine, "--port", "443")) == ["client[11]"]
    first = looked(capsys, machine, "--by", "state", "--sort", "sockets", "--top", "2")
    assert names(first)[:2] == ["TIME_WAIT", "ESTABLISHED"]
    assert names(first)[2].endswith(" others")
    assert not any(row["estimated"] for row in first["rows"])
    assert names(looked(capsys, machine, "--by", "state", "--sort", "unsent"))[0] == "FIN_WAIT1"


def test_the_json_has_the_sums_whatever_is_shown(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = looked(capsys, machine, "--port", "443")
    sums = found["sums"]
    assert (sums["full"], sums["in_use"], sums["in_no_hash"]) == (1803, 1814, 0)
    assert (sums["orphans"], sums["queued"], sums["queued_counted"], sums["time_wait"]) == (300, 301, 301, 1500)
    assert sums["buffer_bytes"] == 614_400 + 1_843_200 + 20_000_000
    assert {(each["port"], each["queue"], each["limit"]) for each in found["listeners"]} == {
        (8080, 301, 300),
        (9090, 0, 128),
    }
    assert [group["owner"]["comm"] for group in found["groups"]] == ["client"]


def test_the_report_has_the_look_of_a_tree(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = json.loads(run(capsys, "--root", machine, "--json"))
    assert report["sources"]["socket_table"]["state"] == "ok"
    assert sum(each["sockets"] for each in report["holders"]["groups"]) == 3313
    assert "hoarder[10]" in run(capsys, "--root", machine, "-o", "--who")
    plain = run(capsys, "--root", tree("6.1-4n", "established"), "-o")
    assert "Who holds" not in plain
    assert "socket_table" not in plain


def test_a_tree_without_a_look_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    root = tree("6.1-4n", "established")
    reason = refusal(capsys, "who", "--root", root)
    assert "saved tree has no list of its sockets; tcptop record --who keeps one" in reason
    report = json.loads(run(capsys, "--root", root, "--json", "--who"))
    assert report["holders"] is None
    assert report["sources"]["socket_table"]["state"] == "missing"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--who",), "--who goes with -o or --json"),
        (("--who", "--json", "-r", "x"), "a recording has what record --who kept"),
        (("who", "-d", "3"), "-d goes with -n"),
        (("who", "-r", "x", "--root", "/y"), "without --root"),
        (("who", "-r", "x", "--here"), "--here asks a running kernel"),
        (("who", "-r", "x", "-n", "2"), "-n asks a running kernel"),
        (("who", "-r", "x", "--exact", "7"), "--exact asks a running kernel"),
        (("who", "--at", "+1m"), "-r FILE"),
        (("who", "--state", "closed"), "no TCP state: 'CLOSED'"),
        (("who", "--port", "70000"), "a port from 1 to 65535"),
        (("who", "--by", "name"), "invalid choice"),
        (("who", "--top", "0"), "above 0"),
    ],
)
def test_options_that_cannot_be_combined(
    arguments: Sequence[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in refusal(capsys, *arguments)


def test_lines_that_are_damaged_are_left_out_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = ("group\t1\t2", "net\t-1", "group" + "\tx" * 12, "listen\t" + "9" * 30, "later\tkind", "process\t1\t2\t3")
    root = tree_with_look(tmp_path, look_text(*damaged, *WHOLE_MACHINE))
    found = looked(capsys, root, "--by", "state")
    assert found["sums"]["full"] == 1803
    assert not found["complete"]
    assert any("5 lines have an unknown format" in reason for reason in found["missing"])


@pytest.mark.parametrize("text", [b"", b"\0\0", b"tcptop-sockets 2\n", b"\xff\xfe", look_text()[:-3].encode()])
def test_a_text_that_is_no_look(text: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tree_with_look(tmp_path, text)
    if text.startswith(b"tcptop-sockets 1"):
        assert looked(capsys, root)["sums"]["full"] == 0
    else:
        assert "sock_diag/sockets" in refusal(capsys, "who", "--root", root)


def test_text_of_a_host_is_shown_as_plain_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (
        net(HERE, name=HOSTILE, reason=HOSTILE, found_by=HOSTILE),
        group("whole:10", 200, "CLOSE_WAIT", cgroup=5, peer=HOSTILE),
        listen(80, 10, 5, 3, 10),
        process(10, HOSTILE),
        cgroup(5, f"/{HOSTILE}"),
        f"user\t0\t{HOSTILE}",
    )
    root = tree_with_look(tmp_path, look_text(*lines))
    text = run(capsys, "who", "--root", root) + run(capsys, "who", "--root", root, "--by", "cgroup")
    assert "[bold]x[/bold]" in text
    assert all(character.isprintable() for character in text.replace("\n", ""))
    found = json.dumps(looked(capsys, root), ensure_ascii=False)
    assert not {"\x1b", "\x07", "\u202e"} & set(found)
    assert "\\u001b" not in found


@pytest.mark.slow
def test_many_groups_within_the_limits_of_time_and_memory(tmp_path: Path) -> None:
    """Groups of 20 000 ports; the sockets of each group are divided among 2 000 processes with large samples."""
    lines = [net(HERE)]
    for number in range(20_000):
        port = 10_000 + number
        lines.append(group("unseen", 50, port=port, cgroup=number % 3))
        lines.append(group(f"sampled:{number % 2_000 + 1}", 2, server=False, port=port, cgroup=number % 3))
    lines += [process(pid, f"worker {pid}", False, 40.0) for pid in range(1, 2_001)]
    root = tree_with_look(tmp_path, look_text(*lines))

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
        resource.setrlimit(resource.RLIMIT_DATA, (300 << 20, 300 << 20))

    for options in ((), ("--by", "process", "--json")):
        done = subprocess.run(
            [sys.executable, "-m", "tcptop", "who", "--root", str(root), *options],
            capture_output=True,
            text=True,
            check=False,
            cwd=PROJECT,
            preexec_fn=limit,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "others" in done.stdout


@pytest.mark.parametrize("command", ["a{b}c", "{0}x", "{count}", "{", "%s%n"])
def test_a_name_with_braces_stays_as_it_is(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = look_text(net(HERE), group(state="CLOSE_WAIT", sockets=120), process(command=command))
    root = tree_with_look(tmp_path, text)
    assert f"{command}[10] holds 120 sockets that the peer has closed" in run(capsys, "who", "--root", root)


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        (look_text(net(HERE, alloc=1000), group()).replace("machine", "container", 1), "outside this pid namespace"),
        (look_text("hidden\tpid_namespace", net(HERE, alloc=1000), group()), "outside this pid namespace"),
        (
            look_text("hidden\thidepid", net(HERE, alloc=1000), group()),
            "processes that the option hidepid of /proc hides",
        ),
        (look_text("hidden\tlater", net(HERE, alloc=1000), group()), "hidden processes"),
        (
            look_text(net(HERE, alloc=1000), group()).replace("machine", "here", 1),
            "only this network namespace was asked",
        ),
        (look_text(net(HERE, alloc=1000), group(), "group\tnonsense"), "unknown format"),
        (look_text(net(HERE, alloc=1000), group(sockets=10))[:-9], "in the middle of a line"),
        (look_text(), ""),
        (
            look_text(net(HERE, unread_processes=1), group("unseen", sockets=5)),
            "the owner of 5 sockets",
        ),
    ],
    ids=[
        "container",
        "pid namespace",
        "hidepid",
        "hidden later",
        "here",
        "damaged",
        "cut",
        "no namespace",
        "not seen",
    ],
)
def test_a_look_that_is_not_whole_is_not_complete(
    text: str, missing: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`alloc` of sockstat counts the whole machine, so unseen sockets must not be reported as sockets that are in no
    dump.
    """
    found = looked(capsys, tree_with_look(tmp_path, text))
    if "5 sockets" not in missing:
        assert found["sums"]["complete"] is False
        assert found["sums"]["in_no_hash"] is None
        assert not [each for each in found["verdicts"] if each["kind"] == "in_no_hash"]
    assert found["complete"] is False
    assert missing in "; ".join(found["missing"])


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_a_sandbox_that_opens_no_file_is_not_near_its_nofile(
    limit: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before a login, sshd's child has a limit of 1 file and holds the connection; it hides no service near its own."""
    sandbox = (group("whole:11", 1), process(11, "sshd", descriptors=8, sockets=1, limit=limit))
    near = (group("whole:10", 5), process(10, "server", descriptors=850, sockets=5, limit=1_000))
    alone = tree_with_look(tmp_path / "alone", look_text(net(HERE), *sandbox))
    assert looked(capsys, alone)["verdicts"] == []
    [row] = [
        each
        for each in json.loads(run(capsys, "--json", "--who", "--root", alone))["limits"]
        if each["name"] == "nofile"
    ]
    assert (row["used"], row["state"]) == (None, "unknown")
    both = tree_with_look(tmp_path / "both", look_text(net(HERE), *sandbox, *near))
    assert [each["text"].split()[0] for each in looked(capsys, both)["verdicts"]] == ["server[10]"]
    [row] = [
        each
        for each in json.loads(run(capsys, "--json", "--who", "--root", both))["limits"]
        if each["name"] == "nofile"
    ]
    assert (row["used"], row["limit"], row["state"]) == (850, 1_000, "near")


@pytest.mark.parametrize("is_early", [True, False])
def test_sockets_of_hidden_processes_are_not_seen_and_no_verdict(
    is_early: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Early versions recorded only the scope `container`."""
    lines = (net(HERE, unread_processes=0), group("unseen", 500), listen(8080), process(10, limit=1_000))
    text = look_text(*lines) if is_early else look_text("hidden\thidepid", *lines)
    root = tree_with_look(tmp_path, text.replace("machine", "container", 1) if is_early else text)
    found = looked(capsys, root)
    assert {each["owner"]["kind"] for each in found["groups"]} == {"not_seen"}
    assert found["verdicts"] == []
    assert "(not seen)" in run(capsys, "who", "--root", root)
    report = run(capsys, "--json", "--who", "--root", root)
    assert "the fullest of the processes that were seen" in str(json.loads(report)["limits"])


@pytest.mark.slow
def test_many_namespaces_take_no_long_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for number in range(1, 20_000) for line in (net(number, here=False), group(namespace=number))]
    found = looked(capsys, tree_with_look(tmp_path, look_text(*lines)))
    assert "a look lists at most 1 000 network namespaces" in "; ".join(found["missing"])


def test_a_narrow_table_keeps_the_buffers_which_differ_between_owners(
    machine: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tcptop.report.who_text.COLUMNS", 80)
    titles = next(line for line in run(capsys, "who", "--root", machine).splitlines() if "OWNER" in line).split()
    assert "BUFFERS" in titles
    assert "SLAB" not in titles


def test_buffers_that_are_reserved_are_told_from_those_in_use(
    machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The 1 843 200 bytes of sk_forward_alloc are charged, and TCP's total leaves them out."""
    text = " ".join(run(capsys, "who", "--root", machine).split())
    parts = re.search(
        r"; MEMORY ~ ([\d.]+) MiB, without idle slab memory: slabs ~ ([\d.]+) MiB, buffers with data ([\d.]+) MiB,"
        r" reserved 1\.8 MiB \(TCP's total leaves the reserved out\);",
        text,
    )
    assert parts is not None
    total, *addends = map(float, parts.groups())
    assert total == pytest.approx(sum(addends) + 1.8, abs=0.21)
    assert re.search(r"; all buffers [\d.]+ MiB \(sockstat [\d.]+ MiB, exact to [^()]+\)$", text)


def test_sockets_of_unknown_owner_say_that_a_process_was_not_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = look_text(net(HERE, unread_processes=1), group("unseen", sockets=2), processes="9\t1")
    shown = " ".join(run(capsys, "who", "--root", str(tree_with_look(tmp_path, text))).split())
    assert "the owner of 2 sockets: 1 process not read" in shown
    assert "descriptors of 1" not in shown


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        (
            (listen(8080, pid=10), process(10, "server")),
            "; 284 at a port of server[10], perhaps opened since its descriptors were read",
        ),
        (
            (
                *(listen(8080, pid=10), listen(9090, pid=11), group("unseen", sockets=300, port=9090)),
                *(process(10, "server"), process(11, "other")),
            ),
            "; 584 at ports of 2 processes, such as other[11], perhaps opened since their descriptors were read",
        ),
        ((listen(8080), process(10, "server")), ""),
        ((listen(8080, pid=10), listen(8080, pid=11, family=10), process(10, "server")), ""),
        ((listen(8080, pid=10, namespace=HERE + 1), process(10, "server")), ""),
    ],
    ids=["read", "two", "unknown", "one of two unread", "other netns"],
)
def test_sockets_at_a_port_of_a_process_that_was_read_may_be_opened_since(
    lines: tuple[str, ...], cause: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nets = net(HERE, unread_processes=1), net(HERE + 1, False)
    sockets = group("unseen", sockets=284), group("unseen", server=False, port=443)
    text = look_text(*nets, *lines, *sockets, processes="9	1")
    shown = " ".join(run(capsys, "who", "--root", str(tree_with_look(tmp_path, text))).split())
    assert re.search(rf"the owner of \d+ sockets: 1 process not read{re.escape(cause)}", shown)
    assert ("opened since" in shown) is bool(cause)


def test_sockets_of_unknown_owner_may_be_opened_since_if_the_counter_of_sockets_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nets = net(HERE, unread_processes=1, alloc=2, alloc_before=1)
    text = look_text(nets, group("unseen", sockets=2), processes="9	1")
    shown = " ".join(run(capsys, "who", "--root", str(tree_with_look(tmp_path, text))).split())
    assert "2 sockets: 1 process not read; perhaps opened since the descriptors were read" in shown
    text = look_text(nets, listen(22), listen(25), processes="9\t1")
    shown = " ".join(run(capsys, "who", "--root", str(tree_with_look(tmp_path / "listeners", text))).split())
    assert "2 sockets: 1 process not read" in shown
    assert "opened since" not in shown, "listeners alone, which seldom begin"


def test_sockets_of_unknown_owner_say_that_a_process_was_only_sampled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (net(HERE, unread_processes=1), group("unseen", sockets=2), process(18, "wrk", False, 9.5, 400, 300))
    shown = " ".join(
        run(capsys, "who", "--root", str(tree_with_look(tmp_path, look_text(*lines, processes="9\t1")))).split()
    )
    sampled = "of wrk[18] only a sample of the descriptors was looked up (who --exact 18)"
    assert f"the owner of 2 sockets: 1 process not read; {sampled}" in shown


def test_the_process_to_look_up_whole_is_one_of_the_namespace_of_the_listener(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """wrk has more descriptors, in another namespace."""
    other = HERE + 1
    lines = (
        net(HERE),
        net(other, here=False),
        group("unseen", state="LISTEN", namespace=other, port=9090, uid=1001),
        group("sampled:18", sockets=300),
        group("sampled:20", sockets=200, namespace=other),
        process(18, "wrk", False, 9.5, 4_000, 300),
        process(20, "proxy", False, 9.5, 400, 200, namespace=other),
    )
    tree = tree_with_look(tmp_path, look_text(*lines, processes="9\t0"))
    shown = " ".join(run(capsys, "who", "--root", str(tree)).split())
    assert "such as proxy[20], only a sample of the descriptors was looked up (who --exact 20)" in shown


def test_the_verdict_of_mini_sockets_is_no_alarm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Their limit stops no socket."""
    lines = (net(HERE, tw=490, tcp_max_tw_buckets=500), group("none", 490, "TIME_WAIT", mini=True))
    shown = run(capsys, "who", "--root", str(tree_with_look(tmp_path, look_text(*lines))))
    assert "\n   490 mini-sockets, of at most 500" in shown


def test_sockets_in_no_dump_are_counted_once_below_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = look_text(net(HERE, alloc=5_000), group(sockets=10), process(10))
    shown = " ".join(run(capsys, "who", "--root", str(tree_with_look(tmp_path, text))).split())
    assert "4 990 sockets are in no dump: " in shown
    assert shown.count(" in no dump: ") == 1


NEVER_CONNECTED = "never connected, ended (reset, timed out) but still held, or in a hidden netns"
WHILE_READ = "opened or closed while it read"


@pytest.mark.parametrize(
    ("nets", "reason"),
    [
        ([net(HERE, alloc=66, alloc_before=66)], f"56 sockets in no dump: {NEVER_CONNECTED}"),
        ([net(HERE, alloc=66)], f"56 sockets in no dump: {NEVER_CONNECTED}"),
        ([net(HERE, alloc=66, alloc_before=90)], f"56 sockets in no dump: {WHILE_READ}, {NEVER_CONNECTED}"),
        ([net(HERE, alloc=66, alloc_before=3)], f"56 sockets in no dump: {WHILE_READ}, {NEVER_CONNECTED}"),
        (
            [net(HERE, alloc=66, alloc_before=66), net(HERE + 1, False, alloc=60, alloc_before=66)],
            f"56 sockets in no dump: {WHILE_READ}, {NEVER_CONNECTED}",
        ),
    ],
    ids=["same", "unknown", "closed", "opened", "other netns"],
)
def test_sockets_in_no_dump_may_have_come_or_gone_while_it_read(
    nets: list[str], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tree_with_look(tmp_path, look_text(*nets, group(sockets=10), process(10)))
    assert f"not seen: {reason}" in " ".join(run(capsys, "who", "--root", root).split())
    assert looked(capsys, root)["sums"]["came_or_went"] is (WHILE_READ in reason)


@pytest.mark.parametrize("before", [None, 500, 969])
def test_sockets_that_no_process_has_may_have_come_while_it_read(
    before: int | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = net(HERE, alloc=969) if before is None else net(HERE, alloc=969, alloc_before=before)
    lines = (here, group("unseen", 969), process(10, sockets=0))
    shown = " ".join(run(capsys, "who", "--root", str(tree_with_look(tmp_path, look_text(*lines)))).split())
    moved = f"{WHILE_READ}, " if before == 500 else ""
    assert f"sockets that no process has: {moved}in flight, in io_uring" in shown


def test_a_queue_that_changed_while_it_read_has_not_surely_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (net(HERE, alloc=70, alloc_before=40), listen(8080, 60), group(sockets=9), group("none", 20), process(10))
    text = " ".join(run(capsys, "who", "--root", tree_with_look(tmp_path, look_text(*lines))).split())
    assert f"~ 40 ended in an accept queue, by its listener's count, or {WHILE_READ}" in text


@pytest.mark.parametrize("asked", ["asked", "cut"])
def test_more_sockets_than_are_allocated_have_a_reason(
    asked: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nets = [net(HERE, alloc=4_050), net(HERE + 1, False, asked, reason="" if asked == "asked" else "why")]
    text = look_text(*nets, group(sockets=4_334), process(10))
    root = tree_with_look(tmp_path, text)
    where = "" if asked == "asked" else " on the machine"
    shown = " ".join(run(capsys, "who", "--root", root).split())
    assert (
        f"4 334 sockets, 4 050 allocated{where} (others {WHILE_READ})".replace(
            "sockets, ", "sockets, " if asked == "asked" else "sockets; "
        )
        in shown
    )
    assert looked(capsys, root)["sums"]["came_or_went"] is True


def test_segments_that_are_queued_without_a_charge_are_no_lower_bound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """80 MB of MSG_ZEROCOPY are queued; sockstat counts 861 pages, with an error of 8 MiB."""
    lines = (
        net(inuse=40, inuse6=0, tw=0, alloc=40, orphan=0, mem=861),
        group("whole:10", 20, server=False, fwd=100_000, wmem_queued=80_000_000, wqueue=70_000_000),
        group("whole:11", 20, "CLOSE_WAIT", rmem=1_000_000, rqueue=900_000),
        *(process(10, "sender"), process(11, "reader")),
    )
    root = tree_with_look(tmp_path, look_text(*lines))
    counter, error = 861 * 4096, 8 << 20
    found = looked(capsys, root)
    sums = found["sums"]
    assert (sums["buffer_bytes_counted"], sums["buffer_error_bytes"]) == (counter, error)
    assert (sums["buffer_bytes"], sums["buffer_low_bytes"]) == (81_100_000, 1_100_000)
    assert sums["buffer_high_bytes"] == counter + error
    bounds = {row["owner"]: (row["buffer_low_bytes"], row["buffer_high_bytes"]) for row in found["rows"]}
    assert bounds == {"sender[10]": (100_000, counter + error), "reader[11]": (1_000_000, 1_000_000)}
    assert {group["buffer_high_bytes"] for group in found["groups"]} == {counter + error, 1_000_000}

    text = run(capsys, "who", "--root", root)
    sender, reader = (line.split() for line in text.splitlines() if "[1" in line and " :8080" in line)
    assert sender[:4] == ["sender[10]", "ESTABLISHED", "to", ":8080"]
    assert sender[5].startswith("<=11.")
    assert sender[7:9] == ["<=11.37M", "0"]
    assert reader[7] == "977K"
    assert "buffers 77.3 MiB queued, 1.0 MiB to 11.4 MiB of them charged, reserved 97.7 KiB (" in " ".join(text.split())
    by_state = looked(capsys, root, "--by", "netns")
    assert [row["buffer_high_bytes"] for row in by_state["rows"]] == [counter + error]


def test_the_charge_without_segments_of_zerocopy_is_what_is_queued(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A look with an eighth more than the counter and its error: sockets are charged between the two readings."""
    queued = 100_000 * 4096 * 9 // 8 + (8 << 20)
    for more, is_charged in ((0, True), (4096, False)):
        lines = (
            net(inuse=40, inuse6=0, tw=0, alloc=40, orphan=0, mem=100_000),
            *(group("whole:10", 40, wmem_queued=queued + more), process(10, "sender")),
        )
        folder = tmp_path / str(more)
        folder.mkdir()
        found = looked(capsys, tree_with_look(folder, look_text(*lines)))
        for figures in (found["sums"], found["rows"][0]):
            low, high = figures["buffer_low_bytes"], figures["buffer_high_bytes"]
            assert (low == high == figures["buffer_bytes"]) is is_charged
        if not is_charged:  # every socket of the machine is in the look, so the counter bounds their charge below, too
            assert (low, high) == (100_000 * 4096 - (8 << 20), 100_000 * 4096 + (8 << 20))


POD = "3f5c1a2b_9d1e_4c77_8a52_0b1c2d3e4f5"
IDS = ("0123456789ab" + "c" * 52, "1123456789ab" + "c" * 52)
DEEP = f"/docker/{'e' * 64}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{POD}0.slice"


@pytest.fixture(
    params=[
        [f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{POD}0.slice/cri-containerd-{{}}.scope"] * 2,
        [f"{DEEP}/cri-containerd-{{}}.scope"] * 2,
        [f"/kubepods/burstable/pod{POD}{pod}/{{}}" for pod in "01"],
        [f"{DEEP}/docker-{{}}.scope/system.slice/nginx.service"] * 2,
        ["/machine.slice/libpod-{}.scope/container"] * 2,
        ["/system.slice/docker-{}.scope"] * 2,
    ],
    ids=["pod", "pod below a container", "cgroupfs", "systemd in a container", "podman", "docker"],
)
def containers(request: pytest.FixtureRequest) -> list[str]:
    """The paths of the cgroups of two containers."""
    return [path.format(digits) for path, digits in zip(request.param, IDS, strict=True)]


def tree_of_containers(folder: Path, paths: Sequence[str]) -> Path:
    lines = [net(HERE, inuse=330)]
    for number, path in enumerate(paths):
        pid = 10 + number
        lines += [group(f"whole:{pid}", 30 + 270 * number, cgroup=70 + number), process(pid, "nginx")]
        lines.append(cgroup(70 + number, path, 4096 + number, 8192))
    return tree_with_look(folder, look_text(*lines))


def test_containers_with_long_paths_are_apart(
    containers: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tree_of_containers(tmp_path / "tree", containers)
    found = looked(capsys, root, "--by", "cgroup")
    kept = {row["name"]: (row["cgroup"], row["sockets"], row["cgroup_sock_bytes"]) for row in found["rows"]}
    assert kept == {containers[0]: (containers[0], 30, 4096), containers[1]: (containers[1], 300, 4097)}
    assert {each["cgroup"]["path"] for each in found["groups"]} == {*containers}


@pytest.mark.parametrize("columns", [40, 50, 80, 120, 200])
@pytest.mark.parametrize("by", ["cgroup", "owner"])
def test_a_narrow_table_has_the_id_of_each_container(
    by: str,
    columns: int,
    containers: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = tree_of_containers(tmp_path, containers)
    monkeypatch.setattr("tcptop.commands.who.terminal_columns", lambda: columns)
    text = run(capsys, "who", "--root", root, "--by", by)
    lines = text.splitlines()[2:5]
    assert max(map(len, lines)) <= columns
    if by == "cgroup" or columns >= 120:
        assert ["CGROUP" in lines[0], *(IDS[at][: 12 if columns >= 80 else 6] in lines[2 - at] for at in (0, 1))] == [
            True
        ] * 3


def test_names_that_several_have_get_their_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = "a" * 5000
    lines = (
        *(net(HERE), net(5, here=False, name="a" * 99 + "x"), net(6, here=False, name="a" * 99 + "y")),
        net(7, here=False, name="here"),
        *(group(f"whole:{10 + number}", number + 1, cgroup=70 + number, uid=number) for number in range(4)),
        *(group("whole:10", number, namespace=number) for number in (5, 6, 7)),
        *(process(10 + number) for number in range(4)),
        *(cgroup(70, f"/{long}x"), cgroup(71, f"/{long}y"), cgroup(72, "/b (73)"), cgroup(73, "/b")),
        *("user\t0\tanna", "user\t1\tanna", f"user\t2\t{long}x", f"user\t3\t{long}y"),
    )
    root = tree_with_look(tmp_path, look_text(*lines))
    cgroups = names(looked(capsys, root, "--by", "cgroup"))
    assert len(cgroups) == 5
    assert {"/b (73) (72)", "/b"} < {*cgroups}
    assert {name[-6:] for name in cgroups} > {"a… (70)"[-6:], "a… (71)"[-6:]}
    assert len(names(looked(capsys, root, "--by", "user"))) == 4
    assert {"anna (0)", "anna (1)"} < {*names(looked(capsys, root, "--by", "user"))}
    namespaces = names(looked(capsys, root, "--by", "netns"))
    assert len(namespaces) == 4
    assert {"here", "here (7)"} < {*namespaces}
