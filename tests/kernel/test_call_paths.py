"""The call trees and the catalogue have the same objects and the same functions."""

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
"""Objects of every socket that no tree frees; their `freed_by` says how they are freed."""


def ends(call: Call, above: str = "") -> Iterator[tuple[str, KernelObject, bool]]:
    """Each object that a tree allocates or frees: the functions on the path to it, the object, whether it is freed."""
    path = f"{above} → {call.function}" if above else call.function
    yield from ((path, item, False) for item in call.allocates)
    yield from ((path, item, True) for item in call.frees)
    for inner in call.calls:
        yield from ends(inner, path)


ENDS = [end for page in CALL_PATH_PAGES.values() for tree in page.trees for end in ends(tree)]
ALLOCATED = {item for _, item, freed in ENDS if not freed}
FREED = {item for _, item, freed in ENDS if freed}

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
def test_every_object_of_every_socket_is_freed_in_some_tree_or_is_an_exception(item: KernelObject) -> None:
    assert (item in FREED) != (item.struct in FREED_IN_NO_TREE)
    assert item.freed_by


def test_the_exceptions_are_objects_of_the_catalogue() -> None:
    assert set(FREED_IN_NO_TREE) <= {item.struct for item in KERNEL_OBJECTS}


def test_trees_have_only_objects_of_the_catalogue() -> None:
    assert ENDS
    for way, item, _ in ENDS:
        assert any(item is each for each in KERNEL_OBJECTS), way


@each_object
def test_a_function_of_allocated_by_is_on_a_path_to_the_allocation(item: KernelObject) -> None:
    paths = [functions(path) for path, each, freed in ENDS if each is item and not freed]
    assert any(functions(item.allocated_by) & path for path in paths)


def test_every_line_of_a_tree_names_a_function_or_is_a_heading() -> None:
    """A line without brackets is no function."""
    headings = {
        *("data on its way", "what only some sockets have", "nothing is freed"),
        "a mini-socket in FIN_WAIT2 or TIME_WAIT",
    }
    for page in CALL_PATH_PAGES.values():
        for tree in page.trees:
            lines = [tree]
            while lines:
                call = lines.pop()
                lines += call.calls
                assert (call.function in headings) or re.search(r"\w(\(\d?\)|\()", call.function), call.function


def test_pruning_leaves_only_the_path_to_the_object() -> None:
    found = prune_tree(SOCKET, (DENTRY,), freed=False)
    assert found is not None
    assert [item for _, item, _ in ends(found)] == [DENTRY]
    [path] = [path for path, _, _ in ends(found)]
    assert path.split(" → ") == [
        *("socket(2)", "__sys_socket()", "sock_map_fd()", "sock_alloc_file()", "alloc_file_pseudo()"),
        *("d_alloc_pseudo()", "__d_alloc()", "kmem_cache_alloc_lru()"),
    ]


def test_pruning_keeps_one_of_several_objects_and_its_note() -> None:
    found = prune_tree(CONNECT, (BIND_BUCKET,), freed=False)
    assert found is not None
    [hash_connect] = found.calls
    [bucket] = hash_connect.calls
    assert (bucket.allocates, bucket.note) == ((BIND_BUCKET,), "for each local port")
    one = prune_tree(SOCKET, (TCP6_SOCK,), freed=False)
    assert one is not None
    assert [item for _, item, _ in ends(one)] == [TCP6_SOCK]


def test_pruning_distinguishes_allocation_and_free() -> None:
    assert prune_tree(SOCKET, (DENTRY,), freed=True) is None
    assert prune_tree(CLOSE, (DENTRY,), freed=False) is None
    freed = prune_tree(CLOSE, (DENTRY,), freed=True)
    assert freed is not None
    assert [(item, is_freed) for _, item, is_freed in ends(freed)] == [(DENTRY, True)]
    # accept(2) allocates and frees; each pruned tree has one of the two.
    allocated, freed = prune_tree(ACCEPT, (FILE, REQUEST_SOCK), False), prune_tree(ACCEPT, (FILE, REQUEST_SOCK), True)
    assert allocated is not None
    assert freed is not None
    assert [item for _, item, _ in ends(allocated)] == [FILE]
    assert [item for _, item, _ in ends(freed)] == [REQUEST_SOCK]


def test_pruning_for_an_object_that_the_tree_lacks_gives_none() -> None:
    assert prune_tree(TIME_WAIT, (SOCKET_WQ,), freed=False) is None
    assert prune_tree(SOCKET, (), freed=False) is None


@pytest.mark.parametrize(
    ("item", "allocating", "freeing"),
    [
        (TCP_SOCK, ["socket(2)", "its ACK arrives"], ["close(2)"]),
        (BIND_BUCKET, ["bind(2)", "connect(2)", "its ACK arrives"], ["close(2)", "a mini-socket"]),
        (BIND2_BUCKET, ["bind(2)", "connect(2)", "its ACK arrives"], ["close(2)", "a mini-socket"]),
        (FCLONE, ["connect(2)", "shutdown(2)", "data on its way"], ["data on its way"]),
        (EPITEM, ["epoll_ctl(2)"], ["close(2)"]),
        (TW_SOCK, ["close(2)", "the peer answers the FIN"], ["a mini-socket"]),
        (REQUEST_SOCK, ["a SYN arrives"], ["accept(2)"]),
        (REQUEST6_SOCK, ["a SYN arrives"], ["accept(2)"]),
    ],
    ids=lambda value: value.struct if isinstance(value, KernelObject) else None,
)
def test_the_trees_that_allocate_and_free_an_object(
    item: KernelObject, allocating: list[str], freeing: list[str]
) -> None:
    for is_freed, starts in ((False, allocating), (True, freeing)):
        found = list(find_call_trees((item,), is_freed))
        assert len(found) == len(starts)
        for tree, start in zip(found, starts, strict=True):
            assert tree.function.startswith(start)
            assert {each for _, each, _ in ends(tree)} == {item}


def test_a_mini_socket_is_made_in_every_way_of_the_kernel() -> None:
    """tcp_time_wait() is called for FIN_WAIT2 by tcp_close() and tcp_rcv_state_process(), and for TIME_WAIT by
    tcp_fin() and, in CLOSING, by tcp_rcv_state_process().
    """
    ways = [way for way, item, freed in ENDS if item is TW_SOCK and not freed]
    assert [(re.findall(r"tcp_time_wait\((\w+)\)", way), "tcp_close" in way, "tcp_fin" in way) for way in ways] == [
        (["FIN_WAIT2"], True, False),
        (["FIN_WAIT2"], False, False),
        (["TIME_WAIT"], False, True),
        (["TIME_WAIT"], False, False),
    ]


def names(tree: Call) -> list[str]:
    """All functions of a tree, in the order of its lines."""
    return [*re.findall(r"\w+\(", tree.function), *(name for each in tree.calls for name in names(each))]


def test_close_frees_in_the_order_of_the_kernel() -> None:
    """fs/file_table.c, __fput: epoll, f_op->release, dput, file_free; the inode goes with the dentry."""
    order = ["__fput(", "eventpoll_release(", "sock_close(", "dput(", "iput(", "file_free("]
    assert [name for name in names(CLOSE) if name in order] == order
    freed = [item for _, item, is_freed in ends(CLOSE) if is_freed]
    assert freed.index(EPITEM) < freed.index(TCP_SOCK) < freed.index(DENTRY) < freed.index(SOCKET_ALLOC)
    assert freed.index(SOCKET_ALLOC) < freed.index(FILE)


def test_the_inode_of_a_socket_is_freed_after_a_grace_period_and_its_dentry_at_once() -> None:
    """No lookup can find the socket's dentry (fs/dcache.c, dentry_free); its inode is freed by RCU."""
    [dentry], [inode] = ([each for each in calls(CLOSE) if item in each.frees] for item in (DENTRY, SOCKET_ALLOC))
    assert (dentry.note, inode.note) == ("", "after a grace period")
    assert inode in dentry.calls


def test_close_frees_the_buckets_of_a_port_that_no_mini_socket_takes_over() -> None:
    [call] = [each for each in calls(CLOSE) if BIND_BUCKET in each.frees]
    assert call.function.endswith("inet_put_port()")
    assert BIND2_BUCKET in call.frees


def test_a_fin_is_allocated_by_its_sender() -> None:
    """Over loopback the receiver holds the clone; tcp_fin() allocates nothing."""
    [call] = [each for each in calls(SHUTDOWN) if each.allocates]
    assert call.function.startswith("tcp_send_fin()")
    assert call.allocates == (FCLONE, SKB_HEAD)


def test_a_handshake_has_one_tree_for_each_of_its_two_packets() -> None:
    accept = CALL_PATH_PAGES["accept"].trees
    assert accept.index(SYN) + 1 == accept.index(HANDSHAKE_ACK)
    assert allocated_by(SYN) == {REQUEST_SOCK, REQUEST6_SOCK}
    assert allocated_by(HANDSHAKE_ACK) == {TCP_SOCK, TCP6_SOCK, LSM_SOCKET_BLOB, BIND_BUCKET, BIND2_BUCKET}
    assert "tcp_v6_syn_recv_sock(" in names(HANDSHAKE_ACK)


def test_the_request_socks_of_both_families_are_different_structs() -> None:
    assert (REQUEST_SOCK.struct, REQUEST6_SOCK.struct) == ("struct tcp_request_sock", "struct tcp6_request_sock")
    assert len({item.struct for item in KERNEL_OBJECTS}) == len(KERNEL_OBJECTS)


def calls(tree: Call) -> Iterator[Call]:
    """Every call of a tree."""
    yield tree
    for each in tree.calls:
        yield from calls(each)


def test_a_tree_on_two_pages_is_found_once() -> None:
    pages = [
        name
        for name, page in CALL_PATH_PAGES.items()
        if any(CGROUP_VECTORS in t for t in map(allocated_by, page.trees))
    ]
    assert len(pages) == 2
    assert len(list(find_call_trees((CGROUP_VECTORS,)))) == 1


def allocated_by(tree: Call) -> set[KernelObject]:
    return {item for _, item, is_freed in ends(tree) if not is_freed}
