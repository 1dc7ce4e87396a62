"""The events page and the section of the report: counters above 0, counters at 0, and missing counters."""

from __future__ import annotations

from pathlib import Path

import pytest
from recorded import copy_recording, ledger, ledger_of

from tcptop.comparison.compare import compare_ledgers
from tcptop.explanation.events_page import events_page, group_events, moved_sentence
from tcptop.explanation.pages import find_page
from tcptop.kernel.events import EVENTS
from tcptop.kernel.limits import limit_label
from tcptop.ledger import Ledger
from tcptop.report.as_json import as_object
from tcptop.report.as_text import as_text
from tcptop.report.diff_json import diff_as_object
from tcptop.report.diff_text import diff_as_text
from tcptop.text.line import text_of

COUNTERS = "TcpExt: TCPMemoryPressuresChrono ListenDrops ListenOverflows TCPOFODrop\nTcpExt: 1200 16 12 0\n"


@pytest.fixture
def moved(tmp_path: Path) -> Ledger:
    """A kernel with four of the counters of netstat, three of which are above 0."""
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "proc/net/netstat").write_text(COUNTERS)
    return ledger_of(root)


def page_text(of: Ledger, columns: int = 100) -> str:
    lines = [text_of(line) for line in events_page(of, columns)]
    assert all(len(line) <= columns for line in lines)
    return "\n".join(lines)


def section(of: Ledger) -> str:
    return as_text(of).partition("\nEvents since")[2].partition("\n\n")[0]


@pytest.mark.parametrize("columns", [40, 60, 76, 100, 116])
def test_each_event_is_on_the_page_with_its_sentence_and_its_limit(moved: Ledger, columns: int) -> None:
    words = " ".join(page_text(moved, columns).split())
    for event in EVENTS:
        limit = f" (limit: {limit_label(event.limit)})" if event.limit else ""
        assert f"{event.name}: {event.counts}{limit}." in words


def test_the_page_shows_what_moved_before_what_did_not(moved: Ledger) -> None:
    page = page_text(moved)
    head, _, rest = page.partition("Have not moved:")
    still, _, others = rest.partition("This kernel has no such counter:")
    absent, _, unread = others.partition("Not known:")
    assert "3 of 7 counters have moved since the kernel started" in head
    assert "ListenOverflows" in head
    assert "1 200 ms" in head
    assert "TCPOFODrop" not in head
    assert "TCPOFODrop" in still
    assert "TCPTimeWaitOverflow" in absent
    assert "there is no /proc/net/stat/nf_conntrack" in unread
    assert "nf_conntrack_drop" in unread
    assert "SINCE MARK" not in page


def test_the_report_lists_what_moved_and_counts_the_others(moved: Ledger) -> None:
    lines = section(moved).splitlines()
    assert [line.split()[0] for line in lines[2:5]] == ["TCPMemoryPressuresChrono", "ListenOverflows", "ListenDrops"]
    assert lines[3].split()[1:] == ["12", "-", "accept", "queues"]
    assert [line.strip() for line in lines[5:]] == [
        "3 of 7 counters have moved",
        "13 are not counted by this kernel",
        "3 not known: there is no /proc/net/stat/nf_conntrack here",
    ]


def test_the_report_says_that_no_counter_has_moved() -> None:
    assert "none of 20 counters has moved" in section(ledger("6.1-4n", "established"))


def test_the_report_says_why_no_counter_is_known() -> None:
    found = section(ledger("6.18-1n", "base"))
    assert "no counter is known" in found
    assert "17 not known: there is no /proc/net/netstat here" in found


def test_a_damaged_counter_is_not_taken_for_absent(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "proc/net/netstat").write_text(COUNTERS.replace(" 12 ", " twelve "))
    groups = group_events(ledger_of(root))
    assert groups.absent == []
    [unread] = [events for reason, events in groups.unread.items() if "ListenOverflows is not a count" in reason]
    assert "ListenOverflows" in [event.name for event in unread]
    assert moved_sentence(groups) == "2 of 6 counters have moved"


def test_pages_are_found_by_the_name_of_an_event(moved: Ledger) -> None:
    for name in ("events", "ListenOverflows", "outrsts", "nf_conntrack_drop"):
        page = find_page(moved, name)
        assert page is not None
        assert page.name == "events"


def test_json_has_every_event_and_null_where_the_kernel_has_none(moved: Ledger) -> None:
    events = as_object(moved)["events"]
    assert list(events) == [event.name for event in EVENTS]
    assert events["ListenOverflows"] == {"total": 12, "per_s": None, "unit": "packets", "limit": "listen_queues"}
    assert events["TCPTimeWaitOverflow"]["total"] is None


def test_a_difference_has_the_growth_of_counters(moved: Ledger) -> None:
    before = ledger("6.1-4n", "established")
    found = compare_ledgers(before, moved, ("A", "B"))
    assert diff_as_object(found)["events"]["ListenOverflows"] == {"before": 0, "after": 12, "change": 12}
    [line] = [line for line in diff_as_text(found).splitlines() if "ListenOverflows" in line]
    assert line.split() == ["ListenOverflows", "0", "12", "+12", "this", "netns"]


def test_a_difference_of_counters_that_became_smaller_is_unknown(moved: Ledger) -> None:
    found = compare_ledgers(moved, ledger("6.1-4n", "established"), ("A", "B"))
    assert diff_as_object(found)["events"]["ListenOverflows"] == {"before": 12, "after": 0, "change": None}
    elsewhere = moved._replace(host=moved.host._replace(name="other"))
    found = compare_ledgers(ledger("6.1-4n", "established"), elsewhere, ("A", "B"))
    assert {change["change"] for change in diff_as_object(found)["events"].values()} == {None}
