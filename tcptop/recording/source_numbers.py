"""The number of each source in a recording. Numbers never change; new sources are added at the end."""

from __future__ import annotations

SOURCES = (
    "sysctls",
    "topology",
    "security_modules",
    "memory_cgroups",
    "btf",
    "protocols",
    "slab_links",
    "slab_sizes",
    "sockstat",
    "sockstat6",
    "snmp",
    "socket_limits",
    "meminfo",
    "buddyinfo",
    "slab_counts",
    "slabinfo",
    "zoneinfo",
    "pagetypeinfo",
)

MAX_SOURCES = 64
"""Limit on source numbers; those above the last known one belong to later versions."""

NUMBER_OF = {name: number for number, name in enumerate(SOURCES)}


def source_name(number: int) -> str:
    """The name of a source, made from its number for one of a later version; raises ValueError from MAX_SOURCES on."""
    if number >= MAX_SOURCES:
        raise ValueError("a source number out of range")
    return SOURCES[number] if number < len(SOURCES) else f"source {number}"
