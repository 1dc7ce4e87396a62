"""Records the datagrams of a dump of this kernel's TCP sockets: `record_datagrams.py FOLDER` (as root).

The program makes a network namespace with sockets of every state and kind, and writes the file FOLDER/RELEASE. The file
has the datagrams of the listening sockets, followed by the datagrams of all other sockets. The length of each datagram
precedes the datagram, as a 32-bit number. RELEASE.json has the counts of this program, made message by message, and the
kernel's own counters. The program needs only Python and no other file, so that it can be copied to another machine. The
command `zstd --rm -19 FOLDER/RELEASE` makes the file that the tests read.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import resource
import socket
import struct
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

CLONE_NEWNET = 0x40000000
TCP_DEFER_ACCEPT = 9
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
NOBODY = 65534
LISTEN_MASK, OTHERS_MASK = 1 << 10, 0xFFE & ~(1 << 10)
CGROUP_NAME = "tcptop-record-datagrams"
V4, V6, MAPPED = "127.0.0.1", "::1", "::ffff:127.0.0.1"
SUMS = ("rmem", "fwd", "wmem_queued", "rqueue", "wqueue", "optmem", "backlog", "drops")

held: list[socket.socket] = []
"""Objects that keep the sockets open until the dump."""


def enter_new_namespace() -> None:
    """Moves this process to a network namespace of its own, whose loopback interface is up."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        sys.exit(f"unshare: {os.strerror(ctypes.get_errno())}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
    Path("/proc/sys/net/ipv4/tcp_syncookies").write_text("1")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))


def enter_new_cgroup() -> Path | None:
    """Moves this process to a cgroup of its own, if cgroup2 is mounted."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if " - cgroup2 " in line:
            folder = Path(line.split()[4], CGROUP_NAME)
            with suppress(OSError):
                folder.mkdir(exist_ok=True)
                (folder / "cgroup.procs").write_text(str(os.getpid()))
                return folder
    return None


def listener(port: int, host: str = V4, backlog: int = 512, receive_bytes: int = 0, defer_s: int = 0) -> socket.socket:
    """A listening socket."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if receive_bytes:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    if defer_s:
        made.setsockopt(socket.IPPROTO_TCP, TCP_DEFER_ACCEPT, defer_s)
    made.bind((host, port))
    made.listen(backlog)
    held.append(made)
    return made


def pairs(count: int, port: int, listens_at: str = V4, connects_to: str = V4, receive_bytes: int = 0) -> Iterator[Any]:
    """Pairs of connected sockets: the client's socket and the server's socket."""
    server = listener(port, listens_at, receive_bytes=receive_bytes)
    for _ in range(count):
        client = socket.create_connection((connects_to, port))
        yield client, server.accept()[0]


def fill(sender: socket.socket) -> None:
    """Sends until the sender's buffer is full, to a peer that does not read."""
    sender.setblocking(False)
    with suppress(BlockingIOError):
        for _ in range(12):
            sender.send(bytes(20_000))


def hold_sockets() -> None:
    """Makes the sockets: each state, with and without data, IPv4, IPv6 and IPv4 in IPv6, owned and not."""
    for client, server in pairs(40, 8001):  # the peer has closed
        client.close()
        held.append(server)
    never = listener(8002, backlog=20)  # a full accept queue
    for _ in range(30):
        client = socket.socket()
        client.setblocking(False)
        with suppress(BlockingIOError):
            client.connect(never.getsockname())
        held.append(client)
    for index, (client, server) in enumerate(pairs(24, 8003, receive_bytes=4096)):  # orphans with unsent data
        fill(client)
        held.append(server)
        if index % 3 == 0:  # FIN_WAIT1
            client.close()
        elif index % 3 == 1:  # LAST_ACK
            server.shutdown(socket.SHUT_WR)
            time.sleep(0.02)
            client.close()
        else:  # CLOSING
            client.close()
            server.shutdown(socket.SHUT_WR)
    for client, server in pairs(20, 8004):  # FIN_WAIT2 with a descriptor
        client.shutdown(socket.SHUT_WR)
        held.extend((client, server))
    for client, server in pairs(40, 8005):  # TIME_WAIT
        client.shutdown(socket.SHUT_WR)
        server.close()
        client.recv(1)
        client.close()
    for client, server in pairs(30, 8006):  # unread data
        fill(client)
        held.extend((client, server))
    deferred = listener(8007, defer_s=60)  # SYN_RECV
    held.extend(socket.create_connection(deferred.getsockname()) for _ in range(20))
    for port, connects_to in ((8008, V6), (8009, MAPPED)):
        for client, server in pairs(10, port, "::", connects_to):
            client.send(bytes(1000))
            held.extend((client, server))
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)  # descriptors in flight
    held.extend((one, other))
    for client, server in pairs(10, 8010):
        socket.send_fds(one, [b"x"], [server.fileno()])
        server.close()
        held.append(client)
    os.seteuid(NOBODY)
    for client, server in pairs(10, 8011):
        held.extend((client, server))
    os.seteuid(0)


def dump(states: int) -> list[bytes]:
    """The datagrams of a dump of the sockets in these states, until the one with NLMSG_DONE."""
    request = struct.pack("=IHHII BBBB 48x II", 76, 18, 0x301, 1, 0, socket.AF_INET, 0, 0, 1 << 6, states, 0)
    datagrams: list[bytes] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4) as netlink:
        netlink.sendto(request, (0, 0))
        while not datagrams or 3 not in [kind for kind, _ in messages(datagrams[-1])]:
            datagrams.append(netlink.recv(1 << 16))
    return datagrams


def messages(datagram: bytes) -> Iterator[tuple[int, bytes]]:
    """The type and the bytes of each message, with its header."""
    at = 0
    while at < len(datagram):
        length, kind = struct.unpack_from("=IH", datagram, at)
        yield kind, datagram[at : at + length]
        at += length + -length % 4


def attributes(row: bytes) -> dict[int, bytes]:
    """The attributes of a message by number."""
    found: dict[int, bytes] = {}
    at = 88
    while at < len(row):
        length, kind = struct.unpack_from("=HH", row, at)
        found[kind] = row[at + 4 : at + length]
        at += length + -length % 4
    return found


def count(datagrams: list[bytes]) -> dict[str, Any]:
    """The counts of the datagrams, made message by message."""
    rows: dict[tuple[int, int, bool], Counter[str]] = defaultdict(Counter)
    users: Counter[int] = Counter()
    cgroups: Counter[int] = Counter()
    lengths: Counter[int] = Counter()
    listeners = []
    for kind, row in [message for datagram in datagrams for message in messages(datagram)]:
        if kind not in (18, 20):
            continue
        family, state, timer = struct.unpack_from("=BBB", row, 16)
        [port] = struct.unpack_from(">H", row, 20)
        rqueue, wqueue, uid, inode = struct.unpack_from("=IIII", row, 72)
        found = attributes(row)
        memory = struct.unpack("=IIIIiIIII", found[7]) if 7 in found else (0,) * 9
        [cgroup] = struct.unpack("=Q", found[21]) if 21 in found else (0,)
        if state == 10:
            drops = memory[8] if 7 in found else None
            listeners.append([family, port, rqueue, wqueue, drops, uid, cgroup, inode])
        values = (memory[0], memory[4], memory[5], rqueue, wqueue, *memory[6:])
        rows[family, state, timer == 3].update({"sockets": 1, "without_inode": int(inode == 0)})
        rows[family, state, timer == 3].update(dict(zip(SUMS, values, strict=True)))
        users[uid] += 1
        cgroups[cgroup] += 1
        lengths[len(row)] += 1
    return {
        "rows": [
            {"family": family, "state": state, "mini": mini, **sums} for (family, state, mini), sums in rows.items()
        ],
        "listeners": listeners,
        "users": users,
        "cgroups": cgroups,
        "lengths": lengths,
    }


def read_sockstat() -> dict[str, int]:
    """The TCP lines of this namespace's sockstat and sockstat6."""
    values: dict[str, int] = {}
    for name, suffix in (("sockstat", ""), ("sockstat6", "6")):
        for line in Path("/proc/self/net", name).read_text().splitlines():
            words = line.split()
            if words[0] in ("TCP:", "TCP6:"):
                values |= {words[k] + suffix: int(words[k + 1]) for k in range(1, len(words), 2)}
    return values


def main() -> None:
    """Records into the folder that the only argument names."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    release = ".".join(os.uname().release.split(".")[:2])
    enter_new_namespace()
    cgroup = enter_new_cgroup()
    hold_sockets()
    time.sleep(1)
    before = read_sockstat()
    datagrams = dump(LISTEN_MASK) + dump(OTHERS_MASK)
    if read_sockstat() != before:
        sys.exit("the sockets changed during the dump: try again")
    (folder / release).write_bytes(b"".join(struct.pack("<I", len(each)) + each for each in datagrams))
    counted = {
        "cgroup": cgroup.stat().st_ino if cgroup else None,
        "page_bytes": resource.getpagesize(),
        "sockstat": before,
        **count(datagrams),
    }
    (folder / f"{release}.json").write_text(json.dumps(counted, indent=1) + "\n")
    if cgroup:
        (cgroup.parent / "cgroup.procs").write_text(str(os.getpid()))
        cgroup.rmdir()


if __name__ == "__main__":
    main()
