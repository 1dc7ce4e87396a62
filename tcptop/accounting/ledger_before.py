"""The ledger of the sample that precedes a recorded sample; it supplies averages that the recorded sample lacks."""

from collections.abc import Callable

from tcptop.accounting import account
from tcptop.accounting.socket_average import needs_earlier_average
from tcptop.ledger import Ledger
from tcptop.snapshot import Snapshot

MAX_EARLIER = 30
"""Maximum number of recorded samples that are searched for an earlier average."""


def ledger_before(snapshot_at: Callable[[int], Snapshot], index: int) -> Ledger | None:
    """The ledger to pass to `account()` as `before` for a recorded sample; None if no earlier averages are needed.

    `snapshot_at(index)` returns the recorded sample with this index. At most MAX_EARLIER earlier samples are searched
    for averages. If one of the searched samples has averages, the user sees the same averages when stepping forwards
    and backwards through the samples. If sockets changed too fast in all of the searched samples, the averages depend
    on the direction of the steps.
    """
    start = index
    while start > 0 and index - start < MAX_EARLIER and needs_earlier_average(snapshot_at(start)):
        start -= 1
    before: Ledger | None = None
    for number in range(start, index):
        before = account(snapshot_at(number), before=before)
    return before
