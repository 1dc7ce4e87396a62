"""`tcptop export`: writes samples of a recording as folders."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from tcptop.commands.common import Parser, join_offsets, time_range
from tcptop.recording.exported_folder import export
from tcptop.recording.opening import open_recording
from tcptop.recording.time_spec import select_samples

DESCRIPTION = (
    "Writes samples of a recording as folders, each in the layout that --root takes, with their times beside them."
)


def run(arguments: Sequence[str]) -> int:
    """Exports the selected samples; returns the exit code."""
    parser = Parser(prog="tcptop export", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("-r", "--replay", metavar="FILE", required=True, help="the recording")
    parser.add_argument("folder", metavar="DIR", help="a folder that is not there yet")
    parser.add_time_options()
    options = parser.parse_args(join_offsets(arguments))
    with closing(open_recording(options.replay)) as recording:
        export(recording, select_samples(recording, time_range(options)), options.folder)
        recording.raise_if_damaged()
    return 0
