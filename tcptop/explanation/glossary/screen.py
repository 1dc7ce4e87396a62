"""Words of the screen itself: live, sample, keys, marks."""

from tcptop.explanation.glossary.entry import Entry

SCREEN_ENTRIES: tuple[Entry, ...] = (
    Entry(
        "live",
        "The figures are read from this machine now, at the interval that stands beside it.",
        "saved, paused or looking back stand there instead while time does not run. A recording opens paused; SPACE"
        " plays it, and playing stands there with the speed.",
        "tcptop",
        ("paused", "saved", "interval", "pause", "playing", "paused at", "SPACE plays", "looking back"),
    ),
    Entry(
        "sample",
        "All that tcptop read at one moment.",
        "Some files cost the kernel more and are read less often; their age stands beside them: `counts ≤ 5 s old`.",
        "tcptop",
        ("old", "reading", "counts up to 5 s old", "counts up", "up to 5 s old", "s old", "counts old"),
    ),
    Entry(
        "5 s",
        "Graphs, rates, growth, RAM available and CPU change once in five seconds; counts and sizes with each sample.",
        "So a figure stands long enough to be read, and little is sent over a slow line. How far back a rate looks is"
        " another thing: the growth of TCP's memory and of the sockets beside it, half a minute; Δ/s, five seconds."
        " After many sockets closed, the graph and Δ/s show it within five seconds, the growth later.",
        "tcptop",
        ("every 5 s", "a step is 5 s"),
    ),
    Entry(
        "recording",
        "A file of samples that record wrote; tcptop -r FILE shows it with time.",
        "A mark on the time line is the sample that is shown. The time line draws the largest count of each step of"
        " time; TCP's memory and the bytes per connection take longer, and `reading 34 %` says how far they are.",
        "tcptop record",
        ("replay", "record", "recorded", "timeline", "time line", "reading 34 %"),
    ),
    Entry(
        "graphs",
        "The last minutes of sockets and of TCP's memory, the newest at the right.",
        "They move once in five seconds. In a recording, they show the whole recording.",
        "tcptop",
        ("graph", "5 min", "min ago", "from start", "last minutes", "change once"),
    ),
    Entry(
        "highest",
        "Beside a graph: the largest value in the time that the graph shows; lowest is the smallest.",
        "Between the two stands the newest value, that of the last step of the graph.",
        "tcptop",
        ("lowest", "newest", "last step"),
    ),
    Entry(
        "blocks/bytes",
        "Key y, the unit of the free blocks: how many blocks there are of each size, or how many bytes these have.",
        "",
        "tcptop",
        ("unit", "y", "y unit"),
    ),
    Entry(
        "key line",
        "The last line of the screen: keys, and what each does; a narrow screen leaves out the last ones.",
        "? is the help with all keys, and : lists all commands (more). Tab goes to the next pane, i opens the pages"
        " (info), / finds text. c, n and others sort the caches, r shows all caches or TCP's alone, q quits.",
        "tcptop",
        ("help", "quit", "pane", "info", "find", "sort", "all caches", "r all", "all", "key", "keys"),
    ),
    Entry(
        "lab result",
        "What `tcptop lab` measured on this very kernel, by opening sockets and reading slabinfo.",
        "It is used where no file tells, and only on the kernel where it was measured.",
        "tcptop lab",
        ("lab",),
    ),
    Entry(
        "ENTER",
        "The key that explains what is selected: a row of a table, a part of the bar, the limits.",
        "In the table of nodes it shows the node in all panes. Tab gives the focus to the next pane, the arrow keys"
        " select.",
        "tcptop",
        ("ENTER explain", "RETURN"),
    ),
    Entry(
        "m",
        "The key that changes from open sockets to TIME_WAIT and back.",
        "In the bar of WATERMARKS, m stands at min. M is the key of the plan, and in a table MiB.",
        "tcptop",
    ),
    Entry(
        "W",
        "The key of the look at all sockets: who holds them, by process, container, port, state or user.",
        "Only a look tells the use of nofile, ports and accept queues. `tcptop who` prints the same.",
        "net/ipv4/inet_diag.c",
        ("key W",),
    ),
    Entry(
        "0-9[]",
        "The keys that choose a node: the digit of its number, [ the one before, ] the next.",
        "The caches and free blocks then show this node alone; the other panes stay the machine's. = shows all nodes"
        " again.",
        "tcptop",
        ("0-9", "[", "]", "[ ]", "[]"),
    ),
    Entry(
        "unreadable",
        "A file that the kernel does not show to this user, or not at all.",
        "The pane says which file, and what its figures are without it. Root sees more.",
        "tcptop",
        ("refused", "absent", "hidden", "needs root", "root only", "not read"),
    ),
)
