"""The remote program's requests, and the splitting of answers with arbitrary contents."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptop.hosts.remote_shell import (
    ALLOWED,
    HEADER,
    PROGRAM,
    PROGRAM_PATH,
    SCRIPT,
    can_ask,
    find_hello,
    parse_cpu_us,
    parse_ls,
    parse_reasons,
    remote_command,
    split_files,
    start_text,
)
from tcptop.sampling.source_list import wanted_paths
from tcptop.sources import kallsyms

NONCE = "0123456789abcdef" * 2
LISTS = (("proc/meminfo", "proc/sys/net/ipv4/tcp_mem"), ("proc/net/sockstat",), ("proc/meminfo", "proc/version"))
FILES = st.one_of(
    st.binary(max_size=40),
    st.lists(
        st.sampled_from([b"\n", b"==> /etc/passwd <==", b"==> /proc/x <==\n", b" <==", b"==> /", b"MemTotal: 1 kB\n"]),
        max_size=6,
    ).map(b"".join),
)
SHELLS = (["dash"], ["bash"], ["busybox", "sh"])


def head(files: list[tuple[str, bytes]]) -> bytes:
    """The output of `head` for some files."""
    return b"\n".join(b"==> %b <==\n%b" % (path.encode(), data) for path, data in files)


@given(st.lists(st.tuples(FILES, st.booleans()), min_size=5, max_size=5))
def test_each_file_comes_back_byte_for_byte_and_a_missing_one_is_left_out(files: list[tuple[bytes, bool]]) -> None:
    printed: list[tuple[str, bytes]] = []
    wanted: list[dict[str, bytes]] = []
    rest = iter(files)
    for paths in LISTS:
        printed.append(("/dev/null", b""))
        wanted.append({path: data for path in paths for data, is_there in [next(rest)] if is_there})
        printed += [(f"/{path}", data) for path, data in wanted[-1].items()]
    assert split_files(head(printed), LISTS) == wanted


@given(
    st.one_of(
        st.binary(),
        st.lists(
            st.sampled_from(
                [
                    b"\n==> /dev/null <==\n",
                    b"==> /dev/null <==\n",
                    *(b"\n==> /%b <==\n" % path.encode() for paths in LISTS for path in paths),
                ]
            )
            | st.binary(max_size=8)
        ).map(b"".join),
    )
)
def test_any_bytes_are_split_and_no_path_gets_what_is_below_another_header(data: bytes) -> None:
    for paths, files in zip(LISTS, split_files(data, LISTS), strict=True):
        for path, content in files.items():
            assert path in paths
            below = b"==> /%b <==\n" % path.encode() + content
            assert below in data
            known = {f"/{each}".encode() for each in (*sum(LISTS, ()), "dev/null")}
            assert not any(match[1] in known for match in HEADER.finditer(b"x" + content))


def test_a_header_that_head_cannot_have_printed_there_spoils_the_answer() -> None:
    null, sockstat = ("/dev/null", b""), ("/proc/net/sockstat", b"TCP: inuse 7\n")
    feigned = b"MemTotal: 1 kB\n\n==> /proc/net/sockstat <==\nTCP: inuse 900\n"
    answer = head([null, ("/proc/meminfo", feigned), null, sockstat, null])
    assert split_files(answer, LISTS) == [{}, {}, {}]
    assert split_files(head([null, ("/proc/meminfo", b"x"), null]), LISTS) == [{}, {}, {}]
    assert split_files(b"", LISTS) == [{}, {}, {}]
    assert split_files(head([null]), []) == []


@given(st.binary())
def test_the_other_parsers_never_raise(data: bytes) -> None:
    assert find_hello(data, NONCE) is None
    assert parse_cpu_us(data) >= 0
    assert all("/" in f"/{name}" for name in parse_ls(data))
    assert set(parse_reasons(data).values()) <= {"missing", "refused", "other"}


def test_what_a_login_prints_before_the_greeting_is_skipped() -> None:
    noise = b"\x1b[2JWelcome\nLast login: today\n%b\n" % NONCE.encode()
    found = find_hello(b"%b\n%b hello 1000 16384 Linux gzip\nrest" % (noise, NONCE.encode()), NONCE)
    assert found is not None
    hello, end = found
    assert hello == (1000, 16384, "Linux", True, None)
    assert end == len(noise) + len(NONCE) + len(" hello 1000 16384 Linux gzip") + 2


@pytest.mark.parametrize(
    ("text", "boot_id"),
    [
        ("", None),  # from an earlier version of the installed program
        (" -", None),
        (" 6d6c0b7c-4d1e-4a52-9f0a-0c5e1b2a3d4f", "6d6c0b7c-4d1e-4a52-9f0a-0c5e1b2a3d4f"),
    ],
)
def test_a_greeting_has_the_boot_if_the_program_and_the_machine_tell_it(text: str, boot_id: str | None) -> None:
    found = find_hello(f"\n{NONCE} hello 0 4096 Linux cat{text}\n".encode(), NONCE)
    assert found is not None
    assert found[0].boot_id == boot_id


def test_the_lines_of_ls_are_names_and_links() -> None:
    text = (
        b"total 0\n"
        b"lrwxrwxrwx 1 0 0 0 Nov 27 10:52 TCP -> :0002368\n"
        b"drwxr-xr-x 2 0 0        0 Nov 27  2025 :A-0000128\n"
        b"-r--r--r--    1 0        0             4096 Nov 27 10:52 a name -> no link\n"
        b"crw-rw-rw- 1 0 0 1, 3 Nov 27 10:52 null\n"
    )
    assert parse_ls(text) == {"TCP": ":0002368", ":A-0000128": None, "a name -> no link": None, "null": None}


def test_the_times_of_dash_and_bash_are_microseconds() -> None:
    assert parse_cpu_us(b"0m0.010000s 0m0.020000s\n0m1.500000s 1m0.000000s\n") == 61_530_000
    assert parse_cpu_us(b"0m0.006s 0m0.000s\n0m0.007s 0m0.006s\n") == 19_000


@pytest.mark.parametrize(
    "path", ["/proc/stat", "proc/../etc/shadow", "etc/shadow", "proc", "proc/a b", "proc/x\ny", "proc//x"]
)
def test_no_request_has_another_path(path: str) -> None:
    assert not can_ask(path)


def test_the_program_allows_the_files_of_the_sources_and_no_more() -> None:
    patterns = {pattern for line in ALLOWED for pattern in line.split("|")}
    wanted = {path.rstrip("/") for path in (*wanted_paths(), kallsyms.PATH) if path.startswith(("proc/", "sys/"))}
    exact = {pattern for pattern in patterns if "*" not in pattern}
    assert exact - wanted == {"proc/stat"}  # the load on the screen
    others = wanted - patterns
    assert all(any(path.startswith(pattern[:-1]) for pattern in patterns if pattern.endswith("*")) for path in others)


@pytest.mark.parametrize("shell", SHELLS, ids=lambda words: words[0])
def test_the_program_reads_only_what_it_allows(shell: list[str]) -> None:
    if shutil.which(shell[0]) is None:
        pytest.skip(f"needs the Debian package {shell[0]}")
    refused = ["proc/kcore", "proc/1/environ", "proc/self/environ", "proc/net/../1/environ", "sys/kernel/debug/x"]
    requests = [
        f"d 0 {' '.join(refused)} proc/version",
        "h 0",
        *(f"c {path}" for path in refused),
        "l proc",
        "h x;id",
        "t",
    ]
    with subprocess.Popen(shell, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(start_text(NONCE).encode())
        output = b""
        while (found := find_hello(output, NONCE)) is None:
            output += process.stdout.read(4096)
        process.stdin.write("".join(f"{line}\n" for line in requests).encode())
        process.stdin.close()
        output = output[found[1] :] + process.stdout.read()
    assert found[0].boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    answers = re.split(rb"\n%b ([0-9]+)\n" % NONCE.encode(), output)
    assert split_files(answers[0], [["proc/version"]]) == [{"proc/version": Path("/proc/version").read_bytes()}]
    pairs = list(zip(answers[::2], answers[1::2], strict=False))
    assert pairs[1:7] == [(b"", b"102")] * 6
    assert pairs[7] == (b"", b"0")


def test_the_command_has_nothing_that_a_login_shell_replaces() -> None:
    for sudo in (False, True):
        assert not set(remote_command(sudo)) & set("$`!\\'*?[]{}~#")
    assert "\r" not in SCRIPT
    assert max(map(len, SCRIPT.splitlines())) < 1000


@pytest.mark.parametrize("shell", ["dash", "bash", "csh"])
def test_sudo_runs_the_installed_program_or_a_shell(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"needs the Debian package {shell}")
    (tmp_path / "sudo").write_text('#!/bin/sh\necho sudo "$@"\n')
    (tmp_path / "sudo").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)}
    for command, wanted in (
        (remote_command(True), "sudo -n /bin/sh\n"),
        (remote_command(True).replace(PROGRAM_PATH, "/bin/true"), "sudo -n /bin/true\n"),
    ):
        ran = subprocess.run([shell, "-c", command], env=environment, capture_output=True, text=True, check=True)
        assert ran.stdout == wanted


def test_the_page_has_the_program() -> None:
    project = Path(__file__).resolve().parents[2]
    assert (project / "docs/tcptop-remote").read_text(encoding="utf-8") == PROGRAM
