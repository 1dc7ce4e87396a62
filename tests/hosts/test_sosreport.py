"""SosreportHost finds the contents of a report, in files or outputs; other files are missing, and never guessed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import forked_program
import pytest
from packed_trees import DATE_UNIX_S, PID, SOSREPORT, archive_of, listing, packed_snapshot, sosreport_of
from recorded import ledger, snapshot, text, tree

from tcptop.accounting import account
from tcptop.hosts.sosreport import cpus_in_lscpu, entries_in_ls, sysctl_value
from tcptop.ledger import Ledger
from tcptop.sources.socket_limits import RESERVED_PORTS, parse

KERNELS = ("5.10-4n", "6.1-4n", "6.1-4n-ipv6", "6.12-arm64-16k-4n", "7.3-4n")


@pytest.fixture(params=["folder", "tar.xz"])
def form(request: pytest.FixtureRequest) -> str:
    """The form of the report: a folder or an archive."""
    form: str = request.param
    return form


def report(kernel: str, folder: Path, form: str = "folder") -> Path:
    """A sosreport of a recording, as a folder or an archive of it."""
    root = sosreport_of(kernel, "established", folder)
    return root if form == "folder" else archive_of(root, folder / "report.tar.xz", "w:xz", SOSREPORT)


def figures(root: Path) -> Ledger:
    return account(packed_snapshot(root))


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_cost_of_a_connection_equals_that_of_the_machine(kernel: str, form: str, tmp_path: Path) -> None:
    """Counts and sizes come from slabinfo; merged caches are found in the output of ls for /sys/kernel/slab."""
    found, expected = figures(report(kernel, tmp_path, form)), ledger(kernel, "established")
    for mode in ("full", "time_wait"):
        for family in ("ipv4", "ipv6", "mix"):
            side, whole = (each.costs[mode].by_family[family].accepted for each in (found, expected))
            sizes, sizes_of_whole = ({part.object: part.slab_bytes for part in each.parts} for each in (side, whole))
            # The report lacks /sys/kernel/security/lsm, so the LSM socket blob is unknown.
            assert sizes == {name: size for name, size in sizes_of_whole.items() if name in sizes}
            assert set(sizes_of_whole) - set(sizes) <= {"LSM socket blob"} | set(side.missing)
    assert found.sockets == expected.sockets
    assert [(each.name, each.row, each.bytes) for each in found.caches if each.name == each.row] == [
        (each.name, each.row, each.bytes) for each in expected.caches if each.name == each.row
    ]
    assert [
        (zone.free_area, zone.migrate_types, zone.low_pages, zone.tcp_slabs_free)
        for node in found.nodes
        for zone in node.zones
    ] == [
        (zone.free_area, zone.migrate_types, zone.low_pages, zone.tcp_slabs_free)
        for node in expected.nodes
        for zone in node.zones
    ]
    assert [(node.cpu_list, node.memory_bytes) for node in found.nodes] == [
        (node.cpu_list, node.memory_bytes) for node in expected.nodes
    ]


def test_values_are_taken_from_outputs_where_files_are_missing(form: str, tmp_path: Path) -> None:
    found = packed_snapshot(report("6.1-4n", tmp_path, form))
    sysctls, limits, topology = found.sysctls.value, found.socket_limits.value, found.topology.value
    assert sysctls is not None
    assert sysctls.host_name == "web17"
    assert sysctls.kernel_release == "6.1.0-56-amd64"
    assert sysctls.tcp_mem == tuple(map(int, text("6.1-4n", "established", "proc/sys/net/ipv4/tcp_mem").split()))
    assert limits is not None
    assert limits.max_orphans == int(text("6.1-4n", "established", "proc/sys/net/ipv4/tcp_max_orphans"))
    assert topology is not None
    assert topology.online_cpus == 8
    assert found.taken_at_unix_s == DATE_UNIX_S
    assert not found.live


def test_counters_of_events_are_those_of_the_files_that_sos_copied(form: str, tmp_path: Path) -> None:
    """Below the folder of the process that wrote the report, as sos copies /proc/net."""
    root = sosreport_of("6.1-4n", "established", tmp_path)
    (root / "proc" / PID / "net/stat").mkdir()
    (root / "proc" / PID / "net/stat/nf_conntrack").write_text("entries drop early_drop\n0000001f 00000010 00000001\n")
    (root / "proc" / PID / "net/netstat").write_text("TcpExt: ListenOverflows\nTcpExt: 12\n")
    found = figures(root if form == "folder" else archive_of(root, tmp_path / "report.tar.xz", "w:xz", SOSREPORT))
    totals = {event.name: event.total for event in found.events if event.total}
    assert totals == {"ListenOverflows": 12, "nf_conntrack_drop": 16, "nf_conntrack_early_drop": 1}


def test_nodes_are_taken_from_lscpu_without_their_folders(tmp_path: Path) -> None:
    root = report("6.1-4n", tmp_path)
    subprocess.run(["rm", "-r", str(root / "sys")], check=True)
    topology = packed_snapshot(root).topology.value
    assert topology is not None
    expected = snapshot("6.1-4n", "established").topology.value
    assert expected is not None
    assert [(node.node, node.cpu_list) for node in topology.nodes] == [
        (node.node, node.cpu_list) for node in expected.nodes
    ]
    assert [node.memory_bytes for node in topology.nodes] == [None] * 4


@pytest.mark.parametrize("options", ["-lt", "-la", "-alZ", "-l --time-style=long-iso", "-l --time-style=full-iso"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_links_are_parsed_from_ls_with_every_option_that_sos_uses(kernel: str, options: str) -> None:
    slab = tree(kernel, "base") / "sys/kernel/slab"
    assert entries_in_ls(listing(slab, *options.split())) == {
        path.name: str(path.readlink()) if path.is_symlink() else None for path in slab.iterdir()
    }


def test_a_reading_that_the_report_lacks_is_missing_with_a_reason(form: str, tmp_path: Path) -> None:
    found = packed_snapshot(report("6.1-4n", tmp_path, form))
    for name in ("slab_counts", "slab_sizes", "security_modules"):
        reading = getattr(found, name)
        assert (reading.state, reading.value) == ("missing", None), name
        assert "the sosreport does not hold it" in reading.reason


@pytest.mark.parametrize("path", ["proc/slabinfo", "proc/net/sockstat", "proc/zoneinfo"])
def test_figures_of_a_file_that_the_report_lacks_are_unknown(path: str, tmp_path: Path) -> None:
    root = report("6.1-4n", tmp_path)
    (root / path).unlink()
    found = figures(root)
    reason = found.sources[path.rpartition("/")[2]].reason
    assert reason is not None
    assert "the sosreport does not hold it" in reason
    if path == "proc/slabinfo":
        assert found.tcp_memory.bytes is None
    elif path == "proc/net/sockstat":
        assert (found.sockets.allocated, found.sockets.time_wait) == (None, None)
    else:
        assert {zone.low_pages for node in found.nodes for zone in node.zones} <= {None}


def test_the_output_of_a_failed_command_is_ignored(tmp_path: Path) -> None:
    root = report("6.1-4n", tmp_path)
    (root / "sos_commands/kernel/uname_-a").write_text("sh: 1: uname: not found\n")
    (root / "sos_commands/kernel/sysctl_-a").write_text("")
    (root / "sos_commands/host/hostname").write_text("hostname: you must be root\n")
    (root / "sos_commands/date/date").write_text("Sun Nov 22 14:04:31 CET 2026\n")
    (root / "proc/version").unlink()
    found = packed_snapshot(root)
    assert found.taken_at_unix_s is None, "the name of a time zone is ambiguous"
    sysctls = found.sysctls.value
    assert sysctls is None or (sysctls.host_name, sysctls.kernel_release, sysctls.tcp_mem) == (None, None, None)


def test_kernel_files_take_precedence_over_outputs(tmp_path: Path) -> None:
    root = sosreport_of("6.1-4n", "established", tmp_path, sysctl_files=True)
    (root / "sos_commands/kernel/sysctl_-a").write_text("net.ipv4.tcp_mem = 1 2 3\n")
    sysctls = packed_snapshot(root).sysctls.value
    expected = snapshot("6.1-4n", "established").sysctls.value
    assert sysctls is not None
    assert expected is not None
    assert sysctls.tcp_mem == expected.tcp_mem


@pytest.mark.parametrize(("second", "state", "tcp_mem"), [("4 5 6", "strange", None), ("1 2 3", "ok", (1, 2, 3))])
def test_a_sysctl_with_two_values_has_none(
    second: str, state: str, tcp_mem: tuple[int, int, int] | None, tmp_path: Path
) -> None:
    root = report("6.1-4n", tmp_path)
    output = root / "sos_commands/kernel/sysctl_-a"
    lines = [line for line in output.read_text().splitlines() if not line.startswith("net.ipv4.tcp_mem ")]
    both = ["net.ipv4.tcp_mem = 1 2 3", f"net.ipv4.tcp_mem = {second}"]
    output.write_text("".join(f"{line}\n" for line in (*lines, *both)))
    reading = packed_snapshot(root).sysctls
    assert reading.value is not None
    assert (reading.state, reading.value.tcp_mem) == (state, tcp_mem)


@pytest.mark.parametrize(
    ("lines", "reserved"),
    [
        ("net.ipv4.ip_local_reserved_ports = \n", ()),
        ("net.ipv4.ip_local_reserved_ports = 8080,9000-9010\n", ((8080, 8080), (9000, 9010))),
        ("net.ipv4.ip_local_reserved_ports = \nnet.ipv4.ip_local_reserved_ports = 8080\n", None),
        ("", None),
    ],
)
def test_reserved_ports_of_sysctl_may_be_none(lines: str, reserved: object) -> None:
    text = sysctl_value(lines, "proc/sys/net/ipv4/ip_local_reserved_ports")
    found, damage = parse({RESERVED_PORTS: text or ""})
    assert found.reserved_ports == reserved
    assert (damage is not None) == (reserved is None and bool(lines))


@pytest.mark.parametrize("line", ["net.ipv4.tcp_max_orphans = \n", "net.ipv4.tcp_max_orphans =\n"])
@pytest.mark.parametrize("more", ["", "net.ipv4.tcp_max_orphans = 4096\n"])
def test_a_sysctl_without_a_value_is_damaged(line: str, more: str, tmp_path: Path) -> None:
    root = report("6.1-4n", tmp_path)
    output = root / "sos_commands/kernel/sysctl_-a"
    kept = [each for each in output.read_text().splitlines(keepends=True) if "tcp_max_orphans" not in each]
    output.write_text("".join([*kept, line, more]))
    done = forked_program.run("--json", "--root", root)
    found = json.loads(done.stdout)
    health = found["sources"]["socket_limits"]
    assert (health["state"], "net/ipv4/tcp_max_orphans has an unknown format" in health["reason"]) == ("strange", True)
    [limit] = [each for each in found["limits"] if each["name"] == "tcp_max_orphans"]
    assert (limit["limit"], limit["note"]) == (None, "not known: its file is damaged")


def test_values_are_taken_from_exactly_matching_lines() -> None:
    sysctl = "net.ipv4.tcp_mem = 88\t117\t176\nnet.ipv4.tcp_mem_other = 1\nxnet.ipv4.tcp_mem = 2\n"
    assert sysctl_value(sysctl, "proc/sys/net/ipv4/tcp_mem") == "88\t117\t176\n"
    assert sysctl_value(sysctl, "proc/sys/net/ipv4/tcp_me") is None
    lscpu = "On-line CPU(s) list: 0-3\nNUMA node1 CPU(s): 2,3\nNUMA node11 CPU(s): 7\nNUMA node2 CPU(s):\n"
    node = "sys/devices/system/node/node{}/cpulist"
    assert [cpus_in_lscpu(lscpu, node.format(number)) for number in (1, 11, 2, 3)] == ["2,3\n", "7\n", "\n", None]


def test_the_json_report_reads_one(form: str, tmp_path: Path) -> None:
    root = report("6.1-4n", tmp_path, form)
    ran = subprocess.run(
        [sys.executable, "-m", "tcptop", "--json", "--root", str(root)], capture_output=True, text=True, check=True
    )
    found = json.loads(ran.stdout)
    assert found["host"]["name"] == "web17"
    assert found["taken_at"] == "2026-11-22T12:04:31.000Z"
    assert not found["live"]
