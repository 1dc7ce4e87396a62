"""The parser of the list of all sockets: every kind of line, cuts, hostile lines, and errors of the kernel."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_look import HERE, WHOLE_MACHINE, cgroup, group, listen, look_text, net, process, table_of
from recorded import MemoryHost

from tcptop.hosts.host import Identity
from tcptop.hosts.run_sync import run_sync
from tcptop.snapshot import Reading
from tcptop.snapshot.socket_table import SocketTable
from tcptop.sock_diag import SOCKETS_PATH
from tcptop.sock_diag.fold import SUMS
from tcptop.sock_diag.look import MAX_LINES_OF_A_KIND, bounded_lines
from tcptop.sources.socket_table import MAX_LINES, SocketTableSource

LIVE = Identity(live=True)
TEXT = look_text(*WHOLE_MACHINE)


def read(answer: bytes | OSError, identity: Identity = LIVE) -> Reading[SocketTable]:
    return run_sync(SocketTableSource().read(MemoryHost({SOCKETS_PATH: answer}, identity=identity)))


def test_every_line_of_a_look_is_parsed() -> None:
    table = read(TEXT.encode()).value
    assert table is not None
    assert (table.took_us, table.module, table.processes, table.unread_processes) == (12_000, "builtin", 10, 0)
    here, blue = table.namespaces
    assert (here.inode, here.is_here, here.asked, here.counters["alloc"]) == (HERE, True, "asked", 1_802)
    assert (blue.name, blue.found_by, blue.is_here) == ("blue", "mount", False)
    first = table.groups[0]
    assert (first.state, first.owner, first.pid, first.sockets, first.is_server, first.port) == (
        *("CLOSE_WAIT", "whole", 10, 600),
        *(True, 8080),
    )
    assert first.buffer_bytes == 614_400 + 1_843_200
    assert (first.rqueue, first.drops) == (600, 7)
    assert table.groups[3].port is None
    assert [each.port for each in table.listeners] == [8080, 9090]
    assert table.listeners[1].drops is None
    assert (table.process_of[11].is_whole, table.process_of[11].weight, table.process_of[10].max_descriptors) == (
        False,
        9.5,
        1024,
    )
    assert table.cgroup_of[77].kernel_bytes == 9_000_000
    assert table.user_of == {0: "root", 1000: "anna"}


def test_memory_that_is_charged_in_advance_may_be_negative() -> None:
    [found] = table_of(group(rmem=4096, fwd=-768)).groups
    assert found.fwd == -768
    assert found.buffer_bytes == 3328


@pytest.mark.parametrize(
    "line",
    [
        group("whole:-1"),
        group("mine:4"),
        group(port=70_000),
        group("whole"),
        group().replace("\t1\t", "\t14\t", 1).replace(f"{HERE}\t2\t1", f"{HERE}\t2\t13"),
        listen(queue=1 << 63),
        listen(port=65_536),
        net(asked="maybe"),
        process(weight=0.5),
        process(weight=float("nan")),
        process(weight=float("inf")),
        "took_us\t",
        "processes\t1",
        "cgroup\t1",
        "user\tx\troot",
    ],
)
def test_a_line_of_an_unknown_format_is_left_out_and_counted(line: str) -> None:
    reading = read((look_text(line) + group() + "\n").encode())
    assert reading.state == "strange"
    assert reading.value is not None
    assert len(reading.value.groups) == 1
    assert "1 line has an unknown format; it is left out" in (reading.reason or "")


def test_a_kind_of_line_that_a_later_tcptop_has_is_no_damage() -> None:
    assert read(look_text("weather\tfine").encode()).state == "ok"


def test_a_look_that_is_cut_keeps_the_whole_lines() -> None:
    reading = read(TEXT[: TEXT.index("group") + 7].encode())
    assert (reading.state, reading.value is not None) == ("cut", True)


@pytest.mark.slow
def test_more_lines_than_any_look_has() -> None:
    reading = read((look_text() + (group() + "\n") * (MAX_LINES + 5)).encode())
    assert reading.state == "strange"
    assert f"more than {MAX_LINES} lines" in (reading.reason or "")


@pytest.mark.parametrize(
    ("number", "live", "state", "words"),
    [
        (errno.ENOENT, True, "missing", "its module tcp_diag is not there"),
        (errno.EPROTONOSUPPORT, True, "refused", "the kernel tells no sockets here"),
        (errno.EPERM, True, "refused", "the kernel tells no sockets here"),
        (errno.EAFNOSUPPORT, True, "refused", "the kernel tells no sockets here"),
        (errno.EBUSY, True, "failed", "(sock_diag)"),
        (errno.ENOENT, False, "missing", "record --who keeps one"),
    ],
)
def test_an_error_has_a_reason(number: int, live: bool, state: str, words: str) -> None:
    reading = read(OSError(number, "text of the error"), Identity(live=live))
    assert (reading.state, reading.value) == (state, None)
    assert words in (reading.reason or "")


def test_the_sockets_of_a_host_below_another_root_are_refused() -> None:
    reading = read(TEXT.encode(), Identity(live=True, place="/host"))
    assert (reading.state, reading.value) == ("refused", None)
    assert "nsenter -t 1 -a" in (reading.reason or "")


@given(st.text(st.sampled_from("group\tlisten net0123456789:-|\nwholesampled"), max_size=300))
def test_any_lines_are_parsed_without_an_exception(text: str) -> None:
    SocketTableSource().parse(look_text() + text)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ((group(), group()), "the same group"),
        ((net(7, here=True),), "tcptop's own"),
        ((net(here=False),), "has a line already"),
        ((group(namespace=7),), "no line describes"),
        ((listen(namespace=7),), "no line describes"),
        ((net(7, here=True), group(namespace=7)), "tcptop's own"),
    ],
)
def test_lines_that_contradict_each_other_are_left_out(lines: tuple[str, ...], words: str) -> None:
    table, damage = SocketTableSource().parse(look_text(net(), *lines))
    assert table is not None
    assert damage is not None
    assert damage.state == "strange"
    assert words in damage.what
    assert [each.inode for each in table.namespaces] == [HERE]
    assert {each.namespace for each in table.groups} | {each.namespace for each in table.listeners} <= {HERE}
    assert len(table.groups) <= 1


@pytest.mark.parametrize("name", SUMS)
def test_a_socket_has_no_more_bytes_than_a_word_of_32_bits_tells(name: str) -> None:
    most = 3 * (2**32 - 1)
    for amount, kept in ((most, 1), (most + 1, 0)):
        sums = " ".join(str(amount if each == name else 0) for each in SUMS)
        line = group(sockets=3).replace("0 0 0 0 0 0", sums)
        table, damage = SocketTableSource().parse(look_text(net(), line))
        assert table is not None
        assert len(table.groups) == kept
        assert (damage is None) == bool(kept)


@pytest.mark.slow
def test_a_look_has_no_more_lines_of_a_kind_than_the_program_writes() -> None:
    lines_of = {
        "groups": [group(f"whole:{number}") for number in range(30_000)],
        "processes": [process(number) for number in range(30_000)],
        "listeners": [listen(queue=number) for number in range(30_000)],
    }
    for kind, lines in lines_of.items():
        table, damage = SocketTableSource().parse(look_text(net(), *lines))
        assert table is not None
        assert damage is not None
        assert f"a look lists at most 2{2 if kind == 'groups' else 0} 000 {kind}" in damage.what


def made_lines(kind: str, number: int) -> str:
    """A line of a kind, different for each number."""
    return {
        "net": lambda: net(10_000 + number, here=False),
        "group": lambda: group(f"whole:{number}", 1),
        "listen": lambda: listen(number % 65_536),
        "process": lambda: process(number, "p"),
        "cgroup": lambda: cgroup(number, f"/{number}"),
        "user": lambda: f"user\t{number}\tname",
    }[kind]()


@pytest.mark.parametrize("kind", MAX_LINES_OF_A_KIND)
def test_a_look_with_too_many_lines_is_read_and_says_what_it_left_out(kind: str) -> None:
    most = MAX_LINES_OF_A_KIND[kind]
    here = net(HERE, here=True)
    written = list(bounded_lines([here, *(made_lines(kind, number) for number in range(1, most + 1501))]))
    more = 1500 + (kind == "net")
    reading = read(look_text(*written).encode())
    assert reading.state == "cut"
    assert reading.reason is not None
    assert f"{more // 1000} {more % 1000:03} more are left out" in reading.reason
    assert reading.value is not None
    counts = {
        "net": reading.value.namespaces,
        "group": reading.value.groups,
        "listen": reading.value.listeners,
        "process": reading.value.process_of,
        "cgroup": reading.value.cgroup_of,
        "user": reading.value.user_of,
    }
    assert len(counts[kind]) == most


def test_no_socket_is_written_without_its_namespace() -> None:
    nets = [net(10_000 + number, here=False) for number in range(MAX_LINES_OF_A_KIND["net"] + 1)]
    written = list(bounded_lines([*nets, group("none", 3), listen(80)]))
    assert written[MAX_LINES_OF_A_KIND["net"] :] == ["left_out\tnet\t1", "left_out\tgroup\t1", "left_out\tlisten\t1"]


def test_a_look_of_few_lines_is_written_as_it_is() -> None:
    assert list(bounded_lines(WHOLE_MACHINE)) == list(WHOLE_MACHINE)
    assert sum(MAX_LINES_OF_A_KIND.values()) < MAX_LINES
