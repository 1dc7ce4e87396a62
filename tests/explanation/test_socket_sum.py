"""The sum of a socket's parts on the pages, which is that of the main screen, and the parts beside one cache."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from recorded import copy_recording, each_recording, ledger, ledger_of

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


@each_recording
def test_the_parts_on_a_page_add_up_to_one_more_socket_of_the_main_screen(kernel: str, phase: str) -> None:
    figures = ledger(kernel, phase)
    for mode, names in PAGES.items():
        cost = figures.costs[mode].by_family["mix"]
        for name in names:
            found = re.search(
                rf"{STARTS[mode]}server side: (\S? ?[\d ]+) B of slab = ([^.]+)\. Client side: (\S? ?[\d ]+) B ="
                r" ([\d ]+) \+ (.+?)\. ",
                page_text(figures, name),
            )
            assert found is not None, name
            server, parts, client, first, more = found.groups()
            assert server == units.bounded(cost.accepted.slab_bounds(), units.exact_bytes)
            assert client == units.bounded(cost.outgoing.slab_bounds(own_port=True), units.exact_bytes)
            sizes = [re.fullmatch(r"(\D.*?) (\d[\d ]*)", part) for part in parts.split(" + ")]
            assert sum(number(each[2]) for each in sizes if each) == number(server)
            assert [each[1] for each in sizes if each] == [part.label for part in cost.accepted.slices]
            assert number(first) == number(server)
            assert number(server) + sum(map(number, re.findall(r"≤ ([\d ]+)", more))) == number(client)
            port = sum(part.slab_bytes or 0 for part in cost.outgoing.parts if part.object in BUCKETS)
            assert f"≤ {round(port)} for a local port" in more
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
        ("TCP", ["of a socket: inode (sock_inode_cache), ", "file (filp)", "port (tcp_bind_bucket"], "TCPv6"),
        ("dentry", ["of a socket: TCP (TCP), inode (sock_inode_cache), file "], "dentry (dentry)"),
        ("tw_sock_TCP", ["of a socket in TIME_WAIT: port (tcp_bind_bucket"], "tw_sock"),
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
