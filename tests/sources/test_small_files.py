"""The sysctls, the build ID and the security modules, each from a few small files that may be missing."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import MemoryHost, each_recording, snapshot, text, tree

from tcptop.hosts.folder import FolderHost
from tcptop.hosts.run_sync import run_sync
from tcptop.snapshot import Reading, SecurityModules, Sysctls
from tcptop.sources.kernel_notes import PATH as NOTES
from tcptop.sources.kernel_notes import parse_build_id
from tcptop.sources.security_modules import SecurityModulesSource
from tcptop.sources.sysctls import SysctlsSource

NAME = "proc/sys/kernel/hostname"
RELEASE = "proc/sys/kernel/osrelease"
VERSION = "proc/version"
TCP_MEM = "proc/sys/net/ipv4/tcp_mem"
RESERVE = "proc/sys/net/core/mem_pcpu_rsv"
LSM = "sys/kernel/security/lsm"
FILESYSTEMS = "proc/filesystems"
APPARMOR = "sys/module/apparmor/parameters/enabled"


def sysctls(files: Mapping[str, bytes | OSError]) -> Reading[Sysctls]:
    return run_sync(SysctlsSource().read(MemoryHost(files)))


def modules(files: Mapping[str, bytes | OSError]) -> Reading[SecurityModules]:
    return run_sync(SecurityModulesSource().read(MemoryHost(files)))


@each_recording
def test_the_sysctls_of_a_recording_equal_its_files(kernel: str, phase: str) -> None:
    reading = snapshot(kernel, phase).sysctls
    assert (reading.state, reading.reason) == ("ok", None)
    root = tree(kernel, phase)
    low, pressure, high = map(int, text(kernel, phase, TCP_MEM).split())
    assert reading.value == Sysctls(
        host_name=(root / NAME).read_text().strip() if (root / NAME).exists() else None,
        kernel_release=text(kernel, phase, RELEASE).strip(),
        tcp_mem=(low, pressure, high),
        slab_debug=False,
        memory_per_cpu_reserve_pages=int((root / RESERVE).read_text()) if (root / RESERVE).exists() else None,
        architecture="aarch64" if "arm64" in kernel else "x86_64" if kernel != "6.18-1n" else None,
    )


def test_sysctls_read_by_hand() -> None:
    reading = snapshot("6.18-1n", "established").sysctls
    assert reading.value == Sysctls("reference", "6.18.44", (287901, 383868, 575802), False, 256)
    old = snapshot("5.10-4n", "established").sysctls.value
    assert old is not None
    assert (old.kernel_release, old.memory_per_cpu_reserve_pages) == ("5.10.0-32-amd64", None)


def test_the_release_is_taken_from_proc_version_if_only_that_was_saved() -> None:
    reading = sysctls({VERSION: b"Linux version 5.10.0-32-amd64 (debian-kernel@lists.debian.org) (gcc-10) #1 SMP\n"})
    assert reading.value == Sysctls(None, "5.10.0-32-amd64", None, False, None, architecture="x86_64")


def test_two_releases_of_the_kernel_are_strange_and_the_release_is_unknown() -> None:
    banner = b"Linux version 5.10.0-32-amd64 (debian-kernel@lists.debian.org) (gcc-10) #1 SMP\n"
    reading = sysctls({RELEASE: b"6.1.0-56-amd64\n", VERSION: banner})
    assert reading.state == "strange"
    assert reading.reason is not None
    assert "6.1.0-56-amd64 in osrelease and 5.10.0-32-amd64 in /proc/version" in reading.reason
    assert reading.value is not None
    assert reading.value.kernel_release is None
    same = sysctls({RELEASE: b"5.10.0-32-amd64\n", VERSION: banner})
    assert (same.state, same.value and same.value.kernel_release) == ("ok", "5.10.0-32-amd64")
    for version in (b"", b"Linux version\n", b"Linux\n", FileNotFoundError(2, "No such file or directory")):
        alone = sysctls({RELEASE: b"6.1.0-56-amd64\n", VERSION: version})
        assert (alone.state, alone.value and alone.value.kernel_release) == ("ok", "6.1.0-56-amd64")


@pytest.mark.parametrize(
    ("command_line", "debug"),
    [
        (b"quiet slub_debug=FZPU\n", True),
        (b"slab_debug\n", True),
        (b"quiet ro\n", False),
        (b"x=slub_debug slub_debugger\n", False),
    ],
)
def test_slab_debugging_is_detected_by_the_kernel_command_line(command_line: bytes, debug: bool) -> None:
    value = sysctls({RELEASE: b"6.1.0\n", "proc/cmdline": command_line}).value
    assert value is not None
    assert value.slab_debug is debug


def test_missing_and_empty_files_are_unknown() -> None:
    reading = sysctls({RELEASE: b"6.1.0\n", TCP_MEM: b"", RESERVE: PermissionError(13, "Permission denied")})
    assert reading.value == Sysctls(None, "6.1.0", None, False, None)


@pytest.mark.parametrize("tcp_mem", [b"1 2\n", b"1 2 3 4\n", b"1 2 -3\n", b"a b c\n"])
def test_a_malformed_tcp_mem_is_unknown_and_reported(tcp_mem: bytes) -> None:
    reading = sysctls({RELEASE: b"6.1.0\n", TCP_MEM: tcp_mem})
    assert reading.state == "strange"
    assert reading.reason is not None
    assert "tcp_mem" in reading.reason
    assert reading.value == Sysctls(None, "6.1.0", None, False, None)


def test_a_malformed_tcp_mem_does_not_affect_mem_pcpu_rsv() -> None:
    reading = sysctls({TCP_MEM: b"nonsense\n", RESERVE: b"256\n"})
    assert reading.value is not None
    assert reading.value.memory_per_cpu_reserve_pages == 256


def test_without_any_file_the_reading_is_missing_with_a_reason() -> None:
    reading = sysctls({})
    assert (reading.state, reading.value) == ("missing", None)
    assert reading.reason is not None


def note(kind: int, owner: bytes, content: bytes, order: str = "<") -> bytes:
    """One ELF note, by include/uapi/linux/elf.h."""
    padded = [text + b"\0" * (-len(text) % 4) for text in (owner, content)]
    return struct.pack(f"{order}III", len(owner), len(content), kind) + b"".join(padded)


BUILD = bytes.fromhex("48dc540c8b76393804ca8088dbfa7d42911a9444")


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_build_id_is_found_among_the_notes_in_either_byte_order(order: str) -> None:
    salt = note(0x100, b"Linux\0", b"6.1.102-1.182.x86_64\0", order)
    xen = note(3, b"Xen\0", b"\1\2\3", order)
    notes = salt + xen + note(3, b"GNU\0", BUILD, order) + note(3, b"GNU\0", b"\0" * 20, order)
    assert parse_build_id(notes) == BUILD.hex()
    assert sysctls({RELEASE: b"6.1.0\n", NOTES: notes}).value == Sysctls(None, "6.1.0", None, False, None, BUILD.hex())


def test_notes_cut_at_any_byte_give_the_whole_build_id_or_none() -> None:
    notes = note(0x100, b"Linux\0", b"salt\0") + note(3, b"GNU\0", BUILD)
    for end in range(len(notes)):
        assert parse_build_id(notes[:end]) is None, end


@pytest.mark.parametrize("content", [b"", b"x" * 65])
def test_a_build_id_of_impossible_length_is_none(content: bytes) -> None:
    assert parse_build_id(note(3, b"GNU\0", content)) is None


def test_the_build_id_of_this_kernel_is_in_its_notes() -> None:
    try:
        notes = Path("/", NOTES).read_bytes()
    except OSError as error:
        pytest.skip(f"this kernel shows no {error.filename}")
    found = parse_build_id(notes)
    if found is None:
        pytest.skip("this kernel was built without a build ID")
    assert len(found) >= 16
    assert note(3, b"GNU\0", bytes.fromhex(found)) in notes


@given(st.binary(max_size=120))
def test_arbitrary_notes_never_raise(data: bytes) -> None:
    for notes in (data, note(1, b"x\0", b"") + data, struct.pack("<III", 4, 20, 3) + data):
        found = parse_build_id(notes)
        assert found is None or bytes.fromhex(found) in notes


@given(st.tuples(*[st.none() | st.binary(max_size=30)] * 4), st.binary(max_size=30))
def test_arbitrary_sysctls_never_raise_and_are_made_printable(files: tuple[bytes | None, ...], version: bytes) -> None:
    given_files: dict[str, bytes | OSError] = {
        path: data for path, data in zip((NAME, RELEASE, TCP_MEM, RESERVE), files, strict=True) if data is not None
    }
    reading = sysctls({**given_files, VERSION: b"Linux version " + version})
    value = reading.value
    if value is not None:
        assert (value.host_name or "").isprintable()
        assert (value.kernel_release or "").isprintable()
        assert min(value.tcp_mem or (0,)) >= 0
        assert (value.memory_per_cpu_reserve_pages or 0) >= 0


@each_recording
def test_the_security_modules_of_a_recording_equal_its_file(kernel: str, phase: str) -> None:
    reading = snapshot(kernel, phase).security_modules
    assert reading.state == "ok"
    assert reading.value == SecurityModules(tuple(text(kernel, phase, LSM).split(",")))


def test_security_modules_read_by_hand() -> None:
    assert snapshot("6.18-1n", "base").security_modules.value == SecurityModules(
        ("lockdown", "capability", "landlock", "bpf")
    )


def test_a_list_that_cannot_be_read_is_unknown_and_not_empty() -> None:
    for files, state in (
        ({}, "missing"),
        ({LSM: b""}, "empty"),
        ({LSM: PermissionError(13, "Permission denied")}, "refused"),
        ({LSM: OSError(5, "Input/output error")}, "failed"),
    ):
        reading = modules(files)
        assert (reading.state, reading.value) == (state, None)
        assert reading.reason is not None


def test_names_of_security_modules_are_made_printable() -> None:
    assert modules({LSM: b"apparmor,\x1b[1mx\x1b[0m\n"}).value == SecurityModules(("apparmor", "\\x1b[1mx\\x1b[0m"))


@given(st.binary(max_size=60))
def test_arbitrary_lsm_lists_never_raise(data: bytes) -> None:
    value = modules({LSM: data}).value
    if value is not None:
        assert all(name.isprintable() for name in value.names)


def filesystems(*names: str) -> bytes:
    return "".join(f"nodev\t{name}\n" for name in ("sysfs", "proc", *names)).encode() + b"\text4\n"


def find_modules(files: Mapping[str, bytes | OSError], *modules: str) -> Reading[SecurityModules]:
    folders = {"sys/module": dict.fromkeys(modules)} if modules else {}
    return run_sync(SecurityModulesSource().read(MemoryHost(files, folders)))


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ({FILESYSTEMS: filesystems()}, ()),
        ({FILESYSTEMS: filesystems("selinuxfs")}, ("selinux",)),
        ({FILESYSTEMS: filesystems("smackfs", "selinuxfs"), APPARMOR: b"Y\n"}, ("selinux", "smack", "apparmor")),
        ({FILESYSTEMS: filesystems(), APPARMOR: b"N\n"}, ()),
        ({FILESYSTEMS: filesystems("securityfs"), APPARMOR: b"Y\n"}, ("apparmor",)),
    ],
)
@pytest.mark.parametrize("lsm", [None, b"", PermissionError(13, "Permission denied")], ids=["no", "empty", "refused"])
def test_without_the_lsm_list_modules_are_found_by_other_files(
    files: dict[str, bytes | OSError], names: tuple[str, ...], lsm: bytes | OSError | None
) -> None:
    reading = find_modules(files if lsm is None else {**files, LSM: lsm}, "kernel", "tcp_cubic")
    assert (reading.state, reading.reason) == ("ok", None)
    assert reading.value == SecurityModules(names)


@pytest.mark.parametrize(
    ("files", "modules"),
    [
        ({FILESYSTEMS: filesystems()}, ()),
        ({APPARMOR: b"Y\n"}, ("apparmor",)),
        ({FILESYSTEMS: b"", APPARMOR: b"N\n"}, ("apparmor",)),
        ({FILESYSTEMS: b"hello\n"}, ("kernel",)),
        ({FILESYSTEMS: filesystems()}, ("kernel", "apparmor")),
        ({FILESYSTEMS: filesystems(), APPARMOR: PermissionError(13, "Permission denied")}, ("kernel", "apparmor")),
        ({FILESYSTEMS: filesystems(), APPARMOR: b"?\n"}, ("kernel", "apparmor")),
    ],
)
def test_if_another_file_cannot_be_read_the_modules_are_missing(
    files: dict[str, bytes | OSError], modules: tuple[str, ...]
) -> None:
    reading = find_modules(files, *modules)
    assert (reading.state, reading.value) == ("missing", None)
    assert reading.reason is not None
    assert f"/{LSM}" in reading.reason


def test_the_lsm_list_takes_precedence_over_other_files() -> None:
    reading = find_modules({LSM: b"capability,bpf", FILESYSTEMS: filesystems("selinuxfs")}, "kernel")
    assert reading.value == SecurityModules(("capability", "bpf"))


def test_the_security_modules_of_this_machine_are_known() -> None:
    host = FolderHost("/")
    try:
        reading = run_sync(SecurityModulesSource().read(host))
    finally:
        host.close()
    if Path("/", FILESYSTEMS).exists() and Path("/sys/module/kernel").exists():
        assert reading.state == "ok"
        assert reading.value is not None
        on_socket = {"selinux", "smack", "apparmor"} & set(reading.value.names)
        registered = {line.split()[-1] for line in Path("/", FILESYSTEMS).read_text().splitlines()}
        assert ("selinux" in on_socket) == ("selinuxfs" in registered)


@given(st.dictionaries(st.sampled_from([LSM, FILESYSTEMS, APPARMOR]), st.binary(max_size=40)))
def test_arbitrary_bytes_in_the_other_files_never_raise(files: dict[str, bytes]) -> None:
    value = find_modules(dict(files), "kernel").value
    if value is not None:
        assert all(name.isprintable() for name in value.names)
