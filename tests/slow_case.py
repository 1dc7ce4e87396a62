"""Test parameters that run with the slow tests only."""

from __future__ import annotations

import pytest
from _pytest.mark.structures import ParameterSet


def slow(*values: object) -> ParameterSet:
    """The values of one parameter set, marked slow; all other parameter sets stay in the quick run."""
    return pytest.param(*values, marks=pytest.mark.slow)
