"""/sys/fs/cgroup, /proc/cgroups and /proc/cmdline: whether memory cgroups charge kernel memory.

The kernel begins to when the first memory cgroup below the root appears, and never ends (mm/memcontrol.c,
memcg_online_kmem): from then on each new slab of a SLAB_ACCOUNT cache gets a vector (mm/slub.c, account_slab).
"""

from __future__ import annotations

from tcptop.hosts.host import FileRead, Host
from tcptop.snapshot import MemoryCgroups, Reading
from tcptop.sources.source import EVERY_MINUTE, Damage, Source, explain_error, make_reading, parse_count, printable_path
from tcptop.text.printable import SMALL_FILE_BYTES, decode_text

COMMAND_LINE = "proc/cmdline"
CGROUPS = "proc/cgroups"
CGROUP2 = "sys/fs/cgroup"
CONTROLLERS = f"{CGROUP2}/cgroup.controllers"
SUBTREE_CONTROL = f"{CGROUP2}/cgroup.subtree_control"
TYPE = f"{CGROUP2}/cgroup.type"
MEMORY_MAX = f"{CGROUP2}/memory.max"

MEMORY = "memory"
IMPLIES_MEMORY = "io"
"""A controller that memory is on with, unlisted, where both are cgroup2's (block/blk-cgroup.c, io_cgrp_subsys)."""

OFF_OPTIONS = {"cgroup.memory": "nokmem", "cgroup_disable": MEMORY}
"""Options of the kernel's command line, with the word in their lists that ends all charging."""


class MemoryCgroupsSource(Source[MemoryCgroups]):
    """Once a minute."""

    name = "memory_cgroups"
    paths = (COMMAND_LINE, CONTROLLERS, SUBTREE_CONTROL, TYPE, MEMORY_MAX, CGROUPS)
    pace = EVERY_MINUTE

    async def read(self, host: Host) -> Reading[MemoryCgroups]:
        """Reads the files of cgroup2 first, and /proc/cgroups only where they do not tell.

        With cgroup2 alone, newer kernels log it when somebody reads that (kernel/cgroup/cgroup-v1.c,
        proc_cgroupstats_show), and older ones hold cgroup_mutex meanwhile.
        """
        command_line, *unified = await host.read((COMMAND_LINE, CONTROLLERS, SUBTREE_CONTROL, TYPE, MEMORY_MAX))
        took_us = command_line.took_us + sum(file.took_us for file in unified)
        charged = False if is_switched_off(_text(command_line) or "") else charged_by_cgroup2(*unified)
        if charged is not None:
            return make_reading(MemoryCgroups(charged), None, CGROUP2, took_us)
        [cgroups] = await host.read((CGROUPS,))
        took_us += cgroups.took_us
        controllers, subtree, kind, _ = unified
        no_memory = controllers.data is not None and is_whole_cgroup2(subtree, kind)
        charged, damage = charged_by_proc_cgroups(_text(cgroups), no_memory)
        if charged is not None or damage is not None:
            return make_reading(None if charged is None else MemoryCgroups(charged), damage, CGROUPS, took_us)
        if cgroups.error is not None:
            state, reason = explain_error(CGROUPS, cgroups.error)
        else:
            state, reason = (
                "missing",
                f"neither {printable_path(CGROUPS)} nor {printable_path(SUBTREE_CONTROL)} tells it here",
            )
        return Reading(state, None, reason, None, took_us, None, None, None)


def is_switched_off(command_line: str) -> bool:
    """Whether the kernel was started with kernel memory, or the memory controller, never to be charged."""
    options = (option.partition("=") for option in command_line.split())
    return any(OFF_OPTIONS.get(name) in words.split(",") for name, _, words in options)


def charged_by_cgroup2(controllers: FileRead, subtree: FileRead, kind: FileRead, most: FileRead) -> bool | None:
    """What a mounted cgroup2 tells; None where memory may be another hierarchy's, or this is only a part of the tree.

    Only a cgroup below the root has a `memory.max` (mm/memcontrol.c, memory_files).
    """
    passed_on = (_text(subtree) or "").split()
    if (_text(most) or "").strip() or MEMORY in passed_on:
        return True
    if MEMORY not in (_text(controllers) or "").split():
        return None
    if IMPLIES_MEMORY in passed_on:
        return True
    return False if is_whole_cgroup2(subtree, kind) else None


def is_whole_cgroup2(subtree: FileRead, kind: FileRead) -> bool:
    """Whether what is mounted is the whole tree: only its root has no `cgroup.type` (kernel/cgroup/cgroup.c)."""
    return subtree.data is not None and isinstance(kind.error, FileNotFoundError)


def charged_by_proc_cgroups(text: str | None, cgroup2_has_none: bool) -> tuple[bool | None, Damage | None]:
    """What the line `memory <hierarchy> <num_cgroups> <enabled>` of /proc/cgroups tells.

    `none_unified` says that cgroup2 is whole in sight and has no memory cgroups. Where the kernel is built without the
    memory controller of cgroup v1, or without any, there is no such line.
    """
    if text is None:
        return None, None
    line = next((fields for fields in map(str.split, text.splitlines()) if fields and fields[0] == MEMORY), None)
    if line is None:
        return (False if cgroup2_has_none and text.startswith("#subsys_name") else None), None
    try:
        hierarchy, cgroups, enabled = map(parse_count, line[1:])
    except ValueError:
        return None, Damage("strange", f"the line of {MEMORY} is of another form")
    if not enabled or cgroups == 1:
        return False, None
    if hierarchy:
        return True, None
    # cgroup2's, whose cgroups need not all have a memory controller.
    return (False if cgroup2_has_none else None), None


def _text(file: FileRead) -> str | None:
    return decode_text(file.data, SMALL_FILE_BYTES) if file.data is not None else None
