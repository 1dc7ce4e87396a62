"""Metrics of every recording: unknown figures have no sample, labels are unique, series are few, and names are
valid.
"""

from __future__ import annotations

import re
from collections import Counter
from math import inf, isfinite, isnan
from typing import Any

import pytest
from metrics_of import samples, series_count
from prometheus_client.parser import text_string_to_metric_families
from recorded import MemoryHost, each_recording, ledger, snapshot, take_snapshot

from tcptop.accounting import account
from tcptop.accounting.limits import limit_state
from tcptop.exporter.exposition import text_0_0_4
from tcptop.ledger import Amount, Limit, Limits, Threshold
from tcptop.ledger.holders import Holder, HolderGroup, Holders, HolderSums
from tcptop.report.as_metrics import METRICS, BoundedMetric, Bounds, MetricOptions, metric_families
from tcptop.snapshot.socket_table import SocketCgroup

PROCESS_SERIES = 6


@each_recording
def test_labels_are_unique_and_values_are_numbers(kernel: str, phase: str) -> None:
    families = metric_families(ledger(kernel, phase))
    assert len({family.name for family in families}) == len(families)
    for family in families:
        counts = Counter(values for values, _ in family.points)
        assert max(counts.values()) == 1, family.name
        for values, value in family.points:
            assert len(values) == len(family.labels)
            assert not isnan(value)
            assert isfinite(value), family.name
        assert re.fullmatch(r"tcptop_[a-z_]+[a-z]", family.name)
        assert (family.kind == "counter") == family.name.endswith("_total")
        assert not set(family.labels) & {"instance", "job", "host"}
        assert family.help.endswith(".")


@each_recording
def test_a_figure_is_exact_or_within_bounds_but_not_both(kernel: str, phase: str) -> None:
    families = {family.name: dict(family.points) for family in metric_families(ledger(kernel, phase))}
    for row in METRICS:
        if isinstance(row, BoundedMetric):
            exact, low, high = (families.get(row.name.format(form), {}) for form in ("", "low_", "high_"))
            assert not exact.keys() & (low.keys() | high.keys()), row.name
            assert all(low[labels] < high[labels] for labels in low.keys() & high.keys()), row.name


def test_a_nodes_headroom_that_is_an_upper_bound_has_its_own_series() -> None:
    figures = ledger("6.1-4n", "established")
    bounded = {mode: each._replace(is_at_most=True) for mode, each in figures.headroom.items()}
    exact, high = (f"tcptop_node_local_headroom_{form}sockets" for form in ("", "high_"))
    before, found = samples(figures), samples(figures._replace(headroom=bounded))
    of_nodes = {labels: value for (name, labels), value in before.items() if name == exact}
    assert of_nodes.keys() == {("0",), ("1",), ("2",), ("3",)}
    assert {labels: value for (name, labels), value in found.items() if name == high} == of_nodes
    assert exact not in {name for name, _ in found}


def test_a_nodes_headroom_has_the_range_of_the_memory_headroom_if_buffers_are_one() -> None:
    found = samples(ledger("6.12-4n", "halfclosed"))
    memory = ("full", "memory", "every_socket", "machine")
    ratio = found["tcptop_headroom_low_sockets", memory] / found["tcptop_headroom_high_sockets", memory]
    assert 0.4 < ratio < 0.5
    for node in "0123":
        low, high = (found[f"tcptop_node_local_headroom_{end}_sockets", (node,)] for end in ("low", "high"))
        assert low / high == pytest.approx(ratio, rel=1e-4)


@pytest.mark.parametrize(("kernel", "most"), [("6.1-1n", 170), ("6.1-8n", 280)])
def test_the_series_stay_below_the_cap(kernel: str, most: int) -> None:
    for phase in ("base", "established", "halfclosed", "timewait"):
        assert series_count(ledger(kernel, phase)) + PROCESS_SERIES <= most


def test_the_figures_are_those_of_the_recording() -> None:
    found = samples(ledger("6.1-1n", "established"))
    assert found["tcptop_sockets_allocated", ()] == 16001
    assert found["tcptop_netns_sockets_established", ()] == 16000
    assert found["tcptop_cache_active_objects", ("TCP",)] == 16016
    assert found["tcptop_headroom_sockets", ("full", "memory", "every_socket", "machine")] == 873260
    # Before 6.16, each CPU may have 32 files that file-nr does not count.
    low, high = (found[f"tcptop_limit_{end}_ratio", ("file_max", "every_socket", "machine")] for end in ("low", "high"))
    assert 0 <= low < 0.004 < high < 0.0045
    tcp_mem = next(row for row in ledger("6.1-1n", "established").limits["full"].rows if row.name == "tcp_mem")
    # The kernel compares the counter itself with tcp_mem, so its use is exact.
    assert found["tcptop_limit_ratio", ("tcp_mem", "every_socket", "machine")] == tcp_mem.ratio
    assert found["tcptop_netns_events_total", ("ListenOverflows", "listen_queues")] == 0
    assert found["tcptop_tcp_memory_pressure", ()] == 0
    assert found["tcptop_source_up", ("slabinfo",)] == 1
    memory = ledger("6.1-1n", "established").slab_memory
    parts = [value for (name, _), value in found.items() if name == "tcptop_slab_memory_bytes"]
    assert sum(parts) == memory.total_bytes


@pytest.mark.parametrize(
    ("mode", "family", "side"),
    [("full", "ipv4", "accepted"), ("full", "ipv6", "outgoing"), ("time_wait", "ipv4", "accepted")],
)
def test_a_connection_has_its_cost_or_its_bounds(mode: str, family: str, side: str) -> None:
    found = samples(ledger("6.1-4n", "established"))
    costs: Any = ledger("6.1-4n", "established").costs
    cost = getattr(costs[mode].by_family[family], side)
    bounds = cost.slab_bounds()
    labels = (mode, family, side)
    if bounds.low == bounds.high:
        assert found["tcptop_connection_slab_bytes", labels] == bounds.low
    else:
        assert found["tcptop_connection_slab_low_bytes", labels] == bounds.low
        assert ("tcptop_connection_slab_bytes", labels) not in found


def test_what_no_file_tells_has_no_series() -> None:
    families = metric_families(account(take_snapshot(MemoryHost({}))))
    assert {family.name for family in families} == {
        "tcptop_build_info",
        "tcptop_source_up",
        "tcptop_limits_unknown",
    }
    [up] = [family for family in families if family.name == "tcptop_source_up"]
    assert {value for _, value in up.points} == {0}
    assert ("conntrack_stats",) not in dict(up.points)  # a kernel without conntrack is not a fault


@pytest.mark.parametrize("source", ["slabinfo", "sockstat", "zoneinfo", "socket_limits", "meminfo", "netstat"])
def test_without_a_source_no_figure_is_zero_that_was_not(source: str) -> None:
    whole = snapshot("6.1-4n", "established")
    reading = getattr(whole, source)
    before = samples(account(whole))
    after = samples(account(whole._replace(**{source: reading._replace(state="refused", value=None, reason="no")})))
    assert after["tcptop_source_up", (source,)] == 0
    for key, value in after.items():
        if value == 0 and key[0] not in ("tcptop_source_up", "tcptop_limits_unknown"):
            assert before.get(key, 0) == 0, key


def limit(used: int | None, maximum: int | None, error: int | None = 0, is_at_most: bool = False) -> Limit:
    return Limit(
        "tcp_mem", "every socket", "machine", "bytes", used, error, maximum, None, Threshold(80, 95), "ok", "", "",
        used_is_at_most=is_at_most,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("row", "ratios"),
    [
        (limit(90, 100), {"tcptop_limit_ratio": 0.9}),
        (limit(90, 100, 15), {"tcptop_limit_low_ratio": 0.75, "tcptop_limit_high_ratio": 1.05}),
        (limit(90, 100, is_at_most=True), {"tcptop_limit_high_ratio": 0.9}),
        (limit(90, 100)._replace(of_seen="of the namespaces seen"), {"tcptop_limit_low_ratio": 0.9}),
        (limit(0, 0), {"tcptop_limit_ratio": inf}),
        (limit(None, 100), {}),
        (limit(90, None), {}),
        (limit(90, 100, None), {}),
    ],
)
def test_a_limit_has_a_ratio_that_alerts_as_its_state_does(row: Limit, ratios: dict[str, float]) -> None:
    whole = ledger("6.1-1n", "base")
    found = samples(whole._replace(limits={"full": Limits((row,)), "time_wait": Limits(())}))
    assert {name: value for (name, _), value in found.items() if "ratio" in name} == ratios
    certain = ratios.get("tcptop_limit_ratio", ratios.get("tcptop_limit_low_ratio", 0.0))
    threshold = Threshold(80, 95)
    assert (limit_state(row) == "full") == (certain * 100 >= threshold.critical)
    assert (limit_state(row) in ("near", "full")) == (certain * 100 >= threshold.warn)


HOSTILE = 'a"b\\c\nd} 1\n# TYPE x counter'


def group(command: str, cgroup: int, sockets: float, state: str = "ESTABLISHED") -> HolderGroup:
    """A group of sockets; half of them are counted if `sockets` is a fraction, which stands for an estimate."""
    is_estimated = not isinstance(sockets, int)
    holder = Holder("process" if command else "kernel", 1 if command else None, command, is_estimated)
    slab = Amount(sockets * 1000, sockets * 1200)
    counted = sockets if isinstance(sockets, int) else int(sockets) // 2
    return HolderGroup(
        *(holder, 1, 2, state, False, True, 80, 0, cgroup, "", sockets, slab, sockets * 10, 0, 0, 0),
        *(counted, counted * 10),
    )


def with_holders(groups: list[HolderGroup], complete: bool = True) -> Holders:
    sums = HolderSums._make([*[0] * (len(HolderSums._fields) - 1), complete])
    cgroups = {1: SocketCgroup(HOSTILE, None, None), 2: SocketCgroup("/b", None, None)}
    return Holders(0.0, 1.0, 1, "loaded", complete, (), (), sums, tuple(groups), (), (), {}, cgroups, {}, (), None)


def test_hostile_names_are_escaped() -> None:
    groups = [group(HOSTILE, 1, 5), group("nginx", 2, 7), group("nginx", 2, 2), group("", 0, 1)]
    whole = ledger("6.1-1n", "established")._replace(holders=with_holders(groups))
    text = text_0_0_4(metric_families(whole, MetricOptions(owners=5))).decode()
    found = {
        (sample.labels["owner"], sample.labels["cgroup"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "tcptop_owner_sockets"
    }
    assert found == {(HOSTILE, HOSTILE): 5, ("nginx", "/b"): 9, ("(kernel)", ""): 1}


def test_owners_are_bounded_and_the_rest_is_added_up() -> None:
    groups = [group(f"p{number}", 2, number + 1) for number in range(30)] + [group("(others)", 0, 100)]
    whole = ledger("6.1-1n", "established")._replace(holders=with_holders(groups))
    found = samples(whole, MetricOptions(owners=3))
    owners = {labels: value for (name, labels), value in found.items() if name == "tcptop_owner_sockets"}
    assert owners == {
        ("p29", "/b"): 30,
        ("p28", "/b"): 29,
        ("p27", "/b"): 28,
        ("(others)", ""): 100 + sum(range(1, 28)),
    }
    assert found["tcptop_owner_slab_low_bytes", ("p29", "/b")] == 30_000
    assert not [name for name, _ in samples(whole) if "owner" in name]


@pytest.mark.parametrize("complete", [True, False])
def test_an_estimate_of_an_owner_s_sockets_is_no_bound(complete: bool) -> None:
    """A lower bound has only the sockets that were found, as a whole number; an estimate has no upper bound."""
    groups = [group("large", 2, 73.08675507269533), group("large", 2, 5), group("small", 2, 9)]
    whole = ledger("6.1-1n", "established")._replace(holders=with_holders(groups, complete))
    found = samples(whole, MetricOptions(owners=5))
    large = {name: value for (name, labels), value in found.items() if labels == ("large", "/b")}
    assert large == {
        "tcptop_owner_low_sockets": 36 + 5,
        "tcptop_owner_estimated_sockets": 78,
        "tcptop_owner_slab_low_bytes": 41_000,
        "tcptop_owner_buffers_charged_low_bytes": 410,
    }
    small = {name for (name, labels) in found if labels == ("small", "/b")}
    assert ("tcptop_owner_sockets" in small) is complete
    assert found["tcptop_owner_estimated_sockets", ("small", "/b")] == 9
    assert all(value == int(value) for (name, _), value in found.items() if name.startswith("tcptop_owner_"))


@pytest.mark.parametrize("complete", [True, False])
def test_states_are_lower_bounds_where_the_dump_is_not_whole(complete: bool) -> None:
    groups = [group("a", 0, 5), group("b", 0, 6), group("b", 0, 1, "CLOSE_WAIT")]
    found = samples(ledger("6.1-1n", "established")._replace(holders=with_holders(groups, complete)))
    name = "tcptop_state_sockets" if complete else "tcptop_state_low_sockets"
    states = {labels[0]: value for (each, labels), value in found.items() if each == name}
    assert states == {"ESTABLISHED": 11, "CLOSE_WAIT": 1}
    assert found["tcptop_who_complete", ()] == complete
    whole = ledger("6.1-1n", "established")._replace(holders=with_holders(groups, complete))
    owners = {name for name, _ in samples(whole, MetricOptions(owners=2)) if name.startswith("tcptop_owner_sl")}
    assert owners == ({"tcptop_owner_slab_low_bytes"} | ({"tcptop_owner_slab_high_bytes"} if complete else set()))
    assert Bounds(1, 1).low == 1
