"""/sys/fs/cgroup, /proc/cgroups and /proc/cmdline: whether memory cgroups charge kernel memory.

Charging begins when the first memory cgroup below the root is made, and never ends (mm/memcontrol.c,
memcg_online_kmem). If no memory cgroup exists now, one may have existed earlier, and no file shows this. While kernel
memory is charged, each new slab of a SLAB_ACCOUNT cache gets a vector of obj_cgroup pointers (mm/slub.c, account_slab).
"""

from __future__ import annotations

from tcptop.hosts.host import CutFileError, FileRead, Host
from tcptop.snapshot import MemoryCgroups, Reading
from tcptop.sources.command_line import PATH as COMMAND_LINE
from tcptop.sources.command_line import has_word
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

NO_CONTROLLER = ("cgroup_disable", MEMORY)
NO_KERNEL_MEMORY = ("cgroup.memory", "nokmem")
"""A kernel parameter, and the word in its comma-separated list that turns off the memory controller, or only the
charging of kernel memory.
"""

NONE_NOW = "no memory cgroup exists now, but kernel memory is still charged if one existed earlier"


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
        damages: list[Damage] = []
        report_unread((command_line, *cgroup2), CGROUP2, damages)
        parameters = small_text(command_line) or ""
        has_no_controller = has_word(parameters, *NO_CONTROLLER)
        is_off = has_no_controller or has_word(parameters, *NO_KERNEL_MEMORY)
        controllers, subtree, kind, _ = cgroup2
        charged, reason = charged_by_cgroup2(*cgroup2)
        path = CGROUP2
        if not charged and reason is None and (not is_off or controllers.data is None):
            [cgroups] = await read_small_files(host, (CGROUPS,))
            took_us += cgroups.took_us
            report_unread((cgroups,), CGROUP2, damages)
            is_whole = controllers.data is not None and is_whole_cgroup2(subtree, kind)
            no_memory = is_whole and MEMORY not in (small_text(controllers) or "").split()
            charged, reason, damage = charged_by_proc_cgroups(small_text(cgroups), no_memory)
            if damage is not None:
                return make_reading(MemoryCgroups(False) if is_off else None, damage, CGROUPS, took_us)
            path = CGROUP2 if damages else CGROUPS
            if charged is None and reason is None and cgroups.error is not None and not is_off and not damages:
                return unread(*explain_error(CGROUPS, cgroups.error), took_us)
        if has_no_controller and (charged or reason == NONE_NOW):
            what = (
                f"there is a {MEMORY} controller in spite of cgroup_disable={MEMORY} in {printable_path(COMMAND_LINE)}"
            )
            return make_reading(None, Damage("strange", what), path, took_us)
        if is_off:
            charged = False
        elif charged and isinstance(command_line.error, CutFileError):
            # The command line is cut, and the lost end may have a parameter that turns charging off.
            charged = None
        if charged is not None or damages:
            value = None if charged is None else MemoryCgroups(charged)
            return make_reading(value, worst_damage(damages), path, took_us)
        files = f"neither {printable_path(CGROUPS)} nor {printable_path(SUBTREE_CONTROL)}"
        return unread("missing", reason or f"{files} shows whether kernel memory is charged", took_us)


def charged_by_cgroup2(
    controllers: FileRead, subtree: FileRead, kind: FileRead, memory_max: FileRead
) -> tuple[bool | None, str | None]:
    """True if kernel memory is charged, according to the files of the mounted cgroup2.

    The first value is None if the files of cgroup2 do not show whether kernel memory is charged. For example, the
    memory controller may belong to a cgroup v1 hierarchy, or only a part of the cgroup2 tree may be mounted. If the
    files show that no file can tell, the second value is the reason.

    Only a cgroup below the root has a `memory.max` (mm/memcontrol.c, memory_files).
    """
    enabled_below = (small_text(subtree) or "").split()
    if (small_text(memory_max) or "").strip() or MEMORY in enabled_below:
        return True, None
    if MEMORY not in (small_text(controllers) or "").split():
        return None, None
    if IMPLIES_MEMORY in enabled_below:
        return True, None
    is_root = is_whole_cgroup2(subtree, kind) and isinstance(memory_max.error, FileNotFoundError)
    return None, NONE_NOW if is_root else None


def is_whole_cgroup2(subtree: FileRead, kind: FileRead) -> bool:
    """True if the mount is the root of cgroup2: only the root has no `cgroup.type` (kernel/cgroup/cgroup.c)."""
    return subtree.data is not None and isinstance(kind.error, FileNotFoundError)


def charged_by_proc_cgroups(text: str | None, no_memory: bool) -> tuple[bool | None, str | None, Damage | None]:
    """True if kernel memory is charged, from the line `memory <hierarchy> <num_cgroups> <enabled>` of /proc/cgroups.

    The first value is None if /proc/cgroups does not show whether kernel memory is charged; the second value is the
    reason if no file can tell. `no_memory` is True if the whole cgroup2 tree is visible and has no memory controller. A
    kernel built without the memory controller, or without its cgroup v1 part, prints no `memory` line.
    """
    if text is None:
        return None, None, None
    lines = [fields for fields in map(str.split, text.splitlines()) if fields and fields[0] == MEMORY]
    line = lines[0] if lines else None
    if any(each != line for each in lines):
        return None, None, Damage("strange", f"it has {MEMORY} lines with different values")
    if line is None:
        return (False if no_memory and text.startswith("#subsys_name") else None), None, None
    try:
        hierarchy, cgroups, enabled = map(parse_count, line[1:])
    except ValueError:
        return None, None, Damage("strange", f"the {MEMORY} line has an unknown format")
    if not enabled:
        return False, None, None
    if cgroups == 1:
        return None, NONE_NOW, None
    # Hierarchy 0 is cgroup2. A cgroup of cgroup2 may lack the memory controller, so num_cgroups proves nothing.
    return (True if hierarchy else None), None, None
