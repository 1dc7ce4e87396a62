"""Owners of groups: shares of samples add up, and sockets of no process are distinguished from unseen sockets."""

from __future__ import annotations

from collections import Counter

from made_look import HERE, WHOLE_MACHINE, group, listen, net, process, table_of

from tcptop.accounting.socket_owners import listener_owner, owned_groups
from tcptop.accounting.unseen_sockets import MAX_NEAR
from tcptop.ledger.holders import Holder

Owned = dict[tuple[str, int | None], float]


def owners(*lines: str) -> Owned:
    """The number of sockets by kind of owner and process."""
    found: Counter[tuple[str, int | None]] = Counter()
    for each, holder, share in owned_groups(table_of(*lines)):
        found[holder.kind, holder.pid] += each.sockets * share  # type: ignore[assignment] # shares are fractions
    return {key: round(value, 6) for key, value in found.items()}


def holders(*lines: str) -> list[Holder]:
    return [holder for _, holder, _ in owned_groups(table_of(*lines))]


def test_the_shares_of_every_group_add_up() -> None:
    table = table_of(*WHOLE_MACHINE)
    total = sum(each.sockets * share for each, _, share in owned_groups(table))
    assert round(total, 6) == sum(each.sockets for each in table.groups)


def test_unseen_sockets_are_shared_out_by_the_samples() -> None:
    one, other = process(10, "one", False, 10), process(11, "other", False, 30)
    found = owners(group("sampled:10", 40), group("sampled:11", 20), group("unseen", 940), one, other)
    # The samples stand for 9 × 40 and 29 × 20 further sockets.
    assert found == {
        ("process", 10): round(40 + 940 * 360 / 940, 6),
        ("process", 11): round(20 + 940 * 580 / 940, 6),
    }
    assert all(holder.is_estimated for holder in holders(group("sampled:10", 40), group("unseen", 9), one))


INNOCENT = (
    *(group("whole:10", 9, port=80), group("whole:10", 10, port=81)),
    *(group("sampled:10", 17, port=80), group("sampled:10", 23, port=81)),
    process(10, "innocent", False, 2.05, descriptors=106, sockets=60, namespace=HERE),
)
"""A process with 106 descriptors, 100 of which are sockets."""


def test_a_process_has_at_most_as_many_sockets_as_descriptors() -> None:
    """Another process has 800 similar sockets in the descriptor table of a thread."""
    lines = (*INNOCENT, net(unread_processes=0), group("unseen", 424, port=80), group("unseen", 417, port=81))
    found = owners(*lines)
    assert found.keys() == {("process", 10), ("no_process", None)}
    assert 90 <= found["process", 10] <= 106
    assert round(sum(found.values())) == 900
    assert all(holder.is_estimated for holder in holders(*lines) if holder.kind == "no_process")
    # The kernel does not count the descriptors: the sample alone limits the estimate.
    older: Counter[str] = Counter()
    for each, holder, share in owned_groups(table_of(*lines), are_counted=False):
        older[holder.kind] += each.sockets * share  # type: ignore[assignment] # shares are fractions
    assert 90 <= older["process"] <= 150


def test_small_groups_that_no_sample_shows_are_not_seen() -> None:
    """No socket of 400 ports is in the sample, so that each group alone could belong to the process."""
    found = owners(*INNOCENT, *(group("unseen", 1, port=port) for port in range(1000, 1400)))
    assert found == {("process", 10): 59, ("not_seen", None): 400}


def test_a_process_gets_no_sockets_of_a_service_that_its_sample_does_not_show() -> None:
    """The sample of the process with the 80 sockets of port 8002 happens to show none of them."""
    lines = (
        *(group("sampled:10", 20, port=8001, server=False), group("unseen", 680, port=8001, server=False)),
        *(group("sampled:11", 1, port=8002), group("unseen", 79, port=8002)),
        *(process(10, "big", False, 34, namespace=HERE), process(11, "small", False, 40, namespace=HERE)),
    )
    hidden = group("unseen", 80, port=8002, server=False)
    assert owners(*lines, hidden) == {("process", 10): 700, ("process", 11): 80, ("not_seen", None): 80}
    shown = group("sampled:11", 2, "CLOSE_WAIT", port=8002, server=False)
    assert owners(*lines, hidden, shown) == {("process", 10): 700, ("process", 11): 162}


def test_more_sockets_than_a_sample_explains_belong_to_no_process() -> None:
    """The sample has 2 of 40 descriptors, which stand for about 200 of 4 024 descriptors; not for 3 000."""
    few = (group("sampled:10", 2), process(10, "x", False, 100, 4_024, 2, namespace=HERE), net(unread_processes=0))
    assert owners(*few, group("unseen", 250)) == {("process", 10): 252}
    assert owners(*few, group("unseen", 3_000)) == {("process", 10): 200, ("no_process", None): 2_802}


def test_the_shares_of_several_processes_are_within_their_descriptors() -> None:
    """Processes that have little but sockets, with another number of clients in each sample."""
    lines = [
        line
        for pid in range(1, 9)
        for line in (
            *(group(f"sampled:{pid}", 16 + pid, port=80), group(f"sampled:{pid}", 24 - pid, port=81)),
            process(pid, "x", False, 20, descriptors=824, sockets=60),
        )
    ]
    found = owners(*lines, group("unseen", 8 * 380 - 100, port=80), group("unseen", 8 * 380 + 100, port=81))
    assert found.keys() == {("process", pid) for pid in range(1, 9)}
    assert all(number <= 804.5 for number in found.values())
    # The kernel's count of descriptors excludes 2 000 more.
    more = owners(*lines, group("unseen", 8 * 380 + 1_000, port=80), group("unseen", 8 * 380 + 1_000, port=81))
    assert all(number <= 804.5 for (kind, _), number in more.items() if kind == "process")


def test_a_sample_without_random_descriptors_tells_nothing() -> None:
    """If the table of descriptors is large and nearly empty, no open descriptor is drawn."""
    lines = (group("unseen", 200), process(10, "x", False, 1, 500, 0, namespace=HERE), net(unread_processes=0))
    assert owners(*lines) == {("not_seen", None): 200}


def test_a_whole_process_is_no_estimate() -> None:
    assert holders(group("whole:10", 40), process(10)) == [Holder("process", 10, "server", False)]
    assert not any(holder.is_estimated for holder in holders(group("sampled:10", 40), process(10, "x", False, 9)))


def test_sockets_opened_during_a_look_are_not_called_those_of_no_process() -> None:
    """The counter of allocated sockets is read before the descriptors, and the sockets after them."""
    held, opened = group("whole:10", 1_000), group("unseen", 200)
    full = process(10, descriptors=1_000, sockets=1_000)
    assert ("no_process", None) in owners(net(alloc_before=1_200), held, opened, full)
    assert owners(net(alloc_before=1_000), held, opened, full)["not_seen", None] == 200


def test_no_process_is_told_from_not_seen() -> None:
    unseen = group("unseen", 200)
    assert owners(net(unread_processes=0), unseen) == {("no_process", None): 200}
    assert owners(net(unread_processes=3), unseen) == {("not_seen", None): 200}
    # A process whose sample would contain 200 / 2 of the sockets has none; a process with a small sample may have them.
    assert owners(net(), unseen, process(10, "x", False, 2)) == {("no_process", None): 200}
    large = process(10, "x", False, 100)
    assert owners(net(), unseen, large) == {("not_seen", None): 200}
    assert owners(net(), unseen, large, group("sampled:10", port=1, uid=1))["not_seen", None] == 200
    assert owners(net(), unseen, process(10, "x", False, 100, namespace=HERE))["not_seen", None] == 200
    # The process is in another namespace, or only has known sockets of another namespace.
    assert owners(net(), unseen, process(10, "x", False, 100, namespace=5)) == {("no_process", None): 200}
    elsewhere = (net(5, False), group("sampled:10", namespace=5))
    assert owners(net(), *elsewhere, unseen, large)["no_process", None] == 200


def test_what_no_process_shows_may_be_a_hidden_process_s() -> None:
    """As long as procfs hides processes, no socket is said to have no process, and none is given to a neighbour."""
    unseen = group("unseen", 200)
    for reason in ("pid_namespace", "hidepid", "a later reason"):
        hidden = (net(unread_processes=0), f"hidden\t{reason}")
        assert owners(*hidden, unseen) == {("not_seen", None): 200}
        assert owners(*hidden, unseen, process(10, "x", False, 2)) == {("not_seen", None): 200}
        few = (group("whole:10", 100), group("unseen", 10), process(10, descriptors=120, sockets=100))
        assert owners(*few) == {("process", 10): 110}
        assert owners(*hidden, *few) == {("process", 10): 100, ("not_seen", None): 10}
        near = (
            *(group("sampled:10", 50, cgroup=7), group("unseen", 3, "CLOSE_WAIT", cgroup=7)),
            process(10, "x", False, 90),
        )
        assert owners(*near) == {("process", 10): 53}
        assert owners(*hidden, *near) == {("process", 10): 50, ("not_seen", None): 3}
        table = table_of(*hidden, listen(2049))
        assert listener_owner(table.listeners[0], table).kind == "not_seen"


def test_few_sockets_are_those_of_a_large_process_with_the_same_service_user_and_cgroup() -> None:
    lines = (group("sampled:10", 50, cgroup=7), group("unseen", 3, "CLOSE_WAIT", cgroup=7), process(10, "x", False, 90))
    assert owners(*lines) == {("process", 10): 53}
    elsewhere = (group("sampled:10", 50, cgroup=8), *lines[1:])
    assert owners(*elsewhere) == {("process", 10): 50, ("not_seen", None): 3}
    for other in (group("sampled:10", 50, cgroup=7, port=1), group("sampled:10", 50, cgroup=7, server=False)):
        assert owners(other, *lines[1:]) == {("process", 10): 50, ("not_seen", None): 3}


def test_a_group_is_not_shared_out_among_a_crowd() -> None:
    crowd = range(1, MAX_NEAR + 2)
    lines = [*(group(f"sampled:{pid}", 50) for pid in crowd), *(process(pid, "x", False, 90) for pid in crowd)]
    assert owners(*lines, group("unseen", 3, "CLOSE_WAIT"))["not_seen", None] == 3


def test_sockets_that_were_opened_since_the_sample() -> None:
    of_ten = process(10, descriptors=120, sockets=100)
    few = (group("whole:10", 100), group("unseen", 10), of_ten)
    assert owners(*few) == {("process", 10): 110}
    assert any(holder.is_estimated for holder in holders(*few))
    assert owners(group("whole:10", 100), group("unseen", 11), of_ten) == {
        ("process", 10): 100,
        ("no_process", None): 11,
    }
    # With more sockets than descriptors, the rest is not seen.
    full = process(10, descriptors=104, sockets=100)
    assert owners(group("whole:10", 100), group("unseen", 10), full) == {("process", 10): 104, ("not_seen", None): 6}


def test_sockets_without_an_inode_are_named_by_their_state() -> None:
    states = (
        ("FIN_WAIT1", False, "orphan"),
        ("LAST_ACK", False, "orphan"),
        ("CLOSING", False, "orphan"),
        ("FIN_WAIT2", True, "kernel"),
        ("FIN_WAIT2", False, "orphan"),
        ("TIME_WAIT", True, "kernel"),
        ("SYN_RECV", False, "handshake"),
        ("ESTABLISHED", False, "queue"),
        ("CLOSE_WAIT", False, "queue"),
    )
    for state, mini, kind in states:
        assert [holder.kind for holder in holders(group("none", 5, state, mini=mini))] == [kind]


def queue(name: str, pid: int, is_estimated: bool = False) -> Holder:
    return Holder("queue", pid, name, is_estimated)


FOUR = tuple(process(pid, f"p{pid}") for pid in range(10, 14))


def test_the_owner_of_a_queue_is_the_one_listener_of_its_port() -> None:
    lines = (listen(80, 0, pid=10), listen(81, 9, pid=11), listen(80, 9, pid=12, namespace=5), *FOUR)
    assert holders(*lines, group("none", 9, port=80)) == [queue("p10", 10)]
    assert holders(*lines, group("none", 9, port=80, namespace=5)) == [queue("p12", 12)]
    assert holders(*lines, group("none", 4, port=99)) == [Holder("queue", None, "", False)]
    assert holders(listen(80, 9), group("none", 4, port=80)) == [Holder("queue", None, "", False)]


def test_listeners_of_several_processes_share_a_queue() -> None:
    """With SO_REUSEPORT, the kernel spreads connections over the listeners; the length of each accept queue is
    known.
    """
    lines = (listen(80, 30, pid=10), listen(80, 10, pid=11), listen(80, 0, pid=12), *FOUR, group("none", 80, port=80))
    assert owners(*lines) == {("queue", 10): 60, ("queue", 11): 20}
    assert set(holders(*lines)) == {queue("p10", 10, True), queue("p11", 11, True)}
    # Only one listener has a queue, or one process has all listeners.
    assert holders(listen(80, 5, pid=10), listen(80, 0, pid=11), *FOUR, group("none", 5, port=80)) == [queue("p10", 10)]
    assert holders(listen(80, 5, pid=10), listen(80, 7, pid=10), *FOUR, group("none", 9, port=80)) == [queue("p10", 10)]
    # All connections arrived after the listeners were read.
    late = (listen(80, 0, pid=10), listen(80, 0, pid=11), *FOUR, group("none", 8, port=80))
    assert owners(*late) == {("queue", 10): 4, ("queue", 11): 4}


def test_a_queue_has_the_family_and_the_cgroup_of_its_listener() -> None:
    lines = (
        *(listen(80, 9, pid=10, family=2), listen(80, 9, pid=11, family=10)),
        *(listen(81, 9, pid=12, family=2, cgroup=7), listen(81, 9, pid=13, family=2, cgroup=8)),
        *(listen(82, 9, pid=13, family=10), listen(83, 9, pid=13, family=2), *FOUR),
    )
    assert holders(*lines, group("none", 5, port=80, family=10)) == [queue("p11", 11)]
    assert holders(*lines, group("none", 5, port=80, family=2)) == [queue("p10", 10)]
    assert holders(*lines, group("none", 5, port=81, cgroup=8)) == [queue("p13", 13)]
    assert len(holders(*lines, group("none", 5, port=81, cgroup=9))) == 2
    # An IPv6 listener accepts IPv4, but an IPv4 listener does not accept IPv6.
    assert holders(*lines, group("none", 5, port=82, family=2)) == [queue("p13", 13)]
    assert holders(*lines, group("none", 5, port=83, family=10)) == [Holder("queue", None, "", False)]


def test_a_listener_without_a_process() -> None:
    def kind(*lines: str) -> str:
        table = table_of(*lines, listen(2049))
        return listener_owner(table.listeners[0], table).kind

    assert kind(net(unread_processes=0), process(10)) == "no_process"
    assert kind(net(unread_processes=1), process(10)) == "not_seen"
    assert kind(net(), process(10, "x", False, 9)) == "not_seen"
