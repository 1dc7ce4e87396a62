"""docs/json.md and the code: each says what the other does, of every key, type, null, sign and enumeration."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from json_document import DOCUMENT, LINK, Held, document, rows
from made_machine import made
from recorded import ALL, RECORDINGS, MemoryHost, copied, ledger, ledger_of, looked_at, snapshot, text

from tcptop.accounting import account
from tcptop.accounting.connection import held_objects
from tcptop.comparison.compare import compared
from tcptop.comparison.difference import Bound
from tcptop.hosts.folder import FolderHost
from tcptop.kernel_objects import CGROUP_VECTORS, OBJECT_OF_CACHE, State
from tcptop.lab.as_json import as_object as lab_as_object
from tcptop.lab.compare import compared as compared_labs
from tcptop.lab.compare_parts import compared_parts
from tcptop.lab.result import LabPart, LabResult, StateResult
from tcptop.lab.runs import RUNS
from tcptop.lab.saved import PLACES
from tcptop.ledger import Ledger, Scope, Wall
from tcptop.report.as_json import as_object
from tcptop.report.diff_json import diff_as_object
from tcptop.snapshot import READING_NAMES, LabMeasurement, MeasuredState, ReadState

Json = dict[str, Any]

NULL_IN_NO_CASE: Mapping[str, str] = {}
"""Rows that are documented as nullable and null in none of the cases here, with the reason."""


# The cases: the recordings, and what it takes besides to see each null.


def of_files(files: Mapping[str, str], links: Mapping[str, str | None] | None = None) -> Ledger:
    """The ledger of a machine of a few files; the links are those in /sys/kernel/slab."""
    folders = {} if links is None else {"sys/kernel/slab": links}
    return account(looked_at(MemoryHost({path: found.encode() for path, found in files.items()}, folders)))


def changed(into: Path, change: Callable[[Path], None], kernel: str = "6.1-4n", phase: str = "established") -> Ledger:
    """The ledger of a recording with something changed in its tree."""
    root = copied(kernel, phase, into)
    change(root)
    found = ledger_of(root)
    shutil.rmtree(root)
    return found


def halve_slabinfo(root: Path) -> None:
    file = root / "proc/slabinfo"
    whole = file.read_text()
    file.write_text(whole[: len(whole) // 2])


def leave_only_sockets_in_slabinfo(root: Path) -> None:
    """Sockets share dentries of which slabinfo, read at another time, has few."""
    file = root / "proc/slabinfo"
    lines = file.read_text().splitlines()
    kept = [
        line for line in lines if re.match(r"slabinfo|#|TCP|\w*sock_TCP|sock_inode_cache|kmalloc-\d|filp|lsm", line)
    ]
    few = "dentry 21 21 192 21 1 : tunables 0 0 0 : slabdata 1 1 0"
    file.write_text("\n".join([*kept, few]) + "\n")
    (root / "proc/meminfo").write_text("MemTotal: 4194304 kB\nSlab: 4 kB\n")


def bound_files_and_flows(root: Path) -> None:
    (root / "proc/sys/fs").mkdir(exist_ok=True)
    (root / "proc/sys/fs/file-nr").write_text("1200\t0\t100000\n")
    (root / "proc/sys/net/netfilter").mkdir(exist_ok=True)
    (root / "proc/sys/net/netfilter/nf_conntrack_count").write_text("250\n")
    (root / "proc/sys/net/netfilter/nf_conntrack_max").write_text("65536\n")


def without(*paths: str) -> Callable[[Path], None]:
    def remove(root: Path) -> None:
        for path in paths:
            (root / path).unlink()

    return remove


def with_content(path: str, content: str) -> Callable[[Path], None]:
    return lambda root: (root / path).write_text(content) and None


def with_lab(kernel: str | None) -> Ledger:
    """A ledger with the result of a lab on a kernel of that release."""
    of = snapshot("6.1-4n", "established")
    states = {"established/accepted": MeasuredState((), 0.0)}
    return account(of._replace(measured=LabMeasurement("lab.json", kernel, None, 4096, False, states)))


@cache
def live() -> Ledger:
    """This machine, as whoever runs the tests may see it."""
    host = FolderHost("/")
    try:
        return account(looked_at(host))
    finally:
        host.close()


ONE_NODE_OF_TYPES_ALONE = (
    "Page block order: 9\nPages per block:  512\n\n"
    "Free pages count per migrate type at order       0      1      2 \n"
    "Node    0, zone   Normal, type    Unmovable      1      2      3 \n\n"
)
BARE = {
    "nothing": of_files({}),
    # Caches by the names of their folders alone: a merged one without a row, and no size of any.
    "links alone": of_files({}, {"TCP": None, "tcp_bind_bucket": ":a", "eventpoll_epi": ":a", ":a": None}),
    "sizes of structs without a page size": of_files(
        {
            "proc/net/protocols": "protocol  size sockets  memory press maxhdr\nTCP       2280      1       0   no       320\n"
        },
        {"TCP": None},
    ),
    "migrate types alone": of_files({"proc/pagetypeinfo": ONE_NODE_OF_TYPES_ALONE}),
}


def more_ledgers(folder: Path) -> dict[str, Ledger]:
    """What no recording shows."""
    machines = ("counts that are capped", "without memory or CPUs", "movable only")
    return {
        **BARE,
        **{name: ledger_of(made(name, folder / name)) for name in machines},
        "live": live(),
        "without slabinfo": changed(folder, without("proc/slabinfo")),
        "half a slabinfo": changed(folder, halve_slabinfo),
        "without migrate types": changed(folder, without("proc/pagetypeinfo")),
        "without a count of slabs": changed(folder, without("sys/kernel/slab/TCP/slabs")),
        "without a count of objects": changed(folder, without("sys/kernel/slab/TCP/total_objects")),
        "files that disagree": changed(folder, leave_only_sockets_in_slabinfo),
        "bounded files and flows": changed(folder, bound_files_and_flows),
        "a scope that the release leaves open": changed(folder, with_content("proc/sys/kernel/osrelease", "4.10.0\n")),
        "fewer CPUs": changed(folder, with_content("sys/devices/system/cpu/online", "0-3\n")),
        "another machine": changed(folder, with_content("proc/sys/kernel/hostname", "other\n")),
        "with a lab": with_lab(text("6.1-4n", "established", "proc/sys/kernel/osrelease").strip()),
        "with a lab of another kernel": with_lab("7.0"),
    }


def differences(more: Mapping[str, Ledger]) -> Iterator[Json]:
    """Recordings beside the next phase, beside other kernels, and beside what lacks something."""
    pairs = [
        (ledger(kernel, one), ledger(kernel, two))
        for kernel, phases in RECORDINGS.items()
        for one, two in pairwise(phases)
    ]
    whole = ledger("6.1-4n", "established")
    pairs += [(ledger("6.1-4n", "base"), each) for each in more.values()]
    pairs += [(each, whole) for each in more.values()]
    pairs += [
        (whole, ledger("6.12-arm64-16k-4n", "base")),
        (more["nothing"], more["nothing"]),
        (more["live"], more["live"]),
    ]
    pairs += [(more["another machine"], _named(whole, "one")), (whole, more["fewer CPUs"])]
    yield from (diff_as_object(compared(one, two, ("A", "B"))) for one, two in pairs)


def _named(of: Ledger, name: str) -> Ledger:
    return of._replace(host=of.host._replace(name=name))


SOCK = LabPart("TCP", ("TCP",), 1.0, 2520.0, 1.0, 1.0, 2520.0)
SMALLER = LabPart("TCP", ("TCP",), 1.0, 2304.0, 1.0, 1.0, 2400.0)
STRANGE = LabPart("kmalloc-64", ("kmalloc-64",), 1.0, 64.0, 0.999, None, None)
VECTORS = LabPart("obj_cgroup vectors", ("obj_cgroup vectors",), 0.2, 38.0, 0.98, 0.19, 36.5)


def lab_state(
    *parts: LabPart, observed: float = 0.9, ports: int = 1000, vectors: LabPart | None = VECTORS
) -> StateResult:
    return StateResult(
        connections=8000,
        sockets=8000,
        parts=parts,
        vectors=vectors,
        catalogue_bytes=sum(part.catalogue_bytes or 0.0 for part in parts),
        catalogue_missing=() if vectors else ("a part",),
        catalogue_counts_vectors=True,
        observer=LabPart("proc_inode_cache", ("proc_inode_cache",), observed, 950 * observed, 0.99, None, None),
        control_bytes=-1.5,
        all_rows_bytes=sum(part.bytes for part in parts),
        other_programs_bytes=-3.25,
        doubtful_bytes=0.0,
        local_ports=ports,
        others=0,
    )


def lab(results: Mapping[str, StateResult], kernel: str | None, ipv6: bool = False) -> Json:
    build_id = None if kernel is None else "ab" * 20
    return lab_as_object(LabResult(kernel, build_id, 1_795_365_003.7, 4096, ipv6, 8000, 12.34, results))


def lab_results() -> list[Json]:
    """A whole one, one with smaller sockets, one of a single state, and one that found nothing it knows."""
    return [
        lab({run.key: lab_state(SOCK, STRANGE) for run in RUNS}, "6.18.0"),
        lab({run.key: lab_state(SMALLER) for run in RUNS}, "6.1.0"),
        lab({"close_wait/": lab_state(SOCK, observed=-0.1, vectors=None)}, None, ipv6=True),
        lab({"established/few_ports": lab_state(STRANGE, observed=-0.1, ports=0, vectors=None)}, "6.18.0"),
    ]


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Held:
    """Every case, held against the document."""
    found = Held(document())
    more = more_ledgers(tmp_path_factory.mktemp("trees"))
    for each in [*(ledger(kernel, phase) for kernel, phase in ALL), *more.values()]:
        found.take("report", as_object(each))
    for difference in differences(more):
        found.take("difference", difference)
    labs = lab_results()
    for result in labs:
        found.take("lab-result", result)
    for one, two in [*pairwise(labs), *pairwise(reversed(labs))]:
        beside = compared_labs(one, two)
        # As `tcptop lab --compare` prints it, and as `tcptop diff` does.
        found.take("lab-difference", beside, but=frozenset({"parts"}))
        found.take("lab-difference", {**beside, "parts": compared_parts(one, two)})
    return found


# What the document says is so.


def test_every_object_has_the_documented_keys_and_types(held: Held) -> None:
    assert held.wrong == {}


def test_every_documented_field_occurs(held: Held) -> None:
    assert {row for row, _, _ in rows(held.document)} - held.known == set()


def test_every_object_is_where_the_document_says(held: Held) -> None:
    assert {at: sorted(table.paths) for at, table in held.document.tables.items()} == {
        at: sorted(held.paths[at]) for at in held.document.tables
    }


def test_what_may_be_null_is_null_somewhere(held: Held) -> None:
    nullable = {row for row, _, never_null in rows(held.document) if not never_null}
    assert nullable - held.null - NULL_IN_NO_CASE.keys() == set()
    assert NULL_IN_NO_CASE.keys() - (nullable - held.null) == set()


def test_what_is_signed_is_below_0_somewhere(held: Held) -> None:
    assert {row for row, kind, _ in rows(held.document) if kind.signed} - held.negative == set()


IN_THE_CODE: Mapping[str, set[str]] = {
    "source": set(READING_NAMES) - {"machine_load"},
    "source state": set(get_args(ReadState)),
    "state": {state.value for state in State},
    "count scope": set(get_args(Scope)),
    "concern": set(get_args(get_type_hints(Wall)["concerns"])),
    "wall unit": set(get_args(get_type_hints(Wall)["unit"])),
    "wall scope": set(get_args(get_type_hints(Wall)["scope"])),
    "part object": {
        each.struct for state in (State.ESTABLISHED, State.TIME_WAIT) for each in held_objects(state, owns_port=True)
    }
    | {CGROUP_VECTORS.struct},
    "cache object": {each.struct for each in OBJECT_OF_CACHE.values()},
    "lab state": {key.rstrip("/") for key in PLACES},
    "bound": set(get_args(Bound)),
}
"""The values of those enumerations that the code lists; of the others each value must occur."""


def test_enumerations_have_the_documented_values(held: Held) -> None:
    seen = {**held.values, **{kind: held.keys[kind] for kind in ("source", "lab state")}}
    for name, documented in held.document.enumerations.items():
        assert len(set(documented)) == len(documented), name
        occurring = {re.sub(r"node \d+$", "node N", value) for value in seen[name]}
        assert occurring <= set(documented), name
        assert set(documented) == IN_THE_CODE.get(name, occurring), name
    assert seen.keys() == held.document.enumerations.keys()


def test_maps_have_the_documented_keys(held: Held) -> None:
    kinds = {kind for kind, _ in held.document.pairs["map-keys"]}
    assert held.keys.keys() == kinds
    assert all(key.isdigit() for key in held.keys["node"])
    types = dict(held.document.pairs["map-keys"])["migrate type"]
    assert all(re.search(rf"\b{key}\b", types) for key in held.keys["migrate type"])


def test_units_and_scopes_are_of_the_document_s_own_lists() -> None:
    scopes = {scope for scope, _ in document().pairs["tables"]} | {"–"}
    units = {"_bytes": "bytes", "_pages": "pages", "_us": "µs", "_s": "s", "_sockets": "sockets", "_share": "share"}
    for table in document().tables.values():
        for field in table.fields.values():
            where = f"{table.title}: {field.name}"
            assert field.scope.strip("`") in scopes, where
            if field.scope == "`scope`":
                assert "scope" in table.fields or table.root == "difference" or table.title == "capacity", where
            for suffix, unit in units.items():
                if field.name.endswith(suffix) and field.type.plain in ("integer", "number"):
                    assert field.unit.split()[0] == unit, where


def test_every_link_leads_to_a_heading() -> None:
    assert {to for _, to in LINK.findall(document().text)} <= document().anchors


@pytest.mark.skipif(shutil.which("jq") is None, reason="there is no jq")
@pytest.mark.parametrize("command", document().examples)
def test_the_examples_run(command: str) -> None:
    found = subprocess.run(
        ["/bin/sh", "-c", command],  # noqa: S603 (the document's own)
        input=json.dumps(as_object(ledger("6.1-4n", "established"))),
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout
    assert "null" not in found.stdout


def test_the_readme_points_at_the_document() -> None:
    assert "docs/json.md" in (DOCUMENT.parents[1] / "README.md").read_text()
