"""JSON objects of the recordings, and of cases in which each field has a value, is null or is below 0."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import made_smbios
from made_look import HERE, WHOLE_MACHINE, group, net, process, shared, table_of
from made_machine import make_machine
from recorded import (
    ALL,
    RECORDINGS,
    MemoryHost,
    ledger,
    ledger_of,
    release_files,
    snapshot,
    snapshot_of,
    take_snapshot,
    text,
    tree,
)

from tcptop.accounting import account
from tcptop.accounting.checks import CHECK_NAMES, Ranges, SocketGrowth, run_checks, unchecked_limits
from tcptop.accounting.host_row import RowAccount
from tcptop.accounting.plan import make_plan
from tcptop.comparison.compare import compare_ledgers
from tcptop.explanation.holder_rows import GROUPINGS, holder_rows
from tcptop.hosts.folder import FolderHost
from tcptop.hosts.host import FileRead, FolderRead, Identity
from tcptop.hosts.run_sync import run_sync
from tcptop.lab.as_json import result_as_json
from tcptop.lab.compare import compare_as_json
from tcptop.lab.result import LabPart, LabResult, StateResult
from tcptop.lab.runs import KTLS, RUNS
from tcptop.ledger import Ledger
from tcptop.ledger.host_row import HostLook
from tcptop.ledger.plan import PlanRequest
from tcptop.report.as_json import as_object, head_as_object, holders_of
from tcptop.report.check_json import checks_as_object
from tcptop.report.diff_json import diff_as_object
from tcptop.report.hosts_report import look_as_object
from tcptop.report.plan_json import plan_as_object
from tcptop.sampling.sampler import make_snapshot
from tcptop.snapshot import NOT_READ, CgroupMemory, EventCounters, LabMeasurement, MeasuredState, Reading, Snapshot
from tcptop.sources.smbios import SmbiosSource
from tcptop.text.ranges import parse_range

Json = dict[str, Any]

KERNEL, PHASE = "6.1-4n", "established"
"""The recording that the patched trees are based on."""


class PatchedHost:
    """A recording with some files replaced, or absent if their content is None."""

    def __init__(self, patches: Mapping[str, str | None]) -> None:
        self._host = FolderHost(str(tree(KERNEL, PHASE)))
        self._patches = patches
        self.identity = self._host.identity

    async def read(self, paths: Sequence[str]) -> list[FileRead]:
        """Reads each path."""
        return [self._patched(file) for file in await self._host.read(paths)]

    def _patched(self, file: FileRead) -> FileRead:
        if file.path not in self._patches:
            return file
        content = self._patches[file.path]
        if content is None:
            return FileRead(file.path, None, FileNotFoundError(errno.ENOENT, "No such file or directory"), 1)
        return FileRead(file.path, content.encode(), None, 1)

    async def list_folder(self, path: str) -> FolderRead:
        """Lists the recording's folder."""
        return await self._host.list_folder(path)

    def close(self) -> None:
        """Closes the recording."""
        self._host.close()


def ledger_with_files(files: Mapping[str, str | None]) -> Ledger:
    """The ledger of the recording with some files replaced or absent."""
    host = PatchedHost(files)
    try:
        return account(take_snapshot(host))
    finally:
        host.close()


def ledger_of_files(files: Mapping[str, str], slab_links: Mapping[str, str | None] | None = None) -> Ledger:
    """The ledger of a tree of a few files, with the given names and links in /sys/kernel/slab."""
    folders = {} if slab_links is None else {"sys/kernel/slab": slab_links}
    return account(take_snapshot(MemoryHost({path: content.encode() for path, content in files.items()}, folders)))


def ledger_with_lab(kernel: str) -> Ledger:
    """The ledger of the recording with a lab result of the given kernel."""
    states = {"established/accepted": MeasuredState((), 0.0)}
    measured = LabMeasurement("lab.json", kernel, None, 4096, False, states)
    return account(snapshot(KERNEL, PHASE)._replace(lab_measurement=measured))


def ledger_with_range_of_fits() -> Ledger:
    """Buffers leave open whether memory or the files come first; tcp_mem is not visible, as in a network namespace."""
    sample = snapshot("6.12-4n", "halfclosed")
    assert sample.socket_limits.value is not None
    files = sample.socket_limits.value._replace(max_open_files=900_000)
    return account(
        sample._replace(
            socket_limits=sample.socket_limits._replace(value=files),
            sysctls=sample.sysctls._replace(value=sample.sysctls.value and sample.sysctls.value._replace(tcp_mem=None)),
        )
    )


def ledger_with_growth() -> Ledger:
    """The ledger of the recording two seconds after an overflow of an accept queue was read."""
    before: Reading[EventCounters] = Reading("ok", EventCounters({"ListenOverflows": 3}), None, 1.0, 1, 1.0, None, None)
    after: Reading[EventCounters] = before._replace(
        value=EventCounters({"ListenOverflows": 10}), taken_at_s=3.0, before=before
    )
    return account(snapshot(KERNEL, PHASE)._replace(netstat=after))


def live_ledger() -> Ledger:
    """The ledger of this machine, with the rights of the user who runs the tests."""
    host = FolderHost("/")
    try:
        return account(take_snapshot(host))
    finally:
        host.close()


def ledger_while_sockets_change(factor: int) -> Ledger:
    """A ledger whose number of sockets was read again a second after slabinfo, when it was `factor` times as large."""
    sample = snapshot(KERNEL, PHASE)
    sockets = sample.sockstat.value
    assert sockets is not None
    assert sockets.allocated is not None
    allocated = factor * sockets.allocated
    later = sockets._replace(allocated=allocated, inuse=min(allocated, sockets.inuse or 0))
    return account(
        sample._replace(
            live=True,
            taken_at_unix_s=1_000_000.0,
            monotonic_s=2.0,
            slabinfo=sample.slabinfo._replace(taken_at_s=1.0),
            slab_counts=sample.slab_counts._replace(taken_at_s=1.0),
            sockstat=sample.sockstat._replace(value=later, taken_at_s=2.0),
        )
    )


SLABINFO = text(KERNEL, PHASE, "proc/slabinfo")
OF_SOCKETS = re.compile("slabinfo|#|(MP)?TCP|tw_|request_sock_|pid|anon_vma_chain|kmalloc-(32|128|192|256|512) ")
FEW_OBJECTS = """\
filp 32 32 256 32 2 : tunables 0 0 0 : slabdata 1 1 0
skbuff_head_cache 32 32 256 32 2 : tunables 0 0 0 : slabdata 1 1 0
dentry 21 21 192 21 1 : tunables 0 0 0 : slabdata 1 1 0
sock_inode_cache 16001 16029 832 39 8 : tunables 0 0 0 : slabdata 411 411 0
lsm_file_cache 170 170 24 170 1 : tunables 0 0 0 : slabdata 1 1 0
lsm_inode_cache 16000 16000 32 128 1 : tunables 0 0 0 : slabdata 125 125 0
kmalloc-16 16001 16128 16 256 1 : tunables 0 0 0 : slabdata 63 63 0
kmem_cache 32 32 256 32 2 : tunables 0 0 0 : slabdata 1 1 0
"""
FEW = re.compile(r"^(kmalloc-[0-9]+|pid|anon_vma_chain) +\d+ +\d+ +(\d+) +(\d+) +(\d+) .*$", re.M)
BEFORE_THE_SOCKETS = {
    "sys/fs/cgroup/cgroup.controllers": "memory\n",
    "sys/fs/cgroup/cgroup.subtree_control": "memory\n",
    "proc/meminfo": "MemTotal: 6077648 kB\nSlab: 50000 kB\n",
    "proc/slabinfo": FEW.sub(
        r"\1 1 \3 \2 \3 \4 : tunables 0 0 0 : slabdata 1 1 0",
        "".join(line for line in SLABINFO.splitlines(keepends=True) if OF_SOCKETS.match(line)),
    )
    + FEW_OBJECTS,
    **{
        f"sys/kernel/slab/{folder.name}/{count}": None
        for folder in (tree(KERNEL, PHASE) / "sys/kernel/slab").iterdir()
        if not folder.name.startswith(("TCP", "tw_sock", "request_sock"))
        for count in ("slabs", "total_objects")
    },
}
"""Files with fewer objects than the sockets hold, as if read before most sockets were opened."""

CONNTRACK_ROW = "nf_conntrack 250 256 256 16 1 : tunables 0 0 0 : slabdata 16 16 0\n"
CONNTRACK = {
    "proc/sys/net/netfilter/nf_conntrack_count": "250\n",
    "proc/sys/net/netfilter/nf_conntrack_max": "65536\n",
    "proc/net/tls_stat": "TlsCurrTxSw 0\nTlsCurrRxSw 0\nTlsCurrTxDevice 0\nTlsCurrRxDevice 0\n",
}
"""A kernel with the modules nf_conntrack and tls."""

FREE_BLOCKS_BY_TYPE = """\
Page block order: 9
Pages per block:  512

Free pages count per migrate type at order       0      1      2
Node    0, zone   Normal, type    Unmovable      1      2      3

"""
SIZES_OF_STRUCTS = """\
protocol  size sockets  memory press maxhdr
TCP       2280      1       0   no       320
"""


def special_ledgers(folder: Path) -> dict[str, Ledger]:
    """Ledgers with values that no recording has, by name."""
    return {
        "live": live_ledger(),
        "growth": ledger_with_growth(),
        "sockets that open": ledger_while_sockets_change(2),
        "sockets that close": ledger_while_sockets_change(0),
        "nothing": ledger_of_files({}),
        "slab links alone": ledger_of_files(
            {}, {"TCP": None, "tcp_bind_bucket": ":a", "eventpoll_epi": ":a", ":a": None}
        ),
        "no page size": ledger_of_files({"proc/net/protocols": SIZES_OF_STRUCTS}, {"TCP": None}),
        "free blocks by type alone": ledger_of_files({"proc/pagetypeinfo": FREE_BLOCKS_BY_TYPE}),
        "without slabinfo": ledger_with_files({"proc/slabinfo": None}),
        "half a slabinfo": ledger_with_files({"proc/slabinfo": SLABINFO[: len(SLABINFO) // 2]}),
        "files that disagree": ledger_with_files(BEFORE_THE_SOCKETS),
        "without migrate types": ledger_with_files({"proc/pagetypeinfo": None}),
        "without slabs of TCP": ledger_with_files({"sys/kernel/slab/TCP/slabs": None}),
        "without objects of TCP": ledger_with_files({"sys/kernel/slab/TCP/total_objects": None}),
        "TIME_WAIT of an unknown scope": ledger_with_files(release_files("4.10.0")),
        "four CPUs": ledger_with_files({"sys/devices/system/cpu/online": "0-3\n"}),
        "machine one": ledger_with_files({"proc/sys/kernel/hostname": "one\n"}),
        "machine two": ledger_with_files({"proc/sys/kernel/hostname": "two\n"}),
        "limits on files and flows": ledger_with_files(
            {
                "proc/sys/fs/file-nr": "21200\t0\t100000\n",
                "proc/sys/net/netfilter/nf_conntrack_count": "250\n",
                "proc/sys/net/netfilter/nf_conntrack_max": "65536\n",
            }
        ),
        "conntrack and kernel TLS": ledger_with_files({**CONNTRACK, "proc/slabinfo": SLABINFO + CONNTRACK_ROW}),
        "memory or files first": ledger_with_range_of_fits(),
        "a lab result": ledger_with_lab(text(KERNEL, PHASE, "proc/sys/kernel/osrelease").strip()),
        "a lab result of another kernel": ledger_with_lab("7.0"),
        **ledgers_with_cgroup(),
        **ledgers_with_hardware(),
        **ledgers_with_looks(),
        **{
            name: ledger_of(make_machine(name, folder / name))
            for name in ("counts that are capped", "without memory or CPUs")
        },
    }


def reports(special: Mapping[str, Ledger]) -> Iterator[Json]:
    """Yields the output of `tcptop --json`."""
    for kernel, phase in ALL:
        yield as_object(ledger(kernel, phase))
    yield from map(as_object, special.values())


REFUSED = net(None, False, "refused", reason="Permission denied")
SMALL = net(4026532400, False, "listeners", inuse=3)
CUT = net(4026532500, False, "cut", reason="the dump was ended after 10 s")
"""Network namespaces whose sockets were not read, or not all read."""


def ledgers_with_looks() -> dict[str, Ledger]:
    """Ledgers of the recording with lists of sockets: one list, two lists of a live machine, and an incomplete list."""
    of = snapshot(KERNEL, PHASE)
    first = Reading("ok", table_of(*WHOLE_MACHINE), None, 3.0, 12, 5.0, None, None)
    grown = table_of(*(line.replace("TCPReqQFullDrop=0", "TCPReqQFullDrop=271") for line in WHOLE_MACHINE))
    second: Reading[Any] = first._replace(value=grown, taken_at_s=9.0, before=first)
    unseen = table_of(
        *(net(HERE), REFUSED, SMALL, CUT),
        *(group("unseen", 5, uid=7, cgroup=5, peer="10.1.2.0/24"), group("none", 3, uid=7, family=10)),
        group("unseen", 5, "FIN_WAIT2", server=False),
        *(net(number, False, found_by=word) for number, word in ((5, "thread"), (6, "descriptor"))),
        *(process(10), process(11), shared(10, 11, 4), shared(98, 99, 2)),
    )._replace(unread_processes=2)
    unsure: Reading[Any] = first._replace(state="strange", reason="2 lines were left out", value=unseen)
    nothing = take_snapshot(MemoryHost({}))
    return {
        "a look": account(of._replace(socket_table=first)),
        "two looks": account(
            of._replace(live=True, taken_at_unix_s=1_795_348_800.5, monotonic_s=10.0, socket_table=second)
        ),
        "a look that saw little": account(of._replace(socket_table=unsure)),
        "a look without other files": account(nothing._replace(socket_table=first)),
    }


def who_looks(special: Mapping[str, Ledger]) -> Iterator[Json]:
    """Yields the output of `tcptop who --json` by each grouping."""
    for of in special.values():
        if of.holders is not None:
            for by in GROUPINGS:
                rows = holder_rows(of.holders, by, top=4)
                yield {**head_as_object(of), **(holders_of(of, by, rows) or {})}


def ledgers_with_hardware() -> dict[str, Ledger]:
    """Ledgers of machines with one node and with four nodes; the firmware's tables have two processors, or only
    slots.
    """
    slot_without_anything = made_smbios.structure(17, 1, {0x0C: (2, 0xFFFF)})
    array_without_anything = made_smbios.structure(16, 2, {})
    bare = slot_without_anything + array_without_anything + made_smbios.END
    found = {}
    for kernel, table in (("6.1-1n", made_smbios.small_machine()), (KERNEL, bare)):
        reading = run_sync(SmbiosSource().read(MemoryHost(dict(made_smbios.files(table)))))
        found[f"firmware tables, {kernel}"] = account(snapshot(kernel, PHASE)._replace(smbios=reading))
    statuses = b"".join(
        made_smbios.structure(4, status, {0x18: (1, status)}) for status in (0x40, 0x42, 0x43, 0x44, 0x47)
    )
    reading = run_sync(SmbiosSource().read(MemoryHost(dict(made_smbios.files(statuses + made_smbios.END)))))
    found["processors"] = account(snapshot(KERNEL, PHASE)._replace(smbios=reading))
    two_in_one_slot = (
        made_smbios.structure(16, 0x1000, {0x0D: (2, 1)}) + made_smbios.structure(17, 7, made_smbios.DIMM) * 2
    )
    reading = run_sync(SmbiosSource().read(MemoryHost(dict(made_smbios.files(two_in_one_slot + made_smbios.END)))))
    found["two devices in one slot"] = account(snapshot(KERNEL, PHASE)._replace(smbios=reading))
    return found


def host_looks() -> Iterator[Json]:
    """Yields lines of `tcptop --json --host` with several machines: answers, lost machines, and unreadable files."""
    yield look_as_object(HostLook("web22", None, None, "ssh: Connection refused", 7.0))
    for phases in (("established",), ("base", "established", "base", "timewait", "base")):
        account_row = RowAccount()
        for number, phase in enumerate(phases):
            of = snapshot(KERNEL, phase)._replace(live=True, monotonic_s=2.0 * number, taken_at_unix_s=1795348800.4)
            row = account_row.row(of)
            yield look_as_object(HostLook("root@web17", row._replace(host=row.host._replace(name="web17")), 0.2))
    unread: Reading[Any] = NOT_READ._replace(state="refused", reason="/proc/slabinfo is for root only")
    of = snapshot(KERNEL, PHASE)
    yield look_as_object(HostLook("db1", RowAccount().row(of._replace(slabinfo=unread)), 0.2))
    nothing = make_snapshot(Identity(live=True), 1795348800.4, 2.0, {})
    yield look_as_object(HostLook("db2", RowAccount().row(nothing), 0.2))


def ledgers_with_cgroup() -> dict[str, Ledger]:
    """Ledgers of the recording with a memory cgroup that the user named, by the state of its files."""
    of = snapshot(KERNEL, PHASE)
    known = CgroupMemory("web.slice", 99_857_600, 104_857_600, False, 3_000_000, 40_960, 70_000_000, 1_000_000, None)
    missing = CgroupMemory(
        "nope", None, None, False, None, None, None, None, "there is no /sys/fs/cgroup/nope/memory.max here"
    )
    of_v1 = known._replace(path="memory/web", is_v1=True, sock_max_bytes=81_920, kernel_max_bytes=90_000_000)._replace(
        hidden_max_bytes=104_000_000
    )
    above = known._replace(path="web", max_bytes=104_000_000)
    return {
        "a memory cgroup": account(of._replace(cgroup=known)),
        "a memory cgroup of cgroup v1": account(of._replace(cgroup=of_v1)),
        "a memory cgroup below another": account(of._replace(cgroup=known._replace(above=(above,)))),
        "a memory cgroup without a limit": account(
            of._replace(cgroup=known._replace(max_bytes=None, is_unlimited=True, sockets_enabled=None))
        ),
        "no such memory cgroup": account(of._replace(cgroup=missing)),
    }


REQUEST = PlanRequest(100_000, "proxy", "ipv4", 16_384, 300_000, True, True, True)
IDLE_REQUEST = PlanRequest(1, "accepted", "ipv4", 0, 0, False, False, False)


def snapshots_to_plan(folder: Path) -> Iterator[Snapshot]:
    """Yields snapshots of the recordings, of a machine with conntrack, and of machines with few files."""
    for kernel in RECORDINGS:
        yield snapshot(kernel, "established")
    cgroup = CgroupMemory("web.slice", 99_857_600, 104_857_600, False, 3_000_000, 40_960, 70_000_000, 1_000_000, None)
    yield snapshot(KERNEL, PHASE)._replace(cgroup=cgroup)
    yield take_snapshot(MemoryHost({}))
    host = PatchedHost({"proc/slabinfo": SLABINFO + CONNTRACK_ROW, **CONNTRACK})
    try:
        yield take_snapshot(host)
        yield take_snapshot(host)._replace(taken_at_unix_s=1_795_348_800.5)
    finally:
        host.close()
    protocols = text(KERNEL, PHASE, "proc/net/protocols").replace("       0   no     320", "       0   yes    320")
    alarms: dict[str, str | None] = {"proc/net/protocols": protocols, "proc/sys/net/ipv4/tcp_mem": None}
    mem = "20000 30000 40000\n"
    for patches in ({"proc/sys/net/ipv4/tcp_mem": mem}, {}, {"proc/net/sockstat": None}):
        host = PatchedHost({**alarms, **patches})
        try:
            yield take_snapshot(host)
        finally:
            host.close()
    for name in ("counts that are capped", "without memory or CPUs"):
        yield snapshot_of(make_machine(name, folder / f"plan {name}"))


def plans(folder: Path) -> Iterator[Json]:
    """Yields the output of `tcptop plan --json`."""
    for of in snapshots_to_plan(folder):
        plan_ledger = account(of)
        for request in (
            REQUEST,
            IDLE_REQUEST,
            IDLE_REQUEST._replace(buffer_bytes="now"),
            IDLE_REQUEST._replace(family="ipv6", side="outgoing", time_wait=1, connections=50_000),
        ):
            yield plan_as_object(plan_ledger, make_plan(of, plan_ledger, request))


def checks(special: Mapping[str, Ledger]) -> Iterator[Json]:
    """Yields the output of `tcptop check --json`."""
    sure, unsure = SocketGrowth(-12.5, None), SocketGrowth(None, "one sample")
    alerting = {
        "memory": Ranges(parse_range("1"), None),
        "idle": Ranges(None, parse_range("@0:")),
        "growth": Ranges(parse_range("0:"), None),
    }
    for each in (ledger(KERNEL, PHASE), *special.values(), ledger(KERNEL, PHASE)._replace(taken_at_unix_s=1.5)):
        yield checks_as_object(each, (found := run_checks(each, (), {}, unsure, None)), unchecked_limits(each, found))
        yield checks_as_object(each, run_checks(each, CHECK_NAMES, alerting, sure, None))
        yield checks_as_object(each, run_checks(each, CHECK_NAMES, {}, unsure, False))


def differences(special: Mapping[str, Ledger]) -> Iterator[Json]:
    """Yields the output of `tcptop diff --json` for two ledgers."""
    base, whole = ledger(KERNEL, "base"), ledger(KERNEL, PHASE)
    pairs = [
        (ledger(kernel, before), ledger(kernel, after))
        for kernel, phases in RECORDINGS.items()
        for before, after in pairwise(phases)
    ]
    pairs += [(after, before) for before, after in pairs]
    pairs += [(base, each) for each in special.values()]
    pairs += [(special[name], whole) for name in ("nothing", "without slabinfo", "counts that are capped")]
    pairs += [(special["nothing"], special["nothing"]), (special["live"], special["live"])]
    pairs += [(special["machine one"], special["machine two"]), (whole, ledger("6.12-arm64-16k-4n", "base"))]
    for before, after in pairs:
        yield diff_as_object(compare_ledgers(before, after, ("A", "B")))


TCP = LabPart("TCP", ("TCP",), 1.0, 2520.0, 1.0, 1.0, 2520.0)
SMALLER_TCP = LabPart("TCP", ("TCP",), 0.9, 2268.0, 1.0, 1.0, 2520.0)
UNKNOWN = LabPart("kmalloc-64", ("kmalloc-64",), 1.0, 64.0, 0.999, None, None)
VECTORS = LabPart("obj_cgroup vectors", ("obj_cgroup vectors",), 0.2, 38.0, 0.98, 0.19, 36.5)


def lab_state(
    *parts: LabPart, disturbed: bool = False, ports: int = 1000, vectors: LabPart | None = VECTORS
) -> StateResult:
    """A state of a lab result with these parts."""
    return StateResult(
        connections=8000,
        sockets=8000,
        parts=parts,
        vectors=vectors,
        catalogue_bytes=sum(part.catalogue_bytes or 0.0 for part in parts),
        catalogue_missing=() if vectors else ("LSM socket blob (kmalloc)",),
        catalogue_counts_vectors=vectors is not None,
        observer=LabPart("proc_inode_cache", ("proc_inode_cache",), 0.9, 855.0, 0.99, None, None),
        control_bytes=-1.5,
        all_rows_bytes=sum(part.bytes for part in (*parts, *filter(None, [vectors]))),
        other_programs_bytes=-3.25,
        uncertain_bytes=0.0,
        local_ports=ports,
        other_sockets=800 if disturbed else 0,
    )


@cache
def lab_results() -> list[Json]:
    """The output of `tcptop lab --json`: two kernels in all states, and two results of one state."""
    taken_at_unix_s, connections, took_s = 1_795_365_003.7, 8000, 12.34

    def result(
        kernel: str | None, ipv6: bool, states: Mapping[str, StateResult], skipped: Mapping[str, str] | None = None
    ) -> Json:
        build_id, page_bytes = ("ab" * 20, 4096) if kernel else (None, None)
        return result_as_json(
            LabResult(kernel, build_id, taken_at_unix_s, page_bytes, ipv6, connections, took_s, states, skipped or {})
        )

    def tls_state(amount: float) -> StateResult:
        tls = LabPart("kmalloc-4k", ("kmalloc-4k",), 1.0, amount, 1.0, None, None)
        return lab_state(TCP, tls, vectors=None)._replace(tls_rows=frozenset({tls.row}))

    every = {run.key: lab_state(TCP, UNKNOWN) for run in RUNS}
    every |= {"established/pair": lab_state(TCP, vectors=None)}
    every |= {"ktls/context": tls_state(1024.0), "ktls/tx": tls_state(12_340.5), "ktls/pair": tls_state(25_315.0)}
    without_ktls = {run.key: lab_state(TCP if run.side else SMALLER_TCP) for run in RUNS if run.state != KTLS}
    return [
        result("6.18.0", False, every),
        result("6.1.0", False, without_ktls),
        result(None, True, {"close_wait": lab_state(TCP, disturbed=True, vectors=None)}),
        result("6.18.0", False, {"established/few_ports": lab_state(UNKNOWN, ports=0, vectors=None)}, {"ktls": "none"}),
    ]


def lab_comparisons() -> Iterator[Json]:
    """Yields the output of `tcptop lab --json --compare` for two lab results."""
    for first, second in lab_pairs():
        yield compare_as_json(first, second)


def lab_differences() -> Iterator[Json]:
    """Yields the output of `tcptop diff --json` for two lab results."""
    for first, second in lab_pairs():
        yield compare_as_json(first, second)


def lab_pairs() -> Iterator[tuple[Json, Json]]:
    """Yields pairs of lab results."""
    yield from pairwise(lab_results())
    yield from pairwise(reversed(lab_results()))
