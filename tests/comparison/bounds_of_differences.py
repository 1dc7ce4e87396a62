"""Checks that a difference has the same figures and the same bounds as the reports of the two ledgers."""

from __future__ import annotations

from typing import Any

import pytest

from tcptop.comparison.compare import compare_ledgers
from tcptop.ledger import Ledger
from tcptop.report.as_json import as_object
from tcptop.report.diff_json import diff_as_object

Json = dict[str, Any]
Figure = tuple[float | None, str]

OPPOSITE = {"exact": "exact", "about": "about", "unknown": "unknown", "at most": "at least", "at least": "at most"}

ROUNDING = 2.0
"""Bytes that rounded sums may differ by."""


def check_difference(before: Ledger, after: Ledger) -> None:
    """Asserts everything that holds for the difference of any two ledgers."""
    found, reports = diff_as_object(compare_ledgers(before, after, ("A", "B"))), (as_object(before), as_object(after))
    for side, report in zip(("before", "after"), reports, strict=True):
        check_figures(found, side, report)
    if found["slab_growth"] is not None:
        check_growth(found["slab_growth"], before, after, reports)
    check_reverse(found, diff_as_object(compare_ledgers(after, before, ("B", "A"))))


# The figures of a report.


def figures_of(report: Json) -> dict[tuple[str, str], Figure]:
    """The figures of a report that a difference also has, each with its kind, by place in the difference."""
    costs, sockets, memory = report["bytes_per_connection"], report["sockets"], report["tcp_memory"]
    exact = ("allocated", "inuse", "inuse6", "orphans", "time_wait")
    figures: dict[tuple[str, str], Figure] = {("sockets", key): (sockets[key], "exact") for key in exact}
    figures["sockets", "time_wait_machine_max"] = (sockets["time_wait_machine_max"], "at most")
    if sockets["time_wait_machine_max"] == 0:
        figures["sockets", "time_wait_machine_max"] = (0, "exact")
    charged, error = sockets["buffer_bytes"], sockets["buffer_error_bytes"]
    figures["sockets", "buffer_bytes"] = with_error(charged, error)
    figures["bytes_per_connection", "full_buffer_bytes_per_socket"] = (
        costs["full"]["buffer_bytes_per_socket"],
        "about" if error else "exact",
    )
    for mode, cost in costs.items():
        accepted, at_most = cost["mix"]["accepted"], cost["now_is_at_most"]
        now_is = "at most" if at_most else "exact"
        if not accepted["complete"]:
            now_is = "about" if at_most else "at least"
        figures["bytes_per_connection", f"{mode}_now_bytes"] = (cost["now_bytes"], now_is)
        figures["bytes_per_connection", f"{mode}_accepted_bytes"] = accepted_figure(accepted)
        figures["bytes_per_connection", f"{mode}_outgoing_bytes"] = outgoing_figure(cost["mix"]["outgoing"])
        idle = (cost["idle_bytes_per_socket"], "at most" if at_most and cost["idle_bytes_per_socket"] else "exact")
        figures["bytes_per_connection", f"{mode}_idle_bytes_per_socket"] = idle
    figures["", "slab_memory_bytes"] = (report["slab_memory"]["bytes"], "exact")
    low, high = memory["low_bytes"], memory["high_bytes"]
    figures["", "tcp_memory_bytes"] = (low, "at least") if not memory["complete"] else (memory["bytes"], "about")
    if low == high:
        figures["", "tcp_memory_bytes"] = (memory["bytes"], "exact")
    return figures


def with_error(figure: float | None, error: float | None) -> Figure:
    """A counter that may be too large or too small by `error`."""
    if figure is None:
        return None, "exact"
    if error and figure <= error:
        return figure + error, "at most"
    return figure, "exact" if error == 0 else "about"


def accepted_figure(side: Json) -> Figure:
    if side["slab_bytes"] is None:
        return None, "exact"
    if not side["complete"]:
        return side["slab_bytes"], "at least"
    return side["slab_bytes"], "exact" if side["slab_bytes"] == side["high_slab_bytes"] else "about"


def outgoing_figure(side: Json) -> Figure:
    return (side["high_slab_bytes"], "at most") if side["complete"] else (side["slab_bytes"], "at least")


def check_figures(found: Json, side: str, report: Json) -> None:
    for (group, key), (figure, is_what) in figures_of(report).items():
        change = (found[group] if group else found)[key]
        assert change[side] == pytest.approx(figure, abs=0.01), (key, side)
        assert change[f"{side}_is"] == ("exact" if figure is None else is_what), (key, side)
    for group in ("sockets", "bytes_per_connection", "headroom"):
        for key, change in found[group].items():
            check_change(change, key)
    counts = {state["state"]: state for state in report["states"]}
    for row in found["states"]:
        state = counts[row["state"]]
        assert row["sockets"][side] == state["sockets"]
        at_most = state["sockets_are_at_most"] and state["sockets"]
        assert row["sockets"][f"{side}_is"] == ("at most" if at_most else "exact")
        for name, figure_of in (("accepted", accepted_figure), ("outgoing", outgoing_figure)):
            if state[name] is not None:
                figure, is_what = figure_of(state[name])
                change = row[f"{name}_bytes"]
                assert change[side] == pytest.approx(figure, abs=0.01)
                assert change[f"{side}_is"] == ("exact" if figure is None else is_what)


def check_change(change: Json, key: str) -> None:
    """A change has the kind that follows from the kinds of the two values; two upper bounds have no change."""
    kinds = {change["before_is"], change["after_is"]}
    if change["change"] is None and None not in (change["before"], change["after"]):
        assert change["change_is"] == "unknown", key
    elif change["change"] is None or kinds == {"exact"}:
        assert change["change_is"] == "exact", key
    elif kinds <= {"exact", "about"}:
        assert change["change_is"] == "about", key
    else:
        assert change["before_is"] != change["after_is"], key
        is_least = change["before_is"] == "at most" or change["after_is"] == "at least"
        assert change["change_is"] == ("at least" if is_least else "at most"), key


# The growth of slab memory.


def check_growth(growth: Json, before: Ledger, after: Ledger, reports: tuple[Json, Json]) -> None:
    assert growth["bytes"] == reports[1]["slab_memory"]["bytes"] - reports[0]["slab_memory"]["bytes"]
    for report in reports:
        sides = [cost["mix"][side] for cost in report["bytes_per_connection"].values() for side in cost["mix"]]
        if not report["tcp_memory"]["complete"] or not all(side["complete"] for side in sides):
            assert growth["complete"] is False
    assert growth["complete"] is not bool(growth["missing"])
    if not growth["complete"]:
        assert growth["sockets_high_share"] is None
    for part in growth["parts"]:
        assert part["low_count"] <= part["high_count"]
        assert part["low_bytes"] <= part["high_bytes"]
    assert sum(part["low_bytes"] for part in growth["parts"]) == pytest.approx(growth["sockets_low_bytes"], abs=1)
    assert sum(part["high_bytes"] for part in growth["parts"]) == pytest.approx(growth["sockets_high_bytes"], abs=1)
    if growth["idle_bytes"] is None:
        return
    rest = sum(row["bytes"] for row in growth["other_caches"]) + growth["no_cache_bytes"]
    lows = growth["sockets_low_bytes"] + growth["idle_high_bytes"] + growth["others_high_bytes"]
    highs = growth["sockets_high_bytes"] + growth["idle_bytes"] + growth["others_low_bytes"]
    assert lows + rest == pytest.approx(growth["bytes"], abs=ROUNDING)
    assert highs + rest == pytest.approx(growth["bytes"], abs=ROUNDING)
    check_idle(growth, before, after)


def check_idle(growth: Json, before: Ledger, after: Ledger) -> None:
    """The growth of idle bytes in TCP's own rows is within the change of the idle bytes of the two reports."""
    idle, errors = (
        [ledger.slab_memory.idle_bytes for ledger in (before, after)],
        [ledger.slab_memory.idle_error_bytes for ledger in (before, after)],
    )
    if None in idle or None in errors:
        return
    shared = free_in_shared_rows(after, before) - free_in_shared_rows(before, after)
    change = (idle[1] or 0) - (idle[0] or 0)
    assert growth["idle_bytes"] - shared >= change - (errors[0] or 0) - ROUNDING
    assert growth["idle_high_bytes"] - shared <= change + (errors[1] or 0) + ROUNDING


def free_in_shared_rows(ledger: Ledger, other: Ledger) -> float:
    """Bytes of the free objects in the rows that count objects of sockets and of others."""
    rows = ledger.socket_rows | other.socket_rows
    rows |= {row for each in (ledger, other) for kind in each.held for part in kind.parts for row in part.rows}
    return sum(
        line.bytes * (1 - (line.active_objects or 0) / line.objects)
        for line in ledger.caches
        if line.name == line.row and line.name in rows and line.shared and line.bytes and line.objects
    )


def check_reverse(found: Json, reverse: Json) -> None:
    """The difference from B to A has the same changes as the difference from A to B, with the opposite sign."""
    for group in ("sockets", "bytes_per_connection"):
        for key, change in found[group].items():
            assert negative(reverse[group][key]["change"]) == change["change"], key
            assert OPPOSITE.get(reverse[group][key]["change_is"], "") == change["change_is"], key
    for key in ("slab_memory_bytes", "tcp_memory_bytes"):
        assert negative(reverse[key]["change"]) == found[key]["change"]
    one, two = found["slab_growth"], reverse["slab_growth"]
    assert (one is None) == (two is None)
    if one is None:
        return
    assert one["bytes"] == -two["bytes"]
    assert set(one["missing"]) == set(two["missing"])
    for low, high in (
        ("sockets_low_bytes", "sockets_high_bytes"),
        ("idle_bytes", "idle_high_bytes"),
        ("others_low_bytes", "others_high_bytes"),
    ):
        for key, opposite in ((low, high), (high, low)):
            expected = negative(two[opposite])
            assert one[key] == (expected if expected is None else pytest.approx(expected, abs=ROUNDING)), key
    assert one["no_cache_bytes"] == negative(two["no_cache_bytes"])
    rows = [
        None if each is None else {row["cache"]: row["bytes"] for row in each}
        for each in (one["other_caches"], two["other_caches"])
    ]
    assert rows[0] == (None if rows[1] is None else {name: -size for name, size in rows[1].items()})
    parts = {part["part"]: part for part in two["parts"]}
    assert {part["part"] for part in one["parts"]} == parts.keys()
    for part in one["parts"]:
        for low, high in (("low_count", "high_count"), ("low_bytes", "high_bytes")):
            other = parts[part["part"]]
            assert (part[low], part[high]) == pytest.approx((-other[high], -other[low]), abs=0.01)


def negative(number: float | None) -> float | None:
    return None if number is None else -number


def check_no_difference(ledger: Ledger) -> None:
    """Asserts that a ledger compared with itself shows no change anywhere."""
    found = diff_as_object(compare_ledgers(ledger, ledger, ("A", "A")))
    for group in ("sockets", "events", "bytes_per_connection"):
        assert {change["change"] for change in found[group].values()} <= {0, None}
    assert {found[key]["change"] for key in ("slab_memory_bytes", "tcp_memory_bytes")} <= {0, None}
    assert [found[key] for key in ("caches", "states", "nodes", "free_blocks")] == [[]] * 4
    growth = found["slab_growth"]
    if growth is not None:
        assert growth["parts"] == []
        assert {value for key, value in growth.items() if key.endswith("bytes")} <= {0, None}
        assert growth["other_caches"] in ([], None)
