"""View state: user choices, player position and graph data, as frozen values.

The package is pure: it uses no widget, no file and no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tcptop.ledger import AccountingMode, Growth, GrowthSinceMark, Ledger
from tcptop.view.choices import DEFAULT_CHOICES, Choices
from tcptop.view.player import Player
from tcptop.view.timeline import NO_TIMELINE, Timeline
from tcptop.view.trends import NO_TRENDS, Trends


@dataclass(frozen=True, slots=True)
class View:
    """Data that a pane shows beside the ledger: the user's choices, and figures computed from several samples."""

    choices: Choices = DEFAULT_CHOICES
    panes: frozenset[str] = frozenset()
    """Ids of the panes on the screen."""
    mark: Ledger | None = None
    """The sample that the user has marked with the key `k`; the mark's counts are subtracted from the counts of the
    shown sample. The mark is None until the user marks a sample."""
    since: GrowthSinceMark | None = None
    """Growth since the marked sample; None if no sample is marked."""
    rates: Ledger | None = None
    """The sample whose rates are shown; every five seconds, the latest sample takes its place. The field is None until
    the first sample has been taken.
    """
    growth: Mapping[AccountingMode, Growth] = field(default_factory=dict)
    """Growth over the last minutes, by accounting mode; empty if there are too few samples.

    The growth and the trends change every five seconds, like the rates.
    """
    trends: Trends = NO_TRENDS
    recording_path: str | None = None
    """File to which the live screen records; None if the live screen does not record."""
    player: Player | None = None
    """Position and speed of playback; None if the sample does not come from a recording."""
    timeline: Timeline = NO_TIMELINE
    looking_back: bool = False
    """True while a live screen shows an earlier sample, read from the recording that this screen has written."""
