"""Sampler: reads each source at its own pace and assembles the latest readings into a Snapshot."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tcptop.hosts.host import Host, HostLostError, Identity
from tcptop.hosts.recording_host import HostAnswer, RecordingHost
from tcptop.hosts.run_sync import measure_cpu, run_sync, run_together
from tcptop.sampling.pace import Paces
from tcptop.snapshot import (
    CGROUP_SOURCE,
    CHOSEN_CACHE_SOURCE,
    NOT_READ,
    READING_NAMES,
    UNREAD_READINGS,
    LabMeasurement,
    Reading,
    Snapshot,
    Sockstat,
)
from tcptop.sources.source import Source, unread
from tcptop.text.printable import printable

BESIDE_S = 0.05
"""Maximum age of a sockstat reading that is combined with the reading of another source."""

SELDOM_OVER_SSH = frozenset({"netstat", "snmp", "conntrack_stats", "tls_stat"})
"""Counters of events. Over ssh, counters of events are read only in every third sample. Without the counters of events,
the answers of a sample fit into the 32 KB window of ssh's compression on most machines.
"""
SELDOM_INTERVALS = 3

Answers = tuple[HostAnswer, ...]
AnySource = Source[Any]
AnyReading = Reading[Any]


def make_snapshot(
    identity: Identity,
    taken_at_unix_s: float | None,
    monotonic_s: float,
    readings: Mapping[str, AnyReading],
    recorded: bool = False,
) -> Snapshot:
    """The Snapshot of a host; a source that is missing in `readings` gets a reading without a value."""
    all_readings: dict[str, Any] = {name: readings.get(name) or unread_reading(name) for name in READING_NAMES}
    return Snapshot(
        taken_at_unix_s=taken_at_unix_s,
        monotonic_s=monotonic_s,
        live=identity.live,
        place=identity.place,
        net_namespace=identity.net_namespace,
        page_size_bytes=identity.page_size_bytes,
        boot_id=identity.boot_id,
        net_namespace_id=identity.net_namespace_id,
        recorded=recorded,
        **all_readings,
    )


def unread_reading(name: str) -> AnyReading:
    """A reading without a value, for a source that was not read."""
    return UNREAD_READINGS[name] if name in UNREAD_READINGS else NOT_READ  # noqa: SIM401 (mypy reads no default here)


class SourceRead(NamedTuple):
    """One read of a source: the answers of the host, and the reading that was parsed from these answers."""

    source: str
    reading: AnyReading
    answers: Answers
    sockstat_answers: Answers
    """The answers from which `reading.sockstat` was parsed; empty if `reading.sockstat` is None."""


class Fetched(NamedTuple):
    """A finished read of a source, not yet stored in the Sampler."""

    source: AnySource
    started_s: float
    reading: AnyReading
    answers: Answers | None
    """The answers of the host; None if `on_read` was not set when the read began."""
    sockstat_answers: Answers | None
    sockstat_us: int
    """CPU time of an additional read of sockstat; 0 if sockstat was not read again."""
    parse_us: int
    """CPU time of parsing."""
    lost_because: str | None = None
    """Reason why the host did not answer; None if it did.

    If the host did not answer, the source is due again at once.
    """


class Sampler:
    """Keeps the latest reading of each source of one host, and the time when each source may be read again.

    A Sampler neither waits nor sleeps. The caller of a Sampler (`LiveSampler`, or the loop of a command) does the
    waiting.
    """

    def __init__(
        self,
        host: Host,
        sources: Sequence[AnySource],
        interval_s: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
        unix_time: Callable[[], float] = time.time,
        lab_measurement: LabMeasurement | None = None,
        on_read: Callable[[SourceRead], None] | None = None,
        late_values_s: float | None = None,
    ) -> None:
        """The method `store` calls `on_read` with every read; `on_read` must return quickly.

        `late_values_s` is the maximum age of a value whose source is late; None sets no maximum.
        """
        self.host = host
        self.late_values_s = late_values_s
        self.total_read_us = 0
        """CPU time of all reads so far."""
        self.interval_s = interval_s
        self._sources = {source.name: source for source in sources}
        self._readings: dict[str, AnyReading] = {}
        self._paces = Paces(source.name for source in sources if source.is_outside_budget)
        self._monotonic = monotonic
        self._unix_time = unix_time
        self._asked_for: set[str] = set()
        self._disabled: set[str] = set()
        self._lab_measurement = lab_measurement
        self._on_read = on_read
        self._sockstat: tuple[AnyReading, Answers | None] = (NOT_READ, None)
        self.lost_because: str | None = None
        """Reason why the host did not answer the last read; None if it did."""
        self._identity = host.identity
        """The identity of the host when the latest reading was stored."""

    def set_on_read(self, on_read: Callable[[SourceRead], None] | None) -> None:
        """Sets the function that is called with every read from now on; None means that no function is called.

        Unless `on_read` is None, every source is read again as soon as possible.
        """
        self._on_read = on_read
        if on_read is not None:
            self.make_all_due()

    def add_source(self, source: AnySource) -> None:
        """Adds a source, or replaces the source of the same name; the source is read from now on."""
        self._sources[source.name] = source
        if source.is_outside_budget:
            self._paces.outside_budget.add(source.name)
        self._readings.pop(source.name, None)
        self.ask_for(source.name)

    def ask_for(self, name: str) -> None:
        """Reads a source from now on.

        The source is read even if the cost of a read is unbounded on this kernel, or if no figure needs the source.
        """
        self._asked_for.add(name)
        if name not in self._readings:
            self._paces.make_due(name)

    def set_enabled(self, name: str, enabled: bool) -> None:
        """Sets whether a source is read.

        The screen disables a source while no visible pane shows the source's figures.
        """
        if enabled:
            self._disabled.discard(name)
        else:
            self._disabled.add(name)

    def due(self) -> list[AnySource]:
        """The sources that may be read now."""
        names = [name for name in self._sources if name not in self._disabled and self._is_allowed(name)]
        return [self._sources[name] for name in self._paces.due(names, self._monotonic(), self.interval_s)]

    def make_all_due(self) -> None:
        """Makes every source due now, even a source whose pause has not ended."""
        for name in self._sources:
            self._paces.make_due(name)

    async def read(self, source: AnySource) -> None:
        """Reads one source and stores its reading."""
        self.store(await self.fetch(source))

    async def fetch(self, source: AnySource) -> Fetched:
        """Reads one source.

        This method may run in another thread, because it changes no attribute that `store` changes.
        """
        started_s = self._monotonic()
        try:
            return await self._fetch(source, started_s)
        except HostLostError as error:
            reading: AnyReading = unread("failed", str(error), 0)._replace(taken_at_s=self._monotonic())
            return Fetched(source, started_s, reading, (), None, 0, 0, lost_because=error.reason)

    def fetch_together(self, sources: Sequence[AnySource]) -> list[Fetched | Exception]:
        """Reads sources; a host behind a network gets all requests at once.

        A source whose counts are divided by the number of sockets is read together with sockstat.
        """
        counts = self._sources.get("sockstat") if self.host.identity.remote_name is not None else None
        reads = list(sources)
        if counts is not None and any(source.pairs_with_sockstat for source in sources):
            reads.sort(key=lambda source: source is not counts)
            if reads[0] is not counts:
                reads.insert(0, counts)
        fetched_of = dict(zip(reads, run_together([self.fetch(source) for source in reads]), strict=True))
        return [fetched_of[source] for source in sources]

    async def _fetch(self, source: AnySource, started_s: float) -> Fetched:
        host = self.host if self._on_read is None else RecordingHost(self.host)
        reading, parse_us = await measure_cpu(source.read(host))
        reading = reading._replace(taken_at_s=self._monotonic())
        if self.host.identity.remote_name is None:
            parse_us -= reading.read_us or 0
        answers = tuple(host.answers) if isinstance(host, RecordingHost) else None
        if source.name == "sockstat":
            self._sockstat = (reading, answers)
        if not source.pairs_with_sockstat or reading.value is None:
            return Fetched(source, started_s, reading, answers, None, 0, parse_us)
        beside, beside_answers, took_us = await self._sockstat_beside()
        return Fetched(source, started_s, reading._replace(sockstat=beside), answers, beside_answers, took_us, parse_us)

    def store(self, fetched: Fetched) -> None:
        """Stores a reading and charges its cost."""
        source = fetched.source
        is_lost, was_lost = fetched.lost_because is not None, self.lost_because is not None
        if not (is_lost and was_lost):  # the reason of the first failure says more than later reasons
            self.lost_because = fetched.lost_because
        if was_lost and not is_lost:
            self.make_all_due()  # the kernel may have changed in the meantime, even if the boot ID is not known
        if not is_lost:
            self._follow(self.host.identity)
        reading = source.check(fetched.reading, self._readings)
        took_us, ended_s = reading.read_us or 0, reading.taken_at_s or 0.0
        retry = reading.state in ("missing", "refused", "empty", "failed") and not is_lost
        wanted_s = max(self.interval_s, source.pace.min_period_s, source.pace.retry_s if retry else 0.0)
        if self.host.identity.remote_name is not None and source.name in SELDOM_OVER_SSH:
            wanted_s = max(wanted_s, SELDOM_INTERVALS * self.interval_s)
        if is_lost:
            wanted_s = self.interval_s
        self._paces.record_read(
            source.name, fetched.started_s, ended_s, took_us, wanted_s, fetched.parse_us, source.pace.rest_factor
        )
        self._paces.charge(fetched.sockstat_us)
        self.total_read_us += took_us + fetched.sockstat_us
        last: AnyReading = self._readings.get(source.name, NOT_READ)
        reading = reading._replace(
            # Results are kept for as long as a value is the same object.
            value=last.value if last.value == reading.value else reading.value,
            every_s=self._paces.period_s(source.name, wanted_s) if self.host.identity.live else None,
            before=self._before(source),
        )
        self._readings[source.name] = reading
        if self._on_read is None:
            return
        if fetched.answers is None:
            self._paces.make_due(source.name)  # the read began before `on_read` was set, so no answers were kept
        elif not is_lost:
            self._on_read(SourceRead(source.name, reading, fetched.answers, fetched.sockstat_answers or ()))

    def _follow(self, identity: Identity) -> None:
        """Discards all readings if the host has booted again since the latest reading was stored."""
        boots, self._identity = (self._identity.boot_id, identity.boot_id), identity
        if None not in boots and boots[0] != boots[1]:
            self._readings.clear()
            self.make_all_due()

    async def _sockstat_beside(self) -> tuple[Sockstat | None, Answers | None, int]:
        """Returns the counts of sockstat, the host's answers with these counts, and the CPU time (us) of reading again.

        The CPU time is 0 if sockstat was not read again. Sockstat is read again in two cases: if the latest reading is
        older than `BESIDE_S`, or if `on_read` needs answers of the host that were not kept at the latest reading.
        """
        source = self._sources.get("sockstat")
        if source is None:
            return None, None, 0
        reading, answers = self._sockstat
        old = reading.taken_at_s is None or self._monotonic() - reading.taken_at_s > BESIDE_S
        if not old and (self._on_read is None or answers):
            return reading.value, answers, 0
        # The new value is not stored as a reading, because the time since the previous reading may be too short for a
        # meaningful rate.
        host = RecordingHost(self.host)
        reading = await source.read(host)
        return reading.value, tuple(host.answers), reading.read_us or 0

    def mark_late(self, source: AnySource, waited_s: float) -> None:
        """Marks a source as late because its read has not returned; discards a previous value that is too old.

        A value is too old if its age exceeds both `late_values_s` and two periods of the source.
        """
        old: AnyReading = self._readings.get(source.name, NOT_READ)
        stand = "; the figures before that stand"
        if self.late_values_s is not None and old.value is not None and old.taken_at_s is not None:
            age_s = self._monotonic() - old.taken_at_s
            if age_s > max(self.late_values_s, 2 * (old.every_s or 0)):
                old, stand = NOT_READ._replace(taken_at_s=old.taken_at_s), ""
        name = self.host.identity.remote_name
        who = "the kernel" if name is None else printable(name)
        since = f"for {waited_s:.0f} s" if waited_s >= 1 else "yet"
        reason = f"{source.name}: {who} has not answered {since}{stand}"
        # The previous value is kept. If the previous value is damaged, the state must still show the damage.
        state = old.state if old.state in ("cut", "strange") else "late"
        self._readings[source.name] = old._replace(state=state, reason=reason)

    def mark_failed(self, source: AnySource, error: BaseException) -> None:
        """Marks a source as failed because a read of the source raised an exception, which means a bug in tcptop.

        Other sources continue.
        """
        reason = f"{source.name}: {type(error).__name__}: {printable(str(error))}; please report it"
        self._readings[source.name] = NOT_READ._replace(state="failed", reason=reason, taken_at_s=self._monotonic())
        now_s = self._monotonic()
        self._paces.record_read(source.name, now_s, now_s, 0, source.pace.retry_s)

    def snapshot(self) -> Snapshot:
        """The latest reading of each source."""
        identity = self._identity
        taken_at_unix_s = self._unix_time() if identity.live else identity.taken_at_unix_s
        readings = {name: self._reading(name) for name in READING_NAMES}
        snapshot = make_snapshot(identity, taken_at_unix_s, self._monotonic(), readings)
        cgroup = self._readings.get(CGROUP_SOURCE, NOT_READ).value
        chosen_cache = self._readings.get(CHOSEN_CACHE_SOURCE, NOT_READ).value
        return snapshot._replace(lab_measurement=self._lab_measurement, cgroup=cgroup, chosen_cache=chosen_cache)

    def _reading(self, name: str) -> AnyReading:
        reading: AnyReading = self._readings.get(name) or unread_reading(name)
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
        # If a source is unreadable only because the host does not answer, no substitute source is read.
        if self.lost_because is not None and name not in self._asked_for and source.not_needed_reason({}) is not None:
            return False
        if "sysctls" in self._sources and "sysctls" not in self._readings:
            return not source.needs_release
        return self._off_reason(source) is None

    def _not_needed(self, source: AnySource) -> str | None:
        return None if source.name in self._asked_for else source.not_needed_reason(self._readings)

    def _off_reason(self, source: AnySource) -> str | None:
        if not self.host.identity.live or source.name in self._asked_for:
            return None
        sysctls = self._readings.get("sysctls", NOT_READ).value
        return source.off_reason(sysctls.kernel_release if sysctls else None)


def read_due(sampler: Sampler) -> None:
    """Reads the due sources, without an event loop.

    The second round reads the sources that become due because of values read in the first round.
    """
    for _ in range(2):
        due = sampler.due()
        if sampler.host.identity.remote_name is None:
            for source in due:
                run_sync(sampler.read(source))
            continue
        for fetched in sampler.fetch_together(due):
            if isinstance(fetched, Exception):
                raise fetched
            sampler.store(fetched)
