"""A lab's result as text: state by state, cache by cache, beside what the catalogue says. ASCII only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tcptop import units
from tcptop.lab.result import NOTABLE_BYTES, LabPart, LabResult, StateResult
from tcptop.lab.runs import TITLES
from tcptop.report.as_text import table

SUMMARY = (
    "STATE",
    "SOCKETS",
    "MEASURED",
    "CATALOGUE",
    "DIFFERENCE",
    "VECTORS",
    "ALL ROWS",
    "UNEXPLAINED",
    "OTHER PROGRAMS",
)
DETAIL = ("STATE", "ROW", "OBJECTS", "BYTES", "R2", "CAT OBJ", "CAT BYTES", "DIFFERENCE", "CACHES")


def as_text(result: LabResult) -> str:
    """The whole report, ending in a line break."""
    sections = [_head(result), _summary(result), _detail(result), _notes(result)]
    text = "\n\n".join("\n".join(section) for section in map(list, sections) if section)
    return f"{text}\n".encode("ascii", "backslashreplace").decode("ascii")


def _head(result: LabResult) -> Iterator[str]:
    family = "IPv6" if result.ipv6 else "IPv4"
    yield f"tcptop lab: what a TCP socket costs, measured - Linux {result.kernel or '-'}"
    yield (
        f"{family}, {units.grouped(result.connections)} connections over loopback in each run,"
        f" {units.size(result.page_size_bytes)} pages, {result.took_s:.1f} s"
    )


def _summary(result: LabResult) -> Iterator[str]:
    yield "Bytes per endpoint in slabs (both ends: per connection)"
    lines = [list(SUMMARY)]
    for key, state in result.results.items():
        lines.append(
            [
                TITLES[key],
                units.grouped(state.sockets),
                f"{state.bytes:.1f}",
                catalogue_amount(state),
                share(state.difference),
                f"{state.vectors.bytes:.1f}" if state.vectors else "-",
                f"{state.all_rows_bytes:.1f}",
                f"{state.unexplained_bytes:.1f}" if state.unexplained else "0",
                f"{state.other_programs_bytes:+.1f}",
            ]
        )
    yield from table(lines, [True])


def catalogue_amount(state: StateResult) -> str:
    """What the catalogue says; after `>=` where it lacks a part."""
    return f"{'>= ' if state.catalogue_missing else ''}{state.catalogue_bytes:.1f}"


def share(amount: float | None) -> str:
    """A difference as a percentage with its sign."""
    return "-" if amount is None else f"{100 * amount:+.2f} %"


def _detail(result: LabResult) -> Iterator[str]:
    yield "Cache by cache"
    lines = [list(DETAIL)]
    for key, state in result.results.items():
        title = TITLES[key]
        for part in (*state.parts, *((state.vectors,) if state.vectors else ())):
            lines.append([title, *_part(part)])
            title = ""
    yield from table(lines, [True, True, False, False, False, False, False, False, True])


def _part(part: LabPart) -> Sequence[str]:
    known = part.catalogue_objects is not None and part.catalogue_bytes is not None
    return (
        part.row,
        f"{part.objects:.4f}",
        f"{part.bytes:.1f}",
        f"{part.r2:.4f}",
        f"{part.catalogue_objects:g}" if known else "-",
        f"{part.catalogue_bytes:.1f}" if known else "-",
        f"{part.bytes - (part.catalogue_bytes or 0.0):+.1f}" if known else "-",
        ", ".join(part.names) if part.names != (part.row,) else "",
    )


def _notes(result: LabResult) -> Iterator[str]:
    few = result.results.get("established/few_ports")
    if few is not None and few.local_ports:
        per_port = few.buckets_per_connection * few.connections / few.local_ports
        yield (
            f"Few local ports: {units.grouped(few.connections)} clients over {few.local_ports} ports made"
            f" {per_port:.2f} bucket objects per port, {few.buckets_per_connection:.3f} per connection:"
            " buckets are per port."
        )
    most = max((state.observer for state in result.results.values()), key=lambda part: part.bytes, default=None)
    if most is not None and most.bytes >= NOTABLE_BYTES:
        yield (
            f"Observer: something walks /proc/PID/fd here: up to {most.objects:.2f} proc_inode_cache objects per"
            f" endpoint with their dentries and LSM blobs, {most.bytes:.0f} bytes; taken out above."
        )
    if any(state.vectors for state in result.results.values()):
        yield (
            "VECTORS: memory cgroups' obj_cgroup vectors, 8 bytes per accounted object, in kmalloc rows, beside the"
            " catalogue."
        )
    yield (
        "ALL ROWS: what came with each step of endpoints and went when they did, in every row there is, vectors too."
        " OTHER PROGRAMS: what else the rows grew by."
    )
    yield from _doubts(result)


def _doubts(result: LabResult) -> Iterator[str]:
    for key, state in result.results.items():
        for part in state.unexplained:
            if part.bytes > NOTABLE_BYTES:
                yield f"Unexplained: {TITLES[key]}: {part.bytes:.0f} bytes in {part.row} ({', '.join(part.names)})"
        gone = [part.row for part in state.parts if not part.objects]
        if gone:
            yield f"Disturbed: {TITLES[key]}: {', '.join(gone)} did not follow the sockets; measure again."
        elif state.others > DISTURBED * state.sockets:
            yield (
                f"Disturbed: {TITLES[key]}: {units.grouped(state.others)} sockets of other programs came or went"
                " meanwhile; measure again."
            )
        elif state.disturbance > DISTURBED:
            yield (
                f"Disturbed: {TITLES[key]}: other programs moved the machine's slabs by"
                f" {100 * state.disturbance:.0f} % of it meanwhile."
            )


DISTURBED = 0.02
