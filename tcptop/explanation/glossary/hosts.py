"""Words of the table of hosts."""

from tcptop.explanation.glossary.entry import Entry

HOST_ENTRIES: tuple[Entry, ...] = (
    Entry(
        "HOST",
        "The name by which a machine is asked over ssh, in the table of hosts.",
        "A host that does not answer has what ssh said in place of its figures, and when it is asked again. The last"
        " row has the sums of the hosts that answer, and says how many these are.",
        "tcptop --host 'web[01-40],db1'; ssh",
        ("hosts", "of hosts", "every host", "table of hosts", "ssh"),
    ),
    Entry(
        "NEAREST LIMIT",
        "The limit of a host that alarms, otherwise the one that stops new sockets first, with its use in per cent.",
        "By it the table is sorted: FULL, CRITICAL, PRESSURE, NEAR, growing events, hosts that do not answer,"
        " then the hosts on which the fewest sockets fit more. Rows keep their places for five seconds.",
        "the files of the limits",
        ("nearest", "urgent", "most urgent"),
    ),
    Entry(
        "RATE",
        "Change of the number of sockets per second, over the last six seconds.",
        "",
        "/proc/net/sockstat",
        ("rates per second", "change of sockets"),
    ),
    Entry(
        "AGE",
        "How old the figures of a host are: ≤ and the time between looks, or the seconds if a look is late.",
        "TCP memory, bytes and the memory of the machine are read every ten seconds, events every five, all else with"
        " each look.",
        "tcptop",
        ("age of the figures", "late", "connecting", "connecting again", "again in", "Connection refused"),
    ),
)
