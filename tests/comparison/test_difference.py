"""Every figure of a difference is compared with the files, which this test parses without tcptop."""

from __future__ import annotations

import json
import re
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from made_machine import make_machine
from packed_trees import packed_snapshot, sosreport_of
from recorded import (
    PAGE_BYTES,
    RECORDINGS,
    copy_recording,
    counters,
    ledger,
    ledger_of,
    slab_rows,
    text,
    tree,
    write_buffers,
)

from tcptop.accounting import account
from tcptop.comparison.compare import compare_ledgers
from tcptop.comparison.difference import Change, LedgerDifference
from tcptop.report.diff_json import diff_as_json, diff_as_object
from tcptop.report.diff_text import diff_as_text
from tcptop.text import units

STEPS = [(kernel, *step) for kernel, phases in RECORDINGS.items() for step in pairwise(phases)]
each_step = pytest.mark.parametrize(("kernel", "before", "after"), STEPS, ids=["/".join(step) for step in STEPS])

PAIRS = [("6.1-4n", "6.12-4n"), ("6.1-4n", "6.12-arm64-16k-4n"), ("5.10-4n", "7.3-4n"), ("6.1-1n", "6.1-8n")]

TEXTS = [(f"{kernel}/{before}", f"{kernel}/{after}") for kernel, before, after in STEPS]
TEXTS += [(f"{one}/base", f"{two}/established") for one, two in PAIRS]


def difference(kernel: str, before: str, after: str) -> LedgerDifference:
    return compare_ledgers(ledger(kernel, before), ledger(kernel, after), (before, after))


def by_key(changes: tuple[Change, ...]) -> dict[str, Change]:
    return {change.key: change for change in changes}


def free_blocks(kernel: str, phase: str) -> dict[tuple[int, str, str, int], int]:
    """The first table of /proc/pagetypeinfo."""
    found: dict[tuple[int, str, str, int], int] = {}
    for line in text(kernel, phase, "proc/pagetypeinfo").splitlines():
        match = re.fullmatch(r"Node +(\d+), zone +(\S+), type +(\S+) ([ >\d]+)", line)
        if match:
            for order, blocks in enumerate(match[4].split()):
                found[int(match[1]), match[2], match[3], order] = int(blocks.lstrip(">"))
    return found


# Against the kernel's files.


@each_step
def test_changes_of_caches_are_those_of_slabinfo(kernel: str, before: str, after: str) -> None:
    one, two = (slab_rows(text(kernel, phase, "proc/slabinfo")) for phase in (before, after))
    found = difference(kernel, before, after).caches
    assert len(found.changed) + found.unchanged == len(one.keys() | two.keys())
    same = [name for name in one.keys() & two.keys() if one[name] == two[name]]
    assert {row.name for row in found.changed} == (one.keys() | two.keys()) - set(same)
    for row in found.changed:
        sides = (one.get(row.name), two.get(row.name))
        page = PAGE_BYTES[kernel]
        assert (row.objects.before, row.objects.after) == tuple(each.objects if each else 0 for each in sides)
        assert (row.active_objects.before, row.active_objects.after) == tuple(
            each.active if each else 0 for each in sides
        )
        assert (row.slabs.before, row.slabs.after) == tuple(each.slabs if each else 0 for each in sides)
        assert row.bytes.increase == sum(
            sign * each.slabs * each.pages * page for sign, each in zip((-1, 1), sides, strict=True) if each
        )
    sizes = [abs(row.bytes.increase or 0) for row in found.changed]
    assert sizes == sorted(sizes, reverse=True)


@each_step
def test_changes_of_sockets_are_those_of_sockstat(kernel: str, before: str, after: str) -> None:
    one, two = counters(kernel, before), counters(kernel, after)
    found = by_key(difference(kernel, before, after).sockets)
    for key, word in (("allocated", "alloc"), ("inuse", "inuse"), ("orphans", "orphan"), ("time_wait", "tw")):
        assert (found[key].before, found[key].after, found[key].increase) == (
            one[word],
            two[word],
            two[word] - one[word],
        )


@each_step
def test_changes_of_free_blocks_are_those_of_pagetypeinfo(kernel: str, before: str, after: str) -> None:
    one, two = free_blocks(kernel, before), free_blocks(kernel, after)
    assert one.keys() == two.keys()
    found = difference(kernel, before, after).free_blocks
    assert {
        (row.node, row.zone, row.migrate_type, row.order): (row.blocks.before, row.blocks.after)
        for row in found.changed
    } == {place: (one[place], two[place]) for place in one if one[place] != two[place]}
    assert found.unchanged == sum(one[place] == two[place] for place in one)
    for row in found.changed:
        assert row.bytes.increase == (row.blocks.increase or 0) * (PAGE_BYTES[kernel] << row.order)
    sizes = [abs(row.bytes.increase or 0) for row in found.changed]
    assert sizes == sorted(sizes, reverse=True)


def test_without_migrate_types_in_one_ledger_blocks_of_all_types_are_compared(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "proc/pagetypeinfo").unlink()
    found = compare_ledgers(ledger("6.1-4n", "base"), ledger_of(root), ("A", "B")).free_blocks
    assert {row.migrate_type for row in found.changed} == {None}
    orders = re.findall(r"Node 0, zone +DMA32 +([\d ]+)", text("6.1-4n", "base", "proc/buddyinfo"))[0].split()
    assert [row.blocks.before for row in found.changed if (row.node, row.zone, row.order) == (0, "DMA32", 10)] == [
        int(orders[10])
    ]


def test_changes_of_states_are_those_of_their_counters() -> None:
    changed = {row.state: row for row in difference("6.1-4n", "established", "halfclosed").states.changed}
    assert (changed["ESTABLISHED"].count.before, changed["ESTABLISHED"].count.after) == (16_000, 8_000)
    assert (changed["TIME_WAIT"].count.before, changed["TIME_WAIT"].count.after) == (0, 8_000)
    assert "LISTEN" not in changed


# Two machines.


@pytest.mark.parametrize(("one", "two"), PAIRS)
def test_a_different_kernel_or_machine_is_reported_first_and_figures_are_still_compared(one: str, two: str) -> None:
    found = compare_ledgers(ledger(one, "established"), ledger(two, "established"), (one, two))
    assert found.unlike
    head = diff_as_text(found).splitlines()[0]
    assert all(name in head for name in found.unlike)
    accepted = by_key(found.connection)["full_accepted_bytes"]
    assert accepted.before == ledger(one, "established").costs["full"].by_family["mix"].accepted.slab_bytes
    assert accepted.after == ledger(two, "established").costs["full"].by_family["mix"].accepted.slab_bytes


def test_free_blocks_of_different_page_sizes_are_not_compared() -> None:
    found = compare_ledgers(ledger("6.12-4n", "base"), ledger("6.12-arm64-16k-4n", "base"), ("A", "B"))
    assert "page size" in found.unlike
    assert (found.free_blocks.changed, found.free_blocks.unchanged) == ((), 0)


def test_machines_with_the_same_kernel_differ_by_their_names(tmp_path: Path) -> None:
    names = ("web1", "web2")
    ledgers = []
    for name in names:
        root = copy_recording("6.1-4n", "base", tmp_path / name)
        (root / "proc/sys/kernel/hostname").write_text(f"{name}\n")
        ledgers.append(ledger_of(root))
    assert compare_ledgers(ledgers[0], ledgers[1], names).unlike == ("machine",)


def test_counts_of_two_scopes_have_no_change(tmp_path: Path) -> None:
    """Up to 4.8, the count of TIME_WAIT is for the machine; since 4.13, for a network namespace."""
    root = copy_recording("6.1-4n", "base", tmp_path)
    (root / "proc/sys/kernel/osrelease").write_text("4.8.0-1\n")
    (root / "proc/version").unlink()
    found = compare_ledgers(ledger_of(root), ledger("6.1-4n", "timewait"), ("A", "B"))
    time_wait = by_key(found.sockets)["time_wait"]
    assert (time_wait.before, time_wait.after, time_wait.increase) == (1, 8000, None)
    assert time_wait.note == "machine, then this netns"


# Figures with bounds.


def test_free_blocks_that_the_kernel_stopped_counting_are_lower_bounds(tmp_path: Path) -> None:
    roots = [make_machine("counts that are capped", tmp_path / name) for name in ("A", "B")]
    path = roots[1] / "proc/pagetypeinfo"
    path.write_text(path.read_text().replace(">100000", "100007"))
    found = diff_as_object(compare_ledgers(ledger_of(roots[0]), ledger_of(roots[1]), ("A", "B")))
    assert found["free_blocks"]
    for row in found["free_blocks"]:
        for change in (row["blocks"], row["bytes"]):
            assert (change["before_is"], change["after_is"]) == ("at least", "exact")
            # The number in A is too small or exact, so the increase is at most the difference of the two numbers.
            assert (change["change"], change["change_is"]) == (change["after"] - change["before"], "at most")


def test_tcps_part_of_a_row_and_headroom_without_a_size_are_no_exact_figures(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "sys/kernel/security/lsm").unlink()
    found = diff_as_object(compare_ledgers(ledger("6.1-4n", "base"), ledger_of(root), ("A", "B")))
    rows = {row["cache"]: row["tcp_bytes"] for row in found["caches"]}
    assert (rows["TCP"]["after_is"], rows["sock_inode_cache"]["after_is"]) == ("exact", "about")
    assert {row["headroom_sockets"]["after_is"] for row in found["nodes"]} == {"at most"}


# Missing figures.


def test_figures_missing_from_one_ledger_are_unknown_and_the_reason_is_reported(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "proc/slabinfo").unlink()
    found = compare_ledgers(ledger("6.1-4n", "base"), ledger_of(root), ("A", "B"))
    rows = {row.name: row for row in found.caches.changed}
    # Caches of the catalogue are also counted in /sys/kernel/slab; all other caches are unknown.
    assert (rows["TCP"].slabs.after, rows["TCP"].active_objects.after) == (1144, None)
    assert [change.after for change in rows["ext4_inode_cache"].changes] == [None] * 5
    shutil.rmtree(root / "sys/kernel/slab")
    found = compare_ledgers(ledger("6.1-4n", "base"), ledger_of(root), ("A", "B"))
    assert found.tcp_memory.before is not None
    low_bytes = ledger_of(root).tcp_memory.low_bytes
    assert low_bytes
    assert (found.tcp_memory.after, found.tcp_memory.after_bound) == (low_bytes, "at least")
    lines = diff_as_text(found).splitlines()
    assert ">=" in next(line for line in lines if line.startswith("  kernel memory in TCP"))
    assert any(line.startswith("  B ") and "/proc/slabinfo" in line for line in lines)


def test_rows_missing_from_a_cut_slabinfo_are_unknown_and_not_empty(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    whole = (root / "proc/slabinfo").read_text()
    (root / "proc/slabinfo").write_text(whole[: len(whole) // 2])
    found = compare_ledgers(ledger("6.1-4n", "established"), ledger_of(root), ("A", "B"))
    lost = slab_rows(whole).keys() - slab_rows(whole[: whole.rindex("\n", 0, len(whole) // 2) + 1]).keys()
    assert len(lost) > 50
    sides = {row.name: (row.slabs.before is not None, row.slabs.after) for row in found.caches.changed}
    others = [name for name in lost if name in sides and sides[name][1] is None]
    assert len(others) > 50
    assert 0 not in {sides[name][1] for name in lost if name in sides}


def test_a_sosreport_and_its_tree_differ_in_nothing_that_both_have(tmp_path: Path) -> None:
    report = account(packed_snapshot(sosreport_of("6.1-4n", "established", tmp_path)))
    found = compare_ledgers(ledger("6.1-4n", "established"), report, ("tree", "sosreport"))
    assert found.unlike == ()
    assert [change.key for change in found.sockets if change.changed] == []
    assert found.free_blocks.changed == ()
    assert found.growth is not None
    assert found.growth.bytes == 0


# Reports.


@pytest.mark.parametrize(("one", "two"), TEXTS)
def test_the_text_fits_80_columns_in_ascii(one: str, two: str) -> None:
    (kernel1, phase1), (kernel2, phase2) = one.split("/"), two.split("/")
    shown = diff_as_text(compare_ledgers(ledger(kernel1, phase1), ledger(kernel2, phase2), (one, two)))
    assert shown.isascii()
    assert shown.endswith("\n")
    assert max(map(len, shown.splitlines())) <= 80
    assert not [line for line in shown.splitlines() if line != line.rstrip()]


def test_a_ledger_compared_with_itself_shows_no_change() -> None:
    found = difference("6.1-4n", "established", "established")
    assert (found.caches.changed, found.states.changed, found.nodes.changed, found.free_blocks.changed) == ((),) * 4
    shown = diff_as_text(found)
    assert "slab memory did not change" in shown
    assert not re.search(r" [+-]\d", shown)


def test_a_long_list_ends_with_the_number_of_further_rows() -> None:
    found = difference("6.1-8n", "base", "established")
    shown = diff_as_text(found).split("Slab caches\n")[1].split("\n\n")[0].splitlines()
    names = [line.split()[0] for line in shown[1:-2]]
    assert names == [row.name for row in found.caches.changed[: len(names)]]
    rest = found.caches.changed[len(names) :]
    assert shown[-2].startswith(f"  and {len(rest)} more")
    assert shown[-1] == f"  unchanged: {found.caches.unchanged} caches"


def test_text_of_a_host_is_escaped(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "proc/sys/kernel/hostname").write_text("web\x1b[2J\u202e\n")
    shown = diff_as_text(compare_ledgers(ledger("6.1-4n", "base"), ledger_of(root), ("A", "B")))
    assert "\x1b" not in shown
    assert "web" in shown


@each_step
def test_the_json_has_every_figure_and_null_for_unknown_ones(kernel: str, before: str, after: str) -> None:
    found = difference(kernel, before, after)
    read = json.loads(diff_as_json(found))
    assert read == json.loads(json.dumps(diff_as_object(found)))
    assert set(read["sockets"]) == {change.key for change in found.sockets}
    assert (
        read["sockets"]["allocated"]["change"] == counters(kernel, after)["alloc"] - counters(kernel, before)["alloc"]
    )
    assert len(read["caches"]) == len(found.caches.changed)
    assert len(read["free_blocks"]) == len(found.free_blocks.changed)
    assert found.growth is not None
    assert read["slab_growth"]["bytes"] == found.growth.bytes
    assert read["before"]["taken_at"] is None
    assert read["before"]["kernel"] == (tree(kernel, before) / "proc/sys/kernel/osrelease").read_text().strip()


KEYS = {
    "": "schema version before after unlike sockets events bytes_per_connection slab_memory_bytes tcp_memory_bytes"
    " slab_growth no_slab_growth_because caches unchanged_caches states unchanged_states headroom nodes"
    " unchanged_nodes free_blocks unchanged_free_blocks",
    "before": "name host kernel page_size cpus memory_bytes taken_at live not_read"
    " first_limit first_limit_or first_limit_sockets first_limit_sockets_high first_limit_is_at_least"
    " first_limit_is_at_most first_limit_counts_buffers",
    "sockets": "allocated inuse inuse6 orphans time_wait time_wait_machine_max buffer_bytes",
    "headroom": "bytes_per_socket buffer_bytes",
    "slab_growth": "bytes sockets_low_bytes sockets_high_bytes sockets_low_share sockets_high_share complete missing"
    " parts idle_bytes idle_high_bytes others_low_bytes others_high_bytes other_caches no_cache_bytes",
}


def test_headroom_says_which_socket_it_counts(tmp_path: Path) -> None:
    """With buffers far above the error of their counter, a further socket is counted with the average buffers."""
    after = write_buffers(copy_recording("6.1-4n", "established", tmp_path / "after"), 40_000)
    found = compare_ledgers(ledger_of(tree("6.1-4n", "base")), ledger_of(after), ("A", "B"))
    words = " ".join(diff_as_text(found).split())
    assert re.search(
        r"SOCKETS FIT counts sockets of 3 800 B \(without data\) in A,"
        r" [\d ]+ to [\d ]+ B \(average buffers\) in B",
        words,
    )
    headroom = diff_as_object(found)["headroom"]
    assert headroom["buffer_bytes"]["before"] == 0
    slab_bytes = headroom["bytes_per_socket"]["after"] - headroom["buffer_bytes"]["after"]
    assert slab_bytes == pytest.approx(headroom["bytes_per_socket"]["before"], rel=0.001)


@pytest.mark.parametrize("place", KEYS)
def test_names_in_the_json_are_a_contract(place: str) -> None:
    found = diff_as_object(difference("6.1-4n", "base", "established"))
    assert set(found[place] if place else found) == set(KEYS[place].split())


def test_no_key_is_missing_if_nothing_is_known(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    nothing = ledger_of(tmp_path)
    found = diff_as_object(compare_ledgers(nothing, nothing, ("A", "B")))
    assert set(found) == set(KEYS[""].split())
    assert found["slab_growth"] is None
    assert found["sockets"]["allocated"] == {
        "before": None,
        "after": None,
        "change": None,
        "low_change": None,
        "high_change": None,
        "before_is": "exact",
        "after_is": "exact",
        "change_is": "exact",
    }
    shown = diff_as_text(compare_ledgers(nothing, ledger("6.1-4n", "established"), ("A", "B")))
    assert "-" in shown


def test_a_change_of_unknown_sign_has_its_range_in_the_first_sentence() -> None:
    """The buffers of half-closed sockets may be more than what the closed files and inodes gave back."""
    answer = diff_as_text(difference("6.1-4n", "established", "halfclosed")).splitlines()[1]
    range_in_one_unit = r"-[\d.]+ to \+[\d.]+ MiB"
    assert re.search(rf": kernel memory {range_in_one_unit}|with buffers {range_in_one_unit}", answer)
    lines = diff_as_text(difference("6.12-4n", "halfclosed", "established")).splitlines()
    assert " ".join(lines[1:3]).startswith(
        "8 000 more sockets: +14.7 to +31.3 MiB of slab; with buffers -34.6 to +19.8 MiB"
    )
    assert "unknown" not in diff_as_text(difference("6.1-4n", "base", "established")).splitlines()[1]


def test_the_nodes_have_a_sum_and_a_reason_where_free_and_what_fits_part() -> None:
    """Pages on the lists of CPUs are free for sockets, but not in FREE."""
    before, after = (ledger("6.1-8n", phase) for phase in ("base", "established"))
    lines = diff_as_text(difference("6.1-8n", "base", "established")).splitlines()
    start = next(number for number, line in enumerate(lines) if line.split()[:2] == ["NODE", "FREE"])
    [total] = [line for line in lines[start:] if line.split()[:1] == ["all"]]
    fits = [sum(node.without_reclaim for node in each.headroom["full"].nodes.values()) for each in (before, after)]
    assert all(f"  {units.rough_count(number)}  " in total for number in fits)
    assert any("free pages on the lists of CPUs" in line for line in lines[start:])
    one_node = diff_as_text(difference("6.1-1n", "base", "established"))
    assert not re.search(r"(?m)^  all +[\d.]+ [MG]iB", one_node)
