"""The glossary: every word and sign of the screen and the reports, with its meaning and the file it comes from.

The page `glossary` and `tcptop explain WORD` show the entries of the glossary. The entries of the cache table's columns
are made from the texts in `text/cache_columns.py`.
"""

from tcptop.explanation.glossary.entry import Entry
from tcptop.explanation.glossary.figures import FIGURE_ENTRIES
from tcptop.explanation.glossary.holders import HOLDER_ENTRIES
from tcptop.explanation.glossary.hosts import HOST_ENTRIES
from tcptop.explanation.glossary.kernel_objects import OBJECT_ENTRIES
from tcptop.explanation.glossary.limits import LIMIT_ENTRIES
from tcptop.explanation.glossary.memory import MEMORY_ENTRIES
from tcptop.explanation.glossary.screen import SCREEN_ENTRIES
from tcptop.explanation.glossary.signs import SIGN_ENTRIES
from tcptop.explanation.glossary.slabs import SLAB_ENTRIES
from tcptop.explanation.glossary.sockets import SOCKET_ENTRIES
from tcptop.explanation.glossary.sources import SOURCE_ENTRIES
from tcptop.explanation.glossary.tables import TABLE_ENTRIES
from tcptop.text.cache_columns import COLUMNS

ENTRIES: tuple[Entry, ...] = (
    *FIGURE_ENTRIES,
    *SOCKET_ENTRIES,
    *SLAB_ENTRIES,
    *OBJECT_ENTRIES,
    *MEMORY_ENTRIES,
    *LIMIT_ENTRIES,
    *TABLE_ENTRIES,
    *HOLDER_ENTRIES,
    *HOST_ENTRIES,
    *(Entry(column.heading.title, column.help, "A column of the cache table.", column.source) for column in COLUMNS),
    *SCREEN_ENTRIES,
    *SIGN_ENTRIES,
    *SOURCE_ENTRIES,
)
"""All entries."""
