"""Helpers for screen tests: recorded trees, hosts and apps on them, and the text that the screen shows."""

from __future__ import annotations

import asyncio
import errno
import io
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import textual.app
import textual.pilot
import textual.screen
from rich.console import Console
from textual.app import App
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet
from textual.css.types import CSSLocation
from textual.geometry import Size
from textual.message import Message
from textual.notifications import Notify
from textual.pilot import Pilot
from textual.screen import Screen

from tcptop.hosts.folder import FolderHost
from tcptop.hosts.host import FileRead, FolderRead, Host, Identity
from tcptop.hosts.run_sync import run_sync
from tcptop.recording.opening import open_recording
from tcptop.recording.recorder import Recorder
from tcptop.recording.time_spec import WHOLE_RECORDING, TimeRange
from tcptop.sampling.sampler import AnySource, Sampler
from tcptop.sampling.source_list import kernel_sources
from tcptop.screen.app import TcptopApp
from tcptop.screen.feed import Sampled
from tcptop.screen.live_feed import LiveFeed
from tcptop.screen.replay_feed import ReplayFeed, select_for_replay
from tcptop.screen.saved_feed import SavedFeed
from tcptop.settings.file import NO_SETTINGS, Settings
from tcptop.snapshot import Snapshot
from tcptop.text.line import text_of
from tcptop.widgets.pane import Pane

RECORDINGS = Path(__file__).resolve().parents[1] / "recordings"

AppPilot = Pilot[int]

IDLE_S = 0.005
"""Time for which the event loop must have nothing to do before a key or a pause counts as finished."""


async def wait_for_idle(min_sleep: float = 0.0, max_sleep: float = 1.0) -> None:  # noqa: ARG001 (Textual's parameters)
    """Waits until the event loop and the process have nothing to do.

    Textual's own function looks only at the CPU time of the process, which also stands still while other processes have
    the CPU. Its minimum wait of 20 ms would add up to minutes.
    """
    loop: Any = asyncio.get_running_loop()
    start_s, idle = time.monotonic(), False
    while not idle and time.monotonic() - start_s < max_sleep:
        cpu_s = time.process_time()
        await asyncio.sleep(IDLE_S)
        idle = not loop._ready and time.process_time() - cpu_s < IDLE_S / 5


textual.pilot.wait_for_idle = textual.app.wait_for_idle = wait_for_idle  # type: ignore[attr-defined]
textual.screen.UPDATE_PERIOD = IDLE_S / 2  # type: ignore[misc] # a change is drawn within IDLE_S


PARSED_CSS: dict[object, list[RuleSet]] = {}
parse_rules = Stylesheet._parse_rules


def parse_rules_once(
    self: Stylesheet,
    css: str,
    read_from: CSSLocation,
    is_default_rules: bool = False,
    tie_breaker: int = 0,
    scope: str = "",
) -> list[RuleSet]:
    """Does the same as Textual's method, but with one cache for all apps, because parsing takes an eighth of a
    start.
    """
    key = (css, read_from, is_default_rules, tie_breaker, scope, *self._variables.items())
    if key not in PARSED_CSS:
        PARSED_CSS[key] = parse_rules(self, css, read_from, is_default_rules, tie_breaker, scope)
    return PARSED_CSS[key]


Stylesheet._parse_rules = parse_rules_once  # type: ignore[method-assign]

compositor_refresh = Screen._compositor_refresh


def refresh_without_updates(self: Screen[Any]) -> None:
    """Does the same as Textual's method, but makes no update of the terminal for a headless app, which throws it away.

    The updates took a third of the time of a screen test. `screen_text` draws the whole screen.
    """
    if self is not self.app.screen or not self.app.is_headless:
        compositor_refresh(self)
        return
    self._dirty_widgets.clear()
    self._compositor._dirty_regions.clear()
    self.app._update_mouse_over(self)


Screen._compositor_refresh = refresh_without_updates  # type: ignore[method-assign]


def tree(kernel: str, phase: str = "established") -> Path:
    """The folder of a recorded tree, which tests must not change."""
    folder = RECORDINGS / kernel / phase
    assert (folder / "proc").is_dir(), f"no recording in {folder}"
    return folder


OPEN_HOSTS: list[FolderHost] = []
"""Hosts keep file descriptors open; conftest closes them after each test."""


def open_host(folder: Path) -> FolderHost:
    """A host on a tree, closed after the test."""
    OPEN_HOSTS.append(FolderHost(str(folder)))
    return OPEN_HOSTS[-1]


def tree_app(folder: Path, sort: str | None = None) -> TcptopApp:
    """The app on a saved tree."""
    return host_app(open_host(folder), settings=Settings(sort=sort))


def host_app(
    host: Host, interval_s: float | None = None, settings: Settings = NO_SETTINGS, mistakes: Sequence[str] = ()
) -> TcptopApp:
    """The app on a host, live or saved."""
    settings = replace(settings, interval=interval_s or settings.interval)
    return TcptopApp(LiveFeed(host) if host.identity.live else SavedFeed(host), settings, mistakes)


def copy_tree(folder: Path, into: Path) -> Path:
    """A copy of a tree that a test may change."""
    shutil.copytree(folder, into, symlinks=True)
    return into


def sample_tree(folder: Path) -> Snapshot:
    """A sample of a saved tree, as the app takes it."""
    sampler = Sampler(open_host(folder), kernel_sources())
    for _ in range(2):
        for source in sampler.due():
            read_source(sampler, source)
    return sampler.snapshot()


def read_source(sampler: Sampler, source: AnySource) -> None:
    """Reads a source. The time that parsing takes must not decide on the age that the screen shows."""
    sampler.store(run_sync(sampler.fetch(source))._replace(parse_us=0))


def sample_phases(
    kernel: str, phases: Sequence[str], every_s: float = 10.0, recorder: Recorder | None = None, start_s: float = 100.0
) -> list[Snapshot]:
    """Samples of a live host, `every_s` apart, one in each of the recorded phases; `recorder` also records them."""
    clock = [start_s]
    host = ScriptedHost(tree(kernel, phases[0]), live=True)
    sampler = Sampler(
        host,
        kernel_sources(),
        monotonic=lambda: clock[0],
        unix_time=lambda: 1795348800.4 + clock[0],
        on_read=recorder.add_read if recorder is not None else None,
    )
    samples: list[Snapshot] = []
    for phase in phases:
        host.switch_to(tree(kernel, phase))
        sampler.make_all_due()
        for _ in range(2):
            for source in sampler.due():
                read_source(sampler, source)
        samples.append(without_load(sampler.snapshot()))
        if recorder is not None:
            recorder.write(samples[-1])
        clock[0] += every_s
    return samples


def sample_counts(counts: Sequence[int], recorder: Recorder | None = None) -> list[Snapshot]:
    """Samples of a live host, a second apart, with these numbers of sockets; `recorder` also records them.

    The first sample begins a step of five seconds.
    """
    clock = [100.0]
    host = ScriptedHost(tree("6.1-4n"), live=True)
    sampler = Sampler(
        host,
        kernel_sources(),
        monotonic=lambda: clock[0],
        unix_time=lambda: 1795348800.4 + clock[0],
        on_read=recorder.add_read if recorder is not None else None,
    )
    samples: list[Snapshot] = []
    host.texts["proc/net/snmp"] = snmp_of_few_sockets(tree("6.1-4n"))
    for count in counts:
        host.texts["proc/net/sockstat"] = f"TCP: inuse 5 orphan 0 tw 0 alloc {count} mem 0\n".encode()
        sampler.make_all_due()
        for source in sampler.due():
            read_source(sampler, source)
        samples.append(without_load(sampler.snapshot()))
        if recorder is not None:
            recorder.write(samples[-1])
        clock[0] += 1.0
    return samples


def without_load(snapshot: Snapshot) -> Snapshot:
    """The sample as if slabinfo had been parsed quickly: on a loaded machine, slow parsing would make the source
    pause.
    """
    period_s = snapshot.slabinfo.every_s
    return snapshot._replace(slabinfo=snapshot.slabinfo._replace(every_s=period_s and min(period_s, 1.0)))


def record_phases(file: Path, kernel: str, phases: Sequence[str], every_s: float = 10.0) -> list[Snapshot]:
    """Records `sample_phases` into a file."""
    recorder = Recorder(str(file))
    try:
        return sample_phases(kernel, phases, every_s, recorder)
    finally:
        recorder.close()


def replay_app(path: Path, choice: TimeRange = WHOLE_RECORDING, settings: Settings = NO_SETTINGS) -> TcptopApp:
    """The app on a recording."""
    return TcptopApp(ReplayFeed(select_for_replay(open_recording(str(path)), choice)), settings)


async def wait_for_replay(pilot: AppPilot) -> TcptopApp:
    """The app on a recording, once it has drawn the requested sample and filled its timeline."""
    app = pilot.app
    assert isinstance(app, TcptopApp)

    def done() -> bool:
        feed = app.feed
        assert isinstance(feed, ReplayFeed)
        return feed.filling.done() and app.view.player is not None and app.view.player.index == feed.player.index

    await wait_until(pilot, done, "the sample is drawn")
    await pilot.pause()
    return app


def snmp_of_few_sockets(folder: Path) -> bytes:
    """The tree's /proc/net/snmp with no established connection, for a test that writes a sockstat with few sockets."""
    lines = (folder / "proc/net/snmp").read_text().splitlines()
    names, values = [line.split() for line in lines if line.startswith("Tcp:")]
    values[names.index("CurrEstab")] = "0"
    kept = [line for line in lines if not line.startswith("Tcp:")]
    return "\n".join([*kept, " ".join(names), " ".join(values), ""]).encode()


class ScriptedHost:
    """A host on a recorded tree. A test can replace a file's bytes, refuse it, or let its reads hang."""

    def __init__(self, folder: Path, live: bool = False) -> None:
        self._folder = open_host(folder)
        self.identity = Identity(
            live=live, page_size_bytes=4096 if live else None, place=str(folder), net_namespace=None, proc_folder=None
        )
        self.texts: dict[str, bytes] = {}
        self.refused: Callable[[str], bool] = lambda _: False
        self.hanging: set[str] = set()
        """Paths whose reads block until `release`."""
        self.asked: list[str] = []
        """The path of each read, in order."""
        self._released = threading.Event()

    async def read(self, paths: Sequence[str]) -> list[FileRead]:
        return [self._read(path) for path in paths]

    async def list_folder(self, path: str) -> FolderRead:
        return run_sync(self._folder.list_folder(path))

    def close(self) -> None:
        self.release()

    def switch_to(self, folder: Path) -> None:
        """Reads from another tree from now on."""
        self._folder = open_host(folder)

    def release(self) -> None:
        """Lets every blocked read return."""
        self.hanging.clear()
        self._released.set()

    def _read(self, path: str) -> FileRead:
        self.asked.append(path)
        if path in self.hanging:
            self._released.wait(60)
        if self.refused(path):
            return FileRead(path, None, PermissionError(errno.EACCES, "Permission denied"), 1)
        if path in self.texts:
            return FileRead(path, self.texts[path], None, 1)
        [file] = run_sync(self._folder.read([path]))
        # The pace of a live host must not depend on the machine that runs the tests.
        return FileRead(path, file.data, file.error, 1)


def root_only(path: str) -> bool:
    """True if only root may read a file: mode 0400 in mm/slab_common.c, mm/vmstat.c and mm/slub.c."""
    return path in ("proc/slabinfo", "proc/pagetypeinfo") or path.startswith("sys/kernel/slab/")


def screen_text(app: App[int]) -> str:
    """The text of the whole terminal, including screens that cover the panes."""
    # The code follows App.export_screenshot, which returns only an SVG.
    update = app.screen._compositor.render_update(full=True, screen_stack=app._background_screens)
    console = Console(
        width=app.size.width,
        height=app.size.height,
        file=io.StringIO(),
        force_terminal=True,
        record=True,
        legacy_windows=False,
    )
    console.print(update)
    return "".join(f"{line.rstrip()}\n" for line in console.export_text().splitlines())


def drawn_lines(pane: Pane) -> list[str]:
    """The lines of a pane as text, without its box and without trailing spaces; [""] while nothing is drawn."""
    return [text_of(line).rstrip() for line in pane._lines] or [""]


def pane_lines(app: App[int], pane: type[Pane]) -> list[str]:
    """The lines of the app's pane of that class, below whatever screen covers it."""
    return drawn_lines(app.screen_stack[0].query_one(pane))


def pane_title(app: App[int], pane: type[Pane]) -> str:
    """The title in the upper edge of a pane, without the note at the right end."""
    title, *_ = app.screen_stack[0].query_one(pane)._titles
    return title


TITLE = re.compile(r"(CACHE SIZE|CACHE|OBJECT|OBJS|ACTIVE|USE|OF ALL|OBJ SIZE|SLABS|O/S|P/S|ORDER|TCP PART|Δ/s)[▾▴]?")
LAST_FIGURE = re.compile(r"(?:^|\s)([+-]?\d{1,3}(?: \d{3})*|–)$")


def parse_cache_table(lines: Sequence[str]) -> dict[str, dict[str, str]]:
    """The cells of the caches pane by cache and column title. Figures are right-aligned with the titles of their
    columns.
    """
    head = next(line for line in lines if line.startswith("CACHE"))
    titles = [(found[1], found.end()) for found in TITLE.finditer(head)]
    assert titles[0][0] == "CACHE", head
    rows: dict[str, dict[str, str]] = {}
    for line in lines[lines.index(head) + 1 :]:
        if not line or line.startswith("!"):
            break
        cells: dict[str, str] = {}
        before = None
        for title, end in titles:
            if title in ("CACHE", "OBJECT"):
                continue
            if before is None:  # the previous column has names, which may be longer than the column's title
                found = LAST_FIGURE.search(line[:end])
                cells[title] = found[1] if found else ""
            else:
                cells[title] = line[before:end].strip()
            before = end
        rows[line.split()[0].rstrip("*")] = cells
    return rows


def grouped(number: int) -> str:
    """A count with its digits in groups of three, as on the screen."""
    return f"{number:,}".replace(",", " ")


def slabinfo_rows(folder: Path) -> dict[str, list[int]]:
    """slabinfo of a tree by cache: active, objects, object size, objects per slab, pages per slab, slabs."""
    rows: dict[str, list[int]] = {}
    for line in (folder / "proc/slabinfo").read_text().splitlines()[2:]:
        name, numbers = line.split()[0], line.split()
        rows.setdefault(name, [*map(int, numbers[1:6]), int(numbers[numbers.index("slabdata") + 2])])
    return rows


def count_on_nodes(folder: Path, cache: str, attribute: str = "total_objects") -> dict[int, int]:
    """A cache's count by node, from a file in /sys/kernel/slab of a tree."""
    fields = (folder / "sys/kernel/slab" / cache / attribute).read_text().split()
    return {int(node[1:]): int(number) for node, _, number in (field.partition("=") for field in fields[1:])}


def buddy_rows(folder: Path) -> dict[tuple[int, str], list[str]]:
    """The counts in buddyinfo of a tree, by node and zone."""
    rows: dict[tuple[int, str], list[str]] = {}
    for line in (folder / "proc/buddyinfo").read_text().splitlines():
        fields = line.split()
        rows[int(fields[1].rstrip(",")), fields[3]] = fields[4:]
    return rows


def typed_rows(folder: Path) -> dict[tuple[int, str, str], list[str]]:
    """The free counts in pagetypeinfo of a tree, by node, zone and migrate type."""
    rows: dict[tuple[int, str, str], list[str]] = {}
    for line in (folder / "proc/pagetypeinfo").read_text().splitlines():
        found = re.match(r"Node\s+(\d+), zone\s+(\S+), type\s+(\S+)\s+(.*)", line)
        if found:
            rows[int(found[1]), found[2], found[3]] = found[4].split()
    return rows


def sizes(widths: Iterable[int], heights: Iterable[int]) -> Iterator[Size]:
    """Every pair of a width and a height."""
    for width, height in product(widths, heights):
        yield Size(width, height)


class Notices(list[str]):
    """The texts of all notifications; the app itself keeps them for a few seconds only."""

    def collect(self, message: Message) -> None:
        """The function is passed to `run_test` as `message_hook`."""
        if isinstance(message, Notify):
            self.append(message.notification.message)


async def wait_for_app(pilot: AppPilot) -> TcptopApp:
    """The app on a saved tree, once its first sample is drawn."""
    app = pilot.app
    assert isinstance(app, TcptopApp)
    await pilot.pause()
    await pilot.pause()
    return app


async def resize(pilot: AppPilot, size: tuple[int, int]) -> None:
    """Resizes the terminal, and waits until every pane has its new size; a new layout may also change the boxes."""
    await pilot.resize_terminal(*size)
    await pilot.pause()
    await pilot.pause()


async def wait_until(pilot: AppPilot, condition: Callable[[], bool], description: str) -> None:
    """Waits until a condition holds, and fails the test after many attempts."""
    for _ in range(3000):
        if condition():
            return
        await pilot.pause(0.01)
    raise AssertionError(f"never happened: {description}")


async def feed(pilot: AppPilot, snapshot: Snapshot) -> None:
    """Sends a sample to the app, as its sampler does."""
    pilot.app.post_message(Sampled(snapshot))
    await pilot.pause()
    await pilot.pause()
