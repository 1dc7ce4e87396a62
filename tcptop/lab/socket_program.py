"""Program of the child process that holds the lab's sockets, in a network namespace of its own.

The parent (socket_process.py) starts this file by its path, in Python's isolated mode, so the program imports the
standard library only. The process holds both ends of every connection. The process reads one-line commands from
standard input, and answers each command with one line of JSON.

The process ends when its standard input ends, or when its parent ends (PR_SET_PDEATHSIG). An alarm kills the process if
a command takes longer than `COMMAND_TIMEOUT_S`. When the process ends, the kernel frees the sockets and the namespace
of the process.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import gc
import json
import os
import resource
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterable
from typing import NoReturn

CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 1
TCP_REPAIR = 19
TCP_ULP = 31
SOL_TLS = 282
TLS_TX = 1
TLS_RX = 2
TLS_KEYS = struct.pack("=HH8s16s4s8s", 0x0303, 51, bytes(8), bytes(16), bytes(4), bytes(8))
"""struct tls12_crypto_info_aes_gcm_128 (include/uapi/linux/tls.h): TLS 1.2, AES-128-GCM, keys of zeros.

The fields are the version, the cipher, the IV, the key, the salt and the number of the first record.
"""
TCP_FIN_WAIT2 = 5
FIN_ACK_TIMEOUT_S = 5.0

COMMAND_TIMEOUT_S = 30
LISTENERS = 8
FIRST_LISTENER_PORT = 2000
FIRST_FEW_PORT = 3000
EPHEMERAL_PORTS = (10_000, 65_000)
LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


class Endpoints:
    """The sockets of the namespace: listeners, clients and servers. A server is the accepted end of a connection."""

    def __init__(self, family: socket.AddressFamily) -> None:
        self.family = family
        self.address = LOOPBACK[family]
        self.clients: list[socket.socket] = []
        self.servers: list[socket.socket] = []
        self.few_ports = 0
        self.listener_index = 0
        self.listeners = [self.make_listener(FIRST_LISTENER_PORT + index) for index in range(LISTENERS)]

    def make_listener(self, port: int) -> socket.socket:
        """A socket that listens on one address and port. The accepted sockets use the bind buckets of the listener."""
        listener = socket.socket(self.family, socket.SOCK_STREAM)
        listener.bind((self.address, port))
        listener.listen(64)
        return listener

    def connect(self, listener_index: int, local_port: int | None = None) -> None:
        """Connects a client to a listener, and accepts the connection.

        If `local_port` is None, the kernel chooses the client's port.
        """
        client = socket.socket(self.family, socket.SOCK_STREAM)
        if local_port is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            client.bind((self.address, local_port))
        client.connect((self.address, FIRST_LISTENER_PORT + listener_index))
        self.clients.append(client)
        self.servers.append(self.listeners[listener_index].accept()[0])

    def open(self, count: int) -> None:
        """Opens connections to the current listener.

        All connections have the same destination, so each connection needs a local port of its own.
        """
        for _ in range(count):
            self.connect(self.listener_index)

    def open_elsewhere(self, count: int) -> None:
        """Opens connections to the next listener.

        If the previous step dropped its clients but kept the accepted ends, the kernel may choose the same local ports
        for the new clients. The different destination ports distinguish the new connections from the old connections.
        """
        self.listener_index = (self.listener_index + 1) % LISTENERS
        self.open(count)

    def open_few_ports(self, count: int) -> None:
        """Opens connections whose clients share local ports.

        `LISTENERS` clients share one local port; each of these clients connects to a different listener.
        """
        for number in range(len(self.clients), len(self.clients) + count):
            if number % LISTENERS == 0:
                self.few_ports += 1
            self.connect(number % LISTENERS, FIRST_FEW_PORT + self.few_ports)

    def newest(self, count: int) -> list[socket.socket]:
        """Both ends of the `count` connections that were opened last."""
        return [*self.clients[-count:], *self.servers[-count:]]

    def attach_tls(self, count: int) -> None:
        """Attaches kernel TLS to both ends of the newest connections; sets no keys (net/tls/tls_main.c, tls_init)."""
        for each in self.newest(count):
            each.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")

    def set_tls_keys(self, count: int, direction: int) -> None:
        """Sets the keys of one direction at both ends of the newest connections (do_tls_setsockopt_conf)."""
        for each in self.newest(count):
            each.setsockopt(SOL_TLS, direction, TLS_KEYS)

    def count_sockets(self) -> dict[str, int]:
        """Counts full sockets (without listeners), mini-sockets, and shared local ports.

        The numbers of sockets are read from sockstat.
        """
        inuse, time_wait = 0, 0
        for path in ("/proc/self/net/sockstat", "/proc/self/net/sockstat6"):
            for line in read_lines(path):
                name, _, rest = line.partition(":")
                if name in ("TCP", "TCP6"):
                    fields = rest.split()
                    values = dict(zip(fields[::2], map(int, fields[1::2]), strict=False))
                    inuse += values.get("inuse", 0)
                    time_wait += values.get("tw", 0)
        return {"inuse": inuse - LISTENERS, "time_wait": time_wait, "few_ports": self.few_ports}


def close_sockets(sockets: list[socket.socket]) -> None:
    """Closes sockets in the usual way: for each socket, the kernel sends a FIN."""
    for each in sockets:
        each.close()
    sockets.clear()


def half_close_sockets(sockets: list[socket.socket]) -> None:
    """Sends a FIN on each socket without closing the socket, and waits until every FIN is acknowledged.

    The wait is long enough for delayed ACKs. Without the wait, close() could hold the lock of a socket when the
    acknowledgement arrives. If close() held the lock, the socket would remain a full socket in FIN_WAIT2 for a minute
    (net/ipv4/tcp_input.c, tcp_rcv_state_process). If a peer were dropped before the peer acknowledges the FIN, the
    kernel would answer the FIN with a reset.

    Raises:
        TimeoutError: if a FIN is not acknowledged within `FIN_ACK_TIMEOUT_S`.
    """
    for each in sockets:
        each.shutdown(socket.SHUT_WR)
    deadline_s = time.monotonic() + FIN_ACK_TIMEOUT_S
    for each in sockets:
        while each.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != TCP_FIN_WAIT2:
            if time.monotonic() > deadline_s:
                raise TimeoutError(errno.ETIMEDOUT, "the peer did not acknowledge a FIN")
            time.sleep(0.002)


def drop_sockets(sockets: list[socket.socket]) -> None:
    """Frees sockets without sending a segment, so that each peer stays in its state.

    With TCP_REPAIR set, close() sends neither a FIN nor a reset (net/ipv4/tcp.c, tcp_disconnect).
    """
    for each in sockets:
        each.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        each.close()
    sockets.clear()


def command_handlers(endpoints: Endpoints) -> dict[str, Callable[[int], None]]:
    """Handlers of the commands, by the name of the command; each handler takes the number of connections."""
    return {
        "count": lambda _: None,
        "open": endpoints.open,
        "open_elsewhere": endpoints.open_elsewhere,
        "open_few_ports": endpoints.open_few_ports,
        "attach_tls": endpoints.attach_tls,
        "enable_tls_tx": lambda count: endpoints.set_tls_keys(count, TLS_TX),
        "enable_tls_rx": lambda count: endpoints.set_tls_keys(count, TLS_RX),
        "close_clients": lambda _: close_sockets(endpoints.clients),
        "close_servers": lambda _: close_sockets(endpoints.servers),
        "half_close_clients": lambda _: half_close_sockets(endpoints.clients),
        "half_close_servers": lambda _: half_close_sockets(endpoints.servers),
        "drop_clients": lambda _: drop_sockets(endpoints.clients),
        "drop_servers": lambda _: drop_sockets(endpoints.servers),
    }


def read_lines(path: str) -> list[str]:
    """The lines of a small kernel file.

    The list is empty if the file does not exist; sockstat6 does not exist without IPv6.
    """
    try:
        with open(path, encoding="ascii", errors="replace") as file:  # noqa: PTH123
            return file.read().splitlines()
    except OSError:
        return []


def enter_namespace() -> None:
    """Moves this process into a new network namespace, so that the lab does not touch the namespace of the host.

    Verifies that the namespace has changed.

    Raises:
        OSError: if the kernel refuses the new namespace, or the namespace has not changed.

    """
    before = os.stat("/proc/self/ns/net").st_ino  # noqa: PTH116
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    if os.stat("/proc/self/ns/net").st_ino == before:  # noqa: PTH116
        raise OSError(0, "the namespace did not change")


def bring_loopback_up() -> None:
    """Brings the loopback device up, as `ip link set lo up` does; the kernel then adds ::1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        reply = fcntl.ioctl(control, SIOCGIFFLAGS, struct.pack("16sh14x", b"lo", 0))
        [flags] = struct.unpack_from("16xh", reply)
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def set_namespace_limits(max_connections: int) -> None:
    """Raises this namespace's limits on ports and mini-sockets; keeps the defaults if /proc/sys is read-only."""
    settings = {
        "ip_local_port_range": "{} {}".format(*EPHEMERAL_PORTS),
        "tcp_max_tw_buckets": str(4 * max_connections),
        # If a new client reused the port of a mini-socket, the kernel would free the mini-socket.
        "tcp_tw_reuse": "0",
        "tcp_fin_timeout": "60",
    }
    for name, value in settings.items():
        try:
            with open(f"/proc/sys/net/ipv4/{name}", "w", encoding="ascii") as file:  # noqa: PTH123
                file.write(value)
        except OSError:
            pass


def reserve_descriptors(descriptors: int) -> None:
    """Makes the descriptor table grow to its final size before any reading, so that no reading includes the growth."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.close(os.dup2(0, descriptors))


def stay_on_one_cpu() -> None:
    """Binds this process to one CPU, so that free objects are on the per-CPU slabs of one CPU only.

    The loopback device delivers packets in a softirq on the sender's CPU, so the kernel allocates the peer's objects on
    the sender's CPU.
    """
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def die_with_parent(parent: int) -> None:
    """Asks the kernel to kill this process when its parent ends. Exits at once if the parent has already ended."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def write_answer(**values: str | int) -> None:
    """Writes one line of JSON to the parent."""
    sys.stdout.write(f"{json.dumps(values)}\n")
    sys.stdout.flush()


def run_setup_step(step: str, call: Callable[[], None]) -> None:
    """Runs one step of the setup.

    If the step fails, reports the name of the step and the reason to the parent, and ends this process.
    """
    try:
        call()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        write_answer(failed=step, error=reason)
        os._exit(1)


def serve_commands(endpoints: Endpoints, lines: Iterable[str]) -> None:
    """Executes commands until the input ends; an alarm kills the process if a command exceeds `COMMAND_TIMEOUT_S`."""
    handlers = command_handlers(endpoints)
    for line in lines:
        name, _, count = line.strip().partition(" ")
        signal.alarm(COMMAND_TIMEOUT_S)
        try:
            handlers[name](int(count or 0))
            write_answer(**endpoints.count_sockets())
        except OSError as error:
            write_answer(failed=name, error=error.strerror or str(error))
        signal.alarm(0)


def main() -> NoReturn:
    """Runs the program; arguments: the parent's PID, the IP version (4 or 6), the largest number of connections."""
    parent, version, max_connections = map(int, sys.argv[1:4])
    die_with_parent(parent)
    signal.alarm(COMMAND_TIMEOUT_S)
    gc.disable()
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    endpoints: list[Endpoints] = []
    run_setup_step("namespace", enter_namespace)
    run_setup_step("loopback", bring_loopback_up)
    set_namespace_limits(max_connections)
    run_setup_step("descriptors", lambda: reserve_descriptors(2 * max_connections + LISTENERS + 16))
    run_setup_step("CPU", stay_on_one_cpu)
    run_setup_step("sockets", lambda: endpoints.append(Endpoints(family)))
    write_answer(**endpoints[0].count_sockets())
    signal.alarm(0)
    serve_commands(endpoints[0], sys.stdin)
    os._exit(0)


if __name__ == "__main__":
    main()
