"""Signs and units."""

from tcptop.explanation.glossary.entry import Entry

SIGN_ENTRIES: tuple[Entry, ...] = (
    Entry(
        "≥",
        "At least, a lower bound: a part of the sum is not known and is named, or the true value may be far higher.",
        "The total of TCP in the kernel has it only where a part is not known. In ASCII: >=.",
        "tcptop",
        (">=", "lower bound", "at its lower bound", "at least"),
    ),
    Entry(
        "≤",
        "At most: the counter, or the sharing of objects, allows any value up to this one.",
        "In ASCII: <=.",
        "tcptop",
        ("<=", "upper bound", "at most"),
    ),
    Entry(
        "≈",
        "About: the true value lies in a range, which stands beside the figure or on its page.",
        "The figure is the likeliest value of the range; where none is likelier than another, its low end. In"
        " ASCII: ~.",
        "tcptop",
        ("~",),
    ),
    Entry(
        "+1 more",
        "What is left out, since there is no space: parts of a bar's legend, or alarms below the last line of Limits.",
        "Key i shows all parts of a socket in its first lines; from any pane, ? and then i does. ENTER on the pane of"
        " Limits shows all limits, and scrolling it does, too.",
        "tcptop",
        ("+1 more alarm", "more alarms", "left out", *(f"+{number} more" for number in range(2, 20))),
    ),
    Entry(
        "–",
        "No figure: it is not known, or there can be none, as FITS MORE of a limit of one process.",
        "It never means 0; 0 is printed as 0. ENTER on the row, or the line below, says which it is. In ASCII: -.",
        "tcptop",
        ("-", "—", "−", "--", "unknown", "not known", "0B"),
    ),
    Entry(
        "±", "The error of a figure: the true value lies within it, on either side.", "In ASCII: +-.", "tcptop", ("+-",)
    ),
    Entry(
        "▸",
        "Marks the size of block that slabs of sockets are made of; in TIME_WAIT accounting, those of mini-sockets.",
        "If free blocks of that order and above are gone, slabs are made of smaller blocks. In ASCII: @.",
        "/sys/kernel/slab/TCP/order and tw_sock_TCP/order",
        ("@", "slabs of sockets", "▸ slabs of sockets"),
    ),
    Entry(
        "▴ ▾",
        "The column by which the table is sorted: ▾ the largest first, ▴ the smallest.",
        "In ASCII: v the largest first, ^ the smallest.",
        "tcptop",
        ("▴", "▾", "v", "^"),
    ),
    Entry(
        "›",
        "Marks the node that all panes show, in the table of nodes; = shows all nodes again.",
        "In ASCII: >.",
        "tcptop",
    ),
    Entry("!", "A limit that is near or reached, an event that grew, or a file that was not read.", "", "tcptop"),
    Entry(
        "█ ▒ ░",
        "A bar: █ what TCP or the limit uses, ▒ what others use, or what a plan adds, ░ or · what is free.",
        "Each bar is of its own whole: a node's bar of the memory of that node. ▏ to ▉ are eighths of a column at the"
        " end of a bar, so that ▏ alone is a trace: more than nothing. The dots behind a bar of Limits are the rest of"
        " the limit.",
        "tcptop",
        ("█", "▒", "░", "▓", *"▏▎▍▌▋▊▉▀", "#", "bar"),
    ),
    Entry(
        "▁▂▃▄▅▆▇█",
        "A graph: a column for each step of time, the newest at the right; the higher, the larger.",
        "The lowest value is ▁ and the highest █, so that small changes can be seen: the numbers beside it say how far"
        " these two are apart. A value that changes by less than 1 % stands in the middle. A gap: not known.",
        "tcptop",
        (*"▁▂▃▄▅▆▇_", "sparkline"),
    ),
    Entry(
        "…",
        "A text is cut here, since its column is too narrow.",
        "ENTER on a row shows the whole. In ASCII, two points: ..",
        "tcptop",
        ("..",),
    ),
    Entry(
        "← → ↑ ↓",
        "The arrow keys: they move in the pane with the focus, or turn the pages of i.",
        "In a function's path, → leads to the function that is called.",
        "tcptop",
        ("←", "↑", "↓", "arrows", "arrow keys"),
    ),
    Entry("%", "Per cent: a share of the whole that stands beside it, such as RAM or a limit.", "", "tcptop"),
    Entry(
        "─ │ ├ └",
        "Lines around a pane, and the branches of a tree: of calls, or of pointers.",
        "In a tree of calls, + stands before an object that is allocated there, and - before one that is freed. In"
        " ASCII: - | + and others.",
        "tcptop",
        (*"─│├└┬┏┓┗┛┣┫━┃╺╸╻╹", "+", "frame", "branch", "call tree"),
    ),
    Entry("×", "Times: how many of these objects there are.", "In ASCII: x.", "tcptop", ("x",)),
    Entry("÷", "Divided by.", "In ASCII: /.", "tcptop", ("/",)),
    Entry(
        "→ ▶",
        "It goes on to the right: hidden columns (Shift-→ shows them), or a bar that is longer than its limit.",
        "In ASCII: >.",
        "tcptop",
        ("→", "▶", ">", "more columns", "more column"),
    ),
    Entry(
        "·",
        "In the table of free blocks: no free block, 0, kept quiet so that free blocks stand out.",
        "Behind a bar of Limits: the rest of the limit. Between texts: the next part.",
        "/proc/buddyinfo",
    ),
    Entry(
        "KiB MiB GiB",
        "1024, 1024² and 1024³ bytes; a table writes K, M and G.",
        "B is bytes. Counts have a space between thousands, and k or M where they are short.",
        "tcptop",
        ("KiB", "MiB", "GiB", "K", "M", "G", "B", "TiB"),
    ),
)
