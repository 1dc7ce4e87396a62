"""/proc/kallsyms (kernel/kallsyms.c): the names of the kernel's functions. Any user may read the file."""

from __future__ import annotations

from collections.abc import Collection

from tcptop.hosts.host import Host

PATH = "proc/kallsyms"
MAX_SYMBOLS = 1_000_000
"""Maximum number of lines that are parsed; a kernel has about 200 000 symbols."""


async def read_symbols(host: Host, names: Collection[str]) -> frozenset[str] | None:
    """Returns those of the `names` that are kernel symbols; None if the file cannot be read or is cut.

    A suffix that the compiler adds to a copy of a function, such as `.constprop.0`, is ignored.
    """
    [file] = await host.read([PATH])
    wanted = frozenset(name.encode("ascii") for name in names)
    if file.error is not None or not file.data or not file.data.endswith(b"\n"):
        return None
    lines = file.data.split(b"\n", MAX_SYMBOLS)[:MAX_SYMBOLS]
    found = {words[2].partition(b".")[0] for line in lines if len(words := line.split(None, 3)) > 2}
    return frozenset(name.decode("ascii") for name in found & wanted) if found else None
