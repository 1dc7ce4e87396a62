"""The schema of --json: exactly these keys, always; unknown values are null."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from recorded import (
    RECORDINGS,
    copy_recording,
    each_kernel,
    each_recording,
    ledger,
    ledger_of,
    slab_rows,
    take_snapshot,
    text,
    write_tree,
)

from tcptop.accounting import account
from tcptop.hosts.folder import FolderHost
from tcptop.report.as_json import as_json, as_object
from tcptop.report.as_text import as_text

Json = dict[str, Any]

TOP = {
    "schema",
    "version",
    "taken_at",
    "live",
    "host",
    "sockets",
    "caches",
    "bytes_per_connection",
    "attached",
    "tcp_memory",
    "slab_memory",
    "states",
    "headroom",
    "limits",
    "events",
    "memory_cgroup",
    "lab",
    "holders",
    "nodes",
    "hardware",
    "sources",
}
HOST = {"name", "kernel", "page_size", "cpus", "nodes"}
SOCKETS = {
    "inuse",
    "inuse6",
    "orphans",
    "time_wait",
    "time_wait_machine_max",
    "allocated",
    "buffer_pages",
    "buffer_bytes",
    "buffer_error_bytes",
    "buffer_error_is_assumed",
    "tcp_mem_pages",
}
CACHE = {
    "name",
    "row",
    "aliases",
    "more_aliases",
    "objects_of",
    "shared",
    "object_bytes",
    "object_size",
    "objects_per_slab",
    "pages_per_slab",
    "order",
    "active_objects",
    "objects",
    "slabs",
    "bytes",
    "nodes",
}
COST = {
    "ipv4",
    "ipv6",
    "mix",
    "idle_bytes_per_socket",
    "buffer_bytes_per_socket",
    "now_bytes",
    "now_is_at_most",
    "now_read_at",
    "now_held_because",
}
SIDE = {"object_bytes", "slab_bytes", "high_slab_bytes", "complete", "missing", "parts"}
PART = {"object", "cache", "count", "object_bytes", "slab_bytes", "high_slab_bytes", "estimated"}
MEMORY = {"bytes", "low_bytes", "high_bytes", "unexplained_bytes", "parts"}
NODE = {"node", "cpus", "cpu_list", "memory_bytes", "free_bytes", "distances", "zones"}
ZONE = {
    "zone",
    "managed_pages",
    "free_pages",
    "min_pages",
    "low_pages",
    "high_pages",
    "free_area",
    "migrate_types",
    "capped",
    "pageblocks",
    "unusable_index",
    "tcp_slabs_free",
    "tcp_slabs_free_without_stealing",
    "mini_socket_slabs_free",
}
SOURCE = {"state", "reason", "age_s", "read_us", "every_s"}
SOURCES = {
    "slabinfo",
    "slab_links",
    "slab_sizes",
    "slab_counts",
    "zoneinfo",
    "buddyinfo",
    "pagetypeinfo",
    "sockstat",
    "sockstat6",
    "protocols",
    "meminfo",
    "topology",
    "smbios",
    "sysctls",
    "security_modules",
    "btf",
    "snmp",
    "netstat",
    "conntrack_stats",
    "tls_stat",
    "socket_limits",
    "memory_cgroups",
    "socket_table",
}
SLAB_MEMORY = {
    "bytes",
    "own_bytes",
    "idle_bytes",
    "idle_error_bytes",
    "share_bytes",
    "share_low_bytes",
    "share_high_bytes",
    "rest_bytes",
    "unexplained_bytes",
}
STATE = {
    "state",
    "accepted",
    "outgoing",
    "unread_fin_bytes",
    "sockets",
    "sockets_are_at_most",
    "scope",
    "note",
}
STATE_NAMES = [
    "LISTEN",
    "SYN_RECV",
    "accept queue",
    "ESTABLISHED",
    "CLOSE_WAIT",
    "FIN_WAIT2 (open)",
    "FIN_WAIT2 (closed)",
    "orphan",
    "TIME_WAIT",
]
HEADROOM = {
    *(
        "accounting",
        "sockets",
        "with_reclaim",
        "with_reclaim_low",
        "without_reclaim_low",
        "without_reclaim_high",
        "bytes_per_socket",
    ),
    *("buffer_bytes", "high_buffer_bytes"),
    *("late_bytes", "unknown_because", "is_at_most", "nodes"),
    *("first_limit", "first_limit_sockets", "first_limit_is_at_least", "first_limit_is_at_most"),
    *("first_limit_counts_buffers", "first_limit_or", "first_limit_sockets_high"),
}
ATTACHED = {
    *("name", "counted", "low_number", "high_number", "low_bytes", "high_bytes"),
    *("low_bytes_per_socket", "high_bytes_per_socket", "unknown_because"),
}
LIMIT = {
    *(
        "name",
        "concerns",
        "scope",
        "unit",
        "used",
        "used_error",
        "used_is_at_most",
        "limit",
        "limit_is_at_most",
        "ratio",
    ),
    "headroom_sockets",
    "headroom_is_at_least",
    "headroom_is_at_most",
    *("warn_percent", "critical_percent", "state", "then", "note"),
}
EVENT = {"total", "per_s", "unit", "limit"}
STATES = {"ok", "cut", "strange", "late", "missing", "refused", "empty", "failed", "off", "waiting"}


def assert_schema(report: Json) -> None:
    """Asserts that the object has every key of the schema, and no other."""
    assert report.keys() == TOP
    assert report["schema"] == 1
    assert report["host"].keys() == HOST
    assert report["sockets"].keys() == SOCKETS
    for cache in report["caches"]:
        assert cache.keys() == CACHE, cache["name"]
        for node, counts in (cache["nodes"] or {}).items():
            assert node.isdigit()
            assert counts.keys() == {"objects", "slabs"}
    assert report["bytes_per_connection"].keys() == {"full", "time_wait"}
    for cost in report["bytes_per_connection"].values():
        assert cost.keys() == COST
        for family in ("ipv4", "ipv6", "mix"):
            assert cost[family].keys() == {"accepted", "outgoing"}
            for side in cost[family].values():
                assert side.keys() == SIDE
                assert side["complete"] == (side["missing"] == [])
                assert all(part.keys() == PART for part in side["parts"])
    assert report["attached"].keys() == {"kinds", "now_low_bytes", "now_high_bytes"}
    assert all(kind.keys() == ATTACHED for kind in report["attached"]["kinds"])
    assert report["tcp_memory"].keys() >= MEMORY
    assert report["slab_memory"].keys() == SLAB_MEMORY
    assert [state["state"] for state in report["states"]] == STATE_NAMES
    for state in report["states"]:
        assert state.keys() == STATE
        assert all(state[name] is None or state[name].keys() == SIDE - {"parts"} for name in ("accepted", "outgoing"))
        assert state["sockets"] is not None or state["note"], "an unknown count has a reason"
    assert report["headroom"].keys() == HEADROOM
    own = {limit["name"]: limit["headroom_sockets"] for limit in report["limits"]}
    if report["headroom"]["is_at_most"] and report["headroom"]["with_reclaim_low"]:
        own["memory"] = report["headroom"]["with_reclaim_low"]
    name = report["headroom"]["first_limit"]
    assert report["headroom"]["first_limit_sockets"] == (None if name is None else own[name])
    for node in report["headroom"]["nodes"].values():
        assert node.keys() == {"without_reclaim", "with_reclaim", "local"}
    assert all(limit.keys() == LIMIT for limit in report["limits"])
    assert all(event.keys() == EVENT for event in report["events"].values())
    assert report["lab"] is None or report["lab"].keys() == {"path", "not_used_because"}
    for node in report["nodes"]:
        assert node.keys() == NODE
        assert all(zone.keys() == ZONE for zone in node["zones"])
    assert report["host"]["nodes"] == [node["node"] for node in report["nodes"]]
    assert report["sources"].keys() == SOURCES
    for source in report["sources"].values():
        assert source.keys() == SOURCE
        assert source["state"] in STATES
        assert (source["reason"] is None) == (source["state"] == "ok")


@each_recording
def test_every_recording_has_exactly_the_keys_of_the_schema(kernel: str, phase: str) -> None:
    report = as_object(ledger(kernel, phase))
    assert_schema(report)
    assert json.loads(as_json(ledger(kernel, phase))) == report
    assert (report["live"], report["taken_at"]) == (False, None)
    assert all(source["age_s"] is None and source["every_s"] is None for source in report["sources"].values())


def test_the_parts_of_tcp_memory_have_the_same_keys_in_every_recording() -> None:
    keys = {
        frozenset(part)
        for kernel, phases in RECORDINGS.items()
        for phase in phases
        for part in as_object(ledger(kernel, phase))["tcp_memory"]["parts"]
    }
    assert len(keys) == 1


def test_an_empty_tree_has_all_keys(tmp_path: Path) -> None:
    report = as_object(ledger_of(write_tree(tmp_path, {})))
    assert_schema(report)
    figures = {
        path
        for path, value in leaves(report)
        if isinstance(value, (int, float))
        and not isinstance(value, bool)
        and path[0] != "sources"
        and path[-1] not in {"warn_percent", "critical_percent"}
    }
    assert figures <= {("schema",), ("bytes_per_connection", "time_wait", "buffer_bytes_per_socket")}


def test_a_live_machine_has_all_keys_with_ages_and_a_time() -> None:
    """This machine, with the rights of the user who runs the tests."""
    host = FolderHost("/")
    try:
        report = as_object(account(take_snapshot(host)))
    finally:
        host.close()
    assert_schema(report)
    assert report["live"] is True
    assert report["taken_at"].endswith("Z")
    read = [source for source in report["sources"].values() if source["state"] not in ("off", "waiting")]
    assert read
    assert all(source["age_s"] >= 0 and source["every_s"] >= 1 for source in read)


@each_recording
def test_counts_are_integers_and_no_number_is_negative_or_nan(kernel: str, phase: str) -> None:
    for path, value in leaves(as_object(ledger(kernel, phase))):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        assert value >= 0, path
        assert value < 1 << 60, path
        if path[-1] in {
            "objects",
            "slabs",
            "active_objects",
            "bytes",
            "allocated",
            "inuse",
            "headroom_sockets",
            "cpus",
        }:
            assert isinstance(value, int), path


@each_recording
def test_caches_has_every_row_and_every_merged_cache_of_the_catalogue(kernel: str, phase: str) -> None:
    caches = as_object(ledger(kernel, phase))["caches"]
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    assert [cache["name"] for cache in caches][: len(rows)] == list(rows)
    merged = caches[len(rows) :]
    for cache in merged:
        assert cache["row"] in rows
        assert cache["row"] != cache["name"]
        assert (cache["bytes"], cache["objects"], cache["slabs"], cache["active_objects"]) == (None,) * 4
        assert cache["object_bytes"] == rows[cache["row"]].size
    assert len({cache["name"] for cache in caches}) == len(caches)
    by_name = {cache["name"]: cache for cache in caches}
    assert by_name["TCP"]["objects_of"] == "struct tcp_sock"
    assert by_name["tcp_bind_bucket"]["objects_of"] == "struct inet_bind_bucket"
    assert by_name["vm_area_struct"]["objects_of"] is None


@each_kernel
def test_all_strings_are_printable(kernel: str) -> None:
    assert all(value.isprintable() for _, value in leaves(as_object(ledger(kernel, "base"))) if isinstance(value, str))


# A missing figure is not zero.


def leaves(report: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:  # noqa: ANN401 (JSON)
    """Every value with its path; members of lists by their name, node, zone, object or part."""
    if isinstance(report, Mapping):
        for key, value in report.items():
            yield from leaves(value, (*path, key))
    elif isinstance(report, list):
        for index, value in enumerate(report):
            name = str(index)
            if isinstance(value, Mapping):
                own = [str(value[key]) for key in ("name", "node", "zone", "object", "part") if key in value]
                # The name of a part of the memory includes its count.
                name = (own or [name])[0].partition(" × ")[0]
            yield from leaves(value, (*path, name))
    else:
        yield path, report


FILES = [
    "proc/slabinfo",
    "proc/zoneinfo",
    "proc/buddyinfo",
    "proc/pagetypeinfo",
    "proc/meminfo",
    "proc/net/sockstat",
    "proc/net/sockstat6",
    "proc/net/protocols",
    "proc/net/snmp",
    "proc/net/netstat",
    "proc/filesystems",
    "proc/sys/kernel/osrelease",
    "proc/sys/fs/file-nr",
    "proc/sys/net/ipv4/tcp_mem",
    "proc/sys/net/ipv4/tcp_max_orphans",
    "proc/sys/net/ipv4/tcp_max_tw_buckets",
    "proc/sys/net/ipv4/ip_local_port_range",
    "proc/sys/net/core/mem_pcpu_rsv",
    "sys/kernel/security/lsm",
    "sys/devices/system/cpu/online",
    "sys/devices/system/cpu/possible",
    "sys/devices/system/cpu/present",
    "sys/devices/system/node/node1/cpulist",
    "sys/devices/system/node/node1/meminfo",
    "sys/kernel/slab/TCP/slabs",
    "sys/kernel/slab/TCP/total_objects",
    "sys/kernel/slab/sock_inode_cache/object_size",
    "sys/kernel/slab/TCP/order",
]


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, dict[tuple[str | int, ...], object]]]:
    """Copies of two recordings, which a test leaves as they were, with the figures of each."""
    folder = tmp_path_factory.mktemp("copies")
    return [
        (copy_recording(kernel, phase, folder / kernel), dict(leaves(as_object(ledger(kernel, phase)))))
        for kernel, phase in (("6.1-4n", "halfclosed"), ("6.18-1n", "established"))
    ]


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize("how", ["absent", "empty"])
def test_no_figure_becomes_zero_without_a_file(
    path: str, how: str, copies: list[tuple[Path, dict[tuple[str | int, ...], object]]]
) -> None:
    for root, whole in copies:
        if not (root / path).exists():
            continue
        content = (root / path).read_bytes()
        (root / path).unlink()
        if how == "empty":
            (root / path).write_bytes(b"")
        try:
            damaged = ledger_of(root)
        finally:
            (root / path).write_bytes(content)
        found = as_object(damaged)
        assert_schema(found)
        for at, value in leaves(found):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or at[0] == "sources":
                continue
            if value == 0 and whole.get(at) != 0:
                # Only lower bounds may become 0.
                assert re.search("low_bytes$|^low_", str(at[-1])), at
        assert "\x1b" not in as_text(damaged)
