"""Names of hosts with ranges, lists and files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptop.hosts.host_names import MAX_NAMES, expand_names

FILES = {"hosts": "# the web\nweb[1-2]\n\n  db1 # its data\nweb2\n", "nested": "@hosts\n"}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("web17", ["web17"]),
        ("root@web17", ["root@web17"]),
        ("web[01-03]", ["web01", "web02", "web03"]),
        ("web[8-11]", ["web8", "web9", "web10", "web11"]),
        ("web[098-101]", ["web098", "web099", "web100", "web101"]),
        ("web[1,3,5-6]-eu", ["web1-eu", "web3-eu", "web5-eu", "web6-eu"]),
        ("r[1-2]n[1-2]", ["r1n1", "r1n2", "r2n1", "r2n2"]),
        ("a, b,a", ["a", "b"]),
        ("ssh://root@[::1]:22", ["ssh://root@[::1]:22"]),
        ("@hosts,x", ["web1", "web2", "db1", "x"]),
        ("@nested", ["@hosts"]),  # a file names no files, so that files cannot name each other for ever
    ],
)
def test_the_names_of_a_text(text: str, names: list[str]) -> None:
    assert expand_names(text, FILES.__getitem__) == names


def test_the_example_of_the_page_is_43_names() -> None:
    names = expand_names("web[01-40],db[1-3]-eu")
    assert len(names) == 43
    assert (names[0], names[39], names[42]) == ("web01", "web40", "db3-eu")


@pytest.mark.parametrize(
    "text", ["", ",", "a,,b", "a,", "a[3-1]", "a[1-9999999999]", "a[0-1000]", "a[1-40]b[1-40]", "x" * 70_000]
)
def test_what_stands_for_no_name_or_too_many_is_an_error_of_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]{1,200}$"):
        expand_names(text)


@given(st.text(alphabet="ab[]-,019@# \n", max_size=40))
def test_any_text_is_bounded(text: str) -> None:
    try:
        names = expand_names(text)
    except ValueError:
        return
    assert 0 < len(names) <= MAX_NAMES
    assert len(set(names)) == len(names)
    assert all(names)
