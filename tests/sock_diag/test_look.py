"""A look that runs out of time tells what came until then."""

from __future__ import annotations

import pytest

from tcptop.sock_diag import look as look_module
from tcptop.sock_diag.look import Ask, look
from tcptop.sources.socket_table import SocketTableSource


def test_a_look_without_time_is_cut_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look_module, "TIME_LIMIT_S", 0.0)
    try:
        text, _ = look(Ask(here_only=True))
    except TimeoutError:
        raise
    except OSError as error:
        pytest.skip(f"no sock_diag here: {error}")
    table, damage = SocketTableSource().parse(text.decode())
    assert damage is None
    assert table is not None
    [namespace] = table.namespaces
    assert namespace.asked == "cut"
    assert "ended after" in namespace.reason
    assert table.groups == ()
