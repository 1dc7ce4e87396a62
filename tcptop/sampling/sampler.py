"""Asks each source at its own pace, and makes a Snapshot of what they last said."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tcptop.hosts.host import Host
from tcptop.hosts.recording_host import HostAnswer, RecordingHost
from tcptop.hosts.run_sync import run_sync
from tcptop.kernel.objects import BTF_STRUCTS, LSM_SOCKET_BLOB_STRUCTS, SLAB_CACHES
from tcptop.sampling.pace import Paces
from tcptop.snapshot import NOT_READ, READING_NAMES, LabMeasurement, Reading, Snapshot, Sockstat
from tcptop.sources.btf import BtfSource
from tcptop.sources.buddyinfo import BuddyinfoSource
from tcptop.sources.meminfo import MeminfoSource
from tcptop.sources.memory_cgroups import MemoryCgroupsSource
from tcptop.sources.pagetypeinfo import PagetypeinfoSource
from tcptop.sources.protocols import ProtocolsSource
from tcptop.sources.security_modules import SecurityModulesSource
from tcptop.sources.slab_sysfs import SlabCountsSource, SlabLinksSource, SlabSizesSource
from tcptop.sources.slabinfo import SlabinfoSource
from tcptop.sources.snmp import SnmpSource
from tcptop.sources.socket_limits import SocketLimitsSource
from tcptop.sources.sockstat import Sockstat6Source, SockstatSource
from tcptop.sources.source import Source
from tcptop.sources.sysctls import SysctlsSource
from tcptop.sources.topology import TopologySource
from tcptop.sources.zoneinfo import ZoneinfoSource
from tcptop.text.printable import printable

BESIDE_S = 0.05
"""Two readings no further apart than this are taken together."""

NO_ANSWERS: tuple[HostAnswer, ...] = ()

AnySource = Source[Any]
AnyReading = Reading[Any]


def kernel_sources() -> list[AnySource]:
    """Every source that a report needs. The sysctls come first: the kernel's release decides what may be read."""
    return [
        SysctlsSource(),
        TopologySource(),
        SecurityModulesSource(),
        MemoryCgroupsSource(),
        BtfSource(BTF_STRUCTS, LSM_SOCKET_BLOB_STRUCTS),
        ProtocolsSource(),
        SlabLinksSource(),
        SlabSizesSource(SLAB_CACHES),
        SockstatSource(),
        Sockstat6Source(),
        SnmpSource(),
        SocketLimitsSource(),
        MeminfoSource(),
        BuddyinfoSource(),
        SlabCountsSource(SLAB_CACHES),
        SlabinfoSource(),
        ZoneinfoSource(),
        PagetypeinfoSource(),
    ]


def wanted_paths() -> tuple[str, ...]:
    """Patterns of all paths that those sources may ask a host for, as in `Source.paths`."""
    return tuple(path for source in kernel_sources() for path in source.paths)


class SourceRead(NamedTuple):
    """One read of a source: what the host answered, and the reading that it gave."""

    source: str
    reading: AnyReading
    answers: tuple[HostAnswer, ...]
    sockstat_answers: tuple[HostAnswer, ...]
    """What the sockstat beside was read from; empty where there is none."""


class Sampler:
    """The last reading of each source of one host, and when each may be read again.

    It neither waits nor sleeps: `live_sampler` does, or the few lines of a program that looks once.
    """

    def __init__(
        self,
        host: Host,
        sources: Sequence[AnySource],
        interval_s: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
        unix_time: Callable[[], float] = time.time,
        measured: LabMeasurement | None = None,
        kept: Callable[[SourceRead], None] | None = None,
    ) -> None:
        """Hands every read to `kept`, where that is given; it must be quick."""
        self.host = host
        self.interval_s = interval_s
        self._sources = {source.name: source for source in sources}
        self._readings: dict[str, AnyReading] = {}
        self._paces = Paces()
        self._monotonic = monotonic
        self._unix_time = unix_time
        self._asked_for: set[str] = set()
        self._unwanted: set[str] = set()
        self._measured = measured
        self._kept = kept
        self._sockstat_answers: tuple[HostAnswer, ...] = ()

    def keep(self, kept: Callable[[SourceRead], None] | None) -> None:
        """Hands every read to `kept` from now on, or to nobody; everything is due at once, so that all is kept."""
        self._kept = kept
        if kept is not None:
            self.make_due()

    def ask_for(self, name: str) -> None:
        """Reads a source although its cost is not bounded on this kernel, or nothing else needs it."""
        self._asked_for.add(name)
        if name not in self._readings:
            self._paces.forget(name)

    def want(self, name: str, wanted: bool) -> None:
        """Says whether anybody looks at a source's figures; it is not read while nobody does."""
        if wanted:
            self._unwanted.discard(name)
        else:
            self._unwanted.add(name)

    def due(self) -> list[AnySource]:
        """The sources that may be read now."""
        names = [name for name in self._sources if name not in self._unwanted and self._is_allowed(name)]
        return [self._sources[name] for name in self._paces.due(names, self._monotonic(), self.interval_s)]

    def make_due(self) -> None:
        """Makes every source due, rests or not: somebody asked for a look now."""
        for name in self._sources:
            self._paces.forget(name)

    async def read(self, source: AnySource) -> None:
        """Reads one source and keeps what it said."""
        started_s = self._monotonic()
        host = self.host if self._kept is None else RecordingHost(self.host)
        reading: AnyReading = await source.read(host)
        ended_s = self._monotonic()
        took_us = reading.read_us or 0
        retry = reading.state in ("missing", "refused", "empty", "failed")
        wanted_s = max(self.interval_s, source.pace.at_least_s, source.pace.retry_s if retry else 0.0)
        self._paces.read(source.name, started_s, ended_s, took_us, wanted_s)
        answers = tuple(host.answers) if isinstance(host, RecordingHost) else ()
        beside, beside_answers = None, NO_ANSWERS
        if source.beside_sockstat and reading.value is not None:
            beside, beside_answers = await self._sockstat_beside()
        whole = reading._replace(
            taken_at_s=ended_s,
            every_s=self._paces.period_s(source.name, wanted_s) if self.host.identity.live else None,
            before=self._before(source),
            sockstat=beside,
        )
        self._readings[source.name] = whole
        if source.name == "sockstat":
            self._sockstat_answers = answers
        if self._kept is not None and isinstance(host, RecordingHost):
            self._kept(SourceRead(source.name, whole, answers, beside_answers))

    async def _sockstat_beside(self) -> tuple[Sockstat | None, tuple[HostAnswer, ...]]:
        """What sockstat says now: the reading of this look, or a new one where that is older than a quotient allows.

        And what it was read from, where that is kept.
        """
        source = self._sources.get("sockstat")
        if source is None:
            return None, NO_ANSWERS
        reading, answers = self._readings.get("sockstat", NOT_READ), self._sockstat_answers
        old = reading.taken_at_s is None or self._monotonic() - reading.taken_at_s > BESIDE_S
        if old or (self._kept is not None and not answers):
            # Not kept as a reading of its own: a rate over so short a time would be noise.
            host = RecordingHost(self.host)
            reading = await source.read(host)
            answers = tuple(host.answers)
            self._paces.charge(reading.read_us or 0)
        value: Sockstat | None = reading.value
        return value, answers

    def mark_late(self, source: AnySource, waited_s: float) -> None:
        """Says that a source has not answered yet; what it said before stands."""
        old: AnyReading = self._readings.get(source.name, NOT_READ)
        reason = f"{source.name}: the kernel has not answered for {waited_s:.0f} s; the figures before that stand"
        # A damaged reading stays one: what is late is the next.
        state = old.state if old.state in ("cut", "strange") else "late"
        self._readings[source.name] = old._replace(state=state, reason=reason)

    def mark_failed(self, source: AnySource, error: BaseException) -> None:
        """Says that reading a source ended in an error that no source should raise; the others go on."""
        reason = f"{source.name}: {type(error).__name__}: {printable(str(error))}; please report it"
        self._readings[source.name] = NOT_READ._replace(state="failed", reason=reason, taken_at_s=self._monotonic())
        now_s = self._monotonic()
        self._paces.read(source.name, now_s, now_s, 0, source.pace.retry_s)

    def snapshot(self) -> Snapshot:
        """What all sources last said, as of now."""
        identity = self.host.identity
        readings = {name: self._reading(name) for name in Snapshot._fields if name in READING_NAMES}
        return Snapshot(
            taken_at_unix_s=self._unix_time() if identity.live else identity.taken_at_unix_s,
            monotonic_s=self._monotonic(),
            live=identity.live,
            place=identity.place,
            net_namespace=identity.net_namespace,
            page_size_bytes=identity.page_size_bytes,
            measured=self._measured,
            **readings,
        )

    def _reading(self, name: str) -> AnyReading:
        reading: AnyReading = self._readings.get(name, NOT_READ)
        source = self._sources.get(name)
        reason = self._not_needed(source) or self._off_reason(source) if source is not None else None
        if reason is not None and reading.value is None:
            return NOT_READ._replace(state="off", reason=reason)
        return reading

    def _before(self, source: AnySource) -> AnyReading | None:
        old = self._readings.get(source.name)
        if not source.makes_rates or old is None or old.value is None or not self.host.identity.live:
            return None
        return old._replace(before=None)

    def _is_allowed(self, name: str) -> bool:
        source = self._sources[name]
        if self._not_needed(source) is not None:
            return False
        if "sysctls" in self._sources and "sysctls" not in self._readings:
            return not source.needs_release
        return self._off_reason(source) is None

    def _not_needed(self, source: AnySource) -> str | None:
        return None if source.name in self._asked_for else source.not_needed(self._readings)

    def _off_reason(self, source: AnySource) -> str | None:
        if not self.host.identity.live or source.name in self._asked_for:
            return None
        sysctls = self._readings.get("sysctls", NOT_READ).value
        return source.off_reason(sysctls.kernel_release if sysctls else None)


def read_due(sampler: Sampler) -> None:
    """Reads what may be read now, where nothing waits.

    Twice, since what the first sources say decides whether others may be read.
    """
    for _ in range(2):
        for source in sampler.due():
            run_sync(sampler.read(source))
