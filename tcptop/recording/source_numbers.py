"""The number that each source goes by in a recording. A number once given stands for ever; new sources come last."""

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
"""Of which the others are those of a later version."""

NUMBER_OF = {name: number for number, name in enumerate(SOURCES)}


def source_name(number: int) -> str:
    """The name of a source; one of a later version goes by its number. Raises ValueError for what can be none."""
    if number >= MAX_SOURCES:
        raise ValueError("a source that there cannot be")
    return SOURCES[number] if number < len(SOURCES) else f"source {number}"
