"""Reads many machines at once, for the table of hosts, with one thread for each machine.

A look at a machine is one round of reads. Files that change all the time are read in each round; all other files are
read every SELDOM_S seconds. The answers of one round are thus small enough for the 32 KB window of ssh's compression.
If the answers are small, the window still holds the previous answers, so ssh sends little more than the changes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from tcptop.errors import TcptopError
from tcptop.hosts.host import Host, HostLostError
from tcptop.ledger.host_row import HostLook, HostRow
from tcptop.sampling.sampler import AnySource, Sampler, read_due
from tcptop.sampling.source_list import kernel_sources
from tcptop.snapshot import Snapshot
from tcptop.text.printable import printable

SELDOM_S, EVENTS_S = 10.0, 5.0
"""SELDOM_S is the time between two reads of a file that changes seldom; EVENTS_S is the time between two reads of the
counters of events."""
NOT_FOR_A_ROW = frozenset({"btf", "pagetypeinfo", "slab_counts", "smbios", "snmp", "tls_stat"})
"""Sources that are not read, since the table does not show their figures."""
MAX_CONNECTING = 6
"""Maximum number of ssh sessions that are set up at the same time: if more than ten are set up, sshd refuses some of
them (MaxStartups)."""
MAX_HOSTS = 200
"""Maximum number of machines in one table; each machine needs an ssh process."""


class RemoteHost(Host, Protocol):
    """A host with an ssh session, which may be lost and replaced by a new session."""

    @property
    def is_connected(self) -> bool:
        """True if a session exists that can answer requests."""
        ...

    @property
    def next_try_in_s(self) -> float | None:
        """Seconds until the next connection may be tried; None while a session exists or is being made."""
        ...

    def connect(self) -> None:
        """Makes a session if none exists; raises HostLostError."""
        ...

    def begin_close(self) -> None:
        """Tells the session to end, and returns at once."""
        ...


def table_sources(each_look: Collection[str], events: Collection[str]) -> list[AnySource]:
    """The sources whose figures are in a row of the table.

    Sources in `each_look` are read in each round of reads. Sources in `events` are read every EVENTS_S seconds, and all
    other sources every SELDOM_S seconds.
    """
    sources = [source for source in kernel_sources() if source.name not in NOT_FOR_A_ROW]
    for source in sources:
        if source.name not in each_look:
            period_s = EVENTS_S if source.name in events else SELDOM_S
            source.pace = source.pace._replace(min_period_s=max(period_s, source.pace.min_period_s))
    return sources


class _Watched:
    """One machine, its sampler, and the state that the machine's thread sets and other threads read."""

    def __init__(self, host: RemoteHost, sampler: Sampler, account: Callable[[Snapshot], HostRow]) -> None:
        self.host, self.sampler, self.account = host, sampler, account
        self.name = host.identity.remote_name or ""
        self.row: HostRow | None = None
        self.looked_s: float | None = None
        self.lost_because: str | None = None
        self.waits_since_s: float | None = None
        self.is_paused = False
        self.wake = threading.Event()
        """Event that wakes the machine's thread: to read at once, to end a pause, or to end the thread."""

    def state(self) -> HostLook:
        """The figures of the machine now, and the state of its connection."""
        now_s = time.monotonic()
        since_s, looked_s = self.waits_since_s, self.looked_s
        return HostLook(
            self.name,
            self.row,
            None if looked_s is None else now_s - looked_s,
            self.lost_because,
            self.host.next_try_in_s if self.lost_because is not None and since_s is None else None,
            0.0 if since_s is None else now_s - since_s,
        )


class Fleet:
    """The machines of a table.

    Any thread may call `states` at any time. All other methods must be called in a single thread.
    """

    def __init__(
        self,
        hosts: Sequence[RemoteHost],
        make_account: Callable[[], Callable[[Snapshot], HostRow]],
        make_sources: Callable[[], list[AnySource]],
        interval_s: float,
        looks: int | None = None,
        on_look: Callable[[HostLook], None] | None = None,
    ) -> None:
        """Takes the machines.

        `make_sources` makes the sources of a machine, and `make_account` makes the function that computes the machine's
        rows. Each machine is looked at `looks` times; if `looks` is None, the looks go on until `end` is called.
        `on_look` is called in the machine's thread after each round of reads, even if the machine did not answer.
        """
        self.interval_s = interval_s
        self._looks, self._on_look = looks, on_look
        self._watched = [_Watched(host, Sampler(host, make_sources(), interval_s), make_account()) for host in hosts]
        self._connecting = threading.BoundedSemaphore(MAX_CONNECTING)
        self._started, self._ended = threading.Event(), threading.Event()
        self._threads: list[threading.Thread] = []
        self._began_s = time.monotonic()

    @property
    def hosts(self) -> list[RemoteHost]:
        """The machines, in the order of `states`."""
        return [watched.host for watched in self._watched]

    def start(self) -> None:
        """Starts reading; raises TcptopError if the limits of the process leave no room for the threads."""
        self._began_s = time.monotonic()
        for number, watched in enumerate(self._watched):
            phase_s = number / len(self._watched) * self.interval_s
            thread = threading.Thread(
                target=self._watch, args=(watched, phase_s), name=f"tcptop {watched.name}", daemon=True
            )
            self._threads.append(thread)
            try:
                thread.start()
            except RuntimeError as error:
                self._threads.pop()
                self.stop()
                raise TcptopError(
                    f"no room for the threads of {len(self._watched)} machines; raise the limit (ulimit -v, -u), "
                    "or name fewer"
                ) from error
        self._started.set()

    def states(self) -> list[HostLook]:
        """The figures of each machine now, and the state of its connection."""
        return [watched.state() for watched in self._watched]

    def join(self) -> None:
        """Waits until each machine has been read `looks` times."""
        for thread in self._threads:
            while thread.is_alive():
                thread.join(0.2)  # a join without a timeout could not be interrupted

    def stop(self) -> None:
        """Ends the looks: after the present look, no machine is looked at again."""
        self._ended.set()
        self._started.set()
        for watched in self._watched:
            watched.wake.set()

    def look_now(self) -> None:
        """Begins a look at each machine that is not being looked at."""
        for watched in self._watched:
            watched.wake.set()

    def pause(self, number: int, is_paused: bool) -> None:
        """Pauses or resumes the reads of one machine; the reads are paused while another sampler reads the machine."""
        self._watched[number].is_paused = is_paused
        self._watched[number].wake.set()

    def end(self) -> None:
        """Ends all reads and sessions.

        Every session is told to end before the method waits for the end of any session.
        """
        self.stop()
        for watched in self._watched:
            watched.host.begin_close()
        for watched in self._watched:
            watched.host.close()

    def _watch(self, watched: _Watched, phase_s: float) -> None:
        self._started.wait()  # no session is made before there is room for all threads
        done = 0
        while not self._ended.is_set():
            if watched.is_paused:
                watched.wake.wait()
                watched.wake.clear()
                continue
            self._look(watched)
            if self._ended.is_set():
                return
            if self._on_look is not None:
                self._on_look(watched.state())
            done += 1
            if done == self._looks:
                return
            watched.wake.wait(self._pause_s(watched, phase_s))
            watched.wake.clear()

    def _pause_s(self, watched: _Watched, phase_s: float) -> float:
        """Time to the next round of reads.

        The rounds of the machines are spread over the interval. A machine whose session is lost waits until the next
        connection may be tried.
        """
        left_s = self.interval_s - (time.monotonic() - self._began_s - phase_s) % self.interval_s
        return max(left_s, watched.host.next_try_in_s or 0.0)

    def _look(self, watched: _Watched) -> None:
        if not watched.host.is_connected and (watched.host.next_try_in_s or 0.0) > 0:
            return  # it is too early for the next attempt to connect
        watched.waits_since_s = time.monotonic()
        try:
            if not watched.host.is_connected:
                with self._connecting:
                    if self._ended.is_set():
                        return
                    watched.waits_since_s = time.monotonic()
                    watched.host.connect()
            read_due(watched.sampler)
            if watched.sampler.lost_because is not None:
                raise HostLostError(watched.sampler.lost_because)
            row = watched.account(watched.sampler.snapshot())
        except HostLostError as error:
            watched.lost_because = printable(error.reason.removeprefix(f"{watched.name}: "))
        except Exception as error:  # an error in one machine's files must not end the table
            watched.lost_because = f"{type(error).__name__}: {printable(str(error))}; please report it"
        else:
            watched.row, watched.looked_s, watched.lost_because = row, time.monotonic(), None
        finally:
            watched.waits_since_s = None
