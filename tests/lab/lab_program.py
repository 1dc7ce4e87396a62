"""`tcptop lab` in a process of its own, after a piece of code that changes what that process may do."""

from __future__ import annotations

LAB = """
import os, sys
from tcptop import cli
from tcptop.commands import lab
from tcptop.hosts import folder
from tcptop.lab import experiment, preconditions, progress
{before}
cli.main(["lab", *sys.argv[1:]])
"""
"""The program; `before` runs after the imports, which a user without rights may not read."""
