"""`tcptop import`: makes a recording from an export, from a saved tree, or from part of another recording."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing

from tcptop.commands.common import Parser, join_offsets, time_range
from tcptop.errors import TcptopError
from tcptop.named_files import new_file
from tcptop.recording.opening import open_recording
from tcptop.recording.recorder import Recorder
from tcptop.recording.recording import Recording
from tcptop.recording.scrub import SCRUB_HELP, make_scrub
from tcptop.recording.sqlite_file import COMPANIONS, errors_in_one_line
from tcptop.recording.time_spec import select_samples

DESCRIPTION = (
    "Makes a recording of an export, of a saved tree, or of a part of another recording; what was kept stays as it is."
)
EXAMPLES = (("tcptop import DIR -w FILE", "a recording of an exported folder, byte for byte as it was"),)


def make_parser() -> Parser:
    """The parser of the command."""
    parser = Parser(prog="tcptop import", description=DESCRIPTION, examples=EXAMPLES)
    parser.add_argument("source", metavar="SOURCE", help="an exported folder, a saved tree, or a recording")
    parser.add_argument("-w", "--write", metavar="FILE", required=True, help="the recording to make")
    parser.add_argument("--scrub", action="store_true", help=SCRUB_HELP)
    parser.add_time_options()
    return parser


def run(arguments: Sequence[str]) -> int:
    """Imports the selected samples into a new file, all or none; returns the exit code."""
    options = make_parser().parse_args(join_offsets(arguments))
    if os.path.lexists(options.write):
        raise TcptopError(f"{options.write}: is there already; an import makes a new file")
    with closing(open_recording(options.source)) as recording:
        indices = select_samples(recording, time_range(options))
        with (
            errors_in_one_line(options.write),
            new_file(options.write, 0o600, COMPANIONS) as place,
            closing(Recorder(place, scrub=make_scrub() if options.scrub else None)) as recorder,
        ):
            recorder.stays = False
            copy_samples(recording, indices, recorder)
        recording.raise_if_damaged()
    return 0


def copy_samples(recording: Recording, indices: Sequence[int], recorder: Recorder) -> None:
    """Copies samples of a recording to a recorder, leaving out the damaged reads of kernel files.

    Raises:
        TcptopError: if a sample cannot be written.

    """
    for sample in recording.samples(indices):
        for read in sample.reads:
            recorder.add_read(read)
        recorder.write(sample.snapshot)
