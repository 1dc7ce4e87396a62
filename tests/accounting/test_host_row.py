"""Rows of the table of hosts equal the ledger of the same files: for every recording, and between two full reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from recorded import copy_recording, each_recording, tree

from tcptop.accounting import account
from tcptop.accounting.host_row import EACH_LOOK, EVENT_SOURCES, RowAccount, only_tcp_caches
from tcptop.hosts.folder import FolderHost
from tcptop.sampling.fleet import NOT_FOR_A_ROW, table_sources
from tcptop.sampling.sampler import Sampler, read_due
from tcptop.sampling.source_list import kernel_sources
from tcptop.snapshot import Snapshot


def samples(folder: Path) -> tuple[Snapshot, Snapshot]:
    """Two samples: one taken as for a report, and one taken as for the table of hosts."""
    found = []
    for sources in (
        [source for source in kernel_sources() if source.name != "btf"],
        table_sources(EACH_LOOK, EVENT_SOURCES),
    ):
        host = FolderHost(str(folder))
        sampler = Sampler(host, sources)
        read_due(sampler)
        found.append(sampler.snapshot())
        host.close()
    whole, row = found
    return whole, row


@pytest.mark.quick_cases(4)
@each_recording
def test_a_row_has_the_figures_of_the_report(kernel: str, phase: str) -> None:
    whole, seen = samples(tree(kernel, phase))
    ledger, row = account(whole), RowAccount().row(seen)
    assert row.one_more == ledger.costs["full"].by_family["mix"].accepted
    assert row.average == ledger.costs["full"].now_bounds
    assert row.sockets == ledger.sockets
    assert row.tcp_memory._replace(counted_at_s=None) == ledger.tcp_memory._replace(counted_at_s=None)
    assert row.host == ledger.host
    assert row.limits == ledger.limits["full"]
    assert row.headroom.sockets == ledger.headroom["full"].sockets
    own = {event.name for event in row.events if event.total is not None}
    assert [event for event in row.events if event.name in own] == [
        event for event in ledger.events if event.name in own
    ]


def test_zones_that_only_buddyinfo_shows_are_left_out_of_a_row_as_of_the_report(tmp_path: Path) -> None:
    """Slabs never use zone Movable. Without zoneinfo, buddyinfo names the zones."""
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "proc/zoneinfo").unlink()
    buddyinfo = root / "proc/buddyinfo"
    buddyinfo.write_text(re.sub(r"(?m)^(Node 3, zone) +Normal", r"\1  Movable", buddyinfo.read_text()))
    whole, seen = samples(root)
    ledger, row = account(whole), RowAccount().row(seen)
    [memory] = [limit for limit in ledger.limits["full"].rows if limit.name == "memory"]
    assert memory.left_out_zones == ("Movable",)
    assert row.limits == ledger.limits["full"]
    assert row.headroom.without_reclaim_low == ledger.headroom["full"].without_reclaim_low


def test_less_is_read_and_parsed_than_for_a_report() -> None:
    whole, seen = samples(tree("6.1-4n", "established"))
    assert seen.slabinfo.value is not None
    kept = only_tcp_caches(seen).slabinfo.value
    assert kept is not None
    assert len(kept.rows) < len(seen.slabinfo.value.rows) / 2
    assert all(getattr(seen, name).value is None for name in NOT_FOR_A_ROW)
    assert whole.snmp.value is not None


def test_there_is_no_rate_between_two_boots() -> None:
    """The number of sockets after a restart has nothing to do with the number before."""
    _, before = samples(tree("6.1-4n", "established"))
    _, after = samples(tree("6.1-4n", "base"))
    before = before._replace(live=True, monotonic_s=100.0, boot_id="6d6c0b7c-1")
    after = after._replace(live=True, boot_id="6d6c0b7c-1")
    for boot_id, is_known in (("6d6c0b7c-1", True), ("e0a4f7d2-2", False)):
        rows = RowAccount()
        rows.row(before)
        rates = [
            rows.row(after._replace(monotonic_s=102.0 + second, boot_id=boot_id)).sockets.allocated_per_s
            for second in range(2)
        ]
        assert (rates[0] is not None) == is_known
        assert is_known or rates[1] == 0.0


@pytest.mark.parametrize("pages", [0, 16, 3_000, 30_000, 70_000])
def test_tcp_mem_has_the_average_of_the_same_look_as_the_counter(pages: int) -> None:
    """Between two full reads only the counters are read: an old average with a new counter would be of no moment."""
    _, seen = samples(tree("6.1-4n", "halfclosed"))
    value = seen.sockstat.value
    assert value is not None
    assert value.allocated
    assert value.buffer_units
    rows = RowAccount()
    rows.row(seen)
    later = seen._replace(sockstat=seen.sockstat._replace(value=value._replace(buffer_units=pages)))
    [limit] = [limit for limit in rows.row(later).limits.rows if limit.name == "tcp_mem"]
    assert limit.used == pages * 4096
    assert limit.maximum is not None
    if limit.headroom_sockets is None:
        assert pages < 1_000, "the counter's error hides the average"
    else:
        assert limit.headroom_sockets <= (limit.maximum // 4096 - pages) * value.allocated / pages
