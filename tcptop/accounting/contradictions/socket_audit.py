"""The audit of counters of sockets: sockstat, the event counters and the limits."""

from __future__ import annotations

from tcptop.accounting.contradictions.audit import Audit, find_failures
from tcptop.accounting.contradictions.facts import facts_near, with_sockstat
from tcptop.accounting.contradictions.relation import Facts
from tcptop.accounting.contradictions.socket_relations import (
    FIELDS_RELATION,
    LISTEN_RELATION,
    VALUE_RELATIONS,
    counted_fields,
)


def check_counts(audit: Audit, facts: Facts, miscounted: set[str]) -> Facts:
    """Checks the files that have only a few counts; returns the facts with the checked counts of sockstat."""
    for line, _, sentence in find_failures(counted_fields(audit.snapshot), [FIELDS_RELATION], facts):
        audit.mark(line.source, [sentence])
    for source, relations in VALUE_RELATIONS.items():
        audit.check_value(source, relations, facts)
        if source == "sockstat":
            for other in ("slabinfo", "slab_counts"):
                audit.check_sockstat_of(other, relations, facts_near(audit.snapshot, facts, other))
        if source in ("sockstat", "sockstat6"):
            facts = with_sockstat(audit.snapshot, facts, miscounted)
    return facts


def check_listen_drops(audit: Audit, facts: Facts) -> None:
    """Checks the overflows of accept queues; if the relation is broken, both counters become unknown."""
    value = audit.snapshot.netstat.value
    sentence = LISTEN_RELATION.failure(value, facts) if value else None
    if value is not None and sentence is not None:
        kept = {name: count for name, count in value.counters.items() if name not in LISTEN_RELATION.doubts}
        audit.mark("netstat", [sentence], value._replace(counters=kept))
