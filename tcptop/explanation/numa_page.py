"""The page of NUMA nodes: CPUs, memory and distances of each node, as `numactl --hardware` prints them."""

from __future__ import annotations

from collections.abc import Iterator

from tcptop.ledger import Ledger, NodeMemory
from tcptop.text import units
from tcptop.text.line import EMPTY_LINE, Line, paragraph
from tcptop.text.table import GAP, MARGIN, TableRow, make_headings, table_lines

MIB = 1 << 20
NEAREST = (
    "The firmware gives the distances: 10 is the memory of the node itself, 20 is twice as far. When a node has no free"
    " memory left, its CPUs take that of the nearest nodes first."
)
NO_NODE = "No file names a node: the kernel was built without NUMA, or /sys/devices/system/node is not readable."
NO_DISTANCE = "The distances are not known: no file /sys/devices/system/node/node*/distance was readable or saved."


def numa_page(ledger: Ledger, columns: int) -> list[Line]:
    """The page with a row for each node, and the distances between the nodes."""
    cpus = f"{units.counted(ledger.host.cpus, 'CPU')} online."
    if not ledger.nodes:
        return [*paragraph(f" {cpus}", columns - 1, "text"), *paragraph(f" {NO_NODE}", columns - 1, "dim")]
    nodes = "1 node" if len(ledger.nodes) == 1 else f"{units.count(len(ledger.nodes))} nodes"
    lines = paragraph(f" {nodes} online, {cpus}", columns - 1, "text")
    rows = [
        TableRow(
            (str(node.node), units.count(node.cpus), _mebibytes(node.memory_bytes), _mebibytes(node.free_bytes)),
            node_cpus_text(node) + ("; no memory, its sockets are on other nodes" if node.memory_bytes == 0 else ""),
        )
        for node in ledger.nodes
    ]
    lines += [EMPTY_LINE, *table_lines(make_headings("NODE", "CPUS", "MEMORY", "FREE", ""), rows, columns), EMPTY_LINE]
    if late := late_memory_text(ledger):
        lines += [*paragraph(f" MEMORY and FREE are {late}.", columns - 1, "text"), EMPTY_LINE]
    known = any(node.distances for node in ledger.nodes)
    for table in distance_tables(ledger, columns) if known else ():
        lines += [*table, EMPTY_LINE]
    return [*lines, *paragraph(f" {NEAREST if known else NO_DISTANCE}", columns - 1, "dim")]


def node_cpus_text(node: NodeMemory) -> str:
    """The CPUs of a node in words: `CPUs 0-15,32-47`."""
    return f"CPUs {node.cpu_list}" if node.cpu_list else "no CPUs" if node.cpus == 0 else "CPUs unknown"


def late_memory_text(ledger: Ledger) -> str:
    """Words on memory that no node counts, because the kernel has not initialised it yet; empty if there is none.

    The amount is known for the whole machine alone.
    """
    late_bytes = ledger.headroom["full"].late_bytes
    if not late_bytes:
        return ""
    whose = "" if len(ledger.nodes) == 1 else " of all nodes"
    return f"without {units.size(late_bytes)}{whose} that the kernel has not initialised yet"


def distance_tables(ledger: Ledger, columns: int) -> Iterator[list[Line]]:
    """The distances, with a row from each node and a column to each node; several tables if the width is too small."""
    numbers = [node.node for node in ledger.nodes]
    distances = [node.distances or {} for node in ledger.nodes]
    cells = [str(each) for row in distances for each in row.values()]
    width = max(map(len, [*cells, *(f"TO {number}" for number in numbers)])) + len(GAP)
    per_table = max(1, (columns - len(MARGIN + GAP) - len("DISTANCE FROM")) // width)
    for first in range(0, len(numbers), per_table):
        to_nodes = numbers[first : first + per_table]
        headings = make_headings("DISTANCE FROM", *(f"TO {number}" for number in to_nodes), "")
        rows = [
            TableRow((str(number), *(str(row.get(other, units.UNKNOWN)) for other in to_nodes)))
            for number, row in zip(numbers, distances, strict=True)
        ]
        yield table_lines(headings, rows, columns)


def _mebibytes(amount: int | None) -> str:
    """An amount in whole MiB, rounded to the nearest; numactl, which calls the unit MB, rounds down."""
    return units.UNKNOWN if amount is None else f"{units.grouped(round(amount / MIB))} MiB"
