"""An sshd on loopback with its own keys, and an `ssh` that knows this sshd. Each host name stands for one kind of
remote end.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import forked_program

from tcptop.hosts.remote_shell import PROGRAM

SSHD = "/usr/sbin/sshd"
GUARD_S = 60.0
GREETING = r"""while read -r word nonce; do
  [ "$word" = tcptop_serve ] && printf '\n%s hello 0 4096 Linux cat\n' "$nonce" && break
done"""
ORDERED = "$SSH_ORIGINAL_COMMAND"
FAR_ENDS = {
    "loop": "",
    "dash": "exec dash",
    "bash": "exec bash",
    "busybox": "exec busybox sh",
    "csh": f'exec csh -c "{ORDERED}"',
    "noisy": f"printf 'Welcome\\n\\033[2J\\033]0;title\\007'; exec /bin/sh -c \"{ORDERED}\"",
    "file": "exec /bin/sh @/remote",
    "zero": "exec cat /dev/zero",
    "zero-later": f"{GREETING}; exec cat /dev/zero",
    "silent-later": f"{GREETING}; exec sleep 600",
    "escapes": "while :; do printf '\\033[2J\\033[31m'; done",
    "silent": "exec sleep 600",
    "no-shell": "echo 'no shell for you' >&2; exit 7",
}
"""The forced command of the key of each host name; `@` is the folder. An empty command stands for a key without a
forced command.
"""

NEEDS = {"dash": "dash", "busybox": "busybox", "csh": "csh"}
"""Debian packages that some remote ends need."""


def skip_reason() -> str | None:
    """The reason why no sshd can be started here; None if an sshd can be started."""
    if not Path(SSHD).exists():
        return "needs the Debian package openssh-server"
    if shutil.which("ssh") is None:
        return "needs the Debian package openssh-client"
    if os.geteuid() != 0:
        return "sshd without root would need a login of its own"
    return None


SSHD_CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PidFile {folder}/pid
StrictModes no
UsePAM no
PasswordAuthentication no
MaxStartups 100
"""
SSH_CONFIG = """\
Host {name}
  HostName 127.0.0.1
  Port {port}
  User root
  IdentityFile {key}
  IdentitiesOnly yes
  UserKnownHostsFile {known}
  GlobalKnownHostsFile /dev/null
"""


class LoopbackSsh:
    """A running sshd. With `environment`, the programs of a test find the hosts of the sshd."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._make_key("host")
        (folder / "remote").write_text(PROGRAM)
        keys = []
        blocks = []
        for name, command in FAR_ENDS.items():
            self._make_key(name)
            public = (folder / f"{name}.pub").read_text()
            (folder / f"{name}.sh").write_text(command.replace("@", str(folder)))
            keys.append(f'command="exec /bin/sh {folder}/{name}.sh",restrict {public}' if command else public)
            blocks.append(self.block(name, name))
        (folder / "authorized").write_text("".join(keys))
        self.host_key = " ".join((folder / "host.pub").read_text().split()[:2])
        (folder / "known").write_text(f"[127.0.0.1]:{self.port} {self.host_key}\n")
        (folder / "other").write_text(f"[127.0.0.1]:{self.port} {(folder / 'loop.pub').read_text()}")
        (folder / "none").write_text("")
        blocks += [self.block("unknown", "loop", known="none"), self.block("changed", "loop", known="other")]
        blocks.append(self.block("stranger", "host"))
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            blocks.append(self.block("closed", "loop", port=int(closed.getsockname()[1])))
        (folder / "config").write_text("".join(blocks))
        programs = folder / "bin"
        programs.mkdir()
        (programs / "ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/config "$@"\n')
        (programs / "ssh").chmod(0o755)
        self.environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
        (folder / "sshd_config").write_text(SSHD_CONFIG.format(port=self.port, folder=folder))
        self._sshd = subprocess.Popen(
            [SSHD, "-D", "-f", f"{folder}/sshd_config", "-E", f"{folder}/log"], stdin=subprocess.DEVNULL
        )
        self._wait()

    def block(self, name: str, key: str, known: str = "known", port: int | None = None) -> str:
        """The lines of ssh's configuration for a name."""
        files = {"key": f"{self.folder}/{key}", "known": f"{self.folder}/{known}"}
        return SSH_CONFIG.format(name=name, port=port or self.port, **files)

    def tcptop(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Runs tcptop to its end, without a terminal."""
        return run_tcptop(*arguments, environment=self.environment)

    def clients(self) -> list[int]:
        """The ids of the ssh processes that use this configuration."""
        config = f"{self.folder}/config"
        return [pid for pid, words in processes() if words[0].rpartition("/")[2] == "ssh" and config in words]

    def servers(self) -> list[int]:
        """The ids of the processes that serve a session."""
        return descendants(self._sshd.pid)

    def signal_servers(self, number: int) -> None:
        """Sends a signal to the sshd processes that serve a session; one that has just ended is left out."""
        for pid in self.servers():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def stop(self) -> None:
        """Ends sshd and its sessions."""
        self.signal_servers(signal.SIGKILL)
        self._sshd.kill()
        self._sshd.wait()

    def _make_key(self, name: str) -> None:
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", f"{self.folder}/{name}"], check=True
        )

    def _wait(self) -> None:
        deadline_s = time.monotonic() + GUARD_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                assert time.monotonic() < deadline_s, (self.folder / "log").read_text()
                time.sleep(0.02)
            else:
                return


def run_tcptop(*arguments: str | Path, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs tcptop to its end, without a terminal."""
    return forked_program.run(*arguments, environment=environment)


def processes() -> Iterator[tuple[int, list[str]]]:
    """Each process that has a command line, with the words of the command line."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_text(errors="replace").split("\0")
            except OSError:
                continue
            if words[0]:
                yield int(folder.name), words


def descendants(pid: int) -> list[int]:
    """The ids of all descendants of a process, the youngest first."""
    children = [
        int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit() and parent_of(folder) == pid
    ]
    return [each for child in children for each in (*descendants(child), child)]


def parent_of(folder: Path) -> int | None:
    """The id of a process's parent; None if the process has ended."""
    try:
        return int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def program_of(pid: int) -> str:
    """The name of a process's program; empty if the process has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().rstrip("\n")
    except OSError:
        return ""


@contextmanager
def running(folder: Path) -> Iterator[LoopbackSsh]:
    """Context manager that starts an sshd, and ends the sshd at the end of the block."""
    server = LoopbackSsh(folder)
    try:
        yield server
    finally:
        server.stop()
