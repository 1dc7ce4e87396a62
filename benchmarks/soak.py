"""Shows what grows in a long run: `benchmarks/soak.py live|driven|replay [--samples N] [--seconds N] [--tree DIR]`.

The screen runs in a pseudo-terminal of 120x40. At intervals, the output has the private memory, the bytes and blocks
that Python has allocated, and the sizes of the bounded caches. The output also has the number of live objects of each
class of tcptop. At the end, the output names the classes whose number of objects grew in the second half.

- `live` samples this machine every 0.1 s under a churn of connections.
- `driven` draws samples without waiting, from a saved tree whose numbers drift, with a clock that moves 0.1 s a sample.
- `replay` steps through a recording of drifting samples without waiting.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import fcntl
import functools
import gc
import json
import os
import pty
import select
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from churn import churn
from recording import Machine

from tcptop.hosts.folder import FolderHost
from tcptop.recording.opening import open_recording
from tcptop.recording.recorder import Recorder
from tcptop.recording.time_spec import WHOLE_RECORDING
from tcptop.sampling.sampler import Sampler, read_due
from tcptop.sampling.source_list import kernel_sources
from tcptop.screen.app import TcptopApp
from tcptop.screen.feed import Feed
from tcptop.screen.live_feed import LiveFeed
from tcptop.screen.replay_feed import ReplayFeed, select_for_replay
from tcptop.settings.file import Settings
from tcptop.snapshot import Snapshot

INTERVAL_S = 0.1
COLUMNS, ROWS = 120, 40
REPORTS = 24
WARM_REPORTS = 2
SAVED_TREE = str(Path(__file__).resolve().parents[1] / "tests/recordings/6.1-4n/established")


def private_kib() -> int:
    """Private memory of this process, in KiB, without pages shared with other programs."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def count_objects() -> dict[str, int]:
    """Live objects of each class of tcptop and Textual, and the number of all objects that the collector knows."""
    objects = gc.get_objects()
    counts = collections.Counter(type(item) for item in objects)
    named = {
        f"{kind.__module__}.{kind.__qualname__}": count
        for kind, count in counts.items()
        if kind.__module__.partition(".")[0] in ("tcptop", "textual", "rich", "asyncio", "_asyncio", "builtins")
    }
    return {"all": len(objects), **named}


def cache_sizes() -> dict[str, int]:
    """Entries of each `lru_cache` of tcptop, Textual and Rich."""
    modules = [
        module for name, module in sys.modules.items() if name.partition(".")[0] in ("tcptop", "textual", "rich")
    ]
    functions = [item for module in modules for item in vars(module).values()]
    functions += [item for kind in functions if isinstance(kind, type) for item in vars(kind).values()]
    return {
        f"{item.__module__}.{item.__qualname__}": item.cache_info().currsize
        for item in functions
        if isinstance(item, functools._lru_cache_wrapper)
    }


class Reporter:
    """Writes a line of JSON about this process every `every` samples."""

    def __init__(self, out: TextIO, every: int) -> None:
        self._out, self._every = out, every
        self.samples = 0

    def add_sample(self) -> None:
        """Counts a sample, and writes a report if a report is due."""
        self.samples += 1
        if self.samples % self._every == 0:
            report = {
                "samples": self.samples,
                "private_kib": private_kib(),
                "blocks": sys.getallocatedblocks(),
                "objects": count_objects(),
                "caches": cache_sizes(),
            }
            self._out.write(json.dumps(report) + "\n")
            self._out.flush()


def driven_snapshots(tree: str, samples: int, recorder: Recorder | None = None) -> Iterator[Snapshot]:
    """Samples of a tree whose numbers drift, 0.1 s apart by a clock that does not wait."""
    machine = Machine([tree], drifts=True)
    sampler = Sampler(
        machine,
        kernel_sources(),
        INTERVAL_S,
        monotonic=machine.monotonic,
        unix_time=lambda: 1.7e9 + machine.clock_ns / 1e9,
        on_read=recorder.add_read if recorder else None,
    )
    for _ in range(samples):
        read_due(sampler)
        yield sampler.snapshot()
        machine.clock_ns += int(INTERVAL_S * 1e9)


class DrivenFeed(LiveFeed):
    """A live feed that draws each sample at once."""

    def __init__(self, tree: str, samples: int) -> None:
        super().__init__(FolderHost(tree))
        self._snapshots = driven_snapshots(tree, samples)

    async def _follow(self) -> None:
        for snapshot in self._snapshots:
            self.receive(snapshot)
            await asyncio.sleep(0)
        self.app.exit()


class SteppingFeed(ReplayFeed):
    """A replay that shows each sample as soon as the previous sample is drawn."""

    def begin(self) -> None:
        """Shows the first sample."""
        super().begin()
        self.start(self._step_through(), "step")

    async def _step_through(self) -> None:
        while self.player.index < self.player.last_index:
            if self._shown_index == self.player.index:
                self.step(1)
            await asyncio.sleep(0.0005)
        self.app.exit()


def make_recording(path: str, tree: str, samples: int) -> None:
    """Records driven samples."""
    recorder = Recorder(path)
    for snapshot in driven_snapshots(tree, samples, recorder):
        recorder.write(snapshot)
    recorder.close()


def run_screen(options: argparse.Namespace, report: TextIO) -> None:
    """Runs the screen in this terminal, as the command does, and counts the samples that it draws."""
    gc.disable()
    feed: Feed
    if options.mode == "live":
        feed = LiveFeed(FolderHost("/"))
    elif options.mode == "driven":
        feed = DrivenFeed(options.tree, options.samples)
    else:
        feed = SteppingFeed(select_for_replay(open_recording(options.recording), WHOLE_RECORDING))
    app = TcptopApp(feed, Settings(interval=INTERVAL_S))
    reporter = Reporter(report, max(1, options.samples // REPORTS))
    draw = feed.draw

    def draw_and_count(ledger: object) -> None:
        draw(ledger)  # type: ignore[arg-type]
        reporter.add_sample()
        if options.mode == "live" and reporter.samples >= options.samples:
            app.exit()

    feed.draw = draw_and_count  # type: ignore[method-assign]
    gc.freeze()
    gc.enable()
    app.run(mouse=False)


def run_in_terminal(options: argparse.Namespace) -> list[dict[str, object]]:
    """Runs the screen in a pseudo-terminal, prints its reports as they come, and returns them."""
    reports = []
    read_end, write_end = os.pipe()
    pid, terminal = pty.fork()
    if pid == 0:
        os.close(read_end)
        os.environ["TERM"] = "xterm-256color"
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        with os.fdopen(write_end, "w") as report:
            run_screen(options, report)
        os._exit(0)
    os.close(write_end)
    began_s, output, tail, pending = time.monotonic(), 0, b"", b""
    print(f"{'s':>6}{'samples':>9}{'private KiB':>13}{'blocks':>9}{'objects':>9}{'cached':>8}{'output KiB':>12}")
    while True:
        ready, _, _ = select.select([terminal, read_end], [], [], 60)
        if terminal in ready:
            with contextlib.suppress(OSError):
                tail = os.read(terminal, 1 << 16)
                output += len(tail)
        if read_end in ready:
            data = os.read(read_end, 1 << 20)
            if not data:
                break
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                one = json.loads(line)
                reports.append(one)
                print(
                    f"{time.monotonic() - began_s:6.0f}{one['samples']:9}{one['private_kib']:13}{one['blocks']:9}"
                    f"{one['objects']['all']:9}{sum(one['caches'].values()):8}{output // 1024:12}",
                    flush=True,
                )
    if not reports:
        print(tail.decode(errors="replace"))
    os.waitpid(pid, 0)
    return reports


def print_growth(reports: list[dict[str, object]]) -> None:
    """Prints the memory per sample in each half of the run, and the classes whose number of objects grew."""
    if len(reports) < WARM_REPORTS + 2:
        return
    first, middle, last = reports[WARM_REPORTS - 1], reports[len(reports) // 2], reports[-1]
    for name, one, other in (("first half", first, middle), ("second half", middle, last)):
        samples = other["samples"] - one["samples"]  # type: ignore[operator]
        grown = other["private_kib"] - one["private_kib"]  # type: ignore[operator]
        blocks = other["blocks"] - one["blocks"]  # type: ignore[operator]
        print(f"{name}: {grown:+} KiB, {blocks:+} blocks in {samples} samples: {1024 * grown / samples:.1f} bytes each")
    for part in ("caches", "objects"):
        before, after = middle[part], last[part]
        assert isinstance(before, dict)
        assert isinstance(after, dict)
        more = {name: count - before.get(name, 0) for name, count in after.items()}
        for name, count in sorted(more.items(), key=lambda item: -item[1])[:12]:
            if count > 0:
                print(f"  {part}: {name} {count:+} to {after[name]}")


def main() -> None:
    """Runs the way that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("mode", choices=("live", "driven", "replay"))
    parser.add_argument("--samples", type=int, default=72_000)
    parser.add_argument("--seconds", type=int, help="of a live run, instead of --samples")
    parser.add_argument("--tree", default=SAVED_TREE)
    options = parser.parse_args()
    if options.seconds:
        options.samples = int(options.seconds / INTERVAL_S)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        options.recording = f"{folder}/soak.tcptop"
        if options.mode == "replay":
            make_recording(options.recording, options.tree, options.samples)
        if options.mode == "live":
            stack.enter_context(churn())
        print_growth(run_in_terminal(options))


if __name__ == "__main__":
    main()
