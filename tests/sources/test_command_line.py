"""Kernel parameters, as lib/cmdline.c and kernel/params.c read them."""

from __future__ import annotations

import pytest
from recorded import MemoryHost

from tcptop.hosts.run_sync import run_sync
from tcptop.sources.command_line import PATH, parse_command_line
from tcptop.sources.sysctls import RELEASE, SysctlsSource


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("", []),
        (" quiet\tro \n", [("quiet", None), ("ro", None)]),
        ("root=UUID=1 a= =b", [("root", "UUID=1"), ("a", ""), ("=b", None)]),
        ('a="b c" "d=e f" "g h"', [("a", "b c"), ("d", "e f"), ("g h", None)]),
        ('a=b" c"d e', [("a", 'b" c"d'), ("e", None)]),
        ('a="b slab_nomerge', [("a", "b slab_nomerge")]),
        ("slab-nomerge cgroup-disable=a-b", [("slab_nomerge", None), ("cgroup_disable", "a-b")]),
        ("a -- b", [("a", None)]),
        ('a "--" b', [("a", None)]),
        ("a --=1 --x b", [("a", None), ("__", "1"), ("__x", None), ("b", None)]),
    ],
)
def test_the_command_line_is_split_as_the_kernel_splits_it(text: str, parameters: list[tuple[str, str | None]]) -> None:
    assert [(each.name, each.value) for each in parse_command_line(text)] == parameters


@pytest.mark.parametrize(
    ("text", "debug", "merges"),
    [
        ("slub_debug=P slab_nomerge", True, False),
        ("slab-debug slub-nomerge", True, False),
        ("quiet -- slub_debug slab_nomerge", False, True),
        ('dyndbg="file x slub_debug slab_nomerge"', False, True),
    ],
)
def test_only_kernel_parameters_change_how_the_slab_allocator_works(text: str, debug: bool, merges: bool) -> None:
    host = MemoryHost({PATH: f"{text}\n".encode(), RELEASE: b"6.1.0\n"})
    value = run_sync(SysctlsSource().read(host)).value
    assert value is not None
    assert (value.slab_debug, value.merges_caches) == (debug, merges)
