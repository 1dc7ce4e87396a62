"""/sys/fs/cgroup, /proc/cgroups and /proc/cmdline: whether memory cgroups charge kernel memory.

Charging begins when the first memory cgroup below the root is made, and never ends (mm/memcontrol.c,
memcg_online_kmem). While kernel memory is charged, each new slab of a SLAB_ACCOUNT cache gets a vector of obj_cgroup
pointers (mm/slub.c, account_slab).
"""

from __future__ import annotations

from tcptop.hosts.host import CutFileError, FileRead, Host
from tcptop.snapshot import MemoryCgroups, Reading
from tcptop.sources.source import (
    EVERY_MINUTE,
    Damage,
    Source,
    explain_error,
    make_reading,
    parse_count,
    printable_path,
    read_small_files,
    report_unread,
    small_text,
    unread,
    worst_damage,
)

COMMAND_LINE = "proc/cmdline"
CGROUPS = "proc/cgroups"
CGROUP2 = "sys/fs/cgroup"
CONTROLLERS = f"{CGROUP2}/cgroup.controllers"
SUBTREE_CONTROL = f"{CGROUP2}/cgroup.subtree_control"
TYPE = f"{CGROUP2}/cgroup.type"
MEMORY_MAX = f"{CGROUP2}/memory.max"

MEMORY = "memory"
IMPLIES_MEMORY = "io"
"""The io controller needs the memory controller.

If io is enabled, cgroup2 also enables memory, although the list of enabled controllers may contain only io.

See block/blk-cgroup.c, io_cgrp_subsys.
"""

OFF_OPTIONS = {"cgroup.memory": "nokmem", "cgroup_disable": MEMORY}
"""Maps a kernel parameter to the word that turns charging off.

The value of the parameter is a comma-separated list; charging is off if the list has this word.
"""


class MemoryCgroupsSource(Source[MemoryCgroups]):
    """A source that is read once a minute."""

    name = "memory_cgroups"
    paths = (COMMAND_LINE, CONTROLLERS, SUBTREE_CONTROL, TYPE, MEMORY_MAX, CGROUPS)
    pace = EVERY_MINUTE

    async def read(self, host: Host) -> Reading[MemoryCgroups]:
        """Reads the files of cgroup2.

        If the files of cgroup2 do not show whether kernel memory is charged, reads /proc/cgroups too.

        On machines that use only cgroup2, newer kernels log a warning when /proc/cgroups is read
        (kernel/cgroup/cgroup-v1.c, proc_cgroupstats_show). Older kernels hold cgroup_mutex while /proc/cgroups is
        read.
        """
        paths = (COMMAND_LINE, CONTROLLERS, SUBTREE_CONTROL, TYPE, MEMORY_MAX)
        command_line, *cgroup2 = await read_small_files(host, paths)
        took_us = command_line.took_us + sum(file.took_us for file in cgroup2)
        charged = False if is_switched_off(small_text(command_line) or "") else charged_by_cgroup2(*cgroup2)
        damages: list[Damage] = []
        report_unread((command_line, *cgroup2), CGROUP2, damages)
        if charged and isinstance(command_line.error, CutFileError):
            # The command line is cut, and the lost end may have a parameter that turns charging off.
            return make_reading(None, worst_damage(damages), CGROUP2, took_us)
        if charged is not None:
            return make_reading(MemoryCgroups(charged), worst_damage(damages), CGROUP2, took_us)
        [cgroups] = await read_small_files(host, (CGROUPS,))
        took_us += cgroups.took_us
        report_unread((cgroups,), CGROUP2, damages)
        controllers, subtree, kind, _ = cgroup2
        cgroup2_has_none = controllers.data is not None and is_whole_cgroup2(subtree, kind)
        charged, damage = charged_by_proc_cgroups(small_text(cgroups), cgroup2_has_none)
        if charged and isinstance(command_line.error, CutFileError):
            charged = None
        if charged is not None or damage is not None:
            value = None if charged is None else MemoryCgroups(charged)
            path = CGROUPS if damage or not damages else CGROUP2
            return make_reading(value, damage or worst_damage(damages), path, took_us)
        if damages:
            return make_reading(None, worst_damage(damages), CGROUP2, took_us)
        if cgroups.error is not None:
            return unread(*explain_error(CGROUPS, cgroups.error), took_us)
        files = f"neither {printable_path(CGROUPS)} nor {printable_path(SUBTREE_CONTROL)}"
        return unread("missing", f"{files} shows whether kernel memory is charged", took_us)


def is_switched_off(command_line: str) -> bool:
    """True if a kernel parameter turns off the memory controller, or only the charging of kernel memory."""
    options = (option.partition("=") for option in command_line.split())
    return any(OFF_OPTIONS.get(name) in words.split(",") for name, _, words in options)


def charged_by_cgroup2(controllers: FileRead, subtree: FileRead, kind: FileRead, memory_max: FileRead) -> bool | None:
    """True if kernel memory is charged, according to the files of the mounted cgroup2.

    The result is None if the files of cgroup2 do not show whether kernel memory is charged. For example, the memory
    controller may belong to a cgroup v1 hierarchy, or only a part of the cgroup2 tree may be mounted.

    Only a cgroup below the root has a `memory.max` (mm/memcontrol.c, memory_files).
    """
    enabled_below = (small_text(subtree) or "").split()
    if (small_text(memory_max) or "").strip() or MEMORY in enabled_below:
        return True
    if MEMORY not in (small_text(controllers) or "").split():
        return None
    if IMPLIES_MEMORY in enabled_below:
        return True
    is_root = is_whole_cgroup2(subtree, kind) and isinstance(memory_max.error, FileNotFoundError)
    return False if is_root else None


def is_whole_cgroup2(subtree: FileRead, kind: FileRead) -> bool:
    """True if the mount is the root of cgroup2: only the root has no `cgroup.type` (kernel/cgroup/cgroup.c)."""
    return subtree.data is not None and isinstance(kind.error, FileNotFoundError)


def charged_by_proc_cgroups(text: str | None, cgroup2_has_none: bool) -> tuple[bool | None, Damage | None]:
    """True if kernel memory is charged, from the line `memory <hierarchy> <num_cgroups> <enabled>` of /proc/cgroups.

    The result is None if /proc/cgroups does not show whether kernel memory is charged. `cgroup2_has_none` is True if
    the whole cgroup2 tree is visible and no cgroup in the tree is a memory cgroup. A kernel built without the memory
    controller, or without its cgroup v1 part, prints no `memory` line.
    """
    if text is None:
        return None, None
    lines = [fields for fields in map(str.split, text.splitlines()) if fields and fields[0] == MEMORY]
    line = lines[0] if lines else None
    if any(each != line for each in lines):
        return None, Damage("strange", f"it has {MEMORY} lines with different values")
    if line is None:
        return (False if cgroup2_has_none and text.startswith("#subsys_name") else None), None
    try:
        hierarchy, cgroups, enabled = map(parse_count, line[1:])
    except ValueError:
        return None, Damage("strange", f"the {MEMORY} line has an unknown format")
    if not enabled or cgroups == 1:
        return False, None
    if hierarchy:
        return True, None
    # Hierarchy 0 is cgroup2. A cgroup of cgroup2 may lack the memory controller, so num_cgroups proves nothing.
    return (False if cgroup2_has_none else None), None
