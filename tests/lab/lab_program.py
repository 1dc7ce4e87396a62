"""A program that runs `tcptop lab` after a piece of code that restricts the process."""

from __future__ import annotations

LAB = """
import locale, os, shutil, sys  # argparse imports locale and shutil when it needs them
from tcptop import cli
from tcptop.commands import lab
from tcptop.hosts import folder
from tcptop.lab import experiment, preconditions, progress
{before}
cli.main(["lab", *sys.argv[1:]])
"""
"""`before` runs after the imports, since an unprivileged user may be unable to read the modules."""
