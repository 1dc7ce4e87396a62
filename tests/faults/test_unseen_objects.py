"""Objects whose cache no file shows: absent, hidden and unknown are distinguished, on old and on incomplete trees."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from program import CHECKOUT, output, program, report
from session import Session

Json = dict[str, Any]

RECORDINGS = CHECKOUT / "tests/recordings"
KERNELS = ("5.10-4n", "6.1-4n", "7.3-4n")
SLAB = "sys/kernel/slab"
OF_IPV6 = ("TCPv6", "tw_sock_TCPv6", "request_sock_TCPv6", "MPTCPv6")
SIDES = ("accepted", "outgoing")
HEADER = "slabinfo - version: 2.1\n# name <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>\n"


def copied(destination: Path, kernel: str) -> Path:
    return Path(shutil.copytree(RECORDINGS / kernel / "established", destination / kernel, symlinks=True))


def without_caches(root: Path, *names: str) -> None:
    """Removes caches from slabinfo and from /sys/kernel/slab, and protocols of these names."""
    for file in ("proc/slabinfo", "proc/net/protocols"):
        lines = (root / file).read_text().splitlines(keepends=True)
        (root / file).write_text("".join(line for line in lines if line.split()[0] not in names))
    for name in names:
        place = root / SLAB / name
        if place.is_symlink():
            place.unlink()
        elif place.exists():
            shutil.rmtree(place)


def write(root: Path, files: Mapping[str, str]) -> Path:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def row(name: str, size: int, pages: int = 1, active: int = 20, slab_allocator: bool = False) -> str:
    """A row of slabinfo; a slab of the SLAB allocator also holds an index of its objects."""
    per_slab = (4096 * pages - (32 if slab_allocator else 0)) // size
    slabs = -(-active // per_slab)
    tunables = "54 27 8" if slab_allocator else "0 0 0"
    return (
        f"{name} {active} {slabs * per_slab} {size} {per_slab} {pages} : tunables {tunables}"
        f" : slabdata {slabs} {slabs} 0\n"
    )


NEVER_MERGED = {"TCP": 1152, "sock_inode_cache": 640, "tw_sock_TCP": 256, "request_sock_TCP": 384}
"""Caches of every kernel that are never merged, and the sizes of their objects; the last is mergeable before 4.4."""


def machine(root: Path, release: str | None, *rows: str) -> Path:
    """A tree with these rows of slabinfo, and those that no kernel of this release lacks."""
    given = {each.split()[0] for each in rows}
    is_mergeable = release is None or tuple(map(int, re.findall(r"\d+", release)[:2])) < (4, 4)
    is_slab = any("tunables 54" in each for each in rows)
    added = [
        row(name, size, 8 if name == "TCP" else 1, slab_allocator=is_slab)
        for name, size in NEVER_MERGED.items()
        if name not in given and "tcp_sock" not in given and not (name == "request_sock_TCP" and is_mergeable)
    ]
    files = {"proc/slabinfo": HEADER + "".join((*added, *rows))}
    if release is not None:
        files["proc/version"] = f"Linux version {release} (user@host) (gcc) #1 SMP\n"
    return write(root, files)


def side(document: Json, family: str, name: str, mode: str = "full") -> Json:
    found: Json = document["bytes_per_connection"][mode][family][name]
    return found


def state(document: Json, name: str) -> Json:
    found: Json = next(each for each in document["states"] if each["state"] == name)
    return found


def explained(root: Path, what: str) -> str:
    """The page of a cache or a struct, as one line."""
    return " ".join(output("explain", "--root", root, what).split())


# A kernel without IPv6.


@pytest.mark.parametrize("links", [True, False], ids=["with links", "without links"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_without_ipv6_its_sockets_have_no_cost_and_the_others_keep_theirs(
    kernel: str, links: bool, tmp_path: Path
) -> None:
    root = copied(tmp_path, kernel)
    before = report(root)
    without_caches(root, *OF_IPV6)
    (root / "proc/net/sockstat6").unlink()
    if not links:
        shutil.rmtree(root / SLAB)
    document = report(root)
    for mode in ("full", "time_wait"):
        for name in SIDES:
            ipv6 = side(document, "ipv6", name, mode)
            assert (ipv6["object_bytes"], ipv6["slab_bytes"], ipv6["complete"]) == (None, None, False)
            assert any("tcp6" in part for part in ipv6["missing"])
        if links:
            assert side(document, "ipv4", "accepted", mode) == side(before, "ipv4", "accepted", mode)
    assert document["bytes_per_connection"]["full"]["now_bytes"] is not None
    assert document["tcp_memory"]["bytes"] is not None
    assert state(document, "SYN_RECV")["sockets"] == active(root, "request_sock_TCP")
    assert document["sockets"]["time_wait_machine_max"] == active(root, "tw_sock_TCP")


def active(root: Path, name: str) -> int:
    rows = [line.split() for line in (root / "proc/slabinfo").read_text().splitlines()]
    return next(int(words[1]) for words in rows if words[0] == name)


@pytest.mark.parametrize("protocols", [True, False], ids=["by protocols", "by slabinfo"])
def test_ipv6_is_off_by_the_protocols_or_by_a_complete_slabinfo(protocols: bool, tmp_path: Path) -> None:
    root = copied(tmp_path, "6.1-4n")
    without_caches(root, *OF_IPV6)
    shutil.rmtree(root / SLAB)
    (root / "proc/net" / ("sockstat6" if protocols else "protocols")).unlink()
    if protocols:  # a slabinfo that is cut proves nothing
        text = (root / "proc/slabinfo").read_text()
        (root / "proc/slabinfo").write_text(text[: text.rindex("\nkmem_cache ") + 1])
    page = explained(root, "struct tcp6_sock")
    assert "this kernel none: " in page
    assert ("/proc/net/protocols" in page) == protocols


def test_ipv6_is_not_off_where_its_row_may_be_lost(tmp_path: Path) -> None:
    """A slabinfo that is cut, on a kernel whose protocols are not known."""
    root = copied(tmp_path, "6.1-4n")
    without_caches(root, *OF_IPV6)
    shutil.rmtree(root / SLAB)
    (root / "proc/net/protocols").unlink()
    text = (root / "proc/slabinfo").read_text()
    (root / "proc/slabinfo").write_text(text[: text.rindex("\nkmem_cache ") + 1])
    assert "this kernel not known: /proc/slabinfo: the file ends" in explained(root, "struct tcp6_sock")
    assert report(root)["bytes_per_connection"]["full"]["now_bytes"] is None


# Request socks that are merged, or of IPv4 alone.


def test_a_merged_request_sock_is_not_an_unreadable_slabinfo(tmp_path: Path) -> None:
    root = machine(tmp_path, "3.2.32-x", row("TCP", 1152, 8), row("kmem_cache", 128))
    for name in ("SYN_RECV", "accept queue"):
        known = state(report(root), name)
        assert known["sockets"] is None
        assert "not readable" not in known["note"]
        assert "request_sock_TCP: it is merged with another cache" in known["note"]
    assert "this kernel hidden: it is merged with another cache" in explained(root, "struct tcp_request_sock")


def test_known_request_socks_are_named_if_those_of_ipv6_are_not_known(tmp_path: Path) -> None:
    rows = (row("request_sock_TCP", 312, 2, active=26), row("TCP", 2304, 8), row("kmem_cache", 256))
    known = state(report(machine(tmp_path, None, *rows)), "SYN_RECV")
    assert known["sockets"] is None
    assert "IPv4 alone ≤ 26" in known["note"]


def test_a_slabinfo_that_is_not_there_is_not_unreadable(tmp_path: Path) -> None:
    root = copied(tmp_path, "6.1-4n")
    (root / "proc/slabinfo").unlink()
    assert state(report(root), "SYN_RECV")["note"] == "there is no /proc/slabinfo here"


def test_the_size_of_a_sock_is_known_from_its_protocol_alone(tmp_path: Path) -> None:
    root = copied(tmp_path, "6.1-4n")
    (root / "proc/slabinfo").unlink()
    shutil.rmtree(root / SLAB)
    document = report(root)
    for family, size in (("ipv4", 2280), ("ipv6", 2440)):
        accepted = side(document, family, "accepted")
        assert accepted["object_bytes"] >= size
        assert not accepted["complete"]


# Old names of the same caches.


OLD_ROWS = tuple(
    row(name, size, slab_allocator=True)
    for name, size in (
        ("tcp6_sock", 1152),
        ("tcp_tw_bucket", 128),
        ("tcp_bind_bucket", 16),
        ("tcp_open_request", 64),
        ("tcp_sock", 1024),
        ("sock_inode_cache", 512),
        ("skbuff_head_cache", 256),
        ("dentry_cache", 256),
        ("filp", 256),
        ("size-64", 64),
        ("kmem_cache", 192),
    )
)


def test_old_names_of_the_caches(tmp_path: Path) -> None:
    root = machine(tmp_path, "2.6.5", *OLD_ROWS)
    document = report(root)
    assert side(document, "ipv4", "accepted")["object_bytes"] == 1024 + 512 + 256 + 256
    assert side(document, "ipv6", "accepted")["object_bytes"] == 1152 + 512 + 256 + 256
    assert side(document, "ipv4", "outgoing")["object_bytes"] == 1024 + 512 + 256 + 256 + 16
    assert side(document, "ipv4", "accepted", "time_wait")["object_bytes"] == 128
    assert state(document, "SYN_RECV")["sockets"] == 20
    assert "1 024 B from one object to the next" in explained(root, "tcp_sock")
    assert "256 B from one object to the next" in explained(root, "struct dentry")


@pytest.mark.parametrize(
    "names", [("nf_conntrack_ffff9990dcb49480", "nf_conntrack_ffff9b1ef89e2900"), ("nf_conntrack_1",)]
)
def test_conntrack_has_a_cache_for_each_namespace_on_old_kernels(names: tuple[str, ...], tmp_path: Path) -> None:
    rows = [row("nf_conntrack_expect", 240), *(row(name, 320, 4) for name in names), row("kmem_cache", 256)]
    document = report(machine(tmp_path, "3.10.0-1160.el7.x86_64", *rows))
    [conntrack] = [cache for cache in document["caches"] if cache["name"] == "nf_conntrack"]
    assert (conntrack["object_bytes"], conntrack["row"]) == (320, names[0] if len(names) == 1 else None)
    assert conntrack["bytes"] is None  # the objects are counted in the rows of the namespaces
    assert "320 B from one object to the next" in explained(tmp_path, "nf_conntrack")


# struct socket_wq.


@pytest.mark.parametrize(
    ("release", "slab_allocator", "expected"),
    [
        ("2.6.18-128.el5", True, None),
        ("2.6.32-5-amd64", True, None),
        ("2.6.32-754.el6.x86_64", True, None),
        ("2.6.34", False, None),
        ("2.6.35-5-amd64", False, (64, 64)),
        ("3.10.0-1160.el7.x86_64", False, (64, 64)),
        ("4.18.0-553.el8_10.ppc64le", False, (128, 128)),
        ("4.19.0-27-powerpc64le", False, (128, 128)),
        ("4.19.0-27-s390x", False, (256, 256)),
        ("4.19.0-27-arm64", False, (64, 128)),
        ("3.2.0-4-686-pae", False, (32, 128)),
        ("4.15.0-213-generic", False, (64, 256)),
        ("5.3.0-1-amd64", False, None),
    ],
)
def test_socket_wq_by_release_and_cache_line(
    release: str, slab_allocator: bool, expected: tuple[int, int] | None, tmp_path: Path
) -> None:
    kmalloc = "size" if slab_allocator else "kmalloc"
    last = "kmem_cache_node" if release == "2.6.34" else "kmem_cache"
    sizes = {
        "TCP": 1792,
        "sock_inode_cache": 768 if release.startswith("5") else 512,
        **{f"{kmalloc}-{size}": size for size in (256, 128, 64, 32)},
        last: 256,
    }
    rows = [row(name, size, slab_allocator=slab_allocator) for name, size in sizes.items()]
    page = explained(machine(tmp_path, release, *rows), "struct socket_wq")
    if expected is None:
        assert "there is none on this kernel" in page
        return
    low, high = expected
    assert "there is none" not in page
    sizes_text = f"{low} B, {low} B" if low == high else f"{low} to {high} B of slab"
    assert sizes_text in page


def test_a_step_of_no_multiple_of_128_bytes_rules_out_longer_cache_lines(tmp_path: Path) -> None:
    rows = (
        row("TCP", 1984, 8),
        row("sock_inode_cache", 640, 4),
        *(row(f"kmalloc-{size}", size) for size in (256, 128, 64)),
        row("kmem_cache", 256),
    )
    assert "64 B, 64 B of slab" in explained(machine(tmp_path, "4.15.0-213-generic", *rows), "struct socket_wq")


# The end of slabinfo.


@pytest.mark.parametrize(
    ("release", "state_of_file"),
    [("2.6.34", "ok"), ("2.6.24-1-amd64", "ok"), ("2.6.37", "cut"), ("6.1.0-56-amd64", "cut"), (None, "cut")],
)
def test_what_marks_the_end_of_slabinfo_depends_on_the_kernel(
    release: str | None, state_of_file: str, tmp_path: Path
) -> None:
    root = machine(tmp_path, release, row("TCP", 1472, 8), row("kmem_cache_node", 64))
    source = report(root)["sources"]["slabinfo"]
    assert source["state"] == state_of_file
    assert (source["reason"] is None) == (state_of_file == "ok")


def test_an_old_file_that_ends_elsewhere_is_cut(tmp_path: Path) -> None:
    root = machine(tmp_path, "2.6.34", row("kmem_cache_node", 64), row("TCP", 1472, 8))
    assert report(root)["sources"]["slabinfo"]["state"] == "cut"


# /sys/kernel/slab with links alone.


def links_alone(root: Path) -> None:
    for place in (root / SLAB).iterdir():
        if not place.is_symlink():
            shutil.rmtree(place)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_folder_of_links_is_not_called_missing(kernel: str, tmp_path: Path) -> None:
    root = copied(tmp_path, kernel)
    before = report(root)
    links_alone(root)
    document = report(root)
    for name in ("slab_sizes", "slab_counts"):
        assert document["sources"][name]["state"] == "missing"
        assert "not copied" in document["sources"][name]["reason"]
        assert "no /sys/kernel/slab here" not in document["sources"][name]["reason"]
    for family in ("ipv4", "ipv6"):
        for name in SIDES:
            assert side(document, family, name) == side(before, family, name)


def test_counts_that_were_not_copied_beside_sizes(tmp_path: Path) -> None:
    root = copied(tmp_path, "6.1-4n")
    for attribute in ("slabs", "total_objects"):
        for file in (root / SLAB).glob(f"*/{attribute}"):
            if not file.parent.is_symlink():
                file.unlink()
    source = report(root)["sources"]["slab_counts"]
    assert "there is no /sys/kernel/slab/*/slabs here" in source["reason"]


@pytest.mark.parametrize("name", ["tcp_bind_bucket", "tcp_bind2_bucket", "filp", "dentry", "sock_inode_cache"])
def test_an_object_that_every_kernel_has_is_never_absent(name: str, tmp_path: Path) -> None:
    """A link or row of one of the objects is lost."""
    root = copied(tmp_path, "6.1-4n")
    before = report(root)
    without_caches(root, name)
    document = report(root)
    outgoing = side(document, "ipv4", "outgoing")
    assert not outgoing["complete"]
    assert any(f"({name})" in part for part in outgoing["missing"])
    assert outgoing["slab_bytes"] < side(before, "ipv4", "outgoing")["slab_bytes"]
    if name.startswith("tcp_bind"):
        assert any(name in part for part in document["tcp_memory"]["missing"])


def test_an_object_of_later_kernels_is_absent_on_an_old_one(tmp_path: Path) -> None:
    root = copied(tmp_path, "5.10-4n")
    assert "this kernel none: Linux 5.10" in explained(root, "struct inet_bind2_bucket")
    without_caches(root, "tcp_bind_bucket")
    assert "this kernel hidden: it is merged" in explained(root, "struct inet_bind_bucket")
    assert [part for part in side(report(root), "ipv4", "outgoing")["missing"] if "bind" in part] == [
        "struct inet_bind_bucket (tcp_bind_bucket)"
    ]


def test_an_incomplete_list_of_names_proves_no_absence(tmp_path: Path) -> None:
    """A few copied links: a cache without a link may be merged."""
    root = copied(tmp_path, "6.1-4n")
    shutil.rmtree(root / SLAB)
    (root / SLAB).mkdir(parents=True)
    for name in ("filp", "cred_jar"):
        (root / SLAB / name).symlink_to(":0000256")
    outgoing = side(report(root), "ipv4", "outgoing")
    assert not outgoing["complete"]
    assert "this kernel not known: there is none, or it is merged" in explained(root, "struct eppoll_entry")


def test_a_cache_that_is_never_merged_and_has_no_row_is_absent(tmp_path: Path) -> None:
    root = copied(tmp_path, "6.1-4n")
    without_caches(root, "MPTCP", "MPTCPv6")
    (root / "proc/net/protocols").unlink()
    shutil.rmtree(root / SLAB)
    for struct in ("struct mptcp_sock", "struct nf_conn"):
        assert "this kernel none: /proc/slabinfo has no row of it" in explained(root, struct)
    assert "this kernel not known: there is none, or it is merged" in explained(root, "struct eppoll_entry")


@pytest.mark.parametrize("option", ["slab_nomerge", "slub_nomerge", "quiet"])
def test_with_slab_nomerge_a_complete_slabinfo_shows_every_cache(option: str, tmp_path: Path) -> None:
    root = copied(tmp_path, "6.1-4n-nomerge")
    without_caches(root, "eventpoll_pwq")
    shutil.rmtree(root / SLAB)
    write(root, {"proc/cmdline": f"BOOT_IMAGE=/vmlinuz {option}\n"})
    page = explained(root, "struct eppoll_entry")
    expected = "there is none, or it is merged" if option == "quiet" else "/proc/slabinfo has no row of it"
    assert f"this kernel {'not known' if option == 'quiet' else 'none'}: {expected}" in page


# The screen on several nodes without counts by node.


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[Session]:
    root = copied(tmp_path, "6.1-4n")
    shutil.rmtree(root / SLAB)
    command, environment = program()
    checkout = environment["PYTHONPATH"]
    session = Session(["env", "-C", checkout, f"HOME={tmp_path}", *command, "--root", str(root)])
    yield session
    session.end()


@pytest.mark.slow
def test_the_screen_opens_on_all_nodes_if_there_are_no_counts_by_node(screen: Session, tmp_path: Path) -> None:
    screen.until_shown("TCP caches")
    screen.until_quiet()
    assert "all 4 nodes" in screen.screen.text()
    assert str(active(tmp_path / "6.1-4n", "TCP")) in screen.screen.text().replace(" ", "")
    screen.type("1")
    screen.until_shown("node 1 of 4")
    screen.until_shown("no counts by node here")
