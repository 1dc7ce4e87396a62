"""Which paths of an archive are worth keeping in memory: those that a source may ask for, and nothing else."""

from __future__ import annotations

import re

PATTERNS = (
    "proc/(slabinfo|zoneinfo|buddyinfo|pagetypeinfo|meminfo|version|cmdline|cgroups|filesystems)",
    "proc/(self|thread-self|net)",
    "proc/([0-9]+/)?net(/(sockstat|sockstat6|protocols|snmp))?",
    "proc/sys/kernel/(hostname|osrelease)",
    "proc/sys/fs/file-nr",
    "proc/sys/net/ipv4/(tcp_mem|tcp_max_orphans|tcp_max_tw_buckets|ip_local_port_range)",
    "proc/sys/net/core/mem_pcpu_rsv",
    "proc/sys/net/netfilter/nf_conntrack_(count|max)",
    "sys/kernel/(notes|security/lsm|btf/vmlinux)",
    "sys/kernel/slab/[^/]+",
    "sys/kernel/slab/[^/]+/(object_size|slab_size|objs_per_slab|order|cpu_partial|sheaf_capacity|slabs|total_objects)",
    "sys/module/apparmor/parameters/enabled",
    "sys/devices/system/node/node[0-9]+(/(cpulist|meminfo))?",
    "sys/devices/system/cpu/online",
    "sys/fs/cgroup",
    "sys/fs/cgroup/(cgroup.controllers|cgroup.subtree_control|cgroup.type|memory.max)",
    # What a sosreport holds in place of such files; see sosreport.py.
    "sos_commands/(kernel|host|general|date|processor)/[^/]+",
)
"""Links may stand in the place of files and folders, so that folders are among them."""

KEPT = re.compile("|".join(f"(?:{pattern})" for pattern in PATTERNS))

LISTED = ("sys/kernel/slab", "sys/devices/system/node", "sys/module")
"""Folders of which the names alone tell something."""

TREE_FOLDERS = ("proc", "sys", "sos_commands")
"""What a saved tree is known by, at the top of an archive or one folder below it."""


def is_kept(path: str) -> bool:
    """Whether a source may ask for the path."""
    return KEPT.fullmatch(path) is not None


def listed_name(path: str) -> tuple[str, str] | None:
    """The folder and the name in it that a path shows to be there; None where nobody lists that folder."""
    for folder in LISTED:
        if path.startswith(f"{folder}/"):
            return folder, path[len(folder) + 1 :].partition("/")[0]
    return None
