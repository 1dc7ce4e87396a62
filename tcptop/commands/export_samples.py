"""`tcptop export`: writes samples of a recording as folders."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from contextlib import closing

from tcptop.commands.common import Parser, join_offsets, open_remote, read_snapshot, time_range
from tcptop.errors import TcptopError
from tcptop.recording.exported_folder import export
from tcptop.recording.opening import open_recording
from tcptop.recording.time_spec import select_samples
from tcptop.text.printable import printable

DESCRIPTION = (
    "Writes samples of a recording as folders, each in the layout that --root takes, with their times beside them."
)
EXAMPLES = (("tcptop export -r FILE --at -5m DIR", "the sample of five minutes before the end"),)


def make_parser() -> Parser:
    """The parser of the command."""
    parser = Parser(prog="tcptop export", description=DESCRIPTION, examples=EXAMPLES)
    parser.add_argument("-r", "--replay", metavar="FILE", help="the recording")
    parser.add_argument("folder", metavar="DIR", help="a folder that is not there yet")
    parser.add_time_options()
    parser.add_host_options()
    return parser


def run(arguments: Sequence[str]) -> int:
    """Exports the selected samples; returns the exit code."""
    options = make_parser().parse_args(join_offsets(arguments))
    if options.host is not None:
        _export_now(options)
        return 0
    if options.replay is None:
        raise TcptopError("a recording, -r FILE, or a machine, --host NAME (tcptop export --help lists the options)")
    with closing(open_recording(options.replay)) as recording:
        export(recording, select_samples(recording, time_range(options)), options.folder)
        recording.raise_if_damaged()
    return 0


def _export_now(options: argparse.Namespace) -> None:
    """Takes a sample of another machine now, and exports it through a temporary recording."""
    from tempfile import TemporaryDirectory

    from tcptop.recording.recorder import Recorder
    from tcptop.sampling.sampler import Sampler
    from tcptop.sampling.source_list import kernel_sources

    if options.at or options.first or options.last:
        raise TcptopError("--at, --from and --to choose samples of a recording: -r FILE")
    try:
        temporary = TemporaryDirectory(prefix="tcptop-")
    except OSError as error:
        raise TcptopError(f"the folder for temporary files: {error.strerror}; TMPDIR=DIR names another") from None
    with temporary as folder, closing(open_remote(options.host, options.sudo)) as host:
        path = f"{folder}/recording"
        try:
            with closing(Recorder(path)) as recorder:
                snapshot = read_snapshot(Sampler(host, kernel_sources(), on_read=recorder.add_read))
                recorder.write(snapshot)
        except TcptopError as error:
            where = f"{os.path.dirname(folder)}, the folder for temporary files"  # noqa: PTH120
            raise TcptopError(str(error).replace(path, printable(where))) from None
        with closing(open_recording(path)) as recording:
            export(recording, [0], options.folder)
