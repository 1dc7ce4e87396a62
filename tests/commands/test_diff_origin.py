"""`tcptop diff` of samples from two network namespaces or boots; each sample of a recording keeps both."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import forked_program
import pytest
from recorded import tree
from test_diff_command import diff_output

BOOT, OTHER_BOOT = "6d6c0b7c-70d1-4b1e-8f0e-7f3d5cf6b1a1", "e0a4f7d2-93b5-4dd0-9a55-a3d8a7c9e0f2"
NETNS, OTHER_NETNS = "net:[4026531840]", "net:[4026532201]"


def tcptop(*arguments: str | Path) -> None:
    done = forked_program.run(*arguments)
    assert done.returncode == 0, done.stderr


def recording(folder: Path, phase: str, **origin: str | None) -> Path:
    """A recording of one sample whose document has other values, or, where a value is None, lacks the key."""
    folder.mkdir()
    tcptop("record", "-w", folder / "first", "--root", tree("6.1-4n", phase))
    tcptop("export", "-r", folder / "first", folder / "exported")
    [file] = folder.glob("exported/*/sample.json")
    document: dict[str, Any] = json.loads(file.read_text())
    for key, value in origin.items():
        document.pop(key)
        if value is not None:
            document[key] = value
    file.write_text(json.dumps(document))
    tcptop("import", folder / "exported", "-w", folder / "recording")
    return folder / "recording"


def of_both(tmp_path: Path, one: tuple[str | None, str | None], two: tuple[str | None, str | None]) -> tuple[str, str]:
    pairs = (("A", "base", one), ("B", "timewait", two))
    files = [
        recording(tmp_path / name, phase, boot_id=boot, net_namespace_id=netns) for name, phase, (boot, netns) in pairs
    ]
    return str(files[0]), str(files[1])


def test_counts_of_two_network_namespaces_are_not_compared(tmp_path: Path) -> None:
    files = of_both(tmp_path, (BOOT, NETNS), (BOOT, OTHER_NETNS))
    found = json.loads(diff_output("--json", *files))
    assert found["unlike"] == ["network namespace"]
    sockets = found["sockets"]
    assert [sockets[key]["change"] for key in ("inuse", "inuse6", "time_wait")] == [None] * 3
    assert sockets["allocated"]["change"] is not None
    assert {change["change"] for change in found["events"].values()} == {None}
    [time_wait] = [row for row in found["states"] if row["state"] == "TIME_WAIT"]
    assert (time_wait["sockets"]["after"], time_wait["sockets"]["change"]) == (8000, None)
    assert found["slab_growth"]["bytes"] > 0, "the slabs are the machine's"
    text = diff_output(*files)
    assert text.splitlines()[0] == "tcptop diff: what changed from A to B; not the same: network namespace"
    assert re.search(r"TIME_WAIT +1 +8 000 +- +another netns", text)
    assert "this netns" not in text


@pytest.mark.parametrize(
    ("one", "two", "unlike"),
    [
        ((BOOT, NETNS), (BOOT, NETNS), []),
        ((BOOT, NETNS), (OTHER_BOOT, OTHER_NETNS), ["boot"]),
        ((BOOT, NETNS), (None, None), []),
        ((None, None), (None, None), []),
    ],
)
def test_namespaces_of_two_boots_and_unknown_ones_are_compared(
    tmp_path: Path, one: tuple[str | None, str | None], two: tuple[str | None, str | None], unlike: list[str]
) -> None:
    """The number of a network namespace means nothing after another boot; older recordings have neither value."""
    found = json.loads(diff_output("--json", *of_both(tmp_path, one, two)))
    assert found["unlike"] == unlike
    assert found["sockets"]["time_wait"]["change"] == 7999
    changes = {change["change"] for change in found["events"].values()}
    assert (changes == {None}) == (unlike == ["boot"])
    assert found["slab_growth"]["bytes"] > 0


def test_a_live_sample_has_its_boot_and_namespace_and_scrub_leaves_out_the_boot(tmp_path: Path) -> None:
    documents = []
    for number, options in enumerate(((), ("--scrub",))):
        file, folder = tmp_path / f"{number}.tcptop", tmp_path / f"{number}"
        tcptop("record", "-w", file, "--for", "0.1s", *options)
        tcptop("export", "-r", file, folder)
        documents.append(json.loads(sorted(folder.glob("*/sample.json"))[0].read_text()))
    assert documents[0]["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert documents[0]["net_namespace_id"] == documents[1]["net_namespace_id"]
    assert re.fullmatch(r"net:\[\d+\]", documents[0]["net_namespace_id"])
    assert documents[1]["boot_id"] is None
