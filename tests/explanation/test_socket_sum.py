"""The sum of a socket's parts on the pages, which is that of the main screen, and the parts beside one cache."""

from __future__ import annotations

import re
from math import ceil
from pathlib import Path

import pytest
from recorded import FOLDER, copy_recording, each_recording, ledger, ledger_of, slab_rows, text

from tcptop.explanation.pages import explain_word, find_page
from tcptop.kernel.objects import BIND_BUCKETS
from tcptop.ledger import AccountingMode, Ledger
from tcptop.text import units
from tcptop.text.line import text_of
from tcptop.widgets.figure_pane import figure_lines

PAGES: dict[AccountingMode, tuple[str, ...]] = {"full": ("states", "socket"), "time_wait": ("states", "time_wait")}
STARTS: dict[AccountingMode, str] = {"full": "One more socket, ", "time_wait": "One more in TIME_WAIT, "}


def page_text(figures: Ledger, name: str) -> str:
    page = find_page(figures, name)
    assert page is not None
    return " ".join(" ".join(text_of(line) for line in page.lines(figures, 80)).split())


def number(text: str) -> int:
    return int(re.sub(r"\D", "", text))


@pytest.mark.parametrize(
    "root",
    sorted((FOLDER.parent / "faults/recordings").glob("*/*/")),
    ids=lambda root: f"{root.parent.name}-{root.name}",
)
def test_the_parts_add_up_on_further_machines(root: Path) -> None:
    check_sums(ledger_of(root))


@pytest.mark.parametrize("kernel", ["6.1-8n", "6.12-4n", "6.12-arm64-16k-4n", "6.18-1n"])
def test_the_parts_add_up_with_memory_cgroups(kernel: str, tmp_path: Path) -> None:
    root = copy_recording(kernel, "established", tmp_path)
    folder = root / "sys/fs/cgroup"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cgroup.controllers").write_text("memory\n")
    (folder / "cgroup.subtree_control").write_text("memory\n")
    figures = ledger_of(root)
    check_sums(figures)
    page = page_text(figures, "states")
    first = page[: page.index("One more in TIME_WAIT")]
    assert re.search(r" \+ memcg \d+\. Client side: .* for a local port .* \+ ≤ \d+ memcg\.", first)
    assert "not counted" not in first


@each_recording
def test_the_parts_on_a_page_add_up_to_one_more_socket_of_the_main_screen(kernel: str, phase: str) -> None:
    check_sums(ledger(kernel, phase))


@pytest.mark.parametrize(
    ("kernel", "phase", "cache", "field", "sign"),
    [
        ("6.1-4n", "established", "TCP", "alloc", ""),
        ("6.12-4n", "halfclosed", "TCP", "alloc", ""),
        ("6.1-4n", "timewait", "tw_sock_TCP", "tw", "≤ "),
    ],
)
def test_the_parts_beside_an_object_say_what_the_average_has_instead(
    kernel: str, phase: str, cache: str, field: str, sign: str
) -> None:
    """The bar of the average has a part idle, and no memcg if that may be nothing."""
    row = slab_rows(text(kernel, phase, "proc/slabinfo"))[cache]
    [sockets] = re.findall(rf" {field} (\d+)", text(kernel, phase, "proc/net/sockstat"))
    slab_bytes = row.pages * 4096
    idle = row.slabs * slab_bytes / int(sockets) - slab_bytes / row.per_slab
    found = re.search(
        r" The average now has (≤ )?([\d ]+) B idle besides, and counts memcg as 0\. ",
        page_text(ledger(kernel, phase), cache),
    )
    assert found is not None
    assert (found[1] or "") == sign
    assert abs(number(found[2]) - idle) < 1


def test_without_an_average_or_idle_memory_the_parts_say_nothing_of_it() -> None:
    assert "idle besides" not in page_text(ledger("6.1-4n", "timewait"), "TCP")
    assert "idle besides" not in page_text(ledger("6.1-4n", "established"), "tw_sock_TCP")


def check_sums(figures: Ledger) -> None:
    for mode, names in PAGES.items():
        cost = figures.costs[mode].by_family["mix"]
        for name in names:
            found = re.search(
                rf"{STARTS[mode]}server side: (\S? ?[\d ]+) B of slab = ([^.;]+)"
                r"(?:; ≤ ([\d ]+) (?:LSM and )?memcg not counted)?\."
                r" Client side: (\S? ?[\d ]+) B = ([\d ]+) \+ (.+?)\. ",
                page_text(figures, name),
            )
            assert found is not None, name
            server, parts, unsure, client, first, more = found.groups()
            assert (unsure is None) == (not server.startswith("≈"))
            if unsure is not None:
                high = cost.accepted.high_slab_bytes
                assert high is not None
                assert number(server) + number(unsure) == ceil(high)
                assert "memcg" in more
            assert server == units.bounded(cost.accepted.slab_bounds(), units.exact_bytes)
            assert client == units.bounded(cost.outgoing.slab_bounds(own_port=True), units.exact_bytes)
            sizes = [re.fullmatch(r"(\D.*?) (\d[\d ]*)", part) for part in parts.split(" + ")]
            assert sum(number(each[2]) for each in sizes if each) == number(server)
            assert [each[1] for each in sizes if each] == [part.label for part in cost.accepted.slices]
            assert number(first) == number(server)
            assert number(server) + sum(map(number, re.findall(r"≤ ([\d ]+)", more))) == number(client)
            port = sum(part.slab_bytes or 0 for part in cost.outgoing.parts if part.object in BUCKETS)
            assert f"≤ {round(port)} for a local port" in more
            charged = sum(part.high_slab_bytes or 0 for part in cost.outgoing.parts if part.label == "memcg")
            assert ("memcg" in more) == (charged > 0)
        shown = " ".join(text_of(line) for line in figure_lines(figures.costs[mode], 120, 12))
        assert server.replace(" ", "") in shown.replace(" ", "")


BUCKETS = [item.struct for item in BIND_BUCKETS]


def test_a_part_that_is_not_known_stands_in_the_sum(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "sys/kernel/security/lsm").unlink()
    figures = ledger_of(root)
    assert figures.costs["full"].by_family["mix"].accepted.missing
    assert re.search(r"server side: ≥ [\d ]+ B of slab = TCP .* \+ \? LSM", page_text(figures, "states"))


def test_the_sock_of_ipv6_is_named_as_instead_of_the_one_of_ipv4() -> None:
    assert "TCPv6 for AF_INET6, instead of TCP" in page_text(ledger("6.1-8n", "established"), "socket")


@pytest.mark.parametrize(
    ("cache", "others", "absent"),
    [
        (
            "TCP",
            [
                "of a socket: inode 840 (sock_inode_cache), ",
                "file 256 (filp)",
                "memcg ≤ 40 (kmalloc-128, kmalloc-192, kmalloc-256, kmalloc-512); client side also port ≤ 192 (",
                "memcg ≤ 16 more",
            ],
            "TCPv6",
        ),
        ("dentry", ["of a socket: TCP 2 341 (TCP), inode 840 (sock_inode_cache), file 256 "], "dentry (dentry)"),
        ("tw_sock_TCP", ["of a socket in TIME_WAIT: memcg ≤ ", "client side also port ≤ 192 ("], "tw_sock"),
    ],
)
def test_the_page_of_a_part_names_the_other_parts(cache: str, others: list[str], absent: str) -> None:
    found = re.search(r"Other parts (of .*?)\.", page_text(ledger("6.1-8n", "established"), cache))
    assert found is not None
    assert all(other in found[1] for other in others), found[1]
    assert absent not in found[1]


def test_the_page_of_another_cache_names_no_parts() -> None:
    assert "Other parts" not in page_text(ledger("6.1-8n", "established"), "skbuff_head_cache")


@pytest.mark.parametrize("phrase", ["+4 more", "+1 more"])
def test_the_entry_of_what_is_left_out_names_a_key_that_shows_it(phrase: str) -> None:
    figures = ledger("6.1-8n", "established")
    page = explain_word(figures, phrase)
    assert page is not None
    text = " ".join(" ".join(text_of(line) for line in page.lines(figures, 80)).split())
    assert "Key i shows all parts of a socket in its first lines; from any pane, ? and then i does." in text


def test_the_request_socks_of_two_states_are_never_added() -> None:
    page = page_text(ledger("6.1-8n", "established"), "states")
    assert re.search(r" accept queue .* the same request socks as in row SYN_RECV: never add both ESTABLISHED ", page)


def test_the_page_of_a_cache_counts_the_slabs_of_cpus_in_slabs() -> None:
    page = page_text(ledger("6.1-8n", "established"), "TCP")
    assert " SLABS HELD " in page
    assert "HELD BY CPUS" not in page


@pytest.mark.parametrize("cache", ["sock_inode_cache", "filp"])
def test_a_socket_of_either_family_is_one_part_with_the_average_of_both(cache: str) -> None:
    """With IPv4 and IPv6 sockets, the page had the sock of IPv6 as what a client has besides."""
    figures = ledger("6.18-1n", "established")
    socks = [part for part in figures.costs["full"].by_family["mix"].accepted.parts if part.label.startswith("TCP")]
    assert len(socks) == 2
    average = units.exact_bytes(sum(part.slab_bytes or 0.0 for part in socks))
    text = page_text(figures, cache)
    assert f"Other parts of a socket: TCP or TCPv6 {average} (TCP, TCPv6), " in text
    assert "TCPv6 ≤" not in text
