"""What a day's recording costs to look at: `python benchmarks/replay.py TREE… [FILE]`.

It records a day, a sample a second, from saved trees in turn (an hour each) into FILE, unless it is there already; then
it opens it and measures, in milliseconds, from a key to the drawn screen: steps, and jumps to any sample.
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
from tcptop.sampling.sampler import Sampler, kernel_sources, read_due
from tcptop.screen.idle_gc import run_idle_gc
from tcptop.screen.playback import select_and_start
from tcptop.screen.replay_app import ReplayApp

SAMPLES = 86_400
HOUR = 3600
MOVES = 100


def record_day(file: str, trees: list[str]) -> None:
    """Records the trees as though they were a live machine."""
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


async def draw_sample_ms(app: ReplayApp, index: int) -> float:
    """Goes to a sample, and gives the milliseconds until it is drawn."""
    viewer = app._playback
    assert viewer is not None
    ended = asyncio.Event()
    started_s = time.perf_counter()
    viewer.go(viewer.player.at(index))
    while app._choices.player is None or app._choices.player.index != index:
        await asyncio.sleep(0)
    app.call_after_refresh(ended.set)
    await ended.wait()
    return (time.perf_counter() - started_s) * 1000


async def print_times(file: str) -> None:
    """Prints what opening and looking takes."""
    started_s = time.perf_counter()
    held, _ = select_and_start(open_recording(file), WHOLE_RECORDING)
    print(f"opened in {(time.perf_counter() - started_s) * 1000:.0f} ms: {len(held.samples)} samples")
    app = ReplayApp(held)
    select_samples = random.Random(1)
    async with app.run_test(size=(120, 40)) as pilot:
        while app._playback is None or not app._playback._tasks[1].done():
            await pilot.pause(0.1)
        print(f"time line filled {(time.perf_counter() - started_s):.1f} s after the start")
        collecting = asyncio.create_task(run_idle_gc(lambda: 0.0))  # as the program does
        last = len(held.samples) - 1
        for name, indices in (
            ("step", list(range(1, MOVES + 1))),
            ("jump", [select_samples.randrange(last) for _ in range(MOVES)]),
        ):
            took_ms = []
            for index in indices:
                took_ms.append(await draw_sample_ms(app, index))
                await pilot.pause(0.02)
            took_ms.sort()
            middle_ms, most_ms, worst_ms = took_ms[MOVES // 2], took_ms[MOVES * 95 // 100 - 1], took_ms[-1]
            print(f"{name}: median {middle_ms:.0f} ms, 95 % within {most_ms:.0f} ms, the worst {worst_ms:.0f} ms")
        collecting.cancel()


if __name__ == "__main__":
    folders = [argument for argument in sys.argv[1:] if Path(argument, "proc").is_dir()]
    files = [argument for argument in sys.argv[1:] if argument not in folders]
    place = files[0] if files else str(Path(tempfile.mkdtemp()) / "day.tcptop")
    if not Path(place).exists():
        record_day(place, folders)
    asyncio.run(print_times(place))
