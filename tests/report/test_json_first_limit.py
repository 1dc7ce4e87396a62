"""The first limit in the JSON of a report: the number of sockets that the screen and -o show."""

from __future__ import annotations

import json

import pytest
from recorded import tree

from tcptop.cli import main


@pytest.mark.parametrize(
    ("kernel", "phase", "first", "counts_buffers"),
    [("6.12-4n", "halfclosed", "tcp_mem", True), ("6.1-8n", "established", "memory", False)],
)
def test_the_first_limit_stands_beside_that_of_memory(
    kernel: str, phase: str, first: str, counts_buffers: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--json", "--root", str(tree(kernel, phase))])
    found = json.loads(capsys.readouterr().out)
    headroom = found["headroom"]
    [limit] = [limit for limit in found["limits"] if limit["name"] == first]
    assert headroom["first_limit"] == first
    assert headroom["first_limit_sockets"] == limit["headroom_sockets"] <= headroom["sockets"]
    assert headroom["first_limit_is_at_least"] == limit["headroom_is_at_least"]
    assert headroom["first_limit_counts_buffers"] == counts_buffers
    assert not headroom["first_limit_is_at_most"]
