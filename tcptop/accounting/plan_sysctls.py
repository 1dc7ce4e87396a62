"""Advice on the sysctls that a plan exceeds: the smallest value that is enough, and a value with a margin."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, inf

from tcptop.accounting.free_memory import SLAB_ZONES
from tcptop.kernel.limits import LIMIT_BY_NAME, TIME_WAIT_LIMIT
from tcptop.ledger import Ledger
from tcptop.ledger.plan import ADVISED_PERCENT, PlanLimit, PlanPart, PlanRequest, PlanSysctl
from tcptop.snapshot import Snapshot
from tcptop.text.units import grouped, rough_count

NO_FIT = ", so the plan does not fit"
NO_USE = "no value of net.ipv4.tcp_mem is of use until there is more memory"
ERROR_UNKNOWN = "the error of its counter is not known"
MIN_PAGE_BYTES = 4096
"""The smallest page size that Linux has, in bytes."""


def advised_sysctls(
    snapshot: Snapshot,
    ledger: Ledger,
    request: PlanRequest,
    limits: Sequence[PlanLimit],
    parts: Sequence[PlanPart],
) -> tuple[dict[str, PlanSysctl], dict[str, str]]:
    """The sysctls that must be raised for the plan, each with its smallest sufficient value, by name of the limit.

    The second dict has sentences on the limits: that no possible value of a sysctl is sufficient, or that the error of
    the limit's counter is unknown. Without enough memory for the plan the value of tcp_mem is for the connections that
    memory fits, and a sentence says so: buffers up to a larger value would end in the OOM killer.
    """
    found: dict[str, PlanSysctl | str] = {}
    notes: dict[str, str] = {}
    memory_bytes = machine_bytes(snapshot, ledger)
    unit, now = ledger.sockets.tcp_mem_unit_bytes, ledger.sockets.tcp_mem_pages
    errors = {row.name: row.used_error for row in ledger.limits["full"].rows}
    [memory] = [limit for limit in limits if limit.name == "memory"]
    of_memory = memory.verdict
    for limit in limits:
        if limit.used is None or limit.maximum is None or limit.high_takes is None:
            continue
        needed = limit.used + (request.time_wait if limit.name == TIME_WAIT_LIMIT else limit.high_takes)
        sysctl = LIMIT_BY_NAME[limit.name].sysctl
        if sysctl is not None and (limit.verdict != "fits" or needed > limit.maximum):
            structs = [item.struct for item in sysctl.objects]
            each = min((part.high_bytes / part.count for part in parts if part.object in structs), default=0.0)
            if (error := errors[limit.name]) is None:
                found[limit.name] = f"no value of {sysctl.name} is surely enough: {ERROR_UNKNOWN}"
                continue
            needed += error
            advice = _sysctl(limit, sysctl.name, needed, memory_bytes, each, sysctl.largest)
            if error and isinstance(advice, PlanSysctl):
                lag = f"with the error of its counter, +{grouped(error)}"
                advice = advice._replace(note="; ".join(filter(None, (advice.note, lag))))
            found[limit.name] = advice
        elif limit.name == "tcp_mem" and unit and now is not None:
            needed = -(-needed // unit)
            if needed <= now[1]:
                continue
            most = memory_bytes if of_memory == "fits" else _usable_bytes(ledger, memory_bytes)
            advice = NO_USE if of_memory == "exceeded" else _tcp_mem_sysctl(limit, now, needed, most, unit)
            if of_memory != "fits" and isinstance(advice, str):
                if (reach := _reach(limit, memory)) is None:
                    notes[limit.name] = NO_USE
                    continue
                number, notes[limit.name] = reach
                takes = ceil(limit.high_takes * number / request.connections)
                needed = -(-(limit.used + takes) // unit)
                advice = _tcp_mem_sysctl(limit, now, needed, most, unit)
                if needed > now[1] and not memory.connections_are_at_most and isinstance(advice, PlanSysctl):
                    capped = advice.note.partition(":")[0]
                    lasts = f"for {_reach_text(memory)} connections"
                    found[limit.name] = advice._replace(note="; ".join(filter(None, (capped, lasts))))
            else:
                if of_memory == "unknown" and isinstance(advice, PlanSysctl):
                    note = advice.note.removesuffix(NO_FIT)
                    advice = advice._replace(note="; ".join(filter(None, (note, "memory may not hold the plan"))))
                found[limit.name] = advice
    notes |= {name: advice for name, advice in found.items() if isinstance(advice, str)}
    return {name: advice for name, advice in found.items() if isinstance(advice, PlanSysctl)}, notes


def _reach(limit: PlanLimit, memory: PlanLimit) -> tuple[int, str] | None:
    """The number of connections that a higher tcp_mem reaches, where memory stops them, and a sentence that says so.

    None if memory fits no more connections than tcp_mem does.
    """
    if memory.connections is None or limit.connections is None or memory.connections <= limit.connections:
        return None
    full, needs = ("is", "needs") if memory.verdict == "exceeded" else ("may be", "may need")
    where = f"{_reach_text(memory)}, where memory {full} full"
    return memory.connections, f"raising net.ipv4.tcp_mem reaches {where}: the plan {needs} more memory, too"


def _reach_text(memory: PlanLimit) -> str:
    """The number of connections that memory fits, with the sign of its row."""
    is_at_most = memory.connections_are_at_most
    sign = "≤" if is_at_most else "≥" if memory.connections_are_at_least else "about"
    return f"{sign} {rough_count(memory.connections, up=is_at_most)}"


def _sysctl(
    limit: PlanLimit, name: str, needed: int, memory_bytes: int | None, each_bytes: float, largest: int | None = None
) -> PlanSysctl | str:
    """Advice on a sysctl with one value.

    `needed` is the use of the limit with the planned connections. The advised value is chosen so that `needed` is just
    below ADVISED_PERCENT per cent of the advised value. The advised value is limited by two maximums: the largest value
    that the kernel accepts, and the number of objects of `each_bytes` that fit into all memory.
    """
    caps = [] if largest is None else [(largest, f"it is at most {largest}")]
    if memory_bytes is not None and each_bytes:
        caps.append((int(memory_bytes / each_bytes), "the machine has less memory"))
    wanted = needed * 100 // ADVISED_PERCENT + 1
    most, why = min(caps, default=(wanted, ""))
    if needed > most:
        return f"no value of {name} is enough: {why}"
    note = ""
    if wanted > most:
        note = f"capped, since {why}: the plan would use {ceil(100 * needed / most)} % of this value"
        note += NO_FIT if limit.verdict == "exceeded" else ""
    return PlanSysctl(limit.name, name, (limit.maximum or 0,), (needed,), (min(wanted, most),), note)


def _tcp_mem_sysctl(
    limit: PlanLimit, now: tuple[int, int, int], needed: int, memory_bytes: int | None, unit: int
) -> PlanSysctl | str:
    """Advice on the three values of tcp_mem.

    Memory pressure begins at the second value; `needed` is in pages. The kernel sets the three values to 3/4, 1 and 3/2
    of the second value (net/ipv4/tcp.c, tcp_init_mem).
    """
    second = _sysctl(limit, "net.ipv4.tcp_mem", needed, memory_bytes, unit)
    if isinstance(second, str):
        return second
    most = inf if memory_bytes is None else memory_bytes // unit

    def three_values(value: int) -> tuple[int, int, int]:
        return value * 3 // 4, value, max(now[2], value, int(min(value * 3 // 2, most)))

    [advised] = second.advised
    third_is_capped = advised * 3 // 2 > most
    note = second.note or ("the third value capped, since the machine has less memory" if third_is_capped else "")
    return PlanSysctl(limit.name, second.name, now, three_values(needed), three_values(advised), note)


def _usable_bytes(ledger: Ledger, memory_bytes: int | None) -> int | None:
    """The memory that buffers can have: what they have now and what more sockets can take; None if unknown."""
    more, charged = ledger.headroom["full"].with_reclaim_bytes, ledger.sockets.buffer_bytes
    if more is None or charged is None:
        return memory_bytes
    return more + charged if memory_bytes is None else min(memory_bytes, more + charged)


def machine_bytes(snapshot: Snapshot, ledger: Ledger) -> int | None:
    """The machine's memory that slabs can use, in bytes; None if meminfo is damaged or without MemTotal.

    A container with its own meminfo (lxcfs) may show a MemTotal below the memory of the machine. The file zoneinfo
    always shows the memory of the whole machine, so the memory of the zones is used if it exceeds MemTotal. The memory
    of zones that slabs cannot use is left out; without zoneinfo, that of HighMem, which meminfo has. Huge pages are
    left out too, but for those that these zones may have.
    """
    meminfo, zoneinfo = snapshot.meminfo, snapshot.zoneinfo.value
    if meminfo.value is None or meminfo.value.total_bytes is None or meminfo.state not in ("ok", "late"):
        return None
    zones, page_bytes = zoneinfo.zones if zoneinfo else (), ledger.host.page_size_bytes or MIN_PAGE_BYTES
    managed_bytes = sum(zone.managed_pages or 0 for zone in zones) * page_bytes
    unusable_bytes = sum(zone.managed_pages or 0 for zone in zones if zone.name not in SLAB_ZONES) * page_bytes
    if not zones:
        unusable_bytes = min(meminfo.value.total_bytes, meminfo.value.high_total_bytes or 0)
    all_bytes = max(meminfo.value.total_bytes, managed_bytes)
    return all_bytes - min(all_bytes, max(unusable_bytes, meminfo.value.huge_page_bytes or 0))
