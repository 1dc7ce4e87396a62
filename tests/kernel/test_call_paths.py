"""The trees of kernel functions against the catalogue: both know the same objects and the same functions."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tcptop.kernel.call_paths import (
    ACCEPT,
    CALL_PATH_PAGES,
    CLOSE,
    CONNECT,
    HANDSHAKE_ACK,
    SHUTDOWN,
    SOCKET,
    SYN,
    TIME_WAIT,
    Call,
    find_call_trees,
    prune_tree,
)
from tcptop.kernel.objects import (
    BIND2_BUCKET,
    BIND_BUCKET,
    CGROUP_VECTORS,
    DENTRY,
    EPITEM,
    FCLONE,
    FILE,
    KERNEL_OBJECTS,
    LSM_SOCKET_BLOB,
    REQUEST6_SOCK,
    REQUEST_SOCK,
    SKB_HEAD,
    SOCKET_ALLOC,
    SOCKET_WQ,
    TCP6_SOCK,
    TCP_SOCK,
    TW_SOCK,
    KernelObject,
)

FREED_IN_NO_TREE = {
    "struct socket_wq": "before 5.3 only, with the inode",
    "obj_cgroup vectors": "with the slab, by whatever frees the last object in it",
}
"""What every socket has, and no tree says where it goes; their `freed_by` does."""


def ends(call: Call, above: str = "") -> Iterator[tuple[str, KernelObject, bool]]:
    """Each object at an end of a tree, with all the functions on the way there, and whether it is released."""
    way = f"{above} → {call.function}" if above else call.function
    yield from ((way, item, False) for item in call.allocates)
    yield from ((way, item, True) for item in call.frees)
    for each in call.calls:
        yield from ends(each, way)


ENDS = [end for page in CALL_PATH_PAGES.values() for tree in page.trees for end in ends(tree)]
ALLOCATED = {item for _, item, released in ENDS if not released}
FREED = {item for _, item, released in ENDS if released}

of_every_socket = pytest.mark.parametrize(
    "item", [item for item in KERNEL_OBJECTS if item.always_held], ids=lambda item: item.struct
)
each_object = pytest.mark.parametrize("item", KERNEL_OBJECTS, ids=lambda item: item.struct)


def functions(text: str) -> set[str]:
    """The names before brackets: `reqsk_free(), at accept(2)` names one function and one system call."""
    return set(re.findall(r"(\w+)\(", text))


@each_object
def test_every_object_is_allocated_in_some_tree(item: KernelObject) -> None:
    assert item in ALLOCATED


@of_every_socket
def test_what_every_socket_has_is_freed_in_some_tree_or_known_to_be_in_none(item: KernelObject) -> None:
    assert (item in FREED) != (item.struct in FREED_IN_NO_TREE)
    assert item.freed_by


def test_the_exceptions_are_of_this_catalogue() -> None:
    assert set(FREED_IN_NO_TREE) <= {item.struct for item in KERNEL_OBJECTS}


def test_trees_name_the_catalogues_own_objects() -> None:
    assert ENDS
    for way, item, _ in ENDS:
        assert any(item is each for each in KERNEL_OBJECTS), way


@each_object
def test_a_function_that_the_catalogue_names_is_on_the_way_to_the_allocation(item: KernelObject) -> None:
    ways_there = [functions(way) for way, each, released in ENDS if each is item and not released]
    assert any(functions(item.allocated_by) & way for way in ways_there)


def test_every_line_of_a_tree_names_a_function_or_says_why_not() -> None:
    """A line without brackets would be no function; these few are headings."""
    headings = {"data on its way", "what only some sockets have", "what remains", "nothing is freed"}
    for page in CALL_PATH_PAGES.values():
        for tree in page.trees:
            lines = [tree]
            while lines:
                call = lines.pop()
                lines += call.calls
                assert (call.function in headings) or re.search(r"\w(\(\d?\)|\()", call.function), call.function


def test_only_what_leads_to_the_object_is_left_of_a_tree() -> None:
    found = prune_tree(SOCKET, (DENTRY,), freed=False)
    assert found is not None
    assert [item for _, item, _ in ends(found)] == [DENTRY]
    [way] = [way for way, _, _ in ends(found)]
    assert way.split(" → ") == [
        *("socket(2)", "__sys_socket()", "sock_map_fd()", "sock_alloc_file()", "alloc_file_pseudo()"),
        *("d_alloc_pseudo()", "__d_alloc()", "kmem_cache_alloc_lru()"),
    ]


def test_only_keeps_one_of_several_objects_and_its_note() -> None:
    found = prune_tree(CONNECT, (BIND_BUCKET,), freed=False)
    assert found is not None
    [hash_connect] = found.calls
    [bucket] = hash_connect.calls
    assert (bucket.allocates, bucket.note) == ((BIND_BUCKET,), "for each local port")
    one = prune_tree(SOCKET, (TCP6_SOCK,), freed=False)
    assert one is not None
    assert [item for _, item, _ in ends(one)] == [TCP6_SOCK]


def test_only_tells_allocating_from_releasing() -> None:
    assert prune_tree(SOCKET, (DENTRY,), freed=True) is None
    assert prune_tree(CLOSE, (DENTRY,), freed=False) is None
    freed = prune_tree(CLOSE, (DENTRY,), freed=True)
    assert freed is not None
    assert [(item, released) for _, item, released in ends(freed)] == [(DENTRY, True)]
    # accept(2) does both; each answer shows one.
    allocated, freed = prune_tree(ACCEPT, (FILE, REQUEST_SOCK), False), prune_tree(ACCEPT, (FILE, REQUEST_SOCK), True)
    assert allocated is not None
    assert freed is not None
    assert [item for _, item, _ in ends(allocated)] == [FILE]
    assert [item for _, item, _ in ends(freed)] == [REQUEST_SOCK]


def test_only_of_an_object_that_a_tree_does_not_have() -> None:
    assert prune_tree(TIME_WAIT, (SOCKET_WQ,), freed=False) is None
    assert prune_tree(SOCKET, (), freed=False) is None


@pytest.mark.parametrize(
    ("item", "allocating", "releasing"),
    [
        (TCP_SOCK, ["socket(2)", "its ACK arrives"], ["close(2)"]),
        (BIND_BUCKET, ["bind(2)", "connect(2)"], ["close(2)", "what remains"]),
        (BIND2_BUCKET, ["bind(2)", "connect(2)"], ["close(2)", "what remains"]),
        (FCLONE, ["connect(2)", "shutdown(2)", "data on its way"], ["data on its way"]),
        (EPITEM, ["epoll_ctl(2)"], ["close(2)"]),
        (TW_SOCK, ["close(2)"], ["what remains"]),
        (REQUEST_SOCK, ["a SYN arrives"], ["accept(2)"]),
        (REQUEST6_SOCK, ["a SYN arrives"], ["accept(2)"]),
    ],
    ids=lambda value: value.struct if isinstance(value, KernelObject) else None,
)
def test_the_ways_to_an_object(item: KernelObject, allocating: list[str], releasing: list[str]) -> None:
    for released, starts in ((False, allocating), (True, releasing)):
        found = list(find_call_trees((item,), released))
        assert len(found) == len(starts)
        for tree, start in zip(found, starts, strict=True):
            assert tree.function.startswith(start)
            assert {each for _, each, _ in ends(tree)} == {item}


def names(tree: Call) -> list[str]:
    """All functions of a tree in the order of its lines."""
    return [*re.findall(r"\w+\(", tree.function), *(name for each in tree.calls for name in names(each))]


def test_closing_goes_in_the_order_of_the_kernel() -> None:
    """fs/file_table.c, __fput: epoll, f_op->release, dput, file_free; the inode goes with the dentry."""
    order = ["__fput(", "eventpoll_release(", "sock_close(", "dput(", "iput(", "file_free("]
    assert [name for name in names(CLOSE) if name in order] == order
    freed = [item for _, item, released in ends(CLOSE) if released]
    assert freed.index(EPITEM) < freed.index(TCP_SOCK) < freed.index(DENTRY) < freed.index(SOCKET_ALLOC)
    assert freed.index(SOCKET_ALLOC) < freed.index(FILE)


def test_the_inode_of_a_socket_waits_for_a_grace_period_and_its_dentry_does_not() -> None:
    """The socket's dentry was never in sight of a lookup (fs/dcache.c, dentry_free); its inode is freed by RCU."""
    [dentry], [inode] = ([each for each in calls(CLOSE) if item in each.frees] for item in (DENTRY, SOCKET_ALLOC))
    assert (dentry.note, inode.note) == ("", "after a grace period")
    assert inode in dentry.calls


def test_a_port_that_is_not_taken_over_by_a_mini_socket_is_freed_at_close() -> None:
    [call] = [each for each in calls(CLOSE) if BIND_BUCKET in each.frees]
    assert call.function.endswith("inet_put_port()")
    assert BIND2_BUCKET in call.frees


def test_a_fin_is_allocated_by_who_sends_it() -> None:
    """Over loopback the receiver holds the clone; tcp_fin() allocates nothing."""
    [call] = [each for each in calls(SHUTDOWN) if each.allocates]
    assert call.function.startswith("tcp_send_fin()")
    assert call.allocates == (FCLONE, SKB_HEAD)


def test_a_handshake_is_two_trees_since_two_packets_arrive() -> None:
    accept = CALL_PATH_PAGES["accept"].trees
    assert accept.index(SYN) + 1 == accept.index(HANDSHAKE_ACK)
    assert allocated_by(SYN) == {REQUEST_SOCK, REQUEST6_SOCK}
    assert allocated_by(HANDSHAKE_ACK) == {TCP_SOCK, TCP6_SOCK, LSM_SOCKET_BLOB}
    assert "tcp_v6_syn_recv_sock(" in names(HANDSHAKE_ACK)


def test_the_request_socks_of_both_families_are_different_structs() -> None:
    assert (REQUEST_SOCK.struct, REQUEST6_SOCK.struct) == ("struct tcp_request_sock", "struct tcp6_request_sock")
    assert len({item.struct for item in KERNEL_OBJECTS}) == len(KERNEL_OBJECTS)


def calls(tree: Call) -> Iterator[Call]:
    """Every call of a tree."""
    yield tree
    for each in tree.calls:
        yield from calls(each)


def test_a_tree_that_stands_on_two_pages_is_one_way() -> None:
    pages = [
        name
        for name, page in CALL_PATH_PAGES.items()
        if any(CGROUP_VECTORS in t for t in map(allocated_by, page.trees))
    ]
    assert len(pages) == 2
    assert len(list(find_call_trees((CGROUP_VECTORS,)))) == 1


def allocated_by(tree: Call) -> set[KernelObject]:
    return {item for _, item, released in ends(tree) if not released}
