"""Whether a saved tree is a sosreport: apart from what reads one, which most trees do not need."""

from __future__ import annotations

from tcptop.hosts.host import Host
from tcptop.hosts.run_sync import run_sync

COMMANDS = "sos_commands"
NAME_START = "sosreport-"


def is_sosreport(name: str, host: Host) -> bool:
    """Whether it is one, by the name of its folder and by what it holds."""
    return name.startswith(NAME_START) or run_sync(host.folder(COMMANDS)).entries is not None
