"""Long runs: the screen has no more objects after many samples than after half of the samples."""

from __future__ import annotations

import collections
import functools
import gc
import inspect
import sys

import pytest
from drive import AppPilot, ScriptedHost, host_app, tree, wait_for_app

from tcptop.sampling.sampler import Sampler, read_due
from tcptop.sampling.source_list import kernel_sources
from tcptop.screen.app import TcptopApp

SAMPLES = 40
STEP_S = 60.0
"""Time between samples by their clock: the graphs of five minutes are full after SAMPLES."""
KEYS_IN_THE_CATALOGUE = {"objects_held"}
"""Caches without a bound, because their keys come from the catalogue alone."""


def caches() -> dict[str, functools._lru_cache_wrapper[object]]:
    """Each `lru_cache` of the package, by name."""
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] == "tcptop"]
    return {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, functools._lru_cache_wrapper)
    }


def count_objects() -> dict[str, int]:
    """Live objects of each class of the package, without those that a bounded cache holds."""
    for cache in caches().values():
        cache.cache_clear()
    gc.collect()
    counts = collections.Counter(type(item) for item in gc.get_objects())
    return {
        f"{kind.__module__}.{kind.__qualname__}": count
        for kind, count in counts.items()
        if kind.__module__.partition(".")[0] == "tcptop"
    }


def change(host: ScriptedHost, turn: int) -> None:
    """Changes a number in every row of slabinfo, and adds rows with new names."""
    [head, columns, *rows] = (tree("6.1-4n") / "proc/slabinfo").read_text().splitlines()
    changed = []
    for number, row in enumerate(rows):
        name, active, rest = row.split(maxsplit=2)
        changed.append(f"{name} {max(0, int(active) - (turn * 7 + number) % 50)} {rest}")
    added = [f"made-{turn}-{number} 8 32 128 32 1 : tunables 0 0 0 : slabdata 1 1 0" for number in range(5)]
    host.texts["proc/slabinfo"] = "\n".join([head, columns, *changed, *added, ""]).encode()


@pytest.mark.slow
async def test_twice_as_many_samples_leave_as_many_objects() -> None:
    host, clock_s = ScriptedHost(tree("6.1-4n"), live=True), 0.0
    sampler = Sampler(host, kernel_sources(), STEP_S, monotonic=lambda: clock_s, unix_time=lambda: 1.9e9 + clock_s)
    async with host_app(host, 3600.0).run_test(size=(120, 40)) as pilot:
        app = await wait_for_app(pilot)

        async def draw_samples(pilot: AppPilot, app: TcptopApp) -> None:
            nonlocal clock_s
            for _ in range(SAMPLES):
                clock_s += STEP_S
                change(host, int(clock_s / STEP_S))
                read_due(sampler)
                app.feed.receive(sampler.snapshot())
                await pilot.pause()

        await draw_samples(pilot, app)
        names = {line.name for line in app._ledger.caches} if app._ledger else set()
        assert f"made-{SAMPLES}-0" in names
        before = count_objects()
        await draw_samples(pilot, app)
        after = count_objects()
    assert before["tcptop.snapshot.SlabRow"] > 0
    # If an object were kept for each sample, there would be SAMPLES more objects; the objects of one sample vary by
    # less.
    assert {name: count for name, count in after.items() if count - before.get(name, 0) >= SAMPLES // 2} == {}


def test_every_cache_has_a_bound() -> None:
    """The cache of a function without parameters holds one result."""
    unbounded = {
        name
        for name, cache in caches().items()
        if cache.cache_info().maxsize is None and inspect.signature(cache).parameters
    }
    assert unbounded <= KEYS_IN_THE_CATALOGUE
