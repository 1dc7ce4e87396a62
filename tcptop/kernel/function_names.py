"""Names of kernel functions in older releases, so that explanations show the names that the running kernel uses."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

from tcptop.kernel.release import Release

NEWEST = (6, 18)
"""Release of the newest kernel from whose source the call paths were taken."""


class Renamed(NamedTuple):
    """The newest names of a function or of a chain of functions, and the names in older releases."""

    now: str
    before: str
    since: Release
    """First release with the names in `now`."""
    by_symbol: bool = True
    """True if no kernel has functions of both names, so that /proc/kallsyms shows which name is right."""


RENAMED = (
    Renamed("do_accept()", "__sys_accept4_file()", (5, 15)),
    Renamed("__sys_socket()", "sys_socket()", (4, 17)),
    Renamed("init_file()", "__alloc_file()", (6, 5)),
    Renamed("sock_alloc_file() → alloc_file_pseudo()", "sock_alloc_file()", (4, 19), by_symbol=False),
    Renamed("alloc_empty_file()", "get_empty_filp()", (4, 19)),
    Renamed("__d_alloc() → kmem_cache_alloc_lru()", "__d_alloc() → kmem_cache_alloc()", (5, 18), by_symbol=False),
    Renamed("alloc_inode_sb() → kmem_cache_alloc_lru()", "kmem_cache_alloc()", (5, 18), by_symbol=False),
    Renamed("sock_free_inode()", "sock_destroy_inode()", (5, 3)),
    Renamed("lsm_file_alloc() → kmem_cache_zalloc()", "a module by itself", (5, 1), by_symbol=False),
    Renamed("lsm_inode_alloc() → kmem_cache_alloc()", "a module by itself", (5, 1), by_symbol=False),
    Renamed("alloc_slab_obj_exts()", "memcg_alloc_slab_cgroups()", (6, 10)),
    Renamed("memcg_alloc_slab_cgroups()", "memcg_alloc_page_obj_cgroups()", (5, 17)),
    Renamed("free_slab_obj_exts()", "memcg_free_slab_cgroups()", (6, 10)),
    Renamed("memcg_free_slab_cgroups()", "memcg_free_page_obj_cgroups()", (5, 17)),
    Renamed("unaccount_slab()", "unaccount_slab_page()", (5, 17)),
    Renamed("account_slab()", "account_slab_page()", (5, 17)),
    Renamed("tcp_stream_alloc_skb()", "sk_stream_alloc_skb()", (5, 16)),
    Renamed("tcp_eat_recv_skb()", "sk_eat_skb()", (5, 17)),
    Renamed("tcp_rtx_queue_unlink_and_free()", "sk_wmem_free_skb()", (4, 15)),
    Renamed("napi_build_skb()", "build_skb()", (5, 12), by_symbol=False),
    Renamed("__ep_remove()", "ep_remove()", (6, 4), by_symbol=False),
    Renamed("tcp_md5_do_add() → __tcp_md5_do_add()", "tcp_md5_do_add()", (6, 2), by_symbol=False),
    Renamed("sk_attach_filter() → __sk_attach_prog() → kmalloc()", "sk_attach_filter()", (4, 1), by_symbol=False),
    Renamed("inet_twsk_hashdance_schedule()", "inet_twsk_hashdance()", (6, 11)),
)
"""Renamed functions of the call paths and the catalogue; if a function was renamed twice, the later renaming comes
first."""

FUNCTIONS = frozenset(
    form.removesuffix("()") for renamed in RENAMED if renamed.by_symbol for form in (renamed.now, renamed.before)
)
"""Names to look for in /proc/kallsyms."""


def name_functions(text: str, release: Release | None, symbols: Collection[str] | None) -> str:
    """A chain of functions with the names of `release`, or with the newest names if `release` is None.

    If /proc/kallsyms has only one of a function's two names, that name is used for any release, because vendors
    backport changes. `symbols` contains those names in `FUNCTIONS` that are also in /proc/kallsyms; `symbols` is None
    if /proc/kallsyms was not read. An inlined function has no symbol, so /proc/kallsyms may have neither of its names.
    The release decides between two names if /proc/kallsyms has neither.
    """
    for renamed in RENAMED:
        is_new = release is None or release >= renamed.since
        if symbols is not None and renamed.by_symbol:
            has_new, has_old = (form.removesuffix("()") in symbols for form in (renamed.now, renamed.before))
            is_new = is_new if has_new == has_old else has_new
        if not is_new:
            text = re.sub(rf"(?<!\w){re.escape(renamed.now)}", renamed.before, text)
    return text
