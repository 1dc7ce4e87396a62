"""Writes the metrics into a file for node_exporter's textfile collector, every few seconds."""

from __future__ import annotations

import asyncio

from tcptop.errors import TcptopError
from tcptop.exporter.exposition import text_0_0_4
from tcptop.exporter.looks import Looks
from tcptop.named_files import write_bytes
from tcptop.report.as_metrics import MetricOptions, metric_families
from tcptop.text.printable import printable

MODE = 0o644
"""node_exporter runs as another user, so the file must be readable by all users."""


async def write_textfiles(
    looks: Looks, options: MetricOptions, path: str, every_s: float, ended: asyncio.Event
) -> None:
    """Replaces a file every `every_s` seconds, until `ended` is set.

    Each replacement is atomic. The metrics of this process are left out, because node_exporter has metrics of the same
    names.

    Raises:
        TcptopError: if the file cannot be written.

    """
    loop = asyncio.get_running_loop()
    next_s = loop.time()
    while not ended.is_set():
        ledger = await looks.ledger()
        if ledger is not None:
            options = options._replace(read_us=looks.sampler.total_read_us)
            try:
                write_bytes(path, text_0_0_4(metric_families(ledger, options)), MODE, is_lasting=False)
            except OSError as error:
                raise TcptopError(f"{printable(path)}: {error.strerror or error}") from None
        next_s = max(next_s + every_s, loop.time())
        try:
            await asyncio.wait_for(ended.wait(), next_s - loop.time())
        except asyncio.TimeoutError:
            continue
