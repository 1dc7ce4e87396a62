"""View state: user choices, player position and graph data, as frozen values. Pure; knows no widget, file or clock."""

from __future__ import annotations

from dataclasses import dataclass

from tcptop.ledger import GrowthSinceMark, Ledger
from tcptop.view.choices import DEFAULT_CHOICES, Choices
from tcptop.view.player import Player
from tcptop.view.timeline import NO_TIMELINE, Timeline
from tcptop.view.trends import NO_TRENDS, Trends


@dataclass(frozen=True, slots=True)
class View:
    """What a pane shows besides the ledger: the user's choices, and data that spans several samples."""

    choices: Choices = DEFAULT_CHOICES
    mark: Ledger | None = None
    """Key `k`: the sample whose counts are subtracted; None without a mark."""
    since: GrowthSinceMark | None = None
    """Growth since the mark; None without a mark."""
    trends: Trends = NO_TRENDS
    recording_path: str | None = None
    """The file to which the live screen records; None if it does not."""
    player: Player | None = None
    """Playback position, if the sample comes from a recording."""
    timeline: Timeline = NO_TIMELINE
    looking_back: bool = False
    """The sample is an earlier one of a live screen, from its own recording."""
