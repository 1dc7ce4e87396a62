"""Measures the replay of a recording of one day: `python benchmarks/replay.py TREE… [FILE]`.

If FILE does not exist, the benchmark first records a day into FILE, one sample per second. The samples come from the
saved trees, one hour from each tree. The benchmark opens the recording, and prints the milliseconds from a key to the
drawn screen, for steps and for random jumps.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

from tcptop.hosts.folder import FolderHost
from tcptop.recording.opening import open_recording
from tcptop.recording.recorder import Recorder
from tcptop.recording.time_spec import WHOLE_RECORDING
from tcptop.sampling.sampler import Sampler, read_due
from tcptop.sampling.source_list import kernel_sources
from tcptop.screen.app import TcptopApp
from tcptop.screen.idle_gc import run_idle_gc
from tcptop.screen.replay_feed import ReplayFeed, select_for_replay

SAMPLES = 86_400
HOUR = 3600
MOVES = 100


def record_day(file: str, trees: list[str]) -> None:
    """Records the saved trees as if they were a live machine."""
    hosts = [FolderHost(tree) for tree in trees]
    for host in hosts:
        host.identity = host.identity._replace(live=True, page_size_bytes=4096)
    recorder, clock_s = Recorder(file), 0.0
    sampler = Sampler(
        hosts[0],
        kernel_sources(),
        monotonic=lambda: clock_s,
        unix_time=lambda: 1.8e9 + clock_s,
        on_read=recorder.add_read,
    )
    for number in range(SAMPLES):
        sampler.host = hosts[number // HOUR % len(hosts)]
        read_due(sampler)
        recorder.write(sampler.snapshot())
        clock_s += 1.0
    recorder.close()


async def draw_sample_ms(app: TcptopApp, feed: ReplayFeed, index: int) -> float:
    """Goes to a sample; returns the milliseconds until the sample is drawn."""
    ended = asyncio.Event()
    started_s = time.perf_counter()
    feed.step(index - feed.player.index)
    while app.view.player is None or app.view.player.index != index:
        await asyncio.sleep(0)
    app.call_after_refresh(ended.set)
    await ended.wait()
    return (time.perf_counter() - started_s) * 1000


async def print_times(file: str) -> None:
    """Prints the times to open the recording, to fill the time line, and to draw steps and jumps."""
    started_s = time.perf_counter()
    recording = select_for_replay(open_recording(file), WHOLE_RECORDING)
    print(f"opened in {(time.perf_counter() - started_s) * 1000:.0f} ms: {len(recording.samples)} samples")
    feed = ReplayFeed(recording)
    app = TcptopApp(feed)
    generator = random.Random(1)
    async with app.run_test(size=(120, 40)) as pilot:
        while not feed.filling.done():
            await pilot.pause(0.1)
        print(f"time line filled {(time.perf_counter() - started_s):.1f} s after the start")
        gc_task = asyncio.create_task(run_idle_gc(lambda: 0.0))  # as the replay command does
        last = len(recording.samples) - 1
        for name, indices in (
            ("step", list(range(1, MOVES + 1))),
            ("jump", [generator.randrange(last) for _ in range(MOVES)]),
        ):
            took_ms = []
            for index in indices:
                took_ms.append(await draw_sample_ms(app, feed, index))
                await pilot.pause(0.02)
            took_ms.sort()
            median_ms, percentile_95_ms, worst_ms = took_ms[MOVES // 2], took_ms[MOVES * 95 // 100 - 1], took_ms[-1]
            print(f"{name}: median {median_ms:.0f} ms, 95 % within {percentile_95_ms:.0f} ms, worst {worst_ms:.0f} ms")
        gc_task.cancel()


if __name__ == "__main__":
    folders = [argument for argument in sys.argv[1:] if Path(argument, "proc").is_dir()]
    files = [argument for argument in sys.argv[1:] if argument not in folders]
    path = files[0] if files else str(Path(tempfile.mkdtemp()) / "day.tcptop")
    if not Path(path).exists():
        record_day(path, folders)
    asyncio.run(print_times(path))
