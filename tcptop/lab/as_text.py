"""Formats a lab result as ASCII text: measured and predicted bytes, by state and by slabinfo row."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from tcptop.accounting.lab_result import ACCEPTED
from tcptop.lab.result import NOTABLE_BYTES, LabPart, LabResult, StateResult
from tcptop.lab.runs import RUN_TITLES
from tcptop.text import units
from tcptop.text.ascii import report_to_ascii
from tcptop.text.line import wrap_text
from tcptop.text.printable import printable
from tcptop.text.table import make_headings, plain_table

SUMMARY = make_headings(
    "<STATE",
    "SOCKETS",
    "MEASURED",
    "CATALOGUE",
    "DIFFERENCE",
    "VECTORS",
    "ALL ROWS",
    "UNEXPLAINED",
    "OTHERS",
    least=("SOCKETS", "OTHERS", "VECTORS", "DIFFERENCE", "UNEXPLAINED"),
)
FIRST_CHECK = 5
"""Index of the column at which the summary is split into two tables on a narrow terminal."""

DETAIL = make_headings(
    "<STATE",
    "<ROW",
    "OBJECTS",
    "BYTES",
    "R2",
    "CAT OBJ",
    "CAT BYTES",
    "DIFFERENCE",
    "<CACHES",
    least=("R2", "CAT OBJ", "CAT BYTES", "DIFFERENCE", "OBJECTS"),
)


def result_as_text(result: LabResult, columns: int | None = None, saved_as: str | None = None) -> str:
    """The whole report, with a newline at the end.

    Args:
        result: the result of the lab.
        columns: width of the terminal; None for no limit.
        saved_as: the file that contains the result; None if the result was not written to a file.

    """
    notes = [line for note in _notes(result, saved_as) for line in wrap_text(note, columns, "  ")]
    sections = [_head(result, columns), _summary(result, columns), _detail(result, columns), notes]
    text = "\n\n".join("\n".join(section) for section in map(list, sections) if section)
    return report_to_ascii(f"{text}\n")


def _head(result: LabResult, columns: int | None) -> Iterator[str]:
    family = "IPv6" if result.ipv6 else "IPv4"
    for text in (
        f"tcptop lab: what a TCP socket costs, measured - Linux {printable(result.kernel or '-')}",
        f"{family}, {units.grouped(result.connections)} connections over loopback in each run,"
        f" {units.size(result.page_size_bytes)} pages, {result.took_s:.1f} s",
    ):
        yield from wrap_text(text, columns, "  ")


def _summary(result: LabResult, columns: int | None) -> Iterator[str]:
    yield from wrap_text("Bytes per endpoint in slabs (both ends: per connection)", columns, "  ")
    rows = [
        [
            RUN_TITLES[key],
            units.grouped(state.sockets),
            f"{state.bytes:.1f}",
            catalogue_amount(state),
            catalogue_difference(state),
            f"{state.vectors.bytes:.1f}" if state.vectors else "-",
            f"{state.all_rows_bytes:.1f}",
            f"{state.unexplained_bytes:.1f}" if state.unexplained else "0",
            f"{state.other_programs_bytes:+.1f}",
        ]
        for key, state in result.results.items()
    ]
    yield from plain_table(SUMMARY, rows, columns, split_at=FIRST_CHECK)


def catalogue_amount(state: StateResult) -> str:
    """The predicted bytes as text, with `>=` in front if the prediction omits a part of unknown size."""
    return f"{'>= ' if state.catalogue_missing else ''}{state.catalogue_bytes:.1f}"


def catalogue_difference(state: StateResult) -> str:
    """Measured minus predicted bytes as text, in percent of the predicted bytes.

    The text begins with `<=` if the prediction omits a part of unknown size.
    """
    at_most = "<= " if state.catalogue_missing and state.difference is not None else ""
    return f"{at_most}{format_percent(state.difference)}"


def format_percent(amount: float | None) -> str:
    """A share as a signed percentage; `-` if unknown."""
    return "-" if amount is None else f"{100 * amount:+.2f} %"


def _detail(result: LabResult, columns: int | None) -> Iterator[str]:
    yield "Cache by cache"
    rows = [
        ["" if index else RUN_TITLES[key], *_part(part)]
        for key, state in result.results.items()
        for index, part in enumerate((*state.parts, *filter(None, [state.vectors])))
    ]
    whole = list(plain_table(DETAIL, rows))
    if columns is None or max(map(len, whole)) <= columns:
        yield from whole
        return
    # On a narrow terminal, the title of a state and the names of the caches are printed on lines of their own.
    titles, *texts = plain_table(DETAIL[1:-1], [cells[1:-1] for cells in rows], columns)
    yield titles
    for cells, text in zip(rows, texts, strict=True):
        if cells[0]:
            yield cells[0]
        yield text
        if cells[-1]:
            yield from wrap_text(f"    of {cells[-1]}", columns, "      ")


def _part(part: LabPart) -> Sequence[str]:
    known = part.catalogue_objects is not None and part.catalogue_bytes is not None
    return (
        part.row,
        f"{part.objects:.4f}",
        f"{part.bytes:.1f}",
        f"{part.r2:.4f}",
        f"{part.catalogue_objects:.6g}" if known else "-",
        f"{part.catalogue_bytes:.1f}" if known else "-",
        f"{part.bytes - (part.catalogue_bytes or 0.0):+.1f}" if known else "-",
        ", ".join(part.names) if part.names != (part.row,) else "",
    )


def _notes(result: LabResult, saved_as: str | None) -> Iterator[str]:
    few = result.results.get("established/few_ports")
    if few is not None and few.local_ports:
        per_port = few.buckets_per_connection * few.connections / few.local_ports
        yield (
            f"Few local ports: {units.grouped(few.connections)} clients over {few.local_ports} ports made"
            f" {per_port:.2f} bucket objects per port, {few.buckets_per_connection:.3f} per connection:"
            " buckets are per port."
        )
    if result.ktls is not None:
        context, tx, rx = (units.grouped(round(amount)) for amount in result.ktls)
        yield (
            f"kTLS: a socket's kernel TLS takes {context} bytes for its context, {tx} for TX and {rx} for RX"
            " (AES-128-GCM, no records in flight): what each step of its setup adds to ESTABLISHED both ends."
        )
    for name, reason in result.skipped.items():
        yield f"Not measured: {name}: {reason}."
    missing = dict.fromkeys(name for state in result.results.values() for name in state.catalogue_missing)
    if missing:
        yield (
            f"CATALOGUE >=: a lower bound, without what is not known here: {', '.join(missing)}."
            " DIFFERENCE <=: with that, it would be less."
        )
    most = max((state.observer for state in result.results.values()), key=lambda part: part.bytes, default=None)
    if most is not None and most.bytes >= NOTABLE_BYTES:
        yield (
            f"Observer: something walks /proc/PID/fd here: up to {most.objects:.2f} proc_inode_cache objects per"
            f" endpoint with their dentries and LSM blobs, {most.bytes:.0f} bytes; taken out above."
        )
    if any(state.vectors for state in result.results.values()):
        counted = any(state.catalogue_counts_vectors for state in result.results.values())
        yield (
            "VECTORS: memory cgroups' obj_cgroup vectors, 8 bytes per accounted object, in kmalloc rows;"
            f" {'in MEASURED and in CATALOGUE too' if counted else 'beside MEASURED and CATALOGUE'}."
        )
    yield (
        "ALL ROWS: what came with each step of endpoints and went when they did, in every row there is, vectors too."
        " OTHERS: what else the rows grew by, which is other programs'."
    )
    yield from _doubts(result)
    if saved_as is not None:
        path = shlex.quote(printable(saved_as))
        compare = f"tcptop lab --compare {path} sets this kernel beside another"
        accepted = result.results.get(ACCEPTED)
        if accepted is not None and accepted.doubt is None:
            yield f"Saved: tcptop --lab {path} uses it; {compare}."
        else:
            yield f"Saved: {compare}; tcptop --lab does not use it."


def _doubts(result: LabResult) -> Iterator[str]:
    if result.connections < ENOUGH_CONNECTIONS:
        yield (
            f"Coarse: with {units.grouped(result.connections)} connections, one slab more or less in a step is up to"
            " some percent of a figure; measure with more --connections."
        )
    for key, state in result.results.items():
        for part in state.unexplained:
            if part.bytes > NOTABLE_BYTES:
                yield f"Unexplained: {RUN_TITLES[key]}: {part.bytes:.0f} bytes in {part.row} ({', '.join(part.names)})"
        if state.doubt is not None:
            yield f"Disturbed: {RUN_TITLES[key]}: {state.doubt}; measure again."


ENOUGH_CONNECTIONS = 4_000
"""If the lab opened fewer connections than this number, the report warns that a single slab may change a figure by some
percent."""
