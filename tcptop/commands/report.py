"""`tcptop -o` and `tcptop --json`: print reports of a host or of a recording, without an event loop or threads."""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable
from contextlib import closing

from tcptop.commands.common import (
    add_socket_table,
    default_period_s,
    load_lab_result,
    make_sampler,
    open_chosen_host,
    read_ledger,
    read_thresholds,
    terminal_columns,
    time_range,
)
from tcptop.ledger import Ledger
from tcptop.standard_streams import write_stdout

Formatter = Callable[[Ledger, Ledger | None], str]
"""A function that formats a ledger; of a recording's later sample, it may also be given the ledger of the first one."""


def run(options: argparse.Namespace) -> None:
    """Prints reports of a recording, or of a host every `--delay` seconds."""
    # Garbage collection is turned off: the imports and one report leave too little garbage to be worth a collection.
    gc.disable()
    formatter = report_formatter(options.json, options.sort)
    if options.replay is not None:
        _report_recording(options, formatter)
    else:
        _report_host(options, formatter)


def report_formatter(json: bool, sort_key: str | None = None) -> Formatter:
    """The function that formats a ledger as a report; the report is one line of JSON, or a text."""
    if json:
        from tcptop.report.as_json import as_json

        return lambda ledger, _: f"{as_json(ledger)}\n"
    from tcptop.report.as_text import as_text
    from tcptop.text.cache_columns import DEFAULT_SORT_KEY

    width = terminal_columns()
    return lambda ledger, first: as_text(ledger, sort_key or DEFAULT_SORT_KEY, width, first)


def _report_host(options: argparse.Namespace, formatter: Formatter) -> None:
    period_s = default_period_s(options)
    thresholds = read_thresholds()
    with closing(open_chosen_host(options)) as host:
        sampler = make_sampler(host, period_s, options.lab, options.cgroup)
        add_socket_table(sampler, options.who)
        count = options.count or 1
        next_s = time.monotonic()
        ledger: Ledger | None = None
        for number in range(count):
            ledger = read_ledger(sampler, thresholds, ledger)
            text = formatter(ledger, None)
            is_last = number + 1 == count
            write_stdout(text if is_last or options.json else f"{text}\n")
            gc.enable()
            if not is_last:
                next_s = max(next_s + period_s, time.monotonic())
                time.sleep(max(0.0, next_s - time.monotonic()))


def _report_recording(options: argparse.Namespace, formatter: Formatter) -> None:
    """Prints a report for each selected sample; with -o, prints a report for the last selected sample only.

    After printing, raises TcptopError if a printed sample was damaged.
    """
    from tcptop.accounting import account
    from tcptop.accounting.ledger_before import ledger_before
    from tcptop.recording.opening import open_recording
    from tcptop.recording.time_spec import select_samples

    thresholds, lab_result = read_thresholds(), load_lab_result(options.lab)
    with closing(open_recording(options.replay)) as recording:
        indices = select_samples(recording, time_range(options))
        chosen = indices[-1:] if options.once else indices
        ledger = ledger_before(recording.snapshot, chosen[0]) if chosen else None
        for sample in recording.samples(chosen):
            snapshot = sample.snapshot._replace(lab_measurement=lab_result)
            ledger = account(snapshot, thresholds, before=ledger)
            first = recording.whole_snapshot(0) if options.once and chosen[0] else None
            write_stdout(formatter(ledger, None if first is None else account(first)))
        recording.raise_if_damaged()
