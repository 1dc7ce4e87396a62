"""The screen's rates and graphs begin anew after the machine has booted again."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from recorded import snapshot

from tcptop.rates import STEP_S
from tcptop.screen.feed import Feed
from tcptop.view import View

SECONDS = 40
RESTART = 20


@pytest.mark.parametrize(
    ("boots", "monotonic_s", "is_continued"),
    [
        (("6d6c0b7c-1", "6d6c0b7c-1"), 0.0, True),
        (("6d6c0b7c-1", "e0a4f7d2-2"), 0.0, False),
        ((None, None), 0.0, True),
        ((None, None), -900.0, False),  # the clock of the boot begins again
    ],
)
def test_no_figure_spans_a_restart(
    boots: tuple[str | None, str | None], monotonic_s: float, is_continued: bool
) -> None:
    shown: list[View] = []
    feed = Feed()
    feed.app = SimpleNamespace(view=View(), show=lambda _, view: shown.append(view))  # type: ignore[assignment]
    for second in range(SECONDS):
        is_after = second >= RESTART
        of_phase = snapshot("6.1-4n", "base" if is_after else "established")
        feed.receive(
            of_phase._replace(
                live=True,
                taken_at_unix_s=1_700_000_000.0 + second,
                monotonic_s=1_000.0 + second + is_after * monotonic_s,
                boot_id=boots[is_after],
            )
        )
    few = snapshot("6.1-4n", "base").sockstat.value
    assert few is not None
    last = shown[-1].trends.sockets
    assert len(last) == (SECONDS if is_continued else SECONDS - RESTART) // STEP_S - 1
    assert (set(last) == {few.allocated}) is not is_continued
    for second in range(RESTART, RESTART + STEP_S):
        assert bool(shown[second].trends.sockets) is is_continued
