"""The reports of a recording, one for each sample that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tcptop.accounting import account
from tcptop.ledger import Ledger
from tcptop.recording.choice import Choice
from tcptop.recording.errors import check_damages
from tcptop.recording.opening import opened
from tcptop.recording.time_spec import chosen
from tcptop.snapshot import LabMeasurement

Form = Callable[[Ledger], str]


def form_of(json: bool, sort_key: str | None = None) -> Form:
    """A report as one line of JSON, or as text."""
    if json:
        from tcptop.report.as_json import as_json

        return lambda ledger: f"{as_json(ledger)}\n"
    from tcptop.report.as_text import as_text
    from tcptop.text.cache_columns import DEFAULT_SORT_KEY

    return lambda ledger: as_text(ledger, sort_key or DEFAULT_SORT_KEY)


def reports(
    path: str, choice: Choice, measured: LabMeasurement | None, form: Form, last_only: bool = False
) -> Iterator[str]:
    """The report of each sample, or of the last.

    Raises:
        RecordingError: where the recording cannot be read; at the end too, where samples were damaged.

    """
    recording = opened(path)
    damages: list[str] = []
    try:
        indices = chosen(recording, choice)
        for index in indices[-1:] if last_only else indices:
            yield form(account(recording.snapshot(index)._replace(measured=measured)))
            damaged = recording.damaged(index)
            if damaged is not None:
                damages.append(damaged)
    finally:
        recording.close()
    check_damages(path, damages)
