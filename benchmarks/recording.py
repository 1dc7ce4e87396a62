"""Measures the costs of a recording: `python benchmarks/recording.py TREE… [--beside CHECKOUT]`.

Saved trees are recorded in two ways, as if they were a live machine. In the first way, each sample is another tree of
one machine, so that samples differ in thousands of numbers. In the second way, each sample is the first tree with a few
hundred changed numbers, as on a machine under load. Trees are grouped by their parent folder:
`tests/recordings/6.1-4n/*` is one machine. With --beside, the code of another checkout, which needs its own .venv, is
measured alternately with the code of this checkout.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

SAMPLES = 360
JUMPS = 150
ROUNDS = 3
FIGURES = (
    ("bytes", "bytes a sample"),
    ("write_ms", "write"),
    ("step_ms", "step forward"),
    ("back_ms", "step backward"),
    ("jump_ms", "jump (median)"),
    ("jump_worst_ms", "jump (95 %)"),
)
NUMBER = re.compile(rb" *[0-9]+")
DRIFTING_FILES = re.compile(
    r"proc/(slabinfo|buddyinfo|zoneinfo|meminfo|pagetypeinfo|net/(sockstat6?|snmp|protocols))|sys/kernel/slab/.*"
)
DRIFTING_LINES = 12
"""Number of lines of a file that change at every read; in a long file, one line in 20 if this is more."""


def import_any(*names: str) -> Any:  # noqa: ANN401 (of whatever checkout this runs in)
    """The first module or `module:attribute` in a list that this checkout has; names differ between versions."""
    for name in names:
        module, _, attribute = name.partition(":")
        try:
            found = import_module(module)
            return getattr(found, attribute) if attribute else found
        except (ImportError, AttributeError):
            continue
    raise ImportError(f"none of {', '.join(names)}")


class Machine:
    """A host that serves saved trees as a live machine with a clock of its own."""

    def __init__(self, trees: Sequence[str], drifts: bool) -> None:
        folder_host = import_any("tcptop.hosts.folder:FolderHost")
        self._hosts = [folder_host(tree) for tree in trees]
        self._drifts = drifts
        self._random = random.Random(1)
        self._drift: dict[tuple[str, int, int], int] = {}
        self.turn = 0
        self.clock_ns = 5_000_125_000_000
        self.identity = self._hosts[0].identity._replace(live=True, page_size_bytes=4096)

    def monotonic(self) -> float:
        """The time of the clock, which advances a little with each call."""
        self.clock_ns += self._random.randrange(20_000, 90_000)
        return self.clock_ns / 1e9

    async def read(self, paths: Sequence[str]) -> list[Any]:
        """The files of the present tree."""
        files = await self._hosts[0 if self._drifts else self.turn % len(self._hosts)].read(paths)
        took = [self._random.randrange(2, 9) for _ in files]
        if self._drifts:
            files = [file._replace(data=self._drifted(file.path, file.data)) for file in files]
        return [file._replace(took_us=took_us) for file, took_us in zip(files, took, strict=True)]

    async def list_folder(self, path: str) -> Any:  # noqa: ANN401 (as above)
        """The names in a folder of the present tree."""
        host = self._hosts[0 if self._drifts else self.turn % len(self._hosts)]
        list_folder = host.list_folder if hasattr(host, "list_folder") else host.folder
        return (await list_folder(path))._replace(took_us=self._random.randrange(9, 30))

    folder = list_folder  # its name in 0.1.0

    async def run(self, call: Callable[[], Any]) -> Any:  # noqa: ANN401 (as above)
        """Calls it."""
        return call()

    ask = run  # its name in 0.1.0

    def close(self) -> None:
        """Closes the trees."""
        for host in self._hosts:
            host.close()

    def _drifted(self, path: str, data: bytes | None) -> bytes | None:
        """The file with random changes of the numbers in some lines; columns stay aligned."""
        if not data or not DRIFTING_FILES.fullmatch(path):
            return data
        lines = data.split(b"\n")
        chosen = random.Random(path)
        is_counter = path.endswith(("/objects", "/slabs", "/total_objects"))
        if path.startswith("sys/") and not (is_counter and chosen.random() < 0.4):
            return data
        for line in chosen.sample(range(len(lines)), min(len(lines), max(DRIFTING_LINES, len(lines) // 20))):
            numbers = list(NUMBER.finditer(lines[line]))
            for number in chosen.sample(range(len(numbers)), min(2, len(numbers))):
                match = numbers[number]
                key = (path, line, number)
                self._drift[key] = self._drift.get(key, 0) + self._random.randrange(-9, 12)
                text = b"%d" % max(0, int(match[0]) + self._drift[key])
                if match[0].startswith(b" "):
                    text = b" " + text.rjust(len(match[0]) - 1)
                whole = lines[line]
                lines[line] = whole[: match.start()] + text + whole[match.end() :]
                numbers = list(NUMBER.finditer(lines[line]))
        return b"\n".join(lines)


def measure(trees: Sequence[str], drifts: bool) -> dict[str, float]:
    """The figures of one recording: bytes per sample, and CPU milliseconds."""
    recorder_class = import_any("tcptop.recording.recorder:Recorder")
    sampler_module = import_any("tcptop.sampling.sampler", "tcptop.sampler")
    open_recording = import_any("tcptop.recording.opening:open_recording", "tcptop.recording.opening:opened")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        file = f"{folder}/recording"
        machine = Machine(trees, drifts)
        recorder = recorder_class(file)
        reads: list[Any] = []
        on_read = "on_read" if hasattr(recorder, "add_read") else "kept"
        sampler = sampler_module.Sampler(
            machine,
            sampler_module.kernel_sources(),
            monotonic=machine.monotonic,
            unix_time=lambda: 1.7e9 + machine.clock_ns / 1e9,
            **{on_read: reads.append},
        )
        add_read = recorder.add_read if hasattr(recorder, "add_read") else recorder.keep
        write_s = []
        for _ in range(SAMPLES):
            sampler_module.read_due(sampler)
            snapshot = sampler.snapshot()
            started_s = time.process_time()
            for read in reads:
                add_read(read)
            recorder.write(snapshot)
            write_s.append(time.process_time() - started_s)
            reads.clear()
            machine.turn += 1
            machine.clock_ns = (machine.clock_ns // 10**9 + 1) * 10**9 + machine._random.randrange(10**6)
        recorder.close()
        machine.close()
        size_bytes = Path(file).stat().st_size

        def replay_s(indices: Sequence[int]) -> list[float]:
            recording = open_recording(file)
            took_s = []
            recording.snapshot(indices[0])
            for index in indices[1:]:
                started_s = time.process_time()
                recording.snapshot(index)
                took_s.append(time.process_time() - started_s)
            recording.close()
            return took_s

        generator = random.Random(1)
        jumps = sorted(replay_s([generator.randrange(SAMPLES) for _ in range(JUMPS + 1)]))
        return {
            "bytes": size_bytes / SAMPLES,
            "write_ms": statistics.mean(write_s) * 1e3,
            "step_ms": statistics.mean(replay_s(range(SAMPLES))) * 1e3,
            "back_ms": statistics.mean(replay_s(range(SAMPLES - 1, -1, -1))) * 1e3,
            "jump_ms": statistics.median(jumps) * 1e3,
            "jump_worst_ms": jumps[JUMPS * 95 // 100] * 1e3,
        }


def measure_in(checkout: Path, trees: Sequence[str], drifts: bool) -> dict[str, float]:
    """The figures with the code of a checkout, in a process of its own."""
    arguments = ["--figures", *(["--drifts"] if drifts else []), *trees]
    ran = subprocess.run(
        [str(checkout / ".venv/bin/python"), __file__, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(checkout)},
    )
    figures: dict[str, float] = json.loads(ran.stdout)
    return figures


def main() -> None:
    """Prints the figures of each machine."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trees", nargs="+")
    parser.add_argument("--beside", metavar="CHECKOUT", type=Path)
    parser.add_argument("--figures", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--drifts", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.figures:
        print(json.dumps(measure(options.trees, options.drifts)))
        return
    checkouts = [Path(__file__).resolve().parents[1], *([options.beside.resolve()] if options.beside else [])]
    machines: dict[Path, list[str]] = {}
    for tree in map(Path, options.trees):
        machines.setdefault(tree.resolve().parent, []).append(str(tree.resolve()))
    for machine, trees in machines.items():
        for drifts in (False, True):
            print(f"{machine.name}, {'numbers drift' if drifts else 'trees in turn'}")
            found: dict[Path, list[dict[str, float]]] = {checkout: [] for checkout in checkouts}
            for _ in range(ROUNDS):
                for checkout in checkouts:
                    found[checkout].append(measure_in(checkout, trees, drifts))
            for key, title in FIGURES:
                middle = [statistics.median(each[key] for each in found[checkout]) for checkout in checkouts]
                unit = "" if key == "bytes" else " ms"
                beside = (
                    f"   beside {middle[1]:8.2f}{unit}   ratio {middle[0] / middle[1]:.2f}" if options.beside else ""
                )
                print(f"  {title:16}{middle[0]:9.2f}{unit}{beside}")


if __name__ == "__main__":
    main()
