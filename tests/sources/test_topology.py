"""/sys/devices/system/node and cpu: node numbers, CPUs and memory."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import MemoryHost, copy_recording, each_recording, snapshot, snapshot_of, text, tree

from tcptop.hosts.run_sync import run_sync
from tcptop.snapshot import NodeFacts, Reading, Topology
from tcptop.sources.topology import TopologySource, parse_cpus

NODES = "sys/devices/system/node"
ONLINE = "sys/devices/system/cpu/online"


def cpus_in(cpu_list: str) -> int:
    """The CPUs are counted one by one."""
    numbers: set[int] = set()
    for part in filter(None, cpu_list.strip().split(",")):
        ends = part.split("-")
        numbers.update(range(int(ends[0]), int(ends[-1]) + 1))
    return len(numbers)


def read(host: MemoryHost) -> Reading[Topology]:
    return run_sync(TopologySource().read(host))


@each_recording
def test_the_nodes_of_a_recording_equal_its_folders(kernel: str, phase: str) -> None:
    reading = snapshot(kernel, phase).topology
    assert (reading.state, reading.reason) == ("ok", None)
    expected = []
    for folder in sorted((tree(kernel, phase) / NODES).iterdir()):
        cpu_list = (folder / "cpulist").read_text()
        total, free = (
            int(each) << 10 for each in re.findall(r"Mem(?:Total|Free): +(\d+) kB", (folder / "meminfo").read_text())
        )
        number = int(folder.name.removeprefix("node"))
        expected.append(NodeFacts(number, cpu_list.strip(), cpus_in(cpu_list), total, free, huge_pages=0))
    assert reading.value is not None
    assert list(reading.value.nodes) == expected
    assert reading.value.online_cpus == cpus_in(text(kernel, phase, ONLINE))


def test_a_node_without_memory_has_none_and_keeps_its_cpus() -> None:
    value = snapshot("6.1-4n-memoryless", "established").topology.value
    assert value is not None
    assert value.nodes[3] == NodeFacts(3, "6-7", 2, 0, 0, huge_pages=0)


@pytest.mark.parametrize(
    ("cpu_list", "cpus"),
    [
        ("0", 1),
        ("0-3", 4),
        ("0-3,8,10-11", 7),
        ("0,2,4,6\n", 4),
        ("0-127,256-383\n", 256),
        ("5-5", 1),
        ("1023", 1),
    ],
)
def test_cpu_lists_are_counted(cpu_list: str, cpus: int) -> None:
    assert len(parse_cpus(cpu_list)) == cpus


@pytest.mark.parametrize(
    "cpu_list", ["3-0", "0-", "-3", "a", "0-3;5", "1.5", "0x3", "٣", "0--3", "0-3,3", "65536", "0-99999999"]
)
def test_a_malformed_cpu_list_is_refused(cpu_list: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_cpus(cpu_list)


def test_a_blank_line_is_a_node_without_cpus() -> None:
    reading = read(
        MemoryHost(
            {f"{NODES}/node0/cpulist": b"0-1\n", f"{NODES}/node1/cpulist": b"\n", ONLINE: b"0-1\n"},
            {NODES: {"node0": None, "node1": None}},
        )
    )
    assert reading.value is not None
    assert [(node.node, node.cpus) for node in reading.value.nodes] == [(0, 2), (1, 0)]


def test_with_empty_cpu_lists_the_cpus_are_unknown() -> None:
    """The file is empty, as in trees saved by a user without permission; a blank line means a node without CPUs."""
    reading = read(
        MemoryHost(
            {f"{NODES}/node0/cpulist": b"", f"{NODES}/node0/meminfo": b"", ONLINE: b""}, {NODES: {"node0": None}}
        )
    )
    assert reading.value is not None
    assert reading.value.online_cpus is None
    assert [(node.node, node.cpus, node.memory_bytes) for node in reading.value.nodes] == [(0, None, None)]


def test_node_numbers_may_have_gaps() -> None:
    folders: dict[str, str | None] = {f"node{number}": None for number in (40, 8, 0, 31)}
    folders |= {"has_cpu": None, "possible": None, "node": None, "nodeX": None, "node-1": None, "node٣": None}
    reading = read(MemoryHost({}, {NODES: folders}))
    assert reading.value is not None
    assert [node.node for node in reading.value.nodes] == [0, 8, 31, 40]
    assert {(node.cpus, node.memory_bytes) for node in reading.value.nodes} == {(None, None)}


def test_node_memory_is_parsed_after_an_empty_line_and_a_wrapped_negative() -> None:
    meminfo = b"\nNode 1 MemTotal:      8388608 kB\nNode 1 MemUsed:      18446744073709443592 kB\n"
    reading = read(MemoryHost({f"{NODES}/node1/meminfo": meminfo}, {NODES: {"node1": None}}))
    assert reading.value is not None
    assert reading.value.nodes == (NodeFacts(1, None, None, 8388608 << 10),)


def test_only_a_malformed_cpu_list_is_unknown_and_it_is_reported() -> None:
    reading = read(
        MemoryHost(
            {f"{NODES}/node0/cpulist": b"0-\x1b[1m\n", f"{NODES}/node1/cpulist": b"2-3\n", ONLINE: b"0-3\n"},
            {NODES: {"node0": None, "node1": None}},
        )
    )
    assert reading.state == "strange"
    assert reading.reason is not None
    assert reading.reason.isprintable()
    assert reading.value is not None
    assert [node.cpus for node in reading.value.nodes] == [None, 2]
    assert reading.value.online_cpus == 4
    assert all((node.cpu_list or "").isprintable() for node in reading.value.nodes)


@pytest.mark.parametrize(
    ("distance", "state", "reason"),
    [
        (b"10 20\n", "ok", None),
        (b"10 2", "cut", "node0/distance ends in the middle of a line; it is left out"),
        (b"10\n", "strange", "the distance file of node 0 has 1 numbers for 2 nodes"),
        (b"10 20 30\n", "strange", "the distance file of node 0 has 3 numbers for 2 nodes"),
        (b"10 -1\n", "strange", "the distance file of node 0 has an unknown format: '10 -1'"),
        (b"10 \x1b[1m\n", "strange", "the distance file of node 0 has an unknown format"),
        (b"", "ok", None),
    ],
)
def test_distances_of_a_damaged_file_are_unknown(distance: bytes, state: str, reason: str | None) -> None:
    files = {f"{NODES}/node0/distance": distance, f"{NODES}/node5/distance": b"21 10\n"}
    reading = read(MemoryHost(files, {NODES: {"node0": None, "node5": None}}))
    assert reading.state == state
    assert reading.reason is None if reason is None else reason in (reading.reason or "")
    assert (reading.reason or "").isprintable()
    assert reading.value is not None
    one, two = reading.value.nodes
    assert one.distances == ({0: 10, 5: 20} if distance == b"10 20\n" else None)
    assert two.distances == {0: 21, 5: 10}


def test_a_kernel_without_numa_has_its_online_cpus() -> None:
    reading = read(MemoryHost({ONLINE: b"0-1\n"}))
    assert reading.value == Topology((), 2)


def test_without_any_file_the_reading_is_missing_with_a_reason() -> None:
    reading = read(MemoryHost())
    assert (reading.state, reading.value) == ("missing", None)
    assert reading.reason is not None


@pytest.mark.slow
def test_a_cut_node_meminfo_gives_the_whole_amount_or_none(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    meminfo = root / NODES / "node2/meminfo"
    whole = meminfo.read_bytes()
    memory = snapshot("6.1-4n", "established").topology.value
    assert memory is not None
    for end in range(60):
        meminfo.write_bytes(whole[:end])
        value = snapshot_of_topology(root)
        assert value.nodes[2].memory_bytes in (memory.nodes[2].memory_bytes, None), end
        assert value.nodes[1] == memory.nodes[1]


def snapshot_of_topology(root: Path) -> Topology:
    value = snapshot_of(root).topology.value
    assert value is not None
    return value


@given(st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=80))
def test_arbitrary_bytes_never_raise_or_give_a_negative_number(online: bytes, cpu_list: bytes, meminfo: bytes) -> None:
    reading = read(
        MemoryHost(
            {ONLINE: online, f"{NODES}/node0/cpulist": cpu_list, f"{NODES}/node0/meminfo": meminfo},
            {NODES: {"node0": None}},
        )
    )
    assert reading.value is not None
    [node] = reading.value.nodes
    assert all(each is None or each >= 0 for each in (reading.value.online_cpus, node.cpus, node.memory_bytes))


@given(st.sets(st.integers(0, 4095), max_size=60))
def test_the_kernels_format_is_parsed_back(cpus: set[int]) -> None:
    """A list in the format of lib/vsprintf.c, bitmap_list_string."""
    parts: list[str] = []
    for cpu in sorted(cpus):
        if cpu - 1 in cpus:
            first = parts[-1].split("-")[0]
            parts[-1] = f"{first}-{cpu}"
        else:
            parts.append(str(cpu))
    assert parse_cpus(",".join(parts) + "\n") == cpus
