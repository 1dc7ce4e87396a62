"""`tcptop export` and `tcptop import`: samples to folders and back, and from one recording to another."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from tcptop.recording.choice import Choice, add_choice
from tcptop.recording.errors import RecordingError, check_damages
from tcptop.recording.export import export
from tcptop.recording.opening import opened
from tcptop.recording.recorder import Recorder
from tcptop.recording.recording import Recording
from tcptop.recording.scrub import scrubbed
from tcptop.recording.time_spec import chosen
from tcptop.text.printable import printable

EXPORT_DESCRIPTION = (
    "Writes samples of a recording as folders, each in the layout that --root takes, with their times beside them."
)
IMPORT_DESCRIPTION = (
    "Makes a recording of an export, of a saved tree, or of a part of another recording; what was kept stays as it is."
)


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `tcptop export`."""
    parser.add_argument("-r", "--replay", metavar="FILE", required=True, help="the recording")
    parser.add_argument("folder", metavar="DIR", help="a folder that is not there yet")
    add_choice(parser)


def add_import_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `tcptop import`."""
    parser.add_argument("source", metavar="SOURCE", help="an exported folder, a saved tree, or a recording")
    parser.add_argument("-w", "--write", metavar="FILE", required=True, help="the recording to make")
    parser.add_argument("--scrub", action="store_true", help="leave out the host's name and the kernel's command line")
    add_choice(parser)


def run_export(options: argparse.Namespace) -> int:
    """Exports; gives the exit code. Errors are one line on standard error."""
    try:
        recording = opened(options.replay)
        try:
            damages = export(recording, chosen(recording, _choice(options)), options.folder)
            check_damages(recording.path, damages)
        finally:
            recording.close()
    except RecordingError as error:
        return _failed(error)
    return 0


def run_import(options: argparse.Namespace) -> int:
    """Imports; gives the exit code. Errors are one line on standard error."""
    try:
        if os.path.lexists(options.write):
            raise RecordingError(f"{printable(options.write)}: is there already; an import makes a new file")
        recording = opened(options.source)
        try:
            indices = chosen(recording, _choice(options))
            recorder = Recorder(options.write, scrubbed=scrubbed if options.scrub else None)
            try:
                damages = copied(recording, indices, recorder)
            except BaseException:
                with suppress(OSError):
                    os.unlink(options.write)  # noqa: PTH108 (it is this program's own, and not whole)
                raise
            finally:
                recorder.close()
            check_damages(recording.path, damages)
        finally:
            recording.close()
    except RecordingError as error:
        return _failed(error)
    return 0


def copied(recording: Recording, indices: Sequence[int], recorder: Recorder) -> list[str]:
    """Adds samples of a recording to a file; gives what of them is damaged, in lines.

    Raises:
        RecordingError: where they cannot be written.

    """
    damages: list[str] = []
    for index in indices:
        sample = recording.kept(index)
        for read in sample.reads:
            recorder.keep(read)
        recorder.write(sample.snapshot)
        damages += [damaged for damaged in [recording.damaged(index)] if damaged is not None]
    return damages


def _choice(options: argparse.Namespace) -> Choice:
    return Choice(options.at, options.first, options.last)


def _failed(error: RecordingError) -> int:
    print(f"tcptop: {printable(str(error))}", file=sys.stderr)
    return 1
