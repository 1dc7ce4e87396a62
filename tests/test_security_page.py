"""docs/security.md names every file that is read, and the bounds that the modules have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tcptop.exporter import server, web_config
from tcptop.hosts import archive, folder, remote_shell, ssh_session, tar_members
from tcptop.lab import result_file
from tcptop.recording import blocks, exported_folder, reader
from tcptop.sampling.source_list import wanted_paths
from tcptop.settings import file as settings
from tcptop.sources import kallsyms, smbios

PROJECT = Path(__file__).resolve().parents[1]
PAGE = (PROJECT / "docs" / "security.md").read_text(encoding="utf-8")
MIB, KIB = 1 << 20, 1 << 10


def test_the_page_names_every_path_that_is_read_and_no_other() -> None:
    [block] = re.findall(r"^```\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    named = block.split()
    assert sorted(set(named)) == sorted(named)
    assert set(named) == {*wanted_paths(), kallsyms.PATH}


@pytest.mark.parametrize(
    "row",
    [
        f"| a file of the kernel's, live or saved | {folder.MAX_FILE_BYTES // MIB} MiB, "
        f"`proc/zoneinfo` {folder.MAX_ZONEINFO_BYTES // MIB} MiB |",
        f"| SMBIOS tables | {smbios.MAX_TABLE_BYTES // MIB} MiB, {smbios.MAX_STRUCTURES:_} structures, "
        f"{smbios.MAX_ROWS:_} of each type |",
        f"| names in a folder | {folder.MAX_FOLDER_NAMES:_} |",
        f"| an answer over ssh | {ssh_session.MAX_ANSWER_BYTES // MIB} MiB in {ssh_session.ANSWER_S:.0f} s, "
        f"or in {ssh_session.STEADY_ANSWER_S:.0f} s while {ssh_session.STEADY_BYTES_PER_S // 1000} KB/s come |",
        f"| what a login over ssh prints before it | {remote_shell.MAX_BEFORE_HELLO_BYTES // KIB} KiB |",
        f"| what is kept of an archive | {archive.MAX_KEPT_BYTES // MIB} MiB in {archive.MAX_KEPT_ENTRIES:_} files |",
        f"| members of an archive | {tar_members.MAX_MEMBERS:_} |",
        f"| samples of a recording | {reader.MAX_SAMPLES:_} |",
        f"| a sample of a recording, unpacked | {blocks.MAX_DOCUMENT_BYTES // MIB} MiB |",
        "| samples of an exported folder | "
        f"{exported_folder.MAX_SAMPLES:_}, of {exported_folder.MAX_SAMPLE_BYTES // MIB} MiB each |",
        f"| a lab result | {result_file.MAX_FILE_BYTES // MIB} MiB |",
        f"| the settings | {settings.MOST_BYTES // KIB} KiB |",
        f"| headers of a request to the exporter | {server.HEADER_BYTES // KIB} KiB |",
        f"| connections to the exporter | {server.MAX_CONNECTIONS}; {server.IDLE_S:.0f} s for a request, "
        f"{server.IDLE_S:.0f} s for its answer to be taken |",
        f"| the exporter's web configuration | {web_config.MAX_FILE_BYTES // KIB} KiB |",
    ],
)
def test_the_page_has_the_bounds_of_the_modules(row: str) -> None:
    assert row.replace("_", " ") in PAGE.splitlines()


def test_the_readme_links_to_the_page() -> None:
    assert "(docs/security.md)" in (PROJECT / "README.md").read_text(encoding="utf-8")
