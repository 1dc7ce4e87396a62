"""The pointers between the objects of a socket: the member that holds each pointer, and the object that it points at.

The members are those of include/linux/{fs,dcache,fdtable,net}.h and include/net/{sock,inet_hashtables,
inet_connection_sock,inet_timewait_sock}.h, and were compared with the BTF of 6.1, 6.12, 6.18 and 7.3.
"""

from collections.abc import Mapping
from typing import NamedTuple

from tcptop.kernel.objects import (
    BIND2_BUCKET,
    BIND_BUCKET,
    DENTRY,
    FILE,
    SOCKET_ALLOC,
    TCP_SOCK,
    TW_SOCK,
    KernelObject,
)
from tcptop.kernel.release import Release

SK = "inet_conn.icsk_inet.sk"
"""Path of struct sock in struct tcp_sock; a struct tcp_sock begins with a struct sock."""
TW = "tw_sk"
"""Path of struct inet_timewait_sock in struct tcp_timewait_sock."""


TB_LISTS_TB2 = ("inet_bind_bucket", "bhash2")
"""A struct and one of its members, which exists since 6.8. On kernels with this member, a bind bucket lists bind2
buckets, and each bind2 bucket lists its socks."""
WQ_IS_EMBEDDED = ("socket_alloc", "socket.wq.wait")
"""A struct and one of its members, which exists since 5.3. On kernels with this member, struct socket contains a struct
socket_wq. Before 5.3, struct socket has a pointer `wq` to a struct socket_wq."""


class Link(NamedTuple):
    """A member of a struct: a pointer to another object, an element of a list, or the head of a list."""

    members: tuple[str, ...]
    """The names of the member, newest first: dotted paths, in which anonymous structs and unions have no name."""
    target: str
    """The object that the member leads to."""
    note: str = ""
    """A sentence that says when or why the link exists; may be empty."""
    renamed_in: tuple[Release, ...] = ()
    """The first release with each name, in the order of `members`; the oldest name has no entry."""
    since: Release | None = None
    """First release with the member under any of its names."""
    until: Release | None = None
    """First release without the member."""
    decided_by: tuple[str, str] | None = None
    """A struct and one of its members. The kernel got this member in the release that added the link (`since`), or in
    the release that removed the link (`until`).

    If BTF is readable, the presence of this member decides instead of the release, because vendors backport changes.
    """


class Station(NamedTuple):
    """An object with its links to other objects."""

    struct: str
    about: str
    links: tuple[Link, ...]
    item: KernelObject | None = None
    """The object in the catalogue; None if the object does not belong to a single socket."""


class Drawing(NamedTuple):
    """Objects that belong together, under a title."""

    title: str
    about: str
    stations: tuple[Station, ...]


ALIAS = Link(
    ("d_u.d_alias", "d_alias"),
    "the list i_dentry of the inode",
    "alone: a socket has one name",
)
"""The union around this member has the name `d_u` in some releases, and no name in others. The member is therefore
looked for under two paths, with and without `d_u`."""

OPEN_SOCKET = Drawing(
    "An open socket",
    "A descriptor leads to struct file, this to the dentry and the inode, and struct socket, beside the inode, to the"
    " sock. An accepted socket has the same objects as one of connect(2).",
    (
        Station(
            "files_struct",
            "the descriptor table of a process, to which task_struct.files points",
            (Link(("fdt",), "fdtable", "a larger table takes its place when the process opens more files"),),
        ),
        Station(
            "fdtable",
            "the array of descriptors",
            (Link(("fd",), "struct file *[max_fds]", "the entry at the number of the descriptor → file"),),
        ),
        Station(
            "file",
            "one for each socket(2), accept(2) or open(2); dup(2) and fork(2) share it",
            (
                Link(("f_path.dentry",), "dentry"),
                Link(("f_inode",), "socket_alloc.vfs_inode", "the same inode, without a dentry between", since=(3, 9)),
                Link(("private_data",), "socket_alloc.socket"),
            ),
            FILE,
        ),
        Station(
            "dentry",
            "the name of the file, which /proc shows as socket:[inode]",
            (
                Link(("d_inode",), "socket_alloc.vfs_inode"),
                Link(("d_parent",), "the dentry itself", "it is in no directory"),
                Link(
                    ("d_sib", "d_child", "d_u.d_child"),
                    "no list",
                    "a parent lists its children by it",
                    renamed_in=((6, 8), (3, 19)),
                ),
                Link(("d_children", "d_subdirs"), "an empty list", "it has no children", renamed_in=((6, 8),)),
                ALIAS,
                Link(("d_hash",), "no bucket", "no path leads to it, so it is freed with the file"),
            ),
            DENTRY,
        ),
        Station(
            "socket_alloc",
            "one allocation that holds struct socket and the inode; SOCKET_I() and SOCK_INODE() go from one to the"
            " other by their offsets, without a pointer",
            (
                Link(("socket",), "struct socket, in it"),
                Link(("vfs_inode",), "struct inode, in it"),
                Link(("socket.file",), "file"),
                Link(("socket.sk",), "tcp_sock"),
                Link(
                    ("socket.wq",),
                    "struct socket_wq, in it",
                    "those who sleep or poll",
                    since=(5, 3),
                    decided_by=WQ_IS_EMBEDDED,
                ),
                Link(("socket.wq",), "socket_wq", "those who sleep or poll", until=(5, 3), decided_by=WQ_IS_EMBEDDED),
                Link(("vfs_inode.i_dentry",), "the dentry", "the head of the list of its names"),
                Link(("vfs_inode.i_data",), "no pages", "what is not yet read or sent lies in sk_buffs of the sock"),
            ),
            SOCKET_ALLOC,
        ),
        Station(
            "tcp_sock",
            "it begins with inet_connection_sock, inet_sock, sock and sock_common; tcp6_sock begins with it",
            (
                Link((f"{SK}.sk_socket",), "socket_alloc.socket", "none in an accept queue, and for an orphan"),
                Link((f"{SK}.sk_wq",), "the socket_wq of the socket", since=(2, 6, 35)),
                Link(
                    (f"{SK}.__sk_common.skc_nulls_node",),
                    "a chain of tcp_hashinfo.ehash",
                    "where a segment finds its sock; LISTEN has tables of its own",
                    since=(2, 6, 29),
                ),
                Link(("inet_conn.icsk_bind_hash",), "inet_bind_bucket", "an accepted sock has that of the listener"),
                Link(("inet_conn.icsk_bind2_hash",), "inet_bind2_bucket", since=(6, 1)),
                Link(
                    (f"{SK}.__sk_common.skc_bind_node",),
                    "the owners of the bind2 bucket",
                    since=(6, 8),
                    decided_by=TB_LISTS_TB2,
                ),
                Link(
                    (f"{SK}.__sk_common.skc_bind_node",),
                    "the owners of the bind bucket",
                    until=(6, 8),
                    decided_by=TB_LISTS_TB2,
                ),
                Link((f"{SK}.sk_bind2_node",), "the owners of the bind2 bucket", since=(6, 1), until=(6, 8)),
            ),
            TCP_SOCK,
        ),
        Station(
            "inet_bind_bucket",
            "one for each local port of a network namespace",
            (
                Link(("node",), "a chain of tcp_hashinfo.bhash", "found by the port"),
                Link(("bhash2",), "the bind2 buckets of the port", since=(6, 8)),
                Link(("owners",), "the socks and mini-sockets of the port", until=(6, 8)),
            ),
            BIND_BUCKET,
        ),
        Station(
            "inet_bind2_bucket",
            "one for each local port and address",
            (
                Link(("node",), "a chain of tcp_hashinfo.bhash2", "found by the port and the address", since=(6, 1)),
                Link(("bhash_node",), "the list bhash2 of the bind bucket", since=(6, 8)),
                Link(("owners",), "the socks and mini-sockets", since=(6, 8), decided_by=TB_LISTS_TB2),
                Link(("owners",), "the socks", since=(6, 1), until=(6, 8), decided_by=TB_LISTS_TB2),
                Link(("deathrow",), "the mini-sockets", since=(6, 1), until=(6, 8)),
            ),
            BIND2_BUCKET,
        ),
    ),
)

TIME_WAIT_SOCKET = Drawing(
    "In TIME_WAIT",
    "Once the program has closed it, the sock, socket_alloc, dentry and file are freed with every pointer above. What"
    " remains is the mini-socket, and its references to the bucket of the port. A program that has only shut down its"
    " socket keeps the file, and the sock in CLOSE, until it closes.",
    (
        Station(
            "tcp_timewait_sock",
            "no file or inode points at it: only the tables of the sockets and its timer do",
            (
                Link(
                    (f"{TW}.__tw_common.skc_nulls_node",), "a chain of tcp_hashinfo.ehash", "in the place of the sock"
                ),
                Link((f"{TW}.tw_tb",), "inet_bind_bucket", "kept, so that the port stays in use"),
                Link((f"{TW}.tw_tb2",), "inet_bind2_bucket", since=(6, 1)),
                Link(
                    (f"{TW}.__tw_common.skc_bind_node",),
                    "the owners of the bind2 bucket",
                    since=(6, 8),
                    decided_by=TB_LISTS_TB2,
                ),
                Link(
                    (f"{TW}.__tw_common.skc_bind_node",),
                    "the owners of the bind bucket",
                    until=(6, 8),
                    decided_by=TB_LISTS_TB2,
                ),
                Link((f"{TW}.tw_bind2_node",), "the list deathrow of the bind2 bucket", since=(6, 1), until=(6, 8)),
            ),
            TW_SOCK,
        ),
    ),
)

FILE_ON_DISK = Drawing(
    "A file on disk, beside it",
    "It has the same struct file and dentry, but its inode lies in a struct of its file system, such as"
    " ext4_inode_info, without a socket beside it. Dentry and inode stay in memory after the file is closed.",
    (
        Station(
            "dentry",
            "one for each name that was looked up",
            (
                Link(("d_parent",), "the dentry of its directory"),
                Link(
                    ("d_sib", "d_child", "d_u.d_child"),
                    "the children of its parent",
                    renamed_in=((6, 8), (3, 19)),
                ),
                Link(
                    ("d_children", "d_subdirs"),
                    "its children",
                    "of a directory, those that were looked up",
                    renamed_in=((6, 8),),
                ),
                ALIAS._replace(note="with hard links several dentries lead to one inode, one for each name"),
                Link(("d_hash",), "a chain of dentry_hashtable", "found by its parent and name"),
                Link(("d_lru",), "the list of unused dentries", "until memory is reclaimed"),
            ),
        ),
        Station(
            "inode",
            "one for each file, whatever its names",
            (
                Link(("i_dentry",), "its dentries", "the head of the list of its names"),
                Link(("i_nlink",), "a number", "how many names it has on disk, by hard links"),
                Link(("i_hash",), "a chain of inode_hashtable", "found by its number; that of a socket is in none"),
                Link(
                    ("i_data.i_pages", "i_data.page_tree"),
                    "the pages of its contents",
                    "the page cache, which is no slab memory",
                    renamed_in=((4, 17),),
                ),
            ),
        ),
    ),
)

DRAWINGS = (OPEN_SOCKET, TIME_WAIT_SOCKET, FILE_ON_DISK)


def member_paths() -> dict[str, frozenset[str]]:
    """Maps each struct to the paths of all members whose offsets the drawings show."""
    paths: dict[str, set[str]] = {}
    for drawing in DRAWINGS:
        for station in drawing.stations:
            for link in station.links:
                paths.setdefault(station.struct, set()).update(link.members)
                if link.decided_by is not None:
                    paths.setdefault(link.decided_by[0], set()).add(link.decided_by[1])
    return {struct: frozenset(members) for struct, members in paths.items()}


def member_names() -> frozenset[str]:
    """The names of all members that the drawings show, without the structs around them."""
    return frozenset(path.rpartition(".")[2] for paths in member_paths().values() for path in paths)


def member_of(
    station: Station, link: Link, offsets: Mapping[str, Mapping[str, int]], release: Release | None
) -> str | None:
    """The name of the member that holds a link on a given kernel; None if the kernel does not have the link.

    `offsets` maps a struct to the members that BTF shows. Without BTF the release decides; if the release is None, the
    newest names are used.
    """
    known = offsets.get(station.struct)
    if known is not None:
        if link.decided_by is not None:
            is_new = link.decided_by[1] in offsets.get(link.decided_by[0], {})
            if is_new is not (link.until is None):
                return None
        return next((name for name in link.members if name in known), None)
    is_outside = release is not None and (
        (link.since is not None and release < link.since) or (link.until is not None and release >= link.until)
    )
    if is_outside or (release is None and link.until is not None):
        return None
    renames = sum(release is not None and release < first for first in link.renamed_in)
    return link.members[renames]
