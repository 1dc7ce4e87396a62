"""The page of nodes, the report and the JSON, compared with `numactl --hardware` of a guest and of this machine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from recorded import DISTANCES_TREE, copy_recording, ledger, ledger_of

from tcptop.explanation.numa_page import NO_DISTANCE, numa_page
from tcptop.ledger import Ledger
from tcptop.report.as_json import as_object
from tcptop.report.as_text import as_text
from tcptop.text import units
from tcptop.text.line import text_of
from tcptop.widgets.nodes_pane import node_lines

FREE_DRIFT_MIB = 64
"""Maximum change of a node's free memory between two reads, on this machine and in the guest."""


class Hardware(NamedTuple):
    """The output of `numactl --hardware`, by node."""

    cpus: dict[int, list[int]]
    size_mib: dict[int, int]
    free_mib: dict[int, int]
    distances: dict[int, list[int]]


def parse_numactl(output: str) -> Hardware:
    cpus = {
        int(node): [int(cpu) for cpu in listed.split()]
        for node, listed in re.findall(r"^node (\d+) cpus:([ \d]*)$", output, re.MULTILINE)
    }
    size, free = (
        {int(node): int(amount) for node, amount in re.findall(rf"^node (\d+) {name}: (\d+) MB", output, re.MULTILINE)}
        for name in ("size", "free")
    )
    distances = {
        int(node): [int(each) for each in row.split()]
        for node, row in re.findall(r"^ +(\d+): ([ \d]+)$", output, re.MULTILINE)
    }
    return Hardware(cpus, size, free, distances)


def cpus_in(cpu_list: str) -> list[int]:
    ranges = (part.split("-") for part in cpu_list.split(",") if part)
    return [cpu for ends in ranges for cpu in range(int(ends[0]), int(ends[-1]) + 1)]


def assert_same(ledger: Ledger, numactl: Hardware) -> None:
    """The JSON, the page and the report have the figures of numactl."""
    nodes = json.loads(json.dumps(as_object(ledger)))["nodes"]
    assert {node["node"]: cpus_in(node["cpu_list"]) for node in nodes} == numactl.cpus
    assert {node["node"]: node["memory_bytes"] >> 20 for node in nodes} == numactl.size_mib
    for node in nodes:
        assert abs((node["free_bytes"] >> 20) - numactl.free_mib[node["node"]]) <= FREE_DRIFT_MIB
    assert {node["node"]: [*node["distances"].values()] for node in nodes} == numactl.distances
    assert all([*node["distances"]] == [str(each) for each in numactl.distances] for node in nodes)
    page = "\n".join(map(text_of, numa_page(ledger, 96)))
    for text in (page, as_text(ledger)):
        for number, row in numactl.distances.items():
            assert re.search(rf"^ +{number} +{' +'.join(map(str, row))} *$", text, re.MULTILINE), number
        for node in nodes:
            number, rounded = node["node"], round(node["memory_bytes"] / (1 << 20))
            pattern = rf"^ +{number} +{len(numactl.cpus[number])} +{rounded:,} MiB ".replace(",", " ")
            assert re.search(pattern, text, re.MULTILINE)


def test_a_guest_with_unlike_distances_has_the_figures_of_its_numactl() -> None:
    numactl = parse_numactl((DISTANCES_TREE.parent / "numactl.txt").read_text())
    assert numactl.distances[0] != [row[0] for row in numactl.distances.values()]
    ledger = ledger_of(DISTANCES_TREE)
    assert_same(ledger, numactl)
    assert ledger.host.cpus == 4, "one of its five CPUs is offline"


@pytest.mark.skipif(shutil.which("numactl") is None, reason="needs numactl of the package numactl")
def test_this_machine_has_the_figures_of_numactl() -> None:
    found = subprocess.run(["numactl", "--hardware"], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip("this kernel has no NUMA")
    ledger = ledger_of(Path("/"))
    assert_same(ledger, parse_numactl(found.stdout))
    assert ledger.host.cpus == Path("/proc/cpuinfo").read_text().count("processor\t:")


def sparse_tree(folder: Path) -> Path:
    """The nodes 0, 8 and 31, with different distances."""
    root = copy_recording("6.1-1n", "established", folder)
    nodes = root / "sys/devices/system/node"
    for number, distances in ((0, "10 20 40"), (8, "21 10 41"), (31, "42 22 10")):
        place = nodes / f"node{number}"
        place.mkdir(exist_ok=True)
        (place / "distance").write_text(f"{distances}\n")
        (place / "cpulist").write_text("\n" if number else "0-3\n")
    return root


def test_distances_of_nodes_whose_numbers_have_gaps_belong_to_the_nodes_in_order(tmp_path: Path) -> None:
    ledger = ledger_of(sparse_tree(tmp_path))
    assert {node.node: node.distances for node in ledger.nodes} == {
        0: {0: 10, 8: 20, 31: 40},
        8: {0: 21, 8: 10, 31: 41},
        31: {0: 42, 8: 22, 31: 10},
    }
    lines = [text_of(line).split() for line in numa_page(ledger, 80)]
    assert ["DISTANCE", "FROM", "TO", "0", "TO", "8", "TO", "31"] in lines
    assert ["31", "42", "22", "10"] in lines


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_the_distances_of_many_nodes_are_split_into_tables_that_fit(tmp_path: Path, columns: int) -> None:
    root = copy_recording("6.1-1n", "established", tmp_path)
    numbers = range(64)
    for number in numbers:
        place = root / f"sys/devices/system/node/node{number}"
        place.mkdir(exist_ok=True)
        (place / "distance").write_text(" ".join(str(10 + abs(number - other)) for other in numbers) + "\n")
    lines = [text_of(line) for line in numa_page(ledger_of(root), columns)]
    assert max(map(len, lines)) <= columns
    found: dict[int, list[int]] = {}
    for line in lines:
        if re.fullmatch(r" +\d+( +\d+)+ *", line):
            number, *row = map(int, line.split())
            found.setdefault(number, []).extend(row)
    assert found == {number: [10 + abs(number - other) for other in numbers] for number in numbers}


def test_the_table_of_nodes_has_the_distances_where_they_fit(tmp_path: Path) -> None:
    ledger = ledger_of(sparse_tree(tmp_path))
    wide, narrow = ([text_of(line) for line in node_lines(ledger, columns)] for columns in (120, 60))
    assert wide[0].endswith("DISTANCES")
    assert [line.split()[-3:] for line in wide[1:]] == [["10", "20", "40"], ["21", "10", "41"], ["42", "22", "10"]]
    assert "DISTANCES" not in narrow[0]


def test_a_recording_without_distances_says_that_they_are_unknown(tmp_path: Path) -> None:
    ledger = ledger_of(copy_recording("6.1-4n", "established", tmp_path))
    assert [node.distances for node in ledger.nodes] == [None] * 4
    assert NO_DISTANCE in re.sub(r"\s+", " ", " ".join(map(text_of, numa_page(ledger, 80))))
    assert "DISTANCES" not in text_of(node_lines(ledger, 200)[0])


def test_memory_that_is_not_initialised_yet_is_named_beside_the_nodes() -> None:
    """The machine has more memory than its node counts; the rest is named, and adds up."""
    figures = ledger("6.18-1n", "base")
    host_bytes, node_bytes = figures.host.memory_bytes, figures.nodes[0].memory_bytes
    assert host_bytes is not None
    assert node_bytes is not None
    late = f"without {units.size(host_bytes - node_bytes)} that the kernel has not initialised yet"
    report = " ".join(as_text(figures).split())
    assert f" Node 0: CPUs 0-1, {units.size(node_bytes)} memory, {late} " in report
    assert f"MEMORY and FREE are {late}." in report
    assert "not initialised" not in as_text(ledger("6.1-4n", "base"))
