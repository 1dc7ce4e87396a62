"""`python -m tcptop` runs this package, even if another program on PATH is also called tcptop."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Imports and runs tcptop; Ctrl-C ends the program without a traceback, even during the imports."""
    try:
        from tcptop.cli import main as run_command_line

        run_command_line()
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
