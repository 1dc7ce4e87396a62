"""Saved feed: one sample of a saved tree (`--root`)."""

from __future__ import annotations

from tcptop.accounting.chosen_cache import sound_attributes
from tcptop.hosts.host import Host
from tcptop.hosts.run_sync import run_sync
from tcptop.ledger import Ledger
from tcptop.sampling.sampler import Sampler, read_due
from tcptop.sampling.source_list import cgroup_sources, kernel_sources
from tcptop.screen.feed import NOTHING_RECORDED, READ_UNASKED, Feed, Sampled, host_options
from tcptop.screen.keys import LIVE_BINDINGS
from tcptop.snapshot import CacheAttributes, LabMeasurement
from tcptop.sources.cache_attributes import CacheAttributesSource
from tcptop.text.printable import printable

NO_INTERVAL = "saved: there is one sample, and no interval"
MESSAGES = {
    "pause": NO_INTERVAL,
    "ask_interval": NO_INTERVAL,
    "interval": NO_INTERVAL,
    "read_pagetypeinfo": READ_UNASKED,
    "record": "saved: there is nothing to record",
    "step": NOTHING_RECORDED,
    "jump": NOTHING_RECORDED,
    "back_to_live": "saved: there is one sample, and none is live",
}
"""Messages for those keys of the live screen that do nothing for a saved tree."""


class SavedFeed(Feed):
    """Feed that samples a saved tree at the start, and again when the user asks for it."""

    bindings = LIVE_BINDINGS

    def __init__(self, host: Host, lab_measurement: LabMeasurement | None = None, cgroup: str | None = None) -> None:
        super().__init__(lab_measurement)
        self._host = host
        self._cgroup = cgroup
        self._with_layouts = False
        self._with_sockets = False
        self._chosen_cache: CacheAttributes | None = None
        self._latest: Ledger | None = None

    def begin(self) -> None:
        """Samples the tree."""
        sources = [*kernel_sources(), *cgroup_sources(self._cgroup)]
        sampler = Sampler(self._host, sources, lab_measurement=self.lab_measurement)
        if self._with_layouts:
            sampler.ask_for("btf")
        if self._with_sockets:
            # The module is imported here, because few users ask for the sockets.
            from tcptop.sources.socket_table import SocketTableSource

            sampler.add_source(SocketTableSource())
        read_due(sampler)
        self.app.post_message(Sampled(sampler.snapshot()))

    def act(self, name: str, *_: object) -> None:
        """If `name` is `sample`, samples the tree again.

        If `name` is not `sample`, shows the message that MESSAGES has for the action, if any.
        """
        if name == "sample":
            self.begin()
        elif name in MESSAGES:
            self.app.notify(MESSAGES[name], timeout=3, markup=False)

    def source_options(self) -> list[str]:
        """The options that choose the saved tree."""
        return host_options(self._host, self._cgroup)

    def plan_origin(self) -> str:
        """The folder or archive that is read; empty for this machine."""
        return printable(self._host.identity.place or "")

    def ask_for_layouts(self) -> None:
        """At the first request, samples the tree again with the struct layouts (BTF); later requests do nothing."""
        if not self._with_layouts:
            self._with_layouts = True
            self.begin()

    def ask_for_cache(self, cache: str | None) -> None:
        """Reads the attributes of another slab cache, and draws the sample with these attributes."""
        if cache is None or (self._chosen_cache is not None and cache == self._chosen_cache.cache):
            return
        self._chosen_cache = run_sync(CacheAttributesSource(cache).read(self._host)).value
        if self._latest is not None:
            self.draw(self._latest)

    def draw(self, ledger: Ledger) -> None:
        """Adds the attributes of the chosen cache to the ledger, and draws the ledger."""
        self._latest = ledger
        attributes = sound_attributes(self._chosen_cache, ledger.caches, ledger.host.page_size_bytes)
        super().draw(ledger._replace(chosen_cache=attributes))

    def ask_for_sockets(self, wanted: bool) -> None:
        """At the first request, samples the tree again with the saved list of sockets; later requests do nothing."""
        if wanted and not self._with_sockets:
            self._with_sockets = True
            self.begin()
