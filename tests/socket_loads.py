"""Loads of TCP sockets for tests: `python socket_loads.py NAME COUNT` makes a load, prints `ready`, and keeps the load.

Each load has a network namespace of its own, which ends with the program when standard input is closed.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

CLONE_NEWNET = 0x40000000
PR_SET_NAME = 15
PR_SET_PDEATHSIG = 1
PORT = 8080
HELD: list[socket.socket] = []
CLONE_FILES = 0x400
LIBC = ctypes.CDLL(None, use_errno=True)


def enter_own_namespace() -> None:
    if LIBC.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP


def name(command: str) -> None:
    LIBC.prctl(PR_SET_NAME, command.encode(), 0, 0, 0)


def listener(backlog: int = 4096) -> socket.socket:
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", PORT))
    server.listen(backlog)
    HELD.append(server)
    return server


def connect() -> socket.socket:
    client = socket.create_connection(("127.0.0.1", PORT))
    HELD.append(client)
    return client


def pairs(count: int) -> list[tuple[socket.socket, socket.socket]]:
    server = listener()
    found = []
    for _ in range(count):
        client = connect()
        accepted = server.accept()[0]
        HELD.append(accepted)
        found.append((client, accepted))
    return found


def in_child(command: str, run: Callable[[], object]) -> None:
    """Runs a call in a child process with the given name, which keeps its sockets until its parent ends."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        name(command)
        run()
        os.write(writer, b"x")
        signal.pause()
    os.read(reader, 1)


def close_wait(count: int) -> None:
    """The accepting process keeps sockets that the peer has closed."""
    name("hoarder")
    for client, _ in pairs(count):
        HELD.remove(client)
        client.close()


def never_accept(count: int) -> None:
    """An accept queue of `count` connections fills, and a third of this number is dropped in addition."""
    in_child("sleeper", lambda: listener(count))
    name("caller")
    for _ in range(count + count // 3):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", PORT))
        HELD.append(client)
    time.sleep(1.5)


def reset(count: int) -> None:
    """Peers reset `count` connections in an accept queue, and as many that a process has accepted and holds."""
    in_child("hung", lambda: listener(count))
    name("leaky")
    for _ in range(count):
        abort(connect())
    ends = []
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        for _ in range(count):
            client = socket.create_connection(server.getsockname())
            ends.append((client, server.accept()[0]))
    HELD.extend(end for _, end in ends)
    for client, _ in ends:
        abort(client)


def abort(client: socket.socket) -> None:
    """Closes a connection with a reset."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def orphans(count: int) -> None:
    """Sockets are closed while they have data that the peer does not accept."""
    name("deaf")
    for client, _ in pairs(count):
        client.setblocking(False)
        for _ in range(8):
            try:
                client.send(bytes(1 << 16))
            except BlockingIOError:
                break
        HELD.remove(client)
        client.close()


def unread(count: int) -> None:
    """Each accepted socket has 20 000 unread bytes."""
    name("notreading")
    for client, _ in pairs(count):
        client.sendall(bytes(20_000))


def in_flight(count: int) -> None:
    """Accepted sockets lie in the queue of a Unix socket, in no process's table."""
    name("courier")
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    Path("/proc/sys/net/unix/max_dgram_qlen").write_text("100")
    HELD.extend((one, other))
    accepted = [server for _, server in pairs(count)]
    for at in range(0, count, 100):
        socket.send_fds(one, [b"x"], [server.fileno() for server in accepted[at : at + 100]])
    for server in accepted:
        HELD.remove(server)
        server.close()


def time_wait(count: int) -> None:
    for client, accepted in pairs(count):
        client.close()
        accepted.close()
    HELD.clear()


def unconnected(count: int) -> None:
    HELD.extend(socket.socket() for _ in range(count))


def deferred(count: int) -> None:
    """TCP_DEFER_ACCEPT keeps request sockets until the client sends."""
    Path("/proc/sys/net/ipv4/tcp_max_syn_backlog").write_text("4096")
    listener().setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 60)
    for _ in range(count):
        connect()


def connected(count: int) -> None:
    """The connections stay idle."""
    name("idle")
    pairs(count)


def shared_port(count: int) -> None:
    """Two processes listen on one port (SO_REUSEPORT), and do not accept `count` connections."""

    def listen() -> None:
        server = socket.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        server.bind(("127.0.0.1", PORT))
        server.listen(4096)
        HELD.append(server)

    for command in ("left", "right"):
        in_child(command, listen)
    name("caller")
    for _ in range(count):
        connect()


def dual_stack(count: int) -> None:
    """A listener of IPv6 does not accept connections of IPv4."""

    def listen() -> None:
        HELD.append(socket.create_server(("::", PORT), family=socket.AF_INET6, backlog=4096, dualstack_ipv6=True))

    in_child("sleeper", listen)
    name("caller")
    for _ in range(count):
        connect()


def crowd(count: int) -> None:
    """13 processes, each with both ends of `count` connections to one port; all 13 processes also have the listener."""
    server = listener()

    def hold() -> None:
        for _ in range(count):
            connect()
            HELD.append(server.accept()[0])

    for number in range(13):
        in_child(f"crowd{number}", hold)


def in_thread(count: int, stays: bool = True, is_held: bool = False) -> int:
    """A thread makes a namespace, and connections there; returns its number. If `is_held` is true, a descriptor leads
    to the namespace.
    """
    made: list[int] = []
    is_made = threading.Event()

    def run() -> None:
        enter_own_namespace()
        pairs(count)
        descriptor = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        made.append(os.fstat(descriptor).st_ino)
        if not is_held:
            os.close(descriptor)
        is_made.set()
        if stays:
            signal.pause()

    name("threaded")
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    is_made.wait()
    if not stays:
        thread.join()
    return made[0]


def by_descriptor(count: int) -> int:
    """Only a descriptor, and the sockets, hold the namespace of the connections."""
    return in_thread(count, stays=False, is_held=True)


def by_sockets(count: int) -> int:
    """Only the sockets hold the namespace of the connections."""
    return in_thread(count, stays=False)


def own_table(count: int) -> None:
    """A thread of `hider` has `count` connections in a descriptor table of its own; `innocent` has 50 connections."""
    server = listener()

    def hold(number: int) -> None:
        for _ in range(number):
            connect()
            HELD.append(server.accept()[0])

    def hide() -> None:
        is_made = threading.Event()

        def run() -> None:
            if LIBC.unshare(CLONE_FILES) != 0:
                raise OSError(ctypes.get_errno(), "unshare")
            hold(count)
            is_made.set()
            signal.pause()

        threading.Thread(target=run, daemon=True).start()
        is_made.wait()

    in_child("hider", hide)
    name("innocent")
    hold(50)


def leaderless(count: int) -> None:
    """A process has connections, and its first thread has exited."""
    reader, writer = os.pipe()
    ready, made = os.pipe()
    if os.fork() == 0:
        os.close(writer)
        name("leaderless")
        leader = threading.get_native_id()
        pairs(count)

        def stay() -> None:
            while b"State:\tZ" not in Path(f"/proc/{leader}/status").read_bytes():
                time.sleep(0.01)
            os.write(made, b"x")
            os.read(reader, 1)  # the end of the parent
            os._exit(0)

        threading.Thread(target=stay).start()
        LIBC.syscall({"x86_64": 60, "i686": 1}.get(os.uname().machine, 93), 0)  # exit(2), of this thread alone
    os.read(ready, 1)


def duplicated(count: int) -> None:
    """A process with three descriptors of each accepted socket."""
    name("duplicator")
    for _, accepted in pairs(count):
        HELD.extend((accepted.dup(), accepted.dup()))


def multipath(count: int) -> None:
    """Connections of MPTCP over one path."""
    name("multipath")
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_MPTCP)
    server.bind(("127.0.0.1", PORT))
    server.listen(count)
    HELD.append(server)
    for _ in range(count):
        client = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_MPTCP)
        client.connect(("127.0.0.1", PORT))
        HELD.extend((client, server.accept()[0]))


LOADS: dict[str, Callable[[int], int | None]] = {
    load.__name__: load
    for load in (
        *(close_wait, never_accept, reset, orphans, unread, in_flight, time_wait, unconnected, deferred, connected),
        *(
            shared_port,
            dual_stack,
            crowd,
            own_table,
            leaderless,
            duplicated,
            multipath,
            in_thread,
            by_descriptor,
            by_sockets,
        ),
    )
}


def main() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.alarm(300)
    enter_own_namespace()
    namespace = LOADS[sys.argv[1]](int(sys.argv[2])) or Path("/proc/self/ns/net").stat().st_ino
    print("ready", namespace, os.getpid(), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
