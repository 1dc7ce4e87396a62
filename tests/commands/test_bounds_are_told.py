"""A figure that is only a bound, or a range, is never printed as an exact one: idle memory, headroom, hosts' sums."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import forked_program
import pytest
from recorded import copy_recording, ledger, write_buffers, write_tree

from tcptop.accounting import account
from tcptop.accounting.host_row import RowAccount
from tcptop.commands.common import make_sampler, open_host, read_snapshot
from tcptop.explanation.host_rows import COLUMNS, TableOrder, sort_looks
from tcptop.ledger.host_row import HostLook, HostRow
from tcptop.report.as_metrics import metric_families
from tcptop.report.hosts_report import hosts_as_text, look_as_object
from tcptop.snapshot import Snapshot

CODES = {"OK": 0, "WARNING": 1, "CRITICAL": 2, "UNKNOWN": 3}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return copy_recording("6.1-4n", "established", tmp_path)


def sample(root: Path) -> Snapshot:
    host = open_host(str(root))
    snapshot = read_snapshot(make_sampler(host, 1.0, None))
    host.close()
    return snapshot


def check(root: Path, *arguments: str) -> dict[str, Any]:
    """The check of idle memory in the JSON; the exit code must be that of its state."""
    done = forked_program.run("check", "--root", root, "idle", *arguments, "--json")
    whole = json.loads(done.stdout)
    assert done.returncode == whole["exit_code"] == CODES[whole["state"]]
    [found] = whole["checks"]
    checked: dict[str, Any] = found
    return checked


def slab_memory(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(forked_program.run("--root", root, "--json").stdout)["slab_memory"]
    return found


def test_idle_memory_is_a_range(root: Path) -> None:
    memory = slab_memory(root)
    low, high = memory["idle_bytes"], memory["idle_bytes"] + memory["idle_error_bytes"]
    assert 0 < low < high
    found = check(root)
    assert (found["state"], found["value"], found["low"], found["high"]) == ("OK", low, low, high)
    assert re.fullmatch(r"idle [0-9.]+ to [0-9 .]+ [KM]iB", found["text"])
    line = forked_program.run("check", "--root", root, "idle").stdout
    assert line == f"TCPTOP OK - {found['text']}|'idle'={low}B;;;0\n"


@pytest.mark.parametrize(
    ("option", "share", "state"),
    [
        ("--warn", -0.1, "WARNING"),
        ("--warn", 0.5, "UNKNOWN"),
        ("--warn", 1.1, "OK"),
        ("--critical", -0.1, "CRITICAL"),
        ("--critical", 0.5, "UNKNOWN"),
    ],
)
def test_the_state_of_idle_memory_is_that_of_its_whole_range(root: Path, option: str, share: float, state: str) -> None:
    """`share` is the place of the edge between the lower bound, 0, and the upper bound, 1."""
    memory = slab_memory(root)
    edge = round(memory["idle_bytes"] + share * memory["idle_error_bytes"])
    found = check(root, option, f"idle={edge if edge >= 0 else 1}")
    assert found["state"] == state
    assert ("free objects on lists of CPUs" in found["text"]) == (state == "UNKNOWN")


def test_without_a_bound_on_the_objects_of_cpus_idle_memory_has_no_upper_bound(root: Path) -> None:
    """The allocator SLAB prints the size of its lists of CPUs; how many objects wait there is not known."""
    path = root / "proc/slabinfo"
    path.write_text(re.sub(r"(?m)^(TCP .*: tunables +)0( +)0", r"\g<1>54\g<2>27", path.read_text()))
    memory = slab_memory(root)
    assert memory["idle_error_bytes"] is None
    found = check(root)
    assert (found["low"], found["high"]) == (memory["idle_bytes"], None)
    assert re.fullmatch(r"idle >= [0-9.]+ [KM]iB", found["text"])
    assert check(root, "--warn", "idle=1000000000")["state"] == "UNKNOWN"
    assert check(root, "--warn", f"idle={memory['idle_bytes'] - 1}")["state"] == "WARNING"


def test_the_help_of_check_says_so() -> None:
    words = " ".join(forked_program.run("check", "--help").stdout.split())
    assert "one whose bounds reach across an edge of its range" in words
    assert "bytes, at least: idle slab in TCP's own caches" in words


def points(root: Path) -> dict[str, dict[tuple[str, ...], float]]:
    return {family.name: dict(family.points) for family in metric_families(account(sample(root)))}


def test_the_exporter_bounds_a_headroom_by_the_error_of_its_counter(root: Path) -> None:
    """Each of four CPUs may keep 32 files that file-nr does not count (6.1)."""
    found = points(root)
    limit = next(each for each in account(sample(root)).limits["full"].rows if each.name == "file_max")
    assert limit.used_error
    assert limit.headroom_sockets is not None
    labels = ("full", "file_max", "every_socket", "machine")
    assert labels not in found["tcptop_headroom_sockets"]
    assert found["tcptop_headroom_low_sockets"][labels] == limit.headroom_sockets - limit.used_error
    assert found["tcptop_headroom_high_sockets"][labels] == limit.headroom_sockets + limit.used_error


HEADROOM = ("tcptop_headroom_low_sockets", "tcptop_headroom_high_sockets")


def test_a_full_limit_has_a_headroom_within_the_error_of_its_counter(root: Path) -> None:
    """The kernel compares the exact number of files with the limit; file-nr may count 256 files too many (8 CPUs)."""
    path = root / "proc/sys/fs/file-nr"
    files = int(path.read_text().split()[0])
    path.write_text(f"{files}\t0\t{files - 10}\n")
    found, labels = points(root), ("full", "file_max", "every_socket", "machine")
    assert [found[name][labels] for name in HEADROOM] == [0, 8 * 32 - 10]


@pytest.mark.parametrize("share", [4, 0.999])
def test_the_error_of_the_buffers_is_in_their_average_too(tmp_path: Path, share: float) -> None:
    """(max - mem) / ((mem ± error) / sockets)."""
    root = copy_recording("6.1-4n", "halfclosed", tmp_path)
    [mem] = [int(each) for each in re.findall(r"TCP: .* mem (\d+)", (root / "proc/net/sockstat").read_text())]
    (root / "proc/sys/net/ipv4/tcp_mem").write_text(f"10 20 {int(mem * share)}\n")
    whole = account(sample(root))
    used, error, number = whole.sockets.buffer_bytes, whole.sockets.buffer_error_bytes, whole.sockets.allocated
    assert used is not None
    assert error
    assert number
    maximum = int(mem * share) * 4096
    found, labels = points(root), ("full", "tcp_mem", "every_socket", "machine")
    expected = [max(0, (maximum - used) / (each / number)) for each in (used + error, used - error)]
    if share < 1:
        assert found["tcptop_headroom_sockets"][labels] == 0
        return
    assert [found[name][labels] for name in HEADROOM] == pytest.approx(expected, abs=1)
    assert expected[1] > 0


def test_buffers_whose_error_is_unknown_are_no_exact_figure(root: Path) -> None:
    assert "tcptop_buffers_charged_bytes" in points(root)
    for name in ("online", "present", "possible"):
        (root / f"sys/devices/system/cpu/{name}").unlink(missing_ok=True)
    (root / "proc/zoneinfo").unlink()
    found = points(root)
    assert "tcptop_buffers_error_bytes" not in found
    assert "tcptop_buffers_charged_bytes" not in found


def test_the_slabs_that_fit_into_free_blocks_are_an_upper_bound_by_name(root: Path) -> None:
    found = points(root)
    assert "tcptop_node_tcp_slabs_free_max" in found
    assert "tcptop_node_tcp_slabs_free" not in found


def row(kernel: str = "6.1-4n", phase: str = "established") -> HostRow:
    whole = ledger(kernel, phase)
    return HostRow(
        taken_at_unix_s=None,
        host=whole.host,
        one_more=whole.costs["full"].by_family["mix"].accepted,
        average=whole.costs["full"].now_bounds,
        sockets=whole.sockets,
        tcp_memory=whole.tcp_memory,
        headroom=whole.headroom["full"],
        limits=whole.limits["full"],
        events=whole.events,
        reason=None,
    )


def texts(rows: list[HostRow], title: str) -> tuple[list[str], str]:
    column = next(each for each in COLUMNS if each.title == title)
    assert column.total is not None
    return [column.text(each) for each in rows], column.total(rows)


def test_a_bound_on_what_fits_is_a_bound_in_the_table_of_hosts_and_in_its_sum(root: Path) -> None:
    """Without slabinfo, the size of a part of a socket is not known."""
    (root / "proc/slabinfo").unlink()
    bounded = RowAccount().row(sample(root))
    assert bounded.limits.first is not None
    assert bounded.limits.first.headroom_is_at_most
    most = bounded.limits.first.headroom_sockets or 0
    [cell], total = texts([bounded], "FITS MORE")
    for text in (cell, total):
        assert text.startswith("≤ ")
        assert int(text.removeprefix("≤ ").replace(" ", "")) >= most
    assert texts([bounded, row()], "FITS MORE")[1].startswith("≈ ")
    assert texts([row()], "FITS MORE")[1][0].isdigit()


@pytest.mark.parametrize("lost", [("proc/meminfo",), ("proc/zoneinfo",), ("proc/slabinfo", "sys/kernel/slab")])
def test_what_fits_below_a_limit_is_a_bound_where_memory_is_not_known(root: Path, lost: tuple[str, ...]) -> None:
    """Memory may be the first limit; then the table of hosts says as much as the report of that machine."""
    for path in lost:
        shutil.rmtree(root / path) if (root / path).is_dir() else (root / path).unlink()
    account = RowAccount().row(sample(root))
    headroom = json.loads(forked_program.run("--root", root, "--json").stdout)["headroom"]
    assert headroom["first_limit_is_at_most"] is True
    look, roomy = HostLook("half", account, 0.5), HostLook("a-roomy", row(), 0.5)
    assert look_as_object(look)["headroom"]["first_limit_is_at_most"] is True
    [cell], total = texts([account], "FITS MORE")
    assert re.fullmatch(r"≤ [0-9 ]+", cell)
    assert total == cell
    plain = cell.replace("≤", "<=")
    assert f" {plain} more" in forked_program.run("--root", root, "-o").stdout
    assert hosts_as_text([look], TableOrder(), 200).count(plain) == 2
    low = texts([row()], "FITS MORE")[0][0]
    assert texts([account, row()], "FITS MORE")[1] == f"≈ {low}"
    for order in (TableOrder(), TableOrder(sort="o")):
        assert [each.name for each in sort_looks([roomy, look], order)] == ["half", "a-roomy"]


def test_a_likely_amount_of_memory_is_marked_in_the_table_of_hosts() -> None:
    whole = row()
    assert whole.tcp_memory.low_bytes != whole.tcp_memory.high_bytes
    [cell], total = texts([whole], "TCP MEMORY")
    assert cell.startswith("≈ ")
    assert total == cell
    exact = whole._replace(
        tcp_memory=whole.tcp_memory._replace(
            low_bytes=whole.tcp_memory.bytes, high_bytes=whole.tcp_memory.bytes, missing=()
        )
    )
    assert texts([exact], "TCP MEMORY")[0][0][0].isdigit()


def test_the_idle_part_of_an_average_that_is_at_most_is_at_most(tmp_path: Path) -> None:
    """The mini-sockets of other network namespaces are not counted here, so the average is an upper bound."""
    tree = copy_recording("6.1-4n", "timewait", tmp_path)
    cost = account(sample(tree)).costs["time_wait"]
    report = forked_program.run("--root", tree, "-o").stdout
    lines = [line for line in report.splitlines() if "idle slab per socket" in line]
    assert lines
    assert cost.now_is_at_most == any("<= " in line or "≤ " in line for line in lines)
    assert cost.now_is_at_most


# The error of a counter is in every text of its figure


def test_buffers_little_above_their_error_are_no_exact_figure(root: Path) -> None:
    """2 049 pages with an error of 2 048: 4 KiB to 16 MiB."""
    write_buffers(root, 2049)
    text = forked_program.run("-o", "--root", root).stdout
    assert re.search(r"buffers per socket +~ 525 B  between 0 and 1 049 B", text)
    assert re.search(r"(?m)^  buffers +~ 8\.0 MiB  machine: .*\+- 8\.0 MiB", text)
    assert re.search(r"tcp_mem +ok +8\.0 MiB +\S+ MiB +1\.4 ", text)
    assert "tcp_mem 1.4 %" in forked_program.run("check", "--root", root).stdout
    found = json.loads(forked_program.run("--root", root, "--json").stdout)
    [buffers] = [part for part in found["tcp_memory"]["parts"] if part["part"] == "socket buffers"]
    assert buffers["low_bytes"] <= 4096
    assert buffers["high_bytes"] > found["sockets"]["buffer_bytes"]


def test_a_share_of_a_huge_tcp_mem_is_not_0(root: Path) -> None:
    huge = (1 << 63) - 1
    write_tree(root, {"proc/sys/net/ipv4/tcp_mem": f"{huge}\t{huge}\t{huge}\n"})
    assert re.search(r"(?m)^  tcp_mem +ok .* 0 +80/95 ", forked_program.run("-o", "--root", root).stdout)
    assert "tcp_mem 0.0 %" in forked_program.run("check", "--root", root).stdout


def test_buffers_far_above_their_error_have_no_sign(root: Path) -> None:
    """The error is 0.5 % of the counted pages."""
    write_buffers(root, 409_600)
    text = forked_program.run("-o", "--root", root).stdout
    assert re.search(r"(?m)^  buffers +1\.6 GiB  machine", text)
    assert re.search(r"buffers per socket +\d+ \d+ B$", text, re.MULTILINE)


def test_the_buffers_of_hosts_and_their_sum_have_the_sign_of_their_error(root: Path) -> None:
    write_buffers(root, 2100)
    near = RowAccount().row(sample(root))
    assert texts([near, near], "BUFFERS") == (["≈ 8.20M", "≈ 8.20M"], "≈ 16.41M")
    write_buffers(root, 2048)
    within = RowAccount().row(sample(root))
    assert texts([near, within], "BUFFERS") == (["≈ 8.20M", "≤ 16.00M"], "≈ 16.20M")
    assert texts([within], "BUFFERS") == (["≤ 16.00M"], "≤ 16.00M")


def test_the_open_files_have_the_sign_of_their_error(root: Path) -> None:
    """Each of 8 CPUs may have 32 files that it has not added: 256 of 15 872 are 1.6 %."""
    write_tree(root, {"proc/sys/fs/file-nr": "15872\t0\t20000\n", "proc/sys/fs/file-max": "20000\n"})
    assert re.search(r"file-max +ok +~ 15 872 +20 000 +~ 79 ", forked_program.run("-o", "--root", root).stdout)
    plan = forked_program.run("plan", "--connections", "1000", "--root", root).stdout
    assert re.search(r"file-max +~ 15 872 ", plan)
    assert "(~ 15 872 of 20 000 files" in forked_program.run("check", "file_max", "--root", root).stdout


@pytest.mark.parametrize(
    ("files", "pages", "fits"),
    [(20_000, 0, "0 more"), (10_100, 0, ">= 0 more"), (0, 1_000_000, "0 more"), (0, 137_500, "0 more")],
)
def test_nothing_fits_below_a_limit_that_is_surely_exceeded(root: Path, files: int, pages: int, fits: str) -> None:
    """The error of 256 files reaches across the limit or does not; the use of tcp_mem has none."""
    if files:
        write_tree(root, {"proc/sys/fs/file-nr": f"{files}\t0\t10000\n", "proc/sys/fs/file-max": "10000\n"})
    else:
        write_buffers(root, pages)
        write_tree(root, {"proc/sys/net/ipv4/tcp_mem": "34350\t45800\t137400\n"})
    text = forked_program.run("-o", "--root", root).stdout
    assert re.search(rf"(?m)^ +{fits} sockets fit, {'file-max' if files else 'tcp_mem'} first", text)
    assert ("FULL" in text) == (fits == "0 more")
    plan = forked_program.run("plan", "--connections", "1000", "--buffers", "now", "--root", root).stdout
    assert not re.search(r"(?m)^ (file-max|tcp_mem) .*<= 0$", plan)


@pytest.mark.parametrize("first", ["\ufeffMemTotal:", "MemTotel:"])
def test_a_meminfo_without_its_first_name_is_damaged(root: Path, first: str) -> None:
    path = root / "proc/meminfo"
    path.write_text(path.read_text().replace("MemTotal:", first, 1))
    done = forked_program.run("check", "--root", root)
    assert (done.returncode, "no line begins with MemTotal:" in done.stdout) == (3, True)
    text = forked_program.run("-o", "--root", root).stdout
    assert re.search(r"(?m)^  meminfo +strange +/proc/meminfo: no line begins with MemTotal:", text)


def queue_segments(root: Path, slabs: int) -> Path:
    """Writes slabs of 32 live sk_buffs of 256 bytes each, and as much more slab."""
    nodes, objects = f"{slabs} N0={slabs}", f"{32 * slabs} N0={32 * slabs}"
    folder = "sys/kernel/slab/skbuff_head_cache"
    files = dict.fromkeys(("slabs", "cpu_slabs"), nodes) | dict.fromkeys(("objects", "total_objects"), objects)
    slabinfo = (root / "proc/slabinfo").read_text()
    line = f"skbuff_head_cache {32 * slabs} {32 * slabs} 256 32 2 : tunables 0 0 0 : slabdata {slabs} {slabs} 0"
    meminfo = (root / "proc/meminfo").read_text()
    for name, change_kb in (("Slab", 8), ("SUnreclaim", 8), ("MemFree", -8), ("MemAvailable", -8)):
        [kb] = re.findall(rf"(?m)^{name}: +(\d+)", meminfo)
        meminfo = re.sub(rf"(?m)^({name}: +)\d+", rf"\g<1>{int(kb) + change_kb * slabs}", meminfo)
    written = {f"{folder}/{name}": f"{text}\n" for name, text in files.items()}
    slabinfo = re.sub(r"(?m)^skbuff_head_cache .*$", line, slabinfo)
    return write_tree(root, written | {"proc/slabinfo": slabinfo, "proc/meminfo": meminfo})


def headroom_of(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(forked_program.run("--root", root, "--json").stdout)["headroom"]
    return found


def test_what_fits_into_memory_has_the_error_of_the_counter_of_buffers(root: Path) -> None:
    """All of the 100 MiB + 8 MiB of charge may be memory, and none of it: pages of page cache are charged, too."""
    write_buffers(queue_segments(root, 18_000), 25_600)
    found = headroom_of(root)
    assert (found["buffer_bytes"], found["high_buffer_bytes"]) == pytest.approx((0, 7077.0), abs=1)
    assert found["is_at_most"]
    text = forked_program.run("-o", "--root", root).stdout
    assert re.search(r"(?m)^  memory +ok .* >= [0-9 ]+$", text)
    assert re.search(r" <= 7 078 B of average buffers", " ".join(text.split()))
    least = found["sockets"] * found["bytes_per_socket"] / (found["bytes_per_socket"] + 7077.0)
    assert found["with_reclaim_low"] == pytest.approx(least, rel=1e-3)
    low = found["with_reclaim_low"]
    low_text = f"{low // 10 ** (len(str(low)) - 3) * 10 ** (len(str(low)) - 3):,}".replace(",", " ")
    assert re.search(rf"(?m)^  memory +ok .* >= {low_text}$", text)
    assert re.search(r" at most [0-9 ]+; half client side, average buffers", " ".join(text.split()))
    metrics, labels = points(root), ("full", "memory", "every_socket", "machine")
    assert metrics["tcptop_headroom_low_sockets"][labels] == found["with_reclaim_low"]
    assert metrics["tcptop_headroom_high_sockets"][labels] == found["sockets"]
    plan = forked_program.run("plan", "--connections", "1000", "--buffers", "now", "--root", root).stdout
    assert re.search(r"0 to 7 078 B", " ".join(plan.split())), plan


def test_a_charge_without_error_is_no_memory_for_sure(root: Path) -> None:
    """Files that are sent with sendfile are charged to the socket, and stay page cache."""
    write_buffers(queue_segments(root, 220_000), 409_600)
    found = headroom_of(root)
    assert (found["buffer_bytes"], found["is_at_most"]) == (0, True)
    assert 0 < found["with_reclaim_low"] < found["sockets"]


def test_buffers_within_their_error_are_from_none_to_twice_the_error(root: Path) -> None:
    write_buffers(queue_segments(root, 18_000), 2048)
    found = headroom_of(root)
    assert found["buffer_bytes"] == 0
    assert found["high_buffer_bytes"] == pytest.approx(2 * 2048 * 4096 / 16_001, abs=1)
    assert found["is_at_most"]
    text = " ".join(forked_program.run("-o", "--root", root).stdout.split())
    assert "<= 1 049 B of average buffers" in text
    assert "half client side, average buffers" in text


def limit_of(root: Path, name: str) -> dict[str, Any]:
    rows = json.loads(forked_program.run("--root", root, "--json").stdout)["limits"]
    found: dict[str, Any] = next(row for row in rows if row["name"] == name)
    return found


def test_tcp_mem_counts_the_buffers_that_memory_counts(root: Path) -> None:
    """Within its error the counter may be twice its error; so many more sockets surely fit below tcp_mem."""
    write_buffers(queue_segments(root, 18_000), 2048)
    write_tree(root, {"proc/sys/net/ipv4/tcp_mem": "34350\t45800\t137400\n"})
    tcp_mem = limit_of(root, "tcp_mem")
    assert tcp_mem["headroom_sockets"] == (137_400 - 2048) * 4096 // (2 * 2048 * 4096 / 16_001)
    assert tcp_mem["headroom_is_at_least"]
    assert headroom_of(root)["first_limit"] == "tcp_mem"
    plan = forked_program.run("plan", "--connections", "1000", "--buffers", "now", "--root", root).stdout
    assert re.search(r"first limit: tcp_mem, after at least 528 000 connections", " ".join(plan.split())), plan
    more = forked_program.run("plan", "--connections", "600K", "--buffers", "now", "--root", root).stdout
    assert re.match(r"cannot say: tcp_mem: .* decides; 528 000 surely fit below tcp_mem; ", " ".join(more.split())), (
        more
    )
    text = " ".join(forked_program.run("-o", "--root", root).stdout.split())
    assert re.search(r">= 528 000 more sockets fit, tcp_mem first", text), text


def test_a_few_segments_in_flight_are_no_average(root: Path) -> None:
    """They come and go, so that all numbers of sockets would change from moment to moment."""
    write_buffers(queue_segments(root, 100), 2048)
    assert headroom_of(root)["high_buffer_bytes"] == 0
    assert limit_of(root, "tcp_mem")["headroom_sockets"] is None
    text = " ".join(forked_program.run("-o", "--root", root).stdout.split())
    assert "half client side, without data" in text
    assert limit_of(root, "memory")["note"].startswith("half client side, without data")


def test_no_bytes_are_not_said_to_be_at_least_in_use(root: Path) -> None:
    write_buffers(root, 2100)
    assert " 0 B of it with data" not in forked_program.run("-o", "--root", root).stdout
