"""Each row has counts of one read, and the average is kept while sockets change faster than slabinfo is read."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from recorded import CPUS, RECORDINGS, ledger, snapshot

from tcptop.accounting import account
from tcptop.accounting.ledger_before import ledger_before
from tcptop.ledger import CacheLine, Ledger
from tcptop.snapshot import Reading, SlabCount, SlabCounts, Slabinfo, Snapshot, Sockstat

KERNEL = "6.1-4n"
READ_S = 100.0
"""Time of the reads of a sample, on the clock of the sources."""


def sockstat(allocated: int, time_wait: int = 0) -> Sockstat:
    return Sockstat(inuse=allocated, orphans=0, time_wait=time_wait, allocated=allocated, buffer_units=0)


def live(
    allocated: int,
    previous: int | None = None,
    newest: int | None = None,
    at_s: float = 0.0,
    phase: str = "established",
) -> Snapshot:
    """A recorded sample changed into a sample of a running kernel, with the number of sockets at three reads of
    sockstat.

    The three reads are right after slabinfo, right after the previous slabinfo, and half a second after slabinfo.
    """
    saved = snapshot(KERNEL, phase)
    read_s = READ_S + at_s
    before = None
    if previous is not None:
        before = saved.slabinfo._replace(taken_at_s=read_s - 1, sockstat=sockstat(previous))
    later = sockstat(allocated if newest is None else newest)
    return saved._replace(
        live=True,
        taken_at_unix_s=1_000_000.0 + at_s,
        monotonic_s=read_s + 0.5,
        slabinfo=saved.slabinfo._replace(taken_at_s=read_s, sockstat=sockstat(allocated), before=before),
        slab_counts=saved.slab_counts._replace(taken_at_s=read_s + 0.5, sockstat=later, before=None),
        sockstat=saved.sockstat._replace(value=later, taken_at_s=read_s + 0.5, before=None),
    )


def row(figures: Ledger, name: str) -> CacheLine:
    found = figures.cache(name)
    assert found is not None
    return found


def later_counts(sample: Snapshot, fewer_slabs: int, after_s: float) -> Snapshot:
    """The sample with counts in sysfs that were read later, when each node had fewer slabs of each cache."""
    counts: Reading[SlabCounts] = sample.slab_counts
    assert counts.value is not None
    assert sample.slabinfo.taken_at_s is not None
    per_slab = {line.name: line.objects_per_slab or 0 for line in account(sample).caches}
    caches = {}
    for name, count in counts.value.caches.items():
        slabs = {node: max(0, number - fewer_slabs) for node, number in count.slabs_by_node.items()}
        objects = {
            node: max(0, number - fewer_slabs * per_slab.get(name, 0)) for node, number in count.objects_by_node.items()
        }
        caches[name] = SlabCount(sum(slabs.values()), sum(objects.values()), slabs, objects)
    taken_at_s = sample.slabinfo.taken_at_s + after_s
    return sample._replace(
        slab_counts=counts._replace(value=SlabCounts(caches), taken_at_s=taken_at_s), monotonic_s=taken_at_s
    )


@pytest.mark.parametrize("after_s", [0.5, 29.0])
def test_a_row_is_slabinfos_though_sysfs_is_newer(after_s: float) -> None:
    sample = live(16_000)
    figures, earlier = account(later_counts(sample, 5, after_s)), account(sample)
    for line in figures.caches:
        old = row(earlier, line.name)
        assert (line.active_objects, line.objects, line.slabs, line.bytes, line.use, line.tcp_bytes) == (
            (old.active_objects, old.objects, old.slabs, old.bytes, old.use, old.tcp_bytes)
        )


def test_sysfs_replaces_the_whole_row_if_slabinfo_is_old() -> None:
    sample = later_counts(live(16_000), 5, 31.0)
    line, old = row(account(sample), "TCP"), row(account(live(16_000)), "TCP")
    assert old.slabs is not None
    assert old.objects_per_slab is not None
    assert old.pages_per_slab is not None
    assert old.nodes is not None
    assert line.slabs == old.slabs - 5 * len(old.nodes)
    assert line.bytes == line.slabs * old.pages_per_slab * 4096
    assert line.tcp_bytes == line.bytes
    assert line.max_in_use == line.objects
    assert (line.active_objects, line.use, line.active_per_s, line.idle_error_objects) == (None, None, None, None)


@pytest.mark.parametrize("after_s", [0.5, 31.0])
@pytest.mark.parametrize("kernel", RECORDINGS)
def test_active_objects_never_outnumber_objects(kernel: str, after_s: float) -> None:
    sample = snapshot(kernel, "established" if "established" in RECORDINGS[kernel] else "base")
    sample = sample._replace(slabinfo=sample.slabinfo._replace(taken_at_s=READ_S))
    for line in account(later_counts(sample, 5, after_s)).caches:
        assert line.active_objects is None or (line.objects is not None and line.active_objects <= line.objects)


def test_shares_of_the_nodes_add_up_though_slabinfo_is_older() -> None:
    figures = account(later_counts(live(16_000), 5, 0.5))
    line = row(figures, "TCP")
    assert line.nodes is not None
    shares = [line.share_on(node) for node in line.nodes]
    assert sum(share for share in shares if share is not None) == pytest.approx(1.0)


def average(figures: Ledger) -> tuple[float | None, str | None]:
    cost = figures.costs["full"]
    return cost.now_bytes, cost.now_held_because


def test_an_average_is_current_while_sockets_hardly_change() -> None:
    now, held = average(account(live(16_000, previous=15_800, newest=16_200)))
    assert now == pytest.approx(ledger(KERNEL, "established").costs["full"].now_bytes, rel=0.02)
    assert held is None


@pytest.mark.parametrize("previous", [24_000, 15_600, 1_000])
def test_without_an_earlier_average_there_is_none_while_sockets_change(previous: int) -> None:
    cost = account(live(16_000, previous)).costs["full"]
    assert cost.now_bytes is None
    assert cost.idle_bytes_per_socket is None
    assert cost.now_slices == ()
    assert cost.now_unknown_because == "sockets change faster than slabinfo is read"
    assert cost.now_held_because is None


def test_the_last_average_stands_until_two_reads_agree() -> None:
    """8 000 sockets close between two reads of slabinfo; at first the slabs are still there."""
    samples = [
        live(16_000, 16_000, 16_000, at_s=0),
        live(16_000, 16_000, 9_000, at_s=1),
        live(8_000, 16_000, 8_000, at_s=2),
        live(8_000, 8_000, 8_000, at_s=3),
    ]
    found: list[Ledger] = []
    for sample in samples:
        found.append(account(sample, before=found[-1] if found else None))
    first, closing, closed, after = (each.costs["full"] for each in found)
    assert [cost.now_bytes for cost in (closing, closed)] == [first.now_bytes] * 2
    assert [cost.now_held_because is None for cost in (first, closing, closed, after)] == [True, False, False, True]
    assert closed.now_slices == first.now_slices
    assert closed.now_read_at_unix_s == closing.now_read_at_unix_s
    assert found[2].attached.now_bytes == found[1].attached.now_bytes
    assert after.now_bytes is not None
    assert first.now_bytes is not None
    assert after.now_bytes > first.now_bytes, "half of the objects are idle now, and this is true"
    assert after.now_read_at_unix_s == 1_000_002.5


def test_few_sockets_may_double() -> None:
    """100 sockets for each CPU are enough for an average, but programs may open as many sockets at once."""
    least = 100 * CPUS[KERNEL]
    assert average(account(live(least + 90, previous=least))) != (None, None)


def test_an_average_of_another_machine_does_not_stand() -> None:
    before = account(live(16_000, 16_000))
    other = before._replace(host=before.host._replace(kernel="6.12.0"))
    assert account(live(8_000, 16_000), before=other).costs["full"].now_bytes is None


def test_a_saved_tree_has_the_average_of_its_files() -> None:
    saved = live(16_000, 8_000)._replace(live=False)
    assert account(saved).costs["full"].now_bytes is not None


def in_order(samples: Sequence[Snapshot], order: Sequence[int]) -> dict[int, tuple[float | None, str | None]]:
    return {
        index: average(account(samples[index], before=ledger_before(samples.__getitem__, index))) for index in order
    }


def test_recorded_samples_have_the_same_averages_forwards_and_backwards() -> None:
    allocated = [16_000, 16_000, 14_000, 12_000, 10_000, 10_000, 14_000]
    samples = [live(number, allocated[max(0, index - 1)], at_s=float(index)) for index, number in enumerate(allocated)]
    forwards = in_order(samples, range(len(samples)))
    assert in_order(samples, range(len(samples) - 1, -1, -1)) == forwards
    followed: Ledger | None = None
    for index, sample in enumerate(samples):
        followed = account(sample, before=followed)
        assert average(followed) == forwards[index]
    assert forwards[4][0] == forwards[1][0]
    assert forwards[6][0] == forwards[5][0]


def test_tcps_part_of_a_row_does_not_count_sockets_that_opened_after_the_row_was_read() -> None:
    figures, later = account(live(16_000)), account(live(16_000, newest=48_000))
    assert later.sockets.allocated == 48_000
    for line in later.caches:
        assert line.tcp_bytes == row(figures, line.name).tcp_bytes
        assert line.tcp_bytes is None or line.bytes is None or line.tcp_bytes <= line.bytes


def with_segments(sample: Snapshot) -> Snapshot:
    """The sample with 25 600 segments, and 2000 pages in the counter of buffers, which is within its error."""
    assert sample.slabinfo.value is not None
    assert sample.sockstat.value is not None
    rows = tuple(
        row._replace(active_objects=25_600, objects=25_600, slabs=25_600 // row.objects_per_slab)
        if row.name == "skbuff_head_cache"
        else row
        for row in sample.slabinfo.value.rows
    )
    charged = sample.sockstat.value._replace(buffer_units=2000)
    return sample._replace(
        slabinfo=sample.slabinfo._replace(value=Slabinfo(rows)), sockstat=sample.sockstat._replace(value=charged)
    )


def test_the_few_sockets_that_are_left_have_no_average_buffers_while_the_last_average_stands() -> None:
    """Otherwise the megabytes of the error would be divided by ten."""
    first = account(with_segments(live(16_000, 16_000, 16_000, at_s=0)))
    left = account(with_segments(live(16_000, 16_000, 10, at_s=1)), before=first)
    assert first.headroom["full"].high_buffer_bytes == pytest.approx((2000 + 2048) * 4096 / 16_000, rel=0.01)
    assert left.sockets.allocated == 10
    assert left.costs["full"].now_held_because is not None
    assert left.headroom["full"].high_buffer_bytes == 0
