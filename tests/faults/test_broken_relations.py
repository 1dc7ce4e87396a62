"""One edit breaks each relation that the kernel guarantees: the source becomes strange, and the reason is shown.

Figures computed from the source are not complete, and neither `check` nor `plan` relies on such figures.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import made_smbios as made
import pytest
from made_look import HERE, group, listen, look_text, net, process
from program import CHECKOUT, output, report, run, text_report
from recorded import release_files

from tcptop.accounting.contradictions import RELATIONS

WHOLE = CHECKOUT / "tests/recordings/6.12-4n/established"
SLABINFO, SOCKSTAT, MEMINFO = "proc/slabinfo", "proc/net/sockstat", "proc/meminfo"
ZONEINFO, BUDDYINFO, PAGETYPEINFO = "proc/zoneinfo", "proc/buddyinfo", "proc/pagetypeinfo"
ZONES = (WHOLE / ZONEINFO).read_text()
TCP, NODE = "sys/kernel/slab/TCP", "sys/devices/system/node"
TCP_ROW = r"^TCP +\d+ +\d+ +\d+ +\d+ +\d+ : tunables    0    0    0 : slabdata +\d+ +\d+ "
NORMAL = r"(?s)(Node 3, zone   Normal.*?"
"""The beginning of a pattern for a line of a zone in zoneinfo."""


LINK = "->"


class Edit(NamedTuple):
    """The replacement of a pattern in a file; without a pattern, the text of the whole file.

    If the pattern is `LINK`, a link to `text` replaces the file or folder.
    """

    path: str
    pattern: str
    text: str


def row(active: int, objects: int, size: int, per_slab: int, pages: int, slabs: int) -> Edit:
    """The row TCP with the given numbers; the right numbers are 16 016 objects of 2 432 B, 13 in each of 1 232 slabs of
    8 pages.
    """
    text = f"TCP {active} {objects} {size} {per_slab} {pages} : tunables    0    0    0 : slabdata {slabs} {slabs} "
    return Edit(SLABINFO, TCP_ROW, text)


def of_release(release: str) -> list[Edit]:
    """The release in both files that name it."""
    return [Edit(path, "", text) for path, text in release_files(release).items()]


def line(path: str, name: str, number: int) -> Edit:
    """The amount of a line of meminfo in kB."""
    return Edit(path, rf"{name}: +\d+", f"{name}: {number}")


def zone(key: str, number: int) -> Edit:
    """A count of pages of the zone Normal of node 3."""
    return Edit(ZONEINFO, rf"{NORMAL}\n +{key} +)\d+", rf"\g<1>{number}")


def sockstat(key: str, number: int) -> Edit:
    """A count of the TCP line: 16 001 in use and allocated."""
    return Edit(SOCKSTAT, rf"(TCP: .*{key} )\d+", rf"\g<1>{number}")


def look(*lines: str, **counters: int) -> list[Edit]:
    """A list of 16 001 sockets, as many as sockstat counts, or with other counters and further lines."""
    known = {"inuse": 16_001, "inuse6": 0, "tw": 1, "alloc": 16_001, "orphan": 0, "mem": 0, **counters}
    text = look_text(
        net(HERE, True, "asked", "", "", "process", **known), *(lines or [group(sockets=16_001)]), process()
    )
    return [Edit("sock_diag/sockets", "", text)]


def firmware(*structures: bytes) -> list[Edit]:
    """Tables of the firmware with the given structures."""
    files = made.files(b"".join([*structures, made.END]))
    return [Edit(path, "", content.decode("latin-1")) for path, content in files.items()]


SLAB_HEADER = "slabinfo - version: 2.1\n# name <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>\n"
TLS = "TlsCurrTxSw {}\nTlsCurrRxSw {}\nTlsCurrTxDevice {}\nTlsCurrRxDevice {}\n"
NETSTAT = Edit("proc/net/netstat", "", "TcpExt: ListenOverflows ListenDrops TCPOFODrop\nTcpExt: 90000 12 7\n")
COUNT = "proc/sys/net/netfilter/nf_conntrack_count"
MEMORY_KB = 6_084_512
MANY = 1 << 34

EDITS: dict[str, tuple[str, Sequence[Edit]]] = {
    "sizes of a row": ("slabinfo", [row(16001, 16016, 2432, 0, 8, 1232)]),
    "pages of a slab": ("slabinfo", [row(16001, 16016, 2432, 11, 7, 1456)]),
    "objects of a slab fit": ("slabinfo", [row(16001, 16016, 2432, 14, 8, 1232)]),
    "objects fill a slab": ("slabinfo", [row(16001, 16016, 2432, 12, 8, 1335)]),
    "active objects of objects": ("slabinfo", [row(160010, 16016, 2432, 13, 8, 1232)]),
    "slabs have objects": ("slabinfo", [row(3001, 3016, 2432, 13, 8, 6232)]),
    "objects have slabs": ("slabinfo", [row(16001, 16016, 2432, 13, 8, 123)]),
    "objects of the SLAB allocator": (
        "slabinfo",
        [
            Edit(
                SLABINFO,
                "",
                f"{SLAB_HEADER}TCP 5 16 1536 5 2 : tunables 24 12 8 : slabdata 3 3 0\n"
                "kmem_cache 1 24 160 24 1 : tunables 32 16 8 : slabdata 1 1 0\n",
            )
        ],
    ),
    "slabs in memory": ("slabinfo", [row(160010000, 160160000, 2432, 13, 8, 12320000)]),
    "objects in memory": ("slabinfo", [row(3000000, 3000010, 2432, 13, 8, 230770)]),
    "struct in its object": ("slabinfo", [row(16001, 16016, 1216, 26, 8, 616)]),
    "object size in both files": ("slabinfo", [row(16001, 16016, 2440, 13, 8, 1232)]),
    "objects of a slab in both files": (
        "slabinfo",
        [Edit(f"{TCP}/objs_per_slab", r"\d+", "6"), *([Edit(f"{TCP}/order", r"\d+", "2")])],
    ),
    "pages of a slab in both files": (
        "slabinfo",
        [Edit(f"{TCP}/order", r"\d+", "2"), *([Edit(f"{TCP}/objs_per_slab", r"(?s).*", "")])],
    ),
    "a row of every cache": ("slabinfo", [Edit(SLABINFO, r"^sock_inode_cache .*\n", "")]),
    "rows of one name": (
        "slabinfo",
        [
            Edit(SLABINFO, r"^(TCP +\d+ .*\n)", r"\1TCP 4 4 2432 1 1 : tunables    0    0    0 : slabdata 4 4 0\n"),
            Edit(f"{TCP}/objs_per_slab", r"(?s).+", ""),
            Edit(f"{TCP}/order", r"(?s).+", ""),
        ],
    ),
    "rows in Slab": (
        "slabinfo",
        [line(MEMINFO, "Slab", 60000), line(MEMINFO, "SReclaimable", 24000), line(MEMINFO, "SUnreclaim", 36000)],
    ),
    "sockets with an inode": (
        "slabinfo",
        [
            Edit(SLABINFO, r"^sock_inode_cache .* : tunables", "sock_inode_cache 1600 1600 832 39 8 : tunables"),
            Edit(SLABINFO, r"^(sock_inode_cache .*slabdata) +\d+ +\d+", r"\1 42 42"),
            Edit("sys/kernel/slab/sock_inode_cache/slabs", r"(?s).*", "42 N0=42\n"),
            Edit("sys/kernel/slab/sock_inode_cache/total_objects", r"(?s).*", "1600 N0=1600\n"),
        ],
    ),
    "counted objects are active": ("slabinfo", [row(0, 16016, 2432, 13, 8, 1232)]),
    "struct in its step": ("slab_sizes", [Edit(f"{TCP}/object_size", r"\d+", "99999")]),
    "objects of an order": ("slab_sizes", [Edit(f"{TCP}/objs_per_slab", r"\d+", "17")]),
    "struct of a protocol": ("slab_sizes", [Edit(f"{TCP}/object_size", r"\d+", "2360")]),
    "slabs have objects in sysfs": ("slab_counts", [Edit(f"{TCP}/total_objects", r"(?s).*", "16 N0=16\n")]),
    "objects of a node in its slabs": ("slab_counts", [Edit(f"{TCP}/total_objects", r"(?s).*", "16016 N0=16016\n")]),
    "a security module of its cache": (
        "security_modules",
        [Edit("sys/kernel/security/lsm", "", "lockdown,capability,yama")],
    ),
    "folder of a cache that never merges": ("slab_links", [Edit(TCP, LINK, ":A-0000128")]),
    "slabs in memory in sysfs": (
        "slab_counts",
        [Edit(f"{TCP}/slabs", r"^\d+", str(1 << 63)), *([Edit(f"{TCP}/total_objects", r"^\d+", str(1 << 63))])],
    ),
    "slabs of the nodes": ("slab_counts", [Edit(f"{TCP}/slabs", r"N0=\d+", "N0=309")]),
    "objects of the nodes": ("slab_counts", [Edit(f"{TCP}/total_objects", r"N0=\d+", "N0=4017")]),
    "slabs of sysfs in slabinfo": ("slab_counts", [Edit(f"{TCP}/slabs", r"(?s).*", "3000 N0=3000\n")]),
    "slabs of slabinfo in sysfs": ("slab_counts", [Edit(f"{TCP}/slabs", r"(?s).*", "123 N0=123\n")]),
    "objects of sysfs in slabinfo": ("slab_counts", [Edit(f"{TCP}/total_objects", r"(?s).*", "32000 N0=32000\n")]),
    "objects of slabinfo in sysfs": ("slab_counts", [Edit(f"{TCP}/total_objects", r"(?s).*", "1600 N0=1600\n")]),
    "allocated of sockstat in memory": ("sockstat", [sockstat("alloc", 2_000_000_000)]),
    "inuse of sockstat6 in memory": ("sockstat6", [Edit("proc/net/sockstat6", r"(TCP6: inuse) \d+", r"\1 2000000000")]),
    "inuse of sockstat in memory": ("sockstat", [sockstat("inuse", 2_000_000_000)]),
    "orphans of sockstat in memory": ("sockstat", [sockstat("orphan", 2_000_000_000)]),
    "time_wait of sockstat in memory": ("sockstat", [sockstat("tw", 2_000_000_000)]),
    "buffer_units of sockstat in memory": ("sockstat", [sockstat("mem", 4_000_000)]),
    **{
        f"largest value of {path.rpartition('/')[2]}": ("socket_limits", [Edit(f"proc/sys/{path}", "", f"{1 << 64}\n")])
        for path in ("net/ipv4/tcp_max_orphans", "net/ipv4/tcp_max_tw_buckets", "net/netfilter/nf_conntrack_max")
    },
    "buffers in both files": ("sockstat", [sockstat("mem", 6_500)]),
    "orphans of allocated sockets": ("sockstat", [sockstat("orphan", 16_600)]),
    "orphans and established sockets of allocated ones": ("sockstat", [sockstat("orphan", 9_000)]),
    "sockets in use of allocated ones": ("sockstat", [sockstat("alloc", 15_400)]),
    "sockets of two other files of allocated ones": (
        "sockstat",
        [sockstat("alloc", 12_400), sockstat("inuse", 12_400)],
    ),
    "allocated sockets of objects": ("sockstat", [sockstat("alloc", 32_000)]),
    "TIME_WAIT sockets of objects": ("sockstat", [sockstat("tw", 100_000)]),
    "sockets of TCP in both files": ("sockstat", [sockstat("inuse", 160)]),
    "sockets of both families in use": ("sockstat6", [Edit("proc/net/sockstat6", r"(TCP6: inuse) \d+", r"\1 9000")]),
    "sockets of TCPv6 in both files": (
        "sockstat6",
        [Edit("proc/net/protocols", r"^(TCPv6 +\d+) +0", r"\1 9000")],
    ),
    "established of snmp in memory": ("snmp", [Edit("proc/net/snmp", r"^(Tcp: \d.*) 16000 ", r"\1 9000000000000 ")]),
    "established of sockets in use": ("snmp", [Edit("proc/net/snmp", r"^(Tcp: \d.*) 16000 ", r"\1 160000 ")]),
    "counts of the TCP line": ("sockstat", [Edit(SOCKSTAT, r"^(TCP: .*) alloc \d+", r"\1")]),
    "listen overflows of listen drops": ("netstat", [NETSTAT]),
    "tx_software of tls_stat in memory": ("tls_stat", [Edit("proc/net/tls_stat", "", TLS.format(MANY, 0, 0, 0))]),
    "rx_software of tls_stat in memory": ("tls_stat", [Edit("proc/net/tls_stat", "", TLS.format(0, MANY, 0, 0))]),
    "tx_device of tls_stat in memory": ("tls_stat", [Edit("proc/net/tls_stat", "", TLS.format(0, 0, MANY, 0))]),
    "rx_device of tls_stat in memory": ("tls_stat", [Edit("proc/net/tls_stat", "", TLS.format(0, 0, 0, MANY))]),
    "sockets that send with kernel TLS": ("tls_stat", [Edit("proc/net/tls_stat", "", TLS.format(30_000, 0, 0, 0))]),
    "sockets that receive with kernel TLS": ("tls_stat", [Edit("proc/net/tls_stat", "", TLS.format(0, 0, 0, 30_000))]),
    "open_files of file-nr in memory": ("socket_limits", [Edit("proc/sys/fs/file-nr", r"^\d+", str(1 << 62))]),
    "open files of sockets": ("socket_limits", [Edit("proc/sys/fs/file-nr", r"^\d+", "158")]),
    "open files of objects": ("socket_limits", [Edit("proc/sys/fs/file-nr", r"^\d+", "158720")]),
    "conntrack_entries of nf_conntrack_count in memory": ("socket_limits", [Edit(COUNT, "", f"{MANY}\n")]),
    "tracked flows of objects": (
        "socket_limits",
        [
            Edit(COUNT, "", "9000\n"),
            Edit(
                SLABINFO,
                r"^(TCP +\d+ .*\n)",
                r"\1nf_conntrack 16 16 256 16 1 : tunables    0    0    0 : slabdata 1 1 0\n",
            ),
        ],
    ),
    "MemTotal of any machine": ("meminfo", [line(MEMINFO, "MemTotal", 1 << 50)]),
    "MemAvailable of MemTotal": ("meminfo", [line(MEMINFO, "MemAvailable", 999_999_999)]),
    "HighTotal of MemTotal": ("meminfo", [Edit(MEMINFO, r"^(SwapTotal:)", r"HighTotal: 999999999 kB\n\1")]),
    "huge pages of MemTotal": ("meminfo", [line(MEMINFO, "Hugetlb", 999_999_999)]),
    "Slab of MemTotal": ("meminfo", [line(MEMINFO, "Slab", 999_999_999)]),
    "SReclaimable of Slab": ("meminfo", [line(MEMINFO, "SReclaimable", 99_999)]),
    "Slab is the sum of its parts": ("meminfo", [line(MEMINFO, "SUnreclaim", 99_999)]),
    "SReclaimable of KReclaimable": ("meminfo", [line(MEMINFO, "KReclaimable", 2_394)]),
    "parts of MemTotal": ("meminfo", [Edit(MEMINFO, r"^Active\(file\): +\d+", f"Active(file): {MEMORY_KB}")]),
    "MemAvailable of what can be freed": (
        "meminfo",
        [line(MEMINFO, "MemAvailable", 6_084_000), *of_release("4.19.0")],
    ),
    "MemAvailable by the kernel's rule": ("meminfo", [line(MEMINFO, "MemAvailable", 5_820_000)]),
    "MemAvailable of free memory": ("meminfo", [line(MEMINFO, "MemAvailable", 565_996)]),
    "a meminfo of fewer pages": (
        "meminfo",
        [line(MEMINFO, "MemTotal", 5_700_000), line(MEMINFO, "MemFree", 5_500_000), line(MEMINFO, "Buffers", 4)],
    ),
    "MemTotal of the zones": ("meminfo", [line(MEMINFO, "MemTotal", 6_300_000)]),
    "memory of meminfo and of the zones": ("meminfo", [line(MEMINFO, "MemFree", 586_069)]),
    "slab memory of the zones": (
        "meminfo",
        [line(MEMINFO, "SReclaimable", 800), line(MEMINFO, "SUnreclaim", 400), line(MEMINFO, "Slab", 1_200)],
    ),
    "protections of a zone": ("zoneinfo", [Edit(ZONEINFO, r"protection: \(([^)]*), \d+\)", r"protection: (\1)")]),
    "distance of any two nodes": ("topology", [Edit(f"{NODE}/node3/distance", "", "256 20 20 10\n")]),
    "pages on per-CPU lists of a zone": ("zoneinfo", [zone("count:", 99_999_999)]),
    "pages of free CMA memory of a zone": ("zoneinfo", [zone("nr_free_cma", 99_999_999)]),
    "pages of page cache of a zone": ("zoneinfo", [zone("nr_zone_inactive_file", 99_999_999)]),
    "pages of page cache of the machine": ("zoneinfo", [zone("nr_inactive_file", 99_999_999)]),
    "pages of reclaimable memory of the machine": ("zoneinfo", [zone("nr_slab_reclaimable", 99_999_999)]),
    "pages of protection of the machine": (
        "zoneinfo",
        [Edit(ZONEINFO, r"protection: \(0, \d+", "protection: (0, 99999999")],
    ),
    "pages below its low watermark of the machine": ("zoneinfo", [zone("low", 9_999_999), zone("high", 99_999_999)]),
    "free pages of a zone": ("zoneinfo", [zone("pages free", 99_999_999)]),
    "free and listed pages of a zone": ("zoneinfo", [zone("count:", 300_000)]),
    "free CMA pages of free pages": ("zoneinfo", [zone("pages free", 3_000), zone("nr_free_cma", 300_000)]),
    "managed pages of present ones": ("zoneinfo", [zone("managed", 99_999_999)]),
    "present pages of spanned ones": ("zoneinfo", [zone("spanned", 4_096)]),
    "low watermark of high watermark": ("zoneinfo", [zone("high", 10)]),
    "min watermark of low watermark": ("zoneinfo", [zone("low", 10)]),
    "boost of min watermark": ("zoneinfo", [zone("boost", 999_999)]),
    "zone of any machine": ("zoneinfo", [zone("present", 1 << 51), zone("managed", 1 << 50), zone("spanned", 1 << 51)]),
    "free blocks of a zone": ("buddyinfo", [Edit(BUDDYINFO, r"(zone +Normal +)\d+", r"\g<1>99999999")]),
    "free pages in two files": ("buddyinfo", [Edit(BUDDYINFO, r"(?s)(Node 3.*) 347 ", r"\1 3 ")]),
    "orders of free blocks": (
        "pagetypeinfo",
        [Edit(BUDDYINFO, "", (WHOLE / BUDDYINFO).read_text().replace(" \n", " 0 \n"))],
    ),
    "pageblocks of a zone": (
        "pagetypeinfo",
        [Edit(PAGETYPEINFO, r"(?s)(Number of blocks.*?Node 0, zone +DMA32 +)29", r"\g<1>2900")],
    ),
    "free memory of a node": ("topology", [line(f"{NODE}/node0/meminfo", "MemFree", 9_999_999)]),
    "managed memory of a node": (
        "topology",
        [line(f"{NODE}/node0/meminfo", "MemTotal", 999_999), line(f"{NODE}/node0/meminfo", "MemFree", 999_999)],
    ),
    "memory of a node is managed": ("topology", [line(f"{NODE}/node3/meminfo", "MemTotal", 1_545_000)]),
    "memory of a node is present": (
        "topology",
        [line(f"{NODE}/node0/meminfo", "MemTotal", 9_999_999), *of_release("3.11.0")],
    ),
    "distance of a node to itself": (
        "topology",
        [Edit(f"{NODE}/node{node}/distance", "", f"{'21' if node == 0 else '20'} 20 20 20\n") for node in range(4)],
    ),
    "free memory of a node and its zones": ("topology", [line(f"{NODE}/node3/meminfo", "MemFree", 1_000)]),
    "online CPUs of the nodes": ("topology", [Edit("sys/devices/system/cpu/online", r".*", "0-63")]),
    "CPUs of the zones are online": ("topology", [Edit("sys/devices/system/cpu/online", r".*", "0")]),
    "CPUs of the nodes are online": (
        "topology",
        [
            Edit("sys/devices/system/cpu/online", r".*", "0"),
            Edit(ZONEINFO, "", re.sub(r"(?m)^ +(pagesets|cpu:|count:|high:|batch:|vm stats|high_m).*\n", "", ZONES)),
        ],
    ),
    "least reserve of buffers of a CPU": ("sysctls", [Edit("proc/sys/net/core/mem_pcpu_rsv", r"\d+", "0")]),
    "largest reserve of buffers of a CPU": (
        "sysctls",
        [Edit("proc/sys/net/core/mem_pcpu_rsv", r"\d+", "99999999999")],
    ),
    "zones of buddyinfo in zoneinfo": ("zoneinfo", [Edit(ZONEINFO, r"(Node 3, zone +)Normal", r"\1Nozmal")]),
    "zones of zoneinfo in buddyinfo": ("buddyinfo", [Edit(BUDDYINFO, r"^Node 3, zone +Normal.*\n", "")]),
    "zones of zoneinfo in pagetypeinfo": (
        "pagetypeinfo",
        [Edit(PAGETYPEINFO, "", re.sub(r"(?m)^Node +3, zone +Normal.*\n", "", (WHOLE / PAGETYPEINFO).read_text()))],
    ),
    "free blocks of all zones": (
        "buddyinfo",
        [
            Edit(ZONEINFO, "", ""),
            Edit(BUDDYINFO, "", "".join(f"Node {node}, zone Normal {'0 ' * 10}1000\n" for node in range(4))),
        ],
    ),
    "struct of a protocol in its object": ("protocols", [Edit("proc/net/protocols", r"^TCP  +2368", "TCP 9999")]),
    "size of a protocol in other files": ("protocols", [Edit("proc/net/protocols", r"^TCP  +2368", "TCP 1000")]),
    "online CPUs of the zones": (
        "topology",
        [
            Edit("sys/devices/system/cpu/online", r".*", "0-63"),
            Edit(f"{NODE}/node0/cpulist", r".*", "0-15"),
            Edit(f"{NODE}/node1/cpulist", r".*", "16-63"),
        ],
    ),
    "enabled cores of a processor": ("smbios", firmware(made.structure(4, 1, made.with_fields(made.SOCKET, at_24=17)))),
    "enabled threads of a processor": (
        "smbios",
        firmware(made.structure(4, 1, made.with_fields(made.SOCKET, at_30=33))),
    ),
    "memory devices of an array": (
        "smbios",
        firmware(
            made.structure(16, 0x1000, made.with_fields(made.ARRAY, at_0d=1)),
            made.structure(17, 0x1100, made.DIMM),
            made.structure(17, 0x1101, made.with_fields(made.DIMM, at_0c=0)),
        ),
    ),
}
"""The edits that break each relation, by its name, and the source that becomes strange."""

CGROUP_STATS: dict[str, dict[str, str]] = {
    "memory.current of the machine": {"memory.current": f"{1 << 45}\n"},
    "memory.stat of memory.current": {"memory.stat": f"active_file 0\ninactive_file 0\nsock {1 << 31}\nkernel 4096\n"},
}


LOOK_EDITS: dict[str, list[Edit]] = {
    "sockets of a look of allocated ones": look(group(sockets=99_999), inuse=99_999),
    "TIME_WAIT sockets of a look": look(group(sockets=16_001), group("none", 5_000, "TIME_WAIT", mini=True)),
    "orphans of a look": look(group("none", 16_001, "FIN_WAIT1")),
    "queued of allocated sockets": look(group(sockets=16_000), listen(queue=10**9, drops=5)),
    "sockets of a look in memory": look(group(sockets=1 << 40), inuse=1 << 40, alloc=1 << 40),
    "received buffers of a look in memory": look(group(sockets=16_001, rmem=1 << 44)),
    "buffers of a look in memory": look(group(sockets=16_001, wmem_queued=1 << 45)),
    "buffers of a look are positive": look(group(sockets=16_001, fwd=-(1 << 33))),
    "sockets of a look in use": look(group(sockets=10)),
}
"""For each relation of a list of all sockets, a list that breaks the relation."""


def edited(destination: Path, edits: Sequence[Edit]) -> Path:
    root = Path(shutil.copytree(WHOLE, destination / "tree", symlinks=True))
    for path, pattern, text in edits:
        file = root / path
        if pattern == LINK:
            shutil.rmtree(file) if file.is_dir() and not file.is_symlink() else file.unlink()
            file.symlink_to(text)
            continue
        if pattern:
            text, number = re.subn(pattern, text, file.read_text(), count=1, flags=re.MULTILINE)
            assert number == 1, path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="latin-1")
    return root


def sentence_pattern(name: str) -> str:
    """The pattern of the sentence that the user reads."""
    [relation] = [relation for relation in RELATIONS if relation.name == name]
    words = re.split(r"\{[^}]*\}", relation.sentence)
    return ".+".join(map(re.escape, words))


def test_every_relation_has_an_edit() -> None:
    names = [relation.name for relation in RELATIONS]
    assert len(set(names)) == len(names)
    assert set(names) == {*EDITS, *CGROUP_STATS, *LOOK_EDITS}
    assert all(relation.slack and relation.files for relation in RELATIONS)


def test_the_tree_without_an_edit_is_not_strange() -> None:
    assert {each["state"] for each in report(WHOLE)["sources"].values()} <= {"ok", "missing", "off", "waiting"}


@pytest.mark.parametrize("name", EDITS)
def test_a_broken_relation_is_strange_and_no_figure_of_it_is_complete(tmp_path: Path, name: str) -> None:
    source, edits = EDITS[name]
    root = edited(tmp_path, edits)
    found = report(root)
    health = found["sources"][source]
    assert health["state"] == "strange", health
    assert re.search(sentence_pattern(name), health["reason"]), health
    assert health["reason"].split(": ", 1)[1] in " ".join(text_report(root).split())
    assert_not_complete(found, source)


@pytest.mark.parametrize(("counter", "total"), [("total_objects", "16016"), ("slabs", "1232")])
def test_a_count_that_lost_its_nodes_is_on_no_node(tmp_path: Path, counter: str, total: str) -> None:
    """A kernel with several nodes prints the count of each node, so the objects are not all on node 0."""
    root = edited(tmp_path, [Edit(f"{TCP}/{counter}", r"(?s).*", f"{total}\n")])
    found = report(root)
    assert found["sources"]["slab_counts"]["state"] == "strange"
    assert "TCP: " in found["sources"]["slab_counts"]["reason"]
    assert_not_complete(found, "slab_counts")
    [cache] = [each for each in found["caches"] if each["name"] == "TCP"]
    assert not cache["nodes"]


def test_more_objects_on_a_node_than_its_slabs_hold_are_strange(tmp_path: Path) -> None:
    moved = "16016 N0=12008 N1=4004 N2=2 N3=2\n"
    found = report(edited(tmp_path, [Edit(f"{TCP}/total_objects", r"(?s).*", moved)]))
    assert found["sources"]["slab_counts"]["reason"].startswith("/sys/kernel/slab: TCP: 12 008 objects on a node, and")


def test_a_link_to_a_folder_of_one_cache_is_strange(tmp_path: Path) -> None:
    found = report(edited(tmp_path, [Edit("sys/kernel/slab/tcp_bind_bucket", LINK, "TCP")]))
    assert found["sources"]["slab_links"]["state"] == "strange"
    assert "tcp_bind_bucket leads to TCP, which is no folder of merged" in found["sources"]["slab_links"]["reason"]
    [cache] = [each for each in found["caches"] if each["name"] == "TCP"]
    assert (cache["shared"], cache["aliases"]) == (False, [])
    assert found["tcp_memory"]["missing"] == ["tcp_bind_bucket"]


def test_two_lines_of_the_memory_controller_are_strange(tmp_path: Path) -> None:
    lines = "memory\t0\t1\t0\nmemory\t0\t5\t1\n"
    text = f"#subsys_name\thierarchy\tnum_cgroups\tenabled\n{lines}"
    found = report(edited(tmp_path, [Edit("proc/cgroups", "", text)]))
    health = found["sources"]["memory_cgroups"]
    assert (health["state"], "memory lines with different values" in health["reason"]) == ("strange", True)
    cost = found["bytes_per_connection"]["full"]["ipv4"]["accepted"]
    assert cost["high_slab_bytes"] > cost["slab_bytes"]


def test_a_migrate_type_that_is_there_twice_is_strange(tmp_path: Path) -> None:
    header = Edit(PAGETYPEINFO, r"(Number of blocks type .*)Reclaimable", r"\g<1>    Movable")
    found = report(edited(tmp_path, [header]))
    assert found["sources"]["pagetypeinfo"]["state"] == "strange"
    assert "Number of blocks type" in found["sources"]["pagetypeinfo"]["reason"]


def test_a_look_that_agrees_with_sockstat_is_complete(tmp_path: Path) -> None:
    found = json.loads(output("who", "--json", "--root", edited(tmp_path, look())))
    assert found["complete"]
    assert found["missing"] == []


@pytest.mark.parametrize("name", LOOK_EDITS)
def test_an_impossible_look_is_not_complete_and_gives_no_verdict(tmp_path: Path, name: str) -> None:
    root = edited(tmp_path, LOOK_EDITS[name])
    found = json.loads(output("who", "--json", "--root", root))
    assert not found["complete"]
    assert not found["sums"]["complete"]
    assert found["sums"]["in_no_hash"] is None
    assert found["verdicts"] == []
    [sentence] = found["missing"]
    assert re.search(sentence_pattern(name), sentence)
    text = " ".join(output("who", "--root", root).split())
    assert re.search(sentence_pattern(name), text)
    assert "in no dump" not in text


def assert_not_complete(found: dict[str, Any], source: str) -> None:
    """No figure that is computed from the source is complete."""
    if source in ("slabinfo", "slab_sizes", "slab_counts", "sockstat", "sockstat6"):
        sides = [side for mode in found["bytes_per_connection"].values() for side in mode["mix"].values()]
        assert not any(side["complete"] for side in sides)
        assert not found["tcp_memory"]["complete"]
        assert found["headroom"]["sockets"] is None
    if source == "smbios":
        figures = [each["cores"] and each["threads"] for each in found["hardware"]["processors"]]
        assert None in figures + [each["slots"] for each in found["hardware"]["memory_arrays"]]
    if source in ("meminfo", "zoneinfo"):
        assert found["headroom"]["sockets"] is None
        assert found["headroom"]["unknown_because"]
    if source == "buddyinfo":
        assert found["headroom"]["without_reclaim_low"] is None


LIMITS_OF: dict[str, set[str]] = {
    "counts of the TCP line": {"tcp_max_orphans", "tcp_max_tw_buckets", "tcp_mem"},
    "orphans and established sockets of allocated ones": {"tcp_max_orphans", "tcp_max_tw_buckets", "tcp_mem"},
    "sockets in use of allocated ones": {"tcp_max_orphans", "tcp_max_tw_buckets", "tcp_mem"},
    "sockets of TCP in both files": {"tcp_max_orphans", "tcp_max_tw_buckets", "tcp_mem"},
    "TIME_WAIT sockets of objects": {"tcp_max_orphans", "tcp_max_tw_buckets", "tcp_mem"},
    "open files of objects": {"file_max"},
    "Slab is the sum of its parts": {"memory"},
    "MemAvailable of free memory": {"memory"},
    "memory of meminfo and of the zones": {"memory"},
    "MemAvailable by the kernel's rule": {"memory"},
    "slab memory of the zones": {"memory"},
    "MemTotal of the zones": {"memory"},
    "a meminfo of fewer pages": {"memory"},
}
"""Limits whose use is computed from the figures of a broken relation."""


@pytest.mark.parametrize("name", LIMITS_OF)
def test_check_is_unknown_where_a_limit_is_made_of_a_broken_relation(tmp_path: Path, name: str) -> None:
    root = edited(tmp_path, EDITS[name][1])
    done = run("check", "--root", root, "--json")
    checks = {each["name"]: each for each in json.loads(done.stdout)["checks"]}
    assert done.returncode == 3
    assert LIMITS_OF[name] <= {limit for limit, each in checks.items() if each["state"] == "UNKNOWN"}
    line = run("check", "--root", root)
    assert (line.returncode, line.stdout.split(" - ")[0]) == (3, "TCPTOP UNKNOWN")
    assert re.search(sentence_pattern(name), line.stdout.replace("...", " "))


@pytest.mark.parametrize("relation", ["slabs of sysfs in slabinfo", "counted objects are active"])
@pytest.mark.parametrize("name", ["bytes_per_connection", "idle"])
def test_check_does_not_believe_a_figure_of_a_broken_relation(tmp_path: Path, name: str, relation: str) -> None:
    root = edited(tmp_path, EDITS[relation][1])
    assert run("check", "--root", root, "--warn", f"{name}=0:", name).stdout.startswith("TCPTOP UNKNOWN")
    assert run("check", "--root", WHOLE, "--warn", f"{name}=0:", name).stdout.startswith("TCPTOP OK")


def test_check_says_which_files_contradict_each_other_that_it_is_not_made_of(tmp_path: Path) -> None:
    root = edited(tmp_path, EDITS["active objects of objects"][1])
    line = output("check", "--root", root)
    assert line.startswith("TCPTOP OK - ")
    assert "; in doubt, and in no figure here: /proc/slabinfo: TCP has 160 010 active objects of 16 016; " in line
    assert json.loads(output("check", "--root", root, "--json"))["line"] == line.rstrip("\n")
    assert "in doubt" not in output("check", "--root", WHOLE)


UNPLANNED = (
    *(
        "sockets with an inode",
        "counted objects are active",
        "slabs of sysfs in slabinfo",
        "sockets in use of allocated ones",
        "orphans and established sockets of allocated ones",
    ),
    *("sockets of TCP in both files", "open files of objects", "memory of meminfo and of the zones"),
    *("zones of buddyinfo in zoneinfo", "size of a protocol in other files"),
    *("counts of the TCP line", "min watermark of low watermark", "present pages of spanned ones"),
)


@pytest.mark.parametrize("name", UNPLANNED)
def test_a_plan_from_a_broken_relation_cannot_say(tmp_path: Path, name: str) -> None:
    done = run("plan", "--connections", "1000", "--root", edited(tmp_path, EDITS[name][1]), "--json")
    assert json.loads(done.stdout)["verdict"] == "cannot say"
    assert json.loads(done.stdout)["unknown_because"]


def test_the_tree_without_an_edit_has_room_and_is_ok() -> None:
    assert json.loads(output("plan", "--connections", "1000", "--root", WHOLE, "--json"))["verdict"] == "fits"
    assert output("check", "--root", WHOLE).startswith("TCPTOP OK")


@pytest.mark.parametrize("name", CGROUP_STATS)
def test_a_cgroup_that_contradicts_itself_has_no_amounts(tmp_path: Path, name: str) -> None:
    found = cgroup_report(tmp_path, CGROUP_STATS[name])
    assert re.search(sentence_pattern(name), found["unknown_because"])
    assert found["current_bytes"] is None


REPEATED = "active_file 0\ninactive_file 0\nsock 4096\nkernel 4096\nsock 9000000\n"


def test_a_field_that_memory_stat_has_twice_is_unknown(tmp_path: Path) -> None:
    found = cgroup_report(tmp_path, {"memory.stat": REPEATED})
    assert found["sock_bytes"] is None
    assert found["current_bytes"] is None
    assert "sock is there more than once" in found["unknown_because"]


def cgroup_report(tmp_path: Path, changes: dict[str, str]) -> dict[str, Any]:
    """The part of the report about a memory cgroup, some of whose files are changed."""
    stat = "active_file 0\ninactive_file 0\nsock 4096\nkernel 4096\n"
    files = {"memory.max": "1073741824\n", "memory.current": "8388608\n", "memory.stat": stat} | changes
    root = edited(tmp_path, [Edit(f"sys/fs/cgroup/web/{name}", "", text) for name, text in files.items()])
    found: dict[str, Any] = json.loads(output("--root", root, "--cgroup", "web", "--json"))["memory_cgroup"]
    return found


@pytest.mark.parametrize(
    ("path", "text", "module"),
    [
        ("sys/module/apparmor/parameters/enabled", "Y\n", "apparmor"),
        ("proc/filesystems", "nodev\tproc\nnodev\tselinuxfs\n", "selinux"),
        ("proc/filesystems", "nodev\tproc\nnodev\tsmackfs\n", "smack"),
    ],
)
def test_a_list_of_security_modules_that_lost_its_end_is_strange(
    tmp_path: Path, path: str, text: str, module: str
) -> None:
    """The list has no final newline; another file shows that a module is active."""
    modules = Edit("sys/kernel/security/lsm", "", "lockdown,capability,landlock")
    found = report(edited(tmp_path, [modules, Edit(path, "", text)]))
    health = found["sources"]["security_modules"]
    assert (health["state"], f"it lacks {module}" in health["reason"]) == ("strange", True)
    side = found["bytes_per_connection"]["full"]["mix"]["accepted"]
    assert (side["complete"], side["missing"]) == (False, ["LSM socket blob (no list of security modules)"])
