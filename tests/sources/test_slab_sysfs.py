"""/sys/kernel/slab: which names share a cache, sizes, and counts by node, of every recording."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import MemoryHost, each_recording, snapshot, tree

from tcptop.hosts.run_sync import run_sync
from tcptop.kernel.objects import SLAB_CACHES
from tcptop.snapshot import Reading, SlabCount, SlabCounts, SlabLinks, SlabSize, SlabSizes
from tcptop.sources.slab_sysfs import SlabCountsSource, SlabLinksSource, SlabSizesSource, parse_total_by_node

SLAB = "sys/kernel/slab"


def links(entries: Mapping[str, str | None]) -> Reading[SlabLinks]:
    return run_sync(SlabLinksSource().read(MemoryHost({}, {SLAB: entries})))


def counts(files: Mapping[str, bytes | OSError]) -> Reading[SlabCounts]:
    host = MemoryHost({f"{SLAB}/{path}": data for path, data in files.items()})
    return run_sync(SlabCountsSource(("TCP", "TCPv6")).read(host))


def sizes(files: Mapping[str, bytes | OSError]) -> Reading[SlabSizes]:
    host = MemoryHost({f"{SLAB}/{path}": data for path, data in files.items()})
    return run_sync(SlabSizesSource(("TCP", "TCPv6")).read(host))


@pytest.mark.quick_cases(3)
@each_recording
def test_the_links_of_a_recording_equal_its_folder(kernel: str, phase: str) -> None:
    reading = snapshot(kernel, phase).slab_links
    assert (reading.state, reading.reason) == ("ok", None)
    assert reading.value is not None
    entries = list((tree(kernel, phase) / SLAB).iterdir())
    assert len(entries) > 15
    assert reading.value.group_of == {path.name: path.resolve().name for path in entries}
    for group, names in reading.value.names_of.items():
        leading = sorted(path.name for path in entries if path.resolve().name == group)
        assert list(names) == [name for name in leading if not name.startswith(":")]
    assert {name for names in reading.value.names_of.values() for name in names} == {
        path.name for path in entries if not path.name.startswith(":")
    }


@pytest.mark.parametrize(
    ("kernel", "cache", "group", "row"),
    [
        ("5.10-4n", "tcp_bind_bucket", ":0000128", "kernfs_node_cache"),
        ("6.1-4n", "tcp_bind_bucket", ":A-0000128", "pid"),
        ("6.1-4n", "tcp_bind2_bucket", ":A-0000064", "anon_vma_chain"),
        ("6.18-1n", "tcp_bind2_bucket", ":A-0000128", "eventpoll_epi"),
        ("6.1-4n", "TCP", "TCP", "TCP"),
        ("6.1-4n-nomerge", "tcp_bind_bucket", "tcp_bind_bucket", "tcp_bind_bucket"),
    ],
)
def test_groups_read_by_hand(kernel: str, cache: str, group: str, row: str) -> None:
    value = snapshot(kernel, "base").slab_links.value
    assert value is not None
    assert value.group_of[cache] == group
    assert row in value.names_of[group]
    assert cache in value.names_of[group]


@each_recording
def test_sizes_and_counts_of_a_recording_equal_its_files(kernel: str, phase: str) -> None:
    seen = snapshot(kernel, phase)
    assert (seen.slab_sizes.state, seen.slab_counts.state) == ("ok", "ok")
    assert seen.slab_sizes.value is not None
    assert seen.slab_counts.value is not None
    folder = tree(kernel, phase) / SLAB
    there = {name for name in SLAB_CACHES if (folder / name).exists()}
    assert {"TCP", "TCPv6", "sock_inode_cache", "dentry", "filp", "tcp_bind_bucket", "tw_sock_TCP"} <= there
    assert seen.slab_sizes.value.caches.keys() == there
    assert seen.slab_counts.value.caches.keys() == there
    for name in there:
        files = {path.name: path.read_text().split() for path in (folder / name).iterdir()}
        assert seen.slab_sizes.value.caches[name] == SlabSize(
            int(files["object_size"][0]),
            int(files["slab_size"][0]),
            int(files["objs_per_slab"][0]),
            int(files["order"][0]),
            # 6.18-1n was recorded without the sizes of sheaves; sheaves exist since 6.18.
            *(int(files[name][0]) if name in files else None for name in ("cpu_partial", "sheaf_capacity")),
        )
        nodes = {
            file: {int(node[1:]): int(number) for node, number in (field.split("=") for field in files[file][1:])}
            for file in ("slabs", "total_objects")
        }
        count = seen.slab_counts.value.caches[name]
        assert count == SlabCount(
            int(files["slabs"][0]), int(files["total_objects"][0]), nodes["slabs"], nodes["total_objects"]
        )
        assert sum(count.slabs_by_node.values()) in (count.slabs, 0)


def test_counts_read_by_hand() -> None:
    value = snapshot("6.1-4n", "established").slab_counts.value
    assert value is not None
    assert value.caches["TCP"] == SlabCount(
        1144, 16016, {0: 286, 1: 286, 2: 286, 3: 286}, {0: 4004, 1: 4004, 2: 4004, 3: 4004}
    )


def test_a_memoryless_node_is_in_no_count() -> None:
    value = snapshot("6.1-4n-memoryless", "established").slab_counts.value
    assert value is not None
    assert set(value.caches["TCP"].objects_by_node) == {0, 1, 2}


@pytest.mark.parametrize(
    ("file", "total", "nodes"),
    [
        ("143 N0=143\n", 143, {0: 143}),
        ("143 N0=130 N2=13\n", 143, {0: 130, 2: 13}),
        ("5 N1023=5\n", 5, {1023: 5}),
        ("0\n", 0, {}),
        ("130\n", 130, {}),
        ("39 C0=26 C1=13 N1=39\n", 39, {1: 39}),
    ],
)
def test_a_total_with_counts_by_node(file: str, total: int, nodes: dict[int, int]) -> None:
    bad: list[str] = []
    assert parse_total_by_node(file, bad) == (total, nodes)
    assert bad == []


@pytest.mark.parametrize("file", ["-1\n", "many\n", "5 N0=-5\n", "5 Nx=5\n", "39(6) C0=26(4)\n", "٣\n", "1_0\n"])
def test_a_malformed_count_is_unknown_and_reported(file: str) -> None:
    bad: list[str] = []
    assert parse_total_by_node(file, bad) == (None, {})
    assert bad == [file]


def test_a_missing_or_empty_count_is_unknown_and_not_zero() -> None:
    bad: list[str] = []
    for file in (None, "", "\n", "  \n"):
        assert parse_total_by_node(file, bad) == (None, {})
    assert bad == []


def test_a_cache_that_this_kernel_lacks_is_absent() -> None:
    reading = counts({"TCP/slabs": b"10 N0=10\n", "TCP/total_objects": b"130 N0=130\n"})
    assert reading.state == "ok"
    assert reading.value == SlabCounts({"TCP": SlabCount(10, 130, {0: 10}, {0: 130})})


def test_only_the_values_of_a_bad_file_are_unknown() -> None:
    reading = counts(
        {
            "TCP/slabs": b"10 N0=10\n",
            "TCP/total_objects": b"a \x1b[1mlot\n",
            "TCPv6/slabs": b"2 N0=2\n",
            "TCPv6/total_objects": PermissionError(13, "Permission denied"),
        }
    )
    assert reading.state == "strange"
    assert reading.reason is not None
    assert reading.reason.isprintable()
    assert reading.value == SlabCounts(
        {"TCP": SlabCount(10, None, {0: 10}, {}), "TCPv6": SlabCount(2, None, {0: 2}, {})}
    )


def test_refused_files_have_a_reason_that_names_root() -> None:
    denied = PermissionError(13, "Permission denied")
    names = ("slabs", "total_objects", "object_size", "slab_size", "objs_per_slab", "order")
    for reading in (
        counts({f"TCP/{name}": denied for name in names}),
        sizes({f"TCP/{name}": denied for name in names}),
    ):
        assert (reading.state, reading.value) == ("refused", None)
        assert reading.reason is not None
        assert "root" in reading.reason


def test_without_the_folder_the_readings_are_missing_with_a_reason() -> None:
    for reading in (counts({}), sizes({}), run_sync(SlabLinksSource().read(MemoryHost()))):
        assert (reading.state, reading.value) == ("missing", None)
        assert reading.reason is not None
        assert SLAB in reading.reason


def test_only_sizes_that_cannot_be_read_are_unknown() -> None:
    reading = sizes({"TCP/object_size": b"2304\n", "TCP/slab_size": b"", "TCP/order": b"3\n"})
    assert reading.value == SlabSizes({"TCP": SlabSize(2304, None, None, 3)})


def test_a_link_is_known_by_the_last_name_of_its_target() -> None:
    value = links(
        {
            ":0000064": None,
            "kmalloc-64": ":0000064",
            "tcp_bind_bucket": "../slab/:0000064/",
            "TCP": None,
            "odd\x1b[1m": ":0000064",
        }
    ).value
    assert value is not None
    assert value.names_of[":0000064"] == ("kmalloc-64", "odd\\x1b[1m", "tcp_bind_bucket")
    assert value.group_of["tcp_bind_bucket"] == ":0000064"
    assert value.names_of["TCP"] == ("TCP",)


@given(st.dictionaries(st.text(max_size=12), st.none() | st.text(max_size=12), max_size=8))
def test_arbitrary_links_never_raise_and_are_made_printable(entries: dict[str, str | None]) -> None:
    value = links(entries).value
    assert value is not None
    for group, names in value.names_of.items():
        assert group.isprintable()
        assert all(name.isprintable() for name in names)


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_arbitrary_bytes_never_raise_or_give_a_negative_count(slabs: bytes, objects: bytes) -> None:
    reading = counts({"TCP/slabs": slabs, "TCP/total_objects": objects})
    for count in reading.value.caches.values() if reading.value is not None else ():
        assert min([count.slabs or 0, count.objects or 0, *count.slabs_by_node.values()]) >= 0
    sizes({"TCP/object_size": slabs, "TCP/order": objects})


@given(st.dictionaries(st.integers(0, 1023), st.integers(1, 2**40), max_size=8))
def test_the_kernels_format_is_parsed_back(nodes: dict[int, int]) -> None:
    """A text in the format of mm/slub.c, show_slab_objects."""
    printed = str(sum(nodes.values())) + "".join(f" N{node}={count}" for node, count in sorted(nodes.items())) + "\n"
    bad: list[str] = []
    assert parse_total_by_node(printed, bad) == (sum(nodes.values()), nodes)
    assert bad == []
