"""The audit of a Snapshot: marks sources with impossible figures, and makes these figures unknown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tcptop.accounting.contradictions.relation import Context, Item, Relation
from tcptop.snapshot import Reading, Snapshot

FILES: Mapping[str, str] = {
    "slabinfo": "/proc/slabinfo",
    "slab_sizes": "/sys/kernel/slab",
    "slab_counts": "/sys/kernel/slab",
    "slab_links": "/sys/kernel/slab",
    "sockstat": "/proc/net/sockstat",
    "sockstat6": "/proc/net/sockstat6",
    "snmp": "/proc/net/snmp",
    "netstat": "/proc/net/netstat",
    "protocols": "/proc/net/protocols",
    "tls_stat": "/proc/net/tls_stat",
    "sysctls": "/proc/sys",
    "socket_limits": "/proc/sys",
    "security_modules": "/sys/kernel/security/lsm",
    "socket_table": "/sock_diag/sockets",
    "meminfo": "/proc/meminfo",
    "zoneinfo": "/proc/zoneinfo",
    "buddyinfo": "/proc/buddyinfo",
    "pagetypeinfo": "/proc/pagetypeinfo",
    "topology": "/sys/devices/system",
    "smbios": "/sys/firmware/dmi/tables/DMI",
}
"""Maps the name of each source to the file name in sentences about contradictions."""


class Audit:
    """A Snapshot during the audit, and the names of the sources in which an impossible figure was found."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.sources: set[str] = set()

    def mark(self, source: str, sentences: Iterable[str], value: object = None) -> None:
        """Sets the state of a source to `strange`, with the first sentence as the reason.

        If `sentences` is empty, the source is not changed. If `value` is not None, it replaces the value of the source.
        """
        sentence = next(iter(sentences), None)
        if sentence is None:
            return
        reading: Reading[Any] = getattr(self.snapshot, source)
        reason = f"{FILES[source]}: {sentence}" if reading.reason is None else f"{reading.reason}; {sentence}"
        if source in self.sources:
            reason = reading.reason or reason
        self.sources.add(source)
        self._put(source, reading._replace(state="strange", reason=reason))
        if value is not None:
            self._put(source, getattr(self.snapshot, source)._replace(value=value))

    def _put(self, source: str, reading: Reading[Any]) -> None:
        changed: dict[str, Any] = {source: reading}
        self.snapshot = self.snapshot._replace(**changed)

    def check_value(self, source: str, relations: Sequence[Relation[Any, Context]], context: Context) -> None:
        """Checks a source that has only a few counts."""
        value = getattr(self.snapshot, source).value
        if value is not None:
            sentences, value = examine(value, relations, context)
            self.mark(source, sentences, value)

    def check_sockstat_of(self, source: str, relations: Sequence[Relation[Any, Context]], context: Context) -> None:
        """Checks the sockstat that was read directly after slabinfo or after the slab counts."""
        reading: Reading[Any] = getattr(self.snapshot, source)
        if reading.sockstat is not None:
            sentences, beside = examine(reading.sockstat, relations, context)
            if sentences:
                self._put(source, reading._replace(sockstat=beside))
                self.mark("sockstat", sentences)


def find_failures(
    items: Iterable[Item], relations: Sequence[Relation[Item, Context]], context: Context
) -> list[tuple[Item, Relation[Item, Context], str]]:
    """The broken relations, each with the checked item and a sentence about the contradiction."""
    return [
        (item, relation, sentence)
        for item in items
        for relation in relations
        if (sentence := relation.failure(item, context)) is not None
    ]


def examine(
    value: Any,  # noqa: ANN401 (the value of any source)
    relations: Sequence[Relation[Any, Context]],
    context: Context,
) -> tuple[list[str], Any]:
    """The sentences of the relations that `value` breaks, and a copy of `value`.

    The doubtful fields of the copy are None.
    """
    failures = find_failures([value], relations, context)
    doubted = dict.fromkeys(field for _, relation, _ in failures for field in relation.doubts)
    return [sentence for _, _, sentence in failures], value._replace(**doubted)
